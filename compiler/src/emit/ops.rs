//! Small vocabulary over [`Emit`]: constants, integer and address arithmetic with folding, loads, stores, splats.

use super::{Emit, K, Ty, V};

/// `v + c`: an index that may be wholly or partly known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ix {
    /// Run-time part.
    pub v: Option<V>,
    /// Constant part.
    pub c: i64,
}

impl From<i64> for Ix {
    fn from(c: i64) -> Ix {
        Ix { v: None, c }
    }
}

impl From<V> for Ix {
    fn from(v: V) -> Ix {
        Ix { v: Some(v), c: 0 }
    }
}

impl Ix {
    /// This index plus a constant.
    pub fn plus(self, c: i64) -> Ix {
        Ix { v: self.v, c: self.c + c }
    }
}

impl Emit {
    /// An integer constant.
    pub fn int(&mut self, k: K, c: i64) -> V {
        if k == K::I1 {
            return self.pure(Ty::scalar(k), format!("arith.constant {}", c != 0), &[]);
        }
        self.pure(Ty::scalar(k), format!("arith.constant {c} : {k}"), &[])
    }

    /// An i64 constant.
    pub fn i64(&mut self, c: i64) -> V {
        self.int(K::I64, c)
    }

    /// An f32 constant by its bits, so that every value incl. NaN is exact.
    pub fn f32(&mut self, c: f32) -> V {
        self.pure(Ty::scalar(K::F32), format!("arith.constant 0x{:08X} : f32", c.to_bits()), &[])
    }

    /// A constant of type `ty`, splat when a vector; `c` is an integer constant.
    pub fn int_like(&mut self, ty: Ty, c: i64) -> V {
        if !ty.is_vector() {
            return self.int(ty.k, c);
        }
        let text = if ty.k == K::I1 { (c != 0).to_string() } else { c.to_string() };
        self.pure(ty, format!("arith.constant dense<{text}> : {ty}"), &[])
    }

    /// An f32 constant of `lanes` lanes (0: scalar).
    pub fn f32_like(&mut self, ty: Ty, c: f32) -> V {
        if !ty.is_vector() {
            return self.f32(c);
        }
        let ty = ty.with(K::F32);
        self.pure(ty, format!("arith.constant dense<0x{:08X}> : {ty}", c.to_bits()), &[])
    }

    /// 0, 1, …, lanes-1.
    pub fn iota(&mut self, k: K, lanes: usize) -> V {
        let list: Vec<String> = (0..lanes).map(|i| i.to_string()).collect();
        let ty = Ty::vector(k, lanes);
        self.pure(ty, format!("arith.constant dense<[{}]> : {ty}", list.join(", ")), &[])
    }

    /// The scalar in every lane; a vector is returned as it is.
    pub fn splat(&mut self, v: V, lanes: usize) -> V {
        if v.ty.is_vector() || lanes == 0 {
            return v;
        }
        let ty = Ty::vector(v.ty.k, lanes);
        self.pure(ty, format!("vector.broadcast {v} : {} to {ty}", v.ty), &[v])
    }

    /// Operation of two operands of one type, `name` with its dialect: `arith.addi`.
    pub fn op2(&mut self, name: &str, a: V, b: V) -> V {
        let (a, b) = self.unify(a, b);
        self.pure(a.ty, format!("{name} {a}, {b} : {}", a.ty), &[a, b])
    }

    /// Float operation of two operands that may be contracted into an fma.
    pub fn fop2(&mut self, name: &str, a: V, b: V) -> V {
        let (a, b) = self.unify(a, b);
        self.pure(a.ty, format!("{name} {a}, {b} fastmath<contract> : {}", a.ty), &[a, b])
    }

    /// Operation of one operand.
    pub fn op1(&mut self, name: &str, a: V) -> V {
        self.pure(a.ty, format!("{name} {a} : {}", a.ty), &[a])
    }

    /// Conversion `name a : from to to`.
    pub fn conv(&mut self, name: &str, a: V, k: K) -> V {
        if a.ty.k == k {
            return a;
        }
        let ty = a.ty.with(k);
        self.pure(ty, format!("{name} {a} : {} to {ty}", a.ty), &[a])
    }

    /// Same bits, other kind of the same width.
    pub fn bits(&mut self, a: V, k: K) -> V {
        self.conv("arith.bitcast", a, k)
    }

