"""The one error type that the command line, CI formats, editors and the Python API share.

A check never raises for a user's mistake: it returns diagnostics, all of them at once. Each has a code with a page in
`docs/diagnostics/`, a span, one line in the user's words, and a next step. `PolicyError` carries a list of them across
an interface that must raise.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field

from roe.node import node
from roe.source import Span
from roe.untrusted import style, visible

# code -> (title, severity). A test holds this table against the pages in docs/diagnostics/.
CODES: dict[str, tuple[str, str]] = {
    "R101": ("the expression cannot be parsed", "error"),
    "R102": ("FEEL syntax that roe does not support", "error"),
    "R103": ("a literal is not a valid value", "error"),
    "R104": ("the expression is nested too deeply or too long", "error"),
    "R201": ("unknown name", "error"),
    "R202": ("unknown function", "error"),
    "R203": ("wrong arguments for a function", "error"),
    "R204": ("unknown field", "error"),
    "R205": ("the types do not match", "error"),
    "R206": ("a value that the field does not declare", "error"),
    "R207": ("a test that can never be true", "error"),
    "R208": ("a field depends on itself", "error"),
    "R209": ("null counts as a match", "hint"),
    "R210": ("not a regular expression that runs in linear time", "error"),
    "R211": ("earlier values of this field are not kept", "error"),
    "R301": ("the file is not valid YAML", "error"),
    "R302": ("a key appears twice", "error"),
    "R303": ("aliases and anchors are not used in policies", "error"),
    "R304": ("the policy does not match the schema", "error"),
    "R305": ("unknown key", "error"),
    "R306": ("two things have the same name", "error"),
    "R307": ("a file is missing or cannot be read", "error"),
    "R308": ("a file outside the policy folder", "error"),
    "R309": ("a file is too large", "error"),
    "R310": ("files include each other in a circle", "error"),
    "R311": ("not a date, time zone, country or number where one is expected", "error"),
    "R401": ("the table has no rows or no header", "error"),
    "R402": ("a table row has more or fewer cells than the header", "error"),
    "R403": ("a column is missing", "error"),
    "R404": ("a column name looks like a misspelt field", "warning"),
    "R405": ("a rule can never fire", "warning"),
    "R406": ("a package is needed for this file", "error"),
    "R407": ("rows of a `unique` table overlap", "warning"),
    "R408": ("a rule cannot be compiled to SQL", "warning"),
    "R410": ("overlapping rows of an `any` table disagree", "warning"),
    "R411": ("a case is not covered", "warning"),
    "R412": ("a default hides a gap", "warning"),
    "R413": ("a rule makes no difference", "warning"),
    "R414": ("a condition is always true", "warning"),
    "R415": ("a condition is never true", "warning"),
    "R416": ("coverage gap: nobody is assigned on some days", "warning"),
    "R417": ("a rep is unknown or has left", "warning"),
    "R418": ("a pool has no members", "warning"),
    "R419": ("a pool's caps cannot carry its load", "warning"),
    "R420": ("a list is never used", "warning"),
    "R421": ("a rule depends on a field that is always empty in the data", "warning"),
    "R422": ("two tables assign the same key", "warning"),
    "R423": ("an invariant does not hold", "error"),
    "R424": ("an `allow` comment suppresses no finding", "warning"),
    "R425": ("a boundary is counted twice", "warning"),
    "R426": ("an earlier rule takes records from a rule that overrides it", "warning"),
    "R427": ("a rule comes too late: an earlier rule takes most of its records", "warning"),
    "R428": ("an SLA is longer than the window that protects the record", "warning"),
    "R429": ("a row or a rule has ended", "warning"),
    "R430": ("a spreadsheet cell has no reliable value", "error"),
    "R431": ("text outside the table on a sheet", "error"),
    "R432": ("hidden rows or columns are read too", "warning"),
    "R433": ("text above a sheet's table is not read", "hint"),
    "R501": ("unknown pool, table, report, book or score", "error"),
    "R502": ("unknown role", "error"),
    "R503": ("an action has no target", "error"),
    "R504": ("unknown entity", "error"),
    "R506": ("an exception is incomplete, has ended, or is for an unknown record", "warning"),
    "R507": ("an effective period ends before it begins", "error"),
    "R508": ("a rule overrides a rule that is not in its list", "error"),
    "R601": ("a data file cannot be read", "error"),
    "R602": ("a record was rejected", "warning"),
    "R604": ("no such record", "error"),
    "R605": ("several records match this name", "error"),
    "R606": ("no data", "error"),
    "R608": ("the state folder cannot be used", "error"),
    "R609": ("several rules of a `unique` table match", "error"),
    "R610": ("the plan cannot be used", "error"),
    "R631": ("a data file is empty or missing", "error"),
    "R632": ("a quote in a data file is not closed", "error"),
    "R633": ("no column of a data file is recognised", "error"),
    "R634": ("a data file has no id column", "error"),
    "R635": ("two columns of a data file map to the same field", "error"),
    "R636": ("the data is not what the policy expects", "error"),
    "R637": ("an entity has several data files", "warning"),
    "R638": ("the CRM's owner is read as a role that no rule decides", "warning"),
    "R641": ("the ledger cannot be used", "error"),
    "R642": ("another run is writing to the ledger", "error"),
    "R643": ("the ledger is newer than this roe", "error"),
    "R644": ("the ledger does not verify", "error"),
    "R646": ("the date of a run does not fit the ledger", "error"),
    "R647": ("a dry run cannot be applied", "error"),
    "R648": ("this is no longer possible", "error"),
    "R649": ("a frozen value needs a ledger", "error"),
    "R650": ("another policy decides on this ledger", "error"),
    "R651": ("the data has lost an owner column", "error"),
    "R701": ("a test is malformed", "error"),
    "R703": ("no test was found", "error"),
    "R801": ("invalid value for a command-line option", "error"),
    "R802": ("the folder is not empty", "error"),
    "R803": ("Spark did not finish", "error"),
    "R804": ("the settings in roe.toml cannot be used", "error"),
    "R805": ("a Delta table cannot be written", "error"),
    "R901": ("the request has no valid token", "error"),
    "R902": ("the token does not allow this", "error"),
    "R903": ("the service cannot read the request", "error"),
    "R904": ("the service does not know this", "error"),
    "R905": ("the idempotency key was used for another request", "error"),
    "R906": ("a request with this idempotency key is under way", "error"),
    "R907": ("the service cannot answer now", "error"),
    "R908": ("the service's settings cannot be used", "error"),
    "R909": ("the signature of a webhook is not valid", "error"),
    "R910": ("the policy cannot take over", "error"),
}

DOCS = "docs/diagnostics"


@node
class Diagnostic:
    """One finding: `code`, `message` in lower case without a full stop, `span`, and `help`, a next step.

    `related` shows the other places of a conflict, such as the declaration that a use disagrees with. What the analysis finds has a
    `certainty` (proven, possible, undecided), a `witness`: a smallest record that shows it, and which records of the data it `touches`.
    """

    code: str
    message: str
    span: Span
    help: str
    related: tuple[tuple[str, Span], ...] = ()
    severity: str = field(default="")
    certainty: str = ""
    witness: str = ""
    touches: tuple[int, tuple[str, ...]] | None = None  # how many records, and the first of them

    def __post_init__(self) -> None:
        if not self.severity:
            object.__setattr__(self, "severity", CODES[self.code][1])


class PolicyError(Exception):
    """One or more diagnostics of severity `error`, raised where an interface cannot return them."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = list(diagnostics)
        super().__init__("\n".join(show(d, color=False) for d in self.diagnostics))


