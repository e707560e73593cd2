//! Runs a kernel: launch, scheduling of warps, and the parts that execute instructions.

mod access;
mod arith;
mod atomic;
mod barrier;
mod buffer;
mod bulk;
mod chip;
mod cluster;
mod copies;
mod direct;
mod fragment;
mod lanes;
mod mbarrier;
mod memory;
mod mfma;
mod mma;
mod race;
mod registers;
mod rng;
mod schedule;
mod stats;
mod step;
mod tensor_map;
mod warp;
mod warp_ops;
mod wave;
mod wgmma;

use crate::error::{Error, Fault, FaultKind, Place};
use crate::program::{Kernel, Program, SHARED_BASE};
use crate::text::Scalar;
pub use chip::{Chip, Fp8Formats, Matrices, Waves};
pub(crate) use fragment::fragment_words;
pub use memory::Memory;
pub use stats::{SharedAccess, Stats};
pub use tensor_map::{Swizzle, TensorMap};

use cluster::Cluster;
use race::{Actor, Conflict, Races};
use rng::Rng;

/// The value of a kernel's parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arg {
    /// A scalar or a pointer, as its bits.
    Bits(u64),
    /// A `byval` parameter (a tensor map), or a vector or struct as it lies in memory.
    Bytes(Vec<u8>),
}

/// When asynchronous copies and matrix operations take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// As soon as they are issued.
    Early,
    /// Only when someone waits for them.
    Late,
    /// At random in between.
    Random,
}

/// How to run: all of it is deterministic in the seed.
#[derive(Debug, Clone)]
pub struct Options {
    /// Decides the order of warps, where they are interrupted, and (unless `timing` says) when copies land.
    pub seed: u64,
    /// When asynchronous work lands; `None` lets the seed choose.
    pub timing: Option<Timing>,
    /// Report unordered accesses to shared and global memory.
    pub races: bool,
    /// Report undefined values that reach memory, addresses, branches or matrix operands.
    pub uninitialised: bool,
    /// How many clusters run side by side.
    pub resident: usize,
    /// The most instructions (each once a warp) before the run is given up.
    pub max_instructions: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            seed: 0,
            timing: None,
            races: true,
            uninitialised: true,
            resident: 2,
            max_instructions: 1 << 32,
        }
    }
}

impl Options {
    /// The defaults with this seed.
    pub fn seeded(seed: u64) -> Self {
        Options { seed, ..Options::default() }
    }
}

/// One launch of one kernel.
pub struct Launch<'a, 'm> {
    /// The kernel's symbol.
    pub kernel: &'a str,
    /// Blocks along x, y, z.
    pub grid: [u32; 3],
    /// Threads of a block along x, y, z.
    pub block: [u32; 3],
    /// Bytes of the `external` shared array.
    pub dynamic_shared: u64,
    /// One for each parameter.
    pub args: &'a [Arg],
    /// What the kernel may touch.
    pub memory: &'a mut Memory<'m>,
    /// The chip to be.
    pub chip: &'a Chip,
    /// Seed and checks.
    pub options: Options,
}

/// A result that may be the kernel's fault.
pub(crate) type Run<T> = Result<T, Box<Fault>>;

/// The state that all clusters share.
pub(crate) struct Machine<'a, 'm> {
    pub(crate) program: &'a Program,
    pub(crate) kernel: &'a Kernel,
    pub(crate) chip: &'a Chip,
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) cluster_dim: [u32; 3],
    pub(crate) shared_bytes: usize,
    pub(crate) memory: &'a mut Memory<'m>,
    /// Variables of the module outside shared memory.
    pub(crate) data: Vec<u8>,
    pub(crate) params: Vec<u8>,
    pub(crate) param_bits: Vec<(u32, u64)>,
    pub(crate) races: Races,
    pub(crate) atomics: atomic::SyncVars,
    pub(crate) stats: Stats,
    pub(crate) rng: Rng,
    pub(crate) timing: Timing,
    pub(crate) options: Options,
    /// Counts everything that could let a waiting group go on.
    pub(crate) events: u64,
    /// Executions by site; names are looked up at the end.
    pub(crate) executed: Vec<u64>,
    pub(crate) shared_stats: std::collections::HashMap<u32, SharedAccess>,
}

