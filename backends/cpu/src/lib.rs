//! The CPU backend of kcc: lowers kt to vectorised loops.
