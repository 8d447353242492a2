"""Every test has a cache folder of its own, so that none rests on what another left."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from effort import CI, HEAVY, tries

# Hundreds of tests start roe as a process of its own: without bytecode every one of them compiles roe again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Each of those processes would also start threads for matrices, which nobody multiplies: they take longer than the rest of numpy's import.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Tests make and remove a hundred thousand files. On a disk that takes a fifth of their time, and each commit of a ledger waits for it.
MEMORY, ROOM = Path("/dev/shm"), 4 << 30  # bytes that must be free


def is_in_memory(folder: Path) -> bool:
    """Whether a folder of Linux lies in memory with much room, and programs can be started from it."""
    try:
        available = next(line for line in Path("/proc/meminfo").read_text("utf-8").splitlines() if line.startswith("MemAvailable:"))
        room = min(shutil.disk_usage(folder).free, int(available.split()[1]) << 10)
        return room >= ROOM and os.access(folder, os.W_OK) and not os.statvfs(folder).f_flag & os.ST_NOEXEC
    except (OSError, StopIteration):
        return False


if "TMPDIR" not in os.environ and not HEAVY and is_in_memory(MEMORY):  # long checks have more files than one would keep there
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)

# CI tries the same examples every time, so that a change is judged by what it changed; everywhere else they are new ones.
settings.register_profile(
    "roe", max_examples=tries(12, 40, 1000), deadline=None, derandomize=CI, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("roe")


# When a run ends, it thaws all that is frozen. Here that would be the modules of all tests, too, and the collections that the next run asks
# for would go through them: a third of the time of tests with many runs. So all is thawed once in a while. A process of its own always does it.
SELDOM, asked, unfreeze = 50, itertools.count(1), gc.unfreeze


def thaw() -> None:
    if next(asked) % SELDOM == 0:
        unfreeze()
        gc.collect()
        gc.freeze()


vars(gc)["unfreeze"] = thaw


@pytest.fixture(scope="module", autouse=True)
def collected() -> None:
    """What all modules and libraries have made stays as long as the tests: no collection of a test goes through it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Path]]:
    """Names of folders. pytest's own way to a new folder reads the names of all that are there, which are thousands."""
    folder = tmp_path_factory.mktemp("caches")
    yield (folder / str(number) for number in itertools.count())
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def own_cache(caches: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = next(caches)
    folder.mkdir(0o700)
    monkeypatch.setenv("ROE_CACHE", str(folder))


@pytest.fixture
def without_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages have no charts: drawing them takes most of a command's time, and the test looks at something else."""
    monkeypatch.setattr("roe.web.page._svg", lambda *chart: "<svg></svg>")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `heavy` are run where somebody asks for long checks."""
    if not HEAVY:
        for item in items:
            if item.get_closest_marker("heavy") is not None:
                item.add_marker(pytest.mark.skip(reason="needs ROE_HEAVY=1"))
