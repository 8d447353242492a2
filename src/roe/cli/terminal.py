"""The one way to standard output and error: all that a command prints goes through here.

What is printed may hold texts from outside (`roe.untrusted`): hidden characters become visible, and no line can be a command to a CI
service. Only roe's own colours pass, known by a mark that is drawn anew for each command. On a terminal the current phase is shown
while a command is silent.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from roe import progress, untrusted

SILENT = ("repl", "lsp")  # commands that wait for somebody
FIRST, EVERY = 1.0, 0.2  # seconds before the phase is shown, and between two looks at it


class SafeStream:
    """A text stream that shows texts from outside as what they are."""

    def __init__(self, stream: TextIO, status: Status) -> None:
        self.stream, self.status = stream, status
        self.at_line_start = True
        self._own = re.compile(f"\x1b{untrusted.mark()}\\[(\\d+)m")

    def write(self, text: str) -> int:
        pieces, end = [], 0
        for m in self._own.finditer(text):
            pieces += [self._safe(text[end : m.start()]), f"\x1b[{m[1]}m"]
            end = m.end()
        self.raw("".join([*pieces, self._safe(text[end:])]))
        return len(text)

    def _safe(self, text: str) -> str:
        safe = untrusted.log(text, self.at_line_start)
        if text:
            self.at_line_start = text.endswith("\n")
        return safe

    def document(self, text: str) -> None:
        """A file's text, such as CSV or SQL: kept byte for byte in a pipe, made safe where it is shown."""
        if self.stream.isatty() or "GITHUB_ACTIONS" in os.environ:
            self.write(text)
        else:
            self.raw(text)

    def raw(self, text: str) -> None:
        """What is safe already, such as workflow commands whose data is escaped."""
        with self.status.lock:
            self.status.clear()
            self.stream.write(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)


class Status:
    """The line that shows the current phase on standard error, where that is a terminal, until something else is printed."""

    def __init__(self, stream: TextIO, wanted: bool) -> None:
        self.stream = stream
        self.lock = threading.RLock()
        self.shown = False
        self.ended = threading.Event()
        self.thread: threading.Thread | None = None
        if wanted and stream.isatty():
            self.thread = threading.Thread(target=self._watch, daemon=True)
            self.thread.start()

    def _watch(self) -> None:
        pause = FIRST
        while not self.ended.wait(pause):
            pause = EVERY
            with self.lock:
                if not self.ended.is_set():
                    text = untrusted.visible(progress.line(_width(self.stream), time.monotonic()))
                    self.stream.write(f"\r{text}\x1b[K")
                    self.stream.flush()
                    self.shown = True

    def clear(self) -> None:
        if self.shown:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
            self.shown = False

    def close(self) -> None:
        self.ended.set()
        with self.lock:
            self.clear()
        if self.thread is not None:
            self.thread.join()


def _width(stream: TextIO) -> int:
    """Columns of the terminal behind a stream."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


@contextmanager
def guarded(wanted: bool) -> Iterator[None]:
    """Standard output and error through guards; with `wanted`, and on a terminal, the current phase is shown."""
    if isinstance(sys.stdout, SafeStream):
        yield
        return
    output, err = sys.stdout, sys.stderr
    with untrusted.marked():
        progress.phase("")
        status = Status(err, wanted)
        sys.stdout, sys.stderr = SafeStream(output, status), SafeStream(err, status)
        try:
            yield
        finally:
            status.close()
            sys.stdout, sys.stderr = output, err


def document(text: str) -> None:
    """A whole file to standard output."""
    stream: TextIO = sys.stdout
    (stream.document if isinstance(stream, SafeStream) else stream.write)(text)
    stream.flush()


def commands(text: str) -> None:
    """Workflow commands, whose data is escaped already, as a line or lines of standard output."""
    stream: TextIO = sys.stdout
    (stream.raw if isinstance(stream, SafeStream) else stream.write)(text + "\n" if text else "")
    stream.flush()
