"""Spreadsheets (XLSX) as Excel saves them: `sheet_rows` reads a sheet's table, each cell with its place.

roe reads them itself because the libraries lose what decides (docs/adr/0011): one pads a stray cell in the far corner to seventeen
billion, shows either a formula or its value, and knows no merged cells while it streams; none tells an empty cell from a formula
that was never computed.
"""

from roe.sheets.table import SheetRows, sheet_rows

__all__ = ["SheetRows", "sheet_rows"]
