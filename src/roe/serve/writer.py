"""The one writer of a server: what comes together is decided together, written in one transaction, and only then answered.

A group takes the ledger's lock, catches up with what other servers have written, fires the timers that are due, handles its
requests one after the other, and commits. If the commit fails nobody is told that anything happened: what was changed in
memory is taken back and read again. `queue` has the thread in which a server does that.
"""

from __future__ import annotations

import gc
import json
import logging
import time as clock
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime

from roe import __version__
from roe.crm.ids import fold
from roe.diagnostics import PolicyError
from roe.dynamic import Json, Record
from roe.files import uncollected
from roe.grammar.clock import zone_of
from roe.ledger.backup import is_restored
from roe.ledger.database import MISSING, refuse
from roe.ledger.entries import RunEntry
from roe.ledger.moment import At
from roe.ledger.store import Store
from roe.ledger.stored import Head
from roe.ledger.writing import Writing
from roe.serve import people
from roe.serve.desk import Desk
from roe.serve.letters import Receiver
from roe.serve.metrics import Metrics
from roe.serve.policies import Ready
from roe.serve.prepared import is_outdated, keep, keep_companies, load
from roe.serve.problems import Refused
from roe.serve.shared import KNOWN, standings, take_over
from roe.serve.state import State, compact
from roe.serve.store import Answer, News, Opening, ServiceStore
from roe.serve.swap import Shadow, kept
from roe.serve.times import Time, millis
from roe.serve.tracing import Tracing
from roe.serve.versions import Mirrored
from roe.serve.witness import Witness, timeline_of

log = logging.getLogger("roe.serve")
Reply = tuple[int, Callable[[], Json]]  # a status, and the body, made once entries have their numbers
Act = Callable[[Desk, datetime], Reply]

MOST_TIMERS = 200  # timers that one group fires, so that requests do not wait for thousands
LOCK_WAIT = 10.0  # seconds
AHEAD = 5  # matches that are asked again at a time while nothing waits: a request that comes meanwhile waits for them
PRUNE = 3600.0  # seconds between clean-ups
LAST = 2**62  # no commit comes after it: what a server without a desk reads first, since it reads all there is then


@dataclass(slots=True)
class Swap:
    """A desk with another policy that is to take over, and who wants it."""

    desk: Desk
    by: str
    future: Future[str] = field(default_factory=Future)


@dataclass(slots=True)
class Job:
    """A request that changes something: what it does, which records it reads or routes, and the key by which its answer is kept."""

    act: Act
    touches: Sequence[tuple[str, str]] = ()
    key: str = ""
    digest: str = ""  # of the request, where it has a key
    message: tuple[str, str, str] | None = None  # of a webhook: source, id, subject
    routes: Sequence[tuple[str, Record]] = ()  # the records that it routes, by the address's name of their entity
    future: Future[tuple[int, Json, bool]] = field(default_factory=Future)  # status, body, and whether it is an earlier answer


