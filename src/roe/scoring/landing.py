"""A fitted card where it lands: written in the policy's own values, loaded into the policy, and compared with the test there.

`roe run` reads `India` as `IN` and `1,200` as 1200, so a card is fitted to what the policy makes of the cells, not to the cells. With a policy
whose own tables hold the records, those are read as `roe run` reads them; else the records are made from the joined tables.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from roe.crm.ids import fold
from roe.data.coerce import coerce_table
from roe.diagnostics import PolicyError, errors, user_error
from roe.dynamic import Json, Record, Saved, Value, Values
from roe.evaluator.engine import Evaluator
from roe.grammar.clock import zone_of
from roe.policy.model import DataSource
from roe.scoring.backtest import auc
from roe.scoring.card import Card, Criterion, fit
from roe.scoring.history import ScoredHistory, hold_out
from roe.scoring.leakage import Leak, leave_out_leaks, left_out, without_points
from roe.stages.build import build

if TYPE_CHECKING:
    from collections.abc import Iterator

Records = Mapping[str, Iterable[Record]]  # entity -> raw records, as a reader gives them
DAY = "1970-01-01"  # a card's conditions look at no date
EMPTY = "roe: 1\nname: card\nroles: [owner]\n"
UNREADABLE = 0.05  # of a column's cells: with more, the policy reads another kind of value
SAME = 0.5  # of the records of the history, that the policy's own tables have
SCALARS = ("string", "number", "boolean")


@dataclass(slots=True)
class Landing:
    """Where a card lands: a policy's folder, the entity, the file that the card is, and the policy's own records if they are there."""

    root: Path
    entity: str
    file: str
    records: Records | None = None


@dataclass(slots=True)
class Landed:
    """A history in the policy's values. `declared` are the fields that the card must declare, with their types."""

    history: ScoredHistory
    declared: dict[str, str]
    of_the_policy: bool  # the records are read from the policy's own tables
    rows: list[Values] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Proof:
    """The card in the policy beside the card in the test, on the records held out."""

    auc: float | None
    auc_in_policy: float | None
    records: int
    different: int

    def sentence(self, name: str) -> str:
        if self.different:
            return f"in the policy `{name}` gives {self.different:,} of {self.records:,} records other points than in the test"
        area = "" if self.auc is None or self.auc_in_policy is None else f": AUC {self.auc_in_policy:.3f} there, {self.auc:.3f} in the test"
        return f"in the policy `{name}` gives all {self.records:,} records the same points as in the test{area}"


@contextmanager
def no_policy() -> Iterator[Path]:
    """A folder with a policy that has nothing but the standard fields."""
    with tempfile.TemporaryDirectory(prefix="roe-card-") as folder:
        (Path(folder) / "policy.yaml").write_text(EMPTY, "utf-8")
        yield Path(folder)


def load_with(place: Landing, text: str) -> Evaluator:
    """The policy with the card as one of its files. Raises PolicyError."""
    policy, problems = build(place.root, {place.file: text})
    if policy is None:
        raise PolicyError(errors(problems))
    return Evaluator(policy)


# --- the history in the policy's values -----------------------------------------------------------------------------


def land(history: ScoredHistory, place: Landing) -> Landed:
    """The features as the policy reads them; those that it cannot have are left out, with the reason. Raises PolicyError."""
    plain = load_with(place, "{}\n")
    model = plain.policy.model
    if place.entity not in model.entities:
        known = ", ".join(model.entities)
        raise user_error("R504", f"there is no entity `{place.entity}`", "--for", f"there are {known}")
    declared = {
        name: _type_of(values)
        for name, values in history.features.items()
        if name not in model.entities[place.entity] and (place.entity, name) not in model.steps
    }
    evaluator = load_with(place, "\n".join(_fields(place.entity, declared)) + "\n") if declared else plain
    own = _own(evaluator, history, place) if place.records else None
    history, columns = own or (history, None)
    landed = Landed(replace(history, features={}, dropped=dict(history.dropped)), declared, columns is not None)
    for name, values in history.features.items():
        _land_feature(landed, evaluator, place.entity, name, history.raw.get(name, values), columns)
    landed.rows = [] if columns is not None else _made(history, landed.history.features)
    return landed


def _type_of(values: Sequence[Value]) -> str:
    present = [x for x in values if x is not None]
    if all(isinstance(x, bool) for x in present):
        return "boolean"
    return "number" if all(isinstance(x, (int, float)) for x in present) else "string"


def _land_feature(
    landed: Landed, evaluator: Evaluator, entity: str, name: str, raw: Sequence[Value], columns: Mapping[str, list[Value]] | None
) -> None:  # fmt: skip
    """One feature as the policy reads it, or why it cannot have it."""
    dropped, model = landed.history.dropped, evaluator.policy.model
    kind = model.entities[entity].get(name)
    if kind is None or kind.type.name not in SCALARS:
        dropped[name] = (
            "the policy computes this field itself" if kind is None else f"in the policy it is a {kind.type}, which a card cannot score"
        )
    elif columns is not None and name not in columns:
        dropped[name] = f"the policy's {entity} records do not have it: it comes from another table"
    elif columns is not None:
        landed.history.features[name] = columns[name]
    else:
        values, unreadable = _read(evaluator, entity, name, raw)
        if unreadable > UNREADABLE * max(len(values), 1):
            dropped[name] = f"the policy reads it as a {kind.type}, and {unreadable:,} of its cells are not"
        else:
            landed.history.features[name] = values
            if unreadable:
                landed.history.notes.append(f"`{name}`: the policy cannot read {unreadable:,} cells; it rejects such records")


