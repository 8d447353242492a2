"""`roe score`: back-test scores on history, and fit score cards to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from roe.cli.common import PATH, bind, load, put, read, write_into
from roe.cli.settings import data_setting
from roe.cli.table import table
from roe.diagnostics import user_error
from roe.scoring.history import read_history
from roe.scoring.of_policy import ScoreQuestion

if TYPE_CHECKING:
    from roe.scoring.report import ScoringReport

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
keep = click.option("--keep", multiple=True, metavar="NAME", help="Keep this column although it looks like leakage; repeat for several.")
drop = click.option("--drop", multiple=True, metavar="NAME", help="Leave out this column whatever it looks like; repeat for several.")


def history_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options about the history, which both commands have."""
    for option in (drop, keep, records, group, time, outcome, data):
        command = option(command)
    return command


@click.group("score")
def command() -> None:
    """Test scores on your history: how well they predict what is won. Fit new score cards to it."""


@command.command("backtest")
@click.argument("policy", required=False, type=PATH)
@history_options
@click.option(
    "--score", "scores", multiple=True, metavar="NAME", help="With a policy: test only this score; repeat for several. Default: all scores."
)
@click.option("--for", "entity", default="lead", metavar="ENTITY", help="With a policy: the entity to score. Default: lead.")
@click.option(
    "--as-of", "as_of", default="", metavar="WHEN", help="With a policy: the date to use as `today`. Default: each record's own --time."
)
@click.option("--out", type=PATH, default=Path("backtest"), show_default=True, help="Folder to write the page and the JSON to.")
def backtest_command(
    policy: Path | None, data: Path, outcome: str, time: str, group: str, records: str, keep: tuple[str, ...], drop: tuple[str, ...],
    scores: tuple[str, ...], entity: str, as_of: str, out: Path,
) -> None:  # fmt: skip
    """Test a policy's scores on history. Without a policy, fit a score card to the earlier records and test it on the newest."""
    _packages()
    from roe.scoring.report import backtest_card, backtest_policy

    try:
        if policy is None:
            report = backtest_card(read_history(data, outcome, time, group, records), outcome, keep, drop)
        else:
            evaluator = load(policy)
            question = ScoreQuestion(entity or "lead", outcome, time, group, scores, as_of)
            report = backtest_policy(evaluator, question, lambda day: bind(evaluator, data, day, None), keep, drop)
    except ValueError as e:
        _nothing("test", e, outcome)
    _write(report, out)
    _show(report, out)


@command.command("fit")
@click.argument("policy", required=False, type=PATH)
@history_options
@click.option("--for", "entity", default="lead", show_default=True, metavar="ENTITY", help="Entity whose fields the criteria use.")
@click.option("--name", default="fitted", show_default=True, help="Name of the score.")
@click.option("--out", type=PATH, required=True, help="YAML file to write, for a policy to include.")
def fit_command(
    policy: Path | None, data: Path, outcome: str, time: str, group: str, records: str, keep: tuple[str, ...], drop: tuple[str, ...],
    entity: str, name: str, out: Path,
) -> None:  # fmt: skip
    """Fit a score card with whole points to history, and write it as YAML for a policy to include.

    The card is written in the values that the policy reads, loaded into it, and compared with the test there. Without a policy, the standard
    fields are the policy.
    """
    _packages()
    from roe.scoring.landing import Landing, fit_for, no_policy
    from roe.scoring.leakage import grouped

    try:
        history = read_history(data, outcome, time, group, records)
        with no_policy() as empty:
            if policy is None:
                place = Landing(empty, entity, "card.yaml")
            else:
                evaluator = load(policy)
                place = Landing(
                    evaluator.policy.root, entity, _name_in(evaluator.policy.root, out), read(evaluator, data) if data.is_dir() else None
                )
            fitted = fit_for(history, place, name, outcome, keep, drop)
    except ValueError as e:
        _nothing("fit", e, outcome)
    put(fitted.text, out, said=False)
    for line in grouped(fitted.leaks):
        click.echo(f"leakage: {line}")
    for note in fitted.notes:
        click.echo(note)
    click.echo(f"{len(fitted.card.criteria)} criteria from {fitted.card.trained} records ({fitted.held_out} held out); see {out}")
    click.echo(fitted.proof.sentence(name))
    if fitted.proof.different:
        raise SystemExit(1)


def _name_in(root: Path, out: Path) -> str:
    """The name by which a policy includes the card: where it stands in the policy's folder, or any name that no file has."""
    try:
        return out.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return "fitted-card.yaml"


def _nothing(what: str, e: ValueError, outcome: str) -> NoReturn:
    raise user_error("R606", f"there is nothing to {what}: {e}", "--outcome", "give more records, or another outcome", outcome)


def _packages() -> None:
    if any(find_spec(name) is None for name in ("numpy", "sklearn")):
        message = "this needs the packages numpy and scikit-learn"
        raise user_error("R406", message, "roe score", "pip install 'roe-policy[score]'")


def _write(report: ScoringReport, out: Path) -> None:
    files = {"backtest.json": json.dumps(report.as_json(), indent=1, ensure_ascii=False) + "\n"}
    if find_spec("matplotlib") is not None:
        from roe.web.backtest import backtest_page

        files["backtest.html"] = backtest_page(report)
    write_into(out, files)


def _show(report: ScoringReport, out: Path) -> None:
    from roe.scoring.leakage import grouped, left_out

    history = report.history
    for test in report.tests:
        click.echo(f"{test.result.name}: {test.verdict.sentence}")
    for line in grouped(report.leaks):
        click.echo(f"leakage: {line}")
    for line in left_out(history):
        click.echo(line)
    click.echo(f"\n{len(history.ids)} records, {sum(history.outcome)} won ({sum(history.outcome) / max(len(history.ids), 1):.1%})")
    for note in history.notes:
        click.echo(note)
    for test in report.tests:
        r = test.result
        click.echo(f"\n{r.name}: AUC {r.auc:.3f} on {r.records} records held out ({r.held_out}), {r.auc_before:.3f} before")
        for warning in r.warnings:
            click.echo(f"warning: {warning}")
        tenths = [
            [d["decile"], f"{d['records']:.0f}", f"{d['won']:.1f}", f"{d['rate']:.1%}", f"{d['low']:.1%}-{d['high']:.1%}", f"{d['lift'] or 0:.2f}"]
            for d in r.deciles
        ]  # fmt: skip
        click.echo("\n" + table(tenths, ["tenth", "records", "won", "rate", "95 %", "lift"]))
        some = r.thresholds[:: max(1, len(r.thresholds) // 8)]
        rows = [[f"{t['threshold']:g}", t["records"], f"{t['workload']:.0%}", f"{t['precision']:.1%}", f"{t['recall']:.0%}"] for t in some]
        click.echo("\n" + table(rows, ["score from", "records", "workload", "precision", "recall"]))
    page = out / ("backtest.html" if find_spec("matplotlib") is not None else "backtest.json")
    click.echo(f"\nsee {page}")
