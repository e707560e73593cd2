//! Walks a function's body and rewrites operators; [`crate::control`] does the same for control flow.

use crate::constant::{has_let, is_constant, is_integer_literal, is_literal};
use crate::control;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{BinOp, Expr, ExprBinary, Item, Lifetime, Macro, Pat, Token, Type};

/// A loop or branch of the author's that stays as written although it may turn out to be a run-time one.
pub struct Region {
    /// Its label, if it is a labelled loop or block.
    pub label: Option<Lifetime>,
    /// Whether `break` without a label leaves it.
    pub is_loop: bool,
    /// The variable that remembers when its condition or range is known.
    pub witness: Option<Ident>,
}

/// The rewriting of one function.
pub struct Rewrite {
    /// Path of the support code.
    pub support: TokenStream,
    /// Loops and branches around the current expression, up to the nearest closure.
    pub regions: Vec<Region>,
    next: usize,
}

impl Rewrite {
    /// A rewriting whose calls go to `support`.
    pub fn new(support: TokenStream) -> Self {
        Rewrite { support, regions: Vec::new(), next: 0 }
    }

    /// A fresh name.
    pub fn fresh(&mut self, what: &str, span: Span) -> Ident {
        self.next += 1;
        Ident::new(&format!("__kcc_{what}{}", self.next), span)
    }

    /// Calls `#path(#args)` with every generated token at `span`.
    pub fn call(&self, span: Span, path: TokenStream, args: TokenStream) -> Expr {
        let support = respan(self.support.clone(), span);
        syn::parse_quote_spanned!(span=> #support::#path(#args))
    }

    fn binary(&mut self, e: &mut ExprBinary) -> Option<Expr> {
        let span = e.op.span();
        let function = match &e.op {
            BinOp::Lt(_) => ("lt", "gt"),
            BinOp::Le(_) => ("le", "ge"),
            BinOp::Gt(_) => ("gt", "lt"),
            BinOp::Ge(_) => ("ge", "le"),
            BinOp::Eq(_) => ("eq", "eq"),
            BinOp::Ne(_) => ("ne", "ne"),
            BinOp::And(_) => return self.logic(e, "and"),
            BinOp::Or(_) => return self.logic(e, "or"),
            BinOp::Add(_) => return self.literal_left(e, "add"),
            BinOp::Sub(_) => return self.literal_left(e, "sub"),
            BinOp::Mul(_) => return self.literal_left(e, "mul"),
            BinOp::Div(_) => return self.literal_left(e, "div"),
            BinOp::Rem(_) => return self.literal_left(e, "rem"),
            BinOp::BitAnd(_) => return self.literal_left(e, "bitand"),
            BinOp::BitOr(_) => return self.literal_left(e, "bitor"),
            BinOp::BitXor(_) => return self.literal_left(e, "bitxor"),
            BinOp::Shl(_) => return self.literal_left(e, "shl"),
            BinOp::Shr(_) => return self.literal_left(e, "shr"),
            _ => return None,
        };
        let (left, right) = (&e.left, &e.right);
        if is_literal(left) && !is_literal(right) {
            let f = Ident::new(function.1, span);
            return Some(self.call(
                span,
                quote_spanned!(span=> compare::#f),
                quote_spanned!(span=> #right, #left),
            ));
        }
        let f = Ident::new(function.0, span);
        Some(self.call(span, quote_spanned!(span=> compare::#f), quote_spanned!(span=> #left, #right)))
    }

    fn logic(&mut self, e: &ExprBinary, function: &str) -> Option<Expr> {
        let span = e.op.span();
        if has_let(&e.left) || has_let(&e.right) || crate::escape::expr_leaves(&e.right) {
            return None;
        }
        let (left, right, f) = (&e.left, &e.right, Ident::new(function, span));
        Some(self.call(span, quote_spanned!(span=> logic::#f), quote_spanned!(span=> #left, || #right)))
    }

    /// `literal op x`: the type of `x` must decide what the literal is.
    fn literal_left(&mut self, e: &ExprBinary, function: &str) -> Option<Expr> {
        let span = e.op.span();
        if !is_integer_literal(&e.left) || is_constant(&e.right) {
            return None;
        }
        let (left, right, f) = (&e.left, &e.right, Ident::new(function, span));
        Some(self.call(span, quote_spanned!(span=> literal::#f), quote_spanned!(span=> #left, #right)))
    }
}

/// The same tokens, all at `span`.
pub fn respan(tokens: TokenStream, span: Span) -> TokenStream {
    let set = |mut t: proc_macro2::TokenTree| {
        t.set_span(span);
        t
    };
    tokens.into_iter().map(set).collect()
}

impl VisitMut for Rewrite {
    fn visit_expr_mut(&mut self, e: &mut Expr) {
        if is_constant(e) {
            return;
        }
        match e {
            Expr::Binary(b) => {
                visit_mut::visit_expr_binary_mut(self, b);
                if let Some(new) = self.binary(b) {
                    *e = new;
                }
            }
            Expr::If(i) => *e = control::if_(self, i),
            Expr::ForLoop(l) => *e = control::for_(self, l),
            Expr::While(l) => *e = control::while_(self, l),
            Expr::Loop(l) => {
                let label = l.label.as_ref().map(|l| l.name.clone());
                self.regions.push(Region { label, is_loop: true, witness: None });
                self.visit_block_mut(&mut l.body);
                self.regions.pop();
            }
            Expr::Block(b) => {
                let label = b.label.as_ref().map(|l| l.name.clone());
                self.regions.push(Region { label, is_loop: false, witness: None });
                self.visit_block_mut(&mut b.block);
                self.regions.pop();
            }
            Expr::Closure(c) => {
                let outer = std::mem::take(&mut self.regions);
                self.visit_expr_mut(&mut c.body);
                self.regions = outer;
            }
            Expr::Break(_) | Expr::Continue(_) | Expr::Return(_) | Expr::Try(_) => {
                visit_mut::visit_expr_mut(self, e);
                control::leave(self, e);
            }
            Expr::Repeat(r) => self.visit_expr_mut(&mut r.expr),
            Expr::Const(_) => {}
            _ => visit_mut::visit_expr_mut(self, e),
        }
    }

    fn visit_macro_mut(&mut self, m: &mut Macro) {
        let known = ["kassert", "kprint", "dbg"];
        if !m.path.segments.last().is_some_and(|s| known.iter().any(|k| s.ident == k)) {
            return;
        }
        let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
        if let Ok(mut args) = m.parse_body_with(parser) {
            // The text of a `kassert!` without a message is what the author wrote.
            if m.path.segments.last().is_some_and(|s| s.ident == "kassert") && args.len() == 1 {
                let text = format!("assertion failed: {}", args[0].to_token_stream());
                let text = syn::LitStr::new(&text, args[0].span());
                args.push(syn::parse_quote!(#text));
            }
            args.iter_mut().for_each(|a| self.visit_expr_mut(a));
            m.tokens = args.to_token_stream();
        }
    }

    fn visit_item_mut(&mut self, _: &mut Item) {}
    fn visit_pat_mut(&mut self, _: &mut Pat) {}
    fn visit_type_mut(&mut self, _: &mut Type) {}
    fn visit_generic_argument_mut(&mut self, _: &mut syn::GenericArgument) {}
    fn visit_attribute_mut(&mut self, _: &mut syn::Attribute) {}
}

/// The variable name of generated carried values.
pub fn carried_name(span: Span) -> Ident {
    format_ident!("__kcc_carried", span = span)
}
