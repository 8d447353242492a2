"""Records of the mirror with versions: an older change never overwrites a newer one, in whatever order changes come.

A version is a text that sorts: milliseconds since 1970 in fifteen digits, or any number that the source counts up. Each
field carries the version that wrote it, since webhooks send single properties, late and out of order. `*` is the version of
the record as a whole. A change without a version counts as the newest and leaves the versions as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from roe.dynamic import Json, Record

WHOLE = "*"
DIGITS = 15


@dataclass(slots=True)
class Mirrored:
    """A record as the source has it: fields by the source's own names, their versions, and whether it was deleted there."""

    entity: str
    id: str
    fields: Json = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    deleted: bool = False

    def version(self, name: str) -> str:
        return max(self.versions.get(WHOLE, ""), self.versions.get(name, ""))


def parse_version(text: str) -> str:
    """A version in the form that sorts: a whole number, or a moment with a time zone. ValueError if it is neither."""
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= DIGITS:
        return text.zfill(DIGITS)
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    try:
        return version_of(at)
    except OverflowError:
        raise ValueError("there is no such moment in UTC") from None


def version_of(at: datetime) -> str:
    """The version of a moment."""
    return str(int(at.astimezone(UTC).timestamp() * 1000)).zfill(DIGITS)


def replaced(old: Mirrored, values: Record, version: str) -> Mirrored | None:
    """The record after a source has sent the whole of it; None if it is older than what is here."""
    if version and version < old.versions.get(WHOLE, ""):
        return None
    fields = dict(values)
    versions = {WHOLE: version or old.versions.get(WHOLE, "")}
    for name, newer in old.versions.items():
        if version and name != WHOLE and newer > version:  # a single field that was changed later stays
            versions[name] = newer
            if name in old.fields:
                fields[name] = old.fields[name]
            else:
                fields.pop(name, None)
    return Mirrored(old.entity, old.id, fields, versions)


def patched(old: Mirrored, values: Record, version: str) -> Mirrored | None:
    """The record after some fields have changed; None if each of them is newer here already."""
    if version and old.deleted and version < old.versions.get(WHOLE, ""):
        return None
    newer = {name: x for name, x in values.items() if not version or version >= old.version(name)}
    if values and not newer:
        return None
    before = {} if old.deleted else old.fields
    versions = dict(old.versions)
    if version:
        versions |= dict.fromkeys(newer, version)
    return Mirrored(old.entity, old.id, {**before, **newer}, versions)


def deleted(old: Mirrored, version: str) -> Mirrored | None:
    """The record after it was deleted; None if it was changed after that."""
    if version and any(version < v for v in old.versions.values()):
        return None
    return Mirrored(old.entity, old.id, {}, {WHOLE: version or max(old.versions.values(), default="")}, True)
