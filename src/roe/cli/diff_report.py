"""What `roe diff` says, as text, as Markdown for a pull request, and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roe.analysis.compared import said, sections, sides
from roe.cli.table import table
from roe.dynamic import Json, JsonObject
from roe.untrusted import code, markdown

if TYPE_CHECKING:
    from roe.analysis.diff import Impact, PolicyChange
    from roe.analysis.equivalence import Comparison, Difference

MOST = 30
MOST_MOVED = 500  # records that a pull request's comment lists


@dataclass(frozen=True, slots=True)
class PolicyDiff:
    """Two policies, called `old` and `new`: what they say otherwise, which cases they decide otherwise, and, with records, who moves."""

    old: str
    new: str
    changes: list[PolicyChange]
    compared: Comparison
    impact: Impact | None

    @property
    def facts(self) -> dict[str, float]:
        return {
            **(self.impact.facts if self.impact is not None else {}),
            "rules_changed": len(self.changes),
            "cases_changed": len(self.compared.differences),
            "fields_changed": len({d.where for d in self.compared.fields}),
        }


def as_json(diff: PolicyDiff, failed: bool) -> Json:
    compared, impact = diff.compared, diff.impact
    report: JsonObject = {
        "same": not diff.changes, "verdict": compared.verdict, "cases": [d.as_json() for d in compared.differences],
        "possible_cases": [d.as_json() for d in compared.possible], "renamed": [d.as_json() for d in compared.renamed],
        "fields": [d.as_json() for d in compared.fields], "not_compared": list(compared.unproven), "decide_nothing": list(compared.beside),
        "changes": [c.as_json() for c in diff.changes], "facts": diff.facts, "failed": failed,
    }  # fmt: skip
    if impact is not None:
        load = {rep: load._asdict() for rep, load in impact.load.items()}
        matrix = [{"from": a, "to": b, "records": n} for (a, b), n in sorted(impact.matrix().items())]
        report |= {"moved": [m.as_json() for m in impact.moved], "matrix": matrix, "load": load}
    return report


# --- as text --------------------------------------------------------------------------------------------------------


def as_text(diff: PolicyDiff) -> str:
    lines = textwrap.wrap(said(diff.compared, diff.changes), 80)
    for heading, cases in sections(diff.compared):
        lines += ["", f"{heading.lower()}:"] if cases is not diff.compared.differences else []
        for d in cases[:MOST]:
            lines += ["", *(line for text in _case(d) for line in textwrap.wrap(text, 80, subsequent_indent="      "))]
        lines += _more(cases, MOST, "… and {} more cases")
    lines += ["", "what they say:"] if diff.changes else []
    for c in diff.changes[:MOST]:
        lines.append(f"{c.kind:<8} {c.where}: {c.name}")
        lines += [f"         - {c.before}"] if c.before else []
        lines += [f"         + {c.after}"] if c.after else []
    lines += _more(diff.changes, MOST, "… and {} more differences")
    return "\n".join(lines if diff.impact is None else [*lines, *_impact_text(diff.impact)])


def _case(d: Difference) -> list[str]:
    """A case, and what each policy makes of it."""
    lines = [f"{d.where}: {d.witness or 'some record'}" + ("" if d.certainty == "proven" else f"  [{d.certainty}]")]
    return lines + [f"  {sign} {rule}" + (f": {gives}" if gives else "") for sign, (rule, gives) in zip("-+", sides(d), strict=True)]


def _impact_text(impact: Impact) -> list[str]:
    """Who gets which records from whom."""
    f = impact.facts
    lines = [f"\n{f['moved']:g} of {f['decided']:g} allocations change hands ({f['moved_share']:.1%}): {f['customers_moved']:g} of customers, "
             f"{f['windows_cut']:g} in a live window, {f['unowned']:g} to nobody"]  # fmt: skip
    if not impact.moved:
        return lines
    lines.append("\n" + table(_ways(impact), ["from", "to", "records"]))
    lines.append("\n" + table(_load(impact), ["rep", "before", "after", "", "accounts of capacity"]))
    for m in impact.moved[:MOST]:
        marks = "".join(x for x, on in ((" [customer]", m.customer), (" [window cut short]", m.cut)) if on)
        lines.append(f"\n{m.entity} {m.name} ({m.record}) as {m.role}: {impact.name(m.before)} -> {impact.name(m.after)}{marks}")
        lines.append(f"  was {m.rule_before or '(no rule)'}: {m.reason_before}")
        lines.append(f"  is  {m.rule_after or '(no rule)'}: {m.reason_after}")
    return lines + _more(impact.moved, MOST, "\n… and {} more; --format json has all of them")


def _ways(impact: Impact) -> list[list[object]]:
    """From whom to whom how many records go."""
    return [[impact.name(a), impact.name(b), n] for (a, b), n in impact.matrix().most_common(MOST)]


def _load(impact: Impact) -> list[list[object]]:
    """What the reps who gain or lose have."""
    return [
        [impact.name(rep), load.before, load.after, f"{load.after - load.before:+d}", load.of_capacity]
        for rep, load in impact.shifts()[:MOST]
    ]


def _more(items: Sized, shown: int, text: str) -> list[str]:
    """What says how many more there are than are shown; nothing where all are."""
    return [text.format(len(items) - shown)] if len(items) > shown else []


# --- as Markdown ----------------------------------------------------------------------------------------------------


def as_markdown(diff: PolicyDiff) -> str:
    """A comment for a pull request."""
    lines = [f"## Policy change: {code(diff.old)} → {code(diff.new)}", "", f"**{_cell(said(diff.compared, diff.changes))}**", ""]
    for heading, cases in sections(diff.compared):
        both = [[": ".join(filter(None, side)) for side in sides(d)] for d in cases[:MOST]]
        rows = [(d.where, d.witness, *texts) for d, texts in zip(cases, both)]
        lines += [
            f"### {heading}",
            "",
            *_table("| where | for example | before | after |", rows),
            *_more(cases, MOST, "\n… and {} more"),
            "",
        ]
    if diff.changes:
        lines += _table("| | where | rule | before | after |", ((c.kind, c.where, c.name, c.before, c.after) for c in diff.changes[:MOST]))
        lines += _more(diff.changes, MOST, "\n… and {} more")
    return "\n".join(lines if diff.impact is None else [*lines, *_impact_markdown(diff.impact)])


def _impact_markdown(impact: Impact) -> list[str]:
    f = impact.facts
    lines = ["", f"**{f['moved']:g} of {f['decided']:g} allocations change hands ({f['moved_share']:.1%})**; customers: {f['customers_moved']:g}; "
             f"live windows cut short: {f['windows_cut']:g}; left without an owner: {f['unowned']:g}", ""]  # fmt: skip
    if not impact.moved:
        return lines
    lines += [*_table("| from | to | records |", _ways(impact)), ""]
    lines += [*_table("| rep | before | after | | accounts of capacity |", _load(impact)), ""]
    lines += [
        "<details><summary>Every record that moves</summary>",
        "",
        "| record | role | from | to | was | is |",
        "|---|---|---|---|---|---|",
    ]
    for m in impact.moved[:MOST_MOVED]:
        cells = map(_cell, (impact.name(m.before), impact.name(m.after), m.reason_before, m.reason_after))
        lines.append(f"| {_cell(m.name)}{' (customer)' if m.customer else ''} | {m.role} | {' | '.join(cells)} |")
    return [*lines, *_more(impact.moved, MOST_MOVED, "\n… and {} more"), "", "</details>"]


def _table(header: str, rows: Iterable[Iterable[object]]) -> list[str]:
    return [header, "|" + "---|" * (header.count("|") - 1), *("| " + " | ".join(map(_cell, row)) + " |" for row in rows)]


def _cell(text: object) -> str:
    return markdown(text or "")
