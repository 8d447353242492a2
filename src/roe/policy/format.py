"""`roe fmt`: the canonical spelling of a policy file, by edits of its source text.

YAML is never dumped: comments, key order, quoting and layout stay. Only the scalars that the schema says are expressions
are rewritten, each in its own quotes, and white space at line ends goes. As a safety check the result is read again: its
structure must be the same, and every expression must parse to the same tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from roe.dynamic import Json, JsonObject
from roe.files import schema
from roe.grammar import syntax as s
from roe.grammar.parser import parse
from roe.grammar.printer import show
from roe.policy.loader import Map, parse_yaml
from roe.policy.shapes import items, member, shapes
from roe.source import Scalar, Text

_COMMENT = re.compile(r'"(?:[^"\\]|\\.)*"|(//|/\*)')


def format_policy(source: str, shown: str) -> str:
    """The text in canonical spelling; unchanged where it is not valid YAML, or where anything would be lost."""
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    before, problems = parse_yaml(source, shown, schema("policy"))
    if problems:
        return source
    edits = sorted(_edits(before), key=lambda e: e[0], reverse=True)
    text = source
    for start, end, new in edits:
        text = text[:start] + new + text[end:]
    text = _trim(text, before)
    after, problems = parse_yaml(text, shown, schema("policy"))
    return text if not problems and same(before, after, schema("policy")) else source


def format_expression(text: str) -> str:
    """An expression in canonical spelling; unchanged if it does not parse or has a comment."""
    tree, _ = parse(text)
    commented = any(m[1] for m in _COMMENT.finditer(text))
    return text if tree is None or commented else show(tree)


def _trim(text: str, content: object) -> str:
    """No white space at line ends, one line end at the end; block scalars hold their own lines, and stay."""
    if any(isinstance(t.origin, Scalar) and t.origin.style for t, _ in scalars(content, schema("policy")) if "\n" in t):
        return text
    return "\n".join(line.rstrip() for line in text.rstrip().split("\n")) + "\n"


def _edits(content: object) -> Iterator[tuple[int, int, str]]:
    for text, is_expression in scalars(content, schema("policy")):
        origin = text.origin
        if (
            not is_expression
            or not isinstance(origin, Scalar)
            or origin.style in ("|", ">")
            or "\n" in origin.source[origin.start : origin.end]
        ):
            continue
        new = format_expression(str(text))
        if new != text:
            yield origin.start, origin.end, _quoted(new, origin.style)


def _quoted(text: str, style: str) -> str:
    if style == '"' or ("\\" in text and style == '"'):
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if style == "'" or not _plain(text):
        return "'" + text.replace("'", "''") + "'"
    return text


def _plain(text: str) -> bool:
    """Whether a text can stand without quotes, in flow style too."""
    return not re.search(r"[\[\]{},]|: |:$| #|^[-?:!&*#|>@`%\"'=]", text)


def scalars(value: object, of: JsonObject, root: JsonObject | None = None) -> Iterator[tuple[Text, bool]]:
    """Every text of a file, and whether the schema says that it is an expression."""
    root = root or of
    if isinstance(value, Text):
        yield value, _is_expression(of, root)
    elif isinstance(value, Map):
        for key, inner in value.items():
            yield from scalars(inner, member(shapes(of, root), str(key)), root)
    elif isinstance(value, list):
        for item in value:
            yield from scalars(item, items(shapes(of, root)), root)


def _is_expression(of: Json, root: Json) -> bool:
    if not isinstance(of, dict):
        return False
    if str(of.get("$ref", "")).endswith("/expression"):
        return True
    return any(_is_expression(other, root) for other in of.get("anyOf", ()))


def same(a: object, b: object, of: JsonObject, root: JsonObject | None = None) -> bool:
    """Whether two files say the same: equal, but for the spelling of expressions."""
    root = root or of
    if isinstance(a, Map) and isinstance(b, Map):
        return list(a) == list(b) and all(same(a[k], b[k], member(shapes(of, root), str(k)), root) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y, items(shapes(of, root)), root) for x, y in zip(a, b, strict=True))
    if isinstance(a, Text) and isinstance(b, Text) and a != b:
        one: s.Node | None = parse(a)[0] if _is_expression(of, root) else None
        return one is not None and one == parse(b)[0]
    return bool(a == b)
