"""The service on a clock that stands in a file, so that several servers live the same day."""

from __future__ import annotations

import mmap
import struct
from datetime import UTC, datetime
from pathlib import Path

SECONDS = struct.Struct("q")


def set_clock(path: Path, at: datetime) -> None:
    """Have all servers see a moment, to the second. The bytes are written in place: servers have the file mapped."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(SECONDS.pack(int(at.timestamp())))


class FileTime:
    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._bytes = mmap.mmap(file.fileno(), SECONDS.size, access=mmap.ACCESS_READ)

    def now(self) -> datetime:
        return datetime.fromtimestamp(SECONDS.unpack(self._bytes[: SECONDS.size])[0], UTC)


def main(policy: str, state: str, port: str, clock: str) -> None:
    import uvicorn

    from roe.serve.app import build_app
    from roe.serve.server import Server
    from roe.serve.settings import Settings

    server = Server(Settings(Path(policy), state), FileTime(Path(clock)))
    uvicorn.run(build_app(server), port=int(port), log_level="warning", access_log=False)
