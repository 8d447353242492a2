"""Whether a file can be what it is taken for: columns that are known, an id, and one column for each field."""

from __future__ import annotations

from pathlib import Path

from roe.crm import PROFILES
from roe.data.headers import ENTITY_NAMES, columns_of, normal
from roe.data.scan import DELIMITERS, TableOrigin
from roe.diagnostics import Diagnostic
from roe.policy.model import Policy
from roe.source import Span
from roe.words import some

_KEYS = ("id", "email", "name", "domain")  # what tells records apart, where there is no id


def misshapen(policy: Policy, entity: str, origin: TableOrigin, rows: int) -> list[Diagnostic]:
    """Why a file is not one of an entity's records; nothing if it is."""
    header, name = origin.header, Path(origin.shown).name
    at = Span(origin.shown, 1, 1, 2)
    if not header and not rows and not origin.rejects:
        return []
    columns = columns_of(entity, policy.model.entities[entity], header, policy.model.roles())
    listed = some([f"`{h}`" for h in header], 12)
    if not columns:
        whole = next((d for d in DELIMITERS if len(header) == 1 and d in header[0]), "")
        help = (
            "the whole header is in one pair of quotes: export it again, or remove the quotes around each line"
            if whole
            else f"say which columns it has: `fields: {{{entity}: {{id: {{column: …}}}}}}`, or another `profile:`; is the first line the header?"
        )
        return [
            Diagnostic(
                "R633", f"`{name}` has no column that is known for {entity} records, not even an id; its columns are {listed}", at, help
            )
        ]
    diagnostics = [
        *_twice(entity, columns, origin, at),
        *_two_ids(policy, entity, columns, header, name, at),
        *_no_id(policy, entity, columns, name, listed, at),
        *_another_role(policy, entity, columns, name, at),
    ]
    if not rows and origin.rejects:
        line, _, reason = origin.rejects[0]
        diagnostics.append(
            Diagnostic(
                "R602",
                f"no row of `{name}` can be read; the first one, line {line}: {reason}",
                Span(origin.shown, line, 1, 2),
                "look at its delimiter and quotes, or export it again",
                severity="error",
            )
        )
    return diagnostics


def _another_role(policy: Policy, entity: str, columns: dict[str, str], name: str, at: Span) -> list[Diagnostic]:
    """The CRM's one owner of a record, taken for the first role's, where the policy decides other roles of this entity and finds no owner of theirs."""
    first, decided = policy.roles[0], [role for e, role in policy.plan.engagement if e == entity]
    column, owner = columns.get(f"owner.{first}"), policy.model.entities[entity].get("owner")
    if not column or not decided or first in decided or owner is None or not owner.profile or any(f"owner.{r}" in columns for r in decided):
        return []
    others = ", ".join('"-"' if role != decided[0] else column for role in policy.roles[: policy.roles.index(decided[0]) + 1])
    said = f"`{column}` of `{name}` is read as the {first} of {entity} records, but rules decide their {decided[0]}"
    help = f"if it is their {decided[0]}, write `fields: {{{entity}: {{owner: {{column: [{others}]}}}}}}`; if not, name it: `column: [{column}]`"
    return [Diagnostic("R638", said, at, help)]


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


def _two_ids(policy: Policy, entity: str, columns: dict[str, str], header: tuple[str, ...], name: str, at: Span) -> list[Diagnostic]:
    """An id under the plain name and one under the entity's own, of which nobody has said which one counts."""
    spelt = {normal(x) for e in ENTITY_NAMES.get(entity, (entity,)) for x in ("id", f"{e} id", f"{e}id")}
    others = [h for h in header if normal(h) in spelt and normal(h) != normal(columns.get("id", ""))]
    declared = policy.model.entities[entity].get("id")
    if not others or normal(columns.get("id", "")) not in spelt or (declared is not None and declared.columns and not declared.profile):
        return []
    named = " and ".join(f"`{h}`" for h in (columns["id"], *others))
    help = f"say which one it is: `fields: {{{entity}: {{id: {{column: {others[0]}}}}}}}`, or remove the other"
    return [Diagnostic("R635", f"`{name}` has {named}: two columns for `id`", at, help)]


def _twice(entity: str, columns: dict[str, str], origin: TableOrigin, at: Span) -> list[Diagnostic]:
    """Fields that two columns have, under one name or under two spellings of it."""
    diagnostics = []
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
            diagnostics.append(Diagnostic("R635", f"`{Path(origin.shown).name}` has {again}: two columns for `{name}`", at, help))
    return diagnostics
