"""`beem-policy extract` on tiny random encoders, of texts and of images. Nothing is downloaded."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import read_safetensors, tiny_bert
from test_extract_data import draw, folder_of_images, write

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from beem_policy import InputError, command
from beem_policy.extract.encoders import batches_by_length
from beem_policy.extract.extraction import parse_layers
from beem_policy.extract.images import image_processor, prepared
from beem_policy.extract.train_draw import draw_train_rows
from beem_policy.pooling import pool

# --- texts ---------------------------------------------------------------------------------------------------------

TEXTS = ["good film", "bad", "a good bad film", "film", "not a good film", "not bad"]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert(tmp_path_factory.mktemp("models") / "tiny")


def extract(model: Path, data: Path, output: Path, *options: object) -> int:
    arguments = ["--model", model, "--data", data, "--output", output, "--threads", 1, *options]
    return command.main(["extract", *map(str, arguments)])


def run_extract(folder: Path, model: Path, *options: str, name: str = "cache") -> Path:
    """Extract `TEXTS` with `model`; the classes are `no` and `yes` in turn."""
    rows = [{"text": text, "label": "no" if row % 2 else "yes"} for row, text in enumerate(TEXTS)]
    data = write(folder, "texts.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    output = folder / f"{name}.safetensors"
    assert extract(model, data, output, *options) == 0
    return output


@pytest.mark.parametrize("padding_side", ["right", "left"])
def test_pooling_agrees_with_a_plain_loop_and_does_not_see_padding(padding_side: str) -> None:
    generator = torch.Generator().manual_seed(7)
    hidden = torch.randn(4, 6, 5, generator=generator)
    mask = torch.zeros(4, 6, dtype=torch.int64)
    for row, length in enumerate((6, 1, 3, 5)):
        kept = slice(0, length) if padding_side == "right" else slice(6 - length, 6)
        mask[row, kept] = 1
    hidden[mask == 0] = torch.inf
    mean, first = pool(hidden, mask, "mean"), pool(hidden, mask, "cls")
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
    lengths = [3, 9, 1, 4, 4, 30, 2]
    batches = list(batches_by_length(lengths, batch_tokens=12))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or max(lengths[row] for row in batch) * len(batch) <= 12 for batch in batches)


def test_layers_are_chosen_by_number_and_range() -> None:
    assert parse_layers("all", 3) == [1, 2, 3]
    assert parse_layers("1,3-5", 6) == [1, 3, 4, 5]
    for choice in ("0", "7", "2,1", "1,1", "3-2", "x", "1-", ""):
        with pytest.raises(InputError, match="--layers"):
            parse_layers(choice, 6)


def test_a_cache_has_the_tensors_and_metadata_of_the_design(tmp_path: Path, tiny_model: Path) -> None:
    tensors, metadata = read_safetensors(run_extract(tmp_path, tiny_model, "--source", "made up", "--license", "none"))
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
    path = run_extract(tmp_path, tiny_model, "--dtype", "f32", "--pooling", pooling, "--layers", "1,3")
    tensors, metadata = read_safetensors(path)
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
    exact, _ = read_safetensors(run_extract(tmp_path, tiny_model, "--dtype", "f32", name="exact"))
    short, _ = read_safetensors(run_extract(tmp_path, tiny_model, "--dtype", "bf16", name="short"))
    for name in ("features.0", "features.2"):
        rounded = torch.from_numpy(exact[name].copy()).to(torch.bfloat16)
        assert torch.equal(torch.from_numpy(short[name].copy()).view(torch.bfloat16), rounded)


@pytest.mark.parametrize(
    ("value", "reason"), [(float("nan"), "nan, which is not finite"), (1e6, "which does not fit into float16")]
)
def test_a_feature_that_the_cache_cannot_hold_is_named_and_leaves_no_file(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str], value: float, reason: str
) -> None:
    broken = tmp_path / "broken"
    model = transformers.AutoModel.from_pretrained(tiny_model)
    with torch.no_grad():
        model.encoder.layer[1].output.LayerNorm.bias[3] = value
    model.save_pretrained(broken)
    transformers.AutoTokenizer.from_pretrained(tiny_model).save_pretrained(broken)
    data = write(tmp_path, "a.csv", "text,label\ngood,1\nnot a bad film,0\nbad,1\nfilm,0\n")
    assert extract(broken, data, tmp_path / "out.safetensors") == 2
    message = capsys.readouterr().err
    assert (
        "a.csv: row 1 (line 3), layer 2: feature 3 is" in message and reason in message
    )  # the longest text goes first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "broken"]


def test_pairs_and_groups_reach_the_cache(tmp_path: Path, tiny_model: Path) -> None:
    data = write(
        tmp_path,
        "a.tsv",
        "a\tb\ty\tg\n" + "".join(f"good\t{text}\t{row % 2}\t{row // 2}\n" for row, text in enumerate(TEXTS)),
    )
    columns = ["--text-column", "a", "--pair-column", "b", "--label-column", "y", "--group-column", "g"]
    output = tmp_path / "out.safetensors"
    assert extract(tiny_model, data, output, *columns) == 0
    tensors, _ = read_safetensors(output)
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


# --- images --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tiny_vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViT of 3 layers and width 8 on images of 8 x 8 with random weights, and its image processor."""
    pytest.importorskip("PIL")
    folder = tmp_path_factory.mktemp("models") / "vit"
    torch.manual_seed(7)
    config = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16, image_size=8, patch_size=4
    )
    model = transformers.ViTModel(config)
    with torch.no_grad():  # a last norm that changes what comes before it: features are taken before
        model.layernorm.weight.fill_(3)
    model.save_pretrained(folder)
    transformers.ViTImageProcessorPil(size={"height": 8, "width": 8}).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_features_of_images_are_those_that_early_exit_serves(tmp_path: Path, tiny_vit: Path, pooling: str) -> None:
    """The states of `EarlyExitEncoder` itself, pooled as it pools them, give the same bits."""
    from test_torch_encoder import write_policy

    from beem_policy.torch_encoder import EarlyExitEncoder

    images = folder_of_images(tmp_path / "images")
    output = tmp_path / "cache.safetensors"
    assert extract(tiny_vit, images, output, "--dtype", "f32", "--pooling", pooling) == 0
    tensors, metadata = read_safetensors(output)
    assert metadata["classes"] == '["ant", "cat"]' and metadata["backbone"] == f"vit, {pooling} pooling"
    assert tensors["labels"].tolist() == [0, 0, 1, 1, 1]

    names = ["ant/0.png", "ant/1.png", "cat/a.jpg", "cat/b.png", "cat/more/c.png"]
    inputs = prepared(image_processor(str(tiny_vit)), [images / name for name in names])
    encoder = EarlyExitEncoder(
        transformers.AutoModel.from_pretrained(tiny_vit), write_policy(tmp_path, [None] * 3, width=8), pooling=pooling
    )
    served: list[np.ndarray] = []

    def spy(exit_index: int, batches: Any) -> np.ndarray:
        served.append(np.concatenate([pool(batch.hidden, batch.mask, encoder.pooling).numpy() for batch in batches]))
        return logits(exit_index, batches)

    logits, encoder._logits = encoder._logits, spy
    encoder(inputs)
    assert len(served) == 3
    for exit_index, features in enumerate(served):
        assert np.array_equal(tensors[f"features.{exit_index}"], features)
        assert len({row.tobytes() for row in features}) == 5


