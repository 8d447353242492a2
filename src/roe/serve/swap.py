"""Policies take over while the service runs: loaded, checked, tested and warmed aside, then swapped at once.

The policy in force is an entry of the ledger, which keeps its files. So all servers decide by the same one: a server that
finds another policy in force than its own takes that one before it decides anything.
"""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from roe.diagnostics import PolicyError
from roe.dynamic import Json, Saved
from roe.ledger.store import Store
from roe.serve import policies
from roe.serve.desk import Desk
from roe.serve.metrics import Metrics
from roe.serve.policies import Ready
from roe.serve.problems import Refused
from roe.serve.state import State
from roe.serve.store import ServiceStore
from roe.serve.versions import Mirrored

log = logging.getLogger("roe.serve")
LOOK = 2.0  # seconds between looks at a folder that is watched
MOST_DIFFERENCES = 1000


def warmed(store: Store, ready: Ready) -> Desk:
    """A desk with a policy over all records of the mirror, made aside. Raises Refused if records cannot be read by it that could before."""
    tables = ServiceStore(store.db)
    seq = tables.seq()
    desk = Desk(ready, State(tables.known_since(-1)), tables.records_since(-1))
    desk.seq = seq
    return desk


def readable_as_before(new: Desk, old: Desk) -> None:
    """Refuse a policy that cannot read records which the policy in force reads."""
    lost = sorted(set(new.records.unreadable) - set(old.records.unreadable))
    if lost:
        said = [{"code": "R602", "message": f"{entity} {id}: {new.records.unreadable[entity, id]}"} for entity, id in lost[:20]]
        raise Refused(
            422, "R910", f"the policy cannot read {len(lost)} records of the mirror", "see `errors`, and mend the fields", errors=said
        )


def kept(store: Store, digest: str) -> Ready:
    """A policy that the ledger keeps."""
    return policies.from_files(store.policy(digest), scratch())


def scratch() -> Path:
    """A folder for a policy's files that stays as long as the process: explanations show places in them."""
    folder = tempfile.mkdtemp(prefix="roe-policy-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


class Watching:
    """Looks at the folder of the policy, and has it take over when it has changed and stays so for a moment; again and again where it could not."""

    def __init__(self, root: Path, activate: Callable[[Path], object]) -> None:
        self.root, self.activate = root, activate
        self._stop = threading.Event()
        self._seen = policies.marks(root)
        self._thread = threading.Thread(target=self._loop, name="roe-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(10)

    def _loop(self) -> None:
        changed = None
        while not self._stop.wait(LOOK):
            try:
                now = policies.marks(self.root)
                if now == self._seen:
                    changed = None
                elif now != changed:
                    changed = now  # perhaps somebody is still writing
                else:
                    self._seen, changed = now, None
                    self.activate(self.root)
            except Refused as e:
                if e.status == 503:  # nothing can be written now, or another policy is about to take over
                    self._seen = ()
                log.error("the changed policy does not take over: %s", e.detail, extra={"values": e.more})
            except (PolicyError, OSError) as e:  # the ledger cannot be used now
                self._seen = ()
                log.error("the changed policy does not take over yet: %s", str(e).split("\n")[0])
            except Exception:
                log.exception("the changed policy could not be looked at")


class Shadow:
    """A candidate policy that decides every new record too, without effect. It has turns of its own."""

    def __init__(self, ready: Ready, metrics: Metrics) -> None:
        self.ready, self.metrics = ready, metrics
        self.desk: Desk | None = None
        self.same = self.different = self.failed = 0
        self.differences: deque[Json] = deque(maxlen=MOST_DIFFERENCES)

    def begin(self, known: Iterable[tuple[str, str, str | None]], records: Iterable[Mirrored]) -> None:
        """Start from what the service knows now."""
        self.desk = Desk(self.ready, State(known), records)

    def follow(self, desk: Desk, at: datetime) -> None:
        """Take over what a group has changed, and decide what it has decided."""
        if self.desk is None:
            return
        for record in desk.writes.records.values():
            self.desk.records.learn(record)
        for entity, id, role in dict.fromkeys(d[:3] for d in desk.decided):
            self._compare(desk, entity, id, role, at)
        self.desk.state.written()

    def _compare(self, desk: Desk, entity: str, id: str, role: str, at: datetime) -> None:
        assert self.desk is not None
        key = f"{entity}|{id}|{role}"
        ours = desk.state.owner(key)
        try:
            self.desk.begin(desk.fetch)
            self.desk.state.put("owner", key, None)
            self.desk.state.put("assigned", key, None)
            self.desk.decide(entity, id, at, only=(role,))
        except Exception as e:
            self.failed += 1
            self.metrics.shadow.labels("failed").inc()
            log.warning("the candidate policy failed on %s %s: %s", entity, id, e)
            return
        theirs = self.desk.state.owner(key)
        if (ours["owner"], ours["action"]) == (theirs["owner"], theirs["action"]):
            self.same += 1
            self.metrics.shadow.labels("same").inc()
            return
        self.different += 1
        self.metrics.shadow.labels("different").inc()
        self.differences.append(
            {
                "entity": entity, "id": id, "role": role, "at": at.isoformat(), "decision": ours["decision"],
                "policy": _compared(ours), "candidate": _compared(theirs),
            }
        )  # fmt: skip

    def as_json(self, most: int) -> Json:
        newest = list(self.differences)[-most:]
        return {
            "candidate": self.ready.digest, "name": self.ready.name, "same": self.same, "different": self.different, "failed": self.failed,
            "differences": newest,
        }  # fmt: skip


def _compared(owner: Saved) -> Json:
    """What of an owner is shown where two policies differ."""
    return {name: owner[name] for name in ("owner", "action", "rule", "sentence", "until", "pool")}
