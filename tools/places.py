"""`python tools/places.py CLDR` writes countries.json and states.json in src/roe/places: the names of places that data may have.

Sources: ISO 3166-1 and -2 with their translations as pycountry has them, the territories of Unicode's CLDR as Babel has them, and the
subdivisions of CLDR, which Babel leaves out: CLDR is the unpacked npm package `cldr-subdivisions-full`. A name is kept as it is compared (small
Latin letters without accents, other scripts as they are). A name that means two states of one country means none of them, unless ISO
itself has it for one.
"""

from __future__ import annotations

import gettext
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pycountry
from babel import Locale, UnknownLocaleError
from babel.languages import get_official_languages

from roe.places import bare

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "src" / "roe" / "places"
MAIN = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "nb", "fi", "cs", "sk", "hu", "ro", "bg", "hr", "sl", "et", "lv", "lt", "el", "tr", "ru", "uk", "ja", "ko", "zh", "zh_Hant", "ar", "he", "hi", "th", "vi", "id")  # fmt: skip
STATES_IN = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "ja", "zh", "ru")
TRANSLATED = {"nb": "nb_NO", "zh": "zh_CN", "zh_Hant": "zh_TW"}
# What people write that neither source lists.
COUNTRIES = {
    "america": "US", "great britain": "GB", "britain": "GB", "england": "GB", "scotland": "GB", "wales": "GB", "northern ireland": "GB",
    "korea": "KR", "republic of korea": "KR", "north korea": "KP", "holland": "NL", "the netherlands": "NL", "ivory coast": "CI", "uae": "AE",
    "emirates": "AE", "hong kong sar": "HK", "macau": "MO", "czech republic": "CZ", "macedonia": "MK", "cape verde": "CV", "swaziland": "SZ",
    "united states of america": "US", "us of a": "US", "vereinigte staaten von amerika": "US", "etats unis d amerique": "US", "stati uniti d america": "US", "estados unidos da america": "US",
    "eua": "US", "アメリカ": "US", "米国": "US", "grossbritannien": "GB", "england und wales": "GB", "schottland": "GB", "grande bretagne": "GB", "royaume uni": "GB", "angleterre": "GB", "ecosse": "GB",
    "gran bretana": "GB", "inglaterra": "GB", "escocia": "GB", "gra bretanha": "GB", "gran bretagna": "GB", "inghilterra": "GB", "イギリス": "GB", "英国": "GB",
    "holanda": "NL", "hollande": "NL", "olanda": "NL", "elfenbeinkuste": "CI", "cote divoire": "CI", "weissrussland": "BY", "birma": "MM", "birmanie": "MM", "birmania": "MM", "kapverden": "CV", "kap verde": "CV",
    "swasiland": "SZ", "mazedonien": "MK", "macedoine": "MK", "moldawien": "MD", "tschechei": "CZ", "tschechische republik": "CZ", "republique tcheque": "CZ", "republica checa": "CZ", "repubblica ceca": "CZ", "republica tcheca": "CZ",
    "vae": "AE", "oesterreich": "AT", "tuerkei": "TR", "suedkorea": "KR", "suedafrika": "ZA", "daenemark": "DK", "rumaenien": "RO", "aegypten": "EG", "mejico": "MX", "한국": "KR", "日本国": "JP", "中華人民共和国": "CN", "中华人民共和国": "CN",
    "p r china": "CN", "pr china": "CN", "vr china": "CN", "volksrepublik china": "CN", "dr congo": "CD", "drc": "CD", "democratic republic of the congo": "CD", "democratic republic of congo": "CD", "republic of the congo": "CG",
    "palestine": "PS", "state of palestine": "PS", "trinidad": "TT", "bosnia": "BA", "bosnien": "BA", "the gambia": "GM", "the bahamas": "BS", "republic of ireland": "IE", "hongkong": "HK", "saudi": "SA", "rsa": "ZA",
    "st kitts and nevis": "KN", "saint kitts": "KN", "st vincent and the grenadines": "VC", "sao tome": "ST", "antigua": "AG", "slovak republic": "SK", "the philippines": "PH", "republic of singapore": "SG", "republic of india": "IN",
    "burma": "MM", "east timor": "TL", "turkey": "TR", "kosovo": "XK", "vatican": "VA", "usa": "US", "us": "US", "uk": "GB", "eeuu": "US", "ee uu": "US",
    "estados unidos de america": "US", "u s a": "US", "prc": "CN", "mainland china": "CN", "ksa": "SA", "brd": "DE", "russia": "RU", "great britain and northern ireland": "GB",
}  # fmt: skip
STATES = {
    "US": {
        "washington dc": "DC",
        "washington d c": "DC",
        "d c": "DC",
        # the abbreviations that newspapers and older address books have
        "ala": "AL",
        "ariz": "AZ",
        "ark": "AR",
        "calif": "CA",
        "cal": "CA",
        "colo": "CO",
        "conn": "CT",
        "del": "DE",
        "fla": "FL",
        "ill": "IL",
        "ind": "IN",
        "kan": "KS",
        "kans": "KS",
        "mass": "MA",
        "mich": "MI",
        "minn": "MN",
        "miss": "MS",
        "mont": "MT",
        "neb": "NE",
        "nebr": "NE",
        "nev": "NV",
        "n h": "NH",
        "n j": "NJ",
        "n m": "NM",
        "n mex": "NM",
        "n y": "NY",
        "n c": "NC",
        "n d": "ND",
        "n dak": "ND",
        "okla": "OK",
        "ore": "OR",
        "oreg": "OR",
        "penn": "PA",
        "penna": "PA",
        "r i": "RI",
        "s c": "SC",
        "s d": "SD",
        "s dak": "SD",
        "tenn": "TN",
        "tex": "TX",
        "wash": "WA",
        "w va": "WV",
        "wis": "WI",
        "wisc": "WI",
        "wyo": "WY",
    },
    "CA": {"newfoundland": "NL", "labrador": "NL", "quebec": "QC", "pei": "PE", "p e i": "PE", "b c": "BC", "yukon territory": "YT"},
    "DE": {"nrw": "NW", "meck pomm": "MV"},
    "AT": {"wien": "9", "vienna": "9"},
    "GB": {"england": "ENG", "scotland": "SCT", "wales": "WLS", "northern ireland": "NIR"},
}
# What stands behind a name in addresses: 東京都, 广东省.
ENDINGS = {"JP": "都府県道", "CN": "省市", "TW": "市縣", "KR": "도시"}
# States that had another code: what data has of them still says which one is meant.
FORMER = {
    "CA": {"nf": "NL", "pq": "QC"},
    "MX": {"df": "CMX", "cdmx": "CMX", "edomex": "MEX", "distrito federal": "CMX", "mexico city": "CMX"},
}