def test_images_of_a_table_in_small_batches_with_their_own_splits(tmp_path: Path, tiny_vit: Path) -> None:
    images = folder_of_images(tmp_path / "images")
    assert extract(tiny_vit, images, tmp_path / "whole.safetensors", "--dtype", "f32") == 0
    lines = ["file,label,split"]
    names = ["cat/a.jpg", "ant/0.png", "cat/b.png", "ant/1.png"]
    lines += [f"images/{name},{name[:3]},{split}" for name, split in zip(names, ["train", "train", "test", ""])]
    table = write(tmp_path, "a.csv", "\n".join(lines))
    options = ["--image-column", "file", "--split-column", "split", "--dtype", "f32", "--batch-tokens", "11"]
    assert extract(tiny_vit, table, tmp_path / "parts.safetensors", *options) == 0
    whole, _ = read_safetensors(tmp_path / "whole.safetensors")
    parts, _ = read_safetensors(tmp_path / "parts.safetensors")
    assert parts["split"].tolist() == [0, 0, 3, 255] and parts["labels"].tolist() == [1, 0, 1, 0]
    # Other batches: sums of up to 16 terms in three layers may be taken in another order.
    assert np.abs(parts["features.2"] - whole["features.2"][[2, 0, 3, 1]]).max() <= 3 * 16 * 2.0**-23 * 8


def test_grey_and_transparent_images_are_brought_to_rgb_and_turned(tmp_path: Path, tiny_vit: Path) -> None:
    from PIL import Image

    processor = image_processor(str(tiny_vit))
    grey = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    turned = Image.Exif()
    turned[0x0112] = 3  # half a turn
    grey.save(tmp_path / "grey.png")
    grey.convert("RGBA").save(tmp_path / "clear.png")
    grey.save(tmp_path / "turned.png", exif=turned)
    pixels = prepared(processor, [tmp_path / f"{name}.png" for name in ("grey", "clear", "turned")])["pixel_values"]
    assert pixels.shape == (3, 3, 8, 8)
    assert torch.equal(pixels[0], pixels[1]) and torch.equal(pixels[0], pixels[2].flip(1, 2))


def test_a_picture_that_breaks_off_is_said_and_leaves_no_file(
    tmp_path: Path, tiny_vit: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = folder_of_images(tmp_path / "images")
    broken = draw(images / "ant" / "2.png", 9)
    broken.write_bytes(broken.read_bytes()[:150])
    assert extract(tiny_vit, images, tmp_path / "out.safetensors") == 2
    assert f"{broken}: not an image that can be read" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_encoders_of_texts_do_not_take_images_nor_the_other_way_round(
    tmp_path: Path, tiny_model: Path, tiny_vit: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = folder_of_images(tmp_path / "images")
    assert extract(tiny_model, images, tmp_path / "out.safetensors") == 2
    assert "an encoder of input_ids; expected an encoder of images" in capsys.readouterr().err
    texts = write(tmp_path, "a.csv", "text,label\ngood,1\nbad,0\ngood,1\nbad,0\n")
    assert extract(tiny_vit, texts, tmp_path / "out.safetensors") == 2
    assert f"{tiny_vit}: transformers cannot load it" in capsys.readouterr().err
    assert extract(tmp_path / "none", texts, tmp_path / "out.safetensors") == 2
    assert "transformers cannot load it" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "images"]


def test_the_splits_of_a_column_reach_the_cache(tmp_path: Path, tiny_model: Path) -> None:
    splits = ["train", "tune", "0", "certify", "", "test"]
    rows = [f"{text},{label},{split}" for text, label, split in zip(TEXTS, [0, 0, 1, 0, 1, 1], splits)]
    data = write(tmp_path, "a.csv", "text,label,part\n" + "\n".join(rows))
    assert extract(tiny_model, data, tmp_path / "out.safetensors", "--split-column", "part") == 0
    tensors, _ = read_safetensors(tmp_path / "out.safetensors")
    assert tensors["split"].tolist() == [0, 1, 0, 2, 255, 3]
