"""A first policy from a CRM export, that checks clean, passes its own tests, rejects no sound record and places an account without owner.

The draft keeps every owner that there is. Records without one go to the territory's rep, by the one field that predicts today's
owners best, and what is left to a pool of all reps. Everything in it is a proposal: RevOps edits from there, and `roe audit` shows
where the proposal and today differ. No record of the export is copied unless that is asked for; the tests are about made-up ones.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from roe.cli.draft.export import read_export
from roe.cli.draft.fields import understand
from roe.cli.draft.report import DraftReport
from roe.cli.draft.territories import carve
from roe.cli.draft.text import write_policy, write_settings, write_tests
from roe.diagnostics import Diagnostic, errors
from roe.source import Span


def draft(export: Path, folder: Path, copy_data: bool) -> tuple[DraftReport | None, list[Diagnostic]]:
    """Write policy, tables and tests into the folder; what was understood, or what is wrong with the export."""
    read, problems = read_export(export)
    if errors(problems):
        return None, problems
    if "account" not in read.sources and "lead" not in read.sources:
        names = ", ".join(sorted(p.name for p in read.folder.glob("*"))[:8]) or "no file"
        at = Span(str(export), 1, 1, 2)
        help = f"name the file of companies accounts.csv, that of leads leads.csv; there is: {names}"
        return None, [Diagnostic("R606", "the export has neither accounts nor leads", at, help)]
    known, problems = understand(read)
    if known is None:
        return None, problems
    carved = carve(known)
    write_policy(folder, known, carved)
    written, problems = write_tests(folder, known, carved)
    if copy_data:
        (folder / "data").mkdir(exist_ok=True)
        for source in read.sources.values():
            shutil.copyfile(source.path, folder / "data" / source.path.name)
    write_settings(folder, folder / "data" if copy_data else read.folder, written.day)
    return DraftReport(known, carved, written, folder), problems
