"""C = A·B: torch.mm into a reused output, the linear layer, oneDNN with its weight packed ahead, numpy on OpenBLAS."""

import numpy as np
import torch
import torch.nn.functional as F

from inputs import normal


def packed_linear(weight, batch):
    """x -> x·weightᵀ by oneDNN, the weight reordered once (what inductor's freezing does with constant weights)."""
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), batch)
    return lambda x: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")


def implementations(name, dtype):
    n = int(name.split(".")[1])
    a, b = normal(dtype, n, n, seed=1), normal(dtype, n, n, scale=n**-0.5, seed=2)
    weight = b.t().contiguous()
    out = torch.empty_like(a)
    yield "torch.mm", lambda: torch.mm(a, b, out=out)
    yield "torch linear", lambda: F.linear(a, weight)
    packed = packed_linear(weight, n)
    yield "oneDNN packed linear", lambda: packed(a)
    if dtype == "f32":
        mkl_weight = torch.ops.mkl._mkl_reorder_linear_weight(weight, n)
        yield "MKL packed linear", lambda: torch.ops.mkl._mkl_linear(a, mkl_weight, weight, None, n)
        x, y, z = a.numpy(), b.numpy(), np.empty((n, n), np.float32)
        yield "numpy OpenBLAS", lambda: np.matmul(x, y, out=z)
