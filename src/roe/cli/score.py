"""`roe score`: back-test scores on history, and fit score cards to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from roe.cli.common import bind, fail, load, table, unwritable
from roe.cli.settings import data_setting
from roe.diagnostics import Diagnostic, PolicyError, suggest
from roe.source import Span

if TYPE_CHECKING:
    from roe.analysis.backtest import Card, Result
    from roe.analysis.history import History

data = data_setting("Folder with the history: CSV, JSON or Parquet files.", required=True)
outcome = click.option(
    "--outcome", required=True, metavar="EXPR", help="Expression that is true for a won record: `won = true`, `count(deals) > 0`."
)
time = click.option(
    "--time", default="", metavar="FIELD", help="Field with the creation date; the newest records are held out for testing."
)
group = click.option("--group", default="", metavar="FIELD", help="Field to group by, so no group is split between training and hold-out.")
records = click.option(
    "--records", default="", metavar="TABLE", help="Table whose rows to score. Default: the table that the others refer to."
)
keep = click.option("--keep", multiple=True, metavar="FIELD", help="Keep this feature although it looks like leakage; repeat for several.")


def history_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options about the history, which both commands have."""
    for option in (keep, records, group, time, outcome, data):
        command = option(command)
    return command


@click.group("score")
def command() -> None:
    """Test scores on your history: how well they predict what is won. Fit new score cards to it."""


@command.command("backtest")
@click.argument("policy", required=False, type=click.Path(path_type=Path))
@history_options
@click.option(
    "--score", "wanted", multiple=True, metavar="NAME", help="With a policy: test only this score; repeat for several. Default: all scores."
)
@click.option("--for", "entity", default="", metavar="ENTITY", help="With a policy: the entity to score. Default: lead.")
@click.option(
    "--as-of", "as_of", default="", metavar="WHEN", help="With a policy: the date to use as `today`. Default: each record's own --time."
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("backtest"), show_default=True, help="Folder to write the page and the JSON to."
)
def backtest_command(
    policy: Path | None, data: Path, outcome: str, time: str, group: str, records: str, keep: tuple[str, ...], wanted: tuple[str, ...],
    entity: str, as_of: str, out: Path,
) -> None:  # fmt: skip
    """Test a policy's scores on history. Without a policy, fit a score card to the earlier records and test it on the newest."""
    _packages()
    from roe.analysis.backtest import backtest
    from roe.analysis.history import hold_out, leave_out_leaks, read_history

    try:
        if policy is None:
            found, names = read_history(data, outcome, time, group, records), [""]
        else:
            found = _of_policy(policy, data, outcome, time, group, wanted, entity, as_of)
            names = list(found.scores)
        leaked = leave_out_leaks(found, keep)
    except PolicyError as e:
        fail(e.diagnostics)
    early, late, how = hold_out(found)
    try:
        results = [backtest(found, early, late, how, name) for name in names]
    except ValueError as e:
        few = f"{sum(found.outcome)} of {len(found.outcome)} records are won"
        fail(
            [
                Diagnostic(
                    "R606",
                    f"there is nothing to test: {e} ({few})",
                    Span("--outcome", 1, 1, 2, outcome),
                    "give more records, or another outcome",
                )
            ]
        )
    _write(results, found, outcome, leaked, keep, out)
    _show(results, found, leaked, keep, out)


