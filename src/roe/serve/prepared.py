"""What a start leaves for the next one: what finds the records of the mirror, beside it in the ledger's database.

It is of one policy, one version of roe and one commit. Records that have changed since are read from the mirror as if there were nothing, and so are all records
where it does not fit. So it is never wrong, and can be thrown away at any time. It is texts and numbers: no code can come out of it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from dataclasses import dataclass, field
from operator import itemgetter

from roe.evaluator.prepared import Found, Prepared, prepared
from roe.files import own_digest
from roe.ledger.database import Row
from roe.serve.desk import Desk
from roe.serve.policies import Ready
from roe.serve.store import ServiceStore
from roe.serve.versions import Mirrored

LEAST = 1  # records of an entity from which on it is worth its place
FEW_CHANGED = 0.1  # of them: with more it is made anew
CHUNK = 1 << 20  # bytes of a piece
log = logging.getLogger("roe.serve")


@dataclass(slots=True)
class Loaded:
    """The mirror: records that are to be read now, and those that are read when somebody asks for them."""

    records: list[Mirrored]
    found: dict[str, Found] = field(default_factory=dict)


def load(tables: ServiceStore, policy: Ready) -> Loaded:
    """The mirror's records for a policy."""
    known = _read(tables, policy)
    if known is None:
        return Loaded(tables.records_since(-1))
    seq, by_entity = known
    changed = tables.records_since(seq)
    records, found = [*tables.records_beside(by_entity, seq), *changed], {}
    newer = {(x.entity, x.id) for x in changed}
    for entity, one in by_entity.items():
        texts, others = _in_order(one.ids, tables.texts(entity, seq))
        gone = [id for id, text in zip(one.ids, texts, strict=True) if text is None and (entity, id) not in newer] if None in texts else []
        if gone:
            log.warning("what the last start prepared cannot be used: the mirror does not have %s of its records", len(gone))
            return Loaded(tables.records_since(-1))
        if len(others) + sum(x.entity == entity for x in changed) > FEW_CHANGED * len(texts):
            return Loaded(tables.records_since(-1))
        records += tables.records([(entity, id) for id in others]).values()
        found[entity] = Found(one, texts)
    return Loaded(records, found)


def _in_order(ids: list[str], rows: list[Row]) -> tuple[list[str | None], list[str]]:
    """The texts of records by these ids, None for one that is not among the rows; and the ids of other rows."""
    if len(rows) == len(ids) and all(map(str.__eq__, ids, map(itemgetter(0), rows))):
        return [text for _, text in rows], []
    texts: dict[str, str] = dict(rows)
    return [texts.pop(id, None) for id in ids], list(texts)


def keep(tables: ServiceStore, desk: Desk) -> None:
    """Prepare the next start; called in a transaction, with everything that is committed in the desk."""
    by_entity = {entity: one.as_json() for entity, one in prepared(desk.records.live.world, LEAST).items()}
    text = zlib.compress(json.dumps(by_entity, separators=(",", ":")).encode(), 1) if by_entity else b""
    body = hashlib.sha256(text).digest() + text
    pieces = [body[at : at + CHUNK] for at in range(0, len(body), CHUNK)] if by_entity else []
    tables.keep_prepared(desk.seq, _made_by(desk.policy), pieces)


def is_outdated(tables: ServiceStore, desk: Desk) -> bool:
    """Whether so much has changed since the next start was prepared that it is better prepared anew."""
    known = tables.prepared_by(_made_by(desk.policy))
    return known is None or tables.changed_since(known) > FEW_CHANGED / 2 * sum(map(len, desk.records.live.world.rows.values()))


def _made_by(policy: Ready) -> str:
    return f"{policy.digest} {own_digest()}"


def _read(tables: ServiceStore, policy: Ready) -> tuple[int, dict[str, Prepared]] | None:
    """What was prepared for a policy by this roe, and as of which commit; None where there is nothing that can be used."""
    seq = tables.prepared_by(_made_by(policy))
    if seq is None:
        return None
    if seq > tables.seq():
        log.warning("what the last start prepared cannot be used: it is of commit %s, which the ledger does not have", seq)
        return None
    body = tables.prepared()
    try:
        if hashlib.sha256(memoryview(body)[32:]).digest() != body[:32]:
            raise ValueError("it is not as it was written")
        return seq, {entity: Prepared.of(saved) for entity, saved in json.loads(zlib.decompress(memoryview(body)[32:])).items()}
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as e:
        log.warning("what the last start prepared cannot be used: %s", e)
        return None
