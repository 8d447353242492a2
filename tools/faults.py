"""Small faults for the program's own code: where they can be planted, and which of them say nothing about the tests.

The operators are cosmic-ray's (https://cosmic-ray.readthedocs.io), one of them is added here. `tools/mutants.toml` names the files, the operators
and what is left out. A fault is found again after other lines have changed: it is known by its file, its function and the line before and after.
"""

from __future__ import annotations
import __future__

import ast
import functools
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import parso
from cosmic_ray.ast import ast_nodes
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).resolve().parents[1]


class SwapIn(Operator):  # type: ignore[misc]  # cosmic-ray has no types
    """`in` for `not in`, and the other way round, which cosmic-ray leaves alone."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        for operator in _swaps(node):
            yield operator.start_pos, operator.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        operator = _swaps(node)[index]
        new = " in" if operator.get_code().split() == ["not", "in"] else " not in"
        node.children[node.children.index(operator)] = parso.python.tree.Operator(new, operator.start_pos)
        return node

    @classmethod
    def examples(cls) -> tuple[Any, ...]:
        return ()


def _swaps(node: Any) -> list[Any]:
    if node.type != "comparison":
        return []
    return [x for x in node.children[1::2] if x.get_code().split() in (["in"], ["not", "in"])]


@dataclass(frozen=True, slots=True)
class Fault:
    """One small change of one file. `function` is the outermost function or method around it, '' for none that can be exchanged."""

    file: str
    operator: str
    occurrence: int
    line: int
    function: str
    before: str
    after: str
    source: str  # of the whole file with the fault in it

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.file, self.function, self.before, self.after

    @property
    def digest(self) -> str:
        """What orders the faults for a sample: nothing of it depends on where a line stands."""
        return hashlib.sha256("\0".join((*self.key, self.operator, str(self.occurrence))).encode()).hexdigest()


def operator_of(name: str) -> Any:
    return SwapIn() if name == "SwapIn" else get_operator(f"core/{name}")()


def faults(file: str, config: dict[str, Any]) -> Iterator[Fault]:
    """Every fault of a file, without those that `left_out` and the notes in `mutants.toml` exclude."""
    source = (ROOT / file).read_text("utf-8")
    functions, silent = _functions(source), _silent(source)
    ignored = [re.compile(pattern) for pattern in config["left_out"]["lines"]]
    lines = source.splitlines()
    begins = [0]  # where each line begins in the text
    for line in source.splitlines(keepends=True):
        begins.append(begins[-1] + len(line))
    seen = set()
    tree = parso.parse(source)
    assert tree.get_code() == source
    nodes = list(ast_nodes(tree))
    for name in config["operators"]:
        operator = operator_of(name)
        places = [(node, i, place[0]) for node in nodes for i, place in enumerate(operator.mutation_positions(node))]
        for occurrence, (node, i, start) in enumerate(places):
            if any(first <= start <= last for first, last in silent) or any(p.search(lines[start[0] - 1]) for p in ignored):
                continue
            first, last = (begins[line - 1] + column for line, column in (node.get_start_pos_of_prefix(), node.end_pos))
            piece = _planted(operator, node, i)
            if (first, last, piece) in seen:
                continue
            seen.add((first, last, piece))
            text = source[:first] + piece + source[last:]
            inside = [title for title, begin, end in functions if begin <= start <= end]
            fault = Fault(
                file, name, occurrence, start[0], inside[0] if inside else "", *_difference(lines, text.splitlines(), start[0]), text
            )
            if fault.before and code_of(fault) is not None:
                yield fault


def _planted(operator: Operator, node: Any, index: int) -> str:
    """The text of a node once it is changed. The node is as it was afterwards."""
    parts = list(ast_nodes(node))
    before = [(part, list(part.children) if hasattr(part, "children") else None, getattr(part, "value", None)) for part in parts]
    text = str(operator.mutate(node, index).get_code())
    for part, children, value in before:
        if children is not None:
            part.children = children
        elif value is not None:
            part.value = value
    return text


def code_of(fault: Fault) -> CodeType | None:
    """The class, function or statement of the module that has the fault, compiled where it stands; None if it cannot be compiled."""
    first, last = next((a, b) for a, b in _top(fault.file) if a <= fault.line <= b)
    piece = "\n" * (first - 1) + "\n".join(fault.source.split("\n")[first - 1 : last])
    try:
        code: CodeType = compile(piece, str(ROOT / fault.file), "exec", flags=__future__.annotations.compiler_flag, dont_inherit=True)
    except SyntaxError:
        return None
    return code


@functools.cache
def _top(file: str) -> list[tuple[int, int]]:
    """The first and last lines of what stands in a module, one behind the other."""
    body = ast.parse((ROOT / file).read_text("utf-8")).body
    starts = [min([item.lineno, *(d.lineno for d in getattr(item, "decorator_list", ()))]) for item in body]
    return [(start, item.end_lineno or start) for start, item in zip(starts, body, strict=True)]


def _difference(old: list[str], new: list[str], line: int) -> tuple[str, str]:
    """The first lines that differ, which is `line` or, where an operator stands between lines, one beside it."""
    for i in range(max(0, line - 2), min(len(old), len(new))):
        if old[i] != new[i]:
            return old[i].strip(), new[i].strip()
    return "", ""


Place = tuple[int, int]


def _functions(source: str) -> list[tuple[str, Place, Place]]:
    """(qualified name, where its body begins and ends) of functions and methods that are not inside of others."""
    found = []

    def look(body: list[ast.stmt], prefix: str) -> None:
        for item in body:
            if isinstance(item, ast.ClassDef):
                look(item.body, f"{prefix}{item.name}.")
            elif isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = item.body[0]
                found.append((f"{prefix}{item.name}", (first.lineno, first.col_offset), (item.end_lineno or 0, item.end_col_offset or 0)))

    look(ast.parse(source).body, "")
    return found


@functools.cache
def _lines_of_functions(file: str) -> dict[str, range]:
    return {name: range(first[0], last[0] + 1) for name, first, last in _functions((ROOT / file).read_text("utf-8"))}


def function_lines(fault: Fault) -> range:
    """The lines of the function that has the fault; none for a fault outside of functions."""
    return _lines_of_functions(fault.file).get(fault.function, range(0))


def _silent(source: str) -> list[tuple[Place, Place]]:
    """Places whose faults change nothing that anybody relies on: annotations, decorators, `if TYPE_CHECKING`, what is said of an error,
    `assert` (it is for the type checker), `strict=` of a `zip` (a check of our own code), `slots=` and the like of a dataclass' field.
    """
    found = []
    for item in ast.walk(ast.parse(source)):
        nodes: list[Any] = []
        if isinstance(item, (ast.FunctionDef, ast.ClassDef)):
            nodes += item.decorator_list
        if isinstance(item, ast.FunctionDef):
            nodes += [item.returns] if item.returns else []
        if isinstance(item, (ast.arg, ast.AnnAssign)) and item.annotation is not None:
            nodes.append(item.annotation)
        if isinstance(item, (ast.Assert, ast.Raise)) or (isinstance(item, ast.If) and ast.unparse(item.test) == "TYPE_CHECKING"):
            nodes.append(item)
        if isinstance(item, ast.Call) and isinstance(item.func, ast.Attribute) and item.func.attr == "say":
            nodes += item.args
        if isinstance(item, ast.Call) and isinstance(item.func, ast.Name) and item.func.id == "field":
            nodes.append(item)
        if isinstance(item, ast.keyword) and item.arg == "strict":
            nodes.append(item)
        found += [((n.lineno, n.col_offset), (n.end_lineno or 0, n.end_col_offset or 0)) for n in nodes]
    return found
