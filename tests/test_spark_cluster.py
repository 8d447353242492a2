"""Runs on a cluster whose executors are processes of their own give the files of a local run. `dev.py proofs` tries it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from helpers import AS_OF, EXAMPLES, example
from roe.diagnostics import PolicyError
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


@pytest.mark.skipif(not HEAVY, reason="needs ROE_HEAVY=1 and Java")
def test_lost_executors_end_a_run_that_has_rows_on_them(tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are killed once they keep what the pool's task gave: the run before it stays, whole, and the next one finds new executors."""
    from roe.run.engine import Job
    from roe.run.folder import damaged, read_mark
    from roe.run.run import RunOptions, run
    from roe.run.source import Source
    from roe.spark import run as on_spark

    evaluator, out = example("inbound"), tmp_path / "out"
    source = Source(evaluator.policy, EXAMPLES / "inbound" / "data")

    def decide() -> None:
        job = Job(evaluator, source, AS_OF["inbound"], session=cluster, buckets=3, form="parts")
        run(job, out, RunOptions(str(tmp_path / "state"), engine="spark"))

    def kept_and_lost(frame: Any) -> Any:
        rows, killed = kept(frame), executors(cluster)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        lost.append(len(killed))
        return rows

    kept, lost = on_spark.kept, list[int]()
    decide()
    before = read_mark(out)
    with monkeypatch.context() as patch, pytest.raises(PolicyError) as ended:
        patch.setattr(on_spark, "kept", kept_and_lost)
        decide()
    (said,) = ended.value.diagnostics
    assert lost == [2] and said.code == "R803" and "Checkpoint block" in said.message, said
    assert read_mark(out) == before and damaged(out) == []
    decide()
    assert read_mark(out)["run"] != before["run"] and damaged(out) == []


def executors(session: Any) -> list[int]:
    """The processes that run tasks for this session."""
    driver = f":{session.conf.get('spark.driver.port')}\0".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (folder / "cmdline").read_bytes()
            if b"CoarseGrainedExecutorBackend\0" in command and driver in command:
                found.append(int(folder.name))
    return found
