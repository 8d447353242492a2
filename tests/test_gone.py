"""Records that the CRM has no longer: deleted, merged into another, or missing in an export that is complete; and those that come back."""

from __future__ import annotations

from pathlib import Path

import pytest

import roe
from helpers import policy_text
from ledgers import STORES, Engines
from roe.ledger.entries import Deleted, Merged, Owned, Restored
from roe.ledger.store import open_store

pytest.importorskip("pyarrow")

POLICY = """roe: 1
name: gone
roles: [ae, sdr]
data: {lead: {complete: true}}
pools: {desk: {members: [ann, ben], together: never, caps: {open_leads: 1}, fallback: cal}}
engagement:
  account:
    ae:
      - {name: ask, when: 'account.name = "ask"', then: {refer: ops, within: 2 days}}
      - {name: rest, then: {assign: ann}}
  lead:
    sdr: [{name: stay, when: lead.owner.sdr != null, then: keep}, {name: turn, then: {route: desk}}]
"""
HEADS = {"accounts": "id,name,owner,deleted,merged_into", "leads": "id,created,owner_sdr", "reps": "id,name"}
NIGHTS = [  # what the data has, night by night
    {"accounts": ["A,a,,,", "B,b,ben,,", "C,ask,cal,,"], "leads": ["L1,2026-03-01,", "L2,2026-03-01,"]},
    {"accounts": ["A,a,ann,,", "B,b,ann,,A", "C,ask,cal,yes,"], "leads": ["L2,2026-03-01,ben", "L3,2026-03-02,"]},
    {"accounts": ["A,a,ann,,", "B,b,ann,,A", "C,ask,cal,yes,"], "leads": ["L2,2026-03-01,ben", "L3,2026-03-02,ann"]},
    {"accounts": ["A,a,ann,,", "C,x,ben,no,"], "leads": ["L1,2026-03-01,ann", "L2,2026-03-01,ben", "L3,2026-03-02,ann"]},
]
OWNERS = [  # who owns what then, by hand: L3 gets the place that L1 has left; B and C are not records any more
    {"A": "ann", "B": "ann", "C": "cal", "L1": "ann", "L2": "ben"},
    {"A": "ann", "L2": "ben", "L3": "ann"},
    {"A": "ann", "L2": "ben", "L3": "ann"},
    {"A": "ann", "C": "ann", "L1": "ann", "L2": "ben", "L3": "ann"},
]


@pytest.mark.parametrize("kind", STORES)
def test_a_record_that_is_gone_frees_its_place_and_ends_what_is_open(kind: str, tmp_path: Path) -> None:
    engines = Engines(kind, tmp_path, POLICY, HEADS)
    for n, (tables, wanted) in enumerate(zip(NIGHTS, OWNERS, strict=True), 1):
        found = engines.night(f"2026-03-0{n}", reps=["ann,Ann", "ben,Ben", "cal,Cal"], **tables)
        assert {x["record"]: x["owner"] for x in found["allocations"]} == wanted, n
    said = engines.entries()
    with open_store(engines.states["rows"]) as store:
        assert not store.latest("referred", is_open=True)  # C's question ended with C
        assert {h.record for h in store.holdings()} == {"A", "C", "L1", "L2", "L3"}
    gone = [(type(e), e.record, e.at.date.day) for e in said if isinstance(e, (Deleted, Merged, Restored))]
    assert sorted(gone, key=str) == sorted(
        [(Merged, "B", 2), (Deleted, "C", 2), (Deleted, "L1", 2), (Restored, "C", 4), (Restored, "L1", 4)], key=str
    )
    assert [e.survivor for e in said if isinstance(e, Merged)] == ["A"]
    assert [(e.rep, e.by) for e in said if isinstance(e, Owned) and e.record == "C" and e.at.date.day == 4] == [
        ("ben", "import"),  # as the CRM shows it, since when nobody knows: what was before has ended
        ("ann", "rule"),
    ]


STAMPED = HEADS | {"accounts": "id,name,owner,deleted,merged_into,modified_at"}
STAMPS = [  # A's row night by night, and who then has A
    ("A,a,ben,,,2026-03-01T10:00:00Z", "ann"),
    (
        "A,a,ben,yes,,2026-02-20T10:00:00Z",
        "ann",
    ),  # an export from before the CRM had what the ledger knows: A was deleted then, and is back
    ("A,a,ben,,B,2026-02-21T10:00:00Z", "ann"),
    ("A,a,ann,,,2026-03-02T09:00:00Z", "ann"),
    ("A,a,ann,yes,,2026-03-04T09:00:00Z", None),
]


