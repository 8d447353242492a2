"""The page of `roe handbook`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from roe.handbook import Block
from roe.web.page import Page

_MARKS = (
    (re.compile(r"\*\*(.+?)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"\*(.+?)\*"), r"<em>\1</em>"),
    (re.compile(r"`(.+?)`"), r"<code>\1</code>"),
)


def handbook_page(title: str, subtitle: str, blocks: Sequence[Block]) -> str:
    page = Page(title, subtitle)
    heads = [b.text for b in blocks if b.kind == "h2"]
    page.parts.append("<ul>" + "".join(f'<li><a href="#part-{i}">{escape(h)}</a></li>' for i, h in enumerate(heads, 1)) + "</ul>")
    count = 0
    for block in blocks:
        if block.kind == "h2":
            count += 1
            page.parts.append(f'<h2 id="part-{count}">{escape(block.text)}</h2>')
        elif block.kind == "h3":
            page.parts.append(f"<h3>{escape(block.text)}</h3>")
        elif block.kind == "p":
            page.parts.append(f"<p>{_marked(block.text)}</p>")
        elif block.kind in ("ol", "ul"):
            page.parts.append(f"<{block.kind}>" + "".join(f"<li>{_marked(x)}</li>" for x in block.items) + f"</{block.kind}>")
        else:
            header, *rows = block.items
            page.table(header, rows, "text")
    return page.html()


def _marked(text: str) -> str:
    """The few marks that rules have; everything else is escaped before they are looked for."""
    out = escape(text)
    for pattern, made in _MARKS:
        out = pattern.sub(made, out)
    return out
