"""`matching:` lead to account; it lowers to a `Relate`. A lead that the data itself links keeps that account."""

from __future__ import annotations

from typing import Any

from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.grammar.names import Names
from roe.plan.operators import Expr, Method, Relate
from roe.policy.context import Context, written
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


def declare(policy: dict[str, Any], cx: Context) -> None:
    if policy.get("matching"):
        cx.model.steps[ENTITY, NAME] = lambda: t.record("account")


def lower(policy: dict[str, Any], cx: Context) -> None:
    section = policy.get("matching")
    if not section:
        return
    names = cx.names("lead")
    if isinstance(section, str):
        cx.steps[ENTITY, NAME] = _default(section, cx, names)
        return
    methods = []
    cx.unique_names([m["name"] for m in section["methods"]], "matching methods")
    for raw in section["methods"]:
        match = cx.condition(raw["match"], names) if raw.get("match") else written(s.Literal(True, "true"), raw["name"])
        unless = cx.condition(raw["unless"], names) if raw.get("unless") else None
        similar = [cx.value(text, names, "string") for text in raw.get("similar") or ()]
        if match and None not in similar:
            pair = (similar[0], similar[1]) if similar else None
            least = LEAST if raw.get("at_least") is None else float(raw["at_least"])
            methods.append(Method(raw["name"], match, unless, pair, least if similar else 0.0, raw.get("group") is True))  # type: ignore[arg-type]
    ties = []
    for raw in section.get("tie_break") or []:
        for kind in ("most", "least"):
            if kind in raw:
                expr = cx.value(raw[kind], names)
                if expr:
                    ties.append((kind, expr))
    cx.steps[ENTITY, NAME] = Relate(ENTITY, NAME, "matching", "account", tuple(methods), tuple(ties))


def _default(section: str, cx: Context, names: Names) -> Relate:
    """A built-in definition, at the place where the policy asks for it."""
    assert isinstance(section, Text)
    origin = section.origin

    def expr(text: str) -> Expr:
        found = cx.parse(text)
        assert found is not None
        return written(found.tree, Text(section, origin))

    methods = []
    for raw in DEFINITIONS[str(section)]:
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
