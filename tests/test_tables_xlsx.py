"""Sheets as Excel saves them: each is read as its author sees it, or has a finding with the cell."""

from __future__ import annotations

import contextlib
import zipfile
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import policy_text
from roe.sheets import formats, sheet_rows
from roe.stages.build import build
from workbooks import findings, pack, parts, row, saved, texts

HEAD = ["country", "employees", "seg"]


# --- number formats: (format, number, text), the text as Excel's documentation of formats has it ----------------------

FORMATS = [
    ("General", 2134, "2134"),
    ("General", 0.1 + 0.2, "0.3"),
    ("General", 1e21, "1000000000000000000000"),
    ("General", 1.5e-7, "0.00000015"),
    ("00000", 2134, "02134"),
    ("00000", 12345678, "12345678"),
    ("00000", 0, "00000"),
    ("00000", -2134, "-02134"),
    ("00000", 2134.5, "2134.5"),
    ("00000;-00000", -2134, "-02134"),
    ("00000;[Red]00000", -2134, "02134"),
    ("00000;-00000;00000;@", 2134, "02134"),
    ('"D-"00000', 1067, "D-01067"),
    ("00000\\-0000", 21341234, "02134-1234"),
    ("[<=99999]00000;00000\\-0000", 2134, "02134"),
    ("[<=99999]00000;00000\\-0000", 21341234, "02134-1234"),
    ("[<=9999999]###\\-####;\\(###\\)\\ ###\\-####", 2125550123, "(212) 555-0123"),
    ("[<=9999999]###\\-####;\\(###\\)\\ ###\\-####", 5550123, "555-0123"),
    ("000\\-00\\-0000", 12345678, "012-34-5678"),
    ("00", 7, "07"),
    ("0", 7, "7"),
    ("#", 7, "7"),
    ("#,##0", 1250000, "1250000"),
    ("#,##0.00", 1250000.5, "1250000.5"),
    ("0.0", 12.345, "12.345"),
    ("0%", 0.15, "0.15"),
    ("0.00%", 0.155, "0.155"),
    ("0.00E+00", 12345, "12345"),
    ('"$"#,##0', 5000, "5000"),
    ("[$€-407]#,##0.00", 5000, "5000"),
    ('_("$"* #,##0.00_);_("$"* (#,##0.00);_("$"* "-"??_);_(@_)', -5, "-5"),
    ("0_);(0)", -5, "-5"),
    ("# ?/?", 0.5, "0.5"),
    ("@", 2134, "2134"),
    ('0" days"', 90, "90 days"),
    ("yyyy-mm-dd", 46054, "2026-02-01"),
    ("dd/mm/yyyy", 46054.0, "2026-02-01"),
    ("[$-409]d\\-mmm\\-yy;@", 46054, "2026-02-01"),
    ("mmm yyyy", 46054, "2026-02-01"),
    ("[$-F800]dddd\\,\\ mmmm\\ dd\\,\\ yyyy", 46054, "2026-02-01"),
    ("yyyy\\-mm\\-dd", 46054.75, "2026-02-01"),
    ("m/d/yyyy h:mm", 46054.75, "2026-02-01T18:00:00"),
    ("m/d/yyyy h:mm", 46054, "2026-02-01"),
    ("m/d/yyyy h:mm:ss", 46054.999999999, "2026-02-02"),
    ("h:mm AM/PM", 0.75, "18:00:00"),
    ("[h]:mm", 1.5, "PT36H0M0S"),
    ("yyyy-mm-dd", 1, "1900-01-01"),
    ("yyyy-mm-dd", 59, "1900-02-28"),
    ("yyyy-mm-dd", 61, "1900-03-01"),
    ("yyyy-mm-dd", 2958465, "9999-12-31"),
    ("[Red]0", 5, "5"),
    ('"General"0', 5, "General5"),
    ('[>=1000]"big";"small"', 5, "5"),
]


