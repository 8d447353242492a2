"""The tests of Spark on Sail, which speaks Spark Connect and needs no Java.

Sail needs an older PySpark than the other tests have, so an environment of its own: `python3 dev.py heavy` makes it. By hand:

    python3 -m venv .venv-sail
    .venv-sail/bin/pip install -e '.[sail,delta]' hypothesis pytest pytest-timeout pytest-xdist
    ROE_HEAVY=1 .venv-sail/bin/python -m pytest -n 0 tests/test_spark_sail.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

import roe
from helpers import AS_OF, EXAMPLES
from roe.diagnostics import PolicyError
from roe.run.folder import damaged, read_mark
from test_spark_connect import assert_tests_of_spark_pass

pytestmark = pytest.mark.skipif(
    not os.environ.get("ROE_HEAVY") or find_spec("pysail") is None, reason="needs ROE_HEAVY=1 and pip install 'roe-policy[sail]'"
)
SERVES = """
import sys
from pysail.spark import SparkConnectServer
server = SparkConnectServer("127.0.0.1", 0)
server.start(background=True)
print(server.listening_address[1], flush=True)
sys.stdin.read()
"""


@contextmanager
def sail(**settings: str) -> Iterator[str]:
    """The address of a server, which ends with this process."""
    env = {**os.environ, "PYTHONPATH": str(Path(roe.__file__).resolve().parents[1]), "RUST_LOG": "error", **settings}
    with subprocess.Popen([sys.executable, "-c", SERVES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as server:
        assert server.stdin is not None and server.stdout is not None
        yield f"sc://127.0.0.1:{int(server.stdout.readline())}"
        server.stdin.close()


def test_sail_passes_the_tests_of_spark(tmp_path: Path) -> None:
    with sail(SAIL_EXECUTION__CHECKPOINT__PATH=tmp_path.as_uri()) as address:
        assert_tests_of_spark_pass(address)


def test_a_server_that_can_keep_no_rows_says_what_to_set(tmp_path: Path) -> None:
    """Only where rows have to be kept."""
    from pyspark.sql import SparkSession

    from roe.run.engine import Job
    from roe.run.run import RunOptions, run
    from roe.run.source import Source

    with sail() as address:
        session = SparkSession.builder.remote(address).create()

        def decide(name: str) -> None:
            evaluator = roe.compile(roe.load(EXAMPLES / name))
            job = Job(evaluator, Source(evaluator.policy, EXAMPLES / name / "data"), AS_OF[name], form="parts", session=session, buckets=3)
            run(job, tmp_path / name, RunOptions(engine="spark"))

        decide("windows")
        assert damaged(tmp_path / "windows") == []
        with pytest.raises(PolicyError) as refused:
            decide("inbound")
        session.stop()  # it would look for the server for minutes
    (said,) = refused.value.diagnostics
    assert said.code == "R803" and "set execution.checkpoint.path" in said.message
    assert not read_mark(tmp_path / "inbound")
