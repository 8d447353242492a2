"""The docs: every YAML block loads, every Python block runs, every link leads somewhere, the README's output is real."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from helpers import ROOT
from roe.cli import main
from roe.files import schema
from roe.policy.loader import parse_yaml, validate
from roe.stages.build import build

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [(p, lang, body) for p in PAGES for lang, body in re.findall(r"```(\w+)\n(.*?)```", p.read_text("utf-8"), re.S)]


@pytest.mark.parametrize(
    ("page", "body"), [(p, b) for p, lang, b in BLOCKS if lang == "yaml"], ids=lambda x: x.name if isinstance(x, Path) else ""
)
def test_yaml_blocks_load(page: Path, body: str, tmp_path: Path) -> None:
    if "tests:\n" in body:
        value, found = parse_yaml(body, "block", schema("tests"))
        assert not found and not validate(value, schema("tests"), "block")
        return
    (tmp_path / "policy.yaml").write_text(body, "utf-8")
    policy, found = build(tmp_path)
    assert policy is not None, "\n".join(map(str, found))


@pytest.mark.parametrize("body", [b for p, lang, b in BLOCKS if lang == "python"])
def test_python_blocks_run(body: str) -> None:
    done = subprocess.run([sys.executable, "-c", body], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text("utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), (page.name, target)
    assert "TODO" not in page.read_text("utf-8")


def test_the_readme_shows_real_output(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    shown = next(body for p, lang, body in BLOCKS if p.name == "README.md" and lang == "text" and "Why not" in body)
    example = str(ROOT / "policies" / "examples" / "static")
    at = ["--data", f"{example}/data", "--as-of", "2026-02-01"]
    run = CliRunner().invoke(main, ["run", example, *at, "--out", str(tmp_path)]).output.replace(str(tmp_path), "out")
    explained = CliRunner().invoke(main, ["explain", "hooli.com", example, *at, "--role", "ae", "--why-not", "Cal Cruz"]).output
    first, _, second = shown.partition("Dee Dunn owns")
    assert first.strip() == run.strip()
    assert ("Dee Dunn owns" + second).replace("    …", "").rstrip() in explained
    assert "python3 dev.py demo" in text and "python3 dev.py test" in text


def test_the_findings_that_the_docs_show_are_real() -> None:
    said = "".join(path.read_text("utf-8") for path in (ROOT / "tests" / "faults").glob("*/expected.txt"))
    shown = [body for p, lang, body in BLOCKS if lang == "text" and ", proven]" in body]
    assert len(shown) == 2 and all(body.strip() in said for body in shown)


def test_ci_runs_the_readme_s_test_command() -> None:
    assert "python3 dev.py test" in (ROOT / ".ci" / "run").read_text("utf-8")
