"""`beem-policy export-onnx`: an encoder with heads and policy as ONNX segments. Needs the extra `export`, once it runs."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from .errors import InputError
from .heads import Heads
from .policy import Policy
from .pooling import POOLINGS


def add_command(subparsers: Any) -> None:
    """Adds `export-onnx` to the parsers of `beem-policy`; the chosen command is `options.run(options)`, an exit code."""
    parser = subparsers.add_parser(
        "export-onnx",
        help="an encoder with heads and policy as ONNX segments, for early exit in onnxruntime (needs torch)",
        description="Write an encoder as a chain of ONNX files, from exit to exit, each with the head of its exit, beside the "
        "policy. beem_policy.onnx_encoder.OnnxEarlyExit runs them in onnxruntime, without torch.",
    )
    parser.add_argument("model", help="a folder with the encoder, or its id on the hub")
    parser.add_argument("--revision", help="the commit of the encoder on the hub")
    parser.add_argument("--policy", type=Path, required=True, help="the policy, policy.json")
    parser.add_argument(
        "--heads", type=Path, help="heads of the encoder's width, where the policy's are for a compressed cache (`beem "
        "export --full-width`; default: the policy's)"
    )  # fmt: skip
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="a new folder")
    parser.add_argument(
        "--pooling", choices=POOLINGS, default="mean", help="as features were extracted (default: mean)"
    )
    parser.add_argument(
        "--layers", type=int, nargs="+", metavar="LAYER", help="after which layer, from 1, each exit sits (default: as "
        "the policy's exits are named, or one after each)"
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Exports, and says what was written; returns the exit code."""
    try:
        import torch
        import transformers

        from .onnx_segments import export_segments
        from .serving import EncoderError
    except ImportError as error:
        raise InputError(
            "unsupported",
            "export-onnx",
            seen=str(error),
            expected="torch, transformers and onnx",
            advice="Install them: pip install 'beem-policy[export]'.",
        ) from None
    notes: Any = transformers.utils.logging
    notes.set_verbosity_error()
    notes.disable_progress_bar()
    policy = Policy.load(options.policy)
    heads = policy.load_heads() if options.heads is None else Heads.load(options.heads)
    try:
        model = transformers.AutoModel.from_pretrained(options.model, revision=options.revision, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise InputError(
            "unreadable",
            options.model,
            seen=f"transformers cannot load it ({str(error).splitlines()[0]})",
            expected="an encoder",
            advice="Check the path, or the id.",
        ) from None
    try:
        difference = export_segments(
            model, policy, options.output, heads, pooling=options.pooling, layers=options.layers
        )
    except EncoderError as error:
        raise InputError(
            "mismatch", options.model, seen=str(error), expected="an encoder, a policy and heads that go together"
        ) from None
    size = sum(os.path.getsize(path) for path in options.output.iterdir())
    print(f"{options.output}: {len(policy.exits)} segments with heads, {POLICY_AND_MANIFEST}; {size:,} bytes")
    if difference is None:
        print("Not compared with torch: onnxruntime is not installed.")
    else:
        print(f"Logits in onnxruntime and in torch differ by at most {difference:.1e} of the largest of their exit.")
    return 0


POLICY_AND_MANIFEST = "policy.json and segments.json"
