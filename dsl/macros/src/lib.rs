//! `#[kernel]` and `#[function]`: what Rust's syntax cannot express over staged values, rewritten into calls.
//!
//! ```text
//! a < b            lt(a, b)                       the operand types decide: bool, or a mask
//! a && b           and(a, || b)
//! 1 - x            literal::sub(1, x)             so that the type of `x` decides what `1` is
//! if c {A} else {B}    if_(c, (m,), |then, (m,)| if then {A} else {B})      m: what A or B assigns
//! for i in a..b {A}    for_(range(a, b), (m,), |i, (m,)| {A})
//! while c {A}          while_((m,), |ask, (m,)| if ask {c} else {A})
//! ```
//! Everything else is left as written; tokens keep their spans, so that `#[track_caller]` sees the author's columns.

mod assigned;
mod constant;
mod control;
mod derive;
mod escape;
mod item;
mod path;
mod rewrite;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// Makes a kernel of a function.
///
/// The function's parameters are `&View<T, R>`, `&mut View<T, R>` and `Scalar<T>`. It stays callable from other
/// kernels; beside it appears `name::kernel::<..>()`, the kernel as a value to launch or trace.
///
/// `#[kernel(instances(<f32, 64>, <bf16, 64>))]` lists generic arguments for tools that compile a crate's kernels.
/// `candidates(<f32, 128>, ..)`, beside it, lists more for `kcc tune` to try.
#[proc_macro_attribute]
pub fn kernel(options: TokenStream, item: TokenStream) -> TokenStream {
    let options = parse_macro_input!(options as item::Options);
    let function = parse_macro_input!(item as syn::ItemFn);
    item::kernel(options, function).into()
}

/// Lets a helper function of kernels use `if`, `for`, `while` and comparisons over staged values.
#[proc_macro_attribute]
pub fn function(options: TokenStream, item: TokenStream) -> TokenStream {
    let _ = parse_macro_input!(options as syn::parse::Nothing);
    let function = parse_macro_input!(item as syn::ItemFn);
    item::function(function).into()
}

/// Lets a struct of tiles be a variable that run-time loops and branches assign.
#[proc_macro_derive(Carried)]
pub fn carried(item: TokenStream) -> TokenStream {
    derive::carried(parse_macro_input!(item as syn::DeriveInput)).into()
}
