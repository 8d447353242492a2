"""The names of countries and states in the main languages and their own; `tools/places.py` writes both tables from ISO 3166 and CLDR."""

from __future__ import annotations

import json
import re
import unicodedata
from functools import cache
from pathlib import Path


def bare(text: str) -> str:
    """A name as the tables have it: lower case, without accents and marks."""
    text = unicodedata.normalize("NFKD", text).casefold()
    text = "".join(c for c in text if not unicodedata.combining(c))
    return " ".join(re.findall(r"[^\W_]+", text.replace(".", "")))


@cache
def country_names() -> dict[str, str]:
    """Every name and code of a country, as `bare` has it -> its code of two letters."""
    names: dict[str, str] = json.loads(Path(__file__).with_name("countries.json").read_text("utf-8"))["countries"]
    return names


@cache
def state_names() -> dict[str, dict[str, str]]:
    """Country -> every name and code of its states, as `bare` has it -> the code."""
    names: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("states.json").read_text("utf-8"))["states"]
    return names


@cache
def state_codes() -> frozenset[str]:
    return frozenset(code for names in state_names().values() for code in names.values())


US_STATES = frozenset(
    ["AL", "AK", "AZ", "AR", "CA", "CO", "CT", "DE", "DC", "FL", "GA", "HI", "IA", "ID", "IL", "IN", "KS", "KY", "LA", "MA", "MD", "ME", "MI", "MN", "MO", "MS", "MT", "NC", "ND", "NE", "NH", "NJ", "NM", "NV", "NY", "OH", "OK", "OR", "PA", "RI", "SC", "SD", "TN", "TX", "UT", "VA", "VT", "WA", "WI", "WV", "WY"]
)  # fmt: skip


def state_named(text: str) -> str | None:
    """The code of a state that is written by its name, in whatever country; None for a code and for what is not a state."""
    if text in US_STATES or text in state_codes():
        return None
    name = bare(text)
    own = state_names()["US"].get(name)
    return own or next((names[name] for names in state_names().values() if name in names), None)
