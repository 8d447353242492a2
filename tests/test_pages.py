"""The pages in a real browser, without a network: nothing on the console, and charts that are there to be seen."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("matplotlib")
pytest.importorskip("ortools")
pytest.importorskip("sklearn")

from helpers import EXAMPLES
from roe.cli import main
from roe.web.page import COLORS, Page, bars, lines
from test_backtest import history

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


def test_what_the_data_says_stays_text() -> None:
    nasty = '<script>alert(1)</script>"$x^{2}$'
    page = Page(nasty, nasty)
    page.heading(nasty)
    page.say(nasty, nasty)
    page.table([nasty], [[nasty]])
    page.charts([bars(nasty, [nasty], {nasty: [1.0], "b": [2.0]}), lines(nasty, {nasty: ([1.0], [1.0]), "b": ([1.0], [2.0])}, x=nasty)])
    html = page.html()
    assert "<script" not in html and 'class="<' not in html
