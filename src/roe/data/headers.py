"""Which column of the data a field has: by its declared name, its profile's headers, or its own name in any spelling."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from roe.crm.profile import label
from roe.policy.model import Field, headers_of

SAID_BY = {"domain": "website"}  # a standard field -> the field that says it, where the data has no column for it
ENTITY_NAMES = {"rep": ("rep", "user"), "opportunity": ("opportunity", "deal", "potential")}


def normal(name: str) -> str:
    """A column name for comparing: `Owner (AE)`, `owner.ae` and `owner_ae` are one."""
    return re.sub(r"[^0-9a-z]+", "_", str(name).lower()).strip("_")


def field_of(fields: Mapping[str, Field], name: str) -> Field:
    """The field of a column: `owner_since.ae` is one of its own, `owner.ae` a part of `owner`."""
    return fields.get(name) or fields[name.partition(".")[0]]


def columns_of(entity: str, fields: Mapping[str, Field], keys: Iterable[str], roles: list[str]) -> dict[str, str]:
    """field -> column; owners have one per role, as `owner.ae`.

    Exports put the entity before its own fields: `ACCOUNTID`, `Account Name` and `Account Owner` are an account's.
    """
    keys = list(keys)
    by_normal = _by_normal(entity, keys)
    by_label: dict[str, str] = {}
    for key in keys:
        by_label.setdefault(label(key), key)
    own = {name: f for name, f in fields.items() if not f.via and f.normalize != "queue"}
    named = {name: _declared(entity, f, keys, by_label) for name, f in own.items()}
    taken = {column for column in named.values() if column}  # a header that the profile knows is not another field by its name: `Closed`
    columns: dict[str, str] = {}
    for name, f in own.items():
        if f.type.name == "owners":
            columns |= _owner_columns(f, named[name], keys, by_normal, roles, fields)
        elif column := named[name] or _undeclared(name, f, by_normal, taken):
            columns[name] = column
    for name, other in SAID_BY.items():
        if name in own and own[name].standard and other in columns:
            columns.setdefault(name, columns[other])
    owner = columns.get(f"owner.{roles[0]}")
    queues = [name for name, f in fields.items() if f.normalize == "queue" and f.keys is not None]
    return columns | (dict.fromkeys(queues, owner) if owner else {})


def _by_normal(entity: str, keys: list[str]) -> dict[str, str]:
    """A normal name -> the column that has it."""
    by_normal: dict[str, str] = {}
    for key in keys:
        by_normal.setdefault(normal(key), key)
    for name in ("id", "name", "owner"):
        for spelt in ENTITY_NAMES.get(entity, (entity,)):
            column = by_normal.get(f"{spelt}_{name}") or by_normal.get(f"{spelt}{name}")
            if column:
                by_normal.setdefault(name, column)
    return by_normal


def _owner_columns(
    f: Field, declared: str | None, keys: list[str], by_normal: Mapping[str, str], roles: list[str], fields: Mapping[str, Field]
) -> dict[str, str]:
    """`owner.ROLE` -> column: those that the policy lists for its roles, in their order, else those with the role in their name.

    A column that is called like the role is its owner, unless the policy has a field of that name.
    """
    columns: dict[str, str] = {}
    first = declared or (by_normal.get("owner") if not f.columns else None) or by_normal.get("owner_id")
    if first:
        columns[f"owner.{roles[0]}"] = first
    for i, role in enumerate(roles):
        if 0 < i < len(f.columns) and f.columns[i] in keys:
            columns[f"owner.{role}"] = f.columns[i]
            continue
        called = normal(role)
        column = by_normal.get(f"owner_{called}") or by_normal.get(f"{called}_owner")
        if column is None and role not in fields and f"owner.{role}" not in columns:
            column = by_normal.get(called)
        if column:
            columns[f"owner.{role}"] = column
    return columns


def _undeclared(name: str, f: Field, by_normal: Mapping[str, str], taken: set[str]) -> str | None:
    """The column that has a field's own name, or refers to a record by it."""
    column = by_normal.get(normal(name)) if not f.columns or f.standard else None
    if f.profile and column in taken:
        column = None
    return by_normal.get(f"{normal(name)}_id") if column is None and f.type.name == "record" else column


def _declared(entity: str, f: Field, keys: list[str], by_label: Mapping[str, str]) -> str | None:
    """The column that the policy or the profile names; a profile's headers are compared without case and punctuation."""
    if not f.profile:
        names = f.columns[:1] if f.type.name == "owners" else f.columns
        return next((c for c in names if c in keys), None)
    first, *others = headers_of(entity, f)
    if first in keys or f.name in keys:
        return first if first in keys else f.name
    return next((by_label[label(header)] for header in (first, *others) if label(header) in by_label), None)


_COLUMNS: dict[tuple[int, str, tuple[str, ...], tuple[str, ...]], tuple[Mapping[str, Field], dict[str, str]]] = {}


MOST_HEADERS = 1000


def known_columns(entity: str, fields: Mapping[str, Field], keys: tuple[str, ...], roles: list[str]) -> dict[str, str]:
    """`columns_of`, remembered: a service reads one record after another with the same few headers."""
    key = id(fields), entity, keys, tuple(roles)
    known = _COLUMNS.get(key)
    if known is None or known[0] is not fields:
        if len(_COLUMNS) >= MOST_HEADERS:
            _COLUMNS.clear()
        known = _COLUMNS[key] = fields, columns_of(entity, fields, keys, roles)
    return dict(known[1])
