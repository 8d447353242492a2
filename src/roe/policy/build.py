"""`load`: a policy folder to a checked `Policy`, through every stage, with every diagnostic."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roe.crm import PROFILES
from roe.crm.ids import fold
from roe.diagnostics import Diagnostic, errors, suggest
from roe.files import schema
from roe.grammar import types as t
from roe.grammar import values as v
from roe.grammar.clock import CALENDAR_YEAR, OFFICE, Fiscal, holidays_of, hours_of, zone_of
from roe.grammar.functions import BY_NAME, MONTHS
from roe.grammar.history import PER_ROLE
from roe.grammar.types import Type
from roe.plan.operators import Plan
from roe.policy.context import Context
from roe.policy.loader import Map, Seq, load_policy_files, parse_yaml, validate_files
from roe.policy.model import NUMBERS, DataSource, Field, Keys, Model, Policy, coded, keys_of, standard_fields, type_named
from roe.source import Span, Text, span_of
from roe.stages import lowered, relations


def build(root: Path, instead: Mapping[str, str] | None = None) -> tuple[Policy | None, list[Diagnostic]]:
    """The policy in a folder and all findings; no policy if one of them is an error.

    `instead` are texts of included files by name, which stand for the files themselves, or are added to them.
    """
    files, found = load_policy_files(root)
    if not files:
        return None, found
    for name, text in (instead or {}).items():
        content, problems = parse_yaml(text, name, schema("policy"))
        found += problems
        files = [f for f in files if f[0] != name] + ([(name, content)] if content is not None else [])
    found += validate_files(files)
    if errors(found):
        return None, found
    merged, problems = _merge(files)
    found += problems
    cx = Context(root, Model([str(r) for r in merged.get("roles") or ["owner"]]), profile=str(merged.get("profile") or "generic"))
    cx.found = found
    cx.files = [name for name, _ in files]
    policy = _build(root, merged, cx)
    return (None if errors(cx.found) else policy), _unique(cx.found)


def _unique(found: list[Diagnostic]) -> list[Diagnostic]:
    return list({(d.code, d.message, d.span.file, d.span.line, d.span.column): d for d in found}.values())


def _merge(files: list[tuple[str, Any]]) -> tuple[Map, list[Diagnostic]]:
    """All files as one: mappings join key by key, lists one after the other, a scalar stands once."""
    found: list[Diagnostic] = []

    def join(into: Map, more: Map) -> None:
        for key, value in more.items():
            if key == "include":
                continue
            have = into.get(key)
            if have is None:
                into[key] = value
            elif isinstance(have, Map) and isinstance(value, Map):
                if "table" in have or "file" in have or "when" in have or "criteria" in have:
                    found.append(_twice(into, key))
                else:
                    join(have, value)
            elif isinstance(have, Seq) and isinstance(value, Seq):
                have.extend(value)
            elif not (key == "roe" and have == value):
                found.append(_twice(into, key))

    def _twice(into: Map, key: Any) -> Diagnostic:
        related = (("first here", span_of(into.key(key))),)
        return Diagnostic("R306", f"`{key}` is given in two files", span_of(key), "remove one of the two", related)

    merged = Map()
    merged.place = files[0][1].place
    for _, content in files:
        join(merged, content)
    return merged, found


def _build(root: Path, raw: Map, cx: Context) -> Policy:
    zone, calendar = str(raw.get("timezone") or "UTC"), str(raw.get("calendar") or "")
    for key, check in (("timezone", zone_of), ("calendar", holidays_of)):
        if raw.get(key):
            try:
                check(str(raw[key]))
            except ValueError as e:
                cx.say("R311", raw[key], str(e), "an IANA name such as Europe/Berlin; a country code such as US or DE-BY")
    hours = hours_of(str(raw.get("working_hours") or ""))
    if raw.get("working_hours") and hours is None:
        cx.say("R311", raw["working_hours"], f"`{raw['working_hours']}` are not working hours", "write them as 09:00-17:30")
    _entities(raw, cx)
    _lists(raw, cx)
    parts = lowered(raw, cx)
    rules = parts.pop("engagement")
    plan = Plan(cx.steps, parts.pop("pools"), rules, cx.lists, cx.dated, parts)
    data = {str(e): _source(str(e), d, cx) for e, d in (raw.get("data") or {}).items()}
    return Policy(
        root,
        str(raw["name"]),
        zone,
        calendar,
        hours or OFFICE,
        cx.profile,
        cx.model,
        plan,
        data,
        tuple(dict.fromkeys(cx.files)),
        _fiscal(raw, cx),
    )


def _fiscal(raw: Map, cx: Context) -> Fiscal:
    """`fiscal_year: February`, or `{starts: February, named_by: start}`."""
    given = raw.get("fiscal_year")
    if given is None:
        return CALENDAR_YEAR
    month = given if isinstance(given, str) else given["starts"]
    months = [m.lower() for m in MONTHS]
    said = str(month).strip().lower()
    found = [i for i, name in enumerate(months, 1) if said in (name, name[:3], str(i))]
    if not found:
        cx.say("R311", month, f"`{month}` is not a month", suggest(said, months, "write `fiscal_year: February`"))
        return CALENDAR_YEAR
    return Fiscal(found[0], isinstance(given, str) or str(given.get("named_by") or "end") == "end")


def _source(entity: str, spec: Any, cx: Context) -> DataSource:
    """Where an entity's records are, and what they must be like."""
    guards = spec.get("expect") or Map()
    filled = guards.get("filled") or ()
    shares = {str(x): _share(filled[x], cx) for x in filled} if isinstance(filled, Map) else {str(x): 1.0 for x in filled}
    for name in filled:
        if str(name).partition(".")[0] not in cx.model.entities.get(entity, {}):
            known = cx.model.entities.get(entity, {})
            cx.say("R204", name, f"unknown field `{name}` of {entity}", suggest(str(name), known, "declare the field under `fields:`"))
    return DataSource(
        str(spec.get("file") or ""),
        tuple(map(str, spec.get("missing") or ())),
        str(spec.get("format") or ""),
        str(spec.get("numbers") or ""),
        str(spec.get("dates") or ""),
        str(spec.get("encoding") or ""),
        spec.get("optional") is True,
        int(guards.get("rows") or 0),
        _share(guards["fall"], cx) if guards.get("fall") is not None else None,
        tuple((name, share) for name, share in shares.items() if share is not None),
    )


