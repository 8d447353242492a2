"""What Spark says when it does not finish: errors of its own, of Java, and of Python in a task, each in a line.

PySpark has classes of its own for some errors only. What Java says of a lost executor, or of results that are too large, comes as py4j has it.
"""

from __future__ import annotations

CALLING = "An error occurred while calling"  # which object of Java: nothing that a user could know
CAUSE = "Caused by: "


def troubles() -> tuple[type[Exception], ...]:
    """The exceptions of a session that mean that Spark did not finish."""
    from pyspark.errors import PySparkException

    try:
        from py4j.protocol import Py4JError
    except ImportError:  # a client of Spark Connect has no Java
        return PySparkException, ConnectionError
    return PySparkException, ConnectionError, Py4JError


def reason(trouble: Exception) -> str:
    """The error that a task's Python ended with, the last cause that Java names, or else the first line."""
    if isinstance(trouble, ConnectionError):
        return "its process has ended"
    _, python, after = str(trouble).rpartition("Traceback (most recent call last):\n")
    lines = [line for line in (after or str(trouble)).splitlines() if line.strip()]
    if python:
        said = [line for line in lines if not line.startswith(" ")]
    else:
        said = [line.removeprefix(CAUSE) for line in reversed(lines) if line.startswith(CAUSE)]
        said += [line.strip(": ") for line in lines if not line.startswith(CALLING)]
    return (said or [type(trouble).__name__])[0][:300]
