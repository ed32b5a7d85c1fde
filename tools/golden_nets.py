#!/usr/bin/env python3
"""Golden outputs of the three nets: noise weights, float64, straight from the layer tables. Needs numpy only.

Writes tests/fixtures/golden_nets.json. The Rust side (tests/support/golden.rs) makes the same weights and input:

* tensor number i (from 1, in the order of src/weights/names.rs) is noise with seed i;
* a weight is multiplied by sqrt(3 / inputs summed per output), so that activations keep their size from layer to layer;
* a bias by 0.125, a PReLU slope by 0.25;
* the input is (((7c + 3y + 5x) mod 17) - 8) / 8.
"""

import json
import pathlib

import numpy as np

MASK = (1 << 64) - 1

# net, layer, outputs, inputs, kernel side, has a PReLU; a dense layer is a convolution over its whole input map.
LAYERS = [
    ("pnet", "conv1", 10, 3, 3, True),
    ("pnet", "conv2", 16, 10, 3, True),
    ("pnet", "conv3", 32, 16, 3, True),
    ("pnet", "class", 2, 32, 1, False),
    ("pnet", "box", 4, 32, 1, False),
    ("rnet", "conv1", 28, 3, 3, True),
    ("rnet", "conv2", 48, 28, 3, True),
    ("rnet", "conv3", 64, 48, 2, True),
    ("rnet", "fc4", 128, 64, 3, True),
    ("rnet", "class", 2, 128, 1, False),
    ("rnet", "box", 4, 128, 1, False),
    ("onet", "conv1", 32, 3, 3, True),
    ("onet", "conv2", 64, 32, 3, True),
    ("onet", "conv3", 64, 64, 3, True),
    ("onet", "conv4", 128, 64, 2, True),
    ("onet", "fc5", 256, 128, 3, True),
    ("onet", "class", 2, 256, 1, False),
    ("onet", "box", 4, 256, 1, False),
    ("onet", "landmarks", 10, 256, 1, False),
]

# What follows a layer: max pooling (window, stride).
POOLS = {
    "pnet.conv1": (2, 2),
    "rnet.conv1": (3, 2),
    "rnet.conv2": (3, 2),
    "onet.conv1": (3, 2),
    "onet.conv2": (3, 2),
    "onet.conv3": (2, 2),
}

HEADS = ("class", "box", "landmarks")


def noise(count, seed):
    """PCG-XSH-RR 32, as mtcmcn::tensor::noise: uniform in [-1, 1)."""
    state = (seed * 0x9E3779B97F4A7C15 & MASK) | 1
    values = []
    for _ in range(count + 1):
        old = state
        state = (old * 6364136223846793005 + 1442695040888963407) & MASK
        word = (((old >> 18) ^ old) >> 27) & 0xFFFFFFFF
        turn = old >> 59
        bits = ((word >> turn) | (word << (32 - turn))) & 0xFFFFFFFF
        values.append((bits >> 8) / (1 << 23) - 1.0)
    return np.array(values[1:], np.float32)


def make_weights():
    """name -> float64 array; every value is one of float32."""
    tensors, seed = {}, 0
    for net, layer, outputs, inputs, side, prelu in LAYERS:
        scale = np.float32(np.sqrt(3.0 / (inputs * side * side)))
        parts = [("weight", (outputs, inputs, side, side), scale), ("bias", (outputs,), np.float32(0.125))]
        if prelu:
            parts.append(("slope", (outputs,), np.float32(0.25)))
        for part, shape, factor in parts:
            seed += 1
            values = noise(int(np.prod(shape)), seed) * factor
            tensors[f"{net}.{layer}.{part}"] = values.reshape(shape).astype(np.float64)
    return tensors


def convolve(x, weight, bias):
    side = weight.shape[2]
    height, width = x.shape[1] - side + 1, x.shape[2] - side + 1
    y = np.zeros((weight.shape[0], height, width)) + bias[:, None, None]
    for u in range(side):
        for v in range(side):
            y += np.einsum("oc,chw->ohw", weight[:, :, u, v], x[:, u : u + height, v : v + width])
    return y


def max_pool(x, window, stride):
    """Ceil mode: a window may stick out, only what exists counts."""
    rows = -(-(x.shape[1] - window) // stride) + 1
    columns = -(-(x.shape[2] - window) // stride) + 1
    y = np.empty((x.shape[0], rows, columns))
    for i in range(rows):
        for j in range(columns):
            y[:, i, j] = x[:, i * stride : i * stride + window, j * stride : j * stride + window].max((1, 2))
    return y


def forward(tensors, net, x):
    """All head channels, one below the other."""
    outputs = []
    for name, layer, _, _, _, prelu in LAYERS:
        if name != net:
            continue
        key = f"{net}.{layer}"
        y = convolve(x, tensors[f"{key}.weight"], tensors[f"{key}.bias"])
        if layer in HEADS:
            outputs.append(y)
            continue
        if prelu:
            y = np.where(y > 0.0, y, tensors[f"{key}.slope"][:, None, None] * y)
        x = max_pool(y, *POOLS[key]) if key in POOLS else y
    return np.concatenate(outputs)


def test_input(height, width):
    c, y, x = np.ogrid[:3, :height, :width]
    return ((7 * c + 3 * y + 5 * x) % 17 - 8) / 8.0


def main():
    tensors = make_weights()
    cases = []
    for net, height, width, sign in [
        ("pnet", 12, 12, 1),
        ("pnet", 17, 16, 1),
        ("rnet", 24, 24, 1),
        ("rnet", 24, 24, -1),
        ("onet", 48, 48, 1),
        ("onet", 48, 48, -1),
    ]:
        y = forward(tensors, net, sign * test_input(height, width))
        values = [float(f"{value:.10g}") for value in y.ravel()]
        cases.append({"net": net, "height": height, "width": width, "sign": sign, "shape": list(y.shape), "output": values})
    # Noise of one seed as well: if the generators part ways, that is what the test should say.
    document = {"noise_of_seed_1": [float(value) for value in noise(4, 1)], "cases": cases}
    path = pathlib.Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "golden_nets.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n    ".join(json.dumps(case) for case in cases)
    path.write_text(f'{{\n  "noise_of_seed_1": {json.dumps(document["noise_of_seed_1"])},\n  "cases": [\n    {lines}\n  ]\n}}\n')
    json.loads(path.read_text())


if __name__ == "__main__":
    main()
