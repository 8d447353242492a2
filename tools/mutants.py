"""`python tools/mutants.py` plants small faults in roe's own code, one at a time, and counts those that a quick set of tests notices.

One pytest session imports everything and runs the guarding tests once, noting how long each takes and which lines it reaches. Then it
forks for each fault: the child gets the faulty code in place of the function's own (`__code__`), so nothing is imported again, and runs the
tests that reach the statement, those first that notice most for their time, until one fails or `ENOUGH` is spent. Faults that cannot be
exchanged so, such as the default of a field, run in an interpreter of their own.

`--sample 100 --seed 2026` takes some of them, `--only clock` files by their names, `--tests tests/test_clock.py` other tests than those
that `mutants.toml` names, `--unnoticed` those alone that no test has noticed yet. The report is written to `--out`. What tests take and reach,
and which of them noticed a fault last, is kept in `.mutants/`; `--report` tells it and plants nothing.
"""

from __future__ import annotations

import argparse
import ast
import functools
import gc
import importlib
import importlib.util
import inspect
import itertools
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter, defaultdict
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FrameType
from typing import IO, Any

import coverage
import pytest
from _pytest.runner import runtestprotocol
from hypothesis import Phase, settings

sys.path.insert(0, str(Path(__file__).parent))
from kept_faults import Kept, Measured

from faults import ROOT, Fault, code_of, function_lines

COVERAGE = Path(coverage.__file__).parent
SLOW = 1  # seconds of the processor: a test that takes longer, while it is measured, is not asked
ENOUGH = 0.6  # seconds of the processor: no further tests are asked of a fault
SHORTEST = 1  # seconds of the processor for one test of a fault, and at least: a fault that makes a loop endless is noticed
LONGEST = 60  # seconds that a fault may take, by the clock on the wall and for each of its tests
MEMORY = 6 << 30  # bytes of a child: a fault that eats memory is noticed
TESTS = ("test", "helpers", "made_policies")  # their modules keep policies, which are made anew for faults in what makes them:
BUILDING = ("src/roe/plan", "src/roe/stages", "src/roe/policy")
NOTICED, SURVIVED, LATE = "noticed", "survived", "too slow"


class TooSlow(BaseException):
    """A test is not worth its time. Nothing that tests catch."""


def _is_in_coverage(frame: FrameType | None) -> bool:
    while frame is not None:
        if Path(frame.f_code.co_filename).is_relative_to(COVERAGE):
            return True
        frame = frame.f_back
    return False


