"""Runs on a cluster whose executors are processes of their own give the files of a local run. `dev.py proofs` tries it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers import AS_OF
from test_spark import WHY

pytest.importorskip("pyarrow")
from alike import ROWS, assert_alike_in_nights, assert_example_alike, on_spark
from made_worlds import world_of

HEAVY = bool(os.environ.get("ROE_HEAVY")) and shutil.which("java") is not None


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    pytest.importorskip("pyspark")
    from roe.spark.run import local_session

    spark = local_session("local-cluster[2,1,1024]", {"spark.driver.memory": "1g", "spark.driver.maxResultSize": "64m"})
    yield spark
    spark.stop()


@pytest.mark.skipif(not HEAVY, reason="needs ROE_HEAVY=1 and Java")
@pytest.mark.parametrize("name", sorted(AS_OF))
def test_two_executors_decide_examples_night_after_night(name: str, tmp_path: Path, cluster: Any) -> None:
    spark = on_spark(cluster, 3)
    assert_example_alike(name, tmp_path, {**ROWS, "cluster": spark})
    assert WHY[name] in ("", spark.together)


@pytest.mark.skipif(not HEAVY, reason="needs ROE_HEAVY=1 and Java")
@pytest.mark.parametrize("seed", range(1, 41, 3))
def test_two_executors_decide_random_worlds_night_after_night(seed: int, tmp_path: Path, cluster: Any) -> None:
    assert_alike_in_nights(world_of(seed, tmp_path), {**ROWS, "cluster": on_spark(cluster, 3)}, seed)
