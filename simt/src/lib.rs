//! A SIMT simulator: runs the thread-level module that a GPU backend hands to its vendor's passes.
