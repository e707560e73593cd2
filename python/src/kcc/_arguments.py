"""Python values as launch arguments: numpy arrays by address, everything else with `__dlpack__` by DLPack, numbers by their bits.

Nothing is copied. What an argument points to is kept alive by `Arguments.keep`.
"""

from __future__ import annotations

import ctypes
import operator
import struct
import sys
from typing import Any, Sequence

from ._errors import ArgumentError
from ._library import ARG_DLPACK, ARG_SCALAR, ARG_TENSOR, CODES, DL_DTYPES, Arg, DLTensor, Scalar, Tensor

_NUMPY = {
    "bool": "bool",
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "uint8": "u8",
    "uint32": "u32",
    "float16": "f16",
    "float32": "f32",
    # Of the package ml_dtypes.
    "bfloat16": "bf16",
    "float8_e4m3fn": "f8e4m3",
    "float8_e5m2": "f8e5m2",
}
_BITS = {"bool": 8, "i8": 8, "i16": 16, "i32": 32, "i64": 64, "u8": 8, "u32": 32}

_capsule = ctypes.pythonapi.PyCapsule_GetPointer
_capsule.restype, _capsule.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


class Arguments:
    """The arguments of a launch, ready for C, and what keeps their memory alive."""

    def __init__(self, kernel: Any, values: Sequence[Any]) -> None:
        parameters = kernel.parameters
        if len(values) != len(parameters):
            takes = ", ".join(p.name for p in parameters)
            raise ArgumentError(f"{kernel.name} takes {len(parameters)} arguments ({takes}), {len(values)} were given")
        self.array = (Arg * len(values))()
        self.keep: list[Any] = []
        dtypes: list[str | None] = []
        for arg, parameter, value in zip(self.array, parameters, values):
            if parameter.kind == "scalar":
                dtypes.append(_dtype_of_number(value))
                continue
            try:
                dtypes.append(self._tensor(arg, value, parameter.kind == "output"))
            except (ValueError, BufferError, TypeError, RuntimeError) as e:  # those of `__dlpack__` among them
                raise ArgumentError(f"{kernel.name}: argument {parameter.name}: {e}") from None
        for arg, parameter, value, dtype in zip(self.array, parameters, values, kernel._completed(dtypes)):
            if parameter.kind == "scalar":
                try:
                    arg.kind, arg.value.scalar = ARG_SCALAR, Scalar(_bits(value, dtype), CODES[dtype])
                except (ArgumentError, TypeError, struct.error, OverflowError) as e:
                    raise ArgumentError(f"{kernel.name}: argument {parameter.name}: {e}") from None

    def _tensor(self, arg: Arg, value: Any, written: bool) -> str:
        """Fills in a tensor and gives its element type."""
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(value, numpy.ndarray):
            return self._numpy(arg, value, written)
        if not hasattr(value, "__dlpack__"):
            raise ArgumentError(f"a numpy array or an object with __dlpack__ is needed, not a {type(value).__name__}")
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.Tensor) and value.requires_grad:
            if torch.is_grad_enabled():
                raise ArgumentError("the tensor requires a gradient, and kernels have none; use torch.no_grad() or detach()")
            value = value.detach()
        on_host = value.__dlpack_device__()[0] == 1
        # -1: do not wait. Order is up to the stream that the caller launches into.
        capsule = value.__dlpack__() if on_host else value.__dlpack__(stream=-1)
        at = _capsule(capsule, b"dltensor")
        tensor = DLTensor.from_address(at)
        dtype = DL_DTYPES.get((tensor.code, tensor.bits)) if tensor.lanes == 1 else None
        if dtype is None:
            raise ArgumentError(f"kernels have no element type like {getattr(value, 'dtype', 'this one')}")
        # The capsule is not consumed: it releases the tensor when it goes.
        self.keep += [value, capsule]
        arg.kind, arg.value.dlpack = ARG_DLPACK, at
        return dtype

    def _numpy(self, arg: Arg, array: Any, written: bool) -> str:
        dtype = _NUMPY.get(array.dtype.name) if array.dtype.isnative else None
        if dtype is None:
            raise ArgumentError(f"kernels have no element type like {array.dtype}")
        if written and not array.flags.writeable:
            raise ArgumentError("the kernel writes it, and it is read-only")
        size = array.itemsize
        if any(s % size for s in array.strides):
            raise ArgumentError(f"strides of {array.strides} bytes are no multiples of the element's {size}")
        rank = array.ndim
        dims = (ctypes.c_int64 * rank)(*array.shape)
        strides = (ctypes.c_int64 * rank)(*(s // size for s in array.strides))
        self.keep += [array, dims, strides]
        pointer = ctypes.POINTER(ctypes.c_int64)
        tensor = Tensor(array.ctypes.data, CODES[dtype], rank, ctypes.cast(dims, pointer), ctypes.cast(strides, pointer))
        arg.kind, arg.value.tensor = ARG_TENSOR, tensor
        return dtype


def _dtype_of_number(value: Any) -> str | None:
    """Of a numpy number its type; Python's own take the kernel's."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return _NUMPY.get(value.dtype.name)
    return None


def _bits(value: Any, dtype: str) -> int:
    if dtype in _BITS:
        bits = _BITS[dtype]
        if dtype == "bool":
            return int(bool(value))
        number = operator.index(value)
        low, high = (0, 1 << bits) if dtype[0] == "u" else (-(1 << bits - 1), 1 << bits - 1)
        if not low <= number < high:
            raise ArgumentError(f"{number} does not fit {dtype}")
        return number & ((1 << bits) - 1)
    if dtype == "f32":
        return struct.unpack("<I", struct.pack("<f", value))[0]
    if dtype == "f16":
        return struct.unpack("<H", struct.pack("<e", value))[0]
    if dtype == "bf16":
        wide = struct.unpack("<I", struct.pack("<f", value))[0]
        if value != value:
            return wide >> 16 | 0x40
        # To the nearest, ties to even.
        return (wide + 0x7FFF + (wide >> 16 & 1)) >> 16
    raise ArgumentError(f"a Python number cannot be given as {dtype}")
