"""Sets of small numbers as the bits of an integer."""

from __future__ import annotations

from collections.abc import Iterator

LONG = 512  # bits of a set from which its digits are searched as text: each step of arithmetic would copy all of it
FEW = 16  # places up to which arithmetic is faster all the same


def of_bits(places: list[int]) -> int:
    """The set of some places."""
    if not places or places[-1] <= LONG:
        return sum(1 << at for at in places)
    digits = bytearray(places[-1] // 8 + 1)
    for at in places:
        digits[at >> 3] |= 1 << (at & 7)
    return int.from_bytes(digits, "little")


def bits(mask: int) -> Iterator[int]:
    """The places of the bits that are set, the lowest first."""
    if mask.bit_length() > LONG and mask.bit_count() > FEW:
        digits = bin(mask)[:1:-1]
        at = digits.find("1")
        while at >= 0:
            yield at
            at = digits.find("1", at + 1)
        return
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def runs(mask: int) -> Iterator[tuple[int, int]]:
    """The first and the last place of each run of bits that are set, the lowest run first."""
    return zip(bits(mask & ~(mask << 1)), bits(mask & ~(mask >> 1)), strict=True)
