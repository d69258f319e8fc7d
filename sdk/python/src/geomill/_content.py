"""The content of a file that a client wrote as a string of JSON, part by part."""

from __future__ import annotations

import base64
import codecs
import json
import re
from collections.abc import Iterator
from typing import BinaryIO

from ._kinds import Misfit

PART = 256 << 10  # bytes held at once

# Whole characters, and whole escapes: what is cut off by the end of a part waits for the next.
_WHOLE = re.compile(
    r'(?:[^"\\]+|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}|\\[^u])*'
)


def is_string(source: BinaryIO) -> bool:
    """Whether a file of JSON is a string; one that is is read from behind its first quote on."""
    while (c := source.read(1)) and c in b" \t\r\n":
        pass
    return c == b'"'


def copy(source: BinaryIO, target: BinaryIO, *, text: bool) -> None:
    """Writes what a string of JSON, read from behind its first quote, has: text, or bytes in base64.

    It raises Misfit if it is neither.
    """
    parts = _characters(source)
    for data in (p.encode() for p in parts) if text else _decoded(parts):
        target.write(data)


def _characters(source: BinaryIO) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    waiting = ""
    try:
        while part := source.read(PART):
            waiting += decoder.decode(part)
            whole = _WHOLE.match(waiting)
            end = whole.end() if whole else 0
            yield waiting[:end] if "\\" not in waiting else json.loads(f'"{waiting[:end]}"', strict=False)
            if waiting[end : end + 1] == '"':
                return
            waiting = waiting[end:]
            if len(waiting) > 12:  # longer than any escape
                break
    except ValueError:
        pass
    raise Misfit("is no text")


def _decoded(parts: Iterator[str]) -> Iterator[bytes]:
    waiting = ""
    for part in parts:
        waiting += part
        # The last four, which may be padded, wait for the end.
        ready = max(0, (len(waiting) - 1) // 4 * 4)
        if "=" in waiting[:ready]:
            raise Misfit("is not base64")
        yield decode(waiting[:ready])
        waiting = waiting[ready:]
    yield decode(waiting)


def decode(text: str) -> bytes:
    """Decodes base64, or raises Misfit."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Misfit("is not base64") from None
