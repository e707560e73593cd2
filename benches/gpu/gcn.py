"""Counts what the main loop of a kernel's AMD code object holds, and reads its metadata.

The main loop is the innermost backward branch around matrix products; of several, the one with the most of them. Loops of
several blocks (what is not straight-line) count as a whole.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter

# v_mfma_f32_32x32x8_bf16, v_wmma_f32_16x16x16_f16: rows, columns, depth.
MMA = re.compile(r"^v_(?:mfma|wmma)\w*?_(\d+)x(\d+)x(\d+)")
LINE = re.compile(r"^\s+([a-z]\w+)\s*(.*?)\s*//\s*([0-9A-F]+):[^<]*(?:<[^>+]+(?:\+0x([0-9a-f]+))?>)?")
FIELDS = {
    "registers": r"\.vgpr_count:\s+(\d+)",
    "accumulators": r"\.agpr_count:\s+(\d+)",
    "scalars": r"\.sgpr_count:\s+(\d+)",
    "spills": r"\.vgpr_spill_count:\s+(\d+)",
    "scratch": r"\.private_segment_fixed_size:\s+(\d+)",
    "shared": r"\.group_segment_fixed_size:\s+(\d+)",
}


def find(name):
    """A program of LLVM: the folder that LLVM_SYS_221_PREFIX names, Debian's, or PATH."""
    folders = [os.environ.get("LLVM_SYS_221_PREFIX", ""), "/usr/lib/llvm-22"]
    for folder in filter(None, folders):
        path = os.path.join(folder, "bin", name)
        if os.path.isfile(path):
            return path
    return shutil.which(name)


class Instruction:
    def __init__(self, name, operands, address, target):
        self.name, self.operands, self.address, self.target = name, operands, address, target


def disassemble(path):
    """Instructions of a file with one kernel; branches have their target's address."""
    run = subprocess.run([find("llvm-objdump"), "-d", path], check=True, capture_output=True, text=True)
    code, start = [], 0
    for line in run.stdout.splitlines():
        symbol = re.match(r"^([0-9a-f]+) <", line)
        if symbol:
            start = int(symbol.group(1), 16)
            continue
        match = LINE.match(line)
        if match:
            name, operands, address, offset = match.groups()
            jump = name.startswith(("s_cbranch", "s_branch"))
            code.append(Instruction(name, operands, int(address, 16), start + int(offset or "0", 16) if jump else None))
    return code


def instructions(data):
    """The same of an object in memory."""
    with tempfile.NamedTemporaryFile(suffix=".hsaco") as file:
        file.write(data)
        file.flush()
        return disassemble(file.name)


def main_loop(code):
    """Instructions of the main loop; `None` if no loop holds a matrix product."""
    ranges = [(i.target, i.address) for i in code if i.target is not None and i.target <= i.address]
    bodies = [[i for i in code if first <= i.address <= last] for first, last in ranges]
    bodies = [body for body in bodies if any(MMA.match(i.name) for i in body)]
    inner = [
        b for b in bodies
        if not any(o is not b and o[0].address >= b[0].address and o[-1].address <= b[-1].address for o in bodies)
    ]
    return max(inner, key=lambda b: sum(bool(MMA.match(i.name)) for i in b), default=None)


def figures(data):
    """Registers, spills, LDS; `mma` (and `products`, multiply-adds of the loop by 1024), `other`, and the most frequent others."""
    with tempfile.NamedTemporaryFile(suffix=".hsaco") as file:
        file.write(data)
        file.flush()
        notes = subprocess.run([find("llvm-readobj"), "--notes", file.name], check=True, capture_output=True, text=True).stdout
        code = disassemble(file.name)
    found = {name: max((int(n) for n in re.findall(pattern, notes)), default=0) for name, pattern in FIELDS.items()}
    idle = ("s_nop", "s_code_end")
    body = [i for i in main_loop(code) or [] if i.name not in idle]
    mma = [MMA.match(i.name) for i in body]
    others = Counter(i.name.removesuffix("_e32").removesuffix("_e64") for i, m in zip(body, mma) if not m)
    products = sum(int(m[1]) * int(m[2]) * int(m[3]) for m in mma if m)
    return found | {
        "total": sum(i.name not in idle for i in code),
        "mma": sum(map(bool, mma)),
        "products": products // 1024,
        "other": sum(others.values()),
        "top": dict(others.most_common(8)),
    }
