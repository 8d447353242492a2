"""One self-contained HTML page: headings, sentences, tables and charts (SVG by matplotlib), every text escaped.

Its style sheet is the house style, which the pages of `roe ui` have too.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING
from warnings import catch_warnings, simplefilter

from roe.untrusted import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#0b5d51", "#c9722a", "#3b6ea5", "#8a4fa3", "#98261f", "#59645f")
STROKES, HATCHES = ("-", "--", "-.", ":"), ("", "///", "...", "xxx")  # colours never tell series apart alone
INK, GRID, PANEL = "#010203", "#010204", "#010205"  # stand for the page's own colours, which are others in the dark
THEME = {INK: "--ink", GRID: "--line", PANEL: "--panel"} | {color: f"--chart-{n}" for n, color in enumerate(COLORS, 1)}
CHART = {
    "svg.fonttype": "none", "font.family": "sans-serif", "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK,
    "ytick.color": INK, "hatch.linewidth": 1.2,
}  # fmt: skip
LEGEND = 64  # characters that fit below a chart
Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]  # name -> xs, ys


@cache
def style() -> str:
    """The house style."""
    return (files("roe.web") / "app" / "static" / "house.css").read_text("utf-8")


_CODE = (re.compile(r"`([^`]+)`"), r"<code>\1</code>")
_MARKS = ((re.compile(r"\*\*(.+?)\*\*"), r"<strong>\1</strong>"), (re.compile(r"\*(.+?)\*"), r"<em>\1</em>"), _CODE)
_NUMBER = re.compile(r"(▼ )?[-+]?[\d,.]+ ?[%h]?( (to|of) [\d,.]+ ?%?)?( over)?")
SHORT = 24  # characters of a cell that stay in one line
LONGEST = 2_000  # characters of a text that are shown at all


_PAINT = re.compile(rf"((?:fill|stroke)(?:: |=\"))({'|'.join(THEME)})")


def with_code(text: str) -> str:
    """A text as HTML, escaped first; names between backticks are shown as code."""
    return _CODE[0].sub(_CODE[1], escape(text))


def with_marks(text: str) -> str:
    """The same for a sentence of the handbook, which also has `**strong**` and `*emphasised*` words."""
    made = escape(text)
    for pattern, html in _MARKS:
        made = pattern.sub(html, made)
    return made


def capped(text: str) -> str:
    """A text of a sensible length: a name in a CRM can have any."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text) - LONGEST:,} more characters)"


class ReportPage:
    """A page that is put together from top to bottom."""

    def __init__(self, title: str, subtitle: str = "") -> None:
        self.title = title
        self.parts = [f"<h1>{escape(title)}</h1>"]
        self._under = title  # the heading that a table stands under
        if subtitle:
            self.parts.append(f'<p class="quiet">{escape(subtitle)}</p>')

    def heading(self, text: str, level: int = 2, anchor: str = "") -> None:
        self._under = text
        self.parts.append(f"<h{level}" + (f' id="{escape(anchor)}"' if anchor else "") + f">{with_code(text)}</h{level}>")

    def say(self, text: str, kind: str = "") -> None:
        text = capped(text)
        self.parts.append(f'<p class="{escape(kind)}">{with_code(text)}</p>' if kind else f"<p>{with_code(text)}</p>")

    def bullets(self, texts: Iterable[str]) -> None:
        self.parts.append("<ul>" + "".join(f"<li>{with_code(capped(text))}</li>" for text in texts) + "</ul>")

    def table(self, header: Iterable[str], rows: Iterable[Iterable[object]], cell: Callable[[str], str] = with_code) -> None:
        """A table whose first column names what the row is about. Numbers are flush right, and a column that is empty in every row is left out."""
        heads = [str(h) for h in header]
        shown = [["" if c is None else capped(str(c)) for c in row] for row in rows]
        filled = [n for n in range(len(heads)) if n == 0 or not shown or any(row[n] for row in shown)]
        shown = [[row[n] for n in filled] for row in shown]
        are_numbers = [n > 0 and all(_NUMBER.fullmatch(row[n]) for row in shown if row[n]) for n in range(len(filled))]
        head = "".join(_head(heads[n], is_number) for n, is_number in zip(filled, are_numbers, strict=True))
        rows_shown = [
            "".join(_cell(n, text, is_number, cell) for n, (text, is_number) in enumerate(zip(row, are_numbers, strict=True)))
            for row in shown
        ]
        body = "".join(f"<tr>{row}</tr>" for row in rows_shown)
        self.parts.append(
            f'<div class="wide" tabindex="0" role="group" aria-label="{escape(self._under)}"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        )

    def charts(self, charts: Iterable[str]) -> None:
        self.parts.append('<div class="charts">' + "".join(f"<figure>{svg}</figure>" for svg in charts) + "</div>")

    def html(self) -> str:
        head = (
            f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(self.title)}</title>'
        )
        policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
        body = "\n".join(self.parts)
        return visible(
            f'<!doctype html>\n<html lang="en">\n<head>{head}{policy}<link rel="icon" href="data:,"><meta name="color-scheme" content="light dark"><style>{style()}</style></head>\n<body class="report">\n<main>\n{body}\n</main>\n</body>\n</html>\n'
        )


