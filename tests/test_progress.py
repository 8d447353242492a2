"""What is being done is shown on a terminal, on standard error, while a command is silent; nowhere else."""

from __future__ import annotations

import io
import time

import pytest

from roe import progress
from roe.cli import terminal


class Screen(io.StringIO):
    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


def watched(monkeypatch: pytest.MonkeyPatch, is_terminal: bool, wanted: bool = True) -> tuple[str, str]:
    """Standard output and error of work that is slow for a moment, then prints a line."""
    monkeypatch.setattr(terminal, "FIRST", 0.01)
    monkeypatch.setattr(terminal, "EVERY", 0.01)
    out, err = Screen(is_terminal), Screen(is_terminal)
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    with terminal.guarded(wanted):
        for number in progress.counted(range(10), 10, "deciding\u202e"):
            deadline = time.monotonic() + 60
            while is_terminal and wanted and number == 4 and "4" not in err.getvalue() and time.monotonic() < deadline:
                time.sleep(0.01)
        print("done")
    return out.getvalue(), err.getvalue()


def test_a_terminal_shows_the_phase_with_a_bar_and_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = watched(monkeypatch, is_terminal=True)
    assert out == "done\n"
    assert "deciding\\u202e  [########" in err and " 40%" in err and "/s" in err
    assert err.endswith("\r\x1b[K")  # and it is gone when something else is printed


def test_a_pipe_or_a_prompt_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert watched(monkeypatch, is_terminal=False) == ("done\n", "")
    assert watched(monkeypatch, is_terminal=True, wanted=False) == ("done\n", "")


@pytest.mark.parametrize("width", [12, 40, 80, 200])
def test_the_line_fits_the_terminal(width: int) -> None:
    progress.phase("reading a file with a very long name that nobody can see whole.csv", 10)
    progress.advance(3)
    line = progress.line(width, time.monotonic())
    assert "30%" in line and len(line) < max(width, 60)
