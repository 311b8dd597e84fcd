"""Tests of the scripts from made-up images to tables; left out without torch. No weights and no data set are needed."""

from __future__ import annotations

import csv
import json
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("PIL")

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python" / "src"))

import compare
import features as grid_features
import generate
import heads
import page
import token_features
import train
from beem_policy.safetensors_file import SafetensorsFile
from captions import CaptionError, Vocabulary, read_captions, tune_half
from efficientnet_lite import STAGES, EfficientNetLite0, WeightsError
from images import ImageSource
from model import Captioner, Shape, load_captioner, save_captioner
from PIL import Image
from safetensors.numpy import load_file
from tables import policy_table, search_table, table_rows

COUNTS = {"train": 12, "dev": 8, "test": 4}
ADJECTIVES = ("red", "blue", "grey", "pink")
NOUNS = ("lamp", "kite", "stone")


def data_set(folder: Path) -> Path:
    """Images of plain colours with two made-up captions each, in Flickr8k's layout."""
    generator = np.random.default_rng(1)
    lines: list[str] = []
    (folder / "images").mkdir()
    number = 0
    for split, count in COUNTS.items():
        names = [f"{number + index:03d}.png" for index in range(count)]
        number += count
        for name in names:
            first, noun = generator.integers(len(ADJECTIVES)), generator.integers(len(NOUNS))
            colour = np.full((20, 30, 3), generator.integers(0, 255, 3), dtype=np.uint8)
            colour[:, :10] = 0
            Image.fromarray(colour).save(folder / "images" / name)
            lines.append(f"{name}#0\tA {ADJECTIVES[first]} {NOUNS[noun]} hums .")
            lines.append(f"{name}#1\tThe {NOUNS[noun]} hums a long {ADJECTIVES[first]} song today .")
        (folder / f"Flickr_8k.{split}Images.txt").write_text("\n".join(names))
    (folder / "Flickr8k.token.txt").write_text("\n".join(lines))
    return folder


def random_weights(seed: int = 2) -> dict[str, torch.Tensor]:
    """Weights of the right names and shapes."""
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, torch.Tensor] = {}

    def add(convolution: str, norm: str, out: int, wide: int, kernel: int) -> None:
        scale = (2 / (wide * kernel * kernel)) ** 0.5
        weights[f"{convolution}.weight"] = torch.randn(out, wide, kernel, kernel, generator=generator) * scale
        for part, values in (
            ("weight", torch.rand(out, generator=generator) + 0.5),
            ("bias", torch.randn(out, generator=generator) * 0.1),
            ("running_mean", torch.randn(out, generator=generator) * 0.1),
            ("running_var", torch.rand(out, generator=generator) + 0.5),
        ):
            weights[f"{norm}.{part}"] = values

    add("_conv_stem", "_bn0", 32, 3, 3)
    width, number = 32, 0
    for kernel, _, expansion, out, count in STAGES:
        for _ in range(count):
            block, inner = f"_blocks.{number}.", width * expansion
            if expansion > 1:
                add(f"{block}_expand_conv", f"{block}_bn0", inner, width, 1)
            add(f"{block}_depthwise_conv", f"{block}_bn1", inner, 1, kernel)
            add(f"{block}_project_conv", f"{block}_bn2", out, inner, 1)
            width, number = out, number + 1
    add("_conv_head", "_bn1", 1280, 320, 1)
    return weights


def grid_file(folder: Path) -> Path:
    """Features of the data set by a network of random weights."""
    path = folder / "grid.safetensors"
    if not path.exists():
        torch.save(random_weights(), folder / "weights.pth")
        arguments = ["--captions", folder, "--weights", folder / "weights.pth", "--output", path]
        assert grid_features.main([str(argument) for argument in arguments]) == 0
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = data_set(tmp_path_factory.mktemp("lamps"))
    grid_file(place)
    return place


