"""`python tests/fuzz.py SECONDS [SEED]`: mutated expressions and cells; nothing but a tree or a diagnostic may come out.

What parses is printed, parsed again and compared, and evaluated. The corpus is the function table's examples and the
expression tables; the seed is printed, so that a finding can be repeated.
"""

from __future__ import annotations

import csv
import random
import sys
import time
from pathlib import Path

from roe.api import scope_of
from roe.grammar.closures import compile_expression
from roe.grammar.functions import BY_NAME
from roe.grammar.parser import parse
from roe.grammar.printer import show

HERE = Path(__file__).parent
WORDS = [
    "and",
    "or",
    "not",
    "in",
    "between",
    "if",
    "then",
    "else",
    "some",
    "every",
    "for",
    "return",
    "satisfies",
    "null",
    "true",
    "false",
    "(",
    ")",
    "[",
    "]",
    ",",
    "..",
    ".",
    "=",
    "!=",
    "<=",
    ">=",
    "<",
    ">",
    "+",
    "-",
    "*",
    "**",
    "/",
    "?",
    "item",
]
CHARS = "()[]{}.,\"'\\@=<>!+-*/?: \n\t0129azAZ_éß😀\u0000\u202e&|%$#~^`"
VALUES = [None, 1, -2.5, "x", True, [1, None, "a"], {"a": 1}, '@"2026-01-01"', '@"P1D"', '@"P1Y"']


def corpus() -> list[str]:
    tables = [row["expression"] for path in sorted((HERE / "expr").glob("*.csv")) for row in csv.DictReader(path.open(encoding="utf-8"))]
    more = [
        "a and (b or if x then y else z)",
        "x in ]1..10[",
        "for i in 1..3, j in xs return i + j",
        "account.a[b > 1][1].c",
        '>= 5, not("a"), [1..2)',
    ]
    return [row.example for row in BY_NAME.values()] + tables + more


def mutate(text: str, rng: random.Random, texts: list[str]) -> str:
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(text) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            text = text[:at] + rng.choice(CHARS) + text[at:]
        elif kind == 1:
            text = text[:at] + text[at + rng.randint(1, 6) :]
        elif kind == 2:
            text = f"{text[:at]} {rng.choice(WORDS)} {text[at:]}"
        elif kind == 3:
            text = text[:at] + rng.choice(texts) + text[at:]
        elif kind == 4:
            text = f"({text}) {rng.choice(WORDS)} ({rng.choice(texts)})"
        else:
            text = text[:at] + text[at : at + 5] * rng.randint(1, 40) + text[at:]
    return text[:3000]


def main() -> None:
    seconds, seed = float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(10**6)
    print(f"fuzzing for {seconds:g} s with seed {seed}", flush=True)
    rng, texts = random.Random(seed), corpus()
    counts = {"trees": 0, "diagnostics": 0}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        text = mutate(rng.choice(texts), rng, texts)
        try:
            for kind in ("expr", "tests"):
                tree, problems = parse(text, kind)
                assert (tree is None) == bool(problems)
                counts["diagnostics" if tree is None else "trees"] += 1
                if tree is not None:
                    scope = scope_of({name: rng.choice(VALUES) for name in ("a", "b", "x", "y", "xs", "account")})
                    compile_expression(tree)(scope)
                    if kind == "expr":
                        assert parse(show(tree))[0] == tree
        except Exception:
            print(f"found with seed {seed}: {text!r}")
            raise
    print(f"{counts['trees']} trees, {counts['diagnostics']} diagnostics, nothing else")
    assert counts["trees"] > 100 and counts["diagnostics"] > 100


if __name__ == "__main__":
    main()