impl Program {
    /// Runs a kernel to its end, or to its first fault.
    pub fn run(&self, launch: Launch<'_, '_>) -> Result<Stats, Box<Fault>> {
        let mut machine = Machine::new(self, launch)?;
        machine.memory.forget();
        machine.run_grid()?;
        Ok(machine.finish())
    }
}

impl<'a, 'm> Machine<'a, 'm> {
    fn new(program: &'a Program, launch: Launch<'a, 'm>) -> Result<Self, Error> {
        let Launch { kernel: name, grid, block, dynamic_shared, args, memory, chip, options } = launch;
        let refuse = |message: String| Err(Error::Launch(message));
        let Some(kernel) = program.kernel(name) else {
            let names: Vec<&str> = program.kernels().iter().map(|kernel| kernel.name.as_str()).collect();
            return refuse(format!("no kernel `{name}` in this module; it has {}", names.join(", ")));
        };
        let threads: u64 = block.iter().map(|&extent| u64::from(extent)).product();
        if threads == 0 || threads > u64::from(chip.threads) {
            return refuse(format!("{threads} threads a block; {} takes 1 to {}", chip.name, chip.threads));
        }
        if kernel.block.is_some_and(|required| required != block) {
            return refuse(format!("`{name}` was compiled for blocks of {:?}, not {block:?}", kernel.block));
        }
        if kernel.max_threads.is_some_and(|most| threads > u64::from(most)) {
            return refuse(format!(
                "`{name}` was compiled for at most {:?} threads, not {threads}",
                kernel.max_threads
            ));
        }
        let cluster_dim = kernel.cluster.unwrap_or([1; 3]);
        let cluster_size: u64 = cluster_dim.iter().map(|&extent| u64::from(extent)).product();
        if cluster_size == 0 || cluster_size > u64::from(chip.cluster) {
            return refuse(format!(
                "clusters of {cluster_size} blocks; {} takes up to {}",
                chip.name, chip.cluster
            ));
        }
        if grid.contains(&0) || grid[0] > i32::MAX as u32 || grid[1] > 65535 || grid[2] > 65535 {
            return refuse(format!("a grid of {grid:?}; x goes to 2147483647, y and z to 65535"));
        }
        if (0..3).any(|axis| !grid[axis].is_multiple_of(cluster_dim[axis])) {
            return refuse(format!("a grid of {grid:?} is not made of clusters of {cluster_dim:?}"));
        }
        let shared = kernel.dynamic_at.max(kernel.static_shared) + dynamic_shared;
        if shared > chip.shared {
            return refuse(format!("{shared} bytes of shared memory; {} has {}", chip.name, chip.shared));
        }
        let (mut params, param_bits) = bind(kernel, args)?;
        if let Some(at) = kernel.code.packet_at {
            write_packet(&mut params[at as usize..], block, grid);
        }
        let timing = options.timing.unwrap_or(match options.seed % 3 {
            0 => Timing::Late,
            1 => Timing::Early,
            _ => Timing::Random,
        });
        let data = kernel.code.data.clone();
        Ok(Machine {
            program,
            kernel,
            chip,
            grid,
            block,
            cluster_dim,
            shared_bytes: shared as usize,
            memory,
            data,
            params,
            param_bits,
            races: Races::default(),
            atomics: Default::default(),
            stats: Stats::default(),
            rng: Rng::new(options.seed),
            timing,
            options,
            events: 1,
            executed: vec![0; kernel.code.insts.len()],
            shared_stats: Default::default(),
        })
    }

    fn finish(mut self) -> Stats {
        for (inst, &count) in self.kernel.code.insts.iter().zip(&self.executed) {
            self.stats.instructions += count;
            if let Some(site) = self.program.site(inst.site).filter(|_| count > 0) {
                *self.stats.by_kind.entry(site.op.clone()).or_default() += count;
            }
        }
        for (site, access) in &self.shared_stats {
            if let Some(site) = self.program.site(*site) {
                let sum = self.stats.shared.entry((site.loc.clone(), site.op.clone())).or_default();
                sum.executed += access.executed;
                sum.wavefronts += access.wavefronts;
                sum.ideal += access.ideal;
            }
        }
        self.stats
    }

