"""The public conformance suite (half of the DMN TCK), run against the language.

`python tests/conformance/runner.py [FILE]` prints a table by folder: agree, disagree, outside the subset. "Outside" is
decided by `OUTSIDE`, a table of constructs with reasons; it looks at an expression's text and never at a case's id.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import roe
from roe.api import DecisionTable
from roe.diagnostics import PolicyError
from roe.grammar import values as v

DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "conformance" / "tck.jsonl"

_STRING = r'"(?:[^"\\]|\\.)*"'
# construct, how it is recognised (in the text, strings blanked unless `raw`), why it is outside
OUTSIDE: tuple[tuple[str, str, bool, str], ...] = (
    ("contexts", r"\{", False, "records have declared fields; parts of a computation get names under `define:`"),
    ("context functions", r"\b(get value|get entries|context|context put|context merge)\s*\(", False, "there are no contexts"),
    ("function definitions", r"\bfunction\s*\(", False, "every expression terminates; nothing is defined inside one"),
    ("sort with a function", r"\bsort\s*\([^()]*,|\bsort\s*\(.*(precedes|function)", False, "no function values"),
    ("instance of", r"\binstance of\b", False, "types are declared and checked before the run"),
    ("named time zones", r'"[^"]*@[A-Z][A-Za-z_]+(/[A-Za-z_]+)*"', True, "offsets are written out; a policy has one zone"),
    ("years beyond 1 to 9999", r'(?<![\d.])-?\d{5,}-\d\d-\d\d|"-\d{4,}-\d\d|date\(\s*-?\d{5,}|date\(\s*-\d', True, "Python's, SQL's and spreadsheets' calendars end there"),
    ("durations beyond Python's", r"P-?\d{10,}|P\d{9,}", True, "a timedelta holds 999,999,999 days"),
    ("regular expressions that RE2 lacks", r"-\[|\\p\{\s*I|\\[0-9]|\\[ic]|\(\?[=!<]", True, "they cannot run in linear time, or are XML's own"),
    ("names with spaces or symbols", r"^[A-Za-z]+ [A-Za-z]+$|\b(?!external)[A-Za-z]+'[A-Za-z]+", False, "a name is one word"),
    ("external functions", r"\bexternal\b", False, "no code outside the policy runs"),
    ("fractions of a second beyond microseconds", r":\d\d\.\d{7,}", True, "Python's and SQL's clocks end there"),
    ("numbers of over 15 digits", r"\d{17,}|\d\.\d{16,}", False, "numbers are 64-bit floats"),
    ("characters beyond the name rule", r"[\U00010000-\U0010FFFF]", False, "names are letters, digits and _"),
)  # fmt: skip
_OUTSIDE = tuple((name, re.compile(p, re.S), raw) for name, p, raw, _ in OUTSIDE)


@dataclass(frozen=True)
class Verdict:
    case: dict[str, Any]
    outcome: str  # agree, disagree, outside
    got: str
    wants_value: bool


def outside(expression: str) -> str | None:
    """The construct of `OUTSIDE` that an expression uses, if any."""
    blanked = re.sub(_STRING, '""', expression)
    return next((name for name, p, raw in _OUTSIDE if p.search(expression if raw else blanked)), None)


def decode(value: Any) -> Any:
    """A value of the suite's JSON as one of the language's."""
    if isinstance(value, list):
        return [decode(i) for i in value]
    if isinstance(value, dict):
        if "@type" not in value:
            return {k: decode(i) for k, i in value.items()}
        text = value["@value"]
        parse: dict[str, Any] = {"number": float, "date": v.parse_date, "time": v.parse_time, "date and time": v.parse_datetime}
        return parse.get(value["@type"], v.parse_duration if value["@type"] == "duration" else str)(text)
    return value


def same(got: Any, want: Any) -> bool:
    """Agreement as the suite's README defines it."""
    if v.is_number(got) and v.is_number(want):
        return bool(abs(got - want) <= 1e-9 * max(abs(got), abs(want)))
    if isinstance(got, list) and isinstance(want, list):
        return len(got) == len(want) and all(map(same, got, want))
    if isinstance(got, dict) and isinstance(want, dict):
        return got.keys() == want.keys() and all(same(got[k], want[k]) for k in want)
    return v.kind(got) == v.kind(want) and v.equal(got, want) is True


