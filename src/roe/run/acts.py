"""What a person does to what roe remembers: answers, exceptions, leave, reviews of a policy, moves of a plan of books.

An act says what it needs of the ledger (`problem`), and the entries that it leaves, each with who did it. `perform` appends them under the
ledger's lock, in an `adjustment` of its own. The service has its writer do the same, and follows them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NoReturn

from roe import __version__
from roe.diagnostics import user_error
from roe.dynamic import Json, Saved
from roe.ledger.entries import Answered, Evidence, Referred, RunEntry
from roe.ledger.entry import Entry
from roe.ledger.moment import At
from roe.ledger.people import Away, Declined, Excepted, Requested, Reviewed, Weighed
from roe.ledger.store import Store
from roe.node import node
from roe.run.inputs import run_id
from roe.run.memory import in_force, opened

ADJUSTMENT = "adjustment"
STANDS = timedelta(days=90)  # how long an answer stands where nobody says
LONGEST = 2_000  # characters of a reason
VERDICTS = ("approved", "rejected", "commented")


@node(kw_only=True)
class Act:
    """`by` is the name of whoever acts, as it is shown later."""

    by: str

    def problem(self, store: Store) -> str:
        """Why the ledger as it is now does not allow it; empty if it does."""
        return ""

    def entries(self, at: At) -> list[Entry]:
        raise NotImplementedError


@node(kw_only=True)
class OfRole(Act):
    """An act about a record in a role."""

    entity: str
    record: str
    role: str

    @property
    def key(self) -> str:
        return f"{self.entity}|{self.record}|{self.role}"

    @property
    def about(self) -> Json:
        """The fields of an entry that say what it is about."""
        return {"entity": self.entity, "record": self.record, "role": self.role}

    def is_open(self, store: Store, kind: type[Requested] | type[Referred]) -> bool:
        """Whether an entry of a kind about it is open."""
        return any(e.role == self.role for e in store.newest(kind, True, self.entity, self.record))


@node(kw_only=True)
class Propose(OfRole):
    """Ask that `rep` has the record from `start` up to `until`."""

    rep: str
    until: date
    start: date | None = None
    reason: str

    def problem(self, store: Store) -> str:
        return "" if not self.is_open(store, Requested) else "somebody has already asked for an exception; it waits for an answer"

    def entries(self, at: At) -> list[Entry]:
        return [_excepting(Requested, self, at)]


@node(kw_only=True)
class Grant(Propose):
    """Grant an exception. It answers the request for the same record and role, and replaces an earlier exception."""

    def problem(self, store: Store) -> str:
        return ""

    def entries(self, at: At) -> list[Entry]:
        return [_excepting(Excepted, self, at)]


@node(kw_only=True)
class Decline(OfRole):
    """Do not grant what was asked for."""

    reason: str

    def problem(self, store: Store) -> str:
        return "" if self.is_open(store, Requested) else "there is no open request for an exception; somebody may have answered it"

    def entries(self, at: At) -> list[Entry]:
        return [Declined(at=at, **self.about, by=self.by, reason=self.reason)]


@node(kw_only=True)
class End(OfRole):
    """End an exception before its time."""

    reason: str

    def problem(self, store: Store) -> str:
        missing = "the ledger has no exception for it; to end one from a policy file, change the file"
        return "" if self.is_open(store, Excepted) else missing

    def entries(self, at: At) -> list[Entry]:
        return [Excepted(at=at, **self.about, up=False, by=self.by, reason=self.reason)]


@node(kw_only=True)
class Answer(OfRole):
    """Decide a referral: `rep` has the record up to `until`, whatever the rules say meanwhile, which would only ask again.

    `asked` says that the referral is shown where the act comes from, also if no run has written it into the ledger.
    """

    rep: str
    until: date
    text: str = ""
    asked: bool = False

    def problem(self, store: Store) -> str:
        return "" if self.asked or self.is_open(store, Referred) else "this no longer waits for a decision"

    def entries(self, at: At) -> list[Entry]:
        about = {**self.about, "rep": self.rep, "by": self.by}
        until = At.of(self.until, at.zone)
        answer = Answered(at=at, answer=self.text, **about)
        return [answer, Excepted(at=at, until=until, reason=f"asked, {self.by} decided" + (f": {self.text}" if self.text else ""), **about)]


@node(kw_only=True)
class Leave(Act):
    """A rep takes no records from `start` on, up to `until` if that is known."""

    rep: str
    start: date
    until: date | None = None
    reason: str = ""

    def entries(self, at: At) -> list[Entry]:
        until = None if self.until is None else At.of(self.until, at.zone)
        return [Away(at=at, entity="rep", record=self.rep, start=str(self.start), until=until, by=self.by, reason=self.reason)]


@node(kw_only=True)
class Return(Act):
    """A rep takes records again."""

    rep: str

    def problem(self, store: Store) -> str:
        return "" if store.latest("away", True, "rep", self.rep) else "no leave was entered here"

    def entries(self, at: At) -> list[Entry]:
        return [Away(at=at, entity="rep", record=self.rep, up=False, by=self.by)]


@node(kw_only=True)
class Weigh(Act):
    """Accept moves of a plan of books, or hold them back. `moves` are (book, account); `plan` is the plan's key."""

    plan: str
    moves: Sequence[tuple[str, str]]
    accepted: bool
    reason: str = ""

    def entries(self, at: At) -> list[Entry]:
        return [
            Weighed(
                at=at, entity="account", record=account, book=book, plan=self.plan, accepted=self.accepted, by=self.by, reason=self.reason
            )
            for book, account in self.moves
        ]


