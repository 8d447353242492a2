"""Commands about one record of large data: it is taken out of its files, and only where that cannot be done is all of it read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from roe.cli.common import bind_large, heed, remembered, well_named
from roe.data.lookup import CannotLookUp

if TYPE_CHECKING:
    from roe.evaluator.bound import Bound
    from roe.evaluator.decision import Decision
    from roe.evaluator.engine import Evaluator
    from roe.evaluator.row import Row


@dataclass(frozen=True)
class RecordQuestion:
    """A question about the record that a text means: by which policy, on which data, as of when, with which ledger, and after which run."""

    evaluator: Evaluator
    data: Path
    as_of: str
    state: str | None
    text: str
    run_folder: Path | None = None


def taken_out(asked: RecordQuestion) -> tuple[Bound, Row]:
    """(a bound evaluator over the record that a text means and all around it, the record). Raises CannotLookUp; what is wrong with the
    data or the text ends the command.
    """
    from roe.analysis.written import entities
    from roe.cli.explain import find_record
    from roe.evaluator.bound import Bound
    from roe.run.kept_turns import TurnsOfRun, turns_of
    from roe.run.record import TakenOut
    from roe.run.source import Source

    evaluator, text, run_folder = asked.evaluator, asked.text, asked.run_folder
    source = Source(evaluator.policy, asked.data)
    memory = remembered(evaluator.policy, asked.state, held=False)
    records = TakenOut(evaluator, source, asked.as_of, memory)
    allocated = [entity for entity, _ in evaluator.policy.plan.engagement]
    asked_about = dict.fromkeys((*allocated, *entities(evaluator.policy.plan)))
    record = find_record(Bound(evaluator, records.called(text, asked_about), {}), text, asked_about)
    if record.entity not in allocated:
        raise CannotLookUp(f"the answer for a {record.entity} depends on all records")
    bound = well_named(records.bound(record.entity, record["id"]))
    heed(source.warnings)
    if run_folder is not None:
        bound.turns = TurnsOfRun(lambda: run_folder)
    else:
        bound.turns = turns_of(evaluator, Source(evaluator.policy, asked.data), asked.as_of, memory, say)
    row = bound.world.find(record.entity, record["id"])
    if row is None:
        raise CannotLookUp(f"the ledger has newer data of the {record.entity} `{record['id']}`")
    return bound, row


def taken_out_for_value(asked: RecordQuestion, field: str) -> tuple[Bound, Row] | None:
    """The same for the value of one field; None, with a word, where that may rest on all records."""
    try:
        plan = asked.evaluator.policy.plan
        if plan.credits or plan.events:
            raise CannotLookUp("credits and events depend on all records")
        bound, row = taken_out(asked)
        stored = bound.policy.model.entities[row.entity].get(field)
        if (row.entity, field) not in plan.steps and (stored is None or stored.via or stored.type.name in ("record", "owners")):
            raise CannotLookUp(f"`{field}` can refer to any record")
        return bound, row
    except CannotLookUp as e:
        all_instead(e)
        return None


def decided_alone(asked: RecordQuestion, role: str | None) -> tuple[Bound, list[Decision]]:
    """(the bound evaluator, the decisions on the record that a text means, in one role or all). Raises CannotLookUp."""
    from roe.cli.explain import roles_asked

    bound, row = taken_out(asked)
    return bound, [bound.decide(row, r) for r in roles_asked(bound.roles(row.entity), row.entity, role)]


def decided(asked: RecordQuestion, role: str | None) -> list[Decision]:
    """The decisions on the record that a text means, in one role or all; none if it is not one that is allocated."""
    from roe.cli.explain import find_record, roles_asked

    try:
        return decided_alone(asked, role)[1]
    except CannotLookUp as e:
        all_instead(e)
    bound = bind_large(asked.evaluator, asked.data, asked.as_of, asked.state)
    from roe.analysis.written import entities

    allocated = [entity for entity, _ in bound.plan.engagement]
    row = find_record(bound, asked.text, [*allocated, *entities(bound.plan)])
    if row.entity not in allocated:
        return []
    return _among_all(bound, row, roles_asked(bound.roles(row.entity), row.entity, role), asked.run_folder)


def _among_all(bound: Bound, row: Row, roles: list[str], run_folder: Path | None) -> list[Decision]:
    """The decisions on a record among all of them."""
    from roe.cli.explain import decide_among

    if not hasattr(bound.world, "tables"):  # its records are rows, since columns cannot do it
        return decide_among(bound, row, roles)
    from roe.columns.explained import decide

    return decide(bound, row.entity, str(row["id"]), roles, run_folder)


def all_instead(e: CannotLookUp) -> None:
    """Say why one record is not enough."""
    say(f"note: {e}; reading all of them")


def say(text: str) -> None:
    click.echo(text, err=True)
