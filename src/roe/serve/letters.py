"""Webhooks that go out, as letters: who wants which, and what they say. `outbox` sends them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from roe.dynamic import Saved
from roe.serve.store import Letter
from roe.serve.times import millis

KINDS = {
    "assigned": "a record has a new owner",
    "missed": "an owner has not worked a record in time",
    "referred": "a person must decide",
    "overdue": "a person has not decided in time",
    "held": "nobody is able to take a record",
    "unassigned": "nobody owns a record: the rules give it to nobody, or its owner gave it back",
    "returned": "a late proof has given a record back",
    "proved": "a late proof shows that a record was worked in time, and its new owner keeps it",
}
DIGEST = "digest"  # once a day, to each rep: what the rep has got and lost; only for receivers that ask for it
FORMS = ("json", "slack", "email")


@dataclass(frozen=True, slots=True)
class Receiver:
    """Somebody who is told: an address, secrets to sign with (the newest first), the kinds of letters, and their form."""

    name: str
    url: str
    secrets: tuple[str, ...] = ()
    kinds: tuple[str, ...] = tuple(KINDS)
    form: str = "json"
    private: bool = False  # whether the address may be a private one
    to: str = ""  # the address of an e-mail

    def wants(self, kind: str) -> bool:
        return kind in self.kinds


def letter(number: int, receiver: Receiver, kind: str, at: datetime, about: Saved, more: Saved) -> Letter:
    """A letter about what has become of a record. `about` is the owner as answers show it."""
    said: Saved = {"type": kind, "timestamp": at.isoformat(), "data": {**about, **more}}
    text = subject_of(kind, said["data"])
    body = {
        "json": said,
        "slack": {"text": f"*{text}*\n{about['sentence']}"},
        "email": {"to": receiver.to, "subject": text, "text": f"{about['sentence']}.\n"},
    }[receiver.form]
    return Letter(number, receiver.name, kind, f"{about['entity']}|{about['id']}", json.dumps(body, ensure_ascii=False), millis(at))


def subject_of(kind: str, data: Saved) -> str:
    """The first line of a letter that people read."""
    record, owner = f"{data['entity']} {data['id']}", data["owner_name"] or data["owner"] or "nobody"
    return {
        "assigned": f"{record} is {owner}'s",
        "missed": f"{data.get('missed_by') or owner} has not worked {record} in time",
        "referred": f"{record} needs a decision",
        "overdue": f"the decision on {record} is overdue",
        "held": f"nobody is able to take {record}",
        "unassigned": f"{record} has no owner",
        "returned": f"{record} goes back to {owner}",
        "proved": f"{data.get('worked_by')} had worked {record} in time, and {owner} keeps it",
    }[kind]
