"""Shapes: which of the nine or twenty-five pixels hold signal, and what they are called.

Neighbour bits are those of ACIS FLTGRADE, row by row from low y: 1 2 4 / 8 . 16 / 32 64 128.
Pattern numbers are those of EPIC-pn: 0 single, 1-4 double, 5-8 triple, 9-12 quad, 13 anything else.
"""

import numpy as np
from numpy.typing import NDArray

VALID = {64: 1, 16: 2, 2: 3, 8: 4, 72: 5, 80: 6, 18: 7, 10: 8, 104: 9, 208: 10, 22: 11, 11: 12, 0: 0}
INVALID = 13


def pattern_table() -> NDArray[np.uint8]:
    """Return the pattern of each neighbour mask, (256,) uint8."""
    table = np.full(256, INVALID, np.uint8)
    for mask, pattern in VALID.items():
        table[mask] = pattern
    return table


def grade_table(masks: dict[str, list[int]], otherwise: int) -> NDArray[np.int16]:
    """Return the mission's grade of each neighbour mask, (256,) int16; masks not named get `otherwise`."""
    table = np.full(256, otherwise, np.int16)
    for grade, members in masks.items():
        table[members] = int(grade)
    return table
