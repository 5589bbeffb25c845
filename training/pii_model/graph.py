"""The tagger as the file that processes of the gateway run: base model and adapter in one, in whole numbers of eight bits.

Written operation by operation, so that nothing but numpy and onnx is needed and every machine gets the same graph. Weights
have seven bits and a scale for each output: with eight, processors without VNNI would overflow. Activations get their
scale from the window that is read, so that windows are run one by one: a text's result depends on no other text.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from safetensors import safe_open

from core.catalogue import WEIGHTS_FILE, BaseModel

Array = npt.NDArray[np.float32]

_ONNX = 17
_IR = 9
_MICROSOFT = "com.microsoft"
_EPSILON = 1e-12
_HEADS = 12
_HIGHEST = 63.0


class _Graph:
    """Nodes and weights as they are added."""

    def __init__(self, *, quantised: bool) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self._quantised = quantised

    def weight(self, name: str, values: npt.NDArray[np.generic]) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(
        self,
        kind: str,
        inputs: list[str],
        name: str,
        outputs: int = 1,
        domain: str = "",
        **attributes: Any,
    ) -> str:
        """Add one; `name` is that of its output, or the first of several."""
        names = [name, *(f"{name}_{index}" for index in range(1, outputs))]
        self.nodes.append(helper.make_node(kind, inputs, names, name=name, domain=domain, **attributes))
        return name

    def linear(self, source: str, weight: Array, bias: Array, name: str) -> str:
        """source @ weight.T + bias; weight: [outputs, inputs]."""
        shift = self.weight(f"{name}.bias", bias)
        if not self._quantised:
            product = self.node(
                "MatMul", [source, self.weight(f"{name}.weight", weight.T)], f"{name}.product"
            )
            return self.node("Add", [product, shift], name)
        whole, scale = _quantise(weight)
        inputs = [
            source,
            self.weight(f"{name}.weight", whole.T),
            self.weight(f"{name}.scale", scale),
            self.weight(f"{name}.zero", np.zeros(len(scale), dtype=np.int8)),
            shift,
        ]
        return self.node("DynamicQuantizeMatMul", inputs, name, domain=_MICROSOFT)

    def rows(self, table: Array, indexes: str, name: str) -> str:
        """The rows of `table` [rows, hidden] at `indexes`."""
        if not self._quantised:
            return self.node("Gather", [self.weight(f"{name}.table", table), indexes], name)
        whole, scale = _quantise(table, highest=127.0)
        found = self.node("Gather", [self.weight(f"{name}.table", whole), indexes], f"{name}.whole")
        real = self.node("Cast", [found], f"{name}.real", to=TensorProto.FLOAT)
        scales = self.node(
            "Gather", [self.weight(f"{name}.scale", scale[:, None]), indexes], f"{name}.scales"
        )
        return self.node("Mul", [real, scales], name)


def tagger_graph(base: BaseModel, adapter: Path, *, quantised: bool = True) -> ModelProto:
    """The graph of `base` with the adapter in that file.

    Its inputs are one window's `ids`, `shapes` and `places` (where words begin), whole numbers; its output, `probabilities`
    [words, tags]. Not `quantised`, it computes in single precision: what the other is compared with.
    Raises BaseModelUnavailable where the base's weights are missing or are others.
    """
    base_tensors = _tensors(base.verify() / WEIGHTS_FILE)
    trained = _tensors(adapter)
    scale = int(_metadata(adapter)["alpha"]) / int(_metadata(adapter)["rank"])
    layers = int(_metadata(adapter)["layers"])
    graph = _Graph(quantised=quantised)
    hidden = _embeddings(graph, base_tensors, trained["shapes"])
    for layer in range(layers):
        merged = _merged(f"encoder.layer.{layer}.", base_tensors, trained, scale)
        hidden = _layer(graph, hidden, merged, f"layer{layer}")
    flat = graph.node("Squeeze", [hidden, graph.weight("first", np.array([0], dtype=np.int64))], "tokens")
    words = graph.node("Gather", [flat, "places"], "words")
    # The head is small, and what it says should be exact.
    product = graph.node(
        "MatMul", [words, graph.weight("head.weight", trained["head.weight"].T)], "head.product"
    )
    logits = graph.node("Add", [product, graph.weight("head.bias", trained["head.bias"])], "logits")
    graph.node("Softmax", [logits], "probabilities", axis=-1)
    whole = TensorProto.INT64
    made = helper.make_graph(
        graph.nodes,
        "tagger",
        [
            helper.make_tensor_value_info("ids", whole, [1, "tokens"]),
            helper.make_tensor_value_info("shapes", whole, [1, "tokens"]),
            helper.make_tensor_value_info("places", whole, ["words"]),
        ],
        [
            helper.make_tensor_value_info(
                "probabilities", TensorProto.FLOAT, ["words", len(trained["head.bias"])]
            )
        ],
        graph.weights,
    )
    opsets = [helper.make_opsetid("", _ONNX), helper.make_opsetid(_MICROSOFT, 1)]
    return helper.make_model(made, opset_imports=opsets, ir_version=_IR, producer_name="adaptary")


def adapter_tags(adapter: Path) -> list[str]:
    """The tags of the head's outputs, in their order."""
    tags: list[str] = json.loads(_metadata(adapter)["tags"])
    return tags


