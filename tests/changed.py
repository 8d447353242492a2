"""A change that `--why-not` names, made in the files of a policy and its data: an application of its own, for tests.

It knows nothing of `roe.analysis`: it edits CSV rows and YAML from the change's JSON, as a person would who reads the sentence.
"""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from roe.crm.ids import fold
from roe.data.headers import columns_of
from roe.data.read import files_of
from roe.evaluator.engine import Evaluator
from roe.policy.standard import FILES
from roe.stages.build import build

Changes = list[dict[str, Any]]


class _Plain(yaml.emitter.Emitter, yaml.serializer.Serializer, yaml.representer.SafeRepresenter, yaml.resolver.BaseResolver):
    """Writes every scalar as it was read: nothing becomes a number or a date."""

    def __init__(self, stream: Any) -> None:
        yaml.emitter.Emitter.__init__(self, stream, width=10_000, allow_unicode=True)
        yaml.serializer.Serializer.__init__(self)
        yaml.representer.SafeRepresenter.__init__(self, sort_keys=False)
        yaml.resolver.BaseResolver.__init__(self)


def edit_yaml(path: Path, edit: Any) -> None:
    found = yaml.load(path.read_text("utf-8"), Loader=yaml.BaseLoader)
    edit(found)
    with path.open("w", encoding="utf-8") as stream:
        writer = _Plain(stream)
        writer.open()
        writer.represent(found)
        writer.close()


def apply(changes: Changes, source: Path, folder: Path, data: Path | None = None) -> tuple[Evaluator, Path, str | None]:
    """The example in `source` copied to `folder` with the changes made; its evaluator, its data, and another day if one is waited for."""
    shutil.copytree(source, folder)
    if data is not None:
        shutil.rmtree(folder / "data", ignore_errors=True)
        shutil.copytree(data, folder / "data")
    before, _ = build(source)
    assert before is not None
    day = None
    for number, change in enumerate(changes):
        if change["kind"] == "wait":
            day = max(day or "", change["until"])
        elif change["kind"] in ("field", "record"):
            _data(before, folder / "data", change, number)
        else:
            _POLICY[change["kind"]](folder, change)
    policy, found = build(folder)
    assert policy is not None, found
    return Evaluator(policy), folder / "data", day


def _text(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def _save(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def _data(policy: Any, folder: Path, change: dict[str, Any], number: int) -> None:
    path = files_of(policy, folder)[0].get(change["entity"])
    if path is None:
        path = folder / f"{FILES.get(change['entity'], (change['entity'] + 's',))[0]}.csv"
        path.write_text("id\n", "utf-8")
    header, *rows = _rows(path)
    names = [h.strip() for h in header]
    records = in_records(policy, names, [dict(zip(names, row, strict=False)) for row in rows if row], change, number)
    names = list(dict.fromkeys([*names, *(k for record in records for k in record)]))
    _save(path, [names, *([record.get(name, "") for name in names] for record in records)])


def in_records(policy: Any, columns: list[str], records: list[dict[str, Any]], change: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """The raw records of an entity with a field changed, or with a record more; the others are the same objects."""
    entity = change["entity"]
    known = columns_of(entity, policy.model.entities[entity], columns, policy.roles)

    def column(field: str) -> str:
        found = policy.model.entities[entity].get(field)
        return known.get(field) or (found.columns[0] if found is not None and found.columns else field)

    if change["kind"] == "record":
        more = {column("id"): f"zz-new-{entity}-{number + 1}", **{column(k): _text(x) for k, x in change["values"].items()}}
        return [*records, more]
    key = column(next(name for name in ("id", "email", "name", "domain") if name in known))
    meant = [fold(str(r.get(key, "")).strip()) == change["record"] for r in records]  # a record may stand there twice
    assert any(meant), change
    return [{**r, column(change["field"]): _text(change["to"])} if own else r for r, own in zip(records, meant, strict=True)]


def _list(folder: Path, change: dict[str, Any]) -> None:
    place: dict[str, Any] = {}

    def edit(policy: dict[str, Any]) -> None:
        found = policy["lists"][change["list"]]
        if isinstance(found, list):
            found[:] = [*found, change["value"]] if change["adds"] else [x for x in found if x != change["value"]]
        place["file"] = found

    edit_yaml(folder / "policy.yaml", edit)
    if isinstance(place["file"], dict):
        path = folder / place["file"]["file"]
        rows = _rows(path)
        at = rows[0].index(place["file"]["key"])
        rows = (
            [*rows, ["" if i != at else change["value"] for i in range(len(rows[0]))]]
            if change["adds"]
            else [r for r in rows if r[at] != change["value"]]
        )
        _save(path, rows)


def _table_row(folder: Path, place: str) -> tuple[Path, int, int]:
    file, line, column = re.fullmatch(r"(.+?):(\d+):(\d+)", place).groups()  # type: ignore[union-attr]
    return folder / file, int(line), int(column)


def _exception(folder: Path, change: dict[str, Any]) -> None:
    path, line, _ = _table_row(folder, change["place"])
    lines = path.read_text("utf-8").split("\n")
    del lines[line - 1]
    path.write_text("\n".join(lines), "utf-8")


def _staffing(folder: Path, change: dict[str, Any]) -> None:
    if change["place"]:
        path, line, column = _table_row(folder, change["place"])
        lines = path.read_text("utf-8").split("\n")
        head, tail = lines[line - 1][: column - 1], lines[line - 1][column - 1 :]
        assert tail.startswith(change["from"]), (tail, change)
        lines[line - 1] = head + change["to"] + tail[len(change["from"]) :]
        path.write_text("\n".join(lines), "utf-8")
        return
    place: dict[str, Any] = {}

    def edit(policy: dict[str, Any]) -> None:
        section = policy["territories"] if change["of"] == "territory" else policy["overlays"][change["of"]]
        place["staffing"] = section["staffing"]
        if isinstance(section["staffing"], list):
            section["staffing"].append({"territory": change["territory"], "role": change["role"], "rep": change["to"]})

    edit_yaml(folder / "policy.yaml", edit)
    if isinstance(place["staffing"], str):
        rows = _rows(folder / place["staffing"])
        cells = {"territory": change["territory"], "role": change["role"], "rep": change["to"]}
        _save(folder / place["staffing"], [*rows, [cells.get(h, "") for h in rows[0]]])


def _member(folder: Path, change: dict[str, Any]) -> None:
    edit_yaml(folder / "policy.yaml", lambda policy: policy["pools"][change["pool"]]["members"].append(change["rep"]))


_POLICY = {"list": _list, "exception": _exception, "staffing": _staffing, "member": _member}