def countries() -> dict[str, str]:
    """A name as it is compared -> the two-letter code."""
    names: dict[str, str] = {bare(name): code for name, code in COUNTRIES.items()}
    codes = {c.alpha_2: c for c in pycountry.countries}
    for code, c in codes.items():
        for key in ("name", "official_name", "common_name", "alpha_2", "alpha_3"):
            if getattr(c, key, None):
                names.setdefault(bare(getattr(c, key)), code)
    names.setdefault("xkx", "XK")
    names.setdefault("xk", "XK")
    for language in MAIN:
        country_names(language, [*codes, "XK"], names)
    for language in STATES_IN:
        translated_names(language, names)
    for code in [*codes, "XK"]:
        for language in get_official_languages(code, regional=True, de_facto=True):
            country_names(language, [code], names)
    return dict(sorted(names.items()))


def country_names(language: str, codes: list[str], names: dict[str, str]) -> None:
    try:
        known = Locale.parse(language).territories
    except (UnknownLocaleError, ValueError):
        return
    for code in codes:
        for key in (code, f"{code}-alt-short", f"{code}-alt-variant"):
            if key in known and bare(known[key]):
                names.setdefault(bare(known[key]), code)


def translated_names(language: str, names: dict[str, str]) -> None:
    """The names of ISO 3166-1 in a language, as the iso-codes project has them."""
    said = gettext.translation(
        "iso3166-1", Path(pycountry.__file__).parent / "locales", [TRANSLATED.get(language, language)], fallback=True
    )
    for c in pycountry.countries:
        for key in ("name", "official_name", "common_name"):
            name = bare(said.gettext(getattr(c, key))) if getattr(c, key, None) else ""
            if len(name) > 3 or (name and not name.isascii()):  # a shorter one looks like a code, or like yes
                names.setdefault(name, c.alpha_2)


