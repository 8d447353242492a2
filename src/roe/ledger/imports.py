"""History that others kept: field history of Salesforce and HubSpot, and the out folders of runs from before the ledger.

Each becomes entries by import, at the times that the source gives. They fill in the past; who owns what now is changed only where the
ledger knows nothing later.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from roe.crm.ids import fold
from roe.diagnostics import user_error
from roe.ledger.entries import Owned, RunEntry, Seen
from roe.ledger.entry import Entry
from roe.ledger.holders import HolderFields
from roe.ledger.moment import At
from roe.ledger.store import Store

# the column with a record's id in an export of Salesforce's field history -> the entity
SALESFORCE = {"accountid": "account", "leadid": "lead", "opportunityid": "opportunity", "contactid": "contact"}
OWNER = ("owner", "ownerid", "account owner", "lead owner", "opportunity owner", "contact owner", "owner assignment", "hubspot_owner_id")
HUBSPOT = {"contact": "contact", "company": "account", "companie": "account", "deal": "opportunity", "lead": "lead"}


@dataclass(slots=True)
class Read:
    """What a source has to say: entries in the order of their times, what it is, and what could not be taken over."""

    what: str
    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def take_in(store: Store, name: str, entries: Sequence[Entry]) -> int:
    """Append what the ledger does not have yet; how many entries. One run of kind `import` has them all."""
    if not entries:
        return 0
    with store.writing() as tx:
        new, seen = [], set[Entry]()
        known: dict[tuple[str, str], set[Entry]] = {}
        for e in entries:
            key = (e.entity, e.record)  # type: ignore[attr-defined]
            if key not in known:
                known[key] = {_bare(x.entry) for x in store.of_record(*key, ("owned", "seen"))}
            bare = _bare(e)
            if bare not in known[key] and bare not in seen:
                new.append(e)
                seen.add(bare)
        if new:
            latest = max(e.at for e in new)
            tx.run(
                RunEntry(
                    at=At(latest.instant, False, latest.zone),
                    id=f"import-{name}-{tx.head.number + 1}",
                    what="import",
                    counts={"entries": len(new)},
                )
            )
            tx.append(new)
        return len(new)


def _bare(e: Entry) -> Entry:
    """What makes two imported entries the same: the record, the time and the new value."""
    if isinstance(e, Owned):
        return Owned(at=e.at, entity=e.entity, record=e.record, role=e.role, rep=e.rep, queue=e.queue)
    return replace(e, before=None, value=str(e.value)) if isinstance(e, Seen) else e


def read_source(source: Path, role: str, zone: str, reps: Path | None = None) -> Read:
    """Raises PolicyError for a source of none of these kinds, or one that cannot be read."""
    if source.is_dir():
        return _out_folder(source, zone)
    if source.suffix.lower() == ".json":
        return _hubspot_json(source, role, zone)
    header, rows = _table(source)
    names = {_plain(h): h for h in header}
    ids = next(((names[key], entity) for key, entity in SALESFORCE.items() if key in names), None)
    if ids is not None and "newvalue" in names:
        return _salesforce(source, rows, names, ids, role, zone, _names(reps))
    if not any("propert" in n for n in names):
        help = "export AccountHistory, LeadHistory or OpportunityFieldHistory as CSV, or HubSpot's property history"
        _refuse(source, "its columns are of no history that roe knows", help)
    return _hubspot_csv(source, rows, names, role, zone)


def _refuse(source: Path, message: str, help: str) -> NoReturn:
    raise user_error("R601", message, source, help)


def _plain(header: str) -> str:
    return header.strip().strip("\ufeff").lower().replace(" ", "").replace("_", "")


def _table(source: Path) -> tuple[list[str], list[dict[str, str]]]:
    try:
        text = source.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        text = source.read_bytes().decode("cp1252", "replace")
    except OSError as e:
        _refuse(source, f"the file cannot be read: {e.strerror or e}", "name a CSV or JSON file, or the --out folder of a run")
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    rows = list(csv.DictReader(io.StringIO(text), delimiter=separator))
    return first.rstrip("\r").replace('"', "").split(separator), [
        {k.strip().strip("\ufeff"): (x or "").strip() for k, x in row.items() if k and isinstance(x, (str, type(None)))} for row in rows
    ]


def _names(reps: Path | None) -> dict[str, str]:
    if reps is None:
        return {}
    header, rows = _table(reps)
    names = {_plain(h): h for h in header}
    if not {"id", "name"} <= set(names):
        _refuse(reps, "the table of reps needs the columns id and name", "export users with Id and Name")
    return {row[names["name"]].lower(): fold(row[names["id"]]) for row in rows if row.get(names["id"])}


def _moment(text: str, zone: str) -> At | None:
    """A time of an export: ISO 8601 as the API writes it, or milliseconds since 1970."""
    text = text.strip()
    try:
        if text.isdigit() and len(text) >= 12:
            return At(int(text) * 1000, False, zone)
        if len(text) > 5 and text[-5] in "+-" and text[-4:].isdigit():
            text = f"{text[:-2]}:{text[-2:]}"
        moment = At.of(text.replace("Z", "+00:00") if text.endswith("Z") else text, zone)
    except (ValueError, OverflowError):
        return None
    return At(moment.instant, moment.day, zone)


# --- Salesforce -----------------------------------------------------------------------------------------------------------


def _salesforce(
    source: Path,
    rows: Iterable[Mapping[str, str]],
    names: Mapping[str, str],
    ids: tuple[str, str],
    role: str,
    zone: str,
    reps: Mapping[str, str],
) -> Read:
    """An owner change is there twice, once with names and once with ids, at the same time: the ids count."""
    column, entity = ids
    found = Read(f"Salesforce's history of {entity} fields")
    when, what = names.get("createddate"), names.get("field") or names.get("fieldevent")
    if when is None or what is None:
        _refuse(source, "the history has no column for the field or the date", "export Field, OldValue, NewValue and CreatedDate")
    old, new = names.get("oldvalue", ""), names["newvalue"]
    changes: dict[tuple[str, At], tuple[str, str]] = {}
    bad = 0
    for row in rows:
        record, at = fold(row.get(column, "")), _moment(row.get(when, ""), zone)
        name = row.get(what, "").strip()
        if not record or at is None:
            bad += 1
        elif name.lower().removesuffix("__c") in OWNER:
            pair = (row.get(old, ""), row.get(new, ""))
            if (record, at) not in changes or _is_user(pair[1]) or _is_user(pair[0]):
                changes[record, at] = pair
        elif name and name.lower() not in ("created", "leadconverted", "leadmerged", "accountmerged"):
            before = row.get(old, "")
            found.entries.append(
                Seen(at=at, entity=entity, record=record, field=_field(name), value=row.get(new, "") or None, before=before or None)
            )
    unknown: set[str] = set()
    for (record, at), (before, after) in changes.items():
        found.entries.append(_owned(at, entity, record, role, after, before, reps, unknown))
    _notes(found, bad, unknown)
    found.entries.sort(key=lambda e: (e.at.instant, e.record))  # type: ignore[attr-defined]
    return _with_firsts(found, changes, entity, role, reps)


def _with_firsts(found: Read, changes: Mapping[tuple[str, At], tuple[str, str]], entity: str, role: str, reps: Mapping[str, str]) -> Read:
    """Before the first change of a record its old owner had it, since nobody knows when."""
    first: dict[str, tuple[At, str]] = {}
    for (record, at), (before, _) in changes.items():
        if before and (record not in first or at < first[record][0]):
            first[record] = (at, before)
    earlier: list[Entry] = [
        Owned(
            at=At(at.instant - 1, False, at.zone), entity=entity, record=record, role=role, by="import", past=True, since_unknown=True,
            **_holder(before, reps, set()),
        )
        for record, (at, before) in sorted(first.items())
    ]  # fmt: skip
    found.entries = sorted([*earlier, *found.entries], key=lambda e: (e.at.instant, e.record))  # type: ignore[attr-defined]
    return found


def _is_user(text: str) -> bool:
    return text.startswith(("005", "00G")) and len(text) in (15, 18)


def _holder(text: str, reps: Mapping[str, str], unknown: set[str]) -> HolderFields:
    if not text:
        return {}
    if text.startswith("00G") and len(text) in (15, 18):
        return {"queue": fold(text)}
    if not _is_user(text) and reps and text.lower() not in reps:
        unknown.add(text)
    return {"rep": reps.get(text.lower(), fold(text))}


def _owned(at: At, entity: str, record: str, role: str, after: str, before: str, reps: Mapping[str, str], unknown: set[str]) -> Owned:
    former = _holder(before, reps, set()).get("rep")
    return Owned(at=at, entity=entity, record=record, role=role, former=former, by="import", past=True, **_holder(after, reps, unknown))


def _field(name: str) -> str:
    known = {"StageName": "stage", "OwnerId": "owner"}
    return known.get(name, name)


def _notes(found: Read, bad: int, unknown: Iterable[str]) -> None:
    if bad:
        found.notes.append(f"{bad} lines have no record or no time that can be read")
    names = sorted(unknown)
    if names:
        found.notes.append(f"{len(names)} owners are not in the table of reps and are kept by name: {', '.join(names[:5])}")


# --- HubSpot --------------------------------------------------------------------------------------------------------------


def _hubspot_csv(source: Path, rows: Iterable[Mapping[str, str]], names: Mapping[str, str], role: str, zone: str) -> Read:
    ids = next((k for k in names if k in ("recordid", "objectid", "id") or (k.endswith("id") and k[:-2] in HUBSPOT)), None)
    name = next((k for k in names if k in ("property", "propertyname", "propertylabel")), None)
    value = next((k for k in names if k in ("value", "propertyvalue", "newvalue")), None)
    when = next((k for k in names if k in ("timestamp", "date", "changedate", "updatedat", "time", "propertytimestamp")), None)
    if ids is None or name is None or value is None or when is None:
        _refuse(
            source, "the property history has no id, property, value or timestamp", "export the property history with these four columns"
        )
    entity = _hubspot_entity(
        ids.removesuffix("id"), source, next((row.get(names[k], "") for row in rows for k in ("objecttype",) if k in names), "")
    )
    found = Read(f"HubSpot's history of {entity} properties")
    changes = [(row.get(names[ids], ""), row.get(names[name], ""), row.get(names[value], ""), row.get(names[when], "")) for row in rows]
    _hubspot(found, entity, changes, role, zone)
    return found


def _hubspot_entity(*hints: Path | str) -> str:
    texts = [(h.stem if isinstance(h, Path) else h).lower() for h in hints]
    return next((entity for text in texts for word, entity in HUBSPOT.items() if word in text), "contact")


def _hubspot_json(source: Path, role: str, zone: str) -> Read:
    """`propertiesWithHistory` of the API: one answer, a list of records, or one record."""
    try:
        said = json.loads(source.read_text("utf-8-sig"))
        records = said.get("results", [said]) if isinstance(said, dict) else said
        changes = [
            (str(record["id"]), name, "" if x.get("value") is None else str(x["value"]), str(x["timestamp"]))
            for record in records for name, history in record["propertiesWithHistory"].items() for x in history
        ]  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        why = e.strerror if isinstance(e, OSError) and e.strerror else "it is not an answer with `propertiesWithHistory`"
        _refuse(source, f"the file cannot be read: {why}", "save what HubSpot's API answers to `?propertiesWithHistory=hubspot_owner_id`")
    found = Read(f"HubSpot's history of {_hubspot_entity(source)} properties")
    _hubspot(found, _hubspot_entity(source), changes, role, zone)
    return found


def _hubspot(found: Read, entity: str, changes: Iterable[tuple[str, str, str, str]], role: str, zone: str) -> None:
    bad = 0
    ordered = []
    for record, name, value, when in changes:
        at = _moment(when, zone)
        if not record or at is None:
            bad += 1
        else:
            ordered.append((at, record, name, value))
    before: dict[tuple[str, str], str] = {}
    for at, record, name, value in sorted(ordered, key=lambda x: (x[0].instant, x[1], x[2])):
        old = before.get((record, name))
        before[record, name] = value
        if old == value:
            continue
        if name.lower().strip() in OWNER or name.lower().strip().endswith(" owner"):
            found.entries.append(
                Owned(at=at, entity=entity, record=record, role=role, rep=value or None, former=old or None, by="import", past=True)
            )
        else:
            found.entries.append(Seen(at=at, entity=entity, record=record, field=name, value=value or None, before=old))
    _notes(found, bad, ())


# --- runs before the ledger -------------------------------------------------------------------------------------------------


def _out_folder(folder: Path, zone: str) -> Read:
    """The allocations of a run, at its as-of. A folder of such folders is read in the order of their as-of."""
    folders = [folder] if (folder / "summary.json").is_file() else sorted(p.parent for p in folder.glob("*/summary.json"))
    if not folders:
        _refuse(folder, "the folder has no summary.json of a run", "name the --out folder of a run, or a folder of such folders")
    runs = sorted((list(_run(p, zone)) for p in folders), key=lambda entries: entries[0].at.instant if entries else 0)
    found, holders = Read(f"{len(folders)} earlier run{'' if len(folders) == 1 else 's'}"), dict[tuple[str, str, str], str | None]()
    for entries in runs:
        for e in entries:
            key = (e.entity, e.record, e.role)
            if key not in holders or holders[key] != e.rep:
                found.entries.append(e)
            holders[key] = e.rep
    return found


def _run(folder: Path, zone: str) -> Iterator[Owned]:
    try:
        said = json.loads((folder / "summary.json").read_text("utf-8"))
        as_of = _moment(str(said["as_of"]), zone)
        if as_of is None:
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError):
        _refuse(folder / "summary.json", "the summary of the run cannot be read", "name the --out folder of a run")
    path = folder / "allocations.csv"
    if not path.is_file():
        _refuse(path, "the run has no allocations.csv", "runs that wrote Parquet cannot be imported")
    for row in _table(path)[1]:
        until = _moment(row.get("expires", ""), zone) if row.get("expires") else None
        owner, before = fold(row.get("owner", "")) or None, fold(row.get("previous_owner", "")) or None
        if row.get("action") == "refer":
            owner, until = before, None
        yield Owned(
            at=as_of, entity=row.get("entity", ""), record=fold(row.get("record", "")), role=row.get("role", ""), rep=owner,
            former=before if before != owner else None, by="exception" if row.get("action") == "exception" else "rule", past=True,
            rule=row.get("rule", ""), action=row.get("action", ""), pool=row.get("pool", ""), until=until, sentence=row.get("reason", ""),
        )  # fmt: skip
