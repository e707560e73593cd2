//! Layouts of the three tiles of a product, from the fragments of one instruction.
//!
//! ```text
//!             N ──►
//!            ┌──────┬──────┐ b: columns of the warp, all of k
//!    a       ├──────┼──────┤
//!    M  rows │warp 0│warp 2│   acc: fragments repeated in registers, warps laid beside each other
//!    ▼  of   ├──────┼──────┤
//!       warp │warp 1│warp 3│
//!            └──────┴──────┘
//! ```
//! The layouts of `a` and `b` follow from that of the accumulator: a warp needs the rows and the columns of its part.
//! Tiles may have a leading batch axis, which lies in registers. A tile smaller than the fragment wraps around: lanes
//! (and registers) beyond it hold what others hold.

use super::{MmaRow, SCALED};
use crate::layout::{Coord, Dim, LayoutError, Linear, WarpsAlong};
use std::collections::BTreeSet;

/// Name of the product that is done by multiply-adds of single elements, where no instruction fits.
pub const FMA: &str = "fma";

/// How warps divide the result of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Division {
    /// Warps along the rows.
    pub rows: u32,
    /// Warps along the columns.
    pub columns: u32,
}

impl Division {
    /// For a result of `m` by `n` in fragments of `fm` by `fn_`: with `chained` rows first, so that a row of the result
    /// lies in one warp; else the division in which warps read the fewest rows and columns.
    pub fn choose(warps: u32, (m, n): (u32, u32), (fm, fn_): (u32, u32), chained: bool) -> Division {
        let most_rows = warps.min(m.div_ceil(fm).next_power_of_two());
        if chained {
            return Division { rows: most_rows, columns: warps / most_rows };
        }
        let most_columns = warps.min(n.div_ceil(fn_).next_power_of_two());
        let mut best = Division { rows: most_rows, columns: warps / most_rows };
        let mut least = u64::MAX;
        let mut rows = 1;
        while rows <= most_rows {
            let columns = (warps / rows).min(most_columns);
            // Warps that repeat others' work cost as much as those that share it.
            let idle = u64::from(warps / (rows * columns).max(1));
            let reads = u64::from(m.div_ceil(rows).max(fm)) + u64::from(n.div_ceil(columns).max(fn_));
            let cost = reads * idle;
            if cost <= least {
                (least, best) = (cost, Division { rows, columns: warps / rows });
            }
            rows *= 2;
        }
        best
    }
}

/// Extents of a tile in its layout.
pub fn rounded(shape: &[usize]) -> Vec<u32> {
    shape.iter().map(|&s| (s as u32).next_power_of_two()).collect()
}

/// A fragment of rank 2 as one of the tile's rank.
fn of_rank(fragment: &Linear, rank: usize) -> Result<Linear, LayoutError> {
    if rank == 3 { fragment.expand(0) } else { Ok(fragment.clone()) }
}

/// The layout of an accumulator of that shape.
///
/// # Errors
/// Shapes that no layout has.
pub fn accumulator(row: &MmaRow, shape: &[usize], division: Division) -> Result<Linear, LayoutError> {
    let rank = shape.len();
    let own = rounded(shape);
    let mut extents = own.clone();
    extents[rank - 2] = extents[rank - 2].max(row.m);
    extents[rank - 1] = extents[rank - 1].max(row.n);
    let warps = [
        WarpsAlong { axis: Some(rank - 2), count: division.rows },
        WarpsAlong { axis: Some(rank - 1), count: division.columns },
    ];
    let order: Vec<usize> = (0..rank).rev().collect();
    of_rank(&row.acc_layout, rank)?.tile_to_shape(&extents, &warps, &order)?.fit(&own, &order)
}

/// The moves of a layout's input along the axes that `keep` names (tile axis → operand axis), zeros included.
fn kept(layout: &Linear, dim: Dim, keep: &[(usize, usize)]) -> Vec<Coord> {
    let part = |v: &Coord| {
        let mut moved = [0; 3];
        for &(from, to) in keep {
            moved[to] = v[from];
        }
        moved
    };
    layout.basis(dim).iter().map(part).collect()
}