@pytest.fixture(scope="module")
def captioner(folder: Path) -> Path:
    """A small captioner of random parameters for the data set's words."""
    torch.manual_seed(3)
    vocabulary = Vocabulary.of(read_captions(folder), minimum_count=2)
    model = Captioner(Shape(vocabulary=len(vocabulary), layers=4, width=32, heads=2, inner=64))
    features = grid_features.GridFeatures.open(folder / "grid.safetensors")
    model.head_weight.copy_(features.head_weight)
    model.head_bias.copy_(features.head_bias)
    with torch.no_grad():
        model.embedding.weight.normal_(std=0.3)
        model.position.normal_(std=3)
    save_captioner(folder / "captioner.safetensors", model, vocabulary, {})
    return folder / "captioner.safetensors"


def call(main: object, *arguments: object) -> int:
    code = main([str(argument) for argument in arguments])  # type: ignore[operator]
    assert isinstance(code, int)
    return code


# --- features ------------------------------------------------------------------------------------------------------


def test_grid_features_hold_the_image_and_its_mirror_image(folder: Path) -> None:
    features = grid_features.GridFeatures.open(folder / "grid.safetensors")
    assert features.grid.shape == (24, 2, 49, 320)
    assert [len(features.rows(split)) for split in COUNTS] == list(COUNTS.values())
    network = EfficientNetLite0(random_weights())
    image = Image.open(folder / "images" / "003.png")
    from images import pixels

    expected = network.grid(torch.stack([pixels(image), pixels(image).flip(-1)]))
    found = torch.stack([features.cells([3])[0], features.cells([3], [True])[0]])
    torch.testing.assert_close(found, expected, rtol=2e-3, atol=2e-3)
    assert not torch.allclose(expected[0], expected[1], atol=1e-2)


def test_images_come_from_archives_too_and_a_missing_one_is_named(folder: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "some.tar", "w") as archive:
        for path in sorted((folder / "images").iterdir())[:-1]:
            archive.add(path, arcname=f"inside/{path.name}")
    source = ImageSource([tmp_path / "some.tar"])
    assert source.missing(["000.png", "023.png"]) == ["023.png"]
    assert np.array_equal(np.asarray(source.read("000.png")), np.asarray(Image.open(folder / "images" / "000.png")))
    with pytest.raises(CaptionError, match="1 of 24 images are missing, the first is 023.png"):
        grid_features.extract(
            read_captions(folder), source, EfficientNetLite0(random_weights()), tmp_path / "grid.safetensors", 4
        )
    assert [path.name for path in tmp_path.iterdir()] == ["some.tar"]


def test_weights_of_another_network_are_refused() -> None:
    weights = random_weights()
    del weights["_blocks.7._bn1.bias"]
    with pytest.raises(WeightsError, match=r"_blocks\.7\._bn1\.bias"):
        EfficientNetLite0(weights)


# --- training ------------------------------------------------------------------------------------------------------


def train_arguments(folder: Path, output: Path, *more: object) -> list[object]:
    common = ["--captions", folder, "--features", folder / "grid.safetensors", "--output", output]
    return [*common, "--epochs", 2, "--batch-images", 3, "--captions-per-image", 2, "--save-every", 2, *more]


