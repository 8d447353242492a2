"""What a run writes. Files appear whole or not at all; cells cannot become formulas; the same run gives the same bytes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roe.analysis.reads import followed
from roe.crm import PROFILES
from roe.crm.ids import fold, spelt
from roe.data.extra import Held, extra_rows, write_extra
from roe.data.files import csv_text, write_whole
from roe.diagnostics import Diagnostic, PolicyError
from roe.evaluator.engine import KEPT, STATE, Decision, Run
from roe.evaluator.world import Row
from roe.grammar import values as v
from roe.plan.operators import Crm, Holdover
from roe.source import Span

if TYPE_CHECKING:
    from roe.evaluator.allocate import PoolHistory, Turn

ALLOCATIONS = (
    "entity", "record", "name", "role", "owner", "owner_name", "previous_owner", "previous_owner_name", "action", "rule", "territory",
    "pool", "window", "expires", "reason",
)  # fmt: skip
CHANGES = ("object", "record", "name", "field", "value", "owner_name", "old_value", "previous_owner_name", "reason")
STATE_FILE = "state.json"
_FRACTION = re.compile(r"-?\d{1,40}(/[1-9]\d{0,40})?", re.ASCII)


def allocation(d: Decision) -> list[Any]:
    owner, previous = (d.row.world.rep(rep) for rep in (d.owner, d.previous))
    return [
        d.entity, d.row.written, d.name, d.role, *_who(owner), *_who(previous), d.action, d.rule, d.territory, d.pool, d.window, d.until, d.reason,
    ]  # fmt: skip


def _who(rep: Row | None) -> tuple[str | None, str | None]:
    """A rep's id, as the data has it, and name."""
    return (None, None) if rep is None else (rep.written, rep.label)


def change(d: Decision, object_: str, crm: Crm) -> list[Any]:
    """A line of changes.csv, in the order of `CHANGES`."""
    world = d.row.world
    owner, previous = (world.rep(rep) for rep in (d.owner, d.previous))
    queue = crm.queues.get((d.entity, d.role))
    first = d.role == world.policy.roles[0]  # whose column a queue may stand in
    return [
        object_, d.row.written, d.name, world.owner_column(d.entity, d.role),
        queue if owner is None else called(owner, crm), _who(owner)[1],
        ((d.row["owner_queue"] if first else None) or queue) if previous is None else called(previous, crm), _who(previous)[1], d.reason,
    ]  # fmt: skip


def undone(line: list[Any]) -> list[Any]:
    """The line of rollback.csv that takes a line of changes.csv back."""
    *what, new, new_name, old, old_name, _ = line
    return [*what, old, old_name, new, new_name, "rollback"]


def write_run(run: Run, out: Path, traces: bool = False) -> dict[str, Any]:
    """All output files of a run; returns the summary. Raises OSError if the folder cannot be written."""
    out.mkdir(parents=True, exist_ok=True)
    ordered = sorted(run.decisions, key=lambda d: (d.entity, d.id, d.role))
    moved = [d for d in ordered if d.moved and d.action not in ("hold", "refer")]
    objects, crm = PROFILES[run.bound.policy.profile].objects, run.bound.plan.crm
    forth = [change(d, objects.get(d.entity, d.entity), crm) for d in moved]
    files = {
        "allocations.csv": csv_text(ALLOCATIONS, map(allocation, ordered)),
        "changes.csv": csv_text(CHANGES, forth),
        "rollback.csv": csv_text(CHANGES, map(undone, forth)),
        "rejects.csv": csv_text(
            ("entity", "record", "line", "field", "value", "reason"),
            ([r.entity, r.record, r.line, r.field, r.value, r.reason] for r in run.world.rejects),
        ),
    }
    if traces:
        files["trace.jsonl"] = "".join(_traces(run, entity, list(group)) for entity, group in groupby(ordered, lambda d: d.entity))
    summary = summarize(run, ordered, moved)
    files["summary.json"] = json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
    for name, text in files.items():
        write_whole(out / name, text)
    from roe.data.report import report_of, write_report

    write_report(report_of(run.world.readings), out)
    write_extra(extra_rows(run.bound, {h.name: credits_of(ordered, h) for h in run.bound.plan.holdovers}), out)
    turns = sorted((d.turn.n, turn_line(d.turn, run.bound.key(d))) for d in ordered if d.turn is not None)
    write_turns(pools_json(run.bound.pools.histories()), (line for _, line in turns), out)
    return summary


