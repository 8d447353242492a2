"""How the benchmarks measure: seconds of calls and of whole processes, processor time, memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BYTECODE = str(Path(tempfile.gettempdir(), "roe-benchmark-bytecode"))  # of roe, which is not installed here
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100  # of a processor, in a second


def times(act: Callable[[], Any], repeat: int) -> list[float]:
    """The seconds of some calls."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - start)
    return seconds


def median(act: Callable[[], Any], repeat: int) -> float:
    return statistics.median(times(act, repeat))


@dataclass(frozen=True)
class Cost:
    """What a whole process took: seconds by the clock and of processors, and MiB at its peak."""

    seconds: float
    processor: float
    mib: float


def whole_process(*args: str, **environment: str) -> Cost:
    """The cost of a whole process of Python with these arguments, and these variables in its environment. Raises CalledProcessError, which has what it said, if it fails."""
    script = (
        "import resource, subprocess, sys, time; t = time.perf_counter(); subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(time.perf_counter() - t, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)"
    )
    env = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", script, sys.executable, *args], env=env, capture_output=True, text=True)
    try:
        done.check_returncode()
    except subprocess.CalledProcessError as e:
        e.add_note(done.stderr[-4000:])
        raise
    return Cost(*map(float, done.stdout.split()))


# --- a process and those that it has started, on Linux ------------------------------------------------------------------


def descendants(of: int) -> Iterator[Path]:
    """The folders in /proc of a process and all that it has started, directly or not."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = path.read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        children.setdefault(int(after_name[1]), []).append(int(path.parent.name))
    waiting = [of]
    while waiting:
        number = waiting.pop()
        waiting += children.get(number, [])
        yield Path("/proc", str(number))


def processor_seconds(of: int) -> float:
    """Seconds of processor time that a process and those that it has started have used so far."""
    ticks = 0
    for folder in descendants(of):
        try:
            after_name = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, after_name[11:15]))  # its own, and of those that have ended
    return ticks / TICKS


def peak_mib(folder: Path) -> float:
    """The most memory that a process had, by its folder in /proc; 0 if it has ended."""
    try:
        lines = (folder / "status").read_text("utf-8", "replace").splitlines()
    except OSError:
        return 0.0
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def is_called(folder: Path, name: str) -> bool:
    """Whether a process, by its folder in /proc, has a name and has not ended."""
    try:
        return (folder / "comm").read_text("utf-8", "replace").strip() == name
    except OSError:
        return False
