"""The SDR productivity calculator: from hours to accounts, meetings and pipeline, and from a quota back to hours and heads.

Accounts a rep can work = selling hours / (touches per account x hours per touch); accounts at once = touches a day x cadence days /
touches per account (novacalculator.com; Gradient Works). Every step says how it is worked out and where its figures are from.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

PERIODS = {"month": 1, "quarter": 3, "year": 12}
RATES = ("meeting_rate", "show_rate", "acceptance_rate", "win_rate")
NUMBERS = (
    "selling_hours", "hours_per_touch", "touches_per_day", "touches_per_contact", "contacts_per_account", "cadence_days", *RATES, "deal_size",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the benchmark table: a number, or the shares of a ramp."""

    name: str
    text: str
    unit: str
    what: str
    source: str

    @property
    def value(self) -> float:
        return float(self.text)


@dataclass(frozen=True, slots=True)
class CalculationStep:
    """A line of the calculation: `name` = `how` = `value`."""

    name: str
    how: str
    value: float
    unit: str = ""


def figures(path: Path | None = None) -> dict[str, Figure]:
    """The benchmark table: the package's own, with the rows of another in place of its. ValueError for a bad row."""
    by_name: dict[str, Figure] = {}
    own = resources.files("roe") / "policies" / "benchmarks.csv"
    for text in (own.read_text("utf-8"), path.read_text("utf-8-sig") if path is not None else ""):
        for number, row in enumerate(csv.DictReader(text.splitlines()), 2):
            name, value = (row.get("figure") or "").strip(), (row.get("value") or "").strip()
            if not name:
                raise ValueError(f"line {number} has no `figure`")
            try:
                checked = [float(x) for x in value.split("/")]
            except ValueError:
                checked = []
            if not checked or not all(math.isfinite(x) and x >= 0 for x in checked) or (name in RATES and checked[0] > 1):
                raise ValueError(f"line {number}: `{value}` is not a {'share of 1' if name in RATES else 'number'} for `{name}`")
            by_name[name] = Figure(name, value, row.get("unit") or "", row.get("what") or "", row.get("source") or "")
    return by_name


def ramped(shares: str, months: int) -> float:
    """How many full months a rep does in the first months of work; after the ramp every month is full."""
    by_month = [float(x) / 100 for x in shares.split("/")]
    return sum(by_month[m] if m < len(by_month) else 1.0 for m in range(months))


def forward(f: Mapping[str, float], reps: float, period: str, new: float = 0, ramp: str = "100") -> list[CalculationStep]:
    """What so many reps do in a period; `new` of them are in their first months."""
    months = PERIODS[period]
    share = ramped(ramp, months) / months
    heads = reps - new + new * share
    touches_each = f["touches_per_contact"] * f["contacts_per_account"]
    hours = f["selling_hours"] / 12 * months * heads
    touches = hours / f["hours_per_touch"]
    accounts = touches / touches_each
    meetings = accounts * f["meeting_rate"]
    held = meetings * f["show_rate"]
    deals = held * f["acceptance_rate"]
    at_once = f["touches_per_day"] * f["cadence_days"] / touches_each
    return [
        CalculationStep("full reps", f"{_n(reps - new)} + {_n(new)} new x {share:.0%}" if new else _n(reps), heads),
        CalculationStep("selling hours", f"{_n(f['selling_hours'])} a year / 12 x {months} months x {_n(heads)}", hours, "hours"),
        CalculationStep("touches", f"{_n(hours)} hours / {_n(f['hours_per_touch'])} hours a touch", touches),
        CalculationStep(
            "touches per account", f"{_n(f['touches_per_contact'])} touches x {_n(f['contacts_per_account'])} people", touches_each
        ),
        CalculationStep("accounts worked", f"{_n(touches)} touches / {_n(touches_each)}", accounts),
        CalculationStep(
            "accounts at once, per rep",
            f"{_n(f['touches_per_day'])} touches a day x {_n(f['cadence_days'])} days / {_n(touches_each)}",
            at_once,
        ),
        CalculationStep("meetings", f"{_n(accounts)} accounts x {f['meeting_rate']:.1%}", meetings),
        CalculationStep("meetings held", f"{_n(meetings)} x {f['show_rate']:.1%}", held),
        CalculationStep("opportunities", f"{_n(held)} x {f['acceptance_rate']:.1%}", deals),
        CalculationStep("pipeline", f"{_n(deals)} opportunities x {_n(f['deal_size'])}", deals * f["deal_size"]),
        CalculationStep(
            "won", f"{_n(deals)} opportunities x {f['win_rate']:.1%} x {_n(f['deal_size'])}", deals * f["win_rate"] * f["deal_size"]
        ),
    ]


def backward(f: Mapping[str, float], quota: float, of: str, period: str, new_share: float = 0, ramp: str = "100") -> list[CalculationStep]:
    """What a quota of `meetings` (held), `opportunities`, `pipeline` or `won` in a period asks for; of the heads `new_share` are new."""
    months = PERIODS[period]
    share = ramped(ramp, months) / months
    steps: list[CalculationStep] = []
    value, deals = quota, quota
    if of == "won":
        deals = value / f["deal_size"] / f["win_rate"]
        steps.append(CalculationStep("opportunities", f"{_n(value)} / {_n(f['deal_size'])} a deal / {f['win_rate']:.1%} won", deals))
    elif of == "pipeline":
        deals = value / f["deal_size"]
        steps.append(CalculationStep("opportunities", f"{_n(value)} / {_n(f['deal_size'])} a deal", deals))
    held = quota
    if of != "meetings":
        held = deals / f["acceptance_rate"]
        steps.append(CalculationStep("meetings held", f"{_n(deals)} opportunities / {f['acceptance_rate']:.1%}", held))
    meetings = held / f["show_rate"]
    accounts = meetings / f["meeting_rate"]
    touches_each = f["touches_per_contact"] * f["contacts_per_account"]
    touches = accounts * touches_each
    hours = touches * f["hours_per_touch"]
    each = f["selling_hours"] / 12 * months
    full = hours / each
    per_head = 1 - new_share + new_share * share
    heads = full / per_head
    return [
        *steps,
        CalculationStep("meetings", f"{_n(held)} held / {f['show_rate']:.1%}", meetings),
        CalculationStep("accounts to work", f"{_n(meetings)} meetings / {f['meeting_rate']:.1%}", accounts),
        CalculationStep("touches", f"{_n(accounts)} accounts x {_n(touches_each)} touches", touches),
        CalculationStep("selling hours", f"{_n(touches)} touches x {_n(f['hours_per_touch'])} hours", hours, "hours"),
        CalculationStep("full reps", f"{_n(hours)} hours / {_n(each)} a rep", full),
        CalculationStep("reps", f"{_n(full)} / {per_head:.0%} of a full rep each" if new_share else _n(full), heads),
        CalculationStep("heads to hire for", f"{_n(heads)} rounded up", math.ceil(heads - 1e-9)),
        CalculationStep(
            "book productivity rate", f"{_n(accounts * f['meeting_rate'])} meetings of {_n(accounts)} accounts", f["meeting_rate"]
        ),
    ]


def _n(x: float) -> str:
    """A number as people write it: thousands apart, no more decimals than it needs."""
    return f"{x:,.0f}" if abs(x) >= 100 or float(x).is_integer() else f"{x:,.2f}".rstrip("0").rstrip(".")
