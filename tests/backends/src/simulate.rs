//! Compiles a kernel for the simulator and runs it on the buffers of eager mode.

use kcc_compiler::Target;
use kcc_compiler::session::{Options, Session};
use kcc_dsl::eager::{EagerArg, EagerBuffer};
use kcc_dsl::exchange::{ArgSpec, Artifact, CompileRequest, GpuMeta, GridMap};
use kcc_dsl::ir::{Elem, Kernel, Param, ParamKind};
use kcc_simt::{Arg, Chip, Launch, Memory, Program, Stats, Swizzle, TensorMap};

/// Compiles for a target.
///
/// # Errors
/// What the compiler says, in one line.
pub fn compile(
    kernel: &Kernel,
    args: &[ArgSpec],
    target: &dyn Target,
    knobs: &[(&str, &str)],
) -> Result<Artifact, String> {
    let request = CompileRequest {
        kernel: kernel.clone(),
        target: target.name().into(),
        args: args.to_vec(),
        options: knobs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
    };
    let dump = std::env::var_os("KCC_TEST_DUMP").map(Into::into);
    let result = Session::new().compile(&request, target, &Options { dump, ..Options::default() });
    result.map_err(|all| {
        let line = |d: &kcc_dsl::exchange::Diagnostic| match &d.loc {
            Some(l) => format!("{l}: {}", d.message),
            None => d.message.clone(),
        };
        all.iter().map(line).collect::<Vec<_>>().join("; ")
    })
}

/// The same for views that are contiguous and aligned.
///
/// # Errors
/// As [`compile`].
pub fn compile_ideal(
    kernel: &Kernel,
    target: &dyn Target,
    knobs: &[(&str, &str)],
) -> Result<Artifact, String> {
    let args = kernel.params.iter().map(|p| match p.kind {
        ParamKind::View { rank, .. } => ArgSpec::ideal(rank),
        ParamKind::Scalar(_) => ArgSpec::default(),
    });
    compile(kernel, &args.collect::<Vec<_>>(), target, knobs)
}

/// The row of the chip that a target's name ends with.
///
/// # Errors
/// The simulator has no such chip.
pub fn chip(target: &dyn Target) -> Result<&'static Chip, String> {
    target.name().split_once(':').and_then(|(_, c)| Chip::find(c)).ok_or_else(|| "no such chip".into())
}

/// How [`run_with`] compiles and runs.
#[derive(Clone, Copy, Default)]
pub struct How<'a> {
    /// Options of the compiler.
    pub knobs: &'a [(&'a str, &'a str)],
    /// Whether views may be read and written through tensor maps, which are the runtime's to make elsewhere.
    pub bulk: bool,
    /// Decides the order of warps.
    pub seed: u64,
}

/// Compiles and runs all programs of a grid with what the arguments allow to rely on, but tensor maps.
///
/// # Errors
/// What the compiler says, or the simulator's fault.
pub fn run(
    kernel: &Kernel,
    grid: [u32; 3],
    buffers: &mut [EagerBuffer],
    args: &[EagerArg],
    target: &dyn Target,
    seed: u64,
) -> Result<Stats, String> {
    let how = How { seed, ..How::default() };
    run_with(kernel, grid, buffers, args, target, how).map(|(stats, _)| stats)
}

/// The same as it is asked for; gives the launch facts, too.
///
/// # Errors
/// As [`run`].
pub fn run_with(
    kernel: &Kernel,
    grid: [u32; 3],
    buffers: &mut [EagerBuffer],
    args: &[EagerArg],
    target: &dyn Target,
    how: How<'_>,
) -> Result<(Stats, GpuMeta), String> {
    let mut memory = Memory::new();
    let homes = Homes::new(&mut memory, buffers);
    let mut specs = homes.specs(args);
    specs.iter_mut().for_each(|spec| spec.tma &= how.bulk);
    let artifact = compile(kernel, &specs, target, how.knobs)?;
    let text = String::from_utf8(artifact.bytes).map_err(|e| e.to_string())?;
    if let Ok(dir) = std::env::var("KCC_TEST_DUMP") {
        std::fs::write(format!("{dir}/{}.mlir", artifact.symbol), &text).map_err(|e| e.to_string())?;
    }
    let meta = artifact.gpu.ok_or("no launch facts")?;
    let program = Program::load(&text).map_err(|e| e.to_string())?;
    // Persistent programs: fewer blocks than programs, so that each takes several.
    let blocks = match meta.grid {
        GridMap::Persistent { .. } => [grid.iter().product::<u32>().min(2), 1, 1],
        _ => whole_clusters(grid, &meta),
    };
    let launch = Launch {
        kernel: &artifact.symbol,
        grid: blocks,
        block: [meta.threads, 1, 1],
        dynamic_shared: meta.shared_bytes,
        args: &homes.arguments(&kernel.params, args, grid, &meta),
        memory: &mut memory,
        chip: chip(target)?,
        options: kcc_simt::Options::seeded(how.seed),
    };
    let stats = program.run(launch).map_err(|f| f.to_string())?;
    Ok((stats, meta))
}

