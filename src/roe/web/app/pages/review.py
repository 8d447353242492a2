"""Review of a policy change: what it is proved to change, who gains and loses what, and every move with both reasons."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response

from roe.analysis.compared import said, sections, sides
from roe.analysis.decided import with_records
from roe.analysis.diff import Impact, Moved, PolicyChange, changes, impact
from roe.analysis.equivalence import Comparison, compare
from roe.cache import load_policy
from roe.data.files import csv_text
from roe.data.read import read_tables
from roe.diagnostics import PolicyError, errors
from roe.evaluator.engine import Evaluator, Run
from roe.run.acts import VERDICTS, JudgeChange
from roe.run.inputs import digest_of, policy_files
from roe.web.app.acting import text_of, wrong
from roe.web.app.pages.acts import acting, form_of, perform
from roe.web.app.pages.changes import download
from roe.web.app.site import Ask

SIZE = 40
KEPT = 8  # reviews that are kept in memory
LINKED = 90 * 86_400.0  # seconds that a review's address is good for
LISTED = 20  # reviews that somebody has said something about
GONE = "This review is not kept any more, or one of its versions has changed since. Compare the two versions again."
MOST = 40  # cases and changes that are shown
COLUMNS = (
    "entity",
    "record",
    "name",
    "role",
    "from",
    "to",
    "customer",
    "live_window",
    "rule_before",
    "reason_before",
    "rule_after",
    "reason_after",
)


@dataclass(slots=True)
class Review:
    """Two versions compared; `moved` has customers and live windows first. `key` tells the pair by what their files say."""

    old: str
    new: str
    before: str  # the digests of the two
    after: str
    changes: list[PolicyChange]
    compared: Comparison
    impact: Impact | None
    moved: list[Moved]

    @property
    def key(self) -> str:
        return f"{self.before[:12]}-{self.after[:12]}"


def form(ask: Ask, problem: str = "") -> Response:
    old, new = (str(ask.form.get(x, "")) for x in ("old", "new")) if ask.form is not None else (ask.text("old"), ask.text("new"))
    reviews = ask.options.history.latest_reviews(LISTED) if ask.options.history is not None else []
    status = 400 if problem else 200
    return ask.render("review_form.html", status, old=old, new=new or str(ask.snapshot.policy.root), said=problem, reviews=reviews)


def start(ask: Ask) -> Response:
    """Compare two versions, keep what was found, and go to it."""
    old, new = (str(form_of(ask).get(x, ""))[:500].strip() for x in ("old", "new"))
    try:
        review = review_of(ask, old, new)
    except (PolicyError, ValueError, OSError, OverflowError) as e:
        return form(ask, str(e.diagnostics[0]) if isinstance(e, PolicyError) else str(e))
    _keep(ask, review)
    ask.site.kept.put("review", review.key, {"old": old, "new": new}, LINKED)
    return ask.go(f"/review/{review.key}")


def _keep(ask: Ask, review: Review) -> None:
    """Keep a review in this process, which spares others the comparing."""
    reviews: dict[str, Review] = ask.site.__dict__.setdefault("reviews", {})
    while len(reviews) >= KEPT:
        del reviews[next(iter(reviews))]
    reviews[review.key] = review


def review_of(ask: Ask, old: str, new: str) -> Review:
    """Both versions loaded, compared, and with the loaded records decided. Raises PolicyError or ValueError for what cannot be loaded."""
    with tempfile.TemporaryDirectory() as scratch:
        evaluators = [_evaluator(ask, text, Path(scratch) / str(i)) for i, text in enumerate((old, new))]
        digests = [digest_of(policy_files(e.policy)) for e in evaluators]
        differences = changes(*(e.policy for e in evaluators))
        compared = compare(*evaluators)
        made = None
        if ask.options.data is not None:
            runs = [_run(ask, e, ask.options.data) for e in evaluators]
            made = impact(*runs)
            compared = with_records(compared, *runs)
    moved = sorted(made.moved, key=lambda m: (not m.customer, not m.cut, m.entity, m.name)) if made is not None else []
    return Review(old, new, digests[0], digests[1], differences, compared, made, moved)


def _evaluator(ask: Ask, text: str, scratch: Path) -> Evaluator:
    if not text:
        raise ValueError("Name both versions.")
    if ask.options.revision is None:
        raise ValueError("This service reviews no folders or revisions.")
    folder = ask.options.revision(text, scratch)
    if not (folder / "policy.yaml").is_file():
        raise ValueError(f"There is no policy.yaml in `{text}`.")
    policy, problems = load_policy(folder)
    if policy is None:
        raise PolicyError(errors(problems))
    return Evaluator(policy)


def _run(ask: Ask, evaluator: Evaluator, data: Path) -> Run:
    tables, problems = read_tables(evaluator.policy, data)
    if errors(problems):
        raise PolicyError(errors(problems))
    bound = evaluator.bind(tables, as_of=ask.snapshot.clock.now.isoformat(), state=ask.snapshot.bound.state)
    return Run(bound, list(bound.decide_all()))


def show(ask: Ask) -> Response:
    review = _kept(ask)
    if review is None:
        return ask.missing(GONE)
    every = review.moved
    return ask.render(
        "review.html", review=review, verdict=said(review.compared, review.changes), sections=[(h, c[:MOST], len(c)) for h, c in sections(review.compared)],
        sides=sides, **ask.paged(filtered(ask, review), SIZE), asked=ask.asked("rep", "rule", "kind", "q"), key=ask.request.path_params["key"], most=MOST,
        load=review.impact.shifts()[:MOST] if review.impact else [], shifts=len(review.impact.shifts()) if review.impact else 0, matrix=review.impact.matrix().most_common(8) if review.impact else [], name=ask.snapshot.rep_name,
        reps=sorted({x for m in every for x in (m.before, m.after) if x}), rules=sorted({x for m in every for x in (m.rule_before, m.rule_after) if x}),
        customers=sum(m.customer for m in every), cut=sum(m.cut for m in every),
        words=ask.options.history.reviews(review.key) if ask.options.history is not None else [],
        may=ask.options.acts is not None and ask.viewer.may("review"),
    )  # fmt: skip


def _kept(ask: Ask) -> Review | None:
    """The review of the address: compared in this process, or else compared again, as long as both versions say what they said."""
    reviews: dict[str, Review] = ask.site.__dict__.setdefault("reviews", {})
    key = ask.request.path_params["key"]
    if key not in reviews and (named := ask.site.kept.get("review", key)) is not None:
        try:
            again = review_of(ask, named["old"], named["new"])
        except (PolicyError, ValueError, OSError, OverflowError):
            return None
        if again.key == key:
            _keep(ask, again)
    return reviews.get(key)


@acting("review")
def verdict(ask: Ask) -> Response:
    """Approve or reject the change, or only say something about it."""
    review = _kept(ask)
    if review is None:
        return ask.missing(GONE)
    verdict = text_of(form_of(ask), "verdict")
    if verdict not in VERDICTS:
        wrong("Choose whether you approve, reject or only comment.")
    comment = text_of(form_of(ask), "comment", "" if verdict == "approved" else "Say why: whoever made the change reads it.")
    versions = {"before": review.before, "after": review.after, "old": review.old, "new": review.new}
    perform(ask, JudgeChange(by=ask.viewer.name, key=review.key, verdict=verdict, comment=comment, **versions))
    return ask.go(f"/review/{review.key}", done="reviewed")


def filtered(ask: Ask, review: Review) -> list[Moved]:
    rep, rule, kind, text = ask.text("rep"), ask.text("rule"), ask.text("kind"), ask.text("q").lower()
    return [
        m
        for m in review.moved
        if (not rep or rep in (m.before, m.after))
        and (not rule or rule in (m.rule_before, m.rule_after))
        and (kind != "customer" or m.customer)
        and (kind != "window" or m.cut)
        and (kind != "nobody" or m.after is None)
        and (not text or text in m.name.lower() or text == m.record.lower())
    ]


def as_csv(ask: Ask) -> Response:
    review = _kept(ask)
    if review is None:
        return ask.missing(GONE)
    name = ask.snapshot.rep_name
    rows = (
        [m.entity, m.record, m.name, m.role, name(m.before), name(m.after), m.customer, m.cut, m.rule_before, m.reason_before, m.rule_after, m.reason_after]
        for m in filtered(ask, review)
    )  # fmt: skip
    return download(csv_text(COLUMNS, rows), "review.csv")
