"""A sales organisation over a year, and a model of what roe must remember of it.

The model is written from the documents (docs/policy.md, docs/ledger.md) and knows nothing of roe's code: a table of what a row of the CRM
means against what was decided, windows and credits as sums of days, turns as fractions. `Company` plays what happens in a CRM between two
nights: loads that come late or never, or are refused, owners changed by hand and back, by an integration, or cleared, records that leave
the export and come back, or are deleted or merged, exports of an earlier night, leads that are converted, reps who are away or leave, and
another policy each quarter.
"""

from __future__ import annotations

import csv
import io
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path

Holder = str | None
FIELD, DESK = ["r1", "r2", "r3", "r4"], ["s1", "s2", "s3"]
COUNTRIES = ["DE", "FR", "US", "JP"]
WINDOW, STAGE, SHARES, ASK = timedelta(days=12), timedelta(days=5), (100, 50), timedelta(days=3)
SYSTEM, SYSTEM_USER = "Router", "u9"
DEBT = 3  # turns that a rep who is away can be owed


def policy(quarter: int) -> str:
    """Who covers which country moves on each quarter; Japan is nobody's in every second."""
    rules = [
        f"{{name: {c}, when: 'account.country = \"{c}\"', then: {{assign: {rep}}}, else: {{assign: house}}}}"
        for c, rep in covers(quarter).items()
    ]
    listed = "\n".join(f"      - {rule}" for rule in rules)
    return f"""
roe: 1
name: year
roles: [ae, sdr]
fields: {{account: {{flag: {{type: string}}}}}}
crm: {{systems: {{{SYSTEM}: {SYSTEM_USER}}}}}
data: {{lead: {{complete: true}}}}
windows: {{protection: {{lasts: {WINDOW.days} days}}}}
holdovers: {{handover: {{credit: {list(SHARES)}, each: {STAGE.days} days}}}}
pools: {{desk: {{members: [{", ".join(DESK)}], together: never, fallback: house}}}}
engagement:
  account:
    ae:
      - {{name: protected, when: 'account.protection_state = "protected"', then: keep, else: {{assign: house}}}}
      - {{name: ask, when: 'account.flag = "ask" and account.owner.ae.may_hold', then: {{refer: ops, within: {ASK.days} days}}}}
{listed}
      - {{name: rest, then: open}}
  lead:
    sdr: [{{name: in, then: {{route: desk}}}}]
"""


def covers(quarter: int) -> dict[str, str]:
    found = {c: FIELD[(i + quarter) % len(FIELD)] for i, c in enumerate(COUNTRIES)}
    if quarter % 2:
        del found["JP"]
    return found


# --- what happens in the CRM ---------------------------------------------------------------------------------------------


@dataclass
class Record:
    id: str
    entity: str
    created: date
    country: str = ""
    flag: str = ""
    owner: Holder = None  # in the CRM
    converted: bool = False
    away_until: date | None = None  # not in the export before that day
    stamp: int = 0  # of the last change in the CRM: later ones are higher
    gone: str = ""  # `deleted`, or the record that it is merged into
    writer: str = ""  # the user who changed it last


