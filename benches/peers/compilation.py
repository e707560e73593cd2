"""Compilation of GEMM and attention for sm_90a to PTX by Triton: caches off, nothing assembled, no GPU."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "gpu"))

SHAPES = {
    "compile.matmul": ({"BM": 128, "BN": 128, "BK": 64}, ("matmul", "matmul_tma")),
    "compile.attention": ({"BM": 128, "BN": 64, "D": 128, "CAUSAL": False}, ("attention", "attention_tma")),
}


def _only_to_ptx(backend, stages, options, language, capability):
    stages["cubin"] = lambda text, metadata: b""


def implementations(name, dtype):
    if dtype != "bf16" or name not in SHAPES:
        return
    from triton import knobs

    import triton_kernels

    knobs.compilation.always_compile = True
    knobs.runtime.add_stages_inspection_hook = lambda *args: _only_to_ptx(*args) if args else ("to PTX", "to PTX")
    constants, kernels = SHAPES[name]
    for kernel in kernels:
        yield f"triton, {kernel}", lambda kernel=kernel: triton_kernels.ptx(kernel, dtype, constants, "sm_90a", 8, 2)
