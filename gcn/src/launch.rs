//! A launch: arguments in memory, registers as the hardware sets them up, waves in turns.

use crate::error::{Fault, Outcome, Trouble};
use crate::memory::Memory;
use crate::object::{Object, USER_REGISTERS, User};
use crate::rng::Rng;
use crate::storage::SCRATCH_BUFFER;
use crate::text::ACCUMULATORS;
use crate::wave::{EXEC, State, Wave};

/// What to run, and on what.
pub struct Launch<'l, 'm> {
    /// Work groups on each axis.
    pub grid: [u32; 3],
    /// Work items of a group on each axis.
    pub block: [u32; 3],
    /// One value for each argument of the metadata.
    pub args: &'l [u64],
    /// The buffers.
    pub memory: &'l mut Memory<'m>,
    /// Decides what is undefined, and the order of waves.
    pub seed: u64,
}

/// What a launch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Instructions, counted once a wave.
    pub instructions: u64,
    /// Waves.
    pub waves: u64,
}

/// What the waves of a group share.
pub(crate) struct Group<'g, 'm> {
    pub(crate) memory: &'g mut Memory<'m>,
    pub(crate) lds: Vec<u8>,
    pub(crate) rng: Rng,
}

/// More instructions of a wave than any kernel of ours has: it hangs.
const MOST_STEPS: u64 = 50_000_000;
/// Instructions that a wave runs before another one takes its turn; one of these.
const TURNS: [u32; 4] = [7, 50, 400, 5000];
/// What the counter of vector memory (six bits) can say.
const MOST_UNDER_WAY: usize = 63;
/// Arguments begin at a multiple of 64 bytes, and whole lines of 16 may be read.
const ARGUMENT_LINE: usize = 16;

pub(crate) fn run(object: &Object, launch: Launch<'_, '_>) -> Result<Stats, Fault> {
    let Launch { grid, block, args, memory, seed } = launch;
    let threads: u64 = block.iter().map(|&n| u64::from(n)).product();
    if !(1..=1024).contains(&threads) || (block[1], block[2]) != (1, 1) || object.descriptor.item_axes() != 0
    {
        return Err(Fault::launch(format!(
            "groups of {block:?} work items; up to 1024 along one axis are known"
        )));
    }
    if threads > object.metadata.group {
        let most = object.metadata.group;
        return Err(Fault::launch(format!("groups of {threads} work items, the metadata allows {most}")));
    }
    if object.descriptor.lds > object.chip.lds {
        return Err(Fault::launch(format!("{} bytes of LDS", object.descriptor.lds)));
    }
    let mut rng = Rng::new(seed);
    let segment = arguments(object, args, (grid, block), &mut rng).map_err(Fault::launch)?;
    let address = memory.add(segment.clone());
    let mut groups: Vec<[u32; 3]> = Vec::new();
    for z in 0..grid[2] {
        groups.extend((0..grid[1]).flat_map(|y| (0..grid[0]).map(move |x| [x, y, z])));
    }
    rng.shuffle(&mut groups);
    let mut group = Group { memory, lds: vec![0; object.descriptor.lds as usize], rng };
    let mut stats = Stats::default();
    let ran = groups.iter().try_for_each(|&at| {
        run_group(object, at, threads as u32, (address, &segment), &mut group, &mut stats)
    });
    group.memory.pop();
    ran.map(|()| stats)
}

/// What a runtime of HIP writes for a hidden argument (AMDGPU usage guide, "Code Object V5 Metadata"), of those that a grid decides. Groups
/// are whole, so that nothing remains.
fn hidden(kind: &str, grid: [u32; 3], block: [u32; 3]) -> Option<u32> {
    let (name, axis) = kind.rsplit_once('_')?;
    let of = |all: [u32; 3]| Some(all[["x", "y", "z"].iter().position(|a| *a == axis)?]);
    match name {
        "hidden_block_count" => of(grid),
        "hidden_group_size" => of(block),
        "hidden_remainder" | "hidden_global_offset" => of([0; 3]),
        "hidden_grid" => (axis == "dims").then_some(3),
        _ => None,
    }
}

/// The segment of arguments: what the metadata names, junk elsewhere.
fn arguments(
    object: &Object,
    args: &[u64],
    (grid, block): ([u32; 3], [u32; 3]),
    rng: &mut Rng,
) -> Result<Vec<u8>, Trouble> {
    let known = &object.metadata.arguments;
    let explicit = known.iter().filter(|a| !a.is_hidden()).count();
    if explicit != args.len() {
        return Err(format!("{} arguments, the kernel's metadata names {explicit}", args.len()));
    }
    let size = object.descriptor.arguments as usize;
    let mut bytes = vec![0; size.next_multiple_of(ARGUMENT_LINE)];
    rng.junk(&mut bytes);
    let mut explicit = args.iter();
    for argument in known {
        let value = if argument.is_hidden() {
            hidden(&argument.kind, grid, block).map(u64::from)
        } else {
            explicit.next().copied()
        };
        let unknown = || format!("the kernel wants `{}`, which only a runtime of HIP gives", argument.kind);
        let value = value.ok_or_else(unknown)?.to_le_bytes();
        let place = bytes[..size].get_mut(argument.offset..argument.offset + argument.size);
        match (place, value.get(..argument.size)) {
            (Some(place), Some(from)) => place.copy_from_slice(from),
            _ => return Err(format!("an argument of {} bytes at {}", argument.size, argument.offset)),
        }
    }
    Ok(bytes)
}

