"""`load`: a policy folder to a checked `Policy`, through every stage, with every diagnostic."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

from roe.diagnostics import Diagnostic, errors
from roe.files import schema
from roe.grammar.names import Names
from roe.plan.operators import Expr
from roe.plan.plan import Plan, expressions_of
from roe.policy.circles import own_circles, own_fields
from roe.policy.context import Context
from roe.policy.loader import Map, Seq, load_policy_files, parse_yaml, validate_files
from roe.policy.model import Model, Policy
from roe.policy.section import read
from roe.source import Span, span_of
from roe.stages import lowered
from roe.stages.settings import SettingsSection, fiscal_year, time_zone, working_hours


def build(
    root: Path, instead: Mapping[str, str] | None = None, checked: list[tuple[Expr, Names]] | None = None
) -> tuple[Policy | None, list[Diagnostic]]:
    """The policy in a folder and all findings; no policy if one of them is an error.

    `instead` are texts of included files by name, which stand for the files themselves, or are added to them. `checked` is filled with every
    expression of the policy and what its names mean.
    """
    files, diagnostics = load_policy_files(root)
    if not files:
        return None, diagnostics
    for name, text in (instead or {}).items():
        content, problems = parse_yaml(text, name, schema("policy"))
        diagnostics += problems
        files = [f for f in files if f[0] != name] + ([(name, content)] if content is not None else [])
    diagnostics += validate_files(files)
    if errors(diagnostics):
        return None, diagnostics
    merged, problems = _merge(files)
    diagnostics += problems
    settings: SettingsSection = read(SettingsSection, merged)
    cx = Context(root, Model([str(role) for role in settings.roles]), profile=str(settings.profile or "generic"))
    cx.diagnostics = diagnostics
    cx.files = [name for name, _ in files]
    policy = _build(root, merged, settings, cx)
    if checked is not None:
        checked += cx.checked
    return (None if errors(cx.diagnostics) else policy), _unique(cx.diagnostics)


def _unique(findings: list[Diagnostic]) -> list[Diagnostic]:
    return list({(d.code, d.message, d.span.file, d.span.line, d.span.column): d for d in findings}.values())


def _merge(files: list[tuple[str, Map]]) -> tuple[Map, list[Diagnostic]]:
    """All files as one: mappings join key by key, lists one after the other, a scalar stands once."""
    problems: list[Diagnostic] = []

    def join(into: Map, more: Map) -> None:
        for key, value in more.items():
            if key == "include":
                continue
            have = into.get(key)
            if have is None:
                into[key] = value
            elif isinstance(have, Map) and isinstance(value, Map):
                if "table" in have or "file" in have or "when" in have or "criteria" in have:
                    problems.append(_twice(into, key))
                else:
                    join(have, value)
            elif isinstance(have, Seq) and isinstance(value, Seq):
                have.extend(value)
            elif not (key == "roe" and have == value):
                problems.append(_twice(into, key))

    def _twice(into: Map, key: str) -> Diagnostic:
        related = (("first here", span_of(into.key(key))),)
        return Diagnostic("R306", f"`{key}` is given in two files", span_of(key), "remove one of the two", related)

    merged = Map()
    merged.place = files[0][1].place
    for _, content in files:
        join(merged, content)
    return merged, problems


def _build(root: Path, merged: Map, settings: SettingsSection, cx: Context) -> Policy:
    zone, hours = time_zone(settings, cx), working_hours(settings, cx)
    parts = lowered(merged, cx)
    _say_circles(cx)
    sources, pools, rules = parts.pop("data"), parts.pop("pools"), parts.pop("engagement")
    return Policy(
        root,
        str(settings.name),
        zone,
        str(settings.calendar or ""),
        hours,
        cx.profile,
        cx.model,
        Plan(cx.steps, pools, rules, cx.lists, cx.dated, parts),
        sources,
        tuple(dict.fromkeys(cx.files)),
        fiscal_year(settings, cx),
    )


def _say_circles(cx: Context) -> None:
    """Fields of different sections that need each other; circles of definitions alone are known since their types were found."""
    for circle in own_circles(cx.steps):
        around = (*circle, circle[0])
        if all(cx.steps[field].stage == "definition" for field in circle):
            continue
        names = " -> ".join(map(".".join, around))
        for field, needed in itertools.pairwise(around):
            text = next((x.text for x in expressions_of(cx.steps[field]) if needed in own_fields(x.tree, field[0])), None)
            if text is not None and not _has_finding(cx, span_of(text)):
                help = "break the circle: let one of them read stored fields only"
                cx.say("R208", text, f"`{'.'.join(circle[0])}` depends on itself: {names}", help)
                break


def _has_finding(cx: Context, span: Span) -> bool:
    """Whether something is wrong there already: what is meant to stand there may not need itself."""
    return any((d.span.file, d.span.line) == (span.file, span.line) for d in cx.diagnostics)
