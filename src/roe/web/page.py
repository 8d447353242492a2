"""One self-contained HTML page: headings, sentences, tables and charts (SVG by matplotlib), every text escaped.

Its style sheet is the house style, which the pages of `roe ui` have too.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from roe.untrusted import visible

COLORS = ("#0b5d51", "#c9722a", "#3b6ea5", "#8a4fa3", "#98261f", "#59645f")
Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]  # name -> xs, ys


@cache
def style() -> str:
    """The house style."""
    return (files("roe.web") / "app" / "static" / "house.css").read_text("utf-8")


_TICKS = re.compile(r"`([^`]+)`")


def marked(text: str) -> str:
    """A text as HTML, escaped first; names between backticks are shown as code."""
    return _TICKS.sub(r"<code>\1</code>", escape(text))


class Page:
    """A page that is put together from top to bottom."""

    def __init__(self, title: str, subtitle: str = "") -> None:
        self.title = title
        self.parts = [f"<h1>{escape(title)}</h1>"]
        self._last = title  # the heading that a table stands under
        if subtitle:
            self.parts.append(f'<p class="quiet">{escape(subtitle)}</p>')

    def heading(self, text: str) -> None:
        self._last = text
        self.parts.append(f"<h2>{escape(text)}</h2>")

    def say(self, text: str, kind: str = "") -> None:
        self.parts.append(f'<p class="{escape(kind)}">{marked(text)}</p>' if kind else f"<p>{marked(text)}</p>")

    def bullets(self, texts: Iterable[str]) -> None:
        self.parts.append("<ul>" + "".join(f"<li>{marked(text)}</li>" for text in texts) + "</ul>")

    def table(self, header: Iterable[Any], rows: Iterable[Iterable[Any]], kind: str = "") -> None:
        head = "".join(f'<th scope="col">{escape(str(h))}</th>' if str(h) else "<td></td>" for h in header)
        body = "".join("<tr>" + "".join(f"<td>{marked('' if c is None else str(c))}</td>" for c in row) + "</tr>" for row in rows)
        self.parts.append(
            f'<div class="wide" tabindex="0" role="group" aria-label="{escape(self._last)}"><table class="{escape(kind)}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        )

    def charts(self, found: Iterable[str]) -> None:
        self.parts.append('<div class="charts">' + "".join(f"<figure>{svg}</figure>" for svg in found) + "</div>")

    def html(self) -> str:
        head = (
            f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(self.title)}</title>'
        )
        policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
        body = "\n".join(self.parts)
        return visible(
            f'<!doctype html>\n<html lang="en">\n<head>{head}{policy}<link rel="icon" href="data:,"><meta name="color-scheme" content="light dark"><style>{style()}</style></head>\n<body class="report">\n<main>\n{body}\n</main>\n</body>\n</html>\n'
        )


def lines(
    title: str,
    series: Series,
    *,
    x: str = "",
    y: str = "",
    percent: bool = False,
    diagonal: bool = False,
    dots: bool = False,
    ticks: Sequence[str] = (),
) -> str:
    """A chart of lines, or of dots joined by lines; `ticks` name the points 1, 2, … of the x axis."""
    figure, axes = _axes(title, x, y)
    if diagonal:
        axes.plot([0, 1], [0, 1], color="#b8c1ca", linewidth=1, linestyle="--")
    for (name, (xs, ys)), color in zip(series.items(), COLORS * (1 + len(series) // len(COLORS)), strict=False):
        axes.plot(xs, ys, label=name, color=color, linewidth=1.8, marker="o" if dots else None, markersize=4)
    if ticks:
        axes.set_xticks(range(1, len(ticks) + 1), [_plain(t) for t in ticks], fontsize=8)
    _legend(figure, len(series))
    return _svg(figure, axes, percent)


def bars(
    title: str, names: Sequence[str], values: Mapping[str, Sequence[float]], *, x: str = "", y: str = "", percent: bool = False
) -> str:
    """A chart of bars side by side, one group for each name."""
    figure, axes = _axes(title, x, y)
    width = 0.8 / max(len(values), 1)
    for i, (label, heights) in enumerate(values.items()):
        at = [n - 0.4 + width * (i + 0.5) for n in range(len(names))]
        axes.bar(at, heights, width * 0.92, label=label, color=COLORS[i % len(COLORS)])
    axes.set_xticks(
        range(len(names)),
        [_plain(n)[:18] for n in names],
        rotation=35 if max(map(len, names), default=0) > 4 else 0,
        fontsize=8,
        ha="right" if max(map(len, names), default=0) > 4 else "center",
    )
    _legend(figure, len(values))
    return _svg(figure, axes, percent)


def _legend(figure: Any, entries: int) -> None:
    """What the colours mean, below the axes, where it covers nothing."""
    if entries > 1:
        figure.legend(loc="outside lower center", frameon=False, fontsize=8, ncols=min(entries, 4), handlelength=1.2, columnspacing=1.2)


def _axes(title: str, x: str, y: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 3.1), layout="constrained")
    axes = figure.subplots()
    axes.set_title(_plain(title), fontsize=10, loc="left", fontweight="bold")
    axes.set_xlabel(_plain(x), fontsize=8)
    axes.set_ylabel(_plain(y), fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6eaee", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def _plain(text: str) -> str:
    """A text that matplotlib does not read as mathematics."""
    return text.replace("$", r"\$")


def _svg(figure: Any, axes: Any, percent: bool) -> str:
    """The chart as SVG with texts as texts; the same chart gives the same bytes."""
    from matplotlib import rc_context
    from matplotlib.ticker import PercentFormatter

    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    out = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": axes.get_title(loc="left"), "font.family": "sans-serif"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
