"""`roe handbook`: the policy as the rulebook that reps read."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from roe.analysis.diff import changes
from roe.cli.check import subject
from roe.cli.common import PATH, find_policy, format_option, load, policy_argument, put
from roe.cli.repository import revision
from roe.cli.settings import as_of_setting, data_setting
from roe.handbook import as_markdown, handbook
from roe.testing.cases import load_cases


@click.command("handbook")
@policy_argument
@data_setting("Folder with records, for the names of reps. Default: the policy's folder `data`, if it has one.", without="no_data")
@click.option("--no-data", is_flag=True, help="Skip everything that reads records.")
@as_of_setting("The date to use as `today`. Default: the date of the newest record.", default="")
@click.option(
    "--since", metavar="REVISION", help="Also list what has changed since this revision: REVISION:FOLDER in git, or another folder."
)
@format_option("md", "html")
@click.option("--out", type=PATH, help="File to write. Default: standard output.")
def command(policy: Path | None, data: Path | None, no_data: bool, as_of: str, since: str | None, shape: str, out: Path | None) -> None:
    """Write the policy as a rulebook for reps: rules as sentences, territories, pools, windows, worked examples, changes."""
    evaluator = load(find_policy(policy))
    seen = subject(evaluator.policy, data, no_data, as_of)
    cases, _ = load_cases(evaluator.policy)
    changed = None
    if since:
        with tempfile.TemporaryDirectory() as scratch:
            old = load(revision(since, Path(scratch)))
            changed = changes(old.policy, evaluator.policy)
    blocks = handbook(seen.evaluator, seen.bound, cases, changed, since or "")
    title = f"Rules of engagement: {evaluator.policy.name}"
    about = "Made from the policy files by `roe handbook`; change those, not this."
    if shape == "html":
        from roe.web.handbook import handbook_page

        text = handbook_page(title, about.replace("`", ""), blocks)
    else:
        text = as_markdown(title, about, blocks)
    put(text, out)
