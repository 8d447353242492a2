"""The page of `roe score backtest`."""

from __future__ import annotations

from roe.scoring.backtest import Result
from roe.scoring.leakage import grouped
from roe.scoring.report import ScoringReport
from roe.web.page import ReportPage, bars, lines

ANSWERS = {"yes": "", "with care": "care", "no": "warn"}


def backtest_page(report: ScoringReport) -> str:
    """The sentences about trust and leakage first, then the figures of each score."""
    history = report.history
    page = ReportPage(
        f"Back-test: {', '.join(t.result.name for t in report.tests)}",
        f"Outcome: {report.outcome}. {len(history.ids):,} records, {sum(history.outcome):,} won.",
    )
    for test in report.tests:
        name = f"{test.result.name}: " if len(report.tests) > 1 else ""
        page.say(name + test.verdict.sentence, f"verdict {ANSWERS[test.verdict.answer]}".strip())
    if report.leaks:
        page.heading("Too good to be true")
        page.say(
            "These columns seem to be written after the outcome is known. A score that uses them looks good here and fails on new records."
        )
        page.bullets(grouped(report.leaks))
    for note in history.notes:
        page.say(note[:1].upper() + note[1:], "quiet")
    for test in report.tests:
        _score(page, test.result)
    others = {name: why for name, why in history.dropped.items() if not why.startswith("leakage: ")}
    if others:
        page.heading("Also left out")
        page.table(("Column", "Why"), others.items())
    return page.html()


def _score(page: ReportPage, r: Result) -> None:
    page.heading(r.name)
    page.say(f"Held out: {r.held_out}; {r.records} records, {r.won} won. {r.trained} earlier ones set the scale.")
    for warning in r.warnings:
        page.say(warning, "warn")
    header = ("Measure", "Held out", "Earlier")
    rows = [("AUC", _number(r.auc), _number(r.auc_before)), ("Brier score", _number(r.brier), ""), ("Log loss", _number(r.log_loss), ""),
            ("Won", f"{r.drift['rate_after']:.1%}", f"{r.drift['rate_before']:.1%}"), ("Stability index of the score", _number(r.drift["score"]), "")]  # fmt: skip
    page.table(header, rows)
    page.charts(_charts(r))
    page.heading("By tenth", 3)
    page.table(("Tenth", "Records", "Won", "Rate", "95 % interval", "Lift", "From score"), (
        (d["decile"], f"{d['records']:.0f}", f"{d['won']:.1f}", f"{d['rate']:.1%}", f"{d['low']:.1%} to {d['high']:.1%}", _number(d["lift"]), "" if d["least_score"] is None else f"{d['least_score']:g}")
        for d in r.deciles
    ))  # fmt: skip
    page.heading("By threshold", 3)
    page.table(("Score at least", "Records", "Workload", "Precision", "95 % interval", "Recall", "F1"), (
        (f"{t['threshold']:g}", t["records"], f"{t['workload']:.1%}", f"{t['precision']:.1%}", f"{t['low']:.1%} to {t['high']:.1%}", f"{t['recall']:.1%}", _number(t["f1"]))
        for t in r.thresholds
    ))  # fmt: skip
    if r.drift["features"]:
        page.heading("What drifted most between the two periods", 3)
        page.table(("Field", "Stability index"), ((k, _number(x)) for k, x in r.drift["features"].items()))
    if r.card is not None:
        page.heading("The score card", 3)
        page.table(("Criterion", "Points", "Records"), ((c.name, c.points, c.records) for c in r.card.criteria))


def _charts(r: Result) -> list[str]:
    names = [str(d["decile"]) for d in r.deciles]
    xs = [t["workload"] for t in r.thresholds]
    return [
        bars("Lift by tenth", names, {"lift": [d["lift"] or 0.0 for d in r.deciles]}, x="tenth of the records, the best scores first", y="times the average"),
        lines("ROC", {"score": ([a for a, _ in r.roc], [b for _, b in r.roc])}, x="share of the lost records above a score", y="share of the won", diagonal=True),
        lines("Calibration", {"observed": ([c["predicted"] for c in r.calibration], [c["observed"] for c in r.calibration]),
                              "a perfect score": ([c["predicted"] for c in r.calibration], [c["predicted"] for c in r.calibration])},
              x="predicted share won", y="observed share won", percent=True, dots=True),
        lines("Precision and recall by workload", {"precision": (xs, [t["precision"] for t in r.thresholds]), "recall": (xs, [t["recall"] for t in r.thresholds])},
              x="share of records that is worked", percent=True, dots=True),
    ]  # fmt: skip


def _number(x: float | None) -> str:
    return "" if x is None else f"{x:.3f}"
