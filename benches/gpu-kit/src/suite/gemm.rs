//! Matrix products.

use super::{Bench, Check, Config, Outcome, Shared, Suite, label, options, tensor, text, untouched};
use crate::timing::{Effort, Rotation, seconds};
use kcc_dsl::prelude::*;
use kcc_kernels::cases::compare::{F32, close};
use kcc_kernels::cases::input::{Random, Value, exact};
use kcc_kernels::matmul::{matmul_tile, reference};
use kcc_runtime::{Device, Launch as _, Result};
use std::rc::Rc;

/// `m`, `n`, `k`.
type Sizes = [usize; 3];

/// A tile shape, ready for any sizes.
struct Tile {
    label: String,
    rows: usize,
    run: Shared<Sizes>,
}

fn time<T: Float + DotElem, const BM: usize, const BN: usize, const BK: usize>(
    device: &Device,
    [m, n, k]: Sizes,
    effort: Effort,
    with: &str,
) -> Result<Option<f64>> {
    let (a, b) = (Rotation::<T>::new(device, &[m, k], effort)?, Rotation::<T>::new(device, &[k, n], effort)?);
    let mut c = device.zeros::<T>(&[m, n])?;
    let (bias, residual) = (device.zeros::<T>(&[1])?, device.zeros::<T>(&[1, 1])?);
    let kernel = matmul_tile::kernel::<T, BM, BN, BK, 0, false, false>();
    let ready = kernel.prepare(device, (a.at(0), b.at(0), &bias, &residual, &mut c), &options(with))?;
    let grid = [m.div_ceil(BM), n.div_ceil(BN), 1];
    seconds(device, effort, |i| ready.launch(grid, (a.at(i), b.at(i), &bias, &residual, &mut c)))
}

/// More than a tile along each axis, and no multiple of one; rows of whole 16 bytes, as in what is timed.
fn check<T: Value + DotElem, const BM: usize, const BN: usize, const BK: usize>(
    device: &Device,
    with: &str,
) -> Outcome {
    let (m, n, k) = (BM + 40, BN + 24, 3 * BK + 8);
    let mut random = Random::new(31);
    let (a, b): (Vec<T>, Vec<T>) = (random.values(m * k, 1.0), random.values(k * n, 1.0));
    let (ta, tb) = (tensor(&a, &[m, k])?, tensor(&b, &[k, n])?);
    let (bias, residual) = (untouched::<T>(&[1])?, untouched::<T>(&[1, 1])?);
    let mut c = untouched::<T>(&[m, n])?;
    let grid = [m.div_ceil(BM), n.div_ceil(BN), 1];
    matmul_tile::kernel::<T, BM, BN, BK, 0, false, false>()
        .launch_with(device, grid, (&ta, &tb, &bias, &residual, &mut c), &options(with))
        .map_err(text)?;
    let (a, b) = (exact(&a), exact(&b));
    let magnitude = |v: &[f64]| v.iter().map(|x| x.abs()).collect::<Vec<_>>();
    let want = reference((m, n, k), &a, &b, None, 0, None);
    let sums = reference((m, n, k), &magnitude(&a), &magnitude(&b), None, 0, None);
    // A sum of k products in any order: k units of the sum of magnitudes (Higham, section 3.1).
    close(c.as_slice(), &want, |i| F32 * k as f64 * sums[i])
}

fn tile<T: Value + DotElem, const BM: usize, const BN: usize, const BK: usize>(
    suite: &mut Suite,
    with: &'static str,
) -> Tile {
    let label = label(&[BM, BN, BK], with);
    let name = format!("matmul {} {label}", T::ELEM);
    suite.checks.push(Check::new(name, move |device| check::<T, BM, BN, BK>(device, with)));
    let run: Shared<Sizes> = Rc::new(move |device, z, effort| time::<T, BM, BN, BK>(device, z, effort, with));
    Tile { label, rows: BM, run }
}

fn of_type<T: Value + DotElem>(suite: &mut Suite) {
    let tiles = [
        tile::<T, 128, 256, 64>(suite, "warps=8"),
        // Two programs share the columns of `b`; chips without clusters say so.
        tile::<T, 128, 256, 64>(suite, "warps=8,cluster=2"),
        tile::<T, 128, 128, 64>(suite, "warps=8,cluster=2"),
        tile::<T, 256, 128, 64>(suite, "warps=8"),
        tile::<T, 128, 128, 64>(suite, "warps=8"),
        tile::<T, 128, 128, 64>(suite, "warps=4"),
        tile::<T, 64, 256, 64>(suite, "warps=4"),
        tile::<T, 64, 128, 64>(suite, "warps=4"),
        tile::<T, 64, 64, 64>(suite, ""),
        tile::<T, 16, 64, 64>(suite, ""),
    ];
    let square = [1024, 2048, 4096, 8192].map(|n| [n, n, n]);
    let skinny =
        [[16, 8192, 8192], [64, 8192, 8192], [128, 8192, 8192], [8192, 8192, 128], [8192, 128, 8192]];
    for sizes in square.into_iter().chain(skinny) {
        let [m, n, k] = sizes;
        // A tile of more than twice the rows there are would waste most of itself.
        let fits = |t: &&Tile| t.rows <= (2 * m).max(64) && (t.rows > 16 || m <= 64);
        let configs = tiles.iter().filter(fits).map(|t| {
            let run = t.run.clone();
            Config { label: t.label.clone(), run: Box::new(move |device, effort| run(device, sizes, effort)) }
        });
        suite.benches.push(Bench {
            name: format!("matmul {} {m}x{n}x{k}", T::ELEM),
            flops: 2.0 * (m as f64) * (n as f64) * (k as f64),
            bytes: ((m * k + k * n + m * n) * size_of::<T>()) as f64,
            configs: configs.collect(),
        });
    }
}

pub(super) fn add(suite: &mut Suite) {
    of_type::<bf16>(suite);
    of_type::<f16>(suite);
}
