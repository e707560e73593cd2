//! Warpgroup products (`wgmma`, sm_90a): four warps multiply a 64-row tile by operands that stay in shared memory.
//!
//! ```text
//!            K                     N                        N = 8, 16, … 256
//!      ┌───────────┐         ┌───────────┐            ┌───────────────────┐ warp 0
//!   64 │ A: shared │  ×    K │ B: shared │   +=    64 │ accumulator:      │ warp 1
//!      │ or regs   │         └───────────┘            │ f32 or i32, N / 2 │ warp 2
//!      └───────────┘          K = 32 bytes a step     │ registers a lane  │ warp 3
//!                                                     └───────────────────┘
//! ```
//! The products are asynchronous: [`fence`] → [`multiply`] … → [`commit`] → [`wait`]. Between issue and wait nobody may
//! touch the accumulators or the registers of A. All steps of a stage go into one block of inline assembly, because
//! each block costs the code generator about 2 ms per 128 accumulators.

use crate::asm::Asm;
use kcc_compiler::emit::{Emit, K, Ty, V};
use kcc_compiler::layout::linear::Coord;
use kcc_compiler::layout::{Dim, LayoutError, Linear};
use kcc_dsl::ir::Elem;

/// Rows of every wgmma.
pub const ROWS: u32 = 64;

/// Bytes of K that one step of every wgmma takes.
pub const STEP_BYTES: u32 = 32;

/// Element types of one wgmma; `tf32` operands are held as `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kinds {
    /// Of A.
    pub a: Elem,
    /// Of B.
    pub b: Elem,
}

/// Operands, their PTX names, the accumulator. PTX ISA, "wgmma.mma_async".
const KINDS: &[(Elem, Elem, &str, Elem)] = &[
    (Elem::F16, Elem::F16, "f32.f16.f16", Elem::F32),
    (Elem::BF16, Elem::BF16, "f32.bf16.bf16", Elem::F32),
    (Elem::F32, Elem::F32, "f32.tf32.tf32", Elem::F32),
    (Elem::F8E4M3, Elem::F8E4M3, "f32.e4m3.e4m3", Elem::F32),
    (Elem::F8E4M3, Elem::F8E5M2, "f32.e4m3.e5m2", Elem::F32),
    (Elem::F8E5M2, Elem::F8E4M3, "f32.e5m2.e4m3", Elem::F32),
    (Elem::F8E5M2, Elem::F8E5M2, "f32.e5m2.e5m2", Elem::F32),
    (Elem::I8, Elem::I8, "s32.s8.s8", Elem::I32),
    (Elem::U8, Elem::U8, "s32.u8.u8", Elem::I32),
];

impl Kinds {
    /// The products that exist.
    pub fn all() -> impl Iterator<Item = Kinds> {
        KINDS.iter().map(|row| Kinds { a: row.0, b: row.1 })
    }

    fn row(self) -> Option<&'static (Elem, Elem, &'static str, Elem)> {
        KINDS.iter().find(|row| (row.0, row.1) == (self.a, self.b))
    }

    /// Element type of the accumulator; `None` if there is no such product.
    pub fn accumulator(self) -> Option<Elem> {
        self.row().map(|row| row.3)
    }

    /// Elements of K that one step takes.
    pub fn k(self) -> u32 {
        STEP_BYTES / self.a.bytes() as u32
    }

    /// Whether operands in shared memory may have M or N innermost, not only K.
    pub fn transposes(self) -> bool {
        self.a.bytes() == 2
    }

    /// Whether one instruction makes `n` columns: a multiple of 8, of 16 above 32 for integers.
    pub fn columns(self, n: u32) -> bool {
        let step = if self.accumulator() == Some(Elem::I32) && n > 32 { 16 } else { 8 };
        (8..=256).contains(&n) && n.is_multiple_of(step)
    }
}

fn moves(along: impl IntoIterator<Item = (usize, u32)>) -> Vec<Coord> {
    along
        .into_iter()
        .map(|(axis, distance)| {
            let mut move_ = [0; 3];
            move_[axis] = distance;
            move_
        })
        .collect()
}

fn doubling(axis: usize, from: u32, end: u32) -> impl Iterator<Item = (usize, u32)> {
    std::iter::successors(Some(from), |d| Some(d * 2)).take_while(move |d| *d < end).map(move |d| (axis, d))
}

