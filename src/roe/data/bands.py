"""Size bands: cells such as `201-500`, `10000+` or `<10`, as ranges."""

from __future__ import annotations

import re
from functools import cache

from roe.data.numbers import amount, parse_number, scaled, without_signs
from roe.grammar import values as v


@cache
def _band() -> re.Pattern[str]:
    return re.compile(r"(?P<low>\d[\d.,'’ \u00a0\u202f]*?)\s*(?:-|–|—|to|bis|à|a)\s*(?P<high>\d[\d.,'’ \u00a0\u202f]*?)(?:\s+\D*)?", re.I)


@cache
def _from() -> re.Pattern[str]:
    return re.compile(
        r"(?:(?P<low>\d[\d.,'’ \u00a0\u202f]*?)\s*(?:\+|(?:or|and) more)|(?:>=|≥|from|at least|ab)\s*(?P<least>\d[\d.,'’ \u00a0\u202f]*))(?:\s+\D*)?",
        re.I,
    )


@cache
def _until() -> re.Pattern[str]:
    return re.compile(r"(?:<=|≤|up to|bis)\s*(?P<most>\d[\d.,'’ \u00a0\u202f]*?)(?:\s+\D*)?", re.I)


@cache
def _over() -> re.Pattern[str]:
    return re.compile(r"(?:>|over|more than|über)\s*(?P<over>\d[\d.,'’ \u00a0\u202f]*?)(?:\s+\D*)?", re.I)


@cache
def _under() -> re.Pattern[str]:
    return re.compile(r"(?:<|under|less than|unter)\s*(?P<under>\d[\d.,'’ \u00a0\u202f]*?)(?:\s+\D*)?", re.I)


def parse_band(text: str, sign: str, entity: str = "") -> v.Range:
    """`201-500` is the range `[201..500]`, `10000+` all numbers from there on, `<10` those below, `12` alone `[12..12]`.

    The ends of bands are whole numbers unless the column says otherwise: `1,001` is one thousand and one.
    """

    def number(part: str) -> float:
        parts = amount(part.strip())
        if parts is not None and parts.sign == "?" and not sign:
            return parse_number(part.strip(), "." if "," in parts.body else ",", entity)
        return parse_number(part.strip(), sign, entity)

    if m := _band().fullmatch(text):
        low, high = number(m["low"]), number(m["high"])
        if low > high:
            raise ValueError(f"`{text}` is not a band: it ends before it begins")
        return v.Range(low, high)
    if m := _from().fullmatch(text):
        return v.Range(number(m["low"] or m["least"]), None, open_high=True)
    if m := _until().fullmatch(text):
        return v.Range(None, number(m["most"]), open_low=True)
    if m := _over().fullmatch(text):
        return v.Range(number(m["over"]), None, low_closed=False, open_high=True)
    if m := _under().fullmatch(text):
        return v.Range(None, number(m["under"]), high_closed=False, open_low=True)
    try:
        one = number(text)
    except ValueError as e:
        raise ValueError(f"`{text}` is not a band such as `201-500` or `10000+`" if amount(text) is None else str(e)) from e
    return v.Range(one, one)


def figures(text: str, kind: str) -> list[str]:
    """The pieces of a cell that are numbers, for the votes."""
    if kind == "band":
        for shape in (_band(), _from(), _until(), _over(), _under()):
            if m := shape.fullmatch(text):
                return [g.strip() for g in m.groupdict().values() if g]
    if kind == "money":
        _, bare = without_signs(text)
        m = scaled().fullmatch(bare)
        return [m["rest"] + (m["after"] or "") if m else bare]
    return [text[:-1].rstrip() if kind == "percent" and text.endswith("%") else text]
