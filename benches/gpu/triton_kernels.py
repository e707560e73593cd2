"""The peers' side of the static comparison: GEMM and attention in Triton, at given tile shapes, compiled to PTX.

No GPU and no driver is needed: Triton compiles for a named architecture.
"""

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource


@triton.jit
def matmul(a, b, c, m, n, k, am, bk, cm, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    row = tl.program_id(0) * BM + tl.arange(0, BM)
    col = tl.program_id(1) * BN + tl.arange(0, BN)
    ks = tl.arange(0, BK)
    at_a = a + row[:, None] * am + ks[None, :]
    at_b = b + ks[:, None] * bk + col[None, :]
    acc = tl.zeros((BM, BN), tl.float32)
    for i in range(0, tl.cdiv(k, BK)):
        left = k - i * BK
        x = tl.load(at_a, mask=(row[:, None] < m) & (ks[None, :] < left), other=0.0)
        y = tl.load(at_b, mask=(ks[:, None] < left) & (col[None, :] < n), other=0.0)
        acc = tl.dot(x, y, acc)
        at_a += BK
        at_b += BK * bk
    out = c + row[:, None] * cm + col[None, :]
    tl.store(out, acc.to(c.dtype.element_ty), mask=(row[:, None] < m) & (col[None, :] < n))


@triton.jit
def matmul_tma(a, b, c, m, n, k, am, bk, cm, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    from_a = tl.make_tensor_descriptor(a, [m, k], [am, 1], [BM, BK])
    from_b = tl.make_tensor_descriptor(b, [k, n], [bk, 1], [BK, BN])
    to_c = tl.make_tensor_descriptor(c, [m, n], [cm, 1], [BM, BN])
    row, col = tl.program_id(0) * BM, tl.program_id(1) * BN
    acc = tl.zeros((BM, BN), tl.float32)
    for i in range(0, tl.cdiv(k, BK)):
        acc = tl.dot(from_a.load([row, i * BK]), from_b.load([i * BK, col]), acc)
    to_c.store([row, col], acc.to(c.dtype.element_ty))


@triton.jit
def attention(
    q, k, v, o, scale, length, head,
    BM: tl.constexpr, BN: tl.constexpr, D: tl.constexpr, CAUSAL: tl.constexpr,
):
    base = tl.program_id(1).to(tl.int64) * head
    start = tl.program_id(0) * BM
    row = start + tl.arange(0, BM)
    col = tl.arange(0, BN)
    d = tl.arange(0, D)
    x = tl.load(q + base + row[:, None] * D + d[None, :], mask=row[:, None] < length, other=0.0)
    top = tl.full((BM,), float("-inf"), tl.float32)
    total = tl.zeros((BM,), tl.float32)
    acc = tl.zeros((BM, D), tl.float32)
    log2 = scale * 1.44269504
    end = tl.minimum(start + BM, length) if CAUSAL else length
    for at in range(0, end, BN):
        inside = at + col[None, :] < length
        key = tl.load(k + base + (at + col)[None, :] * D + d[:, None], mask=inside, other=0.0)
        s = tl.dot(x, key) * log2
        if CAUSAL:
            inside = inside & (row[:, None] >= at + col[None, :])
        s = tl.where(inside, s, float("-inf"))
        new = tl.maximum(top, tl.max(s, 1))
        p = tl.exp2(s - new[:, None])
        shrink = tl.exp2(top - new)
        total = total * shrink + tl.sum(p, 1)
        value = tl.load(
            v + base + (at + col)[:, None] * D + d[None, :], mask=(at + col)[:, None] < length, other=0.0
        )
        acc = tl.dot(p.to(value.dtype), value, acc * shrink[:, None])
        top = new
    acc = acc / total[:, None]
    tl.store(o + base + row[:, None] * D + d[None, :], acc.to(o.dtype.element_ty), mask=row[:, None] < length)


KERNELS = {"matmul": matmul, "matmul_tma": matmul_tma, "attention": attention}
SHORT = {"f16": "fp16", "bf16": "bf16", "f32": "fp32"}


def ptx(kernel, elem, constants, arch, warps, stages):
    """PTX text, symbol, bytes of shared memory and threads of one instance. Pointers and strides count as 16-byte aligned."""
    function = KERNELS[kernel]
    names = function.arg_names
    pointer = "*" + SHORT[elem]
    signature, attributes = {}, {}
    for i, name in enumerate(names):
        if name in constants:
            signature[name] = "constexpr"
        elif name in "abcqkvo" and not (kernel.startswith("matmul") and name in ("k",)):
            signature[name] = pointer
            attributes[(i,)] = [["tt.divisibility", 16]]
        elif name == "scale":
            signature[name] = "fp32"
        else:
            signature[name] = "i32"
            if name in ("am", "bk", "cm", "head"):
                attributes[(i,)] = [["tt.divisibility", 16]]
    source = ASTSource(function, signature, constexprs=constants, attrs=attributes)
    number = int("".join(c for c in arch if c.isdigit()))
    compiled = triton.compile(
        source, target=GPUTarget("cuda", number, 32), options={"num_warps": warps, "num_stages": stages}
    )
    return compiled.asm["ptx"], compiled.metadata.name, compiled.metadata.shared, warps * 32