def called(rep: Row, crm: Crm) -> str:
    """What the CRM's files have for a rep: the id, or a name or e-mail address if there is one."""
    return rep.written if crm.owner == "id" or not rep[crm.owner] else str(rep[crm.owner])


def credits_of(decisions: Iterable[Decision], h: Holdover) -> Iterable[Held]:
    for d in decisions:
        if (d.entity, d.role) == ("account", h.role):
            former = d.row["former_owner"]
            owner = d.previous if d.action == "refer" else d.owner
            yield d.id, owner, d.previous, former and former["id"], d.row[f"{h.name}_credit"], d.row[f"{h.name}_stage_until"]


def _lines(items: Iterable[dict[str, Any]]) -> str:
    return "".join(_json(item) + "\n" for item in items)


def _traces(run: Run, entity: str, decisions: list[Decision]) -> str:
    spelling = run.world.spelling()
    with run.world.as_before(entity):
        return _lines(spelt(d.trace.as_json(), spelling) if spelling else d.trace.as_json() for d in decisions)


def _json(item: Any) -> str:
    return json.dumps(item, ensure_ascii=False, separators=(",", ":"))


def summarize(run: Run, ordered: list[Decision], moved: list[Decision]) -> dict[str, Any]:
    """Counts per rule, rep and pool, unknowns, rejects and corrections."""
    world = run.world
    by_rule: dict[str, Counter[str]] = {}
    unknown: Counter[str] = Counter()
    for d in ordered:
        by_rule.setdefault(f"{d.entity}.{d.role}", Counter())[d.rule or "(no rule)"] += 1
        unknown.update(f"{d.entity}.{d.role}: {name}" for name in d.unknown)
    engagement = run.bound.plan.engagement
    heeded = followed(run.bound.policy)
    order = {f"{e}.{role}": [*(str(r.name) for r in step.rules), "(no rule)", "exception"] for (e, role), step in engagement.items()}
    reps = Counter(d.owner for d in ordered if d.owner)
    first = dict(reversed(list(engagement)))
    placed = Counter((d.entity, d.territory) for d in ordered if d.role == first[d.entity])
    strangers = sorted({d.owner for d in ordered if d.owner and (rep := world.rep(d.owner)) is not None and world.is_stranger(rep)})
    capacity = {
        rep.written: {"owned": reps[rep["id"]], "capacity": rep["capacity"]} for rep in world.rows["rep"] if rep["capacity"] is not None
    }
    spelling = world.spelling()
    return {
        "policy": run.bound.policy.name,
        "as_of": v.literal(world.clock.now),
        "records": {e: len(rows) for e, rows in world.rows.items() if rows},
        "rejected": dict(sorted(Counter(r.entity for r in world.rejects).items())),
        "allocations": len(ordered),
        "moved": len(moved),
        "actions": dict(sorted(Counter(d.action for d in ordered).items())),
        "rules": {k: in_order_of_size({n: c[n] for n in order[k] if c[n]}) for k, c in sorted(by_rule.items())},
        "reps": {spelling.get(rep, rep): n for rep, n in sorted(reps.items())},
        "pools": dict(sorted(Counter(d.pool for d in ordered if d.pool).items())),
        "territories": rolled_up(run.bound.plan.levels, placed),
        "unknown": dict(sorted(unknown.items())),
        "capacity": capacity,
        "corrected": [
            {"entity": e, "field": f, "written": a, "meant": b, "records": n}
            for e, typed in sorted(world.typed.items())
            for (f, a, b), n in sorted(typed.corrected.items())
        ],
        "dangling": [
            {"entity": e, "field": f, "value": x, "records": n} for (e, f, x), n in sorted(world.dangling.items()) if (e, f) in heeded
        ],
        "conflicts": [
            {"entity": e, "step": name, "rules": rules, "records": [spelling.get(x, x) for x in sorted(set(ids))]}
            for (e, name, rules), ids in sorted(world.conflicts.items())
        ],
        "unlisted_reps": [spelling.get(x, x) for x in strangers],
    }


