"""`python -m roe` is the command `roe`."""

from roe.cli import entry

if __name__ == "__main__":
    entry()
