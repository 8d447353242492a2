"""The page of `roe handbook`."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from roe.handbook import Block
from roe.web.page import ReportPage, with_marks


def handbook_page(title: str, subtitle: str, blocks: Sequence[Block]) -> str:
    """The blocks below a list of their headings."""
    page = ReportPage(title, subtitle)
    heads = [b.text for b in blocks if b.kind == "h2"]
    links = "".join(f'<li><a href="#part-{i}">{escape(h)}</a></li>' for i, h in enumerate(heads, 1))
    page.parts.append(f'<nav aria-label="Contents"><ul>{links}</ul></nav>')
    count = 0
    for block in blocks:
        if block.kind == "h2":
            count += 1
            page.heading(block.text, 2, f"part-{count}")
        elif block.kind == "h3":
            page.heading(block.text, 3)
        elif block.kind == "p":
            page.parts.append(f"<p>{with_marks(block.text)}</p>")
        elif block.kind in ("ol", "ul"):
            page.parts.append(f"<{block.kind}>" + "".join(f"<li>{with_marks(x)}</li>" for x in block.items) + f"</{block.kind}>")
        else:
            header, *rows = block.rows
            page.table(header, rows, with_marks)
    return page.html()