def user_error(code: str, message: str, place: object, help: str, text: str = "") -> PolicyError:
    """One finding to raise. `place` is a span, or what has no lines: an option, with the `text` given for it, a file as a whole, a folder."""
    span = place if isinstance(place, Span) else Span(str(place), 1, 1, max(2, len(text) + 1), text)
    return PolicyError([Diagnostic(code, message, span, help)])


def errors(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    return [d for d in diagnostics if d.severity == "error"]


def suggest(word: str, known: Iterable[str], otherwise: str, cutoff: float = 0.6) -> str:
    """`did you mean …?` for the nearest known word, else the given next step."""
    import difflib

    known = sorted(set(known))
    near = difflib.get_close_matches(word, known, n=2, cutoff=cutoff)
    near = near or [k for k in known if " " in k and word.lower() in k.lower().split()][:2]  # a first name
    return "did you mean " + " or ".join(f"`{n}`" for n in near) + "?" if near else otherwise


def show(d: Diagnostic, color: bool = False) -> str:
    """The terminal form: place and message, the line with a caret under the text meant, the next step."""
    bold, red, blue, off = map(style, (1, 31, 36, 0)) if color else ("",) * 4
    level = "" if d.severity == "error" else f"{d.severity}: "
    sure = f", {d.certainty}" if d.certainty else ""
    lines = [f"{bold}{d.span}{off}: {red}{level}{d.message}{off} [{d.code}{sure}]", *_excerpt(d.span, red, off)]
    for note, span in d.related:
        lines += [f"  {span}: {note}", *_excerpt(span, blue, off)]
    lines += [f"  for example: {d.witness}"] if d.witness else []
    lines += [f"  in the data: {told(d.touches)}"] if d.touches is not None else []
    return "\n".join([*lines, f"  help: {d.help}"])


def told(touches: tuple[int, tuple[str, ...]]) -> str:
    """How many records a finding is about, and the first of them."""
    number, shown = touches
    if not number:
        return "no record"
    more = ", …" if number > len(shown) else ""
    return f"{number} record{'s' if number != 1 else ''}" + (f": {', '.join(shown)}{more}" if shown else "")


def _excerpt(span: Span, tint: str, off: str) -> list[str]:
    if not span.excerpt.strip():
        return []
    text = span.excerpt.expandtabs(1)
    cut = max(0, span.column - 60)  # a long line is shown around the place that is meant
    shown = ("…" if cut else "") + text[cut : cut + 110]
    at = span.column - 1 - cut + (1 if cut else 0)
    caret = "^" * max(1, min(span.end_column - span.column, len(shown) - at))
    return [f"   | {shown}", f"   | {' ' * at}{tint}{caret}{off}"]


def as_text(diagnostics: Sequence[Diagnostic], color: bool = False) -> str:
    return "\n".join(show(d, color) for d in diagnostics)


def as_json(diagnostics: Sequence[Diagnostic], color: bool = False) -> str:
    return json.dumps([_plain(d) for d in diagnostics], indent=2, ensure_ascii=False)


def _plain(d: Diagnostic) -> dict[str, object]:
    related = [{"message": note, "file": s.file, "line": s.line, "column": s.column} for note, s in d.related]
    place = {"file": d.span.file, "line": d.span.line, "column": d.span.column, "end_column": d.span.end_column}
    return {
        "code": d.code, "severity": d.severity, "message": d.message, **place, "cell": d.span.cell,
        "excerpt": d.span.excerpt, "help": d.help, "related": related, "page": f"{DOCS}/{d.code}.md", "certainty": d.certainty or None,
        "witness": d.witness or None, "touches": None if d.touches is None else {"records": d.touches[0], "first": list(d.touches[1])},
    }  # fmt: skip


def as_github(diagnostics: Sequence[Diagnostic], color: bool = False) -> str:
    """GitHub Actions' workflow commands; `%`, line ends, `:` and `,` escaped as its toolkit does."""

    def data(text: str) -> str:
        return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

    def prop(text: str) -> str:
        return data(text).replace(":", "%3A").replace(",", "%2C")

    level = {"error": "error", "warning": "warning", "hint": "notice"}
    return "\n".join(
        f"::{level[d.severity]} file={prop(d.span.file)},line={d.span.line},col={d.span.column},"
        f"endColumn={d.span.end_column},title={d.code}::{data(f'{_in_cell(d)}{d.message} (help: {d.help})')}"
        for d in diagnostics
    )


def _in_cell(d: Diagnostic) -> str:
    """The cell of a spreadsheet, which services that know lines alone would not show."""
    return f"{d.span.cell}: " if d.span.cell else ""


def as_sarif(diagnostics: Sequence[Diagnostic], color: bool = False) -> str:
    """SARIF 2.1.0, which code-scanning services read. Places are URIs, so that a blank in a name is `%20`."""
    from urllib.parse import quote

    level = {"error": "error", "warning": "warning", "hint": "note"}
    results = [
        {
            "ruleId": d.code,
            "level": level[d.severity],
            "message": {"text": f"{_in_cell(d)}{d.message}; {d.help}"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": quote(d.span.file.replace("\\", "/"))},
                        "region": {
                            "startLine": d.span.line,
                            "startColumn": d.span.column,
                            "endColumn": d.span.end_column,
                        },
                    }
                }
            ],
        }
        for d in diagnostics
    ]
    rules = [
        {"id": code, "shortDescription": {"text": CODES[code][0]}, "helpUri": f"{DOCS}/{code}.md"}
        for code in sorted({d.code for d in diagnostics})
    ]
    run = {"tool": {"driver": {"name": "roe", "rules": rules}}, "results": results}
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def as_junit(diagnostics: Sequence[Diagnostic], color: bool = False) -> str:
    """JUnit XML: one failed case per error, one passed case per weaker finding, or one that says all is well."""
    from xml.sax.saxutils import escape, quoteattr

    cases = []
    for d in diagnostics:
        body = f"<failure message={quoteattr(d.message)}>{escape(show(d))}</failure>" if d.severity == "error" else ""
        cases.append(f"  <testcase classname={quoteattr(d.span.file)} name={quoteattr(f'{d.code} {d.span}')}>{body}</testcase>")
    cases = cases or ['  <testcase classname="policy" name="check"/>']
    failed = len(errors(diagnostics))
    head = f'<testsuite name="roe check" tests="{len(cases)}" failures="{failed}" errors="0">'
    return "\n".join(['<?xml version="1.0" encoding="utf-8"?>', head, *cases, "</testsuite>"])


FORMATS: dict[str, Callable[[Sequence[Diagnostic], bool], str]] = {
    "text": as_text,
    "json": as_json,
    "github": as_github,
    "sarif": as_sarif,
    "junit": as_junit,
}
