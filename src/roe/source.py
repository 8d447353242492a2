"""Where a piece of text came from, to the column.

Every scalar of a policy and every cell of a table is a `Text`: a plain `str` that remembers its *origin*. An expression
is parsed from a `Text`, its syntax nodes carry offsets into it, and only when somebody needs to see a place (an error,
a trace) does the origin turn an offset into a `Span` of file, line and column. So the common case, nothing wrong and
nobody asking, costs one attribute.
"""

from __future__ import annotations

from typing import Protocol

from roe.node import node


@node
class Span:
    """A place in a file: 1-based lines and columns, `end_column` exclusive; `excerpt` is the whole first line."""

    file: str
    line: int
    column: int
    end_column: int
    excerpt: str = ""
    cell: str = ""  # a spreadsheet's own name for the place, such as `Sheet1!B12`

    def __str__(self) -> str:
        return f"{self.file}:{self.cell}" if self.cell else f"{self.file}:{self.line}:{self.column}"


class Origin(Protocol):
    """Something that can turn offsets of a text into a place in a file."""

    def locate(self, text: str, start: int, end: int) -> Span: ...


class Text(str):
    """A string with an origin. It compares, hashes and behaves as the plain string."""

    __slots__ = ("origin",)
    origin: Origin

    def __new__(cls, value: str, origin: Origin) -> Text:
        text = super().__new__(cls, value)
        text.origin = origin
        return text

    def span(self, start: int = 0, end: int | None = None) -> Span:
        return self.origin.locate(self, start, len(self) if end is None else end)


@node
class Inline:
    """The origin of a text that stands in no file, such as a command-line argument."""

    name: str = "<expression>"

    def locate(self, text: str, start: int, end: int) -> Span:
        line, column, excerpt = _line_at(text, start)
        return Span(self.name, line, column, max(column + 1, column + end - start), excerpt)


@node
class Cell:
    """The origin of a table cell: its line, and its number there counted from 0; `name` is a spreadsheet's own."""

    file: str
    line: int
    index: int
    excerpt: str = ""
    delimiter: str = ","
    name: str = ""

    def locate(self, text: str, start: int, end: int) -> Span:
        if self.name:
            return Span(self.file, self.line, start + 1, max(end, start + 1) + 1, str(text), self.name)
        at = self._offset() + start
        return Span(self.file, self.line, at + 1, at + 1 + max(1, end - start), self.excerpt)

    def _offset(self) -> int:
        """Where the cell's text begins in its line: delimiters inside quotes do not count."""
        seen, quoted = 0, False
        for i, char in enumerate(self.excerpt):
            if seen == self.index:
                return i + 1 if char == '"' else i
            if char == '"':
                quoted = not quoted
            elif char == self.delimiter and not quoted:
                seen += 1
        return len(self.excerpt)


@node(eq=False)
class Scalar:
    """The origin of a YAML scalar: the file's text, and where in it the scalar's raw form starts and ends."""

    file: str
    source: str
    start: int
    end: int
    style: str = ""  # '' plain, "'" and '"' quoted, '|' and '>' block

    def locate(self, text: str, start: int, end: int) -> Span:
        places = self._places(text)
        first = places[min(start, len(places) - 1)]
        last = places[min(max(start, end - 1), len(places) - 1)]
        line, column, excerpt = _line_at(self.source, first)
        width = last - first + 1 if "\n" not in self.source[first:last] else len(excerpt) - column + 1
        return Span(self.file, line, column, column + max(1, width), excerpt)

    def _places(self, text: str) -> list[int]:
        """The offset in the file of each character of the value: quotes, escapes and folded lines undone."""
        raw, i = self.source, self.start
        if self.style in ("'", '"'):
            i += 1
        elif self.style in ("|", ">"):
            i = raw.find("\n", i) + 1
        places: list[int] = []
        for char in text:
            while i < self.end and raw[i] != char:
                if self.style == '"' and raw[i] == "\\" and raw[i + 1 : i + 2] != "\n":
                    break
                if raw[i] == "\n" and char == " ":
                    break
                i += 1
            places.append(min(i, self.end))
            if i >= self.end:
                continue
            if self.style == '"' and raw[i] == "\\":
                i += {"x": 4, "u": 6, "U": 10}.get(raw[i + 1 : i + 2], 2)
            elif self.style == "'" and raw.startswith("''", i):
                i += 2
            else:
                i += 1
        return places or [self.start]


def _line_at(source: str, offset: int) -> tuple[int, int, str]:
    start = source.rfind("\n", 0, offset) + 1
    end = source.find("\n", offset)
    excerpt = source[start : len(source) if end < 0 else end].rstrip("\r")
    return source.count("\n", 0, offset) + 1, offset - start + 1, excerpt


def span_of(value: object, start: int = 0, end: int | None = None) -> Span:
    """The place of anything that may have one; text typed by nobody is its own place."""
    if isinstance(value, Text):
        return value.span(start, end)
    text = str(value)
    return Inline().locate(text, start, len(text) if end is None else end)


class SameOrigin:
    """The origin of a text that a stage wrote: the place of another text."""

    def __init__(self, text: Text) -> None:
        self.text = text

    def locate(self, text: str, start: int, end: int) -> Span:
        return self.text.span()


class Added(SameOrigin):
    """The origin of a condition that a stage adds to what somebody wrote, such as that the time of a rule is not over."""


class Part:
    """The origin of a text that is a part of another text."""

    def __init__(self, text: Text, start: int, end: int) -> None:
        self.text, self.start, self.end = text, start, end

    def locate(self, text: str, start: int, end: int) -> Span:
        return self.text.span(self.start + start, self.start + end)


def part_of(text: Text, start: int, end: int) -> Text:
    """A piece of a text that knows its place."""
    return Text(text[start:end], Part(text, start, end))
