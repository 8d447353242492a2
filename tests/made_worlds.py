"""Random worlds for comparing engines: a policy of one of some kinds, its data night after night, and a CRM that loads what was decided.

`made_policies` has the rules, scores, tables and most cells; here is what takes several nights, and what decides into how many tasks
records can go.
"""

from __future__ import annotations

import csv
import pickle
import random
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import roe
from made_features import FEATURES, KINDS, OWN, Draft, alone
from made_policies import LEAD, MODELS, REPS, SEGMENTS, condition, make_data, policy_of, write_policy
from made_without import WITHOUT
from roe.evaluator.engine import Evaluator
from roe.policy.standard import FILES

FIRST = date(2026, 2, 1)
CRM_OWNER = {"ae": "owner", "sdr": "owner_sdr"}  # the column of each role

BY_RECORD = [  # members that depend on the record that is handed out
    'rep.team = "SMB" or rep.team = {e}.segment', "rep.capacity >= {e}.employees / 100", "rep.team = {e}.segment and rep.active != false",
    'rep.role = "SDR" or {e}.employees > 100', 'rep.team != "Ent"',
]  # fmt: skip
WEIGHTS = ["rep.ramp", "if {e}.employees > 100 then rep.ramp else 1", "rep.capacity"]
CAPS: list[dict[str, Any]] = [
    {"per_day": "rep.capacity"}, {"open_leads": 9}, {"open_accounts": 12}, {"per_day": "if {e}.employees > 100 then 2 else 6"},
    {"per_week": 7, "open_leads": "rep.capacity + 1"},
]  # fmt: skip


def world_of(seed: int, folder: Path, leave_out: str = "") -> World:
    return World(seed, folder, leave_out)


