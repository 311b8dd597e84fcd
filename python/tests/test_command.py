"""`beem-policy`, end to end."""

from __future__ import annotations

import json
import sys
import types

import numpy as np
import pytest
from support import DATA, policy_value, safetensors_bytes

from beem_policy import command
from beem_policy.decision_table import double_text, float_text


@pytest.fixture(autouse=True)
def keep_warnings():
    import warnings

    with warnings.catch_warnings():
        yield


def run(*arguments: object) -> int:
    return command.main(["decide", *map(str, arguments)])


def test_decides_as_beem_apply_did(capsys):
    folder = DATA / "recorded"
    assert run(folder / "policy.json", folder / "outputs.csv") == 0
    captured = capsys.readouterr()
    assert captured.out == (folder / "decisions.csv").read_text()
    assert captured.err == ""


def test_writes_the_file_it_was_asked_for_and_nothing_else(tmp_path, capsys):
    folder = DATA / "patience"
    assert run(folder / "policy.json", folder / "outputs.csv", "--output", tmp_path / "d.csv") == 0
    assert (tmp_path / "d.csv").read_text() == (folder / "decisions.csv").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["d.csv"]
    assert capsys.readouterr().out == ""
    assert run(folder / "policy.json", folder / "outputs.csv", "--output", tmp_path / "no" / "d.csv") == 2
    assert "cannot be written (No such file or directory)" in capsys.readouterr().err
    (tmp_path / "folder").mkdir()
    assert run(folder / "policy.json", folder / "outputs.csv", "--output", tmp_path / "folder") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.csv", "folder"]


def test_warns_of_a_policy_without_a_certificate(tmp_path, capsys):
    policy, outputs = write(tmp_path, policy_value(2), b"label_0,confidence_0,label_1,confidence_1\nno,1,no,1\n")
    assert run(policy, outputs) == 0
    captured = capsys.readouterr()
    assert captured.out == "sample,exit,label,score,cost\n0,1,0,1.5,2.0\n"
    assert captured.err == f"beem-policy: warning: {policy} has no certificate\n"


def write(folder, policy: dict, data: bytes, name: str = "outputs.csv"):
    (folder / "policy.json").write_text(json.dumps(policy))
    (folder / name).write_bytes(data)
    return folder / "policy.json", folder / name


def labels(**changes) -> dict[str, np.ndarray]:
    tensors = {f"label.{i}": np.array([0, 1], np.int32) for i in range(2)}
    tensors |= {f"confidence.{i}": np.array([0.5, 1], np.float32) for i in range(2)}
    tensors |= {name.replace("_", "."): value for name, value in changes.items()}
    return {name: value for name, value in tensors.items() if value is not None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an empty file; expected a header and rows"),
        ("label_0,label_1\n", "a header and no rows; expected a header and rows"),
        ("label_0,label_1\nno\n", "row 1: 1 texts; expected 2, as many as the header has"),
        ('label_0,label_1\n"no,yes\n', "text that cannot be parsed"),
        ("sample,exit,label\n1,0,no\n", "column 'label_<i>': no column of that pattern; expected label_0, label_1"),
        ("label_0,label_2\nno,no\n", "column 'label_1': no such column; expected a column for each exit from 0 to 2"),
        ("label_0,label_1,label_2\nno,no,no\n", "3 exits, exit 0, exit 1, exit 2; expected 2, "),
        ("label_0,label_1\nno,no\n", "confidence_<i>: labels without it; expected what the rule's confidence measures"),
        ("label_0,label_1,confidence_0\nno,no,1\n", "column 'confidence_1': no such column"),
        ("label_0,label_1,confidence_0,confidence_1\nno,,1,1\n", "row 1, column 'label_1': nothing; expected a label"),
        (
            "label_0,label_1,confidence_0,confidence_1\nno,on,1,1\n",
            "labels: 'on'; expected one of the 2 classes no, yes",
        ),
        ("label_0,label_1,confidence_0,confidence_1\n0,2,1,1\n", "labels: '2'; expected one of the 2 classes"),
        (
            "label_0,label_1,confidence_0,confidence_1\nno,no,1,1_0\n",
            "row 1, column 'confidence_1': '1_0'; expected a finite",
        ),
        (
            "label_0,label_1,confidence_0,confidence_1\nno,no,1,nan\n",
            "row 1, column 'confidence_1': 'nan'; expected a finite",
        ),
        (
            "label_0,label_1,confidence_0,confidence_1\nno,no,1,1e39\n",
            "row 1, column 'confidence_1': '1e39'; expected a finite",
        ),
        (
            "label_0,label_1,confidence_0,confidence_1\nno,no,1,\n",
            "row 1, column 'confidence_1': nothing; expected a finite",
        ),
        (
            "label_0,label_0,label_1,confidence_0,confidence_1\nno,no,no,1,1\n",
            "column 'label_0': 2 columns of that name",
        ),
    ],
)
def test_wrong_tables_are_refused_by_name(tmp_path, capsys, text, message):
    assert run(*write(tmp_path, policy_value(2), text.encode())) == 2
    errors = capsys.readouterr().err
    assert f"beem-policy: error: {tmp_path / 'outputs.csv'}: {message}" in errors


