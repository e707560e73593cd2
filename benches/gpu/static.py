"""Static bars without a GPU: machine code of GEMM and attention, ours beside Triton's, at the same tile shapes.

    python static.py --kit KCC-GPU-KIT [--chips sm_90a,gfx942] [--check [--only PREFIX]...]

For each instance: registers, bytes of spills and of shared memory, and of the main loop the matrix products and all other
instructions. Without --check, `static.json` is written: ours and Triton's. With --check (no Triton needed) ours is
compared with what `static.json` has: more registers by four or more, any new spill, more shared memory, or another
instruction per step is an error; BLESS=1 writes ours into the file instead. `make test` does so for some of the instances.
Needs `ptxas` and `nvdisasm` for NVIDIA's chips, `llvm-objdump` and `llvm-readobj` for AMD's.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gcn
import sass
import tools
import waits

HERE = Path(__file__).resolve().parent
PINNED = HERE / "static.json"

# bench, config, Triton's kernels with the same tile: the better one counts.
GEMM = [(f"{bm}x{bn}x64 warps={w}", {"BM": bm, "BN": bn, "BK": 64}, w, 3)
        for bm, bn, w in [(128, 256, 8), (128, 128, 8), (128, 128, 4), (64, 128, 4)]]
# Two blocks share what they read; beside Triton's code for one block.
CLUSTERS = [(f"{bm}x{bn}x64 warps=8,cluster=2", {"BM": bm, "BN": bn, "BK": 64}, 8, 3) for bm, bn in [(128, 256), (128, 128)]]
ATTENTION = [(d, f"{bm}x{bn} warps={w}", {"BM": bm, "BN": bn, "D": d}, w, 2)
             for d, bm, bn, w in [(64, 128, 128, 8), (64, 128, 64, 8), (128, 128, 128, 8), (128, 128, 64, 8), (128, 64, 64, 4)]]


# Stages of a loop on AMD's chips as Triton's own tutorials have them: one buffer and a load ahead.
AMD_STAGES = 2
ARCHS = ("sm_90a", "sm_80", "gfx942", "gfx950")


def vendor(arch):
    return "amd" if arch.startswith("gfx") else "nvidia"


def instances(archs=ARCHS):
    """Bench and config as the kit names them, architecture, Triton's kernels, constants, warps, stages."""
    for arch in archs:
        tma = arch == "sm_90a"
        for config, constants, warps, stages in GEMM + (CLUSTERS if tma else []):
            kernels = ["matmul", "matmul_tma"] if tma else ["matmul"]
            staged = AMD_STAGES if vendor(arch) == "amd" else stages
            yield "matmul bf16 4096x4096x4096", config, arch, kernels, constants, warps, staged
        for d, config, constants, warps, stages in ATTENTION:
            kernels = ["attention", "attention_tma"] if tma else ["attention"]
            for causal in (False, True):
                bench = f"attention bf16 d{d} 4096 {'causal' if causal else 'full'}"
                yield bench, config, arch, kernels, constants | {"CAUSAL": causal}, warps, stages


class Tools:
    def __init__(self):
        self.ptxas, self.nvdisasm = tools.find("KCC_PTXAS", "ptxas"), tools.find("KCC_NVDISASM", "nvdisasm")

    def missing(self, archs):
        """Which programs are not there."""
        needed = {"nvidia": [("ptxas", self.ptxas), ("nvdisasm", self.nvdisasm)]}
        needed["amd"] = [(name, gcn.find(name)) for name in ("llvm-objdump", "llvm-readobj")]
        return [name for v in dict.fromkeys(map(vendor, archs)) for name, path in needed[v] if not path]

    def figures(self, code, arch, shared):
        """Of PTX, or of a code object; `shared` is what a launch asks for."""
        if vendor(arch) == "amd":
            found = gcn.figures(code)
            return found | {"shared": max(found["shared"], shared)}
        return self.figures_of_ptx(code.decode() if isinstance(code, bytes) else code, arch, shared)

    def figures_of_ptx(self, ptx, arch, shared):
        with tempfile.TemporaryDirectory() as folder:
            cubin = os.path.join(folder, "a.cubin")
            usage = tools.assemble(self.ptxas, ptx, arch, cubin)
            loop = sass.figures(self.nvdisasm, cubin)
        return {
            "registers": usage["registers"],
            "spills": usage["spills"],
            "shared": shared + usage["static_shared"],
            "mma": loop["mma"],
            "other": loop["other"],
            "total": loop["total"],
            "top": loop["top"],
            **({"warnings": usage["warnings"]} if usage["warnings"] else {}),
        }


def ours(kit, found, archs, only=()):
    """Figures of every instance whose name starts so, by its name."""
    every = [i for i in instances(archs) if not only or i[0].startswith(tuple(only))]
    if not every:
        sys.exit(f"static: no instance starts with {' or '.join(only)}")
    jobs, results = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        words = [part for bench in dict.fromkeys(i[0] for i in every) for part in ("--only", bench)]
        targets = [part for arch in archs for part in ("--target", f"{vendor(arch)}:{arch}")]
        subprocess.run([kit, "texts", folder, *targets, *words], check=True)
        index = json.loads((Path(folder) / "index.json").read_text())
        rows = {(r["bench"], r["config"], r["target"]): r for r in index}
        for bench, config, arch, *_ in every:
            row = rows.get((bench, config, f"{vendor(arch)}:{arch}"))
            if row is None:
                sys.exit(f"static: the kit has no `{bench}`, `{config}` for {arch}")
            name = f"{bench}, {config}, {arch}"
            if "unfit" in row:
                results[name] = {"unfit": row["unfit"]}
            else:
                jobs[name] = ((Path(folder) / row["file"]).read_bytes(), arch, row["shared"])
    # The tools are programs of their own: two at a time.
    with ThreadPoolExecutor(2) as pool:
        results.update(zip(jobs, pool.map(lambda job: found.figures(*job), jobs.values())))
    for name, (code, arch, _) in jobs.items():
        if vendor(arch) == "amd" and (wrong := waits.faults(gcn.instructions(code))):
            sys.exit("\n".join([f"{name}: registers are read too early:", *wrong[:10]]))
    return {f"{bench}, {config}, {arch}": results[f"{bench}, {config}, {arch}"] for bench, config, arch, *_ in every}


