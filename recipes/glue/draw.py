"""Groups of rows that belong together, and the draw that gives every group to one split.

The draw depends on the seed, the task and the words of a group, and on nothing else: neither the order of the rows
nor the version of Python moves a row to another split.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence

WORD = re.compile(r"\w+")

# Two texts with the same words are one text, whatever case, punctuation and spacing.
Words = tuple[str, ...]


def words(text: str) -> Words:
    """The words of a text in lower case; of a text without any, its characters."""
    found = tuple(WORD.findall(text.lower()))
    return found or (text.strip(),)


def draw_key(seed: int, *parts: str) -> str:
    """What orders rows and groups in a draw: a digest of the seed and the parts."""
    # A unit separator between the parts, so that ("a", "bc") and ("ab", "c") differ.
    return hashlib.sha256("\x1f".join((str(seed), *parts)).encode()).hexdigest()


def limited(texts: Sequence[tuple[str, str]], count: int, seed: int) -> list[int]:
    """Which rows stay where `count` are enough: the first in the draw, in the order in which they stand.

    `texts` are each row's text and pair (empty where there is none).
    """
    drawn = sorted(range(len(texts)), key=lambda row: draw_key(seed, "limit", *texts[row]))
    return sorted(drawn[:count])


def connected(units: Sequence[Sequence[Hashable]]) -> list[int]:
    """Number the groups of rows: rows that share a unit are in one group, and so are rows linked by a chain of such.

    `units[i]` are the units of row i, its sentences say. Groups are numbered from 0 as they appear.
    """
    parent: dict[Hashable, Hashable] = {}

    def root(unit: Hashable) -> Hashable:
        parent.setdefault(unit, unit)
        while parent[unit] != unit:
            parent[unit] = parent[parent[unit]]
            unit = parent[unit]
        return unit

    for row in units:
        for unit in row[1:]:
            parent[root(unit)] = root(row[0])
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(root(row[0]), len(numbers)) for row in units]


def divide(
    names: Mapping[int, str], labels: Mapping[int, str], fractions: Mapping[str, float], seed: int, task: str
) -> dict[int, str]:
    """Give every group a split, stratified by the groups' labels.

    - Parameters: `names` what a group is called in the draw; `labels` its class; `fractions` of the splits, which sum
      to 1. Within a class the groups, in the order of their keys, are cut at the rounded sums of the fractions.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for group, label in labels.items():
        members[label].append(group)
    split_of: dict[int, str] = {}
    for groups in members.values():
        groups.sort(key=lambda group: draw_key(seed, task, names[group]))
        start, total = 0, 0.0
        for split, fraction in fractions.items():
            total += fraction
            end = int(total * len(groups) + 0.5)
            for group in groups[start:end]:
                split_of[group] = split
            start = end
    return split_of


def majority(labels: Sequence[str]) -> str:
    """The most frequent label; of several, the first in the alphabet."""
    counts = Counter(labels)
    return min(counts, key=lambda label: (-counts[label], label))
