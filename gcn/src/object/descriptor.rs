//! The kernel descriptor: 64 bytes by which the hardware starts a wave (AMDGPU usage guide, "Kernel Descriptor").

/// The fields that matter here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Descriptor {
    pub(crate) lds: u32,
    /// Bytes of scratch of a lane.
    pub(crate) scratch: u32,
    pub(crate) arguments: u32,
    /// From the descriptor to the first instruction.
    pub(crate) entry: i64,
    rsrc: [u32; 3],
    properties: u16,
    preload: u16,
}

/// What lies in scalar registers at the start, in this order, where its bit of the properties is set.
pub(crate) const USER_REGISTERS: [(u16, User, u8); 7] = [
    (1 << 0, User::ScratchBuffer, 4),
    (1 << 1, User::Other("the dispatch packet"), 2),
    (1 << 2, User::Other("the queue"), 2),
    (1 << 3, User::Arguments, 2),
    (1 << 4, User::Other("the dispatch id"), 2),
    (1 << 5, User::ScratchBase, 2),
    (1 << 6, User::Other("the scratch size"), 1),
];

/// A value in user registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    ScratchBuffer,
    Arguments,
    ScratchBase,
    /// Stays undefined.
    Other(&'static str),
}

impl Descriptor {
    pub(super) fn read(bytes: &[u8]) -> Option<Descriptor> {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let short = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        Some(Descriptor {
            lds: word(0)?,
            scratch: word(4)?,
            arguments: word(8)?,
            entry: i64::from_le_bytes(bytes.get(16..24)?.try_into().ok()?),
            rsrc: [word(48)?, word(52)?, word(44)?],
            properties: short(56)?,
            preload: short(58)?,
        })
    }

    fn field(&self, word: usize, at: u32, bits: u32) -> u32 {
        self.rsrc[word - 1] >> at & ((1 << bits) - 1)
    }

    pub(crate) fn wave32(&self) -> bool {
        self.properties >> 10 & 1 == 1
    }

    /// What user registers hold that is not modelled.
    pub(super) fn unmodelled(&self) -> impl Iterator<Item = &'static str> {
        let asked = USER_REGISTERS.iter().filter(|(bit, ..)| self.has(*bit));
        asked.filter_map(|(_, user, _)| if let User::Other(what) = user { Some(*what) } else { None })
    }

    pub(crate) fn has(&self, property: u16) -> bool {
        self.properties & property != 0
    }

    /// User registers in all, which may be more than those that hold something.
    pub(crate) fn user_registers(&self) -> u8 {
        self.field(2, 1, 5) as u8
    }

    /// Words of arguments that lie in user registers: where they begin, how many.
    pub(crate) fn preload(&self) -> (usize, usize) {
        (usize::from(self.preload >> 7), usize::from(self.preload & 0x7f))
    }

    /// Which axes of the work group's number lie behind the user registers.
    pub(crate) fn group_axes(&self) -> [bool; 3] {
        [7, 8, 9].map(|bit| self.field(2, bit, 1) == 1)
    }

    /// The work item's axes beyond the first that are packed into the first vector register.
    pub(crate) fn item_axes(&self) -> u32 {
        self.field(2, 11, 2)
    }

    /// Subnormal numbers become zeros: of 32 bits; of 16 and 64 bits.
    pub(crate) fn flushes(&self) -> [bool; 2] {
        [16, 18].map(|at| self.field(1, at, 2) != 3)
    }

    /// Registers of vectors and of accumulators.
    pub(crate) fn vectors(&self, accumulators: bool) -> (u16, u16) {
        let all = (self.field(1, 0, 6) as u16 + 1) * 8;
        if !accumulators {
            return (all, 0);
        }
        let first = (self.field(3, 0, 6) as u16 + 1) * 4;
        (first.min(all), all.saturating_sub(first))
    }
}