@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize("kind", STORES)
def test_an_older_export_deletes_nothing(kind: str, complete: bool, tmp_path: Path) -> None:
    policy = POLICY.replace("{lead: {complete: true}}", f"{{account: {{complete: {str(complete).lower()}}}}}")
    engines = Engines(kind, tmp_path, policy, STAMPED)
    other = "Z,z,ann,,,2026-03-01T10:00:00Z"  # of a table without any record nothing is complete
    for n, (line, wanted) in enumerate(STAMPS, 1):
        found = engines.night(f"2026-03-0{n}", reps=["ann,Ann", "ben,Ben", "cal,Cal"], accounts=[line, other], leads=[])
        assert [x["reason"] for x in found["rejects"]] == {
            2: ["it was deleted in the CRM"], 3: ["it was merged into `B`"], 5: ["it was deleted in the CRM"],
        }.get(n, [])  # fmt: skip
        for state in engines.states.values():
            with open_store(state) as store:
                now = store.holding("account", "A", "ae")
                assert (None if now is None else now.rep) == wanted, n
    assert [(type(e), e.at.date.day) for e in engines.entries() if isinstance(e, (Deleted, Merged, Restored))] == [(Deleted, 5)]


REVIVED = [  # A's row night by night, what it says then, and whether A is a record
    ("A,a,ben,,,2026-03-01T10:00:00Z", "", True),
    ("A,a,ann,yes,,2026-03-02T10:00:00Z", "it was deleted in the CRM", False),
    ("A,a,ann,,,2026-03-01T18:00:00Z", "the row is from before the record was deleted in the CRM", False),
    ("A,a,ann,,B,2026-03-04T10:00:00Z", "it was merged into `B`", False),
    (
        "A,a,ann,,,2026-03-03T10:00:00Z",
        "the row is from before the record was merged into `B`",
        False,
    ),  # after the deletion, before the merge
    ("A,a,ann,,,2026-03-06T10:00:00Z", "", True),
]


@pytest.mark.parametrize("kind", STORES)
def test_an_older_export_brings_nothing_back(kind: str, tmp_path: Path) -> None:
    """An older row is no record: rules do not decide it, and what points to it, such as Z's parent, finds nothing."""
    policy = POLICY.replace(
        "      - {name: rest", "      - {name: child, when: account.parent != null, then: {assign: ben}}\n      - {name: rest"
    )
    engines = Engines(kind, tmp_path, policy, STAMPED | {"accounts": f"{STAMPED['accounts']},parent"})
    for n, (line, reason, is_record) in enumerate(REVIVED, 1):
        found = engines.night(
            f"2026-03-0{n}", reps=["ann,Ann", "ben,Ben"], accounts=[f"{line},", "Z,z,ann,,,2026-03-01T10:00:00Z,A"], leads=[]
        )
        assert [(x["record"], x["reason"]) for x in found["rejects"]] == ([("A", reason)] if reason else []), n
        decided = {x["record"]: x["rule"] for x in found["allocations"]}
        assert decided == ({"A": "rest", "Z": "child"} if is_record else {"Z": "rest"}), n
    ends = [(type(e), e.at.date.day) for e in engines.entries() if isinstance(e, (Deleted, Merged, Restored))]
    assert ends == [(Deleted, 2), (Merged, 4), (Restored, 6)]


UNDATED = [  # A's row night by night; whether it is a record. The first row that says it is gone has no date
    ("A,a,ann,yes,,", False),
    ("A,a,ann,yes,,2026-03-02T10:00:00Z", False),
    ("A,a,ann,,,2026-03-01T10:00:00Z", False),  # older than the row of the 3rd
    ("A,a,ann,,,2026-03-05T10:00:00Z", True),
]


@pytest.mark.parametrize("kind", STORES)
def test_a_record_that_is_gone_without_a_date_gets_it_from_a_later_export(kind: str, tmp_path: Path) -> None:
    """So it is with a ledger of a version of roe that kept no such dates."""
    engines = Engines(kind, tmp_path, POLICY, STAMPED)
    engines.night("2026-03-01", reps=["ann,Ann", "ben,Ben"], accounts=["A,a,ann,,,"], leads=[])
    for n, (line, is_record) in enumerate(UNDATED, 2):
        found = engines.night(f"2026-03-0{n}", reps=["ann,Ann", "ben,Ben"], accounts=[line], leads=[])
        assert [x["record"] for x in found["allocations"]] == (["A"] if is_record else []), n


OPEN = """roe: 1
name: open
engagement:
  account:
    owner: [{name: rest, when: account.owner_by.owner = null, then: open}, {name: kept, then: keep}]
"""
NOBODYS = [  # A's row night by night; who has A then, and by which rule. Nobody has it at first, and the CRM showed that on the 2nd
    ("A,a,,,,2026-03-02T10:00:00Z", ("", "rest")),
    ("A,a,ben,,,2026-02-20T10:00:00Z", ("", "rest")),  # an older row says nothing of today: neither who has A
    ("A,a,,yes,,2026-02-21T10:00:00Z", None),  # nor that it is gone
    ("A,a,,,,2026-03-02T10:00:00Z", ("", "rest")),
    ("A,a,ben,,,2026-03-05T10:00:00Z", ("ben", "kept")),  # since the 5th Ben has it, by hand
]


