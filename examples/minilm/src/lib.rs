//! all-MiniLM-L6-v2 computed by kcc kernels.