def _head(text: str, is_number: bool) -> str:
    return f'<th scope="col"{" class=n" if is_number else ""}>{escape(text)}</th>' if text else "<td></td>"


def _cell(n: int, text: str, is_number: bool, cell: Callable[[str], str]) -> str:
    """The n-th cell of a row; the first names the row."""
    kinds = " ".join(kind for kind, holds in (("n", is_number), ("nowrap", len(text) <= SHORT)) if holds)
    mark = f' class="{kinds}"' if kinds else ""
    return f"<td{mark}>{cell(text)}</td>" if n else f'<th scope="row"{mark}>{cell(text)}</th>'


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
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
    for number, (name, (xs, ys)) in enumerate(series.items()):
        color, stroke = COLORS[number % len(COLORS)], STROKES[number % len(STROKES)]
        axes.plot(xs, ys, label=name, color=color, linestyle=stroke, linewidth=1.8, marker="o" if dots else None, markersize=4)
    if ticks:
        axes.set_xticks(range(1, len(ticks) + 1), [_cut(t, 14) for t in ticks], fontsize=8)
    _legend(figure, list(series))
    return _svg(figure, axes, percent)


def bars(
    title: str, names: Sequence[str], values: Mapping[str, Sequence[float]], *, x: str = "", y: str = "", percent: bool = False
) -> str:
    """A chart of bars side by side, one group for each name."""
    figure, axes = _axes(title, x, y)
    width = 0.8 / max(len(values), 1)
    for i, (label, heights) in enumerate(values.items()):
        at = [n - 0.4 + width * (i + 0.5) for n in range(len(names))]
        axes.bar(
            at,
            heights,
            width * 0.92,
            label=label,
            color=COLORS[i % len(COLORS)],
            hatch=HATCHES[i % len(HATCHES)],
            edgecolor=PANEL,
            linewidth=0,
        )
    axes.set_xticks(
        range(len(names)),
        [_cut(n, 18) for n in names],
        rotation=35 if max(map(len, names), default=0) > 4 else 0,
        fontsize=8,
        ha="right" if max(map(len, names), default=0) > 4 else "center",
    )
    _legend(figure, list(values))
    return _svg(figure, axes, percent)


def _legend(figure: Figure, names: Sequence[str]) -> None:
    """What the colours mean, below the axes, where it covers nothing; as many names in a line as fit."""
    if len(names) > 1:
        shown = [_cut(name, LEGEND) for name in names]
        columns = max(1, min(len(names), LEGEND // (max(map(len, shown)) + 6)))
        handles = figure.axes[0].get_legend_handles_labels()[0]
        figure.legend(
            handles, shown, loc="outside lower center", frameon=False, fontsize=8, ncols=columns, handlelength=2.2, columnspacing=1.2, labelcolor=INK
        )  # fmt: skip


def _cut(text: str, most: int) -> str:
    """A text of a chart, which has no room for more; matplotlib reads none of it as mathematics."""
    text = visible(" ".join(text.split()))
    return (text if len(text) <= most else text[: most - 1] + "…").replace("$", r"\$")


def _axes(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(CHART):
        figure = Figure(figsize=(4.6, 3.1), layout="constrained")
        axes = figure.subplots()
    axes.set_title(_cut(title, 50), fontsize=10, loc="left", fontweight="bold")
    axes.set_xlabel(_cut(x, LEGEND), fontsize=8)
    axes.set_ylabel(_cut(y, 40), fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: Figure, axes: Axes, percent: bool) -> str:
    """The chart as SVG with texts as texts and the page's own colours; the same chart gives the same bytes."""
    from matplotlib import rc_context
    from matplotlib.ticker import PercentFormatter

    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    buffer = io.StringIO()
    with catch_warnings(), rc_context(CHART | {"svg.hashsalt": axes.get_title(loc="left")}):
        simplefilter("ignore")  # of glyphs that its own font lacks: the text stays text, and the reader's browser has the fonts
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return _PAINT.sub(lambda found: f"{found[1]}var({THEME[found[2]]})", text[text.index("<svg") :])
