"""Texts that are read by the country of their record: states, and postal codes whose zeros a spreadsheet dropped."""

from __future__ import annotations

import re

from roe.data.reading import Problem, Reading
from roe.dynamic import Values
from roe.grammar.functions import sales as own
from roe.policy.model import Field


def is_local(f: Field) -> bool:
    """Whether a field's texts are read by the record's country."""
    return f.normalize in ("state", "postal_code") or (f.name == "postal_code" and f.type.name == "string" and not f.normalize)


def localized(f: Field, text: str, country: str | None) -> tuple[str, bool, bool]:
    """(what a text means in a country, whether that is a correction, whether it could be read)."""
    if f.normalize == "state":
        state = own.state(text, country)
        return (state, False, True) if state else (text, False, False)
    mended = postal_code(text, country)
    return mended, mended != text, True


# Countries whose postal codes are digits of one length and may begin with a zero, which spreadsheets drop.
_FIVE = "US PR VI GU AS MP DE FR GP MQ GF RE YT IT ES MX FI TR UA KR MY LT KE DZ MA PE GT DO CU LK MM NP"
_LENGTHS = {4: "AU NO DK ZA NZ PH BG GL SJ", 5: _FIVE, 6: "CN RO KZ SG EC KG TM", 7: "JP", 8: "BR"}
ZEROS = {country: length for length, countries in _LENGTHS.items() for country in countries.split()}
POSTAL = re.compile(r"(\d{2,7})(-\d{4})?(\.0+)?", re.ASCII)


def postal_code(text: str, country: str | None) -> str:
    """A code with the zeros that a spreadsheet dropped; as it is where the country's codes do not begin with zeros."""
    width = ZEROS.get(country or "")
    m = POSTAL.fullmatch(text) if width else None
    if m is None or not width:
        return text
    lost = width - len(m[1])
    most = 2 if width == 5 and country in ("US", "PR", "VI", "AS") else 1
    return m[1].zfill(width) + (m[2] or "") if 0 <= lost <= most and (lost or m[3]) else text


def read_locally(name: str, f: Field, typed: Values, problem: Problem | None, reading: Reading) -> Problem | None:
    text = typed.get(name)
    if text is None:
        return problem
    meant, mended, known = localized(f, text, typed.get("country"))
    typed[name] = meant
    if mended:
        reading.corrected[name, text, meant] += 1
    if not known:
        if not f.standard:
            return problem or (name, text, f"`{text}` is not a state")
        reading.unread[name, text] += 1
    return problem
