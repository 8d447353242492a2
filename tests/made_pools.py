"""Random pools over several nights: leads of few companies, some of which reps have already, in two roles, with a CRM that loads what was decided.

The policies have little but pools, so that hundreds of nights can be compared.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import roe
from made_policies import ask_a_second_pool
from made_worlds import write_csv
from roe.evaluator.engine import Evaluator

REPS = ("ann", "ben", "cy", "dee", "eve", "flo")
MEMBERS = ('rep.team = "A"', 'rep.team = "B"', 'rep.team = lead.region', 'rep.team = "A" or rep.level > lead.level', 'rep.level > 0')  # fmt: skip
CAPS: tuple[dict[str, Any], ...] = (
    {"per_day": 4}, {"open_leads": 6}, {"open_leads": "rep.level * 3"}, {"per_week": 7, "open_leads": 9}, {"per_day": "if lead.level > 2 then 2 else 6"},
)  # fmt: skip
TOGETHER: tuple[Any, ...] = (
    "lead.company",
    "lead.company",
    "never",
    {"by": "lead.company", "within": "20 days"},
    "lead.region",
    "lead.level",
)
WHEN = ("lead.level > 2", 'lead.region = "A"', "lead.owner.{role} = null", "lead.owner.{role} = null", "true")
STATUS = ("new", "open", "closed")


class Nights:
    """A policy of pools in a folder, and its leads night after night."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.rng, self.folder, self.number = random.Random(seed), folder, 0
        self.roles = ["sdr", "ae"][: 1 + (seed % 3 == 0)]
        folder.mkdir()
        policy = self._policy()
        more = random.Random(f"{seed} else")
        self.has_second = more.random() < 0.5
        if self.has_second:
            ask_a_second_pool(more, policy["pools"], [rule for rules in policy["engagement"]["lead"].values() for rule in rules])
        (folder / "policy.yaml").write_text(json.dumps(policy), "utf-8")
        self.leads = [self._lead(f"L{i:03}", self.rng.random() < 0.5) for i in range(60)]
        (folder / "data").mkdir()
        self.reps = [
            {"id": x, "name": x.title(), "team": self._one("A", "B"), "level": self.rng.randrange(1, 5), "active": "true"} for x in REPS
        ]

    @property
    def evaluator(self) -> Evaluator:
        return roe.compile(roe.load(self.folder))

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def as_of(self) -> str:
        return str(date(2026, 2, 1) + timedelta(days=self.number)) + "T10:00"

    def _one(self, *values: Any) -> Any:
        return self.rng.choice(values)

    def _policy(self) -> dict[str, Any]:
        rng, pools, is_plain = self.rng, {}, self.rng.random() < 0.4  # pools that are the same for all leads that nobody has
        for name, fallback in (("p", "q"), ("q", rng.choice(["zoe", None])), ("r", "p")):
            pool: dict[str, Any] = {"members": rng.choice(MEMBERS[:2] if is_plain else MEMBERS), "together": rng.choice(TOGETHER)}
            pool |= {"fallback": fallback} if fallback is not None else {}
            pool["strategy"] = rng.choice(
                ["round_robin", "weighted"] if is_plain else ["round_robin", "weighted", "top_score", "least_loaded"]
            )
            pool |= {"weight": "rep.level"} if pool["strategy"] == "weighted" else {}
            pool |= (
                {"score": rng.choice(["rep.level", "if rep.team = lead.region then rep.level else 0"])}
                if pool["strategy"] == "top_score"
                else {}
            )
            for key, value, often in (
                ("caps", rng.choice(CAPS[:1] if is_plain else CAPS), 0.5), ("sticky", rng.choice(["lead.owner", "lead.hint"]), 0.2),
                ("sla", rng.choice([{"within": "1 day", "escalate": "zoe"}, {"within": "4 working hours", "times": 1}, {"within": "1 day", "grace": "1 day"}]), 0.3),
                ("credit_back", [{"name": "closed", "when": 'lead.note = "bad"'}], 0.3),
            ):  # fmt: skip
                if rng.random() < often:
                    pool[key] = value
            pools[name] = pool
        rules = {}
        for role in self.roles:
            some = [
                {
                    "name": f"p{i}",
                    "when": rng.choice(WHEN[2:4] if is_plain else WHEN).format(role=role),
                    "then": {"route": rng.choice("pqr")},
                }
                for i in range(rng.randrange(1, 4))
            ]
            rules[role] = [*some, {"name": "rest", "then": "keep"}]
        fields = {
            "lead": {"region": {"type": "string"}, "level": {"type": "number"}, "hint": {"type": "string"}, "note": {"type": "string"}}
        }
        fields["rep"] = {"level": {"type": "number"}}
        return {
            "roe": 1,
            "name": "t",
            "timezone": "UTC",
            "roles": self.roles,
            "fields": fields,
            "pools": pools,
            "engagement": {"lead": rules},
        }

    def _lead(self, record: str, is_owned: bool) -> dict[str, Any]:
        rng, known = self.rng, [*REPS, "ghost", None]
        return {
            "id": record, "name": record, "created": f"2026-01-{rng.randrange(1, 28):02}", "company": self._one(*(f"C{i}" for i in range(14)), None),
            "region": self._one("A", "B", None), "level": self._one(1, 2, 3, 4), "hint": self._one("ann", "ben", None, None),
            "status": self._one("open", "open", "closed"), "note": self._one("bad", "", "", ""),
            "owner": rng.choice(known) if is_owned else None, "owner_sdr" if self.roles[0] != "sdr" else "owner_ae": None,
        } | ({"owner_ae": rng.choice(known) if rng.random() < 0.3 else None} if len(self.roles) > 1 else {})  # fmt: skip

    def write(self) -> None:
        """The data of this night, with a call for some of the leads."""
        rng = self.rng
        calls = [{"id": f"T{i}", "lead": x["id"], "rep": x["owner"] or "ann", "at": f"2026-02-0{rng.randrange(1, 4)}T11:00:00Z", "type": "call"} for i, x in enumerate(self.leads) if rng.random() < 0.3]  # fmt: skip
        for name, rows in (("leads", self.leads), ("reps", [*self.reps, {"id": "zoe", "name": "Zoe", "team": "", "level": 0, "active": "true"}]), ("activities", calls)):  # fmt: skip
            write_csv(self.data / f"{name}.csv", list(dict.fromkeys(key for row in rows for key in row)), rows)

    def a_day_passes(self, decided: Iterable[Mapping[str, str]]) -> None:
        """The CRM loads most of what was decided, people move a few, leads come and close, and a rep may leave."""
        rng = self.rng
        self.number += 1
        loaded = {(x["record"], x["role"]): x["owner"] for x in decided if rng.random() < 0.8}
        for lead in self.leads:
            for role, column in zip(self.roles, ("owner", "owner_ae"), strict=False):
                if (lead["id"], role) in loaded:
                    lead[column] = loaded[lead["id"], role] or None
                if rng.random() < 0.05:
                    lead[column] = rng.choice([*REPS, None])
            if rng.random() < 0.1:
                lead |= {"note": rng.choice(["bad", ""]), "status": rng.choice(["open", "closed"])}
        self.leads += [self._lead(f"M{self.number}{i:02}", rng.random() < 0.1) for i in range(20)]
        self.leads = [lead for lead in self.leads if rng.random() > 0.03]
        for rep in self.reps:
            rep["active"] = "false" if rng.random() < 0.1 else "true"
