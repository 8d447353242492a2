"""Folders as they were at a git revision, laid out as files. The files are those of the revision, whatever `export-ignore` says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path, PurePosixPath

MAX_LINKS = 40
SECONDS = 60  # for one git command


class NotThere(Exception):
    """The revision has no such folder; the text says what is missing."""


class GitFailed(Exception):
    """Git refused; the text is its message."""


def top_of(folder: Path) -> Path:
    """The top of the work tree that holds a folder, or the current folder; links followed."""
    here = folder.resolve()
    return next((place for place in (here, *here.parents) if (place / ".git").exists()), Path.cwd().resolve())


def at_revision(revision: str, folder: str, top: Path, scratch: Path) -> Path:
    """A folder of the repository at `top` as it was at a revision, with links on the way to it followed as they were then.

    Raises OSError if git cannot be run, GitFailed with its message, NotThere if the revision has no such folder.
    """
    tree = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{tree}}", cwd=top).strip()
    return _laid_out(tree, _followed(tree, folder, top), top, scratch)


def _laid_out(tree: str, real: str, top: Path, scratch: Path) -> Path:
    """A folder of a tree as files. The index is one of its own, so that the repository's stays as it is."""
    scratch.mkdir(parents=True, exist_ok=True)
    target = scratch.resolve() / "tree"
    environment = {**os.environ, "GIT_INDEX_FILE": str(scratch.resolve() / "index")}
    git("read-tree", tree, cwd=top, environment=environment)
    names = git("ls-files", "-z", "--", f":(top,literal){real}" if real else ":/", cwd=top, environment=environment)
    git("checkout-index", "-z", "--stdin", f"--prefix={target}/", cwd=top, environment=environment, given=names)
    if not (target / real).is_dir():
        raise NotThere(f"`{real}` is not a folder there")
    return target / real


def normal(folder: str) -> str:
    """A path without `.`, `..` and slashes at its ends. Raises NotThere above the top."""
    parts: list[str] = []
    for name in PurePosixPath(folder.replace("\\", "/").strip("/")).parts:
        if name == ".." and not parts:
            raise NotThere("that is outside the repository")
        if name == "..":
            parts.pop()
        elif name != ".":
            parts.append(name)
    return "/".join(parts)


def _followed(tree: str, folder: str, top: Path) -> str:
    """A path in a tree with its links followed. Raises NotThere where it leads nowhere, or in a circle."""
    done, rest = "", folder.split("/") if folder else []
    links = 0
    while rest:
        name, *rest = rest
        path = f"{done}/{name}" if done else name
        entry = git("ls-tree", "-z", tree, "--", f":(top,literal){path}", cwd=top).split("\0")[0]
        if not entry:
            raise NotThere(f"there is no `{path}` at that revision")
        if not entry.startswith("120000"):
            done = path
            continue
        links += 1
        if links > MAX_LINKS:
            raise NotThere(f"the link `{path}` leads in a circle")
        target = git("cat-file", "blob", entry.split()[2], cwd=top)
        if target.startswith("/"):
            raise NotThere(f"the link `{path}` leads outside the repository")
        rest = [*normal(f"{done}/{target}" if done else target).split("/"), *rest]
        done = ""
    return done


def git(*arguments: str, cwd: Path | None, environment: dict[str, str] | None = None, given: str = "") -> str:
    """What git prints. Raises OSError if it cannot be run, GitFailed with its message."""
    text = given.encode("utf-8", "surrogateescape")
    try:
        done = subprocess.run(["git", *arguments], cwd=cwd, env=environment, input=text, capture_output=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise GitFailed(f"git did not answer in {SECONDS} seconds") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise GitFailed(said[0] if said else "there is no such revision")
    return done.stdout.decode("utf-8", "surrogateescape")
