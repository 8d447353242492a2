"""A fitted card as a section of a policy, written in the policy's own values."""

from __future__ import annotations

import json
from typing import Any

from roe.scoring.card import Card
from roe.scoring.history import History


def card_yaml(card: Card, found: History, entity: str, name: str, outcome: str, how: str) -> str:
    """A score card as a section of a policy, readable, with where it comes from."""

    def text(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)

    lines = [
        "# A score card fitted by `roe score fit`; whole points, 20 of them double the odds.",
        f"# outcome: {' '.join(outcome.split())}",
        f"# fitted to {card.trained} records; held out: {how}",
        f"# chance of winning: 1 / (1 + exp(-({card.intercept:.4f} + {card.slope:.5f} * score)))",
        "roe: 1", "fields:", f"  {entity}:",
    ]  # fmt: skip
    kinds = {}
    for c in card.criteria:
        values = [x for x in found.features[c.feature] if x is not None]
        kinds[c.feature] = (
            "boolean"
            if all(isinstance(x, bool) for x in values)
            else "number"
            if all(isinstance(x, (int, float)) for x in values)
            else "string"
        )
    lines += [f"    {feature}: {{type: {kind}}}" for feature, kind in kinds.items()]
    lines += ["scores:", f"  {name}:", f"    for: {entity}", "    criteria:"]
    for c in card.criteria:
        path = f"{entity}.{c.feature}"
        when = (
            f"{path} = null" if c.kind == "missing" else path if c.kind == "true" else f"{path} = {text(c.value)}" if c.kind == "value"
            else " and ".join([*([f"{path} >= {c.low!r}"] if c.low is not None else []), *([f"{path} < {c.high!r}"] if c.high is not None else [])])
        )  # fmt: skip
        lines.append(f"      - {{name: {text(c.name)}, when: {text(when)}, points: {c.points}}}")
    return "\n".join(lines) + "\n"
