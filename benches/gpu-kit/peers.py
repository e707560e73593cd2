"""The peers on the same GPU: PyTorch (cuBLAS, SDPA with each backend). Prints one line of JSON: bench name -> peer -> ms."""

import json
import statistics
import sys


def main():
    try:
        import torch
        import torch.nn.functional as F
        from torch.nn.attention import SDPBackend, sdpa_kernel
    except ImportError as e:
        sys.exit(f"no peers: {e}")
    if not torch.cuda.is_available():
        sys.exit("no peers: PyTorch finds no GPU")
    results = {}

    def copies(*dims, dtype):
        one = torch.empty(dims, dtype=dtype).nbytes
        return [torch.randn(dims, device="cuda", dtype=dtype) for _ in range(max(1, min(32, (192 << 20) // one)))]

    def ms(f):
        for i in range(5):
            f(i)
        times = []
        for i in range(50):
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            f(i)
            end.record()
            torch.cuda.synchronize()
            times.append(start.elapsed_time(end))
        return statistics.median(times)

    def note(name, peer, f):
        try:
            results.setdefault(name, {})[peer] = ms(f)
        except RuntimeError as e:
            print(f"{name}, {peer}: {e}", file=sys.stderr)

    types = {"bf16": torch.bfloat16, "f16": torch.float16}
    shapes = [(t, n, n, n) for n in (1024, 2048, 4096, 8192) for t in types]
    for t, m, n, k in shapes + [("bf16", 64, 8192, 8192), ("bf16", 16, 8192, 8192)]:
        a, b = copies(m, k, dtype=types[t]), copies(k, n, dtype=types[t])
        note(f"matmul {t} {m}x{n}x{k}", "cublas", lambda i: a[i % len(a)] @ b[i % len(b)])
    backends = {"flash": SDPBackend.FLASH_ATTENTION, "cudnn": SDPBackend.CUDNN_ATTENTION}
    for length in (2048, 4096, 8192, 16384):
        for t, d, causal in [("bf16", 64, 0), ("bf16", 64, 1), ("bf16", 128, 0), ("bf16", 128, 1), ("f16", 128, 0)]:
            dims = (max(1, 16384 // length), 2048 // d, length, d)
            q, k, v = (copies(*dims, dtype=types[t]) for _ in range(3))
            name = f"attention {t} d{d} {length} {'causal' if causal else 'full'}"
            for peer, backend in backends.items():
                with sdpa_kernel(backend):
                    note(name, f"sdpa-{peer}", lambda i: F.scaled_dot_product_attention(
                        q[i % len(q)], k[i % len(k)], v[i % len(v)], is_causal=bool(causal)))
    for n in (1024, 2048, 4096, 8192):
        x = copies(4096, n, dtype=torch.bfloat16)
        weight = torch.randn(n, device="cuda", dtype=torch.bfloat16)
        note(f"softmax bf16 4096x{n}", "torch", lambda i: torch.softmax(x[i % len(x)], -1))
        note(f"rms_norm bf16 4096x{n}", "torch", lambda i: F.rms_norm(x[i % len(x)], (n,), weight, 1e-5))
    print(json.dumps(results))


main()
