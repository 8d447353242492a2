"""The GitHub Action's own steps, run by bash in real git repositories as people lay them out; `gh` is a stand-in that keeps what it is sent."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from effort import tries
from helpers import ROOT
from roe.cli.comment import LIMIT, comment, marker

ACTION = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "run" in step}

pytestmark = pytest.mark.skipif(shutil.which("bash") is None or shutil.which("git") is None, reason="needs bash and git")

POLICY = """roe: 1
name: rules
roles: [ae]
tables:
  size: {table: tables/size.csv, hit: first, outputs: [size]}
engagement:
  account:
    ae:
      - {name: large, when: account.size = "large", then: {assign: '"ann"'}}
      - {name: rest, then: {assign: '"bob"'}}
"""
TABLE = "employees,size\n>= 500,large\n-,small\n"
TESTS = (
    "as_of: 2026-02-01\ntests:\n  - name: large\n    given: {account: [{id: 1, employees: 1000}]}\n    expect: [{record: 1, owner: ann}]\n"
)
ACCOUNTS = "id,name,employees\n1,Acme,1000\n2,@everyone ![x](http://evil.test/p.png) <img src=x>,300\n"

# Keeps each request as a line of JSON; the comments that exist are in a file; FORK makes every change a refusal.
GH = """#!{python}
import json, os, re, sys
args = sys.argv[1:]
log, known = os.environ["GH_LOG"], os.environ["GH_KNOWN"]
method = args[args.index("--method") + 1] if "--method" in args else "GET"
path = next(a for a in args if a.startswith("repos/"))
body = next((a[len("body=@"):] for a in args if a.startswith("body=@")), None)
if method != "GET" and os.environ.get("FORK"):
    sys.exit("gh: Resource not accessible by integration (HTTP 403)")
text = open(body, encoding="utf-8").read() if body else None
with open(log, "a", encoding="utf-8") as file:
    file.write(json.dumps({{"method": method, "path": path, "body": text}}) + "\\n")
if method == "GET":
    start = re.search(r'startswith\\("(.*)"\\)', args[args.index("--jq") + 1])[1]
    comments = json.load(open(known, encoding="utf-8")) if os.path.exists(known) else []
    print("\\n".join(str(c["id"]) for c in comments if c["trusted"] and c["body"].startswith(start)))
