"""What the service says when it cannot do what was asked: problem details as RFC 9457 has them, with roe's codes.

A `Refused` may be raised anywhere below a request. It becomes one JSON document: what is wrong in one sentence, the next
step under `help`, and the page of its code under `type`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from roe.diagnostics import CODES, DOCS, Diagnostic
from roe.dynamic import Json

MEDIA_TYPE = "application/problem+json"


class Refused(Exception):
    """A request that cannot be answered as asked: an HTTP status, a code of roe's, a sentence, and a next step."""

    def __init__(
        self, status: int, code: str, detail: str, help: str = "", headers: Mapping[str, str] | None = None, **more: object
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.help = status, code, detail, help
        self.headers = dict(headers or {})
        self.more = more

    def document(self) -> Json:
        """The members of the problem document, in the order in which a person wants to read them."""
        title = CODES[self.code][0]
        said = {"type": f"{DOCS}/{self.code}.md", "title": title, "status": self.status, "detail": self.detail, "code": self.code}
        return {**said, **({"help": self.help} if self.help else {}), **self.more}


def of_diagnostics(found: Iterable[Diagnostic], status: int, code: str, detail: str) -> Refused:
    """A refusal that lists what is wrong with a policy or with data, each with its place."""
    errors = [{"code": d.code, "message": d.message, "place": str(d.span), "help": d.help} for d in found]
    return Refused(status, code, detail, errors[0]["help"] if errors else "", errors=errors)


def busy(detail: str, seconds: int, status: int = 503) -> Refused:
    """Nothing was done: the same request is worth repeating after some seconds."""
    return Refused(
        status, "R907", detail, f"repeat the request in {seconds} seconds, with the same Idempotency-Key", {"Retry-After": str(seconds)}
    )


def unreadable(detail: str, help: str, status: int = 400) -> Refused:
    return Refused(status, "R903", detail, help)


def unknown(detail: str, help: str = "check the id") -> Refused:
    return Refused(404, "R904", detail, help)