    /// Gives both the lanes of the wider one.
    pub fn unify(&mut self, a: V, b: V) -> (V, V) {
        let lanes = a.ty.lanes.max(b.ty.lanes) as usize;
        (self.splat(a, lanes), self.splat(b, lanes))
    }

    /// `a * b + c` with one rounding (f32).
    pub fn fma(&mut self, a: V, b: V, c: V) -> V {
        let lanes = a.ty.lanes.max(b.ty.lanes).max(c.ty.lanes) as usize;
        let (a, b, c) = (self.splat(a, lanes), self.splat(b, lanes), self.splat(c, lanes));
        if lanes == 0 {
            return self.pure(a.ty, format!("math.fma {a}, {b}, {c} : {}", a.ty), &[a, b, c]);
        }
        self.pure(a.ty, format!("vector.fma {a}, {b}, {c} : {}", a.ty), &[a, b, c])
    }

    /// `a * b + c` of vectors of one type, with one rounding whatever the machine: [`Emit::fma`] of vectors leaves that to it.
    pub fn fma_exact(&mut self, a: V, b: V, c: V) -> V {
        self.pure(a.ty, format!("math.fma {a}, {b}, {c} : {}", a.ty), &[a, b, c])
    }

    /// Integer comparison.
    pub fn cmpi(&mut self, pred: &str, a: V, b: V) -> V {
        let (a, b) = self.unify(a, b);
        self.pure(a.ty.with(K::I1), format!("arith.cmpi {pred}, {a}, {b} : {}", a.ty), &[a, b])
    }

    /// Float comparison.
    pub fn cmpf(&mut self, pred: &str, a: V, b: V) -> V {
        let (a, b) = self.unify(a, b);
        self.pure(a.ty.with(K::I1), format!("arith.cmpf {pred}, {a}, {b} : {}", a.ty), &[a, b])
    }

    /// `m ? a : b`, lanes unified.
    pub fn select(&mut self, m: V, a: V, b: V) -> V {
        let lanes = m.ty.lanes.max(a.ty.lanes).max(b.ty.lanes) as usize;
        let (m, a, b) = (self.splat(m, lanes), self.splat(a, lanes), self.splat(b, lanes));
        if lanes == 0 {
            return self.pure(a.ty, format!("arith.select {m}, {a}, {b} : {}", a.ty), &[m, a, b]);
        }
        self.pure(a.ty, format!("arith.select {m}, {a}, {b} : {}, {}", m.ty, a.ty), &[m, a, b])
    }

    /// i64 sum with folding of zero.
    pub fn add(&mut self, a: Ix, b: Ix) -> Ix {
        let c = a.c + b.c;
        match (a.v, b.v) {
            (Some(x), Some(y)) => {
                let s = self.pure(Ty::i64(), format!("arith.addi {x}, {y} overflow<nsw> : i64"), &[x, y]);
                Ix { v: Some(s), c }
            }
            (x, y) => Ix { v: x.or(y), c },
        }
    }

    /// i64 product of an index and a constant.
    pub fn scale(&mut self, a: Ix, s: i64) -> Ix {
        let v = match a.v {
            Some(_) if s == 0 => None,
            Some(x) if s == 1 => Some(x),
            Some(x) => {
                let k = self.i64(s);
                Some(self.pure(Ty::i64(), format!("arith.muli {x}, {k} overflow<nsw> : i64"), &[x, k]))
            }
            None => None,
        };
        Ix { v, c: a.c * s }
    }

    /// i64 product of two run-time values.
    pub fn mul(&mut self, a: V, b: V) -> V {
        self.pure(Ty::i64(), format!("arith.muli {a}, {b} overflow<nsw> : i64"), &[a, b])
    }

    /// The index as a value.
    pub fn ix(&mut self, a: Ix) -> V {
        match a.v {
            None => self.i64(a.c),
            Some(v) if a.c == 0 => v,
            Some(_) => {
                let c = self.i64(a.c);
                self.add(Ix { v: a.v, c: 0 }, c.into()).v.unwrap_or(c)
            }
        }
    }

