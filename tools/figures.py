"""`python tools/figures.py [FOLDER]` prints the figures that show how well the code can be read: sizes, types, branches and names.

Complexity is McCabe's: one, and one more for each place where a function branches (T. J. McCabe, "A Complexity Measure", 1976).
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.IfExp, ast.comprehension, ast.match_case)
LONG_FILE = 400  # lines
COMPLEX = 20
DYNAMIC = Path("dynamic.py")  # the module whose names stand for what mypy does not follow
VAGUE = ("found", "out", "told", "part", "kept")  # names that do not say what a thing is
Function = ast.FunctionDef | ast.AsyncFunctionDef


def complexity(function: Function) -> int:
    branches = sum(isinstance(n, BRANCHES) for n in ast.walk(function))
    return 1 + branches + sum(len(n.values) - 1 for n in ast.walk(function) if isinstance(n, ast.BoolOp))


def functions(tree: ast.AST, inside: str = "") -> Iterator[tuple[str, Function]]:
    """Every function and method with its qualified name; a function inside another counts as part of the outer one."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{inside}{node.name}", node
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, f"{inside}{node.name}.")
        else:
            yield from functions(node, inside)


def aliases_of_any(tree: ast.Module) -> set[str]:
    """The names that a module gives to `Any`, and to types that hold it or another such name."""
    names = {"Any"}
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(x, ast.Name) and x.id in names for x in ast.walk(node.value)):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names - {"Any"}


def main(folder: Path) -> None:
    lines: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    vague: Counter[str] = Counter()
    anys = 0
    aliases: Counter[str] = Counter()
    dynamic = aliases_of_any(ast.parse((folder / DYNAMIC).read_text("utf-8"))) if (folder / DYNAMIC).is_file() else set()
    branching: list[tuple[int, str]] = []
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text("utf-8")
        name = str(path.relative_to(folder))
        tree = ast.parse(text)
        lines[name] = len(text.splitlines())
        branching += [(complexity(f), f"{name}: {called}") for called, f in functions(tree)]
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                anys += node.id == "Any"
                aliases[node.id] += node.id in dynamic and name != str(DYNAMIC)
                vague[node.id] += node.id in VAGUE and isinstance(node.ctx, ast.Store)
            elif isinstance(node, ast.ClassDef):
                classes[node.name] += 1
    print(f"{sum(lines.values())} lines in {len(lines)} files; {anys} times `Any`")
    used = ", ".join(f"{alias} {n}" for alias, n in aliases.most_common() if n)
    print(f"{aliases.total()} times a name of {DYNAMIC} that is `Any` or holds it: {used}")
    long = [(n, name) for name, n in lines.most_common() if n > LONG_FILE]
    print(f"\n{len(long)} files of more than {LONG_FILE} lines")
    print("\n".join(f"  {n:5} {name}" for n, name in long))
    complex_ones = sorted((x for x in branching if x[0] > COMPLEX), reverse=True)
    print(f"\n{len(complex_ones)} functions of a complexity above {COMPLEX}")
    print("\n".join(f"  {n:5} {name}" for n, name in complex_ones))
    shared = [(name, n) for name, n in classes.most_common() if n > 1 and not name.startswith("_")]
    print(f"\n{len(shared)} class names that several classes have: " + ", ".join(f"{name} ({n})" for name, n in shared))
    print("\nvague names given to variables: " + ", ".join(f"{name} {vague[name]}" for name in VAGUE))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "src" / "roe")
