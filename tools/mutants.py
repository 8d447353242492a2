"""`python tools/mutants.py` plants small faults in roe's own code, one at a time, and counts those that a quick set of tests notices.

One pytest session imports everything and runs the guarding tests once, noting how long each takes and which lines it reaches. Then it
forks for each fault: the child gets the faulty code in place of the function's own (`__code__`), so nothing is imported again, and runs the
tests that reach the statement, those first that notice most for their time, until one fails. Faults that cannot be exchanged so, such as the
default of a field, run in an interpreter of their own, last.

`--sample 100 --seed 2026` takes some of them, `--only clock` files by their names, `--tests tests/test_clock.py` other tests than those
that `mutants.toml` names. The report is written to `--out`. With `--kept FOLDER` a run
takes up what earlier ones have measured and found, as long as the files that it rests on are the same: a noticed fault is not planted again
until its file changes, one that survived is tried again when the tests change.
"""

from __future__ import annotations

import argparse
import ast
import functools
import gc
import importlib
import importlib.util
import inspect
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
import tomllib
from collections import Counter, defaultdict
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from coverage import Coverage

sys.path.insert(0, str(Path(__file__).parent))
from kept_faults import Kept

from faults import ROOT, Fault

LONGEST = 60  # seconds of the processor for one test of a fault, and at least: a fault that makes a loop endless is noticed
SHORTEST = 3
AFTERWARDS = 60  # seconds that a fault has left when the time of the whole run is up
QUICK = 10  # seconds of the processor: the tests of one guard for one fault, measured once without it
MEMORY = 6 << 30  # bytes of a child: a fault that eats memory is noticed
TESTS = ("test", "helpers", "made_policies")  # their modules keep policies, which are made anew for faults in what makes them:
BUILDING = ("src/roe/plan", "src/roe/stages", "src/roe/policy")
NOTICED, SURVIVED, LATE = "noticed", "survived", "too slow"


