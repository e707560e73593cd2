"""Merges our records with the peers' into a table, JSON and a plot of the ratios against their bars.

    python report.py [RESULTS]      reads RESULTS/ours.json and RESULTS/peers.json, default benches/results
"""

import json
import os
import sys
from pathlib import Path
from statistics import median

from cases import BY_NAME, CASES, DTYPES

SCALE = {"flop": (1e9, "GFLOP/s"), "byte": (1e9, "GB/s"), "sentence": (1, "sentences/s"), "compilation": (1, "compilations/s"),
         "pack": (1, "packs/s"), "launch": (1e6, "M launches/s")}


def settle(records):
    """One record per implementation and case: the median over the turns."""
    groups = {}
    for record in records:
        key = (record["name"], record["dtype"], record["threads"], record["impl"])
        groups.setdefault(key, []).append(record)
    return [same[0] | {"median_s": median(r["median_s"] for r in same)} for same in groups.values()]


def rows(ours, peers):
    """One row per case, dtype and thread count that either side has, in the order of the table of cases."""
    def best(records, key):
        mine = [r for r in records if (r["name"], r["dtype"], r["threads"]) == key]
        return min(mine, key=lambda r: r["median_s"], default=None)

    order = {case.name: index for index, case in enumerate(CASES)}
    keys = {(r["name"], r["dtype"], r["threads"]) for r in ours + peers if r["name"] in order}
    for key in sorted(keys, key=lambda k: (k[2], order[k[0]], DTYPES.index(k[1]))):
        name, dtype, threads = key
        us, peer = best(ours, key), best(peers, key)
        case = BY_NAME[name]
        ratio = peer["median_s"] / us["median_s"] if us and peer else None
        bar = case.bars.get(dtype)
        if case.limit and us:
            peer, bar = {"median_s": case.limit, "impl": "the limit"}, 1.0
            ratio = case.limit / us["median_s"]
        yield {
            "name": name, "dtype": dtype, "threads": threads, "unit": case.unit, "work": case.work(dtype),
            "ours_s": us and us["median_s"], "peer_s": peer and peer["median_s"], "peer": peer and peer["impl"],
            "ratio": ratio, "bar": bar, "reached": None if ratio is None or bar is None else ratio >= bar,
        }  # fmt: skip


def time(seconds):
    return "–" if seconds is None else f"{seconds * 1e3:.3g} ms"


def rate(row, seconds):
    if seconds is None:
        return "–"
    scale, unit = SCALE[row["unit"]]
    return f"{row['work'] / seconds / scale:.0f} {unit}"


def cells(row):
    ratio = "–" if row["ratio"] is None else f"{row['ratio']:.2f}"
    bar = "–" if row["bar"] is None else f"{row['bar']:.2f}"
    verdict = {None: "", True: "reached", False: "missed"}[row["reached"]]
    return [row["name"], row["dtype"], str(row["threads"]), time(row["ours_s"]), rate(row, row["ours_s"]),
            time(row["peer_s"]), rate(row, row["peer_s"]), ratio, bar, verdict, row["peer"] or "–"]  # fmt: skip


WIDTHS = (22, 5, 2, 10, 16, 10, 16, 6, 5, 8, 0)
HEAD = ["case", "dtype", "threads", "ours", "rate", "best peer", "rate", "ratio", "bar", "", "the peer"]


def line(row):
    return " ".join(cell.ljust(width) for cell, width in zip(cells(row), WIDTHS)).rstrip()


def markdown(table):
    out = ["| " + " | ".join(HEAD) + " |", "|" + " --- |" * len(HEAD)]
    return "\n".join(out + ["| " + " | ".join(cells(row)) + " |" for row in table]) + "\n"


def machine():
    model = "unknown"
    try:
        model = next(text.split(":", 1)[1].strip() for text in Path("/proc/cpuinfo").read_text().splitlines() if text.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {"cpu": model, "cores": os.cpu_count()}


def plot(table, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = [row for row in table if row["ratio"] is not None]
    if not shown:
        return False
    threads = sorted({row["threads"] for row in shown})
    most = max(sum(row["threads"] == t for row in shown) for t in threads)
    figure, axes = plt.subplots(1, len(threads), figsize=(6.5 * len(threads), 1.6 + 0.3 * most), squeeze=False)
    for axis, count in zip(axes[0], threads):
        here = [row for row in shown if row["threads"] == count][::-1]
        colours = ["#9aa5b1" if row["reached"] is None else "#2f855a" if row["reached"] else "#c05621" for row in here]
        axis.barh(range(len(here)), [row["ratio"] for row in here], color=colours, height=0.7)
        for at, row in enumerate(here):
            axis.text(row["ratio"], at, f" {row['ratio']:.2f}", va="center", fontsize=8)
            if row["bar"] is not None:
                axis.plot([row["bar"]] * 2, [at - 0.45, at + 0.45], color="black", linewidth=2)
        axis.axvline(1.0, color="black", linewidth=0.6, linestyle=":")
        axis.set_yticks(range(len(here)), [f"{row['name']} {row['dtype']}" for row in here], fontsize=8)
        axis.set_xlim(0, 1.15 * max(max(row["ratio"], row["bar"] or 0) for row in here))
        axis.set_title(f"{count} thread{'s' if count > 1 else ''}", fontsize=10)
        axis.set_xlabel("speed of kcc / best peer; black mark: the bar to reach", fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    return True


def write(results):
    """Writes results.json, report.md and report.png into the folder, and prints what it wrote and what was missed."""
    def read(name):
        path = results / name
        return settle([json.loads(text) for text in path.read_text().splitlines() if text.strip()]) if path.exists() else []

    ours, peers = read("ours.json"), read("peers.json")
    table = list(rows(ours, peers))
    if not table:
        sys.exit(f"report: no records in {results} - run `make bench` first")
    (results / "results.json").write_text(json.dumps({"machine": machine(), "rows": table, "peers": peers, "ours": ours}, indent=1) + "\n")
    (results / "report.md").write_text(markdown(table))
    plotted = plot(table, results / "report.png")
    judged = [row for row in table if row["reached"] is not None]
    missed = [row for row in judged if not row["reached"]]
    print(f"\n{len(judged) - len(missed)} of {len(judged)} bars reached; written to {results}: results.json, report.md" + (", report.png" if plotted else ""))
    for row in missed:
        print(f"  missed: {row['name']} {row['dtype']}, {row['threads']} thread(s): {row['ratio']:.2f} of {row['bar']:.2f}")


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent / "results"
    write(folder)
    for row in json.loads((folder / "results.json").read_text())["rows"]:
        print(line(row))
