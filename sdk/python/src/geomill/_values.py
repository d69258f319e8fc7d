"""Inputs and outputs on the wire: JSON, bytes, or files in the job's directory."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import stat
import tempfile
from typing import Any, BinaryIO

from ._codec import Message, encode
from ._content import copy, is_string
from ._job import Job
from ._kinds import Data, File, Kind, dump_any, is_text

_JSON, _DATA, _FILE, _MEDIA, _ID = 1, 2, 3, 4, 5  # fields of Value
_COPY = 1 << 20


def load(job: Job, value: Message, kind: Kind | None) -> Any:
    """Decodes an input: a File for a kind of files, else its JSON."""
    if kind is not None and kind.is_file:
        return _as_file(job, value, kind)
    if _FILE in value:
        with open(_path(job, value), "rb") as f:
            return _decode(f.read(), value)
    return _decode(value.data(_JSON), value) if _JSON in value else _decode(value.data(_DATA), value)


def _decode(data: bytes, value: Message) -> Any:
    media = value.text(_MEDIA)
    if _DATA in value or media and not _is_json(media):
        return data.decode() if is_text(media) else base64.b64encode(data).decode()
    return json.loads(data)


def _is_json(media_type: str) -> bool:
    base = media_type.partition(";")[0].strip().lower()
    return base == "application/json" or base.endswith("+json")


def _path(job: Job, value: Message) -> str:
    return os.path.join(job._directory, value.message(_FILE).text(1))


def _as_file(job: Job, value: Message, kind: Kind) -> File:
    media = value.text(_MEDIA)
    if _FILE in value and media and media.partition(";")[0].strip() != "application/json":
        return File(_path(job, value), media)
    if _DATA in value:
        return File(_spill(job, value.data(_DATA)), media)
    with open(_path(job, value), "rb") if _FILE in value else io.BytesIO(value.data(_JSON)) as source:
        if not is_string(source):  # JSON content of its own
            return File(_path(job, value) if _FILE in value else _spill(job, value.data(_JSON)), "application/json")
        target, path = _new_input(job)
        with target:
            copy(source, target, text=is_text(kind.media_type))
    return File(path, kind.media_type)


def _spill(job: Job, data: bytes) -> str:
    target, path = _new_input(job)
    with target:
        target.write(data)
    return path


def _new_input(job: Job) -> tuple[BinaryIO, str]:
    fd, path = tempfile.mkstemp(dir=job.dir, prefix="input-")
    return os.fdopen(fd, "wb"), path


def store(job: Job, name: str, value: Any, kind: Kind, inline_max: int) -> bytes:
    """Encodes an output as a Value."""
    value = with_path(value, kind)
    if isinstance(value, File):
        media = value.media_type or kind.media_type or "application/octet-stream"
        return _file_value(job, name, _adopt(job, name, os.fspath(value.path)), media)
    if isinstance(value, Data):
        data, media, field = value.content, value.media_type, _DATA
    elif isinstance(value, (bytes, bytearray, memoryview)) and kind.media_type:
        data, media, field = bytes(value), kind.media_type, _DATA
    else:
        data, media, field = to_json(name, value, kind), "application/json", _JSON
    if len(data) <= inline_max:
        return encode((field, data), (_MEDIA, media), (_ID, name))
    path = _new(job, name)
    with open(path, "wb") as f:
        f.write(data)
    return _file_value(job, name, path, media)


def with_path(value: Any, kind: Kind) -> Any:
    """A File of what is only the path of one. As JSON, clients would get the path."""
    return File(value) if kind.is_file and isinstance(value, (str, os.PathLike)) else value


def to_json(name: str, value: Any, kind: Kind) -> bytes:
    """The JSON of an output. It raises ValueError if there is none."""
    try:
        text = json.dumps(kind.dump(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=dump_any)
    except Exception as fault:
        if str(fault).startswith("Out of range float"):
            raise ValueError(f"output {name}: NaN and Infinity are no JSON; None can say that there is no number") from None
        raise ValueError(f"output {name}: {repr(value)[:100]} does not fit its type: {fault}") from fault
    # backslashreplace turns half of a surrogate pair, which UTF-8 has not, into its JSON escape
    return text.encode(errors="backslashreplace")


def _file_value(job: Job, name: str, path: str, media: str) -> bytes:
    relative = os.path.relpath(path, job._directory)
    return encode((_FILE, encode((1, relative), (2, os.path.getsize(path)))), (_MEDIA, media), (_ID, name))


def _new(job: Job, name: str) -> str:
    fd, path = tempfile.mkstemp(dir=job._made("out"), prefix=re.sub(r"[^A-Za-z0-9._-]", "_", name)[:100] + "-")
    os.close(fd)
    return path


def _adopt(job: Job, name: str, path: str) -> str:
    """The path of a file that the host can take: a plain one in the job's directory. Others are copied."""
    real, root = os.path.realpath(path), os.path.realpath(job._directory)
    status = os.lstat(path)
    inside = real.startswith(root + os.sep) and stat.S_ISREG(status.st_mode) and status.st_nlink == 1
    if inside and not real.startswith(os.path.join(root, "in") + os.sep):
        return os.path.join(job._directory, os.path.relpath(real, root))
    copy = _new(job, name)
    with open(path, "rb") as source, open(copy, "wb") as target:
        shutil.copyfileobj(source, target, _COPY)
    return copy
