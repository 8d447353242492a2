"""Cells of a table as people write them, read by the type of their column: words, postal codes, bands and days.

What is in a cell are FEEL's unary tests. On top of that, a text column takes bare words (`US, CA`) and codes (`94*`, `90001-93999`); a
column of numbers takes bands (`1-499`, `1..499`, `500+`), and a column of dates takes days (`< 2026-01-01`) and bands of them;
a column of moments takes days for the whole day.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from datetime import date

from roe.crm.ids import fold
from roe.diagnostics import Diagnostic
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.days import day_text
from roe.grammar.names import Names
from roe.grammar.parser import UNSPECIFIC, parse
from roe.grammar.types import DATE, Type
from roe.source import Text, span_of

_PLAIN = re.compile(r"\d+|[^\W\d]\w*([.-]\w+)*")  # a ZIP code, a name, a domain: no need to try it as an expression
_PARTS = re.compile(r"[.-]")
_RESERVED = frozenset({"true", "false", "null", "not"})
_WORDS = re.compile(r"[^\s,][^,]*")  # what stands between commas
_NOT = re.compile(r"\s*not\s*\((.*)\)\s*", re.DOTALL)
_IS_TEST = re.compile(r'\s*(?:"|[<>=]|!=)')
_MEMBER = re.compile(r"\s*(?:not\s+)?in\s+(\w+)\s*")


def read_cell(cell: Text, names: Names, kind_of_column: Type) -> tuple[s.Tests | None, list[Diagnostic]]:
    """The tests of a cell that is not empty, in a column of this type; none after a diagnostic."""
    if kind_of_column.name in ("string", "any"):
        return _text_cell(cell, names)
    if kind_of_column.name == "date and time":
        days, problems = read_cell(cell, names, DATE)
        return (_by_day(days) if days is not None else None), problems
    if kind_of_column.name == "date":  # before the grammar, to which a band of days is one long subtraction
        otherwise = _SPELT_OTHERWISE.search(cell)
        if otherwise:
            return None, [
                Diagnostic(
                    "R207", f"`{otherwise[0]}` is not a day", span_of(cell, *otherwise.span()), "write the year first, such as 2026-01-31"
                )
            ]
        days, problems = _bands(cell, _DAYS, [])
        if days is not None or problems:
            return days, problems
    tree, problems = parse(cell, "tests")
    if kind_of_column.name in ("number", "date"):
        kind = _NUMBERS if kind_of_column.name == "number" else _DAYS
        if tree is None:
            tree, problems = _bands(cell, kind, problems)
        if tree is not None:
            assert isinstance(tree, s.Tests)
            unknown = next((x for x in tree.tests if isinstance(x, s.Name) and x.id not in names.variables), None)
            if unknown is not None:
                return None, [Diagnostic("R201", f"unknown name `{unknown.id}`", span_of(cell, *unknown.at), kind.written)]
            return kind.settle(tree, cell)
    assert tree is None or isinstance(tree, s.Tests)
    return tree, problems


# --- texts ----------------------------------------------------------------------------------------------------------


def _text_cell(cell: Text, names: Names) -> tuple[s.Tests | None, list[Diagnostic]]:
    text = cell.strip()
    plain = _PLAIN.fullmatch(text) is not None and not any(p in _RESERVED or p in names.variables for p in _PARTS.split(text))
    try:
        codes = _codes(cell)
    except ValueError as e:
        help = "the first comes before the last, and both have as many digits"
        return None, [Diagnostic("R207", f"`{e}` is not a range of codes", span_of(cell), help)]
    if codes is not None:
        return codes, []
    if not plain and (otherwise := _meant_otherwise(cell, names)) is not None:
        return None, [otherwise]
    tree, problems = (None, []) if plain else parse(cell, "tests")
    if tree is not None and not _is_words(tree, names):
        assert isinstance(tree, s.Tests)
        return tree, problems
    problems = _no_words(cell, names, problems)
    if problems:
        return None, problems
    negated = _NOT.fullmatch(cell)
    start, end = negated.span(1) if negated else (0, len(cell))
    words = tuple(s.Literal(fold(m[0].strip()), m[0], m.span()) for m in _WORDS.finditer(cell, start, end) if m[0].strip())
    return s.Tests(words, negated is not None, (0, len(cell))), []


# What people write into a cell of a text column, and how it is spelt: as it stands it would be a text that no record has. The cell has single
# spaces by then, and parts that follow each other share no sign, so a search takes time in proportion to the cell.
_WORD = r"[^\W\d][\w.-]*"
_NOT_EXCLUDED, _STAR = "this is not how a cell says what it excludes", "`*` stands behind letters and digits alone"
_OTHERWISE: tuple[tuple[str, str, str], ...] = (
    (r"(?:not (?!in )(?!\()|(?:Not|NOT) ?\()(?P<a>[^()\"]+)\)?", _NOT_EXCLUDED, "write `not({a})`"),
    (rf"(?:!=|<>|!) ?(?P<a>{_WORD}(?: ?, ?{_WORD})*)", _NOT_EXCLUDED, "write `not({a})`"),
    (rf"(?P<a>{_WORD}(?: (?:or|OR|Or) {_WORD})+)", "a comma separates values, and `or` does not", "write `{a}`"),
    (r"\*", "`*` alone would be that very text", "leave the cell empty: it then matches everything"),
    (r"\*(?P<a>[^*,\"()]+)\*", _STAR, 'write `contains(?, "{a}")`'),
    (r"\*(?P<a>[^*,\"()]+)", _STAR, 'write `ends_with(?, "{a}")`'),
    (r"(?P<a>[^*,\"()]+)\*", _STAR, 'write `starts_with(?, "{a}")`'),
    (
        r"(?P<a>[^,;|\n\"()]+(?:[;|\n][^,;|\n\"()]+)+)",
        "a comma separates values, and nothing else does",
        "write `{a}`, or quotes around it if it is one text",
    ),
)


def _meant_otherwise(cell: Text, names: Names) -> Diagnostic | None:
    """What to write where a cell would be read as a text that nobody means, or as an expression that nobody wrote."""
    text = re.sub(r"[^\S\n]+", " ", cell.strip())
    for pattern, message, help in _OTHERWISE:
        m = re.fullmatch(pattern, text)
        if m and (words := m.groupdict().get("a", "").strip()) not in names.variables:
            values = ", ".join(value.strip() for value in re.split(r"[;|\n]| (?i:or) ", words))
            return Diagnostic("R207", message, span_of(cell), help.format(a=values))
    return None


def _no_words(cell: Text, names: Names, problems: list[Diagnostic]) -> list[Diagnostic]:
    """What is wrong with a cell that nobody means as bare words: a quote that is not closed, a comparison, a list that is spelt otherwise."""
    if problems and _IS_TEST.match(cell):
        return problems
    member = _MEMBER.fullmatch(cell)
    near = (
        difflib.get_close_matches(member[1], [x for x, type_of in names.variables.items() if type_of.name == "list"], 1) if member else []
    )
    if member and near:
        return [Diagnostic("R201", f"unknown list `{member[1]}`", span_of(cell, *member.span(1)), f"did you mean `{near[0]}`?")]
    return []


_CODE = re.compile(
    r"(?P<prefix>[^\W_]+)\*|(?P<low>\d{3,})\s*\.\.\s*(?P<high>\d{3,})|(?P<first>\d{5})\s*-\s*(?P<last>\d{5})|(?P<word>[^\W_]+([ -][^\W_]+)*)"
)


def _codes(cell: Text) -> s.Tests | None:
    """Postal codes as people write them: `94*`, `90001..93999` or `90001-93999`, and codes among them; ValueError with a bad range.

    What begins with 94 lies between "94" and "95" in the order of texts, and a range ends before what follows its last code.
    """
    codes = [(m, _CODE.fullmatch(m[0].strip())) for m in _WORDS.finditer(cell)]
    if not any(code and not code["word"] for _, code in codes) or not all(code for _, code in codes):
        return None
    tests: list[s.Node] = []
    for m, code in codes:
        assert code is not None
        at, text = m.span(), m[0].strip()
        if code["word"]:
            tests.append(s.Literal(fold(text), text, at))
            continue
        low, high = code["prefix"] or code["low"] or code["first"], code["prefix"] or code["high"] or code["last"]
        if len(low) != len(high) or low > high:
            raise ValueError(text)
        tests.append(s.RangeOf(s.Literal(low, low, at), s.Literal(_after(high), _after(high), at), True, False, at=at))
    return s.Tests(tuple(tests), False, (0, len(cell)))


def _after(code: str) -> str:
    """The first text that neither is the code nor begins with it."""
    higher = str(int(code) + 1).zfill(len(code)) if code.isdecimal() and code.isascii() else ""
    return higher if len(higher) == len(code) else code[:-1] + chr(ord(code[-1]) + 1)


def _is_words(tree: s.Node, names: Names) -> bool:
    """Whether a cell is bare words, `US`, `US, CA`, `01234` or `not(US)`, which spreadsheet users mean as texts."""
    if not isinstance(tree, s.Tests):
        return False

    def word(test: s.Node) -> bool:
        if isinstance(test, s.Literal):
            return v.is_number(test.value)
        if isinstance(test, s.Path):  # `acme.com`, unless acme is a name
            return word(test.base)
        if isinstance(test, s.Binary):  # `Mid-Market` is a word too, unless Mid and Market are names
            return word(test.left) and word(test.right) and any(isinstance(n, s.Name) for n in s.walk(test))
        return isinstance(test, s.Name) and test.id != "?" and test.id not in names.variables

    return all(map(word, tree.tests))


# --- numbers and days -----------------------------------------------------------------------------------------------


class _Misread(Exception):
    """A cell that would mean something else than people think."""

    def __init__(self, node: s.Node, message: str, help: str) -> None:
        super().__init__(message)
        self.node, self.message, self.help = node, message, help


class _Bands:
    """How values of a type stand in cells."""

    value = ""  # a value, as a regular expression
    written = ""  # how cells are written
    between = r"\s*(?:\.\.|[-\u2013\u2014]|\bto\b)\s*"

    def __init__(self) -> None:
        self.item = re.compile(
            rf"(?P<low>{self.value}){self.between}(?P<high>{self.value})|(?P<least>{self.value})\s*\+"
            rf"|(?P<op>[<>]=?|=)\s*(?P<bound>{self.value})|(?P<only>{self.value})"
        )

    def literal(self, text: str, at: s.Place) -> s.Literal:
        raise NotImplementedError

    def settle(self, tree: s.Node, cell: Text) -> tuple[s.Tests | None, list[Diagnostic]]:
        """The tests with what the type makes of them: a subtraction of constants is a band."""
        try:
            tree = self.read(tree, cell)
            assert isinstance(tree, s.Tests)
            return replace(tree, tests=tuple(self.test(test, cell) for test in tree.tests)), []
        except _Misread as e:
            return None, [Diagnostic("R207", e.message, span_of(cell, *e.node.at), e.help)]

    def read(self, tree: s.Node, cell: Text) -> s.Node:
        return tree

    def test(self, test: s.Node, cell: Text) -> s.Node:
        if isinstance(test, s.Not):
            return replace(test, operands=tuple(self.test(operand, cell) for operand in test.operands))
        if not (isinstance(test, s.Binary) and test.op == "-"):
            return test
        if isinstance(test.left, s.Literal) and isinstance(test.right, s.Literal):
            return self.band(test.left, test.right, test.at)
        if not any(isinstance(n, (s.Name, s.Call)) for n in s.walk(test)) and day_text(test, cell) is None:
            raise _Misread(test, "this is a subtraction, and nothing that a cell says", "write a value, or a band such as `1-499`")
        return test

    def band(self, low: s.Literal, high: s.Literal, at: s.Place) -> s.Node:
        if v.less(high.value, low.value) is not False:
            raise _Misread(s.RangeOf(low, high, True, True, at), "the band ends before it begins", "write the lesser value first")
        return s.RangeOf(low, high, True, True, at)


class _Numbers(_Bands):
    value = r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,2})?"
    written = "write, for example, `500`, `>= 500`, `1-499`, `500+` or `[500..2000)`; an empty cell matches everything"

    @staticmethod
    def in_one_way(text: str, at: s.Place) -> None:
        """`1.500` may be a thousand and more: to whoever writes so, and nobody writes a zero behind a decimal place without need."""
        if re.fullmatch(r"-?[1-9]\d{0,2}(\.\d{3})+", text) and text[-1] == "0":
            whole = text.replace(".", "")
            help = f"write `{whole}`, or `{text.rstrip('0').rstrip('.')}` if that is meant"
            raise _Misread(s.Literal(None, text, at), f"`{text}` can be read in two ways", help)

    def literal(self, text: str, at: s.Place) -> s.Literal:
        self.in_one_way(text, at)
        return s.Literal(v.number(int(text) if text.removeprefix("-").isdecimal() else float(text)), text, at)

    def read(self, tree: s.Node, cell: Text) -> s.Node:
        parts = list(s.walk(tree))
        days = [node.at for node in parts if day_text(node, cell) is not None]  # the check says what is wrong with them
        for node in parts:
            if any(start <= node.at[0] < end for start, end in days):
                continue
            if isinstance(node, s.Literal) and v.is_number(node.value):
                self.in_one_way(node.text, node.at)
            if isinstance(node, s.Literal) and v.is_number(node.value) and re.fullmatch(r"0\d+", node.text):
                raise _Misread(node, f"a comma separates values, and `{node.text}` is one of its own", "write thousands without it: 1000")
        return tree


# 31.1.2026, 1/31/2026, 2026/01/31, and 2026-01 for a month: to the grammar they are a number, two divisions and a subtraction
_SPELT_OTHERWISE = re.compile(
    r"(?<![\w@\".-])(?:\d{1,2}[./]\d{1,2}[./]\d{2,4}|\d{4}[./]\d{1,2}(?:[./]\d{1,2})?|\d{4}-\d{1,2})(?![\w-])", re.ASCII
)


class _Days(_Bands):
    value = r'(?:@"\d{4}-\d\d-\d\d"|\d{4}-\d\d-\d\d)'
    written = "write, for example, `2026-01-31`, `>= 2026-01-31` or `2026-01-01..2026-03-31`; an empty cell matches everything"

    def literal(self, text: str, at: s.Place) -> s.Literal:
        spelt = text.removeprefix('@"').removesuffix('"')
        day = v.parse_date(spelt)
        if day is None:
            raise _Misread(s.Literal(None, text, at), f"`{spelt}` is not a day", "write one that the calendar has, such as 2026-01-31")
        return s.Literal(day, f'@"{spelt}"', at)

    def read(self, tree: s.Node, cell: Text) -> s.Node:
        spelt = day_text(tree, cell)
        if spelt is not None:
            return self.literal(spelt, tree.at)
        return s.mapped(tree, lambda node: self.read(node, cell))


_NUMBERS, _DAYS = _Numbers(), _Days()


def _by_day(tests: s.Tests) -> s.Tests:
    """The tests of a moment: those that name days are about its day, and others as they are."""
    return replace(tests, tests=tuple(map(_of_day, tests.tests)))


def _of_day(test: s.Node) -> s.Node:
    if isinstance(test, s.Not):
        return replace(test, operands=tuple(map(_of_day, test.operands)))
    values = [n.value for n in s.walk(test) if isinstance(n, s.Literal)]
    if not values or any(type(value) is not date for value in values):
        return test
    day = s.Call("date", (s.Name("?", test.at),), ("",), test.at)
    if isinstance(test, s.Literal):
        return s.Compare("=", day, test, test.at)
    if isinstance(test, s.Unary):
        return s.Compare(test.op, day, test.operand, test.at)
    return s.In(day, (test,), at=test.at) if isinstance(test, s.RangeOf) else test


def _bands(cell: Text, kind: _Bands, problems: list[Diagnostic]) -> tuple[s.Tests | None, list[Diagnostic]]:
    """A cell that the grammar does not know, as bands among values: `1..499`, `500+`; the grammar's complaint if it is not that either."""
    tests: list[s.Node] = []
    for m in _WORDS.finditer(cell):
        item, at = kind.item.fullmatch(m[0].strip()), m.span()
        if item is None:
            return None, [replace(d, help=kind.written) if d.code == "R101" and d.help.startswith(UNSPECIFIC) else d for d in problems]
        try:
            if item["low"]:
                tests.append(kind.band(kind.literal(item["low"], at), kind.literal(item["high"], at), at))
            elif item["only"]:
                tests.append(kind.literal(item["only"], at))
            else:
                tests.append(s.Unary(item["op"] or ">=", kind.literal(item["bound"] or item["least"], at), at))
        except _Misread as e:
            return None, [Diagnostic("R207", e.message, span_of(cell, *e.node.at), e.help)]
    return s.Tests(tuple(tests), False, (0, len(cell))), []
