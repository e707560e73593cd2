//! Mutations: each barrier, wait, fence, arrival and commit that the compiler put into a kernel is deleted in turn, and
//! the simulator has to notice, by a fault or by another result.

use super::kernels::{attention, matmul};
use super::simulate::{Homes, chip, compile, numbers, whole_clusters};
use kcc_compiler::Target;
use kcc_dsl::eager::{EagerArg, EagerBuffer};
use kcc_dsl::exchange::{ArgSpec, GpuMeta, GridMap};
use kcc_dsl::ir::{Elem, Kernel, Param};
use kcc_simt::{Chip, Fault, Launch, Memory, Options, Program};

/// A compiled kernel with its arguments, to be run again and again.
pub struct Subject {
    program: Program,
    symbol: String,
    params: Vec<Param>,
    meta: GpuMeta,
    chip: &'static Chip,
    grid: [u32; 3],
    buffers: Vec<EagerBuffer>,
    args: Vec<EagerArg>,
}

impl Subject {
    /// Compiles a kernel for the arguments, all of which are views.
    pub fn new(
        kernel: &Kernel,
        target: &dyn Target,
        grid: [u32; 3],
        buffers: Vec<EagerBuffer>,
        args: Vec<EagerArg>,
        knobs: &[(&str, &str)],
    ) -> Subject {
        let bulk = target.gpu().is_some_and(|gpu| gpu.facts().bulk_copy && gpu.facts().wide_mma);
        let specs: Vec<ArgSpec> = args
            .iter()
            .map(|a| match a {
                EagerArg::View { buffer, dims, strides, .. } => {
                    let spec = ArgSpec::for_gpu(4096, buffers[*buffer].elem(), dims, strides);
                    ArgSpec { tma: spec.tma && bulk, ..spec }
                }
                EagerArg::Scalar(_) => ArgSpec::default(),
            })
            .collect();
        let artifact = compile(kernel, &specs, target, knobs).expect("it compiles");
        let text = String::from_utf8(artifact.bytes).expect("the module is text");
        Subject {
            program: Program::load(&text).unwrap_or_else(|e| panic!("{e}")),
            symbol: artifact.symbol,
            params: kernel.params.clone(),
            meta: artifact.gpu.expect("launch facts"),
            chip: chip(target).expect("a known chip"),
            grid,
            buffers,
            args,
        }
    }

    /// A product of 60 by 56 sums of `k`, in blocks.
    pub fn product(
        target: &dyn Target,
        elem: Elem,
        k: i64,
        block: (usize, usize, usize),
        knobs: &[(&str, &str)],
    ) -> Subject {
        Subject::product_of(target, elem, [60, 56, k], block, knobs)
    }

    /// The same of `m` by `n` sums of `k`.
    pub fn product_of(
        target: &dyn Target,
        elem: Elem,
        [m, n, k]: [i64; 3],
        block: (usize, usize, usize),
        knobs: &[(&str, &str)],
    ) -> Subject {
        // Rows of operands are shorter than those of the result, which lies in their place at the end: other warps have read
        // there.
        let kernel = matmul(elem, block.0, block.1, block.2);
        let buffers = vec![
            EagerBuffer::from_f32(elem, &numbers((m * k) as usize, 1)),
            EagerBuffer::from_f32(elem, &numbers((k * n) as usize, 2)),
            EagerBuffer::zeros(Elem::F32, (m * n) as usize),
        ];
        let dense = EagerArg::dense;
        let args = vec![dense(0, &[m, k], false), dense(1, &[k, n], false), dense(2, &[m, n], true)];
        let grid = [(m as usize).div_ceil(block.0) as u32, (n as usize).div_ceil(block.1) as u32, 1];
        Subject::new(&kernel, target, grid, buffers, args, knobs)
    }

    /// Attention of one block of 60 queries with `len` keys, in blocks of `rows` by 64.
    pub fn weighing(target: &dyn Target, len: usize, rows: usize, knobs: &[(&str, &str)]) -> Subject {
        let width = 64usize;
        let kernel = attention(Elem::BF16, rows, 64, width);
        let mut buffers: Vec<EagerBuffer> =
            (0..3).map(|i| EagerBuffer::from_f32(Elem::BF16, &numbers(len * width, 20 + i))).collect();
        buffers.push(EagerBuffer::zeros(Elem::F32, 60 * width));
        let dims = |i: usize| [if i == 0 || i == 3 { 60 } else { len as i64 }, width as i64];
        let args: Vec<EagerArg> = (0..4).map(|i| EagerArg::dense(i, &dims(i), i == 3)).collect();
        Subject::new(&kernel, target, [1, 1, 1], buffers, args, knobs)
    }

    /// The bytes of the last buffer after a run.
    fn run(&self, program: &Program, seed: u64) -> Result<Vec<u8>, Box<Fault>> {
        let mut buffers = self.buffers.clone();
        let mut memory = Memory::new();
        let homes = Homes::new(&mut memory, &mut buffers);
        // Persistent programs: one block takes them all.
        let persistent = matches!(self.meta.grid, GridMap::Persistent { .. });
        program.run(Launch {
            kernel: &self.symbol,
            grid: if persistent { [1; 3] } else { whole_clusters(self.grid, &self.meta) },
            block: [self.meta.threads, 1, 1],
            dynamic_shared: self.meta.shared_bytes,
            args: &homes.arguments(&self.params, &self.args, self.grid, &self.meta),
            memory: &mut memory,
            chip: self.chip,
            options: Options { max_instructions: 4_000_000, ..Options::seeded(seed) },
        })?;
        Ok(memory.bytes(homes.address(self.buffers.len() - 1, 0)).expect("the last buffer").to_vec())
    }

    /// How many deletions there are, and those that no seed notices.
    fn survivors(&self) -> (usize, Vec<String>) {
        let right = self.run(&self.program, 0).unwrap_or_else(|fault| panic!("{fault}"));
        let unnoticed = self
            .program
            .unnoticed(|mutant, seed| self.run(mutant, seed).map_or(true, |bytes| bytes != right));
        let survivors = unnoticed.iter().map(|site| {
            let loc = site.loc.as_ref().map_or_else(String::new, ToString::to_string);
            format!("{} {} {loc}", site.index, site.kind)
        });
        let survivors = survivors.collect();
        (self.program.sync_sites().len(), survivors)
    }

    /// Deletes each site in turn. `most` is the number of deletions that may pass unnoticed.
    ///
    /// # Panics
    /// When more do, with what they are; when there is nothing to delete.
    pub fn check(&self, name: &str, most: usize) {
        let (sites, survivors) = self.survivors();
        assert!(sites > 0, "{name}: nothing to delete");
        let noticed = sites - survivors.len();
        assert!(
            survivors.len() <= most,
            "{name}: {noticed} of {sites} deletions noticed, not: {survivors:#?}"
        );
        println!("{name}: {noticed} of {sites} deletions noticed");
    }
}