def _read(evaluator: Evaluator, entity: str, name: str, raw: Sequence[Value]) -> tuple[list[Value], int]:
    """(the cells as the policy reads them, how many it cannot read)."""
    policy = evaluator.policy
    fields = {n: f for n, f in policy.model.entities[entity].items() if n in ("id", name)}
    rows = [{"id": f"r{i}", name: x} for i, x in enumerate(raw)]
    source = policy.data.get(entity, DataSource())
    typed = coerce_table(entity, fields, rows, policy.model.roles(), zone_of(policy.timezone), source)
    by_id = {row["id"]: row.get(name) for row in typed.rows}
    return [by_id.get(f"r{i}") for i in range(len(raw))], len(raw) - len(by_id)


def _own(evaluator: Evaluator, history: ScoredHistory, place: Landing) -> tuple[ScoredHistory, dict[str, list[Value]]] | None:
    """(the history of the records that the policy has, their columns in its values); None if they are other records."""
    rows = {str(r["id"]): r for r in evaluator.bind(place.records or {}, as_of=DAY).world.rows[place.entity]}
    ids = max(([fold(str(x)) for x in key] for key in (history.ids, *history.keys.values())), key=lambda key: sum(i in rows for i in key))
    there = [n for n, i in enumerate(ids) if i in rows]
    if len(there) < SAME * len(ids):
        return None
    own = replace(history.take(there), ids=[ids[n] for n in there])
    if len(there) < len(ids):
        own.notes = [
            *own.notes,
            f"the policy cannot read {len(ids) - len(there):,} of the records: they are left out, and `roe run` says why",
        ]
    columns = {name: [dict.get(rows[i], name) for i in own.ids] for name in history.features}
    return own, {name: values for name, values in columns.items() if any(x is not None for x in values)}


def _made(history: ScoredHistory, features: Saved) -> list[Json]:
    """The records as rows of cells, with what the policy cannot read left blank."""
    return [
        {"id": f"r{i}", **{name: history.raw.get(name, history.features[name])[i] if features[name][i] is not None else None for name in features}}
        for i in range(len(history.ids))
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fitted:
    """A card that works where it lands: its YAML text, what leaked, and the proof."""

    card: Card
    text: str
    leaks: list[Leak]
    notes: list[str]
    proof: Proof
    held_out: int


def fit_for(history: ScoredHistory, place: Landing, name: str, outcome: str, keep: Sequence[str], drop: Sequence[str]) -> Fitted:
    """Fit a card to the earlier records in the policy's values, and prove it there. Raises PolicyError; ValueError with one outcome only."""
    leaks = leave_out_leaks(history, keep, drop)
    landed = land(history, place)
    early, late, how = hold_out(landed.history)
    card = fit(landed.history.take(early))
    text = card_yaml(card, landed, place.entity, name, outcome, how)
    proof = prove(card, landed, place, text, name, late)
    landed.history.dropped |= without_points(landed.history, card.features)
    return Fitted(card, text, leaks, [*left_out(landed.history), *landed.history.notes], proof, len(late))


# --- the card in the policy -----------------------------------------------------------------------------------------


def prove(card: Card, landed: Landed, place: Landing, text: str, name: str, held_out: Sequence[int]) -> Proof:
    """Load the card into the policy, score the same history there, and compare. Raises PolicyError."""
    evaluator = load_with(place, text)
    records = place.records if landed.of_the_policy else {place.entity: landed.rows}
    rows = {str(r["id"]): r for r in evaluator.bind(records or {}, as_of=DAY).world.rows[place.entity]}
    ids = landed.history.ids if landed.of_the_policy else [f"r{i}" for i in range(len(landed.history.ids))]
    here = card.score(landed.history)
    there = np.array([float(rows[i][name]) if i in rows else np.nan for i in ids])
    held, won = np.array(held_out, np.int64), np.array(landed.history.outcome, bool)
    scored = held[~np.isnan(there[held])]
    different = int((here != there)[~np.isnan(there)].sum())
    return Proof(auc(won[scored], here[scored]), auc(won[scored], there[scored]), int((~np.isnan(there)).sum()), different)


def card_yaml(card: Card, landed: Landed, entity: str, name: str, outcome: str, how: str) -> str:
    """A score card as a section of a policy, readable, with where it comes from."""
    used, double = card.features, card.points_that_double
    lines = [
        "# A score card fitted by `roe score fit`, in whole points" + (f"; {double:.1f} of them double the odds." if double else "."),
        f"# outcome: {' '.join(outcome.split())}",
        f"# fitted to {card.trained} records; held out: {how}",
        f"# chance of winning: 1 / (1 + exp(-({card.intercept:.4f} + {card.slope:.5f} * score)))",
        "roe: 1",
        *_fields(entity, {f: kind for f, kind in landed.declared.items() if f in used}),
        "scores:", f"  {name}:", f"    for: {entity}", "    criteria:",
    ]  # fmt: skip
    lines += [f"      - {{name: {_text(c.name)}, when: {_text(condition(c, entity))}, points: {c.points}}}" for c in card.criteria]
    return "\n".join(lines) + "\n"


def condition(c: Criterion, entity: str) -> str:
    """A line of a card as an expression."""
    path = f"{entity}.{c.feature}"
    if c.kind in ("missing", "true"):
        return f"{path} = null" if c.kind == "missing" else path
    if c.kind == "value":
        return f"{path} = {_text(c.value)}"
    low = [f"{path} >= {c.low!r}"] if c.low is not None else []
    return " and ".join([*low, *([f"{path} < {c.high!r}"] if c.high is not None else [])])


def _fields(entity: str, kinds: Mapping[str, str]) -> list[str]:
    return ["fields:", f"  {entity}:", *(f"    {_text(name)}: {{type: {kind}}}" for name, kind in kinds.items())] if kinds else []


def _text(value: Value) -> str:
    return json.dumps(value, ensure_ascii=False)
