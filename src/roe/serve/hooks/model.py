"""What a webhook becomes once its sender is known: messages, each with an id, the moment that the source gives, and a record."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from roe.dynamic import Record
from roe.serve.problems import Refused, unreadable


@dataclass(frozen=True, slots=True)
class Message:
    """One change of one record. `id` is the same whenever the source sends it again; `version` orders changes of a record.

    `kind` is `put` (the whole record), `patch` (some fields), `delete`, or `route` (a new record that needs an owner).
    """

    id: str
    kind: str
    entity: str
    record: str
    version: str
    values: Record = field(default_factory=dict)


def forged(detail: str, help: str) -> Refused:
    return Refused(401, "R909", detail, help)


def same(expected: str, given: str) -> bool:
    """Whether two signatures are one, in a time that says nothing about where they differ."""
    return hmac.compare_digest(expected.encode(), given.encode())


def text_of(value: object, what: str) -> str:
    """A text or a whole number of a message, as text."""
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        raise unreadable(f"`{what}` must be a text or a whole number", "send the webhook as its documentation has it", 422)
    return str(value)
