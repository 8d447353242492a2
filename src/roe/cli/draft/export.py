"""Which file of an export holds which entity, and from which CRM it comes: by names of files, by headers, by the shape of ids."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from roe.crm import PROFILES
from roe.crm.generic import WORDS
from roe.crm.ids import LONG, SHORT
from roe.crm.profile import Profile, label
from roe.data.content import is_packed
from roe.data.read import SUFFIXES, read_file
from roe.diagnostics import Diagnostic, errors
from roe.dynamic import Cell
from roe.files import OTHER_SHEETS
from roe.policy.standard import FILES
from roe.source import Span

Rows = list[dict[str, Cell]]

# words in a file's name, in the order in which they are asked: `qualified_leads` are leads, `sales_teams` are reps
NAMES: dict[str, tuple[str, ...]] = {
    "lead": ("lead", "leads", "mql", "mqls", "prospects", "prospectos", "interessenten", "prospects", "リード"),
    "opportunity": ("opportunities", "opportunity", "deals", "deal", "potentials", "pipeline", "negocios", "transactions", "opportunites", "verkaufschancen", "取引"),
    "rep": ("reps", "users", "user", "owners", "team", "teams", "staff", "mitarbeiter", "vertrieb", "vendedores", "usuarios", "utilisateurs", "commerciaux", "ユーザー"),
    "activity": ("activities", "activity", "tasks", "task", "calls", "events", "meetings", "aktivitaten", "actividades", "activites"),
    "account": ("accounts", "account", "companies", "company", "customers", "organizations", "organisations", "firmen", "kunden", "unternehmen", "empresas", "clientes", "cuentas", "entreprises", "clients", "comptes", "contas", "aziende", "会社", "取引先"),
    "contact": ("contacts", "contact", "persons", "people", "kontakte", "contactos", "contatos"),
}  # fmt: skip
KEY = re.compile(r"00[1356Q][0-9A-Za-z]{12}(?:[0-9A-Za-z]{3})?", re.ASCII)  # ids of the standard objects of Salesforce


@dataclass(slots=True)
class ExportFile:
    """One file of the export, and the entity whose records it holds."""

    entity: str
    path: Path
    rows: Rows
    headers: list[str]
    profile: Profile  # of the CRM that this file is from: an export may hold files of two

    def values(self, header: str | None) -> list[str]:
        """A column's texts, the empty ones left out."""
        return [text for row in self.rows if (text := str(row.get(header) or "").strip())] if header else []


@dataclass(slots=True)
class Export:
    folder: Path
    profile: Profile
    sources: dict[str, ExportFile] = field(default_factory=dict)
    unread: list[tuple[str, str]] = field(default_factory=list)  # (file, why it is not read)


def read_export(place: Path) -> tuple[Export, list[Diagnostic]]:
    """The files of a folder that hold records, by entity, or the one file that is named; an error if one of them cannot be read."""
    folder = place.parent if place.is_file() else place
    empty = Export(folder, PROFILES["generic"])
    if not folder.is_dir():
        return empty, [Diagnostic("R606", f"there is no folder `{place}`", Span(str(place), 1, 1, 2), "name the folder of the export")]
    diagnostics: list[Diagnostic] = []
    files: list[tuple[Path, Rows, list[str]]] = []
    for path in [place] if place.is_file() else sorted(p for p in folder.iterdir() if p.is_file()):
        if path.suffix.lower() not in SUFFIXES:
            empty.unread += _other(path)
            continue
        read, problems = read_file(path)
        rows: Rows = list(read)
        if errors(problems) and _named(path, PROFILES["generic"]) is None:
            empty.unread.append((path.name, problems[0].message))
            continue
        diagnostics += problems
        headers = list(dict.fromkeys(k for row in rows for k in row if k not in ("$line", "")))
        if rows:
            files.append((path, rows, headers))
        else:
            empty.unread.append((path.name, "it has no records"))
    profile = profile_of(files)
    export = Export(folder, profile, unread=empty.unread)
    rest = []
    named: dict[str, list[ExportFile]] = {}
    for path, rows, headers in files:
        own = profile_of([(path, rows, headers)])
        own = own if own.name != "generic" else profile
        entity = _named(path, own)
        if entity is None:
            rest.append((path, rows, headers))
        else:
            named.setdefault(entity, []).append(ExportFile(entity, path, rows, headers, own))
    for entity, sources in named.items():  # of several the one with most columns that are known
        best = export.sources[entity] = max(sources, key=lambda s: len(matched(s.entity, s.headers, s.profile)))
        export.unread += [(s.path.name, f"{FILES[entity][0]} are read from {best.path.name}") for s in sources if s is not best]
    for source in list(export.sources.values()):  # a run takes a file for what its name says in the export's CRM, too
        also = _named(source.path, profile)
        if also is not None and also not in export.sources:
            export.sources[also] = replace(source, entity=also)
    _by_headers(export, rest)
    return export, diagnostics


