"""Bearer tokens: who may call the service, and for what. Only their digests are kept.

A token is 32 random bytes, so one round of SHA-256 protects it; slow password hashes are for secrets that people choose. The
file of tokens has one table per name:

    [website]
    scopes = ["route"]
    digest = "sha256:…"

The environment variable ROE_TOKENS holds the same, as `name=route+read=sha256:…`, several with commas.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from roe.diagnostics import PolicyError, suggest, user_error
from roe.files import read_toml
from roe.web.app.access import Viewer

SCOPES = {
    "route": "route records and report what became of them",
    "read": "read decisions, explanations, histories and the feed",
    "write": "keep the mirror of records",
    "admin": "policies, pauses, dead letters; includes the other scopes",
}
PREFIX = "roe_"
ENVIRONMENT = "ROE_TOKENS"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Token:
    """Whom a token belongs to, and what it allows."""

    name: str
    scopes: frozenset[str]
    viewer: Viewer | None = None  # the person, where it is the token of a user

    def allows(self, scope: str) -> bool:
        return scope in self.scopes or "admin" in self.scopes


ANYBODY = Token("local", frozenset(SCOPES))  # where the service listens to this machine alone and has no tokens


def digest(token: str) -> str:
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


def made(name: str, scopes: Iterable[str]) -> tuple[str, str]:
    """(a new token, the lines that keep it in the file of tokens)."""
    token = PREFIX + secrets.token_urlsafe(32)
    listed = ", ".join(f'"{scope}"' for scope in scopes)
    return token, f'[{name}]\nscopes = [{listed}]\ndigest = "{digest(token)}"\n'


class Tokens:
    """All tokens of a service, looked up by digest: comparing digests tells nothing about the token."""

    def __init__(self, by_digest: Mapping[str, Token]) -> None:
        self._by_digest = dict(by_digest)

    def __bool__(self) -> bool:
        return bool(self._by_digest)

    def names(self) -> list[str]:
        return sorted(token.name for token in self._by_digest.values())

    def find(self, token: str) -> Token | None:
        return self._by_digest.get(digest(token))


def read_tokens(path: Path | None, environment: Mapping[str, str] = os.environ) -> Tokens:
    """The tokens of a file and of the environment. Raises PolicyError if either cannot be read."""
    found: dict[str, Token] = {}
    if path is not None and path.exists():
        for name, table in _tables(path).items():
            _add(found, str(path), name, table)
    for entry in filter(None, environment.get(ENVIRONMENT, "").split(",")):
        name, _, rest = entry.strip().partition("=")
        scopes, _, kept = rest.partition("=")
        _add(found, ENVIRONMENT, name, {"scopes": scopes.split("+"), "digest": kept})
    return Tokens(found)


def _tables(path: Path) -> dict[str, object]:
    try:
        return read_toml(path)
    except (OSError, ValueError) as e:
        raise _wrong(str(path), f"the file of tokens cannot be read: {e}", "write one with `roe token NAME`") from None


def _add(found: dict[str, Token], place: str, name: str, table: object) -> None:
    if not _NAME.fullmatch(name):
        raise _wrong(place, f"`{name}` cannot be the name of a token", "use letters, digits, `-` and `_`")
    scopes = table.get("scopes") if isinstance(table, dict) else None
    kept = table.get("digest") if isinstance(table, dict) else None
    if not isinstance(scopes, list) or not scopes:
        raise _wrong(place, f"the token `{name}` has no scopes", f"list some of {', '.join(SCOPES)}")
    for scope in scopes:
        if scope not in SCOPES:
            raise _wrong(place, f"`{scope}` is not a scope", suggest(str(scope), SCOPES, f"the scopes are {', '.join(SCOPES)}"))
    if not isinstance(kept, str) or not _DIGEST.fullmatch(kept):
        raise _wrong(place, f"the token `{name}` has no digest", "make it with `roe token NAME`; the token itself is not kept")
    found[kept] = Token(name, frozenset(scopes))


def _wrong(place: str, message: str, help: str) -> PolicyError:
    return user_error("R908", message, place, help)
