"""What a run was made of: the policy with its revision, and the files of data, each with its digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from roe.dynamic import Json
from roe.policy.model import Policy
from roe.run.folder import digest
from roe.run.source import Source

SECONDS = 60  # for one git command: one that gives up leaves the revision out


def policy_files(policy: Policy) -> dict[str, bytes]:
    """Every file of a policy, by its name in the policy's folder."""
    return {name: (policy.root / name).read_bytes() for name in policy.files}


def digest_of(files: Mapping[str, bytes]) -> str:
    """What names a policy: the digest of its files' names and bytes."""
    total = hashlib.sha256()
    for name, content in sorted(files.items()):
        total.update(f"{name}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def revision(root: Path) -> str:
    """The commit that a policy's folder is at, with `+` if its files differ from it; empty outside of a repository."""
    above = root.resolve()
    if not os.environ.get("GIT_DIR") and not any((folder / ".git").exists() for folder in (above, *above.parents)):
        return ""  # git would say so too, in as much time as some thousand decisions take
    commit = _git(root, "rev-parse", "HEAD")
    return commit and commit + ("+" if _git(root, "status", "--porcelain", "--", ".") else "")


def _git(root: Path, *arguments: str) -> str:
    import subprocess

    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def inputs_of(source: Source) -> dict[str, Json]:
    """file -> its digest, and when it was written, as far as the file system knows."""
    inputs = {}
    for path in dict.fromkeys(source.files().values()):
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
        inputs[path.name] = {"digest": digest(path), "read_at": written}
    return inputs


def run_id(as_of: str, *parts: str) -> str:
    """The name of a run: its day, and a digest of everything that it was made of."""
    total = hashlib.sha256("\0".join((as_of, *parts)).encode()).hexdigest()
    return f"{as_of[:10]}-{total[:10]}"
