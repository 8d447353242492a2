"""`roe calc`: arithmetic of the field, with every step shown."""

from __future__ import annotations

import math
from pathlib import Path

import click

from roe.analysis.productivity import NUMBERS, PERIODS, RATES, CalculationStep, Figure, backward, figures, forward
from roe.cli.common import PATH, format_option, put_json
from roe.cli.table import table
from roe.diagnostics import suggest, user_error


@click.group("calc")
def command() -> None:
    """Calculators that show every step and the source of every figure."""


@command.command("sdr")
@click.option("--reps", type=click.FloatRange(0.1), default=1, show_default=True, help="Number of reps.")
@click.option("--new", "new", type=click.FloatRange(0), default=0, show_default=True, help="How many of the reps are still ramping.")
@click.option(
    "--period",
    type=click.Choice(list(PERIODS)),
    default="quarter",
    show_default=True,
    help="Period that activity and quota are counted over.",
)
@click.option("--quota", type=click.FloatRange(0, min_open=True), help="Quota to work back from, to the activity and headcount it needs.")
@click.option(
    "--of",
    "of",
    type=click.Choice(["meetings", "opportunities", "pipeline", "won"]),
    default="pipeline",
    show_default=True,
    help="What the quota counts: meetings, opportunities, pipeline or won revenue.",
)
@click.option(
    "--set",
    "given",
    multiple=True,
    metavar="FIGURE=VALUE",
    help="Your own value for a figure, such as meeting_rate=0.12; repeat for several.",
)
@click.option("--benchmarks", type=PATH, help="CSV file with your own figures: figure, value, unit, what, source.")
@format_option("text", "json")
def sdr(
    reps: float, new: float, period: str, quota: float | None, of: str, given: tuple[str, ...], benchmarks: Path | None, shape: str
) -> None:
    """The SDR productivity calculator: from hours to pipeline, or from a quota back to activity and headcount."""
    known = _figures(benchmarks, given)
    if not all(map(math.isfinite, (reps, new, quota or 0))):
        raise user_error("R801", "--reps, --new and --quota must be finite numbers", "roe calc sdr", "write numbers such as 8 or 2.5")
    if new > reps:
        raise user_error("R801", f"{new:g} new reps of {reps:g}", "--new", "at most all of the reps are new")
    numbers = {name: known[name].value for name in NUMBERS}
    for name in NUMBERS:
        if numbers[name] == 0:
            raise user_error("R801", f"`{name}` is 0, and the calculation divides by it", "--set", "give a number above 0", name)
    ramp = known["ramp"].text
    if quota is None:
        steps = forward(numbers, reps, period, new, ramp)
        title = f"What {reps:g} {'rep does' if reps == 1 else 'reps do'} in a {period}"
    else:
        steps = backward(numbers, quota, of, period, new / reps, ramp)
        title = f"What a quota of {quota:,.0f} {of} in a {period} asks for"
    used = [known[name] for name in (*NUMBERS, *(["ramp"] if new else []))]
    if shape == "json":
        lines = [{"name": s.name, "how": s.how, "value": s.value} for s in steps]
        sources = {f.name: {"value": f.text, "unit": f.unit, "source": f.source} for f in used}
        put_json({"title": title, "steps": lines, "figures": sources})
        return
    click.echo(f"{title}\n")
    click.echo(table([[s.name, f"= {s.how}", _shown(s)] for s in steps], ["step", "how", "value"]))
    click.echo("\nwith\n")
    click.echo(table([[f.name, f"{f.text} {f.unit}", f.source] for f in used], ["figure", "value", "source"]))


def _shown(step: CalculationStep) -> str:
    if step.name.endswith("rate"):
        return f"{step.value:.1%}"
    return f"{step.value:,.0f}" if step.value >= 100 else f"{step.value:,.1f}"


def _figures(path: Path | None, given: tuple[str, ...]) -> dict[str, Figure]:
    try:
        known = figures(path)
    except (OSError, ValueError) as e:
        raise user_error(
            "R601", f"the benchmarks cannot be read: {e}", path, "a table with the columns figure, value, unit, what, source"
        ) from e
    for text in given:
        name, _, value = text.partition("=")
        if name not in known:
            raise user_error(
                "R801", f"there is no figure `{name}`", "--set", suggest(name, known, f"there are {', '.join(NUMBERS)}, ramp"), text
            )
        try:
            good = all(0 <= float(x) <= (1 if name in RATES else 1e15) for x in value.split("/"))
        except ValueError:
            good = False
        if not good or ("/" in value and name != "ramp"):
            raise user_error(
                "R801",
                f"`{value}` is not a value for `{name}`",
                "--set",
                "a share of 1, such as 0.12" if name in RATES else "write a number",
                text,
            )
        known[name] = Figure(name, value, known[name].unit, known[name].what, "given")
    return known
