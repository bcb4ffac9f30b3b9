#!/usr/bin/env python3
"""torch_matmul.py - PyTorch's products as bench_kernels' peer.

    bench_kernels nt|nn|tn f32|native -- torch_matmul.py f32|bf16 THREADS

A turn is "nt|nn|tn M N K COPIES RUNS": so many products of M rows and W [N, K], of which there are COPIES that take
turns, into memory that is there; tn adds to it. Its answer is the seconds of one, Python's call included. In bf16 all
factors and results are bf16, which is in the peer's favour. Each product is held against one in float64 first.
"""

from turns import take_turns  # isort: skip

import sys
import time

import torch

TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 2e-2}  # of the largest result


class Product:
    """One layer's factors, the second one in copies."""

    def __init__(self, kind, m, n, k, copies, dtype):
        def numbers(rows, columns):
            return torch.rand(rows, columns).sub_(0.5).to(dtype)

        if kind == "nt":
            self.a, self.b = numbers(m, k), [numbers(n, k).T for _ in range(copies)]
        elif kind == "nn":
            self.a, self.b = numbers(m, n), [numbers(n, k) for _ in range(copies)]
        else:
            self.a, self.b = numbers(m, n).T, [numbers(m, k) for _ in range(copies)]
        self.c = torch.zeros(self.a.shape[0], self.b[0].shape[1], dtype=dtype)
        self.adds = kind == "tn"

    def run(self, turn):
        b = self.b[turn % len(self.b)]
        if self.adds:
            self.c.addmm_(self.a, b)
        else:
            torch.matmul(self.a, b, out=self.c)

    def verify(self):
        self.run(0)
        right = torch.matmul(self.a.double(), self.b[0].double())
        if (self.c.double() - right).abs().max() > TOLERANCES[self.c.dtype] * right.abs().max():
            sys.exit("PyTorch's product is wrong")


def main():
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[sys.argv[1]]
    torch.set_num_threads(int(sys.argv[2]))
    product, shape, turns = None, None, 0

    def run(*task):
        nonlocal product, shape, turns
        *asked, runs = task
        if asked != shape:
            product, shape = Product(*asked, dtype), asked
            product.verify()
        product.run(turns)  # threads are awake, then
        begin = time.perf_counter()
        for turn in range(turns, turns + runs):
            product.run(turn)
        turns += runs
        return (time.perf_counter() - begin) / runs

    with torch.inference_mode():
        take_turns(f"PyTorch {torch.__version__}", run)


if __name__ == "__main__":
    main()
