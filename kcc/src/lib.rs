//! kcc: the facade library and the command-line compiler.
