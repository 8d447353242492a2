"""Every test has a cache folder of its own, so that none rests on what another left."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

# Hundreds of tests start roe as a process of its own: without bytecode every one of them compiles roe again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# CI tries the same examples every time, so that a change is judged by what it changed; everywhere else they are new ones.
SAME = "CI" in os.environ
settings.register_profile("day", max_examples=40, deadline=None, derandomize=SAME, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("heavy", max_examples=1000, deadline=None, derandomize=SAME, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("heavy" if os.environ.get("ROE_HEAVY") else "day")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def without_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages have no charts: drawing them takes most of a command's time, and the test looks at something else."""
    monkeypatch.setattr("roe.web.page._svg", lambda *chart: "<svg></svg>")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `heavy` are run where somebody asks for long checks."""
    if not os.environ.get("ROE_HEAVY"):
        for item in items:
            if item.get_closest_marker("heavy") is not None:
                item.add_marker(pytest.mark.skip(reason="needs ROE_HEAVY=1"))
