"""Precompiled kernels from packs, called on numpy arrays and DLPack tensors without copies.

    pack = kcc.load("standard.kpack")
    softmax = pack.kernel("softmax")            # or pack.kernel("softmax", device="cuda:0")
    softmax(x, y)                               # chooses a variant, writes y
    again = softmax.prepare(x, y)               # chooses once
    again(x, y)
"""

from ._errors import (
    ArgumentError,
    CorruptError,
    DeviceError,
    FileError,
    KccError,
    LimitError,
    LoadError,
    OutOfMemoryError,
    StoppedError,
)
from ._library import version
from ._pack import Device, Kernel, Pack, Parameter, Prepared, load

__all__ = [
    "ArgumentError",
    "CorruptError",
    "Device",
    "DeviceError",
    "FileError",
    "KccError",
    "Kernel",
    "LimitError",
    "LoadError",
    "OutOfMemoryError",
    "Pack",
    "Parameter",
    "Prepared",
    "StoppedError",
    "load",
    "version",
]
