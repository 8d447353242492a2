"""A JSON Schema followed along a value: the shapes that a value can have, and those of its members and items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from roe.dynamic import Json, JsonObject


def shapes(of: object, root: Json) -> Iterator[Json]:
    """A schema with its references, which the whole schema `root` defines, and its alternatives followed."""
    if not isinstance(of, dict):
        return
    if "$ref" in of:
        yield from shapes(root["$defs"][of["$ref"].rpartition("/")[2]], root)
    for other in of.get("anyOf", ()):
        yield from shapes(other, root)
    yield of


def member(known: Iterable[Json], key: str) -> JsonObject:
    """The schema of what stands under a key of a mapping that has one of these shapes; empty where none says anything."""
    inner: Json = {}
    for shape in known:
        if key in shape.get("properties", {}):
            named: Json = shape["properties"][key]
            return named
        if isinstance(shape.get("additionalProperties"), dict):
            inner = shape["additionalProperties"]
    return inner


def items(known: Iterable[Json]) -> Json:
    """The schema of the items of a list that has one of these shapes; empty where none says anything."""
    return next((shape["items"] for shape in known if "items" in shape), {})
