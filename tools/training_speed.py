#!/usr/bin/env python3
"""Samples a second of O-Net's training in PyTorch, beside `cargo run --release --example training_speed`. Needs torch.

Usage: training_speed.py [batch,batch] [threads] [steps] [cpu|cuda]. Forward, the three losses with 70 % mining, backward and Adam, on one batch that stays
in memory; after three steps, five blocks of steps, waited for at their end, of which the median counts. Prints one JSON line for each batch. Memory in
channels-last order is tried too.
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class ONet(nn.Module):
    def __init__(self):
        super().__init__()
        pool = lambda k: nn.MaxPool2d(k, 2, ceil_mode=True)
        self.body = nn.Sequential(
            nn.Conv2d(3, 32, 3), nn.PReLU(32), pool(3),
            nn.Conv2d(32, 64, 3), nn.PReLU(64), pool(3),
            nn.Conv2d(64, 64, 3), nn.PReLU(64), pool(2),
            nn.Conv2d(64, 128, 2), nn.PReLU(128), nn.Flatten(),
            nn.Linear(1152, 256), nn.Dropout(0.25), nn.PReLU(256),
        )
        self.heads = nn.ModuleList([nn.Linear(256, out) for out in (2, 4, 10)])

    def forward(self, x):
        x = self.body(x)
        return [head(x) for head in self.heads]


def speed(n, steps, device, layout):
    net = ONet().to(device, memory_format=layout)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    x = torch.randn(n, 3, 48, 48, device=device).to(memory_format=layout)
    kinds, box, landmarks = torch.arange(n, device=device) % 4, torch.rand(n, 4, device=device), torch.rand(n, 10, device=device)

    def step():
        optimizer.zero_grad()
        c, b, p = net(x)
        entropy = F.cross_entropy(c, (kinds == 1).long(), reduction="none")[kinds < 2]
        loss = entropy.topk(max(1, int(0.7 * len(entropy)))).values.mean()
        loss = loss + 0.5 * ((b - box) ** 2).sum(1)[(kinds == 1) | (kinds == 2)].mean()
        loss = loss + ((p - landmarks) ** 2).sum(1)[kinds == 3].mean()
        loss.backward()
        optimizer.step()

    def block(steps):
        start = time.perf_counter()
        for _ in range(steps):
            step()
        if device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - start) / steps

    block(3)
    return sorted(block(-(-steps // 5)) for _ in range(5))[2]


def main():
    batches, threads, steps, device = (sys.argv[1:] + ["256", "2", "10", "cpu"][len(sys.argv) - 1:])[:4]
    torch.set_num_threads(int(threads))
    for batch in map(int, batches.split(",")):
        plain, last = (speed(batch, int(steps), device, layout) for layout in (torch.contiguous_format, torch.channels_last))
        row = {"torch": torch.__version__, "device": torch.cuda.get_device_name() if device == "cuda" else "cpu", "batch": batch,
               "threads": int(threads), "step_ms": round(plain * 1e3, 2), "samples_per_s": round(batch / plain),
               "samples_per_s_channels_last": round(batch / last)}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
