"""Exceptions: one for each code of the C ABI, all of them a `KccError`, each also the built-in one that fits."""

from __future__ import annotations


class KccError(Exception):
    """Anything that the runtime refuses."""


class ArgumentError(KccError, ValueError):
    """An argument cannot be a tensor or a number, or does not fit its parameter."""


class LoadError(KccError, LookupError):
    """No such kernel, no code for the device, or no variant for these arguments."""


class FileError(KccError, OSError):
    """A file cannot be read."""


class CorruptError(KccError, ValueError):
    """A pack is cut short, changed, or contradicts itself."""


class DeviceError(KccError, RuntimeError):
    """No such device, or one that stopped working."""


class LimitError(KccError, RuntimeError):
    """A launch exceeds what the device can do."""


class OutOfMemoryError(KccError, MemoryError):
    """No memory."""


class StoppedError(KccError, AssertionError):
    """An assertion of the kernel failed while it ran."""


# By `kcc_status` of kcc.h.
BY_STATUS: dict[int, type[KccError]] = {
    1: ArgumentError,
    2: ArgumentError,
    3: ArgumentError,
    4: LoadError,
    5: FileError,
    6: CorruptError,
    7: DeviceError,
    8: LimitError,
    9: OutOfMemoryError,
    10: StoppedError,
}
