"""Strings of JSON become files part by part."""

import base64
import io
import json
import random

import pytest
from geomill import _content
from geomill._kinds import Misfit

TEXTS = ["", "a", 'q"uote', "\\", "\\\\u0041", "ü😀\n\t/", "\u0000\u007f\u2028", "😀" * 50, '\\"' * 40, "x" * 1000]


def copied(document: bytes, *, text: bool) -> bytes:
    source, target = io.BytesIO(document), io.BytesIO()
    assert _content.is_string(source)
    _content.copy(source, target, text=text)
    return target.getvalue()


@pytest.mark.parametrize("part", [1, 2, 3, 7, 64, _content.PART])
@pytest.mark.parametrize("ascii", [True, False])
def test_text_comes_out_as_it_was(part: int, ascii: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_content, "PART", part)
    for text in TEXTS:
        document = " \n" + json.dumps(text, ensure_ascii=ascii) + " "
        assert copied(document.encode(), text=True) == text.encode()
    assert copied(rb'"a\/b\ud83d\ude00"', text=True) == "a/b😀".encode()


@pytest.mark.parametrize("part", [1, 3, 5, 64, _content.PART])
def test_base64_comes_out_as_it_was(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_content, "PART", part)
    for size in (*range(20), 1000):
        data = random.Random(size).randbytes(size)
        text = base64.b64encode(data).decode()
        assert copied(f'"{text}"'.encode(), text=False) == data
        escaped = text.replace("/", "\\/").replace("+", "\\u002b").replace("=", "\\u003D")
        assert copied(f'"{escaped}"'.encode(), text=False) == data


@pytest.mark.parametrize("part", [1, 4, _content.PART])
@pytest.mark.parametrize("wrong", [b"QQ==QQ==", b"QQ=", b"Q", b"Q*==", b"QQ==\\n", "QQü=".encode(), b"QUI=QUI="])
def test_what_is_not_base64_is_refused(wrong: bytes, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_content, "PART", part)
    with pytest.raises(Misfit, match="is not base64"):
        copied(b'"' + wrong + b'"', text=False)


@pytest.mark.parametrize("part", [1, _content.PART])
@pytest.mark.parametrize("wrong", [b"open", b"\\ud83d", b"\\ud83dabcdefghijklmnop", b"\xff", b"\\u12", b"\\"])
def test_what_is_no_text_is_refused(wrong: bytes, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_content, "PART", part)
    with pytest.raises(Misfit, match="is no text"):
        copied(b'"' + wrong + (b"" if wrong == b"open" else b'"'), text=True)
