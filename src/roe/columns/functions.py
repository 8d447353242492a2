"""Functions that are computed for a whole column at once. All others are the row evaluator's, asked once per distinct arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from roe.columns.column import Coded, Column, Lists, OwnersColumn
from roe.columns.hosts import MANY, company_domains, domains, freemails
from roe.columns.join import append
from roe.columns.reduce import reduced

if TYPE_CHECKING:
    from roe.columns.world import ColumnWorld

WholeColumn: TypeAlias = "Callable[[ColumnWorld, list[Column]], Column | None]"  # None: not for columns of these kinds


def _of_lists(name: str, world: ColumnWorld, arguments: list[Column]) -> Column | None:
    return reduced(name, arguments[0]) if isinstance(arguments[0], Lists) else None


def _of_many_texts(compute: Callable[[Coded], Column], world: ColumnWorld, arguments: list[Column]) -> Column | None:
    texts = arguments[0]
    return compute(texts) if isinstance(texts, Coded) and len(texts.meaning) > MANY and texts.meaning.is_text else None


def _append(world: ColumnWorld, arguments: list[Column]) -> Column | None:
    first, second = arguments
    return append(first, second, world) if isinstance(first, Lists) and not isinstance(second, (Lists, OwnersColumn)) else None


# by the function's name: for how many arguments in their order, and the form
WHOLE_COLUMNS: dict[str, tuple[int, WholeColumn]] = {
    **{name: (1, partial(_of_lists, name)) for name in ("count", "sum", "min", "max", "mean")},
    "domain": (1, partial(_of_many_texts, domains)),
    "company_domain": (1, partial(_of_many_texts, company_domains)),
    "is_freemail": (1, partial(_of_many_texts, freemails)),
    "append": (2, _append),
}
