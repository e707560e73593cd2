//! Sorting with indices: pairs of eight bytes, a value (a half fills the upper two of its four bytes with anything) and an index.

use super::code::num;
use super::context::Context;
use super::value::float;
use crate::error::{Fault, FaultKind};
use crate::ir::{Instr, Local, Span, Stride, Val};

/// A pair with its key.
type Pair = (f32, [u8; 8]);

/// Largest first; equal values keep their order.
fn sort(pairs: &mut [Pair]) {
    pairs.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(std::cmp::Ordering::Equal));
}

fn known(c: &Context<'_>, l: &Local, at: usize, w: usize) -> Result<(), Fault> {
    if c.memory(l).all_defined(at, w) {
        return Ok(());
    }
    Err(Fault::new(FaultKind::Undefined, "a value that was never written is sorted"))
}

pub(super) fn run(c: &mut Context<'_>, i: &Instr) -> Result<(), Fault> {
    match i {
        Instr::Sort32(i) => {
            let w = i.elem.bytes();
            let n = Span::Count { n: Val::Const(32 * num(&i.times)) };
            let values = c.operand(&i.values, &n, Stride::DENSE, w, w)?;
            let indices = c.operand(&i.indices, &n, Stride::DENSE, 4, 4)?;
            let mut pairs: Vec<Pair> = Vec::new();
            for (v, k) in values.iter().zip(indices) {
                known(c, &i.values, *v, w)?;
                known(c, &i.indices, k, 4)?;
                let mut b = [0; 8];
                b[..w].copy_from_slice(&c.memory(&i.values).data[*v..*v + w]);
                b[4..].copy_from_slice(&c.memory(&i.indices).data[k..k + 4]);
                pairs.push((float(i.elem, &b), b));
            }
            pairs.chunks_mut(32).for_each(sort);
            write(c, &i.dst, &pairs)
        }
        Instr::MergeSort(i) => {
            let n = num(&i.length) * i64::from(i.lists);
            let at = c.read(&i.src, 0, 8 * n)?;
            let mut pairs: Vec<Pair> = Vec::new();
            for k in 0..n as usize {
                let b = at + 8 * k;
                known(c, &i.src, b, i.elem.bytes())?;
                let mut pair = [0; 8];
                pair.copy_from_slice(&c.memory(&i.src).data[b..b + 8]);
                pairs.push((float(i.elem, &pair), pair));
            }
            for list in pairs.chunks(num(&i.length) as usize) {
                if list.windows(2).any(|p| p[0].0 < p[1].0) {
                    let what = "a list that is merged is not sorted, largest first";
                    return Err(Fault::new(FaultKind::Parameter, what));
                }
            }
            sort(&mut pairs);
            write(c, &i.dst, &pairs)
        }
        _ => Ok(()),
    }
}

fn write(c: &mut Context<'_>, dst: &Local, pairs: &[Pair]) -> Result<(), Fault> {
    let at = c.write(dst, 0, 8 * pairs.len() as i64)?;
    let m = c.memory_mut(dst);
    for (k, (_, b)) in pairs.iter().enumerate() {
        m.put(at + 8 * k, b, true);
    }
    Ok(())
}
