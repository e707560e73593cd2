//! Short text for test programs, and a way to run them.
//!
//! One line is one operation: `%c = llvm.add(%a, %b) : (i32, i32) -> i32`, properties between `{` and `}` before the
//! colon. Its source location is its line in the text, so that a test can tell where a fault was found.

use kcc_simt::{Arg, Chip, Fault, Launch, Memory, Options, Program, Stats, Timing};

/// A module with one kernel `k`; `attrs` are the function's discardable attributes besides `nvvm.kernel`.
pub fn module(params: &str, attrs: &str, body: &str) -> String {
    let mut text = String::from("\"builtin.module\"() ({\n");
    text.push_str(
        "\"llvm.mlir.global\"() <{addr_space = 3 : i32, alignment = 1024 : i64, global_type = !llvm.array<0 x i8>, \
         sym_name = \"dyn\"}> ({\n}) : () -> ()\n",
    );
    let (args, byval): (Vec<String>, Vec<&str>) = params
        .split(',')
        .map(str::trim)
        .filter(|param| !param.is_empty())
        .map(|param| match param.strip_suffix(": map") {
            Some(name) => (
                format!("{name}: !llvm.ptr"),
                "{llvm.align = 64 : i64, llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant}",
            ),
            None => (param.to_owned(), "{}"),
        })
        .unzip();
    text.push_str(&format!(
        "\"llvm.func\"() <{{arg_attrs = [{}], function_type = !llvm.func<void ()>, sym_name = \"k\"}}> ({{\n^bb0({}):\n",
        byval.join(", "),
        args.join(", ")
    ));
    for (index, line) in body.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        if line.starts_with('^') {
            text.push_str(line);
            text.push('\n');
            continue;
        }
        let (results, rest) = match line.split_once(" = ") {
            Some((results, rest)) if results.starts_with('%') => (format!("{results} = "), rest),
            _ => (String::new(), line),
        };
        let (name, rest) = rest.split_once('(').expect("an operation");
        let rest = rest.replace(" {", " <{").replace("} :", "}> :");
        let rest = if rest.ends_with('}') { format!("{rest}>") } else { rest };
        let types = match (rest.contains(" : ("), rest.contains("->")) {
            (true, true) => "",
            (true, false) => " -> ()",
            _ => " : () -> ()",
        };
        text.push_str(&format!("{results}\"{name}\"({rest}{types} loc(\"k.rs\":{index}:1)\n"));
    }
    text.push_str(&format!("}}) {{nvvm.kernel{attrs}}} : () -> ()\n}}) : () -> ()\n"));
    text
}

pub fn load(params: &str, attrs: &str, body: &str) -> Program {
    let text = module(params, attrs, body);
    Program::load(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// How a test launches its kernel.
pub struct Setup<'a> {
    pub chip: &'a str,
    pub grid: u32,
    pub threads: u32,
    pub shared: u64,
    pub options: Options,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Setup { chip: "sm_90a", grid: 1, threads: 32, shared: 0, options: Options::default() }
    }
}

impl Setup<'_> {
    pub fn run(&self, program: &Program, memory: &mut Memory<'_>, args: &[Arg]) -> Result<Stats, Box<Fault>> {
        program.run(Launch {
            kernel: "k",
            grid: [self.grid, 1, 1],
            block: [self.threads, 1, 1],
            dynamic_shared: self.shared,
            args,
            memory,
            chip: Chip::find(self.chip).expect("a chip"),
            options: self.options.clone(),
        })
    }

    /// Runs under several seeds with each timing; the outputs have to agree. Gives the output buffer as words.
    pub fn words(&self, program: &Program, inputs: &[Vec<u8>], out_words: usize) -> Vec<u32> {
        let mut first: Option<Vec<u32>> = None;
        for (seed, timing) in timings() {
            let mut memory = Memory::new();
            let mut args: Vec<Arg> =
                inputs.iter().map(|bytes| Arg::Bits(memory.add(bytes.clone()))).collect();
            let out = memory.alloc(out_words * 4);
            args.push(Arg::Bits(out));
            let options = Options { seed, timing: Some(timing), ..self.options.clone() };
            let setup = Setup { options, ..*self };
            let result = setup.run(program, &mut memory, &args);
            result.unwrap_or_else(|fault| panic!("seed {seed}, {timing:?}: {fault}"));
            let words = to_words(memory.bytes(out).expect("the output"));
            assert!(first.as_ref().is_none_or(|first| *first == words), "seed {seed} gives another result");
            first = Some(words);
        }
        first.unwrap_or_default()
    }

    /// The fault of a program that is wrong: some seed has to find it. The lines of its places follow.
    pub fn fault(&self, program: &Program, inputs: &[Vec<u8>], out_words: usize) -> (Box<Fault>, Vec<u32>) {
        for (seed, timing) in timings() {
            let mut memory = Memory::new();
            let mut args: Vec<Arg> =
                inputs.iter().map(|bytes| Arg::Bits(memory.add(bytes.clone()))).collect();
            args.push(Arg::Bits(memory.alloc(out_words * 4)));
            let options = Options { seed, timing: Some(timing), ..self.options.clone() };
            if let Err(fault) = (Setup { options, ..*self }).run(program, &mut memory, &args) {
                let lines = fault.places.iter().filter_map(|place| place.loc.as_ref()).map(|loc| loc.line);
                let lines = lines.collect();
                return (fault, lines);
            }
        }
        panic!("no seed found a fault");
    }
}

pub fn timings() -> impl Iterator<Item = (u64, Timing)> {
    (0..9).zip([Timing::Late, Timing::Early, Timing::Random].into_iter().cycle())
}

pub fn to_words(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect()
}

pub fn from_words(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

pub fn from_halves(halves: impl IntoIterator<Item = u16>) -> Vec<u8> {
    halves.into_iter().flat_map(u16::to_le_bytes).collect()
}

/// Lines that compute `%tid` and the address `%mine` of word `%tid` of `%out`.
pub const MINE: &str = "%tid = nvvm.read.ptx.sreg.tid.x() : () -> i32
%mine = llvm.getelementptr(%out, %tid) {elem_type = i32, rawConstantIndices = array<i32: -2147483648>} : (!llvm.ptr<1>, i32) -> !llvm.ptr<1>";
