"""`matching:` lead to account; it lowers to a `Relate`. A lead that the data itself links keeps that account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

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


# what `matching: default` means: the first method that finds an account decides
DEFAULT: tuple[dict[str, Any], ...] = (
    {"name": "email-domain", "match": f"company_domain(lead.email) = {_own('account')}"},
    {"name": "web-domain", "match": f"company_domain(lead.website) = {_own('account')}"},
    {
        "name": "other-domain",
        "match": 'company_domain(lead.email) in (for d in split(account.other_domains, "[;, ]+") return company_domain(d))',
    },
    {"name": "phone", "match": f"{_phone('lead')} = {_phone('account')}"},
    {"name": "company-name", "similar": ["lead.company", "account.name"], "unless": "contradicts(lead.country, account.country)"},
    {"name": "name-and-place", "similar": ["lead.company", "account.name"], "at_least": 0.2, "match": PLACE},
    {"name": "name-and-address", "similar": ["lead.company", "account.name"], "at_least": 0.01, "match": ADDRESS},
)


def _brand(domain: str) -> str:
    """What a domain begins with, `acme` of acme.co.uk; short ones say nothing."""
    label = f'split({domain}, "\\.")[1]'
    return f"if string_length({label}) >= {BRAND} then {label} else null"


# what `matching: group` tries after those: another company of the same corporate group, by its brand as a domain or its rare first word
GROUP: tuple[dict[str, Any], ...] = (
    {"name": "group-domain", "match": f"({_brand('company_domain(lead.email)')}) = ({_brand(_own('account'))})"},
    {"name": "group-name", "similar": ["lead.company", "account.name"], "group": True},
)
DEFINITIONS = {"default": DEFAULT, "group": DEFAULT + GROUP}
TIES = (
    {"most": f"if {PLACE} then 1 else 0"},
    {"most": "if account.country = lead.country then 1 else 0"},
    {"most": "count(account.open_opportunities)"},
    {"most": "account.employees"},
    {"most": "if account.parent = null then 1 else 0"},
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
    KEYWORDS: ClassVar[Mapping[str, Any]] = {"anyOf": [{"required": ["match"]}, {"required": ["similar"]}]}


@section
class TieBreakSection(Section):
    """which of several accounts counts"""

    most: Expression | None = None
    least: Expression | None = None
    KEYWORDS: ClassVar[Mapping[str, Any]] = {"minProperties": 1, "maxProperties": 1}


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
        cx.model.steps[ENTITY, NAME] = lambda: t.record("account")


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
    ties = []
    for tie in matching.tie_break:
        for kind, text in tie.items():
            expr = cx.value(text, names)
            if expr:
                ties.append((kind, expr))
    cx.steps[ENTITY, NAME] = Relate(ENTITY, NAME, "matching", "account", tuple(methods), tuple(ties))


def _method(method: MethodSection, names: Names, cx: Context) -> Method | None:
    match = cx.condition(method.match, names) if method.match else written(s.Literal(True, "true"), method.name)
    unless = cx.condition(method.unless, names) if method.unless else None
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

    methods = []
    for raw in DEFINITIONS[str(called)]:
        similar = tuple(map(expr, raw.get("similar", ())))
        methods.append(
            Method(
                Text(raw["name"], origin), expr(raw.get("match", "true")), expr(raw["unless"]) if "unless" in raw else None,
                (similar[0], similar[1]) if similar else None, raw.get("at_least", LEAST) if similar else 0.0,
                "group" in raw,
            )
        )  # fmt: skip
    ties = tuple((kind, expr(text)) for tie in TIES for kind, text in tie.items())
    return Relate(ENTITY, NAME, "matching", "account", tuple(methods), ties)
