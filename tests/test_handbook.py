"""The handbook, the flow chart, the hooks and the action: each run as somebody would run it."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from click.testing import CliRunner

from effort import in_ci
from helpers import AS_OF, EXAMPLES, ROOT, example, example_policy, tables
from roe.analysis import words
from roe.cli import main
from roe.grammar.parser import parse

STATIC = EXAMPLES / "static"


def run(*args: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, list(args))
    assert done.exit_code == code, done.output
    return done.stdout


@pytest.mark.parametrize("name", sorted(AS_OF))
def test_the_handbook_has_every_rule_pool_territory_and_window(name: str) -> None:
    text = run("handbook", str(EXAMPLES / name))
    policy = example_policy(name)
    for rules in policy.plan.engagement.values():
        for rule in rules.rules:
            assert re.search(rf"^\d+\. \*\*{re.escape(rule.name)}\.\*\* (If |In every other case)", text, re.M), rule.name
    assert all(f"### {pool}\n" in text for pool in policy.plan.pools)
    for (_, step_name), step in policy.plan.steps.items():
        if step_name in ("territory", "own_territory") and hasattr(step, "rules"):
            assert all(f"| {rule.name} |" in text for rule in step.rules[:60])
    assert all(f"| {window.name} |" in text for window in policy.plan.windows if window.name != "claim")
    assert ("## Claims" in text) == (policy.plan.claims is not None)
    assert "## Worked examples" in text and "{" not in re.sub(
        r"`[^`]*`", "", text.split("## What words mean")[0].split("## Lead sources")[0]
    )
    page = run("handbook", str(EXAMPLES / name), "--format", "html")
    assert page.count("<h2") == text.count("\n## ") and "<script" not in page


def test_the_handbook_says_what_has_changed(tmp_path: Path) -> None:
    shutil.copytree(STATIC, tmp_path / "old")
    path = tmp_path / "old" / "policy.yaml"
    path.write_text(path.read_text("utf-8").replace("lasts: 90 days", "lasts: 60 days"), "utf-8")
    text = run("handbook", str(STATIC), "--since", str(tmp_path / "old"), "--out", str(tmp_path / "book.md"))
    assert text == f"wrote {tmp_path / 'book.md'}\n"
    changed = (tmp_path / "book.md").read_text("utf-8").partition("## What has changed")[2]
    assert "60 days" in changed and "90 days" in changed


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("account.employees >= 500", "employees is at least 500"),
        ('account.country in ("US", "CA") and account.domain in strategic', "country is one of US, CA and domain is on the list strategic"),
        ("account.owner.ae != null", "owner (ae) is known"),
        ("account.created > today - 90 days", "created is less than 90 days ago"),
        ("account.created <= today - 3 months", "created is at least 3 months ago"),
        ("account.renews < today + 30 days", "renews is less than 30 days from now"),
        ("account.owner.ae.leave.until > today", "the end of owner (ae)'s leave is after today"),
        ("account.employees in [100..500)", "employees is from 100 below 500"),
        ("not(account.flag) or account.flag = true", "not (flag is true) or flag is true"),
        ('account.type not in ("x")', "type is not x"),
        ("account.territory_owner.ae != null", "territory owner (ae) is known"),
        ("lead.country = account.country", "lead's country is the account's country"),
        ("account.country = account.region", "country is region"),
        ('some a in account.activities satisfies a.type = "call"', "there is one of the activities where type is call"),
        ("count(account.activities) > 3", "the number of activities is more than 3"),
        ("starts_with(account.name, \"A\")", '`starts_with(account.name, "A")`'),
    ],
)  # fmt: skip
def test_conditions_in_words(expression: str, said: str) -> None:
    tree, _ = parse(expression)
    assert tree is not None and words.condition(tree, "account") == said


@pytest.mark.parametrize("name", sorted(AS_OF))
def test_charts_light_the_path_that_the_run_took(name: str) -> None:
    evaluator = example(name)
    decisions = evaluator.run(tables(evaluator, EXAMPLES / name / "data"), as_of=AS_OF[name]).decisions
    d = next(d for d in decisions if d.choice is not None and d.choice.fired)
    args = [
        "graph",
        str(EXAMPLES / name),
        "--entity",
        d.entity,
        "--role",
        d.role,
        "--record",
        d.id,
        "--data",
        str(EXAMPLES / name / "data"),
        "--as-of",
        AS_OF[name],
    ]
    chart = run(*args)
    assert d.choice is not None
    number = d.choice.fired[0] + 1
    lit = re.search(r"class (\S+) lit", chart)
    assert lit is not None and lit[1].split(",") == ["c1_start", *(f"c1_r{i}" for i in range(1, number + 1)), f"c1_r{number}_does"]
    root = ElementTree.fromstring(run(*args, "--format", "svg"))
    texts = [x.text for x in root.iter("{http://www.w3.org/2000/svg}text")]
    assert all(str(rule.name) in texts for rule in evaluator.policy.plan.engagement[d.entity, d.role].rules)
    wide = [r for r in root.iter("{http://www.w3.org/2000/svg}rect") if r.get("stroke-width") == "2.5"]
    assert len(wide) == number + 1


@pytest.mark.parametrize("name", sorted(AS_OF))
def test_the_graph_and_the_handbook_show_the_same_parts(name: str) -> None:
    """Every part of the handbook is drawn and the other way round, but worked examples; with the same rules, territories, pools and windows."""
    book, chart = run("handbook", str(EXAMPLES / name), "--no-data"), unescape(run("graph", str(EXAMPLES / name)))
    heads = [h.replace("\\", "") for h in re.findall(r"^## (.+)$", book, re.M) if h != "Worked examples"]
    titles = re.findall(r"_start\(\[\"(.+?)\"\]\)", chart)
    assert {title.partition(": ")[0] if title.startswith("Scores and tables") else title for title in titles} == set(heads)
    policy = example_policy(name)
    named = [*policy.plan.pools, *(w.name for w in policy.plan.windows if w.name != "claim")]
    named += [str(rule.name) for rules in policy.plan.engagement.values() for rule in rules.rules]
    for key, step in policy.plan.steps.items():
        if key[1] in ("territory", "own_territory") and hasattr(step, "rules"):
            named += [str(rule.name) for rule in step.rules[:60]]
    assert all(f'"{text}"' in chart or f'"{text}: ' in chart for text in named)
    drawn = run("graph", str(EXAMPLES / name), "--format", "svg")
    texts = [x.text for x in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert set(titles) <= set(texts)


def test_the_handbook_and_the_graph_name_who_staffs_a_territory() -> None:
    book = run("handbook", str(STATIC), "--no-data")
    assert (
        "| territory | what belongs to it | region | ae | csm |" in book
        and "| dach | country is one of DE, AT, CH | EMEA | eva | lee |" in book
    )
    assert "Eva Ebert" in run("handbook", str(STATIC))
    assert "ae: eva; csm: lee" in run("graph", str(STATIC))
    assert "protection" in book and "type is one of meeting, call" in book and "Add up the results of all lines that match." in book


def test_charts_of_everything_and_of_nothing() -> None:
    assert run("graph", str(STATIC), "--role", "ae").count("_start([") == 1
    assert run("graph", str(EXAMPLES / "abm"), "--entity", "lead").count("_start([") == 1
    assert "R502" in CliRunner().invoke(main, ["graph", str(STATIC), "--role", "vp"]).output
    assert CliRunner().invoke(main, ["graph", str(STATIC), "--record", "x"]).exit_code == 2


# --- hooks and the action -------------------------------------------------------------------------------------------


def test_hooks_find_the_policies_of_changed_files(tmp_path: Path) -> None:
    shutil.copytree(STATIC, tmp_path / "p")
    files = [str(tmp_path / "p" / "tables" / "staffing.csv"), str(tmp_path / "other.csv")]
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    for hook in hooks:
        program, *args = hook["entry"].split()
        assert program == "roe" and re.search(hook["files"], "p/policy.yaml")
        assert run(*args, *files)
    table = tmp_path / "p" / "tables" / "staffing.csv"
    table.write_text(table.read_text("utf-8").replace("dach,ae,eva", "dahc,ae,eva"), "utf-8")
    assert run("hook", "check", *files, code=1)
    assert run("hook", "check", files[1]) == ""


def bash(script: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    bin_ = folder / "bin"
    bin_.mkdir(exist_ok=True)
    for name, body in {"roe": f'exec "{sys.executable}" -m roe "$@"', "gh": 'echo "$@" > "$RUNNER_TEMP/gh"'}.items():
        (bin_ / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (bin_ / name).chmod(stat.S_IRWXU)
    whole = {
        **os.environ,
        "PATH": f"{bin_}:{os.environ['PATH']}",
        "RUNNER_TEMP": str(folder),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "GITHUB_REPOSITORY": "acme/rules",
        **env,
    }
    return subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder / "repo", env=whole, capture_output=True, text=True)


@in_ci
@pytest.mark.skipif(os.name == "nt" or shutil.which("git") is None, reason="the action runs on bash, with git")
def test_the_action_checks_tests_and_comments(tmp_path: Path) -> None:
    """Its own steps, run as they are, in a repository with a change; GitHub's command line is a stand-in that notes what it is asked."""
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    steps = {step["name"]: step["run"] for step in action["runs"]["steps"] if "name" in step}

    def git(*args: str) -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b.example", *args],
            cwd=tmp_path / "repo",
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    (tmp_path / "repo").mkdir()
    git("init", "-q", "-b", "main")
    shutil.copytree(STATIC, tmp_path / "repo" / "rules")
    git("add", ".")
    git("commit", "-qm", "one")
    base = git("rev-parse", "HEAD")
    git("clone", "-q", "--bare", ".", "../origin")
    git("remote", "add", "origin", "../origin")
    table = tmp_path / "repo" / "rules" / "tables" / "territories.csv"
    table.write_text(table.read_text("utf-8").replace('us-west,US,"CA,OR,WA,NV,AZ"', 'us-west,US,"OR,WA,NV,AZ"'), "utf-8")
    assert bash(steps["check"], tmp_path, POLICY="rules", STRICT="true").returncode == 0
    tested: Any = bash(steps["test"], tmp_path, POLICY="rules", COVERAGE="")
    assert tested.returncode == 1 and "us-west" in tested.stdout  # a boundary's test notices the change
    env = {"POLICY": "rules", "DATA": "rules/data", "AS_OF": "2026-02-01", "BASE": base, "COMMENT": "true", "NUMBER": "7"}
    done = bash(steps["diff"], tmp_path, FAIL_IF="cases_changed > 50", **env)
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "summary.md").read_text("utf-8")
    assert "Policy change" in said and 'state = "CA"' in said
    assert "--method POST repos/acme/rules/issues/7/comments" in (tmp_path / "gh").read_text()
    assert bash(steps["diff"], tmp_path, FAIL_IF="cases_changed > 0", **env).returncode == 1
