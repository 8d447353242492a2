"""`roe audit`: shadow mode. Where today's owners differ from what the policy says."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import click

from roe.cli.common import as_of_option, bind, data_option, load, policy_argument, state_option, table
from roe.cli.terminal import document
from roe.progress import counted


@click.command("audit")
@policy_argument
@data_option
@as_of_option
@state_option
@click.option("--format", "shape", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True, help="Output format.")
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

    def key(rep: str | None) -> str | None:
        return bound.world.rep_of(rep).written if rep is not None else None

    def label(rep: str | None) -> str | None:
        return bound.world.rep_of(rep).label if rep is not None else None

    def who(owner: str | None, name: str | None) -> str:
        return "nobody" if owner is None else f"{name} ({owner})" if name and name != owner else owner

    rows = [
        {
            "entity": d.entity, "record": d.row.written, "name": d.name, "role": d.role,
            "crm_owner": key(d.previous), "crm_owner_name": label(d.previous), "policy_owner": key(d.owner), "policy_owner_name": label(d.owner),
            "rule": d.rule or "(no rule)", "crm_reason": crm_reason(d), "policy_reason": d.reason,
        }
        for d in sorted(differ, key=lambda d: (d.entity, d.id, d.role))
    ]  # fmt: skip
    by_rule = Counter((f"{d.entity}.{d.role}", d.rule or "(no rule)") for d in differ)
    gains, losses = Counter(d.owner for d in differ if d.owner), Counter(d.previous for d in differ if d.previous)
    if shape == "json":
        by_rep = {key(rep): {"name": label(rep), "gains": gains[rep], "loses": losses[rep]} for rep in sorted({*gains, *losses})}
        rules = [{"records": k, "rule": rule, "differ": n} for (k, rule), n in by_rule.most_common()]
        from roe.data.report import report_of

        read = report_of(bound.world.readings)
        found = {"records": len(decisions), "differ": rows, "rules": rules, "reps": by_rep, "reading": read}
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    elif shape == "csv":
        from roe.data.files import csv_text

        header = [
            "entity",
            "record",
            "name",
            "role",
            "crm_owner",
            "crm_owner_name",
            "policy_owner",
            "policy_owner_name",
            "rule",
            "crm_reason",
            "policy_reason",
        ]
        document(csv_text(header, ([r[h] for h in header] for r in rows)))
    else:
        click.echo(f"{len(differ)} of {len(decisions)} allocations differ from today's owners.\n")
        if differ:
            shares = Counter((f"{d.entity}.{d.role}", d.rule or "(no rule)") for d in decisions)
            click.echo(
                table(
                    ([k, rule, n, shares[k, rule]] for (k, rule), n in by_rule.most_common()), ["records and role", "rule", "differ", "of"]
                )
            )
            click.echo()
            reps = sorted({*gains, *losses}, key=lambda r: (-gains[r] - losses[r], r))
            click.echo(
                table(([label(r), key(r), gains[r], losses[r], gains[r] - losses[r]] for r in reps), ["rep", "id", "gains", "loses", "net"])
            )
            for r in rows[:limit]:
                click.echo(f"\n{r['name']} ({r['entity']} {r['record']}), {r['role']}")
                click.echo(f"  CRM:    {who(r['crm_owner'], r['crm_owner_name'])}; {r['crm_reason']}")
                click.echo(f"  policy: {who(r['policy_owner'], r['policy_owner_name'])}; {r['policy_reason']} (rule {r['rule']})")
            if len(rows) > limit:
                click.echo(f"\n{len(rows) - limit} more: --limit {len(rows)}, or --format csv")
    sys.exit(1 if differ else 0)


def crm_reason(d: object) -> str:
    """All that the data says about why today's owner owns it."""
    row, role = d.row, d.role  # type: ignore[attr-defined]
    typed = row.world.typed.get(row.entity)
    column = typed.columns.get(f"owner.{role}") if typed else None
    since = row["owner_since"]
    if column is None:
        return "the data has no owner for this role"
    return f"column `{column}`" + (f", since {since}" if since else "")