def run_literal(case: dict[str, Any]) -> Verdict:
    wants_value = not case["error"] and case["expected"] is not None
    construct = outside(case["expression"])
    if construct:
        return Verdict(case, "outside", construct, wants_value)
    try:
        got = roe.evaluate(case["expression"], decode(case["inputs"] or {}))
    except PolicyError as e:
        return Verdict(case, "disagree" if wants_value else "agree", str(e), wants_value)
    if case["folder"].endswith("0082-feel-coercion"):
        got = coerce(got, case["type"])
    agrees = same(got, decode(case["expected"])) if wants_value else got is None
    return Verdict(case, "agree" if agrees else "disagree", repr(got), wants_value)


def coerce(value: Any, declared: Any) -> Any:
    """FEEL's implicit conversions to a decision's declared type: to and from a list of one, date to date-time."""
    if isinstance(declared, dict) and "list" in declared:
        items = value if isinstance(value, list) or value is None else [value]
        return items if items is None or all(coerce(i, declared["list"]) is not None for i in items) else None
    if isinstance(value, list) and len(value) == 1 and isinstance(declared, str):
        value = value[0]
    kinds = {"dateTime": "date and time", "yearMonthDuration": "years and months duration", "dayTimeDuration": "days and time duration"}
    want = kinds.get(declared, declared) if isinstance(declared, str) else None
    if want == "date and time" and v.kind(value) == "date":
        return v.midnight(value)
    return value if want in (None, "Any", v.kind(value)) else None


def run_table(case: dict[str, Any]) -> list[Verdict]:
    verdicts = []
    for one in case["cases"]:
        wants_value = not one["error"] and one["expected"] is not None
        try:
            got = roe.evaluate_table(cast(DecisionTable, case), decode(one["inputs"]))
            agrees = same(got, decode(one["expected"])) if wants_value else got is None
        except PolicyError as e:
            got, agrees = str(e), not wants_value
        verdicts.append(Verdict({**case, "case": one}, "agree" if agrees else "disagree", repr(got), wants_value))
    return verdicts


def run(path: Path = DEFAULT) -> list[Verdict]:
    cases = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    literals = [run_literal(c) for c in cases if c["kind"] == "literal"]
    return literals + [x for c in cases if c["kind"] == "table" for x in run_table(c)]


def report(verdicts: list[Verdict]) -> str:
    from tabulate import tabulate

    counts = Counter((x.case["folder"].rpartition("/")[2], x.outcome) for x in verdicts)
    folders = sorted({f for f, _ in counts})
    rows = [[f, *(counts[f, o] for o in ("agree", "disagree", "outside"))] for f in folders]
    text = tabulate(rows, headers=["folder", "agree", "disagree", "outside"])
    literal = [x for x in verdicts if x.case["kind"] == "literal"]
    inside = [x for x in literal if x.outcome != "outside"]
    lines = [f"inside the subset: {len(inside)} of {len(literal)} literal cases ({len(inside) / len(literal):.1%})"]
    for name, wants in (("a value", True), ("null or an error", False)):
        of = [x for x in inside if x.wants_value is wants]
        good = sum(x.outcome == "agree" for x in of)
        lines.append(f"agree where {name} is expected: {good} of {len(of)} ({good / max(1, len(of)):.2%})")
    tables = [x for x in verdicts if x.case["kind"] == "table"]
    lines.append(f"decision-table cases: {sum(x.outcome == 'agree' for x in tables)} of {len(tables)} agree")
    reasons = Counter(x.got for x in literal if x.outcome == "outside")
    lines += ["", tabulate([[n, reasons[n], r] for n, _, _, r in OUTSIDE], headers=["outside the subset", "cases", "why"])]
    return "\n".join([text, "", *lines])


if __name__ == "__main__":
    found = run(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT)
    print(report(found))
    for x in found:
        if x.outcome == "disagree":
            print(f"\n{x.case['id']}: {x.case.get('expression', '')[:300]}\n  want {x.case.get('expected')!r}, got {x.got[:300]}")
