//! A writer of MLIR text that hoists and shares as it goes.
//!
//! Loops open scopes. A pure operation is written into the outermost scope in which all its operands exist, and
//! only once per scope, so that the text needs neither loop-invariant code motion nor common-subexpression
//! elimination afterwards:
//!
//! ```text
//! scope 0   %p = gep %base[%row]          <- written here although the loop below was already open
//!   scope 1   scf.for %i …  %q = gep %p[%i]
//! ```

mod arith;
mod cast;
mod elem;
mod hooks;
mod integer;
mod math;
mod native;
mod ops;
mod pairs;
mod prune;
mod reduce;
mod round;
mod ty;
mod vectors;

pub use hooks::{Hooks, Portable};
pub use ops::Ix;
pub use ty::{K, Ty, V};

use kcc_dsl::ir::Loc;
use std::collections::HashMap;
use std::fmt::Write;

#[derive(Default)]
struct Scope {
    text: String,
    shared: HashMap<String, V>,
    /// Operations of inner scopes that were written here.
    raised: usize,
}

/// A loop or branch that is open.
pub struct Open {
    header: String,
    results: Vec<V>,
    place: String,
    attributes: &'static str,
}

/// The writer.
pub struct Emit {
    /// What the target does better than the portable way.
    pub hooks: &'static dyn Hooks,
    scopes: Vec<Scope>,
    /// Operations of inner scopes that a scope takes.
    most_raised: usize,
    next: u32,
    /// Which values pure operations define, by number.
    pure: Vec<bool>,
    vectors: vectors::Vectors,
    /// ` loc("k.rs":3:9)`, or nothing: ends every operation that is written.
    place: String,
}

impl Emit {
    /// A writer with one scope: the function's body.
    pub fn new(hooks: &'static dyn Hooks) -> Self {
        Emit {
            hooks,
            scopes: vec![Scope::default()],
            most_raised: usize::MAX,
            next: 0,
            pure: Vec::new(),
            vectors: Default::default(),
            place: String::new(),
        }
    }

    /// Lets a scope take so many operations of scopes inside it, constants apart. Code that is unrolled far would put thousands of values
    /// before the loops that use them: more than registers hold, and more than code generation sorts in good time.
    pub fn limit_raised(&mut self, most: usize) {
        self.most_raised = most;
    }

    /// From now on, operations state this place in the author's source.
    pub fn set_place(&mut self, place: Option<&Loc>) {
        self.place = place.map_or_else(String::new, |l| {
            format!(" loc({}:{}:{})", crate::import::quoted(&l.file), l.line, l.column)
        });
    }

    /// What ends every operation that is written: ` loc("k.rs":3:9)`, or nothing.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Depth of the innermost open scope.
    pub fn level(&self) -> u16 {
        (self.scopes.len() - 1) as u16
    }

    /// A fresh value defined in the innermost scope.
    pub fn fresh(&mut self, ty: Ty) -> V {
        let level = self.level();
        self.fresh_at(ty, level)
    }

    fn fresh_at(&mut self, ty: Ty, level: u16) -> V {
        self.next += 1;
        V { id: self.next, part: 0, level, ty }
    }

    /// Writes a pure operation as far out as its operands allow and there is room; equal text gives the same value.
    pub fn pure(&mut self, ty: Ty, rhs: String, operands: &[V]) -> V {
        let level = operands.iter().map(|v| v.level).max().unwrap_or(0);
        // Constants have no operands, and cost nothing where they are not used.
        let raised = level < self.level() && !operands.is_empty();
        let here = self.level();
        let scope = &mut self.scopes[level as usize];
        if let Some(v) = scope.shared.get(&rhs) {
            return *v;
        }
        let full = raised && scope.raised >= self.most_raised;
        scope.raised += usize::from(raised && !full);
        self.pure_at(if full { here } else { level }, ty, rhs)
    }

    /// Writes a pure operation into the scope of that level, which every operand's encloses.
    fn pure_at(&mut self, level: u16, ty: Ty, rhs: String) -> V {
        if let Some(v) = self.scopes[level as usize].shared.get(&rhs) {
            return *v;
        }
        let v = self.fresh_at(ty, level);
        let scope = &mut self.scopes[level as usize];
        let _ = writeln!(scope.text, "{v} = {rhs}{}", self.place);
        scope.shared.insert(rhs, v);
        self.pure.resize(v.id as usize + 1, false);
        self.pure[v.id as usize] = true;
        v
    }

