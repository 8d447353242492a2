"""The pages in a real browser, without a network: nothing on the console, and charts that are there to be seen."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("matplotlib")
pytest.importorskip("ortools")
pytest.importorskip("sklearn")

from helpers import EXAMPLES, policy_text
from roe.cli import main
from roe.web.page import COLORS, ReportPage, bars, lines
from test_backtest import history
from test_security import HIDDEN, NAMES

BROWSER = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), "")
in_browser = pytest.mark.skipif(not os.environ.get("ROE_HEAVY") or not BROWSER, reason="needs ROE_HEAVY=1 and Chromium")


def opened(page: Path, picture: Path) -> str:
    """What the browser says on its console while it opens a page and takes its picture."""
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0", "--host-resolver-rules=MAP * ~NOTFOUND",
        "--window-size=1100,1800", f"--screenshot={picture}", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, "HOME": str(page.parent)})
    assert picture.is_file(), done.stderr
    return "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line or "net::" in line)


def seen(picture: Path) -> dict[str, int]:
    """How many pixels of the picture have each color of the charts, and how many are as dark as text."""
    from PIL import Image

    found = Image.open(picture).convert("RGB")
    counts = {f"#{r:02x}{g:02x}{b:02x}": n for n, (r, g, b) in found.getcolors(1 << 24)}
    return {**{c: counts.get(c, 0) for c in COLORS}, "text": sum(n for c, n in counts.items() if int(c[1:3], 16) < 60)}


def pages(folder: Path) -> list[Path]:
    books, kpi = str(EXAMPLES / "dynamic-books"), str(EXAMPLES / "kpi")
    runs = [
        [
            "books",
            "simulate",
            books,
            "--data",
            f"{books}/data",
            "--as-of",
            "2026-02-01",
            "--weeks",
            "8",
            "--against",
            books,
            "--out",
            str(folder),
        ],
        [
            "kpi",
            kpi,
            "--data",
            f"{kpi}/data",
            "--as-of",
            "2026-03-31",
            "--periods",
            "3",
            "--by",
            "team",
            "--page",
            str(folder / "kpi.html"),
        ],
        ["kpi", kpi, "--data", f"{kpi}/data", "--as-of", "2026-03-31", "--page", str(folder / "month.html")],
        [
            "score",
            "backtest",
            "--data",
            str(history(folder / "h")),
            "--outcome",
            "seller != null",
            "--time",
            "came_on",
            "--out",
            str(folder),
        ],
    ]
    for run in runs:
        done = CliRunner().invoke(main, run)
        assert done.exit_code == 0, done.output
    return [folder / f"{name}.html" for name in ("simulation", "kpi", "month", "backtest")]


def pages_of_a_change(folder: Path) -> list[Path]:
    """The pages of a reviewer: coverage, the handbook, a diff; and a flow chart."""
    static, other = str(EXAMPLES / "static"), folder / "other"
    shutil.copytree(static, other)
    table = other / "tables" / "staffing.csv"
    table.write_text(table.read_text("utf-8").replace("dach,ae,eva", "dach,ae,gus"), "utf-8")
    data = ["--data", f"{static}/data", "--as-of", "2026-02-01"]
    runs = [
        ["test", static, "--html", str(folder / "coverage.html")],
        ["handbook", static, "--format", "html", "--out", str(folder / "handbook.html")],
        ["diff", static, str(other), *data, "--page", str(folder / "diff.html")],
        ["graph", static, "--record", "hooli.com", *data, "--format", "svg", "--out", str(folder / "chart.svg")],
    ]
    for run in runs:
        done = CliRunner().invoke(main, run)
        assert done.exit_code == 0, done.output
    return [folder / name for name in ("coverage.html", "handbook.html", "diff.html", "chart.svg")]


@in_browser
def test_pages_of_a_change_open_without_a_word_on_the_console(tmp_path: Path) -> None:
    for page in pages_of_a_change(tmp_path):
        assert opened(page, page.with_suffix(".png")) == "", page.name
        found = seen(page.with_suffix(".png"))
        assert found["text"] > 3000, (page.name, found)
        assert page.suffix != ".svg" or found[COLORS[0]] > 300  # the path that is lit


@in_browser
def test_pages_open_without_a_word_on_the_console(tmp_path: Path) -> None:
    for page in pages(tmp_path):
        said = opened(page, page.with_suffix(".png"))
        assert said == "", (page.name, said)
        found = seen(page.with_suffix(".png"))
        assert sum(found[c] for c in COLORS) > 300 and found["text"] > 3000, (page.name, found)


@in_browser
def test_a_page_that_breaks_its_own_rule_would_be_noticed(tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text('<meta http-equiv="Content-Security-Policy" content="default-src \'none\'"><script>1</script><p>x')
    assert "CONSOLE" in opened(tmp_path / "bad.html", tmp_path / "bad.png")


CUT = """() => [...document.querySelectorAll('figure svg')].flatMap(svg => {
  const all = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter(x => {
    const own = x.getBoundingClientRect();
    return own.left < all.left - 1 || own.right > all.right + 1 || own.top < all.top - 1 || own.bottom > all.bottom + 1;
  }).map(x => x.textContent);
})"""
COVERED = """() => [...document.querySelectorAll('figure svg')].flatMap(svg => {
  const axes = svg.querySelector('#axes_1 > #patch_2'), legend = svg.querySelector('#legend_1');
  return axes && legend && legend.getBoundingClientRect().top < axes.getBoundingClientRect().bottom ? ['a legend covers its chart'] : [];
})"""


@in_browser
def test_no_text_of_a_chart_is_cut_off_or_covers_it_and_axe_finds_nothing(tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    wrong: list[str] = []
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        for report in (x for x in (*pages(tmp_path), *pages_of_a_change(tmp_path)) if x.suffix == ".html"):
            looks: list[dict[str, Any]] = [{"color_scheme": "light"}, {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}}]
            for look in looks:
                page = browser.new_context(**look).new_page()
                width = page.evaluate("window.innerWidth")
                page.goto(report.as_uri())
                wrong += [f"{report.name} {width}: {x}" for x in (*page.evaluate(CUT), *page.evaluate(COVERED))]
                wrong += [f"{report.name} {width}: too wide"] if page.evaluate("document.documentElement.scrollWidth") > width else []
                wrong += [f"{report.name} {width}: {v['id']}" for v in Axe().run(page).response["violations"]]
                page.context.close()
        browser.close()
    assert not wrong, "\n".join(wrong)


def test_a_chart_has_the_colours_of_its_page_and_tells_series_apart_without_them() -> None:
    """So it is readable in the dark and in print: no colour is written into it."""
    series = {"a": [1.0, 2.0], "b": [2.0, 1.0]}
    drawn = bars("Bars", ["x", "y"], series), lines("Lines", {name: ([1.0, 2.0], ys) for name, ys in series.items()}, diagonal=True)
    page = ReportPage("")
    page.charts(drawn)
    for svg in drawn:
        used = set(re.findall(r"var\((--[\w-]+)\)", svg))
        assert {"--ink", "--line", "--chart-1", "--chart-2"} <= used and not re.search(r"#[0-9a-f]{3,6}\b", svg.replace('"#', ""))
        assert all(page.html().count(f"{name}:") == 3 for name in used)  # light, dark, print
    assert "<pattern" in drawn[0] and "stroke-dasharray" in drawn[1]


def test_what_the_data_says_stays_text() -> None:
    nasty = '<script>alert(1)</script>"$x^{2}$'
    page = ReportPage(nasty, nasty)
    page.heading(nasty)
    page.say(nasty, nasty)
    page.table([nasty], [[nasty]])
    page.charts([bars(nasty, [nasty], {nasty: [1.0], "b": [2.0]}), lines(nasty, {nasty: ([1.0], [1.0]), "b": ([1.0], [2.0])}, x=nasty)])
    html = page.html()
    assert "<script" not in html and 'class="<' not in html


HOSTILE = """roe: 1
name: "<script>alert(0)</script>"
roles: [ae]
pools: {desk: {members: true}}
kpis: {activity: {counts: 'type = "<u>"', meeting: 'type = "meeting"'}, answer_within: 4 working hours, targets: targets.csv}
engagement:
  account:
    ae:
      - {name: "a-</code><b>", when: account.name = "<i>", then: keep, because: "{account.name} stays **</strong><script>**"}
      - {name: rest, then: {route: desk}, because: "{account.name} `<u>` goes on"}
