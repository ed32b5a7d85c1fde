#!/usr/bin/env python3
"""Golden gradients and ten golden training steps of the three nets, by PyTorch in float64. Needs torch and numpy.

Writes tests/fixtures/golden_training.json. The Rust side (tests/support/training.rs) makes the same weights and samples:

* weights are those of golden_nets.py, and landmark heads of P- and R-Net from seeds 101 to 104, scaled alike;
* weights of the nets of Table 1 (12-, 24- and 48-Net by themselves, class task alone) are noise too, tensor number i of a net, from 1,
  with seed i: weights scaled as those of golden_nets.py, biases by 0.25;
* gradients: a batch of the golden input and its negative, labels 1 and 0, box targets 0.1, landmark targets 0.5 for both; no mining, no
  dropout; L = mean CE + 0.5 mean squared box error + 1.0 mean squared landmark error (spec 2.5);
* ten steps of Adam: step s has 12 samples, whose bytes are floor((noise + 1) 128) with seed 1000 + s, whose kinds go round negative,
  positive, part, landmarks, and whose targets are noise / 4 with seed 2000 + s; mining keeps 70 % of the class task; task weights of
  spec 4.3; no dropout. O-Net's run is a fine test of Adam: in float64 too, a rate greater by 1e-5 moves its loss by 0.5 % in the third step
  (one greater by 1e-6, by 1e-7), which bias corrections by decay rates that are not those of the moments, rounded to float32, did.
"""

import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

from golden_nets import HEADS, LAYERS, POOLS, make_weights, noise, test_input

SIDES = {"pnet": 12, "rnet": 24, "onet": 48}
SAMPLES, STEPS, KEEP = 12, 10, 7000


def all_weights():
    tensors = make_weights()
    for net, inputs, seed in [("pnet", 32, 101), ("rnet", 128, 103)]:
        weight = noise(10 * inputs, seed) * np.float32(np.sqrt(3.0 / inputs))
        tensors[f"{net}.landmarks.weight"] = weight.reshape(10, inputs, 1, 1).astype(np.float64)
        tensors[f"{net}.landmarks.bias"] = (noise(10, seed + 1) * np.float32(0.125)).astype(np.float64)
    return tensors


def forward(tensors, net, x):
    """Class logits, box offsets and landmarks, [n, outputs] each."""
    for name, layer, _, _, _, prelu in LAYERS:
        if name != net or layer in HEADS:
            continue
        key = f"{net}.{layer}"
        x = F.conv2d(x, tensors[f"{key}.weight"], tensors[f"{key}.bias"])
        if prelu:
            x = F.prelu(x, tensors[f"{key}.slope"])
        if key in POOLS:
            x = F.max_pool2d(x, *POOLS[key], ceil_mode=True)
    return [F.conv2d(x, tensors[f"{net}.{head}.weight"], tensors[f"{net}.{head}.bias"]).flatten(1) for head in HEADS]


# Of each rival: side, then its layers: kernel side and outputs of a convolution, outputs of a dense layer.
RIVALS = {
    "net12": (12, [("conv1", 3, 16), "pool", ("fc2", 0, 16), ("class", 0, 2)]),
    "net24": (24, [("conv1", 5, 64), "pool", ("fc2", 0, 128), ("class", 0, 2)]),
    "net48": (48, [("conv1", 5, 64), "pool", "lrn", ("conv2", 5, 64), "lrn", "pool", ("fc3", 0, 256), ("class", 0, 2)]),
}


