"""Texts as numbers, where the column has settled its decimal sign.

`1.250.000` and `2.000,00` can be read in one way only, `1.200` in two. What can be read in one way votes for the column's decimal sign; where all
that vote agree, the rest is read by it. Where a column leaves it open, or disagrees with itself, a text with two readings has none. Spaces and
apostrophes between groups of three are thousands, everywhere.
"""

from __future__ import annotations

import re
from functools import cache

from roe.grammar import values as v
from roe.node import node

_MONEY = r"(?:[A-Z]{0,3}[$¢£¤¥￥฿₠-⃀]|[A-Z]{3}|[Kk]r\.?|zł|Kč|Ft|lei|Rs\.?|Fr\.?)"


@cache
def _number() -> re.Pattern[str]:
    return re.compile(
        rf"(?P<minus>[-+−])?\s?(?P<before>{_MONEY})?\s?(?P<minus2>[-+−])?"
        rf"(?P<body>\d[\d.,'’ \u00a0\u2009\u202f]*?|[.,]\d+?)(?P<power>[eE][+-]?\d{{1,3}})?\s?(?P<after>{_MONEY})?",
        re.ASCII,
    )


_SCALE = {
    10**3: "k tsd tausend thousand",
    10**6: "m mm mn mio million millions millionen",
    10**9: "b bn mrd billion billions milliarde milliarden",
}
_FACTOR = {word: factor for factor, words in _SCALE.items() for word in words.split()}
# `1.500,-` has no cents, as `1.500,00`; a minus behind the number is how SAP writes a credit
_NO_CENTS = re.compile(r"(?P<whole>.*\d)(?P<sign>[.,])(?:--?|[–—])(?P<rest>\D*)")
_MINUS_BEHIND = re.compile(rf"(?P<body>\d[\d.,'’ \u00a0\u2009\u202f]*)[-−](?P<rest>\s?{_MONEY})?")


@cache
def scaled() -> re.Pattern[str]:
    words = "|".join(sorted((word for word in _FACTOR if len(word) > 2), key=len, reverse=True))
    return re.compile(rf"(?P<rest>.*\d)\s?(?P<scale>(?i:{words})\.?|[mM]n|[bB]n|MM|[kKmMbB])(?P<after>\s?{_MONEY})?")


@cache
def _spaced() -> re.Pattern[str]:
    return re.compile(r"[ '’\u00a0\u2009\u202f]")


@cache
def _groups() -> re.Pattern[str]:
    return re.compile(r"\d{1,3}( \d{3})+(?=$|[.,])")


_CURRENCIES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP "
    "CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD "
    "IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK "
    "MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS "
    "SRD SSP STN SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWL"
)
_ISO_4217 = frozenset(_CURRENCIES.split())
_DOLLARS = "USD AUD BBD BMD BND BSD BZD CAD FJD GYD HKD JMD KYD LRD NAD NZD SBD SGD SRD TTD TWD XCD ARS CLP COP MXN UYU"
_SIGNS = {
    "€": "EUR", "$": _DOLLARS, "US$": "USD", "A$": "AUD", "AU$": "AUD", "C$": "CAD NIO", "CA$": "CAD", "R$": "BRL", "HK$": "HKD", "NZ$": "NZD",
    "S$": "SGD", "NT$": "TWD", "MX$": "MXN", "£": "GBP EGP FKP GIP LBP SHP", "¥": "JPY CNY", "￥": "JPY CNY", "₹": "INR", "rs": "INR LKR MUR NPR PKR SCR",
    "kr": "DKK ISK NOK SEK", "zł": "PLN", "Kč": "CZK", "Ft": "HUF", "lei": "MDL RON", "Fr": "CHF XAF XOF", "₽": "RUB", "₺": "TRY", "₪": "ILS", "₩": "KRW",
}  # fmt: skip


def currencies(money: str) -> frozenset[str]:
    """The currencies that a sign or a code beside a number may mean: `$` is any dollar or peso, `€` is EUR."""
    bare = money.rstrip(".")
    return frozenset((_SIGNS.get(bare) or _SIGNS.get(bare.lower()) or bare).split())


@node
class WrittenNumber:
    """A text taken apart: digits with their marks, and the decimal sign that alone makes sense of them (`?` if both do, empty if either does)."""

    negative: bool
    body: str
    power: str
    money: str
    sign: str


def amount(text: str) -> WrittenNumber | None:
    """The parts of a number's text, or None if it is not a number at all."""
    whole, point, rest = text.removeprefix("-").partition(".")
    if text.isascii() and whole.isdigit() and (rest.isdigit() or not point):  # as machines write it: no need to look closer
        return WrittenNumber(text[0] == "-", whole + point + rest, "", "", _sign(whole + point + rest, False) or "")
    m = _number().fullmatch(text)
    if not m or (m["minus"] and m["minus2"]) or (m["before"] and m["after"]):
        return None
    money = (m["before"] or m["after"] or "").strip()
    body = _without_spaces(m["body"]) if _is_currency(money) else None
    sign = None if body is None else _sign(body, body != m["body"] or bool(m["power"]))
    if body is None or sign is None:
        return None
    return WrittenNumber((m["minus"] or m["minus2"]) in ("-", "−"), body, m["power"] or "", money, sign)


