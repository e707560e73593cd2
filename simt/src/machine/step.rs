//! Executes a warp for a while: until it waits, ends, diverges, or has had its turn.

use super::cluster::Cluster;
use super::warp::{Group, Warp, lanes};
use super::{Machine, Run};
use crate::error::{Fault, FaultKind};
use crate::program::{Code, Edge, Inst, Op, Slot};

/// What an instruction does to the flow of its group.
pub(crate) enum Flow {
    /// On to the next instruction.
    Next,
    /// On, but other warps get a turn first if chance has it so.
    Pause,
    /// The group stays at this instruction until something happens.
    Block,
    /// The group's position is already set; `true` when its turn ends.
    Moved(bool),
}

/// A turn of one group of one warp. The warp is taken out of its cluster meanwhile.
pub(crate) struct Slice<'s, 'a, 'm> {
    pub(crate) machine: &'s mut Machine<'a, 'm>,
    pub(crate) cluster: &'s mut Cluster,
    pub(crate) warp: &'s mut Warp,
    pub(crate) group: usize,
    /// Index of the warp in the cluster.
    pub(crate) index: usize,
}

const TURN: u32 = 256;

impl<'a> Slice<'_, 'a, '_> {
    pub(crate) fn run(mut self) -> Run<()> {
        let code: &'a Code = &self.machine.kernel.code;
        let mut stop = self.next_group();
        for _ in 0..TURN {
            let group = &mut self.warp.groups[self.group];
            group.blocked = None;
            let pc = group.pc;
            if pc == stop && group.arrived.is_none() {
                let before = self.warp.groups.len();
                self.warp.merge();
                if self.warp.groups.len() != before {
                    return Ok(()); // the group's index may have changed
                }
            }
            let Some(inst) = code.insts.get(pc as usize) else {
                return Err(Fault::new(FaultKind::Trap, "control ran past the end of the kernel"));
            };
            self.machine.executed[pc as usize] += 1;
            self.warp.executed += 1;
            if self.warp.wgmma.active() {
                self.check_async_registers(code, inst)?;
            }
            match self.execute(code, inst)? {
                Flow::Next => self.warp.groups[self.group].pc = pc + 1,
                Flow::Pause => {
                    self.warp.groups[self.group].pc = pc + 1;
                    if self.machine.rng.one_in(4) {
                        break;
                    }
                }
                Flow::Block => {
                    self.machine.executed[pc as usize] -= 1;
                    // Groups that wait at one place go on as one.
                    let before = self.warp.groups.len();
                    self.warp.merge();
                    if self.warp.groups.len() != before {
                        return self.budget();
                    }
                    self.warp.groups[self.group].blocked = Some(self.machine.events);
                    return Ok(());
                }
                Flow::Moved(true) => return self.budget(),
                Flow::Moved(false) => {
                    if self.warp.groups.len() > 1 {
                        return self.budget();
                    }
                    stop = self.next_group();
                }
            }
        }
        self.budget()
    }

    fn budget(&mut self) -> Run<()> {
        let spent = std::mem::take(&mut self.warp.executed);
        self.machine.options.max_instructions = self.machine.options.max_instructions.saturating_sub(spent);
        if self.machine.options.max_instructions > 0 {
            return Ok(());
        }
        let group = self.warp.groups.first();
        let site = group.and_then(|group| self.machine.kernel.code.insts.get(group.pc as usize));
        let who = self.machine.who(self.cluster, self.warp, self.warp.live);
        let message = "the kernel executed more instructions than allowed; does a loop wait for something that \
                       never comes?";
        Err(self.machine.fault(FaultKind::Budget, message, site.map_or(0, |inst| inst.site), who))
    }

    /// The nearest position of another group at or behind this one.
    fn next_group(&self) -> u32 {
        let pc = self.warp.groups[self.group].pc;
        let others = self.warp.groups.iter().enumerate().filter(|(index, _)| *index != self.group);
        others.map(|(_, group)| group.pc).filter(|&other| other >= pc).min().unwrap_or(u32::MAX)
    }

    pub(crate) fn mask(&self) -> u64 {
        self.warp.groups[self.group].mask
    }

    pub(crate) fn fail<T>(
        &self,
        kind: FaultKind,
        message: impl Into<String>,
        inst: &Inst,
        mask: u64,
    ) -> Run<T> {
        let who = self.machine.who(self.cluster, self.warp, mask);
        Err(self.machine.fault(kind, message, inst.site, who))
    }