/// Where the accumulator of 64 rows by `n` columns lies (PTX ISA, "wgmma.mma_async", fragment of D). The extent of the
/// layout is the next power of two of `n`; registers from `n / 2` on hold columns from `n` on.
///
/// # Errors
/// `n` is too large for a layout.
pub fn accumulator_layout(n: u32) -> Result<Linear, LayoutError> {
    let columns = n.max(8).next_power_of_two();
    let register = moves([(1, 1), (0, 8)].into_iter().chain(doubling(1, 8, columns)));
    let (lane, warp) = (moves([(1, 2), (1, 4), (0, 1), (0, 2), (0, 4)]), moves([(0, 16), (0, 32)]));
    Linear::new(&[ROWS, columns], [(Dim::Register, &*register), (Dim::Lane, &*lane), (Dim::Warp, &*warp)])
}

/// Where operand A of one step lies when it comes from registers: 64 rows by `32 / bytes` columns, one element per
/// register of the layout; elements narrower than 32 bits are packed in register order (PTX ISA, fragments of A).
///
/// # Errors
/// `bytes` is not 1, 2 or 4.
pub fn a_layout(bytes: u32) -> Result<Linear, LayoutError> {
    // 32 bits of a lane: `packed` neighbours along K; a quad covers four of those, 16 bytes.
    let (packed, k) = (4 / bytes.clamp(1, 4), STEP_BYTES / bytes.clamp(1, 4));
    let register = moves(doubling(1, 1, packed).chain([(0, 8), (1, k / 2)]));
    let lane = moves([(1, packed), (1, 2 * packed), (0, 1), (0, 2), (0, 4)]);
    let warp = moves([(0, 16), (0, 32)]);
    Linear::new(&[ROWS, k], [(Dim::Register, &*register), (Dim::Lane, &*lane), (Dim::Warp, &*warp)])
}

/// How an operand lies in shared memory: panels as wide as the swizzle, each as tall as the operand, one after another.
///
/// ```text
/// K innermost, 128-byte swizzle        panel 0: K 0..64       panel 1: K 64..128     (2-byte elements)
///                                row 0 │ 128 bytes │          │ 128 bytes │
///                                row 1 │           │          │           │
/// ```
/// The 16-byte chunk `c` of line `l` of a panel lies at chunk `c ^ (l % 8)` for 128 bytes, `c ^ (l / 2 % 4)` for 64,
/// `c ^ (l / 4 % 2)` for 32; buffers start at multiples of 1024 bytes. TMA writes the same pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Panels {
    /// Bytes of an element.
    pub bytes: u32,
    /// Lines of a panel: rows of the buffer.
    pub lines: u32,
    /// Width of a panel and reach of the swizzle in bytes: 32, 64, 128.
    pub swizzle: u32,
    /// Whether the innermost axis is K, not M or N.
    pub k_inner: bool,
}

impl Panels {
    /// The widest swizzle whose panels divide `inner` elements.
    pub fn widest(inner: u32, bytes: u32) -> Option<u32> {
        [128, 64, 32].into_iter().find(|s| (inner * bytes).is_multiple_of(*s))
    }

    /// Elements across a panel.
    pub fn width(&self) -> u32 {
        self.swizzle / self.bytes
    }

    /// Bytes from one panel to the next.
    pub fn pitch(&self) -> u32 {
        self.lines * self.swizzle
    }

    /// Bytes from the start of the buffer to row or column `outer` and inner-product index `k`; the one along the
    /// panels must be a multiple of what stays within a swizzle's period (8 lines, or a step of K).
    pub fn start(&self, outer: u32, k: u32) -> u32 {
        let (line, inner) = if self.k_inner { (outer, k) } else { (k, outer) };
        inner / self.width() * self.pitch() + line * self.swizzle + inner % self.width() * self.bytes
    }

    /// The descriptor's bits apart from the address (PTX ISA, "Matrix Descriptor Format").
    pub fn descriptor(&self) -> u64 {
        let mode = match self.swizzle {
            128 => 1u64,
            64 => 2,
            32 => 3,
            _ => 0,
        };
        // K innermost: the offset between panels is not used. Otherwise: from one panel along M or N to the next.
        let leading = if self.k_inner { 1 } else { self.pitch() >> 4 };
        let stride = (8 * self.swizzle) >> 4;
        mode << 62 | u64::from(stride) << 32 | u64::from(leading & 0x3fff) << 16
    }
}

