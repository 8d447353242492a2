"""Size bands: cells such as `201-500`, `10000+` or `<10`, as ranges."""

from __future__ import annotations

import re
from functools import cache

from roe.data.numbers import amount, parse_number, scaled, without_signs
from roe.grammar import values as v


@cache
def _shapes() -> dict[str, re.Pattern[str]]:
    """How the bands are written that have both ends, or one."""
    digits = r"\d[\d.,'’ \u00a0\u202f]*"
    return {
        "both": re.compile(rf"(?P<low>{digits}?)\s*(?:-|–|—|to|bis|à|a)\s*(?P<high>{digits}?)(?:\s+\D*)?", re.I),
        "from": re.compile(
            rf"(?:(?P<low>{digits}?)\s*(?:\+|(?:or|and) more)|(?:>=|≥|from|at least|ab)\s*(?P<least>{digits}))(?:\s+\D*)?", re.I
        ),
        "up to": re.compile(rf"(?:<=|≤|up to|bis)\s*(?P<most>{digits}?)(?:\s+\D*)?", re.I),
        "over": re.compile(rf"(?:>|over|more than|über)\s*(?P<over>{digits}?)(?:\s+\D*)?", re.I),
        "under": re.compile(rf"(?:<|under|less than|unter)\s*(?P<under>{digits}?)(?:\s+\D*)?", re.I),
    }


def parse_band(text: str, sign: str, entity: str = "") -> v.Range:
    """`201-500` is the range `[201..500]`, `10000+` all numbers from there on, `<10` those below, `12` alone `[12..12]`.

    The ends of bands are whole numbers unless the column says otherwise: `1,001` is one thousand and one.
    """

    def number(part: str) -> float:
        parts = amount(part.strip())
        if parts is not None and parts.sign == "?" and not sign:
            return parse_number(part.strip(), "." if "," in parts.body else ",", entity)
        return parse_number(part.strip(), sign, entity)

    shapes = _shapes()
    if m := shapes["both"].fullmatch(text):
        low, high = number(m["low"]), number(m["high"])
        if low > high:
            raise ValueError(f"`{text}` is not a band: it ends before it begins")
        return v.Range(low, high)
    if m := shapes["from"].fullmatch(text):
        return v.Range(number(m["low"] or m["least"]), None, open_high=True)
    if m := shapes["up to"].fullmatch(text):
        return v.Range(None, number(m["most"]), open_low=True)
    if m := shapes["over"].fullmatch(text):
        return v.Range(number(m["over"]), None, low_closed=False, open_high=True)
    if m := shapes["under"].fullmatch(text):
        return v.Range(None, number(m["under"]), high_closed=False, open_low=True)
    try:
        one = number(text)
    except ValueError as e:
        raise ValueError(f"`{text}` is not a band such as `201-500` or `10000+`" if amount(text) is None else str(e)) from e
    return v.Range(one, one)


def figures(text: str, kind: str) -> list[str]:
    """The pieces of a cell that are numbers, for the votes."""
    if kind == "band":
        for shape in _shapes().values():
            if m := shape.fullmatch(text):
                return [g.strip() for g in m.groupdict().values() if g]
    if kind == "money":
        _, bare = without_signs(text)
        m = scaled().fullmatch(bare)
        return [m["rest"] + (m["after"] or "") if m else bare]
    return [text[:-1].rstrip() if kind == "percent" and text.endswith("%") else text]