/// A grid of programs as one of blocks, in whole clusters.
pub fn whole_clusters(grid: [u32; 3], meta: &GpuMeta) -> [u32; 3] {
    [0, 1, 2].map(|i| grid[i].next_multiple_of(meta.cluster[i].max(1)))
}

/// Where buffers lie in the simulator's memory.
pub struct Homes {
    starts: Vec<u64>,
    elems: Vec<Elem>,
}

impl Homes {
    /// Lends the buffers to the memory.
    pub fn new<'m>(memory: &mut Memory<'m>, buffers: &'m mut [EagerBuffer]) -> Homes {
        Homes::lent(buffers, |bytes| memory.borrow(bytes))
    }

    /// The same for a memory that gives addresses to bytes.
    pub fn lent<'m>(buffers: &'m mut [EagerBuffer], mut lend: impl FnMut(&'m mut [u8]) -> u64) -> Homes {
        let elems = buffers.iter().map(EagerBuffer::elem).collect();
        let starts = buffers.iter_mut().map(|b| lend(b.bytes_mut())).collect();
        Homes { starts, elems }
    }

    /// What a launch's views allow to rely on.
    pub fn specs(&self, args: &[EagerArg]) -> Vec<ArgSpec> {
        let one = |a: &EagerArg| match a {
            EagerArg::View { buffer, offset, dims, strides, .. } => {
                ArgSpec::for_gpu(self.address(*buffer, *offset), self.elems[*buffer], dims, strides)
            }
            EagerArg::Scalar(_) => ArgSpec::default(),
        };
        args.iter().map(one).collect()
    }

    /// Address of a buffer's element.
    pub fn address(&self, buffer: usize, element: i64) -> u64 {
        self.starts[buffer].wrapping_add_signed(element * self.elems[buffer].bytes() as i64)
    }

    /// The launch arguments: views with dims and strides, scalars, the grid, no status buffer, tensor maps.
    pub fn arguments(&self, params: &[Param], args: &[EagerArg], grid: [u32; 3], meta: &GpuMeta) -> Vec<Arg> {
        let mut list = Vec::new();
        for (a, p) in args.iter().zip(params) {
            match (a, p.kind) {
                (EagerArg::View { buffer, offset, dims, strides, .. }, _) => {
                    list.push(Arg::Bits(self.address(*buffer, *offset)));
                    list.extend(dims.iter().chain(strides).map(|d| Arg::Bits(*d as u64)));
                }
                (EagerArg::Scalar(bits), ParamKind::Scalar(elem)) => {
                    list.push(Arg::Bits(widened(*bits, elem)));
                }
                (EagerArg::Scalar(bits), _) => list.push(Arg::Bits(*bits)),
            }
        }
        list.extend(grid.iter().map(|g| Arg::Bits(u64::from(*g))));
        list.push(Arg::Bits(0));
        let maps = 0..meta.tensor_maps.len();
        list.extend(maps.map(|i| Arg::Bytes(self.tensor_map(meta, i, args))));
        list
    }

    /// The recipe's tensor map.
    fn tensor_map(&self, meta: &GpuMeta, index: usize, args: &[EagerArg]) -> Vec<u8> {
        let recipe = &meta.tensor_maps[index];
        let EagerArg::View { buffer, offset, dims, strides, .. } = &args[recipe.param as usize] else {
            panic!("a view")
        };
        let bytes = recipe.elem.bytes() as u64;
        let axes: Vec<usize> = recipe.axes.iter().map(|a| usize::from(*a)).collect();
        let swizzle = match recipe.swizzle {
            32 => Swizzle::B32,
            64 => Swizzle::B64,
            128 => Swizzle::B128,
            _ => Swizzle::None,
        };
        let map = TensorMap {
            address: self.address(*buffer, *offset),
            element: bytes as u32,
            float: recipe.elem.is_float(),
            bfloat: recipe.elem == Elem::BF16,
            dims: axes.iter().map(|a| dims[*a] as u64).collect(),
            strides: axes[1..].iter().map(|a| strides[*a] as u64 * bytes).collect(),
            box_dims: recipe.box_dims.clone(),
            swizzle,
            fill_nan: false,
        };
        map.encode().expect("a valid tensor map").to_vec()
    }
}

/// A scalar's bits as the kernel takes them.
fn widened(bits: u64, elem: Elem) -> u64 {
    match elem {
        Elem::I8 => u64::from(bits as u8 as i8 as i32 as u32),
        Elem::I16 => u64::from(bits as u16 as i16 as i32 as u32),
        Elem::Bool | Elem::U8 | Elem::F8E4M3 | Elem::F8E5M2 => bits & 0xff,
        Elem::F16 | Elem::BF16 => bits & 0xffff,
        Elem::I64 => bits,
        Elem::I32 | Elem::U32 | Elem::F32 => bits & 0xffff_ffff,
    }
}

/// Eighths from -1 to 1.
pub fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut x = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = || {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 16) as i32 % 17 - 8
    };
    (0..n).map(|_| next() as f32 / 8.0).collect()
}
