//! Cases of embedding look-up.

use super::compare::{F32, close};
use super::input::{Random, Value, exact};
use super::{Case, tensor, text, untouched};
use crate::embedding;

pub(super) fn cases<T: Value>(all: &mut Vec<Case>) {
    for (n, entries, width) in [(1, 1, 1), (17, 23, 131), (33, 100, 384), (0, 3, 4)] {
        all.push(plain::<T>(n, entries, width));
        all.push(sum::<T>(n, entries, width));
    }
}

/// Ids, some of them -1: they give zeros.
fn ids(random: &mut Random, n: usize, entries: usize) -> Vec<i32> {
    let mut ids: Vec<i32> = (0..n).map(|_| random.below(entries) as i32).collect();
    if n > 4 {
        (ids[1], ids[3]) = (-1, -1);
    }
    ids
}

fn plain<T: Value>(n: usize, entries: usize, width: usize) -> Case {
    Case::new(format!("embedding {} {n} of {entries}x{width}", T::ELEM), move |device| {
        let mut random = Random::new(14);
        let ids = ids(&mut random, n, entries);
        let table: Vec<T> = random.values(entries * width, 1.0);
        let mut y = untouched::<T>(&[n, width])?;
        let (ti, tt) = (tensor(&ids, &[n])?, tensor(&table, &[entries, width])?);
        embedding::embedding(device, &ti.view(), &tt.view(), &mut y.view_mut()).map_err(text)?;
        // A copy: exact.
        close(y.as_slice(), &embedding::reference(&ids, &exact(&table), width), |_| 0.0)
    })
}

fn sum<T: Value>(n: usize, entries: usize, width: usize) -> Case {
    Case::new(format!("embedding_sum {} {n} of {entries}x{width}", T::ELEM), move |device| {
        let mut random = Random::new(15);
        let sizes = [entries, n.max(1), 2];
        let ids = sizes.map(|entries| ids(&mut random, n, entries));
        let tables: [Vec<T>; 3] = sizes.map(|entries| random.values(entries * width, 1.0));
        let mut y = untouched::<T>(&[n, width])?;
        let [i0, i1, i2] = [tensor(&ids[0], &[n])?, tensor(&ids[1], &[n])?, tensor(&ids[2], &[n])?];
        let table = |i: usize| tensor(&tables[i], &[sizes[i], width]);
        let [t0, t1, t2] = [table(0)?, table(1)?, table(2)?];
        embedding::embedding_sum(
            device,
            [&i0.view(), &i1.view(), &i2.view()],
            [&t0.view(), &t1.view(), &t2.view()],
            &mut y.view_mut(),
        )
        .map_err(text)?;
        let mut want = vec![0.0; n * width];
        for (ids, table) in ids.iter().zip(&tables) {
            let rows = embedding::reference(ids, &exact(table), width);
            want.iter_mut().zip(rows).for_each(|(w, r)| *w += r);
        }
        // Two sums of numbers below 3.
        close(y.as_slice(), &want, |_| 2.0 * 3.0 * F32)
    })
}
