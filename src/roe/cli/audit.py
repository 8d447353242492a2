"""`roe audit`: shadow mode. Where today's owners differ from what the policy says."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from roe.cli.common import as_of_option, bind, data_option, format_option, load, policy_argument, put_json, state_option
from roe.cli.table import table
from roe.cli.terminal import document
from roe.data.report import report_of
from roe.dynamic import Json
from roe.progress import counted

if TYPE_CHECKING:
    from roe.evaluator.bound import Bound
    from roe.evaluator.decision import Decision


@click.command("audit")
@policy_argument
@data_option
@as_of_option
@state_option
@format_option("text", "json", "csv")
@click.option("--limit", default=20, show_default=True, help="Number of differing records to show as text.")
def command(policy: Path | None, data: Path, as_of: str, state: str | None, shape: str, limit: int) -> None:
    """Compare today's owners in the CRM with the policy. Changes nothing.

    Exits with 1 if any record differs.
    """
    evaluator = load(policy)
    bound = bind(evaluator, data, as_of, state, say=shape != "json")
    total = sum(len(bound.world.rows[entity]) for entity, _ in bound.plan.engagement)
    decisions = list(counted(bound.decide_all(), total, "auditing"))
    differ = [d for d in decisions if d.owner != d.previous and d.action not in ("refer", "hold")]

    audit = Audit(bound, decisions, differ)
    if shape == "json":
        put_json(audit.as_json())
    elif shape == "csv":
        from roe.data.files import csv_text

        document(csv_text(COLUMNS, ([row[name] for name in COLUMNS] for row in audit.rows())))
    else:
        audit.show(limit)
    sys.exit(1 if differ else 0)


COLUMNS = (
    "entity", "record", "name", "role", "crm_owner", "crm_owner_name", "policy_owner", "policy_owner_name", "rule", "crm_reason", "policy_reason",
)  # fmt: skip


class Audit:
    """The decisions that differ from today's owners, and what they add up to by rule and by rep."""

    def __init__(self, bound: Bound, decisions: list[Decision], differ: list[Decision]) -> None:
        self.world, self.readings = bound.world, bound.world.readings
        self.decisions, self.differ = decisions, differ
        self.by_rule = Counter(map(_rule_of, differ))
        self.gains, self.losses = Counter(d.owner for d in differ if d.owner), Counter(d.previous for d in differ if d.previous)

    def _key(self, rep: str | None) -> str | None:
        return self.world.rep_of(rep).written if rep is not None else None

    def _label(self, rep: str | None) -> str | None:
        return self.world.rep_of(rep).label if rep is not None else None

    def rows(self) -> list[Json]:
        """One row for each decision that differs, with `COLUMNS`."""
        return [
            {
                "entity": d.entity, "record": d.row.written, "name": d.name, "role": d.role,
                "crm_owner": self._key(d.previous), "crm_owner_name": self._label(d.previous),
                "policy_owner": self._key(d.owner), "policy_owner_name": self._label(d.owner),
                "rule": d.rule or "(no rule)", "crm_reason": crm_reason(d), "policy_reason": d.reason,
            }
            for d in sorted(self.differ, key=lambda d: (d.entity, d.id, d.role))
        ]  # fmt: skip

    def as_json(self) -> Json:
        reps = sorted({*self.gains, *self.losses})
        return {
            "records": len(self.decisions),
            "differ": self.rows(),
            "rules": [{"records": records, "rule": rule, "differ": n} for (records, rule), n in self.by_rule.most_common()],
            "reps": {self._key(rep): {"name": self._label(rep), "gains": self.gains[rep], "loses": self.losses[rep]} for rep in reps},
            "reading": report_of(self.readings),
        }

    def show(self, limit: int) -> None:
        """Print what differs by rule and by rep, then the first records."""
        click.echo(f"{len(self.differ)} of {len(self.decisions)} allocations differ from today's owners.\n")
        if not self.differ:
            return
        shares = Counter(map(_rule_of, self.decisions))
        by_rule = ([records, rule, n, shares[records, rule]] for (records, rule), n in self.by_rule.most_common())
        click.echo(table(by_rule, ["records and role", "rule", "differ", "of"]))
        click.echo()
        gains, losses = self.gains, self.losses
        reps = sorted({*gains, *losses}, key=lambda r: (-gains[r] - losses[r], r))
        by_rep = ([self._label(r), self._key(r), gains[r], losses[r], gains[r] - losses[r]] for r in reps)
        click.echo(table(by_rep, ["rep", "id", "gains", "loses", "net"]))
        rows = self.rows()
        for r in rows[:limit]:
            click.echo(f"\n{r['name']} ({r['entity']} {r['record']}), {r['role']}")
            click.echo(f"  CRM:    {_who(r['crm_owner'], r['crm_owner_name'])}; {r['crm_reason']}")
            click.echo(f"  policy: {_who(r['policy_owner'], r['policy_owner_name'])}; {r['policy_reason']} (rule {r['rule']})")
        if len(rows) > limit:
            click.echo(f"\n{len(rows) - limit} more: --limit {len(rows)}, or --format csv")


def _rule_of(d: Decision) -> tuple[str, str]:
    return f"{d.entity}.{d.role}", d.rule or "(no rule)"


def _who(owner: str | None, name: str | None) -> str:
    return "nobody" if owner is None else f"{name} ({owner})" if name and name != owner else owner


def crm_reason(d: Decision) -> str:
    """All that the data says about why today's owner owns it."""
    typed = d.row.world.typed.get(d.entity)
    column = typed.columns.get(f"owner.{d.role}") if typed else None
    if column is None:
        return "the data has no owner for this role"
    return f"column `{column}`" + (f", since {d.since}" if d.since and d.previous else "")