def rival(net):
    """Loss and gradient norms, as `gradients`."""
    side, layers = RIVALS[net]
    v = torch.tensor(test_input(side, side))
    x, tensors = torch.stack([v, -v]), {}
    for layer in layers:
        if layer == "pool":
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        elif layer == "lrn":
            x = F.local_response_norm(x, 9, alpha=1e-4, beta=0.75, k=1.0)
        else:
            name, k, out = layer
            shape = (out, x.shape[1], k, k) if k else (out, x.flatten(1).shape[1])
            scale = np.float32(np.sqrt(3.0 / np.prod(shape[1:])))
            for part, size, factor in [("weight", shape, scale), ("bias", (out,), np.float32(0.25))]:
                values = noise(int(np.prod(size)), len(tensors) + 1) * factor
                tensors[f"{net}.{name}.{part}"] = torch.tensor(values.reshape(size).astype(np.float64), requires_grad=True)
            weight, bias = (tensors[f"{net}.{name}.{part}"] for part in ("weight", "bias"))
            x = F.conv2d(x, weight, bias) if k else F.linear(x.flatten(1), weight, bias)
            x = x if name == "class" else F.relu(x)
    loss = F.cross_entropy(x, torch.tensor([1, 0]))
    loss.backward()
    return {"losses": [loss.item()], "total": loss.item(), "norms": {key: tensor.grad.norm().item() for key, tensor in tensors.items()}}


def losses(outputs, faces, targets):
    classes, boxes, landmarks = outputs
    entropy = F.cross_entropy(classes, faces, reduction="none")
    return entropy, ((boxes - targets[:, :4]) ** 2).sum(1), ((landmarks - targets[:, 4:]) ** 2).sum(1)


def mined(entropy, pool):
    """Mean of the hardest, ties by index."""
    mine = entropy[pool]
    kept = max(1, len(mine) * KEEP // 10000)
    return mine[torch.sort(-mine.detach(), stable=True).indices[:kept]].mean()


def gradients(net):
    tensors = {key: torch.tensor(value, requires_grad=True) for key, value in all_weights().items() if key.startswith(net)}
    v = torch.tensor(test_input(SIDES[net], SIDES[net]))
    targets = torch.cat([torch.full((2, 4), 0.1), torch.full((2, 10), 0.5)], 1).double()
    parts = [loss.mean() for loss in losses(forward(tensors, net, torch.stack([v, -v])), torch.tensor([1, 0]), targets)]
    total = parts[0] + 0.5 * parts[1] + parts[2]
    total.backward()
    norms = {key: tensor.grad.norm().item() for key, tensor in tensors.items()}
    return {"losses": [part.item() for part in parts], "total": total.item(), "norms": norms}


def run(net):
    tensors = {key: torch.tensor(value, requires_grad=True) for key, value in all_weights().items() if key.startswith(net)}
    optimizer = torch.optim.Adam(tensors.values(), lr=1e-3)
    side, kinds = SIDES[net], torch.arange(SAMPLES) % 4
    totals = []
    for step in range(STEPS):
        data = np.floor((noise(SAMPLES * 3 * side * side, 1000 + step).astype(np.float64) + 1.0) * 128.0)
        x = torch.tensor((data.reshape(SAMPLES, 3, side, side) - 127.5) / 128.0)
        targets = torch.tensor(noise(SAMPLES * 14, 2000 + step).reshape(SAMPLES, 14).astype(np.float64) / 4.0)
        entropy, box, landmarks = losses(forward(tensors, net, x), (kinds == 1).long(), targets)
        total = mined(entropy, kinds < 2) + 0.5 * box[(kinds == 1) | (kinds == 2)].mean()
        total = total + (1.0 if net == "onet" else 0.5) * landmarks[kinds == 3].mean()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    return totals


def main():
    short = lambda value: float(f"{value:.10g}")
    document = {"torch": torch.__version__, "numpy": np.__version__, "gradients": {}, "runs": {}}
    for net in [*SIDES, *RIVALS]:
        found = gradients(net) if net in SIDES else rival(net)
        norms = {key: short(value) for key, value in found["norms"].items()}
        document["gradients"][net] = {"losses": [short(part) for part in found["losses"]], "total": short(found["total"]), "norms": norms}
    for net in SIDES:
        document["runs"][net] = [short(total) for total in run(net)]
    path = pathlib.Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "golden_training.json"
    path.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
