"""Makes `src/roe/companies/forms.csv` and `words.csv`: `python tools/company_tables.py org_types.yml names.txt`.

`org_types.yml` is the list of legal forms of rigour (OpenSanctions, MIT licence; resources/names/org_types.yml). `names.txt` has a company
name a line: those that the kept table was made from are the names in FinanceDatabase (MIT licence) of companies on the
exchanges that print names in full, and the titles in the SEC's company_tickers.json (public domain).
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from roe.companies.name import _joined, words_of  # noqa: E402

TABLES = ROOT / "src" / "roe" / "companies"
FEWEST = 15  # names that a word stands in, to be kept
KINDS = {"JSC": "stock", "LLC": "limited", "LP": "partners", "LLP": "partners", "GP": "partners"}
# What the list lacks, or takes for a form that says more than it does in names as people write them.
OWN = {
    "stock": (
        "ab", "abp", "oyj", "asa", "as", "sa", "sab", "sab de cv", "sa de cv", "sapi de cv", "saic", "saica", "spa", "nv", "ag", "se", "oao", "pao", "zao",
        "ao", "jsc", "ojsc", "pjsc", "cjsc", "sae", "ad", "dd", "nyrt", "zrt", "rt", "sau", "saog", "kk", "kabushiki kaisha", "act ges", "akt ges",
        "actges", "aktges", "actien gesellschaft", "actiengesellschaft", "aktiengesellschaft", "aktienges", "actienges", "societe anonyme",
        "sociedad anonima", "societa per azioni", "otkrytoe aktsionernoe obshchestvo", "aktsionernoe obshchestvo", "aktiebolag", "aktiebolaget", "aktieselskab", "aksjeselskap",
        "aksjeselskapet", "allmennaksjeselskap", "allmennaksjeselskapet", "akcionersko drustvo", "akcine bendrove", "delniska druzba", "cong ty co phan",
    ),
    "limited": (
        "aps", "srl", "sarl", "bv", "gmbh", "mbh", "ooo", "doo", "sro", "spzoo", "sp zoo", "kft", "sl", "ltda", "limitada", "llc", "yk",
        "yugen kaisha", "godo kaisha", "sociedad limitada", "sociedade por quotas", "sasu", "cong ty tnhh", "scrl",
    ),
    "partners": ("hb", "kg", "lp", "llp", "commanditgesellschaft", "kommanditgesellschaft", "handelsbolag", "handelsbolaget", "kommanditbolaget", "societe en commandite", "sp k", "spk", "sp j", "spj"),
    "inc": ("inc", "incorporated", "corp", "corporation"),
    "ltd": ("ltd", "limited", "pvt ltd", "private limited", "p ltd", "pty", "pty ltd", "pty limited", "pte", "pte ltd", "co ltd", "co limited", "company limited", "sdn bhd", "berhad", "bhd"),
    "plc": ("plc", "public limited company", "public company limited", "pcl"),
    "": ("publ", "co", "company", "oy", "sas", "tbk", "pt", "sdn", "na", "psc", "qsc", "public", "ges", "gesellschaft", "prat", "societa cooperativa", "ans", "tmi"),
}  # fmt: skip
# Further forms of ISO 20275 (GLEIF's list of entity legal forms), written out
ELF = {
    "stock": (
        "prjsc", "private joint stock company", "sociedad anonima bursatil", "sociedad anonima cerrada", "sac", "publikt aktiebolag", "privat aktiebolag",
        "opinbert hlutafelag", "prosta spolka akcyjna", "shoqeri aksionare", "anonymi etaireia", "anonymi etairia", "kabushiki gaisha", "jusik hoesa",
        "gufen youxian gongsi",
    ),
    "limited": (
        "spolocnost s rucenim obmedzenym", "societa a responsabilita limitata semplificata", "srls", "single member llc", "slu", "sociedad limitada unipersonal",
        "sociedad comercial de responsabilidad limitada", "unipessoal lda", "drushtvo so ogranichena odgovornost",
        "drushtvo s ogranichenom odgovornoshcu", "etaireia periorismenis eythynis", "idiotiki kefalaioychiki etaireia", "yugen gaisha", "yuhan hoesa",
        "youxian gongsi", "youxian zeren gongsi", "osauhing",
    ),
    "partners": (
        "verejna obchodni spolecnost", "komanditna spolocnost", "verejna obchodna spolocnost", "societa in accomandita semplice", "societa in nome collettivo",
        "societe en commandite par actions", "vennootschap onder firma", "vof", "interessentskab", "ansvarlig selskap", "spolka komandytowa", "spolka jawna",
        "spolka komandytowo akcyjna", "spolka partnerska", "spolka cywilna", "societate in nume colectiv", "societate in comandita simpla",
        "druzba z neomejeno odgovornostjo", "javno trgovacko drustvo", "ortacko drustvo", "omorrythmi etaireia", "eterorrythmi etaireia", "kollektif sirket", "goshi kaisha", "gomei kaisha", "lllp", "vos",
    ),
    "trader": (
        "ek", "eingetragener kaufmann", "enskild firma", "enkeltmandsvirksomhed", "enkeltpersonforetak", "toiminimi", "intreprindere individuala",
        "persoana fizica autorizata", "samostojni podjetnik", "preduzetnik",
    ),
    "": (
        "societa semplice", "societe par actions simplifiee unipersonnelle", "societe civile immobiliere", "groupement d interet economique", "societe cooperative",
        "cooperatie", "sociedade unipessoal", "sgps", "yksityinen osakeyhtio", "mazoji bendrija", "regie autonoma", "regia autonoma", "perusahaan terbuka",
        "company limited by guarantee", "designated activity company", "dac", "professional corporation", "close corporation",
    ),
}  # fmt: skip
NOT_FORMS = {
    "cooperation",
    "cooperative",
    "private enterprise",
    "bank",
    "fund",
    "trust",
    "no",
    "in",
    "at",
    "is",
    "us",
    "cia",
    "compania",
    "partnership",
    "jp",
    "ii",
}


def russian() -> dict[str, str]:
    """The long forms in the ways that people write them in Latin letters."""
    societies = ("obshchestvo", "obschestvo", "obshestvo", "obshhestvo")
    stock = [f"{a} {b}" for a in ("aktsionernoe", "aktsionernoye", "akcionernoe") for b in societies]
    open_to = [word + end for word in ("otkryto", "zakryto", "publichno", "nepublichno") for end in ("e", "ye")]
    limited = [
        f"{a} s {b} {c}" for a in societies for b in ("ogranichennoy", "ogranichennoi") for c in ("otvetstvennostyu", "otvetstvennostiu")
    ]
    return {**dict.fromkeys([*stock, *(f"{a} {b}" for a in open_to for b in stock)], "stock"), **dict.fromkeys(limited, "limited")}


def forms(path: Path) -> dict[str, str]:
    """Legal form -> kind, as words in plain letters."""
    found = russian() | {form: kind for table in (ELF, OWN) for kind, some in table.items() for form in some}
    for entry in yaml.safe_load(path.read_text("utf-8"))["types"]:
        for text in (entry.get("display"), entry.get("compare"), *(entry.get("aliases") or ())):
            form = " ".join(_joined(words_of(str(text)))) if text else ""
            if form and form not in NOT_FORMS:
                found.setdefault(form, KINDS.get(entry.get("generic") or "", ""))
    return found


def words(path: Path) -> Counter[str]:
    """Word -> how many of the names it stands in."""
    counts: Counter[str] = Counter()
    for name in {line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()}:
        counts.update(set(words_of(name)))
    return counts


def write(name: str, header: tuple[str, str], rows: Sequence[tuple[str, str | int]]) -> None:
    with (TABLES / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main(org_types: str, names: str) -> None:
    write("forms.csv", ("form", "kind"), sorted(forms(Path(org_types)).items()))
    counts = sorted((-n, w) for w, n in words(Path(names)).items() if n >= FEWEST)
    write("words.csv", ("word", "names"), [(w, -n) for n, w in counts])


if __name__ == "__main__":
    main(*sys.argv[1:])
