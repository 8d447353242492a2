"""Fits the weights of `roe.companies.likeness`: `python benchmarks/fit_names.py [FOLDER]` prints them, to be pasted there.

Every second pair of the sets in `benchmarks/names` and of neer_match (in FOLDER, where it is at hand) is fitted to, with half of the
counterparts taken away: each name's closest candidates are examples, and the pairs that belong together are the
positive ones. The other pairs are what `benchmarks/run.py --only matching` measures. Made-up pairs are added for
what lists of companies hardly have: sister companies (another number, country, legal form or word) and shortened names.
A weight may not contradict its meaning: what names share never counts against them, what they have alone never for them.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

import made
from roe.companies.index import NameIndex
from roe.companies.likeness import WEIGHTS
from roe.companies.name import names_in, parse
from roe.companies.scores import pairs_of
from roe.companies.tables import common_words, places

FOR = ("contained", "letters", "written_alike", "same", "rarest_shared", "more_shared", "initials", "same_form")
CLOSEST = 8
PENALTY = 0.3
MADE_UP = 0.3  # the weight of a made-up pair
FORMS = (("AG", "GmbH"), ("SA", "SARL"), ("SpA", "Srl"), ("NV", "BV"), ("OAO", "OOO"), ("A/S", "ApS"), ("Inc", "LLC"))
Example = tuple[dict[str, float], bool, float]


def examples(pairs: list[tuple[str, str]], removed: float, weight: float) -> list[Example]:
    """(signs, whether it is one company, weight) of each name's closest candidates."""
    left, right, truth = made.without_counterparts(pairs, removed)
    index = NameIndex(right)
    found: list[Example] = []
    for name, wanted in zip(left, truth, strict=True):
        closest = [
            max((index.scores.signs(a, b) for a, b in pairs_of(names_in(name), index.meant(i))), key=_near) for i in index.candidates(name)
        ]
        places_of = [index.places(i) for i in index.candidates(name)]
        ranked = sorted(zip(closest, places_of, strict=True), key=lambda x: -_near(x[0]))[:CLOSEST]
        found += [(signs, wanted is not None and wanted in at, weight) for signs, at in ranked]
    return found


def _near(signs: dict[str, float]) -> float:
    return signs["letters"] + signs["rarest_shared"] + signs["initials"]


def sisters(names: list[str], rng: random.Random) -> list[tuple[str, str, bool]]:
    """Made-up pairs: (a name, another, whether they are one company)."""
    found = []
    words = [w for w in common_words() if 4 <= len(w) <= 10 and w not in places()][:400]
    arms = ["financial services", "leasing", "bank", "insurance", "capital", "ventures", "real estate", "credit", "foundation"]
    regions = sorted(p for p in places() if len(p) > 3)
    for name in names:
        own = [w.title() for w in parse(name).words]
        text = " ".join(own)
        if len(text) < 4:
            continue
        one, other = rng.choice(FORMS)
        number = rng.randint(2, 20)
        made_up: list[tuple[str, str, bool]] = [
            (f"{text} {one}", f"{text} {other}", False), (f"{text} {one}", text, True), (f"{text} {number}", text, False),
            (f"{text} {number}", f"{text} {number + 1}", False), (f"{text} {rng.choice(regions)}", text, False),
            (f"{text} {rng.choice(regions)}", f"{text} {rng.choice(regions)}", False),
        ]  # fmt: skip
        if len(own) > 1:
            at = rng.randrange(len(own))
            made_up += [(" ".join([*own[:at], rng.choice(words).title(), *own[at + 1 :]]), text, False)] * 2
            made_up.append((" ".join(own[1:]), text, False))
            made_up.append((" ".join(w[: max(4, len(w) * 2 // 3)] if len(w) > 6 else w for w in own), text, True))
            made_up.append((" ".join(w[0] + "".join(c for c in w[1:] if c not in "aeiouy") if len(w) > 5 else w for w in own), text, True))
        brand, common = own[0], [rng.choice(words).title() for _ in range(2)]
        if len(brand) > 4 and brand.isalpha() and brand.lower() not in common_words():
            made_up.append((f"{brand} {rng.choice(arms).title()}", brand, False))
            at = rng.randrange(1, len(brand) - 1)
            changed = brand[:at] + rng.choice("abdefgiklmnoprstuz") + brand[at + 1 :]
            if changed != brand:
                made_up.append((f"{changed} {common[0]}", f"{brand} {common[0]}", len(brand) >= 9))
            made_up += [
                (f"{brand} {common[0]}", f"{brand} {common[1]}", False),
                (f"{brand} {common[0]}", f"{brand} {_word(rng)} {common[0]}", False),
            ]
        if len(own) > 2:
            made_up.append((f"{''.join(w[0] for w in own)} {one}", f"{text} {one}", True))
            if common_words().get(own[0].lower(), 0) == 0:
                made_up.append((f"{own[0]} {one}", f"{text} {one}", True))
        longest = max(own, key=len)
        if len(longest) > 3:
            at = rng.randrange(1, len(longest) - 1)
            changed = longest[:at] + rng.choice("abdefgiklmnoprstuz") + longest[at + 1 :]
            if changed != longest:
                made_up.append((text.replace(longest, changed), text, len(longest) >= 8))
        found.append(rng.choice(made_up))
    return found


def _word(rng: random.Random) -> str:
    """A word that nobody has heard of."""
    return "".join(rng.choice("bdfgklmnprstv") + rng.choice("aeiou") for _ in range(rng.randint(2, 3))).title()


def main() -> None:
    sets = made.name_pairs(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    data: list[Example] = []
    for pairs in sets.values():
        half = pairs[::2][:1500]
        data += examples(half, 0.5, 600 / len(half))
    rng = random.Random(5)
    pairs = sisters([b for some in sets.values() for _, b in some[::2]][::2], rng)
    index = NameIndex([b for _, b, _ in pairs])
    data += [(max((index.scores.signs(x, y) for x in names_in(a) for y in names_in(b)), key=_near), same, MADE_UP) for a, b, same in pairs]
    names = list(WEIGHTS)
    x = np.array([[signs[name] for name in names] for signs, _, _ in data])
    y = np.array([float(same) for _, same, _ in data])
    w = np.array([weight for _, _, weight in data])

    def loss(t: Any) -> tuple[float, Any]:
        p = 1 / (1 + np.exp(-(x @ t[:-1] + t[-1])))
        cost = -(w * (y * np.log(p + 1e-12) + (1 - y) * np.log(1 - p + 1e-12))).sum() + PENALTY / 2 * (t[:-1] ** 2).sum()
        error = w * (p - y)
        return float(cost), np.append(x.T @ error + PENALTY * t[:-1], error.sum())

    bounds = [(0, None) if name in FOR else (None, 0) for name in names] + [(None, None)]
    best = minimize(loss, np.zeros(len(names) + 1), jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": 2000})
    print(f"{len(data):,} examples, {int(y.sum()):,} of them one company")
    print({name: round(float(value), 2) for name, value in zip(names, best.x, strict=False)}, round(float(best.x[-1]), 2))


if __name__ == "__main__":
    main()