/// The lower half (i32) of the descriptor of an operand at a shared address (a `!llvm.ptr<3>`); the upper half is
/// [`Panels::descriptor`]'s. What a step adds stays within the lower half, whose sums the uniform registers can make.
pub fn descriptor(e: &mut Emit, address: V, panels: &Panels) -> V {
    let i32_ = Ty::scalar(K::I32);
    let start = e.pure(i32_, format!("llvm.ptrtoint {address} : !llvm.ptr<3> to i32"), &[address]);
    // Shared memory ends below 2^18, so nothing above the field's 14 bits is set.
    let four = e.int(K::I32, 4);
    let start = e.op2("arith.shrui", start, four);
    let rest = e.int(K::I32, i64::from(panels.descriptor() as u32));
    e.op2("arith.ori", start, rest)
}

/// Operand A.
#[derive(Clone, Debug)]
pub enum A<'a> {
    /// In shared memory: lower half of the buffer's descriptor, and how it lies.
    Shared(V, Panels),
    /// In registers: four i32 per step, in the order of [`a_layout`].
    Registers(&'a [V]),
}

/// What happens to the accumulator.
#[derive(Clone, Copy, Debug)]
pub enum Start {
    /// Products are added to these values.
    From,
    /// The first step overwrites: the accumulator's values do not matter.
    Zero,
    /// Added if this i1 holds, else the first step overwrites.
    FromIf(V),
}

/// One asynchronous product of 64 rows.
#[derive(Clone, Debug)]
pub struct Multiply<'a> {
    /// Element types.
    pub kinds: Kinds,
    /// Columns.
    pub n: u32,
    /// Steps along K.
    pub steps: u32,
    /// Operand A.
    pub a: A<'a>,
    /// First row of A in its buffer, a multiple of 8 (of the panel's width where M is innermost).
    pub row: u32,
    /// Operand B: lower half of its buffer's descriptor, and how it lies.
    pub b: (V, Panels),
    /// First column of B in its buffer, as [`Multiply::row`].
    pub column: u32,
    /// What happens to the accumulator.
    pub start: Start,
}

/// Issues the steps of a product; gives the accumulator after them, to be read only after [`wait`]. `acc` has `n / 2`
/// values in the order of [`accumulator_layout`]; it is not looked at with [`Start::Zero`].
pub fn multiply(e: &mut Emit, m: &Multiply, acc: &[V]) -> Vec<V> {
    let Some((_, _, types, elem)) = m.kinds.row() else { return acc.to_vec() };
    let count = (m.n / 2) as usize;
    let (kind, letter) = if *elem == Elem::F32 { (K::F32, "=f") } else { (K::I32, "=r") };
    let mut asm = Asm::new(letter, Ty::scalar(kind), count);
    let acc_names = braces((0..count).map(|i| asm.result(i)));
    if !matches!(m.start, Start::Zero) {
        for (i, v) in acc.iter().take(count).enumerate() {
            asm.tied(i, *v);
        }
    }
    asm.line(".reg .pred first, rest;");
    asm.line("setp.eq.b32 rest, 0, 0;");
    match m.start {
        Start::From => asm.line("setp.eq.b32 first, 0, 0;"),
        Start::Zero => asm.line("setp.ne.b32 first, 0, 0;"),
        Start::FromIf(cond) => {
            let flag = e.pure(Ty::scalar(K::I32), format!("arith.extui {cond} : i1 to i32"), &[cond]);
            let flag = asm.operand("r", flag);
            asm.line(format!("setp.ne.b32 first, {flag}, 0;"));
        }
    }
    asm.line(".reg .b64 da, db;");
    asm.line(".reg .b32 la, lb;");
    let a = match &m.a {
        A::Shared(descriptor, _) => vec![asm.operand("r", *descriptor)],
        A::Registers(registers) => registers.iter().map(|r| asm.operand("r", *r)).collect(),
    };
    let b = asm.operand("r", m.b.0);
    let shape = format!("wgmma.mma_async.sync.aligned.m64n{}k{}.{types}", m.n, m.kinds.k());
    for step in 0..m.steps {
        let k = step * m.kinds.k();
        asm.line(format!("add.u32 lb, {b}, {};", m.b.1.start(m.column, k) >> 4));
        asm.line(format!("mov.b64 db, {{lb, {}}};", m.b.1.descriptor() >> 32));
        let mut tail = String::from("1, 1");
        let a = match &m.a {
            A::Shared(_, panels) => {
                asm.line(format!("add.u32 la, {}, {};", a[0], panels.start(m.row, k) >> 4));
                asm.line(format!("mov.b64 da, {{la, {}}};", panels.descriptor() >> 32));
                if m.kinds.transposes() {
                    tail += if panels.k_inner { ", 0" } else { ", 1" };
                }
                "da".to_owned()
            }
            A::Registers(_) => braces(a.iter().skip(4 * step as usize).take(4).cloned()),
        };
        if m.kinds.transposes() {
            tail += if m.b.1.k_inner { ", 0" } else { ", 1" };
        }
        // Integers take no signs of operands.
        let tail = if *elem == Elem::I32 { String::new() } else { format!(", {tail}") };
        let add = if step == 0 { "first" } else { "rest" };
        asm.line(format!("{shape} {acc_names}, {a}, db, {add}{tail};"));
    }
    asm.emit(e)
}