@pytest.mark.parametrize(("code", "number", "text"), FORMATS)
def test_a_number_is_read_by_its_format(code: str, number: float, text: str) -> None:
    assert formats.as_text(number, code, False) == text


@pytest.mark.parametrize("serial", [0, 60, -1, 2958466, 1e300])
def test_a_day_that_does_not_exist_is_not_a_date(serial: float) -> None:
    with pytest.raises(formats.UnreadableCell):
        formats.as_text(serial, "yyyy-mm-dd", False)


def test_dates_of_1904_begin_on_its_first_day(tmp_path: Path) -> None:
    assert formats.as_text(0, "yyyy-mm-dd", True) == "1904-01-01"
    assert formats.as_text(2957003, "yyyy-mm-dd", True) == "9999-12-31"
    styles = '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
    cells = row(1, "name", "until") + '<row r="2"><c r="A2"><v>1</v></c><c r="B2" s="1"><v>44592</v></c></row>'
    book = parts(cells, styles=styles, book='<workbookPr date1904="1"/>')
    assert texts(pack(tmp_path / "b.xlsx", book)) == [["name", "until"], ["1", "2026-02-01"]]


@given(st.floats(allow_nan=False, allow_infinity=False), st.text('0#?.,%/;[]"\\_*@$-+() ydmhsGeneralE<=>RK', max_size=12))
def test_any_number_in_any_format_is_text_or_unreadable(number: float, code: str) -> None:
    for epoch in (False, True):
        with contextlib.suppress(formats.UnreadableCell):
            assert isinstance(formats.as_text(number, code, epoch), str)


@given(st.datetimes(datetime(1900, 3, 1), datetime(9999, 12, 30)).map(lambda d: d.replace(microsecond=0)))
def test_a_moment_keeps_its_second(moment: datetime) -> None:
    from openpyxl.utils.datetime import to_excel

    text = formats.as_text(to_excel(moment), "yyyy-mm-dd hh:mm:ss", False)
    assert datetime.fromisoformat(text) == moment


# --- cells ------------------------------------------------------------------------------------------------------------


def test_values_as_openpyxl_writes_them(tmp_path: Path) -> None:
    values: list[Any] = ["a b", 5, 5.5, True, date(2026, 2, 1), datetime(2026, 2, 1, 9, 30), time(9, 30), " x ", "0012"]
    shown = ["a b", "5", "5.5", "true", "2026-02-01", "2026-02-01T09:30:00", "09:30:00", "x", "0012"]
    header = [f"c{i}" for i in range(len(values))]
    assert texts(saved(tmp_path / "b.xlsx", [header, values])) == [header, shown]


def test_shared_texts_with_runs_readings_and_escapes(tmp_path: Path) -> None:
    strings = (
        "<si><t>a</t></si><si><r><t>U</t></r><r><rPr><b/></rPr><t>S</t></r><rPh sb='0' eb='1'><t>yu</t></rPh></si><si><t>b_x000D_c</t></si>"
    )
    cells = '<row r="1"><c r="A1" t="s"><v>0</v></c></row><row r="2"><c r="A2" t="s"><v>1</v></c></row><row r="3"><c r="A3" t="s"><v>2</v></c></row>'
    assert texts(pack(tmp_path / "b.xlsx", parts(cells, strings=strings))) == [["a"], ["US"], ["b\rc"]]


def test_places_may_be_left_out_and_elements_may_have_prefixes(tmp_path: Path) -> None:
    sheet = (
        '<x:worksheet xmlns:x="http://purl.oclc.org/ooxml/spreadsheetml/main"><x:dimension ref="A1"/><x:sheetData><x:row>'
        '<x:c t="inlineStr"><x:is><x:t>a</x:t></x:is></x:c><x:c t="inlineStr"><x:is><x:t>b</x:t></x:is></x:c></x:row>'
        "<x:row><x:c><x:v>1</x:v></x:c><x:c><x:v>2</x:v></x:c></x:row></x:sheetData></x:worksheet>"
    )
    book = {**parts(""), "xl/worksheets/sheet1.xml": sheet}
    assert texts(pack(tmp_path / "b.xlsx", book)) == [["a", "b"], ["1", "2"]]


