//! What stands between memory and products: gathers, masks, atomics, results that are read again.

use super::{CHIPS, PLAIN, agree, agree_on, results, whole};
use kcc::prelude::*;
use kcc::{Launch, Tensor};

/// Both operands are gathered, one by a mask, and what is missing is not zero; the result is scattered.
#[kernel]
fn gathered(
    rows: &View<i32, 1>,
    cols: &View<i32, 1>,
    x: &View<bf16, 2>,
    y: &mut View<f32, 2>,
    limit: Scalar<i32>,
) {
    let mut acc = Matrix::<f32, 64, 32>::zeros();
    let r = rows.load_or::<64>(0, -1);
    for k in (0..cols.dim(0)).step_by(32) {
        let c = cols.load_or::<32>(k, -1);
        let mask = (r >= 0 && r < 50).col() & (c >= 0 && c < limit).row();
        let left = x.gather((r.col(), c.row()), mask, Matrix::constant(2.0));
        let right = x.load_rows_or::<32, 32>(c, 1, 1.0);
        acc = dot_acc(left, right, acc);
    }
    let (i, j) = (arange::<64>(), arange::<32>());
    let odd = (i.col() + j.row()) % 2 == 1;
    y.scatter((63 - i.col().broadcast::<32>(), j.row().broadcast::<64>()), odd, acc);
}

#[test]
fn operands_that_are_gathered_under_a_mask() {
    let x = whole::<bf16>(&[50, 48], 1, 2);
    let rows = Tensor::from_fn(&[60], |i| ((i * 7) % 53) as i32 - 1).unwrap();
    let cols = Tensor::from_fn(&[77], |i| ((i * 11) % 51) as i32 - 1).unwrap();
    // A limit below every index: nothing is read.
    for limit in [30, -5] {
        agree(&CHIPS, &[&[], &[("stages", "1")], &[("warps", "8")]], |device, options| {
            let mut y = Tensor::full(&[64, 32], 5.0).unwrap();
            gathered::kernel().launch_with(device, 1, (&rows, &cols, &x, &mut y, limit), options).unwrap();
            results(&[&y])
        });
    }
}

/// Sums along K by several programs, added up by atomics; how many programs each row saw.
#[kernel]
fn split_sums(a: &View<f16, 2>, b: &View<f16, 2>, y: &mut View<f32, 2>, seen: &mut View<i32, 1>) {
    let (m, k) = (program_id(0) * 32, program_id(1) * 48);
    let p = dot(a.load::<32, 48>((m, k)), b.load::<48, 40>((k, 0)));
    let (i, j) = (m + arange::<32>(), arange::<40>());
    let mask = i < a.dim(0);
    let (rows, cols) = (i.col().broadcast::<40>(), j.row().broadcast::<32>());
    y.atomic_add((rows, cols), mask.col().broadcast::<40>(), p, Relaxed, DeviceScope);
    seen.atomic_add(i, mask, Vector::full(1), AcqRel, DeviceScope);
    let worst = p.argmax_rows();
    seen.atomic_max(40 + i, mask, worst, Relaxed, DeviceScope);
}

#[test]
fn products_that_atomics_add_up() {
    let (a, b) = (whole::<f16>(&[40, 150], 1, 2), whole::<f16>(&[150, 40], 2, 2));
    agree(&CHIPS, PLAIN, |device, options| {
        let (mut y, mut seen) = (Tensor::zeros(&[40, 40]).unwrap(), Tensor::<i32>::zeros(&[104]).unwrap());
        split_sums::kernel().launch_with(device, (2, 4), (&a, &b, &mut y, &mut seen), options).unwrap();
        let mut all = results(&[&y]);
        all.extend(results(&[&seen]));
        all
    });
}

/// `c = alpha · a · b + c`, in place, then a row of it is read back and added to the next block.
#[kernel]
fn in_place(a: &View<bf16, 2>, b: &View<bf16, 2>, c: &mut View<f32, 2>, alpha: Scalar<f32>) {
    let m = program_id(0) * 64;
    for n in (0..b.dim(1)).step_by(32) {
        let p = dot(a.load::<64, 64>((m, 0)), b.load::<64, 32>((0, n)));
        let old = c.load::<64, 32>((m, n));
        c.store((m, n), fma(p, Tile::splat(alpha), old));
        let row = c.load::<1, 32>((m, n)).reshape::<D1<32>>();
        c.store((m, n), c.load::<64, 32>((m, n)) + row.row());
    }
}

