"""A comparison of policies as the comment of a pull request: short enough for the service, and found again by its marker."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from roe.untrusted import code, markdown

if TYPE_CHECKING:
    from roe.policy.model import Policy

LIMIT = 60_000  # characters; GitHub refuses a comment above 65,536
ROWS = (200, 100, 50, 20, 10, 5, 3)
CELLS = (400, 120, 40)


def marker(policy: str) -> str:
    """An invisible first line: a repository may hold several policies, each with a comment of its own."""
    shown = re.sub("-+", "-", "".join(c if c.isalnum() or c in "/._ " else "-" for c in policy))
    return f"<!-- roe diff: {shown} -->"


def comment(text: str, policy: str, link: str = "") -> str:
    """The Markdown of a comparison under its marker, and a link to the whole.

    What is too long loses rows of its tables, the last tables first (every record that moves), then long cells; the verdict, the
    numbers and the largest moves stand first and stay.
    """
    head = marker(policy) + "\n"
    foot = f"\n\n[The whole comparison]({link})\n" if link else "\n"
    room = LIMIT - len(head) - len(foot)
    if len(text) <= room:
        return head + text + foot
    blocks = _blocks(text.split("\n"))
    tables = [i for i, block in enumerate(blocks) if block[0].startswith("|")]
    for rows in ROWS:
        for i in reversed(tables):
            blocks[i] = _cut_rows(blocks[i], rows)
            shorter = "\n".join(line for block in blocks for line in block)
            if len(shorter) <= room:
                return head + shorter + foot
    for width in CELLS:
        for i in reversed(tables):
            blocks[i] = [_cut_cells(line, width) for line in blocks[i]]
        shorter = "\n".join(line for block in blocks for line in block)
        if len(shorter) <= room:
            return head + shorter + foot
    note = "\n\n… cut short here."
    return head + text[: max(0, room - len(note))].rsplit("\n", 1)[0] + note + foot


def _blocks(lines: list[str]) -> list[list[str]]:
    """The lines in groups: each table, and each line that is of none."""
    blocks: list[list[str]] = []
    for line in lines:
        if line.startswith("|") and blocks and blocks[-1][0].startswith("|"):
            blocks[-1].append(line)
        else:
            blocks.append([line])
    return blocks


def _cut_rows(table: list[str], rows: int) -> list[str]:
    """A table (two lines of header) with so many rows; its last one counts those that are left out."""
    header, body = table[:2], [line for line in table[2:] if not line.startswith("| … ")]
    before = sum(int(line.split()[2]) for line in table[2:] if line.startswith("| … "))
    missing = before + len(body) - rows
    if missing <= before:
        return table
    return [*header, *body[:rows], f"| … {missing} more |" + " |" * (header[0].replace("\\|", "").count("|") - 2)]


def _cut_cells(line: str, width: int) -> str:
    cells = line.replace("\\|", "\0").split("|")
    return "|".join(cell if len(cell) <= width else _cut(cell, width) for cell in cells).replace("\0", "\\|")


def _cut(cell: str, width: int) -> str:
    """The beginning of a cell, not ending within code, an entity or an escape."""
    short = cell[: width - 1]
    short = short[: short.rfind("&")] if "&" in short[-8:] and ";" not in short[short.rfind("&") :] else short
    return short.rstrip("\\`\0") + ("`" if short.rstrip("\\`\0").count("`") % 2 else "") + "… "


def run_link() -> str:
    """Where the CI run that this process belongs to can be read; nothing outside of one."""
    server, repository, run = (os.environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else ""


def introduction(policy: Policy, shown: str, why: str) -> str:
    """What a comment says of a policy that has nothing before it to compare with."""
    plan = policy.plan
    lines = [f"## New policy: {code(shown)}", "", f"**Nothing to compare it with: {markdown(why)}.**", ""]
    lines += [f"- {markdown(entity)} as {markdown(role)}: {len(step.rules)} rules" for (entity, role), step in plan.engagement.items()]
    lines += [f"- pools: {', '.join(map(markdown, plan.pools))}"] if plan.pools else []
    return "\n".join(lines)
