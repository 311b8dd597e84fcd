"""Tests of reading captions and of the scores; all captions are made up. NumPy alone is needed."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from captions import END, UNKNOWN, CaptionError, Vocabulary, read_captions, tune_half, words_of
from scores import Cider, bleu_counts, bleu_difference, corpus_bleu, mean_with_error, sentence_bleu


def flickr(folder: Path) -> Path:
    """Five made-up images with two captions each; `e.jpg` is in no list."""
    lines = [
        f"{name}.jpg#{number}\tA {colour} lamp hums near number {number} ."
        for name, colour in zip("abcde", ("red", "blue", "grey", "red", "pink"))
        for number in range(2)
    ]
    (folder / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n")
    for split, names in (("train", "ab"), ("dev", "c"), ("test", "d")):
        (folder / f"Flickr_8k.{split}Images.txt").write_text("".join(f"{name}.jpg\n" for name in names))
    return folder


# --- layouts -------------------------------------------------------------------------------------------------------


def test_flickr_layout_is_read_by_its_lists(tmp_path: Path) -> None:
    images = read_captions(flickr(tmp_path))
    assert [(image.name, image.split) for image in images] == [
        ("a.jpg", "train"),
        ("b.jpg", "train"),
        ("c.jpg", "dev"),
        ("d.jpg", "test"),
    ]
    assert images[1].captions == ("A blue lamp hums near number 0 .", "A blue lamp hums near number 1 .")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("Flickr8k.token.txt", "a.jpg#0\tfine\nno tab here\n", r"token\.txt:2: expected NAME#NUMBER, a tab"),
        ("Flickr8k.token.txt", "a.jpg#x\tfine\n", r"token\.txt:1: expected NAME#NUMBER"),
        ("Flickr_8k.devImages.txt", "zz.jpg\n", r"devImages\.txt:1: zz\.jpg has no caption"),
        ("Flickr_8k.devImages.txt", "c.jpg\na.jpg\n", r"devImages\.txt:2: a\.jpg is in the list of train already"),
    ],
)
def test_a_mistake_in_a_file_is_said_with_its_line(tmp_path: Path, file: str, content: str, message: str) -> None:
    (flickr(tmp_path) / file).write_text(content)
    with pytest.raises(CaptionError, match=message):
        read_captions(tmp_path)


def test_bytes_that_are_not_utf8_and_missing_files_are_said(tmp_path: Path) -> None:
    (flickr(tmp_path) / "Flickr8k.token.txt").write_bytes(b"a.jpg#0\tfine\nb.jpg#0\t\xff\n")
    with pytest.raises(CaptionError, match=r":2: not UTF-8 \(byte 0xff\)"):
        read_captions(tmp_path)
    with pytest.raises(CaptionError, match="no such file or folder"):
        read_captions(tmp_path / "elsewhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CaptionError, match=r"neither Flickr8k\.token\.txt nor captions_"):
        read_captions(tmp_path / "empty")


def test_karpathys_division_of_coco_is_read(tmp_path: Path) -> None:
    rows = [
        {"filename": f"{number}.jpg", "split": split, "sentences": [{"raw": f"Lamp {number}"}]}
        for number, split in enumerate(["test", "restval", "val", "train"])
    ]
    path = tmp_path / "dataset_lamps.json"
    path.write_text(json.dumps({"images": rows}))
    images = read_captions(path)
    assert [(image.name, image.split) for image in images] == [
        ("1.jpg", "train"),
        ("3.jpg", "train"),
        ("2.jpg", "dev"),
        ("0.jpg", "test"),
    ]
    path.write_text(json.dumps({"images": [{**rows[0], "split": "tests"}]}))
    with pytest.raises(CaptionError, match=r"images\[0\]: split 'tests'; expected train"):
        read_captions(path)


def test_cocos_own_files_are_read_and_validation_is_divided_by_rank(tmp_path: Path) -> None:
    for kind, numbers in (("train", (3, 4)), ("val", (9, 7, 8))):
        content = {
            "images": [{"id": number, "file_name": f"{number}.jpg"} for number in numbers],
            "annotations": [{"image_id": number, "caption": f"Lamp {number} "} for number in numbers],
        }
        (tmp_path / f"captions_{kind}2099.json").write_text(json.dumps(content))
    images = read_captions(tmp_path)
    assert [(image.name, image.split) for image in images] == [
        ("3.jpg", "train"),
        ("4.jpg", "train"),
        ("7.jpg", "dev"),
        ("9.jpg", "dev"),
        ("8.jpg", "test"),
    ]
    assert images[0].captions == ("Lamp 3",)


def test_the_tune_half_depends_on_names_alone() -> None:
    names = [f"{number}.jpg" for number in range(101)]
    half = tune_half(names)
    assert len(half) == 50
    assert tune_half(reversed(names)) == half
    assert half != set(names[:50])


# --- words ---------------------------------------------------------------------------------------------------------


def test_words_are_lower_case_runs_of_letters_and_digits() -> None:
    assert words_of('A T-shirt, "2 lamps"; it\'s über_blue .') == [
        "a",
        "t",
        "shirt",
        "2",
        "lamps",
        "it",
        "s",
        "über",
        "blue",
    ]


def test_vocabulary_keeps_frequent_words_of_train_and_encodes_the_rest_as_unknown(tmp_path: Path) -> None:
    images = read_captions(flickr(tmp_path))
    vocabulary = Vocabulary.of(images, minimum_count=4)
    # Of `red`, `blue`, `0` and `1` train has two each.
    assert vocabulary.words[4:] == ("a", "hums", "lamp", "near", "number")
    tokens = vocabulary.encoded("A red lamp hums", longest=3)
    assert tokens == [4, UNKNOWN, 6, END]
    assert vocabulary.decoded([4, 6, END, 5]) == "a lamp"


# --- scores --------------------------------------------------------------------------------------------------------

REFERENCES = [
    [["a", "red", "lamp", "hums"], ["the", "lamp", "hums", "at", "night"]],
    [["two", "blue", "kites", "rise", "over", "the", "bay"], ["kites", "rise"]],
    [["a", "grey", "stone", "rolls", "down"], ["a", "stone", "rolls"]],
]
CAPTIONS = [["a", "lamp", "hums", "at", "night"], ["blue", "kites", "rise", "over", "the", "bay"], ["a", "a", "stone"]]


def test_bleu_counts_by_hand() -> None:
    counts = bleu_counts(["a", "a", "stone", "rolls"], [["a", "stone", "rolls", "down", "hill"], ["stone", "stone"]])
    # The second `a` has no counterpart; `a stone`, `stone rolls` and `a stone rolls` have one.
    assert counts.matches == (3, 2, 1, 0)
    assert counts.total == (4, 3, 2, 1)
    assert (counts.length, counts.reference_length) == (4, 5)
    expected = (3 / 4 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25 * math.exp(1 - 5 / 4)
    assert sentence_bleu(counts) == pytest.approx(expected, rel=1e-12)


def test_sentence_bleu_is_1_for_a_reference_and_0_without_a_common_word() -> None:
    for references in REFERENCES:
        assert sentence_bleu(bleu_counts(references[0], references)) == pytest.approx(1)
    assert sentence_bleu(bleu_counts(["x", "y"], REFERENCES[0])) == 0
    assert sentence_bleu(bleu_counts([], REFERENCES[0])) == 0


def test_scores_are_those_of_pycocoevalcap() -> None:
    bleu = pytest.importorskip("pycocoevalcap.bleu.bleu")
    cider = pytest.importorskip("pycocoevalcap.cider.cider")
    references = {number: [" ".join(words) for words in captions] for number, captions in enumerate(REFERENCES)}
    candidates = {number: [" ".join(words)] for number, words in enumerate(CAPTIONS)}
    expected, _ = bleu.Bleu(4).compute_score(references, candidates, verbose=0)
    sums = np.array([bleu_counts(*pair).row() for pair in zip(CAPTIONS, REFERENCES)]).sum(0)
    assert corpus_bleu(sums) == pytest.approx(expected, rel=1e-6)
    _, by_image = cider.Cider().compute_score(references, candidates)
    own = Cider(REFERENCES)
    assert [own(*pair) for pair in zip(CAPTIONS, REFERENCES)] == pytest.approx(list(by_image), rel=1e-9)


def test_sentence_bleu_is_that_of_sacrebleu() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    metric = sacrebleu.BLEU(smooth_method="add-k", smooth_value=1, tokenize="none", effective_order=False)
    for caption, references in zip(CAPTIONS, REFERENCES):
        expected = metric.sentence_score(" ".join(caption), [" ".join(words) for words in references]).score / 100
        assert sentence_bleu(bleu_counts(caption, references)) == pytest.approx(expected, rel=1e-9)


def test_cider_of_an_only_reference_is_10() -> None:
    own = Cider(REFERENCES)
    assert own(REFERENCES[1][0], [REFERENCES[1][0]]) == pytest.approx(10)
    assert 0 < own(CAPTIONS[1], REFERENCES[1]) < 10
    # Seen with every image: its idf is 0, and so is a caption of nothing else.
    assert Cider([[["a"]], [["a"]]])(["a"], [["a"]]) == 0


def test_errors_of_differences_are_paired() -> None:
    rows = np.array([bleu_counts(*pair).row() for pair in zip(CAPTIONS, REFERENCES)])
    assert bleu_difference(rows, rows) == [(0.0, 0.0)] * 4
    generator = np.random.default_rng(5)
    # BLEU-1 of captions of one length without a brevity penalty is a mean over images: the jackknife gives its error.
    matches, other = generator.integers(1, 9, 40), generator.integers(1, 9, 40)
    table, other_table = np.ones((40, 10), dtype=np.int64), np.ones((40, 10), dtype=np.int64)
    for array, values in ((table, matches), (other_table, other)):
        array[:, 0], array[:, 4:10] = values, 10
    difference, error = bleu_difference(table, other_table)[0]
    expected = mean_with_error((matches - other) / 10)
    assert (difference, error) == pytest.approx(expected, rel=1e-9)