    /// How much was written so far: equal before and after what wrote nothing new.
    pub(crate) fn written(&self) -> usize {
        self.scopes.iter().map(|s| s.text.len()).sum()
    }

    /// Writes an operation that must stay in the innermost scope and is never shared.
    pub fn here(&mut self, ty: Ty, rhs: String) -> V {
        let v = self.fresh(ty);
        self.line(format!("{v} = {rhs}"));
        v
    }

    /// Writes an operation that reads memory no further out than `floor`; not shared.
    pub fn reading(&mut self, floor: u16, ty: Ty, rhs: String, operands: &[V]) -> V {
        let level = operands.iter().map(|v| v.level).max().unwrap_or(0).max(floor);
        let v = self.fresh_at(ty, level);
        let _ = writeln!(self.scopes[level as usize].text, "{v} = {rhs}{}", self.place);
        v
    }

    /// Writes a statement without result into the innermost scope.
    pub fn line(&mut self, text: String) {
        let scope = self.scopes.last_mut().expect("a scope is open");
        scope.text.push_str(&text);
        scope.text.push_str(&self.place);
        scope.text.push('\n');
    }

    /// Opens `scf.for %iv = lo to hi step step` over the integers of `lo` with carried values; gives the induction variable
    /// and the carried values of the body.
    pub fn begin_for(&mut self, lo: V, hi: V, step: V, inits: &[V]) -> (Open, V, Vec<V>) {
        let results: Vec<V> = inits.iter().map(|v| self.fresh(v.ty)).collect();
        self.scopes.push(Scope::default());
        let iv = self.fresh(lo.ty);
        let args: Vec<V> = inits.iter().map(|v| self.fresh(v.ty)).collect();
        let mut header = String::new();
        if let Some(first) = results.first() {
            let _ = write!(header, "{first}_r:{} = ", results.len());
        }
        let _ = write!(header, "scf.for {iv} = {lo} to {hi} step {step}");
        if !args.is_empty() {
            let pairs: Vec<String> = args.iter().zip(inits).map(|(a, i)| format!("{a} = {i}")).collect();
            let tys: Vec<String> = args.iter().map(|a| a.ty.to_string()).collect();
            let _ = write!(header, " iter_args({}) -> ({})", pairs.join(", "), tys.join(", "));
        }
        let _ = write!(header, " : {} {{", lo.ty);
        (Open { header, results, place: self.place.clone(), attributes: "" }, iv, args)
    }

    /// Asks that the loop not be unrolled further: the machine's own compiler would, and spend its time on it.
    pub fn keep_rolled(&mut self, open: &mut Open) {
        open.attributes = " {llvm.loop_annotation = #llvm.loop_annotation<unroll = <disable = true>>}";
        let _ = self;
    }

    /// Closes a `for`; gives the carried values after it.
    pub fn end_for(&mut self, open: Open, yields: &[V]) -> Vec<V> {
        self.yield_(yields);
        self.close(open, "}")
    }

    /// Opens the first branch of `scf.if`; `results` are the types that both branches yield.
    pub fn begin_if(&mut self, cond: V, results: &[Ty]) -> Open {
        let results: Vec<V> = results.iter().map(|t| self.fresh(*t)).collect();
        let mut header = String::new();
        if let Some(first) = results.first() {
            let _ = write!(header, "{first}_r:{} = ", results.len());
        }
        let _ = write!(header, "scf.if {cond}");
        if !results.is_empty() {
            let tys: Vec<String> = results.iter().map(|a| a.ty.to_string()).collect();
            let _ = write!(header, " -> ({})", tys.join(", "));
        }
        header.push_str(" {");
        self.scopes.push(Scope::default());
        Open { header, results, place: self.place.clone(), attributes: "" }
    }

    /// Says, once the first branch is written, what both branches yield.
    pub fn if_results(&mut self, open: &mut Open, yields: &[V]) {
        if yields.is_empty() {
            return;
        }
        let level = self.level().saturating_sub(1);
        open.results = yields.iter().map(|v| self.fresh_at(v.ty, level)).collect();
        let tys: Vec<String> = yields.iter().map(|v| v.ty.to_string()).collect();
        let head = open.header.trim_end_matches(" {").to_string();
        open.header = format!("{}_r:{} = {head} -> ({}) {{", open.results[0], tys.len(), tys.join(", "));
    }

