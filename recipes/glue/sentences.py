"""SST-2 by sentence: which phrases of its train file lie in no sentence that is held out.

The train file of GLUE holds phrases, most of them parts of others. Its sentences also exist in another form
(`sentlevel_*.tsv`), without punctuation, with brackets as `lrb` and `rrb`, with letters outside ASCII dropped, and in
British spelling. So that a phrase is found in its sentence, both are folded to the same tokens. Folding errs on one
side only: two texts that become alike count as one, and a phrase more is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

Tokens = tuple[str, ...]

BRACKETS = {"lrb", "rrb"}
SPLIT_UP = {"gonna": ("gon", "na"), "wanna": ("wan", "na"), "gotta": ("got", "ta"), "learnt": ("learned",)}
# In this order. What is no spelling variant ("four", "this") is changed on both sides alike.
SPELLING = (("our", "or"), ("ogue", "og"), ("grey", "gray"), ("is", "iz"), ("ys", "yz"), ("ll", "l"), ("ence", "ense"))
ENDINGS = (("tres", "ters"), ("tre", "ter"))


def fold(text: str) -> Tokens:
    """The tokens of a text, such that both forms of SST-2 give the same; empty for a text of punctuation alone."""
    # Any character outside ASCII divides words: the other form has a space in its place.
    tokens: list[str] = []
    for word in re.sub(r"[^a-z0-9]+", " ", text.lower()).split():
        if word not in BRACKETS:
            tokens.extend(SPLIT_UP.get(word, (word,)))
    return tuple(american(token) for token in tokens)


def american(token: str) -> str:
    """One spelling for the variants of a word."""
    for british, ours in SPELLING:
        token = token.replace(british, ours)
    for british, ours in ENDINGS:
        if token.endswith(british):
            return token.removesuffix(british) + ours
    return token


def spans(tokens: Tokens) -> Iterator[Tokens]:
    """All runs of neighbouring tokens, the whole included."""
    for start in range(len(tokens)):
        for end in range(start + 1, len(tokens) + 1):
            yield tokens[start:end]


# A sentence within a longer text gives something away if it is that long; "dull" and "a treat" are sentences too.
TELLING = 5


class SpanIndex:
    """Answers whether a text lies in one of many sentences, and whether it has one of them within itself."""

    def __init__(self, sentences: Iterable[Tokens], wanted: Iterable[Tokens]) -> None:
        """`wanted` are all texts that will be asked about: no other span is kept."""
        asked = set(wanted)
        self._sentences = set(sentences)
        self._spans = {span for tokens in self._sentences for span in spans(tokens) if span in asked}

    def has(self, tokens: Tokens) -> bool:
        """The text is a span of a sentence."""
        return tokens in self._spans

    def is_within(self, tokens: Tokens) -> bool:
        """A sentence of at least `TELLING` tokens is a span of the text."""
        return any(len(span) >= TELLING and span in self._sentences for span in spans(tokens))


def origins(sentences: Sequence[Tokens], texts: set[Tokens]) -> dict[Tokens, int]:
    """For every text the place of the first sentence that it is a span of."""
    first: dict[Tokens, int] = {}
    for place, tokens in enumerate(sentences):
        for span in spans(tokens):
            if span in texts:
                first.setdefault(span, place)
    return first


def found_within(texts: Sequence[Tokens], sentences: Sequence[Tokens]) -> int:
    """How many of the texts are in a sentence, by searching strings: a check of `SpanIndex` by other means."""
    haystack = "\n".join(f" {' '.join(tokens)} " for tokens in sentences)
    return sum(f" {' '.join(tokens)} " in haystack for tokens in texts)


def maximal(texts: Sequence[Tokens]) -> list[int]:
    """The places of texts that lie in no other, longer one; of equal ones, the first. Complexity: all spans."""
    wanted = set(texts)
    inner = {span for tokens in wanted for span in spans(tokens) if len(span) < len(tokens) and span in wanted}
    seen: set[Tokens] = set()
    places = []
    for place, tokens in enumerate(texts):
        if tokens and tokens not in inner and tokens not in seen:
            seen.add(tokens)
            places.append(place)
    return places