fn braces(names: impl Iterator<Item = String>) -> String {
    format!("{{{}}}", names.collect::<Vec<_>>().join(", "))
}

/// Orders earlier accesses to registers before the products that follow.
pub fn fence(e: &mut Emit) {
    e.line("nvvm.wgmma.fence.aligned".into());
}

/// Closes the group of products issued so far.
pub fn commit(e: &mut Emit) {
    e.line("nvvm.wgmma.commit.group.sync.aligned".into());
}

/// Waits until at most `pending` groups are in flight.
pub fn wait(e: &mut Emit, pending: u32) {
    e.line(format!("nvvm.wgmma.wait.group.sync.aligned {pending}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_place_elements_as_the_manual_says() {
        // PTX ISA, D fragment: row = warp · 16 + lane / 4 (+ 8 for register 2, 3 of each four),
        // column = (lane % 4) · 2 + register % 2 + register / 4 · 8.
        let d = accumulator_layout(64).unwrap();
        for (register, lane, warp) in [(0, 0, 0), (1, 5, 2), (2, 31, 3), (27, 17, 1)] {
            let row = warp * 16 + lane / 4 + 8 * (register / 2 % 2);
            let column = lane % 4 * 2 + register % 2 + register / 4 * 8;
            assert_eq!(d.at(register, lane, warp), [row, column, 0]);
        }
        // A fragment of 16-bit elements: as D of 16 columns, registers 0 1 | 2 3 (row + 8) | 4 5 (K + 8) | 6 7.
        let a = a_layout(2).unwrap();
        assert_eq!(a.at(5, 6, 1), [16 + 1, 2 * 2 + 1 + 8, 0]);
        // 8-bit elements: four neighbours along K per lane.
        assert_eq!(a_layout(1).unwrap().at(4 + 8 + 3, 2, 0), [8, 2 * 4 + 3 + 16, 0]);
        // tf32: one element per register; register 1 is row + 8, register 2 is K + 4.
        assert_eq!(a_layout(4).unwrap().at(2, 3, 0), [0, 3 + 4, 0]);
    }

    #[test]
    fn columns_that_are_no_power_of_two_leave_the_upper_registers_empty() {
        let d = accumulator_layout(176).unwrap();
        assert_eq!(d.extents(), [64, 256]);
        assert!((0..88).all(|r| d.at(r, 31, 0)[1] < 176));
        assert!((88..128).all(|r| d.at(r, 0, 0)[1] >= 176));
    }

    #[test]
    fn panels_give_descriptors_and_starts() {
        let a = Panels { bytes: 2, lines: 128, swizzle: 128, k_inner: true };
        assert_eq!(a.descriptor(), 1 << 62 | (1024 >> 4) << 32 | 1 << 16);
        assert_eq!((a.start(64, 16), a.start(0, 64)), (64 * 128 + 32, 128 * 128));
        let b = Panels { bytes: 2, lines: 64, swizzle: 128, k_inner: false };
        assert_eq!(b.descriptor(), 1 << 62 | (1024 >> 4) << 32 | ((64 * 128) >> 4) << 16);
        assert_eq!((b.start(0, 16), b.start(64, 0)), (16 * 128, 64 * 128));
        assert_eq!(Panels::widest(176, 2), Some(32));
    }
}
