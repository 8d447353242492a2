"""The kinds of entries that say what people decide: exceptions, leave, planned moves, changes of the policy.

`roe.run.acts` makes them. What people answer to a rule is among the other kinds (`roe.ledger.entries`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from roe.ledger.entry import About, fact, facts, private, word
from roe.ledger.moment import At
from roe.node import node


@node(kw_only=True)
class Requested(About):
    """Somebody asks for an exception: that `rep` has a record in a role, from `start` up to `until`."""

    KIND: ClassVar[str] = "requested"
    role: str
    rep: str | None = None
    until: At | None = None
    start: str = fact("")
    by: str = private("")
    reason: str = private("")


@node(kw_only=True)
class Excepted(Requested):
    """An exception is granted; or, with `up` false, has ended before its time. It answers what was requested for the same role."""

    KIND: ClassVar[str] = "excepted"
    up: bool = word(True)


@node(kw_only=True)
class Declined(About):
    """A requested exception is not granted."""

    KIND: ClassVar[str] = "declined"
    role: str
    by: str = private("")
    reason: str = private("")


@node(kw_only=True)
class Away(About):
    """A rep (`entity` is `rep`) takes no records from `start` up to `until`; or, with `up` false, takes them again."""

    KIND: ClassVar[str] = "away"
    NAME: ClassVar[str] = ""
    until: At | None = None
    start: str = fact("")
    up: bool = word(True)
    by: str = private("")
    reason: str = private("")


@node(kw_only=True)
class Weighed(About):
    """A move of a plan of books is accepted or held back, before the plan is applied. `plan` tells the plan."""

    KIND: ClassVar[str] = "weighed"
    NAME: ClassVar[str] = "book"
    book: str
    plan: str = word("")
    accepted: bool = word(True)
    by: str = private("")
    reason: str = private("")


@node(kw_only=True)
class Reviewed(About):
    """What somebody says of a change of the policy: `approved`, `rejected` or `commented`. `entity` is `review`, `record` the review's key."""

    KIND: ClassVar[str] = "reviewed"
    NAME: ClassVar[str] = ""
    verdict: str = word("")
    before: str = word("")  # the digest of the policy as it is
    after: str = word("")  # and as it would be
    names: Mapping[str, str] = facts()  # what the two are called: old, new
    by: str = private("")
    comment: str = private("")
