#!/usr/bin/env python3
"""Golden numbers of src/nets/attention.rs and src/nets/heads.rs: tests/fixtures/golden_heads.json. Needs numpy.

Written from the definition, forward and backward, apart from the program. Every tensor follows from its name, as in golden_units.py. Each
case is computed in float64, and in float32 for the figure `f32`: by how much of its length a result differs then.
"""

import json
import pathlib

import numpy as np

from golden_units import EPSILON, fill


def keep(name, shape):
    """Factors of dropout at a rate of one half: 0 or 2, by the upper half of `fill`."""
    return np.where(fill(name, shape, 0, 1) < 0.5, 0.0, 2.0)


class Tape:
    """Tensors by name, and what to do on the way back. Gradients are kept by the identity of an array."""

    def __init__(self, kind):
        self.kind, self.parameters, self.values, self.gradients, self.steps, self.alive = kind, {}, {}, {}, [], []

    def parameter(self, name, shape, low, high):
        if name not in self.values:
            self.parameters[name] = {"shape": list(shape), "low": low, "high": high}
            self.values[name] = fill(name, shape, low, high).astype(self.kind)
        return self.values[name]

    def weight(self, name, shape):
        bound = (3 / np.prod(shape[1:])) ** 0.5
        return self.parameter(f"{name}.weight", shape, -bound, bound)

    def add(self, x, dx):
        self.gradients[id(x)] = self.gradients.get(id(x), 0) + dx

    def step(self, y, back):
        self.alive.append(y)
        self.steps.append((y, back))
        return y

    def backward(self, upstream):
        for y, dy in upstream:
            self.add(y, dy.astype(self.kind))
        for y, back in reversed(self.steps):
            if id(y) in self.gradients:
                back(self.gradients[id(y)])

    def linear(self, name, x, out, bias=True):
        flat = x.reshape(len(x), -1)
        weight = self.weight(name, (out, flat.shape[1]))
        shift = self.parameter(f"{name}.bias", (out,), -0.1, 0.1) if bias else np.zeros(out, self.kind)

        def back(dy):
            self.add(weight, dy.T @ flat)
            self.add(shift, dy.sum(0))
            self.add(x, (dy @ weight).reshape(x.shape))

        return self.step(flat @ weight.T + shift, back)

    def norm(self, name, x, training, momentum=0.1):
        c, axes = x.shape[1], tuple(axis for axis in range(x.ndim) if axis != 1)
        wide = lambda of: of.reshape((1, c) + (1,) * (x.ndim - 2))
        scale, shift = self.parameter(f"{name}.weight", (c,), 0.8, 1.2), self.parameter(f"{name}.bias", (c,), -0.1, 0.1)
        running = [self.parameter(f"{name}.running_{part}", (c,), *of) for part, of in [("mean", (-0.1, 0.1)), ("var", (1.6, 2.4))]]
        mean, variance, count = running[0], running[1], x.size // c
        if training:
            mean, variance = x.mean(axes), x.var(axes)
            for part, old, batch in [("mean", running[0], mean), ("var", running[1], variance * count / (count - 1))]:
                self.values[f"{name}.running_{part}"] = ((1 - momentum) * old + momentum * batch).astype(self.kind)
        inverse = 1 / np.sqrt(variance + self.kind(EPSILON))
        normal = (x - wide(mean)) * wide(inverse)

        def back(dy):
            dshift, dscale = dy.sum(axes), (dy * normal).sum(axes)
            self.add(shift, dshift)
            self.add(scale, dscale)
            self.add(x, wide(scale * inverse) * (dy - (wide(dshift) + normal * wide(dscale)) / count))

        return self.step(normal * wide(scale) + wide(shift), back)

    def relu(self, x):
        return self.step(np.maximum(x, 0), lambda dy: self.add(x, dy * (x > 0)))

    def sigmoid(self, x):
        y = 1 / (1 + np.exp(-x))
        return self.step(y, lambda dy: self.add(x, dy * y * (1 - y)))

    def times(self, x, factor):
        """Product with a factor that is broadcast."""

        def back(dy):
            self.add(x, dy * factor)
            axes = tuple(axis for axis in range(x.ndim) if factor.shape[axis] < x.shape[axis])
            self.add(factor, (dy * x).sum(axes, keepdims=True))

        return self.step(x * factor, back)

    def sum(self, terms):
        """Sum of scaled terms of one shape."""

        def back(dy):
            for scale, x in terms:
                self.add(x, scale * dy)

        return self.step(sum(scale * x for scale, x in terms), back)

    def reshaped(self, x, shape):
        return self.step(x.reshape(shape).copy(), lambda dy: self.add(x, dy.reshape(x.shape)))

    def bins(self, x, largest):
        """Means or maxima of 1, 4 and 9 bins, which may overlap, as one vector."""
        side = x.shape[2]
        edges = lambda n: [(i * side // n, -((i + 1) * side // -n)) for i in range(n)]
        pieces = [(top, bottom, left, right) for n in (1, 2, 3) for top, bottom in edges(n) for left, right in edges(n)]
        of = lambda x: np.stack([(np.max if largest else np.mean)(x[:, :, t:b, l:r], (2, 3)) for t, b, l, r in pieces], 2)
        cut = lambda all: np.concatenate([all[:, :, a:b].reshape(len(x), -1) for a, b in ((0, 1), (1, 5), (5, 14))], 1)
        values = of(x)

        def back(dy):
            c, at = x.shape[1], 0
            dx, parts = np.zeros_like(x), []
            for n in (1, 4, 9):
                parts.append(dy[:, at : at + c * n].reshape(len(x), c, n))
                at += c * n
            for i, (t, b, l, r) in enumerate(pieces):
                d = np.concatenate(parts, 2)[:, :, i, None, None]
                window = x[:, :, t:b, l:r]
                if largest:
                    dx[:, :, t:b, l:r] += d * (window == values[:, :, i, None, None])
                else:
                    dx[:, :, t:b, l:r] += d / ((b - t) * (r - l))
            self.add(x, dx)

        return self.step(cut(values), back)

    def places(self, x):
        """Maximum and mean over channels, as two channels."""
        most = x.max(1, keepdims=True)

        def back(dy):
            self.add(x, dy[:, :1] * (x == most) + dy[:, 1:] / x.shape[1])

        return self.step(np.concatenate([most, x.mean(1, keepdims=True)], 1), back)

    def convolution(self, name, x, k):
        """To one channel, padded to keep the size."""
        n, c, h, w = x.shape
        p, weight = k // 2, self.weight(name, (1, c, k, k))
        padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        y = sum(np.einsum("oc,nchw->nohw", weight[:, :, u, v], padded[:, :, u : u + h, v : v + w]) for u in range(k) for v in range(k))

        def back(dy):
            dweight, dx = np.zeros_like(weight), np.zeros_like(padded)
            for u in range(k):
                for v in range(k):
                    dweight[:, :, u, v] = np.einsum("nohw,nchw->oc", dy, padded[:, :, u : u + h, v : v + w])
                    dx[:, :, u : u + h, v : v + w] += np.einsum("oc,nohw->nchw", weight[:, :, u, v], dy)
            self.add(weight, dweight)
            self.add(x, dx[:, :, p : p + h, p : p + w])

        return self.step(y, back)


def attention(tape, x, training):
    n, c = x.shape[:2]
    hidden = tape.sum([(1, tape.bins(x, False)), (1, tape.bins(x, True))])
    hidden = tape.relu(tape.linear("afd.fc1", hidden, c * 14 // 16, False))
    channels = tape.norm("afd.channel_bn", tape.linear("afd.fc2", hidden, c, False), training, 0.01)
    channels = tape.reshaped(tape.sigmoid(channels), (n, c, 1, 1))
    places = tape.sigmoid(tape.norm("afd.spatial_bn", tape.convolution("afd.spatial", tape.places(x), 7), training, 0.01))
    age = tape.sum([(0.5, tape.times(x, channels)), (0.5, tape.times(x, places))])
    return tape.sum([(1, x), (-1, age)]), age


def identity(tape, x, width, mask, training):
    y = tape.norm("id.bn1", x, training)
    if mask is not None:
        y = tape.times(y, mask.astype(tape.kind))
    return tape.norm("id.bn2", tape.linear("id.fc", y, width), training)


def age(tape, x, width):
    logits = tape.linear("age.fc2", tape.relu(tape.linear("age.fc1", tape.norm("age.bn", x, True), width)), 101)
    return logits, tape.linear("age.group", logits, 7)


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def case_attention(kind):
    tape, shape = Tape(kind), (3, 32, 7, 7)
    x = fill("afd.x", shape, -1, 1).astype(kind)
    own, aged = attention(tape, x, True)
    upstream = {"x_id": "afd.dx_id", "x_age": "afd.dx_age"}
    tape.backward([(own, fill(upstream["x_id"], shape, -1, 1)), (aged, fill(upstream["x_age"], shape, -1, 1))])
    results = {"x_id": own, "x_age": aged}
    later = dict(zip(["x_id", "x_age"], attention(Tape.again(tape), x, False)))
    return tape, x, None, results, upstream, later


def case_identity(kind):
    tape, shape = Tape(kind), (3, 32, 7, 7)
    x, mask = fill("id.x", shape, -1, 1).astype(kind), keep("id.mask", shape)
    f = identity(tape, x, 32, mask, True)
    upstream = {"f": "id.df"}
    tape.backward([(f, fill(upstream["f"], f.shape, -1, 1))])
    return tape, x, mask, {"f": f}, upstream, {"f": identity(Tape.again(tape), x, 32, None, False)}


def case_age(kind):
    """The gradients are those of mean (expected age - age)^2 + mean cross entropy of the group."""
    tape = Tape(kind)
    x, ages, groups = fill("age.x", (3, 32, 7, 7), -1, 1).astype(kind), np.array([7, 34.5, 68]), [0, 3, 6]
    z, g = age(tape, x, 32)
    p, years = softmax(z), np.arange(101)
    expected = (p * years).sum(1)
    upstream = {
        "z": 2 * (expected - ages)[:, None] / 3 * p * (years - expected[:, None]),
        "g": (softmax(g) - np.eye(7)[groups]) / 3,
    }
    tape.backward([(z, upstream["z"]), (g, upstream["g"])])
    return tape, x, None, {"z": z, "g": g, "expected_age": expected}, upstream, {}


def again(tape):
    """A tape with the same tensors as they are now."""
    other = Tape(tape.kind)
    other.values = tape.values
    return other


Tape.again = staticmethod(again)


def digest(wide, narrow):
    """Length, weighted sum, and some elements."""
    flat = np.asarray(wide, np.float64).ravel()
    at = range(len(flat)) if len(flat) <= 128 else [i * (len(flat) - 1) // 31 for i in range(32)]
    length = float(np.linalg.norm(flat))
    return {
        "shape": list(np.shape(wide)),
        "length": float(f"{length:.9g}"),
        "probe": float(f"{flat @ fill('probe', flat.shape, -1, 1):.9g}"),
        "at": list(at),
        "values": [float(f"{flat[i]:.9g}") for i in at],
        "f32": float(f"{np.linalg.norm(np.asarray(narrow, np.float64).ravel() - flat) / length:.2g}"),
    }


def numbers(array):
    return {"shape": list(array.shape), "values": [float(f"{value:.9g}") for value in array.ravel()]}


def case(name, run):
    (tape, x, mask, results, upstream, later), (tape32, x32, _, results32, _, later32) = run(np.float64), run(np.float32)
    learned = {key: key for key in tape.parameters if "running" not in key}
    gradients = {"x": digest(tape.gradients[id(x)], tape32.gradients[id(x32)])}
    gradients |= {key: digest(tape.gradients[id(tape.values[key])], tape32.gradients[id(tape32.values[key])]) for key in learned}
    running = {key: digest(tape.values[key], tape32.values[key]) for key in tape.parameters if "running" in key}
    return {
        "case": name,
        "x": {"name": f"{name}.x", "shape": list(x.shape)},
        "mask": None if mask is None else f"{name}.mask",
        "parameters": tape.parameters,
        "upstream": {key: value if isinstance(value, str) else numbers(value) for key, value in upstream.items()},
        "results": {key: digest(value, results32[key]) for key, value in results.items()},
        "gradients": gradients,
        "running": running,
        "results_with_running_statistics": {key: digest(value, later32[key]) for key, value in later.items()},
    }


if __name__ == "__main__":
    cases = [case("afd", case_attention), case("id", case_identity), case("age", case_age)]
    path = pathlib.Path(__file__).parent.parent / "tests/fixtures/golden_heads.json"
    path.write_text(json.dumps(cases) + "\n")
    print(f"{path}: {path.stat().st_size} bytes")