    /// Faults when a lane's value is undefined where it decides something.
    pub(crate) fn defined(&self, slot: Slot, mask: u64, what: &str, inst: &Inst) -> Run<()> {
        let bad = self.warp.poison[slot as usize] & mask;
        if bad == 0 || !self.machine.options.uninitialised {
            return Ok(());
        }
        let who = self.machine.who(self.cluster, self.warp, bad);
        let message = format!("an undefined value is used as {what}");
        let mut fault = self.machine.fault(FaultKind::Uninitialised, message, inst.site, who);
        if let Some(site) = self.warp.poison_site {
            fault
                .places
                .push(self.machine.place(site, "this warp, which read bytes that nobody wrote".into()));
        }
        Err(fault)
    }

    fn execute(&mut self, code: &Code, inst: &Inst) -> Run<Flow> {
        let src = code.sources(inst);
        let dst = code.results(inst);
        match &inst.op {
            Op::Jump(edge) => {
                let mask = self.mask();
                self.carry(edge, mask);
                Ok(self.go(edge.target, mask))
            }
            Op::Branch { yes, no } => {
                let mask = self.mask();
                self.defined(src[0], mask, "the condition of a branch", inst)?;
                let row = self.warp.row(src[0]);
                let taken = lanes(mask).filter(|&lane| row[lane] & 1 != 0).fold(0, |m, lane| m | 1 << lane);
                Ok(self.fork(&[(yes, taken), (no, mask & !taken)]))
            }
            Op::Switch { cases, default } => {
                let mut rest = self.mask();
                self.defined(src[0], rest, "the value of a switch", inst)?;
                let mut arms: Vec<(&Edge, u64)> = Vec::new();
                for (value, edge) in cases {
                    let row = self.warp.row(src[0]);
                    let taken =
                        lanes(rest).filter(|&lane| row[lane] == *value).fold(0, |m, lane| m | 1 << lane);
                    rest &= !taken;
                    arms.push((edge, taken));
                }
                arms.push((default, rest));
                Ok(self.fork(&arms))
            }
            Op::Return => {
                let mask = self.mask();
                self.warp.live &= !mask;
                let group = self.group;
                self.warp.groups.remove(group);
                self.machine.events += 1;
                self.lanes_ended();
                Ok(Flow::Moved(true))
            }
            Op::Trap => self.fail(
                FaultKind::Trap,
                "a trap, or a place said to be unreachable, was reached",
                inst,
                self.mask(),
            ),
            Op::Nop => Ok(Flow::Next),
            Op::SetMaxRegister { registers } => Ok(self.set_registers(*registers)),
            Op::Load(access) => self.load(access, src, dst, inst),
            Op::Store(access) => self.store(access, src, inst),
            Op::Atomic { op, ty, space, order, lanes } => {
                let kind =
                    super::atomic::Atomic { op: *op, ty: *ty, space: *space, order: *order, lanes: *lanes };
                self.atomic(&kind, src, dst, inst)
            }
            Op::Fence(order) => {
                self.fence(*order);
                if self.machine.chip.waves.is_some() {
                    self.lanes_meet();
                }
                Ok(Flow::Next)
            }
            Op::Shfl { mode } => self.shuffle(*mode, src, dst, inst),
            Op::Vote(vote) => self.vote(*vote, src, dst, inst),
            Op::Redux { op, signed, .. } => self.redux(*op, *signed, src, dst, inst),
            Op::MatchAny => self.match_any(src, dst, inst),
            Op::Elect => self.elect(src, dst, inst),
            Op::WarpSync => self.warp_sync(src, inst),
            Op::Barrier { has_id, counted, arrive_only, reduce } => {
                self.barrier(*has_id, *counted, *arrive_only, *reduce, src, dst, inst)
            }
            Op::ClusterArrive { releases } => self.cluster_arrive(*releases, inst),
            Op::ClusterWait => self.cluster_wait(inst),
            Op::MapA { from } => self.map_address(*from, src, dst, inst),
            Op::Mma(mma) => self.mma(mma, src, dst, inst),
            Op::LdMatrix { count, transposed } => self.ldmatrix(*count, *transposed, src, dst, inst),
            Op::StMatrix { count, transposed } => self.stmatrix(*count, *transposed, src, inst),
            Op::CpAsync { bytes, sized } => self.cp_async(*bytes, *sized, src, inst),
            Op::CpAsyncCommit => self.cp_async_commit(),
            Op::CpAsyncWait { pending } => self.cp_async_wait(*pending),
            Op::CpAsyncMbarArrive { counts } => self.cp_async_arrive(*counts, src, inst),
            Op::MbarInit => self.mbar_init(src, inst),
            Op::MbarInval => self.mbar_inval(src, inst),
            Op::MbarArrive { kind, counted, space, .. } => {
                self.mbar_arrive(*kind, *counted, *space, src, dst, inst)
            }
            Op::MbarExpectTx { space } => self.mbar_expect(*space, src, inst),
            Op::MbarWait { state, blocks, returns } => {
                self.mbar_wait(*state, *blocks, *returns, src, dst, inst)
            }
            Op::FenceMbarInit => self.fence_mbar_init(),
            Op::FenceProxyAsync => self.fence_proxy_async(inst),
            Op::BulkLoad { space, multicast } => self.bulk_load(*space, *multicast, src, inst),
            Op::BulkStore => self.bulk_store(src, inst),
            Op::TmaLoad { rank, space, multicast, predicated } => {
                self.tma_load(usize::from(*rank), *space, *multicast, *predicated, src, inst)
            }
            Op::TmaStore { rank, reduce, predicated } => {
                self.tma_store(usize::from(*rank), *reduce, *predicated, src, inst)
            }
            Op::BulkCommit => self.bulk_commit(),
            Op::BulkWait { pending, read } => self.bulk_wait(*pending, *read),
            Op::Wgmma(wgmma) => self.wgmma(wgmma, src, dst, inst),
            Op::WgmmaFence => self.wgmma_fence(inst),
            Op::WgmmaCommit => self.wgmma_commit(inst),
            Op::WgmmaWait { pending } => self.wgmma_wait(*pending, inst),
            Op::Wave(op) => self.wave(op, src, dst, inst),
            _ => {
                self.pure(inst, src, dst)?;
                Ok(Flow::Next)
            }
        }
    }