def test_tables_count_from_1_name_classes_by_number_and_may_have_tabs(tmp_path, capsys):
    text = "label_1\tlabel_2\tconfidence_1\tconfidence_2\ttarget\n0\t1.0\t0.5\t1\tx\n"
    assert run(*write(tmp_path, policy_value(2), b"\xef\xbb\xbf" + text.encode(), "outputs.tsv")) == 0
    assert capsys.readouterr().out.splitlines()[1] == "0,1,1,0.75,2.0"


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        (
            {"x": np.zeros(1, np.float32)},
            None,
            "label.0: no tensors `label.<i>` or `logits.<i>`; expected exit outputs",
        ),
        (labels(label_1=None), None, "label.<i>: 1 exits, exit 0; expected 2, "),
        (labels(label_2=np.zeros(2, np.int32)), None, "label.<i>: 3 exits, exit 0, exit 1, exit 2; expected 2, "),
        (labels(label_3=np.zeros(2, np.int32)), None, "label.2: no such tensor, but 'label.3'"),
        (labels(label_1=np.array([0, 2], np.int32)), None, "label.1[1]: 2; expected a label in 0..<2"),
        (labels(label_1=np.array([0.5, 2], np.float32)), None, "label.1: elements of type F32; expected I32 or I64"),
        (labels(label_1=np.zeros(3, np.int32)), None, "label.1: shape [3]; expected [2], one for each sample"),
        (labels(label_0=np.zeros(0, np.int32)), None, "label.0: shape [0]; expected a row for each sample, at least 1"),
        (labels(confidence_0=None, confidence_1=None), None, "confidence.<i>: labels without it"),
        (labels(confidence_1=None), None, "confidence.<i>: 1 exits, exit 0; expected 2, "),
        (labels(confidence_1=np.array([0, np.nan], np.float32)), None, "confidence.1, row 1: NaN or infinity"),
        (labels(confidence_1=np.zeros(3, np.float32)), None, "confidence.1: shape [3]; expected [2]"),
        (labels(), {"classes": '["a", "b"]'}, 'metadata \'classes\': ["a", "b"]; expected ["no", "yes"], as in'),
        (
            {f"logits.{i}": np.zeros((2, 3), np.float32) for i in range(2)},
            None,
            "logits.0: shape [2, 3]; expected [2, 2]",
        ),
        (
            {f"logits.{i}": np.full((2, 2), np.nan, np.float32) for i in range(2)},
            None,
            "logits.0, row 0: NaN or infinity; expected finite numbers",
        ),
    ],
)
def test_wrong_outputs_are_refused_by_name(tmp_path, capsys, tensors, metadata, message):
    data = safetensors_bytes(tensors, metadata)
    assert run(*write(tmp_path, policy_value(2), data, "outputs.safetensors")) == 2
    assert f"outputs.safetensors: {message}" in capsys.readouterr().err


