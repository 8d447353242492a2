"""`roe explain`: who owns a record, why, until when, and why not somebody else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from roe.cli.common import bind, color, fail, load, policy_argument, state_option, table
from roe.diagnostics import Diagnostic, PolicyError, suggest
from roe.source import Span


@click.command("explain")
@click.argument("record")
@policy_argument
@click.option("--data", type=click.Path(path_type=Path), help="The folder with the records; not needed with a --run that kept its traces.")
@click.option("--as-of", "as_of", metavar="WHEN", help="The date or date-time that `today` and `now` mean; a --run knows its own.")
@state_option
@click.option("--role", help="Only this role, such as ae or sdr.")
@click.option("--why-not", "why_not_rep", metavar="REP", help="Why this rep does not own it, and what would change that.")
@click.option(
    "--run",
    "run_folder",
    type=click.Path(path_type=Path),
    help="The --out folder of a run: its pool turns, or all of it if it kept traces.",
)
@click.option(
    "--format", "shape", type=click.Choice(["text", "json", "md"]), default="text", show_default=True, help="How the result is printed."
)
def command(
    record: str, policy: Path | None, data: Path | None, as_of: str | None, state: Path | None, role: str | None,
    why_not_rep: str | None, run_folder: Path | None, shape: str,
) -> None:  # fmt: skip
    """Explain who owns RECORD (an id, a name or a domain), and why."""
    if data is None and run_folder is not None:
        decisions = _from_run(run_folder, record, role)
    else:
        decisions = _from_data(record, policy, data, as_of, state, role, run_folder)
    rep = _rep(decisions[0].row.world, why_not_rep) if why_not_rep else None
    if shape == "json":
        from roe.crm.ids import spelt

        found = [
            spelt(d.trace.as_json(), d.row.world.spelling()) | ({"why_not": _route_json(d, rep)} if rep is not None else {})
            for d in decisions
        ]
        click.echo(json.dumps(found[0] if len(found) == 1 else found, indent=2, ensure_ascii=False))
        return
    from roe.evaluator.render import as_markdown, as_text

    parts = []
    for d in decisions:
        text = as_markdown(d.trace) if shape == "md" else as_text(d.trace, color())
        if rep is not None:
            text = _why_not(d, rep, shape == "md") + "\n\n" + text
        parts.append(text)
    click.echo("\n\n".join(parts), color=color())


def _from_data(
    record: str, policy: Path | None, data: Path | None, as_of: str | None, state: Path | None, role: str | None, run_folder: Path | None
) -> list[Any]:
    for option, given in (("--data", data), ("--as-of", as_of)):
        if given is None:
            at = Span(option, 1, 1, 2)
            fail([Diagnostic("R801", f"`{option}` is missing", at, "add it, or name the --run of a `roe run --trace --engine columns`")])
    assert data is not None and as_of is not None
    bound = bind(load(policy), data, as_of, state)
    if run_folder is not None:
        from roe.data.write import read_turns

        try:
            bound.turns = read_turns(run_folder)
        except PolicyError as e:
            fail(e.diagnostics)
    row = find_record(bound, record)
    return _decide(bound, row, _roles(bound.roles(row.entity), row.entity, role))


def _roles(known: list[str], entity: str, role: str | None) -> list[str]:
    if role is None:
        return known
    if role not in known:
        help = suggest(role, known, "the roles are " + ", ".join(f"`{r}`" for r in known))
        at = Span("--role", 1, 1, len(role) + 1, role)
        fail([Diagnostic("R502", f"a {entity} has no role `{role}` in this policy", at, help)])
    return [role]


def _from_run(folder: Path, record: str, role: str | None) -> list[Any]:
    """Decisions of a run that kept what it saw, made again from that alone."""
    at = Span(str(folder), 1, 1, 2)
    try:
        from roe.columns.evidence import Evidence
    except ImportError:
        fail([Diagnostic("R406", "reading a run's traces needs the packages numpy and pyarrow", at, "pip install 'roe[batch]'")])
    try:
        evidence = Evidence(folder)
        found = evidence.find(record)
        asked = Span("RECORD", 1, 1, len(record) + 1, record)
        if not found:
            fail([Diagnostic("R604", f"no record of the run answers to `{record}`", asked, "name it by id, name or domain")])
        if len(found) > 1:
            ids = ", ".join(f"{e} {i}" for e, i in found[:8])
            fail([Diagnostic("R605", f"{len(found)} records answer to `{record}`: {ids}", asked, "name the one you mean by its id")])
        entity, key = found[0]
        return [evidence.decision(entity, key, r) for r in _roles(evidence.roles(entity), entity, role)]
    except (OSError, ValueError, KeyError) as e:
        fail(
            [
                Diagnostic(
                    "R608", f"the run's traces cannot be read: {e}", at, "name the --out folder of a `roe run --trace --engine columns`"
                )
            ]
        )


def _decide(bound: Any, row: Any, roles: list[str]) -> list[Any]:
    """The decisions on one record: alone where nothing before it matters, else by replaying the run up to it."""
    stateless = row.entity == "account" and not (
        bound.plan.pools
        and any(action_routes(rule.value) for (entity, _), c in bound.plan.engagement.items() if entity == "account" for rule in c.rules)
    )
    if stateless:
        return [bound.decide(row, role) for role in roles]
    found = []
    for d in bound.decide_all():
        if d.row is row and d.role in roles:
            found.append(d)
            if len(found) == len(roles):
                break
    return found


def action_routes(action: Any) -> bool:
    while action is not None:
        if action.kind == "route":
            return True
        action = action.otherwise
    return False


def find_record(bound: Any, text: str) -> Any:
    """The one record that answers to a text; several are listed, with the way to name each."""
    entities = list(dict.fromkeys(entity for entity, _ in bound.plan.engagement))
    found = [row for entity in entities for row in bound.world.search(entity, text)]
    found = found or [row for entity in entities for row in bound.world.search(entity, text, partly=True)]
    exact = [row for row in found if row["id"] == text]
    found = exact if len(exact) == 1 else found
    at = Span("RECORD", 1, 1, len(text) + 1, text)
    if not found:
        rejected = [r for r in bound.world.rejects if text.lower() in (r.record.lower(), r.value.lower())]
        if rejected:
            r = rejected[0]
            fail(
                [
                    Diagnostic(
                        "R602",
                        f"the {r.entity} `{r.record}` was rejected: {r.reason}",
                        at,
                        f"correct `{r.field}` in line {r.line} of its file",
                    )
                ]
            )
        known = [str(x) for entity in entities for row in bound.world.rows[entity][:5000] for x in (row["id"], row.label)]
        fail([Diagnostic("R604", f"no record answers to `{text}`", at, suggest(text, known, "name it by id, name or domain"))])
    if len(found) > 1:
        rows = [[row.entity, row["id"], row.label, row["domain"] or row["email"] or "", row["country"] or ""] for row in found[:20]]
        click.echo(table(rows, ["entity", "id", "name", "domain or e-mail", "country"]), err=True)
        fail([Diagnostic("R605", f"{len(found)} records answer to `{text}`", at, "name the one you mean by its id")])
    return found[0]


def _rep(world: Any, text: str) -> Any:
    rep = world.find("rep", text)
    if rep is None:
        known = [str(x) for row in world.rows["rep"] for x in (row["id"], row.label)]
        fail(
            [
                Diagnostic(
                    "R604",
                    f"there is no rep `{text}`",
                    Span("--why-not", 1, 1, len(text) + 1, text),
                    suggest(text, known, "name the rep by id, name or e-mail"),
                )
            ]
        )
    return rep


def _route_json(d: Any, rep: Any) -> Any:
    from roe.analysis.whynot import why_not

    route = why_not(d, rep)
    return {"rep": rep["id"], "owns": d.owner == rep["id"], "route": route.as_json() if route else None}


def _why_not(d: Any, rep: Any, markdown: bool) -> str:
    from roe.analysis.whynot import why_not

    if d.owner == rep["id"]:
        return f"{rep.label} does own it as {d.role}."
    route = why_not(d, rep)
    if route is None:
        return f"No rule of this policy could give it to {rep.label} as {d.role}."
    bullet = "- " if markdown else "  - "
    lines = [f"Why not {rep.label} as {d.role}? The best route is rule `{route.rule}` ({route.how}):"]
    for o in route.obstacles:
        lines.append(f"{bullet}{o.what}")
        lines.append(f"    {o.value}" + (f"  ({o.place})" if o.place else ""))
        lines.append(f"    smallest change: {o.change}")
    return "\n".join(lines)