"""


@dataclass
class Place:
    """A workspace with a checked-out pull request, and what its steps said."""

    workspace: Path
    base: str
    temp: Path
    options: dict[str, str] = field(default_factory=dict)

    def step(self, name: str, policy: str, code: int = 0, **more: str) -> str:
        """Run a step of the action; its output."""
        inputs = {k: str(v.get("default", "")) for k, v in ACTION["inputs"].items()} | {"policy": policy, "token": "t"} | self.options
        event = {"base.sha": self.base, "number": "7"}
        given = {key: self._filled(str(value), inputs, event) for key, value in STEPS[name].get("env", {}).items()}
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "GITHUB_"))}, **given, **git_environment(),
            "PATH": f"{self.temp / 'bin'}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "src"), "ROE_CACHE": "off",
            "RUNNER_TEMP": str(self.temp), "GITHUB_STEP_SUMMARY": str(self.temp / "summary.md"), "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_REPOSITORY": "acme/rules", "GITHUB_SERVER_URL": "https://github.test", "GITHUB_RUN_ID": "42", "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ROOT), "GH_LOG": str(self.temp / "gh.jsonl"), "GH_KNOWN": str(self.temp / "known.json"), **more,
        }  # fmt: skip
        (self.temp / "step.sh").write_text(STEPS[name]["run"], "utf-8")
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(self.temp / "step.sh")]
        done = subprocess.run(command, cwd=self.workspace, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    @staticmethod
    def _filled(text: str, inputs: dict[str, str], event: dict[str, str]) -> str:
        text = re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda m: inputs[m[1]], text)
        return re.sub(r"\$\{\{ github\.event\.pull_request\.([\w.]+) \}\}", lambda m: event[m[1]], text)

    def sent(self) -> list[dict[str, Any]]:
        log = self.temp / "gh.jsonl"
        return [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.is_file() else []

    def comment(self) -> str:
        """The body of the one comment that was written."""
        (request,) = [r for r in self.sent() if r["method"] != "GET"]
        return str(request["body"])

    def all(self, policy: str) -> str:
        """All steps in order, and the comment they leave."""
        for name in ("check", "test"):
            self.step(name, policy)
        return self.compared(policy)

    def compared(self, policy: str) -> str:
        """The step that reads the base too, and the comment it leaves."""
        self.step("diff", policy)
        return self.comment()


def git_environment() -> dict[str, str]:
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "t"), ("EMAIL", "t@example.com"))}
    return {**who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


def git(where: Path, *arguments: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | git_environment()
    return subprocess.run(["git", *arguments], cwd=where, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def write_policy(folder: Path, table: str = TABLE) -> None:
    for name, text in (("policy.yaml", POLICY), ("tables/size.csv", table), ("tests/first.yaml", TESTS)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")


def checked_out(tmp_path: Path, before: Callable[[Path], None], after: Callable[[Path], None], inside: str = "") -> Place:
    """A repository as `before` leaves it, a pull request that `after` makes of it, checked out shallowly as the service does."""
    source = tmp_path / "source"
    source.mkdir()
    git(source, "init", "--quiet", "--initial-branch", "main")
    (source / "README.md").write_text("rules\n", "utf-8")
    before(source)
    git(source, "add", "--all")
    git(source, "commit", "--quiet", "--message", "before")
    base = git(source, "rev-parse", "HEAD")
    git(source, "checkout", "--quiet", "-b", "change")
    after(source)
    git(source, "add", "--all")
    git(source, "commit", "--quiet", "--message", "after")
    workspace, temp = tmp_path / "workspace", tmp_path / "temp"
    (temp / "bin").mkdir(parents=True)
    git(tmp_path, "clone", "--quiet", "--depth=1", "--branch", "change", source.as_uri(), str(workspace / inside))
    gh = temp / "bin" / "gh"
    gh.write_text(GH.format(python=sys.executable), "utf-8")
    roe = temp / "bin" / "roe"
    roe.write_text(f'#!/bin/sh\nexec {sys.executable} -m roe "$@"\n', "utf-8")
    for script in (gh, roe):
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return Place(workspace, base, temp)


WIDER = TABLE.replace(">= 500", ">= 100")


@pytest.mark.parametrize("folder", [*tries((), (".",), (".",)), "teams/sales ops/rules"])
def test_a_change_is_checked_tested_and_commented(tmp_path: Path, folder: str) -> None:
    place = checked_out(tmp_path, lambda r: write_policy(r / folder), lambda r: write_policy(r / folder, WIDER))
    body = place.all(folder)
    assert body.startswith(marker(folder)) and "different" in body and "employees = " in body
    assert "https://github.test/acme/rules/actions/runs/42" in body
    assert (place.temp / "summary.md").read_text("utf-8").startswith("## Policy change")
    assert [r["method"] for r in place.sent()] == ["GET", "POST"] and place.sent()[1]["path"] == "repos/acme/rules/issues/7/comments"


def test_the_file_of_a_policy_names_it_too(tmp_path: Path) -> None:
    place = checked_out(tmp_path, lambda r: write_policy(r / "rules"), lambda r: write_policy(r / "rules", WIDER))
    assert "different" in place.all("rules/policy.yaml")


def test_the_pull_request_that_adds_the_policy_passes(tmp_path: Path) -> None:
    place = checked_out(tmp_path, lambda r: None, lambda r: write_policy(r / "rules"))
    body = place.all("rules")
    assert body.startswith(marker("rules")) and "New policy" in body and "account as ae: 2 rules" in body


def test_a_pull_request_that_mends_a_broken_policy_passes(tmp_path: Path) -> None:
    def broken(repository: Path) -> None:
        write_policy(repository / "rules", "employees,size\n>= x y,large\n")

    place = checked_out(tmp_path, broken, lambda r: write_policy(r / "rules"))
    assert "has errors" in place.compared("rules")


def test_a_repository_checked_out_below_the_workspace(tmp_path: Path) -> None:
    place = checked_out(tmp_path, lambda r: write_policy(r / "rules"), lambda r: write_policy(r / "rules", WIDER), inside="checkout")
    assert "different" in place.compared("checkout/rules")


def test_links_are_followed_as_they_were_at_the_base(tmp_path: Path) -> None:
    def before(repository: Path) -> None:
        write_policy(repository / "policies" / "v1")
        (repository / "current").symlink_to("policies/v1")

    def after(repository: Path) -> None:
        write_policy(repository / "policies" / "v2", WIDER)
        (repository / "current").unlink()
        (repository / "current").symlink_to("policies/v2")

    place = checked_out(tmp_path, before, after)
    body = place.compared("current")
    assert "different" in body and "New policy" not in body


def test_links_inside_of_a_policy_are_followed(tmp_path: Path) -> None:
    def before(repository: Path) -> None:
        write_policy(repository / "rules")
        (repository / "rules" / "tables" / "size.csv").rename(repository / "rules" / "size-2026.csv")
        (repository / "rules" / "tables" / "size.csv").symlink_to("../size-2026.csv")

    def after(repository: Path) -> None:
        (repository / "rules" / "size-2026.csv").write_text(WIDER, "utf-8")

    assert "different" in checked_out(tmp_path, before, after).compared("rules")


def test_export_ignore_does_not_matter(tmp_path: Path) -> None:
    def before(repository: Path) -> None:
        write_policy(repository / "rules")
        (repository / ".gitattributes").write_text("tables export-ignore\nrules/** export-ignore\n*.csv export-subst\n", "utf-8")

    assert "different" in checked_out(tmp_path, before, lambda r: write_policy(r / "rules", WIDER)).compared("rules")


def test_the_second_push_writes_the_same_comment_and_no_stranger_s(tmp_path: Path) -> None:
    place = checked_out(tmp_path, lambda r: write_policy(r / "rules"), lambda r: write_policy(r / "rules", WIDER))
    known = [
        {"id": 1, "body": marker("rules") + "\nby a stranger", "trusted": False},
        {"id": 2, "body": marker("other") + "\nof another policy", "trusted": True},
        {"id": 3, "body": marker("rules") + "\nours", "trusted": True},
    ]
    (place.temp / "known.json").write_text(json.dumps(known), "utf-8")
    place.step("diff", "rules")
    assert [(r["method"], r["path"]) for r in place.sent()][1] == ("PATCH", "repos/acme/rules/issues/comments/3")


def test_a_fork_s_read_only_token_is_not_a_failure(tmp_path: Path) -> None:
    place = checked_out(tmp_path, lambda r: write_policy(r / "rules"), lambda r: write_policy(r / "rules", WIDER))
    said = place.step("diff", "rules", FORK="1")
    assert "::notice" in said and "different" in (place.temp / "summary.md").read_text("utf-8")


def test_no_comment_where_none_is_wanted(tmp_path: Path) -> None:
    place = checked_out(tmp_path, lambda r: write_policy(r / "rules"), lambda r: write_policy(r / "rules", WIDER))
    place.options = {"comment": "false"}
    place.step("diff", "rules")
    assert not place.sent() and (place.temp / "summary.md").is_file()


def test_a_broken_limit_fails_after_the_comment(tmp_path: Path) -> None:
    def before(repository: Path) -> None:
        write_policy(repository / "rules")
        (repository / "export").mkdir()
        (repository / "export" / "accounts.csv").write_text(ACCOUNTS, "utf-8")
        (repository / "export" / "reps.csv").write_text("id,name\nann,Ann\nbob,Bob\n", "utf-8")

    place = checked_out(tmp_path, before, lambda r: write_policy(r / "rules", WIDER))
    place.options = {"data": "export", "as-of": "2026-02-01", "fail-if": "moved > 0"}
    place.step("diff", "rules", code=1)
    body = place.comment()
    assert "1 of 2 allocations change hands" in body
    assert "everyone" in body
    for markup in ("@everyone", "](http", "![", "<img", "://evil"):
        assert markup not in body.split("[The whole")[0]


def test_annotations_are_from_the_top_of_the_repository(tmp_path: Path) -> None:
    place = checked_out(tmp_path, lambda r: None, lambda r: write_policy(r / "teams" / "a" / "rules", TABLE + ">= x y,odd\n"), inside="sub")
    said = place.step("check", "sub/teams/a/rules", code=1)
    assert "::error file=teams/a/rules/tables/size.csv,line=4,col=6," in said


def test_installing_asks_for_what_exists() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    wanted = re.search(r"\[([\w,]+)\]", STEPS["install"]["run"])
    assert wanted and set(wanted[1].split(",")) <= set(extras)


def test_the_hooks_of_pre_commit_need_nothing_but_roe() -> None:
    """They run in an environment with roe's own dependencies, so what they read must not need more."""
    import tomllib

    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert [h["id"] for h in hooks] == ["roe-fmt", "roe-check", "roe-test"]
    own = {re.split(r"[\[<>=~; ]", d)[0] for d in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]}
    source = "\n".join(p.read_text("utf-8") for p in (ROOT / "src" / "roe" / "sheets").glob("*.py"))
    imported = {name.split(".")[0] for name in re.findall(r"^\s*(?:from|import) ([\w.]+)", source, re.M)} - {"roe"}
    assert imported <= set(sys.stdlib_module_names) | own