class Planter:
    """A pytest plugin that runs the tests of each fault instead of all tests once."""

    def __init__(self, planned: list[Fault], jobs: int, until: float, kept: Kept) -> None:
        self.planned, self.jobs, self.until, self.kept = planned, jobs, until, kept
        self.guards: dict[str, list[str]] = {file: kept.config["modules"][file] for file in {fault.file for fault in planned}}
        self.guarded: dict[str, set[str]] = defaultdict(set)  # a test's file -> the files that it guards
        for file, names in self.guards.items():
            for name in names:
                self.guarded[name.partition("::")[0]].add(file)
        self.reached: dict[str, dict[int, set[Any]]] = defaultdict(lambda: defaultdict(set))  # file -> line -> tests
        self.seconds: dict[Any, float] = {}
        self.noticing: dict[tuple[str, str], Counter[str]] = defaultdict(
            Counter
        )  # (file, function or "") -> test -> faults that it noticed
        self.results: list[tuple[Fault, str]] = []
        self.failed: list[str] = []
        self.stopped: set[int] = set()
        self.progress = os.fdopen(os.dup(2), "w")  # pytest keeps what goes to standard error itself

    def plant_all(self) -> int:
        """Run pytest; 2 if its tests fail without a fault, or cannot be run."""
        names = dict.fromkeys(
            x.partition("[")[0] for guards in self.guards.values() for x in guards
        )  # `test_tables[claims` names some of them
        pytest.main(["-q", "-p", "no:cacheprovider", "-n", "0", *names], plugins=[self])
        in_time = time.monotonic() < self.until
        if self.failed or (self.planned and not self.results and in_time):
            print("\n".join(self.failed) or "the tests could not be run", file=sys.stderr)
            return 2
        return 0

    def pytest_sessionstart(self) -> None:
        """A property that does not hold is a fault noticed: Hypothesis need not look for the smallest example of it."""
        settings.register_profile("faults", phases=(Phase.explicit, Phase.generate), derandomize=True)
        settings.load_profile("faults")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        guards = tuple(guard for names in self.guards.values() for guard in names)
        self._measure([item for item in session.items if item.nodeid.startswith(guards)])
        if self.failed:
            return True
        caches = _caches(("roe", *TESTS))
        gc.freeze()
        running: dict[int, tuple[Fault, IO[bytes], float]] = {}
        for i, fault in enumerate(self.planned):
            if time.monotonic() > self.until:
                break
            while len(running) >= self.jobs:
                self._wait(running)
            sys.stdout.flush()
            tests = self.tests(fault)
            asked = tempfile.TemporaryFile()  # noqa: SIM115  # the test that is asked
            child = os.fork()
            if child == 0:
                os._exit(self._child(fault, tests, caches, asked.fileno()))
            running[child] = (fault, asked, time.monotonic() + LONGEST * (1 + len(tests)))
            if i % 100 == 99:
                print(f"{i + 1}/{len(self.planned)} {Counter(verdict for _, verdict in self.results)}", file=self.progress, flush=True)
        while running:
            self._wait(running)
        return True

    def _measure(self, items: list[Any]) -> None:
        """Every test once, without a fault: it must pass. Of a test that is not known yet, what it takes and the lines that it reaches."""
        measured = self.kept.measured(self.guarded)
        missing = [x for x in items if x.nodeid not in measured]
        if missing:
            sys.stdout.flush()
            if (child := os.fork()) == 0:
                by_file = itertools.groupby(missing, key=lambda x: x.nodeid.partition("::")[0])
                for n, (_, some) in enumerate(by_file, 1):
                    self.kept.keep_measured(self._measured(list(some)), self.guarded)
                    print(f"measured {n} files", file=self.progress, flush=True)
                os._exit(0)
            os.waitpid(child, 0)
            measured = self.kept.measured(self.guarded)
        for item in items:
            seconds, lines = measured[item.nodeid]
            if seconds >= SLOW:
                continue
            self.seconds[item] = seconds
            self.failed += [f"{item.nodeid}\n{r.longreprtext}" for r in runtestprotocol(item, nextitem=None, log=False) if r.failed]
            for file, reached in lines.items():
                for line in reached:
                    self.reached[file][line].add(item)

    def _measured(self, items: list[Any]) -> dict[str, Measured]:
        def stop(signum: int, frame: FrameType | None) -> None:
            if _is_in_coverage(frame):  # it may hold a lock, which nobody would give back
                signal.setitimer(signal.ITIMER_PROF, 0.01)
            else:
                raise TooSlow

        signal.signal(signal.SIGPROF, stop)
        caches = _caches(TESTS)
        reached = coverage.Coverage(data_file=None, config_file=False, include=[str(ROOT / file) for file in self.guards], messages=False)
        results: dict[str, Measured] = {}
        reached.start()
        for item in items:
            if any(file.startswith(BUILDING) for file in self.guarded[item.nodeid.partition("::")[0]]):
                for cache in caches:  # a policy that another test has made would hide that this one reaches what makes it
                    cache.cache_clear()
            reached.switch_context(item.nodeid)
            start = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, SLOW)
            try:
                runtestprotocol(item, nextitem=None, log=False)
            except (TooSlow, TypeError):  # pytest cannot show every place where a test is stopped
                item.session._setupstate.teardown_exact(None)
            signal.setitimer(signal.ITIMER_PROF, 0)
            results[item.nodeid] = time.process_time() - start, {}
        reached.stop()
        data = reached.get_data()
        for file in self.guards:
            for line, tests in data.contexts_by_lineno(str(ROOT / file)).items():
                for test in tests:
                    if test in results:
                        results[test][1].setdefault(file, []).append(line)
        return results

    def tests(self, fault: Fault) -> list[Any]:
        """The tests that reach a fault's statement: that which noticed it last, then those that noticed most, or reach most lines of its
        function, for the time that they take. Of code outside of functions, all tests of the guards are asked.
        """
        reached = self.reached[fault.file]
        reaching = set().union(*(reached[line] for line in statement(fault))) if fault.function else set(self.seconds)
        near, far, last = self.noticing[fault.file, fault.function], self.noticing[fault.file, ""], self.kept.noticing(fault)
        inside = Counter(test for line in function_lines(fault) for test in reached[line])
        most = max(inside.values(), default=1)

        def worth(test: Any) -> tuple[bool, float]:
            share = 2 * (inside[test] / most) ** 4
            return test.nodeid == last, (5 * near[test.nodeid] + far[test.nodeid] + share) / (self.seconds[test] + 0.01)

        return sorted((x for x in reaching if x.nodeid.startswith(tuple(self.guards[fault.file]))), key=worth, reverse=True)

    def _wait(self, running: dict[int, tuple[Fault, IO[bytes], float]]) -> None:
        """Wait for one child, and note what became of its fault. One that waits for what never comes, such as a thread that the fork left
        behind, is stopped with all that it started, and its fault is not judged.
        """
        child, status = os.waitpid(-1, os.WNOHANG)
        while not child:
            time.sleep(0.005)
            now = time.monotonic()
            for each, (_, _, latest) in running.items():
                if each not in self.stopped and now > min(latest, self.until + LONGEST):
                    os.killpg(each, signal.SIGKILL)
                    self.stopped.add(each)
            child, status = os.waitpid(-1, os.WNOHANG)
        fault, asked, _ = running.pop(child)
        with asked:
            test = os.pread(asked.fileno(), 4096, 0).decode()
        if child in self.stopped:
            print(f"not judged {fault.file}:{fault.line} {fault.function}: {fault.before} -> {fault.after}", file=self.progress, flush=True)
            return
        late = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF
        verdict = LATE if late else SURVIVED if status == 0 else NOTICED
        if verdict == NOTICED:
            for where in {fault.function, ""}:
                self.noticing[fault.file, where][test] += 1
        self.results.append((fault, verdict))
        self.kept.keep_noticing(fault, "" if verdict == SURVIVED else test or "?")
        if verdict == SURVIVED:
            print(f"survived {fault.file}:{fault.line} {fault.function}: {fault.before} -> {fault.after}", file=self.progress, flush=True)

    def _child(self, fault: Fault, tests: list[Any], caches: list[Any], asked: int) -> int:
        """In the forked process: the fault in its place, and the tests, until one of them fails. 0 if none does. The name of the test that
        is asked stands in the file `asked`.
        """
        if not tests:
            return 0
        os.setsid()  # so that it can be stopped together with the processes that its tests start
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        signal.setitimer(signal.ITIMER_PROF, LONGEST)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        folder: Path | None = None
        try:
            if not (plant(fault) if fault.function else plant_constant(fault)):
                chosen = [x.nodeid for x in tests] if len(tests) < 400 else [x.partition("[")[0] for x in self.guards[fault.file]]
                return _apart(fault, chosen)
            for cache in caches:
                if not cache.__module__.startswith(_unaffected(fault.file)):
                    cache.cache_clear()
            # Of thousands of folders beside each other, a new one takes long to find a number.
            tests[0].config._tmp_path_factory._basetemp = folder = Path(tempfile.mkdtemp())
            for test in tests:
                if time.process_time() > ENOUGH:
                    break
                signal.setitimer(signal.ITIMER_PROF, max(SHORTEST, 10 * self.seconds[test]))
                os.ftruncate(asked, 0)
                os.pwrite(asked, test.nodeid.encode(), 0)
                if any(r.failed for r in runtestprotocol(test, nextitem=None, log=False)):
                    return 1
            return 0
        except BaseException:
            return 1
        finally:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


