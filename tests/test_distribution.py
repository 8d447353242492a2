"""The package is called `roe-policy` on the index, where `roe` is somebody else's; nothing may tell people to install that."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from helpers import ROOT

NAME = "roe-policy"
PLACES = (
    "README.md",
    "CONTRIBUTING.md",
    "action.yml",
    ".pre-commit-hooks.yaml",
    "dev.py",
    "pyproject.toml",
    ".ci",
    "docs",
    "src",
    "policies",
    "benchmarks",
    "tools",
)
TEXTS = (".md", ".py", ".yml", ".yaml", ".toml", ".txt", "")
BARE = re.compile(r"\broe\[\w|(?:pipx?|uv|uvx|poetry|conda)(?: tool| pip)? (?:install|add|run)\b[^\n`|;&#]*?[\s'\"]roe(?=[\s'\"`\[=<>~]|$)")


def lines() -> Iterator[tuple[Path, str]]:
    for place in PLACES:
        path = ROOT / place
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and file.suffix in TEXTS and "__pycache__" not in file.parts:
                for line in file.read_text("utf-8", "replace").splitlines():
                    yield file.relative_to(ROOT), line


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return found


def test_nothing_installs_somebody_else_s_package() -> None:
    wrong = [f"{file}: {line.strip()}" for file, line in lines() if BARE.search(line)]
    assert not wrong, "\n".join(wrong)


def test_the_rule_notices_the_bare_name() -> None:
    for text in (
        "pip install roe",
        "pip install 'roe[batch]'",
        "- run: pip install --quiet roe",
        "pipx install roe==1",
        'spark = ["roe[batch]"]',
    ):
        assert BARE.search(text), text
    for text in ("pip install roe-policy", "pip install 'roe-policy[batch]'", "pip install .", "pipx install . # then roe init"):
        assert not BARE.search(text), text


def test_every_extra_that_is_named_exists() -> None:
    extras = set(project()["optional-dependencies"])
    named = {(str(file), extra) for file, line in lines() for m in re.finditer(rf"{NAME}\[([\w,]+)\]", line) for extra in m[1].split(",")}
    assert named and all(extra in extras for _, extra in named), sorted(n for n in named if n[1] not in extras)


def test_the_project_and_what_init_writes_have_the_name(tmp_path: Path) -> None:
    from roe.cli import main

    assert project()["name"] == NAME
    assert CliRunner().invoke(main, ["init", str(tmp_path / "p")]).exit_code == 0
    workflow = (tmp_path / "p" / ".github" / "workflows" / "roe.yml").read_text("utf-8")
    assert f"pip install {NAME}\n" in workflow
    assert CliRunner().invoke(main, ["--version"]).exit_code == 0
