"""Other rule engines with the same rules: each takes rules and gives a function from records to the rules' numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from made import NUMBER_FIELDS, TEXT_FIELDS, Condition

Rules = list[list[Condition]]
Records = list[dict[str, Any]]
Decide = Callable[[Records], list[int | None]]
FIELDS = [*TEXT_FIELDS, *NUMBER_FIELDS]


def _each(rule: list[Condition], equal: str, between: str, joined: str) -> str:
    """A rule as text. A condition of four parts sets two fields beside each other; `employees > revenue + 17` is the same in all languages."""
    prefix = "context." if "context." in equal else ""
    return joined.join(
        f"{prefix}{c[0]} {c[1]} {prefix}{c[2]} + {c[3]}" if len(c) == 4 else (equal if len(c) == 2 else between).format(*c) for c in rule
    )


def if_elif(rules: Rules) -> Decide:
    """A chain of `if` that Python compiled."""
    lines = ["def decide(r):", f"    {', '.join(FIELDS)} = {', '.join(f'r[{f!r}]' for f in FIELDS)}"]
    for i, rule in enumerate(rules):
        lines += [f"    if {_each(rule, '{0} == {1!r}', '{1} <= {0} < {2}', ' and ')}:", f"        return {i}"]
    space: dict[str, Any] = {}
    exec("\n".join([*lines, "    return None"]), space)
    decide = space["decide"]
    return lambda records: [decide(r) for r in records]


def _zen_table(rules: Rules) -> str:
    inputs = [{"id": f, "name": f, "field": f} for f in FIELDS]
    if any(len(c) == 4 for rule in rules for c in rule):
        inputs = [{"id": "relation", "name": "relation"}]  # without a field, a cell is a whole condition
    rows = []
    for i, rule in enumerate(rules):
        row = {"_id": str(i), **dict.fromkeys(FIELDS, ""), "out": str(i)}
        for c in rule:
            if len(c) == 4:
                row["relation"] = _each([c], "", "", "")
                continue
            row[c[0]] = json.dumps(c[1]) if len(c) == 2 else f"[{c[1]}..{c[2]})"
        rows.append(row)
    content = {"hitPolicy": "first", "inputs": inputs, "outputs": [{"id": "out", "name": "out", "field": "out"}], "rules": rows}
    at = {"x": 0, "y": 0}
    return json.dumps(
        {
            "nodes": [
                {"id": "in", "type": "inputNode", "name": "in", "position": at},
                {"id": "t", "type": "decisionTableNode", "name": "t", "position": at, "content": content},
                {"id": "o", "type": "outputNode", "name": "o", "position": at},
            ],
            "edges": [
                {"id": "a", "sourceId": "in", "targetId": "t", "type": "edge"},
                {"id": "b", "sourceId": "t", "targetId": "o", "type": "edge"},
            ],
        }
    )


def zen(rules: Rules) -> Decide:
    """zen-engine's batch call."""
    import zen

    content = zen.ZenDecisionContent(_zen_table(rules))
    engine = zen.ZenEngine({"loader": lambda key: content})

    def decide(records: Records) -> list[int | None]:
        found = engine.evaluate_batch([{"key": "t", "context": r} for r in records])
        return [_zen_number(item["data"]["result"] if "data" in item else item["result"]) for item in found]

    return decide


def _zen_number(result: Any) -> int | None:
    out = result.get("out") if isinstance(result, dict) else None
    return None if out is None else int(out)


def zen_traced(rules: Rules) -> Decide:
    """zen-engine, one call per record, with its trace."""
    import zen

    decision = zen.ZenEngine().create_decision(_zen_table(rules))
    return lambda records: [_zen_number(decision.evaluate(r, {"trace": True})["result"]) for r in records]


def cel(rules: Rules) -> Decide:
    """CEL (common-expression-language), one program per rule."""
    import cel

    programs = [cel.compile(_each(rule, '{0} == "{1}"', "{0} >= {1} && {0} < {2}", " && ")) for rule in rules]
    return lambda records: [next((i for i, p in enumerate(programs) if p.execute(r)), None) for r in records]


def rule_engine(rules: Rules) -> Decide:
    import rule_engine

    made = [rule_engine.Rule(_each(rule, '{0} == "{1}"', "{0} >= {1} and {0} < {2}", " and ")) for rule in rules]
    return lambda records: [next((i for i, p in enumerate(made) if p.matches(r)), None) for r in records]


def json_logic(rules: Rules) -> Decide:
    from json_logic import jsonLogic

    chain: list[Any] = []
    for i, rule in enumerate(rules):
        parts: list[Any] = []
        for c in rule:
            if len(c) == 4:
                parts.append({c[1]: [{"var": c[0]}, {"+": [{"var": c[2]}, c[3]]}]})
                continue
            var = {"var": c[0]}
            parts += [{"===": [var, c[1]]}] if len(c) == 2 else [{">=": [var, c[1]]}, {"<": [var, c[2]]}]
        chain += [{"and": parts}, i]
    logic = {"if": [*chain, None]}
    return lambda records: [jsonLogic(logic, r) for r in records]


def cedar(rules: Rules) -> Decide:
    """cedarpy: a permit per rule; the lowest of those that hold."""
    import cedarpy

    text = "".join(
        f'@id("{i}") permit(principal, action, resource) when {{ {_each(rule, "context.{0} == {1!r}", "context.{0} >= {1} && context.{0} < {2}", " && ")} }};\n'.replace(
            "'", '"'
        )
        for i, rule in enumerate(rules)
    )
    asked = {"principal": 'U::"u"', "action": 'A::"a"', "resource": 'R::"r"'}

    def decide(records: Records) -> list[int | None]:
        out: list[int | None] = []
        for found in cedarpy.is_authorized_batch([{**asked, "context": r} for r in records], text, []):
            out.append(min((int(reason.removeprefix("policy")) for reason in found.diagnostics.reasons), default=None))
        return out

    return decide


PEERS: dict[str, Callable[[Rules], Decide]] = {
    "if_elif": if_elif, "zen": zen, "zen_traced": zen_traced, "cel": cel, "rule_engine": rule_engine, "json_logic": json_logic, "cedar": cedar,
}  # fmt: skip
SLOW = {"cel", "rule_engine", "json_logic", "cedar"}  # asked about fewer records
