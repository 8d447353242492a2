"""What two names can reach at most is never less than what they reach, so nothing is lost where they are not compared."""

from __future__ import annotations

import csv
import math
import random
from functools import cache
from pathlib import Path

from effort import tries
from roe.companies.at_most import AtMost
from roe.companies.index import NameIndex
from roe.companies.likeness import WEIGHTS, odds_of, probability
from roe.companies.name import names_in
from roe.companies.scores import pairs_of

HERE = Path(__file__).resolve().parent
WORDS = [
    "Norrsken",
    "Norsken",
    "Kaltmeer",
    "Kaltmere",
    "Vetri",
    "Good",
    "Will",
    "Goodwill",
    "Bank",
    "Banco",
    "Energy",
    "Energies",
    "Gas",
    "Oil",
    "Peru",
    "Chile",
    "NG",
    "KE",
    "Benck.",
    "Three",
    "IV",
    "7",
    "Kreditbank",
    "KB",
]


@cache
def pairs() -> list[tuple[str, str]]:
    rng = random.Random(5)
    with (HERE / "names_by_cause.csv").open(encoding="utf-8", newline="") as file:
        by_cause = [(row["lead_company"], row["account_name"]) for row in csv.DictReader(file)]
    firsts, seconds = ([" ".join(rng.sample(WORDS, rng.randint(1, 4))) for _ in range(4000)] for _ in range(2))
    mixed = zip((a for a, _ in by_cause), rng.sample([b for _, b in by_cause], len(by_cause)), strict=True)
    changed = [(a, _changed(rng, b)) for a, b in by_cause] + [(a, _changed(rng, a)) for a in firsts]
    return [*by_cause, *mixed, *changed, *zip(firsts, seconds, strict=True), *((a, a[:-1]) for a in firsts)]


def _changed(rng: random.Random, name: str) -> str:
    """A name with a letter left out, doubled or another, two words as one, one word as two, cut off, or its initials alone."""
    at, letters = rng.randrange(len(name)), "abcdefghijklmnopqrstuvwxyz .1"
    return rng.choice([
        name[:at] + name[at + 1 :], name[:at] + name[at:].replace(" ", "", 1), name[:at] + rng.choice(letters) + name[at:],
        name[:at] + rng.choice(letters) + name[at + 1 :], name[: at + 1], "".join(word[0] for word in name.split()), " ".join(reversed(name.split())),
    ])  # fmt: skip


@cache
def index() -> NameIndex:
    return NameIndex([b for _, b in pairs()])


def test_nothing_is_more_likely_than_it_can_be() -> None:
    scores, some = index().scores, pairs()[:: tries(3, 1, 1)]
    left_out = 0
    for a, b in some:
        for mine, other in ((x, y) for x in names_in(a) for y in names_in(b)):
            if mine.glued == other.glued or not mine.words or not other.words:
                continue
            found = scores.signs(mine, other)
            most = AtMost(mine, scores.rarity).odds(other, -math.inf) + WEIGHTS["letters"] * found["letters"]
            assert most >= odds_of(probability(found)) - 1e-6, (a, b)
            left_out += most < odds_of(0.3)
    assert left_out > len(some) / 6  # and much need not be compared


def test_a_score_does_not_depend_on_what_was_left_out() -> None:
    scores = index().scores
    for a, _ in pairs()[:: tries(60, 20, 20)]:
        asked = names_in(a)
        for i in index().candidates(a):
            exact = max(round(probability(scores.signs(x, y)), 4) for x, y in pairs_of(asked, index().meant(i)))
            for least in (0.01, 0.3, 0.5, 0.9):
                assert scores.likely(scores.asked(asked), i, least) == (exact if exact >= least else 0.0), (a, i, least)
