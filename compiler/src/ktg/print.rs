//! A function of the GPU level as text, for dumps, edits and tests; [`super::read`] is the inverse.
//!
//! ```text
//! ktg {"name":"softmax","warps":8,…}
//! %4: i32 = {"Tile":{"ProgramId":0}} () loc 3
//! %9: f32[4, 256] in reg=[0,1] … = {"Tile":{"Load":{…}}} (%0, %4, %7) loc 4
//! %21: f32[4] in … = {"Tile":{"For":{"stages":0}}} (%1, %2, %3, %12) loc 5 {
//! ^(%19: i32, %20: f32[4] in …)
//!   …
//! yield (%24)
//! }
//! ```
//! One operation a line; what an operation is, with its attributes, stands as JSON. It is text of our own and not MLIR: IRDL
//! has no lists of operands of different types, which most operations here have.

use super::{Block, Func, Op};
use kcc_dsl::exchange::{ArgSpec, GridMap, TensorMap};
use kcc_dsl::ir::{Loc, Param, ValueId};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// What a function has besides its body.
#[derive(Serialize, Deserialize)]
pub(super) struct Header {
    pub name: String,
    pub generics: String,
    pub symbol: String,
    pub warps: u32,
    pub shared_bytes: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<u32>,
    pub cluster: [u32; 3],
    pub grid: GridMap,
    pub max_registers: Option<u32>,
    pub params: Vec<Param>,
    pub args: Vec<ArgSpec>,
    pub tensor_maps: Vec<TensorMap>,
    pub counters: Vec<(String, u64)>,
    pub locs: Vec<Loc>,
}

/// First word of the text.
pub(crate) const WORD: &str = "ktg ";

/// The function as text.
pub fn to_text(func: &Func) -> String {
    let header = Header {
        name: func.name.clone(),
        generics: func.generics.clone(),
        symbol: func.symbol.clone(),
        warps: func.warps,
        shared_bytes: func.shared_bytes,
        scratch: func.scratch,
        cluster: func.cluster,
        grid: func.grid,
        max_registers: func.max_registers,
        params: func.params.clone(),
        args: func.args.clone(),
        tensor_maps: func.tensor_maps.clone(),
        counters: func.counters.clone(),
        locs: func.locs.clone(),
    };
    let mut out = format!("{WORD}{}\n", json(&header));
    block(func, &func.body, 0, &mut out);
    out
}

/// Plain data has no reason to fail; if it did, the reader would say so.
fn json(data: &impl Serialize) -> String {
    serde_json::to_string(data).unwrap_or_else(|e| format!("\"{e}\""))
}

fn typed(func: &Func, values: &[ValueId]) -> String {
    let all: Vec<String> = values.iter().map(|v| format!("%{}: {}", v.0, func.ty(*v))).collect();
    all.join(", ")
}

fn names(values: &[ValueId]) -> String {
    values.iter().map(|v| format!("%{}", v.0)).collect::<Vec<_>>().join(", ")
}

fn block(func: &Func, b: &Block, depth: usize, out: &mut String) {
    for o in &b.ops {
        op(func, o, depth, out);
    }
}

fn op(func: &Func, o: &Op, depth: usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    let results = typed(func, &o.results);
    let arrow = if results.is_empty() { "= " } else { " = " };
    let open = if o.regions.is_empty() { "" } else { " {" };
    let kind = json(&o.kind);
    let _ = writeln!(out, "{pad}{results}{arrow}{kind} ({}) loc {}{open}", names(&o.operands), o.loc.0);
    for r in &o.regions {
        let _ = writeln!(out, "{pad}^({})", typed(func, &r.args));
        block(func, r, depth + 1, out);
        let _ = writeln!(out, "{pad}yield ({})", names(&r.yields));
    }
    if !o.regions.is_empty() {
        let _ = writeln!(out, "{pad}}}");
    }
}
