"""The peers on the same GPU: PyTorch (cuBLAS, SDPA with its backends) and Triton, for the kit's benches of the same names.

    python3 peers.py [WORD]...      only benches with one of the words in their names

Timed as the kit times: batches of launches between two events, recorded as a graph where that works, over inputs that
together do not fit the second-level cache. Prints one line of JSON: bench -> peer -> ms. Without PyTorch or a GPU: nothing.
"""

import json
import statistics
import sys

ROTATED = 192 << 20
REPEATS = 20


def main():
    try:
        import torch
        import torch.nn.functional as F
        from torch.nn.attention import SDPBackend, sdpa_kernel
    except ImportError as e:
        sys.exit(f"no peers: {e}")
    if not torch.cuda.is_available():
        sys.exit("no peers: PyTorch finds no GPU")
    try:
        import triton_kernels as triton_peers
    except ImportError as e:
        print(f"no Triton: {e}", file=sys.stderr)
        triton_peers = None
    words, results = sys.argv[1:], {}
    types = {"bf16": torch.bfloat16, "f16": torch.float16}

    def wanted(name):
        return not words or any(w in name for w in words)

    def copies(*dims, dtype):
        one = torch.empty(dims, dtype=dtype, device="meta").nbytes
        return [torch.rand(dims, device="cuda", dtype=dtype) * 2 - 1 for _ in range(max(1, min(32, ROTATED // one)))]

    def elapsed(f):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        f()
        end.record()
        end.synchronize()
        return start.elapsed_time(end)

    def ms(f):
        for i in range(3):
            f(i)
        torch.cuda.synchronize()
        batch = max(1, min(1000, round(4.0 / max(elapsed(lambda: f(3)), 1e-3))))

        def run():
            for i in range(batch):
                f(i)

        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                run()
            run = graph.replay
        except RuntimeError:
            torch.cuda.synchronize()
        elapsed(run)
        return statistics.median(elapsed(run) for _ in range(REPEATS)) / batch

    def note(name, peer, f):
        try:
            time = ms(f)
            best = results.setdefault(name, {})
            best[peer] = min(best.get(peer, time), time)
        except Exception as e:  # a backend that lacks a shape; the others go on
            print(f"{name}, {peer}: {str(e).splitlines()[0] if str(e) else e!r}", file=sys.stderr)
            torch.cuda.synchronize()

    shapes = [(n, n, n) for n in (1024, 2048, 4096, 8192)]
    shapes += [(16, 8192, 8192), (64, 8192, 8192), (128, 8192, 8192), (8192, 8192, 128), (8192, 128, 8192)]
    for t, dtype in types.items():
        for m, n, k in shapes:
            name = f"matmul {t} {m}x{n}x{k}"
            if not wanted(name):
                continue
            a, b = copies(m, k, dtype=dtype), copies(k, n, dtype=dtype)
            c = torch.empty(m, n, device="cuda", dtype=dtype)
            note(name, "cublas", lambda i: torch.matmul(a[i % len(a)], b[i % len(b)], out=c))
            for config in triton_peers.MATMUL if triton_peers else ():
                note(name, "triton", lambda i: triton_peers.run_matmul(a[i % len(a)], b[i % len(b)], c, config))
            del a, b, c
    backends = {
        "sdpa-flash": SDPBackend.FLASH_ATTENTION,
        "sdpa-cudnn": SDPBackend.CUDNN_ATTENTION,
    }
    for t, dtype in types.items():
        for d in (64, 128, 256):
            for causal in (False, True):
                for length in (2048, 4096, 8192, 16384):
                    name = f"attention {t} d{d} {length} {'causal' if causal else 'full'}"
                    if not wanted(name):
                        continue
                    dims = (max(1, 16384 // length), 2048 // d, length, d)
                    q, k, v = (copies(*dims, dtype=dtype) for _ in range(3))
                    o = torch.empty_like(q[0])
                    for peer, backend in backends.items():
                        with sdpa_kernel(backend):
                            note(name, peer, lambda i: F.scaled_dot_product_attention(
                                q[i % len(q)], k[i % len(k)], v[i % len(v)], is_causal=causal))
                    for config in triton_peers.ATTENTION if triton_peers else ():
                        note(name, "triton", lambda i: triton_peers.run_attention(
                            q[i % len(q)], k[i % len(k)], v[i % len(v)], o, causal, config))
                    del q, k, v, o
    for n in (1024, 2048, 4096, 8192, 16384):
        x = copies(4096, n, dtype=torch.bfloat16)
        y = torch.empty_like(x[0])
        w = torch.rand(n, device="cuda", dtype=torch.bfloat16)
        rows = {
            "softmax": lambda i: torch.softmax(x[i % len(x)], -1, out=y),
            "rms_norm": lambda i: F.rms_norm(x[i % len(x)], (n,), w, 1e-5),
            "layer_norm": lambda i: F.layer_norm(x[i % len(x)], (n,), w, w, 1e-5),
        }
        for kernel, f in rows.items():
            name = f"{kernel} bf16 4096x{n}"
            if wanted(name):
                note(name, "torch", f)
                note(name, "copy", lambda i: y.copy_(x[i % len(x)]))
    moe("moe bf16 4096x2048 8 experts of 4096, top 2", wanted, note)
    print(json.dumps(results))


def moe(name, wanted, note):
    """A layer by a loop over sorted experts, as the kit's sizes are."""
    import torch
    import torch.nn.functional as F

    if not wanted(name):
        return
    tokens, hidden, inner, experts, top = 4096, 2048, 4096, 8, 2

    def new(*dims):
        return (torch.rand(dims, device="cuda", dtype=torch.bfloat16) * 2 - 1) * dims[-2] ** -0.5

    x, router = new(tokens, hidden), new(hidden, experts)
    gate, up, down = new(experts, hidden, inner), new(experts, hidden, inner), new(experts, inner, hidden)

    def run(_):
        best, chosen = torch.topk((x @ router).float(), top, dim=-1)
        weights = torch.softmax(best, -1)
        order = chosen.flatten().argsort(stable=True)
        sizes = torch.bincount(chosen.flatten(), minlength=experts).tolist()
        rows = x[order // top].split(sizes)
        parts = [(F.silu(r @ gate[e]) * (r @ up[e])) @ down[e] for e, r in enumerate(rows)]
        y = torch.empty(tokens * top, hidden, device="cuda", dtype=x.dtype)
        y[order] = torch.cat(parts)
        return (y.view(tokens, top, hidden) * weights[..., None].to(x.dtype)).sum(1)

    note(name, "torch", run)


main()
