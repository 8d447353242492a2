"""`roe history`: who owned a record when, and why, as the ledger has it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import click

from roe.cli.common import WithMinus, day_given, format_option, put_json
from roe.cli.ledger import open_ledger, state_argument
from roe.cli.table import table
from roe.diagnostics import user_error
from roe.dynamic import Json, Value
from roe.words import counted

if TYPE_CHECKING:
    from roe.ledger.store import Store


@click.command("history", cls=WithMinus)
@click.argument("record", required=False)
@state_argument
@click.option("--entity", help="The record's entity, if several have this id.")
@click.option("--role", default="", help="Show only this role, such as ae or sdr.")
@click.option("--on", "day", metavar="DAY", help="Show who had it on this day, such as 2026-03-17.")
@click.option("--rep", default="", help="Show only what is about this rep. Without RECORD: the rep's book, now or on the --on day.")
@click.option("--since", metavar="DAY", help="Show only what happened from this day on.")
@format_option("text", "json", "csv")
def command(
    record: str | None, state: str, entity: str | None, role: str, day: str | None, rep: str, since: str | None, shape: str
) -> None:
    """Show the history of RECORD (an id, a name or a domain): who owned it, since when, by which rule, and why.

    It reads the ledger that `roe run --state` writes. A time says when something held, not when it was recorded. For a day (--on) you get
    what was true then, and what roe knew that night if that differs.
    """
    from roe.crm.ids import fold
    from roe.ledger import history
    from roe.ledger.entries import Evidence

    on = None if day is None else day_given(day, "--on")
    with open_ledger(state) as store:
        if record is None:
            if not rep:
                raise user_error("R801", "RECORD is missing", "RECORD", "name a record by its id, or a rep with --rep")
            _book(store, history.rep_called(store, fold(rep)), on, shape)
            return
        kind, key = _record(store, record, entity)
        names = history.names_of(store.told(Evidence, kind, key)) if shape == "text" else history.NO_NAMES
        if on is not None:
            _on_day(history.on_day(store, kind, key, on, role), kind, key, on, shape, names)
            return
        about = history.rep_called(store, fold(rep)) if rep else ""
        lines = history.story(
            store, kind, key, role=role, rep=about, since=None if since is None else day_given(since, "--since"), names=names
        )
    if shape == "json":
        put_json([line.as_json() for line in lines])
        return
    if shape == "csv":
        _csv(
            ["number", "at", "role", "kind", "what", "because"],
            [[x.stored.number, x.when, x.role, x.stored.kind, x.what, x.because] for x in lines],
        )
        return
    click.echo(f"{kind} {key}\n")
    if not lines:
        click.echo("nothing of this kind is in the ledger")
        return
    click.echo(table([[x.when, x.role, x.what, x.because] for x in lines], ["on", "role", "what happened", "because"]))


def _record(store: Store, text: str, entity: str | None) -> tuple[str, str]:
    """(entity, id) of the one record that a text means: by its id, else by what it is called in the evidence of decisions."""
    from roe.crm.ids import fold
    from roe.ledger import history

    key = fold(text)
    candidates = [(x, key) for x in history.entities_of(store, key)] or history.called(store, text)
    candidates = [x for x in candidates if entity is None or x[0] == entity]
    if not candidates:
        known = "name it by its id, as the CRM has it; `roe explain NAME` shows the id"
        raise user_error("R604", f"the ledger has no record `{text}`", "RECORD", known, text)
    if len(candidates) > 1:
        many = f"{len(candidates)} records match `{text}`: {', '.join(f'{x} {record}' for x, record in candidates[:20])}"
        raise user_error("R605", many, "RECORD", "name the one you mean by its id, and add --entity", text)
    return candidates[0]


def _on_day(answers: list[Value], entity: str, record: str, day: date, shape: str, names: Mapping[str, str]) -> None:
    from roe.ledger.history import in_words

    if shape != "text":
        _on_day_as_data(answers, shape)
        return
    click.echo(f"{entity} {record} on {day}, as it was\n")
    for x in answers:
        click.echo("\n".join(in_words(x, names)))
    run = answers[0].run if answers else None
    if not answers:
        click.echo("the ledger does not know who had it")
    elif run is None:
        click.echo("\nno run was made by then: this is what the ledger learned later")
    else:
        click.echo(f"\nlast decided as of {run.entry.at}{_by_policy(run)}; the whole decision: roe explain {record} --on {day}")


def _on_day_as_data(answers: list[Value], shape: str) -> None:
    rows = [
        [x.role, h and h.rep, h and h.queue, h and str(h.start.date), h and h.stop and str(h.stop.date), h and h.by, h and h.rule,
         k and k.rep, x.run and x.run.entry.id, x.run and x.run.entry.digest]
        for x in answers for h, k in [(x.was, x.known)]
    ]  # fmt: skip
    header = ["role", "rep", "queue", "since", "until", "by", "rule", "rep_known_then", "run", "policy_digest"]
    if shape == "csv":
        _csv(header, rows)
    else:
        click.echo(json.dumps([dict(zip(header, row, strict=True)) for row in rows], indent=2))


def explain_on(record: str, state: str, day: str, role: str, shape: str) -> str:
    """What was decided about a record as of a day, from the ledger alone: the traces that the runs kept, by the policies of their days."""
    from roe.ledger import history
    from roe.run.evidence import shown

    on = day_given(day, "--on")
    with open_ledger(state) as store:
        kind, key = _record(store, record, None)
        decided = history.decided_on(store, kind, key, on, role)
    if not decided:
        raise user_error(
            "R604", f"nothing was decided about `{record}` as of {on} or before", "--on", f"see what is known: roe history {record}", day
        )
    values_then = [values for x in decided if (values := _values(x))]
    if shape == "json":
        return (
            shown(values_then, shape)
            if values_then
            else json.dumps(
                [history.StoryLine(x.decision, "", x.role, *history.told(x.decision.entry)).as_json() for x in decided if x.decision],
                indent=2,
                ensure_ascii=False,
            )
        )
    return "\n\n".join(_explained(x, kind, record, on, shape) for x in decided)


def _values(x: Value) -> Json:
    """The evidence of a decision; empty where none was kept, or it was erased."""
    return dict(x.evidence.entry.values) if x.evidence is not None else {}


def _explained(x: Value, kind: str, record: str, on: date, shape: str) -> str:
    from roe.ledger import history
    from roe.run.evidence import shown

    as_of = x.run.entry.at if x.run else x.decision.entry.at
    head = f"{kind} {record}, {x.role}, on {on}: decided as of {as_of}{_by_policy(x.run)}"
    if x.last is not None:
        head += f"; the run as of {x.last.entry.at}{_by_policy(x.last)} left it so"
    values = _values(x)
    if values:
        return f"{head}\n\n{shown([values], shape)}"
    what, because = history.told(x.decision.entry) if x.decision is not None else ("", "")
    why = "its evidence was erased" if x.evidence is not None else "the run kept no evidence of it: only runs by rows do"
    return f"{head}\n\n{what}" + (f", because of {because}" if because else "") + f"\n\nnote: {why}"


def _by_policy(run: Value) -> str:
    from roe.ledger.history import policy_of

    policy = policy_of(run)
    return f" by the policy {policy}" if policy else ""


def _book(store: Store, rep: str, on: date | None, shape: str) -> None:
    from roe.ledger.history import book_lines
    from roe.ledger.moment import At

    last = store.last_run()
    zone = last.entry.at.zone if last is not None else "UTC"
    held = store.book(rep, None if on is None else At.of(on, zone))
    if not held and store.words.subject("rep", rep) is None:
        raise user_error("R604", f"the ledger has no rep `{rep}`", "--rep", "name the rep by the id that the CRM has", rep)
    rows, header = book_lines(held), ["entity", "record", "role", "since", "until", "how"]
    if shape == "json":
        click.echo(json.dumps([dict(zip(header, row, strict=True)) for row in rows], indent=2))
    elif shape == "csv":
        _csv(header, rows)
    else:
        click.echo(f"{rep} {'now has' if on is None else f'had on {on}'} {counted(len(rows), 'record')}\n")
        click.echo(table(rows, header))


def _csv(header: list[str], rows: Sequence[Sequence[object]]) -> None:
    from roe.cli.terminal import document
    from roe.data.files import csv_text

    document(csv_text(header, rows))
