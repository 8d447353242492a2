"""What the service keeps beside the entries, as far as forgetting goes: the mirror, what is known, stored answers, inbox and outbox."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from roe.dynamic import Json, Value
from roe.ledger.database import Database
from roe.ledger.entry import FORGOTTEN
from roe.words import some

OF_RECORDS = ("owner", "assigned", "timer", "held", "moved", "granted")  # kinds whose keys begin with entity and record
OF_REPS = {  # kinds whose values name reps, each with the fields that name something else, whatever text they have
    "owner": ("pool", "by", "rule", "action", "policy"), "assigned": ("pool", "by", "company"), "moved": (), "granted": (), "pool": (),
}  # fmt: skip
EVENTS = {"rep": ("leave",)}  # entities whose records say what happened to a subject, and go with it
OF_ANY = ("activity", "claim", "handback", "signal")
RELOAD = ("counter", "forgotten")  # a value that servers look at: when it changes they read everything again


def mirrored_as(db: Database, record: str) -> list[str]:
    """The entities of which the mirror has a record with this id."""
    return [kind for (kind,) in db.rows("SELECT entity FROM mirror WHERE id = ? ORDER BY entity", (record,))]


def forget_beside(db: Database, entity: str, record: str, also: Sequence[str] = ()) -> int:
    """Delete every row about a subject, and stored answers and letters that name it or have a word of `also` in them; how many.

    What is known of others stays, without the subject. Servers that run read everything again afterwards, so that they hold it in memory no longer.
    """
    if not db.rows("SELECT seq FROM service"):
        return 0
    subject, words = f"{entity}|{record}", [word for word in also if word]
    gone = len(db.rows("DELETE FROM mirror WHERE entity = ? AND id = ? RETURNING id", (entity, record)))
    for kind, id, fields in list(_mirrored(db, [_quoted(record)])):
        if kind in EVENTS.get(entity, OF_ANY) and _refers(fields, entity, record):
            gone += len(db.rows("DELETE FROM mirror WHERE entity = ? AND id = ? RETURNING id", (kind, id)))
    gone += len(db.rows("DELETE FROM inbox WHERE subject = ? RETURNING source", (subject,)))
    gone += len(db.rows("DELETE FROM outbox WHERE subject = ? RETURNING number", (subject,)))
    for table, key in (("answer", "key"), ("outbox", "number")):
        for needle in (_quoted(record), *words):
            gone += len(db.rows(f"DELETE FROM {table} WHERE body LIKE ? ESCAPE '\\' RETURNING {key}", (_holding(needle),)))
    for kind in OF_RECORDS:
        for (key,) in db.rows("SELECT key FROM known WHERE kind = ?", (kind,)):
            if key.startswith(f"{subject}|"):
                gone += len(db.rows("DELETE FROM known WHERE kind = ? AND key = ? RETURNING key", (kind, key)))
    if entity == "rep":
        gone += len(db.rows("DELETE FROM known WHERE kind = 'days' AND key = ? RETURNING key", (record,)))
    gone += _known_without(db, record if entity == "rep" else None, words)
    if gone:
        _have_servers_read_again(db)
    return gone


def naming(db: Database, entities: Sequence[str], record: str, also: Sequence[str]) -> list[str]:
    """A line about the records of the mirror that name a subject, as the CRM does; none if there are none."""
    words = [word for word in also if word]
    named = [
        f"{kind} {id}"
        for kind, id, fields in _mirrored(db, [_quoted(record), *words])
        if any(_refers(fields, entity, record) for entity in entities)
        or any(word in json.dumps(fields, ensure_ascii=False) for word in words)
    ]
    return [f"records that the service has of the CRM and that name the subject: {some(named, 3)}; change them in the CRM"] if named else []


def _mirrored(db: Database, needles: Sequence[str]) -> Iterator[tuple[str, str, Json]]:
    """(entity, id, fields) of the records of the mirror that have one of some texts in them."""
    where = " OR ".join("fields LIKE ? ESCAPE '\\'" for _ in needles)
    for entity, id, fields in db.rows(
        f"SELECT entity, id, fields FROM mirror WHERE {where} ORDER BY entity, id", [*map(_holding, needles)]
    ):
        yield entity, id, json.loads(fields)


def _refers(fields: Json, entity: str, record: str) -> bool:
    """Whether a field that refers to an entity, such as `lead`, `Lead ID` or a rep's `owner`, names its record."""
    names = (entity, "owner", "manager") if entity == "rep" else (entity,)
    return any(str(value) == record and any(name in field.lower() for name in names) for field, value in fields.items())


def _known_without(db: Database, rep: str | None, words: Sequence[str]) -> int:
    """Take a rep and texts out of what the service knows of records and pools; how many values had them."""
    changed = 0
    for kind, others in OF_REPS.items():
        for key, body in db.rows("SELECT key, body FROM known WHERE kind = ? AND body IS NOT NULL", (kind,)):
            before = json.loads(body)
            after = _without(before, rep, words, others)
            if kind == "owner" and rep is not None and rep in (before["owner"], before["former"]):
                after |= {"sentence": FORGOTTEN, "owner_name": FORGOTTEN if before["owner"] == rep else after["owner_name"]}
            if after != before:
                text = json.dumps(after, ensure_ascii=False, separators=(",", ":"))
                db.run("UPDATE known SET body = ? WHERE kind = ? AND key = ?", (text, kind, key))
                changed += 1
    return changed


def _without(value: Value, rep: str | None, words: Sequence[str], others: Sequence[str] = ()) -> Value:
    if isinstance(value, str):
        return FORGOTTEN if value == rep or any(word in value for word in words) else value
    if isinstance(value, list):
        return [_without(x, rep, words) for x in value]
    if isinstance(value, dict):
        return {name: _without(x, None if name in others else rep, words) for name, x in value.items() if name != rep}
    return value


def _have_servers_read_again(db: Database) -> None:
    before = db.rows("SELECT body FROM known WHERE kind = ? AND key = ?", RELOAD)
    number = int(before[0][0]) + 1 if before and before[0][0] else 1
    db.run("UPDATE service SET seq = seq + 1")
    db.run(
        "INSERT INTO known (kind, key, body, seq) SELECT ?, ?, ?, seq FROM service WHERE true "
        "ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body, seq = excluded.seq",
        (*RELOAD, str(number)),
    )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _holding(text: str) -> str:
    """A pattern for LIKE: whatever has a text in it."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
