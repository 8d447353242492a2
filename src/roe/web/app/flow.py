"""The rules of a role as a chart that runs down the page, the path of one record lit: SVG whose colours are the style sheet's.

Two are drawn, for wide and for narrow screens, and the style sheet shows one. Texts are texts, and a chart of many rules is shortened
to those around the one that decides.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from roe.analysis.graph import Chart, Rung
from roe.untrusted import one_line, visible

LINE, LEFT, TEXT = 18, 11, 34  # the height of a line, where the spine runs, and where texts begin
AROUND = 6  # rules before the deciding one that are drawn, and half as many after it
LONGEST = 400  # characters of one text


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand: the whole width, where outcomes begin, and how many characters fit beside and in them."""

    name: str
    width: int
    outcome: int
    asks: int
    does: int


WIDE = Layout("wide", 600, 352, 46, 34)
NARROW = Layout("narrow", 340, TEXT, 44, 42)


@dataclass(frozen=True, slots=True)
class Gap:
    """Rules that are left out."""

    rules: int
    asked: bool


def drawn(chart: Chart) -> Markup:
    """The chart for both widths, with what it shows in words for those who do not see it."""
    return Markup("").join(Markup(_svg(chart, layout)) for layout in (WIDE, NARROW))


def shortened(rungs: tuple[Rung, ...]) -> Iterator[Rung | Gap]:
    """The rules around the one that decides; all of a short list."""
    decides = next((i for i, r in enumerate(rungs) if r.decides), None)
    last = decides if decides is not None else len(rungs) - 1
    first, end = max(0, last - AROUND), min(len(rungs), last + 1 + AROUND // 2)
    if len(rungs) <= 2 * AROUND:
        first, end = 0, len(rungs)
    if first:
        yield Gap(first, True)
    yield from rungs[first:end]
    if end < len(rungs):
        yield Gap(len(rungs) - end, False)


def _svg(chart: Chart, at: Layout) -> str:
    parts: list[str] = []
    y = 6
    items = list(shortened(chart.rungs))
    for number, item in enumerate(items):
        more = number + 1 < len(items)
        y = _gap(item, y, parts, more) if isinstance(item, Gap) else _rung(item, y, at, parts, more)
    height = y + 2
    decides = next((r for r in chart.rungs if r.decides), None)
    label = f"{chart.title}: " + (f"the rule {decides.name} decides" if decides is not None else "no rule holds")
    return (
        f'<svg class="flow {at.name}" viewBox="0 0 {at.width} {height}" width="{at.width}" height="{height}" role="img" '
        f'aria-label="{_text(label)}">' + "".join(parts) + "</svg>"
    )


def _rung(rung: Rung, y: int, at: Layout, parts: list[str], more: bool) -> int:
    """Draw a rule from y on; where the next begins."""
    lit = "decides" if rung.decides else "asked" if rung.asked else "idle"
    asks = _wrapped("in every other case" if rung.asks == "always" else rung.asks, at.asks)
    does = _wrapped(rung.does, at.does)
    beside = at.outcome > TEXT
    box = 12 + LINE * len(does)
    high = max(LINE * (len(asks) + 1), box) if beside else LINE * (len(asks) + 1) + 8 + box
    middle = y + 9
    if more:
        parts.append(
            f'<line class="spine {"asked" if lit == "asked" else "idle"}" x1="{LEFT}" y1="{middle}" x2="{LEFT}" y2="{y + high + 27}"/>'
        )
    if beside:
        parts.append(f'<line class="branch {lit}" x1="{LEFT}" y1="{middle}" x2="{at.outcome}" y2="{middle}"/>' if rung.decides else "")
    parts.append(f'<circle class="node {lit}" cx="{LEFT}" cy="{middle}" r="6"/>')
    words = len(rung.name[:LONGEST])
    shade = min(at.width, words * 8 + 14)
    parts.append(f'<rect class="shade" x="{TEXT - 4}" y="{y}" width="{shade}" height="18"/>')
    parts.append(f'<text class="name {lit}" x="{TEXT}" y="{y + 13}">{_text(rung.name[: at.asks])}</text>')
    parts += [f'<text class="{lit}" x="{TEXT}" y="{y + 13 + LINE * n}">{_text(line)}</text>' for n, line in enumerate(asks, 1)]
    top = y - 3 if beside else y + LINE * (len(asks) + 1) + 2
    width = at.width - at.outcome - 2
    parts.append(f'<rect class="outcome {lit}" x="{at.outcome}" y="{top}" width="{width}" height="{box}" rx="4"/>')
    parts += [
        f'<text class="does {lit}" x="{at.outcome + 10}" y="{top + 19 + LINE * n}">{_text(line)}</text>' for n, line in enumerate(does)
    ]
    if more and rung.asked and not rung.decides:
        parts.append(f'<text class="no" x="{LEFT + 8}" y="{y + high + 15}">no</text>')
    return y + high + 24


def _gap(gap: Gap, y: int, parts: list[str], more: bool) -> int:
    kind = "asked" if gap.asked else "idle"
    said = f"{gap.rules} earlier rules that do not hold" if gap.asked else f"{gap.rules} later rules, not asked"
    if more:
        parts.append(f'<line class="spine {kind}" x1="{LEFT}" y1="{y + 9}" x2="{LEFT}" y2="{y + 45}"/>')
    parts.append(f'<circle class="node small {kind}" cx="{LEFT}" cy="{y + 9}" r="3"/>')
    parts.append(f'<text class="idle" x="{TEXT}" y="{y + 13}">… {said}</text>')
    return y + 36


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(one_line(text)[:LONGEST].replace("`", ""), width) or [""]


def _text(text: str) -> str:
    return escape(visible(one_line(text)))
