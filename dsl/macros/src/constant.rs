//! Expressions that can only be compile-time values, by their look: they are left to Rust as they are.

use syn::{Expr, Lit, UnOp};

/// Whether `e` consists of literals and constants (`BM`, `CAUSAL`, `T::ELEM`) only.
pub fn is_constant(e: &Expr) -> bool {
    match e {
        Expr::Lit(_) => true,
        Expr::Path(p) => p.path.segments.last().is_some_and(|s| {
            let name = s.ident.to_string();
            s.arguments.is_none()
                && name.chars().any(|c| c.is_ascii_uppercase())
                && !name.chars().any(|c| c.is_ascii_lowercase())
        }),
        Expr::Paren(e) => is_constant(&e.expr),
        Expr::Group(e) => is_constant(&e.expr),
        Expr::Unary(e) => is_constant(&e.expr),
        Expr::Cast(e) => is_constant(&e.expr),
        Expr::Binary(e) => is_constant(&e.left) && is_constant(&e.right),
        Expr::Array(a) => a.elems.iter().all(is_constant),
        Expr::Range(r) => [&r.start, &r.end].into_iter().flatten().all(|e| is_constant(e)),
        Expr::MethodCall(m) => is_constant(&m.receiver) && m.args.iter().all(is_constant),
        _ => false,
    }
}

/// Whether `e` is an integer literal without suffix, perhaps negated.
pub fn is_integer_literal(e: &Expr) -> bool {
    match e {
        Expr::Lit(l) => matches!(&l.lit, Lit::Int(i) if i.suffix().is_empty()),
        Expr::Paren(e) => is_integer_literal(&e.expr),
        Expr::Group(e) => is_integer_literal(&e.expr),
        Expr::Unary(u) => matches!(u.op, UnOp::Neg(_)) && is_integer_literal(&u.expr),
        _ => false,
    }
}

/// Whether `e` is a literal number, perhaps negated.
pub fn is_literal(e: &Expr) -> bool {
    match e {
        Expr::Lit(_) => true,
        Expr::Paren(e) => is_literal(&e.expr),
        Expr::Group(e) => is_literal(&e.expr),
        Expr::Unary(u) => matches!(u.op, UnOp::Neg(_)) && is_literal(&u.expr),
        _ => false,
    }
}

/// Whether a condition holds a `let`, which cannot be staged.
pub fn has_let(e: &Expr) -> bool {
    match e {
        Expr::Let(_) => true,
        Expr::Binary(b) => has_let(&b.left) || has_let(&b.right),
        Expr::Paren(e) => has_let(&e.expr),
        Expr::Group(e) => has_let(&e.expr),
        _ => false,
    }
}
