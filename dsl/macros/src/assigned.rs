//! Finds the variables of the surrounding function that a block assigns: those are carried through a run-time loop or
//! branch.
//!
//! A place is a variable, a field of one, or what a reference names: `m`, `state.m`, `*acc`. Assigning to an element
//! (`rows[i] = ..`) assigns the whole array.

use quote::ToTokens;
use std::collections::HashSet;
use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, Item, Pat, Stmt, UnOp};

/// The places that `blocks` assign and that live outside of them, in order of appearance.
pub fn places(blocks: &[&Block], conditions: &[&Expr]) -> Vec<Expr> {
    let mut f = Finder::default();
    for c in conditions {
        f.visit_expr(c);
    }
    for b in blocks {
        f.visit_block(b);
    }
    let keys: HashSet<String> = f.found.iter().map(key).collect();
    // A field of a variable that is assigned as a whole goes with it.
    f.found.retain(|p| !proper_bases(p).iter().any(|b| keys.contains(&key(b))));
    f.found
}

fn key(e: &Expr) -> String {
    e.to_token_stream().to_string()
}

fn proper_bases(e: &Expr) -> Vec<Expr> {
    let mut bases = Vec::new();
    let mut e = e.clone();
    while let Expr::Field(f) = e {
        e = *f.base;
        bases.push(e.clone());
    }
    bases
}

/// The place that an assignment to `e` changes and the variable that it belongs to; `None` if it is none of ours.
fn place(e: &Expr) -> Option<(Expr, String)> {
    match e {
        Expr::Path(p) => p.path.get_ident().map(|i| (e.clone(), i.to_string())),
        Expr::Paren(p) => place(&p.expr),
        Expr::Group(p) => place(&p.expr),
        Expr::Index(i) => place(&i.expr),
        Expr::Field(f) => {
            let (_, root) = place(&f.base)?;
            Some((e.clone(), root))
        }
        Expr::Unary(u) if matches!(u.op, UnOp::Deref(_)) => {
            let (_, root) = place(&u.expr)?;
            Some((e.clone(), root))
        }
        _ => None,
    }
}

#[derive(Default)]
struct Finder {
    found: Vec<Expr>,
    keys: HashSet<String>,
    /// Names bound inside, innermost scope last.
    scopes: Vec<HashSet<String>>,
}

impl Finder {
    fn assign(&mut self, target: &Expr) {
        match target {
            Expr::Tuple(t) => t.elems.iter().for_each(|e| self.assign(e)),
            Expr::Array(a) => a.elems.iter().for_each(|e| self.assign(e)),
            Expr::Struct(s) => s.fields.iter().for_each(|f| self.assign(&f.expr)),
            Expr::Call(c) => c.args.iter().for_each(|e| self.assign(e)),
            _ => {
                let Some((place, root)) = place(target) else { return };
                let local = self.scopes.iter().any(|s| s.contains(&root));
                if !local && self.keys.insert(key(&place)) {
                    self.found.push(place);
                }
            }
        }
    }

    fn bind(&mut self, p: &Pat) {
        struct Names<'a>(&'a mut HashSet<String>);
        impl<'a> Visit<'a> for Names<'_> {
            fn visit_pat_ident(&mut self, p: &'a syn::PatIdent) {
                self.0.insert(p.ident.to_string());
                visit::visit_pat_ident(self, p);
            }
        }
        if let Some(scope) = self.scopes.last_mut() {
            Names(scope).visit_pat(p);
        }
    }

    fn scope(&mut self, f: impl FnOnce(&mut Self)) {
        self.scopes.push(HashSet::new());
        f(self);
        self.scopes.pop();
    }
}

impl<'a> Visit<'a> for Finder {
    fn visit_block(&mut self, b: &'a Block) {
        self.scope(|s| visit::visit_block(s, b));
    }
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        visit::visit_stmt(self, stmt);
        if let Stmt::Local(l) = stmt {
            self.bind(&l.pat);
        }
    }
    fn visit_expr(&mut self, e: &'a Expr) {
        match e {
            Expr::Assign(a) => {
                self.assign(&a.left);
                visit::visit_expr(self, &a.right);
            }
            Expr::Binary(b) if is_assignment(&b.op) => {
                self.assign(&b.left);
                visit::visit_expr(self, &b.right);
            }
            Expr::ForLoop(l) => {
                self.visit_expr(&l.expr);
                self.scope(|s| {
                    s.bind(&l.pat);
                    s.visit_block(&l.body);
                });
            }
            // A `let` in the condition binds in the branch; taking its names as bound in both is close enough.
            Expr::If(_) | Expr::While(_) => self.scope(|s| visit::visit_expr(s, e)),
            Expr::Let(l) => {
                self.visit_expr(&l.expr);
                self.bind(&l.pat);
            }
            Expr::Match(m) => {
                self.visit_expr(&m.expr);
                for arm in &m.arms {
                    self.scope(|s| {
                        s.bind(&arm.pat);
                        visit::visit_arm(s, arm);
                    });
                }
            }
            Expr::Closure(c) => self.scope(|s| {
                c.inputs.iter().for_each(|p| s.bind(p));
                s.visit_expr(&c.body);
            }),
            _ => visit::visit_expr(self, e),
        }
    }
    fn visit_item(&mut self, _: &'a Item) {}
}

/// Whether the operator is `+=` or the like.
pub fn is_assignment(op: &BinOp) -> bool {
    matches!(
        op,
        BinOp::AddAssign(_)
            | BinOp::SubAssign(_)
            | BinOp::MulAssign(_)
            | BinOp::DivAssign(_)
            | BinOp::RemAssign(_)
            | BinOp::BitXorAssign(_)
            | BinOp::BitAndAssign(_)
            | BinOp::BitOrAssign(_)
            | BinOp::ShlAssign(_)
            | BinOp::ShrAssign(_)
    )
}
