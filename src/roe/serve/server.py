"""What a server consists of: the writer and its queue, a connection to read on, tokens, settings, and who sends its letters."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from roe.dynamic import Json
from roe.ledger.store import Store, open_store
from roe.serve.metrics import Metrics
from roe.serve.outbox import Sender
from roe.serve.policies import Ready, checked, load, of_revision
from roe.serve.problems import busy
from roe.serve.queue import Queue
from roe.serve.settings import Settings
from roe.serve.swap import Watching, readable_as_before, scratch, warmed
from roe.serve.times import SystemTime, Time
from roe.serve.tokens import Tokens, read_tokens
from roe.serve.tracing import Tracing
from roe.serve.witness import Witness
from roe.serve.writer import Job, Writer
from roe.web.app.access import Users, read_users

T = TypeVar("T")
TAKE_OVER = 60  # seconds in which a policy must have taken over


class Server:
    """One process of the service. `connect` opens its ledger; tests give it a clock that they set."""

    def __init__(
        self, settings: Settings, time: Time | None = None, connect: Callable[[], Store] | None = None, policy: Ready | None = None,
        tracing: Tracing | None = None,
    ) -> None:  # fmt: skip
        self.settings, self.time, self.metrics = settings, time or SystemTime(), Metrics()
        self.connect = connect or (lambda: open_store(settings.state, wait=10))
        self.tracing = tracing or Tracing.of_environment()
        self.tokens: Tokens = read_tokens(settings.tokens)
        self.users = read_users(settings.users) if settings.users is not None else Users({})
        shadow = load(settings.shadow) if settings.shadow is not None else None
        self.writer = Writer(
            self.connect, policy or load(settings.policy), self.time, settings.receivers, self.metrics, settings.activate, shadow,
            Witness.of(settings.state), self.tracing,
        )  # fmt: skip
        self.queue = Queue(self.writer, settings.queue)
        self.watching = Watching(settings.policy, lambda root: self.activate(root, "the folder of the policy")) if settings.watch else None
        self.sender = Sender(self.connect, settings.receivers, self.time, self.metrics)
        self.under_way: set[str] = set()  # idempotency keys of requests that wait for their answer
        self._reader: Store | None = None
        self._reading = threading.Lock()

    def start(self) -> None:
        self.queue.start()
        self.sender.start()
        if self.watching is not None:
            self.watching.start()

    def stop(self) -> None:
        if self.watching is not None:
            self.watching.stop()
        self.queue.stop()
        self.sender.stop()
        self.tracing.close()
        with self._reading:
            if self._reader is not None:
                self._reader.close()
                self._reader = None

    def activate(self, root: Path, by: str, revision: str = "") -> Json:
        """Have the policy of a folder take over, as it is or as it was at a git revision. Raises Refused, and changes nothing, if it cannot."""
        if self.writer.desk is None:
            raise busy(self.writer.problem, 2)
        ready = checked(of_revision(root, revision, scratch()) if revision else root)
        if ready.digest == self._in_force():
            return {"policy": ready.digest, "name": ready.name, "activated": False}
        with self.connect() as store:
            desk = warmed(store, ready)
        readable_as_before(desk, self.writer.desk)
        return {"policy": self.queue.swap(desk, by).result(TAKE_OVER), "name": ready.name, "activated": True}

    def _in_force(self) -> str | None:
        """The digest of the policy in force, once this server knows what others have done."""
        asked = self.queue.submit(Job(lambda desk, at: (200, lambda: {"digest": desk.in_force})))
        digest: str | None = asked.result(TAKE_OVER)[1]["digest"]
        return digest

    def read(self, ask: Callable[[Store], T]) -> T:
        """Ask the ledger on the connection for reading; called from any thread, one at a time."""
        with self._reading:
            try:
                if self._reader is None:
                    self._reader = self.connect()
                return ask(self._reader)
            except KeyError:
                raise
            except Exception:
                if self._reader is not None:
                    self._reader.close()
                self._reader = None
                raise
