"""`python -m roe.grammar.tables` writes tables.json, the parser's tables, from feel.lark.

The file names the digest of the grammar that it was made from, and a test compares the two: the tables themselves differ
from one process to the next in the numbering of their states.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

HERE = Path(__file__).parent


def build(strict: bool = False) -> str:
    """The tables as JSON text; `strict` proves that no two terminals collide (needs interegular)."""
    from lark import Lark
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    grammar = (HERE / "feel.lark").read_text("utf-8")
    parser = Lark(grammar, parser="lalr", lexer="contextual", start=["expr", "tests"], maybe_placeholders=False, strict=strict)
    digest = hashlib.sha256(grammar.encode()).hexdigest()
    data, memo = parser.memo_serialize([TerminalDef, Rule])
    return (
        json.dumps(storable({"grammar": digest, "data": data, "memo": memo}), separators=(",", ":"), ensure_ascii=False, sort_keys=True)
        + "\n"
    )


def storable(value: object) -> object:
    if isinstance(value, dict):
        return {f"#{k}" if isinstance(k, int) else k: storable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable(v) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return value


if __name__ == "__main__":
    (HERE / "tables.json").write_text(build(), "utf-8", newline="\n")
