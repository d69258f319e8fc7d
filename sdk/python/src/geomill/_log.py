"""Log records go to the job that they are about, or else to the host."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from ._job import current

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {k: v for k, v in vars(record).items() if k not in _STANDARD}


def _level(number: int) -> str:
    if number < logging.INFO:
        return "debug"
    if number < logging.WARNING:
        return "info"
    return "warn" if number < logging.ERROR else "error"


def line(level: int, message: str, module: str, fields: Mapping[str, Any]) -> str:
    """A record as a line for the host."""
    return json.dumps({"@level": _level(level), "@message": message, "@module": module, **fields}, default=str)


class Handler(logging.Handler):
    """Sends records to the job of the code that made them; without one, to the host as lines of JSON."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = stream or sys.stderr
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
            if job := current.get():
                job._reports.log(record.levelno, text, _fields(record))
                return
            self._stream.write(line(record.levelno, text, record.name, _fields(record)) + "\n")
            self._stream.flush()
        except Exception:
            self.handleError(record)
