"""Encoders in ONNX segments decide in onnxruntime as `EarlyExitEncoder` does on torch. Nothing is downloaded."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("safetensors")

from test_torch_encoder import (
    LAYERS,
    all_logits,
    assert_same_decisions,
    decided_afterwards,
    inputs_of,
    policy_that_spreads,
    tiny_model,
    write_policy,
)

from beem_policy import InputError, Policy, command
from beem_policy.onnx_encoder import OnnxEarlyExit
from beem_policy.onnx_segments import export_segments
from beem_policy.serving import EncoderError
from beem_policy.timing import never_leaving
from beem_policy.torch_encoder import SUPPORTED_MODEL_TYPES, EarlyExitEncoder

pytestmark = pytest.mark.filterwarnings("ignore:.*has no certificate")

CLOSE = 1e-5


def arrays(inputs: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: values.numpy() for name, values in inputs.items()}


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("model_type", SUPPORTED_MODEL_TYPES)
def test_segments_decide_as_torch_does(tmp_path: Path, model_type: str, pooling: str) -> None:
    model, inputs = tiny_model(model_type), inputs_of(model_type, rows=41)
    policy = policy_that_spreads(tmp_path / "policy", model, inputs, pooling)
    encoder = EarlyExitEncoder(model, policy, pooling=pooling)
    expected = decided_afterwards(policy, all_logits(model, inputs, policy, pooling))
    assert len(set(expected.exits)) == LAYERS, "rows leave everywhere, or the test shows nothing"
    difference = export_segments(model, policy, tmp_path / "onnx", pooling=pooling)
    assert difference is not None and difference < CLOSE
    segments = OnnxEarlyExit(tmp_path / "onnx", threads=1, keeps_statistics=True)
    assert segments.layers == encoder.layers and segments.manifest.pooling == pooling
    for ours, theirs in zip(encoder.logits(inputs), segments.logits(arrays(inputs))):
        # Relative to the largest logit: layers whose weights were made six times as large have logits of some tens.
        assert np.abs(ours - theirs).max() <= CLOSE * max(1, np.abs(ours).max())
    for batch_size in (None, 1, 5, 64):
        seen: list[tuple[int, int]] = []
        result = segments(arrays(inputs), batch_size, on_exit=lambda index, rows: seen.append((index, rows)))  # noqa: B023
        assert_same_decisions(result, expected, policy)
        np.testing.assert_array_equal(result.exits, encoder(inputs, batch_size).exits)
        assert seen == [(index, int((expected.exits >= index).sum())) for index in range(LAYERS)]
    np.testing.assert_array_equal(segments.statistics.counts, 4 * np.bincount(expected.exits, minlength=LAYERS))


def test_padding_on_the_left_and_no_mask(tmp_path: Path) -> None:
    model, inputs = tiny_model("bert"), inputs_of("bert", 23, padding_side="left")
    policy = policy_that_spreads(tmp_path / "policy", model, inputs)
    export_segments(model, policy, tmp_path / "onnx")
    segments = OnnxEarlyExit(tmp_path / "onnx")
    expected = decided_afterwards(policy, all_logits(model, inputs, policy, "mean"))
    assert_same_decisions(segments(arrays(inputs), 4), expected, policy)
    whole = {"input_ids": inputs["input_ids"]}
    expected = decided_afterwards(policy, all_logits(model, whole, policy, "mean"))
    assert_same_decisions(segments(arrays(whole)), expected, policy)
    empty = {name: values[:0] for name, values in arrays(inputs).items()}
    assert len(segments(empty).exits) == 0


def test_layers_between_exits_are_in_their_segment_and_layers_after_the_last_in_none(tmp_path: Path) -> None:
    model, inputs = tiny_model("mpnet"), inputs_of("mpnet", 9)
    policy = write_policy(tmp_path / "policy", [None, None], names=["layer 1", "layer 3"])
    export_segments(model, policy, tmp_path / "onnx")
    segments = OnnxEarlyExit(tmp_path / "onnx")
    assert segments.layers == (1, 3)
    encoder = EarlyExitEncoder(model, policy)
    for ours, theirs in zip(encoder.logits(inputs), segments.logits(arrays(inputs))):
        assert np.abs(ours - theirs).max() <= CLOSE * max(1, np.abs(ours).max())
    graphs = [onnx.load(tmp_path / "onnx" / f"segment-{index}.onnx").graph for index in range(2)]
    assert [sum(node.op_type == "Softmax" for node in graph.node) for graph in graphs] == [1, 2]  # one in each layer


def test_no_segment_runs_after_all_have_left(tmp_path: Path) -> None:
    model, inputs = tiny_model("bert"), inputs_of("bert", 6)
    export_segments(model, write_policy(tmp_path / "policy", [None, 0.0, None, None]), tmp_path / "onnx")
    segments = OnnxEarlyExit(tmp_path / "onnx")
    segments._sessions[2:] = [None, None]
    assert set(segments(arrays(inputs)).exits) == {1}


def test_the_folder_runs_without_torch(tmp_path: Path) -> None:
    model, inputs = tiny_model("roberta"), inputs_of("roberta", 7)
    policy = policy_that_spreads(tmp_path / "policy", model, inputs)
    export_segments(model, policy, tmp_path / "onnx")
    np.savez(tmp_path / "inputs.npz", **arrays(inputs))
    code = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = sys.modules['onnx'] = None\n"
        "import numpy as np\n"
        "from beem_policy.onnx_encoder import OnnxEarlyExit\n"
        f"encoder = OnnxEarlyExit({str(tmp_path / 'onnx')!r}, threads=1)\n"
        f"print(encoder(dict(np.load({str(tmp_path / 'inputs.npz')!r}))).exits.tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == EarlyExitEncoder(model, policy)(inputs).exits.tolist()


def test_another_policy_for_the_same_heads_may_decide(tmp_path: Path) -> None:
    model, inputs = tiny_model("bert"), inputs_of("bert", 9)
    policy = policy_that_spreads(tmp_path / "policy", model, inputs)
    export_segments(model, policy, tmp_path / "onnx")
    waiting = never_leaving(policy, policy.load_heads())
    assert set(OnnxEarlyExit(tmp_path / "onnx", waiting)(arrays(inputs)).exits) == {LAYERS - 1}
    other = dataclasses.replace(policy, heads=dataclasses.replace(policy.heads, sha256="0" * 64))
    with pytest.raises(
        EncoderError, match="policy: saw .*policy.json, which is for other heads than .*onnx/policy.json"
    ):
        OnnxEarlyExit(tmp_path / "onnx", other)
    with pytest.raises(EncoderError, match="other exits or classes"):
        OnnxEarlyExit(tmp_path / "onnx", dataclasses.replace(policy, classes=("x", "y", "z")))


def test_a_folder_that_is_not_as_it_was_written_is_refused(tmp_path: Path) -> None:
    policy = write_policy(tmp_path / "policy", [None] * LAYERS)
    folder = tmp_path / "onnx"
    export_segments(tiny_model("distilbert"), policy, folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "policy.json", "segment-0.onnx", "segment-1.onnx", "segment-2.onnx", "segment-3.onnx", "segments.json"
    ]  # fmt: skip

    def refused() -> str:
        with pytest.raises(InputError) as caught:
            OnnxEarlyExit(folder)
        return str(caught.value)

    for name in ("policy.json", "segment-2.onnx"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content + b" ")
        assert f"{name}: SHA-256 " in refused() and "Files of two exports are mixed" in refused()
        (folder / name).unlink()
        assert f"{name}: cannot be read (No such file" in refused()
        (folder / name).write_bytes(content)
    manifest = json.loads((folder / "segments.json").read_text())
    for key, value, message in [
        ("version", 2, "segments.json: version: 2; expected 1. Install a newer beem-policy"),
        ("format", "other", "segments.json: format: "),
        ("layers", [1, 2], "segments.json: segments: "),
        ("mask", None, "segments.json: mask: null; expected true or false. Export it again"),
        ("segments", [{"file": "../x", "sha256": ""}], "segments.json: segments[0].file: "),
    ]:
        (folder / "segments.json").write_text(json.dumps({**manifest, key: value}))
        assert message in refused()
    (folder / "segments.json").write_text("{")
    assert "segments.json: " in refused()
    (folder / "segments.json").unlink()
    assert "expected a folder that `beem-policy export-onnx` wrote" in refused()


def test_an_export_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import beem_policy.onnx_segments as module

    policy, model = write_policy(tmp_path / "policy", [None] * LAYERS), tiny_model("bert")
    monkeypatch.setattr(module, "CLOSE", -1.0)
    with pytest.raises(EncoderError, match="exit 0: logits in onnxruntime differ from those of torch by"):
        export_segments(model, policy, tmp_path / "onnx")
    monkeypatch.setattr(module, "LARGEST", 10_000)
    with pytest.raises(
        EncoderError, match="exit 0: saw 1[0-9],[0-9]{3} bytes of parameters .*, expected at most 10,000"
    ):
        export_segments(model, policy, tmp_path / "onnx")
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["policy"]
    with pytest.raises(InputError, match="something that is there already; expected a new folder"):
        export_segments(model, policy, tmp_path / "policy")
    with pytest.raises(InputError, match="cannot be written"):
        export_segments(model, policy, tmp_path / "none" / "onnx")
    with pytest.raises(EncoderError, match="policy: saw one that is not what .* holds"):
        export_segments(model, dataclasses.replace(policy, name="other"), tmp_path / "onnx")
    with pytest.raises(EncoderError, match="saw torch.bfloat16 on cpu, expected torch.float32"):
        export_segments(tiny_model("bert").to(torch.bfloat16), policy, tmp_path / "onnx")
    attention = model.config._attn_implementation
    export_segments(model, policy, tmp_path / "onnx")
    export_segments(model, policy, tmp_path / "again")
    manifests = [(tmp_path / name / "segments.json").read_text() for name in ("onnx", "again")]
    assert manifests[0] == manifests[1], "the same encoder gives the same bytes"
    assert model.config._attn_implementation == attention and not model.training


def test_the_command_exports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, inputs = tiny_model("bert"), inputs_of("bert", 9)
    policy = policy_that_spreads(tmp_path / "policy", model, inputs)
    model.save_pretrained(tmp_path / "model")
    arguments = ["export-onnx", str(tmp_path / "model"), "--policy", str(tmp_path / "policy" / "policy.json")]
    assert command.main([*arguments, "--output", str(tmp_path / "onnx")]) == 0
    said = capsys.readouterr().out
    assert (
        "4 segments with heads, policy.json and segments.json" in said and "Logits in onnxruntime and in torch" in said
    )
    expected = EarlyExitEncoder(model, policy)(inputs)
    np.testing.assert_array_equal(OnnxEarlyExit(tmp_path / "onnx")(arrays(inputs)).exits, expected.exits)
    assert command.main([*arguments, "--output", str(tmp_path / "onnx")]) == 2
    assert "expected a new folder" in capsys.readouterr().err
    assert command.main([*arguments, "--output", str(tmp_path / "other"), "--layers", "1", "2"]) == 2
    assert "layers: saw 1, 2 for 4 exits" in capsys.readouterr().err


def test_exits_that_predict_numbers(tmp_path: Path) -> None:
    import hashlib

    from safetensors.numpy import save_file

    model, inputs = tiny_model("bert"), inputs_of("bert", 12)
    policy = write_policy(tmp_path / "policy", [None] * LAYERS)
    heads = policy.load_heads()
    tensors = {f"exit.{i}.weight": head.weight[:1] for i, head in enumerate(heads)}
    tensors |= {f"exit.{i}.bias": head.bias[:1] for i, head in enumerate(heads)}
    save_file(tensors, tmp_path / "policy" / "heads.safetensors")
    value = json.loads((tmp_path / "policy" / "policy.json").read_text())
    value["classes"] = ["number"]
    value["rule"] = {"kind": "patience", "confidence": "max-probability", "tolerance": 0.5}
    value["heads"]["sha256"] = hashlib.sha256((tmp_path / "policy" / "heads.safetensors").read_bytes()).hexdigest()
    for exit_ in value["exits"][1:-1]:
        exit_["threshold"] = 1
    (tmp_path / "policy" / "policy.json").write_text(json.dumps(value))
    policy = Policy.load(tmp_path / "policy" / "policy.json")
    export_segments(model, policy, tmp_path / "onnx")
    expected, result = EarlyExitEncoder(model, policy)(inputs), OnnxEarlyExit(tmp_path / "onnx")(arrays(inputs))
    np.testing.assert_array_equal(result.exits, expected.exits)
    np.testing.assert_allclose(result.numbers, expected.numbers, rtol=0, atol=1e-4)
