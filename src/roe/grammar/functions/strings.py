"""FEEL's functions of strings (DMN 1.5, section 10.3.4.3). Regular expressions are RE2's, which run in linear time."""

from __future__ import annotations

import re
from functools import lru_cache

from roe.dynamic import Value
from roe.grammar.registry import function


@function(
    "substring",
    "string: string, start_position: number, length: number?",
    "string",
    'substring("territory", 1, 4)',
    '"terr"',
    "part of a text; positions count from 1, negative ones from the end",
)
def _substring(text: str, start: float, length: float | None = None) -> str | None:
    at = int(start)
    if at == 0 or abs(at) > len(text) or (length is not None and length < 1):
        return None
    at = at - 1 if at > 0 else len(text) + at
    return text[at : len(text) if length is None else at + int(length)]


@function("string_length", "string: string", "number", 'string_length("ACME")', "4", "the number of characters", sql="LENGTH(string)")
def _string_length(text: str) -> int:
    return len(text)


@function("upper_case", "string: string", "string", 'upper_case("acme")', '"ACME"', "the text in capitals")
def _upper(text: str) -> str:
    return text.upper()


@function("lower_case", "string: string", "string", 'lower_case("ACME")', '"acme"', "the text in small letters")
def _lower(text: str) -> str:
    return text.lower()


@function(
    "substring_before",
    "string: string, match: string",
    "string",
    'substring_before("Austin, Texas", ", ")',
    '"Austin"',
    "what stands before the first match; empty if there is none",
)
def _before_text(text: str, match: str) -> str:
    return text.partition(match)[0] if match and match in text else ""


@function(
    "substring_after",
    "string: string, match: string",
    "string",
    'substring_after("Austin, Texas", ", ")',
    '"Texas"',
    "what stands after the first match; empty if there is none",
)
def _after_text(text: str, match: str) -> str:
    return text.partition(match)[2] if match else text


@function(
    "contains",
    "string: string, match: string",
    "boolean",
    'contains("VP of Sales", "Sales")',
    "true",
    "whether the text has the match in it",
    sql="STRPOS(string, match) > 0 OR (match = '' AND NOT string IS NULL)",  # to some warehouses an empty text is nowhere in a text
)
def _contains(text: str, match: str) -> bool:
    return match in text


@function(
    "starts_with",
    "string: string, match: string",
    "boolean",
    'starts_with("94105", "941")',
    "true",
    "whether the text begins with the match",
    sql="SUBSTRING(string, 1, LENGTH(match)) = match",
)
def _starts_with(text: str, match: str) -> bool:
    return text.startswith(match)


@function(
    "ends_with",
    "string: string, match: string",
    "boolean",
    'ends_with("acme.de", ".de")',
    "true",
    "whether the text ends with the match",
    sql="SUBSTRING(string, LENGTH(string) - LENGTH(match) + 1) = match",
)
def _ends_with(text: str, match: str) -> bool:
    return text.endswith(match)


# a dot that is not escaped and not in a character class: by XPath, whose expressions FEEL's are, it matches neither \n nor \r
_DOT = re.compile(r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?[a-z]*s[a-z]*\).*)|\.", re.S)


@lru_cache(maxsize=2_000)
def regex(pattern: str, flags: str = "") -> Value:
    """An RE2 pattern, which runs in linear time; None if it is none (a back-reference, a look-ahead, a syntax error)."""
    import re2

    if set(flags) - set("smix"):
        return None
    if "x" in flags:  # XPath's x flag: white space outside of a character class does not count
        pattern = re.sub(r"(\[(?:\\.|[^\]\\])*\])|\s+", lambda m: m[1] or "", pattern)
    if "s" not in flags:
        pattern = _DOT.sub(lambda m: m[1] or r"[^\n\r]", pattern)
    prefix = "".join(f for f in "smi" if f in flags)
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 8 << 20
    try:
        return re2.compile(f"(?{prefix}){pattern}" if prefix else pattern, options)
    except re2.error:
        return None


@function(
    "matches",
    "input: string, pattern: string, flags: string|null?",
    "boolean",
    'matches("CA-94105", "^[A-Z]{2}-\\\\d{5}$")',
    "true",
    "whether a regular expression (RE2, linear time) is found in the text; flags s, m, i, x",
    cost=10,
)
def _matches(text: str, pattern: str, flags: str | None = None) -> bool | None:
    compiled = regex(pattern, flags or "")
    return None if compiled is None else compiled.search(text) is not None


@function(
    "replace",
    "input: string, pattern: string, replacement: string, flags: string|null?",
    "string",
    'replace("(415) 555-0100", "[^0-9]", "")',
    '"4155550100"',
    "every match of a regular expression replaced; `$1` is the first group",
    cost=10,
)
def _replace(text: str, pattern: str, replacement: str, flags: str | None = None) -> str | None:
    compiled = regex(pattern, flags or "")
    if compiled is None or compiled.search("") is not None:
        return None
    pieces = re.split(r"(\$\d|\\[\\$])", replacement)
    if any(re.search(r"[\\$]", p) for p in pieces[::2]):
        return None
    groups = compiled.groups

    def expanded(m: re.Match[str]) -> str:
        return "".join(_expanded(piece, m, groups) for piece in pieces)

    replaced: str = compiled.sub(expanded, text)
    return replaced


def _expanded(piece: str, m: re.Match[str], groups: int) -> str:
    """A piece of a replacement: `$1` is the first group, empty if there is no such group, `\\$` a dollar, anything else itself."""
    if piece[:1] == "$":
        return (m.group(int(piece[1])) or "") if int(piece[1]) <= groups else ""
    return piece[1] if piece[:1] == "\\" else piece


@function(
    "split",
    "string: string, delimiter: string",
    "list",
    'split("a;b;c", ";")',
    '["a", "b", "c"]',
    "the parts of a text between matches of a regular expression",
    cost=10,
)
def _split(text: str, delimiter: str) -> list[str] | None:
    compiled = regex(delimiter)
    if compiled is None or compiled.search("") is not None:
        return None
    parts, at = [], 0
    for m in compiled.finditer(text):
        parts.append(text[at : m.start()])
        at = m.end()
    return [*parts, text[at:]]


@function(
    "string_join",
    "list: list, delimiter: string|null?",
    "string",
    'string_join(["AE", "SDR"], " and ")',
    '"AE and SDR"',
    "texts joined; null ones are left out",
)
def _string_join(items: list[Value], delimiter: str | None = None) -> str | None:
    texts = [i for i in items if i is not None]
    return (delimiter or "").join(texts) if all(isinstance(t, str) for t in texts) else None
