"""What pools did in a run, as it is written down: each turn as a line, and the standings that the turns refer to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from roe.data.files import write_whole
from roe.diagnostics import user_error
from roe.dynamic import Json, Value

if TYPE_CHECKING:
    from roe.evaluator.allocation import PoolHistory, PoolTurn

POOLS_START = '{"version":1,"pools":'


def pools_json(histories: Mapping[str, PoolHistory]) -> str:
    """The pools of a run as they were at its start, and every standing in it."""
    return _json({"version": 1, "pools": {name: h.as_json() for name, h in sorted(histories.items()) if h.made}})


def turn_line(turn: PoolTurn, key: str) -> str:
    return _json(turn.record(key))


def write_turns(folder: Path, turns: Iterable[str], pools: str) -> None:
    """The two files that say what pools did."""
    write_whole(folder / "turns.jsonl", "".join(f"{line}\n" for line in turns))
    write_whole(folder / "pools.json", pools + "\n")


def _json(item: object) -> str:
    return json.dumps(item, ensure_ascii=False, separators=(",", ":"))


def read_turns(folder: Path, only: str = "") -> Json:
    """The turns of an earlier run's pools, by record and role; of one of them alone if it is named."""
    from roe.evaluator.allocation import PoolHistory

    path = folder / "turns.jsonl"
    try:
        pools = json.loads((folder / "pools.json").read_text("utf-8"))["pools"]
        histories = {str(name): PoolHistory.of(history) for name, history in pools.items()}
        read = 0
        wanted = ',"key":' + json.dumps(only, ensure_ascii=False) + ","
        turns: Json = {}
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
                if standing >= 0 and why == "" and rep is not None:
                    histories[pool].turns.log.append((histories[pool].made[standing], rep))
                if only and turn is not None:
                    break
        return turns
    except (OSError, ValueError, KeyError, AttributeError, IndexError, TypeError, RecursionError) as e:
        raise user_error("R608", f"the run's records cannot be read: {e}", path, "name the --out folder of a run") from e


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


def check_turn(turn: Value) -> Json:
    """A turn as a run writes it; ValueError for one that no run wrote."""
    good = isinstance(turn, dict) and all(type(turn.get(k)) is int for k in ("n", "standing", "index", "position"))
    good = good and all(isinstance(turn.get(k), str) for k in ("pool", "key", "why", "repeated"))
    good = good and (turn.get("rep") is None or isinstance(turn["rep"], str)) and turn.get("until", 0) != 0
    good = good and isinstance(turn.get("before"), list) and all(_is_before(x) for x in turn["before"])
    if not good:
        raise ValueError("a turn is damaged")
    checked: Json = turn
    return checked


def _is_before(x: object) -> bool:
    return isinstance(x, list) and len(x) == 3 and isinstance(x[0], str) and type(x[1]) is type(x[2]) is int
