"""`matching:` lead to account; it lowers to a `Relate`. A lead that the data itself links keeps that account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, NamedTuple

from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.grammar.names import Names
from roe.plan.operators import Expr, Method, Relate
from roe.policy.context import Context, written
from roe.policy.section import Expression, Form, Heading, Name, Section, key, section
from roe.source import Text

ENTITY, NAME = "lead", "matched_account"
BRAND = 4  # letters of a domain that is a brand
LEAST = 0.5  # two names are as likely as not one company, see docs/matching.md


PLACE = (
    "(lead.postal_code != null and lead.postal_code = account.postal_code "
    "or lead.city != null and lower_case(lead.city) = lower_case(account.city))"
)
# the same building: a street that reads alike under one postal code, or in one city
ADDRESS = f"{PLACE} and similarity(lead.street, account.street) >= 0.85"


def _phone(of: str) -> str:
    """A number that can be compared; without a country code it is one of the record's country."""
    return f'normalize_phone({of}.phone, if {of}.country = null then "US" else {of}.country)'


def _own(of: str) -> str:
    """An account's own domain, or the one of its website."""
    return f"company_domain(if {of}.domain = null then {of}.website else {of}.domain)"


class BuiltIn(NamedTuple):
    """A method of a built-in definition, as a policy would write it."""

    name: str
    match: str = "true"
    unless: str = ""
    by_name: bool = False  # whether the company names of lead and account are searched and scored
    at_least: float = LEAST
    group: bool = False


# what `matching: default` means: the first method that finds an account decides
DEFAULT = (
    BuiltIn("email-domain", f"company_domain(lead.email) = {_own('account')}"),
    BuiltIn("web-domain", f"company_domain(lead.website) = {_own('account')}"),
    BuiltIn("other-domain", 'company_domain(lead.email) in (for d in split(account.other_domains, "[;, ]+") return company_domain(d))'),
    BuiltIn("phone", f"{_phone('lead')} = {_phone('account')}"),
    BuiltIn("company-name", unless="contradicts(lead.country, account.country)", by_name=True),
    BuiltIn("name-and-place", PLACE, by_name=True, at_least=0.2),
    BuiltIn("name-and-address", ADDRESS, by_name=True, at_least=0.01),
)


def _brand(domain: str) -> str:
    """What a domain begins with, `acme` of acme.co.uk; short ones say nothing."""
    label = f'split({domain}, "\\.")[1]'
    return f"if string_length({label}) >= {BRAND} then {label} else null"


# what `matching: group` tries after those: another company of the same corporate group, by its brand as a domain or its rare first word
GROUP = (
    BuiltIn("group-domain", f"({_brand('company_domain(lead.email)')}) = ({_brand(_own('account'))})"),
    BuiltIn("group-name", by_name=True, group=True),
)
DEFINITIONS = {"default": DEFAULT, "group": DEFAULT + GROUP}
MOST = (  # of several accounts, the one with the most of the first of these that differs
    f"if {PLACE} then 1 else 0",
    "if account.country = lead.country then 1 else 0",
    "count(account.open_opportunities)",
    "account.employees",
    "if account.parent = null then 1 else 0",
)


@section
class MethodSection(Section):
    """a way to find the account of a lead"""

    name: Name
    match: Expression | None = None
    similar: Annotated[tuple[Expression, ...], Form(minItems=2, maxItems=2)] = key(
        "the company names of lead and account, to search and score from 0 to 1", default=()
    )
    group: bool = key(
        "with `similar`: also accept another company of the same corporate group, whose names share a rare first word", default=False
    )
    at_least: Annotated[float, Form(minimum=0, maximum=1)] = key(
        "the minimum probability that both names mean the same company, 0 to 1; default 0.5", default=LEAST
    )
    unless: Expression | None = None
    description: Text | None = None
    KEYWORDS: ClassVar[Mapping[str, object]] = {"anyOf": [{"required": ["match"]}, {"required": ["similar"]}]}


@section
class TieBreakSection(Section):
    """a tiebreaker between several accounts"""

    most: Expression | None = None
    least: Expression | None = None
    KEYWORDS: ClassVar[Mapping[str, object]] = {"minProperties": 1, "maxProperties": 1}


@section
class MatchingSection(Section):
    """methods that find the account of a lead, in order, and what decides between several accounts"""

    methods: Annotated[tuple[MethodSection, ...], Form(minItems=1)]
    tie_break: tuple[TieBreakSection, ...] = ()


Matching = Literal["default", "group"] | MatchingSection
MATCHING = Heading(
    "matching",
    Matching,
    "lead-to-account matching: methods in order, then tiebreakers; or `default`; or `group`, which also finds another company of the "
    "same corporate group",
)


def declare(matching: Matching | None, cx: Context) -> None:
    if matching is not None:
        cx.model.steps[ENTITY, NAME] = t.record("account")


def lower(matching: Matching | None, cx: Context) -> None:
    if matching is None:
        return
    names = cx.names("lead")
    if not isinstance(matching, MatchingSection):
        assert isinstance(matching, Text)
        cx.steps[ENTITY, NAME] = _default(matching, cx)
        return
    cx.unique_names([method.name for method in matching.methods], "matching methods")
    methods = [lowered for method in matching.methods if (lowered := _method(method, names, cx)) is not None]
    ties = [(kind, expr) for tie in matching.tie_break for kind, text in tie.items() if (expr := cx.value(text, names))]
    cx.steps[ENTITY, NAME] = Relate(ENTITY, NAME, "matching", "account", tuple(methods), tuple(ties))


def _method(method: MethodSection, names: Names, cx: Context) -> Method | None:
    match = cx.condition(method.match, names) if method.match else written(s.TRUE, method.name)
    unless = cx.condition(method.unless, names)
    if not method.similar:
        return Method(method.name, match, unless, None, 0.0, method.group) if match else None
    one, other = (cx.value(text, names, "string") for text in method.similar)
    return Method(method.name, match, unless, (one, other), float(method.at_least), method.group) if match and one and other else None


def _default(called: Text, cx: Context) -> Relate:
    """A built-in definition, at the place where the policy asks for it."""
    origin = called.origin

    def expr(text: str) -> Expr:
        parsed = cx.parse(text)
        assert parsed is not None
        return written(parsed.tree, Text(called, origin))

    methods = tuple(
        Method(
            Text(method.name, origin),
            expr(method.match),
            expr(method.unless) if method.unless else None,
            (expr("lead.company"), expr("account.name")) if method.by_name else None,
            method.at_least if method.by_name else 0.0,
            method.group,
        )
        for method in DEFINITIONS[str(called)]
    )
    return Relate(ENTITY, NAME, "matching", "account", methods, tuple(("most", expr(text)) for text in MOST))
