//! The kcc compiler core: kt dialect, passes, pipeline, LLVM emission. Names no vendor.
