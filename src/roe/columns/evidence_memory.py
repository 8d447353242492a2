"""What the ledger knew as a run began, kept beside what the run saw: an explanation reads what it knew of the records around one."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from roe.dynamic import Json
from roe.ledger.by_record import OWNERS, PARTS, RECORD, entities_in, rest_of, rows_of, state_of
from roe.ledger.remembered import Remembered, as_remembered
from roe.ledger.role_tables import of_mapping

MEMORY, REST = "memory", "memory.json"
GONE = "gone"  # is left out: it is about records that are not in the data
OF_RECORDS = (*PARTS, "events", "crm_since", "crm_by")
BLOCK = 1 << 16  # rows in a part of a file, of which a reader takes only those with its records


def keep_memory(folder: Path, state: Remembered) -> None:
    """Write the memory of a run's ledger into a folder; nothing before the first run."""
    if not state:
        return
    own = folder / MEMORY
    own.mkdir()
    whole = as_remembered({**state, OWNERS: of_mapping(state.get("owners", {}))})
    rest = as_remembered({name: section for name, section in state.items() if name not in (OWNERS, GONE)})
    files: dict[str, str] = {}
    for entity in entities_in(whole, OF_RECORDS):
        files[entity] = f"{len(files)}.parquet"
        parquet.write_table(rows_of(whole, entity, OF_RECORDS).sort_by(RECORD), own / files[entity], row_group_size=BLOCK)
        rest = rest_of(rest, entity, OF_RECORDS)
    (own / REST).write_text(json.dumps({"files": files, "rest": rest}, default=dict), "utf-8")


def kept_memory(folder: Path, records: Mapping[str, Collection[str]]) -> Remembered:
    """What such a folder has of some records, by entity, and all that is about no record."""
    own = folder / MEMORY
    if not (own / REST).is_file():
        return {}
    kept: Json = json.loads((own / REST).read_text("utf-8"))
    state = as_remembered(kept["rest"])
    for entity, name in kept["files"].items():
        is_one = pc.field(RECORD).isin(pa.array(list(records.get(entity, ())), pa.string()))
        state = state_of(entity, parquet.read_table(own / Path(name).name, filters=is_one), state)
    return state
