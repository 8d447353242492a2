"""The turns of pools, for whoever explains one record: of a run that was made, or of one that is made in columns for them alone and kept.

Whose turn it was rests on every record before. So a run's turns are kept in the user's cache folder by the digest of all that they rest on:
the policy, the data, as-of, the ledger's state and roe itself. The next explanation reads one of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from roe.columns.turn_files import write_turns
from roe.columns.turn_reading import read_turns
from roe.data.lookup import CannotLookUp
from roe.dynamic import Json
from roe.evaluator.engine import Evaluator
from roe.files import cache_folder, is_private, own_digest
from roe.ledger.remembered import Remembered
from roe.progress import phase
from roe.run.folder import digest
from roe.run.inputs import digest_of, policy_files
from roe.run.source import Source

KEPT = 5  # runs whose turns are kept; the oldest goes
Say = Callable[[str], None]


class TurnsOfRun(Mapping[str, Json]):
    """The turns of a run by `entity|record|role`, each read when it is asked for. `folder` gives the run's folder when the first one is."""

    def __init__(self, folder: Callable[[], Path]) -> None:
        self._folder = folder
        self._place: Path | None = None
        self._known: dict[str, Json] = {}

    def __contains__(self, key: object) -> bool:
        return True  # a run took a turn for every record that a pool was asked for

    def __getitem__(self, key: str) -> Json:
        if key not in self._known:
            self._place = self._place or self._folder()
            turn = read_turns(self._place, key).get(key)
            if turn is None:
                raise CannotLookUp(f"the run has no turn for {key.replace('|', ' ')}")
            self._known[key] = turn
        return self._known[key]

    def __iter__(self) -> Iterator[str]:
        raise TypeError("turns are looked up one by one")

    def __len__(self) -> int:
        raise TypeError("turns are looked up one by one")


def turns_of(evaluator: Evaluator, source: Source, as_of: str, state: Remembered, say: Say) -> TurnsOfRun:
    """The turns of the run that these would give; it is made, with a word, when the first one is asked for and none is kept."""
    return TurnsOfRun(lambda: _folder(evaluator, source, as_of, state, say))


def _folder(evaluator: Evaluator, source: Source, as_of: str, state: Remembered, say: Say) -> Path:
    phase("looking for the turns of pools")
    cache = cache_folder()
    if cache is None or not is_private(cache):
        say(
            "note: a pool's turns depend on all earlier records, so roe decides all of them; with a private cache folder it does this only once"
        )
        return _made(evaluator, source, as_of, state, Path(tempfile.mkdtemp(prefix="roe-turns-")))
    place = cache / "turns" / _digest(evaluator, source, as_of, state)
    if not (place / "pools.json").is_file():
        say("note: a pool's turns depend on all earlier records, so roe decides all of them, once for this policy, data and day")
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{os.getpid()}-"))
        try:
            _made(evaluator, source, as_of, state, draft)
            with contextlib.suppress(OSError):  # somebody else has made the same meanwhile
                draft.rename(place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        _forget(place.parent)
    with contextlib.suppress(OSError):
        os.utime(place)
    return place


def _forget(folder: Path) -> None:
    """Remove what was not asked for longest. Others may remove the same, and be about to put theirs in place."""
    held: list[tuple[float, Path]] = []
    for place in folder.iterdir():
        with contextlib.suppress(OSError):
            held.append((place.stat().st_mtime, place))
    for _, old in sorted(held)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def _digest(evaluator: Evaluator, source: Source, as_of: str, state: Remembered) -> str:
    files = {str(path): digest(path) for path in dict.fromkeys(source.files().values())}
    rests_on = [
        own_digest(), digest_of(policy_files(evaluator.policy)), files, evaluator.clock(as_of).now.isoformat(),
        hashlib.sha256(json.dumps(state, sort_keys=True, default=str).encode()).hexdigest(),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(rests_on).encode()).hexdigest()[:32]


def _made(evaluator: Evaluator, source: Source, as_of: str, state: Remembered, folder: Path) -> Path:
    """Decide every record, in columns where that can be done, and write what pools did."""
    from roe.run.engine import Job
    from roe.run.engines import ColumnEngine, RowEngine

    job = Job(evaluator, source, as_of, state)
    is_columnar = all(limit.what == "size" for limit in ColumnEngine(job).limits())
    batch = (ColumnEngine if is_columnar else RowEngine)(job).batch()
    write_turns(folder, batch.turns, batch.pools)
    return folder