def _embeddings(graph: _Graph, base: Mapping[str, Array], shapes: Array) -> str:
    words = graph.rows(base["embeddings.word_embeddings.weight"], "ids", "words_in")
    cases = graph.node("Gather", [graph.weight("shapes.table", shapes), "shapes"], "shapes_in")
    length = graph.node("Shape", ["ids"], "length", start=1, end=2)
    zero, one = (graph.weight(f"number{n}", np.array([n], dtype=np.int64)) for n in (0, 1))
    positions = graph.node(
        "Slice",
        [
            graph.weight("positions.table", base["embeddings.position_embeddings.weight"]),
            zero,
            length,
            zero,
            one,
        ],
        "positions_in",
    )
    summed = graph.node("Add", [graph.node("Add", [words, cases], "summed_words"), positions], "summed")
    return graph.node(
        "LayerNormalization",
        [
            summed,
            graph.weight("embeddings.gamma", base["embeddings.LayerNorm.weight"]),
            graph.weight("embeddings.beta", base["embeddings.LayerNorm.bias"]),
        ],
        "embedded",
        axis=-1,
        epsilon=_EPSILON,
    )


def _layer(graph: _Graph, hidden: str, weights: Mapping[str, Array], name: str) -> str:
    """One layer of BERT. Queries, keys and values are computed at once."""
    attention = [f"attention.self.{part}" for part in ("query", "key", "value")]
    joint = graph.linear(
        hidden,
        np.concatenate([weights[f"{part}.weight"] for part in attention]),
        np.concatenate([weights[f"{part}.bias"] for part in attention]),
        f"{name}.qkv",
    )
    query = graph.node("Split", [joint], f"{name}.query", outputs=3, axis=-1)
    parts = [query, f"{query}_1", f"{query}_2"]
    mixed = graph.node("MultiHeadAttention", parts, f"{name}.mixed", domain=_MICROSOFT, num_heads=_HEADS)
    attended = graph.linear(
        mixed,
        weights["attention.output.dense.weight"],
        weights["attention.output.dense.bias"],
        f"{name}.attended",
    )
    hidden = _norm(graph, attended, hidden, weights, "attention.output.LayerNorm", f"{name}.middle")
    inner = graph.linear(
        hidden, weights["intermediate.dense.weight"], weights["intermediate.dense.bias"], f"{name}.inner"
    )
    bent = graph.node("Gelu", [inner], f"{name}.bent", domain=_MICROSOFT)
    outer = graph.linear(bent, weights["output.dense.weight"], weights["output.dense.bias"], f"{name}.outer")
    return _norm(graph, outer, hidden, weights, "output.LayerNorm", f"{name}.out")


def _norm(graph: _Graph, new: str, old: str, weights: Mapping[str, Array], part: str, name: str) -> str:
    """`new` and `old` summed up and normalised. Apart: the operation that does both takes ten times as long."""
    summed = graph.node("Add", [new, old], f"{name}.summed")
    gamma = graph.weight(f"{name}.gamma", weights[f"{part}.weight"])
    beta = graph.weight(f"{name}.beta", weights[f"{part}.bias"])
    return graph.node("LayerNormalization", [summed, gamma, beta], name, axis=-1, epsilon=_EPSILON)


def _merged(
    prefix: str, base: Mapping[str, Array], trained: Mapping[str, Array], scale: float
) -> dict[str, Array]:
    """The weights of one layer, by their names behind `prefix`, with what the adapter adds to them."""
    merged = {}
    for name, values in base.items():
        if name.startswith(prefix):
            short = name.removeprefix(prefix)
            part = f"{prefix}{short.removesuffix('.weight')}"
            down, up = trained.get(f"{part}.lora_A.weight"), trained.get(f"{part}.lora_B.weight")
            merged[short] = values if down is None or up is None else values + scale * (up @ down)
    return merged


def _quantise(weight: Array, highest: float = _HIGHEST) -> tuple[npt.NDArray[np.int8], Array]:
    """`weight` [rows, columns] as whole numbers and a scale for each row."""
    scale = np.maximum(np.abs(weight).max(1) / highest, np.finfo(np.float32).tiny).astype(np.float32)
    return np.round(weight / scale[:, None]).astype(np.int8), scale


def _tensors(file: Path) -> dict[str, Array]:
    with safe_open(file, "np") as tensors:
        return {name: tensors.get_tensor(name).astype(np.float32) for name in tensors.keys()}  # noqa: SIM118


def _metadata(file: Path) -> dict[str, str]:
    with safe_open(file, "np") as tensors:
        return dict(tensors.metadata())
