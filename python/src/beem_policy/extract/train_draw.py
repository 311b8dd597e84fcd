"""Which rows train the heads: a draw that depends on the seed, the row and its class, and on nothing else.

`beem` draws the splits that a cache does not store by the same rule, so a draw can be repeated, and checked, on either
side. All arithmetic on keys is modulo 2^64; `mix` is the finaliser of the SplitMix64 generator.

    mix(z):           z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
                      z = (z ^ (z >> 27)) * 0x94D049BB133111EB
                      z ^ (z >> 31)
    key(seed, id):    mix(mix(seed + 0x9E3779B97F4A7C15) + (id + 1) * 0x9E3779B97F4A7C15)

Without groups, the id of a row is its index; within each class the rows, sorted by (key, id), give their first
`floor(fraction * count + 1/2)` to the train split. With groups see `draw_train_groups`.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

GOLDEN_GAMMA = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1


def mix(z: int) -> int:
    """The finaliser of SplitMix64, a bijection on 64-bit numbers in which every input bit reaches every output bit."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def draw_key(seed: int, identifier: int) -> int:
    """The key that orders a row or a group; a negative seed or identifier counts as its two's complement."""
    start = mix((seed + GOLDEN_GAMMA) & MASK)
    return mix((start + (identifier + 1) * GOLDEN_GAMMA) & MASK)


def draw_train_rows(labels: Sequence[int], fraction: float, seed: int) -> list[bool]:
    """Draw `fraction` of the rows of every class. Entry i says whether row i is a train row."""
    rows_of_class: dict[int, list[int]] = defaultdict(list)
    for row, label in enumerate(labels):
        rows_of_class[label].append(row)
    is_train = [False] * len(labels)
    for rows in rows_of_class.values():
        wanted = math.floor(fraction * len(rows) + 0.5)
        for row in sorted(rows, key=lambda row: (draw_key(seed, row), row))[:wanted]:
            is_train[row] = True
    return is_train


def draw_train_groups(labels: Sequence[int], groups: Sequence[int], fraction: float, seed: int) -> list[bool]:
    """Draw whole groups, so that about `fraction` of the rows of every class of groups are train rows.

    A group has the class that is most frequent among its rows (of several, the smallest). Within a class the groups
    are sorted by (key, group) and taken from the front for as long as the next one brings the number of rows taken
    no farther from `fraction` of all rows of these groups, so that a group of one row is drawn as a row is.
    """
    labels_of_group: dict[int, Counter[int]] = defaultdict(Counter)
    for label, group in zip(labels, groups):
        labels_of_group[group][label] += 1
    groups_of_class: dict[int, list[int]] = defaultdict(list)
    for group, counts in labels_of_group.items():
        groups_of_class[min(counts, key=lambda label: (-counts[label], label))].append(group)

    taken: set[int] = set()
    for members in groups_of_class.values():
        sizes = {group: sum(labels_of_group[group].values()) for group in members}
        wanted = fraction * sum(sizes.values())
        rows = 0
        for group in sorted(members, key=lambda group: (draw_key(seed, group), group)):
            if abs(rows + sizes[group] - wanted) > abs(rows - wanted):
                break
            rows += sizes[group]
            taken.add(group)
    return [group in taken for group in groups]