CELLS = [
    ('<c r="A2" t="e"><v>#N/A</v></c>', "#N/A"),
    ('<c r="A2" t="e"><f>1/0</f><v>#DIV/0!</v></c>', "#DIV/0!"),
    ('<c r="A2"><f>B9</f><v/></c>', "no stored value"),
    ('<c r="A2"><f>B9</f></c>', "no stored value"),
    ('<c r="A2" t="str"><f>B9</f></c>', "no stored value"),
    ('<c r="A2" t="s"><v>7</v></c>', "text number 7"),
    ('<c r="A2" t="s"><v>x</v></c>', "text number x"),
    ('<c r="A2"><v>nan</v></c>', "not a number"),
    ('<c r="A2"><v>1e999</v></c>', "not a number"),
    ('<c r="A2" s="9"><v>5</v></c>', "format is missing"),
    ('<c r="A2" t="d"><v>yesterday</v></c>', "not a date"),
    ('<c r="A2" t="q"><v>1</v></c>', "unknown type"),
    ('<c r="A2" t="b"><v>2</v></c>', "unknown type"),
    (f'<c r="A2" t="inlineStr"><is><t>{"x" * 40000}</t></is></c>', "longer than"),
]


@pytest.mark.parametrize(("cell", "reason"), CELLS)
def test_a_cell_without_a_value_to_rely_on_is_an_error_with_its_place(tmp_path: Path, cell: str, reason: str) -> None:
    book = parts(row(1, "country", "seg") + f'<row r="2">{cell}<c r="B2" t="inlineStr"><is><t>x</t></is></c></row>')
    read, found = sheet_rows(pack(tmp_path / "b.xlsx", book), "b.xlsx")
    assert [(d.code, d.span.cell, d.span.line) for d in found] == [("R430", "S!A2", 2)]
    assert reason in found[0].message and read is not None and len(read.rows) == 1


def test_a_formula_that_gives_an_empty_text_is_an_empty_cell(tmp_path: Path) -> None:
    book = parts(row(1, "a", "b") + '<row r="2"><c r="A2" t="str"><f>""</f><v></v></c><c r="B2" t="str"><f>"x"</f><v>x</v></c></row>')
    assert texts(pack(tmp_path / "b.xlsx", book)) == [["a", "b"], ["", "x"]]


def test_an_error_in_a_header_or_in_the_first_cell_of_a_row_is_not_a_comment(tmp_path: Path) -> None:
    book = parts('<row r="1"><c r="A1" t="e"><v>#REF!</v></c><c r="B1"><v>1</v></c></row>' + row(2, "x", "y"))
    assert findings(pack(tmp_path / "b.xlsx", book)) == [("R430", "S!A1")]


# --- merged cells -----------------------------------------------------------------------------------------------------


def merge(*areas: str) -> Any:
    return lambda sheet: [sheet.merge_cells(area) for area in areas]


def test_a_merged_cell_holds_for_all_its_rows(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        HEAD,
        ["DE", "< 100", "small"],
        [None, ">= 100", "large"],
        ["FR", "-", "fr"],
        ["US", "1", "other"],
        [None, "2", None],
    ]
    expected = [HEAD, ["DE", "< 100", "small"], ["DE", ">= 100", "large"], ["FR", "-", "fr"], ["US", "1", "other"], ["US", "2", "other"]]
    assert texts(saved(tmp_path / "b.xlsx", rows, merge("A2:A3", "A5:A6", "C5:C6"))) == expected


@pytest.mark.parametrize(("area", "cell"), [("A2:B2", "S!A2"), ("A2:B3", "S!A2"), ("A1:A2", "S!A1"), ("A1:B1", "S!A1"), ("B2:C2", "S!B2")])
def test_a_merge_that_leaves_a_meaning_open_is_an_error(tmp_path: Path, area: str, cell: str) -> None:
    path = saved(tmp_path / "b.xlsx", [HEAD, ["DE", "1", "x"], ["FR", "2", "y"]], merge(area))
    assert ("R430", cell) in findings(path) or ("R431", "S!C1") in findings(path)