@dataclass
class Company:
    """`luck` decides everything; `accounts` is how many there are, and a lead comes every other night."""

    luck: random.Random
    start: date
    accounts: int
    records: dict[str, Record] = field(default_factory=dict)
    coming: list[tuple[date, str, Holder]] = field(default_factory=list)  # loads under way: when, record, owner
    leaves: list[tuple[str, date, date]] = field(default_factory=list)
    ends: dict[str, date] = field(default_factory=dict)
    before: dict[str, Holder] = field(default_factory=dict)  # the owner whom somebody has replaced by hand
    stamps: int = 0  # so many changes there were
    exports: list[list[Record]] = field(default_factory=list)  # what could be read in the last nights, the latest at the end
    export: list[Record] = field(default_factory=list)  # and what has been read

    def __post_init__(self) -> None:
        for i in range(self.accounts):
            owner = self.luck.choice([None, *FIELD, "house"])
            self.records[f"A{i}"] = Record(f"A{i}", "account", self.start, self.luck.choice(COUNTRIES), owner=owner)

    def day(self, today: date) -> None:
        """What happens before the night of a day."""
        luck = self.luck
        for _, record, owner in [x for x in self.coming if x[0] <= today]:
            self.records[record].owner = owner
            self._stamp(self.records[record], "loader")
        self.coming = [x for x in self.coming if x[0] > today]
        share = max(1, len(self.records) // 20)
        for record in luck.sample(sorted(self.records), share):
            self._event(self.records[record], today)
        if luck.random() < 0.6:
            n = sum(r.entity == "lead" for r in self.records.values())
            for i in range(luck.choice([1, 1, 2, 3])):
                lead = self.records[f"L{n + i:04}"] = Record(f"L{n + i:04}", "lead", today)
                self._stamp(lead, "u1")
        if luck.random() < 0.1:
            rep = luck.choice([*FIELD, *DESK])
            self.leaves.append((rep, today + timedelta(days=luck.randint(0, 3)), today + timedelta(days=luck.randint(4, 12))))
        if luck.random() < 0.03 and len(self.ends) < 3:
            self.ends.setdefault(luck.choice([*FIELD[1:], *DESK[1:]]), today + timedelta(days=luck.randint(0, 4)))

    def _stamp(self, r: Record, writer: str) -> None:
        self.stamps += 1
        r.stamp, r.writer = self.stamps, writer

    def _event(self, r: Record, today: date) -> None:
        luck = self.luck
        kind = luck.choice(["hand", "system", "back", "clear", "leave", "country", "flag", "convert", "gone"])
        self._stamp(r, SYSTEM_USER if kind == "system" else "u1")
        reps = [*FIELD, "house"] if r.entity == "account" else DESK
        if kind in ("hand", "system"):
            self.before[r.id], r.owner = r.owner, luck.choice(reps)
        elif kind == "back" and r.id in self.before:
            r.owner = self.before.pop(r.id)
        elif kind == "clear":
            r.owner = None
        elif kind == "leave":
            r.away_until = today + timedelta(days=luck.randint(1, 6))
        elif kind == "country" and r.entity == "account":
            r.country = luck.choice(COUNTRIES)
        elif kind == "flag" and r.entity == "account":
            r.flag = "" if r.flag else "ask"
        elif kind == "convert" and r.entity == "lead":
            r.converted = True
        elif kind == "gone":
            r.gone = "" if r.gone else luck.choice(["deleted", _survivor(r)])

    def pull(self, today: date) -> None:
        """Read the CRM: once in some nights it is the export of an earlier night that arrives."""
        luck = self.luck
        self.exports = [*self.exports[-5:], [replace(r) for r in self.records.values() if r.away_until is None or r.away_until <= today]]
        self.export = luck.choice(self.exports) if luck.random() < 0.15 else self.exports[-1]

    def load(self, changes: list[tuple[str, Holder]], today: date) -> list[str]:
        """Most changes are loaded before the next night, some nights later, and some never; of these the ones that the CRM says it refuses."""
        refused = []
        for record, owner in changes:
            late = self.luck.choice([1, 1, 1, 1, 1, 1, 2, 3, 5, None])
            if late is not None:
                self.coming.append((today + timedelta(days=late), record, owner))
            elif self.luck.random() < 0.5:
                refused.append(record)
        return refused

    def write(self, folder: Path, today: date) -> None:
        folder.mkdir(exist_ok=True)
        self.pull(today)
        accounts, leads = [], []
        for r in self.export:
            stamp = (datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=r.stamp)).isoformat()
            state = [r.owner or "", stamp, r.writer, "yes" if r.gone == "deleted" else "", "" if r.gone == "deleted" else r.gone]
            if r.entity == "account":
                accounts.append([r.id, r.country, r.flag, *state])
            else:
                leads.append([r.id, f"{r.id}@mail.example", r.created, "yes" if r.converted else "no", *state])
        reps = [[rep, rep.upper(), self.ends.get(rep, "")] for rep in (*FIELD, *DESK, "house")]
        leaves = [[f"V{i}", *x] for i, x in enumerate(self.leaves)]
        for name, header, rows in (
            ("accounts", "id,country,flag,owner,modified_at,modified_by,deleted,merged_into", accounts),
            ("leads", "id,email,created,converted,owner_sdr,modified_at,modified_by,deleted,merged_into", leads),
            ("reps", "id,name,ends", reps), ("leaves", "id,rep,starts,until", leaves),
        ):  # fmt: skip
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([header.split(","), *rows])
            (folder / f"{name}.csv").write_text(text.getvalue(), "utf-8")


