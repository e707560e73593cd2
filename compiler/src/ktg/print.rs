//! A function of the GPU level as text, for dumps.

use super::{Block, Func, Op};
use std::fmt::Write as _;

/// The function as text.
pub fn to_text(func: &Func) -> String {
    let mut out = format!("ktg.func @{} warps {} shared {}\n", func.symbol, func.warps, func.shared_bytes);
    block(func, &func.body, 1, &mut out);
    out
}

fn block(func: &Func, b: &Block, depth: usize, out: &mut String) {
    for o in &b.ops {
        op(func, o, depth, out);
    }
    if !b.yields.is_empty() {
        let names: Vec<String> = b.yields.iter().map(|v| format!("%{}", v.0)).collect();
        let _ = writeln!(out, "{}yield {}", "  ".repeat(depth), names.join(", "));
    }
}

fn op(func: &Func, o: &Op, depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    let results: Vec<String> = o.results.iter().map(|v| format!("%{}: {}", v.0, func.ty(*v))).collect();
    let operands: Vec<String> = o.operands.iter().map(|v| format!("%{}", v.0)).collect();
    let arrow = if results.is_empty() { String::new() } else { format!("{} = ", results.join(", ")) };
    let _ = writeln!(out, "{pad}{arrow}{:?} {}", o.kind, operands.join(", "));
    for r in &o.regions {
        let args: Vec<String> = r.args.iter().map(|v| format!("%{}: {}", v.0, func.ty(*v))).collect();
        let _ = writeln!(out, "{pad}({}) {{", args.join(", "));
        block(func, r, depth + 1, out);
        let _ = writeln!(out, "{pad}}}");
    }
}