def test_confidences_cannot_be_rescaled(tmp_path, capsys):
    policy = policy_value(2)
    policy["exits"][0]["temperature"] = 2
    assert run(*write(tmp_path, policy, safetensors_bytes(labels()), "outputs.safetensors")) == 2
    assert "confidences, and a temperature of 2.0" in capsys.readouterr().err


def test_policies_with_heads_want_features(tmp_path, capsys):
    folder = DATA / "linear"
    assert run(folder / "policy.json", DATA / "recorded" / "outputs.csv") == 2
    assert "no features, but what exits said; expected features for the heads of" in capsys.readouterr().err
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors_bytes(labels()))
    assert run(folder / "policy.json", path) == 2
    assert "no features, but what exits said" in capsys.readouterr().err
    path.write_bytes(safetensors_bytes({f"features.{i}": np.zeros((2, 9), np.float32) for i in range(4)}))
    assert run(folder / "policy.json", path) == 2
    assert "features.0: shape [2, 9]; expected [2, 5], as the heads of" in capsys.readouterr().err
    path.write_bytes(safetensors_bytes({f"features.{i}": np.full((2, 5), np.inf, np.float32) for i in range(4)}))
    assert run(folder / "policy.json", path) == 2
    assert "features.0, row 0: NaN or infinity" in capsys.readouterr().err


def test_other_commands_are_added_where_they_can_be_imported(monkeypatch, capsys):
    def add_command(subparsers):
        parser = subparsers.add_parser("fresh", help="something else")
        parser.set_defaults(run=lambda options: 7)

    monkeypatch.setattr(command, "OPTIONAL", ("fresh", "absent", "broken"))
    fresh = types.ModuleType("beem_policy.fresh")
    fresh.add_command = add_command
    monkeypatch.setitem(sys.modules, "beem_policy.fresh", fresh)
    # None in sys.modules: importing fails.
    monkeypatch.setitem(sys.modules, "beem_policy.broken", None)
    assert command.main(["fresh"]) == 7
    with pytest.raises(SystemExit) as caught:
        command.main(["--help"])
    assert caught.value.code == 0 and "fresh" in capsys.readouterr().out


def test_help_says_what_a_command_misses(monkeypatch):
    monkeypatch.setattr(command, "OPTIONAL", ("needy",))

    def importing(name):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(command.importlib, "import_module", importing)
    assert command.parser().epilog == "needy is left out: No module named 'torch'."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.0"), (-0.0, "-0.0"), (0.1, "0.1"), (1e-4, "0.0001"), (1e-5, "1e-05"), (2.0**53, "9007199254740992.0"),
        (2.0**53 + 2, "9.007199254740994e+15"), (-9999999999999998.0, "-9.999999999999998e+15"), (1e16, "1e+16"),
        (2.0**54, "1.8014398509481984e+16"), (2.0**55, "3.602879701896397e+16"), (1e22, "1e+22"), (5e-324, "5e-324"),
    ],
)  # fmt: skip
def test_doubles_are_written_as_swift_writes_them(value, text):
    assert double_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1.0"), (-0.0, "-0.0"), (0.1, "0.1"), (1e-4, "0.0001"), (1e-5, "1e-05"), (2**24, "16777216.0"), (2**25, "3.3554432e+07"),
        (1e8, "1e+08"), (1.5e8, "1.5e+08"), (0.33130664, "0.33130664"), (1e-45, "1e-45"),
    ],
)  # fmt: skip
def test_floats_are_written_as_swift_writes_them(value, text):
    assert float_text(np.float32(value)) == text
