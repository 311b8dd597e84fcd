"""Early exit around tiny random encoders equals running every layer and deciding afterwards. Nothing is downloaded."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
safetensors_numpy = pytest.importorskip("safetensors.numpy")

from beem_policy import BatchSession, Heads, HiddenHead, LinearHead, Policy, Rule
from beem_policy.pooling import pool
from beem_policy.torch_encoder import SUPPORTED_MODEL_TYPES, EarlyExitEncoder, EncoderError
from beem_policy.torch_heads import torch_head

torch.set_num_threads(1)  # tiny matrices: threads would only wait for each other

LAYERS, WIDTH, CLASSES = 4, 16, 3
SIZES = {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": 2, "intermediate_size": 32}

pytestmark = pytest.mark.filterwarnings("ignore:.*has no certificate")

# Two ways to the same sums: other batches and other padding move the last bits of four layers of Float32.
CLOSE = 1e-5


def tiny_model(model_type: str, **settings: object) -> transformers.PreTrainedModel:
    torch.manual_seed(7)
    text = {"vocab_size": 50, "max_position_embeddings": 40, "pad_token_id": 1}
    if model_type == "distilbert":
        names = {"dim": WIDTH, "n_layers": LAYERS, "n_heads": 2, "hidden_dim": 32}
        config = transformers.DistilBertConfig(**text, **names, **settings)
    elif model_type == "vit":
        config = transformers.ViTConfig(**SIZES, image_size=8, patch_size=4, num_channels=1, **settings)
    else:
        config = transformers.AutoConfig.for_model(model_type, **text, **SIZES, **settings)
    model = transformers.AutoModel.from_config(config).eval()
    with torch.no_grad():  # random layers hardly change their input; larger ones make exits that disagree
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(6)
    return model


def inputs_of(model_type: str, rows: int, padding_side: str = "right") -> dict[str, torch.Tensor]:
    """Texts of 2 to 12 tokens, padded, or images."""
    generator = torch.Generator().manual_seed(rows)
    if model_type == "vit":
        return {"pixel_values": torch.randn(rows, 1, 8, 8, generator=generator)}
    lengths = torch.randint(2, 13, (rows,), generator=generator)
    places = torch.arange(int(lengths.max()))
    is_token = places < lengths[:, None] if padding_side == "right" else places >= places.numel() - lengths[:, None]
    tokens = torch.randint(2, 50, is_token.shape, generator=generator)
    return {"input_ids": torch.where(is_token, tokens, 1), "attention_mask": is_token.to(torch.int64)}


def write_policy(
    folder: Path, thresholds: list[float | None], width: int = WIDTH, names: list[str] | None = None
) -> Policy:
    """A BEEM policy with random heads; the last threshold is null."""
    generator = np.random.default_rng(7)
    tensors = {}
    for index in range(len(thresholds)):
        tensors[f"exit.{index}.weight"] = generator.normal(size=(CLASSES, width)).astype(np.float32)
        tensors[f"exit.{index}.bias"] = generator.normal(size=CLASSES).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    safetensors_numpy.save_file(tensors, folder / "heads.safetensors")
    names = names or [f"layer {index + 1}" for index in range(len(thresholds))]
    content = {
        "format": "beem-policy", "version": 1, "name": "tiny", "classes": ["a", "b", "c"][:CLASSES],
        "rule": {
            "kind": "beem", "weights": "accuracy", "memory": 0.5, "confidence": "max-probability", "restart": "current",
        },
        "exits": [
            {"index": i, "name": name, "cost": i + 1, "weight": 0.5 + 0.1 * i, "temperature": 1, "threshold": threshold}
            for i, (name, threshold) in enumerate(zip(names, thresholds))
        ],
        "heads": {
            "file": "heads.safetensors",
            "sha256": hashlib.sha256((folder / "heads.safetensors").read_bytes()).hexdigest(),
        },
        "certificate": None, "test": None,
        "provenance": {"recipe": "", "features": {"sha256": ""}, "seed": 0, "tool": "test"},
    }  # fmt: skip
    path = folder / "policy.json"
    path.write_text(json.dumps(content))
    return Policy.load(path)


def all_logits(model, inputs, policy: Policy, pooling: str) -> list[np.ndarray]:
    """The logits of every exit for every row, from the model's own `forward`."""
    with torch.inference_mode():
        states = model(**inputs, output_hidden_states=True).hidden_states[1:]
    heads = policy.load_heads()
    features = [pool(hidden, inputs.get("attention_mask"), pooling) for hidden in states]
    return [heads[index].logits(values.numpy()) for index, values in enumerate(features)]