    /// Address `p + Σ terms + constant`, in elements of `k`; terms are applied outermost scope first, so that what
    /// a loop does not change stays outside it.
    pub fn address(&mut self, p: V, k: K, terms: &[V], constant: i64) -> V {
        let mut terms = terms.to_vec();
        terms.sort_by_key(|t| t.level);
        let ptr = p.ty;
        let k = if k == K::I1 { K::I8 } else { k };
        let mut p = p;
        for t in terms {
            let text = format!("llvm.getelementptr {p}[{t}] : ({ptr}, {}) -> {ptr}, {k}", t.ty);
            p = self.pure(ptr, text, &[p, t]);
        }
        if constant != 0 {
            // llvm.getelementptr takes 32-bit constants; larger ones go through a value.
            if i32::try_from(constant).is_ok() {
                let text = format!("llvm.getelementptr {p}[{constant}] : ({ptr}) -> {ptr}, {k}");
                p = self.pure_at(p.level, ptr, text);
            } else {
                let c = self.i64(constant);
                let text = format!("llvm.getelementptr {p}[{c}] : ({ptr}, i64) -> {ptr}, {k}");
                p = self.pure_at(p.level.max(c.level), ptr, text);
            }
        }
        p
    }

    /// Reads a scalar or a whole aligned vector, in the innermost scope.
    pub fn load_aligned(&mut self, p: V, ty: Ty) -> V {
        let align = ty.k.bytes() * ty.lanes.max(1) as usize;
        self.here(ty, format!("llvm.load {p} {{alignment = {align} : i64}} : {} -> {ty}", p.ty))
    }

    /// Writes a scalar or a whole aligned vector.
    pub fn store_aligned(&mut self, value: V, p: V) {
        let align = value.ty.k.bytes() * value.ty.lanes.max(1) as usize;
        self.line(format!("llvm.store {value}, {p} {{alignment = {align} : i64}} : {}, {}", value.ty, p.ty));
    }

    /// Reads memory, no further out than scope `floor`.
    pub fn load(&mut self, floor: u16, p: V, ty: Ty) -> V {
        let align = ty.k.bytes();
        self.reading(
            floor,
            ty,
            format!("llvm.load {p} {{alignment = {align} : i64}} : !llvm.ptr -> {ty}"),
            &[p],
        )
    }

    /// Reads the lanes where `mask` holds, `other` elsewhere.
    pub fn masked_load(&mut self, floor: u16, p: V, mask: V, other: V) -> V {
        let (ty, align) = (other.ty, other.ty.k.bytes());
        let text = format!(
            "llvm.intr.masked.load {p}, {mask}, {other} {{alignment = {align} : i32}} : (!llvm.ptr, {}, {ty}) -> {ty}",
            mask.ty
        );
        self.reading(floor, ty, text, &[p, mask, other])
    }

    /// Writes memory.
    pub fn store(&mut self, value: V, p: V) {
        let align = value.ty.k.bytes();
        self.line(format!("llvm.store {value}, {p} {{alignment = {align} : i64}} : {}, !llvm.ptr", value.ty));
    }

    /// Writes a whole aligned vector around the caches.
    pub fn store_streaming(&mut self, value: V, p: V) {
        let align = value.ty.k.bytes() * value.ty.lanes.max(1) as usize;
        let attrs = format!("{{alignment = {align} : i64, nontemporal}}");
        self.line(format!("llvm.store {value}, {p} {attrs} : {}, !llvm.ptr", value.ty));
    }

    /// Writes the lanes where `mask` holds.
    pub fn masked_store(&mut self, value: V, p: V, mask: V) {
        let align = value.ty.k.bytes();
        self.line(format!(
            "llvm.intr.masked.store {value}, {p}, {mask} {{alignment = {align} : i32}} : {}, {} into !llvm.ptr",
            value.ty, mask.ty
        ));
    }

    /// Asks for the line at `p` to come into the second-level cache.
    pub fn prefetch(&mut self, p: V) {
        self.line(format!(
            "\"llvm.intr.prefetch\"({p}) <{{rw = 0 : i32, hint = 2 : i32, cache = 1 : i32}}> : (!llvm.ptr) -> ()"
        ));
    }
}

impl Emit {
    /// All lanes +0.0.
    pub fn zero_float(&mut self, ty: Ty) -> V {
        let text = if ty.is_vector() {
            format!("arith.constant dense<0.0> : {ty}")
        } else {
            format!("arith.constant 0.0 : {ty}")
        };
        self.pure(ty, text, &[])
    }
}
