"""Parts of a policy as flow charts, Mermaid or SVG, with the path of one record lit."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from roe.analysis import words
from roe.plan.operators import Choose
from roe.untrusted import visible

if TYPE_CHECKING:
    from roe.evaluator.decision import Decision

LIT, DIM, INK, QUIET = "#0b5d51", "#dcdfd9", "#1a211f", "#59645f"
WIDE, GAP, LINE = 300, 60, 17


@dataclass(frozen=True, slots=True)
class Rung:
    """One rule: what it asks, what it does, and for one record whether it was asked and whether it decided."""

    name: str
    asks: str
    does: str
    asked: bool = False
    decides: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Rules in order, of which the first that holds decides; or without `ladder` lines that stand side by side, such as pools.

    `record` is whose path is lit, `owner` who has it in the end.
    """

    title: str
    rungs: tuple[Rung, ...]
    record: str = ""
    owner: str = ""
    ladder: bool = True


Said = tuple[str, str, str]  # of a rule: its name, what it asks, what it does


def said_of(step: Choose, called: Callable[[str], str] = str) -> list[Said]:
    """Every rule of a list in words, which are the same for all records. `called` gives a rep's name for the id."""
    return [(str(r.name), words.when(r, step.entity), words.action(r.value, step.entity, called)) for r in step.rules]


def chart(step: Choose, role: str, decision: Decision | None, said: Sequence[Said] | None = None) -> Chart:
    """The chart of a list of rules, with a decision's path lit. `said` has the rules in words, where they are known already."""
    fired = decision.choice.fired[0] if decision is not None and decision.choice is not None and decision.choice.fired else None
    last = fired if fired is not None else len(step.rules) - 1 if decision is not None and decision.choice is not None else -1
    rungs = tuple(Rung(*texts, i <= last, i == fired) for i, texts in enumerate(said_of(step) if said is None else said))
    record = "" if decision is None else decision.name
    owner = "" if decision is None else f"{decision.owner_name or 'nobody'}: {decision.reason}"
    return Chart(f"Who is the {role} of {words.an(step.entity)}", rungs, record, owner)


def listed(title: str, rows: Sequence[Said], ladder: bool) -> Chart:
    """The chart of any list in words."""
    return Chart(title, tuple(Rung(*row) for row in rows), ladder=ladder)


def mermaid(charts: Sequence[Chart]) -> str:
    """All charts as one Mermaid flow chart."""
    lines = ["flowchart TD"]
    for number, c in enumerate(charts, 1):
        key = f"c{number}"
        start = f"{c.title}: {c.record}" if c.record else c.title
        lines.append(f'  {key}_start(["{_quoted(start)}"])')
        before, label = f"{key}_start", ""
        if not c.ladder:
            lines += _beside(key, c)
            continue
        for i, rung in enumerate(c.rungs, 1):
            node = f"{key}_r{i}"
            always = rung.asks == "always"
            shape = (f'["{_quoted(rung.name)}"]') if always else f'{{"{_quoted(f"{rung.name}: {rung.asks}?")}"}}'
            lines += [f"  {node}{shape}", f"  {before} -->{label} {node}", f'  {node}_does["{_quoted(rung.does)}"]']
            lines.append(f"  {node} -->{'' if always else '|yes|'} {node}_does")
            before, label = node, "|no|"
        if c.rungs and c.rungs[-1].asks != "always":
            lines += [f'  {key}_none["nobody: no rule holds"]', f"  {before} -->|no| {key}_none"]
        lit = [f"{key}_start"] if c.record else []
        lit += [f"{key}_r{i}" for i, r in enumerate(c.rungs, 1) if r.asked] + [
            f"{key}_r{i}_does" for i, r in enumerate(c.rungs, 1) if r.decides
        ]
        if lit:
            lines.append(f"  class {','.join(lit)} lit")
    if any(c.record for c in charts):
        lines.append(f"  classDef lit fill:#d3e8e1,stroke:{LIT},stroke-width:3px")
    return "\n".join(lines) + "\n"


def _beside(key: str, c: Chart) -> list[str]:
    """The lines of a list: none of them depends on another."""
    lines = []
    for i, rung in enumerate(c.rungs, 1):
        node = f"{key}_r{i}"
        name = f"{rung.name}: {rung.asks}" if rung.asks else rung.name
        lines += [f'  {node}["{_quoted(name)}"]', f"  {key}_start --> {node}"]
        if rung.does:
            lines += [f'  {node}_does["{_quoted(rung.does)}"]', f"  {node} --> {node}_does"]
    return lines


