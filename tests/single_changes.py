"""Single changes of a policy's files: every scalar and every cell, one at a time, made into something else that may load."""

from __future__ import annotations

import csv
import io
import random
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

WORDS = {
    "keep": ("open", "hold"), "open": ("hold", "return"), "hold": ("return",), "return": ("open",), "first": ("unique", "any"), "unique": ("first",), "any": ("first",),
    "true": ("false",), "false": ("true",), "round_robin": ("level", "least_loaded"), "working": ("any",), "year": ("quarter",), "quarter": ("month",), "warn": ("error",),
    "error": ("warn",), "collect": ("first",), "leave": ("none",),
}  # fmt: skip
EDITS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[str, ...]]], ...] = (
    (re.compile(r"(?<![\w.])\d+(?:\.\d+)?"), lambda m: (f"{_plus(m[0], 1)}", f"{_plus(m[0], -1)}")),
    (re.compile(r">=|<=|(?<!\])>|<|!="), lambda m: ({">=": (">",), "<=": ("<",), ">": (">=",), "<": ("<=",), "!=": ("=",)}[m[0]])),
    (re.compile(r"(?<![<>!])="), lambda m: ("!=",)),
    (re.compile(r"\band\b"), lambda m: ("or",)),
    (re.compile(r"\bor\b"), lambda m: ("and",)),
    (re.compile(r"\bsome\b"), lambda m: ("every",)),
    (re.compile(r"\b(?:days|months|hours)\b"), lambda m: ({"days": ("hours", "months"), "months": ("days",), "hours": ("days",)}[m[0]])),
    (re.compile(r'"[^"]*"'), lambda m: (f'"{m[0][1:-1]}x"',)),
    (re.compile(r"\b(?:count|sum|max|min|mean)\b(?=\()"), lambda m: ({"max": ("min",), "min": ("max",), "sum": ("max",)}.get(m[0], ()))),
)  # fmt: skip


def _plus(number: str, by: int) -> str:
    return f"{float(number) + by:g}" if "." in number else f"{int(number) + by:0{len(number)}d}"


@dataclass(frozen=True)
class Edit:
    """A file of a policy, relative to its folder, with another text; `what` says what was changed to what."""

    file: str
    text: str
    what: str


def edits(folder: Path) -> Iterator[Edit]:
    """Every single change of every scalar and cell of the policy in a folder."""
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".yaml" and not name.startswith("tests"):
            yield from _in_yaml(name, path.read_text("utf-8"))
        elif path.suffix == ".csv" and not name.startswith(("tests", "data")):
            yield from _in_csv(name, path.read_text("utf-8"))


def _in_yaml(name: str, text: str) -> Iterator[Edit]:
    scalars: list[tuple[str, yaml.ScalarNode]] = []

    def walk(node: yaml.Node, key: str) -> None:
        if isinstance(node, yaml.ScalarNode):
            scalars.append((key, node))
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                walk(item, key)
        elif isinstance(node, yaml.MappingNode):
            for k, x in node.value:
                scalars.append((f"{key}?", k))
                walk(x, k.value)

    root = yaml.compose(text)
    assert root is not None
    walk(root, "")
    for key, node in scalars:
        start, end = node.start_mark.index, node.end_mark.index
        old = text[start:end]
        others = [x.value for k, x in scalars if k == key and x.value != node.value and "\n" not in x.value]
        for new in _variants(node.value, others):
            if node.style in ("'", '"'):
                shown = node.style + (new.replace("'", "''") if node.style == "'" else new.replace('"', '\\"')) + node.style
            elif node.style in ("|", ">"):
                continue
            else:
                shown = new if re.fullmatch(r"[\w .@+-]+", new) and not new.startswith(("-", "@")) else "'" + new.replace("'", "''") + "'"
            yield Edit(name, text[:start] + shown + text[end:], f"{key}: {old} -> {shown}")


def _in_csv(name: str, text: str) -> Iterator[Edit]:
    rows = list(csv.reader(io.StringIO(text)))
    for r, row in enumerate(rows):
        for c, cell in enumerate(row):
            others = [other[c] for other in rows[1:] if c < len(other) and other[c] != cell]
            for new in _variants(cell, others if r else []):
                changed = [list(x) for x in rows]
                changed[r][c] = new
                made = io.StringIO()
                csv.writer(made, lineterminator="\n").writerows(changed)
                yield Edit(name, made.getvalue(), f"{r}:{rows[0][c] if c < len(rows[0]) else c}: {cell} -> {new}")


def _variants(value: str, others: list[str]) -> list[str]:
    """What a text may be changed to: other texts that stand in the same place, and every edit of a part of it."""
    made = [*WORDS.get(value, ()), *dict.fromkeys(others)][:4]
    for pattern, change in EDITS:
        for m in list(pattern.finditer(value))[:4]:
            made += [value[: m.start()] + x + value[m.end() :] for x in change(m)]
    if re.fullmatch(r"[\w.-]*", value):
        made.append(f"{value}x")
    if re.search(r"[ {]", value):
        made.append(f"{value} x")  # a sentence
    return [x for x in dict.fromkeys(made) if x != value]


def apply(edit: Edit, folder: Path, to: Path) -> Path:
    """The policy with the change, in a folder of its own; data and tests are left where they are."""
    if not to.exists():
        shutil.copytree(folder, to, ignore=shutil.ignore_patterns("data", "tests"))
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] not in ("data", "tests"):
            (to / name).write_bytes(path.read_bytes())
    (to / edit.file).write_text(edit.text, "utf-8")
    return to


def shuffled(found: Iterable[Edit], seed: int) -> list[Edit]:
    made = list(found)
    random.Random(seed).shuffle(made)
    return made
