"""The kinds of entries: what a ledger can say, as typed values.

`roe.ledger.people` has those that say what people decide. `roe.ledger.entry` has what all have in common, and says where the ledger
keeps a `word`, a `fact` and a `private` value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from roe.dynamic import Saved, Value
from roe.ledger.entry import About, Entry, fact, facts, private, privates, word
from roe.ledger.moment import At
from roe.ledger.people import Away, Declined, Excepted, Requested, Reviewed, Weighed
from roe.node import node

FREE = "free"  # of a turn: it used none, since the record followed another one or went to a fallback
ASKED = "asked"  # of a turn: it is to be given back
CONFIRMED_BY_CRM = ("hand", "system", "conversion", "import")  # such an owner is what the CRM itself showed


@node(kw_only=True)
class RunEntry(Entry):
    """A commit: what decided, by which policy, on which inputs. `at` is its as-of. `inputs` is name -> {digest, read_at}."""

    KIND: ClassVar[str] = "run"
    id: str = fact("")
    what: str = word("run")  # run, service, books, import, adjustment, undo
    policy: str = word("")
    digest: str = word("")
    revision: str = word("")
    version: str = word("")
    engine: str = word("")
    inputs: Saved = facts()
    counts: Saved = facts()
    accepted: str = private("")  # who let it pass a guard, and why


@node(kw_only=True)
class Activated(Entry):
    """A policy is in force from here on."""

    KIND: ClassVar[str] = "activated"
    NAME: ClassVar[str] = "policy"
    policy: str
    digest: str = word("")
    revision: str = word("")
    by: str = private("")


@node(kw_only=True)
class Owned(About):
    """Who holds a record in a role from `at` on: a rep, a named `queue`, or nobody.

    `by` is rule, exception, claim, book, pool, hand, system, conversion, import, correction or undo.
    """

    KIND: ClassVar[str] = "owned"
    role: str
    rep: str | None = None
    former: str | None = None
    queue: str = word("")
    by: str = word("rule")
    system: str = word("")  # the integration that changed it, with `by` = system
    rule: str = word("")
    action: str = word("")
    pool: str = word("")
    until: At | None = None
    past: bool = word(False)  # fills in the past alone, until what is known to come later
    since_unknown: bool = word(False)  # first seen at `at`, held since nobody knows when
    read_at: At | None = None  # when the CRM showed it, where that is not `at`
    source_at: str = fact("")  # the fact's own time, where it lies after as-of
    undoes: int | None = fact(None)  # the entry with a change by hand that this decision takes back
    sentence: str = private("")


@node(kw_only=True)
class Loaded(About):
    """The CRM has a decision of ours. `read_at` is when the data was read, where that is known."""

    KIND: ClassVar[str] = "loaded"
    role: str
    rep: str | None = None
    queue: str = word("")
    read_at: At | None = None
    decision: int = fact(0)


@node(kw_only=True)
class Refused(About):
    """The CRM has refused to load a decision."""

    KIND: ClassVar[str] = "refused"
    role: str
    decision: int = fact(0)
    reason: str = private("")


@node(kw_only=True)
class Turn(About):
    """A pool gave a record to a rep. `asked` is the pool that a rule named, `pool` the one that gave, which is it or a fallback."""

    KIND: ClassVar[str] = "turn"
    role: str
    rep: str | None = None
    until: At | None = None  # when the record must be worked
    pool: str = word("")
    asked: str = word("")
    why: str = private("")  # why it was not simply the next in turn
    number: int = fact(0)  # the turn's place in its pool
    credit: str = fact("")  # FREE, ASKED or nothing
    back: str = fact("")  # the policy's reason for which it is given back
    counted: bool = word(True)  # whether caps count it
    company: Value = private(None)  # what records of one company have in common
    tried: tuple[str, ...] = private(())


@node(kw_only=True)
class TurnBack(About):
    """A turn is given back: a no-show, junk, a refused load, a colleague who took it."""

    KIND: ClassVar[str] = "turn-back"
    role: str
    rep: str | None = None
    pool: str = word("")
    number: int = fact(0)
    reason: str = private("")


@node(kw_only=True)
class Standing(Entry):
    """A pool's turns, counts and credits after the turns that were appended with it."""

    KIND: ClassVar[str] = "standing"
    NAME: ClassVar[str] = "pool"
    pool: str
    turns: int = fact(0)
    counts: Mapping[str, int] = privates()
    credits: Mapping[str, str] = privates()


@node(kw_only=True)
class Claimed(About):
    """A claim was granted, or refused with its `reason`. `claim` is its own id."""

    KIND: ClassVar[str] = "claimed"
    FORMER: ClassVar[str] = "claim"
    FORMER_ENTITY: ClassVar[str] = "claim"
    role: str
    rep: str | None = None
    claim: str | None = None
    until: At | None = None
    status: str = word("granted")  # granted, refused, ended
    by: str = private("")
    reason: str = private("")


