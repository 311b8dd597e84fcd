"""Low-rank exit heads: two factors of rank r in the place of an exit's square map and the shared output matrix.

    python heads.py --captioner captioner.safetensors --captions FOLDER --features grid.safetensors \
        --layers 2 3 4 --rank 64 --output heads-64.safetensors

They start as the best rank-r approximation of the exit's logits on hidden states of train captions (the truncated
singular value decomposition in the metric of the states' second moment) and are then fitted on the same states by
cross-entropy with a teacher's distribution: the exit's own (`--teacher own`), or that of the last exit for the same token
(`--teacher last`). Nothing but train images is used for the fit; quality is reported on the tune half of the dev images.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

# The rules are those of this checkout, whether or not the package is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python" / "src"))

from beem_policy import Policy
from captions import CaptionedImage, CaptionError, Vocabulary, read_captions
from decoder import NEVER, Decoder, LowRankHead
from features import GridFeatures
from model import Captioner, TokenBatch, load_captioner, write_atomically
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from script import run
from torch import Tensor
from torch.nn import functional

BATCH_IMAGES = 20


def teacher_forced(
    model: Captioner,
    vocabulary: Vocabulary,
    images: Sequence[CaptionedImage],
    features: GridFeatures,
    rows: Sequence[int],
) -> Iterator[tuple[list[int], TokenBatch, list[Tensor]]]:
    """Hidden states of reference captions, a few images at a time: rows of the images, tokens, states by layer."""
    for first in range(0, len(rows), BATCH_IMAGES):
        block = list(rows[first : first + BATCH_IMAGES])
        for count in sorted({len(images[row].captions) for row in block}):
            alike = [row for row in block if len(images[row].captions) == count]
            batch = TokenBatch.of([[vocabulary.encoded(text) for text in images[row].captions] for row in alike])
            with torch.inference_mode():
                yield alike, batch, model.hidden_states(features.cells(alike), batch)


def factored(matrix: Tensor, states: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """`up` and `down` of rank `rank` whose product is nearest to `matrix` [V, D] on states [N, D], by squared logits."""
    moment = states.T.double() @ states.double() / len(states)
    values, vectors = torch.linalg.eigh(moment)
    root = vectors * values.clamp_min(1e-8 * float(values[-1])).sqrt()
    inverse = vectors / values.clamp_min(1e-8 * float(values[-1])).sqrt()
    left, singular, right = torch.linalg.svd(matrix.double() @ root, full_matrices=False)
    up = left[:, :rank] * singular[:rank]
    down = right[:rank] @ inverse.T
    return up.float(), down.float()


@dataclass(frozen=True)
class Teacher:
    """A full head and the states it sees: [N, D], a row for each row of the pupil's states."""

    matrix: Tensor
    bias: Tensor
    states: Tensor


def fit(head: LowRankHead, teacher: Teacher, states: Tensor, steps: int, seed: int) -> LowRankHead:
    """Bring the head's distribution on states [N, D] nearer to the teacher's."""
    generator = torch.Generator().manual_seed(seed)
    down, up, own = (tensor.clone().requires_grad_() for tensor in (head.down, head.up, head.bias))
    optimizer = torch.optim.AdamW([down, up, own], lr=1e-3, weight_decay=0.0, fused=True)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 - step / steps)
        drawn = torch.randint(len(states), (512,), generator=generator)
        with torch.no_grad():
            wanted = functional.linear(teacher.states[drawn].float(), teacher.matrix, teacher.bias).softmax(-1)
        logits = functional.linear(functional.linear(states[drawn].float(), down), up, own)
        loss = functional.cross_entropy(logits, wanted)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return LowRankHead(down.detach(), up.detach(), own.detach())


def save_heads(path: Path, heads: dict[int, LowRankHead], report: dict[str, object]) -> None:
    tensors: dict[str, Tensor] = {}
    for layer, head in heads.items():
        tensors |= {f"layer.{layer}.down": head.down, f"layer.{layer}.up": head.up, f"layer.{layer}.bias": head.bias}
    half = {name: tensor.to(torch.float16).contiguous() for name, tensor in tensors.items()}
    write_atomically(path, save(half, {"report": json.dumps(report)}))


def load_heads(path: Path) -> dict[int, LowRankHead]:
    """Heads by layer, from 1. Raises `CaptionError`."""
    try:
        with safe_open(path, "pt") as file:
            names = set(file.keys())
            layers = sorted(int(name.split(".")[1]) for name in names if name.endswith(".down"))
            heads = {
                layer: LowRankHead(
                    *(file.get_tensor(f"layer.{layer}.{part}").float() for part in ("down", "up", "bias"))
                )
                for layer in layers
            }
    except FileNotFoundError:
        raise CaptionError(f"{path}: no such file; heads.py makes it") from None
    except (SafetensorError, ValueError, IndexError) as error:
        raise CaptionError(f"{path}: not a file of heads.py: {error}") from None
    if not heads:
        raise CaptionError(f"{path}: no heads `layer.<k>.down` in it; expected a file of heads.py")
    return heads


