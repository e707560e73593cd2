"""GEMM and attention in Triton, as its own tutorials write them: the peers of the GPU kit and of the static comparison.

`ptx` and `code_object` compile for a named architecture and need no GPU and no driver; `run_*` launch on one.
"""

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource


@triton.jit
def _tile(m, n, BM: tl.constexpr, BN: tl.constexpr, GROUP: tl.constexpr):
    """Programs in groups of GROUP rows of tiles, so that neighbours share operands in the second-level cache."""
    pid = tl.program_id(0)
    rows, columns = tl.cdiv(m, BM), tl.cdiv(n, BN)
    first = pid // (GROUP * columns) * GROUP
    size = min(rows - first, GROUP)
    return (first + pid % (GROUP * columns) % size) * BM, pid % (GROUP * columns) // size * BN


@triton.jit
def matmul(a, b, c, m, n, k, am, bk, cm, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    r, s = _tile(m, n, BM, BN, 8)
    row = (r + tl.arange(0, BM)) % m
    col = (s + tl.arange(0, BN)) % n
    ks = tl.arange(0, BK)
    at_a = a + row[:, None] * am + ks[None, :]
    at_b = b + ks[:, None] * bk + col[None, :]
    acc = tl.zeros((BM, BN), tl.float32)
    for i in range(0, tl.cdiv(k, BK)):
        left = k - i * BK
        x = tl.load(at_a, mask=ks[None, :] < left, other=0.0)
        y = tl.load(at_b, mask=ks[:, None] < left, other=0.0)
        acc = tl.dot(x, y, acc)
        at_a += BK
        at_b += BK * bk
    row = r + tl.arange(0, BM)
    col = s + tl.arange(0, BN)
    out = c + row[:, None] * cm + col[None, :]
    tl.store(out, acc.to(c.dtype.element_ty), mask=(row[:, None] < m) & (col[None, :] < n))


@triton.jit
def matmul_tma(a, b, c, m, n, k, am, bk, cm, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    from_a = tl.make_tensor_descriptor(a, [m, k], [am, 1], [BM, BK])
    from_b = tl.make_tensor_descriptor(b, [k, n], [bk, 1], [BK, BN])
    to_c = tl.make_tensor_descriptor(c, [m, n], [cm, 1], [BM, BN])
    row, col = _tile(m, n, BM, BN, 8)
    acc = tl.zeros((BM, BN), tl.float32)
    for i in range(0, tl.cdiv(k, BK)):
        acc = tl.dot(from_a.load([row, i * BK]), from_b.load([i * BK, col]), acc)
    to_c.store([row, col], acc.to(c.dtype.element_ty))


@triton.jit
def _attend(x, key, value, seen, row, length, top, total, acc, log2, MASK: tl.constexpr, CAUSAL: tl.constexpr):
    """One block of keys; only blocks on the diagonal and the last one are masked."""
    s = tl.dot(x, key)
    if MASK:
        col = seen + tl.arange(0, key.shape[1])
        inside = col[None, :] < length
        if CAUSAL:
            inside = inside & (row[:, None] >= col[None, :])
        s = tl.where(inside, s, float("-inf"))
    new = tl.maximum(top, tl.max(s, 1) * log2)
    p = tl.exp2(s * log2 - new[:, None])
    shrink = tl.exp2(top - new)
    total = total * shrink + tl.sum(p, 1)
    acc = tl.dot(p.to(value.dtype), value, acc * shrink[:, None])
    return new, total, acc


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
    at_k = k + base + col[None, :] * D + d[:, None]
    at_v = v + base + col[:, None] * D + d[None, :]
    whole = (tl.minimum(start, length) if CAUSAL else length) // BN * BN
    end = tl.minimum(start + BM, length) if CAUSAL else length
    for at in range(0, whole, BN):
        top, total, acc = _attend(
            x, tl.load(at_k), tl.load(at_v), at, row, length, top, total, acc, log2, False, CAUSAL
        )
        at_k += BN * D
        at_v += BN * D
    for at in range(whole, end, BN):
        key = tl.load(at_k, mask=at + col[None, :] < length, other=0.0)
        value = tl.load(at_v, mask=at + col[:, None] < length, other=0.0)
        top, total, acc = _attend(x, key, value, at, row, length, top, total, acc, log2, True, CAUSAL)
        at_k += BN * D
        at_v += BN * D
    acc = acc / total[:, None]
    tl.store(o + base + row[:, None] * D + d[None, :], acc.to(o.dtype.element_ty), mask=row[:, None] < length)


@triton.jit
def attention_tma(
    q, k, v, o, scale, length, heads,
    BM: tl.constexpr, BN: tl.constexpr, D: tl.constexpr, CAUSAL: tl.constexpr,
):
    """Heads one below another, in one descriptor each, as in the tutorial; `length` is a multiple of the tiles."""
    rows = heads * length
    from_q = tl.make_tensor_descriptor(q, [rows, D], [D, 1], [BM, D])
    from_k = tl.make_tensor_descriptor(k, [rows, D], [D, 1], [BN, D])
    from_v = tl.make_tensor_descriptor(v, [rows, D], [D, 1], [BN, D])
    to_o = tl.make_tensor_descriptor(o, [rows, D], [D, 1], [BM, D])
    base = tl.program_id(1) * length
    start = tl.program_id(0) * BM
    row = start + tl.arange(0, BM)
    x = from_q.load([base + start, 0])
    top = tl.full((BM,), float("-inf"), tl.float32)
    total = tl.zeros((BM,), tl.float32)
    acc = tl.zeros((BM, D), tl.float32)
    log2 = scale * 1.44269504
    whole = (tl.minimum(start, length) if CAUSAL else length) // BN * BN
    end = tl.minimum(start + BM, length) if CAUSAL else length
    for at in range(0, whole, BN):
        key, value = from_k.load([base + at, 0]).T, from_v.load([base + at, 0])
        top, total, acc = _attend(x, key, value, at, row, length, top, total, acc, log2, False, CAUSAL)
    for at in range(whole, end, BN):
        key, value = from_k.load([base + at, 0]).T, from_v.load([base + at, 0])
        top, total, acc = _attend(x, key, value, at, row, length, top, total, acc, log2, True, CAUSAL)
    to_o.store([base + start, 0], (acc / total[:, None]).to(o.dtype.element_ty))


KERNELS = {"matmul": matmul, "matmul_tma": matmul_tma, "attention": attention, "attention_tma": attention_tma}
SHORT = {"f16": "fp16", "bf16": "bf16", "f32": "fp32"}
POINTERS = ("a", "b", "c", "q", "v", "o")


def compiled(kernel, elem, constants, target, warps, stages):
    """One instance for a target. Pointers, strides and lengths are multiples of 16, as in a launch; tensors are under 2 GiB."""
    function = KERNELS[kernel]
    signature, attributes = {}, {}
    for i, name in enumerate(function.arg_names):
        if name in constants:
            signature[name] = "constexpr"
        elif name in POINTERS or (name == "k" and kernel.startswith("attention")):
            signature[name] = "*" + SHORT[elem]
            attributes[(i,)] = [["tt.divisibility", 16]]
            if target.backend == "hip":
                attributes[(i,)].append(["tt.pointer_range", 32])
        elif name == "scale":
            signature[name] = "fp32"
        else:
            signature[name] = "i32"
            if name != "heads":
                attributes[(i,)] = [["tt.divisibility", 16]]
    source = ASTSource(function, signature, constexprs=constants, attrs=attributes)
    # Fused multiply-add is what Triton does by default; later versions ask for the choice.
    options = {"num_warps": warps, "num_stages": stages, "enable_fp_fusion": True}
    return triton.compile(source, target=target, options=options)


def ptx(kernel, elem, constants, arch, warps, stages):
    """PTX text, symbol, bytes of shared memory and threads of one instance."""
    number = int("".join(c for c in arch if c.isdigit()))
    made = compiled(kernel, elem, constants, GPUTarget("cuda", number, 32), warps, stages)
    return made.asm["ptx"], made.metadata.name, made.metadata.shared, warps * 32


def code_object(kernel, elem, constants, arch, warps, stages):
    """A code object of AMD's and its bytes of LDS."""
    made = compiled(kernel, elem, constants, GPUTarget("hip", arch, 64), warps, stages)
    return made.asm["hsaco"], made.metadata.shared


# What the kit tries on a GPU: kernel, tile shape, warps, stages.
MATMUL = [
    ("matmul_tma", 128, 256, 64, 8, 3),
    ("matmul_tma", 128, 128, 64, 8, 4),
    ("matmul", 128, 256, 64, 8, 3),
    ("matmul", 128, 128, 64, 8, 3),
    ("matmul", 64, 128, 64, 4, 4),
    ("matmul", 16, 64, 128, 4, 4),
]
ATTENTION = [
    ("attention_tma", 128, 128, 8, 2),
    ("attention_tma", 128, 64, 4, 3),
    ("attention_tma", 128, 64, 8, 3),
    ("attention", 128, 64, 8, 2),
    ("attention", 128, 32, 8, 3),
]


def _allocator():
    """Memory for descriptors that kernels make."""
    import torch

    triton.set_allocator(lambda size, align, stream: torch.empty(size, dtype=torch.int8, device="cuda"))


def run_matmul(a, b, c, config):
    kernel, bm, bn, bk, warps, stages = config
    (m, k), n = a.shape, b.shape[1]
    _allocator()
    grid = (triton.cdiv(m, bm) * triton.cdiv(n, bn),)
    KERNELS[kernel][grid](
        a, b, c, m, n, k, a.stride(0), b.stride(0), c.stride(0), BM=bm, BN=bn, BK=bk, num_warps=warps, num_stages=stages
    )


def run_attention(q, k, v, o, causal, config):
    kernel, bm, bn, warps, stages = config
    batch, heads, length, d = q.shape
    _allocator()
    last = batch * heads if kernel == "attention_tma" else q.stride(1)
    KERNELS[kernel][(triton.cdiv(length, bm), batch * heads)](
        q, k, v, o, d**-0.5, length, last, BM=bm, BN=bn, D=d, CAUSAL=causal, num_warps=warps, num_stages=stages
    )
