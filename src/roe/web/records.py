"""The page of `roe data --format html`: what an export has, and what of it is not understood."""

from __future__ import annotations

from pathlib import Path

from roe.analysis.records import Overview
from roe.web.page import ReportPage


def records_page(title: str, seen: Overview) -> str:
    """A summary over all files first, then each file with its fields."""
    page = ReportPage(title, "What was read of each file, and what was not.")
    rows = []
    for entity, read in seen.report.items():
        counted = (f"{read['rows']:,}", f"{read['rejected']:,}", len(read["fields"]), len(read["not_understood"]))
        rows.append((Path(read["file"]).name, entity, *counted))
    page.table(("File", "Records", "Rows", "Rejected", "Columns understood", "Not understood"), rows)
    for line in seen.broken:
        page.say(line, "warn")
    if seen.changes:
        page.heading("Since the last run")
        page.bullets(seen.changes)
    if seen.empty:
        page.heading("Fields that rules need and the data leaves empty")
        page.table(("Records", "Fields"), ((entity, ", ".join(names)) for entity, names in seen.empty.items()))
    if seen.strange:
        page.heading("Values that no rule names")
        page.table(("Field", "Values"), ((f"{e}.{f}", ", ".join(values)) for (e, f), values in seen.strange.items()))
    for entity, read in seen.report.items():
        _file(page, entity, read, seen)
    return page.html()


def _file(page: ReportPage, entity: str, read: dict[str, object], seen: Overview) -> None:
    page.heading(Path(str(read["file"])).name or entity)
    for note in read["notes"]:  # type: ignore[attr-defined]
        page.say(note[:1].upper() + note[1:], "quiet")
    reasons = [(r["field"], r["reason"], f"{r['records']:,}") for r in read["reasons"]]  # type: ignore[attr-defined]
    if reasons:
        page.table(("Rejected for", "Reason", "Records"), reasons)
    rows = []
    for name, f in read["fields"].items():  # type: ignore[attr-defined]
        odd = ", ".join(f"{text} ({n:,})" for text, n in f["unread_texts"].items())
        mended = ", ".join(f"{c['written']} to {c['meant']}" for c in f["corrections"])
        rows.append((name, f["column"], f"{f['filled']:,}", odd, mended, ", ".join(f["values"][:8]) or seen.newest.get((entity, name), "")))
    page.table(("Field", "Column", "Filled", "Read as missing", "Corrected", "Values, or the newest value"), rows)
    if read["not_understood"]:
        page.say("Columns not understood: " + ", ".join(read["not_understood"]), "warn")  # type: ignore[arg-type]
