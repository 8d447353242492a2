"""Records of one company stay together: who in a pool has one already, in the data or by what the run gave."""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Container, Mapping
from datetime import UTC, date, datetime
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from roe.dynamic import Saved, Value
from roe.evaluator.by_name import NAMED_BY
from roe.grammar import values as v
from roe.grammar.values import Duration
from roe.ledger.reconcile import key_parts
from roe.ledger.remembered import Remembered
from roe.policy.reads import MOMENT, referred_to, rests_on

if TYPE_CHECKING:
    from roe.evaluator.followed import Followed
    from roe.evaluator.live_world import Change
    from roe.evaluator.pool import Pool
    from roe.evaluator.row import Row
    from roe.evaluator.world import World


CALLED = {"id", *NAMED_BY}  # what may name a rep as an owner


class Existing(NamedTuple):
    """A record that somebody has; such records sort as a queue does."""

    dated: bool
    created: str
    order: str
    rep: str
    id: str
    since: date | datetime | None  # when it came, or its rep got it


class Given(NamedTuple):
    """Whom a pool gave a company's record, which record that was, and when."""

    rep: str
    record: str
    since: date | datetime


class Companies:
    """Records by company, the oldest first."""

    def __init__(self) -> None:
        self.of: dict[Value, list[Existing]] = {}
        self.followed: Followed | None = None  # what tells whose company may be another one, where records change
        self._company_of: dict[str, tuple[Value, Existing]] = {}

    def add(self, company: object, record: Existing) -> None:
        insort(self.of.setdefault(company, []), record)
        self._company_of[record.id] = company, record

    def drop(self, record: str) -> None:
        if record in self._company_of:
            company, known = self._company_of.pop(record)
            self.of[company].remove(known)

    def records(self) -> list[tuple[str, Existing]]:
        """Every record, by its id."""
        return [(record, known) for record, (_, known) in self._company_of.items()]

    def move(self, record: str, rep: str) -> None:
        """Somebody else has a record that somebody had."""
        if record in self._company_of:
            company, known = self._company_of[record]
            self.drop(record)
            self.add(company, known._replace(rep=rep))


def queue_place(created: object, record: object) -> tuple[bool, str, str]:
    """What orders records that wait for a pool: when they came, those without a date first, then their ids."""
    if isinstance(created, datetime) and created.tzinfo is not None:
        created = created.astimezone(UTC)
    return (created is not None, "" if created is None else v.literal(created), str(record))


def given_before(key: str, assigned: Saved) -> Given:
    """What an earlier run's assignment by a pool says; `key` is `entity|record|role`."""
    entity, record, _ = key_parts(key)
    return Given(assigned["rep"], f"{entity} {record}", v.parse_temporal(assigned["at"]))


def reason_together(label: str) -> str:
    return f"{label} of the same company went there"