#[test]
fn a_result_that_is_read_again() {
    let (a, b, c) =
        (whole::<bf16>(&[100, 64], 1, 2), whole::<bf16>(&[64, 72], 2, 2), whole::<f32>(&[100, 72], 3, 9));
    agree(&CHIPS, &[&[], &[("warps", "4")]], |device, options| {
        let mut c = Tensor::from_slice(c.as_slice(), &[100, 72]).unwrap();
        in_place::kernel().launch_with(device, 2, (&a, &b, &mut c, 2.0), options).unwrap();
        results(&[&c])
    });
}

/// The largest of each row with where it stands, how often each remainder occurs, and the product in three types.
#[kernel]
fn summaries(
    a: &View<f16, 2>,
    b: &View<f16, 2>,
    top: &mut View<f32, 2>,
    at: &mut View<i32, 2>,
    counts: &mut View<i32, 1>,
    y: &mut View<bf16, 2>,
) {
    let p = dot(a.load::<32, 64>((0, 0)), b.load::<64, 64>((0, 0))).clamp(-99.0, 99.0);
    let (best, places) = p.top_k::<5>();
    top.store((0, 0), best);
    at.store((0, 0), places);
    counts.store(0, (p.to::<i32>() & 15).flatten::<2048>().histogram::<16>());
    y.store((0, 0), p.to());
    assume(a.dim(1) == 64);
    kassert!(p < 100.0, "clamped above");
}

#[test]
fn what_is_kept_of_a_product() {
    let (a, b) = (whole::<f16>(&[32, 64], 1, 2), whole::<f16>(&[64, 64], 2, 2));
    // Assertions are not for an NPU.
    agree_on(&CHIPS, &[&[], &[("warps", "2")]], |device, options| {
        let mut top = Tensor::<f32>::zeros(&[32, 5]).unwrap();
        let (mut at, mut counts) =
            (Tensor::<i32>::zeros(&[32, 5]).unwrap(), Tensor::<i32>::zeros(&[16]).unwrap());
        let mut y = Tensor::<bf16>::zeros(&[30, 60]).unwrap();
        let args = (&a, &b, &mut top, &mut at, &mut counts, &mut y);
        summaries::kernel().launch_with(device, 1, args, options).unwrap();
        let mut all = results(&[&top]);
        all.extend(results(&[&at, &counts]));
        all.extend(results(&[&y]));
        all
    });
}

/// Heads of a tensor of rank 4, the one for each program by all three axes of the grid; keys beyond a length that is in memory
/// do not count, an added mask is of another type.
#[kernel]
fn heads(
    q: &View<f16, 4>,
    k: &View<f16, 4>,
    lengths: &View<i32, 1>,
    mask: &View<i8, 2>,
    y: &mut View<f32, 4>,
) {
    let (head, batch) = (program_id(1), program_id(2));
    let m = program_id(0) * 32;
    let length = lengths.get(batch);
    let q = q.at((batch, head)).load::<32, 64>((m, 0));
    let k = k.at((batch, head / 2));
    let mut y = y.at_mut((batch, head));
    for n in (0..length).step_by(32) {
        let s = dot(q, k.load::<32, 64>((n, 0)).t());
        let s = s + mask.load::<32, 32>((m, n)).to::<f32>();
        let s = fill_where((n + arange::<32>() >= length).row(), s, -1.0);
        y.store((m, n), s);
    }
}

#[test]
fn heads_of_a_batch_with_lengths_in_memory() {
    let (q, k) = (whole::<f16>(&[2, 4, 40, 64], 1, 2), whole::<f16>(&[2, 2, 50, 64], 2, 2));
    let (lengths, mask) = (Tensor::from_slice(&[45, 0], &[2]).unwrap(), whole::<i8>(&[40, 50], 3, 100));
    agree(&CHIPS, &[&[], &[("warps", "4"), ("stages", "2")]], |device, options| {
        let mut y = Tensor::zeros(&[2, 4, 40, 50]).unwrap();
        heads::kernel().launch_with(device, [2, 4, 2], (&q, &k, &lengths, &mask, &mut y), options).unwrap();
        results(&[&y])
    });
}