"""


class Tags(HTMLParser):
    """Every tag and attribute of a page that is not of its charts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links |= {str(x) for name, x in attrs if name in ("href", "src")}


def hostile_pages(folder: Path) -> list[Path]:
    """The reports of an organisation whose names are scripts, bidi, formulas and 10,000 characters."""
    names = [
        *NAMES,
        "x" * 10_000,
        "W" * 300,
        '"><img src=x onerror=alert(1)>',
        "' onfocus=alert(1) autofocus x='",
        "</table></div><script>alert(2)</script>",
    ]
    for version in ("old", "new"):
        policy_text(folder / version, HOSTILE.replace("then: keep", "then: keep" if version == "old" else "then: {route: desk}"))
        (folder / version / "targets.csv").write_text(
            'kpi,group,target,benchmark,source\ncoverage,,80 %,,"<img src=x onerror=alert(1)>"\n', "utf-8"
        )
        (folder / version / "tests").mkdir()
        case = {
            "name": names[-1],
            "as_of": "2026-02-01",
            "given": {"accounts": [{"id": "<i>", "name": "<i>"}], "reps": [{"id": "r", "name": names[-2]}]},
            "expect": [{"record": "<i>", "owner": "r"}],
        }
        (folder / version / "tests" / "t.yaml").write_text(json.dumps({"tests": [case]}), "utf-8")
    data = folder / "d"
    data.mkdir()
    for file, header in (("reps", ["id", "name", "team"]), ("accounts", ["id", "name", "owner", "<b>column"])):
        with (data / f"{file}.csv").open("w", encoding="utf-8", newline="") as out:
            rows = [[f"{file}{i}", name, name[:80], name] for i, name in enumerate([*names, "<i>"])]
            csv.writer(out).writerows([header, *([*row[: len(header)]] for row in rows)])
    old, new, records = str(folder / "old"), str(folder / "new"), ["--data", str(data), "--as-of", "2026-02-01"]
    runs = [
        ["handbook", old, *records, "--format", "html", "--out", str(folder / "handbook.html")],
        ["diff", old, new, *records, "--page", str(folder / "diff.html")],
        ["test", old, "--html", str(folder / "coverage.html")],
        ["kpi", old, *records, "--by", "rep", "--page", str(folder / "kpi.html")],
        ["data", str(data), old, "--format", "html", "--out", str(folder / "data.html")],
        ["graph", old, "--format", "svg", "--out", str(folder / "graph.svg")],
    ]
    for run in runs:
        done = CliRunner().invoke(main, run)
        assert done.exception is None or isinstance(done.exception, SystemExit), (run, done.exception)
        assert (folder / Path(run[-1]).name).is_file(), done.output
    return [Path(run[-1]) for run in runs]


def test_reports_of_a_hostile_organisation_show_texts_as_texts(tmp_path: Path) -> None:
    for page in hostile_pages(tmp_path):
        html = page.read_text("utf-8")
        found = Tags(html)
        assert not found.tags & {"script", "img", "iframe", "object", "form", "i", "u"}, (page.name, found.tags)
        assert not {a for a in found.attributes if a.startswith("on")} and all(link[0] in "#d" for link in found.links), page.name
        assert HIDDEN.search(html) is None and "x" * 2_100 not in html, page.name


@in_browser
def test_reports_of_a_hostile_organisation_keep_their_layout(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    said: list[str] = []
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("dialog", lambda d: said.append(d.message))
        page.on("console", lambda m: said.append(m.text))
        for report in (x for x in hostile_pages(tmp_path) if x.suffix == ".html"):
            page.goto(report.as_uri())
            for width in (1280, 390):
                page.set_viewport_size({"width": width, "height": 844})
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (report.name, width)
        browser.close()
    assert said == []
