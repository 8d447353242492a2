"""Who looks, and what of a record they may see.

Of any record everybody sees owner, role, end, the sentence and why not somebody else. Its values, activities, history and the full tree are
for its own team: the rep who owns it or owned it until now, those who share that rep's team, and their manager. RevOps and auditors see all.
A decision that rests on another team's record, as a lead's on its account, is shown without the values that it read.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roe.diagnostics import Diagnostic, PolicyError, suggest
from roe.source import Span

if TYPE_CHECKING:
    from roe.evaluator.world import Row
    from roe.web.app.snapshot import Snapshot

ROLES = ("rep", "manager", "revops", "auditor")
SEES_ALL = ("revops", "auditor")
SESSION_HOURS = 10
MOST_SESSIONS = 10_000
MAX_BYTES = 1 << 20  # of a file with users
# the pages that not everybody may open, with those who may
PAGES = {
    "changes": ("rep", "manager", "revops", "auditor"),
    "review": ("revops", "auditor"),
    "books": ("manager", "revops", "auditor"),
    "data": ("revops", "auditor"),
    "audit": ("revops", "auditor"),
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks: a name, a role, and for reps and managers their id among the reps of the data."""

    name: str
    role: str
    rep: str | None = None

    def may_open(self, page: str) -> bool:
        return self.role in PAGES.get(page, ROLES)

    @property
    def sees_all(self) -> bool:
        return self.role in SEES_ALL

    def team(self, snapshot: Snapshot) -> frozenset[str]:
        """The ids of the reps of the viewer's own team."""
        return snapshot.team_of(self.rep) if self.rep is not None else frozenset()

    def may_see_values(self, snapshot: Snapshot, entity: str, record: str) -> bool:
        """Whether the record belongs to the viewer's team, in any role, now or until now."""
        if self.sees_all:
            return True
        return bool(snapshot.holders(entity, record) & self.team(snapshot))

    def may_see_whole(self, snapshot: Snapshot, row: Row) -> bool:
        """Whether that is so of the record and of every decided record that it refers to, whose values its rules may read."""
        if self.sees_all:
            return True
        fields = snapshot.policy.model.entities[row.entity].items()
        others = [row[name] for name, f in fields if f.type.name == "record" and f.type.entity in snapshot.entities]
        known = {(x.entity, str(x["id"])) for x in (row, *others) if x is not None and hasattr(x, "entity")}
        return all(self.may_see_values(snapshot, entity, record) for entity, record in known)

    def may_see_rep(self, snapshot: Snapshot, rep: str) -> bool:
        """Whether the viewer may open the day of a rep: their own, and a manager those of the team."""
        return self.sees_all or rep == self.rep or (self.role == "manager" and rep in self.team(snapshot))


LOCAL = Viewer("you", "revops")  # whoever runs `roe ui` without a list of users has all the files anyway


@dataclass(slots=True)
class Session:
    viewer: Viewer
    csrf: str
    ends: float


@dataclass(slots=True)
class Sessions:
    """Who is signed in, by the secret of a cookie; kept in memory, and only for some hours."""

    found: dict[str, Session] = field(default_factory=dict)
    clock: Any = time.monotonic

    def open(self, viewer: Viewer) -> str:
        now = self.clock()
        if len(self.found) >= MOST_SESSIONS:
            self.found = {key: s for key, s in self.found.items() if s.ends > now}
        if len(self.found) >= MOST_SESSIONS:
            del self.found[next(iter(self.found))]
        key = secrets.token_urlsafe(32)
        self.found[key] = Session(viewer, secrets.token_urlsafe(32), now + SESSION_HOURS * 3600)
        return key

    def get(self, key: str | None) -> Session | None:
        session = self.found.get(key or "")
        if session is not None and session.ends < self.clock():
            del self.found[key or ""]
            return None
        return session

    def close(self, key: str | None) -> None:
        self.found.pop(key or "", None)


class Users:
    """Who may sign in: viewers by the SHA-256 of their token, and by the name that a trusted proxy gives."""

    def __init__(self, by_digest: Mapping[str, Viewer], by_login: Mapping[str, Viewer] | None = None) -> None:
        self._by_digest, self._by_login = dict(by_digest), dict(by_login or {})

    def with_token(self, token: str) -> Viewer | None:
        given = digest(token)
        found = None
        for known, viewer in self._by_digest.items():  # all are compared, so that the time says nothing
            if hmac.compare_digest(known, given):
                found = viewer
        return found

    def named(self, login: str) -> Viewer | None:
        return self._by_login.get(login.strip().lower())

    def __bool__(self) -> bool:
        return bool(self._by_digest or self._by_login)


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def read_users(path: Path) -> Users:
    """Users from a TOML file. Raises PolicyError for one that cannot be read.

    Each `[[user]]` has `name`, `role`, for reps and managers `rep` (an id), and `token_sha256`, `login` (what the proxy sends) or both.
    """
    import tomllib

    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("it is too large")
        raw = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
        return users_of(raw.get("user", ()))
    except (OSError, ValueError, TypeError, RecursionError) as e:
        at = Span(str(path), 1, 1, 2)
        help = 'write [[user]], name = "Ana", role = "rep", rep = "ana", token_sha256 = "…"'
        raise PolicyError([Diagnostic("R804", f"the file with users cannot be read: {e}", at, help)]) from e


def users_of(rows: Iterable[Mapping[str, Any]]) -> Users:
    """Users from their rows. Raises ValueError for a row that names nobody."""
    by_digest: dict[str, Viewer] = {}
    by_login: dict[str, Viewer] = {}
    for row in rows:
        name, role, rep = row.get("name"), row.get("role"), row.get("rep")
        token, login = row.get("token_sha256"), row.get("login")
        if not isinstance(name, str) or not name:
            raise ValueError("a user has no name")
        if role not in ROLES:
            raise ValueError(f"the role of `{name}` is not one of {', '.join(ROLES)}: {suggest(str(role), ROLES, 'correct it')}")
        if role in ("rep", "manager") and not isinstance(rep, str):
            raise ValueError(f"`{name}` is a {role} and needs `rep`, an id of the data")
        if token is None and login is None:
            raise ValueError(f"`{name}` has neither `token_sha256` nor `login`")
        viewer = Viewer(name, role, rep)
        if token is not None:
            if not isinstance(token, str) or len(token) != 64:
                raise ValueError(f"`token_sha256` of `{name}` is not a SHA-256 in hex")
            by_digest[token.lower()] = viewer
        if login is not None:
            by_login[str(login).strip().lower()] = viewer
    return Users(by_digest, by_login)