def test_a_merge_over_other_texts_is_an_error(tmp_path: Path) -> None:
    book = parts(row(1, "a", "b") + row(2, "x", "1") + row(3, "y", "2"), after='<mergeCells><mergeCell ref="A2:A3"/></mergeCells>')
    assert findings(pack(tmp_path / "b.xlsx", book)) == [("R430", "S!A2")]


def test_merges_of_whole_columns_fill_no_more_rows_than_there_are(tmp_path: Path) -> None:
    areas = '<mergeCells><mergeCell ref="A2:A1048576"/></mergeCells>'
    book = parts(row(1, "a", "b") + row(2, "x", "1") + row(3, None, "2"), after=areas)
    assert texts(pack(tmp_path / "b.xlsx", book)) == [["a", "b"], ["x", "1"], ["x", "2"]]


# --- what stands around a table ---------------------------------------------------------------------------------------


def test_a_title_above_the_table_is_passed_over_with_a_hint(tmp_path: Path) -> None:
    rows: list[list[Any]] = [["Territories 2026"], ["as of January"], [], HEAD, ["DE", "1", "x"], ["FR", "2", "y"]]
    path = saved(tmp_path / "b.xlsx", rows, merge("A1:C1"))
    assert texts(path) == [HEAD, *rows[4:]]
    assert findings(path) == [("R433", "S!A1"), ("R433", "S!A2")]


def test_a_table_may_begin_anywhere(tmp_path: Path) -> None:
    rows: list[list[Any]] = [[None, None], [None, "a", "b"], [None, "x", "y"]]
    assert texts(saved(tmp_path / "b.xlsx", rows)) == [["a", "b"], ["x", "y"]]


def test_comments_may_stand_anywhere(tmp_path: Path) -> None:
    rows = [["# our segments"], ["a", "b"], ["x", "y"], ["# more", "words"], ["z", "w"], [], ["# source: finance"]]
    assert texts(saved(tmp_path / "b.xlsx", rows)) == [["a", "b"], ["x", "y"], ["z", "w"]]


AROUND = [
    ([HEAD, ["DE", "1", "x"], [], [None, None, "see finance"]], [("R431", "S!C4")]),  # it would have been a catch-all row
    ([HEAD, ["DE", "1", "x"], [], ["Source: finance"]], [("R431", "S!A4")]),
    ([HEAD, ["DE", "1", "x"], [], ["industry", "team"], ["Retail", "A"]], [("R431", "S!A4")]),
    ([HEAD, ["DE", "1", "x", None, "ask Kim"]], [("R431", "S!E2")]),
    ([HEAD, ["DE", "1", "x", "ask Kim"]], [("R431", "S!D2")]),
    ([[*HEAD, None, "industry", "team"], ["DE", "1", "x", None, "Retail", "A"]], [("R431", "S!E1"), ("R431", "S!E2")]),
    ([["domain"], ["acme.com", "call first"], ["delta.io"], ["x.org"]], [("R431", "S!B2")]),
    ([["Strategic accounts"], [], ["domain"], ["acme.com"]], [("R431", "S!A3")]),
    ([["country", None, "seg"], ["DE", "1", "x"]], [("R431", "S!C1"), ("R431", "S!B2")]),
]


@pytest.mark.parametrize(("rows", "expected"), AROUND)
def test_text_outside_the_table_is_an_error_with_its_cell(tmp_path: Path, rows: list[list[Any]], expected: list[tuple[str, str]]) -> None:
    assert findings(saved(tmp_path / "b.xlsx", rows)) == expected


