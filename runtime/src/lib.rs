//! Devices, tensors, launches, JIT cache and packs. Links no LLVM by default.
