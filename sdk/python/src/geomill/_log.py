"""Log records go to the job that they are about, or else to the host."""

from __future__ import annotations

import json
import logging
import sys
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
            line = {"@level": _level(record.levelno), "@message": text, "@module": record.name, **_fields(record)}
            self._stream.write(json.dumps(line, default=str) + "\n")
            self._stream.flush()
        except Exception:
            self.handleError(record)