def test_rows_below_an_empty_one_may_be_read_on(tmp_path: Path) -> None:
    path = saved(tmp_path / "b.xlsx", [HEAD, ["DE", "1", "x"], [], ["Grand Totals", None, None, "7"]])
    read, found = sheet_rows(path, "b.xlsx", read_on=True)
    assert read is not None and [[*map(str, r)] for r in read.rows] == [["DE", "1", "x"], ["Grand Totals", "", ""]] and not found


def test_hidden_rows_and_columns_hold_and_are_named(tmp_path: Path) -> None:
    def hide(sheet: Any) -> None:
        sheet.row_dimensions[3].hidden = True
        sheet.column_dimensions["B"].hidden = True

    path = saved(tmp_path / "b.xlsx", [HEAD, ["DE", "1", "x"], ["FR", "2", "y"]], hide)
    read, found = sheet_rows(path, "b.xlsx")
    assert read is not None and len(read.rows) == 2 and read.header == HEAD
    assert [(d.code, d.span.cell, d.severity) for d in found] == [("R432", "S!A3", "warning"), ("R432", "S!B2", "warning")]


def test_a_wrong_dimension_and_a_stray_cell_cost_nothing(tmp_path: Path) -> None:
    stray = '<row r="1048576"><c r="XFD1048576" t="inlineStr"><is><t>.</t></is></c></row>'
    for dimension in ("A1", "A1:XFD1048576", "Z9:B1", "nonsense"):
        before = f'<dimension ref="{dimension}"/>'
        book = parts(row(1, "a", "b") + row(2, "x", "y"), before=before)
        assert texts(pack(tmp_path / "b.xlsx", book)) == [["a", "b"], ["x", "y"]]
        book = parts(row(1, "a", "b") + row(2, "x", "y") + stray, before=before)
        assert findings(pack(tmp_path / "b.xlsx", book)) == [("R431", "S!XFD1048576")]
        styled = '<row r="1048576"><c r="XFD1048576" s="0"/></row>'
        book = parts(row(1, "a", "b") + row(2, "x", "y") + styled, before=before)
        assert texts(pack(tmp_path / "b.xlsx", book)) == [["a", "b"], ["x", "y"]]


