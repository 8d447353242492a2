"""`python tests/damage.py xlsx|csv [HOW_MANY] [SEED]`: damaged tables; nothing but rows or diagnostics may come out.

Prints how many there were, what became of them, the slowest, and the most memory that the process took.
"""

from __future__ import annotations

import io
import random
import resource
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from roe.diagnostics import CODES
from roe.policy.tables import read_table
from roe.source import Span
from roe.stages.build import build
from workbooks import pack, parts, row, saved

POLICY = """roe: 1
name: x
roles: [ae]
tables:
  seg: {{table: "b.{kind}", hit: first, outputs: [seg]}}
engagement:
  account:
    ae:
      - {{name: got, when: account.seg != null, then: hold}}
"""
HEAD = ("country", "employees", "seg")
ROWS = [("DE", "< 100", "small"), ("DE", ">= 100", "large"), ("FR", "-", "fr"), ("US, CA", "[1..10]", "am"), ("-", "-", "rest")]
TOKENS = [
    b"<", b">", b"/>", b"</c>", b"<c>", b'<c r="A2">', b'<row r="2">', b"<v>", b"</v>", b"<f/>", b' t="s"', b' t="e"', b' t="b"', b' t="d"', b' s="3"',
    b' s="99999"', b"-1", b"1e999", b"99999999999999999999", b'r="XFD1048576"', b'r="AAAA1"', b'ref="A1:XFD1048576"', b"&amp;", b"&x;", b"&#0;",
    b"&#x110000;", b"\x00", b"\xff\xfe", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"<?xml version='1.0' encoding='utf-16'?>", b"<![CDATA[", b"xmlns:q='q'",
    b'hidden="1"', b"sharedStrings", b"_x0000_", b"_xD800_", b'"', b"\n", b",", b";", b"\r", b"sep=;", b'""', b'","',
]  # fmt: skip


def books(folder: Path) -> list[bytes]:
    """Sound workbooks of several makes."""
    styles = '<numFmts><numFmt numFmtId="164" formatCode="00000"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="14"/></cellXfs>'
    strings = "".join(f"<si><t>{text}</t></si>" for text in ("zip", "until", "note", "x"))
    shared = '<row r="1">' + "".join(f'<c r="{c}1" t="s"><v>{i}</v></c>' for i, c in enumerate("ABC")) + "</row>"
    shared += "".join(
        f'<row r="{i}"><c r="A{i}" s="1"><v>{2134 + i}</v></c><c r="B{i}" s="2"><v>46054</v></c><c r="C{i}" t="s"><v>3</v></c></row>'
        for i in range(2, 9)
    )
    after = '<mergeCells><mergeCell ref="C2:C3"/></mergeCells>'
    plain = "".join(row(i, *(text.replace("<", "&lt;") for text in texts)) for i, texts in enumerate((HEAD, *ROWS), 1))
    made = [
        saved(folder / "1.xlsx", [list(HEAD), *map(list, ROWS)], lambda sheet: sheet.merge_cells("A2:A3")),
        pack(folder / "2.xlsx", parts(plain)),
        pack(folder / "3.xlsx", parts(shared, strings=strings, styles=styles, after=after)),
    ]
    return [path.read_bytes() for path in made]


def texts() -> list[bytes]:
    """Sound CSV tables in several habits."""
    found = []
    for delimiter in (",", ";", "\t"):
        lines = [delimiter.join(HEAD), *(delimiter.join(f'"{t}"' if "," in t or delimiter in t else t for t in r) for r in ROWS)]
        found += [
            "\n".join(lines).encode(),
            b"\xef\xbb\xbf" + "\r\n".join(lines).encode(),
            ("sep=" + delimiter + "\n" + "\n".join(lines)).encode(),
        ]
    return found


def scramble(raw: bytes, rng: random.Random) -> bytes:
    """Bytes with a few of them cut, doubled, overwritten, or tokens put between."""
    changed = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 4, 12))):
        at, size = rng.randrange(len(changed) + 1), rng.choice((1, 2, 8, 64))
        kind = rng.randrange(6)
        if kind == 0:
            del changed[at : at + size]
        elif kind == 1:
            changed[at:at] = changed[at : at + size]
        elif kind == 2:
            changed[at : at + size] = bytes(rng.randrange(256) for _ in range(size))
        elif kind == 3:
            changed[at:at] = rng.choice(TOKENS)
        elif kind == 4 and changed:
            changed[min(at, len(changed) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 5 and rng.random() < 0.3:
            del changed[at:]
    return bytes(changed)


def damaged_book(raw: bytes, rng: random.Random) -> bytes:
    """A workbook damaged as a file, or one whose parts are damaged and packed again, so that check sums are right."""
    if rng.random() < 0.35:
        return scramble(raw, rng)
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    for name in rng.sample(sorted(files), rng.choice((1, 1, 2))):
        if rng.random() < 0.1:
            del files[name]
        elif rng.random() < 0.1:
            files[name] = files[rng.choice(sorted(files))]
        else:
            files[name] = scramble(files[name], rng)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def run(kind: str, how_many: int, seed: int, folder: Path, built: int = 20) -> tuple[Counter[str], float]:
    """What became of each damaged table, and the longest time of one; every `built`-th goes through a whole policy."""
    (folder / "policy.yaml").write_text(POLICY.format(kind=kind), "utf-8")
    sound = books(folder) if kind == "xlsx" else texts()
    damage: Callable[[bytes, random.Random], bytes] = damaged_book if kind == "xlsx" else scramble
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for number in range(how_many):
        rng = random.Random(f"{seed} {number}")
        path = folder / f"b.{kind}"
        path.write_bytes(damage(rng.choice(sound), rng))
        start = time.monotonic()
        try:
            table, found = read_table(folder, f"b.{kind}")
            if number % built == 0:
                build(folder)
        except Exception as e:
            kept = Path(tempfile.gettempdir()) / f"damaged-{seed}-{number}.{kind}"
            kept.write_bytes(path.read_bytes())
            raise AssertionError(f"{kept}: {type(e).__name__}: {e}") from e
        slowest = max(slowest, time.monotonic() - start)
        assert table is not None or found, number
        for d in found:
            assert d.code in CODES and isinstance(d.span, Span) and d.message and d.help, d
        errors = sorted({d.code for d in found if d.severity == "error"})
        outcomes[" ".join(errors) or "read"] += 1
    return outcomes, slowest


def main(kind: str, how_many: int, seed: int) -> None:
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcomes, slowest = run(kind, how_many, seed, Path(folder))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(
        f"{how_many} damaged {kind} tables from seed {seed} in {time.monotonic() - start:.0f} s: no traceback; slowest {slowest:.2f} s, {memory} MiB"
    )
    print(", ".join(f"{name}: {n}" for name, n in outcomes.most_common()))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20_000, int(sys.argv[3]) if len(sys.argv) > 3 else 1)
