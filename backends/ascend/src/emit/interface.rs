//! What a source shows to the host: its symbol, its arguments, its launchers.
//!
//! ```text
//! view x          x (address of the first element), x_dim0, …, x_stride0, …  (in elements)
//! scalar          its value; a float as its bits, under the scalar's name and `_bits`
//! at the end      grid_x, grid_y, grid_z, and the workspace where there is one
//! ```

use super::names::Names;
use kcc_davinci::ir::Program;
use kcc_dsl::ir::{Param, ParamKind};

/// What an argument of the source holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Address of the first element of a view.
    Address {
        /// The kernel's parameter.
        param: u32,
    },
    /// Extent of an axis.
    Dim {
        /// The kernel's parameter.
        param: u32,
        /// Axis.
        axis: u8,
    },
    /// Stride of an axis, in elements.
    Stride {
        /// The kernel's parameter.
        param: u32,
        /// Axis.
        axis: u8,
    },
    /// A scalar: integers extended to 64 bits, floats as the bits of an `f32`.
    Scalar {
        /// The kernel's parameter.
        param: u32,
    },
    /// Programs of the grid along an axis.
    Grid {
        /// Axis.
        axis: u8,
    },
    /// Address of the workspace: [`Program::workspace`] bytes for each block.
    Workspace,
}

/// An argument of the source: a word of 64 bits in the list that a launch takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its name in the source.
    pub name: String,
    /// What it holds.
    pub holds: Use,
    /// Its type in the source: `GM_ADDR` or `int64_t`. Every argument is a word of 64 bits, so that a list of them is what a
    /// launch passes.
    pub ctype: &'static str,
    /// The bits of an `f32`.
    pub float: bool,
}

fn of_param(i: u32, p: &Param, name: &str) -> Vec<Slot> {
    let slot = |name: String, holds: Use, ctype: &'static str| Slot { name, holds, ctype, float: false };
    match p.kind {
        ParamKind::Scalar(e) => {
            let float = e.is_float();
            let name = if float { format!("{name}_bits") } else { name.to_owned() };
            vec![Slot { name, holds: Use::Scalar { param: i }, ctype: "int64_t", float }]
        }
        ParamKind::View { rank, .. } => {
            let mut out = vec![slot(name.to_owned(), Use::Address { param: i }, "GM_ADDR")];
            for axis in 0..rank as u8 {
                out.push(slot(format!("{name}_dim{axis}"), Use::Dim { param: i, axis }, "int64_t"));
            }
            for axis in 0..rank as u8 {
                out.push(slot(format!("{name}_stride{axis}"), Use::Stride { param: i, axis }, "int64_t"));
            }
            out
        }
    }
}

/// The arguments of a source, in order.
pub fn slots(program: &Program) -> Vec<Slot> {
    list(&Names::new(program), program)
}

fn list(names: &Names, program: &Program) -> Vec<Slot> {
    let mut out: Vec<Slot> = (program.params.iter().enumerate().zip(&names.params))
        .flat_map(|((i, p), name)| of_param(i as u32, p, name))
        .collect();
    for (axis, name) in ["grid_x", "grid_y", "grid_z"].into_iter().enumerate() {
        let holds = Use::Grid { axis: axis as u8 };
        out.push(Slot { name: name.into(), holds, ctype: "int64_t", float: false });
    }
    if program.workspace > 0 {
        out.push(Slot { name: "workspace".into(), holds: Use::Workspace, ctype: "GM_ADDR", float: false });
    }
    out
}

/// The kernel's symbol in the source: short names collide with the interface's own.
pub fn symbol(program: &Program) -> String {
    let name: String =
        program.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("kcc_{name}")
}

/// The namespace of its helpers.
pub(super) fn parts(program: &Program) -> String {
    format!("{}_parts", symbol(program))
}

