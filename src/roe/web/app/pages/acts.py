"""What people do on the pages: answer what is referred to them, say when they are away, and ask for, grant and end exceptions.

Each is a form that works without script. Whoever may not act does not get the form, and the view refuses what is sent all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import wraps

from starlette.datastructures import FormData
from starlette.responses import Response

from roe.diagnostics import PolicyError
from roe.ledger.moment import At
from roe.run.acts import STANDS, Act, Answer, Decline, End, Grant, Keep, Leave, Propose, Return
from roe.run.evidence import explained
from roe.run.inputs import digest_of, policy_files
from roe.web.app.acting import Acts, day_of, said, text_of, wrong
from roe.web.app.outcomes import RecordOutcome
from roe.web.app.pages.people import is_asked
from roe.web.app.site import Ask, part

MONTH = timedelta(days=30)


def acting(act: str) -> Callable[[Callable[[Ask], Response]], Callable[[Ask], Response]]:
    """A view that acts: only where acts go somewhere and the viewer's role may. What goes wrong is said on a page of its own."""

    def made(view: Callable[[Ask], Response]) -> Callable[[Ask], Response]:
        @wraps(view)
        def guarded(ask: Ask) -> Response:
            if ask.options.acts is None or not ask.viewer.may(act):
                return ask.refused()
            try:
                return view(ask)
            except PolicyError as e:
                return ask.render("problem.html", 409 if e.diagnostics[0].code == "R648" else 400, title="This was not done", said=said(e))

        return guarded

    return made


def acts_of(ask: Ask) -> Acts:
    assert ask.options.acts is not None
    return ask.options.acts


def now(ask: Ask) -> At:
    """The moment of the snapshot, as a day where it is a midnight."""
    clock = ask.snapshot.clock
    midnight = (clock.now.hour, clock.now.minute, clock.now.second) == (0, 0, 0)
    return At.of(clock.today if midnight else clock.now, ask.snapshot.policy.timezone)


def form_of(ask: Ask) -> FormData:
    assert ask.form is not None
    return ask.form


def perform(ask: Ask, *acts: Act) -> int:
    """Do some acts together; the number of the last entry."""
    return acts_of(ask).perform(acts, now(ask))


# --- a record in a role -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ActedOn:
    """What an act is about: the decision on a record in a role, as the pages show it now."""

    outcome: RecordOutcome

    @property
    def key(self) -> dict[str, str]:
        return {"entity": self.outcome.entity, "record": self.outcome.id, "role": self.outcome.role}

    @property
    def path(self) -> str:
        return f"/record/{part(self.outcome.entity)}/{part(self.outcome.id)}"


def about(ask: Ask) -> ActedOn:
    entity, record = ask.request.path_params["entity"], ask.request.path_params["id"]
    role = text_of(form_of(ask), "role")
    outcome = next((o for o in ask.snapshot.outcomes.of(entity, record) if o.role == role), None)
    return ActedOn(
        outcome if outcome is not None else wrong(f"The policy decides nothing about the {entity} `{record[:80]}` as `{role[:40]}`.")
    )


def rep_of(ask: Ask) -> str:
    """The id of the rep whom the form names, by id, name or e-mail."""
    text = text_of(form_of(ask), "rep", "Name the rep who is to have it.")
    with ask.snapshot.lock:
        rep = ask.snapshot.world.find("rep", text)
    return str(rep["id"]) if rep is not None else wrong(f"There is no one rep `{text[:60]}`. Use the name, id or e-mail of one.")


def until_of(ask: Ask) -> date:
    """The first day on which it does not hold any more, which must come."""
    today = ask.snapshot.clock.today
    day = day_of(form_of(ask), "until", today + timedelta(days=1), "Say until when: the first day on which the rules decide again.")
    assert day is not None
    return day


def may_answer(ask: Ask, o: RecordOutcome) -> bool:
    """Whether the viewer may decide a referral: whoever is asked, their manager, and RevOps."""
    viewer = ask.viewer
    if o.action != "refer" or ask.options.acts is None or not viewer.may("answer"):
        return False
    if viewer.sees_all:
        return True
    with ask.snapshot.lock:
        rows = (ask.snapshot.world.find("rep", rep) for rep in viewer.acts_for(ask.snapshot))
        return any(row is not None and is_asked(ask.snapshot, o, row) for row in rows)


