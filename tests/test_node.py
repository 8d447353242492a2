"""A node is what an ordinary dataclass with slots is, and is made into one when its first instance is made."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

import pytest

from roe.node import is_node, names_of, node


def made_by(decorate: Callable[..., Any], **more: bool) -> tuple[Any, Any]:
    """A class and one that inherits from it, with all that a node may have."""

    @decorate(**more)
    class Point:
        """A place."""

        of: ClassVar[int] = 2
        x: int
        y: int = 0
        at: tuple[int, int] = field(default=(0, 0), compare=False, repr=False)

        def doubled(self) -> int:
            return self.x * self.of

    @decorate(**more)
    class Named(Point):
        names: list[str] = field(default_factory=list)
        known: str | None = field(init=False, default=None)
        whole: str = field(init=False)

        def __post_init__(self) -> None:
            object.__setattr__(self, "whole", f"{self.x},{self.y}")

    return Point, Named


OURS, THEIRS = made_by(node), made_by(dataclass, frozen=True, slots=True)


def test_a_node_is_like_a_dataclass_with_slots() -> None:
    for ours, theirs in zip(OURS, THEIRS, strict=True):
        assert is_node(ours) and not is_node(theirs)
        assert names_of(ours) == tuple(f.name for f in fields(theirs))
        assert [(f.name, f.init, f.compare, f.repr) for f in fields(ours)] == [(f.name, f.init, f.compare, f.repr) for f in fields(theirs)]
        for name in ("__slots__", "__match_args__", "__doc__", "__name__", "__qualname__", "__module__", "of"):
            assert name == "__doc__" or getattr(ours, name) == getattr(theirs, name), name
        assert not hasattr(ours(1), "__dict__")
        for given in ((1,), (1, 2), (1, 2, (3, 4))):
            mine, other = ours(*given), theirs(*given)
            assert all(getattr(mine, name) == getattr(other, name) for name in names_of(ours))
            assert mine.doubled() == 2 and replace(mine, x=2).x == 2 and replace(mine, x=2) != mine and copy.deepcopy(mine) == mine
            assert repr(mine) == repr(other).rpartition("<locals>.")[2]
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
            ours()


def test_what_does_not_count_for_equality() -> None:
    point, named = OURS
    assert point(1, 2, (3, 4)) == point(1, 2) and hash(point(1, 2, (3, 4))) == hash(point(1, 2))
    assert point(1, 2) != point(2, 1) and point(1) != named(1) and point(1) != (1, 0)
    match named(1, 2):
        case named(x, y):
            assert (x, y) == (1, 2)


def test_one_that_may_change_has_no_hash_and_one_without_eq_equals_itself() -> None:
    changing, _ = made_by(node, frozen=False)
    assert changing(1) == changing(1)
    with pytest.raises(TypeError, match="unhashable"):
        hash(changing(1))
    alone, _ = made_by(node, eq=False)
    assert alone(1) != alone(1) and len({alone(1), alone(1)}) == 2
    by_name, _ = made_by(node, kw_only=True)
    assert by_name(x=1).y == 0
    with pytest.raises(TypeError, match="positional"):
        by_name(1)


@node
class Stored:
    x: int
    names: tuple[str, ...] = ()


def test_it_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(Stored(1, ("a",)))) == Stored(1, ("a",))


def test_many_threads_may_make_the_first_instance() -> None:
    for _ in range(50):
        _, named = made_by(node)
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(named, range(8)))
        assert [x.names for x in made] == [[]] * 8 and len({id(x.names) for x in made}) == 8