    /// The place of an operation, with who is there.
    pub(crate) fn place(&self, site: u32, who: String) -> Place {
        let site = self.program.site(site);
        Place {
            loc: site.and_then(|site| site.loc.clone()),
            op: site.map_or_else(|| "?".to_owned(), |site| site.op.clone()),
            who,
        }
    }

    /// A fault at one place.
    pub(crate) fn fault(
        &self,
        kind: FaultKind,
        message: impl Into<String>,
        site: u32,
        who: String,
    ) -> Box<Fault> {
        let mut fault = Fault::new(kind, message);
        fault.places.push(self.place(site, who));
        fault
    }

    /// The report of a conflict between `actor` (now) and an earlier access.
    pub(crate) fn conflict(
        &self,
        conflict: Conflict,
        actor: &Actor<'_>,
        what: &str,
        writes: bool,
        who: String,
    ) -> Box<Fault> {
        let verb = |writes: bool| if writes { "written" } else { "read" };
        let earlier = |info: race::AccessInfo, lane: u32| {
            let lane = if lane == race::MANY { "several lanes".to_owned() } else { format!("lane {lane}") };
            self.place(info.site, format!("{}, {lane}", self.agent_name(info.agent)))
        };
        let (kind, message, place) = match conflict {
            Conflict::Race(info, lane, wrote) => (
                FaultKind::Race,
                format!(
                    "race: {what} is {} while nothing orders that after an earlier access, by which it was {}",
                    verb(writes),
                    verb(wrote)
                ),
                earlier(info, lane),
            ),
            Conflict::Proxy(info, lane) => (
                FaultKind::ProxyFence,
                format!(
                    "{what} was written by ordinary stores, and no `fence.proxy.async` comes before this access"
                ),
                earlier(info, lane),
            ),
        };
        let mut fault = self.fault(kind, message, actor.info.site, who);
        fault.places.push(place);
        fault
    }

    fn agent_name(&self, agent: u32) -> String {
        let cluster = agent >> race::AGENT_BITS;
        let local = agent & ((1 << race::AGENT_BITS) - 1);
        let warps = self.warps_per_block() as u32;
        let blocks = self.cluster_size() as u32;
        let cta = local / (cluster::AGENTS_PER_WARP * warps);
        if cta >= blocks {
            return "a bulk copy".to_owned();
        }
        let rest = local % (cluster::AGENTS_PER_WARP * warps);
        let kind = match rest / warps {
            0 => "",
            1 if self.chip.waves.is_some() => ", direct copy to LDS",
            1 => ", cp.async",
            2 => ", wgmma",
            3 => ", bulk copy (reading)",
            _ => ", bulk copy (writing)",
        };
        let id = self.block_id(cluster, cta as usize);
        format!("block {id:?} warp {}{kind}", rest % warps)
    }

    pub(crate) fn warps_per_block(&self) -> usize {
        let threads: u32 = self.block.iter().product();
        threads.div_ceil(self.chip.warp) as usize
    }

    pub(crate) fn cluster_size(&self) -> usize {
        self.cluster_dim.iter().map(|&extent| extent as usize).product()
    }

    /// Coordinates of a block, from its cluster's number and its rank in it.
    pub(crate) fn block_id(&self, cluster: u32, rank: usize) -> [u32; 3] {
        let clusters = [0, 1, 2].map(|axis| self.grid[axis] / self.cluster_dim[axis]);
        let at = unlinear(cluster, clusters);
        let inner = unlinear(rank as u32, self.cluster_dim);
        [0, 1, 2].map(|axis| at[axis] * self.cluster_dim[axis] + inner[axis])
    }

    pub(crate) fn cluster_count(&self) -> u32 {
        [0, 1, 2]
            .map(|axis| self.grid[axis] / self.cluster_dim[axis])
            .iter()
            .fold(1u32, |a, &b| a.saturating_mul(b))
    }

