"""Tests of the extraction. `python -m pytest` in this folder; without torch, what needs it is left out."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

import unpack
from cache_file import CacheWriter, TensorShape, cache_layout
from records import Columns, Record, RecordError, class_names, group_numbers, read_records
from train_draw import GOLDEN_GAMMA, draw_key, draw_train_groups, draw_train_rows, mix
from unpack import LabelledText, without_duplicates

# --- the train draw ------------------------------------------------------------------------------------------------


def test_mix_gives_the_published_outputs_of_splitmix64_for_seed_0() -> None:
    outputs = [mix((step * GOLDEN_GAMMA) % 2**64) for step in (1, 2, 3)]
    assert outputs == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


@pytest.mark.parametrize(
    ("seed", "identifier", "key"),
    [
        (0, 0, 0xA706DD2F4D197E6F),
        (7, 0, 0xB8B4C2977EABCE45),
        (7, 1, 0xA65305FD338EC8FE),
        (7, 10_602, 0x4652057401A72BCC),
        (-1, -1, 0x445018E305810B78),
        (2**64 - 1, 2**31 - 1, 0x7F983CBE52F81496),
    ],
)
def test_draw_key_has_its_golden_values(seed: int, identifier: int, key: int) -> None:
    assert draw_key(seed, identifier) == key


def test_row_draw_has_its_golden_value_and_rounds_half_up_in_every_class() -> None:
    is_train = draw_train_rows([0] * 10 + [1] * 5, fraction=0.5, seed=7)
    assert [row for row, drawn in enumerate(is_train) if drawn] == [2, 3, 4, 5, 9, 11, 12, 13]


def test_row_draw_changes_with_the_seed_and_takes_all_or_none_at_the_ends() -> None:
    labels = [row % 3 for row in range(300)]
    assert draw_train_rows(labels, 0.5, seed=1) != draw_train_rows(labels, 0.5, seed=2)
    assert all(draw_train_rows(labels, 1, seed=1))
    assert not any(draw_train_rows(labels, 0, seed=1))


def test_group_draw_has_its_golden_value_and_divides_no_group() -> None:
    # Group 4 has one row of each class: it counts as class 0. By key, class 0 is ordered 4, 2, 0 and class 1 is 3, 1.
    groups = [0, 0, 0, 1, 2, 2, 3, 3, 3, 3, 4, 4]
    labels = [0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 1, 0]
    is_train = draw_train_groups(labels, groups, fraction=0.5, seed=7)
    assert {group for group, drawn in zip(groups, is_train, strict=True) if drawn} == {2, 3, 4}
    assert {group for group, drawn in zip(groups, is_train, strict=True) if not drawn} == {0, 1}


def test_groups_of_one_row_are_drawn_like_rows() -> None:
    labels = [row % 2 for row in range(100)]  # 50 a class: half of it needs no rounding
    assert draw_train_groups(labels, range(100), 0.5, seed=7) == draw_train_rows(labels, 0.5, seed=7)


# --- reading texts and labels --------------------------------------------------------------------------------------


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_json_lines_are_read_with_numbers_booleans_pairs_and_groups(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "a.jsonl",
        '\ufeff{"a": "x\u2028y", "b": "z", "y": 1, "g": "doc"}\n\n{"a": "q", "b": "r", "y": true, "g": 4}\n',
    )
    assert read_records(path, Columns("a", "y", "b", "g")) == [
        Record(1, "x\u2028y", "1", "z", "doc"),
        Record(3, "q", "true", "r", "4"),
    ]


def test_csv_reads_quoted_fields_over_several_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'text,label\r\n"one, ""two""\nthree",yes\r\nfour,no\r\n')
    assert read_records(path, Columns()) == [Record(3, 'one, "two"\nthree', "yes"), Record(4, "four", "no")]


def test_tsv_takes_quotes_as_characters_and_columns_by_number(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", '1\t"odd\n0\teven"\n')
    assert read_records(path, Columns("2", "1"), has_header=False, file_format="tsv") == [
        Record(1, '"odd', "1"),
        Record(2, 'even"', "0"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"text": "x", "label": 0}\n{"text": "x" "label": 0}\n', r"a\.jsonl:2: not JSON: .* at column 14"),
        ("a.jsonl", "[1]\n", r"a\.jsonl:1: expected a JSON object, saw '\[1\]'"),
        ("a.jsonl", '{"text": "x"}\n', r"a\.jsonl:1: no column 'label'; there are 'text'"),
        ("a.jsonl", '{"text": 3, "label": 0}\n', r"a\.jsonl:1: expected a text in 'text', saw 3"),
        (
            "a.jsonl",
            '{"text": "x", "label": 0.5}\n',
            r"a\.jsonl:1: expected a text or a whole number in 'label', saw 0\.5",
        ),
        (
            "a.jsonl",
            '{"text": "x", "label": null}\n',
            r"a\.jsonl:1: expected a text or a whole number in 'label', saw null",
        ),
        ("a.jsonl", '{"text": " ", "label": 0}\n', r"a\.jsonl:1: 'text' is empty"),
        ("a.jsonl", b'{"text": "x", "label": 0}\n{"text": "caf\xe9"}\n', r"a\.jsonl:2: not UTF-8 \(byte 0xe9\)"),
        ("a.jsonl", "\n", r"a\.jsonl: no rows"),
        ("a.csv", "text,label\nx,0\nx,y,0\n", r"a\.csv:3: expected 2 fields, saw 3"),
        ("a.csv", "text,label\nx,\n", r"a\.csv:2: 'label' is empty"),
        ("a.csv", 'text,label\n"x"y,0\n', r"a\.csv:2: .*expected after '\"'"),
        ("a.csv", "text,text\nx,0\n", r"a\.csv:1: a column name occurs twice"),
        ("a.tsv", "sentence\tlabel\nx\t0\n", r"a\.tsv:2: no column 'text'; there are 'sentence', 'label'"),
        ("a.txt", "x\n", r"a\.txt: the name does not end in .jsonl, .csv, .tsv; say --format"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_name_and_line(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(RecordError, match=message):
        read_records(write(tmp_path, name, content), Columns())


def records_with_labels(*labels: str) -> list[Record]:
    return [Record(line, "text", label) for line, label in enumerate(labels, start=1)]


def test_classes_are_sorted_as_numbers_or_as_texts_or_as_told() -> None:
    path = Path("a.csv")
    assert class_names(records_with_labels("10", "9", "-1"), None, path) == ["-1", "9", "10"]
    assert class_names(records_with_labels("10", "9", "x"), None, path) == ["10", "9", "x"]
    assert class_names(records_with_labels("b", "a"), ["b", "a", "c"], path) == ["b", "a", "c"]
    with pytest.raises(RecordError, match="a.csv:2: label 'a' is not among --classes b c"):
        class_names(records_with_labels("b", "a"), ["b", "c"], path)


def test_groups_keep_their_numbers_or_are_numbered_as_they_appear() -> None:
    def numbers(*groups: str) -> list[int] | None:
        return group_numbers([Record(1, "text", "0", group=group) for group in groups])

    assert numbers("7", "-3", "7") == [7, -3, 7]
    assert numbers("7", "doc", "7") == [0, 1, 0]
    assert numbers("07", "7") == [0, 1]
    assert numbers(str(2**31)) == [0]
    assert group_numbers(records_with_labels("0")) is None


# --- the texts of the recipes --------------------------------------------------------------------------------------


def test_the_first_copy_of_a_text_is_kept_whatever_its_case_and_punctuation() -> None:
    rows = [
        LabelledText("What is dew point ?", "a"),
        LabelledText("?!", "b"),
        LabelledText("what is `` DEW point ''", "a"),
    ]
    assert without_duplicates(rows) == (rows[:2], 0)


def test_a_text_with_conflicting_labels_is_left_out_with_all_its_copies() -> None:
    rows = [LabelledText("One.", "a"), LabelledText("two", "a"), LabelledText("one", "b"), LabelledText("one", "a")]
    assert without_duplicates(rows) == ([rows[1]], 1)


def test_a_movie_review_is_positive_above_zero_only() -> None:
    rows = unpack.parse_movie_reviews("1\t0.1\tgood\r\n2\t0\tso so\r\n3\t-0.1\tbad\r\n")
    assert [row.label for row in rows] == ["positive", "negative", "negative"]
    with pytest.raises(unpack.UnpackError, match="line 2: expected 3 fields, saw 2"):
        unpack.parse_movie_reviews("1\t0.1\tgood\n2\tbad\n")


def test_a_trec_question_has_its_coarse_class() -> None:
    assert unpack.parse_trec_questions("NUM:date When ?\n") == [LabelledText("When ?", "numeric")]
    with pytest.raises(unpack.UnpackError, match="line 1: expected 'CLASS:fine text', saw 'WHY:date When \\?'"):
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
        outer.writestr("vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz", inner.getvalue())
    unpack.unpack_movie_reviews(tmp_path, tmp_path / "texts" / "movie-reviews.jsonl")
    assert (tmp_path / "texts" / "movie-reviews.jsonl").read_text() == (
        '{"text": "good", "label": "positive"}\n{"text": "bad", "label": "negative"}\n'
    )


def test_a_model_folder_is_made_of_the_named_files_only_and_only_when_complete(tmp_path: Path) -> None:
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


# --- the cache file ------------------------------------------------------------------------------------------------


def read_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """A reader of its own, straight from the description of the format; BF16 comes as raw bits."""
    types = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "I32": "<i4", "U8": "u1"}
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = np.frombuffer(content[8 + length + begin : 8 + length + end], types[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    assert max(entry["data_offsets"][1] for entry in header.values()) == len(content) - 8 - length
    return tensors, metadata


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_a_cache_is_aligned_without_gaps_and_reads_back(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "cache.safetensors"
    with CacheWriter(path, cache_layout(3, [5, 1], dtype, has_groups=True), {"classes": '["ä"]'}) as writer:
        for value, tensor in enumerate(writer.tensors.values(), start=1):
            tensor[[2, 0, 1]] = value
    tensors, metadata = read_tensors(path)
    assert metadata == {"classes": '["ä"]'}
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        "labels": (3,), "group": (3,), "features.0": (3, 5), "features.1": (3, 1), "split": (3,)
    }  # fmt: skip
    assert [tensor.ravel()[-1] for tensor in tensors.values()] == [1, 2, 3, 4, 5]
    assert [file.name for file in tmp_path.iterdir()] == ["cache.safetensors"]


def test_a_failed_run_leaves_the_old_cache_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path, "cache.safetensors", "old")
    with pytest.raises(RuntimeError), CacheWriter(path, {"labels": TensorShape("I32", (3,))}, {}):
        raise RuntimeError
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["cache.safetensors"]


# --- the encoder (needs torch and transformers) --------------------------------------------------------------------

TEXTS = ["good film", "bad", "a good bad film", "film", "not a good film", "not bad"]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of 3 layers and width 8 with random weights, and a tokenizer of nine words."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("models") / "tiny"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "not", "a"]
    torch.manual_seed(7)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    vocabulary = {word: index for index, word in enumerate(words)}
    transformers.BertTokenizer(vocab=vocabulary, model_max_length=16).save_pretrained(folder)
    return folder


def run_extract(folder: Path, model: Path, *options: str, name: str = "cache") -> Path:
    """Extract `TEXTS` with `model`; the classes are `no` and `yes` in turn."""
    import extract

    rows = [{"text": text, "label": "no" if row % 2 else "yes"} for row, text in enumerate(TEXTS)]
    data = write(folder, "texts.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    output = folder / f"{name}.safetensors"
    assert extract.main(["--model", str(model), "--data", str(data), "--output", str(output), *options]) == 0
    return output


@pytest.mark.parametrize("padding_side", ["right", "left"])
def test_pooling_agrees_with_a_plain_loop_and_does_not_see_padding(padding_side: str) -> None:
    torch = pytest.importorskip("torch")
    import extract

    generator = torch.Generator().manual_seed(7)
    hidden = torch.randn(4, 6, 5, generator=generator)
    mask = torch.zeros(4, 6, dtype=torch.int64)
    for row, length in enumerate((6, 1, 3, 5)):
        kept = slice(0, length) if padding_side == "right" else slice(6 - length, 6)
        mask[row, kept] = 1
    hidden[mask == 0] = torch.inf
    mean, first = extract.pool(hidden, mask, "mean"), extract.pool(hidden, mask, "cls")
    for row in range(4):
        tokens = [hidden[row, token] for token in range(6) if mask[row, token] == 1]
        total = torch.zeros(5, dtype=torch.float64)
        for token in tokens:
            total += token
        # A Float32 sum of n terms is off by at most n roundings of a partial sum, and the division by one more.
        bound = (len(tokens) + 1) * 2.0**-24 * sum(token.abs() for token in tokens).max().item()
        assert (mean[row] - total / len(tokens)).abs().max().item() <= bound
        assert torch.equal(first[row], tokens[0])


def test_batches_hold_every_row_once_and_stay_below_their_size() -> None:
    pytest.importorskip("torch")
    import extract

    lengths = [3, 9, 1, 4, 4, 30, 2]
    batches = list(extract.batches_by_length(lengths, batch_tokens=12))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or max(lengths[row] for row in batch) * len(batch) <= 12 for batch in batches)


def test_layers_are_chosen_by_number_and_range() -> None:
    pytest.importorskip("torch")
    import extract

    assert extract.parse_layers("all", 3) == [1, 2, 3]
    assert extract.parse_layers("1,3-5", 6) == [1, 3, 4, 5]
    for choice in ("0", "7", "2,1", "1,1", "3-2", "x", "1-", ""):
        with pytest.raises(extract.ExtractionError, match="--layers"):
            extract.parse_layers(choice, 6)


def test_a_cache_has_the_tensors_and_metadata_of_the_design(tmp_path: Path, tiny_model: Path) -> None:
    tensors, metadata = read_tensors(run_extract(tmp_path, tiny_model, "--source", "made up", "--license", "none"))
    assert metadata == {
        "classes": '["no", "yes"]',
        "exits": '["layer 1", "layer 2", "layer 3"]',
        "backbone": "tiny, mean pooling",
        "source": "made up",
        "license": "none",
    }
    assert list(tensors) == ["labels", "features.0", "features.1", "features.2", "split"]
    assert tensors["features.2"].dtype == np.float16 and tensors["features.2"].shape == (6, 8)
    assert tensors["labels"].tolist() == [1, 0, 1, 0, 1, 0]
    drawn = draw_train_rows([1, 0, 1, 0, 1, 0], 0.5, seed=7)
    assert tensors["split"].tolist() == [0 if is_train else 255 for is_train in drawn]


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, tiny_model: Path) -> None:
    paths = [run_extract(tmp_path, tiny_model, name=name) for name in ("first", "second")]
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    assert len(digests) == 1


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_rows_are_in_order_and_equal_one_text_at_a_time(tmp_path: Path, tiny_model: Path, pooling: str) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    path = run_extract(tmp_path, tiny_model, "--dtype", "f32", "--pooling", pooling, "--layers", "1,3")
    tensors, metadata = read_tensors(path)
    assert json.loads(metadata["exits"]) == ["layer 1", "layer 3"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_model)
    model = transformers.AutoModel.from_pretrained(tiny_model).eval()
    for row, text in enumerate(TEXTS):
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
        for exit_index, layer in enumerate((1, 3)):
            expected = states[layer][0, 0] if pooling == "cls" else states[layer][0].mean(dim=0)
            # Layer normalisation keeps states near 1; three layers of sums of up to 16 terms, in another order.
            assert np.abs(tensors[f"features.{exit_index}"][row] - expected.numpy()).max() <= 3 * 16 * 2.0**-23


def test_bfloat16_is_the_rounded_float32(tmp_path: Path, tiny_model: Path) -> None:
    torch = pytest.importorskip("torch")
    exact, _ = read_tensors(run_extract(tmp_path, tiny_model, "--dtype", "f32", name="exact"))
    short, _ = read_tensors(run_extract(tmp_path, tiny_model, "--dtype", "bf16", name="short"))
    for name in ("features.0", "features.2"):
        rounded = torch.from_numpy(exact[name].copy()).to(torch.bfloat16)
        assert torch.equal(torch.from_numpy(short[name].copy()).view(torch.bfloat16), rounded)


@pytest.mark.parametrize(
    ("value", "reason"), [(float("nan"), "nan, which is not finite"), (1e6, "which does not fit into float16")]
)
def test_a_feature_that_the_cache_cannot_hold_is_named_and_leaves_no_file(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str], value: float, reason: str
) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    import extract

    broken = tmp_path / "broken"
    model = transformers.AutoModel.from_pretrained(tiny_model)
    with torch.no_grad():
        model.encoder.layer[1].output.LayerNorm.bias[3] = value
    model.save_pretrained(broken)
    transformers.AutoTokenizer.from_pretrained(tiny_model).save_pretrained(broken)
    data = write(tmp_path, "a.csv", "text,label\ngood,1\nnot a bad film,0\n")
    assert (
        extract.main(["--model", str(broken), "--data", str(data), "--output", str(tmp_path / "out.safetensors")]) == 2
    )
    message = capsys.readouterr().err
    assert "row 1 (line 3), layer 2: feature 3 is" in message and reason in message  # the longest text goes first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "broken"]


def test_pairs_and_groups_reach_the_cache(tmp_path: Path, tiny_model: Path) -> None:
    pytest.importorskip("torch")
    import extract

    data = write(
        tmp_path,
        "a.tsv",
        "a\tb\ty\tg\n" + "".join(f"good\t{text}\t{row % 2}\t{row // 2}\n" for row, text in enumerate(TEXTS)),
    )
    columns = ["--text-column", "a", "--pair-column", "b", "--label-column", "y", "--group-column", "g"]
    output = tmp_path / "out.safetensors"
    assert extract.main(["--model", str(tiny_model), "--data", str(data), "--output", str(output), *columns]) == 0
    tensors, _ = read_tensors(output)
    assert tensors["group"].tolist() == [0, 0, 1, 1, 2, 2]
    assert all(len(set(tensors["split"][tensors["group"] == group])) == 1 for group in range(3))
    assert len({row.tobytes() for row in tensors["features.2"]}) == len(TEXTS)


def test_progress_is_silent_when_standard_error_is_no_terminal(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_extract(tmp_path, tiny_model)
    assert "\r" not in capsys.readouterr().err
    run_extract(tmp_path, tiny_model, "--progress")
    assert "100%" in capsys.readouterr().err