def _share(text: Any, cx: Context) -> float | None:
    """`20 %`, or 0.2, as a share; None after a diagnostic."""
    written = str(text).strip()
    number = _number(written.removesuffix("%").strip())
    share = None if number is None else float(number) / (100 if written.endswith("%") else 1)
    if share is None or not 0 <= share <= 1:
        cx.say("R311", text, f"`{text}` is not a share", "write `20 %`")
        return None
    return share


def _entities(raw: Map, cx: Context) -> None:
    cx.model.entities.update(standard_fields(cx.profile))
    declared = raw.get("fields") or {}
    for entity in declared:
        cx.model.entities.setdefault(str(entity), {"id": Field("id", t.STRING), "name": Field("name", t.STRING)})
    for entity, fields in declared.items():
        for name, spec in fields.items():
            found = _field(str(entity), name, spec, cx)
            if found:
                cx.model.entities[str(entity)][str(name)] = found
    for known in cx.model.entities.values():
        if any(f.type == t.OWNERS for f in known.values()):
            for base, kind in PER_ROLE.items():
                for role in cx.model.roles():
                    known.setdefault(f"{base}.{role}", Field(f"{base}.{role}", type_named(kind), standard=True))


def _field(entity: str, name: Text, spec: Any, cx: Context) -> Field | None:
    old = cx.model.entities[entity].get(str(name))
    if isinstance(spec, str):
        spec = Map({"type": spec})
    place: Span = span_of(name)
    if spec.get("many"):
        other = str(spec["many"])
        if other not in cx.model.entities:
            cx.say("R504", spec["many"], f"there is no entity `{other}`", suggest(other, cx.model.entities, "declare it under `fields:`"))
            return None
        via, key = relations.ends(entity, str(name), spec)
        return Field(str(name), t.list_of(t.record(other)), via=via, key=key, span=place)
    kind = old.type if old and not spec.get("type") else type_named(str(spec.get("type") or "string"))
    reads = str(spec["type"]) if spec.get("type") in t.WRITTEN else old.reads if old and not spec.get("type") else ""
    if kind.name in ("number", "range") and spec.get("format") and spec["format"] not in NUMBERS:
        cx.say(
            "R311", spec["format"], f"`{spec['format']}` is not a format of numbers", "write one of " + ", ".join(f"`{x}`" for x in NUMBERS)
        )
        return None
    if kind.name == "record" and kind.entity not in cx.model.entities:
        known = [*t.DECLARABLE, *cx.model.entities]
        cx.say(
            "R504",
            spec["type"],
            f"there is no type or entity `{kind.entity}`",
            suggest(kind.entity, known, "declare the entity under `fields:`"),
        )
        return None
    values = tuple(fold(str(x)) for x in spec.get("values") or ())
    if values and kind.name not in ("string", "list"):
        cx.say("R304", spec.key("values"), f"a {kind} cannot have a list of values", "only strings can have one")
    if not _default_fits(spec.get("default"), kind, values):
        of = f" among {', '.join(values)}" if values else ""
        cx.say("R311", spec.key("default"), f"the default `{spec['default']}` is not a {kind}{of}", "write a value of the field's type")
        return None
    normalize = str(spec.get("normalize") or (old.normalize if old and (old.normalize != "queue" or not spec.get("column")) else ""))
    columns = spec.get("column") or ()
    columns = (str(columns),) if isinstance(columns, str) else tuple(map(str, columns))
    return Field(
        str(name),
        coded(
            Type(kind.name, kind.item, kind.entity, kind.fields, values, declared=place), "" if values or spec.get("aliases") else normalize
        ),
        columns or (old.columns if old else ()),
        {str(k): str(v) for k, v in (spec.get("aliases") or {}).items()},
        normalize,
        str(spec.get("format") or ""),
        spec.get("required") is True,
        spec.get("default"),
        standard=old is not None,
        reads=reads,
        missing=None if spec.get("missing") is None else tuple(map(str, spec["missing"])),
        currency=str(spec.get("currency") or ""),
        profile=old.profile if old and not columns else "",
        words=old.words if old and not columns else (),
        keys=_keys(entity, kind, old, cx),
        span=place,
    )


