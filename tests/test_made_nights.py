"""What one record does not show, whole runs do: turns, caps, claims, shares after a handover, and values that stay for a period.

Each pair of policies comes with a run that was worked out by hand from the documentation: what both decide about it differs, and so must the verdict.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import roe
from helpers import policy_text
from roe.analysis.decided import with_made_records
from roe.analysis.equivalence import Comparison, compare
from roe.analysis.made_nights import Night, runs
from roe.evaluator.engine import Evaluator
from roe.run.rows import extra_of

POLICY = """roe: 1
name: t
roles: [ae]
define: {account.size: if account.employees > 9 then "big" else "small"}
%s
engagement: {account: {ae: %s}}
"""
BY_SIZE = "[{name: big, when: account.employees > 5, then: {assign: '\"ann\"'}}, {name: rest, then: open}]"
BY_FROZEN = "[{name: big, when: 'account.year_size = \"big\"', then: {assign: '\"ann\"'}}, {name: rest, then: open}]"
LISTED = "[{name: kept, when: account.domain in s, then: keep}, {name: rest, then: open}]"
POOL = "[{name: all, then: {route: p}}]"
KEPT = "[{name: kept, when: 'account.guard_state = \"protected\"', then: keep}, {name: rest, then: open}]"


LISTS = {"old_csv": "domain,until\na.com,2026-03-01\n", "new_csv": "domain,until\na.com,2026-04-01\n"}


def sides(folder: Path, rules: str, old: str, new: str) -> list[Evaluator]:
    return [roe.compile(roe.load(policy_text(folder / str(i), POLICY % (text, rules), **LISTS))) for i, text in enumerate((old, new))]


def verdict(both: list[Evaluator]) -> Comparison:
    return with_made_records(compare(*both), *both)


HOLDOVER = "holdovers: {h: {role: ae, credit: [100, %s], each: %s}}"
CLAIMS = "claims: {for: account, role: ae, lasts: 30 days, %s}"
FREEZE = "freezes: {account.year_size: {value: account.size, from: %s, every: %s}}"
MEMBERS = "pools: {p: {members: [%s]%s}}"
GUARD = "windows: {guard: {lasts: 30 days, renewed_by: 'type = \"%s\"'}}"
HANDED_OVER: Any = {
    "rep": [{"id": "ann"}, {"id": "bob"}],
    "account": [{"id": "A1", "employees": 6, "owner.ae": "ann", "former_owner": "bob", "owner_since": "2025-08-01"}],
}
ACCOUNTS: Any = {"rep": [{"id": x} for x in ("ann", "bob", "cy")], "account": [{"id": f"A{i}"} for i in range(1, 4)]}


def claimed(*claims: tuple[str, str, str]) -> Any:
    """(record, rep, moment) of some claims, and the three accounts."""
    rows = [{"id": f"C{i}", "account": record, "rep": rep, "at": at} for i, (record, rep, at) in enumerate(claims, 1)]
    return {**ACCOUNTS, "claim": rows}


def sized(*employees: int) -> list[Any]:
    """One account, with another number of employees each night."""
    return [{"rep": [{"id": "ann"}], "account": [{"id": "A1", "employees": n}]} for n in employees]


CALLED: Any = {
    "rep": [{"id": "ann"}],
    "account": [{"id": "A1", "owner.ae": "ann", "owner_since": "2025-01-01"}],
    "activity": [{"id": "T1", "account": "A1", "type": "call", "date": "2025-12-20"}],
}
# rules, old, new, {moment: records}, what each gives in the last run: owners by account, or (rep, share or status) of lines
DIFFERENT: dict[str, tuple[str, str, str, dict[str, Any], list[Any]]] = {
    "the shares of a holdover": (  # handed over on 1 August: on 1 January the second three months
        BY_SIZE, HOLDOVER % (50, "3 months"), HOLDOVER % (40, "3 months"), {"2026-01-01": HANDED_OVER},
        [[("bob", "50"), ("ann", "50")], [("bob", "40"), ("ann", "60")]],
    ),
    "the length of a stage": (  # six months from 1 August end on 1 February, four on 1 December
        BY_SIZE, HOLDOVER % (50, "3 months"), HOLDOVER % (50, "2 months"), {"2026-01-01": HANDED_OVER},
        [[("bob", "50"), ("ann", "50")], []],
    ),
    "the cap of claims": (
        BY_SIZE, CLAIMS % "caps: {open: 1}", CLAIMS % "caps: {open: 2}",
        {"2026-01-02": claimed(("A1", "ann", "2026-01-01T10:00"), ("A2", "ann", "2026-01-01T11:00"))},
        [[("ann", "granted"), ("ann", "refused")], [("ann", "granted"), ("ann", "granted")]],
    ),
    "the rest after a claim": (  # the first claim ended on 31 December
        BY_SIZE, CLAIMS % "rest: 10 days", CLAIMS % "rest: 20 days",
        {"2026-01-15": claimed(("A1", "ann", "2025-12-01T10:00"), ("A1", "bob", "2026-01-12T10:00"))},
        [[("ann", "ended"), ("bob", "granted")], [("ann", "ended"), ("bob", "refused")]],
    ),
    "the members of a pool": (
        POOL, MEMBERS % ("ann, bob", ""), MEMBERS % ("ann, cy", ""), {"2026-01-01": ACCOUNTS},
        [{"A1": "ann", "A2": "bob", "A3": "ann"}, {"A1": "ann", "A2": "cy", "A3": "ann"}],
    ),
    "a member more": (
        POOL, MEMBERS % ("ann, bob", ""), MEMBERS % ("ann, bob, cy", ""), {"2026-01-01": ACCOUNTS},
        [{"A1": "ann", "A2": "bob", "A3": "ann"}, {"A1": "ann", "A2": "bob", "A3": "cy"}],
    ),
    "the cap of a pool": (
        POOL, MEMBERS % ("ann", ", caps: {per_day: 1}"), MEMBERS % ("ann", ", caps: {per_day: 2}"), {"2026-01-01": ACCOUNTS},
        [{"A1": "ann", "A2": None, "A3": None}, {"A1": "ann", "A2": "ann", "A3": None}],
    ),
    "how long a value is frozen": (  # in the same year, and in the next quarter
        BY_FROZEN, FREEZE % ("2026-02-01", "year"), FREEZE % ("2026-02-01", "quarter"),
        dict(zip(("2026-03-01", "2026-06-01"), sized(5, 50), strict=True)), [{"A1": None}, {"A1": "ann"}],
    ),
    "when the periods of a frozen value begin": (  # the quarter from 1 March, and the one from 1 February
        BY_FROZEN, FREEZE % ("2026-02-01", "quarter"), FREEZE % ("2026-03-01", "quarter"),
        dict(zip(("2026-02-10", "2026-03-10"), sized(5, 50), strict=True)), [{"A1": None}, {"A1": "ann"}],
    ),
    "when an entry of a list ends": (  # until 1 March, and until 1 April
        LISTED, "lists: {s: {file: old.csv, key: domain}}", "lists: {s: {file: new.csv, key: domain}}",
        {"2026-03-15": {"account": [{"id": "A1", "domain": "a.com", "owner.ae": "ann"}], "rep": [{"id": "ann"}]}}, [{"A1": None}, {"A1": "ann"}],
    ),
    "what renews a window": (
        KEPT, GUARD % "call", GUARD % "meeting", {"2026-01-01": CALLED}, [{"A1": "ann"}, {"A1": None}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_takes_a_whole_run_to_see_is_different(name: str, tmp_path: Path) -> None:
    rules, old, new, given, expected = DIFFERENT[name]
    both = sides(tmp_path, rules, old, new)
    nights = [Night(datetime.fromisoformat(f"{at}T12:00"), tables) for at, tables in given.items()]
    for run, wanted in zip(list(runs(both, nights))[-1], expected, strict=True):
        lines = [line for rows in extra_of(run).values() for line in rows]
        if isinstance(wanted, dict):
            assert {d.id: d.owner for d in run.decisions} == wanted
        else:  # of claims.csv (claim, account, rep, at, status, …) or credits.csv (credit, entity, record, role, rep, share, …)
            shown = [(line[2], line[4]) if line[0].startswith("C") else (line[4], line[5]) for line in lines]
            assert shown == wanted
    compared = verdict(both)
    assert compared.verdict == "different", compared
    assert all(d.certainty == "proven" and d.witness is not None and not d.witness.given for d in compared.differences)


EQUAL = {
    "members in another order": (POOL, MEMBERS % ("ann, bob", ""), MEMBERS % ("bob, ann", "")),  # turns go by credit, then by id
    "the same periods, named by another": (BY_FROZEN, FREEZE % ("2026-02-01", "quarter"), FREEZE % ("2026-05-01", "quarter")),
    "years in months": (BY_FROZEN, FREEZE % ("2026-02-01", "year"), FREEZE % ("2028-02-01", "year")),
    "weeks in days": (BY_SIZE, HOLDOVER % (50, "4 weeks"), HOLDOVER % (50, "28 days")),
}


@pytest.mark.parametrize("name", EQUAL)
def test_what_is_the_same_in_every_run_is_equivalent(name: str, tmp_path: Path) -> None:
    compared = compare(*sides(tmp_path, *EQUAL[name]))
    assert compared.verdict == "equivalent", compared
