"""Protocol buffers, as far as the contract needs them.

The contract has few messages, and the protobuf package cannot be had in two
versions at once: whoever needs another one for a library of theirs should be
able to use this package beside it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Union

Scalar = Union[int, float, str, bytes]


def _varint(n: int) -> bytes:
    out = bytearray()
    n &= (1 << 64) - 1
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def encode(*fields: tuple[int, Scalar]) -> bytes:
    """Encodes (number, value) pairs. A message within is its bytes; a bool is an int."""
    out: list[bytes] = []
    for number, value in fields:
        if isinstance(value, int):
            out += _varint(number << 3), _varint(value)
        elif isinstance(value, float):
            out += _varint(number << 3 | 1), struct.pack("<d", value)
        else:
            # What is no text, half of a surrogate pair, would end the session.
            data = value.encode(errors="replace") if isinstance(value, str) else value
            out += _varint(number << 3 | 2), _varint(len(data)), data
    return b"".join(out)


def repeated(number: int, values: Iterable[Scalar]) -> bytes:
    """Encodes a repeated field."""
    return encode(*((number, v) for v in values))


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    n = 0
    for shift in range(0, 70, 7):
        byte, at = data[at], at + 1
        n |= (byte & 0x7F) << shift
        if byte < 0x80:
            return n, at
    raise ValueError("not a number of protocol buffers")


class Message:
    """A decoded message: its values by field number. Fields that nobody asks for are ignored."""

    def __init__(self, data: bytes) -> None:
        self._values: dict[int, list[int | bytes]] = {}
        at = 0
        try:
            while at < len(data):
                at = self._field(data, at)
        except IndexError:
            raise ValueError("a message of protocol buffers that ends too early") from None

    def _field(self, data: bytes, at: int) -> int:
        key, at = _read_varint(data, at)
        value: int | bytes
        if key & 7 == 0:
            value, at = _read_varint(data, at)
        elif key & 7 in (1, 2, 5):
            size, at = _read_varint(data, at) if key & 7 == 2 else ({1: 8, 5: 4}[key & 7], at)
            if at + size > len(data):
                raise IndexError
            value, at = data[at : at + size], at + size
        else:
            raise ValueError("not a message of protocol buffers")
        self._values.setdefault(key >> 3, []).append(value)
        return at

    def __contains__(self, number: int) -> bool:
        return number in self._values

    def number(self, number: int) -> int:
        value = self._values.get(number, [0])[-1]
        return value if isinstance(value, int) else 0

    def double(self, number: int) -> float:
        data = self.data(number)
        return struct.unpack("<d", data)[0] if len(data) == 8 else 0.0

    def data(self, number: int) -> bytes:
        value = self._values.get(number, [b""])[-1]
        return value if isinstance(value, bytes) else b""

    def text(self, number: int) -> str:
        return self.data(number).decode()

    def message(self, number: int) -> Message:
        return Message(self.data(number))

    def messages(self, number: int) -> list[Message]:
        return [Message(v) for v in self._values.get(number, []) if isinstance(v, bytes)]