def _is_currency(text: str) -> bool:
    """Whether a text beside digits may say their currency: three capital letters must be a code of ISO 4217."""
    return not (text.isalpha() and len(text) == 3 and text.isupper()) or text in _ISO_4217


def _without_spaces(body: str) -> str | None:
    """The digits of a number whose groups may stand apart; None where what stands apart is not a group."""
    spaced = _spaced().sub(" ", body)
    if " " not in spaced:
        return body
    groups = _groups().match(spaced)
    return None if groups is None or " " in spaced[groups.end() :] else spaced.replace(" ", "")


def _sign(body: str, grouped: bool) -> str | None:
    """The decimal sign of `12.345,6`; None if the marks make no sense."""
    dots, commas = body.count("."), body.count(",")
    if not dots and not commas:
        return ""
    if dots and commas:
        sign = "." if body.rfind(".") > body.rfind(",") else ","
        whole, _, rest = body.rpartition(sign)
        return sign if body.count(sign) == 1 and rest.isdigit() and _grouped(whole, "," if sign == "." else ".") else None
    mark = "." if dots else ","
    other = "," if dots else "."
    if dots + commas > 1:
        return other if _grouped(body, mark) else None
    head, _, tail = body.partition(mark)
    open_ = len(tail) == 3 and 1 <= len(head) <= 3 and head[0] != "0" and not grouped
    return "?" if open_ else mark


def _grouped(text: str, mark: str) -> bool:
    first, *groups = text.split(mark)
    western = 1 <= len(first) <= 3 and all(len(g) == 3 for g in groups)
    indian = mark == "," and 1 <= len(first) <= 2 and all(len(g) == 2 for g in groups[:-1]) and len(groups[-1]) == 3
    return bool(groups) and first[:1] != "0" and (western or indian)


def parse_number(text: str, sign: str, entity: str = "") -> float:
    """The number, by the column's decimal sign if it has one. Raises ValueError with the reason for a reject."""
    parts = amount(text)
    if parts is None:
        raise ValueError(f"`{text}` is not a number{_hint(text)}")
    meant = parts.sign
    if meant == "?":
        if not sign:
            where = f"`data: {{{entity}: {{numbers: …}}}}`" if entity else "`data:`"
            raise ValueError(
                f'`{text}` can be read in two ways; write `numbers: "1.234,5"` or `numbers: "1,234.5"` in {where}, or a `format:` for the field'
            )
        meant = sign
    elif meant and sign and meant != sign:
        raise ValueError(f"`{text}` is not a number with the decimal sign `{sign}`, which the column has")
    body = parts.body.replace("," if meant == "." else ".", "") if meant else parts.body
    return _value(text, ("-" if parts.negative else "") + body.replace(",", ".") + parts.power)


def _value(text: str, plain: str) -> float:
    whole = re.fullmatch(r"-?\d{1,300}", plain)
    number = v.number(int(plain) if whole else float(plain))
    if number is None:
        raise ValueError(f"`{text}` is too large a number")
    return number


def _hint(text: str) -> str:
    if re.fullmatch(r"[-+−]?[\d.,\s]+%", text):
        return "; a field of percent is `type: percent`"
    if re.fullmatch(r"\d[\d.,\s]*\s?([-–—]|to)\s?\d[\d.,\s]*|\d[\d.,\s]*\+|[<>≤≥]=?\s?\d[\d.,\s]*", text):
        return "; a field of size bands is `type: band`"
    if scaled().fullmatch(text) or (text[:1] == "(" and text[-1:] == ")"):
        return "; a field of amounts is `type: money`"
    if _MINUS_BEHIND.fullmatch(text) or _NO_CENTS.fullmatch(text):
        return "; a field of amounts is `type: money`"
    return ""


def parse_percent(text: str, sign: str, entity: str = "") -> float:
    """`12,5 %` is 12.5: the number before the sign."""
    return parse_number(text[:-1].rstrip() if text.endswith("%") else text, sign, entity)


def without_signs(text: str) -> tuple[bool, str]:
    """(whether an amount is negative by parentheses or by a minus behind it, the amount as other numbers are written)."""
    negative = text[:1] == "(" and text[-1:] == ")"
    bare = text[1:-1].strip() if negative else text
    if m := _NO_CENTS.fullmatch(bare):
        bare = f"{m['whole']}{m['sign']}00{m['rest']}"
    elif not negative and (m := _MINUS_BEHIND.fullmatch(bare)):
        negative, bare = True, m["body"] + (m["rest"] or "")
    return negative, bare


def parse_money(text: str, sign: str, entity: str = "") -> float | None:
    """An amount as people write it: `(500)` and `500-` are negative, `1.2M` and `€3,5 Mio.` are millions, `1.500,-` has no cents."""
    negative, bare = without_signs(text)
    m = scaled().fullmatch(bare)
    if m and amount(m["rest"] + (m["after"] or "")) is not None:
        factor = _FACTOR[m["scale"].lower().rstrip(".")]
        number = v.number(round(parse_number(m["rest"] + (m["after"] or ""), sign, entity) * factor, 6))
    else:
        number = parse_number(bare, sign, entity)
    if not negative or number is None:
        return number
    if number < 0:
        raise ValueError(f"`{text}` is not an amount")
    return -number
