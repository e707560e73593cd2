//! Kernels of the usual kinds, traced.

mod attention;
