"""The templates' own words: how days, values, names and places are shown. Every text is escaped, and hidden characters are made visible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, tzinfo
from typing import Protocol
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from roe.dynamic import Value
from roe.evaluator.render import brief
from roe.evaluator.row import Row
from roe.grammar import values as v
from roe.source import Span
from roe.untrusted import visible
from roe.web.app.access import Viewer
from roe.web.app.site_words import ACTIONS, day_in, moments_in, relative
from roe.web.page import capped, with_code

NAME = 80  # of a name in a table or a title


def environment() -> Environment:
    made = Environment(
        loader=PackageLoader("roe.web.app"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
        undefined=StrictUndefined,
    )
    made.filters |= {
        "day": day, "in_days": relative, "short": short, "value": _value, "number": number, "percent": percent, "signed": signed,
        "words": words, "place": place, "ticks": ticks, "pairs": pairs, "swapped": swapped, "named": named, "id_names": id_names, "sum_of": sum_of, "part": lambda x: quote(str(x), safe=""),
    }  # fmt: skip
    made.globals |= {"ACTIONS": ACTIONS, "open_pages_of": open_pages}
    return made


def open_pages(viewer: Viewer) -> set[str]:
    """The pages of the menu that a viewer may open."""
    from roe.web.app.routes import PAGES

    return {page.page for page in PAGES if page.page and viewer.may_open(page.page)}


def _shown(x: object) -> Value:
    """What a template prints: no None, no text of any length, no character that nobody sees."""
    if x is None:
        return ""
    if isinstance(x, str) and not isinstance(x, Markup):
        return capped(visible(x))
    return x


def short(text: object, most: int = NAME) -> str:
    """A name that fits into a table."""
    shown = visible(" ".join(str(text).split()))
    return shown if len(shown) <= most else shown[: most - 1] + "…"


@pass_context
def day(context: Context, x: date | str | None) -> str:
    """A day, or a moment with its time if it is not midnight, in the reader's time zone."""
    return day_in(_zone(context), x)


def _zone(context: Context) -> tzinfo | None:
    """The reader's time zone; None where nobody is known to read."""
    ask = context.get("ask")
    zone: tzinfo | None = ask.zone if ask is not None else None
    return zone


@pass_context
def _value(context: Context, x: object) -> str:
    return value(x, _zone(context))


def value(x: object, zone: tzinfo | None = None) -> str:
    """A value of a record, in a few words; a moment in a time zone."""
    if x is None:
        return "missing"
    if isinstance(x, (Row, list, dict)):
        return brief(x)
    if isinstance(x, str):
        return x
    if isinstance(x, date):
        return day_in(zone, x)
    return str(v.readable(x))


def number(x: float | None) -> str:
    return "" if x is None else f"{x:,.0f}" if float(x) == int(x) else f"{x:,.2f}"


def percent(x: float | None) -> str:
    return "" if x is None else f"{100 * x:.0f} %"


def signed(x: float) -> str:
    return f"{x:+,.0f}" if x else "0"


@pass_context
def ticks(context: Context, text: object) -> Markup:
    """A sentence of roe's own, in which names between backticks are shown as code and moments in the reader's time zone; everything else is
    escaped first.
    """
    zone = _zone(context)
    said = "" if text is None else str(text)
    if zone is not None:
        said = moments_in(zone, context["snapshot"].clock.now.tzinfo, said)
    return Markup(with_code(_shown(said)))


def pairs(values: Iterable[str]) -> list[tuple[str, str]]:
    """Values as the options of a list."""
    return [(x, x) for x in values]


def swapped(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(value, text) for text, value in pairs]


def named(ids: Iterable[str], name: Callable[[str], str]) -> list[tuple[str, str]]:
    """Ids as options, each with its name, in the order of the names."""
    return sorted(((x, name(x)) for x in ids), key=lambda x: x[1])


def id_names(rows: Iterable[Mapping[str, object]]) -> list[tuple[str, str]]:
    return [(str(row["rep"]), str(row["name"])) for row in rows]


class Counted(Protocol):
    """What has a number of records by (entity, role)."""

    @property
    def counts(self) -> Mapping[tuple[str, str], int]: ...


def sum_of(loads: Iterable[Counted], key: tuple[str, str]) -> int:
    """How many records of an entity in a role all reps of a team hold."""
    return sum(x.counts[key] for x in loads)


def words(name: str) -> str:
    """A name of the policy in words."""
    return str(name).replace("_", " ").replace(".", " ")


def place(span: Span) -> str:
    """Where something is written; what a stage or a CRM's profile adds stands in no file."""
    return str(span) if "." in span.file and not span.file.startswith("<") else "built in"
