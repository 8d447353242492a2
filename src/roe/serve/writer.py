"""The one writer of a server: what waits together is decided together, written in one transaction, and only then answered.

A group takes the ledger's lock, catches up with what other servers have written, fires the timers that are due, handles its
requests one after the other, and commits. If the commit fails nobody is told that anything happened: what was changed in
memory is taken back and read again. A request that breaks in a way nobody foresaw is handled alone, so that it fails alone.
"""

from __future__ import annotations

import gc
import json
import logging
import threading
import time as clock
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from roe import __version__
from roe.diagnostics import PolicyError
from roe.files import uncollected
from roe.grammar.clock import zone_of
from roe.ledger.backup import is_restored
from roe.ledger.database import MISSING, Database, refuse
from roe.ledger.entries import Run
from roe.ledger.moment import At
from roe.ledger.store import Store
from roe.ledger.stored import Head
from roe.ledger.writing import Writing
from roe.serve.desk import Desk
from roe.serve.letters import Receiver
from roe.serve.metrics import Metrics
from roe.serve.policies import Ready
from roe.serve.problems import Refused, busy
from roe.serve.shared import KNOWN, standings, take_over
from roe.serve.state import State
from roe.serve.store import Answer, ServiceStore
from roe.serve.swap import Shadow, kept
from roe.serve.times import Time, millis
from roe.serve.tracing import Tracing
from roe.serve.versions import Mirrored
from roe.serve.witness import Witness

log = logging.getLogger("roe.serve")
Json = dict[str, Any]
Reply = tuple[int, Callable[[], Json]]  # a status, and the body, made once entries have their numbers
Act = Callable[[Desk, datetime], Reply]

MOST_TOGETHER = 256  # requests in one group
MOST_TIMERS = 200  # timers that one group fires, so that requests do not wait for thousands
LOCK_WAIT = 10.0  # seconds
RETRY = 1.0  # seconds between attempts to reach the database
PRUNE = 3600.0  # seconds between clean-ups


@dataclass(slots=True)
class Question:
    """A request that changes nothing, answered from what the desk knows."""

    ask: Callable[[Desk, datetime], Json]
    future: Future[Json] = field(default_factory=Future)


@dataclass(slots=True)
class Swap:
    """A desk with another policy that is to take over, and who wants it."""

    desk: Desk
    by: str
    future: Future[str] = field(default_factory=Future)


@dataclass(slots=True)
class Job:
    """A request that changes something: what it does, which records it reads, and the key by which its answer is kept."""

    act: Act
    touches: Sequence[tuple[str, str]] = ()
    key: str = ""
    digest: str = ""  # of the request, where it has a key
    message: tuple[str, str, str] | None = None  # of a webhook: source, id, subject
    future: Future[tuple[int, Json, bool]] = field(default_factory=Future)  # status, body, and whether it is an earlier answer