@node(kw_only=True)
class Returned(About):
    """A rep gave a record back. It may be claimed or given again from `until` on."""

    KIND: ClassVar[str] = "returned"
    role: str
    rep: str | None = None
    until: At | None = None
    by: str = private("")
    reason: str = private("")


@node(kw_only=True)
class Referred(About):
    """A person must decide, by `until`. `to` may name others than a rep, such as `vp`."""

    KIND: ClassVar[str] = "referred"
    role: str
    rep: str | None = None
    until: At | None = None
    rule: str = word("")
    step: int = word(0)  # 0 as it is opened; 1, 2, … as it is escalated
    to: str = private("")
    sentence: str = private("")


@node(kw_only=True)
class Answered(About):
    """The answer to a referral; or `lapsed`: its day passed, and it goes to the next."""

    KIND: ClassVar[str] = "answered"
    role: str
    rep: str | None = None
    lapsed: bool = word(False)
    answer: str = private("")
    by: str = private("")


@node(kw_only=True)
class Frozen(About):
    """A value as a period began. `on` is the period's first day."""

    KIND: ClassVar[str] = "frozen"
    NAME: ClassVar[str] = "field"
    field: str
    on: str = word("")
    value: Value = private(None)


@node(kw_only=True)
class Raised(About):
    """An event is up since `at`; or, with `up` false, is down again."""

    KIND: ClassVar[str] = "raised"
    NAME: ClassVar[str] = "event"
    event: str
    up: bool = word(True)


@node(kw_only=True)
class Seen(About):
    """A field under `track:` has a new value."""

    KIND: ClassVar[str] = "seen"
    NAME: ClassVar[str] = "field"
    field: str
    value: Value = private(None)
    before: Value = private(None)


@node(kw_only=True)
class Merged(About):
    """A record was merged into another of its entity. `read_at` is when the CRM last changed the row that says so, where that is known."""

    KIND: ClassVar[str] = "merged"
    TARGET: ClassVar[str] = "survivor"
    TARGET_ENTITY: ClassVar[str] = ""
    survivor: str | None = None
    read_at: At | None = None


@node(kw_only=True)
class Deleted(About):
    """A record is gone. `read_at` is as in `Merged`; of one that is `missing` in complete data it is the last change in that data."""

    KIND: ClassVar[str] = "deleted"
    read_at: At | None = None
    missing: bool = word(False)


@node(kw_only=True)
class Restored(About):
    """A record that was deleted is back."""

    KIND: ClassVar[str] = "restored"


@node(kw_only=True)
class Placed(About):
    """An account's place in a book: with a rep, resting, or out of it."""

    KIND: ClassVar[str] = "placed"
    NAME: ClassVar[str] = "book"
    FORMER: ClassVar[str] = "runner_up"
    book: str
    rep: str | None = None
    runner_up: str | None = None
    since: str = word("")
    rest: str = word("")
    reason: str = private("")


@node(kw_only=True)
class Cycle(Entry):
    """A book's cycle, and how many accounts each rep was given in it."""

    KIND: ClassVar[str] = "cycle"
    NAME: ClassVar[str] = "book"
    book: str
    cycle: str = word("")
    given: Mapping[str, int] = privates()


@node(kw_only=True)
class Corrected(Entry):
    """An entry is wrong: what is so instead, by whom, and why."""

    KIND: ClassVar[str] = "corrected"
    entry: int = fact(0)
    what: str = private("")
    by: str = private("")
    why: str = private("")


@node(kw_only=True)
class Erased(Entry):
    """Values were erased: of a subject by its number, or evidence that had been kept long enough (`before`)."""

    KIND: ClassVar[str] = "erased"
    subject: int = fact(0)
    before: str = fact("")
    values: int = fact(0)
    others: tuple[int, ...] = fact(())  # entries about other subjects whose values named it
    by: str = private("")
    why: str = private("")


@node(kw_only=True)
class Evidence(About):
    """The typed values that a decision read, and the policy that decided."""

    KIND: ClassVar[str] = "evidence"
    role: str
    decision: int = fact(0)
    digest: str = word("")
    values: Saved = privates()


ALL: tuple[type[Entry], ...] = (
    RunEntry, Activated, Owned, Loaded, Refused, Turn, TurnBack, Standing, Claimed, Returned, Referred, Answered, Frozen, Raised, Seen, Merged,
    Deleted, Restored, Placed, Cycle, Corrected, Erased, Evidence, Requested, Excepted, Declined, Away, Weighed, Reviewed,
)  # fmt: skip
KINDS: dict[str, type[Entry]] = {kind.KIND: kind for kind in ALL}