/// The layout of operand `a` (`side` 0) or `b` (`side` 1) with `k` columns or rows, for an accumulator of layout `acc`.
///
/// # Errors
/// Shapes that no layout has.
pub fn operand(row: &MmaRow, acc: &Linear, k: usize, side: usize) -> Result<Linear, LayoutError> {
    let rank = acc.rank();
    let (fragment, k_axis, free_axis) = match side {
        0 => (&row.a_layout, rank - 1, rank - 2),
        _ => (&row.b_layout, rank - 2, rank - 1),
    };
    let fragment = of_rank(fragment, rank)?;
    let mut extents = acc.extents().to_vec();
    // The axis of the accumulator that this operand has too.
    let shared = if side == 0 { rank - 2 } else { rank - 1 };
    extents[k_axis] = (k as u32).next_power_of_two();
    extents[free_axis] = acc.extents()[shared];
    let mut keep = vec![(shared, free_axis)];
    if rank == 3 {
        keep.push((0, 0));
    }
    let mut registers = fragment.basis(Dim::Register).to_vec();
    let mut step = row.k;
    while step < extents[k_axis] {
        let mut v = [0; 3];
        v[k_axis] = step;
        registers.push(v);
        step *= 2;
    }
    let within = fragment.extents()[free_axis];
    let repeats = kept(acc, Dim::Register, &keep);
    registers.extend(repeats.into_iter().filter(|v| v[free_axis] >= within || (rank == 3 && v[0] > 0)));
    let warps = kept(acc, Dim::Warp, &keep);
    let lanes = fragment.basis(Dim::Lane).to_vec();
    let mask = |v: Vec<Coord>, drop: bool| -> Vec<Coord> {
        let inside = v.into_iter().map(|v| {
            let mut w = v;
            for (c, e) in w.iter_mut().zip(&extents) {
                *c &= e - 1;
            }
            w
        });
        inside.filter(|w| !drop || *w != [0; 3]).collect()
    };
    let (registers, lanes, warps) = (mask(registers, true), mask(lanes, false), mask(warps, false));
    Linear::new(&extents, [(Dim::Register, &registers[..]), (Dim::Lane, &lanes), (Dim::Warp, &warps)])
}

/// The layout of the scales of operand `a` (`side` 0) or `b` (`side` 1) with `k` columns or rows: as that operand's, an element for
/// each run along `k`. `None` for a row without scales.
///
/// # Errors
/// Shapes that no layout has.
pub fn scales(row: &MmaRow, acc: &Linear, k: usize, side: usize) -> Result<Option<Linear>, LayoutError> {
    let Some([a, b]) = &row.scales else { return Ok(None) };
    let own = MmaRow { k: row.k / SCALED, a_layout: a.clone(), b_layout: b.clone(), ..row.clone() };
    operand(&own, acc, k / SCALED as usize, side).map(Some)
}

/// The layout of the result of a product by single multiply-adds: a thread holds runs of four columns, rows at a distance,
/// so that the threads of a warp read neighbouring rows and columns.
///
/// # Errors
/// Shapes that no layout has.
pub fn fma_accumulator(shape: &[usize], warps: u32, lanes: u32) -> Result<Linear, LayoutError> {
    let rank = shape.len();
    let own = rounded(shape);
    let (m, n) = (own[rank - 2], own[rank - 1]);
    let vector = n.min(4);
    // Lanes: half as many along the columns as there are runs, at most 8, the rest along the rows.
    let across = (n / vector).min(8).min(lanes);
    let down = (lanes / across).min(m);
    let division = Division::choose(warps, (m, n), (down * 4, across * vector), false);
    let mut per_axis = [vec![1; rank], vec![1; rank], vec![1; rank]];
    per_axis[0][rank - 1] = vector;
    per_axis[1][rank - 1] = across;
    per_axis[1][rank - 2] = lanes / across;
    per_axis[2][rank - 2] = division.rows;
    per_axis[2][rank - 1] = division.columns;
    let order: Vec<usize> = (0..rank).rev().collect();
    let nest = crate::layout::Blocked {
        size_per_thread: &per_axis[0],
        threads_per_warp: &per_axis[1],
        warps: &per_axis[2],
        order: &order,
    };
    Linear::blocked(&own, nest)
}

/// Where the fragments of an accumulator start that a thread holds: `[batch, row, column]`, without what lanes and warps
/// add, those that lie outside of the tile in every warp left out.
pub fn starts(row: &MmaRow, acc: &Linear, shape: &[usize]) -> BTreeSet<[u32; 3]> {
    let rank = acc.rank();
    let tile: Vec<u32> = shape.iter().map(|&s| s as u32).collect();
    let coverage = acc.coverage(&tile);
    coverage
        .live()
        .map(|r| {
            let c = acc.part(Dim::Register, r);
            let batch = if rank == 3 { c[0] } else { 0 };
            [batch, c[rank - 2] & !(row.m - 1), c[rank - 1] & !(row.n - 1)]
        })
        .collect()
}
