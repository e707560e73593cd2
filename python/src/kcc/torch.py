"""Kernels as operators of torch, so that graphs and compilers of torch know them.

    softmax = kcc.torch.register(pack, "softmax", "my_ops::softmax", outputs=torch.empty_like)
    y = softmax(x)                                  # also inside torch.compile(..., fullgraph=True)
"""

from __future__ import annotations

from typing import Any, Callable, Optional

import torch

from ._pack import Pack

_SCHEMA = {"f": "float", "b": "bool", "i": "SymInt", "u": "SymInt"}


def _kind(dtype: str) -> str:
    """How a schema calls a number of that element type."""
    return "float" if dtype == "bf16" else _SCHEMA[dtype[0]]


def _run(pack: Pack, name: str, arguments: tuple[Any, ...]) -> None:
    device = next(a.device for a in arguments if isinstance(a, torch.Tensor))
    if device.type == "cpu":
        pack.kernel(name)(*arguments)
        return
    family = "hip" if torch.version.hip else "cuda"
    index = torch.cuda.current_device() if device.index is None else device.index
    stream = torch.cuda.current_stream(index)
    pack.kernel(name, f"{family}:{index}")(*arguments, stream=stream)


def register(
    pack: Pack, kernel: str, name: Optional[str] = None, outputs: Optional[Callable[..., Any]] = None
) -> Callable[..., Any]:
    """Registers a kernel of a pack as the operator `name` (default: `kcc::` and the kernel's name) for all its devices.

    Without `outputs` the operator takes the kernel's parameters in order, writes the outputs in place and gives nothing. With
    `outputs` it takes all but the outputs and gives new tensors: `outputs(*arguments)` makes them, uninitialised, one or a tuple of
    them in the kernel's order, with the shapes that they need. It also runs on fake tensors, so it must not read elements.
    """
    entry = next((k for k in pack.manifest["kernels"] if k["name"] == kernel), None)
    if entry is None:
        pack.kernel(kernel)  # says what there is
    assert entry is not None
    parameters = entry["params"]
    numbers = {
        p["name"]: {_kind(v["dtypes"][i]) for v in entry["variants"]}
        for i, p in enumerate(parameters)
        if p["kind"] == "scalar"
    }
    if outputs is None:
        return _in_place(pack, kernel, name or f"kcc::{kernel}", parameters, numbers)
    return _functional(pack, kernel, name or f"kcc::{kernel}", parameters, numbers, outputs)


def _number(kinds: set[str]) -> str:
    """A variant's kind of number; floats where variants differ, which integers pass as, too."""
    return next(iter(kinds)) if len(kinds) == 1 else "Scalar"


def _in_place(pack: Pack, kernel: str, name: str, parameters: Any, numbers: dict[str, set[str]]) -> Any:
    terms, written = [], []
    for i, p in enumerate(parameters):
        if p["kind"] == "scalar":
            terms.append(f"{_number(numbers[p['name']])} {p['name']}")
        elif p["kind"] == "output":
            terms.append(f"Tensor(a{i}!) {p['name']}")
            written.append(p["name"])
        else:
            terms.append(f"Tensor {p['name']}")

    def run(*arguments: Any) -> None:
        _run(pack, kernel, arguments)

    schema = f"({', '.join(terms)}) -> ()"
    op = torch.library.custom_op(name, run, mutates_args=written, schema=schema)
    op.register_fake(lambda *_: None)
    return op


def _functional(
    pack: Pack, kernel: str, name: str, parameters: Any, numbers: dict[str, set[str]], outputs: Callable[..., Any]
) -> Any:
    taken = [p for p in parameters if p["kind"] != "output"]
    made = len(parameters) - len(taken)
    terms = [
        f"{_number(numbers[p['name']])} {p['name']}" if p["kind"] == "scalar" else f"Tensor {p['name']}" for p in taken
    ]

    def run(*arguments: Any) -> Any:
        results = outputs(*arguments)
        new = list(results) if isinstance(results, (tuple, list)) else [results]
        if len(new) != made:
            raise ValueError(f"{kernel} has {made} outputs, `outputs` made {len(new)}")
        given = iter(arguments)
        rest = iter(new)
        _run(pack, kernel, tuple(next(rest) if p["kind"] == "output" else next(given) for p in parameters))
        return results

    gives = ", ".join(["Tensor"] * made)
    schema = f"({', '.join(terms)}) -> {gives if made == 1 else f'({gives})'}"
    op = torch.library.custom_op(name, run, mutates_args=(), schema=schema)
    op.register_fake(lambda *arguments: outputs(*arguments))
    return op


__all__ = ["register"]