def _unaffected(file: str) -> tuple[str, ...]:
    """Modules whose caches hold nothing that faulty code of a file has made: the tests' policies, and the grammar below everything."""
    return (*(() if file.startswith(BUILDING) else TESTS), *(() if "/grammar/" in file else ("roe.grammar",)))


def statement(fault: Fault) -> range:
    """The lines of the smallest statement around a fault; of one that has a body, those before it."""
    around = [lines for lines in _statements(fault.file) if fault.line in lines]
    return min(around, key=len, default=range(fault.line, fault.line + 1))


@functools.cache
def _statements(file: str) -> list[range]:
    found = []
    for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8"))):
        if isinstance(node, (ast.stmt, ast.ExceptHandler)):
            body = getattr(node, "body", None)
            last = max(node.lineno, body[0].lineno - 1) if isinstance(body, list) and body else node.end_lineno or node.lineno
            found.append(range(node.lineno, last + 1))
    return found


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
    first = function.__code__.co_firstlineno
    code = next((c for c in _codes(code_of(fault)) if c.co_qualname == fault.function and c.co_firstlineno == first), None)
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
            if _is_a_default(name) or _makes_another(name, fault.file):
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


@functools.cache
def _makes_another(name: str, file: str) -> bool:
    """Whether a constant is read by what else stands in its module outside of functions, which has been made already."""
    outside = [x for x in ast.parse((ROOT / file).read_text("utf-8")).body if isinstance(x, (ast.Assign, ast.AnnAssign)) and x.value]
    return any(isinstance(n, ast.Name) and n.id == name for x in outside if x.value for n in ast.walk(x.value))


def _codes(code: CodeType | None) -> list[CodeType]:
    if code is None:
        return []
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
    command += " --report" if given.report else ""
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
    options.add_argument("--unnoticed", action="store_true", help="only faults that no test has noticed yet")
    options.add_argument("--report", action="store_true", help="plant nothing: report what became of each fault when it was planted last")
    options.add_argument("--kept", type=Path, default=ROOT / ".mutants", help="a folder where measurements are kept for the next run")
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
    planned = [f for f in planned if not (given.unnoticed and kept.noticing(f))]
    total = len(planned)
    # In an order that chance decides, so that what has been planted when time is up is a fair sample.
    planned.sort(key=lambda f: f.digest)
    random.Random(given.seed).shuffle(planned)
    planned = planned[: given.sample or total]
    planter = Planter(planned, given.jobs, start + 60 * given.minutes, kept)
    if given.report:
        known = [(f, kept.noticing(f)) for f in planned]
        planter.results = [(f, NOTICED if test else SURVIVED) for f, test in known if test is not None]
    elif planted := planter.plant_all():
        return planted
    count = len(planter.results)
    chosen = f"{count} of {total} faults, by the seed {given.seed}" if count < total else f"{total} faults"
    if given.report:
        chosen = f"{count} of {total} faults have been planted, each as it was found when it was planted last"
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
