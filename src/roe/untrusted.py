"""Texts from outside, made safe to show.

A name in a CRM is often what a stranger typed into a web form. On a terminal it may hold commands that move the cursor or turn text
around, in a comment it may be an image, a link or a mention, in a CI log a command to the service, in a spreadsheet a formula. Each
place where roe shows data has its function here, and shows such a text as what it is.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

# C0 but tab and line feed, DEL, C1; characters that reorder text; invisible ones; line separators; language tags.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SUSPECT = re.compile(_HIDDEN.pattern + r"|^[^\S\n]*::|##\[", re.MULTILINE)
_COMMAND = re.compile(r"^([^\S\n]*):(?=:)", re.MULTILINE)


def visible(text: str) -> str:
    """Characters that no reader sees, as the escapes of JSON: `\\u202e`. JSON that has them in its strings means the same as before."""
    return _HIDDEN.sub(_escape, text) if _HIDDEN.search(text) else text


def _escape(m: re.Match[str]) -> str:
    raw = m[0].encode("utf-16-be")
    return "".join(f"\\u{raw[i]:02x}{raw[i + 1]:02x}" for i in range(0, len(raw), 2))


def log(text: str, at_line_start: bool = True) -> str:
    """A text for standard output or error: hidden characters are visible, and no line can be a command to a CI service.

    GitHub takes `::error::` at the start of a line, and `##[error]` anywhere, as commands. Their first characters are escaped.
    """
    if not _SUSPECT.search(text):
        return text
    first, rest = ("", text) if at_line_start else _split_line(text)
    rest = _COMMAND.sub(r"\1\\u003a", visible(rest))
    return (visible(first) + rest).replace("##[", "\\u0023#[")


def _split_line(text: str) -> tuple[str, str]:
    end = text.find("\n") + 1
    return (text[:end], text[end:]) if end else (text, "")


_mark = ""


def mark() -> str:
    return _mark


@contextmanager
def marked() -> Iterator[None]:
    """Colours that are made inside have a mark that no text from outside can know."""
    global _mark
    before, _mark = _mark, os.urandom(8).hex()
    try:
        yield
    finally:
        _mark = before


def style(number: int) -> str:
    """A colour or weight of the terminal, such as 1 for bold, 31 for red, 0 for neither; only `roe.cli.terminal` lets it pass."""
    return f"\x1b{_mark}[{number}m"


def one_line(text: str) -> str:
    """A text in a single line, for a cell of a table or a title."""
    return " ".join(text.split()) if any(c in text for c in "\n\r\t\v\f\u2028\u2029\x85") else text


# --- Markdown ---------------------------------------------------------------------------------------------------------

_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_MARKUP = re.compile(r"[\\\[\]|<>&~$]")
_ENTITY = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "[": "&#91;", "]": "&#93;", "$": "&#36;"}
_BREAK = "&#8203;"  # a space without width: it ends what GitHub would link
_LINKED = re.compile(r"(?<=@)(?=\w)|(?<=#)(?=\d)|(?<=:)(?=//)|(?i:(?<=www)(?=\.))|(?i:(?<=GH)(?=-\d))|(?i:(?<=mailto)(?=:)|(?<=xmpp)(?=:))")
_BLOCK = re.compile(r"^(\s*)([#+\-=*]|\d{1,9}[.)])")


def markdown(text: object) -> str:
    """A text inside a line or table cell of Markdown: no image, link, mention, HTML, second line or new column.

    Code between backticks stays code; stars stay stars, for roe's own sentences have both.
    """
    shown = one_line(visible(str(text)))
    pieces, end = [], 0
    for m in _CODE.finditer(shown):
        pieces += [_plain(shown[end : m.start()]), m[0].replace("|", "\\|")]
        end = m.end()
    return "".join([*pieces, _plain(shown[end:])])


def _plain(text: str) -> str:
    broken = _LINKED.sub("\x00", text)
    return _MARKUP.sub(lambda m: _ENTITY.get(m[0], "\\" + m[0]), broken).replace("\x00", _BREAK)


def literal(text: object) -> str:
    """`markdown` without any marks: stars, underscores and backticks are shown as they are."""
    return _literal(str(text))


@lru_cache(4096)  # names of rules, conditions and places are in every trace of a run
def _literal(text: str) -> str:
    return re.sub(r"[*_`]", r"\\\g<0>", _plain(one_line(visible(text))))


def paragraph(text: object) -> str:
    """`markdown` at the start of a line: no heading, list or rule either."""
    return _BLOCK.sub(r"\1\\\2", markdown(text)) if not str(text).startswith("**") else markdown(text)


def code(text: object) -> str:
    """A text as inline code, whatever is in it."""
    return "`" + one_line(visible(str(text))).replace("`", "'").replace("|", "\\|") + "`"


# --- spreadsheets -----------------------------------------------------------------------------------------------------

_INVISIBLE = " \u00a0\u200b\u200e\u200f\u2060\ufeff\u3000"


def is_formula(text: str) -> bool:
    """Whether a spreadsheet may take a cell for a formula: `=`, `+`, `-`, `@` in any width first, or a tab or line end."""
    if not text or text[0].isalnum():
        return False
    if text[0] in "\t\r\n\x0b\x0c":
        return True
    first = text.lstrip(_INVISIBLE)[:1]
    return unicodedata.normalize("NFKC", first) in ("=", "+", "-", "@", "\t", "\r", "\n")
