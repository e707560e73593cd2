"""The table of cases: names, work, and the ratio of speed to the best peer that each must reach."""

from dataclasses import dataclass

SIZE = {"f32": 4, "bf16": 2}
DTYPES = ("f32", "bf16")
THREADS = (1, 2)


@dataclass(frozen=True)
class Case:
    name: str
    unit: str  # what `work` counts: "flop", "byte", "sentence", "compilation", "pack" or "launch"
    bars: dict  # dtype -> least ratio peer time / our time; absent: no bar
    per_dtype: dict  # dtype -> work
    quick: bool = False
    limit: float = None  # seconds that one may take, where no peer does the same

    def work(self, dtype):
        return self.per_dtype[dtype]


def _flop(n):
    return {dtype: n for dtype in DTYPES}


def _bytes(elements):
    return {dtype: elements * SIZE[dtype] for dtype in DTYPES}


def _both(f32, bf16=None):
    return {"f32": f32, "bf16": f32 if bf16 is None else bf16}


def _attention(d, causal):
    pairs = 2048 * 2049 // 2 if causal else 2048 * 2048
    return _flop(4 * 8 * pairs * d)


CASES = [
    Case("matmul.1024", "flop", _both(0.97), _flop(2 * 1024**3), quick=True),
    Case("matmul.2048", "flop", _both(0.97), _flop(2 * 2048**3)),
    *(
        Case(f"attention.d{d}.{kind}", "flop", _both(1.2, 2.5), _attention(d, kind == "causal"), quick=d == 64 and kind == "full")
        for d in (64, 128)
        for kind in ("full", "causal")
    ),
    Case("decode.8192", "byte", _both(2.5, 4.0), _bytes(2 * 8 * 8192 * 128), quick=True),
    Case("softmax.4096", "byte", _both(1.1), _bytes(2 * 4096**2), quick=True),
    Case("rmsnorm.4096", "byte", _both(1.1), _bytes(2 * 4096**2)),
    Case("silu_mul.4096", "byte", _both(1.1), _bytes(3 * 4096**2)),
    Case("moe.256", "flop", _both(1.4), _flop(6 * 256 * 2 * 1024 * 2048)),
    Case("minilm.64", "sentence", {"f32": 1.2}, _flop(64)),
    Case("compile.matmul", "compilation", {"bf16": 10.0}, _flop(1), quick=True),
    Case("compile.attention", "compilation", {"bf16": 10.0}, _flop(1), quick=True),
    Case("compile.amd.matmul", "compilation", {}, _flop(1), quick=True, limit=0.150),
    Case("compile.amd.attention", "compilation", {}, _flop(1), quick=True, limit=0.150),
    Case("pack.open", "pack", {}, _flop(1), quick=True, limit=1e-3),
    Case("pack.launch", "launch", {}, _flop(1000), quick=True, limit=1e-3),
    Case("compile.cpu", "compilation", {}, _flop(1), quick=True, limit=0.150),
    Case("compile.cpu.cached", "compilation", {}, _flop(1), quick=True, limit=1e-3),
]

BY_NAME = {case.name: case for case in CASES}
