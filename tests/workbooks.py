"""Workbooks for tests: written by openpyxl, or part by part where a test needs what no library writes."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from roe.diagnostics import Diagnostic
from roe.sheets import sheet_rows

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def parts(cells: str, *, after: str = "", before: str = "", strings: str = "", styles: str = "", book: str = "") -> dict[str, str]:
    """The parts of a workbook with one sheet `S`: `cells` is what stands inside `<sheetData>`."""
    relation = '<Relationship Id="{}" Type="' + RELATIONS + '/{}" Target="{}"/>'
    found = {
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}">{relation.format("r1", "officeDocument", "xl/workbook.xml")}</Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}">{book}<sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{MAIN}">{before}<sheetData>{cells}</sheetData>{after}</worksheet>',
    }
    related = relation.format("r1", "worksheet", "worksheets/sheet1.xml")
    if strings:
        found["xl/sharedStrings.xml"] = f'<sst xmlns="{MAIN}">{strings}</sst>'
        related += relation.format("r2", "sharedStrings", "sharedStrings.xml")
    if styles:
        found["xl/styles.xml"] = f'<styleSheet xmlns="{MAIN}">{styles}</styleSheet>'
        related += relation.format("r3", "styles", "styles.xml")
    found["xl/_rels/workbook.xml.rels"] = f'<Relationships xmlns="{PACKAGE}">{related}</Relationships>'
    return found


def pack(path: Path, files: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def row(number: int, *texts: str | None, more: str = "") -> str:
    """A row of text cells from column A on; None leaves a cell out."""
    cells = (f'<c r="{chr(65 + i)}{number}" t="inlineStr"><is><t>{text}</t></is></c>' for i, text in enumerate(texts) if text is not None)
    return f'<row r="{number}"{more}>{"".join(cells)}</row>'


def saved(path: Path, rows: Sequence[Sequence[Any]], change: Callable[[Any], None] | None = None) -> Path:
    """A workbook by openpyxl with one sheet `S`; `change` may do the rest to it."""
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "S"
    for values in rows:
        sheet.append(list(values))
    if change is not None:
        change(sheet)
    book.save(path)
    return path


def texts(path: Path, sheet: str = "") -> list[list[str]]:
    """Header and rows of a sheet that must have no finding."""
    read, found = sheet_rows(path, path.name, sheet)
    assert read is not None and not [d for d in found if d.severity != "hint"], found
    return [[str(cell) for cell in cells] for cells in (read.header, *read.rows)]


def findings(path: Path, sheet: str = "") -> list[tuple[str, str]]:
    """(code, cell) of each finding."""
    found: list[Diagnostic] = sheet_rows(path, path.name, sheet)[1]
    return [(d.code, d.span.cell) for d in found]
