"""Memory-bound work on 4096×4096: eager into reused outputs, and inductor."""

import torch
import torch.nn.functional as F

from inputs import compiled, normal

N, EPSILON = 4096, 1e-6


def softmax(name, dtype):
    x = normal(dtype, N, N, seed=1)
    out = torch.empty_like(x)
    yield "torch.softmax", lambda: torch.softmax(x, -1, out=out)
    fused = compiled(lambda x: torch.softmax(x, -1))
    yield "inductor", lambda: fused(x)
    into = compiled(lambda x, y: y.copy_(torch.softmax(x, -1)))
    yield "inductor, output reused", lambda: into(x, out)


def _rms(x, w):
    y = x.float()
    return (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + EPSILON)).to(x.dtype) * w


def rmsnorm(name, dtype):
    x, w = normal(dtype, N, N, seed=1), normal(dtype, N, seed=2)
    out = torch.empty_like(x)
    yield "rms_norm", lambda: F.rms_norm(x, (N,), w, EPSILON)
    fused = compiled(_rms)
    yield "inductor", lambda: fused(x, w)
    into = compiled(lambda x, w, y: y.copy_(_rms(x, w)))
    yield "inductor, output reused", lambda: into(x, w, out)


def silu_mul(name, dtype):
    a, b = normal(dtype, N, N, seed=1), normal(dtype, N, N, seed=2)
    out = torch.empty_like(a)
    yield "silu, mul", lambda: torch.mul(torch.ops.aten.silu.out(a, out=out), b, out=out)
    fused = compiled(lambda a, b: F.silu(a) * b)
    yield "inductor", lambda: fused(a, b)
    into = compiled(lambda a, b, y: y.copy_(F.silu(a) * b))
    yield "inductor, output reused", lambda: into(a, b, out)
