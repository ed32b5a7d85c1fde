#!/usr/bin/env python3
"""Golden numbers of the residual units in src/nets/ir.rs: tests/fixtures/golden_units.json. Needs numpy.

Written from the definition, in float64, forward and backward, apart from the program. Every tensor follows from its name: `fill` seeds
SplitMix64 with the FNV-1a hash of the name. The loss is the sum of y * dy.
"""

import json
import pathlib

import numpy as np

MASK = (1 << 64) - 1
EPSILON, MOMENTUM = 1e-5, 0.1


def fill(name, shape, low, high):
    """Numbers from `low` to `high`, rounded to float32 as the program has them."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & MASK
    values = []
    for k in range(int(np.prod(shape))):
        z = (seed + (k + 1) * 0x9E3779B97F4A7C15) & MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        values.append(low + (high - low) * ((z ^ (z >> 31)) >> 40) / 2**24)
    return np.array(values, np.float32).astype(np.float64).reshape(shape)


class Unit:
    """One unit: tensors by name, and a tape of what to do on the way back."""

    def __init__(self, name, c, out, stride):
        self.name, self.c, self.out, self.stride = name, c, out, stride
        self.tensors, self.gradients, self.tape = {}, {}, []

    def tensor(self, name, shape, low, high):
        if name not in self.tensors:
            self.tensors[name] = fill(name, shape, low, high)
        return self.tensors[name]

    def add_to(self, name, gradient):
        self.gradients[name] = self.gradients.get(name, 0) + gradient

    def convolution(self, name, x, out, k, stride):
        name, (n, c, h, w), p = f"{self.name}.{name}.weight", x.shape, k // 2
        bound = (3 / (c * k * k)) ** 0.5
        weight = self.tensor(name, (out, c, k, k), -bound, bound)
        padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        rows, columns = (h + 2 * p - k) // stride + 1, (w + 2 * p - k) // stride + 1

        def taps(of, u, v):
            return of[:, :, u : u + stride * rows : stride, v : v + stride * columns : stride]

        y = sum(np.einsum("oc,nchw->nohw", weight[:, :, u, v], taps(padded, u, v)) for u in range(k) for v in range(k))

        def back(dy):
            dweight, dx = np.zeros_like(weight), np.zeros_like(padded)
            for u in range(k):
                for v in range(k):
                    dweight[:, :, u, v] = np.einsum("nohw,nchw->oc", dy, taps(padded, u, v))
                    taps(dx, u, v)[...] += np.einsum("oc,nohw->nchw", weight[:, :, u, v], dy)
            self.add_to(name, dweight)
            return dx[:, :, p : p + h, p : p + w]

        return y, back

    def norm(self, name, x, training):
        name, c = f"{self.name}.{name}", x.shape[1]
        scale, shift = (self.tensor(f"{name}.{part}", (c,), *of) for part, of in [("weight", (0.8, 1.2)), ("bias", (-0.1, 0.1))])
        running = [self.tensor(f"{name}.running_{part}", (c,), *of) for part, of in [("mean", (-0.1, 0.1)), ("var", (1.6, 2.4))]]
        wide = lambda of: of.reshape(1, c, 1, 1)
        mean, variance = running
        if training:
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3))
            count = x.size // c
            for part, batch in [("mean", mean), ("var", variance * count / (count - 1))]:
                old = self.tensors[f"{name}.running_{part}"]
                self.tensors[f"{name}.running_{part}"] = (1 - MOMENTUM) * old + MOMENTUM * batch
        inverse = 1 / np.sqrt(variance + EPSILON)
        normal = (x - wide(mean)) * wide(inverse)

        def back(dy):
            dshift, dscale = dy.sum((0, 2, 3)), (dy * normal).sum((0, 2, 3))
            self.add_to(f"{name}.bias", dshift)
            self.add_to(f"{name}.weight", dscale)
            return wide(scale * inverse) * (dy - (wide(dshift) + normal * wide(dscale)) * c / x.size)

        return normal * wide(scale) + wide(shift), back

    def prelu(self, x):
        name = f"{self.name}.prelu.weight"
        slope = self.tensor(name, (x.shape[1],), 0.1, 0.4)
        wide = slope.reshape(1, -1, 1, 1)

        def back(dy):
            self.add_to(name, (dy * np.minimum(x, 0)).sum((0, 2, 3)))
            return dy * np.where(x > 0, 1, wide)

        return np.where(x > 0, x, wide * x), back

    def forward(self, x, training):
        backs = []

        def then(result):
            backs.append(result[1])
            return result[0]

        y = then(self.norm("bn1", x, training))
        y = then(self.convolution("conv1", y, self.out, 3, 1))
        y = then(self.norm("bn2", y, training))
        y = then(self.prelu(y))
        y = then(self.convolution("conv2", y, self.out, 3, self.stride))
        y = then(self.norm("bn3", y, training))
        main, backs = list(reversed(backs)), []
        if self.c == self.out:
            short = x[:, :, :: self.stride, :: self.stride]

            def back_short(dy):
                dx = np.zeros_like(x)
                dx[:, :, :: self.stride, :: self.stride] = dy
                return dx

        else:
            short = then(self.norm("shortcut_bn", then(self.convolution("shortcut", x, self.out, 1, self.stride)), training))
            last = list(reversed(backs))

            def back_short(dy):
                for back in last:
                    dy = back(dy)
                return dy

        def back(dy):
            through = dy
            for step in main:
                through = step(through)
            return through + back_short(dy)

        return y + short, back


def numbers(array):
    return {"shape": list(array.shape), "values": [float(f"{value:.9g}") for value in array.ravel()]}


def case(name, unit, c, out, stride):
    unit = Unit(unit, c, out, stride)
    x = fill(f"{unit.name}.x", (2, c, 6, 6), -1, 1)
    y, back = unit.forward(x, True)
    dy = fill(f"{unit.name}.dy", y.shape, -1, 1)
    start = {key: fill_again(unit, key) for key in unit.tensors}
    gradients = {"x": back(dy)} | unit.gradients
    running = {key: value for key, value in unit.tensors.items() if "running" in key}
    later, _ = unit.forward(x, False)
    return {
        "case": name,
        "unit": unit.name,
        "stride": stride,
        "x": numbers(x),
        "dy": numbers(dy),
        "tensors": {key: numbers(value) for key, value in start.items()},
        "y": numbers(y),
        "gradients": {key: numbers(value) for key, value in gradients.items()},
        "running": {key: numbers(value) for key, value in running.items()},
        "y_with_running_statistics": numbers(later),
    }


def fill_again(unit, key):
    """A tensor as it was before the running statistics moved."""
    for part, of in [("running_mean", (-0.1, 0.1)), ("running_var", (1.6, 2.4))]:
        if key.endswith(part):
            return fill(key, unit.tensors[key].shape, *of)
    return unit.tensors[key]


if __name__ == "__main__":
    cases = [case("same_s1", "u1", 4, 4, 1), case("same_s2", "u2", 4, 4, 2), case("widen_s2", "u3", 4, 6, 2)]
    path = pathlib.Path(__file__).parent.parent / "tests/fixtures/golden_units.json"
    path.write_text(json.dumps(cases) + "\n")
    print(f"{path}: {path.stat().st_size} bytes")
