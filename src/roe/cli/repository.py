"""The git repository around a policy: places as the repository names them, and folders as they were at a revision."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from roe.diagnostics import Diagnostic, user_error
from roe.revisions import GitFailed, NotThere, at_revision, git, normal, top_of
from roe.source import Span


def in_repository(findings: Iterable[Diagnostic], root: Path) -> list[Diagnostic]:
    """Findings with the paths that CI services expect: from the top of the repository that holds the policy, links followed.

    Without a repository they are from the current folder. A finding about no file, such as an option, is at the policy itself.
    """
    top = top_of(root)

    def there(span: Span) -> Span | None:
        if span.file.startswith("<"):
            return None
        for path in (root / span.file, Path(span.file)):
            if path.is_file():
                real = path.resolve()
                inside = real.relative_to(top) if real.is_relative_to(top) else Path(os.path.relpath(path.absolute(), top))
                return replace(span, file=inside.as_posix())
        return None

    policy = there(Span("policy.yaml", 1, 1, 2))
    placed = []
    for d in findings:
        span = there(d.span)
        related = tuple((note, there(other) or other) for note, other in d.related)
        if span is None and policy is not None:
            d = replace(d, message=f"{d.span.file}: {d.message}")
        placed.append(replace(d, span=span or policy or d.span, related=related))
    return placed


# --- revisions --------------------------------------------------------------------------------------------------------


def revision(text: str, scratch: Path) -> Path:
    """A folder, or one of a git revision, laid out in a scratch folder; what is not there ends the command."""
    try:
        return folder_at(text, scratch)
    except NotThere as e:
        named, _, folder = text.partition(":")
        help = f"write REVISION:FOLDER, from the top of the repository, or `{named}:./{folder}` from the current folder"
        raise user_error("R801", f"git cannot find `{text}`: {e}", text, help) from e


def folder_at(text: str, scratch: Path) -> Path:
    """A folder, or one of a git revision, laid out in a scratch folder. Raises NotThere; a wrong revision ends the command.

    `main:rules` is from the top of the repository, `main:./rules` from the current folder, as in git. The files are those of the
    revision, whatever `export-ignore` says, and links on the way to the folder are followed as they were then.
    """
    if Path(text).is_dir() or ":" not in text:
        return Path(text)
    named, _, folder = text.partition(":")
    if not named or named.startswith("-"):
        raise user_error("R801", f"`{named}` is not a revision", text, "write HEAD~1:policies/rules")
    try:
        top, inside = _placed(folder)
        return at_revision(named, inside, top, scratch)
    except OSError as e:
        raise user_error("R801", f"git cannot be run: {e.strerror}", text, "name two folders") from e
    except GitFailed as e:
        raise user_error(
            "R801", f"git cannot find the revision `{named}`: {e}", text, "fetch it first, or name another: `git log` lists them"
        ) from e


def _placed(folder: str) -> tuple[Path, str]:
    """The top of the repository, and where in it a folder is: from the top, or from here if it begins with a dot."""
    if folder not in (".", "..") and not folder.startswith(("./", "../")):
        return Path(git("rev-parse", "--show-toplevel", cwd=None).strip()), normal(folder)
    path = Path(os.path.normpath(Path.cwd().resolve() / folder.removeprefix("./")))
    nearest = next(p for p in (path, *path.parents) if p.is_dir())
    top = top_of(nearest)
    return top, normal((path if path.is_relative_to(top) else path.resolve()).relative_to(top).as_posix())
