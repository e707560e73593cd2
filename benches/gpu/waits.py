"""Reads machine code of gfx9 for what no compiler's own checks would tell: registers that are read before anything defined
them, and results of loads that are touched before a wait says that they are there.

    python waits.py FILE.hsaco…      what is wrong with each; `--planted` deletes each wait in turn and says how many it takes

Counters (CDNA3 ISA guide, "Manually inserted wait states" and S_WAITCNT): vector memory returns in order and counts in vmcnt,
LDS in order in lgkmcnt, scalar memory in any order in lgkmcnt, so that only lgkmcnt(0) tells of it. All paths are followed until
nothing new comes.
"""

import re
import sys

import gcn

REGISTER = re.compile(r"(?<![\w.])([vsa])(?:\[(\d+):(\d+)\]|(\d+))(?!\w)")
# What writes no register that it names first.
NO_RESULT = (
    "ds_write", "ds_add_u32", "ds_add_f32", "buffer_store", "global_store", "flat_store", "scratch_store", "buffer_atomic",
    "global_atomic", "s_waitcnt", "s_barrier", "s_cmp", "s_bitcmp", "s_cbranch", "s_branch", "s_nop", "s_endpgm", "s_setprio",
    "s_sleep", "s_setreg", "s_code_end", "buffer_wbl2", "buffer_inv", "s_icache", "s_sendmsg",
)
# What has a second result: a carry.
CARRIES = re.compile(r"v_(add|sub|subrev|addc|subb|subbrev)_co|v_mad_[ui]64|v_div_scale")
# What reads its result as well.
KEEPS = ("v_fmac", "v_mac", "v_pk_fmac", "v_writelane", "v_swap", "v_permlane")
# The kernel descriptor asks for up to 16 scalar registers, and for the work-item's index in v0.
GIVEN = frozenset([("v", 0)] + [("s", i) for i in range(16)])
MOST_STATES = 50_000


def registers(text):
    found = set()
    for kind, first, last, only in REGISTER.findall(text):
        found |= {(kind, i) for i in (range(int(first), int(last) + 1) if first else [int(only)])}
    return frozenset(found)


def to_lds(instruction):
    """Loads that go to LDS name only where they read."""
    return instruction.operands.split()[-1:] == ["lds"]


def effects(instruction):
    """Registers that an instruction defines, and those that it reads."""
    name = instruction.name
    parts = [part.strip() for part in re.split(r",(?![^\[]*\])", instruction.operands)]
    none = name.startswith(NO_RESULT) or (name.startswith("v_cmp") and parts[0] == "vcc") or to_lds(instruction)
    results = 0 if none else 2 if CARRIES.match(name) or "swap" in name else 1
    defined = frozenset().union(*map(registers, parts[:results]))
    read = frozenset().union(*map(registers, parts[results:]))
    partly = "_dpp" in name and "row_mask:0xf bank_mask:0xf" not in instruction.operands
    if name.startswith(KEEPS) or partly or "UNUSED_PRESERVE" in instruction.operands or "d16" in name:
        read |= defined
    return defined, read


def pending(name, defined):
    """The counter that a memory instruction waits at, and what it brings; `None` for others."""
    if name.startswith(("buffer_load", "global_load", "flat_load", "scratch_load")):
        return ("vmcnt", defined)
    if name.startswith(("buffer_store", "global_store", "flat_store", "scratch_store", "buffer_atomic", "global_atomic")):
        return ("vmcnt", frozenset())
    if name.startswith("ds_"):
        return ("lgkmcnt", defined)
    if name.startswith(("s_load", "s_buffer_load")):
        return ("scalar", defined)
    return None


def waited(state, operands):
    """What is still under way behind a wait."""
    for counter, kinds in (("vmcnt", ("vmcnt",)), ("lgkmcnt", ("lgkmcnt", "scalar"))):
        asked = re.search(counter + r"\((\d+)\)", operands)
        if not asked:
            continue
        left = int(asked[1])
        own = [i for i, p in enumerate(state) if p[0] in kinds]
        unordered = any(state[i][0] == "scalar" for i in own)
        done = own if left == 0 else [] if unordered else own[: max(0, len(own) - left)]
        state = tuple(p for i, p in enumerate(state) if i not in set(done))
    return state


def faults(code, only_first=False):
    """What is wrong, a line for each instruction."""
    place = {c.address: i for i, c in enumerate(code)}
    after = []
    for i, c in enumerate(code):
        jump = [place[c.target]] if c.target is not None else []
        through = [] if c.name in ("s_endpgm", "s_branch") or i + 1 == len(code) else [i + 1]
        after.append(jump + through)
    both = [effects(c) for c in code]
    found = {}
    say = lambda i, what: found.setdefault(i, f"{code[i].address:#x} {code[i].name} {code[i].operands}: {what}")

    defined = {0: GIVEN}
    work = [0]
    while work:
        i = work.pop()
        out = defined[i] | both[i][0]
        for j in after[i]:
            if not out <= defined.get(j, frozenset()) or j not in defined:
                defined[j] = defined.get(j, frozenset()) | out
                work.append(j)
    for i in defined:
        for kind, n in sorted(both[i][1] - defined[i])[:1]:
            say(i, f"{kind}{n} is defined nowhere before")

    seen, work = set(), [(0, ())]
    while work and not (found and only_first):
        i, state = work.pop()
        while (i, state) not in seen and not (found and only_first):
            seen.add((i, state))
            if len(seen) > MOST_STATES:
                return list(found.values()) + ["too many ways through the code"]
            c, (writes, reads) = code[i], both[i]
            if c.name == "s_waitcnt":
                state = waited(state, c.operands)
            new = pending(c.name, writes)
            for counter, brings in state:
                # Of two loads into one register, both in order, the later one wins.
                in_order = new is not None and new[0] == counter and counter != "scalar"
                early = brings & (reads if in_order else reads | writes)
                for kind, n in sorted(early)[:1]:
                    say(i, f"{kind}{n} is not there yet ({counter})")
            if new is not None:
                state += (new,)
            if not after[i]:
                break
            work.extend((j, state) for j in after[i][1:])
            i = after[i][0]
    return list(found.values())


def noticed(code):
    """Of all waits, how many are missed when they are deleted: those for registers."""
    waits = [i for i, c in enumerate(code) if c.name == "s_waitcnt"]
    kept = lambda i: gcn.Instruction("s_nop", "0", code[i].address, None)
    return sum(bool(faults([*code[:i], kept(i), *code[i + 1 :]], True)) for i in waits), len(waits)


def main():
    bad = False
    for path in [a for a in sys.argv[1:] if a != "--planted"]:
        code = gcn.disassemble(path)
        lines = faults(code)
        bad |= bool(lines)
        told = ", {0} of {1} deleted waits are noticed".format(*noticed(code)) if "--planted" in sys.argv else ""
        print(f"{path}: {len(code)} instructions, {len(lines)} faults{told}")
        print("".join(f"  {line}\n" for line in lines[:10]), end="")
    sys.exit(bad)


if __name__ == "__main__":
    main()
