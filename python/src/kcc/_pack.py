"""Packs, devices, kernels, prepared launches: Python's names for the handles of the C ABI."""

from __future__ import annotations

import json
import os
import sys
import threading
import weakref
from ctypes import c_void_p
from dataclasses import dataclass
from typing import Any, Sequence

from ._arguments import Arguments
from ._errors import ArgumentError
from ._library import call, create, lib


class _Handle:
    """Owns a handle; closes it when nobody uses it any more."""

    def __init__(self, close: str, handle: int) -> None:
        self._handle = handle
        weakref.finalize(self, getattr(lib, close), handle)


class Device(_Handle):
    """A device by name: `cpu`, `cpu:4` (four threads), `cuda`, `cuda:1`, `hip`, `hip:1`, `ascend`, `ascend:1`."""

    def __init__(self, name: str = "cpu") -> None:
        super().__init__("kcc_device_close", create("kcc_device_open", name.encode()))
        self.name = name

    def synchronize(self, stream: Any = None) -> None:
        """Waits for what was launched into a stream (None: the device's own)."""
        call("kcc_device_synchronize", self._handle, _stream(stream))

    def __repr__(self) -> str:
        return f"kcc.Device({lib.kcc_device_description(self._handle).decode()})"


@dataclass(frozen=True)
class Parameter:
    """A parameter of a kernel."""

    name: str
    #: `input`, `output` or `scalar`.
    kind: str
    #: Number of axes; 0 for a scalar.
    rank: int


class Pack(_Handle):
    """An open pack. Threads may share it."""

    def __init__(self, source: str | os.PathLike[str] | bytes) -> None:
        if isinstance(source, (bytes, bytearray, memoryview)):
            data = bytes(source)
            handle = create("kcc_pack_open_memory", data, len(data))
        else:
            path = os.fsencode(source)
            if b"\0" in path:
                raise ArgumentError("a path has no NUL byte")
            handle = create("kcc_pack_open", path)
        super().__init__("kcc_pack_close", handle)
        #: What pack.json says: docs/pack-format.md.
        self.manifest: dict[str, Any] = json.loads(lib.kcc_pack_manifest(handle))
        self._kernels: dict[tuple[str, str], Kernel] = {}
        self._devices: dict[str, Device] = {}
        self._lock = threading.Lock()

    @property
    def kernels(self) -> list[str]:
        """Names of the kernels."""
        return [k["name"] for k in self.manifest["kernels"]]

    def verify(self) -> None:
        """Compares every file of code with its checksum."""
        call("kcc_pack_verify", self._handle)

    def kernel(self, name: str, device: str | Device = "cpu") -> Kernel:
        """A kernel, loaded for a device; loaded once."""
        with self._lock:
            if isinstance(device, str):
                if device not in self._devices:
                    self._devices[device] = Device(device)
                device = self._devices[device]
            key = (name, device.name)
            found = self._kernels.get(key)
            if found is None or found.device is not device:
                found = self._kernels[key] = Kernel(self, name, device)
            return found

    def __getitem__(self, name: str) -> Kernel:
        """A kernel on the CPU."""
        return self.kernel(name)

    def __repr__(self) -> str:
        return f"kcc.Pack({self.manifest['name']} {self.manifest['version']}: {', '.join(self.kernels)})"


class Kernel(_Handle):
    """A kernel on a device. Threads may share it."""

    def __init__(self, pack: Pack, name: str, device: Device) -> None:
        handle = create("kcc_kernel_load", pack._handle, device._handle, name.encode())
        super().__init__("kcc_kernel_close", handle)
        entry = next(k for k in pack.manifest["kernels"] if k["name"] == name)
        self.name = name
        self.device = device
        self.parameters = tuple(Parameter(p["name"], p["kind"], p.get("rank", 0)) for p in entry["params"])
        #: Name and version of the contract: what the kernel computes.
        self.op: tuple[str, int] = (entry["op"]["name"], entry["op"]["version"])
        self._dtypes = [tuple(v["dtypes"]) for v in entry["variants"]]

    def __call__(self, *arguments: Any, stream: Any = None, workspace: Any = None) -> None:
        """Chooses a variant for the arguments and runs it. Outputs are written where they lie.

        On a CPU the kernel is done on return; on a GPU it was put into `stream`: an integer, an object of torch or cupy, or None
        for the device's own. `workspace` is memory of the device, as a tensor of any type.
        """
        _launch("kcc_kernel_launch", self._handle, Arguments(self, arguments), stream, workspace)

    def prepare(self, *arguments: Any) -> Prepared:
        """Chooses a variant for arguments like these, to launch often."""
        return Prepared(self, arguments)

    def _completed(self, dtypes: Sequence[str | None]) -> tuple[str, ...]:
        """The element types of the first variant that takes these, where None is any. (If none does, the runtime says so.)"""
        for known in self._dtypes:
            if all(given is None or given == of for given, of in zip(dtypes, known)):
                return known
        return tuple(given or of for given, of in zip(dtypes, self._dtypes[0]))

    def __repr__(self) -> str:
        parameters = ", ".join(f"{p.name}: {p.kind}" for p in self.parameters)
        return f"kcc.Kernel({self.name}({parameters}) on {self.device.name})"


class Prepared(_Handle):
    """A variant that was chosen: runs on any arguments that it is right for. Threads may share it."""

    def __init__(self, kernel: Kernel, arguments: Sequence[Any]) -> None:
        ready = Arguments(kernel, arguments)
        super().__init__("kcc_prepared_free", create("kcc_prepare", kernel._handle, ready.array, len(ready.array)))
        self.kernel = kernel

    @property
    def variant(self) -> int:
        """Index of the variant in the manifest."""
        return lib.kcc_prepared_variant(self._handle)

    @property
    def workspace(self) -> int:
        """Bytes of workspace that a launch with the arguments that were prepared needs."""
        return lib.kcc_prepared_workspace(self._handle)

    def __call__(self, *arguments: Any, stream: Any = None, workspace: Any = None) -> None:
        """As a call of the kernel, with the variant that was chosen."""
        _launch("kcc_launch", self._handle, Arguments(self.kernel, arguments), stream, workspace)


def load(source: str | os.PathLike[str] | bytes) -> Pack:
    """Opens a pack: a file, a folder, or the bytes of a file."""
    return Pack(source)


def _launch(function: str, handle: int, ready: Arguments, stream: Any, workspace: Any) -> None:
    at, length = _memory(workspace)
    call(function, handle, ready.array, len(ready.array), _stream(stream), at, length)


def _stream(stream: Any) -> c_void_p:
    """A stream's handle."""
    for name in ("cuda_stream", "ptr"):
        stream = getattr(stream, name, stream)
    if stream is None or isinstance(stream, int):
        return c_void_p(stream)
    raise ArgumentError(f"a stream is an integer, or an object of torch or cupy, not a {type(stream).__name__}")


def _memory(workspace: Any) -> tuple[int | None, int]:
    """Address and length of a tensor's memory."""
    if workspace is None:
        return None, 0
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(workspace, numpy.ndarray) and workspace.flags.c_contiguous:
        if not workspace.flags.writeable:
            raise ArgumentError("the workspace is read-only")
        return workspace.ctypes.data, workspace.nbytes
    if hasattr(workspace, "data_ptr") and workspace.is_contiguous():
        return workspace.data_ptr(), workspace.numel() * workspace.element_size()
    raise ArgumentError("a workspace is a contiguous tensor of numpy or torch")


__all__ = ["Device", "Kernel", "Pack", "Parameter", "Prepared", "load"]