class World:
    """A policy and its data in a folder. Records are rows of texts, numbers and nulls, as `make_data` has them. One feature can be left
    out, and all else is as it was.
    """

    def __init__(self, seed: int, folder: Path, leave_out: str = "") -> None:
        self.rng, self.folder, self.kind = random.Random(seed), folder, KINDS[seed % len(KINDS)]
        self.data = folder / "data"
        self.headers: dict[str, list[str]] = {}  # of tables without rows; one that has none is not there
        rng, kind = self.rng, self.kind
        families = kind in OWN and rng.random() < 0.6
        policy = policy_of(rng, apart=kind in OWN, families=families)
        if families:
            self._ranks(policy)
        self.tables = make_data(rng, rng.choice([40, 40, 40, 1]))
        self.in_parquet = rng.random() < 0.3
        self.options = {"form": "csv", "turns": ""} | self._some({"form": "parquet", "turns": "parquet"})
        self._of_kind(policy)
        for name in ("modified_at", "deleted"):
            if rng.random() < 0.3:
                self._stamp(name)
        self.draft = Draft(kind, policy, self.tables)
        if kind in ("account pools", "leads") and rng.random() < 0.4:  # else some of the companies that wait have owners already
            for row in self.draft.rows:
                row.update(dict.fromkeys(CRM_OWNER.values()))
        self.features = self._add_features(seed, leave_out)
        self.decided = self.draft.decided
        for entity in rng.sample(sorted(FILES.keys() & self.tables), rng.choice([0, 0, 0, 1])):
            self.headers[entity] = _header(self.tables[entity]) if entity in self.decided or rng.random() < 0.5 else []
            self.tables[entity] = []
        write_policy(policy, folder)
        for name, text in self.draft.files.items():
            (folder / name).write_text(text, "utf-8")
        self.number = 0

    def _add_features(self, seed: int, leave_out: str) -> set[str]:
        """Add what this world has, each from a chance of its own; their names."""
        names = set()
        for name, feature in FEATURES.items():
            rng = random.Random(f"{seed} {name}")
            if feature.is_in(self.draft, rng):
                names.add(name)
                if name != leave_out:
                    feature.add(self.draft, rng)
        whole = pickle.dumps(self.draft)  # read back in a fifth of the time that a deep copy takes
        for name, (without, _) in WITHOUT.items():
            left = pickle.loads(whole)
            without(left)
            if left != self.draft:
                names.add(name)
            if name == leave_out:
                without(self.draft)
                whole = pickle.dumps(self.draft)
        return names

    @cached_property
    def evaluator(self) -> Evaluator:
        return roe.compile(roe.load(self.folder))

    @property
    def as_of(self) -> str:
        return str(FIRST + timedelta(days=self.number)) + ("T09:30" if self.number % 2 else "")

    # --- the policy ---------------------------------------------------------------------------------------------------

    def _of_kind(self, policy: dict[str, Any]) -> None:
        """What the kind of a world takes from a policy, and adds to it."""
        rng, kind = self.rng, self.kind
        if kind == "leads":
            del policy["engagement"]["account"]
            for name in ("claims", "holdovers"):
                policy.pop(name, None)
            policy["scores"].pop("place", None)
            if rng.random() < 0.7:  # what looks at the activities of accounts keeps all leads together
                policy["matching"]["tie_break"] = [{"least": "account.employees"}]
                for rule in policy["engagement"]["lead"]["sdr"]:
                    rule["when"] = condition(rng, alone(LEAD))
        if kind in ("account pools", "leads"):
            self._hand_out(policy, "lead" if kind == "leads" else "account")

    def _ranks(self, policy: dict[str, Any]) -> None:
        """Places among all accounts, and events of accounts."""
        rng = self.rng
        of, within = rng.choice(["account.points", "account.revenue", "count(account.activities)", "account.parent.employees"]), ["account.owner.ae.team", "account.country", "account.territory.region", "account.parent.segment"]  # fmt: skip
        rung: dict[str, Any] = {"of": of, "tiers": {"top": 10, "rest": 90}, **self._some({"ties": "strict", "within": rng.choice(within)})}
        policy["scores"] |= {"place": MODELS["place"], "rung": {"rank": rung}}
        big = rng.choice(
            ["account.employees > 100", 'account.place.tier = "A"', "account.parent.points > 2", "account.parent.owner.ae != null"]
        )
        policy |= self._some(
            {"events": {"account.big": {"when": big, "rearm": "account.employees < 50", "because": "{account.parent.name}"}}}
        )

    def _some(self, sections: dict[str, Any]) -> dict[str, Any]:
        return {name: section for name, section in sections.items() if self.rng.random() < 0.4}

    def _hand_out(self, policy: dict[str, Any], entity: str) -> None:
        """Pools that look at the records that they hand out, and rules that ask them."""
        rng = self.rng
        policy["fields"].setdefault("lead", {})["segment"] = {"type": "string"}
        texts = [x.format(e=entity) for x in BY_RECORD], [x.format(e=entity) for x in WEIGHTS]
        for name, fallback in (("p", "q"), ("q", "eve"), ("r", "p")):
            strategy = rng.choice(["round_robin", "weighted", "top_score", "least_loaded"])
            pool: dict[str, Any] = {"members": rng.choice(texts[0]), "strategy": strategy, "fallback": fallback}
            pool |= {"weight": rng.choice(texts[1])} if strategy == "weighted" else {}
            pool |= {"score": f"if rep.team = {entity}.segment then rep.capacity else 0"} if strategy == "top_score" else {}
            caps = {cap: x.format(e=entity) if isinstance(x, str) else x for cap, x in rng.choice(CAPS).items()}
            pool |= self._some({"caps": caps, "sticky": f"{entity}.owner", "debt": 0, "hours": "working"})
            pool |= self._some({"sla": {"within": "1 day", "escalate": "vp"}})
            pool["together"] = rng.choice([f"{entity}.name", "never", {"by": f"{entity}.country", "within": "2 months"}])
            policy.setdefault("pools", {})[name] = pool
        if any("debt" in pool for pool in policy["pools"].values()):  # somebody who was away is back on the second night
            self.tables["leave"].append({"id": "back", "rep": REPS[0], "starts": "2026-01-15", "until": "2026-02-02", "cover": None})
        if rng.random() < 0.2:
            policy["pools"]["p"]["credit_back"] = [{"name": "moved", "when": f"{entity}.owner.sdr != rep"}]
        for roles in policy["engagement"][entity].values():
            for n in range(rng.randrange(1, 4)):
                rule = {
                    "name": f"p{n}",
                    "when": rng.choice([f"{entity}.employees > 50", f'{entity}.country = "US"', "true"]),
                    "then": {"route": rng.choice("pqr")},
                }
                roles.insert(rng.randrange(len(roles) + 1), rule)

    def some_ids(self, some: int) -> list[str]:
        """Ids of records that are decided."""
        ids = sorted({str(row["id"]) for entity in self.decided for row in self.tables[entity]})
        return random.Random(self.number).sample(ids, min(some, len(ids)))

    # --- the data -----------------------------------------------------------------------------------------------------

    def _stamp(self, name: str) -> None:
        """A column that says when a row was changed last, or that its record is deleted."""
        for entity in ("account", "lead"):
            for row in self.tables[entity]:
                row[name] = self._stamped(name)

    def _stamped(self, name: str) -> str:
        stamps = [f"2026-01-{self.rng.randrange(1, 32):02}T12:30:00Z"]
        return self.rng.choice(stamps if name == "modified_at" else ["", "", "", "yes"])

    def write(self) -> None:
        """The data of this night."""
        self.data.mkdir(exist_ok=True)
        for entity, rows in self.tables.items():
            header = _header(rows) or self.headers.get(entity)
            if not header:
                continue
            self.headers[entity] = header
            path = self.data / FILES.get(entity, (f"{entity}s",))[0]
            if self.in_parquet:
                write_parquet(path.with_suffix(".parquet"), header, rows)
            else:
                write_csv(path.with_suffix(".csv"), header, rows)

    def a_day_passes(self, decided: Iterable[Mapping[str, str]]) -> None:
        """The CRM loads most of what was decided (lines of allocations.csv); people move some records; others come, change, or are gone."""
        rng = self.rng
        self.number += 1
        loads = {(x["entity"], x["record"], x["role"]): x["owner"] for x in decided if rng.random() < 0.7}
        for entity, rows in self.tables.items():
            if entity not in ("account", "lead", "opportunity"):
                continue
            for row in rows:
                for role, column in CRM_OWNER.items():
                    key = entity, str(row["id"]), role
                    if key in loads and (column in row or entity != "opportunity"):
                        row[column] = loads[key] or None
                    if rng.random() < 0.05 and column in row and self.draft.hands:
                        row[column] = rng.choice([*REPS, None, "ghost"])
                if rng.random() < 0.1 and "employees" in row:
                    row["employees"] = rng.choice([0, 10, 100, 500, None])
                if rng.random() < 0.1 and "segment" in row:
                    row["segment"] = rng.choice([*SEGMENTS, None])
                for name in ("modified_at", "deleted"):
                    if name in row and rng.random() < 0.3:
                        row[name] = self._stamped(name)
            kept = [row for row in rows if rng.random() > 0.05]
            rows[:] = [*kept, *({**row, "id": f"{row['id']}n{self.number}"} for row in rng.sample(kept, len(kept) // 10))]
        for row in self.tables["rep"]:
            if rng.random() < 0.1:
                row["active"] = rng.choice(["true", "false"])


def _header(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row if name != "$line"))


def write_tables(folder: Path, tables: Mapping[str, list[dict[str, Any]]]) -> None:
    """Tables with rows, as CSV files."""
    folder.mkdir(parents=True, exist_ok=True)
    for entity, rows in tables.items():
        if rows:
            write_rows(folder / f"{FILES[entity][0]}.csv", rows)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    write_csv(path, _header(rows), rows)


def write_csv(path: Path, header: list[str], rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(path: Path, header: list[str], rows: list[dict[str, Any]]) -> None:
    """Columns of one type as that type, all others as texts; in small row groups."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = {}
    for name in header:
        values = [row.get(name) for row in rows]
        types = {type(x) for x in values if x is not None}
        is_typed = types in ({bool}, {int}, {float}) or (
            types == {int, float} and all(int(float(x)) == x for x in values if type(x) is int)
        )
        columns[name] = pa.array(values) if is_typed else pa.array([None if x is None else str(x) for x in values], pa.string())
    parquet.write_table(pa.table(columns), path, row_group_size=7)
