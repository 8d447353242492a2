"""Whether a file can be what it is taken for: columns that are known, an id, and one column for each field."""

from __future__ import annotations

from pathlib import Path

from roe.crm import PROFILES
from roe.data.coerce import columns_of, normal
from roe.data.scan import Origin
from roe.diagnostics import Diagnostic
from roe.policy.model import Policy
from roe.source import Span

_KEYS = ("id", "email", "name", "domain")  # what tells records apart, where there is no id


def misshapen(policy: Policy, entity: str, origin: Origin, rows: int) -> list[Diagnostic]:
    """Why a file is not one of an entity's records; nothing if it is."""
    header, name = origin.header, Path(origin.shown).name
    at = Span(origin.shown, 1, 1, 2)
    if not header and not rows and not origin.rejects:
        return []
    columns = columns_of(entity, policy.model.entities[entity], header, policy.model.roles())
    listed = ", ".join(f"`{h}`" for h in header[:12]) + (", …" if len(header) > 12 else "")
    if not columns:
        help = (
            f"say which columns it has: `fields: {{{entity}: {{id: {{column: …}}}}}}`, or another `profile:`; is the first line the header?"
        )
        return [
            Diagnostic(
                "R633", f"`{name}` has no column that is known for {entity} records, not even an id; its columns are {listed}", at, help
            )
        ]
    found = [*_twice(entity, columns, origin, at), *_no_id(policy, entity, columns, name, listed, at)]
    if not rows and origin.rejects:
        line, _, reason = origin.rejects[0]
        found.append(
            Diagnostic(
                "R602",
                f"no row of `{name}` can be read; the first one, line {line}: {reason}",
                Span(origin.shown, line, 1, 2),
                "look at its delimiter and quotes, or export it again",
                severity="error",
            )
        )
    return found


def _no_id(policy: Policy, entity: str, columns: dict[str, str], name: str, listed: str, at: Span) -> list[Diagnostic]:
    decided = any(entity == e for e, _ in policy.plan.engagement)
    usual = next(iter(PROFILES[policy.profile].columns.get(entity, {}).get("id", ())), "")
    if "id" in columns or not decided or (not usual and any(key in columns for key in _KEYS)):
        return []
    help = f"export it with its id{f' (`{usual}`)' if usual else ''}, or say which column that is: `fields: {{{entity}: {{id: {{column: …}}}}}}`"
    return [
        Diagnostic(
            "R634", f"`{name}` has no id column, so its records cannot be told apart or loaded back; its columns are {listed}", at, help
        )
    ]


def _twice(entity: str, columns: dict[str, str], origin: Origin, at: Span) -> list[Diagnostic]:
    """Fields that two columns have, under one name or under two spellings of it."""
    found = []
    by_normal: dict[str, list[str]] = {}
    for header in origin.header:
        by_normal.setdefault(normal(header), []).append(header)
    for name, column in columns.items():
        same = [h for h in by_normal[normal(column)] if h != column]
        again = (
            f"twice `{column}`"
            if column in origin.twice
            else f"`{column}` and " + " and ".join(f"`{h}`" for h in same)
            if same and normal(column)
            else ""
        )
        if again:
            help = f"remove one of the two, or rename it; or say which one it is: `fields: {{{entity}: {{{name.partition('.')[0]}: {{column: …}}}}}}`"
            found.append(Diagnostic("R635", f"`{Path(origin.shown).name}` has {again}: two columns for `{name}`", at, help))
    return found