def decided_afterwards(policy: Policy, logits: list[np.ndarray]) -> BatchSession:
    session = BatchSession(policy, len(logits[0]))
    for values in logits:
        session.observe_logits(values[session.active])
    return session


def policy_that_spreads(folder: Path, model, inputs, pooling: str = "mean") -> Policy:
    """Thresholds at which a good part of the rows that are left leaves at every exit, midway between two scores."""
    thresholds: list[float | None] = [None] * LAYERS
    for index in range(LAYERS - 1):
        # With this exit as the last, everybody who is left leaves here and shows a score.
        policy = write_policy(folder, thresholds[:index] + [-1.0] + thresholds[index + 1 :])
        session = decided_afterwards(policy, all_logits(model, inputs, policy, pooling))
        here = np.sort(session.scores[session.exits == index])
        place = max(1, len(here) * 2 // 3)
        thresholds[index] = float((here[place - 1] + here[place]) / 2) if len(here) > 1 else None
    return write_policy(folder, thresholds)


def assert_same_decisions(result, expected: BatchSession, policy: Policy) -> None:
    thresholds = [exit_.threshold for exit_ in policy.exits]
    is_close = np.zeros(len(result.exits), bool)
    for row, exit_index in enumerate(np.minimum(result.exits, expected.exits)):
        threshold = thresholds[exit_index]
        # At the earlier of two exits one of them left: there its score is on record.
        score = result.scores[row] if result.exits[row] == exit_index else expected.scores[row]
        is_close[row] = threshold is not None and abs(score - threshold) < CLOSE
    assert is_close.sum() == 0, "the thresholds of these tests lie between scores"
    np.testing.assert_array_equal(result.exits, expected.exits)
    np.testing.assert_array_equal(result.labels, expected.labels)
    np.testing.assert_array_equal(result.costs, expected.costs)
    np.testing.assert_allclose(result.scores, expected.scores, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("batch_size", [None, 1, 5, 64])
@pytest.mark.parametrize("model_type", SUPPORTED_MODEL_TYPES)
def test_early_exit_equals_all_layers_and_deciding_afterwards(
    tmp_path: Path, model_type: str, batch_size: int | None, pooling: str
) -> None:
    model, inputs = tiny_model(model_type), inputs_of(model_type, rows=41)
    policy = policy_that_spreads(tmp_path, model, inputs, pooling)
    expected = decided_afterwards(policy, all_logits(model, inputs, policy, pooling))
    assert len(set(expected.exits)) == LAYERS, "rows leave everywhere, or the test shows nothing"
    encoder = EarlyExitEncoder(model, policy, pooling=pooling, keeps_statistics=True)
    seen: list[tuple[int, int]] = []
    result = encoder(inputs, batch_size=batch_size, on_exit=lambda index, rows: seen.append((index, rows)))
    assert_same_decisions(result, expected, policy)
    assert seen == [(index, int((expected.exits >= index).sum())) for index in range(LAYERS)]
    np.testing.assert_array_equal(encoder.statistics.counts, np.bincount(expected.exits, minlength=LAYERS))
    assert encoder.statistics.mean_cost == pytest.approx(expected.costs.mean(), rel=1e-12)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_padding_on_the_left_and_either_attention_give_the_same(tmp_path: Path, attention: str) -> None:
    model, inputs = tiny_model("bert", attn_implementation=attention), inputs_of("bert", 23, padding_side="left")
    policy = policy_that_spreads(tmp_path, model, inputs)
    expected = decided_afterwards(policy, all_logits(model, inputs, policy, "mean"))
    for batch_size in (None, 4):
        assert_same_decisions(EarlyExitEncoder(model, policy)(inputs, batch_size), expected, policy)


def test_layers_without_exits_are_run_and_layers_after_the_last_exit_are_not(tmp_path: Path) -> None:
    model, inputs = tiny_model("bert"), inputs_of("bert", 9)
    policy = write_policy(tmp_path, [None, None], names=["layer 1", "layer 3"])
    with torch.inference_mode():
        states = model(**inputs, output_hidden_states=True).hidden_states
    logits = [
        head.logits(pool(states[layer], inputs["attention_mask"], "mean").numpy())
        for head, layer in zip(policy.load_heads(), (1, 3))
    ]
    ran: list[int] = []
    for number, layer in enumerate(model.encoder.layer, start=1):
        layer.register_forward_hook(lambda *_, number=number: ran.append(number))
    for layers in (None, [1, 3]):
        ran.clear()
        result = EarlyExitEncoder(model, policy, layers=layers)(inputs)
        assert ran == [1, 2, 3]
        assert_same_decisions(result, decided_afterwards(policy, logits), policy)


def test_nothing_runs_after_all_have_left(tmp_path: Path) -> None:
    model, inputs = tiny_model("mpnet"), inputs_of("mpnet", 6)
    ran: list[int] = []
    for number, layer in enumerate(model.encoder.layer, start=1):
        layer.register_forward_hook(lambda *_, number=number: ran.append(number))
    result = EarlyExitEncoder(model, write_policy(tmp_path, [None, 0.0, None, None]))(inputs)
    assert ran == [1, 2] and set(result.exits) == {1} and set(result.costs) == {2}


def test_survivors_are_regrouped_to_full_batches(tmp_path: Path) -> None:
    model, inputs = tiny_model("bert"), inputs_of("bert", 41)
    policy = policy_that_spreads(tmp_path, model, inputs)
    sizes: list[list[int]] = [[] for _ in range(LAYERS)]
    for number, layer in enumerate(model.encoder.layer):
        layer.register_forward_hook(lambda _, arguments, __, number=number: sizes[number].append(len(arguments[0])))
    result = EarlyExitEncoder(model, policy)(inputs, batch_size=8)
    for layer, batches in enumerate(sizes):
        assert sum(batches) == (result.exits >= layer).sum()
        assert all(size == 8 for size in batches[:-1]) and 1 <= batches[-1] <= 8


def test_exits_that_predict_numbers_leave_when_two_agree(tmp_path: Path) -> None:
    model, inputs = tiny_model("bert"), inputs_of("bert", 12)
    policy = write_policy(tmp_path, [None] * LAYERS)
    heads = Heads([LinearHead(head.weight[:1], head.bias[:1]) for head in policy.load_heads()])
    exits = tuple(dataclasses.replace(exit_, threshold=1.0 if exit_.index else None) for exit_ in policy.exits[:-1])
    policy = dataclasses.replace(
        policy,
        classes=("number",),
        rule=Rule(kind="patience", confidence="max-probability", tolerance=0.5),
        exits=(*exits, policy.exits[-1]),
    )
    with torch.inference_mode():
        states = model(**inputs, output_hidden_states=True).hidden_states[1:]
    said = [
        head.logits(pool(hidden, inputs["attention_mask"], "mean").numpy())[:, 0]
        for head, hidden in zip(heads, states, strict=True)
    ]
    result = EarlyExitEncoder(model, policy, heads)(inputs)
    for row in range(12):
        agree = [index for index in range(1, LAYERS) if abs(said[index][row] - said[index - 1][row]) <= 0.5]
        assert result.exits[row] == (agree[0] if agree else LAYERS - 1)
        assert result.numbers[row] == pytest.approx(said[result.exits[row]][row], abs=CLOSE)


def test_no_rows_are_no_decisions(tmp_path: Path) -> None:
    inputs = {name: values[:0] for name, values in inputs_of("bert", 2).items()}
    result = EarlyExitEncoder(tiny_model("bert"), write_policy(tmp_path, [None] * LAYERS))(inputs)
    assert len(result.labels) == len(result.exits) == 0


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_pooling_without_a_mask_has_the_bits_of_a_mask_of_ones(pooling: str) -> None:
    hidden = torch.randn(5, 9, WIDTH, generator=torch.Generator().manual_seed(7))
    assert torch.equal(pool(hidden, None, pooling), pool(hidden, torch.ones(5, 9), pooling))


@pytest.mark.parametrize("activation", [None, "tanh", "relu", "gelu"])
@pytest.mark.parametrize("has_norm", [False, True])
def test_heads_on_torch_are_those_on_numpy(activation: str | None, has_norm: bool) -> None:
    generator = np.random.default_rng(7)

    def draw(*shape: int) -> np.ndarray:
        return generator.normal(size=shape).astype(np.float32)

    if activation is None:
        head = LinearHead(draw(CLASSES, WIDTH), draw(CLASSES))
    else:
        norm = (draw(WIDTH), draw(WIDTH)) if has_norm else (None, None)
        head = HiddenHead(draw(8, WIDTH), draw(8), activation, draw(CLASSES, 8), draw(CLASSES), *norm)
    features = 2 * draw(50, WIDTH) + 3
    on_torch = torch_head(head, torch.device("cpu"))(torch.from_numpy(features)).numpy()
    assert on_torch.dtype == np.float32
    # Two sums of 16 and 8 products of numbers up to some tens, in Float32.
    np.testing.assert_allclose(on_torch, head.logits(features), rtol=0, atol=24 * 64 * 2.0**-23)


def test_what_does_not_go_together_is_said(tmp_path: Path) -> None:
    bert = tiny_model("bert")
    policy = write_policy(tmp_path / "right", [None] * LAYERS)
    encoder = EarlyExitEncoder(bert, policy)
    gpt = transformers.GPT2Model(transformers.GPT2Config(n_embd=WIDTH, n_layer=1, n_head=2, vocab_size=50))
    with pytest.raises(EncoderError, match="saw 'gpt2', expected one of bert, distilbert, mpnet, roberta, vit"):
        EarlyExitEncoder(gpt, policy)
    with pytest.raises(EncoderError, match="saw a decoder of type 'bert'"):
        EarlyExitEncoder(tiny_model("bert", is_decoder=True), policy)
    with pytest.raises(EncoderError, match="exit 0 takes 8 features, expected 16, .*--full-width"):
        EarlyExitEncoder(bert, write_policy(tmp_path / "narrow", [None] * LAYERS, width=8))
    with pytest.raises(EncoderError, match="pooling: saw 'max'"):
        EarlyExitEncoder(bert, policy, pooling="max")
    with pytest.raises(
        EncoderError, match="layers: saw 1, 2, 3, 4, 5 for 5 exits, expected increasing numbers from 1 to 4"
    ):
        EarlyExitEncoder(bert, write_policy(tmp_path / "long", [None] * 5))
    with pytest.raises(EncoderError, match="layers: saw 2 exits named x, y and 4 layers; say with layers="):
        EarlyExitEncoder(bert, write_policy(tmp_path / "named", [None] * 2, names=["x", "y"]))
    with pytest.raises(EncoderError, match="layers: saw 3, 1 for 2 exits"):
        EarlyExitEncoder(bert, write_policy(tmp_path / "order", [None] * 2), layers=[3, 1])
    inputs = inputs_of("bert", 3)
    with pytest.raises(EncoderError, match="inputs: saw pixel_values, expected input_ids"):
        encoder(inputs_of("vit", 2))
    with pytest.raises(
        EncoderError, match="inputs: saw position_ids, expected input_ids, token_type_ids, attention_mask"
    ):
        encoder({**inputs, "position_ids": inputs["input_ids"]})
    with pytest.raises(EncoderError, match=r"attention_mask has the shape \[3, 1\], expected that of input_ids"):
        encoder({**inputs, "attention_mask": inputs["attention_mask"][:, :1]})
    with pytest.raises(EncoderError, match="row 1 has no token in attention_mask"):
        encoder({**inputs, "attention_mask": inputs["attention_mask"] * torch.tensor([[1], [0], [1]])})
    with pytest.raises(EncoderError, match="batch_size: saw 0"):
        encoder(inputs, batch_size=0)
