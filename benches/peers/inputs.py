"""Random inputs, from a fixed seed, so that a case always computes the same thing."""

import torch

DTYPE = {"f32": torch.float32, "bf16": torch.bfloat16}


def normal(dtype, *shape, scale=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(*shape, generator=generator) * scale).to(DTYPE[dtype])


def compiled(function):
    """`function` through inductor, tuned for fixed shapes. Compilation happens at the first call."""
    return torch.compile(function, dynamic=False, fullgraph=True)
