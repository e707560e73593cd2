//! Everything that `pack.json` says, checked before anything is loaded.

use super::archive::is_inside;
use super::expr::{Expr, ExprError};
use super::format::{Code, CodeKind, FORMAT, FORMAT_VERSION, Kernel, Kind, Manifest, Variant};
use kcc_dsl::exchange::GpuArg;
use kcc_dsl::ir::{self, ParamKind};
use std::collections::HashSet;

/// A manifest without contradictions, its formulas parsed.
pub struct Checked {
    manifest: Manifest,
    formulas: Vec<Vec<Formulas>>,
}

/// The formulas of one variant.
#[derive(Clone, Debug)]
pub(super) struct Formulas {
    pub(super) params: Vec<ir::Param>,
    pub(super) when: Vec<Expr>,
    pub(super) cost: Expr,
    pub(super) grid: [Expr; 3],
    pub(super) workspace: Expr,
}

impl Checked {
    /// What `pack.json` says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Formulas of the variants of a kernel, by its index.
    pub(super) fn formulas(&self, kernel: usize) -> &[Formulas] {
        self.formulas.get(kernel).map(Vec::as_slice).unwrap_or_default()
    }

    /// Checks a manifest.
    ///
    /// # Errors
    /// What is wrong with it, naming the kernel and the variant.
    pub fn new(manifest: Manifest) -> Result<Checked, String> {
        if manifest.format != FORMAT {
            return Err(format!("its format is `{}`, not `{FORMAT}`", manifest.format));
        }
        if manifest.format_version != FORMAT_VERSION {
            let v = manifest.format_version;
            return Err(format!("version {v} of the format; this program reads version {FORMAT_VERSION}"));
        }
        let mut names = HashSet::new();
        let mut formulas = Vec::with_capacity(manifest.kernels.len());
        for kernel in &manifest.kernels {
            if !names.insert(&kernel.name) {
                return Err(format!("two kernels are called `{}`", kernel.name));
            }
            let variants = kernel.variants.iter().enumerate();
            let checked: Result<Vec<Formulas>, String> = variants
                .map(|(i, v)| {
                    variant(kernel, v).map_err(|e| format!("kernel `{}`, variant {i}: {e}", kernel.name))
                })
                .collect();
            formulas.push(checked?);
        }
        Ok(Checked { manifest, formulas })
    }
}

/// Reads and checks the text of `pack.json`.
pub(super) fn manifest(text: &[u8]) -> Result<Checked, String> {
    // The version first: a later format may have other fields.
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Head {
        format: String,
        format_version: u32,
    }
    let json = |e: serde_json::Error| format!("pack.json: {e}");
    let head: Head = serde_json::from_slice(text).map_err(json)?;
    if head.format == FORMAT && head.format_version != FORMAT_VERSION {
        let v = head.format_version;
        return Err(format!("version {v} of the format; this program reads version {FORMAT_VERSION}"));
    }
    Checked::new(serde_json::from_slice(text).map_err(json)?)
}

/// A file, and what stands in for it.
fn code(code: &Code) -> Result<(), String> {
    if !is_inside(&code.file) || !code.file.starts_with("bin/") {
        return Err(format!("the code's path `{}` is not within the pack's `bin/`", code.file));
    }
    if code.sha256.len() != 64 || !code.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err("its sha256 is not 64 lower-case hexadecimal digits".into());
    }
    let Some(fallback) = &code.fallback else { return Ok(()) };
    if (code.kind, fallback.kind) != (CodeKind::Cubin, CodeKind::Ptx) || fallback.fallback.is_some() {
        return Err("`fallback` is PTX for a cubin, and has none itself".into());
    }
    self::code(fallback)
}

/// Whether an argument of a GPU's code is how a parameter is passed.
fn passes(arg: GpuArg, param: &ir::Param) -> bool {
    match (arg, param.kind) {
        (GpuArg::View { rank, elem }, ParamKind::View { rank: axes, elem: e, .. }) => {
            usize::from(rank) == axes && elem == e
        }
        (GpuArg::Scalar(elem), ParamKind::Scalar(e)) => elem == e,
        _ => false,
    }
}

fn variant(kernel: &Kernel, v: &Variant) -> Result<Formulas, String> {
    let count = kernel.params.len();
    if v.dtypes.len() != count || v.args.len() != count {
        let (d, a) = (v.dtypes.len(), v.args.len());
        return Err(format!("{d} dtypes and {a} facts for {count} parameters"));
    }
    let params: Vec<ir::Param> = kernel
        .params
        .iter()
        .zip(&v.dtypes)
        .map(|(p, dtype)| {
            let kind = match p.kind {
                Kind::Input => ParamKind::View { elem: dtype.0, rank: p.rank, mutable: false },
                Kind::Output => ParamKind::View { elem: dtype.0, rank: p.rank, mutable: true },
                Kind::Scalar => ParamKind::Scalar(dtype.0),
            };
            ir::Param { name: p.name.clone(), kind }
        })
        .collect();
    for (p, spec) in params.iter().zip(&v.args) {
        let rank = match p.kind {
            ParamKind::View { rank, .. } => rank,
            ParamKind::Scalar(_) => 0,
        };
        if rank > crate::tensor::MAX_RANK {
            return Err(format!(
                "`{}` has {rank} axes; at most {} are possible",
                p.name,
                crate::tensor::MAX_RANK
            ));
        }
        if spec.unit_axis.is_some_and(|a| usize::from(a) >= rank) {
            return Err(format!("`{}` has no axis {}", p.name, spec.unit_axis.unwrap_or_default()));
        }
    }
    code(&v.code)?;
    let (facts, wanted) = match v.code.kind {
        CodeKind::Object => (v.cpu.is_some(), "cpu"),
        CodeKind::Ptx | CodeKind::Cubin | CodeKind::Hsaco => (v.gpu.is_some(), "gpu"),
        CodeKind::Source => (v.npu.is_some(), "npu"),
    };
    if !facts {
        return Err(format!("`{wanted}` is missing: code of this kind cannot be launched without"));
    }
    if let Some(gpu) = &v.gpu
        && !(gpu.args.len() == count && gpu.args.iter().zip(&params).all(|(arg, p)| passes(*arg, p)))
    {
        return Err("`gpu.args` does not fit the parameters".into());
    }
    let parse = |field: &str, text: &str| {
        Expr::parse(text, &params).map_err(|e: ExprError| format!("`{field}`: {e}"))
    };
    let or = |field: &str, text: &str| {
        if text.is_empty() { Ok(Expr::constant(0)) } else { parse(field, text) }
    };
    let [x, y, z] = &v.grid;
    Ok(Formulas {
        when: v.when.iter().map(|t| parse("when", t)).collect::<Result<_, _>>()?,
        cost: or("cost", &v.cost)?,
        grid: [parse("grid", x)?, parse("grid", y)?, parse("grid", z)?],
        workspace: or("workspace", &v.workspace)?,
        params,
    })
}