# --- the comment itself -----------------------------------------------------------------------------------------------


def long_comparison(rows: int, width: int) -> str:
    table = [f"| record {i} | {'x' * width} | ann | bob |" for i in range(rows)]
    head = ["## Policy change", "", "**different: 3 cases**", "", "| from | to | records |", "|---|---|---|", "| ann | bob | 400 |", ""]
    head += ["<details><summary>Every record that moves</summary>", "", "| record | why | from | to |", "|---|---|---|---|"]
    return "\n".join([*head, *table, "", "</details>"])


@pytest.mark.parametrize(("rows", "width"), [(10, 10), (500, 200), (500, 2000), (5, 60_000), (100_000, 5)])
def test_a_comment_is_never_too_long(rows: int, width: int) -> None:
    text = long_comparison(rows, width)
    made = comment(text, "rules", "https://github.test/run")
    assert len(made) <= LIMIT and made.startswith(marker("rules") + "\n")
    assert (
        "**different: 3 cases**" in made
        and "| ann | bob | 400 |" in made
        and made.endswith("[The whole comparison](https://github.test/run)\n")
    )
    assert made.count("<details>") == made.count("</details>")
    shown = sum(line.startswith("| record ") for line in made.splitlines()) - 1
    left_out = re.search(r"\| … (\d+) more \|", made)
    assert shown + (int(left_out[1]) if left_out else 0) == rows


def test_a_comment_cannot_be_outwitted_by_its_content() -> None:
    for text in ("x" * 200_000, "\n".join(["| a | b |", "|---|---|", "| " + "&lt;" * 40_000 + " | c |"]), "| " * 90_000):
        assert len(comment(text, "rules")) <= LIMIT


def test_a_marker_holds_no_markup() -> None:
    for policy in ("-->--", 'a"b', "a\nb", "$(x)`y`", "<!--"):
        inner = marker(policy)[len("<!--") : -len("-->")]
        assert not set(inner) & set('"\n<>$`\\') and "--" not in inner, inner
