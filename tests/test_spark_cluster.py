"""Runs on a cluster whose executors are processes of their own give the files of a local run. `dev.py proofs` tries it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import roe
from helpers import AS_OF, EXAMPLES
from test_spark import WHY, assert_alike_on_spark, compare

HEAVY = bool(os.environ.get("ROE_HEAVY")) and shutil.which("java") is not None


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    pytest.importorskip("pyspark")
    from roe.spark.run import local_session

    spark = local_session("local-cluster[2,1,1024]", {"spark.driver.memory": "1g", "spark.driver.maxResultSize": "64m"})
    yield spark
    spark.stop()


@pytest.mark.skipif(not HEAVY, reason="needs ROE_HEAVY=1 and Java")
@pytest.mark.parametrize("name", [name for name in sorted(AS_OF) if not WHY[name]])
def test_two_executors_give_the_files_of_a_local_run(name: str, tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roe.run.run.without_a_ledger", lambda policy: [])
    evaluator = roe.compile(roe.load(EXAMPLES / name))
    assert compare(evaluator, EXAMPLES / name / "data", AS_OF[name], tmp_path, cluster, buckets=3) == ""


@pytest.mark.skipif(not HEAVY, reason="needs ROE_HEAVY=1 and Java")
@pytest.mark.parametrize("seed", range(1, 41, 3))
def test_two_executors_decide_random_worlds_night_after_night(seed: int, tmp_path: Path, cluster: Any) -> None:
    assert_alike_on_spark(seed, 3, tmp_path, cluster)
