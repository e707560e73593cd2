//! Atomic updates of words: in global memory and in LDS.

use crate::error::Outcome;
use crate::launch::Group;
use crate::text::Line;
use crate::wave::{Lanes, Part, Target, Wave};

/// Old and given word to the new one.
pub(crate) type Update = fn(u32, u32) -> u32;

fn sum(a: u32, b: u32) -> u32 {
    (f32::from_bits(a) + f32::from_bits(b)).to_bits()
}

/// Names without their size, as CDNA and RDNA have them.
const UPDATES: [(&str, Update); 33] = [
    ("add", u32::wrapping_add),
    ("add_u32", u32::wrapping_add),
    ("add_f32", sum),
    ("sub", u32::wrapping_sub),
    ("sub_u32", u32::wrapping_sub),
    ("smax", |a, b| (a as i32).max(b as i32) as u32),
    ("smin", |a, b| (a as i32).min(b as i32) as u32),
    ("max_i32", |a, b| (a as i32).max(b as i32) as u32),
    ("min_i32", |a, b| (a as i32).min(b as i32) as u32),
    ("umax", |a, b| a.max(b)),
    ("umin", |a, b| a.min(b)),
    ("max_u32", |a, b| a.max(b)),
    ("min_u32", |a, b| a.min(b)),
    ("max_f32", |a, b| f32::from_bits(a).max(f32::from_bits(b)).to_bits()),
    ("min_f32", |a, b| f32::from_bits(a).min(f32::from_bits(b)).to_bits()),
    ("and", |a, b| a & b),
    ("or", |a, b| a | b),
    ("xor", |a, b| a ^ b),
    ("and_b32", |a, b| a & b),
    ("or_b32", |a, b| a | b),
    ("xor_b32", |a, b| a ^ b),
    ("swap", |_, b| b),
    ("swap_b32", |_, b| b),
    ("wrxchg_b32", |_, b| b),
    ("add_rtn_u32", u32::wrapping_add),
    ("add_rtn_f32", sum),
    ("sub_rtn_u32", u32::wrapping_sub),
    ("max_rtn_u32", |a, b| a.max(b)),
    ("min_rtn_u32", |a, b| a.min(b)),
    ("max_rtn_i32", |a, b| (a as i32).max(b as i32) as u32),
    ("min_rtn_i32", |a, b| (a as i32).min(b as i32) as u32),
    ("or_rtn_b32", |a, b| a | b),
    ("wrxchg_rtn_b32", |_, b| b),
];

pub(crate) fn update(name: &str) -> Option<Update> {
    UPDATES.iter().find(|(n, _)| *n == name).map(|(_, f)| *f)
}

/// An atomic operation on global memory.
#[derive(Clone, Copy)]
pub(crate) struct Atomic {
    /// `None` compares and swaps.
    update: Option<Update>,
    /// The old value is given back.
    pub(crate) returns: bool,
    /// Register of the data; compare and swap has the new value, then the expected one.
    data: u16,
    result: u16,
    /// Stores are counted apart.
    apart: bool,
}

impl Atomic {
    /// `None` for an unknown operation.
    pub(crate) fn find(line: &Line, name: &str, apart: bool) -> Option<(Option<Update>, bool, bool)> {
        let returns = line.flag("sc0") || line.flag("glc");
        let swaps = matches!(name, "cmpswap" | "cmpswap_b32");
        if swaps { Some((None, returns, apart)) } else { Some((Some(update(name)?), returns, apart)) }
    }

    pub(crate) fn new(
        (update, returns, apart): (Option<Update>, bool, bool),
        data: u16,
        result: u16,
    ) -> Atomic {
        Atomic { update, returns, data, result, apart }
    }

    /// Lane by lane, in order.
    pub(crate) fn run(
        &self,
        wave: &mut Wave,
        group: &mut Group<'_, '_>,
        place: &dyn Fn(usize) -> Option<u64>,
    ) -> Outcome {
        let data: Lanes = *wave.vector(self.data)?;
        let expected = if self.update.is_none() { *wave.vector(self.data + 1)? } else { data };
        let mut old = [0; 64];
        for lane in (0..64).filter(|lane| wave.exec >> lane & 1 == 1) {
            let Some(address) = place(lane) else { continue };
            let to = group.memory.write(address, 4).map_err(|e| format!("lane {lane}: {e}"))?;
            let before = u32::from_le_bytes([to[0], to[1], to[2], to[3]]);
            let after = match self.update {
                Some(f) => f(before, data[lane]),
                None if before == expected[lane] => data[lane],
                None => before,
            };
            to.copy_from_slice(&after.to_le_bytes());
            old[lane] = before;
        }
        if !self.returns {
            wave.count_store(self.apart);
            return Ok(());
        }
        let target = Target { register: self.result, count: 1, part: Part::Whole, signed: false };
        let mask = wave.exec;
        wave.begin_load(target, mask, 4, [old, [0; 64], [0; 64], [0; 64]])
    }
}
