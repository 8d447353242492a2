"""The tables about company names, read once, when the first name is parsed."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent

# Words that mean the same in a company's name. Abbreviations as stock exchanges print them, and banks in other languages.
# Any other translation is left alone: two companies may well be called Sol and Sun.
_SAME = {
    "american": "amer am",
    "associates": "assoc assocs associate",
    "bancorp": "bancorporation bancshares bankshares",
    "bank": "banco banque banca banka bk",
    "biosciences": "biosci bioscience",
    "brothers": "bros gebr gebruder",
    "center": "centre ctr",
    "communications": "comm comms commun communication",
    "companies": "cos",
    "development": "dev developments",
    "electric": "elec electr",
    "engineering": "eng engg",
    "enterprises": "ent enterprise entpr",
    "entertainment": "entmt",
    "financial": "fin finl",
    "fund": "fd funds",
    "global": "glob",
    "group": "grp gr groupe gruppe grupo gruppo",
    "holdings": "hldgs hldg holding hold",
    "industries": "ind inds industry industrial",
    "insurance": "ins",
    "international": "intl internat int",
    "investment": "inv invest investments invst",
    "laboratories": "lab labs laboratory",
    "management": "mgmt mgt",
    "manufacturing": "mfg",
    "marketing": "mktg",
    "medical": "med",
    "national": "natl nat",
    "pharmaceuticals": "pharma pharmaceutical pharm",
    "products": "prod prods product",
    "properties": "prop props property",
    "resources": "res resource",
    "saint": "st",
    "sciences": "sci science",
    "services": "svcs svc service serv",
    "solutions": "sol solution",
    "standard": "std",
    "systems": "sys syst system",
    "technologies": "tech techs technology technologie technologia",
    "telecommunications": "telecom",
    "therapeutics": "ther therap",
    "trust": "tr trst",
    "united": "utd",
    "university": "univ",
}
_UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]

SMALL = frozenset(
    [
        "and",
        "und",
        "et",
        "y",
        "e",
        "of",
        "the",
        "de",
        "la",
        "le",
        "les",
        "du",
        "des",
        "der",
        "die",
        "das",
        "den",
        "el",
        "los",
        "las",
        "del",
        "da",
        "do",
        "dos",
        "di",
        "della",
        "og",
        "och",
        "pour",
        "for",
        "l",
        "d",
        "van",
        "von",
        "fur",
        "i",
        "ja",
    ]
)
NUMBERS = {w: n for n, w in enumerate(_UNITS)} | {w: n for n, w in enumerate(_ORDINALS, 1)}
TENS = {
    w: n for n, w in zip(range(20, 100, 10), ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], strict=True)
}
ROMAN = {
    w: n
    for n, w in enumerate(
        [
            "i",
            "ii",
            "iii",
            "iv",
            "v",
            "vi",
            "vii",
            "viii",
            "ix",
            "x",
            "xi",
            "xii",
            "xiii",
            "xiv",
            "xv",
            "xvi",
            "xvii",
            "xviii",
            "xix",
            "xx",
        ],
        1,
    )
}
# Legal forms in scripts without spaces between words
WRITTEN_TOGETHER = {
    "股份有限公司": "stock", "有限责任公司": "limited", "有限公司": "limited", "株式会社": "stock", "(株)": "stock", "（株）": "stock", "㈱": "stock",
    "有限会社": "limited", "合同会社": "limited", "주식회사": "stock", "(주)": "stock", "㈜": "stock", "유한회사": "limited",
}  # fmt: skip
# How Japanese companies read the words that stand in many of their names; characters alone do not tell it
READ_ALOUD = {
    "電機": "denki", "電気": "denki", "電子": "denshi", "電力": "denryoku", "電工": "denko", "工業": "kogyo", "重工業": "jukogyo", "化学": "kagaku",
    "製作所": "seisakusho", "製薬": "seiyaku", "製鉄": "seitetsu", "製鋼": "seiko", "製紙": "seishi", "銀行": "ginko", "証券": "shoken", "保険": "hoken",
    "生命": "seimei", "商事": "shoji", "物産": "bussan", "産業": "sangyo", "商店": "shoten", "商会": "shokai", "建設": "kensetsu", "組": "gumi",
    "不動産": "fudosan", "鉄道": "tetsudo", "運輸": "unyu", "運送": "unso", "通信": "tsushin", "放送": "hoso", "印刷": "insatsu", "食品": "shokuhin",
    "自動車": "jidosha", "機械": "kikai", "精機": "seiki", "精密": "seimitsu", "金属": "kinzoku", "硝子": "garasu", "研究所": "kenkyujo", "日本": "nihon",
}  # fmt: skip
_MORE_PLACES = (
    "chad cuba fiji iran iraq laos mali oman peru togo uk usa us american europe european asia asian africa african nordic chinese indian deutschland german french italian espana brasil japanese "
    "schweiz suisse swiss osterreich austrian belgique nederland holland polska russian canadian australian mexicana hong kong korea korean "
    "turkish saudi arabia arabian emirates dubai london paris berlin shanghai beijing shenzhen tokyo york california texas florida chicago "
    "boston north south east west northern southern eastern western latin iberia benelux scandinavia baltic pacific atlantic"
)


@cache
def same_words() -> dict[str, str]:
    """Each word that has several spellings, as the one that stands for all of them."""
    return {word: meant for meant, words in _SAME.items() for word in (meant, *words.split())}


@cache
def legal_forms() -> dict[str, list[tuple[tuple[str, ...], str]]]:
    """By their first word, the longest first: a legal form's words, and its kind.

    Kinds are `stock` (AG, SA, PAO), `limited` (GmbH, SARL, OOO), `partners`, `inc`, `ltd`, `plc`, and '' for forms that say nothing.
    """
    forms: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    with (HERE / "forms.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            words = tuple(row["form"].split())
            forms.setdefault(words[0], []).append((words, row["kind"]))
    for found in forms.values():
        found.sort(key=lambda form: -len(form[0]))
    return forms


@cache
def common_words() -> dict[str, int]:
    """In how many of 44,097 names of listed companies a word stands, if in fifteen or more."""
    with (HERE / "words.csv").open(encoding="utf-8", newline="") as file:
        return {row["word"]: int(row["names"]) for row in csv.DictReader(file)}


NAMES_COUNTED = 44_097


@cache
def places() -> frozenset[str]:
    """Countries of one word in any language, what is from there, and the regions that companies name their parts after."""
    from roe.grammar.field_functions import country_names

    single = {name for name in country_names() if len(name) > SHORT and name.isascii() and name.isalpha()}
    return frozenset(single) | frozenset(_MORE_PLACES.split())


SHORT = 4  # letters of a country's name that may well be another word: those are listed by hand
