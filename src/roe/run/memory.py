"""What a run leaves to the next one, in the folder that `--state` names."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from roe.crm.ids import fold
from roe.data.files import write_whole
from roe.diagnostics import Diagnostic, PolicyError
from roe.evaluator.engine import KEPT, STATE
from roe.grammar import values as v
from roe.source import Span

STATE_FILE = "state.json"
_FRACTION = re.compile(r"-?\d{1,40}(/[1-9]\d{0,40})?", re.ASCII)


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


def write_state(folder: Path, state: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / STATE_FILE, json.dumps(state, indent=1, ensure_ascii=False) + "\n")
