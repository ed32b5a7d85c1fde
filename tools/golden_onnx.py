#!/usr/bin/env python3
"""ONNX models of every operator that `mtcmcn import` takes, with what onnxruntime makes of them: tests/fixtures/onnx. Needs onnx and
onnxruntime.

Each model reads one image of 3 x 8 x 8 numbers, `fill("<name>.x", -1, 1)` of golden_units.py, and gives a vector. Tensors follow from their
names, too.
"""

import json
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from golden_units import fill

FOLDER = pathlib.Path(__file__).parent.parent / "tests/fixtures/onnx"


class Builder:
    """Nodes and tensors of one model; each method returns the name of a result."""

    def __init__(self, name, opset):
        self.name, self.opset, self.nodes, self.tensors = name, opset, [], []

    def constant(self, values):
        name = f"{self.name}.t{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(values, name))
        return name

    def drawn(self, shape, low, high):
        return self.constant(fill(f"{self.name}.t{len(self.tensors)}", shape, low, high).astype(np.float32))

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def node(self, operator, inputs, **attributes):
        result = f"{self.name}.{operator}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [result], name=f"node {len(self.nodes)}", **attributes))
        return result

    def conv(self, x, c, out, k, bias=True, **attributes):
        groups = attributes.get("group", 1)
        bound = (3 / (c // groups * k * k)) ** 0.5
        inputs = [x, self.drawn((out, c // groups, k, k), -bound, bound)] + ([self.drawn((out,), -0.5, 0.5)] if bias else [])
        return self.node("Conv", inputs, kernel_shape=[k, k], **attributes)

    def norm(self, x, c):
        parts = [self.drawn((c,), *of) for of in [(0.5, 1.5), (-0.5, 0.5), (-0.5, 0.5), (0.5, 2.0)]]
        return self.node("BatchNormalization", [x, *parts], epsilon=1e-3)

    def clip(self, x, low, high):
        if self.opset < 11:
            return self.node("Clip", [x], **{key: value for key, value in [("min", low), ("max", high)] if value is not None})
        limits = ["" if value is None else self.constant(np.float32(value)) for value in (low, high)]
        return self.node("Clip", [x, *limits])

    def gemm(self, x, inputs, out):
        bound = (3 / inputs) ** 0.5
        return self.node("Gemm", [x, self.drawn((out, inputs), -bound, bound), self.drawn((out,), -0.5, 0.5)], transB=1)

    def means(self, x, keep):
        if self.opset < 18:
            return self.node("ReduceMean", [x], axes=[2, 3], keepdims=keep)
        return self.node("ReduceMean", [x, self.ints(2, 3)], keepdims=keep)

    def squeeze(self, x):
        return self.node("Squeeze", [x], axes=[2, 3]) if self.opset < 13 else self.node("Squeeze", [x, self.ints(2, 3)])


def plain(b):
    """A stem, norm, PReLU; a strided convolution without bias; the shape of the result computed as PyTorch's exporter does."""
    x = b.node("PRelu", [b.norm(b.conv("x", 3, 8, 3, pads=[1] * 4), 8), b.drawn((8, 1, 1), 0.1, 0.4)])
    x = b.norm(b.conv(x, 8, 6, 3, False, pads=[1] * 4, strides=[2, 2]), 6)
    size = b.node("Gather", [b.node("Shape", [x]), b.constant(np.int64(0))], axis=0)
    if b.opset < 13:
        sizes = [b.node("Unsqueeze", [part], axes=[0]) for part in (size, b.constant(np.int64(-1)))]
    else:
        sizes = [b.node("Unsqueeze", [part, b.ints(0)]) for part in (size, b.constant(np.int64(-1)))]
    return b.gemm(b.node("Reshape", [x, b.node("Concat", sizes, axis=0)]), 96, 5)


def mobile(b):
    """Depthwise and pointwise convolutions with ReLU6, a skip, and a convolution over all places, as in MobileFaceNet."""
    x = b.clip(b.conv("x", 3, 8, 3, pads=[1] * 4, strides=[2, 2]), 0.0, 6.0)
    y = b.node("Relu", [b.conv(x, 8, 8, 3, pads=[1] * 4, group=8)])
    y = b.node("Add", [x, b.conv(y, 8, 8, 1)])
    y = b.conv(y, 8, 8, 4, group=8)
    return b.node("Reshape", [b.conv(y, 8, 7, 1), b.ints(1, -1)])


def excited(b):
    """Squeeze and excitation, a gate by places, a leaky ReLU, means that keep their axes or do not."""
    x = b.node("LeakyRelu", [b.conv("x", 3, 6, 3)], alpha=0.2)
    gate = b.node("Sigmoid", [b.conv(b.node("GlobalAveragePool", [x]), 6, 6, 1)])
    y = b.node("Mul", [x, gate])
    y = b.node("Mul", [b.node("Sigmoid", [b.conv(y, 6, 1, 3, pads=[1] * 4)]), y])
    y = b.node("Mul", [y, b.means(x, 1)])
    return b.gemm(b.means(y, 0), 6, 4)


def pooled(b):
    """Pools with and without padding, side by side; sums and products with constants; limits that are not 0."""
    x = b.node("Mul", [b.node("Sub", ["x", b.drawn((3, 1, 1), -0.2, 0.2)]), b.constant(np.float32(1.5))])
    parts = [
        b.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4),
        b.node("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2]),
        b.node("AveragePool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4),
    ]
    y = b.node("Concat", parts, axis=1)
    y = b.clip(b.node("Div", [y, b.constant(np.float32(0.5))]), -0.6, 0.8)
    y = b.node("Add", [b.conv(y, 9, 6, 1, group=3), b.drawn((1, 6, 1, 1), -1, 1)])
    return b.squeeze(b.node("GlobalMaxPool", [y]))


def dense(b):
    """Products with matrices both ways, a sum with a bias, a norm of a vector, a difference, unit length."""
    x = b.node("Flatten", ["x"])
    bound = (3 / 192) ** 0.5
    y = b.node("Add", [b.node("MatMul", [x, b.drawn((192, 10), -bound, bound)]), b.drawn((10,), -0.5, 0.5)])
    y = b.norm(b.node("Dropout", [y]), 10)
    z = b.node("Gemm", [y, b.drawn((10, 10), -0.5, 0.5), b.drawn((10,), -0.5, 0.5)], alpha=0.5, beta=2.0)
    z = b.node("Sub", [b.node("PRelu", [z, b.constant(np.array([0.25], np.float32))]), y])
    return b.node("LpNormalization", [z], axis=1, p=2)


MODELS = {"plain": plain, "mobile": mobile, "excited": excited, "pooled": pooled, "dense": dense}


def write(name, opset):
    b = Builder(f"{name}{opset}", opset)
    result = MODELS[name](b)
    output = helper.make_tensor_value_info(result, TensorProto.FLOAT, [None, None])
    graph = helper.make_graph(b.nodes, b.name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3, 8, 8])], [output], b.tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    (FOLDER / f"{b.name}.onnx").write_bytes(data)
    x = fill(f"{b.name}.x", (1, 3, 8, 8), -1, 1).astype(np.float32)
    y = onnxruntime.InferenceSession(data).run(None, {"x": x})[0].ravel()
    return b.name, [float(f"{value:.9g}") for value in y]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    results = dict(write(name, opset) for name in MODELS for opset in (7, 12, 21))
    (FOLDER / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(f"{len(results)} models in {FOLDER}")
