"""What every task has: the policy, the tables that go whole to all tasks, and what is remembered; in this process, or as bytes for another one."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from roe.columns.raw import Raw
from roe.data.scan import TableOrigin
from roe.evaluator.engine import Evaluator
from roe.files import read_text
from roe.ledger.remembered import Remembered
from roe.policy.model import Policy
from roe.policy.store import PolicyReader, write_policy
from roe.policy.worked_out import WorkedOut, remember
from roe.share.memory import received_state, sent_state
from roe.share.parcels import as_bytes, of_bytes, raw_of, table_of


@dataclass(frozen=True)
class Here:
    """It is in this process."""

    policy: Evaluator
    as_of: str
    others: dict[str, Raw]
    remembered: Remembered

    def evaluator(self) -> Evaluator:
        return self.policy

    def tables(self) -> dict[str, Raw]:
        return dict(self.others)

    def state(self) -> Remembered:
        return self.remembered

    def knowing(self, state: Remembered) -> Here:
        return replace(self, remembered=state)


@dataclass(frozen=True)
class Sent:
    """It is sent to other processes as bytes."""

    policy: bytes
    as_of: str
    others: bytes
    remembered: bytes

    @classmethod
    def of(cls, evaluator: Evaluator, as_of: str, tables: dict[str, Raw], state: Remembered) -> Sent:
        return cls(sent_policy(evaluator.policy), as_of, sent(tables), sent_state(state))

    def evaluator(self) -> Evaluator:
        return received_policy(self.policy)

    def tables(self) -> dict[str, Raw]:
        return received(self.others)

    def state(self) -> Remembered:
        return received_state(self.remembered)

    def knowing(self, state: Remembered) -> Sent:
        return replace(self, remembered=sent_state(state))


def sent(tables: dict[str, Raw]) -> bytes:
    """Tables as bytes that any process can read."""
    held = []
    for entity, raw in tables.items():
        o = raw.origin
        held.append([entity, as_bytes(table_of(raw)).hex(), [o.shown, o.header, o.rejects, o.blank, o.notes]])
    return json.dumps(held).encode()


def received(text: bytes) -> dict[str, Raw]:
    raws = {}
    for entity, held, (path, header, rejects, blank, notes) in json.loads(text):
        origin = TableOrigin(path, tuple(header), [(line, what, why) for line, what, why in rejects], blank, notes)
        raws[entity] = raw_of(of_bytes(bytes.fromhex(held)), origin)
    return raws


def sent_policy(policy: Policy) -> bytes:
    """A policy as bytes: its plan, the texts in which that stands, and what has been worked out from it. A task need not read it again, which
    takes longer for a thousand rules than to decide a hundred thousand records.
    """
    texts = {
        name: read_text(policy.root / name, name, 1 << 30)[0] or ""
        for name in {"policy.yaml", *policy.files}
        if name.endswith((".yaml", ".yml"))
    }
    known = {} if policy.worked_out is None else policy.worked_out.values
    return json.dumps({"root": str(policy.root), "policy": write_policy(policy), "texts": texts, "known": known}).encode()


@lru_cache(maxsize=2)
def received_policy(text: bytes) -> Evaluator:
    """The policy, ready to decide: once for each Python worker."""
    held = json.loads(text)
    policy = PolicyReader(held["policy"], Path(held["root"]), held["texts"]).policy()
    if held["known"]:
        remember(policy, WorkedOut(None, "", held["known"]))
    return Evaluator(policy)
