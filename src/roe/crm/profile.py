"""What roe knows of a CRM: its objects, its columns in every spelling, its ids, what it calls open, and what loads back."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import field

from roe.node import node

Headers = Mapping[str, Mapping[str, tuple[str, ...]]]  # entity -> field -> headers, the API's own name first


@node
class Profile:
    """One CRM. Every value that a profile leaves out means: as the generic profile has it."""

    name: str
    title: str = ""  # what people call the CRM, where that is not the name with a capital letter
    headers: str = ""  # which spellings of its headers are known, and what else roe does for it: the documentation's words
    also: str = ""
    columns: Headers = field(default_factory=dict)
    signs: str = ""  # a regular expression for headers that only this CRM has
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # entity -> names of its export files, for `roe init`
    objects: Mapping[str, str] = field(default_factory=dict)  # entity -> the CRM's object, for files that are loaded back
    owner: str = "id"  # the field of a rep that the CRM's import reads
    open: Mapping[str, str] = field(default_factory=dict)  # entity -> the condition under which a record is still worked
    true_words: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)  # texts that mean yes, in a column of other texts
    prefixes: Mapping[str, str] = field(default_factory=dict)  # the first characters of an id -> the entity that it belongs to
    queue_prefixes: tuple[str, ...] = ()  # owners that are queues, by the first characters of their id
    several: str = ""  # what separates the ids of several records in one cell; the first of them counts
    left: str = ""  # a regular expression for what the CRM adds to the name of a user who has left

    @property
    def shown(self) -> str:
        """What people call the CRM."""
        return self.title or self.name.title()


def label(text: str) -> str:
    """A header for comparing: case, accents, width, spaces and punctuation do not count, in any script."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", " ", plain.casefold()).strip()
