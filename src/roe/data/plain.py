"""Large CSV files that are plain: UTF-8, and every record in a line of its own, with its quotes where they belong.

Such a file can be read at full speed, or searched for a few of its records. Any other is for the ordinary reader, which says what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from roe.data.content import head_of, pieces
from roe.data.scan import dialect, names_of

LOST = (b"\xef\xbf\xbd", b"\xc3\x83\xc2", b"\xc3\x83\xc5")  # `�` and `Ã…`: letters that an earlier export has lost
BLOCK = 16 << 20  # bytes that are looked at together
LONGEST = 64 << 20  # bytes of a line, or of a record of JSON, beyond which nothing waits for its end


class LongLine(Exception):
    """A line, or a record, is too long to be looked at together with others."""


def plain_head(path: Path) -> tuple[str, tuple[str, ...]] | None:
    """(delimiter, header) of a CSV file that begins as a plain one does; None for any other. Raises OSError, or Unreadable for a packed file."""
    head = head_of(path, 1 << 16)
    first = head.partition(b"\n")[0]
    marked = head.startswith(b"\xef\xbb\xbf")
    if (not marked and head[:4] in (b"PK\x03\x04", b"PAR1", b"%PDF")) or head[:1] == b"<":
        return None
    text = head.decode("utf-8-sig", "replace").replace("\r\n", "\n")
    delimiter, skip = dialect(text)
    cells = _cells(text.partition("\n")[0], delimiter) if b'"' in first else text.partition("\n")[0].split(delimiter)
    if cells is None:
        return None
    header, twice = names_of(cells)
    if skip or twice or len(header) < len(cells) or not all(map(str.strip, cells)):
        return None
    return delimiter, header


def _cells(line: str, delimiter: str) -> list[str] | None:
    """The names of a header in quotes; None if a quote is where it does not belong."""
    cells = line.split(delimiter)
    bare = [c[1:-1] if len(c) > 2 and c[0] == c[-1] == '"' else c for c in cells]
    return None if any('"' in c for c in bare) else bare


def blocks(path: Path) -> Iterator[bytes]:
    """A file in blocks of whole lines; only the last may lack its line end. Raises LongLine, OSError, or Unreadable for a packed file."""
    rest = b""
    for block in pieces(path, BLOCK):
        cut = block.rfind(b"\n") + 1
        if cut:
            yield rest + block[:cut]
            rest = block[cut:]
        elif len(rest) > LONGEST:
            raise LongLine
        else:
            rest += block
    if rest:
        yield rest


def is_plain(text: bytes, mark: int) -> bool:
    """Whether every quote in some whole lines opens before a cell and closes after it, with no line end between."""
    if b"\0" in text or any(x in text for x in LOST) or (b"\r" in text and text.count(b"\r") != text.count(b"\r\n")):
        return False
    if b'"' not in text:
        return True
    import numpy as np

    data = np.frombuffer(text, np.uint8)
    places = np.flatnonzero((data == 34) | (data == 10))
    is_quote = data[places] == 34
    quotes, ends = places[is_quote], places[~is_quote]
    if len(quotes) % 2 or (np.searchsorted(quotes, ends) & 1).any():  # a quote is still open where a line ends
        return False
    before, after = np.zeros(256, bool), np.zeros(256, bool)
    before[[mark, 10, 34]] = after[[mark, 10, 13, 34]] = True
    opens, closes = quotes[0::2], quotes[1::2]
    opens, closes = opens[int(opens[0] == 0) :], closes[: len(closes) - int(closes[-1] == len(data) - 1)]
    return bool(before[data[opens - 1]].all() and after[data[closes + 1]].all())
