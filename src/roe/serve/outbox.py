"""Sends the letters of the outbox: signed as Standard Webhooks asks, in order for each record, again and again for three days.

Letters are written in the transaction of the decision, so none is lost and none tells of what did not happen. A receiver may
get one more than once, always with the same id. Several servers share the work: whoever takes a letter has it for a minute.
"""

from __future__ import annotations

import http.client
import json
import logging
import smtplib
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from email.message import EmailMessage
from urllib.parse import urlsplit

from standardwebhooks.webhooks import Webhook

from roe.dynamic import Json
from roe.ledger.store import Store
from roe.serve import addresses
from roe.serve.letters import Receiver
from roe.serve.metrics import Metrics
from roe.serve.times import Time, millis

log = logging.getLogger("roe.serve")
SECOND = 1000
HOUR = 3600 * SECOND
# how long after each attempt the next one follows: three days in all
AGAIN = (5 * SECOND, 300 * SECOND, 1800 * SECOND, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 21 * HOUR)
LEASE = 60 * SECOND
KEEP_SENT = 7 * 24 * HOUR
PAGE = 50
IDLE = 0.5  # seconds between looks into the outbox

_DUE = (
    "SELECT number, receiver, kind, subject, body, attempts, due FROM outbox o WHERE state = 'waiting' AND due <= ? AND NOT EXISTS "
    "(SELECT 1 FROM outbox e WHERE e.receiver = o.receiver AND e.subject = o.subject AND e.number < o.number AND e.state = 'waiting') "
    f"ORDER BY number LIMIT {PAGE}"
)


class Sender:
    """A thread that sends what is due. `find` looks names up, and `post` sends: tests give their own."""

    def __init__(
        self, connect: Callable[[], Store], receivers: Iterable[Receiver], time: Time, metrics: Metrics | None = None,
        find: addresses.Lookup = addresses.lookup,
    ) -> None:  # fmt: skip
        self.connect, self.time, self.metrics, self.find = connect, time, metrics or Metrics(), find
        self.receivers = {receiver.name: receiver for receiver in receivers}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="roe-sender", daemon=True)

    def start(self) -> None:
        if self.receivers:
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(addresses.TIMEOUT * 2)

    def _loop(self) -> None:
        store: Store | None = None
        while not self._stop.is_set():
            try:
                store = store or self.connect()
                if not self.send_due(store):
                    self._stop.wait(IDLE)
            except Exception as e:
                log.warning("letters wait: %s", str(e).split("\n")[0])
                if store is not None:
                    store.close()
                store = None
                self._stop.wait(IDLE * 4)
        if store is not None:
            store.close()

    def send_due(self, store: Store) -> int:
        """Send what is due now; returns how many letters were tried."""
        db, now = store.db, millis(self.time.now())
        if db.rows("SELECT 1 FROM known WHERE kind = 'pause' AND body IS NOT NULL"):
            return 0
        tried = 0
        for number, name, kind, subject, body, attempts, due in db.rows(_DUE, (now,)):
            # whoever moves the due time has the letter
            taken = db.rows(
                "UPDATE outbox SET due = ? WHERE number = ? AND state = 'waiting' AND due = ? RETURNING number", (now + LEASE, number, due)
            )
            if not taken or self._stop.is_set():
                continue
            problem, wait = self._send(name, str(kind), int(number), str(subject), str(body))
            self._note(store, int(number), int(attempts) + 1, problem, wait)
            self.metrics.sent.labels(name, "failed" if problem else "sent").inc()
            tried += 1
        db.run("DELETE FROM outbox WHERE state = 'sent' AND at < ?", (now - KEEP_SENT,))
        return tried

    def _note(self, store: Store, number: int, attempts: int, problem: str, wait: int) -> None:
        now = millis(self.time.now())
        if not problem:
            state, due = "sent", now
        elif attempts > len(AGAIN) or wait < 0:
            state, due = "dead", now
            log.error("letter %s could not be delivered: %s", number, problem)
        else:
            state, due = "waiting", now + max(wait, AGAIN[attempts - 1])
        store.db.run(
            "UPDATE outbox SET state = ?, due = ?, attempts = ?, problem = ? WHERE number = ?", (state, due, attempts, problem, number)
        )

    def _send(self, name: str, kind: str, number: int, subject: str, body: str) -> tuple[str, int]:
        """(what went wrong or '', the milliseconds that the receiver asks to wait: -1 if it wants no more)."""
        receiver = self.receivers.get(name)
        if receiver is None:
            return f"the settings have no receiver `{name}` any more", 0
        try:
            if receiver.form == "email":
                self._mail(receiver, number, json.loads(body))
                return "", 0
            to = addresses.target(receiver.url, receiver.private, self.find)
            status, after = addresses.post(to, body.encode(), self._headers(receiver, number, body))
        except addresses.Forbidden as e:
            return str(e), 0
        except (OSError, http.client.HTTPException, smtplib.SMTPException, ValueError) as e:
            return f"{type(e).__name__}: {str(e)[:200]}", 0
        if 200 <= status < 300:
            return "", 0
        wait = int(after) * SECOND if after is not None and after.isascii() and after.isdigit() and len(after) < 7 else 0
        return f"the receiver answered {status}", -1 if status == 410 else wait

    def _headers(self, receiver: Receiver, number: int, body: str) -> dict[str, str]:
        """The headers of Standard Webhooks; each secret signs, so that a receiver can change over from one to the next."""
        at: datetime = self.time.now()
        id = f"msg_{number}"
        signatures = " ".join(Webhook(secret).sign(id, at, body) for secret in receiver.secrets)
        signed = {"webhook-signature": signatures} if signatures else {}
        return {"Content-Type": "application/json", "webhook-id": id, "webhook-timestamp": str(int(at.timestamp())), **signed}

    def _mail(self, receiver: Receiver, number: int, said: Json) -> None:
        """Hand a letter to the mail server that the settings name: `smtp://host:port`. It is in the own network."""
        parts = urlsplit(receiver.url)
        if parts.scheme != "smtp" or not parts.hostname:
            raise ValueError(f"`{receiver.url}` is not smtp://host:port")
        message = EmailMessage()
        message["To"], message["Subject"] = said["to"], " ".join(said["subject"].split())
        message["From"], message["Message-ID"] = f"roe@{parts.hostname}", f"<msg_{number}@{parts.hostname}>"
        message.set_content(said["text"])
        with smtplib.SMTP(parts.hostname, parts.port or 25, timeout=addresses.TIMEOUT) as server:
            server.send_message(message)


def letters(store: Store, state: str, most: int) -> list[Json]:
    """The letters in a state (waiting, sent or dead), the oldest first."""
    rows = store.db.rows(
        "SELECT number, receiver, kind, subject, attempts, state, problem, body FROM outbox WHERE state = ? ORDER BY number LIMIT ?",
        (state, most),
    )
    names = ("number", "receiver", "kind", "subject", "attempts", "state", "problem")
    return [{**dict(zip(names, row[:-1], strict=True)), "body": json.loads(row[-1])} for row in rows]


def again(store: Store, number: int, now: int) -> bool:
    """Send a dead letter again; whether there is one with this number."""
    changed = store.db.rows(
        "UPDATE outbox SET state = 'waiting', attempts = 0, due = ?, problem = '' WHERE number = ? AND state = 'dead' RETURNING number",
        (now, number),
    )
    return bool(changed)