class Writer:
    """Handles jobs in a thread of its own. `connect` opens the ledger; it is asked again after the connection was lost."""

    def __init__(
        self, connect: Callable[[], Store], policy: Ready, time: Time, receivers: Iterable[Receiver] = (), queue: int = 1000,
        metrics: Metrics | None = None, activate: bool = False, shadow: Ready | None = None, witness: Witness | None = None,
        tracing: Tracing | None = None,
    ) -> None:  # fmt: skip
        self.witness, self.tracing = witness or Witness(None), tracing or Tracing()
        self.compares = False  # whether it is being compared with the CRM, which a restored ledger needs before anything is decided
        self.connect, self.time, self.receivers, self.most = connect, time, tuple(receivers), queue
        self.policy, self.metrics = policy, metrics or Metrics()
        self.desk: Desk | None = None
        self.problem = "the service is starting"  # why it cannot write now; empty if it can
        self._store: Store | None = None
        self.shadow = Shadow(shadow, self.metrics) if shadow is not None else None
        self._activate = activate  # whether this policy takes over if another is in force
        self._swap: Swap | None = None
        self._timeline = 0  # of the cluster, as PostgreSQL counts fail-overs
        self._run: int | None = None  # the number of this server's entry under this policy
        self._committed_run: int | None = None
        self._jobs: deque[Job] = deque()
        self._questions: deque[Question] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._failed_at = 0.0
        self._pruned_at = clock.monotonic()
        self._unsure: set[tuple[str, str]] = set()  # records that may differ from the mirror after a failed commit
        self._thread = threading.Thread(target=self._loop, name="roe-writer", daemon=True)

    # --- for other threads ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Job) -> Future[tuple[int, Json, bool]]:
        """Queue a job. Raises Refused where the queue is full, or where nothing can be written now."""
        with self._wake:
            if self._stopping:
                raise busy("the service is stopping", 5)
            if len(self._jobs) >= self.most:
                raise busy(f"{self.most} requests are waiting already", 1)
            if self.problem and clock.monotonic() - self._failed_at < RETRY:
                raise busy(self.problem, 2)
            self._jobs.append(job)
            self.metrics.queue.set(len(self._jobs))
            self._wake.notify()
        return job.future

    def ask(self, ask: Callable[[Desk, datetime], Json]) -> Future[Json]:
        """Queue a question. It is answered between two groups, so it sees what is committed and nothing else."""
        question = Question(ask)
        with self._wake:
            if self._stopping or self.desk is None:
                raise busy(self.problem or "the service is stopping", 2)
            if len(self._questions) >= self.most:
                raise busy(f"{self.most} questions are waiting already", 1)
            self._questions.append(question)
            self._wake.notify()
        return question.future

    def swap(self, desk: Desk, by: str) -> Future[str]:
        """Have a desk with another policy take over before the next request; the digest of its policy once it has."""
        with self._wake:
            if self._swap is not None:
                raise busy("another policy is about to take over", 2)
            swap = self._swap = Swap(desk, by)
            self._wake.notify()
        return swap.future

    def stop(self, wait: float = 30) -> None:
        """Handle what is queued, and end."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.ident is not None:
            self._thread.join(wait)

    @property
    def ready(self) -> bool:
        return self.desk is not None and not self.problem

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        while True:
            jobs = self._next()
            if jobs is None:
                break
            if jobs or self.problem or self._swap is not None or self._is_due() or self._has_news():
                self._handle(jobs)
            self._answer()
        self.close()

    def _next(self) -> list[Job] | None:
        """What waits now, perhaps nothing if a timer is due; None at the end."""
        with self._wake:
            if not self._jobs and not self._questions and not self._stopping and self._swap is None:
                if self.ready and not self._is_due():
                    self._wake.wait(self._pause())
                elif not self.ready and self._failed_at:
                    self._wake.wait(RETRY)
            if not self._jobs and self._stopping:
                return None
            jobs = [self._jobs.popleft() for _ in range(min(len(self._jobs), MOST_TOGETHER))]
            self.metrics.queue.set(len(self._jobs))
            return jobs

    def _answer(self) -> None:
        """Answer what was asked meanwhile."""
        while self._questions:
            question = self._questions.popleft()
            try:
                if self.desk is None:
                    raise busy(self.problem, 2)
                question.future.set_result(question.ask(self.desk, self.time.now()))
            except Exception as e:
                question.future.set_exception(e)

    def _has_news(self) -> bool:
        """Whether another server has written something: questions are answered from it, too, and its timers are ours."""
        try:
            return self._store is None or self.desk is None or ServiceStore(self._store.db).seq() != self.desk.seq
        except Exception:
            return True  # the group that follows says what is wrong

    def _is_due(self) -> bool:
        due = self.desk.next_due() if self.desk is not None else None
        return due is not None and due <= self.time.now()

    def _pause(self) -> float:
        """Seconds until the next timer. Other servers may have set one meanwhile, so never more than one."""
        due = self.desk.next_due() if self.desk is not None else None
        return 1.0 if due is None else min(1.0, max(0.001, (due - self.time.now()).total_seconds()))

    def _handle(self, jobs: list[Job]) -> None:
        try:
            for job, answer in zip(jobs, self.group(jobs), strict=True):
                job.future.set_result(answer)
            if self.shadow is not None and self.desk is not None and self.desk.last is not None:
                self.shadow.follow(self.desk, self.desk.last)
        except Exception as e:
            self._take_back()
            if self._swap is not None:
                self._swap.future.set_exception(e)
                self._swap = None
            unavailable = self._is_unavailable(e)
            if unavailable:
                self._lost(e)
                for job in jobs:
                    job.future.set_exception(busy(self.problem, 2))
            elif len(jobs) > 1:
                log.exception("a group of requests failed; they are handled one by one")
                for job in jobs:
                    self._handle([job])
            else:
                log.exception("a request failed")
                self.metrics.failed.inc()
                for job in jobs:
                    job.future.set_exception(e)
                if not jobs:
                    clock.sleep(RETRY)  # a timer fails: not again and again at once

    def _is_unavailable(self, e: BaseException) -> bool:
        if isinstance(e, PolicyError):
            return True
        lost = getattr(self._store.db, "lost", None) if self._store is not None else None
        return isinstance(e, OSError) or (lost is not None and isinstance(e, lost))

    def _lost(self, e: BaseException) -> None:
        """Nothing can be written now: say why, and connect again later."""
        first = e.diagnostics[0].message if isinstance(e, PolicyError) else str(e).strip().split("\n")[0] or type(e).__name__
        if self.problem != first:
            log.error("the service cannot write: %s", first)
        self.problem, self._failed_at = first, clock.monotonic()
        self.metrics.ready.set(0)
        if self._store is not None:
            try:
                self._store.close()
            except Exception:
                log.debug("closing the lost connection failed", exc_info=True)
            self._store = None

    def _take_back(self) -> None:
        self._run = self._committed_run
        if self.desk is not None:
            self._unsure |= self.desk.take_back()

    def close(self) -> None:
        """Let go of the ledger."""
        if self.witness.seen.epoch:
            self.witness.note(Head(self.witness.seen.epoch, self.witness.seen.number, b"", ""), self.witness.seen.timeline, now=True)
        if self._store is not None:
            self._store.close()
            self._store = None

    def group(self, jobs: Sequence[Job]) -> list[tuple[int, Json, bool]]:
        """Decide and commit some jobs together, and answer them. Whatever fails, nothing is committed."""
        started = clock.perf_counter()
        store = self._connected()
        tables = ServiceStore(store.db)
        now = self.time.now()
        with store.writing(LOCK_WAIT) as tx:
            desk = self._caught_up(tables)
            at = max(now, desk.last) if desk.last is not None else now  # the order of entries stands if the clock goes back
            swap, desk = self._swapped(tables, desk)
            desk.begin(self._prefetched(tables, jobs))
            self._read_again(tables, desk, take_over(desk, store, tx.head.number, at))
            if swap is not None or desk.in_force is None or (self._activate and desk.in_force != self.policy.digest):
                desk.activate(swap.by if swap is not None else "the start of a server", at)
            earlier = tables.answers([job.key for job in jobs if job.key])
            fired = desk.fire_due(at, MOST_TIMERS)
            made = [self._reply(desk, job, at, earlier, tables) for job in jobs]
            standings(desk, at)
            desk.number(list(tx.append(desk.entries, self._server_run(tx, at))) if desk.entries else [])
            desk.state.put(*KNOWN, tx.head.number)
            answers = [(status, make(), replayed) for status, make, replayed in made]
            desk.writes.answers += [
                Answer(job.key, job.digest, status, _json(body))
                for job, (status, body, _) in zip(jobs, answers, strict=True)
                if job.key and job.key not in earlier and status < 429
            ]
            desk.writes.known = desk.state.changes()
            if desk.writes:
                tables.write(desk.writes, desk.seq + 1, millis(at))
            if clock.monotonic() - self._pruned_at > PRUNE:
                tables.prune(millis(at))
                self._pruned_at = clock.monotonic()
        desk.written(at)
        self.witness.note(tx.head, self._timeline)
        self._committed_run, self._activate = self._run, False
        if swap is not None:
            log.info("the policy %s is in force", self.policy.digest[:12])
            self._swap = None
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
        except Refused as e:
            status, make = e.status, e.document
            desk.refused(e)
        return status, make, False

    # --- connection and catching up -----------------------------------------------------------------------------------

    def opened(self) -> Store:
        """The ledger, for whoever writes beside the groups of requests."""
        return self._connected()

    def _connected(self) -> Store:
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
            run = Run(
                at=At.of(at.astimezone(zone_of(self.policy.evaluator.policy.timezone)).date(), self.policy.evaluator.policy.timezone),
                id=f"serve-{self._run}",
                what="service",
                policy=self.policy.name,
                digest=self.policy.digest,
                version=__version__,
            )
            tx.run(run)
        return self._run

    def _caught_up(self, tables: ServiceStore) -> Desk:
        """The desk, with everything that others have written since; read whole the first time."""
        seq = tables.seq()
        desk = self.desk
        if desk is not None and seq < desk.seq:
            log.error("the database is older than what this server has seen: commit %s, not %s; reading all of it again", seq, desk.seq)
            desk = None
        elif desk is not None and seq > desk.seq:
            self._unsure |= desk.learn(tables.known_since(desk.seq), tables.records_since(desk.seq))
            desk.seq = seq
            desk = None if desk.outdated else desk
        if desk is None:
            gc.unfreeze()
            with uncollected():  # all of these stay
                state, records = State(tables.known_since(-1)), tables.records_since(-1)
                self._take_policy_of(state)
                desk = self.desk = Desk(self.policy, state, records, self.receivers)
                gc.freeze()
            desk.seq = seq
            self._unsure.clear()
            if self.shadow is not None:
                self.shadow.begin(tables.known_since(-1), records)
        self._read_again(tables, desk, self._unsure)
        self._unsure = set()
        if self._take_policy_of(desk.state):
            desk.take_policy(self.policy, tables.records_since(-1))
        return desk

    def _read_again(self, tables: ServiceStore, desk: Desk, stale: Set[tuple[str, str]]) -> None:
        """Show records as the mirror has them, and their owners as the state has them."""
        found = tables.records(stale) if stale else {}
        for entity, id in stale:
            desk.records.learn(found.get((entity, id)) or Mirrored(entity, id, deleted=True))

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
        self.policy, self._run = kept(self._store, active["digest"]), None
        return True

    def _swapped(self, tables: ServiceStore, desk: Desk) -> tuple[Swap | None, Desk]:
        """The desk that decides from now on, and the swap that made it so."""
        swap = self._swap
        if swap is None:
            return None, desk
        new = swap.desk
        stale = new.learn(tables.known_since(new.seq), tables.records_since(new.seq))
        self._read_again(tables, new, stale)
        new.seq, new.last, new.receivers = desk.seq, desk.last, desk.receivers
        self.desk, self.policy, self._run = new, new.policy, None
        return swap, new

    def _prefetched(self, tables: ServiceStore, jobs: Sequence[Job]) -> Callable[[str, str], Mirrored | None]:
        """A look-up of records in the mirror; those that jobs are known to touch are read together."""
        wanted = {touched for job in jobs for touched in job.touches}
        cache: dict[tuple[str, str], Mirrored | None] = dict(tables.records(wanted)) if wanted else {}
        cache |= dict.fromkeys(wanted - set(cache))

        def fetch(entity: str, id: str) -> Mirrored | None:
            if (entity, id) not in cache:
                cache[entity, id] = tables.records([(entity, id)]).get((entity, id))
            return cache[entity, id]

        return fetch


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def timeline_of(db: Database) -> int:
    """PostgreSQL's timeline, which grows with each fail-over; 0 where it is not told."""
    if db.dialect != "postgres":
        return 0
    try:
        return int(db.rows("SELECT timeline_id FROM pg_control_checkpoint()")[0][0])
    except Exception:  # the role may not ask
        return 0
