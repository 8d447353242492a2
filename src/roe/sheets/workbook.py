"""The parts of an XLSX file (ECMA-376, Office Open XML): a ZIP archive of XML parts, read as a stream and within limits.

Whoever sends a file may have damaged it or made it to do harm, so nothing is trusted: not the sizes that the archive declares, not
entities (no spreadsheet has any: a document type is refused), not the references from one part to another.
Names of elements are compared without their namespace: strict files, and files with prefixes, say the same.
"""

from __future__ import annotations

import lzma
import posixpath
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat
from zipfile import BadZipFile, ZipFile, ZipInfo

from roe.sheets.formats import BUILTIN

MAX_PART_BYTES = 256 << 20  # a sheet or the shared texts, unpacked
MAX_SMALL_PART_BYTES = 16 << 20  # a list of sheets or styles
MAX_TEXT = 32_767  # characters in a cell, as in Excel
MAX_STRINGS = 4_000_000
CHUNK = 1 << 18

# All that reading a damaged archive or its XML raises.
DAMAGE = (
    BadZipFile, zlib.error, lzma.LZMAError, expat.ExpatError, struct.error, RuntimeError, OSError, EOFError, ValueError, LookupError,
    OverflowError,
)  # fmt: skip


class Damaged(ValueError):
    """The file is not a workbook, or not a whole one; the text says why."""


class TooLarge(ValueError):
    """The file holds more than a table can."""


@dataclass(frozen=True, slots=True)
class SheetEntry:
    """A sheet that the workbook lists: its name, its part in the archive, and whether it is shown."""

    name: str
    part: str
    visible: bool


@dataclass(slots=True)
class Workbook:
    archive: ZipFile
    sheets: list[SheetEntry]
    strings_part: str = ""
    formats: list[str] = field(default_factory=list)  # number format by style
    epoch_1904: bool = False
    _strings: list[str] | None = None

    def string(self, index: int) -> str | None:
        """A shared text by its number; None for one that does not exist."""
        if self._strings is None:
            self._strings = _read_strings(self.archive, self.strings_part) if self.strings_part else []
        return self._strings[index] if 0 <= index < len(self._strings) else None


def open_workbook(archive: ZipFile) -> Workbook:
    """What the workbook of an archive lists. Raises Damaged, TooLarge or one of DAMAGE."""
    start = _relations(archive, "")
    book = next((target for kind, target in start.values() if kind == "officeDocument"), "xl/workbook.xml")
    if book.endswith(".bin"):
        raise Damaged("it is a binary workbook (.xlsb)")
    relations = _relations(archive, book)
    listed: list[tuple[str, str, bool]] = []
    result = Workbook(archive, [])

    def start_tag(name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            listed.append((attributes.get("name", ""), attributes.get("id", ""), attributes.get("state", "visible") == "visible"))
        elif name == "workbookPr":
            result.epoch_1904 = attributes.get("date1904", "0") in ("1", "true", "on")

    read_part(archive, book, MAX_SMALL_PART_BYTES, start_tag)
    for name, relation, visible in listed:
        kind, target = relations.get(relation, ("", ""))
        if kind == "worksheet":
            result.sheets.append(SheetEntry(name, target, visible))
    if not result.sheets:
        raise Damaged("it lists no sheet")
    for kind, target in relations.values():
        if kind == "sharedStrings":
            result.strings_part = target
        elif kind == "styles":
            result.formats = _read_formats(archive, target)
    return result


def _relations(archive: ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """What a part refers to: id -> (kind, part). The archive's own relations are those of the part ``."""
    folder, name = posixpath.split(part)
    where = posixpath.join(folder, "_rels", f"{name}.rels")
    relations: dict[str, tuple[str, str]] = {}
    if find_part(archive, where) is None:
        return relations

    def start_tag(tag: str, attributes: dict[str, str]) -> None:
        if tag == "Relationship" and attributes.get("TargetMode") != "External":
            target = attributes.get("Target", "").replace("\\", "/")
            path = target.lstrip("/") if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
            relations[attributes.get("Id", "")] = attributes.get("Type", "").rpartition("/")[2], path

    read_part(archive, where, MAX_SMALL_PART_BYTES, start_tag)
    return relations


def find_part(archive: ZipFile, part: str) -> ZipInfo | None:
    """A part by its name; some writers differ in capitals or slashes."""
    try:
        return archive.getinfo(part)
    except KeyError:
        wanted = part.lower()
        return next((i for i in archive.infolist() if i.filename.replace("\\", "/").lstrip("/").lower() == wanted), None)


def read_part(
    archive: ZipFile,
    part: str,
    limit: int,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None] | None = None,
    text: Callable[[str], None] | None = None,
) -> None:
    """Stream a part's XML to handlers, which get names without a namespace. Raises Damaged, TooLarge or one of DAMAGE."""
    info = find_part(archive, part)
    if info is None:
        raise Damaged(f"its part `{part[:80]}` is missing")
    if info.file_size > limit:
        raise TooLarge(f"its part `{part[:80]}` unpacks to more than {limit >> 20} MiB")

    def refuse(*_: object) -> None:
        raise Damaged("it declares a document type, which no spreadsheet does")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse

    def start_tag(name: str, attributes: dict[str, str]) -> None:
        if ":" in "".join(attributes):
            attributes = {key.rpartition(":")[2]: value for key, value in attributes.items() if not key.startswith("xmlns")}
        start(name.rpartition(":")[2] if ":" in name else name, attributes)

    parser.StartElementHandler = start_tag
    if end is not None:
        parser.EndElementHandler = lambda name: end(name.rpartition(":")[2] if ":" in name else name)
    if text is not None:
        parser.CharacterDataHandler = text
    size = 0
    with archive.open(info) as stream:
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"its part `{part[:80]}` unpacks to more than {limit >> 20} MiB")
            parser.Parse(chunk, False)
    parser.Parse(b"", True)


