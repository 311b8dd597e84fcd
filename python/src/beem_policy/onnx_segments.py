"""An encoder in ONNX segments, from exit to exit, for `onnx_encoder.OnnxEarlyExit`. Needs the extra `export`.

Segments are traced with torch's older exporter (`dynamo=False`), not with `torch.export`. Of a MiniLM layer it writes a graph
that is as fast in onnxruntime, in a twentieth of the time, without onnxscript, and in a version of the format (operators 17)
that onnxruntime has read since 1.12. What tracing can get wrong, a shape that becomes a constant, shows in `_check`, which
runs the segments on rows of another number and length.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch

from .errors import InputError
from .onnx_export import IR_VERSION, OPSET
from .onnx_manifest import NAME, POLICY, Manifest, Segment
from .policy import Policy
from .pooling import pool
from .serving import EncoderError
from .torch_encoder import EarlyExitEncoder
from .torch_heads import torch_head
from .whole_file import unwritable

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from . import Heads

LARGEST = (1 << 31) - (1 << 24)
"""Bytes of parameters of a segment: an ONNX file holds less than 2 GiB, its nodes included."""
CLOSE = 1e-4
"""How far logits may be from those of torch, relative to the largest: what sums of Float32 in another order do to them."""


def export_segments(
    model: PreTrainedModel,
    policy: Policy,
    folder: str | os.PathLike[str],
    heads: Heads | None = None,
    *,
    pooling: str = "mean",
    layers: Sequence[int] | None = None,
) -> float | None:
    """Writes an encoder with its heads as a chain of ONNX files, with its policy and a manifest.

    - model, policy, heads, pooling, layers: as `EarlyExitEncoder` takes them; the policy as it was loaded from a file.
    - folder: new or empty; it appears complete, or not at all.

    The first segment takes `input_ids` (and `token_type_ids`, where the encoder has them), or `pixel_values`; the others
    `states` [batch, tokens, width]; all of texts `attention_mask`. They give `logits` [batch, classes] and, but for the
    last, `next_states`.

    Returns the largest difference of a logit between onnxruntime and torch on rows that are made up, relative to the
    largest logit of the exit; None where onnxruntime is not installed and nothing was compared.

    Raises `EncoderError` for what does not go together, or when that difference is above 1e-4; `InputError` for a folder
    that cannot be written.
    """
    encoder = EarlyExitEncoder(model, policy, heads, pooling=pooling, layers=layers)
    if encoder.model.dtype != torch.float32 or encoder.model.device.type != "cpu":
        raise EncoderError(
            f"model: saw {encoder.model.dtype} on {encoder.model.device}, expected torch.float32 on the CPU for the export"
        )
    content = _policy_bytes(policy)
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(
            "unwritable", os.fspath(folder), seen="something that is there already", expected="a new folder"
        )
    temporary = None
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.absolute().parent))
        segments = []
        with _eager(encoder.model):
            for exit_index in range(len(encoder.layers)):
                file = f"segment-{exit_index}.onnx"
                data = _segment_bytes(encoder, exit_index)
                _write(temporary / file, data)
                segments.append(Segment(file, hashlib.sha256(data).hexdigest()))
        _write(temporary / POLICY, content)
        manifest = Manifest(
            model=str(encoder.model.config.model_type),
            inputs=_input_names(encoder),
            mask=_is_of_texts(encoder),
            position_bias=encoder._architecture.has_position_bias,
            pooling=pooling,
            layers=encoder.layers,
            policy_sha256=hashlib.sha256(content).hexdigest(),
            segments=tuple(segments),
        )
        _write(temporary / NAME, manifest.text().encode())
        difference = _check(encoder, temporary)
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o777 & ~mask)
        temporary.replace(target)
        return difference
    except OSError as error:
        raise unwritable(folder, error) from None
    finally:
        if temporary is not None and temporary.exists():
            shutil.rmtree(temporary)


def _policy_bytes(policy: Policy) -> bytes:
    try:
        content = Path(policy.file).read_bytes()
        is_same = Policy.parse(content, policy.file) == policy
    except (OSError, InputError):
        is_same = False
    if not is_same:
        raise EncoderError(f"policy: saw one that is not what {policy.file} holds, expected one as it was loaded")
    return content


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


# --- one segment ----------------------------------------------------------------------------------------------------


def _is_of_texts(encoder: EarlyExitEncoder) -> bool:
    return encoder.inputs[0] == "input_ids"


def _input_names(encoder: EarlyExitEncoder) -> tuple[str, ...]:
    """What the embeddings take: token types only where the encoder has any."""
    has_types = getattr(encoder.model.config, "type_vocab_size", 0) > 0
    return tuple(name for name in encoder.inputs if name != "token_type_ids" or has_types)


class _SegmentModule(torch.nn.Module):
    """From the exit before, or the inputs, to the next exit: states and logits."""

    def __init__(self, encoder: EarlyExitEncoder, exit_index: int) -> None:
        super().__init__()
        first = encoder.layers[exit_index - 1] if exit_index else 0
        self.embeddings = encoder.model.embeddings if exit_index == 0 else None
        self.layers = torch.nn.ModuleList(encoder._layers[first : encoder.layers[exit_index]])
        self.head = torch_head(encoder.heads[exit_index], torch.device("cpu"))
        self.pooling = encoder.pooling
        self.is_last = exit_index + 1 == len(encoder.layers)
        self.position_bias = None
        if encoder._architecture.has_position_bias and exit_index == 0:
            self.position_bias = encoder.model.encoder.compute_position_bias
            self.position_table = encoder.model.encoder.relative_attention_bias  # so that its weights are this module's
        self.input_names = list(_input_names(encoder)) if exit_index == 0 else ["states"]
        if _is_of_texts(encoder):
            self.input_names.append("attention_mask")
        if encoder._architecture.has_position_bias and exit_index > 0:
            self.input_names.append("position_bias")
        self.output_names = ["logits"] + ([] if self.is_last else ["next_states"])
        if self.position_bias is not None:
            self.output_names.append("position_bias")
        self.eval()  # a new module is in training mode, and the exporter puts its parts back into the mode it had

    def forward(self, *arguments: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = dict(zip(self.input_names, arguments))
        mask, bias = given.pop("attention_mask", None), given.pop("position_bias", None)
        states: torch.Tensor = given["states"] if self.embeddings is None else self.embeddings(**given)
        attention = None
        if mask is not None:
            # What is added to the products of attention: nothing for a token, very little for padding.
            attention = (1 - mask[:, None, None, :].to(states.dtype)) * torch.finfo(states.dtype).min
        if self.position_bias is not None:
            bias = self.position_bias(states[:1])
        more = {} if bias is None else {"position_bias": bias}
        for layer in self.layers:
            output = layer(states, attention, **more)
            states = output[0] if isinstance(output, tuple) else output
        results = [self.head(pool(states, mask, self.pooling))]
        if not self.is_last:
            results.append(states)
        if self.position_bias is not None and bias is not None:
            results.append(bias)
        return tuple(results)


def _segment_bytes(encoder: EarlyExitEncoder, exit_index: int) -> bytes:
    module = _SegmentModule(encoder, exit_index)
    size = sum(values.numel() * values.element_size() for values in module.parameters())
    if size > LARGEST:
        raise EncoderError(
            f"exit {exit_index}: saw {size:,} bytes of parameters since the exit before, expected at most {LARGEST:,}, what an "
            "ONNX file holds; put an exit between"
        )
    examples = _made_up(encoder, rows=2, tokens=6)
    with torch.inference_mode():
        batch = encoder._started({name: examples[name] for name in encoder.inputs if name in examples}, None)
        bias = encoder._bias(batch.hidden)[:, :, :6, :6] if encoder._architecture.has_position_bias else None
    examples["states"] = batch.hidden.clone()
    if bias is not None:
        examples["position_bias"] = bias.clone()
    axes: dict[str, dict[int, str]] = {name: {0: "batch", 1: "tokens"} for name in (*module.input_names, "next_states")}
    axes["logits"] = {0: "batch"}
    axes["position_bias"] = {2: "tokens", 3: "tokens"}
    if not _is_of_texts(encoder):  # as many patches as the encoder's images have
        axes["pixel_values"] = axes["states"] = axes["next_states"] = {0: "batch"}
    stream = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        # That this exporter is the older one, and which comparisons of shapes were made once and for all.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(examples[name] for name in module.input_names),
            stream,  # type: ignore[arg-type]  # the older exporter takes streams
            input_names=module.input_names,
            output_names=module.output_names,
            dynamic_axes={name: axes[name] for name in (*module.input_names, *module.output_names)},
            opset_version=OPSET,
            dynamo=False,
        )
    graph = onnx.load_model_from_string(stream.getvalue())
    graph.ir_version = min(graph.ir_version, IR_VERSION)
    graph.producer_name = "beem-policy"
    onnx.checker.check_model(graph)
    data: bytes = graph.SerializeToString()
    return data


def _made_up(encoder: EarlyExitEncoder, rows: int, tokens: int) -> dict[str, torch.Tensor]:
    """Inputs that no one wrote, with padding in the last row of texts."""
    config = encoder.model.config
    generator = torch.Generator().manual_seed(7)
    if not _is_of_texts(encoder):
        size = encoder.model.embeddings.patch_embeddings.image_size
        return {"pixel_values": torch.randn(rows, config.num_channels, *size, generator=generator)}
    ids = torch.randint(config.vocab_size // 2, config.vocab_size, (rows, tokens), generator=generator)
    mask = torch.ones_like(ids)
    if tokens > 1:
        mask[-1, tokens // 2 :] = 0
        if config.pad_token_id is not None:
            ids[-1, tokens // 2 :] = config.pad_token_id
    made = {"input_ids": ids, "attention_mask": mask}
    if "token_type_ids" in _input_names(encoder):
        made["token_type_ids"] = torch.zeros_like(ids)
    return made


@contextmanager
def _eager(model: Any) -> Iterator[None]:
    """Attention as plain products, which onnxruntime joins again; what the model had comes back."""
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


# --- against torch --------------------------------------------------------------------------------------------------


def _check(encoder: EarlyExitEncoder, folder: Path) -> float | None:
    try:
        from .onnx_encoder import OnnxEarlyExit
    except ImportError:
        return None
    segments = OnnxEarlyExit(folder)
    largest = 0.0
    for rows, tokens in ((1, 3), (5, 17)):
        inputs = _made_up(encoder, rows, tokens)
        ours = encoder.logits(inputs)
        theirs = segments.logits({name: values.numpy() for name, values in inputs.items()})
        for exit_index, (one, other) in enumerate(zip(ours, theirs)):
            difference = float(np.abs(one - other).max() / max(np.abs(one).max(), 1))
            if not difference <= CLOSE:
                raise EncoderError(
                    f"exit {exit_index}: logits in onnxruntime differ from those of torch by {difference:.1e} of the largest, "
                    f"expected at most {CLOSE:g}; this encoder cannot be exported"
                )
            largest = max(largest, difference)
    return largest
