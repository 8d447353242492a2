"""Values of a column that look like a slip of another: `technolgy`, `GTXPro`, `Philipines`. They are proposed as aliases."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from functools import cache

from roe.crm.profile import label
from roe.grammar.functions import sales as own

MOST = 60  # distinct values; a column with more is not a list of words
RARER = 4  # how many times the right spelling is more frequent than the slip of it
CLOSE = 0.86  # of difflib's ratio: one letter in seven

# words that industries are written in, of the picklists of Salesforce, HubSpot and LinkedIn
INDUSTRIES = (
    "agriculture", "apparel", "automotive", "banking", "biotechnology", "chemicals", "communications", "construction", "consulting", "consumer",
    "education", "electronics", "employment", "energy", "engineering", "entertainment", "environmental", "finance", "financial", "financials",
    "government", "healthcare", "hospitality", "industrials", "information technology", "insurance", "logistics", "machinery", "manufacturing",
    "marketing", "materials", "media", "medical", "pharma", "pharmaceuticals", "real estate", "recreation", "retail", "services", "shipping",
    "software", "technology", "telecommunications", "telecommunication", "transportation", "utilities", "wholesale",
)  # fmt: skip


def slips(values: Counter[str], field: str) -> dict[str, str]:
    """Each value that is likely a slip, with the value that is meant."""
    if field == "country":
        return {x: country for x in values if (country := _country(x))}
    if not 1 < len(values) <= MOST:
        return {}
    aliases: dict[str, str] = {}
    for wrong, n in values.items():
        rivals = [other for other, m in values.items() if other != wrong and other not in aliases and _same(wrong, other, n, m)]
        if rivals:
            aliases[wrong] = max(rivals, key=lambda other: values[other])
        elif field == "industry" and wrong.isascii() and wrong.lower() not in INDUSTRIES:
            near = get_close_matches(wrong.lower(), INDUSTRIES, 1, 0.9)
            if not near or near[0].replace(" ", "") == label(wrong).replace(" ", ""):
                continue
            if not any(label(near[0]) == label(other) for other in values):
                aliases[wrong] = near[0] if wrong.islower() else near[0].title()
            else:
                aliases[wrong] = next(other for other in values if label(near[0]) == label(other))
    return aliases


def _same(wrong: str, right: str, n: int, m: int) -> bool:
    if any(c.isdigit() for c in wrong + right) and [c for c in wrong if c.isdigit()] != [c for c in right if c.isdigit()]:
        return False  # `Tier 1` and `Tier 2` are two values
    one, other = label(wrong).replace(" ", ""), label(right).replace(" ", "")
    if one == other:
        return (n, right) < (m, wrong)
    return len(one) >= 6 and m >= RARER * n and one[0] == other[0] and _one_edit(one, other)


def _one_edit(one: str, other: str) -> bool:
    """Whether one letter more, less or other, or two that are swapped, make one text of the other."""
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    one, other = one[start:], other[start:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    return max(len(one), len(other)) <= 1 or (len(one) == 2 and one == other[::-1])


def _country(text: str) -> str | None:
    if own.country(text) is not None or len(text) < 4:
        return None
    near = get_close_matches(label(text), list(_countries()), 1, CLOSE)
    return _countries()[near[0]] if near else None


@cache
def _countries() -> dict[str, str]:
    import pycountry

    return {label(getattr(c, "common_name", c.name)): c.alpha_2 for c in pycountry.countries}
