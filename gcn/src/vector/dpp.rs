//! DPP: the first operand comes from another lane of the wave.

use crate::error::Trouble;
use crate::text::Line;
use crate::wave::{Lanes, Wave};

/// Which lane each lane reads, and what happens where there is none.
pub(super) struct Dpp {
    from: [u8; 64],
    /// Lanes whose source exists.
    exists: u64,
    /// Lanes that the masks of rows and banks enable.
    enabled: u64,
    /// Zero instead of no write where there is no source.
    zero: bool,
    /// Inactive lanes may be read.
    fetch_inactive: bool,
}

/// A control: its value and a lane to the lane that is read.
type Move = fn(i64, i64) -> Option<i64>;

fn in_row(lane: i64, place: i64) -> Option<i64> {
    (0..16).contains(&place).then_some(lane & !15 | place)
}

const MOVES: [(&str, Move); 9] = [
    ("row_shr", |k, lane| in_row(lane, (lane & 15) - k)),
    ("row_shl", |k, lane| in_row(lane, (lane & 15) + k)),
    ("row_ror", |k, lane| in_row(lane, (lane - k) & 15)),
    ("row_xmask", |k, lane| in_row(lane, (lane & 15) ^ k)),
    ("row_share", |k, lane| in_row(lane, k)),
    ("row_newbcast", |k, lane| in_row(lane, k)),
    ("row_mirror", |_, lane| Some(lane ^ 15)),
    ("row_half_mirror", |_, lane| Some(lane ^ 7)),
    ("row_bcast", |k, lane| match k {
        15 => (lane >= 16).then_some((lane & !15) - 1),
        _ => (lane >= 32).then_some(31),
    }),
];

impl Dpp {
    /// What a line says; `None` for one without DPP.
    pub(super) fn of(line: &Line) -> Result<Option<Dpp>, Trouble> {
        if !line.mnemonic.ends_with("_dpp") {
            return Ok(None);
        }
        let mask = |name: &str| line.modifier(name).map_or(15, |_| line.number(name));
        let (rows, banks) = (mask("row_mask"), mask("bank_mask"));
        let named = MOVES.iter().find(|(name, _)| line.flag(name));
        let mut dpp = Dpp {
            from: [0; 64],
            exists: 0,
            enabled: 0,
            zero: line.flag("bound_ctrl"),
            fetch_inactive: line.number("fi") == 1,
        };
        for lane in 0..64i64 {
            let from = match named {
                Some((name, f)) => f(line.number(name), lane),
                None if line.flag("quad_perm") => {
                    Some(lane & !3 | i64::from(line.entry("quad_perm", lane as usize & 3, 0)))
                }
                None => return Err(format!("an unknown way across lanes: `{}`", line.rest)),
            };
            dpp.from[lane as usize] = from.unwrap_or(0) as u8;
            dpp.exists |= u64::from(from.is_some()) << lane;
            let enabled = rows >> (lane / 16) & 1 == 1 && banks >> ((lane / 4) & 3) & 1 == 1;
            dpp.enabled |= u64::from(enabled) << lane;
        }
        Ok(Some(dpp))
    }

    /// Moves lanes; gives those that are written.
    pub(super) fn apply(&self, wave: &Wave, lanes: &mut Lanes) -> u64 {
        let readable = if self.fetch_inactive { u64::MAX } else { wave.exec };
        let old = *lanes;
        let mut valid = 0;
        for (lane, &from) in self.from.iter().enumerate() {
            let ok = self.exists >> lane & 1 == 1 && readable >> from & 1 == 1;
            lanes[lane] = if ok { old[usize::from(from)] } else { 0 };
            valid |= u64::from(ok) << lane;
        }
        wave.exec & self.enabled & if self.zero { u64::MAX } else { valid }
    }
}
