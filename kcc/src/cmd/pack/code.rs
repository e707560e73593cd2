//! The files of a variant: what a target's artefact is, and machine code beside PTX.

use super::super::{Failure, registers, serve};
use super::build::{Work, request};
use kcc_dsl::exchange::Artifact;
use kcc_nvidia::ptxas::Ptxas;
use kcc_runtime::pack::format::{Code, CodeKind, Variant};
use kcc_runtime::pack::minimum_driver;
use std::sync::Mutex;

/// What artefacts are, by the family of the target, and how their files end.
const KINDS: [(&str, CodeKind, &str); 4] = [
    ("cpu", CodeKind::Object, "o"),
    ("nvidia", CodeKind::Ptx, "ptx"),
    ("amd", CodeKind::Hsaco, "hsaco"),
    ("ascend", CodeKind::Source, "asc"),
];

/// The file of a variant's artefact. `stem`: its path without an ending.
pub(super) fn describe(artifact: &Artifact, stem: &str) -> Result<Code, Failure> {
    let family = artifact.target.split(':').next().unwrap_or_default();
    let Some((_, kind, ending)) = KINDS.iter().find(|(name, ..)| *name == family) else {
        return Err(Failure::input(format!("a pack holds no code for `{}`", artifact.target)));
    };
    let gpu = artifact.gpu.as_ref().filter(|_| *kind == CodeKind::Ptx);
    let code = Code::new(format!("{stem}.{ending}"), *kind, artifact.symbol.as_str(), &artifact.bytes);
    Ok(Code { minimum_driver: gpu.and_then(minimum_driver), ..code })
}

/// A variant's files by name, and warnings of what they keep in memory. With an assembler, machine code comes before PTX.
pub(super) fn files(
    w: &Work<'_>,
    variant: &mut Variant,
    bytes: Vec<u8>,
    ptxas: Option<&Ptxas>,
    warned: &Mutex<Failure>,
) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let text = (variant.code.file.clone(), bytes);
    let warn = |warning: Option<Failure>| {
        if let (Some(warning), Ok(mut all)) = (warning, warned.lock()) {
            all.also(warning);
        }
    };
    if variant.code.kind == CodeKind::Hsaco {
        let target = serve::target(&w.target)?;
        warn(registers::linked(&request(w, &*target), &*target, &text.1));
    }
    let (Some(ptxas), CodeKind::Ptx, Some(gpu)) = (ptxas, variant.code.kind, &variant.gpu) else {
        return Ok(vec![text]);
    };
    let target = serve::target(&w.target)?;
    let code = (&*String::from_utf8_lossy(&text.1), gpu.arch.as_str());
    let (made, warning) = registers::assemble(&request(w, &*target), &*target, ptxas, code)?;
    warn(warning);
    let made = made.bytes;
    let stem = text.0.strip_suffix("ptx").unwrap_or(&text.0);
    let code = Code::new(format!("{stem}cubin"), CodeKind::Cubin, variant.code.symbol.as_str(), &made);
    let file = code.file.clone();
    let ptx = std::mem::replace(&mut variant.code, code);
    variant.code.fallback = Some(Box::new(ptx));
    Ok(vec![(file, made), text])
}
