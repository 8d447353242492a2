"""The tests of Spark on a session of Spark Connect, as Databricks Connect gives one: the same calls, to a server."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from test_spark import heavy

HERE = Path(__file__).resolve().parent


@heavy
@pytest.mark.skipif(find_spec("grpc") is None, reason="needs grpcio")
def test_spark_connect_passes_the_tests_of_spark() -> None:
    assert_tests_of_spark_pass("local[2]")


def assert_tests_of_spark_pass(server: str) -> None:
    """In a process of their own, since one process has one kind of session."""
    env = {**os.environ, "ROE_CONNECT": server, "ROE_WORLDS": "8", "PYSPARK_PYTHON": sys.executable}
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "--timeout=0", "tests/test_spark.py"]
    done = subprocess.run(command, env=env, cwd=HERE.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout and " failed" not in done.stdout
