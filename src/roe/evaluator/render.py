"""A trace as text for a terminal of 80 columns, and as Markdown for a ticket."""

from __future__ import annotations

import textwrap
from datetime import date

from roe.dynamic import Json
from roe.evaluator.trace import RuleTrace, StepTrace, Trace, step_title
from roe.grammar import values as v
from roe.untrusted import literal, style

_MARK = {True: "yes", False: "no", None: "unknown"}
_WIDTH = 80


def brief(value: object) -> str:
    """A value in a few words: records by name, long lists by their length."""
    if hasattr(value, "label"):
        return str(value.label)
    if isinstance(value, list):
        if len(value) > 4 or any(hasattr(i, "label") for i in value):
            return f"{len(value)} records" if value and hasattr(value[0], "label") else f"{len(value)} values" if value else "none"
        return "[" + ", ".join(brief(i) for i in value) + "]"
    if isinstance(value, dict):
        return ", ".join(f"{k} {brief(x)}" for k, x in value.items() if x is not None) or "nobody"
    text = v.literal(value) if value is not None else "missing"
    return text if len(text) <= 60 else text[:57] + "…"


def as_text(trace: Trace, color: bool = False) -> str:
    bold, dim, green, red, off = map(style, (1, 2, 32, 31, 0)) if color else ("",) * 5
    tint = {True: green, False: red, None: ""}
    lines = [*(f"{bold}{line}{off}" for line in textwrap.wrap(trace.sentence, _WIDTH)), ""]
    d = trace.decision
    if d.unknown:
        lines += [*textwrap.wrap("Could not be checked, because a value is missing: " + ", ".join(d.unknown), _WIDTH), ""]
    for step in trace.steps:
        lines.append(f"{bold}{_title(step)}{off}")
        for rule in step.rules:
            mark = f"{tint[rule.result]}{_MARK[rule.result]:<7}{off}"
            lines.append(
                f"  {rule.number:>3}. {mark} {bold if rule.fired else ''}{rule.name}{off}{_gives(step, rule)}  {dim}{rule.place}{off}"
            )
            for c in rule.conditions:
                lines.append(f"       {tint[c.result]}{_MARK[c.result]:<7}{off} {c.text}")
                shown = [f"{p.text} = {brief(p.value)}" for p in c.parts if p.text != c.text or p.value is None]
                if c.result is None and c.missing:
                    shown = [f"unknown: {m} is missing" for m in c.missing] + [x for x in shown if not x.endswith("missing")]
                place = f"{dim}{c.place}{off}" if str(c.place) != str(rule.place) else ""
                lines += [f"               {dim}{x}{off}" for x in shown] + ([f"               {place}"] if place else [])
        if step.omitted > 0:
            lines.append(f"       {dim}({step.omitted} more rules do not hold){off}")
        lines += _body(step, dim, off)
        lines.append("")
    return "\n".join(lines).rstrip()


def _title(step: StepTrace) -> str:
    value = f" = {brief(step.value)}" if step.operator != "allocate" else ""
    return f"{step.stage}: {step_title(step)} of {step.record}{value}"


def _gives(step: StepTrace, rule: RuleTrace) -> str:
    if step.stage == "score" and isinstance(rule.gives, (int, float)):
        return f" {rule.gives:+g}" if rule.fired else f" ({rule.gives:+g})"
    return ""


def _body(step: StepTrace, dim: str, off: str) -> list[str]:
    lines = _expression(step, dim, off) if step.text else []
    if step.operator == "relate":
        lines += _candidates(step.details)
    for c in step.details.get("claims", ()):
        until = f" until {_day(c['until'])}" if c["until"] else ""
        mark = {"granted": "*", "refused": "-", "ended": "."}[c["status"]]
        lines.append(f"       {mark} {c['rep']} on {_day(c['at'])}: {c['status']}{until}, {c['reason']}")
    if step.operator == "allocate" and step.stage == "pool":
        turn: Json = step.details
        while turn:
            lines += _turn(turn)
            turn = turn["before"]
    for key in ("approved_by", "reason", "until") if step.stage == "exception" else ():
        lines.append(f"       {key}: {_day(step.details[key])}")
    if step.place:
        lines.append(f"               {dim}{step.place}{off}")
    return lines