@node(kw_only=True)
class JudgeChange(Act):
    """Say of a change of the policy, from one digest to another, that it is approved or rejected, or only what there is to say."""

    key: str
    verdict: str
    before: str
    after: str
    old: str
    new: str
    comment: str = ""

    def entries(self, at: At) -> list[Entry]:
        names = {"old": self.old, "new": self.new}
        return [
            Reviewed(
                at=at, entity="review", record=self.key, verdict=self.verdict, before=self.before, after=self.after, names=names, by=self.by,
                comment=self.comment,
            )
        ]  # fmt: skip


@node(kw_only=True)
class Keep(OfRole):
    """Keep the whole explanation of a decision as it is now, so that a link to it shows the same later."""

    digest: str
    values: Saved

    def entries(self, at: At) -> list[Entry]:
        return [Evidence(at=at, **self.about, digest=self.digest, values=dict(self.values))]


def _excepting(kind: type[Requested], act: Propose, at: At) -> Requested:
    start = "" if act.start is None else str(act.start)
    return kind(at=at, **act.about, rep=act.rep, until=At.of(act.until, at.zone), start=start, by=act.by, reason=act.reason)


def perform(place: str, acts: Sequence[Act], at: At, wait: float = 10) -> int:
    """Append the entries of acts, all or none; the number of the last. Raises PolicyError where the ledger does not allow one, or is busy.

    An adjustment stands at the last run's as-of, so that it keeps no later run from its day; its entries hold from `at` on.
    """
    with opened(place, at.zone, wait) as memory, memory.committing() as commit:
        for act in acts:
            if said := act.problem(memory.store):
                refuse(said)
        last, run = memory.store.last_run(), in_force(memory.store)
        when = last.entry.at if last is not None else At.of(at.date, at.zone)
        own = RunEntry(
            at=when, id=run_id(str(at), acts[0].by, str(memory.store.head().number)), what=ADJUSTMENT, policy=run.policy if run else "",
            digest=run.digest if run is not None else "", version=__version__, accepted=acts[0].by,
        )  # fmt: skip
        return int(commit.append(own, {}, [e for act in acts for e in act.entries(max(at, when))])["number"])


def refuse(message: str) -> NoReturn:
    raise user_error("R648", message, "the ledger", "open the record's history to see what has changed")
