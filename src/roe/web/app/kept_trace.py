"""An explanation that the ledger keeps, read back so that the page shows it as it shows one of today."""

from __future__ import annotations

from types import SimpleNamespace

from roe.dynamic import Saved, Value
from roe.evaluator.trace import RuleTrace, StepTrace
from roe.source import Span


def steps_of(trace: Saved) -> SimpleNamespace:
    """`steps` as a page shows them; of a trace in another shape than this version writes, none."""
    try:
        return SimpleNamespace(steps=[_step(x) for x in trace["steps"]])
    except (KeyError, TypeError, ValueError, AttributeError):
        return SimpleNamespace(steps=[])


def _step(x: Saved) -> StepTrace:
    return StepTrace(
        str(x["stage"]), str(x["operator"]), str(x["name"]), str(x["record"]), _value(x["value"]), str(x.get("hit", "")),
        [_rule(r) for r in x.get("rules", ())], int(x.get("rules_total", 0)), [(p["text"], _value(p["value"])) for p in x.get("parts", ())],
        str(x.get("text", "")), _place(x.get("place")), dict(x.get("details", {})),
    )  # fmt: skip


def _rule(r: Saved) -> RuleTrace:
    conditions: Value = [
        SimpleNamespace(
            text=c["text"], result=c["result"], parts=[SimpleNamespace(text=p["text"], value=_value(p["value"])) for p in c["values"]],
            place=_place(c["place"]),
        )
        for c in r["conditions"]
    ]  # fmt: skip
    place = _place(r["place"])
    assert place is not None
    return RuleTrace(r["number"], r["name"], r["result"], conditions, place, r.get("because") or "", None, r["fired"])


def _place(x: Saved | None) -> Span | None:
    return (
        None if x is None else Span(str(x["file"]), int(x["line"]), int(x["column"]), int(x["column"]) + 1, cell=str(x.get("cell") or ""))
    )


def _value(x: Value) -> Value:
    """A record by its name where a value was one; lists and other values as they are."""
    if isinstance(x, dict):
        return str(x.get("name") or x.get("id") or ", ".join(f"{k} {_value(y)}" for k, y in x.items()))
    if isinstance(x, list):
        return ", ".join(str(_value(y)) for y in x)
    return x
