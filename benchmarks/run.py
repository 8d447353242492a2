"""Every figure that the docs state, from one command: `python benchmarks/run.py [--quick] [--json FILE]`.

Whole processes are timed as a user meets them; decisions against hand-written `if`/`elif` that Python compiled, on the same
rules and records from one seed, with the answers compared before anything is timed. Medians of repeated runs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from roe.evaluator.choose import Chooser
from roe.evaluator.expressions import CLOCK
from roe.evaluator.world import Compiled
from roe.grammar.clock import Clock
from roe.plan.operators import Choose
from roe.policy.build import build

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "policies" / "examples"
COUNTRIES = ["US", "CA", "MX", "DE", "FR", "GB", "NL", "SE", "NO", "JP", "AU", "BR"]
SEGMENTS = ["SMB", "Mid-Market", "Enterprise"]


def times(act: Callable[[], Any], repeat: int) -> list[float]:
    """The seconds of some calls."""
    found = []
    for _ in range(repeat):
        start = time.perf_counter()
        act()
        found.append(time.perf_counter() - start)
    return found


def median(act: Callable[[], Any], repeat: int) -> float:
    return statistics.median(times(act, repeat))


def process(*args: str, cache: str) -> Callable[[], Any]:
    env = {**os.environ, "ROE_CACHE": cache}
    return lambda: subprocess.run([sys.executable, *args], env=env, check=True, capture_output=True)


# --- whole processes ------------------------------------------------------------------------------------------------


def explain(repeat: int) -> dict[str, float]:
    records = {
        "static": ("hooli.com", "2026-02-01"),
        "wild-west": ("W1", "2026-02-01"),
        "inbound": ("L03", "2026-02-02"),
        "pipeline": ("Linden Online", "2017-12-31"),
    }
    out = {"python_start_ms": median(process("-c", "pass", cache="off"), repeat) * 1000}
    with tempfile.TemporaryDirectory() as cache:
        for name, (record, as_of) in records.items():
            folder = str(EXAMPLES / name)
            args = ("-m", "roe", "explain", record, folder, "--data", f"{folder}/data", "--as-of", as_of)
            out[f"explain_{name}_first_ms"] = median(process(*args, cache="off"), max(3, repeat // 3)) * 1000
            process(*args, cache=cache)()
            found = times(process(*args, cache=cache), repeat)
            out[f"explain_{name}_ms"], out[f"explain_{name}_least_ms"] = statistics.median(found) * 1000, min(found) * 1000
    return out


# --- rules ----------------------------------------------------------------------------------------------------------


def rules(count: int, seed: int = 1) -> list[tuple[str, str, int, int, str]]:
    """country, segment, least and most employees, owner; distinct enough that first match matters."""
    rng = random.Random(seed)
    out = []
    for i in range(count):
        low = rng.randrange(0, 9000)
        out.append((rng.choice(COUNTRIES), rng.choice(SEGMENTS), low, low + rng.randrange(10, 2000), f"rep{i}"))
    return out


def policy_text(found: list[tuple[str, str, int, int, str]]) -> str:
    lines = ["roe: 1", "name: benchmark", "roles: [ae]", "engagement:", "  account:", "    ae:"]
    for i, (country, segment, low, high, rep) in enumerate(found):
        condition = f'account.country = "{country}" and account.segment = "{segment}" and account.employees in [{low}..{high})'
        lines += [f"      - name: r{i}", f"        when: '{condition}'", f"        then: {{assign: '\"{rep}\"'}}"]
    return "\n".join(lines) + "\n"


def hand_written(found: list[tuple[str, str, int, int, str]]) -> Callable[[dict[str, Any]], int | None]:
    """The same rules as a chain of `if`, compiled by Python."""
    lines = ["def decide(a):", "    country, segment, employees = a['country'], a['segment'], a['employees']"]
    for i, (country, segment, low, high, _) in enumerate(found):
        lines += [f"    if country == {country!r} and segment == {segment!r} and {low} <= employees < {high}:", f"        return {i}"]
    space: dict[str, Any] = {}
    exec("\n".join([*lines, "    return None"]), space)
    made: Callable[[dict[str, Any]], int | None] = space["decide"]
    return made


def records(count: int, seed: int = 2) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        {"country": rng.choice(COUNTRIES), "segment": rng.choice(SEGMENTS), "employees": rng.randrange(0, 11_000)} for _ in range(count)
    ]


def decisions(sizes: list[int], count: int, repeat: int) -> dict[str, float]:
    out: dict[str, float] = {}
    rows = records(count)
    clock = Clock.at("2026-02-01")
    scopes = [{CLOCK: clock, "account": row} for row in rows]
    for size in sizes:
        found = rules(size)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "policy.yaml").write_text(policy_text(found), "utf-8")
            start = time.perf_counter()
            policy, problems = build(Path(folder))
            assert policy is not None, problems
            Compiled(policy)
            out[f"compile_{size}_rules_s"] = time.perf_counter() - start
        step = policy.plan.engagement["account", "ae"]
        assert isinstance(step, Choose)
        chooser, plain = Chooser(step, {}), hand_written(found)
        ours = [c.fired[0] if (c := chooser(scope)).fired else None for scope in scopes]
        assert ours == [plain(row) for row in rows], "the two must agree before they are timed"
        out[f"decide_{size}_rules_us"] = median(lambda c=chooser: [c(x) for x in scopes], repeat) / count * 1e6  # type: ignore[misc]
        out[f"if_elif_{size}_rules_us"] = median(lambda p=plain: [p(x) for x in rows], repeat) / count * 1e6  # type: ignore[misc]
        out[f"ratio_if_elif_{size}_rules"] = out[f"if_elif_{size}_rules_us"] / out[f"decide_{size}_rules_us"]
    return out


def growth(repeat: int) -> dict[str, float]:
    """How much longer ten times the input takes: 10 is linear."""
    import roe
    from roe.grammar.parser import forget

    cases: dict[str, Callable[[int], tuple[str, dict[str, Any]]]] = {
        "list_filter": lambda n: ("count(xs[item > 5])", {"xs": list(range(n * 1000))}),
        "every": lambda n: ("every x in xs satisfies x >= 0", {"xs": list(range(n * 1000))}),
        "nested_parentheses": lambda n: ("(" * (n * 20) + "1" + ")" * (n * 20), {}),
        "long_condition": lambda n: (" or ".join(f"x = {i}" for i in range(n * 50)), {"x": -1}),
        "pathological_regex": lambda n: ('matches(x, "(a*)*b")', {"x": "a" * (n * 5000)}),
    }
    out = {}
    for name, make in cases.items():
        seconds = []
        for n in (1, 10):
            text, variables = make(n)

            def once(text: str = text, variables: dict[str, Any] = variables) -> None:
                forget()
                roe.evaluate(text, variables)

            seconds.append(median(once, max(5, repeat // 2)))
        out[f"growth_{name}"] = seconds[1] / seconds[0]
    return out


def run_rate(count: int) -> dict[str, float]:
    """Records decided per second by a whole run in memory, traces not read."""
    policy, _ = build(EXAMPLES / "static")
    assert policy is not None
    from roe.evaluator.engine import Evaluator

    rng = random.Random(3)
    rows = [
        {
            "id": f"A{i}",
            "name": f"Company {i}",
            "country": rng.choice(COUNTRIES),
            "state": "CA",
            "segment": rng.choice(SEGMENTS),
            "employees": str(rng.randrange(1, 9000)),
        }
        for i in range(count)
    ]
    seconds = median(lambda: Evaluator(policy).run({"account": rows}, as_of="2026-02-01"), 3)
    return {"run_accounts_per_s": count / seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions; ends within a minute")
    parser.add_argument("--json", type=Path, help="write every figure under its name")
    args = parser.parse_args()
    repeat = 5 if args.quick else 21
    sizes = [10, 100, 1000] if args.quick else [10, 100, 1000, 5000]
    figures = {**explain(repeat), **decisions(sizes, 2_000, repeat), **growth(repeat), **run_rate(2_000 if args.quick else 20_000)}
    for name, value in figures.items():
        print(f"{name:<36} {value:>12.3f}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
