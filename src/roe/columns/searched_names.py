"""Names of some records, of which another task has found out which names of all records they are like."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pyarrow as pa

from roe.columns.raw import as_bytes
from roe.companies.index import NameIndex


class SearchedNames(NameIndex):
    """Names of some records, where it is known already which names of all records are like those that are looked for (rows of `ALIKE`)."""

    def __init__(self, names: Iterable[str], alike: pa.Table) -> None:
        super().__init__()
        self._places: dict[bytes, list[int]] = {}
        for place, name in enumerate(names):
            self._places.setdefault(as_bytes(name), []).append(place)
        self._alike: dict[tuple[bool, bytes], list[tuple[float, bytes]]] = {}
        for group, name, other, score in zip(*(alike[x].to_pylist() for x in ("group", "name", "other", "score")), strict=True):
            self._alike.setdefault((group, name), []).append((score, other))

    def search(
        self, name: str, least: float, group: bool = False, only: Callable[[int], bool] | None = None, within: float = 1.0
    ) -> list[tuple[float, int]]:
        enough = [(score, other) for score, other in self._alike.get((group, as_bytes(name)), ()) if score >= least]
        found = [(score, place) for score, other in enough for place in self._places.get(other, ()) if only is None or only(place)]
        return sorted(found, key=lambda x: (-x[0], x[1]))
