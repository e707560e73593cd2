//! The blocks of a cluster, their shared memory, barriers and pending asynchronous work.

use std::collections::BTreeMap;

use super::Machine;
use super::barrier::{Barrier, ClusterBarrier};
use super::copies::Pending;
use super::mbarrier::Mbar;
use super::race::{AGENT_BITS, Cell, Knowledge};
use super::warp::{Group, Warp};
use crate::program::Constant;

/// The warp itself, its `cp.async`, its `wgmma`, its bulk copies as readers of shared memory and as writers.
pub(crate) const AGENTS_PER_WARP: u32 = 5;

pub(crate) struct Cta {
    pub(crate) id: [u32; 3],
    /// Shared memory, from `SHARED_BASE` on.
    pub(crate) shared: Vec<u8>,
    /// Whether a byte was ever written.
    pub(crate) init: Vec<bool>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) barriers: [Barrier; 16],
    /// Registers that warps have given back.
    pub(crate) free_registers: u32,
    /// Initialised mbarriers by their offset.
    pub(crate) mbars: BTreeMap<usize, Mbar>,
}

pub(crate) struct Cluster {
    pub(crate) number: u32,
    pub(crate) ctas: Vec<Cta>,
    /// Block after block.
    pub(crate) warps: Vec<Warp>,
    pub(crate) barrier: ClusterBarrier,
    pub(crate) pending: Vec<Pending>,
    /// Agents handed out to mbarriers so far.
    pub(crate) mbar_agents: u32,
}

impl Cluster {
    pub(crate) fn new(machine: &Machine<'_, '_>, number: u32) -> Cluster {
        let warps_per_block = machine.warps_per_block();
        let threads: u32 = machine.block.iter().product();
        let width = machine.chip.warp as usize;
        let code = &machine.kernel.code;
        let mut warps = Vec::new();
        let mut ctas = Vec::new();
        for rank in 0..machine.cluster_size() {
            let bytes = machine.shared_bytes;
            ctas.push(Cta {
                id: machine.block_id(number, rank),
                // A pattern that makes a read of nothing easy to see in a wrong result.
                shared: vec![0xcd; bytes],
                init: vec![false; bytes],
                cells: vec![Cell::default(); bytes],
                barriers: Default::default(),
                free_registers: 0,
                mbars: BTreeMap::new(),
            });
            for index in 0..warps_per_block {
                let here = (threads as usize - index * width).min(width);
                let lanes = if here == 64 { u64::MAX } else { (1 << here) - 1 };
                let agent = agent(number, rank, warps_per_block, 0, index);
                let mut warp = Warp {
                    number: index as u32,
                    cta: rank,
                    agent,
                    copy_agent: self::agent(number, rank, warps_per_block, 1, index),
                    width,
                    registers: machine.registers_at_first(),
                    regs: vec![0; code.slots as usize * width],
                    poison: vec![u64::MAX; code.slots as usize],
                    groups: vec![Group { pc: 0, mask: lanes, arrived: None, blocked: None }],
                    lanes,
                    live: lanes,
                    known: Knowledge::new(number),
                    local: vec![0; code.local_bytes as usize * width],
                    local_init: vec![false; code.local_bytes as usize * width],
                    copy_groups: vec![0; width],
                    bulk_groups: vec![0; width],
                    ..Warp::default()
                };
                if code.uses_wgmma {
                    warp.wgmma.prepare(code.slots as usize);
                }
                warp.known.seen.raise(agent, 1);
                let constants = code.constants.iter().filter_map(|&(slot, constant)| match constant {
                    Constant::Bits(bits) => Some((slot, bits)),
                    Constant::Poison => None,
                });
                for (slot, bits) in constants.chain(machine.param_bits.iter().copied()) {
                    let start = slot as usize * width;
                    warp.regs[start..start + width].fill(bits);
                    warp.poison[slot as usize] = 0;
                }
                warps.push(warp);
            }
        }
        Cluster {
            number,
            ctas,
            warps,
            barrier: ClusterBarrier::default(),
            pending: Vec::new(),
            mbar_agents: 0,
        }
    }

    /// An agent of the cluster: `kind` counts as in [`AGENTS_PER_WARP`].
    pub(crate) fn agent(&self, cta: usize, kind: u32, warp: u32) -> u32 {
        let per_block = self.warps.len() / self.ctas.len();
        agent(self.number, cta, per_block, kind, warp as usize)
    }

    /// A fresh agent for the transfers of an mbarrier. Past the limit they share the last one.
    pub(crate) fn mbar_agent(&mut self) -> u32 {
        let first = AGENTS_PER_WARP * self.warps.len() as u32;
        let local = (first + self.mbar_agents).min((1 << AGENT_BITS) - 1);
        self.mbar_agents += 1;
        self.number << AGENT_BITS | local
    }

    /// Whether all warps of a block have ended, after which nobody may touch its shared memory.
    pub(crate) fn ended(&self, cta: usize) -> bool {
        self.warps.iter().filter(|warp| warp.cta == cta).all(Warp::done)
    }

    pub(crate) fn done(&self) -> bool {
        self.warps.iter().all(Warp::done)
    }
}

fn agent(cluster: u32, cta: usize, warps_per_block: usize, kind: u32, warp: usize) -> u32 {
    let per_block = AGENTS_PER_WARP as usize * warps_per_block;
    let local = cta * per_block + kind as usize * warps_per_block + warp;
    cluster << AGENT_BITS | (local as u32).min((1 << AGENT_BITS) - 1)
}
