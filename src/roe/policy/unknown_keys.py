"""The next step for a key that a policy cannot have where it stands: the key that is meant, or the place where this one belongs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from roe.diagnostics import suggest
from roe.dynamic import Json

DEEPEST = 6  # keys from the top of a policy
FEW = 10  # keys that are listed beside another next step
NEAR = 0.75  # how alike two words are that are surely meant for each other: above this, a slip of the finger

# What people call a key in other tools, and what it is called here; the first that can stand in the place is offered.
OTHER_WORDS: dict[str, tuple[str, ...]] = {
    "action": ("then",),
    "condition": ("when",),
    "criteria": ("when", "define"),
    "definitions": ("define",),
    "derived": ("define",),
    "duration": ("lasts", "keep"),
    "entities": ("fields",),
    "entity": ("for",),
    "formulas": ("define",),
    "if": ("when",),
    "named_accounts": ("lists",),
    "objects": ("fields",),
    "owner": ("assign",),
    "queues": ("pools",),
    "reason": ("because",),
    "reps": ("members",),
    "rotations": ("pools",),
    "rules": ("engagement",),
    "users": ("members",),
    "where": ("when",),
}


CUT = "inside `{…}` a comma ends the value: put quotes around the whole expression, `when: '…'`"


def is_cut_off(key: str, value: object) -> bool:
    """Whether a key is the second half of an expression, as in `{when: x in (a, b)}`: YAML gives it no value."""
    return value is None and any(sign in key for sign in ")]\"'<>=")


def next_step(key: str, known: Sequence[str], root: Json, path: Sequence[str | int]) -> str:
    """What to write instead of an unknown key. `known` may stand there, `path` leads to the place, and `root` is the policy's JSON Schema."""
    listed = "known keys here: " + ", ".join(f"`{k}`" for k in known)
    surely = suggest(key, known, "", NEAR)
    meant = next((word for word in OTHER_WORDS.get(key.lower(), ()) if word in known), "")
    if surely or meant:
        return surely or f"write `{meant}`"
    here = [str(step) for step in path if isinstance(step, str)]
    places = sorted(_places(key, root), key=lambda place: (-_shared(place, here), len(place)))
    if not places:
        return suggest(key, known, listed)
    nearest, shared = places[0], _shared(places[0], here)
    if shared == len(here):
        if len(nearest) == len(here) + 1:
            return f"it does not go with the other keys here; {listed}"
        if nearest[len(here)] in known:
            return f"write `{_written(nearest[len(here) :])}`"
    if len({place[0] for place in places}) > 1:  # a word of many sections, which says little about the one that is meant
        return suggest(key, known, listed)
    elsewhere = f"`{key}` belongs to `{_written(nearest)}`"
    return elsewhere if len(known) > FEW else f"{listed}; {elsewhere}"


def _written(keys: Sequence[str]) -> str:
    """A path as YAML: `then: {assign: …}`."""
    shown = "…"
    for key in reversed(keys):
        shown = f"{{{key}: {shown}}}"
    return shown[1:-1]


def _shared(place: Sequence[str], here: Sequence[str]) -> int:
    """How many steps a place of the schema has in common with a path of the policy; `…` is any name."""
    shared = 0
    for a, b in zip(place, here):
        if a not in (b, "…"):
            break
        shared += 1
    return shared


def _places(key: str, root: Json) -> Iterator[tuple[str, ...]]:
    """The paths of the schema that lead to a key. On each path a shape is gone into once: a group of conditions may hold another."""
    todo: deque[tuple[object, tuple[str, ...], frozenset[str]]] = deque([(root, (), frozenset())])
    while todo:
        shape, path, within = todo.popleft()
        if not isinstance(shape, dict) or len(path) > DEEPEST:
            continue
        if "$ref" in shape:
            name = shape["$ref"].rpartition("/")[2]
            if name not in within:
                todo.append((root["$defs"][name], path, within | {name}))
            continue
        properties = shape.get("properties", {})
        if key in properties:
            yield (*path, key)
        inner = [(each, (*path, name)) for name, each in properties.items()]
        inner += [(each, (*path, "…")) for each in (shape.get("additionalProperties"), *shape.get("patternProperties", {}).values())]
        inner += [(each, path) for each in (shape.get("items"), *(x for word in ("anyOf", "oneOf", "allOf") for x in shape.get(word, ())))]
        todo += [(*each, within) for each in inner]