@pytest.mark.parametrize("kind", STORES)
def test_an_older_row_changes_nothing_of_a_record_that_nobody_has(kind: str, tmp_path: Path) -> None:
    engines = Engines(kind, tmp_path, OPEN, STAMPED)
    for n, (line, wanted) in enumerate(NOBODYS, 2):
        found = engines.night(f"2026-03-0{n}", reps=["ann,Ann", "ben,Ben"], accounts=[line])["allocations"]
        assert [(x["owner"], x["rule"]) for x in found] == ([wanted] if wanted else []), n
    said = [(type(e), e.rep, e.by, e.at.date.day) for e in engines.entries()]  # a night on which nothing changes says nothing
    assert said == [(Owned, None, "rule", 2), (Owned, "ben", "hand", 6)]


DATED = HEADS | {"leads": "id,created,owner_sdr,modified_at"}
L1, L2 = "L1,2026-03-01,{},2026-03-01T10:00:00Z", "L2,2026-03-01,{},2026-03-0{}T10:00:00Z"
FILES = [  # the file of leads night by night, and who then has leads; L1 never changes in the CRM
    ([L1.format(""), L2.format("", 1)], {"L1": "ann", "L2": "ben"}),
    ([L1.format(""), L2.format("ben", 2), "L3,2026-03-02,,2026-03-02T11:00:00Z"], {"L1": "ann", "L2": "ben", "L3": "cal"}),
    ([L1.format(""), L2.format("", 1)], {"L1": "ann", "L2": "ben", "L3": "cal"}),  # from before L3 came, so L3 is not gone
    ([L2.format("ben", 4), "L3,2026-03-02,cal,2026-03-03T09:00:00Z"], {"L2": "ben", "L3": "cal"}),  # L1 is gone
    ([L1.format(""), L2.format("ben", 2)], {"L2": "ben", "L3": "cal"}),  # from before L1 was gone
    ([L1.format(""), L2.format("ben", 6), "L3,2026-03-02,cal,2026-03-03T09:00:00Z"], {"L1": "ann", "L2": "ben", "L3": "cal"}),  # L1 is back
]


@pytest.mark.parametrize("kind", STORES)
def test_an_older_file_that_is_complete_takes_nothing_away_and_brings_nothing_back(kind: str, tmp_path: Path) -> None:
    engines = Engines(kind, tmp_path, POLICY, DATED)
    for n, (lines, wanted) in enumerate(FILES, 1):
        found = engines.night(f"2026-03-0{n}", reps=["ann,Ann", "ben,Ben", "cal,Cal"], accounts=[], leads=lines)
        aside = ["the row is from before the record was missing in complete data"] if n == 5 else []
        assert [x["reason"] for x in found["rejects"]] == aside, n
        with open_store(engines.states["rows"]) as store:
            assert {h.record: h.rep for h in store.holdings()} == wanted, n
    ends = [(type(e), e.record, e.at.date.day) for e in engines.entries() if isinstance(e, (Deleted, Merged, Restored))]
    assert ends == [(Deleted, "L1", 4), (Restored, "L1", 6)]


RETURNED = """roe: 1
name: returned
engagement:
  account:
    owner: [{name: by hand, when: 'account.owner_by.owner = "hand"', then: keep}, {name: rest, then: open}]
"""


def test_what_the_crm_showed_of_an_earlier_life_says_nothing_of_a_record_that_is_back(tmp_path: Path) -> None:
    engines = Engines("sqlite", tmp_path, RETURNED, HEADS)
    found = []
    for n, line in enumerate(("A,a,ben,,", "A,a,ben,yes,", "A,a,,,", "A,a,ben,,"), 1):
        rows = engines.night(f"2026-03-0{n}", reps=["ann,Ann", "ben,Ben"], accounts=[line])["allocations"]
        found.append([(x["owner"], x["rule"]) for x in rows])
    assert found == [[("", "rest")], [], [("", "rest")], [("ben", "by hand")]]  # on the 4th somebody has given it to Ben


def test_a_row_that_is_gone_is_set_aside_with_the_reason(tmp_path: Path) -> None:
    evaluator = roe.compile(roe.load(policy_text(tmp_path / "policy", POLICY)))
    tables = {"account": [{"id": "B", "merged_into": "A"}, {"id": "C", "deleted": "true"}, {"id": "D", "deleted": "false"}]}
    done = evaluator.run(tables, as_of="2026-03-01")
    assert {r.record: r.reason for r in done.world.rejects} == {"B": "it was merged into `A`", "C": "it was deleted in the CRM"}
    assert [d.id for d in done.decisions] == ["D"]
