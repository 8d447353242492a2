"""Texts from outside are shown as what they are, wherever they come out; nobody else's files are trusted."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from helpers import policy_text
from roe import cache, untrusted
from roe.cli import main
from roe.data.files import csv_text, safe
from roe.diagnostics import Diagnostic, as_github
from roe.evaluator.engine import Evaluator
from roe.source import Span

POLICY = """roe: 1
name: x
roles: [ae]
engagement:
  account:
    ae:
      - {name: all, then: {assign: '"ann"'}, because: "{account.name} goes to Ann"}
"""
ESCAPE, BIDI = "\x1b[2J\x1b]0;owned\x07", "\u202egnp.exe"
FORGED = "::error file=x.py,line=1::forged"
NAMES = [
    f"{ESCAPE}clear", f"txt{BIDI}", FORGED, f"x\n{FORGED}", f"x\r\n  {FORGED}", "##[error]forged", "a ##[add-mask]b", "![i](http://evil.test/i.png)",
    "[click](http://evil.test)", "@everyone", "<script>alert(1)</script>", "https://evil.test/x", "=cmd|' /C calc'!A0", "＝1+1", "\u200b=1+1",
    "a\x9b31mred", "a`b", "a|b", "\u2028::warning::x", "%0A::error::x",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    policy_text(tmp_path / "p", POLICY)
    data = tmp_path / "d"
    data.mkdir()
    rows = [[str(i), name, "bob" if i % 2 else ""] for i, name in enumerate(NAMES)]
    text = io.StringIO()
    csv.writer(text).writerows([["id", "name", "owner"], *rows])
    (data / "accounts.csv").write_text(text.getvalue(), "utf-8", newline="")
    (data / "reps.csv").write_text('id,name\nann,Ann\nbob,"B\u202eob\n::error::x"\n', "utf-8")
    return tmp_path


def out(*args: str) -> str:
    result = CliRunner().invoke(main, list(args))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output


HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
COMMANDS = [
    ("explain", "{id}", "{p}", "--data", "{d}", "--as-of", "2026-02-01"),
    ("explain", "{id}", "{p}", "--data", "{d}", "--as-of", "2026-02-01", "--why-not", "bob"),
    ("explain", "{id}", "{p}", "--data", "{d}", "--as-of", "2026-02-01", "--format", "json"),
    ("explain", "{id}", "{p}", "--data", "{d}", "--as-of", "2026-02-01", "--format", "md"),
    ("audit", "{p}", "--data", "{d}", "--as-of", "2026-02-01"),
    ("audit", "{p}", "--data", "{d}", "--as-of", "2026-02-01", "--format", "json"),
    ("run", "{p}", "--data", "{d}", "--as-of", "2026-02-01", "--out", "{o}"),
    ("check", "{p}", "--data", "{d}"),
    ("timeline", "{id}", "{p}", "--data", "{d}", "--as-of", "2026-02-01"),
    ("eval", "account.name", "--record", "{id}", "--policy", "{p}", "--data", "{d}"),
    ("graph", "{p}", "--record", "{id}", "--data", "{d}", "--as-of", "2026-02-01"),
    ("diff", "{p}", "{p}", "--data", "{d}", "--as-of", "2026-02-01"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: " ".join(c[:1] + c[6:]))
def test_no_command_prints_what_a_terminal_or_ci_would_obey(
    folder: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    places = {"p": str(folder / "p"), "d": str(folder / "d"), "o": str(folder / "o")}
    for number in range(len(NAMES)) if any("{id}" in part for part in command) else (0,):
        text = out(*(part.format(id=number, **places) for part in command))
        assert not HIDDEN.search(text.replace("\r\n", "\n")), ascii(HIDDEN.search(text))
        assert not re.search(r"^\s*::", text, re.MULTILINE) and "##[" not in text


def test_the_same_json_with_or_without_the_guard(folder: Path) -> None:
    args = ("audit", str(folder / "p"), "--data", str(folder / "d"), "--as-of", "2026-02-01", "--format", "json")
    names = {row["name"] for row in json.loads(out(*args))["differ"]}
    assert names == {name.strip() for name in NAMES} or len(names & set(NAMES)) > len(NAMES) - 6


@given(st.text(), st.booleans())
def test_what_is_logged_holds_no_command(text: str, start: bool) -> None:
    shown = untrusted.log(text, start)
    assert not HIDDEN.search(shown) and "##[" not in shown
    lines = shown.split("\n") if start else shown.split("\n")[1:]
    assert not any(line.lstrip().startswith("::") for line in lines)


@given(st.text())
def test_json_means_the_same_when_it_is_logged(text: str) -> None:
    for shape in (json.dumps([text], ensure_ascii=False), json.dumps({text: text}, ensure_ascii=False, indent=2)):
        assert json.loads(untrusted.log(shape)) == json.loads(shape)


def test_colours_are_roe_s_own() -> None:
    with untrusted.marked():
        assert untrusted.mark() and untrusted.mark() not in untrusted.log("\x1b[31m")
        assert untrusted.style(1) != "\x1b[1m"
    assert untrusted.style(1) == "\x1b[1m"


def test_a_colour_in_a_name_is_not_one_on_a_terminal(folder: Path) -> None:
    from roe.cli.terminal import SafeStream, Status

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    with untrusted.marked():
        guard = SafeStream(screen, Status(screen, wanted=False))
        guard.write(f"{untrusted.style(31)}error{untrusted.style(0)}: \x1b[31mred\n")
    assert screen.getvalue() == "\x1b[31merror\x1b[0m: \\u001b[31mred\n"


# --- workflow commands --------------------------------------------------------------------------------------------------


@given(st.text(), st.text(min_size=1), st.text())
def test_an_annotation_is_one_line_whatever_is_in_it(message: str, file: str, cell: str) -> None:
    lines = as_github([Diagnostic("R602", message, Span(file, 1, 1, 2, "", cell), "help")]).split("\n")
    assert len(lines) == 1 and "\r" not in lines[0]
    found = re.fullmatch(r"::warning file=([^,]*),line=1,col=1,endColumn=2,title=R602::(.*)", lines[0])
    assert found and "::" not in found[1]


# --- Markdown -----------------------------------------------------------------------------------------------------------

MARKUP = ("![", "](", "<script", "<img", "@everyone", "://evil", "\n#", "\n-")


@pytest.mark.parametrize("name", [*NAMES, "![x](http://evil.test/a.png) @everyone <img src=x>", "&#64;everyone", "\\[a](http://evil.test)"])
def test_markdown_from_outside_is_text(name: str) -> None:
    for shown in (untrusted.markdown(name), untrusted.paragraph(name), untrusted.code(name), untrusted.literal(name)):
        assert "\n" not in shown and not HIDDEN.search(shown)
    for shown in (untrusted.markdown(name), untrusted.literal(name)):
        assert not any(markup in shown for markup in MARKUP), shown
        assert not re.search(r"(?<!\\)\|", shown)


@pytest.mark.parametrize("text", ["# heading", "- item", "1. item", "> quote", "---", "=== ", "+ item"])
def test_a_paragraph_from_outside_is_not_a_heading_or_list(text: str) -> None:
    assert not re.match(r"#|-|\d+\.|>|=|\+", untrusted.paragraph(text))


def test_a_handbook_and_a_comment_show_names_as_text(folder: Path) -> None:
    policy_text(folder / "q", POLICY.replace('"ann"', '"bob"'))
    test = "as_of: 2026-02-01\ntests:\n  - name: t\n    given: {account: [{id: 1, name: '![x](http://evil.test/p.png) @everyone <img>'}]}\n    expect: [{record: 1, owner: ann}]\n"
    policy_text(folder / "p", POLICY, tests__a_yaml=test)
    book = out("handbook", str(folder / "p"), "--data", str(folder / "d"))
    diff = out("diff", str(folder / "p"), str(folder / "q"), "--data", str(folder / "d"), "--as-of", "2026-02-01", "--format", "md")
    assert "Worked examples" in book and "allocations change hands" in diff
    for text in (book, diff):
        assert not any(markup in text for markup in ("![", "](http", "<script", "<img", "@everyone", "://evil")), text


# --- spreadsheets -------------------------------------------------------------------------------------------------------

FORMULAS = [
    "=1",
    "+a",
    "-a",
    "@a",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1",
    "＋a",
    "－a",
    "＠a",
    " =1",
    "\u00a0=1",
    "\ufeff=1",
    "\u200b＝1",
    "\u3000=1",
    "﹦1",
    "﹢a",
    "﹣a",
    "﹫a",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_cell_is_never_a_formula(text: str) -> None:
    assert safe(text) == "'" + text
    assert next(csv.reader(io.StringIO(csv_text(["a"], [[text]]).partition("\n")[2], newline="")))[0].startswith("'")


@pytest.mark.parametrize("text", ["", "a=1", "-5", "-5.5", "+49", "Ann", "1-2", " a", "é", "ｅ"])
def test_ordinary_cells_stay(text: str) -> None:
    assert safe(text) == text


@pytest.mark.parametrize("engine", ["rows", "columns"])
def test_both_engines_write_no_formula(tmp_path: Path, engine: str) -> None:
    pytest.importorskip("pyarrow")
    policy_text(tmp_path / "p", POLICY)
    (tmp_path / "d").mkdir()
    names = [t for t in FORMULAS if t.strip() == t and "\t" not in t]
    (tmp_path / "d" / "accounts.csv").write_text("id,name\n" + "".join(f"{i},{t}\n" for i, t in enumerate(names)), "utf-8")
    args = ("run", str(tmp_path / "p"), "--data", str(tmp_path / "d"), "--as-of", "2026-02-01", "--out", str(tmp_path / "o"))
    out(*args, "--engine", engine)
    with (tmp_path / "o" / "allocations.csv").open(encoding="utf-8", newline="") as file:
        shown = [row["name"] for row in csv.DictReader(file)]
    assert len(shown) == len(names) and all(name.startswith("'") for name in shown), shown


# --- the cache ----------------------------------------------------------------------------------------------------------


def owner(folder: Path) -> str | None:
    """Whom the policy of a folder gives an account to."""
    policy, _ = cache.load_policy(folder)
    assert policy is not None
    return Evaluator(policy).decide({"id": "1", "name": "N"}, as_of="2026-02-01").owner


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_a_cache_folder_that_others_may_write_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy_text(tmp_path / "p", POLICY)
    kept = tmp_path / "kept"
    monkeypatch.setenv("ROE_CACHE", str(kept))
    assert owner(tmp_path / "p") == "ann"
    (file,) = kept.iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    head, conditions = file.read_text("utf-8").split("\n", 1)
    sound = json.loads(head)
    sound["policy"] = json.loads(json.dumps(sound["policy"]).replace("ann", "mallory"))
    forged = f"{json.dumps(sound)}\n{conditions}"
    file.write_text(forged, "utf-8")
    assert owner(tmp_path / "p") == "mallory"  # what stands in a folder of one's own counts
    for mode in (0o777, 0o770, 0o707):
        kept.chmod(mode)
        assert owner(tmp_path / "p") == "ann"
        assert file.read_text("utf-8") == forged  # nor is anything written there
    (tmp_path / "link").symlink_to(kept)
    monkeypatch.setenv("ROE_CACHE", str(tmp_path / "link"))
    assert owner(tmp_path / "p") == "ann"
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    monkeypatch.setenv("ROE_CACHE", str(tmp_path / "open" / "inner"))  # whoever may write above can put another in its place
    assert owner(tmp_path / "p") == "ann" and not (tmp_path / "open" / "inner").exists()
