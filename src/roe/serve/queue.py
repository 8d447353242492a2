"""The queue before the writer, and the thread that empties it: requests that wait are handled together, questions between two groups.

A request that breaks in a way nobody foresaw is handled alone, so that it fails alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import threading
import time as clock
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from roe.dynamic import Json
from roe.serve.desk import Desk
from roe.serve.problems import busy
from roe.serve.writer import Job, Swap, Writer

T = TypeVar("T")
log = logging.getLogger("roe.serve")
MOST_TOGETHER = 256  # requests in one group
RETRY = 1.0  # seconds between attempts to reach the database
PATIENCE = 20.0  # seconds after which a request is not waited for any longer: more than a writer waits for the lock
# Nearly all objects of a service stay, so a collection of all of them takes long and frees nothing: new ones alone are collected while it
# works, and everything once in a while when nothing waits. The second number says how many portions of new ones are looked at together, and a
# request waits for that: it is few objects. A larger one saves nothing, since each object is looked at twice in any case
COLLECTED = (1_000, 2, 1_000_000)
TIDY = 3600.0  # seconds between collections of everything


@dataclass(slots=True)
class Question:
    """A request that changes nothing, answered from what the desk knows."""

    ask: Callable[[Desk, datetime], Json]
    future: Future[Json] = field(default_factory=Future)


@contextlib.asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """Wait no longer than `PATIENCE`. Raises Refused then: nobody knows whether it will be done, but the request's key will tell."""
    try:
        async with asyncio.timeout(PATIENCE):
            yield
    except TimeoutError:
        raise busy(f"the service has not come to it within {PATIENCE:g} seconds", 2) from None


async def answered(future: Future[T]) -> T:
    """The answer to what was queued. What is given up before the thread has begun with it is not done."""
    async with in_time():
        return await asyncio.wrap_future(future)


class Queue:
    """Jobs and questions for a writer, `most` of each at a time. Any thread may put them in; one of its own handles them."""

    def __init__(self, writer: Writer, most: int) -> None:
        self.writer, self.most = writer, most
        self._jobs: deque[Job] = deque()
        self._questions: deque[Question] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._tidied_at = clock.monotonic()
        self._begun: float | None = None  # since when the thread is at what it does now
        self._thread = threading.Thread(target=self._loop, name="roe-writer", daemon=True)

    # --- for other threads ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    @property
    def is_stuck(self) -> bool:
        """Whether the ledger does not answer, and does not say that it cannot either: its machine is gone, or stands still."""
        begun = self._begun
        return begun is not None and clock.monotonic() - begun > PATIENCE

    @property
    def problem(self) -> str:
        """Why nothing can be written now; empty if it can."""
        return f"the ledger has not answered for {PATIENCE:g} seconds" if self.is_stuck else self.writer.problem

    def submit(self, job: Job) -> Future[tuple[int, Json, bool]]:
        """Queue a job. Raises Refused where the queue is full, or where nothing can be written now."""
        with self._wake:
            if self._stopping:
                raise busy("the service is stopping", 5)
            if len(self._jobs) >= self.most:
                raise busy(f"{self.most} requests are waiting already", 1)
            if self.is_stuck or (self.writer.problem and clock.monotonic() - self.writer.failed_at < RETRY):
                raise busy(self.problem, 2)
            self._jobs.append(job)
            self.writer.metrics.queue.set(len(self._jobs))
            self._wake.notify()
        return job.future

    def ask(self, ask: Callable[[Desk, datetime], Json]) -> Future[Json]:
        """Queue a question. It is answered between two groups, so it sees what is committed and nothing else."""
        question = Question(ask)
        with self._wake:
            if self._stopping or self.writer.desk is None or self.is_stuck:
                raise busy(self.problem or "the service is stopping", 2)
            if len(self._questions) >= self.most:
                raise busy(f"{self.most} questions are waiting already", 1)
            self._questions.append(question)
            self._wake.notify()
        return question.future

    def swap(self, desk: Desk, by: str) -> Future[str]:
        """Have a desk with another policy take over before the next request; the digest of its policy once it has."""
        with self._wake:
            if self.writer.swap is not None:
                raise busy("another policy is about to take over", 2)
            swap = self.writer.swap = Swap(desk, by)
            self._wake.notify()
        return swap.future

    def stop(self, wait: float = 30) -> None:
        """Handle what is queued, and end."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.ident is not None:
            self._thread.join(wait)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        writer = self.writer
        gc.set_threshold(*COLLECTED)
        while True:
            self._begun = None
            jobs = self._next()
            if jobs is None:
                break
            self._begun = clock.monotonic()
            if not jobs and clock.monotonic() - self._tidied_at > TIDY:
                gc.collect()
                gc.freeze()
                self._tidied_at = clock.monotonic()
            if jobs or writer.problem or writer.swap is not None or writer.is_due() or writer.has_news():
                self._handle(jobs)
            self._answer()
            if not jobs and writer.is_behind:
                self._catch_up()
        writer.prepare()
        writer.close()

    def _next(self) -> list[Job] | None:
        """What waits now, perhaps nothing if a timer is due; None at the end."""
        writer = self.writer
        with self._wake:
            if not self._jobs and not self._questions and not self._stopping and writer.swap is None:
                if writer.ready and not writer.is_due() and not writer.is_behind:
                    self._wake.wait(writer.seconds_to_wait())
                elif not writer.ready and writer.failed_at:
                    self._wake.wait(RETRY)
            if not self._jobs and self._stopping:
                return None
            jobs = [self._jobs.popleft() for _ in range(min(len(self._jobs), MOST_TOGETHER))]
            writer.metrics.queue.set(len(self._jobs))
            return [job for job in jobs if job.future.set_running_or_notify_cancel()]  # but those that nobody waits for any longer

    def _catch_up(self) -> None:
        try:
            self.writer.catch_up()
        except Exception:
            log.exception("nothing could be worked out ahead")
            clock.sleep(RETRY)

    def _answer(self) -> None:
        """Answer what was asked meanwhile."""
        while self._questions:
            question = self._questions.popleft()
            if not question.future.set_running_or_notify_cancel():
                continue
            try:
                if self.writer.desk is None:
                    raise busy(self.writer.problem, 2)
                question.future.set_result(question.ask(self.writer.desk, self.writer.time.now()))
            except Exception as e:
                question.future.set_exception(e)

    def _handle(self, jobs: list[Job]) -> None:
        writer = self.writer
        try:
            for job, answer in zip(jobs, writer.group(jobs), strict=True):
                job.future.set_result(answer)
            if writer.shadow is not None and writer.desk is not None:
                writer.shadow.follow(writer.desk, writer.desk.as_of(writer.time.now()))
        except Exception as e:
            writer.take_back()
            if writer.swap is not None:
                writer.swap.future.set_exception(e)
                writer.swap = None
            if writer.is_unavailable(e):
                writer.lost(e)
                for job in jobs:
                    job.future.set_exception(busy(writer.problem, 2))
            elif len(jobs) > 1:
                log.exception("a group of requests failed; they are handled one by one")
                for job in jobs:
                    self._handle([job])
            else:
                self._failed(jobs, e)

    def _failed(self, jobs: list[Job], e: Exception) -> None:
        """A job failed in a way nobody foresaw; or a timer did, where there is none."""
        log.exception("a request failed")
        self.writer.metrics.failed.inc()
        for job in jobs:
            job.future.set_exception(e)
        if not jobs:
            clock.sleep(RETRY)  # a timer fails: not again and again at once