def rolled_up(levels: Mapping[str, Mapping[str, tuple[str, ...]]], placed: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Records per territory and everything that it is part of, as paths: `EMEA`, `EMEA > DACH`, `EMEA > DACH > berlin`."""
    found: dict[str, dict[str, int]] = {}
    for entity, parts in levels.items():
        total: Counter[str] = Counter()
        for (of, territory), n in placed.items():
            if of == entity and n:
                path = (*parts.get(territory, ()), territory or "(none)")
                total.update({" > ".join(path[: i + 1]): n for i in range(len(path))})
        found[entity] = dict(sorted(total.items()))
    return found


def in_order_of_size(counts: dict[str, int]) -> dict[str, int]:
    """The greatest first; of equals the one that comes first here."""
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


# --- state ----------------------------------------------------------------------------------------------------------


def read_state(folder: Path | None) -> dict[str, Any]:
    """The state that the last run left; empty at the first. Raises PolicyError if it cannot be used."""
    if folder is None or not (folder / STATE_FILE).is_file():
        return {}
    path = folder / STATE_FILE
    try:
        found = json.loads(path.read_text("utf-8"))
        if not isinstance(found, dict) or found.get("version") != STATE:
            raise ValueError("it is not a state from this version")
        _check_state(found)
        folded: dict[str, Any] = _folded(found)
    except (OSError, ValueError, RecursionError) as e:
        at = Span(str(path), 1, 1, 2)
        raise PolicyError(
            [
                Diagnostic(
                    "R608",
                    f"the state cannot be read: {'it is nested too deeply' if isinstance(e, RecursionError) else e}",
                    at,
                    "restore it from a backup, or name another folder",
                )
            ]
        ) from e
    return folded


def _folded(kept: Any) -> Any:
    """A state with every id of Salesforce in its short form, as records have it."""
    if isinstance(kept, str):
        return "|".join(map(fold, kept.split("|")))
    if isinstance(kept, dict):
        return {_folded(k): _folded(x) for k, x in kept.items()}
    return [_folded(x) for x in kept] if isinstance(kept, list) else kept


def _check_state(found: dict[str, Any]) -> None:
    """Raise ValueError for a state that no run wrote."""

    def need(good: bool, what: str) -> None:
        if not good:
            raise ValueError(f"its {what} are damaged")

    def text(value: Any) -> bool:
        return value is None or isinstance(value, str)

    def counts(value: Any) -> bool:
        return isinstance(value, dict) and all(type(n) is int and n >= 0 for n in value.values())

    need(isinstance(found.get("claims", {}), dict) and all(isinstance(x, str) for x in found.get("claims", {}).values()), "claims")
    events = found.get("events", {})
    need(isinstance(events, dict) and all(k.count("|") >= 2 and isinstance(x, str) for k, x in events.items()), "events")
    frozen = found.get("frozen", {})
    need(isinstance(frozen, dict), "frozen values")
    scalar = (str, int, float, bool, type(None))
    need(all(isinstance(x, dict) and text(x.get("on")) and isinstance(x.get("value"), scalar) for x in frozen.values()), "frozen values")
    books = found.get("books", {})
    need(isinstance(books, dict) and all(isinstance(x, dict) and isinstance(x.get("accounts"), dict) for x in books.values()), "books")
    for book in books.values():
        need(text(book.get("cycle")) and counts(book.get("given")), "books")
        need(all(isinstance(x, dict) and all(k in x and text(x[k]) for _, k in KEPT) for x in book["accounts"].values()), "books")
    for part in ("owners", "assigned", "pools", "days"):
        need(isinstance(found.get(part), dict) and all(isinstance(x, dict) for x in found[part].values()), part)
    need(all(k.count("|") >= 2 and text(x.get("rep")) and text(x.get("since")) for k, x in found["owners"].items()), "owners")
    for key, x in found["assigned"].items():
        good = all(isinstance(x.get(k), str) for k in ("rep", "pool", "by", "on", "at")) and type(x.get("position")) is int
        good = good and key.count("|") >= 2 and isinstance(v.parse_temporal(x["at"]), datetime)
        good = good and isinstance(x.get("tried", []), list) and all(isinstance(r, str) for r in x.get("tried", []))
        need(good and isinstance(x.get("company", ""), (str, int, float)), "assignments")
    for x in found["pools"].values():
        need(counts(x.get("counts")) and type(x.get("turns")) is int and isinstance(x.get("credits"), dict), "pools")
        need(all(isinstance(c, str) and _FRACTION.fullmatch(c) for c in x["credits"].values()), "pools")
    need(all(counts(x) for x in found["days"].values()), "days")


def check_turn(turn: Any) -> dict[str, Any]:
    """A turn as a run writes it; ValueError for one that no run wrote."""
    good = isinstance(turn, dict) and all(type(turn.get(k)) is int for k in ("n", "standing", "index", "position"))
    good = good and all(isinstance(turn.get(k), str) for k in ("pool", "key", "why", "repeated"))
    good = good and (turn.get("rep") is None or isinstance(turn["rep"], str)) and turn.get("until", 0) != 0
    good = good and isinstance(turn.get("before"), list) and all(_is_before(x) for x in turn["before"])
    if not good:
        raise ValueError("a turn is damaged")
    found: dict[str, Any] = turn
    return found


def _is_before(x: Any) -> bool:
    return isinstance(x, list) and len(x) == 3 and isinstance(x[0], str) and type(x[1]) is type(x[2]) is int


def write_state(folder: Path, state: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / STATE_FILE, json.dumps(state, indent=1, ensure_ascii=False) + "\n")


def write_turns(pools: str, lines: Iterable[str], out: Path) -> None:
    """What pools did in a run: each turn as a line, and the standings that the turns refer to (`pools_json`)."""
    write_whole(out / "turns.jsonl", "".join(line + "\n" for line in lines))
    write_whole(out / "pools.json", pools + "\n")


POOLS_START = '{"version":1,"pools":'


def pools_json(histories: Mapping[str, PoolHistory]) -> str:
    """The pools of a run as they were at its start, and every standing in it."""
    return _json({"version": 1, "pools": {name: h.as_json() for name, h in sorted(histories.items()) if h.made}})


def turn_line(turn: Turn, key: str) -> str:
    return _json(turn.record(key))


def read_turns(folder: Path, only: str = "") -> dict[str, Any]:
    """The turns of an earlier run's pools, by record and role; of one of them alone if it is named."""
    from roe.evaluator.allocate import FALLBACK, PoolHistory

    path = folder / "turns.jsonl"
    try:
        pools = json.loads((folder / "pools.json").read_text("utf-8"))["pools"]
        histories = {str(name): PoolHistory.of(found) for name, found in pools.items()}
        read = 0
        wanted = ',"key":' + json.dumps(only, ensure_ascii=False) + ","
        turns: dict[str, Any] = {}
        with path.open(encoding="utf-8") as file:
            for line in file:
                turn = check_turn(json.loads(line)) if not only or wanted in line else None
                known = _SHORT.match(line) if turn is None else None
                if turn is not None:
                    short = (turn["n"], turn["pool"], turn["standing"], turn["rep"], turn["key"], turn["why"])
                elif known is not None:
                    short = tuple(map(json.loads, known.groups()))
                else:
                    raise ValueError("a turn is damaged")
                n, pool, standing, rep, key, why = short
                if not 0 <= n - read < 1000:  # of two pools that a rule asks, one after the other, the last is kept
                    raise ValueError("turns are missing")
                read = n + 1
                if turn is not None:
                    turns[key] = {**turn, "histories": histories}
                took = standing >= 0 and why != FALLBACK and rep is not None
                if took and not why:
                    histories[pool].turns.log.append((histories[pool].made[standing], rep))
                if only and turn is not None:
                    break
        return turns
    except (OSError, ValueError, KeyError, AttributeError, IndexError, TypeError, RecursionError) as e:
        at = Span(str(path), 1, 1, 2)
        raise PolicyError([Diagnostic("R608", f"the run's records cannot be read: {e}", at, "name the --out folder of a run")]) from e


_TEXT = r'"(?:[^"\\]|\\.)*"'
_SHORT = re.compile(
    r'\{"n":(\d+),"pool":('
    + _TEXT
    + r'),"standing":(-?\d+),"index":\d+,"rep":(null|'
    + _TEXT
    + r'),"key":('
    + _TEXT
    + r'),"why":('
    + _TEXT
    + ")"
)