class Together:
    """The companies' records of one run, for every pool that keeps those of one company with one rep.

    Pools that ask alike, by the same expression, share what is known: a key names `Pool.company_name`, the entity and the role.
    """

    def __init__(self, world: World, state: Remembered) -> None:
        self.world = world
        self.given: dict[tuple[str, Value], Given] = {}  # by (pool, company)
        for key, assigned in state.get("assigned", {}).items():
            if assigned.get("company") is not None and assigned["rep"] and (given := self._given_before(key, assigned)) is not None:
                self.given.setdefault((assigned["by"], assigned["company"]), given)
        self._existing: dict[tuple[str, str, str], Companies] = {}
        self._asked: dict[tuple[str, str, str], Pool] = {}  # by the same key, a pool that asks so
        self._rests_on: dict[tuple[str, str], frozenset[tuple[str, str]] | None] = {}

    def gave(self, pool: Pool, row: Row, role: str, rep: Row) -> None:
        """A pool has given a record: others of its company follow."""
        for (_, entity, of), companies in self._existing.items():
            if (entity, of) == (row.entity, role):
                companies.move(str(row["id"]), str(rep["id"]))
        company = self.company(pool, row)
        if company is not None:
            self.given.setdefault((pool.step.name, company), Given(rep["id"], f"{row.entity} {row['id']}", self.world.clock.now))

    def _given_before(self, key: str, assigned: Saved) -> Given | None:
        """What a pool gave in an earlier run, if others follow it. Where only records of some time are followed, those in the data are told by
        their own dates, and others by their turns.
        """
        step, given = self.world.policy.plan.pools.get(assigned["by"]), given_before(key, assigned)
        if step is None or step.together_within is None:
            return given
        entity, record, _ = key_parts(key)
        is_in_data = entity in self.world.rows and self.world.find(entity, record) is not None
        return given if not is_in_data and self._is_recent(step.together_within, given.since) else None

    def given_to(self, pool: Pool, company: Value) -> Given | None:
        """Whom a pool gave a company's record, if it did so within the time in which the others follow."""
        given = self.given.get((pool.step.name, company))
        return given if given is not None and self._is_recent(pool.step.together_within, given.since) else None

    def company(self, pool: Pool, row: Row) -> Value:
        """What records of one company have in common, or None."""
        if pool.together is None:
            return None
        if pool.company_name in row.derived:
            return dict.get(row, pool.company_name)
        company = pool.together(self.world.scope(row))
        return row.remember(pool.company_name, company if isinstance(company, (str, int, float)) else None)

    def companion(self, pool: Pool, row: Row, role: str, able: Container[str]) -> tuple[str, str] | None:
        """Who of the able has another record of the same company, and which: the oldest record counts, then what the pool gave."""
        company = self.company(pool, row)
        if company is None:
            return None
        for other in self.existing(pool, row.entity, role).of.get(company, ()):
            if other.rep in able and other.id != row["id"] and self._is_recent(pool.step.together_within, other.since):
                return other.rep, f"{row.entity} {other.id}"
        given = self.given_to(pool, company)
        return (given.rep, given.record) if given is not None and given.rep in able else None

    def existing(self, pool: Pool, entity: str, role: str) -> Companies:
        """The companies' records that somebody has in a role already."""
        step = pool.step
        key = (pool.company_name, entity, role)  # pools that ask alike share the answer
        companies = self._existing.get(key)
        if companies is not None:
            for row in companies.followed.changed() if companies.followed is not None else ():
                self._take_up(companies, pool, row, role)
            return companies
        companies = self._existing[key] = Companies()
        self._asked[key] = pool
        companies.followed = self.world.follows(entity, step.together) if step.together is not None else None
        if companies.followed is not None:
            for row in self.world.all(entity):
                self._take_up(companies, pool, row, role)
            return companies
        reps = self.world.owner_ids(entity, role) if step.together is not None else ()
        if step.together is None or not any(reps):
            return companies
        ids, created = self.world.values(entity, "id"), self.world.values(entity, "created")
        since = self.world.values(entity, "owner_since")
        for i, (rep, company) in enumerate(zip(reps, self.world.evaluated(entity, step.together), strict=True)):
            if rep and isinstance(company, (str, int, float)):
                companies.add(company, Existing(*queue_place(created[i], ids[i]), rep, str(ids[i]), created[i] or since[i]))
        for record, rep in pool.pools.given_in(entity, role):  # before the pool was first asked
            companies.move(record, rep)
        return companies

    def _take_up(self, companies: Companies, pool: Pool, row: Row, role: str) -> None:
        """Know a record's company as it is now, if somebody has the record."""
        record, rep = str(row["id"]), row["owner"].get(role)
        companies.drop(record)
        followed = companies.followed
        if rep is not None and followed is not None and row in followed.trusted:
            company = followed.trusted[row]
        else:
            if followed is not None:
                followed.forget(row)
                if rep is not None:
                    followed.ask(row)
            company = self.company(pool, row) if rep is not None else None
        if rep is not None and company is not None:
            since = row["created"] or row["owner_since"]
            companies.add(company, Existing(*queue_place(row["created"], record), str(rep["id"]), record, since))

    def trust(self, row: Row, known: Mapping[str, Value]) -> None:
        """Another binding knows a record's company, by `Pool.company_name`: until it is looked up here, or anything that it may rest on changes."""
        for (name, entity, _), companies in self._existing.items():
            followed = companies.followed
            if entity == row.entity and name in known and followed is not None and followed.trusts and row in followed.stale:
                followed.trusted[row] = known[name]

    @property
    def has_trusted(self) -> bool:
        return any(companies.followed is not None and companies.followed.trusted for companies in self._existing.values())

    def look_up_trusted(self, most: int | None = None) -> None:
        """Look so many of those up; without a number, all that another binding has told since the start."""
        for key, companies in list(self._existing.items()):
            _, entity, role = key
            if companies.followed is None or not companies.followed.trusted:
                continue
            with self.world.as_before(entity):
                followed = companies.followed
                for row in followed.told_since() if most is None else list(islice(followed.trusted, most)):
                    followed.forget(row)
                    self._take_up(companies, self._asked[key], row, role)

    def askers(self) -> Collection[Pool]:
        """Of the pools that have asked for a record's company, one for each way of asking."""
        return {pool.company_name: pool for pool in self._asked.values()}.values()

    def rests_on(self, pool: Pool, entity: str) -> frozenset[tuple[str, str]] | None:
        """Every (entity, field) that the company of an entity's records rests on; None where that cannot be told."""
        key = (pool.company_name, entity)
        if key not in self._rests_on:
            assert pool.step.together is not None
            read = rests_on(self.world.policy, entity, pool.step.together)
            decided = {of for of, _ in self.world.policy.plan.engagement} - {entity}
            if read is not None and any(name == "owner" and of in decided for of, name in read):
                read = None  # that owner is who the rules of the other record say
            self._rests_on[key] = read
        return self._rests_on[key]

    def follow(self, change: Change) -> None:
        """A record has changed, came, or is gone: what is known of its company's records follows."""
        row = change.row
        for key, companies in list(self._existing.items()):
            _, entity, role = key
            pool, followed = self._asked[key], companies.followed
            if pool.step.together is None:
                continue
            if followed is not None:
                followed.follow(change)
            elif self._may_lead_elsewhere(pool, entity, change):
                del self._existing[key]
                continue
            if entity == row.entity and followed is not None:
                companies.drop(str(row["id"]))
                followed.forget(row)
                if not change.is_gone:
                    followed.stale[row] = None
            elif entity == row.entity and change.is_gone:
                companies.drop(str(row["id"]))
            elif entity == row.entity:
                self._take_up(companies, pool, row, role)
            if row.entity == "rep" and not CALLED.isdisjoint(change.fields):
                self._follow_owners(companies, entity, role)

    def _follow_owners(self, companies: Companies, entity: str, role: str) -> None:
        """A rep has come, is gone, or is called otherwise: what the data names as an owner may mean another rep now."""
        for record, known in companies.records():
            row = self.world.with_id(entity, record)
            rep = row["owner"].get(role) if row is not None else None
            if rep is not None and rep["id"] != known.rep:
                companies.move(record, str(rep["id"]))

    def _may_lead_elsewhere(self, pool: Pool, entity: str, change: Change) -> bool:
        """Whether a change may give other records of an entity than its own another company."""
        read, is_other = self.rests_on(pool, entity), entity != change.row.entity
        if read is None:
            return True
        is_read = any((change.row.entity, name) in read for name in change.fields)
        return is_read and (is_other or entity in referred_to(self.world.policy, read))

    def at_another_time(self) -> None:
        """The clock has moved: companies that may ask for the time are not known any more."""
        for key in list(self._existing):
            pool = self._asked[key]
            if pool.step.together is not None and ((read := self.rests_on(pool, key[1])) is None or MOMENT in read):
                del self._existing[key]

    def is_followed(self, pool: Pool, since: date | datetime | None) -> bool:
        """Whether others of its company follow a record that somebody has, by when that came."""
        return self._is_recent(pool.step.together_within, since)

    def _is_recent(self, within: Duration | None, since: date | datetime | None) -> bool:
        """Whether a record of that date came within the time in which a company's records stay together; one without a date did not."""
        if within is None:
            return True
        until = None if since is None else self.world.clock.add(since, within)
        now = self.world.clock.now if isinstance(until, datetime) else self.world.clock.today
        return until is not None and v.less(now, until) is True
