//! Arguments of `kcc run` from text: `random:64x64`, `zeros:8`, `x.npy`, `0.5`.

use super::{Failure, npy};
use kcc_dsl::eager::EagerBuffer;
use kcc_dsl::ir::{Elem, Param, ParamKind};
use kcc_runtime::{Arg, DynTensor};
use std::path::Path;

/// One argument with its memory.
#[derive(Clone)]
pub(super) enum Value {
    Tensor { tensor: DynTensor, mutable: bool },
    Scalar { elem: Elem, bits: u64 },
}

impl Value {
    /// As a launch argument.
    pub(super) fn arg(&mut self) -> Arg<'_> {
        match self {
            Value::Tensor { tensor, mutable: true } => Arg::dyn_output(tensor),
            Value::Tensor { tensor, mutable: false } => Arg::dyn_input(tensor),
            Value::Scalar { elem, bits } => Arg::scalar_bits(*elem, *bits),
        }
    }
}

/// Elements as `f64`; exact but for large 64-bit integers.
pub(super) fn to_f64(elem: Elem, bytes: &[u8]) -> Vec<f64> {
    let buffer = EagerBuffer::from_bytes(elem, bytes.to_vec());
    if elem.is_float() {
        buffer.to_f32().into_iter().map(f64::from).collect()
    } else {
        buffer.to_i64().into_iter().map(|v| v as f64).collect()
    }
}

/// Numbers rounded (floats) or truncated (integers) to `elem`, into `bytes`.
pub(super) fn from_f64(elem: Elem, numbers: &[f64], bytes: &mut [u8]) {
    let buffer = if elem.is_float() {
        EagerBuffer::from_f32(elem, &numbers.iter().map(|&v| v as f32).collect::<Vec<_>>())
    } else if elem == Elem::Bool {
        EagerBuffer::from_i64(elem, &numbers.iter().map(|&v| i64::from(v != 0.0)).collect::<Vec<_>>())
    } else {
        EagerBuffer::from_i64(elem, &numbers.iter().map(|&v| v as i64).collect::<Vec<_>>())
    };
    bytes.copy_from_slice(buffer.bytes());
}

/// `64x64`; `scalar` for rank 0.
fn dims(text: &str) -> Option<Vec<usize>> {
    if text == "scalar" {
        return Some(vec![]);
    }
    text.split('x').map(|d| d.trim().parse().ok()).collect()
}

/// The next number of SplitMix64 (Steele, Lea and Flood, 2014), in [0, 1).
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// The elements in so many words: `list:0,37,1`, or with dims `list:1,2,3,4:2x2`.
fn listed(elem: Elem, numbers: &str, shape: Option<&str>) -> Option<Result<DynTensor, Failure>> {
    let parsed: Vec<f64> = numbers.split(',').map(|n| n.trim().parse().ok()).collect::<Option<_>>()?;
    let shape = shape.map_or_else(|| Some(vec![parsed.len()]), dims)?;
    if shape.iter().product::<usize>() != parsed.len() {
        return None;
    }
    let mut t = match DynTensor::zeros(elem, &shape) {
        Ok(t) => t,
        Err(e) => return Some(Err(e.into())),
    };
    from_f64(elem, &parsed, t.bytes_mut());
    Some(Ok(t))
}

fn tensor(elem: Elem, spec: &str) -> Result<DynTensor, Failure> {
    let mut parts = spec.split(':');
    let fill = parts.next().unwrap_or_default();
    let known = matches!(fill, "random" | "zeros" | "ones" | "empty" | "iota" | "list" | "below");
    if !known {
        return npy::read(Path::new(spec), elem);
    }
    let bad = || {
        Failure::with_help(
            format!("`{spec}` describes no tensor"),
            "write random:64x64, random:64x64:SEED, below:11:3x4 (random whole numbers from 0 to 10), list:3,1,2, \
             list:1,2,3,4:2x2, zeros:8, ones:8, iota:8, empty:2x3x4, or a .npy file",
        )
    };
    if fill == "list" {
        return listed(elem, parts.next().unwrap_or_default(), parts.next()).unwrap_or_else(|| Err(bad()));
    }
    let below = match fill {
        "below" => parts.next().and_then(|n| n.parse::<u32>().ok()).filter(|n| *n > 0).ok_or_else(bad)?,
        _ => 0,
    };
    let (shape, seed) = (parts.next(), parts.next());
    let shape = shape.and_then(dims).ok_or_else(bad)?;
    let mut seed: u64 = seed.map_or(Ok(0), str::parse).map_err(|_| bad())?;
    if fill == "empty" {
        return Ok(DynTensor::empty(elem, &shape)?);
    }
    let mut t = DynTensor::zeros(elem, &shape)?;
    let numbers: Vec<f64> = (0..t.len())
        .map(|i| match fill {
            "ones" => 1.0,
            "iota" => i as f64,
            "below" => (uniform(&mut seed) * f64::from(below)).floor(),
            // Floats in [-1, 1), integers in -4..=4, or 0..=8 without a sign.
            "random" if elem.is_float() => uniform(&mut seed) * 2.0 - 1.0,
            "random" if elem == Elem::Bool => (uniform(&mut seed) * 2.0).floor(),
            "random" if elem.is_signed() => (uniform(&mut seed) * 9.0).floor() - 4.0,
            "random" => (uniform(&mut seed) * 9.0).floor(),
            _ => 0.0,
        })
        .collect();
    from_f64(elem, &numbers, t.bytes_mut());
    Ok(t)
}