def heads_of(policy: Policy, path: Path | None) -> dict[int, LowRankHead]:
    """The low-rank heads of a policy; none where it was chosen with the shared output matrix.

    Raises `CaptionError` where `path` is not the file that the policy names: its thresholds are those of these heads.
    """
    if policy.heads is None:
        return {}
    if path is None:
        raise CaptionError(
            f"{policy.file}: it was chosen with the heads of {policy.heads.file}; give them with --heads"
        )
    try:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise CaptionError(f"{path}: no such file; heads.py makes it") from None
    if sha256 != policy.heads.sha256:
        raise CaptionError(
            f"{path}: SHA-256 {sha256}; expected {policy.heads.sha256}, the heads that {policy.file} was chosen with"
        )
    return load_heads(path)


@dataclass(frozen=True)
class HeldTokens:
    """Dev tokens: hidden states by layer (from 1) of those looked at, labels, and what the last exit says."""

    hidden: dict[int, Tensor]
    targets: Tensor
    last: Tensor


def held_tokens(
    full: Decoder, layers: Sequence[int], batches: Iterator[tuple[list[int], TokenBatch, list[Tensor]]]
) -> HeldTokens:
    hidden: dict[int, list[Tensor]] = {layer: [] for layer in layers}
    targets, last = [], []
    with torch.inference_mode():
        for _, batch, states in batches:
            for layer in layers:
                hidden[layer].append(states[layer - 1])
            targets.append(batch.targets)
            last.append(full.logits(len(states), states[-1]).argmax(-1))
    joined = {layer: torch.cat(parts) for layer, parts in hidden.items()}
    return HeldTokens(joined, torch.cat(targets), torch.cat(last))


def quality(decoder: Decoder, full: Decoder, tokens: HeldTokens, layer: int) -> dict[str, float]:
    """Of the head of `layer`: accuracy of the next word, agreement with the full head in its place and the last exit."""
    with torch.inference_mode():
        labels = decoder.logits(layer, tokens.hidden[layer]).argmax(-1)
        full_labels = full.logits(layer, tokens.hidden[layer]).argmax(-1)

    def share(hits: Tensor) -> float:
        return float(hits.double().mean())

    return {
        "accuracy": share(labels == tokens.targets),
        "agreementWithLast": share(labels == tokens.last),
        "agreementWithFull": share(labels == full_labels),
        "fullAccuracy": share(full_labels == tokens.targets),
        "fullAgreementWithLast": share(full_labels == tokens.last),
    }


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Low-rank exit heads.")
    parser.add_argument("--captioner", type=Path, required=True)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--layers", type=int, nargs="+", required=True, help="from 1")
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument(
        "--teacher", choices=("own", "last"), default="last", help="whose distribution heads are fitted to"
    )
    parser.add_argument("--images", type=int, default=1500, help="train images to fit on")
    parser.add_argument("--dev-images", type=int, default=200, help="of the tune half, to report on")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args(arguments)


def work(options: argparse.Namespace) -> None:
    model, vocabulary = load_captioner(options.captioner)
    wrong = [layer for layer in options.layers if not 1 <= layer <= model.shape.layers]
    if wrong:
        raise CaptionError(f"--layers {wrong[0]}; the captioner has {model.shape.layers}")
    images, features = read_captions(options.captions), GridFeatures.open(options.features)
    drawn = torch.randperm(len(features.rows("train")), generator=torch.Generator().manual_seed(options.seed))
    train = [features.rows("train")[number] for number in drawn[: options.images].tolist()]
    last = model.shape.layers
    kept: dict[int, list[Tensor]] = {layer: [] for layer in {*options.layers, last}}
    for _, _, states in teacher_forced(model, vocabulary, images, features, train):
        for layer, parts in kept.items():
            parts.append(model.exits[layer - 1].norm(states[layer - 1]).half())
    rows = features.rows("tune")[: options.dev_images]
    full = Decoder(model)
    tokens = held_tokens(full, options.layers, teacher_forced(model, vocabulary, images, features, rows))
    with torch.no_grad():
        matrices = {layer: model.embedding.weight @ model.exits[layer - 1].linear.weight for layer in kept}
    last_states = torch.cat(kept[last])
    heads: dict[int, LowRankHead] = {}
    report: dict[str, object] = {"rank": options.rank, "teacher": options.teacher}
    for layer in options.layers:
        start = time.monotonic()
        seen = torch.cat(kept.pop(layer))
        up, down = factored(matrices[layer], seen.float(), options.rank)
        first = LowRankHead(down, up, full.bias)
        own = Teacher(matrices[layer], full.bias, seen)
        teacher = own if options.teacher == "own" else Teacher(matrices[last], full.bias, last_states)
        heads[layer] = fit(first, teacher, seen, options.steps, options.seed)
        heads[layer].bias[full.bias == NEVER] = NEVER
        report[f"layer {layer}"] = {
            "decomposition": quality(Decoder(model, {layer: first}), full, tokens, layer),
            "fitted": quality(Decoder(model, heads), full, tokens, layer),
        }
        print(f"layer {layer}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    save_heads(options.output, heads, report)
    print(json.dumps(report, indent=2))


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    return run(lambda: work(options), options.threads)


if __name__ == "__main__":
    sys.exit(main())