def _quoted(text: str) -> str:
    """A text inside a Mermaid label."""
    return " ".join(textwrap.wrap(escape(visible(text), quote=False).replace('"', "&quot;").replace("`", "'"), 10_000))


def _escaped(text: str) -> str:
    """A text inside SVG."""
    return escape(visible(text))


def svg(charts: Sequence[Chart]) -> str:
    """All charts below one another; texts are texts, and nothing is loaded."""
    parts: list[str] = []
    y = 20
    for c in charts:
        y = _svg(c, y, parts) + 40
    width = 2 * WIDE + GAP + 60
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" viewBox="0 0 {width} {y}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="{INK}">\n<rect width="100%" height="100%" fill="#fff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _svg(c: Chart, y: int, parts: list[str]) -> int:
    """Draw a chart from y on; where it ends."""
    parts.append(f'<text x="20" y="{y}" font-size="16" font-weight="600">{_escaped(c.title)}</text>')
    if c.record:
        y += 22
        for line in textwrap.wrap(f"{c.record}: {c.owner}", 90):
            parts.append(f'<text x="20" y="{y}" fill="{LIT}">{_escaped(line)}</text>')
            y += LINE
    y += 16
    left, right = 20, 20 + WIDE + GAP
    for i, rung in enumerate(c.rungs):
        asks = textwrap.wrap("" if rung.asks == "always" else rung.asks, 42) or (["in every other case"] if c.ladder else [])
        does = textwrap.wrap(rung.does, 42)
        high = 18 + LINE * max(len(asks) + 1, len(does))
        color, wide = (LIT, 2.5) if rung.asked else (DIM, 1.2)
        parts.append(
            f'<rect x="{left}" y="{y}" width="{WIDE}" height="{high}" rx="6" fill="{"#eef6f3" if rung.asked else "#fff"}" stroke="{color}" stroke-width="{wide}"/>'
        )
        parts.append(f'<text x="{left + 12}" y="{y + 20}" font-weight="600">{_escaped(rung.name)}</text>')
        parts += [f'<text x="{left + 12}" y="{y + 20 + LINE * n}">{_escaped(line)}</text>' for n, line in enumerate(asks, 1)]
        if does:
            _consequence(rung, does, right, y, high, parts)
            label = "yes" if c.ladder and rung.asks != "always" else ""
            parts.append(_arrow(left + WIDE, y + high // 2, right, y + high // 2, rung.decides, label))
        if c.ladder and i + 1 < len(c.rungs):
            parts.append(_arrow(left + 40, y + high, left + 40, y + high + 26, rung.asked and not rung.decides, "no"))
        y += high + (26 if c.ladder else 12)
    return y


def _consequence(rung: Rung, lines: list[str], x: int, y: int, high: int, parts: list[str]) -> None:
    """The box of what a rule does."""
    fill, color, wide = ("#d3e8e1", LIT, 2.5) if rung.decides else ("#fff", DIM, 1.2)
    parts.append(f'<rect x="{x}" y="{y}" width="{WIDE}" height="{high}" rx="18" fill="{fill}" stroke="{color}" stroke-width="{wide}"/>')
    parts += [f'<text x="{x + 14}" y="{y + 20 + LINE * n}">{_escaped(line)}</text>' for n, line in enumerate(lines)]


def _arrow(x1: int, y1: int, x2: int, y2: int, lit: bool, label: str) -> str:
    color, wide = (LIT, 2.5) if lit else (QUIET, 1.2)
    head = f"{x2 - 8},{y2 - 4} {x2},{y2} {x2 - 8},{y2 + 4}" if y1 == y2 else f"{x2 - 4},{y2 - 8} {x2},{y2} {x2 + 4},{y2 - 8}"
    at = f'x="{(x1 + x2) // 2 - 10}" y="{y1 - 5}"' if y1 == y2 else f'x="{x1 + 8}" y="{(y1 + y2) // 2 + 4}"'
    text = f'<text {at} fill="{QUIET}" font-size="11">{label}</text>' if label else ""
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{color}" stroke-width="{wide}"/><polygon points="{head}" fill="{color}"/>{text}'