def states(cldr: Path) -> dict[str, dict[str, str]]:
    """Country -> a name as it is compared -> the code without its country."""
    out: dict[str, dict[str, str]] = {}
    for country in sorted({s.country_code for s in pycountry.subdivisions}):
        own = sorted(pycountry.subdivisions.get(country_code=country), key=lambda s: str(s.code))
        names: dict[str, str] = dict(STATES.get(country, {})) | FORMER.get(country, {})
        short = {s.code: s.code.partition("-")[2] for s in own}
        for code, code_alone in short.items():
            names[bare(code_alone)] = code_alone
            names[bare(code)] = code_alone
        top = [s for s in own if not s.parent_code]
        for s in [*top, *(s for s in own if s.parent_code)]:
            for spelt in _spellings(s.name):
                names.setdefault(spelt, short[s.code])
        languages = list(dict.fromkeys((*STATES_IN, *get_official_languages(country, regional=True, de_facto=True))))
        meant: dict[str, set[str]] = {}
        for language in languages:
            for code, name in _state_names(cldr, language, own):
                meant.setdefault(name, set()).add(short[code])
        for name, found in sorted(meant.items()):
            if len(found) == 1:
                names.setdefault(name, next(iter(found)))
        for ending in ENDINGS.get(country, ""):
            for name, code in list(names.items()):
                if not name.isascii() and name[-1] not in ENDINGS[country]:
                    names.setdefault(bare(name + ending), code)
        out[country] = dict(sorted(names.items()))
    return out


def _spellings(name: str) -> Iterator[str]:
    """`Tokyo; Tôkyô`, `Bolzano/Bozen` and `Madrid, Comunidad de` have several spellings in one."""
    pieces = [name, *name.split(";"), *name.split("/")]
    for piece in pieces:
        yield bare(piece)
        head, comma, tail = piece.partition(", ")
        if comma:
            yield bare(f"{tail} {head}")
            yield bare(head)
        yield bare(piece.partition("[")[0].partition("(")[0])
        yield bare(piece.partition("[")[2].partition("]")[0])


def _state_names(cldr: Path, language: str, own: list[Any]) -> Iterator[tuple[str, str]]:
    folder = Path(pycountry.__file__).parent / "locales"
    said = gettext.translation("iso3166-2", folder, [TRANSLATED.get(language, language)], fallback=True)
    path = cldr / "subdivisions" / language / f"{language}.json"
    path = path if path.is_file() else next(iter(sorted((cldr / "subdivisions" / language).glob("*.json"))), path)
    listed = _cldr(json.loads(path.read_text("utf-8"))) if path.is_file() else {}
    for s in own:
        for name in (said.gettext(s.name), listed.get(s.code.replace("-", "").lower(), "")):
            for spelt in _spellings(name) if name else ():
                if spelt:
                    yield s.code, spelt


def _cldr(content: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            found.update(_cldr(value))
        elif isinstance(value, str) and len(key) > 2:
            found[key] = value
    return found


def main(cldr: Path) -> None:
    source = (
        "ISO 3166 and its translations: pycountry; territories: Unicode CLDR, by Babel; subdivisions: Unicode CLDR (Unicode License v3)"
    )
    for name, places in (("countries", countries()), ("states", states(cldr))):
        text = json.dumps({"source": source, name: places}, ensure_ascii=False, indent=0, separators=(",", ":"))
        (TARGET / f"{name}.json").write_text(text + "\n", "utf-8", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
