"""`python tools/pages.py` writes the generated parts of the docs; `--check` says whether they are fresh.

Generated: docs/cli.md from the commands, the function table of docs/language.md, the dialects of docs/sql.md, the profiles of docs/data.md, the README's picture from
`roe graph`, and the front of each page in docs/diagnostics from the table of codes. What people wrote on a page stays.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click
from click.testing import CliRunner

from roe.cli import COMMANDS, main
from roe.crm import PROFILES
from roe.diagnostics import CODES
from roe.grammar.functions import BY_NAME
from roe.sql.dialects import DIALECTS

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"

SETTINGS = """## Set `--data` and `--as-of` once

Write both into the file `roe.toml` next to policy.yaml, or set them in the environment:

```text
data = "../export"      # relative to the policy's folder
as_of = 2026-02-01
```

The command line wins over `ROE_DATA` and `ROE_AS_OF`, and these win over `roe.toml`. A relative path in `ROE_DATA` starts at the current
folder. If nothing is there, it starts at the policy's folder. If the folder from a setting does not exist, `roe check`, `roe handbook` and
`roe diff` go on without records and tell you so. `roe compile` and `roe score` ignore an `as_of` from the settings, because for them leaving it
out has its own meaning."""


def functions() -> str:
    lines = []
    for own, title in ((False, "### FEEL's built-in functions"), (True, "### roe's own functions")):
        lines += [title, "", "| function | what it gives | example | value |", "|---|---|---|---|"]
        for row in BY_NAME.values():
            if row.own is own:
                spaced = f" (FEEL: `{row.feel}`)" if row.feel and row.feel != row.name else ""
                cells = (f"`{row.signature}`{spaced}", row.doc, f"`{row.example}`", f"`{row.value}`")
                lines.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
        lines.append("")
    in_sql = ", ".join(f"`{row.name}`" for row in BY_NAME.values() if row.sql)
    return "\n".join([*lines, f"`roe compile` writes these functions in SQL: {in_sql}. [docs/sql.md](sql.md) says what it refuses."])


def commands() -> str:
    lines = [
        "# Commands",
        "",
        "This page shows what `roe COMMAND --help` prints. `python tools/pages.py` writes it.",
        "",
        *SETTINGS.split("\n"),
        "",
    ]
    with click.Context(main, info_name="roe", max_content_width=80) as context:
        lines += ["```text", main.get_help(context), "```", ""]
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        more = command.commands if isinstance(command, click.Group) else {}
        for called, each in ((name, command), *((f"{name} {called}", inner) for called, inner in more.items())):
            with click.Context(each, info_name=f"roe {called}", max_content_width=80) as context:
                lines += [f"## roe {called}", "", "```text", each.get_help(context), "```", ""]
    return "\n".join(lines)


def profiles() -> str:
    """What roe knows of each CRM, the generic profile last."""
    lines = ["| profile | headers | loads back | also |", "|---|---|---|---|"]
    for profile in sorted(PROFILES.values(), key=lambda profile: profile.name == "generic"):
        objects = [f"`{x}`" for x in dict.fromkeys(profile.objects.values())]
        lines.append(f"| `{profile.name}` | {profile.headers} | {', '.join([*objects, f'by {profile.owner}'])} | {profile.also} |")
    return "\n".join(lines)


def picture() -> str:
    """The README's picture: the rules of an example, with one account's path highlighted."""
    example = str(ROOT / "policies" / "examples" / "static")
    record = ["--entity", "account", "--role", "ae", "--record", "hooli.com", "--data", f"{example}/data", "--as-of", "2026-02-01"]
    return CliRunner().invoke(main, ["graph", example, *record, "--format", "svg"], catch_exceptions=False).stdout


def spliced(text: str, made: str) -> str:
    return re.sub(f"{BEGIN}.*?{END}", lambda m: f"{BEGIN}\n\n{made}\n\n{END}", text, flags=re.S)


def pages() -> dict[Path, str]:
    texts = {ROOT / "docs" / "cli.md": commands()}
    language = ROOT / "docs" / "language.md"
    texts[language] = spliced(language.read_text("utf-8"), functions())
    sql = ROOT / "docs" / "sql.md"
    texts[sql] = spliced(sql.read_text("utf-8"), ", ".join(f"`{name}`" for name in DIALECTS))
    data = ROOT / "docs" / "data.md"
    texts[data] = spliced(data.read_text("utf-8"), profiles())
    for code, (title, severity) in CODES.items():
        path = ROOT / "docs" / "diagnostics" / f"{code}.md"
        body = path.read_text("utf-8").split("\n\n", 2)[2] if path.is_file() else "TODO\n"
        texts[path] = f"# {code}: {title}\n\nSeverity: {severity}.\n\n{body}"
    listed = [f"| [{code}]({code}.md) | {severity} | {title} |" for code, (title, severity) in CODES.items()]
    texts[ROOT / "docs" / "explanation.svg"] = picture()
    head = ["# Diagnostics", "", "| code | severity | what it says |", "|---|---|---|"]
    texts[ROOT / "docs" / "diagnostics" / "README.md"] = "\n".join([*head, *listed]) + "\n"
    return texts


if __name__ == "__main__":
    stale = {path: text for path, text in pages().items() if not path.is_file() or path.read_text("utf-8") != text}
    for path, text in stale.items():
        print(f"{'stale' if '--check' in sys.argv else 'wrote'} {path.relative_to(ROOT)}")
        if "--check" not in sys.argv:
            path.write_text(text, "utf-8", newline="\n")
    sys.exit(1 if stale and "--check" in sys.argv else 0)
