"""`beem-policy time` on a tiny random encoder. Nothing is downloaded; what needs torch is left out where torch is missing."""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import tiny_bert

from beem_policy import InputError, timing
from beem_policy.timing import increments, read_texts, write_table

LAYERS, WIDTH = 3, 8
TEXTS = ["good film", "bad", "a good bad film", "film", "not a good film", "not bad"]


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    timing.add_command(parser.add_subparsers(required=True))
    options = parser.parse_args(["time", *map(str, arguments)])
    return options.run(options)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers")
    pytest.importorskip("torch").set_num_threads(1)
    return tiny_bert(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    save_file = pytest.importorskip("safetensors.numpy").save_file
    generator = np.random.default_rng(7)
    tensors = {}
    for index in range(LAYERS):
        tensors[f"exit.{index}.weight"] = generator.normal(size=(2, WIDTH)).astype(np.float32)
        tensors[f"exit.{index}.bias"] = np.zeros(2, np.float32)
    save_file(tensors, tmp_path / "heads.safetensors")
    return tmp_path / "heads.safetensors"


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_has_a_row_for_each_batch_and_exit(model: Path, heads: Path, texts: Path, tmp_path: Path) -> None:
    output, timings = tmp_path / "costs.csv", tmp_path / "times.csv"
    arguments = (model, "--heads", heads, "--texts", texts, "--batch", 2, 5, "--output", output, "--timings", timings)
    assert run(*arguments, "--repeats", 4, "--warm-up", 1, "--threads", 1) == 0
    rows = rows_of(output)
    assert list(rows[0]) == ["batch", "exit", "milliseconds", "check_milliseconds"]
    assert all(0 < float(row["check_milliseconds"]) < float(row["milliseconds"]) for row in rows)
    assert [(row["batch"], row["exit"]) for row in rows] == [(b, str(e)) for b in ("2", "5") for e in range(LAYERS)]
    assert all(float(row["milliseconds"]) > 0 for row in rows)
    runs = rows_of(timings)
    assert len(runs) == 4 and list(runs[0]) == ["ms_0", "ms_1", "ms_2", "check_0", "check_1", "check_2"]
    assert all(0 < float(row["ms_0"]) < float(row["ms_1"]) < float(row["ms_2"]) for row in runs)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "costs.csv",
        "heads.safetensors",
        "texts.txt",
        "times.csv",
    ]


def test_nobody_leaves_while_a_policy_is_timed(model: Path, heads: Path, texts: Path, tmp_path: Path) -> None:
    import hashlib

    content = {
        "format": "beem-policy", "version": 1, "name": "tiny", "classes": ["no", "yes"],
        "rule": {"kind": "static", "confidence": "max-probability"},
        "exits": [
            {"index": i, "name": f"layer {i + 1}", "cost": i + 1, "weight": 1, "temperature": 1,
             "threshold": 0 if i == 0 else None}
            for i in range(LAYERS)
        ],
        "heads": {"file": heads.name, "sha256": hashlib.sha256(heads.read_bytes()).hexdigest()},
        "certificate": None, "test": None,
        "provenance": {"recipe": "", "features": {"sha256": ""}, "seed": 0, "tool": "test"},
    }  # fmt: skip
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(content))
    output = tmp_path / "costs.csv"
    with pytest.warns(UserWarning, match="no certificate"):
        assert run(model, "--policy", policy, "--texts", texts, "--output", output, "--repeats", 2) == 0
    assert len(rows_of(output)) == LAYERS


def test_increments_are_medians_of_differences() -> None:
    cumulative = np.array([[1.0, 3.0], [2.0, 3.0], [9.0, 19.0]])
    np.testing.assert_array_equal(increments(cumulative), [2.0, 2.0])


def test_texts_are_lines_or_members(tmp_path: Path) -> None:
    lines, members = tmp_path / "a.txt", tmp_path / "a.jsonl"
    lines.write_text("one\n\n two\u2028three\n", encoding="utf-8")
    members.write_text('{"body": "one"}\n{"body": "two"}\n')
    assert read_texts(lines, "text") == ["one", "two\u2028three"]
    assert read_texts(members, "body") == ["one", "two"]
    with pytest.raises(InputError, match=r"a\.jsonl: line 1: .*expected an object with a text in 'text'"):
        read_texts(members, "text")
    lines.write_bytes(b"caf\xe9\n")
    with pytest.raises(InputError, match="not UTF-8"):
        read_texts(lines, "text")
    lines.write_text("\n")
    with pytest.raises(InputError, match="no text"):
        read_texts(lines, "text")
    with pytest.raises(InputError, match="cannot be read"):
        read_texts(tmp_path / "none.txt", "text")


def test_a_table_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")

    def failing():
        yield (1,)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_table(path, ("a",), failing())
    assert path.read_text() == "old" and [file.name for file in tmp_path.iterdir()] == ["a.csv"]
    with pytest.raises(InputError, match="cannot be written"):
        write_table(tmp_path / "none" / "a.csv", ("a",), [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", "0"], r"--batch: saw \[0\]"),
        (["--batch", "2", "2"], r"--batch: saw \[2, 2\]"),
        (["--repeats", "0"], "--repeats: saw 0"),
        (["--batch", "7"], "saw 6 texts|6 texts; expected 7 or more"),
        (["--layers", "1", "2"], "saw 1, 2 for 3 exits"),
    ],
)
def test_wrong_arguments_are_said(
    model: Path, heads: Path, texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    arguments: list[str], message: str,
) -> None:  # fmt: skip
    import re

    output = tmp_path / "costs.csv"
    assert run(model, "--heads", heads, "--texts", texts, "--output", output, *arguments) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not output.exists()


def test_the_parser_needs_no_torch() -> None:
    code = (
        "import sys, argparse; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "from beem_policy import timing\n"
        "parser = argparse.ArgumentParser(); timing.add_command(parser.add_subparsers())\n"
        "o = parser.parse_args(['time', 'm', '--heads', 'h', '--texts', 't', '--output', 'c'])\n"
        "sys.exit(o.run(o))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 2 and "beem-policy[torch]" in done.stderr
