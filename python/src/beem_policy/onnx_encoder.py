"""Early exit in onnxruntime: an encoder in segments, from exit to exit, and no segment for rows that have left.

    encoder = OnnxEarlyExit("minilm-onnx")           # a folder that `beem-policy export-onnx` wrote
    result = encoder(tokenizer(texts, padding=True, return_tensors="np"))
    names = [encoder.policy.classes[label] for label in result.labels]

Needs onnxruntime and NumPy; torch has done its part when the segments were exported.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from .onnx_manifest import POLICY, Manifest, checked_bytes
from .policy import Policy
from .serving import Batch, EarlyExit, EncoderError

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass
class _Batch(Batch):
    """Rows that run together.

    - states: [rows, tokens, width], after the exit before; None before the first segment.
    - mask: [rows, tokens], 1 for a token; None for images.
    - inputs: what the first segment takes, until it has run.
    """

    states: Floats | None
    mask: Integers | None
    inputs: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return len(self._states)

    @property
    def _states(self) -> Floats:
        assert self.states is not None, "rows are counted after the first segment"
        return self.states

    def keep(self, rows: Integers) -> _Batch:
        if self.mask is None:
            return _Batch(self._states[rows], None)
        mask = self.mask[rows]
        # Up to the last place that any row uses; padding on the left stays.
        length = int(np.flatnonzero(mask.any(axis=0))[-1]) + 1
        return _Batch(self._states[rows, :length], mask[:, :length])

    def joined(self, others: Sequence[_Batch]) -> _Batch:
        batches = [self, *others]
        length = max(batch._states.shape[1] for batch in batches)
        states = [_padded(batch._states, length) for batch in batches]
        masks = [_padded(batch.mask, length) for batch in batches if batch.mask is not None]
        return _Batch(np.concatenate(states), np.concatenate(masks) if masks else None)


def _padded(values: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    """Zeros on the right of the second axis."""
    missing = length - values.shape[1]
    if missing == 0:
        return values
    return np.pad(values, [(0, 0), (0, missing)] + [(0, 0)] * (values.ndim - 2))


class OnnxEarlyExit(EarlyExit[_Batch]):
    """A frozen encoder in segments that stops, row by row, where its policy says.

    - folder: what `beem-policy export-onnx` wrote; all files are held against the SHA-256 of its manifest.
    - policy: another one for the same heads, calibrated anew, say. None: the one that is in the folder.
    - threads: of onnxruntime; None: as many as there are cores.
    - providers: where it computes, by onnxruntime's names.
    - keeps_statistics: whether `statistics` counts the exits taken.

    Calls take and give what those of `torch_encoder.EarlyExitEncoder` do, with NumPy arrays. Raises `InputError` for a
    folder that is not as it was written, `EncoderError` for a policy that is not for these heads.

    Not for several threads at once; make one for each.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        policy: Policy | None = None,
        *,
        threads: int | None = None,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        keeps_statistics: bool = False,
    ) -> None:
        place = Path(folder)
        manifest = Manifest.load(place)
        own = Policy.parse(checked_bytes(place / POLICY, manifest.policy_sha256), os.fspath(place / POLICY))
        if policy is not None:
            _check_same_heads(policy, own)
        super().__init__(policy or own, manifest.inputs, keeps_statistics)
        if len(manifest.segments) != len(own.exits):
            raise EncoderError(
                f"{place}: saw {len(manifest.segments)} segments for a policy of {len(own.exits)} exits, expected one for each"
            )
        self.manifest = manifest
        self.layers = manifest.layers
        options = onnxruntime.SessionOptions()
        if threads is not None:
            options.intra_op_num_threads = threads
        # Segments run one after the other: threads of one that has run would spin beside those of the next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._sessions = [
            onnxruntime.InferenceSession(
                checked_bytes(place / segment.file, segment.sha256), options, providers=list(providers)
            )
            for segment in manifest.segments
        ]
        self._outputs = [{output.name for output in session.get_outputs()} for session in self._sessions]
        self._bias: Floats | None = None  # [1, attention heads, tokens, tokens], the longest so far

    # --- steps ---

    def _own(self, name: str, values: Any) -> npt.NDArray[Any]:
        return np.asarray(values, np.float32 if name == "pixel_values" else np.int64)

    def _lengths(self, mask: Integers) -> npt.NDArray[Any]:
        lengths: npt.NDArray[Any] = np.count_nonzero(mask, axis=1)
        return lengths

    def _taken(self, values: npt.NDArray[Any], order: npt.NDArray[Any]) -> npt.NDArray[Any]:
        taken: npt.NDArray[Any] = values[order]
        return taken

    def _started(self, inputs: dict[str, npt.NDArray[Any]], mask: Integers | None) -> _Batch:
        first = inputs[self.inputs[0]]
        for name in self.inputs:  # token types that a tokenizer left out are all of the first type
            inputs.setdefault(name, np.zeros_like(first))
        if not self.manifest.mask:
            return _Batch(None, None, inputs)
        if mask is None:
            return _Batch(None, np.ones(first.shape, np.int64), inputs)
        length = int(np.flatnonzero(mask.any(axis=0))[-1]) + 1
        return _Batch(None, mask[:, :length], {name: values[:, :length] for name, values in inputs.items()})

    def _at_exit(self, exit_index: int, batches: list[_Batch]) -> Floats:
        logits = [self._advanced(exit_index, batch) for batch in batches]
        return logits[0] if len(logits) == 1 else np.concatenate(logits)

    def _advanced(self, exit_index: int, batch: _Batch) -> Floats:
        """Runs a segment; the logits [rows, classes] of its exit."""
        given: dict[str, Any] = dict(batch.inputs) if exit_index == 0 else {"states": batch.states}
        wanted = ["logits"]
        if exit_index + 1 < len(self._sessions):
            wanted.append("next_states")
        if batch.mask is not None:
            given["attention_mask"] = batch.mask
        if self.manifest.position_bias:
            tokens = batch.mask.shape[1] if batch.mask is not None else 0
            if exit_index > 0:
                assert self._bias is not None
                given["position_bias"] = self._bias[:, :, :tokens, :tokens]
            elif (self._bias is None or self._bias.shape[-1] < tokens) and "position_bias" in self._outputs[0]:
                wanted.append("position_bias")
        results = dict(zip(wanted, self._sessions[exit_index].run(wanted, given)))
        batch.states, batch.inputs = results.get("next_states"), {}
        if "position_bias" in results:
            self._bias = results["position_bias"]
        logits: Floats = results["logits"]
        return logits


def _check_same_heads(policy: Policy, own: Policy) -> None:
    if policy.heads is None or own.heads is None or policy.heads.sha256 != own.heads.sha256:
        raise EncoderError(
            f"policy: saw {policy.file}, which is for other heads than {own.file}, expected one for the heads in the segments"
        )
    if len(policy.exits) != len(own.exits) or policy.classes != own.classes:
        raise EncoderError(f"policy: saw other exits or classes than those of {own.file}, expected the same")
