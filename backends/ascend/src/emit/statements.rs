//! Statements: control flow of the scalar unit, tensors at their addresses, the author's lines.

use super::Writer;
use super::registers::Registers;
use super::scalars::ctype;
use kcc_compiler::{Error, bug};
use kcc_davinci::ir::{Barrier, CoreKind, Instr, Local, Pipes, Reg, Space, Stmt, Val};
use kcc_dsl::ir::LocId;
use std::collections::HashSet;

/// What a walk over a part knows of where it is.
pub(super) struct Scope {
    /// The number of the last block that was opened, as the registers' walk counts them.
    block: u32,
    /// Registers that have been declared.
    declared: HashSet<u32>,
}

/// The logical position of a memory.
fn position(s: Space) -> &'static str {
    match s {
        Space::Ub => "VECCALC",
        Space::L1 => "A1",
        Space::L0a => "A2",
        Space::L0b => "B2",
        Space::L0c => "CO1",
    }
}

impl Writer<'_> {
    /// What cores of a kind do.
    pub(super) fn part(&mut self, kind: CoreKind, body: &[Stmt]) -> Result<(), Error> {
        self.kind = kind;
        self.registers = Registers::new(body, &self.program.params);
        self.inlined.clear();
        self.last = None;
        self.tensors(kind);
        let mut scope = Scope { block: 0, declared: HashSet::new() };
        self.block(body, 0, 0, &mut scope)?;
        let ends = matches!(
            body.last(),
            Some(Stmt::Issue { instr: Instr::Barrier(Barrier { pipe: Pipes::All }), .. })
        );
        if !ends {
            self.line("AscendC::PipeBarrier<PIPE_ALL>();");
        }
        Ok(())
    }

    fn tensors(&mut self, kind: CoreKind) {
        for (b, name) in self.program.buffers.iter().zip(self.names.buffers.clone()) {
            // One without an address is not touched.
            let (true, Some(address)) = (b.space.core() == kind, b.address) else { continue };
            let ty = ctype(b.elem);
            let elements = b.total() / b.elem.bytes() as u64;
            let slots = if b.slots > 1 {
                format!("  // {} slots of {} bytes", b.slots, b.bytes)
            } else {
                String::new()
            };
            self.line(format!(
                "const AscendC::LocalTensor<{ty}> {name}(AscendC::TPosition::{}, {address}, {elements});{slots}",
                position(b.space)
            ));
        }
    }

    /// A buffer as elements of a type, and the index of the element at the place.
    pub(super) fn place(&mut self, l: &Local, ty: &str, width: usize) -> Result<(String, String), Error> {
        let b = &self.program.buffers[l.buffer as usize];
        if b.address.is_none() {
            return Err(bug(format!("the buffer {} has no address to be written", b.name)));
        }
        let name = &self.names.buffers[l.buffer as usize];
        let tensor =
            if ctype(b.elem) == ty { name.clone() } else { format!("{name}.ReinterpretCast<{ty}>()") };
        let index = match l.offset {
            Val::Const(o) if o >= 0 && o % width as i64 == 0 => (o / width as i64).to_string(),
            Val::Const(o) => return Err(bug(format!("byte {o} of {} is no element of {ty}", b.name))),
            reg if width == 1 => format!("uint32_t({})", self.int(reg).text),
            reg => format!("uint32_t({}) / {width}", self.int(reg).text),
        };
        Ok((tensor, index))
    }

    /// A place in a buffer as a tensor of that type.
    pub(super) fn tensor(&mut self, l: &Local, ty: &str, width: usize) -> Result<String, Error> {
        let (tensor, index) = self.place(l, ty, width)?;
        Ok(if index == "0" { tensor } else { format!("{tensor}[{index}]") })
    }

    /// Statements of a block; `first` is the index of the first one as the registers' walk counts them.
    fn block(&mut self, stmts: &[Stmt], id: u32, first: usize, scope: &mut Scope) -> Result<(), Error> {
        for (i, s) in stmts.iter().enumerate() {
            self.declare(id, first + i, Some(s), scope);
            self.stmt(s, id, scope)?;
        }
        Ok(())
    }

    /// Declares what several blocks from here on share.
    fn declare(&mut self, id: u32, at: usize, s: Option<&Stmt>, scope: &mut Scope) {
        for r in self.registers.hoisted(id, at).to_vec() {
            let here = matches!(s, Some(Stmt::Let { to, .. }) if to.0 == r);
            if here || self.registers.of(Reg(r)).dead || !scope.declared.insert(r) {
                continue;
            }
            let (ty, zero) =
                if self.registers.of(Reg(r)).float { ("float", "0.0f") } else { ("int64_t", "0") };
            let name = self.register(Reg(r));
            self.line(format!("{ty} {name} = {zero};"));
        }
    }

    fn comment(&mut self, loc: LocId) {
        let Some(l) = self.program.locs.get(loc.0 as usize) else { return };
        let place = (l.file.clone(), l.line);
        if l.file.is_empty() || l.line == 0 || self.last.as_ref() == Some(&place) {
            return;
        }
        let text = self.lines.text(&l.file, l.line).unwrap_or_default();
        // Control flow that the lowering added has the place of the kernel as a whole.
        if text.starts_with("#[") {
            return;
        }
        let mut text = if text.is_empty() { String::new() } else { format!("  {text}") };
        if let Some((end, _)) = text.char_indices().nth(110) {
            text.replace_range(end.., " …");
        }
        self.last = Some(place);
        self.line(format!("// {l}{text}"));
    }

    fn stmt(&mut self, s: &Stmt, id: u32, scope: &mut Scope) -> Result<(), Error> {
        match s {
            Stmt::Let { to, value, loc } => {
                let mark = (self.out.len(), self.last.clone());
                self.comment(*loc);
                let written = self.out.len();
                let declare = self.registers.of(*to).home.0 == id && scope.declared.insert(to.0);
                self.assign(*to, value, declare)?;
                // No place above nothing.
                if self.out.len() == written {
                    self.out.truncate(mark.0);
                    self.last = mark.1;
                }
            }
            Stmt::Issue { instr, loc } => {
                if !instr.is_sync() {
                    self.comment(*loc);
                }
                self.instr(instr)?;
            }
            Stmt::For { body, .. } if body.is_empty() => scope.block += 1,
            Stmt::For { counter, from, to, step, body } => {
                self.loop_(*counter, [*from, *to, *step], body, scope)?;
            }
            Stmt::While { head, condition, body } => {
                scope.block += 1;
                let inner = scope.block;
                self.line("while (true) {");
                self.depth += 1;
                self.block(head, inner, 0, scope)?;
                self.declare(inner, head.len(), None, scope);
                let c = self.int((*condition).into()).truth();
                self.line(format!("if (!({c})) {{ break; }}"));
                self.block(body, inner, head.len() + 1, scope)?;
                self.depth -= 1;
                self.line("}");
            }
            Stmt::If { then, otherwise, .. } if then.is_empty() && otherwise.is_empty() => scope.block += 2,
            Stmt::If { condition, then, otherwise } => {
                let c = self.int(*condition).truth();
                self.line(format!("if ({c}) {{"));
                for (i, b) in [then, otherwise].into_iter().enumerate() {
                    scope.block += 1;
                    let inner = scope.block;
                    if i == 1 && b.is_empty() {
                        continue;
                    }
                    if i == 1 {
                        self.line("} else {");
                    }
                    self.depth += 1;
                    self.block(b, inner, 0, scope)?;
                    self.depth -= 1;
                }
                self.line("}");
            }
        }
        Ok(())
    }

    fn loop_(
        &mut self,
        counter: Reg,
        [from, to, step]: [Val; 3],
        body: &[Stmt],
        scope: &mut Scope,
    ) -> Result<(), Error> {
        // Bounds are read once, before the first turn.
        let bound = |w: &mut Self, v: Val, name: &str| match v {
            Val::Reg(r) if w.registers.of(r).defs > 1 => {
                w.bounds += 1;
                let name = format!("{name}_{}", w.bounds);
                let text = w.int(v).text;
                w.line(format!("const int64_t {name} = {text};"));
                name
            }
            _ => w.int(v).text,
        };
        let (to, step) = (bound(self, to, "end"), bound(self, step, "step"));
        let from = self.int(from).text;
        scope.block += 1;
        let inner = scope.block;
        let r = self.registers.of(counter);
        let own = r.home.0 == inner && r.defs == 1;
        let name = if own { self.register(counter) } else { format!("i{inner}") };
        self.line(format!("for (int64_t {name} = {from}; {name} < {to}; {name} += {step}) {{"));
        self.depth += 1;
        if own {
            scope.declared.insert(counter.0);
        } else {
            let shared = self.register(counter);
            let ty = if r.home.0 == inner && scope.declared.insert(counter.0) { "int64_t " } else { "" };
            self.line(format!("{ty}{shared} = {name};"));
        }
        self.block(body, inner, 0, scope)?;
        self.depth -= 1;
        self.line("}");
        Ok(())
    }
}