/// A wave as the hardware starts it.
fn start(
    object: &Object,
    at: [u32; 3],
    number: u32,
    threads: u32,
    (address, segment): (u64, &[u8]),
    rng: &mut Rng,
) -> Result<Wave, Trouble> {
    let (chip, descriptor) = (object.chip, &object.descriptor);
    let allocated = descriptor.vectors(chip.accumulators);
    let mut wave = Wave::new(chip.lanes, allocated);
    wave.pc = object.entry;
    wave.flushes = descriptor.flushes();
    let (vectors, accumulators) = wave.vectors.split_at_mut(usize::from(ACCUMULATORS));
    for register in vectors[..usize::from(allocated.0)].iter_mut().chain(accumulators) {
        register.chunks_mut(2).for_each(|pair| {
            let word = rng.next();
            (pair[0], pair[1]) = (word as u32, (word >> 32) as u32);
        });
    }
    wave.scalars.iter_mut().for_each(|s| *s = rng.next() as u32);
    wave.scc = rng.next() & 1 == 1;
    wave.scratch = vec![0; descriptor.scratch as usize * chip.lanes as usize];
    rng.junk(&mut wave.scratch);
    let mut next = 0;
    for (_, user, count) in USER_REGISTERS.iter().filter(|(bit, ..)| descriptor.has(*bit)) {
        match user {
            User::Arguments => wave.set_scalar64(next, address)?,
            User::ScratchBuffer => wave.set_scalar64(next, SCRATCH_BUFFER)?,
            User::ScratchBase => wave.set_scalar64(next, 0)?,
            User::Other(_) => {}
        }
        next += count;
    }
    let (first, count) = descriptor.preload();
    for word in segment[(4 * first).min(segment.len())..].chunks_exact(4).take(count) {
        wave.set_scalar(next, u32::from_le_bytes([word[0], word[1], word[2], word[3]]))?;
        next += 1;
    }
    // Counts are padded on chips that want at least so many before the group's number.
    next = next.max(descriptor.user_registers());
    for axis in (0..3).filter(|axis| descriptor.group_axes()[*axis]) {
        wave.set_scalar(next, at[axis])?;
        next += 1;
    }
    if descriptor.scratch > 0 && next < EXEC {
        // Where this wave's part of scratch begins: each has memory of its own here.
        wave.set_scalar(next, 0)?;
    }
    let first = number * chip.lanes;
    for lane in 0..chip.lanes.min(threads.saturating_sub(first)) {
        wave.vectors[0][lane as usize] = first + lane;
        wave.exec |= 1 << lane;
    }
    Ok(wave)
}

fn run_group(
    object: &Object,
    at: [u32; 3],
    threads: u32,
    segment: (u64, &[u8]),
    group: &mut Group<'_, '_>,
    stats: &mut Stats,
) -> Result<(), Fault> {
    let Group { lds, rng, .. } = group;
    rng.junk(lds);
    let count = threads.div_ceil(object.chip.lanes);
    let waves = (0..count).map(|number| start(object, at, number, threads, segment, rng));
    let mut waves = waves.collect::<Result<Vec<Wave>, Trouble>>().map_err(Fault::launch)?;
    let mut ready: Vec<usize> = Vec::with_capacity(waves.len());
    loop {
        ready.clear();
        ready.extend((0..waves.len()).filter(|i| waves[*i].state == State::Ready));
        if ready.is_empty() {
            if waves.iter().all(|w| w.state == State::Ended) {
                break;
            }
            // All that are left stand at the barrier.
            waves.iter_mut().filter(|w| w.state == State::AtBarrier).for_each(|w| w.state = State::Ready);
            continue;
        }
        let index = ready[group.rng.below(ready.len())];
        let wave = &mut waves[index];
        let early = group.rng.below(2 * wave.local.len() + 1);
        wave.perform_early(early.saturating_sub(wave.local.len()), &mut group.lds);
        let turn = TURNS[group.rng.below(TURNS.len())];
        take_turn(object, wave, group, turn).map_err(|message| {
            let blamed = &object.code[wave.pc.saturating_sub(1)];
            let (address, instruction) = (blamed.address, blamed.text.clone());
            Fault { message, address, instruction, group: at, wave: index as u32 }
        })?;
    }
    stats.waves += u64::from(count);
    stats.instructions += waves.iter().map(|w| w.steps).sum::<u64>();
    Ok(())
}

fn take_turn(object: &Object, wave: &mut Wave, group: &mut Group<'_, '_>, turn: u32) -> Outcome {
    for _ in 0..turn {
        let instruction = object.code.get(wave.pc).ok_or("the wave runs past the kernel's end")?;
        wave.pc += 1;
        wave.steps += 1;
        instruction.code.as_ref().map_err(Clone::clone)?.execute(wave, group)?;
        // A counter that is full holds the next operation back until the oldest is done; LLVM counts on it.
        if wave.vector_memory.len() > MOST_UNDER_WAY {
            wave.wait_vector_memory(MOST_UNDER_WAY, &mut group.lds);
        }
        if wave.state != State::Ready {
            return Ok(());
        }
    }
    if wave.steps > MOST_STEPS { Err("the wave does not end".into()) } else { Ok(()) }
}
