"""Data health: what was read of each file and what was not, fields that rules need and the data leaves empty, and how fresh it is."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import Response

from roe.analysis.records import Overview, overview
from roe.data.report import beside, read_report, report_of
from roe.run.folder import files_of
from roe.web.app.site import Ask

SIZE = 50


def show(ask: Ask) -> Response:
    seen = seen_of(ask)
    return ask.render("data.html", seen=seen, files=[(entity, read, Path(str(read["file"])).name or entity) for entity, read in seen.report.items()],
                      rejects=len(ask.snapshot.world.rejects), dangling=dangling(ask))  # fmt: skip


def seen_of(ask: Ask) -> Overview:
    """The overview of the records, made once for a snapshot."""
    snapshot = ask.snapshot

    def made() -> Overview:
        last = read_report(files_of(ask.options.out) if ask.options.out is not None else beside(ask.options.state))
        return overview(snapshot.policy, snapshot.world, report_of(snapshot.world.readings), last)

    return snapshot.once("overview", made)


def dangling(ask: Ask) -> list[tuple[str, str, str, int]]:
    """(entity, field, value, records) of references that find no record, the most first."""
    most = sorted(ask.snapshot.world.dangling.items(), key=lambda x: -x[1])
    return [(*key, n) for key, n in most[:SIZE]]


def rejects(ask: Ask) -> Response:
    """Every record that was rejected, with its line and the reason, in pages."""
    entity, text = ask.text("entity"), ask.text("q").lower()
    chosen = [
        r
        for r in ask.snapshot.world.rejects
        if (not entity or r.entity == entity) and (not text or text in f"{r.record} {r.value} {r.reason}".lower())
    ]
    entities = sorted({r.entity for r in ask.snapshot.world.rejects})
    return ask.render("rejects.html", **ask.paged(chosen, SIZE), entities=entities, entity=entity, q=ask.text("q"))