    /// Moves the whole group. Its turn ends when other groups are to be let past.
    fn go(&mut self, target: u32, mask: u64) -> Flow {
        let group = &mut self.warp.groups[self.group];
        group.pc = target;
        group.mask = mask;
        Flow::Moved(false)
    }

    /// Splits the group along the arms that have lanes.
    fn fork(&mut self, arms: &[(&Edge, u64)]) -> Flow {
        let mut first = true;
        for &(edge, mask) in arms.iter().filter(|(_, mask)| *mask != 0) {
            self.carry(edge, mask);
            if first {
                self.go(edge.target, mask);
                first = false;
            } else {
                self.warp.groups.push(Group { pc: edge.target, mask, arrived: None, blocked: None });
            }
        }
        Flow::Moved(false)
    }

    /// The values that a jump takes along.
    fn carry(&mut self, edge: &Edge, mask: u64) {
        let width = self.warp.width;
        if self.warp.wgmma.active() {
            self.warp.wgmma.carry(&edge.copies, mask == self.warp.live);
        }
        if edge.overlaps {
            let values: Vec<u64> =
                edge.copies.iter().flat_map(|&(_, from)| self.warp.row(from).iter().copied()).collect();
            let poison: Vec<u64> =
                edge.copies.iter().map(|&(_, from)| self.warp.poison[from as usize]).collect();
            for (index, &(to, _)) in edge.copies.iter().enumerate() {
                self.warp.write(to, mask, &values[index * width..][..width], poison[index]);
            }
            return;
        }
        for &(to, from) in &edge.copies {
            if mask == self.warp.lanes {
                let start = from as usize * width;
                self.warp.regs.copy_within(start..start + width, to as usize * width);
                self.warp.poison[to as usize] = self.warp.poison[from as usize];
            } else {
                for lane in lanes(mask) {
                    let value = self.warp.get(from, lane);
                    self.warp.set(to, lane, value);
                }
                let poison = self.warp.poison[from as usize];
                let old = &mut self.warp.poison[to as usize];
                *old = *old & !mask | poison & mask;
            }
        }
    }
}