/// A text broken at its commas into lines of that length; those behind the first one are indented.
pub(super) fn wrapped(text: &str, length: usize) -> String {
    let mut lines = vec![String::new()];
    for piece in text.split_inclusive(", ") {
        let last = lines.len() - 1;
        if lines[last].len() + piece.trim_end().len() > length && !lines[last].trim().is_empty() {
            lines.push(format!("    {piece}"));
        } else {
            lines[last].push_str(piece);
        }
    }
    let lines: Vec<&str> = lines.iter().map(|l| l.trim_end()).collect();
    lines.join("\n")
}

/// The kernel's parameters as a list of declarations.
pub(super) fn parameters(names: &Names, program: &Program) -> String {
    let all: Vec<String> = list(names, program).iter().map(|s| format!("{} {}", s.ctype, s.name)).collect();
    all.join(", ")
}

/// What stands above everything.
pub(super) fn head(program: &Program) -> String {
    let symbol = symbol(program);
    let cores = match (&program.cube, &program.vector) {
        (Some(_), Some(_)) => "a block is a group of one cube core and two vector cores",
        (Some(_), None) => "a block is a cube core",
        _ => "a block is a vector core",
    };
    let space = match program.workspace {
        0 => String::new(),
        n => format!("\n// workspace: {n} bytes for each block."),
    };
    format!(
        "// {symbol}: AscendC for arch 2201, written by kcc for {}; {cores}.\n\
         // Blocks go through the programs of the grid one after another: launch at most as many as the chip has.{space}\n\
         #include \"kernel_operator.h\"\n\
         #include \"acl/acl.h\"\n\n\
         #ifndef KCC_LAUNCH\n\
         #define KCC_LAUNCH(cores, kernel, blocks, stream, ...) kernel<<<(blocks), nullptr, (stream)>>>(__VA_ARGS__)\n\
         #endif\n",
        program.chip
    )
}

/// Two functions of the host: one with the kernel's parameters, and one that takes them as words of 64 bits.
pub(super) fn launchers(names: &Names, program: &Program) -> String {
    let slots = list(names, program);
    let symbol = symbol(program);
    let mut typed = vec!["uint32_t blocks".to_owned(), "void* stream".to_owned()];
    let given = |s: &Slot| s.name.strip_suffix("_bits").unwrap_or(&s.name).to_owned();
    typed.extend(slots.iter().map(|s| match (s.ctype, s.float) {
        ("GM_ADDR", _) => format!("uint8_t* {}", s.name),
        (_, true) => format!("float {}", given(s)),
        (ty, _) => format!("{ty} {}", s.name),
    }));
    let first = ["blocks".to_owned(), "(aclrtStream)stream".to_owned()];
    let passed: Vec<String> = (first.into_iter())
        .chain(slots.iter().map(|s| match (s.ctype, s.float) {
            ("GM_ADDR", _) => format!("(GM_ADDR){}", s.name),
            (_, true) => format!("(int64_t)*(const uint32_t*)&{}", given(s)),
            _ => s.name.clone(),
        }))
        .collect();
    let first = ["blocks".to_owned(), "(aclrtStream)stream".to_owned()];
    let words: Vec<String> = (first.into_iter())
        .chain(slots.iter().enumerate().map(|(i, s)| match s.ctype {
            "GM_ADDR" => format!("(GM_ADDR)slots[{i}]"),
            _ => format!("slots[{i}]"),
        }))
        .collect();
    let cores = match (&program.cube, &program.vector) {
        (Some(_), Some(_)) => "mix",
        (Some(_), None) => "cube",
        _ => "vector",
    };
    let head = wrapped(&format!("extern \"C\" void {symbol}_launch({})", typed.join(", ")), 120);
    let launch = wrapped(&format!("KCC_LAUNCH({cores}, {symbol}, {});", passed.join(", ")), 112);
    let call = wrapped(&format!("KCC_LAUNCH({cores}, {symbol}, {});", words.join(", ")), 112);
    let inner = |s: String| s.replace('\n', "\n    ");
    format!(
        "\n{head}\n{{\n    {}\n}}\n\n\
         // The same from words of 64 bits, as the kernel takes them.\n\
         extern \"C\" void {symbol}_launch_slots(uint32_t blocks, void* stream, const int64_t* slots)\n{{\n    {}\n}}\n",
        inner(launch),
        inner(call)
    )
}
