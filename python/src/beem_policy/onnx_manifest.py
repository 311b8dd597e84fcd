"""What a folder of ONNX segments holds: `segments.json`, written last, with the SHA-256 of all other files."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from . import strict_json
from .errors import InputError, unreadable
from .fields import Fields

NAME = "segments.json"
POLICY = "policy.json"
FORMAT, VERSION = "beem-onnx-segments", 1

AGAIN = "Export it again with `beem-policy export-onnx`; it is not made to be edited by hand."


@dataclass(frozen=True)
class Segment:
    """An ONNX file: the layers up to its exit, from the exit before, and the exit's head."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What has to be known to run segments.

    - model: the type of the encoder, `bert`.
    - inputs: what the first segment takes, `attention_mask` apart; the first is the one that cannot be missing.
    - mask: whether all segments take `attention_mask`.
    - position_bias: whether the first segment gives a `position_bias` that the others take (MPNet).
    - pooling: how heads see the states of a layer.
    - layers: after which layer, from 1, each exit sits.
    - policy_sha256: of `policy.json`.
    - segments: one for each exit.
    """

    model: str
    inputs: tuple[str, ...]
    mask: bool
    position_bias: bool
    pooling: str
    layers: tuple[int, ...]
    policy_sha256: str
    segments: tuple[Segment, ...]

    def text(self) -> str:
        """As JSON."""
        content = {"format": FORMAT, "version": VERSION, **asdict(self)}
        content["policy"] = {"file": POLICY, "sha256": content.pop("policy_sha256")}
        return json.dumps(content, indent=2) + "\n"

    @staticmethod
    def load(folder: Path) -> Manifest:
        """Reads and checks the manifest of a folder."""
        path = os.fspath(folder / NAME)
        try:
            data = (folder / NAME).read_bytes()
        except OSError as error:
            raise unreadable(path, error, "a folder that `beem-policy export-onnx` wrote") from None
        try:
            fields = Fields(strict_json.parse(data), path, "", "the segments of an encoder", AGAIN)
        except strict_json.JSONProblem as problem:
            raise InputError("malformed", path, seen=str(problem), expected="JSON", advice=AGAIN) from None
        fields.choice("format", (FORMAT,))
        version = fields.integer("version")
        if version != VERSION:
            raise InputError(
                "unsupported",
                path,
                "version",
                seen=str(version),
                expected=str(VERSION),
                advice="Install a newer beem-policy, or export the encoder again.",
            )
        layers = fields.value("layers")
        if not isinstance(layers, list) or not all(type(layer) is int for layer in layers):
            raise fields.malformed("layers", "an array of whole numbers")
        segments = []
        for segment in fields.objects("segments"):
            file = segment.text("file")
            if Path(file).name != file:
                raise segment.malformed("file", "the name of a file in the same folder")
            segments.append(Segment(file, segment.text("sha256")))
        if not segments or len(layers) != len(segments):
            raise fields.malformed("segments", f"{len(layers)} segments, one for each of the layers")
        inputs = fields.texts("inputs")
        if not inputs:
            raise fields.malformed("inputs", "one or more names")
        return Manifest(
            model=fields.text("model"),
            inputs=inputs,
            mask=fields.boolean("mask"),
            position_bias=fields.boolean("position_bias"),
            pooling=fields.text("pooling"),
            layers=tuple(layers),
            policy_sha256=fields.object("policy").text("sha256"),
            segments=tuple(segments),
        )


def checked_bytes(path: Path, sha256: str) -> bytes:
    """A file of the folder, once its SHA-256 is the one that the manifest names."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(os.fspath(path), error, "a file that the manifest names") from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        raise InputError(
            "mismatch",
            os.fspath(path),
            seen=f"SHA-256 {digest}",
            expected=f"{sha256}, that of {NAME}",
            advice="Files of two exports are mixed, or one was changed: export again.",
        )
    return data
