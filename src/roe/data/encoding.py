"""The bytes of a data file as text, in whatever encoding they are; what is not plain is said.

UTF-8 needs no word. UTF-16 is known by its mark or by its zero bytes. What is neither is Windows-1252 unless that gives symbols inside words,
as it does for Polish or Cyrillic text; then charset-normalizer is asked. An HTML page, a picture or an archive under the name of a
table is an error, and so are zero bytes and a file that ends inside of a character.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from roe.diagnostics import Diagnostic
from roe.source import Span
from roe.words import counted

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
_KINDS = (
    (
        b"PK\x03\x04",
        "a ZIP archive or an Excel workbook",
        "give it the name that it has a right to, .zip or .xlsx, or save it as CSV UTF-8",
    ),
    (b"\x1f\x8b", "a gzip archive", "give it a name that ends with .gz, or unpack it"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", "save it as .xlsx or as CSV UTF-8"),
    (b"%PDF", "a PDF file", "export the records as CSV"),
    (b"PAR1", "a Parquet file", "give it a name that ends with .parquet"),
    (b"\x89PNG", "a picture", "export the records as CSV"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it"),
)
_ODD = "[\x80-\x9f]|\\w[¡-©«-´¶-¹»-¿‚„†‡ˆ‰‹›•˜™]\\w|\\b[¡-©«-´¶-¹»-¾]\\w|[À-ÿ]{4}"  # what Windows-1252 has and words have not
_LOST = ((re.compile("\ufffd"), "lost (`\ufffd`)"), (re.compile("Ã[¡-¿Ÿ]"), "UTF-8 that was read as Windows-1252 (`Ã¼` for `ü`)"))
_ASKED = ("cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "cp932", "cp949", "big5", "gb18030", "euc_jp", "mac_roman", "cp850")


class Unreadable(Exception):
    """Why a file is not a table, and what to do; the place is the line."""

    def __init__(self, message: str, help: str, line: int = 1, code: str = "R601") -> None:
        super().__init__(message)
        self.message, self.help, self.line, self.code = message, help, line, code

    def diagnostic(self, shown: str) -> Diagnostic:
        return Diagnostic(self.code, f"`{Path(shown).name}`: {self.message}", Span(shown, self.line, 1, 2), self.help)


def decode(raw: bytes, declared: str = "") -> tuple[str, str]:
    """(the text, line ends as they are; how it was read if that is not plain UTF-8). Raises Unreadable."""
    for magic, what, help in _KINDS:
        if raw.startswith(magic):
            raise Unreadable(f"it is {what}", help)
    head = raw[:4096].lstrip(codecs.BOM_UTF8).lstrip()
    if head[:1] == b"<" and re.match(rb"(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body|\?xml)", head, re.I | re.S):
        raise Unreadable("it is a web page (HTML), not a table", "log in and export it again: what was saved is a web page of the CRM")
    text, said = _text(raw, declared)
    zero = text.find("\0")
    if zero >= 0:
        raise Unreadable("it contains zero bytes, so it is not a text file", "export it again as CSV UTF-8", text.count("\n", 0, zero) + 1)
    return text, said


def _text(raw: bytes, declared: str) -> tuple[str, str]:
    for mark, name in _MARKS:
        if raw.startswith(mark):
            said = "" if name == "utf-8" else name.upper()
            return _decoded(raw, "utf-8-sig" if name == "utf-8" else name), said
    if declared:
        return _decoded(raw, declared), declared
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as e:
        return _legacy(raw, e)
    if "\0" in text[:4096]:
        wide = _wide(raw)
        if wide:
            return _decoded(raw, wide), wide.upper()
    return text, ""


def lost_letters(text: str) -> list[str]:
    """What an earlier export has done to the letters of a text: they are `�`, or UTF-8 that was read as Windows-1252 and saved again."""
    if text.isascii():
        return []
    said = []
    for shape, what in _LOST:
        found = shape.search(text)
        if found:
            line, count = text.count("\n", 0, found.start()) + 1, len(shape.findall(text))
            said.append(
                f"{counted(count, 'letter')} {'is' if count == 1 else 'are'} {what}, first in line {line}: export it again as CSV UTF-8"
            )
    return said


def _wide(raw: bytes) -> str:
    """UTF-16 without a mark: every other byte of Latin text is zero."""
    head = raw[:4096]
    even, odd = head[0::2].count(0), head[1::2].count(0)
    most = 0.4 * len(head) / 2
    return "utf-16-le" if odd > most and even < most / 4 else "utf-16-be" if even > most and odd < most / 4 else ""


def _decoded(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as e:
        line = raw.count(b"\n", 0, e.start) + 1
        cut = e.end >= len(raw)
        message = "it ends in the middle of a character" if cut else f"it is not {encoding} in line {line}"
        raise Unreadable(message, "download it again: it was cut off" if cut else "save it as CSV UTF-8", line) from e
    except LookupError as e:
        raise Unreadable(f"there is no encoding `{encoding}`", "write `encoding: utf-8`, `cp1252`, `latin-1`, `utf-16`, …") from e


def _legacy(raw: bytes, e: UnicodeDecodeError) -> tuple[str, str]:
    """Text in an encoding of before Unicode."""
    if e.end >= len(raw) and e.start >= len(raw) - 3 and any(b >= 0x80 for b in raw[: e.start]):
        raise Unreadable("it ends in the middle of a character", "download it again: it was cut off", raw.count(b"\n") + 1)
    wide = _wide(raw)
    if wide:
        return _decoded(raw, wide), wide.upper()
    if len(list(_broken(raw))) * 8 < sum(b >= 0xC2 for b in raw):  # UTF-8, but for a few bytes: not text of another encoding
        line = raw.count(b"\n", 0, e.start) + 1
        raise Unreadable(f"line {line} is not UTF-8, though the rest is", "export it again as CSV UTF-8: it is damaged", line)
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:
        text = ""
    if text and not re.search(_ODD, text):
        return text, "Windows-1252"
    from charset_normalizer import from_bytes

    guesses = from_bytes(raw[: 1 << 20], cp_isolation=list(_ASKED))
    names = [g.encoding for g in guesses]
    for name in [*(n for n in names if not re.search(_ODD, raw[: 1 << 20].decode(n, "replace"))), *names]:
        try:
            return raw.decode(name), name
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1"), "Latin-1"


def _broken(raw: bytes) -> list[int]:
    """Where UTF-8 is broken, up to a thousand places."""
    places: list[int] = []
    at = 0
    while at < len(raw) and len(places) < 1000:
        try:
            raw[at : at + (1 << 20)].decode("utf-8")
            at += 1 << 20
        except UnicodeDecodeError as e:
            if e.start + at + 4 < len(raw) and e.start >= (1 << 20) - 4:  # cut by the block
                at += e.start
                continue
            places.append(at + e.start)
            at += e.end
    return places