    /// Ends the first branch and opens the second.
    pub fn begin_else(&mut self, open: &mut Open, yields: &[V]) {
        self.yield_(yields);
        let scope = self.scopes.pop().expect("the first branch is open");
        let _ = write!(open.header, "\n{}}} else {{", scope.text);
        self.scopes.push(Scope::default());
    }

    /// Closes an `if`; gives its results.
    pub fn end_if(&mut self, open: Open, yields: &[V]) -> Vec<V> {
        self.yield_(yields);
        self.close(open, "}")
    }

    /// Opens the condition region of `scf.while`; gives the region's arguments.
    pub fn begin_while(&mut self, inits: &[V]) -> (Open, Vec<V>) {
        let results: Vec<V> = inits.iter().map(|v| self.fresh(v.ty)).collect();
        self.scopes.push(Scope::default());
        let args: Vec<V> = inits.iter().map(|v| self.fresh(v.ty)).collect();
        let mut header = String::new();
        if let Some(first) = results.first() {
            let _ = write!(header, "{first}_r:{} = ", results.len());
        }
        let pairs: Vec<String> = args.iter().zip(inits).map(|(a, i)| format!("{a} = {i}")).collect();
        let tys: Vec<String> = args.iter().map(|a| a.ty.to_string()).collect();
        let _ = write!(
            header,
            "scf.while ({}) : ({}) -> ({}) {{",
            pairs.join(", "),
            tys.join(", "),
            tys.join(", ")
        );
        (Open { header, results, place: self.place.clone(), attributes: "" }, args)
    }

    /// Ends the condition region with `cond` and the values passed on; gives the arguments of the body.
    pub fn while_body(&mut self, open: &mut Open, cond: V, pass: &[V]) -> Vec<V> {
        let names: Vec<String> = pass.iter().map(V::to_string).collect();
        let tys: Vec<String> = pass.iter().map(|v| v.ty.to_string()).collect();
        if pass.is_empty() {
            self.line(format!("scf.condition({cond})"));
        } else {
            self.line(format!("scf.condition({cond}) {} : {}", names.join(", "), tys.join(", ")));
        }
        let scope = self.scopes.pop().expect("the condition is open");
        self.scopes.push(Scope::default());
        let args: Vec<V> = pass.iter().map(|v| self.fresh(v.ty)).collect();
        let list: Vec<String> = args.iter().map(|a| format!("{a}: {}", a.ty)).collect();
        let _ = write!(open.header, "\n{}}} do {{\n^bb0({}):", scope.text, list.join(", "));
        args
    }

    /// Closes a `while`; gives the values passed by the last condition.
    pub fn end_while(&mut self, open: Open, yields: &[V]) -> Vec<V> {
        self.yield_(yields);
        self.close(open, "}")
    }

    fn yield_(&mut self, yields: &[V]) {
        if yields.is_empty() {
            return self.line("scf.yield".into());
        }
        let names: Vec<String> = yields.iter().map(V::to_string).collect();
        let tys: Vec<String> = yields.iter().map(|v| v.ty.to_string()).collect();
        self.line(format!("scf.yield {} : {}", names.join(", "), tys.join(", ")));
    }

    fn close(&mut self, open: Open, end: &str) -> Vec<V> {
        let scope = self.scopes.pop().expect("a scope is open");
        let parent = self.scopes.last_mut().expect("the outermost scope stays");
        let _ =
            writeln!(parent.text, "{}\n{}{end}{}{}", open.header, scope.text, open.attributes, open.place);
        // `%7_r#0` is what MLIR calls the first result of `%7_r:3`; give each its own name through V's printing.
        let first = open.results.first().map(|v| v.id);
        let level = self.level();
        let mut out = Vec::with_capacity(open.results.len());
        for (i, v) in open.results.iter().enumerate() {
            out.push(V { id: first.unwrap_or(0), part: i as u16 + 1, level, ty: v.ty });
        }
        out
    }

    /// The text of the outermost scope, without pure operations that nothing in it uses.
    pub fn finish_used(mut self) -> String {
        let pure = std::mem::take(&mut self.pure);
        prune::prune(&self.finish(), &pure)
    }

    /// The text of the outermost scope.
    pub fn finish(mut self) -> String {
        self.scopes.pop().map(|s| s.text).unwrap_or_default()
    }
}