def _survivor(r: Record) -> str:
    """The record that another one is merged into: of the same entity, and never itself."""
    first, second = ("A0", "A1") if r.entity == "account" else ("L0000", "L0001")
    return second if r.id == first else first


# --- the model -----------------------------------------------------------------------------------------------------------


@dataclass
class Known:
    """What is remembered of one record: who has it, since when (None where nobody knows), after whom, by what, what the CRM showed last, and
    what was decided since then. `first` is when its owner was first seen.
    """

    owner: Holder = None
    since: date | None = None
    first: date | None = None
    former: Holder = None
    base: Holder = None
    decided: list[Holder] = field(default_factory=list)
    by: str = "import"
    pooled: bool = False
    asked: date | None = None
    base_stamp: int = 0  # of the row in which the CRM first showed the base


@dataclass
class Decision:
    owner: Holder
    rule: str
    until: date | None = None


class Model:
    def __init__(self) -> None:
        self.known: dict[str, Known] = {}
        self.gone: dict[str, tuple[str, int]] = {}  # how, and the stamp of the row or file that said so: nothing older brings a record back
        self.credit: dict[str, Fraction] = {rep: Fraction(0) for rep in DESK}

    def night(self, company: Company, today: date, quarter: int) -> tuple[dict[str, Decision], set[tuple[str, str, str, str]]]:
        """The decision on each record, and the lines of staged credit: (record, rep, share, until)."""
        self.company, self.today = company, today
        decisions: dict[str, Decision] = {}
        credits: set[tuple[str, str, str, str]] = set()
        shown = self._shown(company)
        before = {r.id: self._reconciled(r) for r in shown}
        for r in shown:
            if r.entity == "account":
                d = decisions[r.id] = self._account(r, quarter)
                credits |= self._staged(r.id, before[r.id], d.owner)
                self._decided(r.id, d.owner, "rule")
        for r in sorted((r for r in shown if r.entity == "lead"), key=lambda r: (r.created, r.id)):
            d = decisions[r.id] = self._lead(r)
            self._decided(r.id, d.owner, "pool")
        return decisions, credits

    def _shown(self, company: Company) -> list[Record]:
        """The rows that are records today. What is gone ends all that was open of it; that the file of leads lacks one says that it is gone, unless
        the whole file is from before.
        """
        leads = [r for r in company.export if r.entity == "lead"]
        last = max((r.stamp for r in leads), default=0)
        for r in company.export:
            kind, stamp = self.gone.get(r.id, ("", 0))
            if r.gone and kind and r.stamp > stamp:
                self.gone[r.id] = "flagged", r.stamp
            elif r.gone and not kind and r.id in self.known and not self._is_older(r, r.stamp):
                self._ends(r.id, "flagged", r.stamp)
            elif not r.gone and kind and (last if kind == "missing" else r.stamp) >= stamp:
                del self.gone[r.id]
        shown = [r for r in company.export if not r.gone and r.id not in self.gone]
        if any(r.entity == "lead" for r in shown):  # of a table without any record nothing is missing
            here = {r.id for r in leads}
            for record in [x for x in self.known if x not in here and company.records[x].entity == "lead"]:
                if not self._is_older(company.records[record], last):
                    self._ends(record, "missing", last)
        return shown

    def _ends(self, record: str, kind: str, stamp: int) -> None:
        del self.known[record]
        self.gone[record] = kind, stamp

    def _reconciled(self, r: Record) -> Known:
        """The first row of the table that fits."""
        k = self.known.get(r.id)
        if k is None:
            k = self.known[r.id] = Known(r.owner, None, self.today if r.owner else None, None, r.owner, base_stamp=r.stamp)
        elif self._is_older(r, r.stamp):
            pass
        elif r.owner == k.owner:
            self._shows(k, r)
            k.decided = []
        elif r.owner == k.base:
            pass
        elif r.owner in k.decided:
            self._shows(k, r)
            k.decided = k.decided[k.decided.index(r.owner) + 1 :]
        else:
            self._shows(k, r)
            k.former, k.owner, k.decided = k.owner, r.owner, []
            k.since, k.first = (self.today if r.owner else None), None
            k.by = "system" if r.writer == SYSTEM_USER else "hand"
            if r.owner is None:
                k.pooled = False
        return k

    def _is_older(self, r: Record, stamp: int) -> bool:
        """Whether a row, or a whole file, is from before what the CRM has shown already; then it says nothing, also not that the record is gone."""
        return r.id in self.known and stamp < self.known[r.id].base_stamp

    def _shows(self, k: Known, r: Record) -> None:
        if k.base != r.owner:
            k.base, k.base_stamp = r.owner, r.stamp

    def _decided(self, record: str, owner: Holder, by: str) -> None:
        k = self.known[record]
        if owner != k.owner:
            if k.owner != k.base:
                k.decided.append(k.owner)
            k.former, k.owner = k.owner, owner
            k.since, k.first = (self.today if owner else None), None
            k.by = by

    # who may hold, and who may receive
    def may_hold(self, rep: Holder) -> bool:
        return rep is not None and not (rep in self.company.ends and self.company.ends[rep] <= self.today)

    def able(self, rep: str) -> bool:
        return self.may_hold(rep) and not any(who == rep and a <= self.today < b for who, a, b in self.company.leaves)

    def receives(self, rep: str, holder: Holder) -> bool:
        return self.may_hold(rep) if rep == holder else self.able(rep)

    def _account(self, r: Record, quarter: int) -> Decision:
        k = self.known[r.id]
        asked, k.asked = k.asked, None
        if k.owner is not None and k.since is not None and self.today < k.since + WINDOW:
            return Decision(k.owner, "protected", k.since + WINDOW) if self.may_hold(k.owner) else Decision("house", "protected")
        if r.flag == "ask" and self.may_hold(k.owner):
            k.asked = asked or self.today
            return Decision(k.owner, "ask", k.asked + ASK)
        rep = covers(quarter).get(r.country)
        if rep is None:
            return Decision(None, "rest")
        return Decision(rep if self.receives(rep, k.owner) else "house", r.country)

    def _staged(self, record: str, k: Known, owner: Holder) -> set[tuple[str, str, str, str]]:
        """What the former owner is still credited with: stage by stage from the handover on, which may be today's."""
        former, since = (k.owner, self.today) if owner != k.owner else (k.former, k.since)
        if former is None or owner is None or since is None or former == owner:
            return set()
        stage = (self.today - since) // STAGE
        if stage >= len(SHARES):
            return set()
        until, share = str(since + (stage + 1) * STAGE), SHARES[stage]
        return {(record, former, str(share), until), (record, owner, str(100 - share), until)}

    def _lead(self, r: Record) -> Decision:
        k = self.known[r.id]
        if r.converted:
            return Decision(k.owner, "closed")
        if k.pooled and self.may_hold(k.owner):
            return Decision(k.owner, "in")
        k.pooled = True
        return Decision(self._turn(), "in")

    def _turn(self) -> str:
        """The next of those who are able: the one with most credit, by id where several have as much."""
        able = [rep for rep in DESK if self.able(rep)]
        if not able:
            return "house"
        rep = min(able, key=lambda x: (-self.credit[x], x))
        owed = [x for x in DESK if x not in able and self.may_hold(x) and self.credit[x] < DEBT]
        for x in (*able, *owed):
            self.credit[x] += Fraction(1, len(able) + len(owed))
        self.credit[rep] -= 1
        return rep
