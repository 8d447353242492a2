"""Servers as copies of one process that has imported all that a server needs, which is most of the time that a start takes.

Each is a process of its own, and can be killed as any other. One that a test has left behind ends with the tests, which would wait for it.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

OWN = ("roe.cli.serve", "roe.serve.main", "roe.cache", "roe.stages.build")
OTHERS = (  # what roe and uvicorn import where they use it
    "interegular", "jsonschema", "lark", "psycopg", "uvicorn", "uvicorn.lifespan.on", "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto",
)  # fmt: skip
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([*OWN, *OTHERS])
ROOT = str(Path(__file__).resolve().parents[1])
if ROOT not in sys.path:  # `pytest` does not put it there, as `python -m pytest` does: the copies look for the module of a test in it
    sys.path.append(ROOT)


def forked(log: Path, environment: Mapping[str, str], run: Callable[..., None], args: tuple[str, ...]) -> BaseProcess:
    """Start a process that calls `run`, and writes what it says to a log."""
    process = FORKS.Process(target=_begin, args=(log, environment, run, args))
    process.start()
    atexit.register(_end, process)
    return process


def _end(process: BaseProcess) -> None:
    if process.is_alive():
        process.kill()


def roe(*args: str) -> None:
    """The command `roe`."""
    from roe.cli import entry

    sys.argv = ["roe", *args]
    entry()


def _begin(log: Path, environment: Mapping[str, str], run: Callable[..., None], args: tuple[str, ...]) -> None:
    with log.open("ab") as out, open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)  # a copy has none, and the workers of a server are given the number of theirs
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    sys.stdin = os.fdopen(0, closefd=False)
    os.environ.update(environment)
    run(*args)
