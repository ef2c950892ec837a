"""Texts with one entry a round, the last one for all rounds that follow.

An entry is for the round's plain training and, behind a plus, for the one with
OrthoReg: `40+20` epochs, milestones `35,70+24`.
"""

import re

EPOCHS = re.compile(r"(\d+)(?:\+(\d+))?")
_LIST = r"((?:\d+(?:,\d+)*)?)"
MILESTONES = re.compile(rf"{_LIST}(?:\+{_LIST})?")


def epochs(entries, number):
    """(plain, with OrthoReg) epochs of a round, from 1."""
    return tuple(int(text or 0) for text in _parts(EPOCHS, entries, number))


def milestones(entries, number):
    """(plain, with OrthoReg) milestones of a round, tuples of ints."""
    parts = _parts(MILESTONES, entries, number)
    return tuple(
        tuple(int(entry) for entry in text.split(",")) if text else ()
        for text in parts
    )


def _parts(pattern, entries, number):
    return pattern.fullmatch(entries[min(number, len(entries)) - 1]).groups()