fn scalar(elem: Elem, text: &str) -> Option<u64> {
    let number = match text {
        "true" => 1.0,
        "false" => 0.0,
        _ if elem.is_int() => text.parse::<i64>().ok()? as f64,
        _ => text.parse::<f64>().ok()?,
    };
    let mut bytes = [0u8; 8];
    if elem == Elem::I64 {
        return Some(if number == 1.0 && text == "true" { 1 } else { text.parse::<i64>().ok()? as u64 });
    }
    from_f64(elem, &[number], &mut bytes[..elem.bytes()]);
    Some(u64::from_le_bytes(bytes))
}

/// One value per parameter, from `name=spec` pairs.
pub(super) fn parse(params: &[Param], given: &[(String, String)]) -> Result<Vec<Value>, Failure> {
    let describe = |p: &Param| match p.kind {
        ParamKind::View { elem, rank, mutable } => {
            format!("{}: {}view<{elem}, {rank}>", p.name, if mutable { "written " } else { "" })
        }
        ParamKind::Scalar(elem) => format!("{}: {elem}", p.name),
    };
    let all = || format!("the kernel takes {}", params.iter().map(describe).collect::<Vec<_>>().join(", "));
    if let Some((name, _)) = given.iter().find(|(n, _)| params.iter().all(|p| p.name != *n)) {
        return Err(Failure::with_help(format!("the kernel has no parameter `{name}`"), all()));
    }
    params
        .iter()
        .map(|p| {
            let mut specs = given.iter().filter(|(n, _)| *n == p.name);
            let Some((_, spec)) = specs.next() else {
                let message = format!("argument `{}` is missing", p.name);
                return Err(Failure::with_help(message, format!("{}; give --arg {}=…", all(), p.name)));
            };
            if specs.next().is_some() {
                return Err(Failure::input(format!("argument `{}` is given twice", p.name)));
            }
            match p.kind {
                ParamKind::View { elem, mutable, .. } => {
                    Ok(Value::Tensor { tensor: tensor(elem, spec)?, mutable })
                }
                ParamKind::Scalar(elem) => {
                    let bits = scalar(elem, spec).ok_or_else(|| {
                        Failure::input(format!("argument `{}`: `{spec}` is no {elem}", p.name))
                    })?;
                    Ok(Value::Scalar { elem, bits })
                }
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(t: &DynTensor) -> Vec<f64> {
        to_f64(t.elem(), t.bytes())
    }

    #[test]
    fn tensors_are_made_as_described_in_the_parameters_type() {
        assert_eq!(tensor(Elem::I8, "iota:2x2").ok().map(|t| floats(&t)), Some(vec![0.0, 1.0, 2.0, 3.0]));
        assert_eq!(tensor(Elem::BF16, "ones:3").ok().map(|t| floats(&t)), Some(vec![1.0; 3]));
        assert_eq!(tensor(Elem::F32, "zeros:scalar").ok().map(|t| t.dims()), Some(vec![]));
        let (a, b) =
            (tensor(Elem::F32, "random:9:1").ok().unwrap(), tensor(Elem::F32, "random:9:2").ok().unwrap());
        assert!(floats(&a) != floats(&b) && floats(&a).iter().all(|v| v.abs() <= 1.0));
        assert_eq!(tensor(Elem::I32, "list:3,-1").ok().map(|t| floats(&t)), Some(vec![3.0, -1.0]));
        assert_eq!(tensor(Elem::F32, "list:1,2,3,4:2x2").ok().map(|t| t.dims()), Some(vec![2, 2]));
        let few = tensor(Elem::I32, "below:3:50").ok().map(|t| floats(&t)).unwrap();
        assert!((0..3).all(|i| few.contains(&f64::from(i))) && few.iter().all(|v| *v < 3.0));
        for bad in ["list:", "list:1,x", "list:1,2:3", "below:0:3", "below:3", "below:x:3"] {
            assert!(tensor(Elem::I32, bad).is_err(), "{bad}");
        }
        for bad in ["random", "random:x", "zeros:2x", "ones:3:y", "zeros:-1", "missing.npy"] {
            assert!(tensor(Elem::F32, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn scalars_are_checked_against_their_type() {
        assert_eq!(scalar(Elem::F32, "0.5"), Some(0.5f32.to_bits().into()));
        assert_eq!(scalar(Elem::I32, "-1"), Some(u32::MAX.into()));
        assert_eq!(scalar(Elem::I64, "-1"), Some(u64::MAX));
        assert_eq!(scalar(Elem::Bool, "true"), Some(1));
        assert_eq!(scalar(Elem::I32, "0.5"), None);
        assert_eq!(scalar(Elem::F32, "half"), None);
    }
}
