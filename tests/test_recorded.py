"""Every folder under tests/bad, tests/faults and tests/sound is one thought: a policy, and word by word what the commands say of it.

`bad` does not load, `faults` load and have something wrong with them, `sound` have nothing wrong and do what their tests say.
`python tests/record.py` writes anew what is said, and shows the difference.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from record import FOLDERS, said


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_the_commands_say_what_the_folder_expects(folder: Path) -> None:
    expected = (folder / "expected.txt").read_text("utf-8")
    assert said(folder) == expected
    checked, _, tested = expected.partition("$ roe test .\n")
    if folder.parent.name == "bad":
        assert "(exit code 1)" in checked
    elif folder.parent.name == "faults":
        assert ": fine, " in checked and ": warning: " in checked
    else:
        assert len(checked.splitlines()) == 2 and ": fine (" in checked and " passed, 0 failed" in tested