class Planter:
    """A pytest plugin that runs the tests of each fault instead of all tests once."""

    def __init__(self, planned: list[Fault], jobs: int, until: float, kept: Kept) -> None:
        self.planned, self.jobs, self.until, self.kept = planned, jobs, until, kept
        self.guards: dict[str, list[str]] = kept.config["modules"]
        self.reached: dict[str, dict[int, set[Any]]] = defaultdict(lambda: defaultdict(set))  # file -> line -> tests
        self.seconds: dict[Any, float] = {}
        self.noticing: dict[str, Counter[str]] = defaultdict(Counter)  # file -> test -> how many of its faults it was the first to notice
        self.results: list[tuple[Fault, str]] = []
        self.failed: list[str] = []
        self.stopped: set[int] = set()
        self.progress = os.fdopen(os.dup(2), "w")  # pytest keeps what goes to standard error itself

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        guards = tuple(guard for names in self.guards.values() for guard in names)
        self._measure([item for item in session.items if item.nodeid.startswith(guards)])
        if self.failed:
            return True
        caches = _caches(("roe", *TESTS))
        gc.freeze()
        running: dict[int, tuple[Fault, int, float]] = {}
        for i, fault in enumerate(self.planned):
            known = self.kept.verdict(fault)
            if known is not None:
                self.results.append((fault, known))
                continue
            if time.monotonic() > self.until:
                break
            while len(running) >= self.jobs:
                self._wait(running)
            sys.stdout.flush()
            tests = self.tests(fault)
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                os._exit(self._child(fault, tests, caches, writer))
            os.close(writer)
            running[child] = (fault, reader, time.monotonic() + LONGEST + 10 * sum(self.seconds[x] for x in tests))
            if i % 25 == 24:
                print(f"{i + 1}/{len(self.planned)} {Counter(verdict for _, verdict in self.results)}", file=self.progress, flush=True)
        while running:
            self._wait(running)
        return True

    def _measure(self, items: list[Any]) -> None:
        """Every test once, without a fault, shared out among the jobs: it must pass; what it takes, and the lines that it reaches."""
        measured = self.kept.measured()
        missing = [x for x in items if x.nodeid not in measured]
        readers = []
        for job in range(1, self.jobs):
            reader, writer = os.pipe()
            sys.stdout.flush()
            if os.fork() == 0:
                with os.fdopen(writer, "w") as pipe:
                    json.dump(self._measured(missing[job :: self.jobs]), pipe)
                os._exit(0)
            os.close(writer)
            readers.append(reader)
        fresh = self._measured(missing[:: self.jobs])
        for reader in readers:
            with os.fdopen(reader) as pipe:
                fresh |= json.load(pipe)
            os.wait()
        self.failed += [failed for *_, failed in fresh.values() if failed]
        self.kept.keep_measured({name: result for name, result in fresh.items() if not result[2]})
        measured |= fresh
        for item in items:
            self.seconds[item], lines, _ = measured[item.nodeid]
            for file, reached in lines.items():
                for line in reached:
                    self.reached[file][line].add(item)

    def _measured(self, items: list[Any]) -> dict[str, Any]:
        """test -> (seconds of the processor, the lines that it reaches by file, how it failed or '')."""
        caches = _caches(TESTS)
        coverage = Coverage(data_file=None, config_file=False, include=[str(ROOT / file) for file in self.guards], messages=False)
        results: dict[str, Any] = {}
        coverage.start()
        for item in items:
            for cache in caches:  # a policy that another test has made would hide that this one reaches what makes it
                cache.cache_clear()
            coverage.switch_context(item.nodeid)
            start = time.process_time()
            reports = runtestprotocol(item, nextitem=None, log=False)
            took = time.process_time() - start
            results[item.nodeid] = took, {}, next((f"{item.nodeid}\n{r.longreprtext}" for r in reports if r.failed), "")
        coverage.stop()
        data = coverage.get_data()
        for file in self.guards:
            for line, tests in data.contexts_by_lineno(str(ROOT / file)).items():
                for test in tests:
                    if test in results:
                        results[test][1].setdefault(file, []).append(line)
        return results

    def tests(self, fault: Fault) -> list[Any]:
        """The tests that reach a fault's statement: of each guard of its file as many of the quickest as `QUICK` has room for, and at least
        one. Of code outside of functions, all tests of the guards are asked. Those come first that noticed most for the time that they take.
        """
        reached = self.reached[fault.file]
        reaching = set().union(*(reached[line] for line in statement(fault))) if fault.function else set(self.seconds)
        chosen: dict[Any, None] = {}
        for guard in self.guards[fault.file]:
            total = 0.0
            for test in sorted((x for x in reaching if x.nodeid.startswith(guard)), key=lambda x: (self.seconds[x], x.nodeid)):
                total += self.seconds[test]
                if total > QUICK and total > self.seconds[test]:
                    break
                chosen[test] = None
        noticed = self.noticing[fault.file]
        return sorted(chosen, key=lambda x: -(noticed[x.nodeid] + 0.2) / (self.seconds[x] + 0.01))

    def _wait(self, running: dict[int, tuple[Fault, int, float]]) -> None:
        """Wait for one child, and note what became of its fault. One that waits for what never comes, such as a thread that the fork left
        behind, is stopped with all that it started, and its fault is not judged.
        """
        child, status = os.waitpid(-1, os.WNOHANG)
        while not child:
            time.sleep(0.02)
            now = time.monotonic()
            for each, (_, _, latest) in running.items():
                if each not in self.stopped and now > min(latest, self.until + AFTERWARDS):
                    os.killpg(each, signal.SIGKILL)
                    self.stopped.add(each)
            child, status = os.waitpid(-1, os.WNOHANG)
        fault, reader, _ = running.pop(child)
        with os.fdopen(reader) as pipe:
            test = pipe.read()
        if child in self.stopped:
            print(f"not judged {fault.file}:{fault.line} {fault.function}: {fault.before} -> {fault.after}", file=self.progress, flush=True)
            return
        if test:
            self.noticing[fault.file][test] += 1
        late = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF
        verdict = LATE if late else SURVIVED if status == 0 else NOTICED
        self.results.append((fault, verdict))
        self.kept.keep_verdict(fault, verdict)
        if verdict == SURVIVED:
            print(f"survived {fault.file}:{fault.line} {fault.function}: {fault.before} -> {fault.after}", file=self.progress, flush=True)

    def _child(self, fault: Fault, tests: list[Any], caches: list[Any], writer: int) -> int:
        """In the forked process: the fault in its place, and the tests, until one of them fails. 0 if none does; its name goes to `writer`."""
        os.setsid()  # so that it can be stopped together with the processes that its tests start
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        signal.setitimer(signal.ITIMER_PROF, LONGEST)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        try:
            if not (plant(fault) if fault.function else plant_constant(fault)):
                chosen = [x.nodeid for x in tests] if len(tests) < 400 else [x.partition("[")[0] for x in self.guards[fault.file]]
                return _apart(fault, chosen)
            for cache in caches:
                if fault.file.startswith(BUILDING) or not cache.__module__.startswith(TESTS):
                    cache.cache_clear()
            for test in tests:
                signal.setitimer(signal.ITIMER_PROF, min(LONGEST, max(SHORTEST, 10 * self.seconds[test])))
                if any(r.failed for r in runtestprotocol(test, nextitem=None, log=False)):
                    os.write(writer, test.nodeid.encode())
                    return 1
            return 0
        except BaseException:
            return 1


