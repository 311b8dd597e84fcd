"""Low-rank exit heads: two factors of rank r in the place of an exit's square map and the shared output matrix.

    python heads.py --captioner captioner.safetensors --captions FOLDER --features grid.safetensors \
        --layers 2 3 4 --rank 64 --output heads-64.safetensors

They start as the best rank-r approximation of the exit's logits on hidden states of train captions (the truncated
singular value decomposition in the metric of the states' second moment) and are then fitted to the exit's own
distribution, by cross-entropy with it, on the same states. Nothing but train images is used for the fit; quality is
reported on the tune half of the dev images.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from captions import CaptionedImage, CaptionError, Vocabulary, read_captions, tune_half
from cpu import keep_memory
from decoder import NEVER, Decoder, LowRankHead
from features import GridFeatures
from model import Captioner, TokenBatch, load_captioner, write_atomically

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


def fit(head: LowRankHead, matrix: Tensor, bias: Tensor, states: Tensor, steps: int, seed: int) -> LowRankHead:
    """Bring the head's distribution nearer to that of the full head, on states [N, D]."""
    generator = torch.Generator().manual_seed(seed)
    down, up, own = (tensor.clone().requires_grad_() for tensor in (head.down, head.up, head.bias))
    optimizer = torch.optim.AdamW([down, up, own], lr=1e-3, weight_decay=0.0, fused=True)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 - step / steps)
        drawn = states[torch.randint(len(states), (512,), generator=generator)].float()
        with torch.no_grad():
            wanted = functional.linear(drawn, matrix, bias).softmax(-1)
        logits = functional.linear(functional.linear(drawn, down), up, own)
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


def quality(decoder: Decoder, full: Decoder, batches: Sequence[tuple[Tensor, Tensor]], layer: int) -> dict[str, float]:
    """Of the head of `layer` and of the full head in its place: accuracy of the next word, and how often both agree."""
    hits = full_hits = agreed = total = 0
    with torch.inference_mode():
        for hidden, targets in batches:
            labels, full_labels = decoder.logits(layer, hidden).argmax(-1), full.logits(layer, hidden).argmax(-1)
            hits += int((labels == targets).sum())
            full_hits += int((full_labels == targets).sum())
            agreed += int((labels == full_labels).sum())
            total += len(targets)
    return {"accuracy": hits / total, "fullAccuracy": full_hits / total, "agreement": agreed / total}


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Low-rank exit heads.")
    parser.add_argument("--captioner", type=Path, required=True)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--layers", type=int, nargs="+", required=True, help="from 1")
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--images", type=int, default=1500, help="train images to fit on")
    parser.add_argument("--dev-images", type=int, default=200, help="of the tune half, to report on")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    torch.set_num_threads(options.threads)
    keep_memory()
    try:
        model, vocabulary = load_captioner(options.captioner)
        wrong = [layer for layer in options.layers if not 1 <= layer <= model.shape.layers]
        if wrong:
            raise CaptionError(f"--layers {wrong[0]}; the captioner has {model.shape.layers}")
        images, features = read_captions(options.captions), GridFeatures.open(options.features)
        drawn = torch.randperm(len(features.rows("train")), generator=torch.Generator().manual_seed(options.seed))
        train = [features.rows("train")[number] for number in drawn[: options.images].tolist()]
        kept: dict[int, list[Tensor]] = {layer: [] for layer in options.layers}
        for _, _, states in teacher_forced(model, vocabulary, images, features, train):
            for layer in options.layers:
                kept[layer].append(model.exits[layer - 1].norm(states[layer - 1]).half())
        tune = tune_half([image.name for image in images if image.split == "dev"])
        rows = [row for row in features.rows("dev") if features.names[row] in tune][: options.dev_images]
        held: dict[int, list[tuple[Tensor, Tensor]]] = {layer: [] for layer in options.layers}
        for _, batch, states in teacher_forced(model, vocabulary, images, features, rows):
            for layer in options.layers:
                held[layer].append((states[layer - 1], batch.targets))
        full = Decoder(model)
        heads: dict[int, LowRankHead] = {}
        report: dict[str, object] = {}
        for layer in options.layers:
            start = time.monotonic()
            seen = torch.cat(kept.pop(layer))
            with torch.no_grad():
                matrix = model.embedding.weight @ model.exits[layer - 1].linear.weight
            up, down = factored(matrix, seen.float(), options.rank)
            first = LowRankHead(down, up, full.bias)
            heads[layer] = fit(first, matrix, full.bias, seen, options.steps, options.seed)
            heads[layer].bias[full.bias == NEVER] = NEVER
            report[str(layer)] = {
                "decomposition": quality(Decoder(model, {layer: first}), full, held[layer], layer),
                "fitted": quality(Decoder(model, heads), full, held[layer], layer),
            }
            print(f"layer {layer}: {report[str(layer)]}, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        save_heads(options.output, heads, report)
        print(json.dumps(report, indent=2))
    except (CaptionError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
