"""Puts the runtime library into the wheel: KCC_RUNTIME_LIBRARY, or target/release/libkcc_runtime.so of this repository."""

import os
import sys
import sysconfig
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = {"darwin": "libkcc_runtime.dylib", "win32": "kcc_runtime.dll"}.get(sys.platform, "libkcc_runtime.so")


class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        if version == "editable":
            return  # finds the library by KCC_RUNTIME_LIBRARY
        target = Path(os.environ.get("CARGO_TARGET_DIR", Path(self.root).parent / "target"))
        library = Path(os.environ.get("KCC_RUNTIME_LIBRARY", target / "release" / NAME))
        if not library.is_file():
            raise FileNotFoundError(f"{library} is not there: run `cargo build --release -p kcc-capi`")
        build_data["force_include"][str(library)] = f"kcc/{NAME}"
        build_data["pure_python"] = False
        # The library is called through ctypes: any Python 3 does, but only this platform.
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
