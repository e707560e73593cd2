"""Counts what the main loop of a kernel's machine code holds.

The main loop is the innermost backward branch around matrix products; of several, the one with the most of them.
"""

import re
import subprocess
from collections import Counter

MMA = re.compile(r"^(HGMMA|QGMMA|IGMMA|BGMMA|HMMA|QMMA|IMMA|DMMA|UTCHMMA|UTCQMMA|OMMA)\b")
LINE = re.compile(r"/\*([0-9a-f]+)\*/\s+(?:@(!?U?P[0-9T]+)\s+)?([A-Z][A-Z0-9_.]*)\s*([^;]*);")
LABEL = re.compile(r"^\s*(\.L_x_\w+|\.L_\w+):")


class Instruction:
    def __init__(self, address, predicate, name, operands):
        self.address, self.predicate, self.name, self.operands = address, predicate, name, operands

    @property
    def base(self):
        return self.name.split(".")[0]


def disassemble(nvdisasm, cubin):
    """Instructions of a cubin file, with the branches' targets as addresses."""
    text = subprocess.run([nvdisasm, "-c", cubin], check=True, capture_output=True, text=True).stdout
    code, labels, pending = [], {}, []
    for line in text.splitlines():
        label = LABEL.match(line)
        if label:
            pending.append(label.group(1))
            continue
        match = LINE.search(line)
        if match:
            address = int(match.group(1), 16)
            for name in pending:
                labels[name] = address
            pending = []
            code.append(Instruction(address, match.group(2), match.group(3), match.group(4)))
    return code, labels


def loops(code, labels):
    """Address ranges of backward branches, first and last instruction included."""
    for at in code:
        if at.base in ("BRA", "BRX", "JMP"):
            for name in re.findall(r"\.L_\w+", at.operands):
                if labels.get(name, at.address + 1) <= at.address:
                    yield labels[name], at.address


def main_loop(code, labels):
    """Instructions of the main loop; `None` if no loop holds a matrix product."""
    best = None
    for first, last in loops(code, labels):
        body = [i for i in code if first <= i.address <= last]
        count = sum(bool(MMA.match(i.name)) for i in body)
        if not count:
            continue
        inner = any(
            first <= f and l <= last and (f, l) != (first, last)
            and any(MMA.match(i.name) for i in code if f <= i.address <= l)
            for f, l in loops(code, labels)
        )
        if not inner and (best is None or count > best[0]):
            best = (count, body)
    return best and best[1]


def figures(nvdisasm, cubin):
    """`mma`, `other`, and the most frequent others of the main loop; `total` of the kernel."""
    code, labels = disassemble(nvdisasm, cubin)
    body = main_loop(code, labels)
    whole = [i for i in code if i.base != "NOP"]
    if body is None:
        return {"total": len(whole), "mma": 0, "other": 0, "top": {}}
    body = [i for i in body if i.base != "NOP"]
    mma = [i for i in body if MMA.match(i.name)]
    others = Counter(i.base for i in body if not MMA.match(i.name))
    return {
        "total": len(whole),
        "mma": len(mma),
        "mma_name": Counter(i.name for i in mma).most_common(1)[0][0],
        "other": sum(others.values()),
        "top": dict(others.most_common(8)),
    }