class Writer:
    """Decides and commits jobs. `connect` opens the ledger; it is asked again after the connection was lost."""

    def __init__(
        self, connect: Callable[[], Store], policy: Ready, time: Time, receivers: Iterable[Receiver] = (), metrics: Metrics | None = None,
        activate: bool = False, shadow: Ready | None = None, witness: Witness | None = None, tracing: Tracing | None = None,
    ) -> None:  # fmt: skip
        self.witness, self.tracing = witness or Witness(None), tracing or Tracing()
        self.compares = False  # whether it is being compared with the CRM, which a restored ledger needs before anything is decided
        self.connect, self.time, self.receivers = connect, time, tuple(receivers)
        self.policy, self.metrics = policy, metrics or Metrics()
        self.desk: Desk | None = None
        self.problem = "the service is starting"  # why it cannot write now; empty if it can
        self.failed_at = 0.0  # when that was noticed, by the machine's own clock in seconds
        self.swap: Swap | None = None  # who is to take over with the next group
        self._store: Store | None = None
        self.shadow = Shadow(shadow, self.metrics) if shadow is not None else None
        self._rested = False  # whether everything has been worked out at some time since the start, and the next start was prepared by it
        self._activate = activate  # whether this policy takes over if another is in force
        self._timeline = 0  # of the cluster, as PostgreSQL counts fail-overs
        self._run: int | None = None  # the number of this server's entry under this policy
        self._committed_run: int | None = None
        self._pruned_at = clock.monotonic()
        self._unsure: set[tuple[str, str]] = set()  # records that may differ from the mirror after a failed commit

    @property
    def ready(self) -> bool:
        return self.desk is not None and not self.problem

    def has_news(self) -> bool:
        """Whether another server has written something: questions are answered from it, too, and its timers are ours."""
        try:
            return self._store is None or self.desk is None or ServiceStore(self._store.db).seq() != self.desk.seq
        except Exception:
            return True  # the group that follows says what is wrong

    def is_due(self) -> bool:
        """Whether a timer is due."""
        due = self.desk.next_due() if self.desk is not None else None
        return due is not None and due <= self.time.now()

    @property
    def is_behind(self) -> bool:
        """Whether something can be worked out before the next request asks for it."""
        return self.desk is not None and self.desk.records.live.is_behind

    def catch_up(self) -> None:
        """Work some of that out."""
        if self.desk is not None:
            self.desk.records.live.catch_up(AHEAD)
            if not self._rested and not self.is_behind:
                self._rested = True
                self.prepare()

    def seconds_to_wait(self) -> float:
        """Seconds until the next timer. Other servers may have set one meanwhile, so never more than one."""
        due = self.desk.next_due() if self.desk is not None else None
        return 1.0 if due is None else min(1.0, max(0.001, (due - self.time.now()).total_seconds()))

    def is_unavailable(self, e: BaseException) -> bool:
        """Whether a failure says that the ledger cannot be used now."""
        if isinstance(e, PolicyError):
            return True
        lost = getattr(self._store.db, "lost", None) if self._store is not None else None
        return isinstance(e, OSError) or (lost is not None and isinstance(e, lost))

    def lost(self, e: BaseException) -> None:
        """Nothing can be written now: note why, and connect again later."""
        first = e.diagnostics[0].message if isinstance(e, PolicyError) else str(e).strip().split("\n")[0] or type(e).__name__
        if self.problem != first:
            log.error("the service cannot write: %s", first)
        self.problem, self.failed_at = first, clock.monotonic()
        self.metrics.ready.set(0)
        if self._store is not None:
            try:
                self._store.close()
            except Exception:
                log.debug("closing the lost connection failed", exc_info=True)
            self._store = None

    def take_back(self) -> None:
        """A group failed: what it has changed in memory is as it was, or is read again."""
        self._run = self._committed_run
        if self.desk is not None:
            self._unsure |= self.desk.take_back()

    def prepare(self) -> None:
        """Leave the next start what finds records, where much has changed since the last one, and what is known of companies. Whoever has the lock
        for long, or something newer, lets it be.
        """
        desk, store = self.desk, self._store
        if desk is None or store is None or self.problem or not desk.records.live.world.is_whole:
            return
        try:
            with store.writing(LOCK_WAIT):
                tables = ServiceStore(store.db)
                if tables.seq() == desk.seq:
                    if is_outdated(tables, desk):
                        keep(tables, desk)
                    keep_companies(tables, desk)
        except Exception as e:
            log.warning("the next start could not be prepared: %s", e)

    def close(self) -> None:
        """Let go of the ledger."""
        if self.witness.seen.epoch:
            self.witness.note(Head(self.witness.seen.epoch, self.witness.seen.number, b""), self.witness.seen.timeline, now=True)
        if self._store is not None:
            self._store.close()
            self._store = None

    def group(self, jobs: Sequence[Job]) -> list[tuple[int, Json, bool]]:
        """Decide and commit some jobs together, and answer them. Whatever fails, nothing is committed."""
        started = clock.perf_counter()
        store = self.opened()
        tables = ServiceStore(store.db)
        now = self.time.now()
        if self.desk is not None:  # before others have to wait for the lock
            self.desk.records.live.look_up_trusted()
            self.desk.expect(record for job in jobs for record in job.routes)
        touched = {touched for job in jobs for touched in (*job.touches, *_ids_of(job.routes))}
        opening = Opening(LAST if self.desk is None else self.desk.seq, touched, [job.key for job in jobs if job.key])
        with store.writing(LOCK_WAIT, opening.queries) as tx:
            news = opening.news(tx.found)
            desk = self._caught_up(tables, news)
            at = desk.as_of(now)
            swap, desk = self._swapped(tables, desk)
            desk.begin(_looked_up(tables, {**dict.fromkeys(touched), **news.mirrored}), people.asked_in(store))
            self._read_again(tables, desk, take_over(desk, store, tx.head.number, at))
            if swap is not None or desk.in_force is None or (self._activate and desk.in_force != self.policy.digest):
                desk.activate(swap.by if swap is not None else "the start of a server", at)
            fired = desk.fire_due(at, MOST_TIMERS)
            made = []
            for job in jobs:
                made.append(self._reply(desk, job, at, news.answers, tables))
                fired += desk.fire_due(at, MOST_TIMERS - fired)  # what a leaver has, for example, is decided before the next request
            standings(desk, at)
            desk.number(list(tx.append(desk.entries, self._server_run(tx, at))) if desk.entries else [])
            desk.state.put(*KNOWN, tx.head.number)
            answers = [(status, make(), replayed) for status, make, replayed in made]
            desk.writes.answers += [
                Answer(job.key, job.digest, status, compact(body))
                for job, (status, body, _) in zip(jobs, answers, strict=True)
                if job.key and job.key not in news.answers and status < 429
            ]
            desk.note_changes(at)
            if desk.writes:
                tables.write(desk.writes, desk.seq + 1, millis(at))
            if clock.monotonic() - self._pruned_at > PRUNE:
                tables.prune(millis(at))
                self._pruned_at = clock.monotonic()
        desk.written()
        self.witness.note(tx.head, self._timeline)
        self._committed_run, self._activate = self._run, False
        if swap is not None:
            log.info("the policy %s is in force", self.policy.digest[:12])
            self.swap = None
            swap.future.set_result(self.policy.digest)
        if self.problem:
            log.info("the service is ready")
        self.problem = ""
        self.metrics.ready.set(1)
        self.metrics.group(len(jobs), clock.perf_counter() - started, desk, fired)
        self.tracing.group(clock.perf_counter() - started, len(jobs), fired, len(desk.entries))
        return answers

    def _reply(
        self, desk: Desk, job: Job, at: datetime, earlier: Mapping[str, Answer], tables: ServiceStore
    ) -> tuple[int, Callable[[], Json], bool]:
        """What a job is answered, and whether that is what an earlier request with its key was answered."""
        known = earlier.get(job.key) if job.key else None
        try:
            if known is not None and known.digest != job.digest:
                raise Refused(422, "R905", "this Idempotency-Key was used for another request", "use a new key for each new request")
            if known is not None:
                return known.status, lambda: json.loads(known.body), True
            if job.message is not None:
                source, message, subject = job.message
                if tables.received(source, [message]) or any(m[:2] == (source, message) for m in desk.writes.inbox):
                    return 200, lambda: {"received": message, "repeated": True}, True
                desk.writes.inbox.append((source, message, subject))
            status, make = job.act(desk, at)
            desk.settled(at)
        except Refused as e:  # it has changed nothing: whatever can be refused is checked before anything changes
            status, make = e.status, e.document
        return status, make, False

    # --- connection and catching up -----------------------------------------------------------------------------------

    def opened(self) -> Store:
        """The ledger, opened where it is not. Raises PolicyError where nothing may be decided by it."""
        if self._store is None:
            store = self.connect()
            timeline, head = timeline_of(store.db), store.head()
            seen = self.witness.of_epoch(head)
            newest = max(self._timeline, seen.timeline)
            if timeline < newest:
                store.close()
                refuse(MISSING, f"the database is an old primary: it has timeline {timeline}, and this server has already seen {newest}", store.url, "stop it, so that only the new primary answers")  # fmt: skip
            if head.number < seen.number:
                log.error(
                    "entries are missing from the ledger: it ends at entry %s, but this machine has seen entry %s; run roe sync to compare it with the CRM",
                    head.number, seen.number,
                )  # fmt: skip
            if is_restored(store.db) and not self.compares:
                store.close()
                refuse(MISSING, "the ledger was restored from a backup, and must be compared with the CRM before anything is decided", store.url, "run `roe sync EXPORT` with the records that the policy decides")  # fmt: skip
            self._store, self._timeline = store, timeline
            self._run = self._committed_run = None
        return self._store

    def _server_run(self, tx: Writing, at: datetime) -> int:
        """The ledger's entry for this server under this policy; the decisions that it makes belong to it."""
        if self._run is None:
            self._run = tx.head.number + 1
            tx.keep_policy(self.policy.digest, self.policy.files)
            run = RunEntry(
                at=At.of(at.astimezone(zone_of(self.policy.evaluator.policy.timezone)).date(), self.policy.evaluator.policy.timezone),
                id=f"serve-{self._run}",
                what="service",
                policy=self.policy.name,
                digest=self.policy.digest,
                version=__version__,
            )
            tx.run(run)
        return self._run

    def _caught_up(self, tables: ServiceStore, news: News) -> Desk:
        """The desk, with everything that others have written since; read whole the first time."""
        seq, desk = news.seq, self.desk
        if desk is not None and seq < desk.seq:
            log.error("the database is older than what this server has seen: commit %s, not %s; reading all of it again", seq, desk.seq)
            desk = None
        elif desk is not None and seq > desk.seq:
            self._unsure |= desk.learn(news.known, news.records)
            desk.seq = seq
            desk = None if desk.outdated else desk
        if desk is None:
            gc.unfreeze()
            with uncollected():  # all of these stay
                state = State(tables.known_since(-1))
                self._take_policy_of(state)
                mirror = load(tables, self.policy)
                desk = self.desk = Desk(self.policy, state, mirror.records, self.receivers, mirror.found)
                gc.freeze()
            mirror.begin(desk)
            desk.seq, self._rested = seq, False
            self._unsure.clear()
            if not mirror.found:
                keep(tables, desk)
            if self.shadow is not None:
                self.shadow.begin(tables.known_since(-1), tables.records_since(-1))
        self._read_again(tables, desk, self._unsure)
        self._unsure = set()
        if self._take_policy_of(desk.state):
            mirror = load(tables, self.policy)
            desk.take_policy(self.policy, mirror.records, mirror.found)
            mirror.begin(desk)
        return desk

    def _read_again(self, tables: ServiceStore, desk: Desk, stale: Set[tuple[str, str]]) -> None:
        """Show records as the mirror has them, and their owners as the state has them."""
        records = tables.records(stale) if stale else {}
        for entity, id in stale:
            desk.records.learn(records.get((entity, id)) or Mirrored(entity, id, deleted=True))

    def _take_policy_of(self, state: State) -> bool:
        """Decide by the policy in force where it is another one; whether it is."""
        active = state.get("policy", "active")
        if active is None or active["digest"] == self.policy.digest or self._activate:
            return False
        assert self._store is not None
        log.warning(
            "the policy in force is %s (%s), and not the %s of this server's folder, which takes over with --activate",
            active["digest"][:12], active["name"], self.policy.digest[:12],
        )  # fmt: skip
        self.policy, self._run, self._rested = kept(self._store, active["digest"]), None, False
        return True

    def _swapped(self, tables: ServiceStore, desk: Desk) -> tuple[Swap | None, Desk]:
        """The desk that decides from now on, and the swap that made it so."""
        swap = self.swap
        if swap is None:
            return None, desk
        new = swap.desk
        stale = new.learn(tables.known_since(new.seq), tables.records_since(new.seq))
        self._read_again(tables, new, stale)
        new.seq, new.receivers = desk.seq, desk.receivers
        self.desk, self.policy, self._run, self._rested = new, new.policy, None, False
        return swap, new


def _ids_of(records: Iterable[tuple[str, Record]]) -> Iterable[tuple[str, str]]:
    """Entities and ids of records that are about to be routed, as far as they can be told without a policy."""
    for name, values in records:
        id = next((x for n, x in values.items() if n.lower() == "id" and isinstance(x, (str, int))), None)
        if id is not None:
            yield name.removesuffix("s"), fold(str(id))


def _looked_up(tables: ServiceStore, known: dict[tuple[str, str], Mirrored | None]) -> Callable[[str, str], Mirrored | None]:
    """A look-up of records in the mirror; some are known already."""

    def fetch(entity: str, id: str) -> Mirrored | None:
        if (entity, id) not in known:
            known[entity, id] = tables.records([(entity, id)]).get((entity, id))
        return known[entity, id]

    return fetch
