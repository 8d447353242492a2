"""YAML read strictly: text stays text until the schema asks for something else.

YAML's guesses are its classic trap: `NO` is Norway and not false, `01234` is a ZIP code and not 668, and the last of two
equal keys wins in silence. So only the *nodes* of PyYAML are used, each scalar keeps its text and its place, and the
published JSON Schema says which scalars are numbers or booleans. The same schema then validates the result.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from roe.diagnostics import Diagnostic, suggest
from roe.dynamic import Json, JsonObject, Value, Written
from roe.files import MAX_POLICY_BYTES, read_text, resolve, schema
from roe.policy.shapes import items, member, shapes
from roe.policy.unknown_keys import CUT, is_cut_off, next_step
from roe.source import Scalar, Span, Text, span_of

SchemaError = Any  # a ValidationError of jsonschema, most of whose attributes have no type
MAX_NODES = 200_000
MAX_NESTING = 40
MOST_KEYS = 8  # of a mapping, in a message

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Map(dict[str, Value]):
    """A YAML mapping; keys are `Text`, so that a key has a place too."""

    __slots__ = ("place",)
    place: Span | None

    def key(self, name: str) -> str:
        return next((k for k in self if k == name), name)


class Seq(list[Value]):
    __slots__ = ("place",)
    place: Span | None


def load_yaml(path: Path, shown: str, of: JsonObject) -> tuple[Written, list[Diagnostic]]:
    """A YAML file as `Map`, `Seq`, `Text`, and the numbers, booleans and nulls that the schema `of` asks for."""
    text, problems = read_text(path, shown, MAX_POLICY_BYTES)
    if text is None:
        return None, problems
    return parse_yaml(text, shown, of)


def parse_yaml(text: str, shown: str, of: JsonObject) -> tuple[Written, list[Diagnostic]]:
    problems = _scan(text, shown)
    if problems:
        return None, problems
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as e:
        return None, [_yaml_error(e, text, shown)]
    except (ValueError, RecursionError) as e:
        return None, [Diagnostic("R301", f"not valid YAML: {e}", Span(shown, 1, 1, 1), "correct it")]
    reader = _Reader(text, shown, of)
    value = None if node is None else reader.read(node, of)
    if value is None and not reader.diagnostics:
        return None, [Diagnostic("R301", "the file is empty", Span(shown, 1, 1, 1), "write at least `roe: 1` and `name:`")]
    return value, reader.diagnostics


def _scan(text: str, shown: str) -> list[Diagnostic]:
    """Refuse aliases, and bound size and nesting, before any tree is built."""
    problems: list[Diagnostic] = []
    depth = count = 0
    try:
        for event in yaml.parse(text, Loader=_Loader):
            count += 1
            start = event.start_mark
            assert start is not None  # of every event that is read from a text
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                at = Span(shown, start.line + 1, start.column + 1, start.column + 2, _line(text, start.line))
                problems.append(Diagnostic("R303", "an anchor or alias of YAML", at, "write the value out, or define a list"))
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            elif isinstance(event, yaml.DocumentStartEvent) and count > 2:
                at = Span(shown, start.line + 1, 1, 4, _line(text, start.line))
                problems.append(Diagnostic("R301", "a second document in one file", at, "put it into a file of its own"))
            if depth > MAX_NESTING or count > MAX_NODES:
                at = Span(shown, start.line + 1, start.column + 1, start.column + 2)
                return [Diagnostic("R309", "the file is nested too deeply or too long", at, "split it; put long lists into CSV")]
    except yaml.YAMLError as e:
        return [_yaml_error(e, text, shown)]
    except (ValueError, RecursionError) as e:
        return [Diagnostic("R301", f"not valid YAML: {e}", Span(shown, 1, 1, 1), "correct it")]
    return problems


def _line(text: str, number: int) -> str:
    lines = text.split("\n")
    return lines[number] if number < len(lines) else ""


def _yaml_error(e: yaml.YAMLError, text: str, shown: str) -> Diagnostic:
    mark = getattr(e, "problem_mark", None) or getattr(e, "context_mark", None)
    problem = getattr(e, "problem", None) or getattr(e, "reason", None) or "cannot be read"
    line, column = (mark.line, mark.column) if mark else (0, 0)
    excerpt = _line(text, line)
    help = "check indentation, and quote text that has `: `, ` #` or begins with a sign"
    if "\t" in excerpt[: column + 1]:
        help = "indent with spaces: YAML has no tabs"
    elif "mapping values are not allowed" in problem or "expected ',' or '}'" in problem:
        help = "quote an expression that has `: `, or that has commas or brackets inside `{…}`"
    return Diagnostic("R301", f"not valid YAML: {problem}", Span(shown, line + 1, column + 1, column + 2, excerpt), help)


class _Reader:
    """Nodes to values, led by the schema."""

    def __init__(self, text: str, shown: str, root: JsonObject) -> None:
        self.text, self.shown, self.root = text, shown, root
        self.diagnostics: list[Diagnostic] = []
        self.lines = text.split("\n")

    def read(self, node: yaml.Node, of: JsonObject) -> Written:
        """A node as the schema `of` says that it is to be read."""
        known = list(shapes(of, self.root))
        if isinstance(node, yaml.MappingNode):
            return self._map(node, known)
        if isinstance(node, yaml.SequenceNode):
            sequence = Seq()
            sequence.place = self._span(node)
            inner = items(known)
            sequence.extend(self.read(child, inner) for child in node.value)
            return sequence
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, {t for shape in known for t in self._types(shape)})

    def _types(self, shape: Json) -> list[str]:
        if "enum" in shape:
            return ["string"]
        types = shape.get("type", [])
        return types if isinstance(types, list) else [types]

    def _map(self, node: yaml.MappingNode, known: list[JsonObject]) -> Map:
        mapping = Map()
        mapping.place = self._span(node)
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.diagnostics.append(Diagnostic("R301", "a key is plain text", self._span(key_node), "quote `{`, `[` and `?`"))
                continue
            key = self._text(key_node)
            if key in mapping:
                first = span_of(mapping.key(key))
                help = "remove one of the two, or join them"
                self.diagnostics.append(Diagnostic("R302", f"`{key}` appears twice", key.span(), help, (("first here", first),)))
                continue
            mapping[key] = self.read(value_node, member(known, key))
        return mapping

    def _scalar(self, node: yaml.ScalarNode, types: set[str]) -> Text | float | bool | None:
        text = self._text(node)
        plain = not node.style
        if plain and text in ("", "~", "null") and ("null" in types or "string" not in types):
            return None
        if "string" not in types and plain:
            if "boolean" in types and text in ("true", "false"):
                return text == "true"
            if types & {"integer", "number"}:
                try:
                    return int(text) if len(text) < 30 else float(text)
                except ValueError:
                    pass
                try:
                    number = float(text) if "number" in types else math.inf
                    return number if math.isfinite(number) else text
                except ValueError:
                    pass
        return text

    def _text(self, node: yaml.ScalarNode) -> Text:
        style = node.style or ""
        value = str(node.value)
        start, end = node.start_mark.index, node.end_mark.index
        return Text(value, Scalar(self.shown, self.text, start, end, style))

    def _span(self, node: yaml.Node) -> Span:
        m = node.start_mark
        excerpt = self.lines[m.line] if m.line < len(self.lines) else ""
        return Span(self.shown, m.line + 1, m.column + 1, m.column + 2, excerpt)


# --- the schema -----------------------------------------------------------------------------------------------------


def validate(value: object, of: Json, shown: str) -> list[Diagnostic]:
    """What the JSON Schema has against a value, each with its place and, for a key, the nearest one that exists."""
    from jsonschema import Draft202012Validator

    problems: list[Diagnostic] = []
    for error in sorted(Draft202012Validator(of).iter_errors(value), key=lambda e: [str(p) for p in e.absolute_path]):
        todo = [error]
        while todo:
            e = todo.pop()
            if e.validator == "anyOf" and e.context:
                todo.append(_likeliest(e, of))
                continue
            problems += _schema_diagnostics(e, value, shown, of)
    unique = {(d.code, d.message, d.span): d for d in problems}
    return list(unique.values())


def _likeliest(e: SchemaError, root: Json) -> SchemaError:
    """Of several alternatives that all fail, the complaint about the one that the value resembles most."""

    def likeness(c: SchemaError) -> tuple[int, int, bool]:
        shape = e.schema["anyOf"][c.schema_path[0]]
        if "$ref" in shape:
            shape = root["$defs"][shape["$ref"].rpartition("/")[2]]
        keys = set(shape.get("properties", ())) & set(e.instance) if isinstance(e.instance, dict) else ()
        return len(keys), len(c.absolute_path), c.validator != "type" and not (c.validator == "enum" and isinstance(e.instance, dict))

    return max(e.context, key=likeness)


def _schema_diagnostics(e: SchemaError, value: object, shown: str, of: Json) -> list[Diagnostic]:
    """What one error of the JSON Schema means to whoever wrote the file."""
    place = _place(value, list(e.absolute_path), shown)
    if "propertyNames" in e.absolute_schema_path:
        place = span_of(e.instance)
    return _SAYS.get(e.validator, _otherwise)(e, place, of)


def _unknown_keys(e: SchemaError, place: Span, of: Json) -> list[Diagnostic]:
    known, path = list(e.schema.get("properties", {})), list(e.absolute_path)
    extra = [(k, CUT if is_cut_off(k, value) else next_step(k, known, of, path)) for k, value in e.instance.items() if k not in known]
    return [Diagnostic("R305", f"unknown key `{k}`", span_of(k), help) for k, help in extra]


def _missing_keys(e: SchemaError, place: Span, of: Json) -> list[Diagnostic]:
    missing = [k for k in e.validator_value if k not in e.instance]
    return [Diagnostic("R304", f"`{k}` is missing", place, f"add `{k}: …`") for k in missing]


def _not_among(e: SchemaError, place: Span, of: Json) -> list[Diagnostic]:
    allowed = [str(v) for v in (e.validator_value if e.validator == "enum" else [e.validator_value])]
    listed = "write one of " + ", ".join(f"`{a}`" for a in allowed)
    return [Diagnostic("R304", f"`{e.instance}` is not allowed here", place, suggest(str(e.instance), allowed, listed))]


def _other_type(e: SchemaError, place: Span, of: Json) -> list[Diagnostic]:
    want = e.validator_value if isinstance(e.validator_value, str) else " or ".join(e.validator_value)
    words = {"object": "a mapping (`key: value`)", "array": "a list (`- …`)", "string": "text", "null": "nothing"}
    described = f"it is {e.schema['description']}" if "description" in e.schema and want == "string" else ""
    help = _form(e.schema, of) or described or "see docs/policy.md, or let your editor show the schema"
    return [Diagnostic("R304", f"{words.get(want, f'a {want}')} is expected here", place, help)]


def _form(shape: Json, of: Json) -> str:
    """The keys of a mapping, or of the mappings in a list; nothing where the schema has other things there."""
    items = shape.get("items")
    if items and "$ref" in items:
        items = of["$defs"][items["$ref"].rpartition("/")[2]]
    needed = (items or shape).get("required", ())
    keys = sorted((items or shape).get("properties", ()), key=lambda key: key not in needed)[:MOST_KEYS]
    if items and not keys:
        return "write each entry on a line of its own that begins with `- `"
    if items:
        return f"write `- {{{', '.join(f'{key}: …' for key in keys)}}}`, with the keys that you need"
    return f"its keys are {', '.join(f'`{key}`' for key in keys)}" if keys else ""


def _other_form(e: SchemaError, place: Span, of: Json) -> list[Diagnostic]:
    wants = {
        "day": "a date such as 2026-02-01",
        "duration": "a duration such as `90 days`",
        "positive_duration": "a duration longer than zero, such as `90 days`",
    }
    hint = next((w for k, w in wants.items() if e.schema.get("pattern") == schema("policy")["$defs"][k]["pattern"]), None)
    help = f"write {hint or e.schema.get('description', 'a name')}"
    return [Diagnostic("R304", f"`{e.instance}` does not have the right form", place, help)]


def _one_of(e: SchemaError, place: Span, of: Json) -> list[Diagnostic]:
    ways = [_listed(way["required"], "and") for way in e.validator_value]
    nots = [_listed([each["required"][0] for each in way["not"]["anyOf"]], "or") for way in e.validator_value]
    help = ", or ".join(f"write {way} without {without}" for way, without in zip(ways, nots, strict=True))
    return [Diagnostic("R304", "these keys do not go together, or one is missing", place, help)]


def _listed(keys: list[str], joined: str) -> str:
    *most, last = (f"`{key}`" for key in keys)
    return f"{', '.join(most)} {joined} {last}" if most else last


def _otherwise(e: SchemaError, place: Span, of: Json) -> list[Diagnostic]:
    return [Diagnostic("R304", str(e.message)[:200].replace("\n", " "), place, "see docs/policy.md")]


_SAYS = {
    "additionalProperties": _unknown_keys,
    "required": _missing_keys,
    "enum": _not_among,
    "const": _not_among,
    "type": _other_type,
    "pattern": _other_form,
    "oneOf": _one_of,
}


def _place(value: Written, path: list[Value], shown: str) -> Span:
    """The place of the value at a path, or of the nearest thing around it that has one."""
    place = getattr(value, "place", None) or Span(shown, 1, 1, 1)
    for step in path:
        if isinstance(value, Map):
            place = span_of(value.key(step))
        parent, value = value, value[step]
        if isinstance(value, Text):
            place = value.span()
        elif getattr(value, "place", None) and isinstance(parent, list):
            place = value.place
    return place


def load_policy_files(root: Path) -> tuple[list[tuple[str, Written]], list[Diagnostic]]:
    """policy.yaml and all that it includes, depth first: (name, content), and what is wrong with their form."""
    of = schema("policy")
    files: list[tuple[str, object]] = []
    diagnostics: list[Diagnostic] = []

    def add(name: str, asked: str, chain: tuple[str, ...]) -> None:
        if name in chain:
            diagnostics.append(Diagnostic("R310", f"`{name}` includes itself", span_of(asked), "remove one of the two includes"))
            return
        if any(n == name for n, _ in files):
            return
        path, problems = resolve(root, asked)
        if path is None:
            diagnostics.extend(problems)
            return
        content, problems = load_yaml(path, name, of)
        diagnostics.extend(problems)
        if content is None:
            return
        files.append((name, content))
        if isinstance(content, Map) and isinstance(content.get("include"), list):
            for other in content["include"]:
                if isinstance(other, str) and len(files) < 200:
                    add(str(other), other, (*chain, name))

    add("policy.yaml", "policy.yaml", ())
    return files, diagnostics


def validate_files(files: list[tuple[str, object]]) -> list[Diagnostic]:
    """The schema's findings in every file; only the main one must have `roe` and `name`."""
    main = schema("policy")
    schema_of_file = {**main, "required": []}
    return [d for i, (name, content) in enumerate(files) for d in validate(content, schema_of_file if i else main, name)]
