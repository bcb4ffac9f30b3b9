#!/usr/bin/env python3
"""torch_matmul.py - torch.matmul as bench_kernels' peer: the products of a layer.

    bench_kernels [nt|nn|tn] [f32|bf16|native] -- torch_matmul.py f32|bf16 THREADS

A turn is "nt|nn|tn M N K COPIES RUNS": so many products of M rows and W [N, K], of which there are COPIES that take
turns, into memory that is there; its answer is the seconds of one. In bf16 all factors and results are bf16, which is in
the peer's favour. Each product is held against one in float64 before it counts.
"""

from turns import take_turns  # isort: skip

import sys
import time

import torch

WARM_UP = 2


class Product:
    """One layer's factors, W in copies."""

    def __init__(self, kind, m, n, k, copies, dtype):
        def numbers(rows, columns):
            return torch.rand(rows, columns).sub_(0.5).to(dtype)

        shapes = {"nt": ((m, k), (n, k), (m, n)), "nn": ((m, n), (n, k), (m, k)), "tn": ((m, n), (m, k), (n, k))}
        a, b, c = shapes[kind]
        self.kind = kind
        self.a = numbers(*a)
        self.b = [numbers(*b) for _ in range(copies if kind != "tn" else 1)]
        self.c = torch.empty(*c, dtype=dtype)

    def factors(self, turn):
        a, b = self.a, self.b[turn % len(self.b)]
        return {"nt": (a, b.T), "nn": (a, b), "tn": (a.T, b)}[self.kind]

    def run(self, turn):
        torch.matmul(*self.factors(turn), out=self.c)

    def verify(self):
        self.run(0)
        right = torch.matmul(*(x.double() for x in self.factors(0)))
        if not torch.allclose(self.c.double(), right, rtol=0.02, atol=1e-3 * right.abs().max().item()):
            sys.exit("torch.matmul is wrong")


def main():
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[sys.argv[1]]
    torch.set_num_threads(int(sys.argv[2]))
    products = {}  # the one at hand
    turns = 0

    def run(kind, m, n, k, copies, runs):
        nonlocal turns
        key = (kind, m, n, k, copies)
        if key not in products:
            products.clear()
            products[key] = Product(kind, m, n, k, copies, dtype)
            products[key].verify()
            for turn in range(WARM_UP):
                products[key].run(turn)
        product = products[key]
        begin = time.perf_counter()
        for turn in range(turns, turns + runs):
            product.run(turn)
        turns += runs
        return (time.perf_counter() - begin) / runs

    with torch.inference_mode():
        take_turns(f"torch.matmul of PyTorch {torch.__version__}", run)


if __name__ == "__main__":
    main()
