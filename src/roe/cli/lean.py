"""Packages without what a command that only decides records does not need."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


def before_arrow() -> None:
    """Say what to leave out to whoever imports NumPy or Arrow from now on."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # nothing here multiplies matrices, and its threads spin while they wait
    if "pyarrow" not in sys.modules:
        sys.modules["pyarrow.vendored.docscrape"] = _NoDocumentation("docscrape")


def without_pandas() -> None:
    """Keep Arrow from importing pandas, where that is installed, with the first array of Python values."""
    if "pandas" not in sys.modules:
        import pyarrow as pa

        finder = _NoPandas()
        sys.meta_path.insert(0, finder)
        try:
            pa.array([None])
        finally:
            sys.meta_path.remove(finder)


@contextmanager
def without_metadata() -> Iterator[None]:
    """Keep packages that load meanwhile from looking up their own version: `importlib.metadata` takes longer to load than they do."""
    name, stand_in = "importlib.metadata", _NoVersions("importlib.metadata")
    had = sys.modules.setdefault(name, stand_in)
    try:
        yield
    finally:
        if had is stand_in:
            del sys.modules[name]


class _NoPandas:
    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


class _NoDocumentation(ModuleType):
    """In place of the module with which `pyarrow.compute` writes the `help()` of its 280 functions from the texts of others."""

    @staticmethod
    def NumpyDocString(text: str) -> dict[str, list[str]]:
        return {"Parameters": []}


class _NoVersions(ModuleType):
    """In place of `importlib.metadata`: no package is installed."""

    PackageNotFoundError = ImportError

    @staticmethod
    def version(name: str) -> str:
        raise ImportError(name)