def _expression(step: StepTrace, dim: str, off: str) -> list[str]:
    """The text of a step, and the values of what it reads; a long expression whose parts are shown is not shown again."""
    lines = textwrap.wrap(step.text, _WIDTH, initial_indent=" " * 7, subsequent_indent=" " * 9)
    shown = [(text, value) for text, value in step.parts if text != step.text]
    whole = {text for text, _ in shown if any(other != text and other in text for other, _ in shown)}
    return lines + [f"               {dim}{text} = {brief(value)}{off}" for text, value in shown if text not in whole or len(text) < 60]


def _candidates(details: Json) -> list[str]:
    """The records that were compared, and what decided between them."""
    lines = [f"       by {details['method']}" if details["method"] else "       no account matches"]
    for c in details["candidates"]:
        lost = f": {c['lost']}" if c["lost"] else ""
        lines.append(f"       {'-' if c['lost'] else '*'} {c['name']} ({c['id']}), {c['method']}{_score(c)}{lost}")
    return lines


def _day(text: object) -> str:
    """A day or a moment of the data, as a sentence has it; any other text as it is."""
    day = v.parse_temporal(text) if isinstance(text, str) else text
    return v.readable(day) if isinstance(day, date) else str(text)


def _score(candidate: Json) -> str:
    return f" {candidate['score']:g}" if candidate["score"] < 1 and not candidate["lost"] else ""


def _turn(turn: Json) -> list[str]:
    if turn["repeated"]:
        return [f"       assigned by this pool on {_day(turn['repeated'])} already; the same record twice is one assignment"]
    kind = turn["strategy"].replace("_", " ")
    lines = [f"       {kind}, turn {turn['position']} of pool {turn['pool']}"]
    if turn["why"]:
        lines = [f"       {kind}, pool {turn['pool']}; no turn is taken: {turn['why']}"]
    if turn["until"]:
        lines.append(f"       to be worked by {_day(turn['until'])}")
    for m in turn["members"][:12]:
        mark = "*" if m["rep"] == turn["rep"] else "-"
        skipped = f", skipped: {m['skipped']}" if m["skipped"] else ""
        load = "" if m["load"] is None else f", {m['load']} open"
        owed = "" if abs(m["credit"]) < 1e-9 else f", credit {m['credit']:+.2f}"
        lines.append(f"       {mark} {m['rep']}: weight {m['weight']:g}, {m['count']} before this turn{load}{owed}{skipped}")
    if len(turn["members"]) > 12:
        lines.append(f"       ({len(turn['members']) - 12} more members)")
    return lines


def as_markdown(trace: Trace) -> str:
    """For a ticket or a pull request; what comes from data is escaped, so that it cannot become markup."""
    d = trace.decision
    previous = d.row.world.rep(d.previous) if d.previous is not None else None
    lines = [f"**{literal(trace.sentence)}**", "", "| | |", "|---|---|"]
    facts = {
        "record": f"{d.name} ({d.entity} {d.row.written})", "role": d.role, "owner": d.owner_name or "nobody",
        "previous owner": previous.label if previous is not None and d.moved else None, "action": d.action, "rule": d.rule, "territory": d.territory, "pool": d.pool,
        "window": d.window, "until": v.readable(d.until),
    }  # fmt: skip
    facts = {"record": facts["record"]} if d.action == "value" else facts
    lines += [f"| {key} | {literal(str(value))} |" for key, value in facts.items() if value]
    for step in trace.steps:
        lines += ["", f"#### {literal(_title(step))}", ""]
        if step.rules:
            lines += ["| | rule | | condition | values | place |", "|---|---|---|---|---|---|"]
        for rule in step.rules:
            name = f"**{literal(rule.name)}**" if rule.fired else literal(rule.name)
            first = f"| {_MARK[rule.result]} | {name} |"
            if not rule.conditions:
                lines.append(f"{first} | always | | {literal(str(rule.place))} |")
            for i, c in enumerate(rule.conditions):
                values = "; ".join(f"{p.text} = {brief(p.value)}" for p in c.parts)
                lines.append(
                    f"{'| | |' if i else first} {_MARK[c.result]} | {literal(c.text)} | {literal(values)} | {literal(str(c.place))} |"
                )
        if step.omitted > 0:
            lines += ["", f"{step.omitted} more rules do not hold."]
        lines += [f"- {literal(line.strip())}" for line in _body(step, "", "") if line.strip()]
    return "\n".join(lines)
