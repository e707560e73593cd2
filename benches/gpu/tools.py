"""NVIDIA's programs for machine code, found as kcc finds them, and what `ptxas -v` says."""

import glob
import os
import re
import shutil
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def find(variable, name):
    """A program by the variable that names it, on PATH, under CUDA_HOME, or as `scripts/setup.sh cuda` installs it."""
    named = os.environ.get(variable)
    if named:
        return named
    folders = os.environ.get("PATH", "").split(os.pathsep)
    folders += [os.path.join(os.environ[v], "bin") for v in ("CUDA_HOME", "CUDA_PATH") if v in os.environ]
    if os.environ.get("KCC_PTXAS"):
        folders.append(os.path.dirname(os.environ["KCC_PTXAS"]))
    folders += glob.glob(os.path.join(ROOT, ".cache/venv/cuda/lib/python*/site-packages/nvidia/cu*/bin"))
    return shutil.which(name, path=os.pathsep.join(folders))


def assemble(ptxas, ptx, arch, cubin):
    """Assembles PTX text into a file; registers, spills, static shared memory, and the messages C75xx."""
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(ptx)
        file.flush()
        run = subprocess.run(
            [ptxas, "-v", "-lineinfo", "-arch", arch, "-o", cubin, file.name], capture_output=True, text=True
        )
    log = run.stdout + run.stderr
    if run.returncode:
        raise RuntimeError(log.strip())

    def most(pattern):
        return max((int(n) for n in re.findall(pattern, log)), default=0)

    return {
        "registers": most(r"Used (\d+) registers"),
        "spills": most(r"(\d+) bytes spill stores") + most(r"(\d+) bytes spill loads"),
        "static_shared": most(r"(\d+) bytes smem"),
        "warnings": re.findall(r"C75\d\d", log),
    }
