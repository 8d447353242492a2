"""An index of names that was kept answers as the one that was made, and a file that cannot be trusted is as none."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from roe.companies import kept
from roe.companies.index import NameIndex
from roe.companies.keys import code_of, keys_of_many
from roe.companies.name import names_in
from roe.companies.postings import keys_of_all
from roe.companies.written import WrittenNames, line_of

WORDS = ("Norrsken", "Kaltmeer", "Vetri", "Halden", "Group", "Systems", "Bank", "Energy", "Sixty-Two", "d/b/a Riverside")


def made_up(count: int) -> list[str]:
    rng = random.Random(2)
    return [" ".join([*rng.sample(WORDS, rng.randint(1, 3)), rng.choice(("AB", "GmbH", ""))]) for _ in range(count)]


@pytest.fixture(autouse=True)
def small_is_large_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "LARGE", 1)
    monkeypatch.setenv("ROE_CACHE", str(tmp_path / "cache"))


def answers(index: NameIndex, asked: list[str]) -> list[list[tuple[float, int]]]:
    return [index.search(name, 0.0) for name in asked]


def test_a_kept_index_answers_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names, asked = made_up(300), made_up(40)
    expected = answers(NameIndex(names), asked)
    assert answers(kept.index_of(names), asked) == expected  # made, and kept
    monkeypatch.setattr(kept, "built", None)  # nothing is taken apart again
    again = kept.index_of(names)
    assert answers(again, asked) == expected
    again.remove(names[0], 0)
    monkeypatch.undo()
    other = NameIndex(names)
    other.remove(names[0], 0)
    assert answers(again, asked) == answers(other, asked)


def test_keys_as_numbers_are_the_keys_of_each_name() -> None:
    names = [
        *made_up(300),
        "",
        "&",
        "7",
        "京都 KK",
        "NORD/LB Norddeutsche Landesbank",
        "P&G",
        "A B C D E F G H",
        "Bank of the West and the East",
    ]
    keys, numbers = keys_of_many(enumerate(map(names_in, names)))
    of_each: dict[int, list[int]] = {}
    for key, number in zip(keys.tolist(), numbers.tolist(), strict=True):
        of_each.setdefault(number, []).append(key)
    for number, name in enumerate(names):
        expected = sorted({code_of(key) for key in keys_of_all(names_in(name))})
        assert sorted(of_each[number]) == expected, name


def test_names_mean_the_same_once_they_are_read_back() -> None:
    texts = [
        "Halden LLC d/b/a Riverside Grill",
        "Bank für Handel in Bremen AG",
        "Benck. Steel",
        "NORD/LB Norddeutsche Landesbank",
        "&",
        "7",
        "京都 KK",
    ]
    texts += made_up(50)
    portions = [WrittenNames.of(line_of(names_in(text)) for text in texts[at : at + 9]) for at in range(0, len(texts), 9)]
    lines = WrittenNames.all(portions)
    assert [lines.meant(i) for i in range(len(texts))] == [names_in(text) for text in texts]


def test_an_index_that_is_made_in_portions_answers_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "PORTION", 7)
    names, asked = made_up(300), made_up(40)
    assert answers(kept.built(names), asked) == answers(NameIndex(names), asked)


def test_other_names_are_another_index(tmp_path: Path) -> None:
    names = made_up(50)
    kept.index_of(names)
    assert answers(kept.index_of(names[1:]), names) == answers(NameIndex(names[1:]), names)


def test_the_indexes_that_were_used_last_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = [made_up(size) for size in (50, 60, 70, 80)]
    made, built = list[int](), kept.built

    def counted(names: list[str], meanwhile: Callable[[], object] | None) -> NameIndex:
        made.append(len(names))
        return built(names, meanwhile)

    monkeypatch.setattr(kept, "built", counted)
    for which in (0, 1, 2, 0, 3, 0, 2, 3, 1):  # the second gives way to the fourth, and then takes the place of the first
        names = sets[which]
        assert answers(kept.index_of(names), names[:9]) == answers(NameIndex(names), names[:9])
    assert made == [50, 60, 70, 80, 60]


def test_whoever_adds_names_begins_with_the_index_of_most_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names, new = made_up(300), ["Lumen Gas AG", "Kaltmeer Lumen", "Lumen Gas AG"]
    kept.index_of(names)
    monkeypatch.setattr(kept, "built", None)  # nothing is taken apart again
    everything = [new[0], *names, *new[1:]]
    grown, asked = kept.index_of(everything, grows=True), [*made_up(40), *new]
    assert answers(grown, asked) == answers(NameIndex(everything), asked)
    grown.remove(new[0], 0)
    other = NameIndex(everything)
    other.remove(new[0], 0)
    assert answers(grown, asked) == answers(other, asked)


@pytest.mark.parametrize("changed", ["a name is new", "a name is gone", "many names are new"])
def test_another_index_is_made(changed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = made_up(300)
    kept.index_of(names)
    made, built = list[int](), kept.built

    def counted(names: list[str], meanwhile: Callable[[], object] | None) -> NameIndex:
        made.append(len(names))
        return built(names, meanwhile)

    monkeypatch.setattr(kept, "built", counted)
    others = {
        "a name is new": [*names, "Lumen"],
        "a name is gone": [x for x in names if x != names[7]],
        "many names are new": [*names, *map(str, range(99))],
    }
    assert answers(kept.index_of(others[changed], grows=changed != "a name is new"), names) == answers(NameIndex(others[changed]), names)
    assert made == [len(others[changed])]


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-3], lambda data: b"", lambda data: data + b"x", lambda data: b"{}\n" + data, lambda data: b"[1]\n"]
)
def test_a_damaged_file_is_made_again(tmp_path: Path, damage: object) -> None:
    names = made_up(50)
    kept.index_of(names)
    path = tmp_path / "cache" / kept.FILES[0]
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    assert answers(kept.index_of(names), names) == answers(NameIndex(names), names)
