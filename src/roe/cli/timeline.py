"""`roe timeline`: the windows and claims of a record over time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from roe.analysis.timeline import timeline
from roe.cli.common import WithMinus, as_of_option, bind, clock, data_option, format_option, large, load, policy_argument, state_option
from roe.cli.explain import find_record
from roe.cli.ledger import open_ledger
from roe.cli.one import RecordQuestion, all_instead, taken_out
from roe.cli.table import table
from roe.data.lookup import CannotLookUp
from roe.diagnostics import user_error
from roe.dynamic import Value
from roe.ledger.history import because
from roe.ledger.store import exists

if TYPE_CHECKING:
    from roe.evaluator.bound import Bound
    from roe.evaluator.engine import Evaluator
    from roe.evaluator.row import Row
    from roe.evaluator.world import World


@click.command("timeline", cls=WithMinus)
@click.argument("record")
@policy_argument
@data_option
@as_of_option
@state_option
@format_option("text", "json")
def command(record: str, policy: Path | None, data: Path, as_of: str, state: str | None, shape: str) -> None:
    """Show who owned RECORD when, and every state of its windows: when it starts and ends, and what caused it.

    Earlier owners are those in the ledger (--state); without one, today's owners are shown.

    States after --as-of are a forecast: what happens if nobody does anything more.
    """
    evaluator = load(policy)
    bound, row = _found(evaluator, data, as_of, state, record)
    owners = _from_ledger(state, row, bound.world) or _of_today(row)
    if state is None and not any(w.entity == row.entity for w in evaluator.policy.plan.windows):
        raise user_error(
            "R501", f"the policy has no windows for {row.entity} records", evaluator.policy.root, "add `windows:` or `claims:`"
        )
    now = bound.world.clock.now
    entries = timeline(bound, row)
    if shape == "json":
        click.echo(
            json.dumps(
                {"record": row["id"], "as_of": now.isoformat(), "owners": owners, "states": [s.as_json() for s in entries]}, indent=2
            )
        )
        return
    click.echo(f"{row.label} ({row.entity} {row['id']})\n")
    if owners:
        rows = [[x["role"], x["owner"] or "nobody", x["from"] or "not known", x["until"] or "", (x["because"] or "")[:30]] for x in owners]
        click.echo(table(rows, ["role", "owner", "from", "until", "because"]) + "\n")
    if not entries:
        return
    lines = [[s.window, _mark(s, now) + s.state.replace("_", " "), _shown(s.start), _shown(s.until), s.cause[:30]] for s in entries]
    click.echo(table(lines, ["window", "state", "from", "until", "because"]))
    click.echo("\n* now; + if nothing more happens")


def _found(evaluator: Evaluator, data: Path, as_of: str, state: str | None, record: str) -> tuple[Bound, Row]:
    """The record that a text means, and a bound evaluator over it: alone, with what belongs to it, where the data is large."""
    if data.exists() and large(data):
        try:
            return taken_out(RecordQuestion(evaluator, data, clock(evaluator, as_of), state, record))
        except CannotLookUp as e:
            all_instead(e)
    bound = bind(evaluator, data, as_of, state)
    return bound, find_record(bound, record)


def _from_ledger(state: str | None, row: Row, world: World) -> list[dict[str, str | None]]:
    """Every owner that the ledger knows of a record, by role and time."""
    if state is None or not exists(state):
        return []

    with open_ledger(state) as store:
        held = store.history_of(row.entity, str(row["id"]))
    return [
        {
            "role": h.role, "owner": (rep.label if (rep := world.rep(h.rep)) is not None else None) or (f"queue {h.queue}" if h.queue else None),
            "from": None if h.since_unknown else str(h.start.date), "until": None if h.stop is None else str(h.stop.date), "because": because(h),
        }
        for h in held
    ]  # fmt: skip


def _of_today(row: Row) -> list[dict[str, str | None]]:
    """Who owns a record by the data, and since when."""
    entries = []
    for role, rep in row["owner"].items() if isinstance(row["owner"], dict) else ():
        if rep is not None:
            since = row["owner_since"] if role == row.world.policy.roles[0] else None
            entries.append(
                {"role": role, "owner": rep.label, "from": str(since)[:10] if since else None, "until": None, "because": "as the data says"}
            )
    return entries


def _mark(state: Value, now: Value) -> str:
    return "+ " if state.start > now else "* " if state.until is None or now < state.until else "  "


def _shown(at: Value) -> str:
    return "" if at is None else f"{at:%Y-%m-%d}" if (at.hour, at.minute) == (0, 0) else f"{at:%Y-%m-%d %H:%M}"
