"""Times kcc and its peers in turns, one case at a time, and writes the report.

    python run.py --ours target/release/kcc-bench [--quick] [--only PREFIX] [--threads 1,2] [--turns 3] [--seconds 1]

Needs the virtual environment of `scripts/setup.sh bench`; `make bench` does all of it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import report
from cases import CASES, DTYPES, THREADS

HERE = Path(__file__).resolve().parent

# What gives the peers their best: freed memory stays with the process, and large blocks are huge pages.
PEER_ENVIRONMENT = {
    "THP_MEM_ALLOC_ENABLE": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_TOP_PAD_": "268435456",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "TORCHINDUCTOR_CACHE_DIR": str(HERE.parent / ".cache/inductor"),
}
# Overrides of OpenBLAS's choice of kernels, set on some machines: they slow a current numpy.
NOT_FOR_PEERS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OMP_NUM_THREADS")


class Peers:
    """The peers of one thread count, a process that stays up."""

    def __init__(self, threads):
        env = {k: v for k, v in os.environ.items() if k not in NOT_FOR_PEERS} | PEER_ENVIRONMENT
        command = [sys.executable, str(HERE / "peers/main.py"), "--threads", str(threads)]
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def turn(self, name, dtype, seconds):
        self.process.stdin.write(f"{name} {dtype} {seconds}\n")
        self.process.stdin.flush()
        records = []
        for line in self.process.stdout:
            record = json.loads(line)
            if record.get("done"):
                return records
            records.append(record)
        sys.exit(f"bench: the peers' process ended while timing {name} {dtype} (its error is above)")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def ours(binary, name, dtype, threads, seconds):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "ours.json"
        command = [binary, "--only", name, "--dtype", dtype, "--threads", str(threads), "--json", str(out), "--seconds", str(seconds)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            print(f"bench: {' '.join(command)} failed:\n{done.stdout}", file=sys.stderr)
            return []
        return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def loader(folder):
    """Bytes of a program with nothing but the loader of packs in it, and what it may have; None where there is no C compiler."""
    with tempfile.TemporaryDirectory() as scratch:
        program, root = Path(scratch) / "loader", HERE.parent
        source, include = root / "examples/c/axpby.c", root / "capi/include"
        command = ["cc", "-O2", str(source), "-I", str(include), str(folder / "libkcc_runtime.a"), "-Wl,--gc-sections", "-s", "-o", str(program)]
        done = subprocess.run([*command, "-lpthread", "-ldl", "-lm"], capture_output=True, text=True)
        return (program.stat().st_size, 5_000_000) if done.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True, help="the kcc-bench binary")
    parser.add_argument("--quick", action="store_true", help="a small subset, one turn")
    parser.add_argument("--only", default="", help="only the cases whose names start so")
    parser.add_argument("--dtype", choices=DTYPES)
    parser.add_argument("--threads", default=",".join(map(str, THREADS)))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="budget of one measurement")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    args = parser.parse_args()
    if not Path(args.ours).exists():
        sys.exit(f"bench: {args.ours} does not exist - build it with: cargo build --release -p kcc-bench")
    if args.quick:
        args.turns, args.seconds = 1, 0.5
    chosen = [case for case in CASES if case.name.startswith(args.only) and (case.quick or not args.quick)]
    if not chosen:
        sys.exit(f"bench: no case starts with '{args.only}' - the names are in benches/README.md")

    turns = {"ours": [], "peers": []}
    for threads in map(int, args.threads.split(",")):
        peers = Peers(threads)
        for case in chosen:
            for dtype in (args.dtype,) if args.dtype else DTYPES:
                here = {"ours": [], "peers": []}
                for _ in range(args.turns):
                    here["peers"] += peers.turn(case.name, dtype, args.seconds)
                    here["ours"] += ours(args.ours, case.name, dtype, threads, args.seconds)
                for side, records in here.items():
                    turns[side] += records
                for row in report.rows(report.settle(here["ours"]), report.settle(here["peers"])):
                    print(report.line(row), flush=True)
        peers.close()

    args.results.mkdir(parents=True, exist_ok=True)
    for side, records in turns.items():
        settled = report.settle(records)
        (args.results / f"{side}.json").write_text("".join(json.dumps(r) + "\n" for r in settled))
    report.write(args.results)
    if size := loader(Path(args.ours).parent):
        print(f"a program with the loader of packs: {size[0] / 1e6:.2f} MB, at most {size[1] / 1e6:.0f}")
        if size[0] > size[1]:
            sys.exit("bench: the loader has grown past its limit")


main()
