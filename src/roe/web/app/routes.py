"""Every page: its address, its view, and the name by which `access.PAGES` says who may open it."""

from __future__ import annotations

from dataclasses import dataclass

from roe.web.app.pages import find, record, what_if
from roe.web.app.site import View


@dataclass(frozen=True, slots=True)
class Page:
    path: str
    view: View
    page: str = ""
    posts: bool = False


PAGES: tuple[Page, ...] = (
    Page("/", find.home),
    Page("/record/{entity}/{id:path}", record.show),
    Page("/why-not/{entity}/{id:path}", record.why_not_part),
    Page("/next/{entity}/{id:path}", record.next_part),
    Page("/timeline/{entity}/{id:path}", record.timeline_part),
    Page("/what-if", what_if.form),
    Page("/what-if/answer", what_if.answered, posts=True),
)