def statement(fault: Fault) -> range:
    """The lines of the smallest statement around a fault; of one that has a body, those before it."""
    found = range(fault.line, fault.line + 1)
    smallest = 1 << 30
    for node in ast.walk(_tree(fault.file)):
        if isinstance(node, (ast.stmt, ast.ExceptHandler)):
            body = getattr(node, "body", None)
            last = max(node.lineno, body[0].lineno - 1) if isinstance(body, list) and body else node.end_lineno or node.lineno
            if node.lineno <= fault.line <= last and last - node.lineno < smallest:
                found, smallest = range(node.lineno, last + 1), last - node.lineno
    return found


@functools.cache
def _tree(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text("utf-8"))


def _caches(modules: tuple[str, ...]) -> list[Any]:
    """What functions of these modules have kept. Other people's caches are left alone: no fault changes what is in them."""
    found = [x for x in gc.get_objects() if isinstance(x, functools._lru_cache_wrapper)]
    return [x for x in found if str(getattr(x, "__module__", "")).startswith(modules)]


def plant(fault: Fault) -> bool:
    """Put the faulty code in the place of the function's own; whether there is a function that has it."""
    module = importlib.import_module(fault.file.removeprefix("src/").removesuffix(".py").replace("/", "."))
    found: Any = module
    for name in fault.function.split("."):
        found = inspect.getattr_static(found, name)
    found = getattr(found, "fget", None) or getattr(found, "func", None) or getattr(found, "__func__", None) or found
    function = inspect.unwrap(found)
    code = next((c for c in _codes(compile(fault.source, str(ROOT / fault.file), "exec", dont_inherit=True))
                 if c.co_qualname == fault.function and c.co_firstlineno == function.__code__.co_firstlineno), None)  # fmt: skip
    if code is None:
        return False
    function.__code__ = code
    return True


def plant_constant(fault: Fault) -> bool:
    """Give a constant of a module its faulty value, there and wherever it has been imported; whether the fault is in such a constant."""
    module = importlib.import_module(fault.file.removeprefix("src/").removesuffix(".py").replace("/", "."))
    for item in ast.parse(fault.source).body:
        targets = item.targets if isinstance(item, ast.Assign) else [item.target] if isinstance(item, ast.AnnAssign) else []
        if targets and isinstance(targets[0], ast.Name) and item.lineno <= fault.line <= (item.end_lineno or 0):
            name = targets[0].id
            if _is_a_default(name):
                return False
            before, space = getattr(module, name), dict(vars(module))
            exec(compile(ast.Module([item], []), fault.file, "exec", dont_inherit=True), space)  # noqa: S102
            for other in list(sys.modules.values()):
                if getattr(other, "__dict__", {}).get(name) is before:
                    setattr(other, name, space[name])
            return True
    return False


@functools.cache
def _is_a_default(name: str) -> bool:
    """Whether a constant is the default of an argument or a field somewhere, which has its value already."""
    default = re.compile(rf": [^=#]+ = {name}\b")
    return any(default.search(path.read_text("utf-8")) for path in (ROOT / "src" / "roe").rglob("*.py"))


def _codes(code: CodeType) -> list[CodeType]:
    inner = [c for c in code.co_consts if isinstance(c, CodeType)]
    return [code, *(x for c in inner for x in _codes(c))]


def _apart(fault: Fault, tests: list[str]) -> int:
    """The tests in an interpreter of their own, in which the module is made from the faulty source."""
    text = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import mutants; sys.exit(mutants.apart())"
    given = "\n".join([fault.file, *tests, "", fault.source])
    return subprocess.run([sys.executable, "-c", text], input=given, text=True, cwd=ROOT).returncode


def apart() -> int:
    """What `_apart` starts: (the file, the tests, an empty line, the source) come from standard input."""
    head, _, source = sys.stdin.read().partition("\n\n")
    file, *tests = head.split("\n")

    class Loader(SourceFileLoader):
        def get_code(self, fullname: str) -> Any:
            return compile(source, self.path, "exec", dont_inherit=True)

    class Finder:
        @staticmethod
        def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
            if name != file.removeprefix("src/").removesuffix(".py").replace("/", "."):
                return None
            return importlib.util.spec_from_loader(name, Loader(name, str(ROOT / file)), origin=str(ROOT / file))

    sys.meta_path.insert(0, Finder)
    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-n", "0", *tests]))


