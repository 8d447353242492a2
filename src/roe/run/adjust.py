"""Adjustments: what a person asks for is an entry, and the next run books it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from roe import __version__
from roe.diagnostics import user_error
from roe.ledger.entries import ASKED, FREE, Corrected, Owned, Refused, RunEntry, Turn, TurnBack
from roe.ledger.entry import Entry
from roe.ledger.holdings import Holding
from roe.ledger.moment import At
from roe.ledger.movements import pending
from roe.ledger.store import Store
from roe.run.acts import ADJUSTMENT
from roe.run.inputs import run_id
from roe.run.memory import Commit, opened

MOST = 10_000_000  # decisions that wait to be loaded


def give_back(record: str, state: str, reason: str, by: str, role: str = "", wait: float = 60) -> Turn:
    """Ask for the turn that a record used to be given back; the turn. Raises PolicyError if it used none, or if it is given back already."""
    with opened(state, "", wait) as memory, memory.committing() as commit:
        store = memory.store
        last = store.last_run()
        turns_of_record = [e for e in store.newest(Turn, is_open=True) if e.record == record and role in ("", e.role)]
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
        _append(commit, at, record, f"{by}: {reason}", [back, replace(turn, counted=False, credit=ASKED)])
        return turn


def note_refused(refusals: Iterable[tuple[str, str]], state: str, by: str, wait: float = 60) -> tuple[int, list[str]]:
    """Note that the CRM has refused to load decisions on records, each with its reason: (how many are noted, the records without a decision
    that the CRM does not have yet). What is noted already is not noted again. The decisions stay, and every run writes them again.
    """
    with opened(state, "", wait) as memory, memory.committing() as commit:
        store = memory.store
        last = store.last_run()
        waiting: dict[str, list[Holding]] = {}
        for h in pending(store, MOST)[0]:
            waiting.setdefault(h.record, []).append(h)
        entries, unknown = [], []
        for record, reason in dict.fromkeys(refusals):
            if record not in waiting:
                unknown.append(record)
            for h in waiting.get(record, ()):
                if all((e.role, e.decision, e.reason) != (h.role, h.entry, reason) for e in store.told(Refused, h.entity, record)):
                    assert last is not None
                    entries.append(Refused(at=last.entry.at, entity=h.entity, record=record, role=h.role, decision=h.entry, reason=reason))
        if entries and last is not None:
            _append(commit, last.entry.at, "refused", f"{by}: refused by the CRM", entries)
        return len(entries), unknown


@dataclass(frozen=True, slots=True)
class Correction:
    """That an entry named a wrong owner: the right one (None for nobody), who says so, and why."""

    number: int
    owner: str | None
    by: str
    why: str


def correct(said: Correction, state: str, wait: float = 60) -> Owned:
    """Put the right owner in the place of the one whom an entry named: from its day on, up to the next owner that is known. Both entries stay.

    Returns the new entry. Raises PolicyError for an entry that made nobody the owner of a record.
    """
    with opened(state, "", wait) as memory, memory.committing() as commit:
        store = memory.store
        wrong, last = _owner_entry(store, said.number), store.last_run()
        if said.owner is not None and store.words.subject("rep", said.owner) is None:
            _refuse(f"the ledger has no rep `{said.owner}`", "name the rep by the id that the CRM has", "--owner")
        if (wrong.rep, wrong.queue) == (said.owner, ""):
            _refuse(f"entry {said.number} already says so", "see roe history RECORD", "ENTRY")
        later = [h for h in store.history_of(wrong.entity, wrong.record) if h.role == wrong.role and h.start.instant > wrong.at.instant]
        right = Owned(
            at=wrong.at, entity=wrong.entity, record=wrong.record, role=wrong.role, rep=said.owner, former=wrong.former, by="correction",
            past=bool(later), sentence=f"entry {said.number} is corrected by {said.by}, {said.why}",
        )  # fmt: skip
        at = last.entry.at if last is not None else wrong.at
        corrected = Corrected(at=at, entry=said.number, what=f"{said.owner or 'nobody'} has {wrong.record}", by=said.by, why=said.why)
        _append(commit, at, f"correct {said.number}", f"{said.by}: {said.why}", [corrected, right])
        return right


def _append(commit: Commit, at: At, about: str, accepted: str, entries: Sequence[Entry]) -> None:
    """Append the entries of one adjustment; `about` tells it from others that are made at the same number."""
    name = run_id(str(at), about, str(commit.memory.store.head().number))
    commit.append(RunEntry(at=at, id=name, what=ADJUSTMENT, version=__version__, accepted=accepted), {}, entries)


def _owner_entry(store: Store, number: int) -> Owned:
    """The entry of a number, which must be one with which somebody's time as an owner began."""
    try:
        entry = store.entry(number).entry
    except KeyError:
        _refuse(f"the ledger has no entry {number}", "`roe history RECORD --format csv` shows the numbers", "ENTRY")
    help = "name an entry of the kind `owned` with another owner than the one before: `roe history RECORD --format csv`"
    if not isinstance(entry, Owned):
        _refuse(f"entry {number} does not say who owns a record", help, "ENTRY")
    of_role = [h for h in store.history_of(entry.entity, entry.record) if h.role == entry.role]
    if all(h.entry != number for h in of_role):
        _refuse(f"entry {number} did not make anybody the owner, or was corrected already", help, "ENTRY")
    if of_role[-1].entry == number and of_role[-1].stop is not None:
        _refuse(f"`{entry.record}` is gone, and nobody owns it any more", "only owners before the last one can be corrected", "ENTRY")
    return entry


def _refuse(message: str, help: str, place: str = "RECORD") -> NoReturn:
    raise user_error("R604", message, place, help)
