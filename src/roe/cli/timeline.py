"""`roe timeline`: the windows and claims of a record over time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from roe.cli.common import as_of_option, bind, data_option, fail, load, policy_argument, state_option, table
from roe.cli.explain import find_record
from roe.diagnostics import Diagnostic
from roe.source import Span


@click.command("timeline")
@click.argument("record")
@policy_argument
@data_option
@as_of_option
@state_option
@click.option("--format", "shape", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Output format.")
def command(record: str, policy: Path | None, data: Path, as_of: str, state: str | None, shape: str) -> None:
    """Show every state of RECORD's windows: when it starts and ends, and what caused it.

    States after --as-of are a forecast: what happens if nobody does anything more.
    """
    from roe.analysis.timeline import timeline

    evaluator = load(policy)
    bound = bind(evaluator, data, as_of, state)
    row = find_record(bound, record)
    if not any(w.entity == row.entity for w in evaluator.policy.plan.windows):
        at = Span(str(evaluator.policy.root), 1, 1, 1)
        fail([Diagnostic("R501", f"the policy has no windows for {row.entity} records", at, "add `windows:` or `claims:`")])
    now = bound.world.clock.now
    found = timeline(bound, row)
    if shape == "json":
        click.echo(json.dumps({"record": row["id"], "as_of": now.isoformat(), "states": [s.as_json() for s in found]}, indent=2))
        return
    click.echo(f"{row.label} ({row.entity} {row['id']})\n")
    lines = [[s.window, _mark(s, now) + s.state.replace("_", " "), _shown(s.start), _shown(s.until), s.cause[:30]] for s in found]
    click.echo(table(lines, ["window", "state", "from", "until", "because"]))
    click.echo("\n* now; + if nothing more happens")


def _mark(state: Any, now: Any) -> str:
    return "+ " if state.start > now else "* " if state.until is None or now < state.until else "  "


def _shown(at: Any) -> str:
    return "" if at is None else f"{at:%Y-%m-%d}" if (at.hour, at.minute) == (0, 0) else f"{at:%Y-%m-%d %H:%M}"
