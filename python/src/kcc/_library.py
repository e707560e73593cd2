"""The C ABI in ctypes: kcc.h, line by line, and the library behind it."""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import POINTER, Structure, Union, byref, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint8, c_uint16
from ctypes import c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

from ._errors import BY_STATUS, KccError

ABI_VERSION = 1
MAX_RANK = 6
ARG_TENSOR, ARG_SCALAR, ARG_DLPACK = 0, 1, 2

# Element types by code.
DTYPES = ("bool", "i8", "i16", "i32", "i64", "u8", "u32", "f8e4m3", "f8e5m2", "f16", "bf16", "f32")
CODES = {name: code for code, name in enumerate(DTYPES)}


class Tensor(Structure):
    _fields_ = [
        ("data", c_void_p),
        ("dtype", c_int32),
        ("rank", c_int32),
        ("dims", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
    ]


class Scalar(Structure):
    _fields_ = [("bits", c_uint64), ("dtype", c_int32)]


class Value(Union):
    _fields_ = [("tensor", Tensor), ("scalar", Scalar), ("dlpack", c_void_p)]


class Arg(Structure):
    _fields_ = [("kind", c_int32), ("value", Value)]


class DLTensor(Structure):
    """DLPack's tensor, of which the element type is read here."""

    _fields_ = [
        ("data", c_void_p),
        ("device_type", c_int32),
        ("device_id", c_int32),
        ("ndim", c_int32),
        ("code", c_uint8),
        ("bits", c_uint8),
        ("lanes", c_uint16),
        ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
        ("byte_offset", c_uint64),
    ]


# DLPack's type code and bits.
DL_DTYPES = {
    (6, 8): "bool",
    (0, 8): "i8",
    (0, 16): "i16",
    (0, 32): "i32",
    (0, 64): "i64",
    (1, 8): "u8",
    (1, 32): "u32",
    (10, 8): "f8e4m3",
    (12, 8): "f8e5m2",
    (2, 16): "f16",
    (4, 16): "bf16",
    (2, 32): "f32",
}

_OUT = POINTER(c_void_p)
_LAUNCH = [c_void_p, POINTER(Arg), c_size_t, c_void_p, c_void_p, c_size_t, _OUT]
# Name: result, arguments.
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "kcc_abi_version": (c_uint32, []),
    "kcc_version": (c_char_p, []),
    "kcc_error_message": (c_char_p, [c_void_p]),
    "kcc_error_free": (None, [c_void_p]),
    "kcc_pack_open": (c_int, [c_char_p, _OUT, _OUT]),
    "kcc_pack_open_memory": (c_int, [c_char_p, c_size_t, _OUT, _OUT]),
    "kcc_pack_close": (None, [c_void_p]),
    "kcc_pack_manifest": (c_char_p, [c_void_p]),
    "kcc_pack_verify": (c_int, [c_void_p, _OUT]),
    "kcc_device_open": (c_int, [c_char_p, _OUT, _OUT]),
    "kcc_device_close": (None, [c_void_p]),
    "kcc_device_description": (c_char_p, [c_void_p]),
    "kcc_device_synchronize": (c_int, [c_void_p, c_void_p, _OUT]),
    "kcc_kernel_load": (c_int, [c_void_p, c_void_p, c_char_p, _OUT, _OUT]),
    "kcc_kernel_close": (None, [c_void_p]),
    "kcc_prepare": (c_int, [c_void_p, POINTER(Arg), c_size_t, _OUT, _OUT]),
    "kcc_prepared_free": (None, [c_void_p]),
    "kcc_prepared_workspace": (c_uint64, [c_void_p]),
    "kcc_prepared_variant": (c_size_t, [c_void_p]),
    "kcc_launch": (c_int, _LAUNCH),
    "kcc_kernel_launch": (c_int, _LAUNCH),
}


def _find() -> str:
    """The library: KCC_RUNTIME_LIBRARY, else the one in the wheel, else whatever the system's loader finds."""
    if named := os.environ.get("KCC_RUNTIME_LIBRARY"):
        return named
    name = {"darwin": "libkcc_runtime.dylib", "win32": "kcc_runtime.dll"}.get(sys.platform, "libkcc_runtime.so")
    beside = Path(__file__).with_name(name)
    return str(beside) if beside.exists() else name


def _open() -> ctypes.CDLL:
    path = _find()
    try:
        library = ctypes.CDLL(path)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as e:
        raise ImportError(f"kcc's runtime library cannot be used: {e}; set KCC_RUNTIME_LIBRARY to its path") from e
    found = library.kcc_abi_version()
    if found != ABI_VERSION:
        raise ImportError(f"{path} has version {found} of the interface, this package needs {ABI_VERSION}")
    return library


lib = _open()


def version() -> str:
    """Version of the runtime library."""
    return lib.kcc_version().decode()


def call(name: str, *arguments: Any) -> None:
    """Calls a function that can fail; its error is raised."""
    error = c_void_p()
    status = getattr(lib, name)(*arguments, byref(error))
    if status == 0:
        return
    text = lib.kcc_error_message(error).decode(errors="replace")
    lib.kcc_error_free(error)
    raise BY_STATUS.get(status, KccError)(text)


def create(name: str, *arguments: Any) -> int:
    """Calls a function that gives a handle."""
    out = c_void_p()
    call(name, *arguments, byref(out))
    assert out.value is not None
    return out.value