@command.command("fit")
@history_options
@click.option("--for", "entity", default="lead", show_default=True, metavar="ENTITY", help="Entity whose fields the criteria use.")
@click.option("--name", default="fitted", show_default=True, help="Name of the score.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="YAML file to write, for a policy to include.")
def fit_command(
    data: Path, outcome: str, time: str, group: str, records: str, keep: tuple[str, ...], entity: str, name: str, out: Path
) -> None:
    """Fit a score card with whole points to history, and write it as YAML for a policy to include."""
    _packages()
    from roe.analysis.backtest import fit
    from roe.analysis.history import hold_out, leave_out_leaks, read_history
    from roe.data.files import write_whole

    try:
        found = read_history(data, outcome, time, group, records)
        leaked = leave_out_leaks(found, keep)
        early, late, how = hold_out(found)
        card = fit(found.take(early))
    except PolicyError as e:
        fail(e.diagnostics)
    except ValueError as e:
        fail(
            [
                Diagnostic(
                    "R606", f"there is nothing to fit: {e}", Span("--outcome", 1, 1, 2, outcome), "give more records, or another outcome"
                )
            ]
        )
    try:
        write_whole(out, card_yaml(card, found, entity, name, outcome, how))
    except OSError as e:
        unwritable(out, e)
    for leak in leaked:
        click.echo(f"leakage: `{leak}` is there with one outcome only, or says it alone, and is {'kept' if leak in keep else 'left out'}")
    click.echo(f"{len(card.criteria)} criteria from {len(early)} records ({len(late)} held out); see {out}")


def card_yaml(card: Card, found: History, entity: str, name: str, outcome: str, how: str) -> str:
    """A score card as a section of a policy, readable, with where it comes from."""

    def text(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)

    lines = [
        "# A score card fitted by `roe score fit`; whole points, 20 of them double the odds.",
        f"# outcome: {' '.join(outcome.split())}",
        f"# fitted to {card.trained} records; held out: {how}",
        f"# chance of winning: 1 / (1 + exp(-({card.intercept:.4f} + {card.slope:.5f} * score)))",
        "roe: 1", "fields:", f"  {entity}:",
    ]  # fmt: skip
    kinds = {}
    for c in card.criteria:
        values = [x for x in found.features[c.feature] if x is not None]
        kinds[c.feature] = (
            "boolean"
            if all(isinstance(x, bool) for x in values)
            else "number"
            if all(isinstance(x, (int, float)) for x in values)
            else "string"
        )
    lines += [f"    {feature}: {{type: {kind}}}" for feature, kind in kinds.items()]
    lines += ["scores:", f"  {name}:", f"    for: {entity}", "    criteria:"]
    for c in card.criteria:
        path = f"{entity}.{c.feature}"
        when = (
            f"{path} = null" if c.kind == "missing" else path if c.kind == "true" else f"{path} = {text(c.value)}" if c.kind == "value"
            else " and ".join([*([f"{path} >= {c.low!r}"] if c.low is not None else []), *([f"{path} < {c.high!r}"] if c.high is not None else [])])
        )  # fmt: skip
        lines.append(f"      - {{name: {text(c.name)}, when: {text(when)}, points: {c.points}}}")
    return "\n".join(lines) + "\n"


def _of_policy(policy: Path, data: Path, outcome: str, time: str, group: str, wanted: tuple[str, ...], entity: str, as_of: str) -> History:
    """The records of a policy with its scores. The outcome, the time and the group are expressions about a record."""
    from roe.analysis.history import History
    from roe.grammar import types as t
    from roe.grammar import values as v
    from roe.plan.operators import Expr
    from roe.policy.context import Context

    evaluator = load(policy)
    loaded = evaluator.policy
    entity = entity or "lead"
    here = Span(str(policy), 1, 1, 2)
    if entity not in loaded.model.entities:
        fail([Diagnostic("R504", f"there is no entity `{entity}`", here, suggest(entity, loaded.model.entities, "correct --for"))])
    known = [n for (e, n) in loaded.model.steps if e == entity and loaded.model.field_type(e, n) == t.NUMBER]
    unknown = [n for n in wanted if n not in known]
    if unknown or not known:
        help = (
            suggest(unknown[0], known, f"there are {', '.join(known) or 'none'}")
            if unknown
            else f"add `scores:` for {entity}, or leave the policy out"
        )
        fail(
            [
                Diagnostic(
                    "R501",
                    f"there is no score `{unknown[0]}` of a {entity}" if unknown else f"the policy has no score of a {entity}",
                    here,
                    help,
                )
            ]
        )
    cx = Context(loaded.root, loaded.model)
    names = cx.names(entity, implicit=True)
    exprs: list[Expr | None] = [cx.condition(outcome, names), *(cx.value(x, names) if x else None for x in (time, group))]
    if [d for d in cx.found if d.severity == "error"]:
        fail(cx.found)
    bound = bind(evaluator, data, as_of or "1970-01-01", None)
    world = bound.world

    def values(expr: Expr | None) -> list[Any] | None:
        code = None if expr is None else world.compiled.code(expr)
        return None if code is None else [code(world.scope(row)) for row in world.rows[entity]]

    times = values(exprs[1])
    last = as_of or v.string(max((x for x in times or () if x is not None), key=str, default=None))
    if not last:
        fail([Diagnostic("R801", "`today` is not known", Span("--as-of", 1, 1, 2), "give --as-of, or a --time")])
    world.at(evaluator.clock(last))
    rows = world.rows[entity]
    won = [x is True for x in values(exprs[0]) or ()]
    groups = values(exprs[2])
    found = History([str(r["id"]) for r in rows], {}, won, times, None if groups is None else [str(_id(x)) for x in groups])
    moments = (
        [as_of or str(v.string(x))[:10] if x is not None else "" for x in times] if times is not None and not as_of else [last] * len(rows)
    )
    scores = {name: [0.0] * len(rows) for name in wanted or known}
    by_moment: dict[str, list[int]] = {}
    for i, moment in enumerate(moments):
        by_moment.setdefault(moment, []).append(i)
    for moment in sorted(by_moment.keys() - {""}):  # a score is what it was when the record came
        world.at(evaluator.clock(moment))
        for i in by_moment[moment]:
            for name, column in scores.items():
                column[i] = float(rows[i][name]) if v.is_number(rows[i][name]) else 0.0
    found.scores |= scores
    when = "of the day of each record" if times is not None and not as_of else f"as of {last}"
    found.notes.append(f"records: the {len(rows)} {entity}s of {loaded.name}; scores {when}")
    for name, f in loaded.model.entities[entity].items():
        if f.type.name in ("string", "number", "boolean") and name not in ("id", "name"):
            stored = [dict.get(row, name) for row in rows]
            if any(x is not None for x in stored):
                found.features[name] = stored
    return found


def _id(value: Any) -> Any:
    return value["id"] if isinstance(value, Mapping) else value


def _packages() -> None:
    missing = [name for name in ("numpy", "sklearn") if find_spec(name) is None]
    if missing:
        fail(
            [
                Diagnostic(
                    "R406", "this needs the packages numpy and scikit-learn", Span("roe score", 1, 1, 2), "pip install 'roe-policy[score]'"
                )
            ]
        )


def _write(results: list[Result], found: History, outcome: str, leaked: list[str], keep: tuple[str, ...], out: Path) -> None:
    from roe.data.files import write_whole

    whole = {
        "roe": 1, "outcome": outcome, "records": len(found.ids), "won": sum(found.outcome), "leakage": leaked, "left_out": found.dropped,
        "notes": found.notes, "scores": [r.as_json() for r in results],
    }  # fmt: skip
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / "backtest.json", json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
        if find_spec("matplotlib") is not None:
            from roe.web.backtest import backtest_page

            write_whole(out / "backtest.html", backtest_page(results, found, outcome, leaked, keep))
    except OSError as e:
        unwritable(out, e)


def _show(results: list[Result], found: History, leaked: list[str], keep: tuple[str, ...], out: Path) -> None:
    click.echo(f"{len(found.ids)} records, {sum(found.outcome)} won ({sum(found.outcome) / max(len(found.ids), 1):.1%})")
    for note in found.notes:
        click.echo(note)
    for name in leaked:
        click.echo(
            f"leakage: `{name}` is there with one outcome only, or says it alone, and is {'kept by name' if name in keep else 'left out'}"
        )
    for r in results:
        click.echo(f"\n{r.name}: AUC {r.auc:.3f} on {r.records} records held out ({r.held_out}), {r.auc_before:.3f} before")
        for warning in r.warnings:
            click.echo(f"warning: {warning}")
        rows = [
            [
                d["decile"],
                f"{d['records']:.0f}",
                f"{d['won']:.1f}",
                f"{d['rate']:.1%}",
                f"{d['low']:.1%}-{d['high']:.1%}",
                f"{d['lift'] or 0:.2f}",
            ]
            for d in r.deciles
        ]
        click.echo("\n" + table(rows, ["tenth", "records", "won", "rate", "95 %", "lift"]))
        some = r.thresholds[:: max(1, len(r.thresholds) // 8)]
        rows = [[f"{t['threshold']:g}", t["records"], f"{t['workload']:.0%}", f"{t['precision']:.1%}", f"{t['recall']:.0%}"] for t in some]
        click.echo("\n" + table(rows, ["score from", "records", "workload", "precision", "recall"]))
    page = out / ("backtest.html" if find_spec("matplotlib") is not None else "backtest.json")
    click.echo(f"\nsee {page}")
