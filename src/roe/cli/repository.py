"""The git repository around a policy: places as the repository names them, and folders as they were at a revision."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from roe.cli.common import fail
from roe.diagnostics import Diagnostic
from roe.source import Span

MAX_LINKS = 40


def in_repository(found: Iterable[Diagnostic], root: Path) -> list[Diagnostic]:
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
    for d in found:
        span = there(d.span)
        related = tuple((note, there(other) or other) for note, other in d.related)
        if span is None and policy is not None:
            d = replace(d, message=f"{d.span.file}: {d.message}")
        placed.append(replace(d, span=span or policy or d.span, related=related))
    return placed


def top_of(folder: Path) -> Path:
    """The top of the work tree that holds a folder, or the current folder; links followed."""
    here = folder.resolve()
    return next((place for place in (here, *here.parents) if (place / ".git").exists()), Path.cwd().resolve())


# --- revisions --------------------------------------------------------------------------------------------------------


class NotThere(Exception):
    """The revision has no such folder; the text says what is missing."""


class _Failed(Exception):
    """Git refused; the text is its message."""


def revision(text: str, scratch: Path) -> Path:
    """A folder, or one of a git revision, laid out in a scratch folder; what is not there ends the command."""
    try:
        return folder_at(text, scratch)
    except NotThere as e:
        named, _, folder = text.partition(":")
        help = f"write REVISION:FOLDER, from the top of the repository, or `{named}:./{folder}` from the current folder"
        fail([Diagnostic("R801", f"git cannot find `{text}`: {e}", Span(text, 1, 1, 2), help)])


def folder_at(text: str, scratch: Path) -> Path:
    """A folder, or one of a git revision, laid out in a scratch folder. Raises NotThere; a wrong revision ends the command.

    `main:rules` is from the top of the repository, `main:./rules` from the current folder, as in git. The files are those of the
    revision, whatever `export-ignore` says, and links on the way to the folder are followed as they were then.
    """
    if Path(text).is_dir() or ":" not in text:
        return Path(text)
    named, _, folder = text.partition(":")
    at = Span(text, 1, 1, 2)
    if not named or named.startswith("-"):
        fail([Diagnostic("R801", f"`{named}` is not a revision", at, "write HEAD~1:policies/rules")])
    try:
        top, inside = _placed(folder)
        tree = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{named}^{{tree}}", cwd=top).strip()
        return _laid_out(tree, _followed(tree, inside, top), top, scratch)
    except OSError as e:
        fail([Diagnostic("R801", f"git cannot be run: {e.strerror}", at, "name two folders")])
    except _Failed as e:
        fail(
            [
                Diagnostic(
                    "R801", f"git cannot find the revision `{named}`: {e}", at, "fetch it first, or name another: `git log` lists them"
                )
            ]
        )


def _placed(folder: str) -> tuple[Path, str]:
    """The top of the repository, and where in it a folder is: from the top, or from here if it begins with a dot."""
    if folder not in (".", "..") and not folder.startswith(("./", "../")):
        return Path(_git("rev-parse", "--show-toplevel", cwd=None).strip()), _normal(folder)
    path = Path(os.path.normpath(Path.cwd().resolve() / folder.removeprefix("./")))
    nearest = next(p for p in (path, *path.parents) if p.is_dir())
    top = top_of(nearest)
    return top, _normal((path if path.is_relative_to(top) else path.resolve()).relative_to(top).as_posix())


def _laid_out(tree: str, real: str, top: Path, scratch: Path) -> Path:
    """A folder of a tree as files. The index is one of its own, so that the repository's stays as it is."""
    scratch.mkdir(parents=True, exist_ok=True)
    target = scratch.resolve() / "tree"
    environment = {**os.environ, "GIT_INDEX_FILE": str(scratch.resolve() / "index")}
    _git("read-tree", tree, cwd=top, environment=environment)
    names = _git("ls-files", "-z", "--", f":(top,literal){real}" if real else ":/", cwd=top, environment=environment)
    _git("checkout-index", "-z", "--stdin", f"--prefix={target}/", cwd=top, environment=environment, given=names)
    if not (target / real).is_dir():
        raise NotThere(f"`{real}` is not a folder there")
    return target / real


def _normal(folder: str) -> str:
    """A path without `.`, `..` and slashes at its ends. Raises NotThere above the top."""
    parts: list[str] = []
    for part in PurePosixPath(folder.replace("\\", "/").strip("/")).parts:
        if part == ".." and not parts:
            raise NotThere("that is outside the repository")
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _followed(tree: str, folder: str, top: Path) -> str:
    """A path in a tree with its links followed. Raises NotThere where it leads nowhere, or in a circle."""
    done, rest = "", folder.split("/") if folder else []
    links = 0
    while rest:
        part, *rest = rest
        path = f"{done}/{part}" if done else part
        entry = _git("ls-tree", "-z", tree, "--", f":(top,literal){path}", cwd=top).split("\0")[0]
        if not entry:
            raise NotThere(f"there is no `{path}` at that revision")
        if not entry.startswith("120000"):
            done = path
            continue
        links += 1
        if links > MAX_LINKS:
            raise NotThere(f"the link `{path}` leads in a circle")
        target = _git("cat-file", "blob", entry.split()[2], cwd=top)
        if target.startswith("/"):
            raise NotThere(f"the link `{path}` leads outside the repository")
        rest = [*_normal(f"{done}/{target}" if done else target).split("/"), *rest]
        done = ""
    return done


def _git(*arguments: str, cwd: Path | None, environment: dict[str, str] | None = None, given: str = "") -> str:
    """What git prints. Raises OSError if it cannot be run, _Failed with its message."""
    done = subprocess.run(
        ["git", *arguments], cwd=cwd, env=environment, input=given.encode("utf-8", "surrogateescape"), capture_output=True, check=False
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise _Failed(said[0] if said else "there is no such revision")
    return done.stdout.decode("utf-8", "surrogateescape")
