"""What JSON from outside may be: in a request, or in a webhook whose sender has signed what somebody typed."""

from __future__ import annotations

import json
from typing import NoReturn

from roe.dynamic import Json, Value
from roe.serve.problems import unreadable

MOST_FIELDS, LONGEST_TEXT = 500, 32_768
OBJECT = 'send one JSON object of fields, such as {"id": "L1", "email": "ada@example.com"}'


def checked(fields: Value) -> Json:
    """The fields of a record, whose values must be texts, numbers, true, false or null."""
    if not isinstance(fields, dict):
        raise unreadable("the body is not a JSON object", OBJECT, 422)
    if len(fields) > MOST_FIELDS:
        raise unreadable(f"the body has more than {MOST_FIELDS} fields", "send the fields that the policy reads", 422)
    by_name: dict[str, str] = {}
    for name in fields:
        other = by_name.setdefault(name.lower(), name)
        if other != name:
            raise unreadable(f"`{other[:80]}` and `{name[:80]}` are the same field", "send each field once", 422)
    for name, value in fields.items():
        if isinstance(value, (dict, list)):
            raise unreadable(f"`{name}` is not a text, a number, true, false or null", OBJECT, 422)
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            raise unreadable(f"`{name}` is longer than {LONGEST_TEXT} characters", "shorten it", 422)
        if name.startswith("$") or not name:
            raise unreadable(f"`{name}` is not the name of a field", OBJECT, 422)
    return fields


def parsed(body: bytes, help: str = OBJECT) -> Value:
    """A body as JSON. NaN and numbers beyond what JSON has are refused, and so are lone surrogates, which nothing can store."""
    try:
        value = json.loads(body, parse_constant=_no_number, object_pairs_hook=_each_once)
        if b"\\u" in body or not body.isascii():  # a lone surrogate can be written in no other way
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as e:
        raise unreadable(f"the body is not JSON: {_why(e)}", help) from None
    if b"\\u0000" in body:
        raise unreadable("a text has the character 0", "leave it out", 422)
    return value


def _why(e: Exception) -> str:
    """What is wrong with a text that is not JSON, and where."""
    if isinstance(e, json.JSONDecodeError):
        return f"{e.msg[:1].lower()}{e.msg[1:]} (line {e.lineno}, column {e.colno})"
    if isinstance(e, UnicodeError):
        return "it is not UTF-8"
    return "it is nested too deeply" if isinstance(e, RecursionError) else str(e).partition(";")[0]


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"`{text}` is not a JSON number")


def _each_once(pairs: list[tuple[str, Value]]) -> Json:
    """An object whose names differ; which of two values is meant nobody can know."""
    named: Json = {}
    for name, value in pairs:
        if name in named:
            raise unreadable(f"`{name[:80]}` is in the body twice", "send each field once", 422)
        named[name] = value
    return named
