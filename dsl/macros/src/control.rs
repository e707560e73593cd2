//! Rewrites `if`, `for` and `while`, and checks what leaves them.
//!
//! A branch or loop becomes one closure over the variables that it assigns. One that contains `break`, `continue`,
//! `return` or `?` stays as written; then a check at that token refuses it if the condition or range turns out to be a
//! run-time one.

use crate::assigned::places;
use crate::constant::{has_let, is_constant, is_integer_literal};
use crate::escape::{expr_leaves, leaves};
use crate::rewrite::{Region, Rewrite, carried_name, respan};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{Block, Expr, ExprForLoop, ExprIf, ExprWhile, Lifetime, RangeLimits, parse_quote_spanned};

/// The tuple of the carried places: `(m, l,)`, nested where there are more than twelve.
fn tuple(places: &[Expr]) -> TokenStream {
    if places.len() <= 12 {
        return quote!((#(#places,)*));
    }
    let parts = places.chunks(places.len().div_ceil(12)).map(tuple);
    quote!((#(#parts,)*))
}

/// What the body of a closure over the carried places begins with, and what the expression ends with.
struct Carry {
    /// `(m, l,)`
    tuple: TokenStream,
    /// The closure's parameter.
    param: TokenStream,
    /// `(m, l,) = carried;`
    restore: TokenStream,
}

fn carry(places: &[Expr], span: Span) -> Carry {
    if places.is_empty() {
        return Carry {
            tuple: quote_spanned!(span=> ()),
            param: quote_spanned!(span=> ()),
            restore: quote!(),
        };
    }
    let (tuple, name) = (tuple(places), carried_name(span));
    let restore = quote_spanned!(span=> #tuple = #name;);
    Carry { tuple, param: quote_spanned!(span=> #name), restore }
}

fn blocks_of<'a>(e: &'a ExprIf, conditions: &mut Vec<&'a Expr>, blocks: &mut Vec<&'a Block>) {
    blocks.push(&e.then_branch);
    match e.else_branch.as_ref().map(|(_, e)| e.as_ref()) {
        Some(Expr::If(i)) => {
            conditions.push(&i.cond);
            blocks_of(i, conditions, blocks);
        }
        Some(Expr::Block(b)) => blocks.push(&b.block),
        _ => {}
    }
}

/// `if`
pub fn if_(rw: &mut Rewrite, e: &mut ExprIf) -> Expr {
    let span = e.if_token.span;
    let (mut conditions, mut blocks) = (Vec::new(), Vec::new());
    blocks_of(e, &mut conditions, &mut blocks);
    let native = is_constant(&e.cond) || has_let(&e.cond);
    let left = blocks.iter().any(|b| leaves(b)) || conditions.iter().any(|c| expr_leaves(c));
    let places = places(&blocks, &conditions);
    rw.visit_expr_mut(&mut e.cond);
    if native || left {
        let witness = (!native).then(|| rw.fresh("when", span));
        rw.regions.push(Region { label: None, is_loop: false, witness: witness.clone() });
        branches(rw, e);
        rw.regions.pop();
        let Some(witness) = witness else { return Expr::If(e.clone()) };
        let support = respan(rw.support.clone(), span);
        let (cond, then, otherwise) = (&e.cond, &e.then_branch, else_part(e));
        let name = rw.fresh("condition", span);
        return parse_quote_spanned!(span=> {
            let #name = #cond;
            let #witness = #support::control::condition_witness(&#name);
            if #support::control::host_condition(#name) #then #otherwise
        });
    }
    branches(rw, e);
    let (cond, then, otherwise) = (&e.cond, &e.then_branch, else_part(e));
    let Carry { tuple, param, restore } = carry(&places, span);
    let support = respan(rw.support.clone(), span);
    let flag = rw.fresh("then", span);
    let value = rw.fresh("value", span);
    parse_quote_spanned!(span=> {
        let (#value, #param) = #support::control::if_(#cond, #tuple, |#flag, #param| {
            #restore
            (if #flag #then #otherwise, #tuple)
        });
        #restore
        #value
    })
}

fn branches(rw: &mut Rewrite, e: &mut ExprIf) {
    rw.visit_block_mut(&mut e.then_branch);
    if let Some((_, other)) = &mut e.else_branch {
        match other.as_mut() {
            // `else if` becomes `else { .. }`, since what it turns into is a block.
            Expr::If(i) => **other = if_(rw, i),
            Expr::Block(b) => rw.visit_block_mut(&mut b.block),
            other => rw.visit_expr_mut(other),
        }
        if !matches!(other.as_ref(), Expr::Block(_) | Expr::If(_)) {
            let inner = other.clone();
            **other = parse_quote_spanned!(inner.span()=> { #inner });
        }
    }
}

fn else_part(e: &ExprIf) -> TokenStream {
    match &e.else_branch {
        Some((token, other)) => quote!(#token #other),
        None => quote!(),
    }
}

/// The range after `in`: its `a..b` become calls, what follows them (`.step_by(n)`) stays.
fn head(rw: &mut Rewrite, e: &mut Expr) {
    match e {
        Expr::Paren(p) => head(rw, &mut p.expr),
        Expr::Group(p) => head(rw, &mut p.expr),
        Expr::MethodCall(m) if !is_constant(&m.receiver) => {
            head(rw, &mut m.receiver);
            m.args.iter_mut().for_each(|a| rw.visit_expr_mut(a));
        }
        Expr::Range(r) if r.start.is_some() && r.end.is_some() => {
            let span = match &r.limits {
                RangeLimits::HalfOpen(t) => t.spans[0],
                RangeLimits::Closed(t) => t.spans[0],
            };
            for e in [&mut r.start, &mut r.end].into_iter().flatten() {
                rw.visit_expr_mut(e);
            }
            let (Some(start), Some(end)) = (&r.start, &r.end) else { return };
            if is_constant(start) && is_constant(end) {
                return;
            }
            let name = if is_integer_literal(end) { "range_by_start" } else { "range" };
            let f = proc_macro2::Ident::new(name, span);
            let range = rw.call(span, quote_spanned!(span=> range::#f), quote_spanned!(span=> #start, #end));
            *e = match &r.limits {
                RangeLimits::HalfOpen(_) => range,
                RangeLimits::Closed(_) => {
                    rw.call(span, quote_spanned!(span=> range::inclusive), quote_spanned!(span=> #range))
                }
            };
        }
        _ => rw.visit_expr_mut(e),
    }
}

/// `for`
pub fn for_(rw: &mut Rewrite, e: &mut ExprForLoop) -> Expr {
    let span = e.for_token.span;
    let native = is_constant(&e.expr);
    let left = leaves(&e.body);
    let places = places(&[&e.body], &[]);
    // The loop's own variables hide outer ones of the same name.
    let places: Vec<Expr> = places.into_iter().filter(|p| !binds(&e.pat, p)).collect();
    if !native {
        head(rw, &mut e.expr);
    }
    if native || left {
        let witness = (!native).then(|| rw.fresh("when", span));
        let label = e.label.as_ref().map(|l| l.name.clone());
        rw.regions.push(Region { label, is_loop: true, witness: witness.clone() });
        rw.visit_block_mut(&mut e.body);
        rw.regions.pop();
        let Some(witness) = witness else { return Expr::ForLoop(e.clone()) };
        let support = respan(rw.support.clone(), span);
        let (label, pat, range, body) = (&e.label, &e.pat, &e.expr, &e.body);
        let name = rw.fresh("range", span);
        return parse_quote_spanned!(span=> {
            let #name = #range;
            let #witness = #support::control::loop_witness(&#name);
            #label for #pat in #support::loops::host_items(#name) #body
        });
    }
    rw.visit_block_mut(&mut e.body);
    let (pat, range, body) = (&e.pat, &e.expr, &e.body);
    let Carry { tuple, param, restore } = carry(&places, span);
    let support = respan(rw.support.clone(), span);
    parse_quote_spanned!(span=> {
        let #param = #support::loops::for_(#range, #tuple, |#pat, #param| {
            #restore
            #body
            #tuple
        });
        #restore
    })
}

/// Whether the pattern binds the variable that a place belongs to.
fn binds(pat: &syn::Pat, place: &Expr) -> bool {
    struct Names(Vec<String>);
    impl<'a> syn::visit::Visit<'a> for Names {
        fn visit_pat_ident(&mut self, p: &'a syn::PatIdent) {
            self.0.push(p.ident.to_string());
        }
    }
    let mut names = Names(Vec::new());
    syn::visit::Visit::visit_pat(&mut names, pat);
    let mut root = place;
    loop {
        root = match root {
            Expr::Field(f) => &f.base,
            Expr::Unary(u) => &u.expr,
            Expr::Path(p) => return p.path.get_ident().is_some_and(|i| names.0.iter().any(|n| i == n)),
            _ => return false,
        };
    }
}

/// `while`
pub fn while_(rw: &mut Rewrite, e: &mut ExprWhile) -> Expr {
    let span = e.while_token.span;
    let native = is_constant(&e.cond) || has_let(&e.cond);
    let left = leaves(&e.body) || expr_leaves(&e.cond);
    let places = places(&[&e.body], &[&e.cond]);
    rw.visit_expr_mut(&mut e.cond);
    if native || left {
        let witness = (!native).then(|| rw.fresh("when", span));
        let label = e.label.as_ref().map(|l| l.name.clone());
        rw.regions.push(Region { label, is_loop: true, witness: witness.clone() });
        rw.visit_block_mut(&mut e.body);
        rw.regions.pop();
        let Some(witness) = witness else { return Expr::While(e.clone()) };
        let support = respan(rw.support.clone(), span);
        let (label, cond, body) = (&e.label, &e.cond, &e.body);
        let name = rw.fresh("condition", span);
        return parse_quote_spanned!(span=> #label loop {
            let #name = #cond;
            let #witness = #support::control::condition_witness(&#name);
            if !#support::control::host_condition(#name) {
                break;
            }
            #body
        });
    }
    rw.visit_block_mut(&mut e.body);
    let (cond, body) = (&e.cond, &e.body);
    let Carry { tuple, param, restore } = carry(&places, span);
    let support = respan(rw.support.clone(), span);
    let ask = rw.fresh("ask", span);
    parse_quote_spanned!(span=> {
        let #param = #support::control::while_(#tuple, |#ask, #param| {
            #restore
            if #ask {
                #support::control::WhileStep::Condition(#cond, #tuple)
            } else {
                #body
                #support::control::WhileStep::Body(#tuple)
            }
        });
        #restore
    })
}

/// Puts the checks before a token that leaves loops or branches.
pub fn leave(rw: &mut Rewrite, e: &mut Expr) {
    let (span, check, target): (Span, &str, Option<Option<Lifetime>>) = match e {
        Expr::Break(b) => (b.break_token.span, "may_break", Some(b.label.clone())),
        Expr::Continue(c) => (c.continue_token.span, "may_continue", Some(c.label.clone())),
        Expr::Return(r) => (r.return_token.span, "may_return", None),
        Expr::Try(t) => (t.question_token.span, "may_question", None),
        _ => return,
    };
    let check = proc_macro2::Ident::new(check, span);
    let support = respan(rw.support.clone(), span);
    let mut checks = Vec::new();
    for region in rw.regions.iter().rev() {
        checks.extend(region.witness.iter().map(|w| {
            let w = proc_macro2::Ident::new(&w.to_string(), span);
            quote_spanned!(span=> #support::control::#check(&#w);)
        }));
        let reached = match &target {
            Some(Some(label)) => region.label.as_ref().is_some_and(|l| l.ident == label.ident),
            Some(None) => region.is_loop,
            None => false,
        };
        if reached {
            break;
        }
    }
    if !checks.is_empty() {
        let inner = e.clone();
        *e = parse_quote_spanned!(span=> { #(#checks)* #inner });
    }
}
