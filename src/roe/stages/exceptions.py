"""`exceptions:` approved exceptions with an end: record, role, owner, approved_by, reason, until."""

from __future__ import annotations

from roe.diagnostics import suggest
from roe.plan.parts import ExceptionRow
from roe.policy.context import Context
from roe.policy.section import Day, Entity, FilePath, Heading, Section, key, section
from roe.policy.standard import split
from roe.policy.tables import objects
from roe.source import Text, span_of

NEEDED = ("record", "role", "owner", "approved_by", "reason", "until")


@section
class ExceptionSection(Section):
    """an approved exception: one record, one role, until a day"""

    entity: Entity | None = None
    record: Text
    role: Text
    owner: Text
    approved_by: Text
    reason: Text
    from_: Day | None = key("in force from this day on", default=None)
    until: Day = key("in force up to, but not including, this day")
    credit: Text | None = key("how the credit is split, such as `ann 60; ben 40`", default=None)


Exceptions = FilePath | tuple[ExceptionSection, ...]
EXCEPTIONS = Heading("exceptions", Exceptions)


def lower(exceptions: Exceptions | None, cx: Context) -> tuple[ExceptionRow, ...]:
    if not exceptions:
        return ()
    with cx.apart() as problems:
        if isinstance(exceptions, Text):
            table = cx.file_table(exceptions)
        else:
            table = cx.inline_table([row.texts() for row in exceptions], span_of(exceptions[0].heading))
    cx.diagnostics += [d for d in problems if d.code != "R401"]  # a file with a header alone: no exceptions today
    if table is None or not cx.has_columns(table, "the exceptions have", NEEDED):
        return ()
    rows = []
    for row in objects(table):
        empty = [c for c in NEEDED if not row[c]]
        if empty:
            cx.say("R506", row["record"], f"the exception has no effect: `{', '.join(empty)}` is missing", "complete it")
            continue
        if row["role"] not in cx.model.roles():
            cx.say("R502", row["role"], f"there is no role `{row['role']}`", suggest(row["role"], cx.model.roles(), "correct it"))
            continue
        until = cx.day(row["until"])
        entity = str(row.get("entity") or "account")
        if until:
            start = cx.day(row.get("from"))
            record, role, owner, approved_by, reason = (row[c] for c in NEEDED[:5])
            shares = split("" if row.get("credit") in (None, "-") else row["credit"])
            if shares is None:
                cx.say("R311", row["credit"], f"`{row['credit']}` is not a credit split", "write it as `ann 60; ben 40`, adding up to 100")
                continue
            rows.append(ExceptionRow(entity, record, role, owner, approved_by, reason, start, until, shares))
    return tuple(rows)
