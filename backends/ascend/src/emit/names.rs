//! Names in the source: those of the kernel's parameters where there are any, and never one that C++ or the interface owns.

use kcc_davinci::ir::{Instr, Program, Stmt};
use kcc_dsl::ir::ParamKind;
use std::collections::{BTreeSet, HashMap};

/// Words that cannot name anything here.
const TAKEN: &[&str] = &[
    "alignas",
    "alignof",
    "and",
    "asm",
    "auto",
    "bitand",
    "bitor",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "class",
    "compl",
    "const",
    "constexpr",
    "continue",
    "decltype",
    "default",
    "delete",
    "do",
    "double",
    "else",
    "enum",
    "explicit",
    "export",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not",
    "nullptr",
    "operator",
    "or",
    "private",
    "protected",
    "public",
    "register",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "struct",
    "switch",
    "template",
    "this",
    "throw",
    "true",
    "try",
    "typedef",
    "typeid",
    "typename",
    "union",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "while",
    "xor",
    "half",
    "bfloat16_t",
    "block",
    "block_count",
    "sub",
    "blocks",
    "stream",
    "slots",
    "workspace",
    "grid_x",
    "grid_y",
    "grid_z",
];

pub(super) struct Names {
    /// Of parameters.
    pub params: Vec<String>,
    /// Of buffers.
    pub buffers: Vec<String>,
}

/// What of a name can stand in one of C++.
fn identifier(name: &str) -> String {
    let mut s: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if s.is_empty() || s.starts_with(|c: char| c.is_ascii_digit()) {
        s.insert(0, 'p');
    }
    // Registers are r0, r1, …; names with two underscores in a row belong to the compiler.
    while s.contains("__") {
        s = s.replace("__", "_");
    }
    s
}

fn register_like(s: &str) -> bool {
    s.len() > 1 && s[1..].bytes().all(|b| b.is_ascii_digit()) && (s.starts_with('r') || s.starts_with('i'))
}

fn fresh(used: &mut BTreeSet<String>, wish: &str) -> String {
    let mut name = wish.to_owned();
    let mut n = 2;
    while TAKEN.contains(&name.as_str()) || register_like(&name) || used.contains(&name) {
        name = format!("{wish}_{n}");
        n += 1;
    }
    used.insert(name.clone());
    name
}

impl Names {
    pub fn new(program: &Program) -> Names {
        let mut used = BTreeSet::new();
        let mut params = Vec::new();
        for p in &program.params {
            let name = fresh(&mut used, &identifier(&p.name));
            used.insert(format!("{name}_bits"));
            if let ParamKind::View { rank, .. } = p.kind {
                used.extend((0..rank).flat_map(|a| [format!("{name}_dim{a}"), format!("{name}_stride{a}")]));
            }
            params.push(name);
        }
        let near = nearest(program);
        let buffers = (program.buffers.iter().enumerate())
            .map(|(i, b)| {
                let wish = match near.get(&(i as u32)) {
                    Some(p) => format!("{}_{}", params[*p as usize], identifier(&b.name)),
                    None => identifier(&b.name),
                };
                fresh(&mut used, &wish)
            })
            .collect();
        Names { params, buffers }
    }
}

/// The parameter that a buffer's bytes come from or go to, where it is one.
fn nearest(program: &Program) -> HashMap<u32, u32> {
    let mut out: HashMap<u32, u32> = HashMap::new();
    let mut note = |buffer: u32, param: Option<u32>| {
        if let Some(p) = param {
            out.entry(buffer).or_insert(p);
        }
    };
    for kind in [kcc_davinci::ir::CoreKind::Cube, kcc_davinci::ir::CoreKind::Vector] {
        program.walk(kind, &mut |s| match s {
            Stmt::Issue { instr: Instr::CopyIn(i), .. } => note(i.dst.buffer, i.src.param),
            Stmt::Issue { instr: Instr::CopyL1(i), .. } => note(i.dst.buffer, i.src.param),
            Stmt::Issue { instr: Instr::NdToNz(i), .. } => note(i.dst.buffer, i.src.param),
            Stmt::Issue { instr: Instr::CopyOut(i), .. } => note(i.src.buffer, i.dst.param),
            Stmt::Issue { instr: Instr::Fixpipe(i), .. } => note(i.src.buffer, i.dst.param),
            _ => {}
        });
    }
    out
}
