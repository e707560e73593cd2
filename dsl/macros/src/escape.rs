//! Finds `break`, `continue`, `return` and `?` that leave a block.

use syn::visit::{self, Visit};
use syn::{Block, Expr, Item, Label, Lifetime};

/// Whether something in `block` leaves it.
pub fn leaves(block: &Block) -> bool {
    let mut f = Finder::default();
    f.visit_block(block);
    f.found
}

/// Whether something in `e` leaves it.
pub fn expr_leaves(e: &Expr) -> bool {
    let mut f = Finder::default();
    f.visit_expr(e);
    f.found
}

#[derive(Default)]
struct Finder {
    loops: usize,
    labels: Vec<String>,
    found: bool,
}

impl Finder {
    fn jump(&mut self, label: &Option<Lifetime>) {
        self.found |= match label {
            Some(l) => !self.labels.contains(&l.ident.to_string()),
            None => self.loops == 0,
        };
    }
    fn inside(&mut self, label: &Option<Label>, is_loop: bool, f: impl FnOnce(&mut Self)) {
        self.loops += usize::from(is_loop);
        let depth = self.labels.len();
        self.labels.extend(label.iter().map(|l| l.name.ident.to_string()));
        f(self);
        self.labels.truncate(depth);
        self.loops -= usize::from(is_loop);
    }
}

impl<'a> Visit<'a> for Finder {
    fn visit_expr(&mut self, e: &'a Expr) {
        match e {
            Expr::Break(b) => {
                self.jump(&b.label);
                visit::visit_expr_break(self, b);
            }
            Expr::Continue(c) => self.jump(&c.label),
            Expr::Return(_) | Expr::Try(_) => self.found = true,
            Expr::Closure(_) | Expr::Async(_) | Expr::Const(_) => {}
            Expr::ForLoop(l) => {
                self.visit_expr(&l.expr);
                self.inside(&l.label, true, |s| s.visit_block(&l.body));
            }
            Expr::While(l) => self.inside(&l.label, true, |s| {
                s.visit_expr(&l.cond);
                s.visit_block(&l.body);
            }),
            Expr::Loop(l) => self.inside(&l.label, true, |s| s.visit_block(&l.body)),
            Expr::Block(b) => self.inside(&b.label, false, |s| s.visit_block(&b.block)),
            _ => visit::visit_expr(self, e),
        }
    }
    fn visit_item(&mut self, _: &'a Item) {}
}
