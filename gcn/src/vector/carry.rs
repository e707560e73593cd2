//! Sums with a carry for each lane, and products that are added to 64 bits.

use super::dpp::Dpp;
use super::source::{Source, Type};
use crate::error::Trouble;
use crate::instruction::{Code, Context, step};
use crate::text::Kind;

/// Two operands and the carry to 33 bits of result: bit 32 is the carry or borrow.
type Sum = fn(u64, u64, u64) -> u64;

const ADD: Sum = |a, b, c| a + b + c;
const SUB: Sum = |a, b, c| a.wrapping_sub(b).wrapping_sub(c);
const SUBREV: Sum = |a, b, c| b.wrapping_sub(a).wrapping_sub(c);

const SUMS: [(&str, Sum); 9] = [
    ("v_add_co_u32", ADD),
    ("v_addc_co_u32", ADD),
    ("v_add_co_ci_u32", ADD),
    ("v_sub_co_u32", SUB),
    ("v_subb_co_u32", SUB),
    ("v_sub_co_ci_u32", SUB),
    ("v_subrev_co_u32", SUBREV),
    ("v_subbrev_co_u32", SUBREV),
    ("v_subrev_co_ci_u32", SUBREV),
];

/// Two factors of 32 bits to 64.
type Product = fn(u64, u64) -> u64;

const PRODUCTS: [(&str, Product); 2] = [
    ("v_mad_u64_u32", |a, b| a * b),
    ("v_mad_i64_i32", |a, b| (i64::from(a as i32) * i64::from(b as i32)) as u64),
];

pub(crate) fn decode(context: &Context<'_>) -> Option<Result<Code, Trouble>> {
    let (line, name) = (context.line, context.line.operation());
    let sum = SUMS.iter().find(|(n, _)| *n == name).map(|(_, f)| *f);
    let product = PRODUCTS.iter().find(|(n, _)| *n == name).map(|(_, f)| *f);
    if sum.is_none() && product.is_none() {
        return None;
    }
    let decode = || {
        let dpp = Dpp::of(line)?;
        if line.mnemonic.ends_with("_sdwa") || dpp.is_some() && sum.is_none() {
            return Err(format!("an encoding of `{name}` that is not known"));
        }
        let to = line.operand(0)?.vector()?;
        let carry = match line.operand(1)?.kind {
            Kind::Nothing => None,
            _ => Some(line.operand(1)?.scalar()?),
        };
        let (a, b) =
            (Source::plain(line.operand(2)?, Type::B32)?, Source::plain(line.operand(3)?, Type::B32)?);
        let third = if sum.is_some() { Type::Mask } else { Type::B64 };
        let c = line.operands.get(4).map(|o| Source::plain(o, third)).transpose()?;
        Ok(step(move |wave, _| {
            let (mut a, b, mut written) = (a.get64(wave)?, b.get64(wave)?, wave.exec);
            if let Some(dpp) = &dpp {
                let mut moved = a.map(|x| x as u32);
                written = dpp.apply(wave, &mut moved);
                a = moved.map(u64::from);
                if written != wave.exec && carry.is_some() {
                    return Err("carries of lanes that are not written".into());
                }
            }
            let c = c.map_or(Ok([0; 64]), |c| c.get64(wave))?;
            let (mut out, mut mask) = ([0; 64], 0);
            for lane in 0..64 {
                let (value, carries) = match (sum, product) {
                    (Some(f), _) => {
                        let r = f(a[lane], b[lane], c[lane]);
                        (r, r >> 32 & 1 == 1)
                    }
                    (None, Some(f)) => f(a[lane], b[lane]).overflowing_add(c[lane]),
                    (None, None) => (0, false),
                };
                out[lane] = value;
                mask |= u64::from(carries) << lane;
            }
            wave.set_lanes(to, written, &out.map(|x| x as u32))?;
            if product.is_some() {
                wave.set_vector(to + 1, &out.map(|x| (x >> 32) as u32))?;
            }
            carry.map_or(Ok(()), |register| wave.set_mask(register, mask & wave.exec))
        }))
    };
    Some(decode())
}