def _read_formats(archive: ZipFile, part: str) -> list[str]:
    """The number format of each style; a style whose format the file does not define has the format ``."""
    own: dict[int, str] = {}
    styles: list[int] = []
    inside = [""]

    def start_tag(name: str, attributes: dict[str, str]) -> None:
        if name in ("cellXfs", "cellStyleXfs", "dxfs"):
            inside[0] = name
        elif name == "numFmt" and inside[0] != "dxfs":
            own[int(attributes["numFmtId"])] = attributes["formatCode"]
        elif name == "xf" and inside[0] == "cellXfs":
            styles.append(int(attributes.get("numFmtId", 0)))

    def end_tag(name: str) -> None:
        if name == inside[0]:
            inside[0] = ""

    read_part(archive, part, MAX_SMALL_PART_BYTES, start_tag, end_tag)
    return [own.get(number, BUILTIN.get(number, "")) for number in styles]


def _read_strings(archive: ZipFile, part: str) -> list[str]:
    strings: list[str] = []
    collector = TextCollector()

    def start_tag(name: str, attributes: dict[str, str]) -> None:
        if name == "si":
            collector.begin()
        collector.start(name)

    def end_tag(name: str) -> None:
        collector.end(name)
        if name == "si":
            if len(strings) >= MAX_STRINGS:
                raise TooLarge(f"it has more than {MAX_STRINGS} texts")
            strings.append(collector.text())

    read_part(archive, part, MAX_PART_BYTES, start_tag, end_tag, collector.add)
    return strings


_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")


class TextCollector:
    """The text of a cell or shared text: its runs joined, without the readings (`rPh`) that East Asian texts carry."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.inside = False
        self.reading = 0

    def begin(self) -> None:
        self.pieces = []
        self.inside = False
        self.reading = 0

    def start(self, name: str) -> None:
        if name == "rPh":
            self.reading += 1
        self.inside = name == "t" and not self.reading

    def end(self, name: str) -> None:
        if name == "rPh":
            self.reading -= 1
        self.inside = False

    def add(self, text: str) -> None:
        if self.inside:
            self.pieces.append(text)

    def text(self) -> str:
        text = unescape("".join(self.pieces))
        return text if len(text) <= MAX_TEXT else text[: MAX_TEXT + 1]  # the cell that shows it is refused


def unescape(text: str) -> str:
    """`_x000D_` is how files write a character that XML cannot hold."""
    if "_x" not in text:
        return text
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if not 0xD800 <= int(m[1], 16) < 0xE000 else m[0], text)


def why_unreadable(path: Path) -> str:
    """What a file that is not a ZIP archive is instead, as far as its first bytes tell."""
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        return "it is protected by a password, or an old .xls file"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<html", b"<!doctype", b"<table", b"<?xml")):
        return "it is a web page or XML under another name"
    if head.startswith(b"PK"):
        return "the end of the file is missing or damaged"
    return "it is not a spreadsheet" if head else "it is empty"
