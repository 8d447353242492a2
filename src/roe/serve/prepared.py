"""What a start leaves for the next one: what finds the records of the mirror, and their companies, beside it in the ledger's database.

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

from roe.dynamic import Saved
from roe.evaluator.early import Companies
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
WRONG = (ValueError, KeyError, TypeError, AttributeError, zlib.error)  # what reading says of something else than was written
COMPANY = {str, int, float, bool, type(None)}  # what a company can be
log = logging.getLogger("roe.serve")


@dataclass(slots=True)
class Loaded:
    """The mirror: records that are to be read now, and those that are read when somebody asks for them."""

    records: list[Mirrored]
    found: dict[str, Found] = field(default_factory=dict)
    companies: Companies = field(default_factory=dict)  # what was known of records' companies
    changed: set[tuple[str, str]] = field(default_factory=set)  # the records that have changed since then, by entity and id

    def begin(self, desk: Desk) -> None:
        """Have a desk of these records begin with the companies."""
        desk.records.live.world.early.take(self.companies, self.changed)


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
    return Loaded(records, found, *_companies(tables, policy, changed, seq))


def _companies(tables: ServiceStore, policy: Ready, changed: list[Mirrored], seq: int) -> tuple[Companies, set[tuple[str, str]]]:
    """What was known of records' companies, and which records have changed since then, of those that have `changed` since an earlier commit."""
    kept = tables.prepared_companies(_made_by(policy))
    if kept is None:
        return {}, set()
    try:
        if not seq <= kept[0] <= tables.seq():
            raise ValueError(f"it is of commit {kept[0]}")
        companies: Companies = dict(_unpacked(kept[1]))
        values = [value for by_text in companies.values() for known in by_text.values() for value in known.values()]
        if not {type(value) for value in values} <= COMPANY:
            raise ValueError("a company is a text or a number")
    except WRONG as e:
        log.warning("what was known of companies cannot be used: %s", e)
        return {}, set()
    return companies, {(x.entity, x.id) for x in (changed if kept[0] == seq else tables.records_since(kept[0]))}


def _in_order(ids: list[str], rows: list[Row]) -> tuple[list[str | None], list[str]]:
    """The texts of records by these ids, None for one that is not among the rows; and the ids of other rows."""
    if len(rows) == len(ids) and all(map(str.__eq__, ids, map(itemgetter(0), rows))):
        return [text for _, text in rows], []
    texts: dict[str, str] = dict(rows)
    return [texts.pop(id, None) for id in ids], list(texts)


def keep(tables: ServiceStore, desk: Desk) -> None:
    """Prepare the next start; called in a transaction, with everything that is committed in the desk."""
    by_entity = {entity: one.as_json() for entity, one in prepared(desk.records.live.world, LEAST).items()}
    body = _packed(by_entity)
    pieces = [body[at : at + CHUNK] for at in range(0, len(body), CHUNK)] if by_entity else []
    tables.keep_prepared(desk.seq, _made_by(desk.policy), pieces)


def keep_companies(tables: ServiceStore, desk: Desk) -> None:
    """Keep what is known of records' companies, so that the first record after the next start does not wait for all of their matches."""
    kept = tables.prepared_companies(_made_by(desk.policy))
    companies = desk.records.live.world.early.known()
    now = desk.seq, _packed(companies)
    if kept != now and (companies or kept is not None):
        tables.keep_companies(*now, _made_by(desk.policy))


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
        return seq, {entity: Prepared.of(saved) for entity, saved in _unpacked(body).items()}
    except WRONG as e:
        log.warning("what the last start prepared cannot be used: %s", e)
        return None


def _packed(what: Saved) -> bytes:
    text = zlib.compress(json.dumps(what, separators=(",", ":")).encode(), 1)
    return hashlib.sha256(text).digest() + text


def _unpacked(body: bytes) -> Saved:
    """What was packed. Raises one of `WRONG` for what cannot be that."""
    if hashlib.sha256(memoryview(body)[32:]).digest() != body[:32]:
        raise ValueError("it is not as it was written")
    unpacked: Saved = json.loads(zlib.decompress(memoryview(body)[32:]))
    return unpacked
