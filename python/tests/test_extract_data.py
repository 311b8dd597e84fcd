"""What `beem-policy extract` reads and writes besides features: no torch is needed here."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import read_safetensors

from beem_policy import InputError
from beem_policy.extract import add_command
from beem_policy.extract.cache_file import TensorShape, cache_layout, cache_writer
from beem_policy.extract.data import Data
from beem_policy.extract.records import Columns, Record, class_names, group_numbers, read_records
from beem_policy.extract.splits import drawn_splits
from beem_policy.extract.train_draw import GOLDEN_GAMMA, draw_key, draw_train_groups, draw_train_rows, mix

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
    assert {group for group, drawn in zip(groups, is_train) if drawn} == {2, 3, 4}
    assert {group for group, drawn in zip(groups, is_train) if not drawn} == {0, 1}


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
        (
            "a.jsonl",
            '{"text": "x", "label": 0}\n{"text": "x" "label": 0}\n',
            "line 2: Expecting ',' delimiter at column 14; expected a JSON object",
        ),
        ("a.jsonl", "[1]\n", r"line 1: '\[1\]'; expected a JSON object"),
        ("a.jsonl", '{"text": "x"}\n', "line 1: the columns 'text'; expected a column 'label'"),
        ("a.jsonl", '{"text": 3, "label": 0}\n', "line 1: 3 in 'text'; expected a text"),
        ("a.jsonl", '{"text": "x", "label": 0.5}\n', r"line 1: 0\.5 in 'label'; expected a text or a whole number"),
        ("a.jsonl", '{"text": "x", "label": null}\n', "line 1: null in 'label'; expected a text or a whole number"),
        ("a.jsonl", '{"text": " ", "label": 0}\n', "line 1: nothing in 'text'; expected a text"),
        ("a.jsonl", b'{"text": "x", "label": 0}\n{"text": "caf\xe9"}\n', "line 2: the byte 0xe9; expected UTF-8"),
        ("a.jsonl", "\n", "no rows; expected labelled rows"),
        ("a.csv", "text,label\nx,0\nx,y,0\n", "line 3: 3 fields; expected 2"),
        ("a.csv", "text,label\nx,\n", "line 2: nothing in 'label'"),
        ("a.csv", 'text,label\n"x"y,0\n', "line 2: .*expected after '\"'"),
        ("a.csv", "text,text\nx,0\n", "line 1: a column name that stands twice"),
        ("a.tsv", "sentence\tlabel\nx\t0\n", "line 2: the columns 'sentence', 'label'; expected a column 'text'"),
        ("a.txt", "x\n", "a name that does not tell the format; expected one ending in .jsonl, .csv, .tsv"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_name_and_line(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(InputError, match=rf"/{name}: {message}"):
        read_records(write(tmp_path, name, content), Columns())


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read .No such file or directory.; expected labelled rows"):
        read_records(tmp_path / "a.csv", Columns())


def records_with_labels(*labels: str) -> list[Record]:
    return [Record(line, "text", label) for line, label in enumerate(labels, start=1)]


def test_classes_are_sorted_as_numbers_or_as_texts_or_as_told() -> None:
    path = Path("a.csv")
    assert class_names(records_with_labels("10", "9", "-1"), None, path) == ["-1", "9", "10"]
    assert class_names(records_with_labels("10", "9", "x"), None, path) == ["10", "9", "x"]
    assert class_names(records_with_labels("b", "a"), ["b", "a", "c"], path) == ["b", "a", "c"]
    with pytest.raises(InputError, match="a.csv: line 2: the label 'a'; expected one of --classes b c"):
        class_names(records_with_labels("b", "a"), ["b", "c"], path)


def test_groups_keep_their_numbers_or_are_numbered_as_they_appear() -> None:
    def numbers(*groups: str) -> list[int] | None:
        return group_numbers([Record(1, "text", "0", group=group) for group in groups])

    assert numbers("7", "-3", "7") == [7, -3, 7]
    assert numbers("7", "doc", "7") == [0, 1, 0]
    assert numbers("07", "7") == [0, 1]
    assert numbers(str(2**31)) == [0]
    assert group_numbers(records_with_labels("0")) is None


# --- splits and classes --------------------------------------------------------------------------------------------


def parsed(*arguments: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers(required=True))
    return parser.parse_args(["extract", "--model", "m", "--output", "cache.safetensors", *map(str, arguments)])


def read(*arguments: object) -> Data:
    return Data.read(parsed(*arguments))


def refused(*arguments: object) -> str:
    """What the command says; no encoder is there, so it is said before one is loaded."""
    options = parsed(*arguments)
    with pytest.raises(InputError) as caught:
        options.run(options)
    return str(caught.value)


def test_the_train_rows_are_drawn(tmp_path: Path) -> None:
    data = write(tmp_path, "a.csv", "text,label\n" + "".join(f"x,{row % 2}\n" for row in range(20)))
    labels = [row % 2 for row in range(20)]
    assert read("--data", data).splits.tolist() == drawn_splits(labels, None, 0.5, 7).tolist()
    drawn = read("--data", data, "--train-fraction", 0.2, "--seed", 3).splits
    assert drawn.tolist() == drawn_splits(labels, None, 0.2, 3).tolist() and (drawn == 0).sum() == 4


def test_splits_of_a_column_are_kept(tmp_path: Path) -> None:
    rows = [
        ("a", '"train"', 0), ("b", '"tune"', 1), ("a", '"certify"', 2), ("b", '"test"', 3), ("a", "1", 1), ("b", "0", 0),
        ("a", '"3"', 3), ("b", "2", 2), ("a", "255", 255), ("b", '""', 255), ("a", "null", 255), ("b", '" test "', 3),
    ]  # fmt: skip
    text = "".join(f'{{"text": "x", "label": "{label}", "part": {split}}}\n' for label, split, _ in rows)
    data = read("--data", write(tmp_path, "a.jsonl", text), "--split-column", "part")
    assert data.splits.tolist() == [code for _, _, code in rows] and data.splits.dtype == np.uint8
    table = "".join(f"x\t{label}\t{number}\n" for label, number in [("a", 0), ("b", "train"), ("a", ""), ("b", 3)])
    data = read("--data", write(tmp_path, "a.tsv", table), "--no-header", "--text-column", 1, "--label-column", 2,
                "--split-column", 3)  # fmt: skip
    assert data.splits.tolist() == [0, 0, 255, 3]


@pytest.mark.parametrize("value", ['"validation"', '"Train"', "4", "-1", "1.0", "true", "[0]"])
def test_a_wrong_split_is_said_with_its_line(tmp_path: Path, value: str) -> None:
    row = '{"text": "x", "label": 0, "split": %s}\n'
    data = write(tmp_path, "a.jsonl", row % '"train"' + row % value)
    message = refused("--data", data, "--split-column", "split")
    assert (
        f"a.jsonl: line 2: {value} in 'split'; expected train, tune, certify, test or their numbers 0 to 3" in message
    )


def test_given_splits_exclude_the_draw_and_do_not_divide_groups(tmp_path: Path) -> None:
    data = write(tmp_path, "a.csv", "text,label,group,split\nx,0,g,train\nx,1,h,test\nx,1,g,tune\n")
    message = refused("--data", data, "--split-column", "split", "--train-fraction", 0.5)
    assert message.startswith("--train-fraction: given beside --split-column; expected one of the two")
    assert refused("--data", data, "--split-column", "split", "--seed", 1).startswith("--seed: given beside")
    message = refused("--data", data, "--split-column", "split", "--group-column", "group")
    assert "a.csv: line 4: another split than that of line 2, of the same group" in message
    assert "a.csv: line 2: the columns 'text'" in refused("--data", data, "--split-column", "part")


def test_a_class_with_too_few_rows_is_said(tmp_path: Path) -> None:
    data = write(tmp_path, "a.csv", "text,label,split\n" + "x,0,train\n" * 4 + "x,1,tune\n")
    message = refused("--data", data)
    assert (
        "a.csv: class '1': 1 rows, 1 of them to train; expected one or more to train, and one or more besides"
        in message
    )
    assert "class '1': 1 rows, 0 of them to train" in refused("--data", data, "--train-fraction", 0.2)
    message = refused("--data", data, "--split-column", "split")
    assert "class '1': 1 rows, 0 of them to train; expected one or more to train. " in message
    assert "class '2': 0 rows" in refused("--data", data, "--classes", "0", "1", "2", "--train-fraction", 1)
    # Where nothing is trained, or nothing else is wanted, there is nothing to miss.
    assert set(read("--data", data, "--train-fraction", 0).splits.tolist()) == {255}
    assert set(read("--data", data, "--train-fraction", 1).splits.tolist()) == {0}
    one = write(tmp_path, "b.csv", "text,label\nx,0\nx,0\n")
    assert "b.csv: 1 class, '0'; expected two classes or more" in refused("--data", one)


def test_wrong_options_are_said(tmp_path: Path) -> None:
    data = write(tmp_path, "a.csv", "text,label\nx,0\nx,0\nx,1\nx,1\n")
    assert refused("--data", data, "--train-fraction", 2) == "--train-fraction: 2.0; expected a number from 0 to 1."
    assert refused("--data", data, "--threads", 0) == "--threads: 0; expected a number from 1."
    assert refused("--data", data, "--image-column", "text", "--max-length", 3).startswith(
        "--max-length: given with images"
    )
    message = refused("--data", data, "--output", tmp_path / "none" / "a.safetensors")
    assert "a.safetensors: no folder" in message
    with pytest.raises(SystemExit):
        parsed("--data", data, "--text-column", "a", "--image-column", "b")


def test_without_torch_the_command_says_what_to_install(tmp_path: Path) -> None:
    data = write(tmp_path, "a.csv", "text,label\nx,0\nx,0\nx,1\nx,1\n")
    code = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "from beem_policy.command import main\n"
        f"sys.exit(main(['extract', '--model', 'm', '--data', {str(data)!r}, '--output', {str(tmp_path / 'c')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 2 and "pip install 'beem-policy[torch]'" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    write(tmp_path, "a.csv", "file,label\na.csv,0\na.csv,1\n")
    code = code.replace("sys.modules['torch'] =", "sys.modules['PIL'] =").replace(
        "'--data',", "'--image-column', 'file', '--data',"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 2 and "Pillow for images. Install them: pip install 'beem-policy[torch]'" in done.stderr


# --- images --------------------------------------------------------------------------------------------------------


def draw(path: Path, shade: int) -> Path:
    """A small picture of noise."""
    image = pytest.importorskip("PIL.Image")
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(shade).integers(0, 256, size=(9, 11, 3), dtype=np.uint8)
    image.fromarray(pixels).save(path)
    return path


def folder_of_images(folder: Path) -> Path:
    for index, name in enumerate(["cat/b.png", "cat/a.jpg", "cat/more/c.png", "ant/1.png", "ant/0.png"]):
        draw(folder / name, index)
    write(folder, "README.txt", "made up")
    write(folder / "cat", ".hidden", "x")
    return folder


def test_subfolders_are_the_classes(tmp_path: Path) -> None:
    data = read("--data", folder_of_images(tmp_path / "images"))
    assert data.classes == ["ant", "cat"] and data.labels == [0, 0, 1, 1, 1]
    names = [path.relative_to(tmp_path / "images").as_posix() for path in data.images]
    assert names == ["ant/0.png", "ant/1.png", "cat/a.jpg", "cat/b.png", "cat/more/c.png"]


def test_paths_in_a_table_start_at_its_folder(tmp_path: Path) -> None:
    folder_of_images(tmp_path / "images")
    rows = "".join(f"images/{name},{label},g{number},{number}\n" for number, (name, label) in enumerate(
        [("cat/a.jpg", "yes"), ("ant/0.png", "no"), ("cat/b.png", "yes"), ("ant/1.png", "no")]))  # fmt: skip
    table = write(tmp_path, "a.csv", "file,label,group,split\n" + rows)
    data = read("--data", table, "--image-column", "file", "--group-column", "group")
    assert data.images[1] == tmp_path / "images" / "ant" / "0.png"
    assert data.labels == [1, 0, 1, 0] and data.groups == [0, 1, 2, 3]


def test_what_is_wrong_with_images_is_said_with_their_place(tmp_path: Path) -> None:
    folder = folder_of_images(tmp_path / "images")
    (folder / "dog").mkdir()
    message = refused("--data", folder)
    assert message.startswith(f"{folder / 'dog'}: a class without images; expected images.")
    write(folder / "dog", "notes.txt", "no picture")
    message = refused("--data", folder)
    assert message.startswith(f"{folder / 'dog' / 'notes.txt'}: not an image that can be read")
    draw(folder / "stray.png", 1)
    assert refused("--data", folder).startswith(f"{folder / 'stray.png'}: an image beside the folders of the classes")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert refused("--data", empty).startswith(f"{empty}: no subfolders; expected a subfolder of images for each class")
    message = refused("--data", folder, "--split-column", "split")
    assert message.startswith(f"{folder}: --split-column with a folder of images; expected a table")
    table = write(tmp_path, "a.csv", "file,label\nimages/cat/a.jpg,0\nimages/cat/none.jpg,1\n")
    message = refused("--data", table, "--image-column", "file")
    assert message.startswith(
        f"{table}: line 3: {tmp_path / 'images' / 'cat' / 'none.jpg'} cannot be read (No such file"
    )
    table = write(tmp_path, "a.csv", "file,label\nimages/cat/a.jpg,0\nimages/dog/notes.txt,1\n")
    message = refused("--data", table, "--image-column", "file")
    assert message.startswith(f"{table}: line 3: {tmp_path / 'images' / 'dog' / 'notes.txt'} is not an image")
    one = tmp_path / "one"
    for name in ("cat/a.png", "cat/b.png", "ant/a.png"):
        draw(one / name, 0)
    assert refused("--data", one).startswith(f"{one}: class 'ant': 1 rows, 1 of them to train")


# --- the cache file ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_a_cache_is_aligned_without_gaps_and_reads_back(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "cache.safetensors"
    with cache_writer(path, cache_layout(3, [5, 1], dtype, has_groups=True), {"classes": '["ä"]'}) as written:
        for value, tensor in enumerate(written.values(), start=1):
            tensor[[2, 0, 1]] = value
    tensors, metadata = read_safetensors(path)
    assert metadata == {"classes": '["ä"]'}
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        "labels": (3,), "group": (3,), "features.0": (3, 5), "features.1": (3, 1), "split": (3,)
    }  # fmt: skip
    assert [tensor.ravel()[-1] for tensor in tensors.values()] == [1, 2, 3, 4, 5]
    assert [file.name for file in tmp_path.iterdir()] == ["cache.safetensors"]


def test_a_failed_run_leaves_the_old_cache_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path, "cache.safetensors", "old")
    with pytest.raises(RuntimeError), cache_writer(path, {"labels": TensorShape("I32", (3,))}, {}):
        raise RuntimeError
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["cache.safetensors"]