def test_the_first_visible_sheet_is_read_unless_one_is_named(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    for i, name in enumerate(("Old", "New")):
        sheet = book.create_sheet(name)
        sheet.append(["a", "b"])
        sheet.append([i, i])
    book.remove(book.worksheets[0])
    book["Old"].sheet_state = "hidden"
    book.active = 1
    book.save(tmp_path / "b.xlsx")
    assert texts(tmp_path / "b.xlsx")[1] == ["1", "1"] and texts(tmp_path / "b.xlsx", "Old")[1] == ["0", "0"]
    found = sheet_rows(tmp_path / "b.xlsx", "b.xlsx", "Nev")[1]
    assert found[0].code == "R307" and "`New`" in found[0].help


# --- policies ---------------------------------------------------------------------------------------------------------

POLICY = """roe: 1
name: x
roles: [ae]
tables:
  seg: {table: "b.xlsx", hit: first, outputs: [seg]}
engagement:
  account:
    ae:
      - {name: got, when: account.seg != null, then: hold, because: "{account.seg}"}
"""


def test_a_policy_names_the_cell(tmp_path: Path) -> None:
    policy_text(tmp_path, POLICY)
    saved(tmp_path / "b.xlsx", [HEAD, ["DE", "1", "x"], ["FR", "=1+1", "y"]])
    policy, found = build(tmp_path)
    assert policy is None and next(str(d.span) for d in found if d.severity == "error") == "b.xlsx:S!B3"


@pytest.mark.parametrize("name", ["b.xls", "b.ods", "b.xlsb"])
def test_another_spreadsheet_is_told_what_to_save_as(tmp_path: Path, name: str) -> None:
    policy_text(tmp_path, POLICY.replace("b.xlsx", name))
    (tmp_path / name).write_bytes(b"\xd0\xcf\x11\xe0")
    assert [(d.code, "xlsx" in d.help) for d in build(tmp_path)[1] if d.code == "R307"] == [("R307", True)]


# --- files that are damaged or meant to harm ----------------------------------------------------------------------------


def error(path: Path) -> tuple[str, str]:
    read, found = sheet_rows(path, "b.xlsx")
    assert read is None and len(found) == 1
    return found[0].code, found[0].message


NOT_BOOKS = [
    (b"", "empty"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1", "password"),
    (b"<html><table>", "web page"),
    (b"a,b\n1,2\n", "not a spreadsheet"),
    (b"PK\x03\x04 and no more", "end of the file"),
]


@pytest.mark.parametrize(("content", "reason"), NOT_BOOKS)
def test_what_is_not_a_workbook_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "b.xlsx").write_bytes(content)
    code, message = error(tmp_path / "b.xlsx")
    assert code == "R307" and reason in message


def test_entities_are_refused_before_they_grow(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "lol"}">' for i in range(12))
    book = parts(row(1, "a", "&e11;"))
    book["xl/worksheets/sheet1.xml"] = f"<!DOCTYPE x [{entities}]>" + book["xl/worksheets/sheet1.xml"]
    code, message = error(pack(tmp_path / "b.xlsx", book))
    assert code == "R307" and "document type" in message


def test_a_part_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    book = parts(row(1, "a", "b") + " " * (300 << 20))
    assert error(pack(tmp_path / "b.xlsx", book))[0] == "R309"


def test_a_size_that_lies_does_not_help(tmp_path: Path) -> None:
    path = pack(tmp_path / "b.xlsx", parts(row(1, "a", "b") + row(2, "x", "y") + " " * (1 << 20)))
    raw = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("xl/worksheets/sheet1.xml").file_size.to_bytes(4, "little")
    path.write_bytes(raw.replace(size, (100).to_bytes(4, "little")))
    assert error(path)[0] == "R307"


def test_one_long_text_in_every_cell_is_refused(tmp_path: Path) -> None:
    cells = "".join(f'<row r="{i}"><c r="A{i}" t="s"><v>0</v></c></row>' for i in range(1, 12000))
    book = parts(cells, strings=f"<si><t>{'x' * 32000}</t></si>")
    assert error(pack(tmp_path / "b.xlsx", book))[0] == "R309"


DAMAGE = [
    ('<row r="0"><c><v>1</v></c></row>', ""),
    ('<row r="1048577"><c><v>1</v></c></row>', ""),
    ('<row r="x"><c><v>1</v></c></row>', ""),
    ('<row r="1"><c r="A2"><v>1</v></c></row>', ""),
    ('<row r="1"><c r="ZZZ1"><v>1</v></c></row>', ""),
    ('<row r="1"><c r="A1"><v>1</v></c><c r="A1"><v>2</v></c></row>', ""),
    (row(1, "a") + row(2, "x"), '<mergeCells><mergeCell ref="B9:A1"/></mergeCells>'),
    (row(1, "a") + row(2, "x"), "<mergeCells><mergeCell/></mergeCells>"),
    ("<row><c>", ""),
]


@pytest.mark.parametrize(("cells", "after"), DAMAGE)
def test_places_that_cannot_be_are_damage(tmp_path: Path, cells: str, after: str) -> None:
    assert error(pack(tmp_path / "b.xlsx", parts(cells, after=after)))[0] == "R307"


@pytest.mark.parametrize("gone", ["xl/workbook.xml", "xl/worksheets/sheet1.xml", "xl/_rels/workbook.xml.rels"])
def test_a_missing_part_is_damage(tmp_path: Path, gone: str) -> None:
    book = parts(row(1, "a", "b") + row(2, "x", "y"))
    del book[gone]
    assert error(pack(tmp_path / "b.xlsx", book))[0] == "R307"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_half_a_download_is_damage(tmp_path: Path, share: float) -> None:
    path = saved(tmp_path / "b.xlsx", [HEAD, ["DE", "1", "x"]])
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    assert error(path)[0] == "R307"
