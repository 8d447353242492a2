"""The reading report of a run: kept beside what the run wrote, compared with the last one, and held against what the policy expects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from roe.data.files import write_whole
from roe.data.reading import Reading
from roe.diagnostics import Diagnostic
from roe.dynamic import Json, Saved
from roe.policy.model import Policy
from roe.source import Span
from roe.words import counted

FILE = "reading.json"
FALLEN = 0.1  # a loss of rows, or of filled cells, that is worth a word
Report = Json


def report_of(readings: Mapping[str, Reading]) -> Report:
    """entity -> what was read of it, as it is kept and printed."""
    return {entity: r.as_json() for entity, r in readings.items() if r.file or r.rows}


def write_report(report: Report, folder: Path) -> None:
    """Keep a report for the next run to compare with. Raises OSError."""
    write_whole(folder / FILE, json.dumps({"version": 1, "entities": report}, indent=2, ensure_ascii=False) + "\n")


def beside(state: str | None) -> Path | None:
    """Where the report of the last run is kept beside its ledger; None for a ledger that is no folder."""
    return None if not state or "://" in state else Path(state)


def read_report(folder: Path | None) -> Report:
    """The report of the last run; empty where there is none, or none that can be read."""
    if folder is None or not (folder / FILE).is_file():
        return {}
    try:
        report = json.loads((folder / FILE).read_text("utf-8"))
    except (ValueError, OSError):
        return {}
    entities = report.get("entities") if isinstance(report, dict) and report.get("version") == 1 else None
    sound = isinstance(entities, dict) and all(isinstance(r, dict) and isinstance(r.get("rows"), int) for r in entities.values())
    return entities if sound and isinstance(entities, dict) else {}


def broken(policy: Policy, report: Report, last: Report) -> list[Diagnostic]:
    """What the policy expects of its data and does not find."""
    diagnostics = []
    for entity, source in policy.data.items():
        read = report.get(entity)
        at = Span(read["file"] if read else f"data: {entity}", 1, 1, 2)
        rows = read["rows"] - read["rejected"] if read else 0
        help = f"export it again; if it is right, change `data: {{{entity}: {{expect: …}}}}`"
        if rows < source.rows:
            diagnostics.append(Diagnostic("R636", f"{entity}: {rows} records, but the policy expects at least {source.rows}", at, help))
        before = last[entity]["rows"] - last[entity].get("rejected", 0) if entity in last else 0
        if source.fall is not None and before and rows < before * (1 - source.fall):
            lost = f"{1 - rows / before:.0%} fewer than the {before} of the last run"
            diagnostics.append(
                Diagnostic("R636", f"{entity}: {rows} records, {lost}, but the policy allows a drop of at most {source.fall:.0%}", at, help)
            )
        for name, share in source.filled:
            filled = max(
                (f["filled"] for key, f in (read or {"fields": {}})["fields"].items() if key.partition(".")[0] == name or key == name),
                default=0,
            )
            whole = read["rows"] if read else 0
            if whole and filled < share * _lines(read):
                empty = f"`{name}` is filled in {filled} of {_lines(read)} records, and the policy expects "
                diagnostics.append(Diagnostic("R636", f"{entity}: {empty}{'all' if share == 1 else f'{share:.0%}'}", at, help))
    return diagnostics


def _lines(read: Saved | None) -> int:
    """The rows of a file that are records, sound or not."""
    return 0 if read is None else read["rows"] - sum(r["records"] for r in read["reasons"] if not r["field"])


def in_lines(report: Report, last: Report) -> list[str]:
    """The report in a few lines for each file, for a terminal."""
    lines = []
    for entity, read in report.items():
        rejected = f", {read['rejected']:,} rejected ({_reasons(read)})" if read["rejected"] else ""
        lines.append(f"{Path(read['file']).name or entity}: {read['rows']:,} rows{rejected}")
        lines += [f"  not understood: {_some(read['not_understood'])}"] if read["not_understood"] else []
        lines += [f"  {line}" for line in cells_in_lines(read)]
    return lines + [f"since the last run: {line}" for line in changes(report, last)]


def cells_in_lines(read: Saved) -> list[str]:
    """What of a file's cells does not mean what stands there, and how the file was read."""
    said = []
    odd = [(name, f["unread"], f["unread_texts"]) for name, f in read["fields"].items() if f["unread"]]
    for name, number, texts in sorted(odd, key=lambda x: -x[1])[:4]:
        commonest = ", ".join(f"`{text}` {n:,}" for text, n in list(texts.items())[:3])
        said.append(f"{name}: {counted(number, 'cell')} taken for missing: {commonest}")
    mended = [(name, f["corrected"], f["corrections"]) for name, f in read["fields"].items() if f["corrected"]]
    for name, number, pairs in mended[:4]:
        said.append(f"{name}: {number:,} corrected: " + ", ".join(f"`{c['written']}` to `{c['meant']}`" for c in pairs[:3]))
    return [*said, *read["notes"]]


def _reasons(read: Saved) -> str:
    listed = [f"{r['records']:,}: {r['field'] + ': ' if r['field'] else ''}{r['reason']}" for r in read["reasons"][:3]]
    return "; ".join(listed) + ("; …" if len(read["reasons"]) > 3 else "")


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f", and {len(names) - 8} more columns" if len(names) > 8 else "")


def changes(report: Report, last: Report) -> list[str]:
    """What is different from the last run: rows, columns, values, and fields that have become empty."""
    sentences = []
    for entity, old in last.items():
        new = report.get(entity)
        name = Path(old.get("file") or entity).name
        if new is None:
            sentences.append(f"{name} is gone; it had {old['rows']:,} rows")
            continue
        if old["rows"] and abs(new["rows"] - old["rows"]) > FALLEN * old["rows"]:
            share = new["rows"] / old["rows"] - 1
            sentences.append(f"{name} has {new['rows']:,} rows, {abs(share):.0%} {'more' if share > 0 else 'fewer'} than {old['rows']:,}")
        gone = [f for f in old.get("fields", {}) if f not in new["fields"]]
        came = [f for f in new["fields"] if f not in old.get("fields", {})]
        sentences += [f"{name} has no column for {', '.join(gone)} any more"] if gone else []
        sentences += [f"{name} has a column for {', '.join(came)} now"] if came else []
        if old["rows"] and new["rows"]:
            for field, now in new["fields"].items():
                before = old.get("fields", {}).get(field)
                if before:
                    sentences += _field_changes(f"{name}: {field}", before, old["rows"], now, new["rows"])
    return sentences


def _field_changes(what: str, before: Report, rows_before: int, now: Report, rows_now: int) -> list[str]:
    """Whether a field is filled much less often, and values that are new in it."""
    sentences = []
    was, is_ = before.get("filled", 0) / rows_before, now["filled"] / rows_now
    if was - is_ > FALLEN:
        sentences.append(f"{what} is filled in {is_:.0%} of the rows, down from {was:.0%}")
    fresh = [x for x in now["values"] if x not in before["values"]] if before.get("values") and now["values"] else []
    if fresh:
        sentences.append(f"{what} has {'a new value' if len(fresh) == 1 else 'new values'}: {', '.join(f'`{x}`' for x in fresh[:5])}")
    return sentences