def _other(path: Path) -> list[tuple[str, str]]:
    """Why a file of another kind is not read, if it may hold records."""
    if path.suffix.lower() in OTHER_SHEETS:
        return [(path.name, "save it as .xlsx or as CSV UTF-8")]
    return [(path.name, "its name must end with .csv")] if path.suffix.lower() == ".txt" else []


def _named(path: Path, profile: Profile) -> str | None:
    """The entity that a file's name says: that of `accounts.csv.gz` says what `accounts` says."""
    stem = label(path.name.partition(".")[0] if is_packed(path) else path.stem)
    words = set(stem.split())
    for entity, names in profile.files.items():
        if stem in map(label, names) or any(len(n) > 6 and label(n) in stem for n in names):
            return entity
    return next((entity for entity, names in NAMES.items() if words & set(names) or stem in FILES[entity]), None)


def _by_headers(export: Export, rest: list[tuple[Path, Rows, list[str]]]) -> None:
    """Of an export without accounts and leads, the file whose headers look most like theirs; the others are not read."""
    fits = []
    if "account" not in export.sources and "lead" not in export.sources:
        for path, rows, headers in rest:
            likeness = {e: matched(e, headers, export.profile) for e in ("account", "lead")}
            best = max(likeness, key=lambda e: len(likeness[e]))
            if len(likeness[best]) >= 2:
                fits.append((len(likeness[best]), best, path, rows, headers))
    for _, entity, path, rows, headers in sorted(fits, key=lambda x: -x[0])[:1]:
        export.sources[entity] = ExportFile(entity, path, rows, headers, export.profile)
        rest = [x for x in rest if x[0] != path]
    export.unread += [
        (path.name, "its name does not say whether it holds accounts, leads, reps, opportunities or activities") for path, _, _ in rest
    ]


def matched(entity: str, headers: Iterable[str], profile: Profile) -> set[str]:
    """The fields of an entity that some header is known for."""
    known = {label(h) for h in headers}
    fields = [*profile.columns.get(entity, {}).items(), *WORDS.get(entity, {}).items()]
    return {name for name, names in fields if known & set(map(label, names))}


def profile_of(files: list[tuple[Path, Rows, list[str]]]) -> Profile:
    """The CRM whose signs most headers carry; Salesforce if only the ids look like its; else no CRM in particular."""
    headers = [h for _, _, headers_there in files for h in headers_there]
    hits = {name: sum(bool(re.search(p.signs, h)) for h in headers) for name, p in PROFILES.items() if p.signs}
    best = max(hits, key=lambda name: hits[name])
    if hits[best]:
        return PROFILES[best]
    for _, rows, headers_there in files:
        for header in headers_there:
            values = [x for row in rows[:50] if (x := str(row.get(header) or "").strip())]
            if values and all(KEY.fullmatch(x) and len(x) in (SHORT, LONG) for x in values):
                return PROFILES["salesforce"]
    return PROFILES["generic"]