    /// The shared-memory offset of an address in a block's window, when `bytes` from there exist.
    pub(crate) fn shared_offset(&self, address: u64, bytes: usize) -> Option<usize> {
        let at = usize::try_from(address.checked_sub(SHARED_BASE)?).ok()?;
        (at.checked_add(bytes)? <= self.shared_bytes).then_some(at)
    }

    pub(crate) fn who(&self, cluster: &Cluster, warp: &warp::Warp, mask: u64) -> String {
        let id = self.block_id(cluster.number, warp.cta);
        let all = mask == warp.lanes;
        let lanes = if all { "all lanes".to_owned() } else { describe_lanes(mask) };
        format!("block {id:?} warp {} {lanes}", warp.number)
    }
}

pub(crate) fn describe_lanes(mask: u64) -> String {
    let lanes: Vec<String> = warp::lanes(mask).take(5).map(|lane| lane.to_string()).collect();
    let more = if mask.count_ones() > 5 { ", …" } else { "" };
    format!("lanes {}{more}", lanes.join(", "))
}

pub(crate) fn unlinear(index: u32, extents: [u32; 3]) -> [u32; 3] {
    [index % extents[0], index / extents[0] % extents[1], index / extents[0] / extents[1]]
}

/// Parameter space, and the values of slots.
type Bound = (Vec<u8>, Vec<(u32, u64)>);

/// Checks the arguments; gives parameter space and the values of scalar parameters' slots.
fn bind(kernel: &Kernel, args: &[Arg]) -> Result<Bound, Error> {
    if args.len() != kernel.params.len() {
        return Err(Error::Launch(format!(
            "`{}` takes {} arguments, {} given",
            kernel.name,
            kernel.params.len(),
            args.len()
        )));
    }
    let mut space = vec![0; kernel.code.param_bytes as usize];
    let mut slots = Vec::new();
    for (index, (param, arg)) in kernel.params.iter().zip(args).enumerate() {
        let wrong = |what: &str| Err(Error::Launch(format!("argument {index} of `{}`: {what}", kernel.name)));
        match arg {
            Arg::Bytes(bytes) if bytes.len() as u64 != param.bytes => {
                return wrong(&format!("{} bytes expected, {} given", param.bytes, bytes.len()));
            }
            Arg::Bytes(bytes) if param.byval => {
                let at = param.offset as usize;
                space[at..at + bytes.len()].copy_from_slice(bytes);
            }
            Arg::Bytes(bytes) => {
                for &(at, scalar, slot) in &param.slots {
                    slots.push((slot, read_scalar(&bytes[at as usize..], scalar)));
                }
            }
            Arg::Bits(_) if param.byval => return wrong("bytes expected"),
            Arg::Bits(bits) => match param.slots[..] {
                [(_, scalar, slot)] => {
                    let width = scalar.bits();
                    slots.push((slot, if width == 64 { *bits } else { bits & ((1 << width) - 1) }));
                }
                _ => return wrong("bytes expected"),
            },
        }
    }
    Ok((space, slots))
}

/// The packet of a dispatch as HSA lays it out: the sizes of a workgroup in 16 bits each from byte 4, those of the grid, in
/// work-items, in 32 bits each from byte 12.
fn write_packet(bytes: &mut [u8], block: [u32; 3], grid: [u32; 3]) {
    for axis in 0..3 {
        let items = grid[axis].wrapping_mul(block[axis]);
        bytes[4 + 2 * axis..][..2].copy_from_slice(&(block[axis] as u16).to_le_bytes());
        bytes[12 + 4 * axis..][..4].copy_from_slice(&items.to_le_bytes());
    }
}

/// A scalar as it lies in memory.
pub(crate) fn read_scalar(bytes: &[u8], scalar: Scalar) -> u64 {
    let size = scalar.bytes() as usize;
    let mut word = [0; 8];
    word[..size].copy_from_slice(&bytes[..size]);
    let value = u64::from_le_bytes(word);
    match scalar.bits() {
        64 => value,
        bits => value & ((1 << bits) - 1),
    }
}