def _keys(entity: str, kind: Type, old: Field | None, cx: Context) -> Keys | None:
    """How cells of a declared field name records: as the standard field of this name and type does, else as the profile has it."""
    return old.keys if old and old.type == kind else keys_of(PROFILES[cx.profile], entity, kind, "")


def _default_fits(default: Any, kind: Type, values: tuple[str, ...]) -> bool:
    """Whether a field's default is a value of its type: records take it as it is."""
    if default is None:
        return True
    text = str(default)
    if kind.name == "number":
        return _number(text) is not None
    if kind.name == "boolean":
        return text in ("true", "false", "yes", "no")
    if kind.name in ("date", "date and time", "time") or "duration" in kind.name:
        return v.kind(v.parse_temporal(text)) == kind.name
    return kind.name not in ("record", "owners") and (not values or text in values)


def _number(text: str) -> Any:
    """The number that a text is in the language, or None."""
    return BY_NAME["number"].invoke([text, None, None])


def _lists(raw: Map, cx: Context) -> None:
    for name, spec in (raw.get("lists") or {}).items():
        if isinstance(spec, list) or "values" in spec:
            values = spec if isinstance(spec, list) else spec["values"]
            cx.lists[str(name)] = [fold(str(x)) for x in values]
            continue
        table, problems = cx.file_table(spec["file"])
        cx.found += problems
        cx.lists[str(name)] = []
        if table is None:
            continue
        key = spec.get("key") or table.header[0]
        column = table.column(key)
        if column is None:
            cx.say("R403", key, f"`{table.name}` has no column `{key}`", suggest(key, table.header, "add the column"))
            continue
        starts, ends = table.column("from"), table.column("until")
        rows = [row for row in table.rows if row[column]]
        if starts is None and ends is None:
            cx.lists[str(name)] = [fold(str(row[column])) for row in rows]
            continue
        del cx.lists[str(name)]  # its members depend on the day: no constant of the index
        cx.dated[str(name)] = [
            cx.dated_value(row[column], row[starts] if starts is not None else None, row[ends] if ends is not None else None)
            for row in rows
        ]
