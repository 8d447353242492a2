"""A dry run that can still be committed: what it would append to the ledger, kept among its files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import NoReturn

from roe.data.files import write_whole
from roe.diagnostics import user_error
from roe.dynamic import Json, Saved
from roe.ledger.encode import Draft, draft, entry
from roe.ledger.entries import RunEntry
from roe.ledger.entry import Entry
from roe.run.folder import MARK, OutFolder, damaged, files_of, read_mark
from roe.run.memory import opened

FILE = "pending.jsonl"


def keep(folder: Path, base: Saved, run: RunEntry, policy: Mapping[str, bytes], drafts: Iterable[Draft]) -> None:
    """Write what a run would append. `base` is the epoch and number of the ledger that it was decided on."""
    first = {"base": dict(base), "policy": {name: content.hex() for name, content in policy.items()}}
    lines = [json.dumps(first), *(json.dumps(_plain(d), ensure_ascii=False) for d in (draft(run), *drafts))]
    write_whole(folder / FILE, "".join(line + "\n" for line in lines))


def _plain(d: Draft) -> Json:
    return {**{name: x for name, x in asdict(d).items() if name != "kept"}, "value": None if d.value is None else d.value.decode()}


def _entries(lines: Iterator[str]) -> Iterator[Entry]:
    for line in lines:
        read = json.loads(line)
        pairs = {name: read[name] and tuple(read[name]) for name in ("subject", "target", "former")}
        yield entry(Draft(**{**read, **pairs, "value": None if read["value"] is None else read["value"].encode()}))


def apply_dry_run(out: Path, state: str, zone: str, as_of: str, policy: str, wait: float, accepted: str) -> Json:
    """Commit the dry run in a folder, just as it is; its run.json. Raises PolicyError if it is not one, if its files were changed, if it was
    made of another policy or day, or if the ledger has gone on since; OSError for a folder that cannot be written.
    """
    folder = OutFolder(out)
    with folder.locked(wait), opened(state, zone, wait) as memory:
        folder.recover(lambda mark: not mark.get("ledger") or memory.has(str(mark["run"])))
        mark = read_mark(out)
        if mark.get("outcome") == "dry" and memory.has(str(mark.get("run"))):  # committed, and killed before run.json said so
            return _committed(out, mark, memory.place_of(str(mark["run"])))
        if mark.get("outcome") == "dry" and files_of(out) != out:
            _refuse(out, "a dry run with `--format parts` or `delta` cannot be applied", "run it again, without --dry-run")
        if mark.get("outcome") != "dry" or FILE not in mark["files"]:
            _refuse(out, "there is no dry run in this folder", "make one first: roe run … --dry-run")
        changed = damaged(out)
        if changed:
            _refuse(out, f"`{changed[0]}` is not as the dry run left it", "make the dry run again")
        if (mark["policy"]["digest"], mark["as_of"]) != (policy, as_of):
            _refuse(
                out, "the dry run was made as of another day, or with another policy", "name its --as-of and its policy, or make it again"
            )
        with (out / FILE).open(encoding="utf-8") as file:
            first = json.loads(next(file))
            run, *entries = _entries(file)
        assert isinstance(run, RunEntry)
        with memory.committing() as commit:
            if first["base"] != commit.tx.head.base:
                _refuse(out, "the ledger has gone on since the dry run", "make the dry run again")
            files = {name: bytes.fromhex(content) for name, content in first["policy"].items()}
            place = commit.append(replace(run, accepted=accepted) if accepted else run, files, entries)
        return _committed(out, mark, place)


def _committed(out: Path, mark: Json, place: Saved) -> Json:
    """Let run.json say that the run was committed; what it would have appended is appended, and goes."""
    files = {name: digest for name, digest in mark["files"].items() if name != FILE}
    mark = {**mark, "outcome": "committed", "ledger": dict(place), "files": files}
    write_whole(out / MARK, json.dumps(mark, indent=2, ensure_ascii=False) + "\n")
    (out / FILE).unlink(missing_ok=True)
    return mark


def _refuse(out: Path, message: str, help: str) -> NoReturn:
    raise user_error("R647", message, out, help)