def peers(found, archs):
    """Triton's figures by the same names: of its kernels for one tile, the one with the fewest other instructions."""
    import triton
    import triton_kernels

    results = {}
    for bench, config, arch, kernels, constants, warps, stages in instances(archs):
        best = None
        for kernel in kernels:
            if vendor(arch) == "amd":
                code, shared = triton_kernels.code_object(kernel, "bf16", constants, arch, warps, stages)
            else:
                code, _, shared, _ = triton_kernels.ptx(kernel, "bf16", constants, arch, warps, stages)
            figures = found.figures(code, arch, shared) | {"kernel": kernel, "version": triton.__version__}
            if best is None or (figures["spills"], figures["other"]) < (best["spills"], best["other"]):
                best = figures
        results[f"{bench}, {config}, {arch}"] = best
    return results


def work(figures):
    """Products of the main loop: multiply-adds where instructions differ in size, else instructions."""
    return figures.get("products") or figures.get("mma") or 0


def per_step(figures, step):
    """Other instructions of the main loop, for as much work as the smaller of the two loops does."""
    return figures["other"] * step / work(figures) if work(figures) else None


def table(rows):
    head = ("instance", "ours: reg", "spill", "shared", "mma", "other", "Triton: reg", "spill", "shared", "mma", "other", "ratio")
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for name, row in rows.items():
        cells = [name]
        for side in ("ours", "triton"):
            f = row.get(side) or {}
            keys = ("registers", "spills", "shared", "mma", "other")
            cells += ["unfit", "", "", "", ""] if "unfit" in f else [str(f.get(k, "-")) for k in keys]
        cells.append(f"{row['ratio']:.2f}" if row.get("ratio") else "-")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def joined(mine, theirs):
    rows = {}
    for name in mine:
        a, b = mine[name], theirs.get(name)
        row = {"ours": a, "triton": b}
        if b and work(a) and work(b):
            step = min(work(a), work(b))
            row["ratio"] = round(per_step(a, step) / per_step(b, step), 3)
        rows[name] = row
    return rows


def worse(name, old, new):
    """What of a pinned instance got worse."""
    if "unfit" in new:
        return [] if "unfit" in old else [f"{name}: does not compile any more: {new['unfit']}"]
    if "unfit" in old:
        return []
    found = []
    step = min(work(old), work(new)) or 1
    for key, before, after, slack in [
        ("registers", old["registers"], new["registers"], 3),
        ("bytes of spills", old["spills"], new["spills"], 0),
        ("bytes of shared memory", old["shared"], new["shared"], 0),
        ("other instructions", per_step(old, step) or 0, per_step(new, step) or 0, 0),
    ]:
        if after > before + slack:
            found.append(f"{name}: {key} went from {before:g} to {after:g}")
    if old["mma"] and not new["mma"]:
        found.append(f"{name}: the main loop has no matrix product any more")
    return found + [f"{name}: ptxas warns {w}" for w in new.get("warnings", [])]


def write(rows):
    PINNED.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")
    print(table(rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kit", required=True, help="the kcc-gpu-kit program")
    parser.add_argument("--check", action="store_true", help="compare ours with the pinned file")
    parser.add_argument("--chips", help="separated by commas; others keep their pinned rows")
    parser.add_argument("--only", action="append", default=[], help="with --check: only benches that start so")
    args = parser.parse_args()
    if args.only and (not args.check or os.environ.get("BLESS")):
        sys.exit("static: --only goes with --check alone: the file holds all instances")
    archs = args.chips.split(",") if args.chips else list(ARCHS)
    if unknown := set(archs) - set(ARCHS):
        sys.exit(f"static: no rows for {', '.join(sorted(unknown))}; there are {', '.join(ARCHS)}")
    found = Tools()
    if missing := found.missing(archs):
        sys.exit(f"static: no {', '.join(missing)}; `scripts/setup.sh cuda` installs NVIDIA's, LLVM 22 has the others")
    mine = ours(args.kit, found, archs, args.only)
    pinned = json.loads(PINNED.read_text()) if PINNED.exists() else {}
    of_others = {name: row for name, row in pinned.items() if name.rsplit(", ", 1)[1] not in archs}
    if not args.check:
        return write(of_others | joined(mine, peers(found, archs)))
    if os.environ.get("BLESS"):
        return write(of_others | joined(mine, {name: row["triton"] for name, row in pinned.items()}))
    expected = set(pinned) - set(of_others)
    if set(mine) - expected or (not args.only and set(mine) != expected):
        sys.exit(f"static: the instances changed, run with BLESS=1: {sorted(set(mine) ^ expected)}")
    found_worse = [line for name in mine for line in worse(name, pinned[name]["ours"], mine[name])]
    if found_worse:
        sys.exit("\n".join(found_worse + ["worse than static.json; if it must be so, BLESS=1 and say why in the commit"]))
    print(f"{len(mine)} instances are no worse than static.json")


if __name__ == "__main__":
    main()