@acting("answer")
def answer(ask: Ask) -> Response:
    subject = about(ask)
    if not may_answer(ask, subject.outcome):
        return ask.refused()
    perform(
        ask, Answer(by=ask.viewer.name, **subject.key, rep=rep_of(ask), until=until_of(ask), text=text_of(form_of(ask), "text"), asked=True)
    )
    if ask.viewer.rep is not None and ask.viewer.role == "rep":
        return ask.go(f"/rep/{part(ask.viewer.rep)}", done="answered")
    return ask.go(subject.path, done="answered")


@acting("ask")
def request(ask: Ask) -> Response:
    subject = about(ask)
    reason = text_of(form_of(ask), "reason", "Say why: whoever grants it reads that first.")
    perform(ask, Propose(by=ask.viewer.name, **subject.key, rep=rep_of(ask), until=until_of(ask), start=start_of(ask), reason=reason))
    return ask.go(subject.path, done="requested")


@acting("grant")
def grant(ask: Ask) -> Response:
    subject = about(ask)
    reason = text_of(form_of(ask), "reason", "Say why: everybody who sees the record reads it.")
    perform(ask, Grant(by=ask.viewer.name, **subject.key, rep=rep_of(ask), until=until_of(ask), start=start_of(ask), reason=reason))
    return ask.go(back_to(ask, subject), done="granted")


@acting("grant")
def decline(ask: Ask) -> Response:
    subject = about(ask)
    perform(ask, Decline(by=ask.viewer.name, **subject.key, reason=text_of(form_of(ask), "reason", "Say why not.")))
    return ask.go(back_to(ask, subject), done="declined")


@acting("grant")
def end(ask: Ask) -> Response:
    subject = about(ask)
    perform(ask, End(by=ask.viewer.name, **subject.key, reason=text_of(form_of(ask), "reason")))
    return ask.go(back_to(ask, subject), done="ended")


@acting("keep")
def keep(ask: Ask) -> Response:
    """Keep the explanation of a decision, and go to the link that shows it from now on."""
    subject, snapshot = about(ask), ask.snapshot
    o = subject.outcome
    with snapshot.lock, snapshot.world.as_before(o.entity):
        d = next((d for d in snapshot.decisions(o.entity, o.id) if d.role == o.role), None)
        if d is None or not ask.viewer.may_see_whole(snapshot, d.row):
            return ask.refused()
        values = explained(d)
    files = digest_of(policy_files(snapshot.policy))
    return ask.go(f"/entry/{perform(ask, Keep(by=ask.viewer.name, **subject.key, digest=files, values=values))}", done="kept")


def start_of(ask: Ask) -> date | None:
    return day_of(form_of(ask), "start", ask.snapshot.clock.today)


def back_to(ask: Ask, subject: ActedOn) -> str:
    return "/exceptions" if text_of(form_of(ask), "from") == "exceptions" else subject.path


# --- leave ------------------------------------------------------------------------------------------------------------------


def may_set_leave(ask: Ask, rep: str) -> bool:
    viewer = ask.viewer
    if ask.options.acts is None or not viewer.may("leave"):
        return False
    return viewer.sees_all or rep in viewer.acts_for(ask.snapshot)


@acting("leave")
def leave(ask: Ask) -> Response:
    rep = ask.request.path_params["id"]
    if ask.snapshot.row("rep", rep) is None or not may_set_leave(ask, rep):
        return ask.refused()
    today = ask.snapshot.clock.today
    start = start_of(ask) or today
    until = day_of(form_of(ask), "until", start + timedelta(days=1))
    perform(ask, Leave(by=ask.viewer.name, rep=rep, start=start, until=until, reason=text_of(form_of(ask), "reason")[:200]))
    return ask.go(f"/rep/{part(rep)}", done="away")


@acting("leave")
def back(ask: Ask) -> Response:
    rep = ask.request.path_params["id"]
    if not may_set_leave(ask, rep):
        return ask.refused()
    perform(ask, Return(by=ask.viewer.name, rep=rep))
    return ask.go(f"/rep/{part(rep)}", done="back")


def proposed(ask: Ask) -> dict[str, date]:
    """The days that forms begin with: until when an answer and an exception stand."""
    today = ask.snapshot.clock.today
    return {"answer": today + STANDS, "exception": today + 3 * MONTH, "tomorrow": today + timedelta(days=1)}
