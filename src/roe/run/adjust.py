"""Adjustments: what a person asks for is an entry, and the next run books it."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

from roe import __version__
from roe.diagnostics import Diagnostic, PolicyError
from roe.ledger.entries import ASKED, FREE, Run, Turn, TurnBack
from roe.run.acts import ADJUSTMENT
from roe.run.inputs import run_id
from roe.run.memory import opened
from roe.source import Span


def give_back(record: str, state: str, reason: str, by: str, role: str = "", wait: float = 60) -> Turn:
    """Ask for the turn that a record used to be given back; the turn. Raises PolicyError if it used none, or if it is given back already."""
    with opened(state, "", wait) as memory, memory.committing() as commit:
        store = memory.store
        last = store.last_run()
        turns = [o.stored.entry for o in store.latest("turn", is_open=True)]
        turns_of_record = [e for e in turns if isinstance(e, Turn) and e.record == record and role in ("", e.role)]
        if last is None or not turns_of_record:
            _refuse(f"no pool has assigned `{record}`", "name the id of a record that a pool has assigned; roe history RECORD shows it")
        if len(turns_of_record) > 1:
            _refuse(f"`{record}` has several turns", f"name the role: {', '.join(f'--role {e.role}' for e in turns_of_record)}")
        turn = turns_of_record[0]
        if turn.credit == FREE:
            _refuse(f"`{record}` used no turn", "it followed another record, or went to a fallback, so no turn is owed")
        if turn.back or turn.credit == ASKED:
            _refuse(f"the turn of `{record}` has already been given back", "see roe history RECORD")
        at = last.entry.at
        key = {"entity": turn.entity, "record": record, "role": turn.role}
        back = TurnBack(at=at, **key, rep=turn.rep, pool=turn.pool, number=turn.number, reason=f"{reason} (asked for by {by})")
        own = Run(
            at=at, id=run_id(str(at), record, str(store.head().number)), what=ADJUSTMENT, version=__version__, accepted=f"{by}: {reason}"
        )
        commit.append(own, {}, [back, replace(turn, counted=False, credit=ASKED)])
        return turn


def _refuse(message: str, help: str) -> NoReturn:
    raise PolicyError([Diagnostic("R604", message, Span("RECORD", 1, 1, 2), help)])
