//! What each operation of a kt module does besides computing its results.
//!
//! Operations that IRDL defines have no effects known to upstream passes, so this table is what our passes go by.
//! Every operation of the tile IR is total (no trap, no undefined value), hence a pure one may be moved anywhere
//! that its operands reach, and may run where it would not have run.

/// Effect of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// None: may be moved, merged and dropped.
    Pure,
    /// Reads memory through its first operand: may be dropped; may be moved and merged where nothing writes.
    Read,
    /// Writes memory, stops the launch, prints or promises something: must stay, in order.
    Side,
    /// Has the effects of what its regions hold.
    Regions,
    /// Ends a block.
    Terminator,
}

/// The effect of an operation by its MLIR name; what is unknown must stay.
pub fn effect(name: &str) -> Effect {
    match name {
        "kt.load" | "kt.load_rows" | "kt.gather" => Effect::Read,
        "kt.store" | "kt.store_rows" | "kt.scatter" | "kt.atomic" | "kt.atomic_cas" => Effect::Side,
        "kt.assume" | "kt.assert" | "kt.print" => Effect::Side,
        "scf.for" | "scf.if" | "scf.while" => Effect::Regions,
        "scf.yield" | "scf.condition" | "func.return" => Effect::Terminator,
        n if n.starts_with("kt.") || n.starts_with("math.") => Effect::Pure,
        // Upstream's integer divisions are undefined by zero; a kt module has `kt.div` instead.
        "arith.divsi" | "arith.divui" | "arith.remsi" | "arith.remui" => Effect::Side,
        n if n.starts_with("arith.") => Effect::Pure,
        _ => Effect::Side,
    }
}

/// Whether a `while` that is the last user of its results may be dropped: never, it may not end.
pub fn ends(name: &str) -> bool {
    name != "scf.while"
}