def report(results: list[tuple[Fault, str]], config: dict[str, Any], what: str, given: argparse.Namespace) -> tuple[str, float]:
    """The report as Markdown, and the share that was noticed in percent: of the faults that are not known to change nothing."""
    why = {
        (x["file"], x["function"], x["before"], after): x["why"]
        for x in config.get("unchanged", ())
        for after in ([x["after"]] if isinstance(x["after"], str) else x["after"])
    }
    noticed = sum(verdict != SURVIVED for _, verdict in results)
    known = sum(verdict == SURVIVED and f.key in why for f, verdict in results)
    percent = _percent(noticed, len(results) - known)
    command = f"python tools/mutants.py --seed {given.seed}"
    command += f" --sample {given.sample}" if given.sample else ""
    command += f" --only '{given.only}'" if given.only else ""
    command += f" --tests {' '.join(given.tests)}" if given.tests else ""
    lines = [
        "# Faults planted in roe's own code",
        "",
        f"{what} {percent:.1f} % were noticed, not counting {known} that are known to change nothing. The command: `{command}`.",
        "",
        "| file | faults | noticed | survived | of these, known to change nothing |",
        "|---|---|---|---|---|",
    ]
    for file in [*config["modules"], ""]:
        mine = [(f, verdict) for f, verdict in results if file in ("", f.file)]
        left = [f for f, verdict in mine if verdict == SURVIVED]
        if mine:
            same = sum(f.key in why for f in left)
            share = _percent(len(mine) - len(left), len(mine) - same)
            lines.append(f"| {file or 'all'} | {len(mine)} | {share:.1f} % | {len(left)} | {same} |")
    lines += ["", "Not planted, by rule: " + " ".join((config["left_out"]["rule"]).split()), ""]
    for title, explained in (("Survived", False), ("Survived, and change nothing", True)):
        rows = [f for f, verdict in results if verdict == SURVIVED and (f.key in why) is explained]
        lines += [f"## {title}: {len(rows)}", ""]
        for f in sorted(rows, key=lambda f: (f.file, f.line, f.after)):
            lines.append(f"- `{f.file}:{f.line}` {f.function}: `{f.before}` -> `{f.after}`" + (f" ({why[f.key]})" if explained else ""))
        lines.append("")
    return "\n".join(lines), percent


def _percent(n: int, of: int) -> float:
    return 100 * n / of if of else 100.0


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sample", type=int, default=0, help="plant only so many, chosen by the seed")
    options.add_argument("--seed", type=int, default=2026)
    options.add_argument("--only", default="", help="only files whose names match this regular expression")
    options.add_argument(
        "--tests", nargs="+", help="only these tests instead of those in mutants.toml: more may be noticed than they notice"
    )
    options.add_argument("--line", type=int, default=0, help="only faults of this line")
    options.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options.add_argument(
        "--minutes", type=float, default=24 * 60, help="plant no more after so many, and report on those that were planted"
    )
    options.add_argument("--kept", type=Path, help="a folder where measurements and verdicts are kept for the next run")
    options.add_argument("--min", type=float, default=90, help="fail below so many percent")
    options.add_argument("--out", type=Path, help="where the report is written; without it, it is printed")
    given = options.parse_args()
    os.environ["CI"] = "1"  # Hypothesis tries the same examples for every fault
    config = tomllib.loads((ROOT / "tools" / "mutants.toml").read_text("utf-8"))
    if given.tests:
        config["modules"] = dict.fromkeys(config["modules"], given.tests)
    start = time.monotonic()
    guards = {file: tests for file, tests in config["modules"].items() if re.search(given.only, file)}
    named = config.get("functions", {})
    kept = Kept(given.kept, config)
    planned = [f for file in guards for f in kept.faults(file) if given.line in (0, f.line) and f.function in named.get(file, [f.function])]
    total = len(planned)
    # In an order that chance decides, so that what has been planted when time is up is a fair sample.
    planned.sort(key=lambda f: f.digest)
    random.Random(given.seed).shuffle(planned)
    planned = planned[: given.sample or total]
    planter = Planter(planned, given.jobs, start + 60 * given.minutes, kept)
    tests = list(dict.fromkeys(x.partition("[")[0] for names in guards.values() for x in names))  # `test_tables[claims` names some of them
    pytest.main(["-q", "-p", "no:cacheprovider", "-n", "0", *tests], plugins=[planter])
    in_time = time.monotonic() < planter.until
    if planter.failed or (planned and not planter.results and in_time):
        print("\n".join(planter.failed) or "the tests could not be run", file=sys.stderr)
        return 2
    count = len(planter.results)
    chosen = f"{count} of {total} faults, by the seed {given.seed}" if count < total else f"{total} faults"
    took = time.monotonic() - start
    text, percent = report(planter.results, config, f"{chosen}.", given)
    if given.out is None:
        print(text)
    else:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text, "utf-8")
    print(f"{chosen}, {percent:.1f} % noticed, {took:.0f} s with {given.jobs} jobs and {len(planter.seconds)} tests", file=sys.stderr)
    if 2 * count < len(planned):
        print(f"{count} of {len(planned)} faults fitted into the time: too few to judge by", file=sys.stderr)
        return 0
    return 0 if percent >= given.min else 1


if __name__ == "__main__":
    sys.exit(main())