def test_an_interrupted_training_ends_as_one_that_was_not(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(train.main, *train_arguments(folder, tmp_path / "whole")) == 0
    descend = train.Training._descend
    done = 0

    def interrupted(self: train.Training, rows: Sequence[int], mirrored: Sequence[bool], batch: object) -> float:
        nonlocal done
        done += 1
        if done == 6:
            raise KeyboardInterrupt
        return descend(self, rows, mirrored, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(train.Training, "_descend", interrupted)
    with pytest.raises(KeyboardInterrupt):
        call(train.main, *train_arguments(folder, tmp_path / "parts"))
    monkeypatch.undo()
    assert call(train.main, *train_arguments(folder, tmp_path / "parts")) == 0
    whole, parts = (load_captioner(tmp_path / name / "captioner.safetensors")[0] for name in ("whole", "parts"))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, parts.state_dict()[name]), name


def test_a_checkpoint_of_other_settings_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(train.main, *train_arguments(folder, tmp_path)) == 0
    assert call(train.main, *train_arguments(folder, tmp_path, "--seed", 8)) == 2
    assert "of a run with other settings: seed 7 (now 8)" in capsys.readouterr().err


def test_early_exits_weigh_as_their_number_and_see_a_part_of_the_tokens() -> None:
    from types import SimpleNamespace

    from model import TokenBatch

    torch.manual_seed(4)
    model = Captioner(Shape(vocabulary=12, layers=3, width=16, heads=2, inner=16)).eval()
    batch = TokenBatch.of([[[5, 6, 2], [7, 2]]])
    cells = torch.randn(1, 49, 320)
    settings = SimpleNamespace(label_smoothing=0.1, early_fraction=1.1)
    total, final = train.loss_of(model, cells, batch, settings)  # type: ignore[arg-type]
    states = model.hidden_states(cells, batch)
    parts = [
        float(
            torch.nn.functional.cross_entropy(model.logits(i, states[i]), batch.targets, label_smoothing=0.1).detach()
        )
        for i in range(3)
    ]
    assert final == pytest.approx(parts[2], rel=1e-5)
    assert total.item() == pytest.approx(parts[2] + parts[0] / 3 + parts[1] * 2 / 3, rel=1e-5)


# --- tokens and tables -----------------------------------------------------------------------------------------------


def test_token_cache_and_outputs_agree_with_the_captioner(folder: Path, captioner: Path, tmp_path: Path) -> None:
    cache, outputs = tmp_path / "tokens.safetensors", tmp_path / "outputs.safetensors"
    common = ["--captioner", captioner, "--captions", folder, "--features", folder / "grid.safetensors"]
    assert call(token_features.main, *common, "--output", cache, "--outputs", outputs, "--train-images", 5) == 0
    tokens, said = SafetensorsFile.open(str(cache)), SafetensorsFile.open(str(outputs))
    model, vocabulary = load_captioner(captioner)
    labels, groups = tokens.integers("labels"), tokens.integers("group")
    # Captions of 4 and 8 words, and their ends, of 5 train, 8 dev and 4 test images.
    assert len(labels) == 17 * (5 + 9)
    images = read_captions(folder)
    splits = np.array([{"train": 0, "test": 3}.get(image.split, 1) for image in images])
    tune = tune_half(image.name for image in images if image.split == "dev")
    for row, image in enumerate(images):
        if image.split == "dev" and image.name not in tune:
            splits[row] = 2
    found = load_file(cache)["split"]
    assert np.array_equal(found, splits[groups])
    assert np.bincount(found)[1:].tolist() == [14 * 4, 14 * 4, 14 * 4]
    first = vocabulary.decoded(labels[groups == 2][:5])
    assert first == " ".join(images[2].captions[0].lower().split()[:4])
    rows = np.arange(len(labels))
    for exit_ in range(4):
        states = torch.from_numpy(tokens.floats(f"features.{exit_}", rows))
        logits = states @ model.embedding.weight.T + model.output_bias
        logits[:, [0, 1, 3]] = -1e9
        top = logits.softmax(-1).max(-1)
        confidences = said.floats(f"confidence.{exit_}")
        assert np.abs(top.values.detach().numpy() - confidences).max() < 5e-3
        is_clear = confidences > 0.3
        assert is_clear.any()
        agree = top.indices.numpy()[is_clear] == said.integers(f"label.{exit_}")[is_clear]
        assert agree.mean() > 0.95


def test_common_classes_are_the_words_of_all_splits_and_one_for_the_others(
    folder: Path, captioner: Path, tmp_path: Path
) -> None:
    common = ["--captioner", captioner, "--captions", folder, "--features", folder / "grid.safetensors"]
    for name, more in (("all", []), ("common", ["--classes", "common"])):
        outputs = ["--outputs", tmp_path / f"{name}.safetensors", "--train-images", 2, "--layers", 1, 4]
        assert call(token_features.main, *common, *outputs, *more) == 0
    every, some = (load_file(tmp_path / f"{name}.safetensors") for name in ("all", "common"))
    names = [
        json.loads(SafetensorsFile.open(str(tmp_path / f"{n}.safetensors")).metadata["classes"])
        for n in ("all", "common")
    ]
    assert 2 < len(names[1]) < len(names[0]), "two train images do not have all words"
    for split in range(4):
        here = np.unique(some["labels"][some["split"] == split])
        assert {names[1][number] for number in here} >= set(names[1]) - {"<unknown>"}
    for label in ("labels", "label.0", "label.1"):
        words = [names[0][number] for number in every[label]]
        expected = [word if word in names[1] else "<unknown>" for word in words]
        assert [names[1][number] for number in some[label]] == expected
    assert np.array_equal(every["confidence.0"], some["confidence.0"])


def test_own_captions_are_what_the_last_exit_says(folder: Path, captioner: Path, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs.safetensors"
    common = ["--captioner", captioner, "--captions", folder, "--features", folder / "grid.safetensors"]
    assert call(token_features.main, *common, "--outputs", outputs, "--own", "--layers", 2, 4) == 0
    said = SafetensorsFile.open(str(outputs))
    labels = said.integers("labels")
    assert (said.integers("label.1") == labels).mean() > 0.99
    assert (said.integers("label.0") == labels).mean() < 0.99


def test_compare_goes_from_a_captioner_to_tables_and_losses(folder: Path, captioner: Path, tmp_path: Path) -> None:
    pytest.importorskip("pycocoevalcap.bleu.bleu")
    common = ["--captioner", captioner, "--captions", folder, "--features", folder / "grid.safetensors"]
    low_rank = tmp_path / "heads.safetensors"
    fit = ["--layers", 1, 2, 3, "--rank", 8, "--images", 6, "--steps", 5, "--output", low_rank]
    assert call(heads.main, *common, *fit) == 0
    (tmp_path / "candidates.json").write_text(
        json.dumps(
            [
                {"rule": "static", "layers": [2]},
                {"rule": "beem-accuracy", "layers": [1, 2], "rank": 8, "thresholds": [0.01, 0.2]},
                {"rule": "max-probability", "layers": [2], "thresholds": [2]},
            ]
        )
    )
    outputs = ["--results", tmp_path / "results.json", "--losses", tmp_path / "losses.csv", "--work", tmp_path / "work"]
    more = ["--candidates", tmp_path / "candidates.json", "--heads", low_rank, "--policies", tmp_path / "policies"]
    assert call(compare.main, *common, *outputs, *more, "--layers", 1.0, "--multiply-adds", 0.5) == 0
    report = json.loads((tmp_path / "results.json").read_text())
    never = report["tune"]["max-probability-2-full-2"]
    assert never["layersPerTokenSpeedUp"] == 1
    assert never["multiplyAddsPerCaptionSpeedUp"] < 1
    assert never["difference"]["BLEU-4"] == {"difference": 0.0, "standardError": 0.0}
    assert report["chosen"]["max-probability"] == "max-probability-2-full-2"
    assert report["truncated"] == ["static-2"]
    assert set(report["test"]) == {"static-2", *report["chosen"].values(), *report["certifiable"]}
    rows = list(csv.DictReader((tmp_path / "losses.csv").open()))
    assert {row["candidate"] for row in rows} == set(report["certifiable"])
    named = [row for row in rows if row["candidate"] == "max-probability-2-full-2"]
    assert [sum(row["split"] == split for row in named) for split in ("tune", "certify", "test")] == [4, 4, 0]
    assert all(row["loss"] == row["reference_loss"] for row in named)
    policies = tmp_path / "policies"
    policy = policies / "max-probability-2-full-2.json"
    captions = tmp_path / "captions.json"
    generated = ["--captioner", captioner, "--features", folder / "grid.safetensors", "--output", captions]
    assert call(generate.main, *generated, "--policy", policy, "--split", "test") == 0
    assert len(json.loads(captions.read_text())["images"]) == COUNTS["test"]
    assert call(generate.main, *generated, "--policy", policy, "--split", "tune") == 0
    assert len(json.loads(captions.read_text())["images"]) == COUNTS["dev"] // 2
    ranked = policies / f"{report['chosen']['beem-accuracy']}.json"
    assert call(generate.main, *generated, "--policy", ranked) == 2
    timed = ["--policy", policy, ranked, "--heads", low_rank, "--time", 3, "--repeats", 2]
    assert call(generate.main, *generated, *timed) == 0
    timing = json.loads(captions.read_text())
    assert timing["final"]["speedUp"] == 1
    assert timing["max-probability-2-full-2"]["secondsPerCaption"] > 0
    table = policy_table(report, timing, table_rows(report, "static-2"))
    assert [line.split(" | ")[0] for line in table.splitlines()[2:]] == [
        "| full decoder",
        "| truncated after layer 2",
        "| static",
        "| BEEM-A",
        "| maximum probability",
        "| certified",
    ]
    assert "max-probability-2-full-2" in search_table(report)
    page_file = tmp_path / "page.html"
    shown = [*common, "--heads", low_rank, "--policy", ranked, "--count", 3, "--output", page_file]
    assert call(page.main, *shown) == 0
    assert page_file.read_text().count("<figure>") == 3
    other = tmp_path / "other.safetensors"
    assert call(heads.main, *common, *fit[:-1], other, "--seed", 3) == 0
    assert call(page.main, *shown, "--heads", other) == 2
    assert not other.with_suffix(".html").exists()


def entry(bleu: float, cider: float, layers: float, operations: float) -> dict[str, object]:
    return {
        "BLEU-4": bleu,
        "CIDEr": cider,
        "layersPerTokenSpeedUp": layers,
        "tokenMultiplyAddsPerCaptionSpeedUp": operations,
        "multiplyAddsPerCaptionSpeedUp": operations,
        "multiplyAddsPerCaption": 1 / operations,
        "difference": {"sentenceBLEU": {"difference": bleu - 0.2}},
    }


def test_the_least_loss_of_both_scores_is_chosen_among_what_is_fast_enough() -> None:
    from policies import Candidate

    final = {"BLEU-4": 0.2, "CIDEr": 0.5}
    table = {
        Candidate("patience", (1,), 1): entry(0.2, 0.4, 2.0, 1.9),
        Candidate("patience", (1,), 2): entry(0.199, 0.496, 1.7, 1.5),
        Candidate("patience", (1,), 3): entry(0.199, 0.496, 1.8, 1.6),
        Candidate("patience", (1,), 4): entry(0.2, 0.5, 1.8, 1.2),
        Candidate("static", (2,)): entry(0.2, 0.5, 1.5, 1.5),
    }
    found = compare.chosen(table, final, {"layersPerToken": 1.6, "tokenMultiplyAddsPerCaption": 1.3})
    assert {rule: candidate.threshold for rule, candidate in found.items()} == {"patience": 3}


def test_candidates_that_another_beats_in_cost_and_score_are_not_certified() -> None:
    from policies import Candidate

    table = {
        Candidate("static", (1,)): entry(0.10, 0.1, 3.0, 3.0),
        Candidate("static", (2,)): entry(0.15, 0.1, 2.0, 2.0),
        Candidate("static", (3,)): entry(0.14, 0.1, 1.5, 1.5),
        Candidate("static", (4,)): entry(0.20, 0.1, 0.9, 0.9),
    }
    assert [candidate.layers for candidate in compare.efficient(table)] == [(2,), (1,)]
