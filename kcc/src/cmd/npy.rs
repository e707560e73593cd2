//! `.npy` files: any numeric type is read and converted to the kernel's; types that NumPy lacks (bf16, f8) are written as
//! f32, which holds their values exactly.

use super::Failure;
use super::values::{from_f64, to_f64};
use kcc_dsl::ir::Elem;
use kcc_runtime::DynTensor;
use npyz::{DType, NpyFile, WriterBuilder};
use std::io::Write;
use std::path::Path;

fn numbers(file: NpyFile<std::io::BufReader<std::fs::File>>) -> Result<Vec<f64>, String> {
    let DType::Plain(ty) = file.dtype() else { return Err("it holds records, not numbers".into()) };
    macro_rules! read {
        ($t:ty, |$x:ident| $f:expr) => {{
            let list = file.into_vec::<$t>().map_err(|e| said(&e))?;
            Ok(list.into_iter().map(|$x| $f).collect())
        }};
    }
    use npyz::TypeChar::{Bool, Float, Int, Uint};
    match (ty.type_char(), ty.size_field()) {
        (Float, 2) => read!(half::f16, |x| x.to_f64()),
        (Float, 4) => read!(f32, |x| x.into()),
        (Float, 8) => read!(f64, |x| x),
        (Int, 1) => read!(i8, |x| x.into()),
        (Int, 2) => read!(i16, |x| x.into()),
        (Int, 4) => read!(i32, |x| x.into()),
        (Int, 8) => read!(i64, |x| x as f64),
        (Uint, 1) => read!(u8, |x| x.into()),
        (Uint, 2) => read!(u16, |x| x.into()),
        (Uint, 4) => read!(u32, |x| x.into()),
        (Uint, 8) => read!(u64, |x| x as f64),
        (Bool, _) => read!(bool, |x| u8::from(x).into()),
        _ => Err(format!("its type {ty} is not supported")),
    }
}

/// What is wrong with a file, in its reader's words.
fn said(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::UnexpectedEof => "it ends before its header or its elements do".into(),
        _ => e.to_string(),
    }
}

/// Reads a file as a tensor of `elem`.
pub(super) fn read(path: &Path, elem: Elem) -> Result<DynTensor, Failure> {
    let fail = |e: &dyn std::fmt::Display| Failure::file(path, e);
    let open = std::fs::File::open(path).map_err(|e| fail(&e))?;
    let file = NpyFile::new(std::io::BufReader::new(open)).map_err(|e| fail(&said(&e)))?;
    if file.order() != npyz::Order::C {
        return Err(fail(&"it is in Fortran order; save it with np.ascontiguousarray"));
    }
    let dims: Vec<usize> = file.shape().iter().map(|&d| usize::try_from(d).unwrap_or(usize::MAX)).collect();
    let numbers = numbers(file).map_err(|e| fail(&e))?;
    let mut tensor = DynTensor::zeros(elem, &dims)?;
    if numbers.len() != tensor.len() {
        return Err(fail(&format!("it holds {} of {} elements", numbers.len(), tensor.len())));
    }
    from_f64(elem, &numbers, tensor.bytes_mut());
    Ok(tensor)
}

/// Writes a tensor, whole or not at all.
pub(super) fn write(path: &Path, tensor: &DynTensor) -> Result<(), Failure> {
    let shape: Vec<u64> = tensor.dims().iter().map(|&d| d as u64).collect();
    let values = to_f64(tensor.elem(), tensor.bytes());
    let mut bytes = Vec::new();
    macro_rules! write {
        ($t:ty) => {{
            let options = npyz::WriteOptions::<$t>::new().default_dtype().shape(&shape);
            options.writer(&mut bytes as &mut dyn Write).begin_nd().and_then(|mut w| {
                w.extend(values.iter().map(|&v| v as $t))?;
                w.finish()
            })
        }};
    }
    let done = match tensor.elem() {
        Elem::Bool | Elem::U8 => write!(u8),
        Elem::I8 => write!(i8),
        Elem::I16 => write!(i16),
        Elem::I32 => write!(i32),
        Elem::I64 => write!(i64),
        Elem::U32 => write!(u32),
        Elem::F16 => {
            let options = npyz::WriteOptions::<half::f16>::new().default_dtype().shape(&shape);
            options.writer(&mut bytes as &mut dyn Write).begin_nd().and_then(|mut w| {
                w.extend(values.iter().map(|&v| half::f16::from_f64(v)))?;
                w.finish()
            })
        }
        _ => write!(f32),
    };
    done.map_err(|e| Failure::file(path, &e))?;
    kcc_compiler::link::write_atomically(path, &bytes).map_err(Failure::from)
}
