"""What the service keeps beside the entries, as far as forgetting goes: the mirror, what is known, stored answers, inbox and outbox."""

from __future__ import annotations

import json
from collections.abc import Sequence

from roe.ledger.database import Database

KINDS = ("owner", "assigned", "timer", "held", "moved", "days")
RELOAD = ("counter", "forgotten")  # a value that servers look at: when it changes they read everything again


def forget_beside(db: Database, entity: str, record: str, also: Sequence[str] = ()) -> int:
    """Delete every row about a subject, and stored answers and letters that name it or have a word of `also` in them; how many.

    Servers that run read everything again afterwards, so that they hold it in memory no longer.
    """
    if not db.rows("SELECT seq FROM service"):
        return 0
    subject = f"{entity}|{record}"
    gone = len(db.rows("DELETE FROM mirror WHERE entity = ? AND id = ? RETURNING id", (entity, record)))
    gone += len(db.rows("DELETE FROM inbox WHERE subject = ? RETURNING source", (subject,)))
    gone += len(db.rows("DELETE FROM outbox WHERE subject = ? RETURNING number", (subject,)))
    for table, key in (("answer", "key"), ("outbox", "number")):
        for needle in (json.dumps(record, ensure_ascii=False), *filter(None, also)):
            escaped = needle.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            gone += len(db.rows(f"DELETE FROM {table} WHERE body LIKE ? ESCAPE '\\' RETURNING {key}", (f"%{escaped}%",)))
    for kind in KINDS:
        for (key,) in db.rows("SELECT key FROM known WHERE kind = ?", (kind,)):
            if key == record if kind == "days" else key.startswith(f"{subject}|"):
                gone += len(db.rows("DELETE FROM known WHERE kind = ? AND key = ? RETURNING key", (kind, key)))
    if gone:
        before = db.rows("SELECT body FROM known WHERE kind = ? AND key = ?", RELOAD)
        number = int(before[0][0]) + 1 if before and before[0][0] else 1
        db.run("UPDATE service SET seq = seq + 1")
        db.run(
            "INSERT INTO known (kind, key, body, seq) SELECT ?, ?, ?, seq FROM service WHERE true "
            "ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body, seq = excluded.seq",
            (*RELOAD, str(number)),
        )
    return gone
