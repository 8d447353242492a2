"""`python tools/schema.py` writes the schema of policies from the classes of their sections, and that of allocations.csv from its columns;
`--check` says whether both are fresh.

The classes are beside the stages that read them (`roe.stages.STAGES`); `roe.policy.section` has their types.
"""

from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import Mapping
from dataclasses import fields
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from roe.policy.section import Form, Section, keys, required
from roe.run.allocations import ALLOCATION_COLUMNS
from roe.source import Text
from roe.stages import STAGES
from roe.stages.settings import SettingsSection

FOLDER = Path(__file__).resolve().parents[1] / "schemas"
SCALARS = {Text: "string", str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
Schema = dict[str, Any]


class Writer:
    """JSON Schema of Python types; every section and every named form is a definition."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}

    def of(self, kind: Any) -> Schema:
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is Annotated:
            schema = self.of(arguments[0])
            for form in arguments[1:]:
                schema = self._formed(schema, form)
            return schema
        if origin is Literal:
            return {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
        if origin in (Union, types.UnionType):
            return {"anyOf": [self.of(other) for other in arguments]}
        if origin is tuple:
            return {"type": "array", "items": self.of(arguments[0])}
        if origin is Mapping:
            names = self.of(arguments[0])
            return {
                "type": "object",
                "additionalProperties": self.of(arguments[1]),
                **({"propertyNames": names} if "$ref" in names else {}),
            }
        if kind in SCALARS:
            return {"type": SCALARS[kind]}
        assert issubclass(kind, Section), kind
        return self._section(kind)

    def _formed(self, schema: Schema, form: Form) -> Schema:
        if "enum" in form.keywords:  # which says the type as well
            schema = {k: v for k, v in schema.items() if k != "type"}
        if not form.name:
            return {**schema, **form.keywords}
        self.definitions[form.name] = {**schema, **form.keywords}
        return {"$ref": f"#/$defs/{form.name}"}

    def _section(self, cls: type[Section]) -> Schema:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__.removesuffix("Section")).lower()
        if name not in self.definitions:
            self.definitions[name] = {}  # it may stand inside of itself
            self.definitions[name] = self.mapping(cls)
        return {"$ref": f"#/$defs/{name}"}

    def mapping(self, cls: type[Section]) -> Schema:
        about = {f.name: f.metadata.get("keywords", {}) for f in fields(cls)}  # type: ignore[arg-type]
        must = required(cls)
        return {
            "type": "object",
            **({"description": " ".join(cleandoc(cls.__doc__).split())} if cls.__doc__ else {}),
            "properties": {name: self._property(kind, name in must, about[attribute]) for name, (attribute, kind) in keys(cls).items()},
            "additionalProperties": False,
            **({"required": must} if must else {}),
            **cls.KEYWORDS,
        }

    def _property(self, kind: Any, needed: bool, keywords: Mapping[str, Any]) -> Schema:
        """The schema of a key: `X | None` means that it may be left out, not that it may be empty."""
        given = [other for other in get_args(kind) if other is not type(None)] if get_origin(kind) in (Union, types.UnionType) else []
        kind = Union[tuple(given)] if given and not needed else kind  # noqa: UP007
        return {**self.of(kind), **keywords}


def of_policies() -> Schema:
    writer = Writer()
    root = writer.mapping(SettingsSection)
    headings = {heading.name: heading for stage in STAGES for heading in stage.sections}
    for name, heading in headings.items():
        root["properties"][name] = {**writer.of(heading.kind), **({"description": heading.description} if heading.description else {})}
    return {"title": "A roe policy", **root, "$defs": dict(sorted(writer.definitions.items()))}


def of_allocations() -> Schema:
    properties = {column.name: dict(column.form) for column in ALLOCATION_COLUMNS}
    return {
        "title": "One row of allocations.csv, as an object; empty cells are left out", "type": "object", "additionalProperties": False,
        "properties": properties, "required": [column.name for column in ALLOCATION_COLUMNS if column.always],
    }  # fmt: skip


def main() -> None:
    for name, content in (("policy", of_policies()), ("allocations", of_allocations())):
        path = FOLDER / f"{name}.schema.json"
        head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"https://roe.dev/schemas/{path.name}"}
        after = json.dumps({**head, **content}, indent=2, ensure_ascii=False) + "\n"
        if "--check" in sys.argv and after != path.read_text("utf-8"):
            sys.exit(f"{path.name} is not what the classes say: run `python tools/schema.py`")
        if "--check" not in sys.argv:
            path.write_text(after, "utf-8", newline="\n")


if __name__ == "__main__":
    main()
