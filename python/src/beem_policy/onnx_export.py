"""The rule, with heads or without, as one ONNX graph; needs the extra `onnx` (`pip install './python[onnx]'`).

The graph takes what all exits say, or the features that their heads read, and says where each sample leaves. It is for
servers that hold these, or run the whole network anyway, and want the same decisions from one file: it computes all exits,
so it saves nothing by itself. Serving that stops early asks a `BatchSession` between layers, or runs the network in
segments (`onnx_segments.py`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from .heads import LAYER_NORM_EPSILON, Head, Heads, HiddenHead
from .policy import Policy
from .whole_file import replacing

OPSET = 17
IR_VERSION = 8
RULES_WITHOUT_CONFIDENCE = ("patience", "static")


def export(policy: Policy, heads: Heads, path: str | os.PathLike[str]) -> None:
    """Writes a policy with its heads as an ONNX model.

    Inputs: `features.<i>` [batch, width], Float32, for each exit. Outputs: `exit` and `label` [batch], Int64, and
    `score` [batch], Float64. Under a policy for numbers `label` counts how often neighbouring exits disagreed, as in a
    session, and there is an output `number` [batch], Float32.

    The rule is computed in Float64, each operation rounded by itself, and so are heads, but for erf in a GELU, which
    runtimes have in Float32 only. Decisions are those of this package, except where two logits, or a score and its
    threshold, differ by less than 1e-5.

    Raises `ValueError` when heads and policy have different numbers of exits or classes, `InputError` when the file
    cannot be written.
    """
    check_heads(policy, heads)
    graph = _Graph()
    inputs = [graph.input(f"features.{exit_}", TensorProto.FLOAT, head.width) for exit_, head in enumerate(heads)]
    logits = [_logits(graph, head, features) for head, features in zip(heads, inputs)]
    _decisions(graph, policy, [_observed(graph, policy, exit_, values) for exit_, values in enumerate(logits)])
    _write(graph, policy, path)


def export_rule(policy: Policy, path: str | os.PathLike[str], takes: str = "labels") -> None:
    """Writes the rule of a policy, without heads, as an ONNX model; outputs are those of `export`.

    - takes: `labels`: the inputs are `label.<i>` [batch], Int64, and `confidence.<i>` [batch], Float32, for each exit;
      no confidences under a rule that asks for none, and under a policy for numbers `number.<i>` [batch], Float32,
      instead of both. `logits`: they are `logits.<i>` [batch, classes], Float32, before any temperature.

    Given labels and confidences, or numbers, decisions and scores are those of `decide` to the last bit, but that a zero
    may lose its sign (in onnxruntime's `Where`). Given logits, the last bit of `exp` may differ between libraries.
    """
    graph = _Graph()
    observed = []
    for exit_ in range(len(policy.exits)):
        if takes == "logits":
            logits = graph.input(f"logits.{exit_}", TensorProto.FLOAT, len(policy.classes))
            observed.append(_observed(graph, policy, exit_, logits))
        elif takes != "labels":
            raise ValueError(f"takes: saw {takes!r}, expected labels or logits")
        elif policy.predicts_numbers:
            observed.append(_Observed(number=graph.input(f"number.{exit_}", TensorProto.FLOAT)))
        else:
            own = _Observed(label=graph.input(f"label.{exit_}", TensorProto.INT64))
            if policy.rule.kind not in RULES_WITHOUT_CONFIDENCE:
                confidence = graph.input(f"confidence.{exit_}", TensorProto.FLOAT)
                own.confidence = graph.cast(confidence, TensorProto.DOUBLE)
            observed.append(own)
    _decisions(graph, policy, observed)
    _write(graph, policy, path)


def check_heads(policy: Policy, heads: Heads) -> None:
    """Raises `ValueError` when heads and policy have different numbers of exits or classes."""
    if len(heads) != len(policy.exits):
        raise ValueError(f"heads of {len(heads)} exits; expected {len(policy.exits)}, as in {policy.file}")
    for index, head in enumerate(heads):
        if head.class_count != len(policy.classes):
            raise ValueError(
                f"the head of exit {index} has {head.class_count} classes; "
                f"expected {len(policy.classes)}, as in {policy.file}"
            )


def _write(graph: _Graph, policy: Policy, path: str | os.PathLike[str]) -> None:
    outputs = [
        helper.make_tensor_value_info("exit", TensorProto.INT64, ["batch"]),
        helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"]),
        helper.make_tensor_value_info("score", TensorProto.DOUBLE, ["batch"]),
    ]
    if policy.predicts_numbers:
        outputs.append(helper.make_tensor_value_info("number", TensorProto.FLOAT, ["batch"]))
    model = helper.make_model(
        helper.make_graph(graph.nodes, policy.name, graph.inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="beem-policy",
    )
    # The oldest format that has the operators: runtimes refuse files newer than they are.
    model.ir_version = IR_VERSION
    helper.set_model_props(model, {"classes": "\n".join(policy.classes), "costs": " ".join(map(str, policy.costs))})
    onnx.checker.check_model(model)
    with replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


@dataclass
class _Observed:
    """What an exit says, as names of values [batch]: a label and perhaps its confidence (Float64), or a number (Float32)."""

    label: str | None = None
    confidence: str | None = None
    number: str | None = None


class _Graph:
    """Nodes and constants, with names that are given out one after the other."""

    def __init__(self) -> None:
        self.inputs: list[Any] = []
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def input(self, name: str, type_: int, width: int | None = None) -> str:
        """Adds an input [batch], or [batch, width]; its name."""
        shape: list[Any] = ["batch"] if width is None else ["batch", width]
        self.inputs.append(helper.make_tensor_value_info(name, type_, shape))
        return name

    def add(self, operator: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """Adds a node; the name of its output."""
        output = name or f"{operator.lower()}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def constant(self, values: npt.ArrayLike, dtype: Any = np.float64) -> str:
        """Adds a constant; its name."""
        name = f"constant.{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=dtype), name))
        return name

    def cast(self, value: str, type_: int) -> str:
        """Adds a conversion."""
        return self.add("Cast", value, to=type_)


def _logits(graph: _Graph, head: Head, features: str) -> str:
    """[batch, classes], Float32: rounded once, as in `head.logits`."""
    values = graph.cast(features, TensorProto.DOUBLE)
    if isinstance(head, HiddenHead):
        if head.norm_weight is not None and head.norm_bias is not None:
            centred = graph.add("Sub", values, graph.add("ReduceMean", values, axes=[1]))
            variance = graph.add("ReduceMean", graph.add("Mul", centred, centred), axes=[1])
            deviation = graph.add("Sqrt", graph.add("Add", variance, graph.constant(LAYER_NORM_EPSILON)))
            scaled = graph.add("Mul", graph.constant(head.norm_weight), graph.add("Div", centred, deviation))
            values = graph.add("Add", scaled, graph.constant(head.norm_bias))
        values = _affine(graph, values, head.hidden_weight, head.hidden_bias)
        if head.activation == "gelu":
            halves = graph.cast(graph.add("Mul", values, graph.constant(np.sqrt(0.5))), TensorProto.FLOAT)
            error_function = graph.cast(graph.add("Erf", halves), TensorProto.DOUBLE)
            share = graph.add("Mul", graph.constant(0.5), graph.add("Add", error_function, graph.constant(1.0)))
            values = graph.add("Mul", values, share)
        else:
            values = graph.add({"tanh": "Tanh", "relu": "Relu"}[head.activation], values)
    return graph.cast(_affine(graph, values, head.weight, head.bias), TensorProto.FLOAT)


def _affine(graph: _Graph, values: str, weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> str:
    # Parameters stay Float32 in the file, half the size, and are widened when the model is loaded.
    matrix = graph.cast(graph.constant(weight.T, np.float32), TensorProto.DOUBLE)
    return graph.add("Add", graph.add("MatMul", values, matrix), graph.constant(bias))


def _observed(graph: _Graph, policy: Policy, exit_: int, logits: str) -> _Observed:
    """What an exit says by its logits [batch, classes]."""
    if policy.predicts_numbers:
        return _Observed(number=graph.add("Squeeze", logits, graph.constant([1], np.int64)))
    label = graph.add("ArgMax", logits, axis=1, keepdims=0, select_last_index=0)
    if policy.rule.kind in RULES_WITHOUT_CONFIDENCE:
        return _Observed(label)
    return _Observed(label, _confidence(graph, logits, label, policy.exits[exit_].temperature, policy))


def _decisions(graph: _Graph, policy: Policy, observed: Sequence[_Observed]) -> None:
    """The exits in order; each output is that of the first exit that lets a sample go."""
    said: list[dict[str, str]] = []
    for exit_, own in enumerate(observed):
        said.append(_said(graph, policy, exit_, own, said[-1] if said else None))
    leaves: dict[int, str] = {}
    for exit_ in range(len(said) - 1):
        threshold = policy.exits[exit_].threshold
        if threshold is not None:
            leaves[exit_] = graph.add("GreaterOrEqual", said[exit_]["score"], graph.constant(threshold))
    for output in ["exit", "label", "score"] + (["number"] if policy.predicts_numbers else []):
        # From the last exit to the first: an earlier one that lets the sample go has the last word.
        value = said[-1][output]
        for exit_ in reversed(leaves):
            value = graph.add("Where", leaves[exit_], said[exit_][output], value)
        graph.add("Identity", value, name=output)


def _said(
    graph: _Graph, policy: Policy, exit_: int, observed: _Observed, previous: dict[str, str] | None
) -> dict[str, str]:
    """Exit, label and score [batch] after an exit, and for numbers `number` (Float32) and `value` (Float64)."""
    rule = policy.rule
    own: dict[str, str] = {}
    agrees = None
    given = observed.label or observed.number
    assert given is not None
    zero = graph.add(
        "ConstantOfShape", graph.add("Shape", given), value=helper.make_tensor("", TensorProto.INT64, [1], [0])
    )
    if observed.number is not None:
        own["number"], own["value"] = observed.number, graph.cast(observed.number, TensorProto.DOUBLE)
        own["label"] = zero
        if previous is not None and rule.tolerance is not None:
            distance = graph.add("Abs", graph.add("Sub", own["value"], previous["value"]))
            agrees = graph.add("LessOrEqual", distance, graph.constant(rule.tolerance))
            following = graph.add("Add", previous["label"], graph.constant(1, np.int64))
            own["label"] = graph.add("Where", agrees, previous["label"], following)
    else:
        own["label"] = given
        if previous is not None:
            agrees = graph.add("Equal", given, previous["label"])
    own["exit"] = graph.add("Add", zero, graph.constant(exit_, np.int64))
    nothing = graph.cast(zero, TensorProto.DOUBLE)
    if rule.kind == "static":
        own["score"] = graph.add("Add", nothing, graph.constant(float(exit_)))
    elif rule.kind == "patience":
        own["score"] = nothing
        if previous is not None and agrees is not None:
            longer = graph.add("Add", previous["score"], graph.constant(1.0))
            own["score"] = graph.add("Where", agrees, longer, nothing)
    else:
        assert observed.confidence is not None
        own["score"] = observed.confidence
        if rule.kind == "beem":
            weighted = graph.add("Mul", graph.constant(policy.exits[exit_].weight), observed.confidence)
            own["score"] = weighted
            if previous is not None and agrees is not None:
                kept = graph.add("Mul", graph.constant(rule.memory), previous["score"])
                restarted = weighted if rule.restart == "current" else nothing
                own["score"] = graph.add("Where", agrees, graph.add("Add", kept, weighted), restarted)
    return own


def _confidence(graph: _Graph, logits: str, first: str, temperature: float, policy: Policy) -> str:
    """[batch], Float64 after one rounding to Float32."""
    measure, classes = policy.rule.confidence, len(policy.classes)
    column = graph.constant([1], np.int64)
    scaled = graph.add("Div", graph.cast(logits, TensorProto.DOUBLE), graph.constant(temperature))
    top = graph.add("ReduceMax", scaled, axes=[1])
    shifted = graph.add("Sub", scaled, top)
    exponentials = graph.add("Exp", shifted)
    total = graph.add("ReduceSum", exponentials, column, keepdims=0)
    if measure == "max-probability" or classes == 1:
        confidence = graph.add("Div", graph.constant(1.0), total)
    elif measure == "margin":
        place = graph.add("Unsqueeze", first, column)
        classes_in_order = graph.constant(np.arange(classes)[None], np.int64)
        others = graph.add("Where", graph.add("Equal", classes_in_order, place), graph.constant(-np.inf), shifted)
        second = graph.add("Exp", graph.add("ReduceMax", others, axes=[1], keepdims=0))
        confidence = graph.add("Div", graph.add("Sub", graph.constant(1.0), second), total)
    else:
        weighted = graph.add("ReduceSum", graph.add("Mul", exponentials, shifted), column, keepdims=0)
        entropy = graph.add("Sub", graph.add("Log", total), graph.add("Div", weighted, total))
        share = graph.add("Div", entropy, graph.constant(np.log(float(classes))))
        confidence = graph.add("Sub", graph.constant(1.0), share)
    return graph.cast(graph.cast(confidence, TensorProto.FLOAT), TensorProto.DOUBLE)
