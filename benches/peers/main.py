"""Times the peers of one thread count: `run.py` drives it through a pipe, a person through `--only`.

    python main.py --threads 1                  reads lines `NAME DTYPE SECONDS`, answers each with records and `{"done": true}`
    python main.py --threads 1 --only matmul    times the cases whose names start so, and prints the records

The first turn of a case times every implementation; later turns only those within 15% of the fastest.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402

import attention  # noqa: E402
import compilation  # noqa: E402
import matmul  # noqa: E402
import minilm  # noqa: E402
import moe  # noqa: E402
import rows  # noqa: E402
from cases import BY_NAME, DTYPES  # noqa: E402
from timing import measure  # noqa: E402

FAMILIES = {
    "matmul": matmul.implementations,
    "attention": attention.implementations,
    "decode": attention.decode,
    "softmax": rows.softmax,
    "rmsnorm": rows.rmsnorm,
    "silu_mul": rows.silu_mul,
    "moe": moe.implementations,
    "minilm": minilm.implementations,
    "compile": compilation.implementations,
    "pack": lambda name, dtype: [],  # ours only, against a limit
}

fastest = {}  # (name, dtype) -> {implementation: seconds}, of the first turn


def turn(name, dtype, threads, seconds):
    """Records of one case, an implementation that cannot run left out with a word on stderr."""
    known = fastest.get((name, dtype))
    times = {}
    for label, run in FAMILIES[name.split(".")[0]](name, dtype):
        if known and known.get(label, float("inf")) > 1.15 * min(known.values()):
            continue
        try:
            times[label] = measure(run, seconds)
        except Exception as error:  # a path that this build of the peer lacks is not a path
            print(f"peers: {name} {dtype}: {label}: {str(error).splitlines()[0]}", file=sys.stderr)
            continue
        yield {"name": name, "dtype": dtype, "threads": threads, "impl": label, "median_s": times[label], "work": BY_NAME[name].work(dtype)}
    fastest.setdefault((name, dtype), times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--only", help="time the cases whose names start so, and exit")
    parser.add_argument("--dtype", choices=DTYPES)
    parser.add_argument("--seconds", type=float, default=1.0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    warnings.filterwarnings("ignore")
    with threadpool_limits(limits=args.threads):
        torch.set_num_threads(args.threads)
        if args.only is not None:
            for name in BY_NAME:
                for dtype in DTYPES if args.dtype is None else (args.dtype,):
                    if name.startswith(args.only):
                        for record in turn(name, dtype, args.threads, args.seconds):
                            print(json.dumps(record), flush=True)
            return
        for line in sys.stdin:
            name, dtype, seconds = line.split()
            for record in turn(name, dtype, args.threads, float(seconds)):
                print(json.dumps(record), flush=True)
            print(json.dumps({"done": True}), flush=True)


main()
