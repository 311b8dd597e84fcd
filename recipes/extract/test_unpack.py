"""Tests of `unpack.py`. `python -m pytest` in this folder; the extraction's own are in `python/tests`."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
import unpack
from unpack import LabelledText, without_duplicates


def test_the_first_copy_of_a_text_is_kept_whatever_its_case_and_punctuation() -> None:
    rows = [
        LabelledText("What is dew point ?", "a"),
        LabelledText("?!", "b"),
        LabelledText("what is `` DEW point ''", "a"),
    ]
    assert without_duplicates(rows) == (rows[:2], 0)


def test_a_text_with_conflicting_labels_is_left_out_with_all_its_copies() -> None:
    rows = [
        LabelledText("One.", "a"),
        LabelledText("two", "a"),
        LabelledText("one", "b"),
        LabelledText("one", "a"),
    ]
    assert without_duplicates(rows) == ([rows[1]], 1)


def test_a_movie_review_is_positive_above_zero_only() -> None:
    rows = unpack.parse_movie_reviews("1\t0.1\tgood\r\n2\t0\tso so\r\n3\t-0.1\tbad\r\n")
    assert [row.label for row in rows] == ["positive", "negative", "negative"]
    with pytest.raises(unpack.UnpackError, match="line 2: expected 3 fields, saw 2"):
        unpack.parse_movie_reviews("1\t0.1\tgood\n2\tbad\n")


def test_a_trec_question_has_its_coarse_class() -> None:
    assert unpack.parse_trec_questions("NUM:date When ?\n") == [LabelledText("When ?", "numeric")]
    with pytest.raises(
        unpack.UnpackError,
        match="line 1: expected 'CLASS:fine text', saw 'WHY:date When \\?'",
    ):
        unpack.parse_trec_questions("WHY:date When ?\n")


def test_text_is_utf8_or_else_the_fallback() -> None:
    assert unpack.decode("cliché".encode(), "cp1252") == "cliché"
    assert unpack.decode("cliché – 1".encode("cp1252"), "cp1252") == "cliché – 1"


def test_movie_reviews_are_read_out_of_the_nested_archives(tmp_path: Path) -> None:
    content = b"1\t1.5\tgood\n2\t-1.5\tbad\n3\t1.5\tGood!\n"
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as archive:
        member = tarfile.TarInfo("hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    with zipfile.ZipFile(tmp_path / unpack.VADER.filename, "w") as outer:
        outer.writestr(
            "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz",
            inner.getvalue(),
        )
    unpack.unpack_movie_reviews(tmp_path, tmp_path / "texts" / "movie-reviews.jsonl")
    assert (tmp_path / "texts" / "movie-reviews.jsonl").read_text() == (
        '{"text": "good", "label": "positive"}\n{"text": "bad", "label": "negative"}\n'
    )


def test_a_model_folder_is_made_of_the_named_files_only_and_only_when_complete(
    tmp_path: Path,
) -> None:
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for name in (*unpack.MODEL_FILES, "../outside", "run.py"):
            archive.writestr("model/" + name, name)
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        unpack.write_model(archive, "model/", tmp_path / "models" / "m")
        with pytest.raises(unpack.UnpackError, match="no README.md, .* under elsewhere/"):
            unpack.write_model(archive, "elsewhere/", tmp_path / "models" / "n")
    assert sorted(path.name for path in (tmp_path / "models" / "m").iterdir()) == sorted(unpack.MODEL_FILES)
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["m"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.zip", "models"]
