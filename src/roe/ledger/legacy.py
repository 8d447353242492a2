"""The memory that earlier versions of roe kept in `state.json`: read once, as the first entries of a new ledger."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path

from roe.crm.ids import fold
from roe.diagnostics import user_error
from roe.dynamic import Value
from roe.grammar import values as v
from roe.ledger.between import entries_between
from roe.ledger.entries import RunEntry
from roe.ledger.moment import At, zone_of
from roe.ledger.state import VERSION
from roe.ledger.store import Store

FILE = "state.json"
ID = "state.json"  # of the run that stands for everything before the ledger


def take_over(store: Store, folder: Path, zone: str = "") -> int:
    """Append what a folder's `state.json` says to an empty ledger; how many entries. Raises PolicyError if the file cannot be read."""
    path = folder / FILE
    if store.head().number or not path.is_file():
        return 0
    try:
        state = json.loads(path.read_text("utf-8"))
        if not isinstance(state, dict) or state.get("version") != VERSION:
            raise ValueError("it is not a state that this version knows")
        state = _folded(state)
        for x in state["owners"].values():
            if "by" not in x:  # written before the base was kept: what roe had decided counted as what the CRM had
                x |= {"by": "import", "base": x["rep"]}
        at = moment_of(state["as_of"], zone)
        entries = list(entries_between({}, state, at))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as e:
        why = "it is nested too deeply" if isinstance(e, RecursionError) else "it is damaged" if isinstance(e, (KeyError, TypeError)) else e
        help = "restore it from a backup, or name another folder"
        raise user_error("R608", f"the state cannot be read: {why}", path, help) from e
    with store.writing() as tx:
        if store.head().number:  # another run was faster
            return 0
        tx.run(RunEntry(at=at, id=ID, what="import", counts={"entries": len(entries)}))
        return len(tx.append(entries))


def moment_of(text: str, zone: str = "") -> At:
    """A written as-of in the policy's zone; where that is not known, in the offset that it is written with. Raises ValueError."""
    moment = v.parse_temporal(text)
    if not isinstance(moment, datetime):
        if isinstance(moment, date):
            return At.of(moment, zone or "UTC")
        raise ValueError("its as-of is not a moment")
    name = zone or getattr(moment.tzinfo, "key", None) or _offset(moment)
    local = moment.astimezone(zone_of(name))
    whole = (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0)
    return At.of(local.date() if whole else local, name)


def _offset(moment: datetime) -> str:
    text = f"{moment:%z}"  # such as +0100
    return f"{text[:3]}:{text[3:5]}" if text else "UTC"


def _folded(value: Value) -> Value:
    """A state with every id of Salesforce in its short form, as records have it."""
    if isinstance(value, str):
        return "|".join(map(fold, value.split("|")))
    if isinstance(value, dict):
        return {_folded(k): _folded(x) for k, x in value.items()}
    return [_folded(x) for x in value] if isinstance(value, list) else value
