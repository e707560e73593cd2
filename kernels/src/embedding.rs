//! Embedding look-up: rows of a table by id, alone or as the sum of word, position and type that BERT begins with.

use crate::error::Result;
use crate::launch::{dims, expect};
use kcc_dsl::prelude::*;
use kcc_runtime::{Device, Launch as _, TensorView, TensorViewMut};

/// `y[i] = table[ids[i]]`; an id outside the table gives a row of zeros. Grid: (column blocks, row blocks).
#[kernel(instances(<f32, 16, 128>, <f16, 16, 128>, <bf16, 16, 128>))]
pub fn embedding_tile<T: Float, const BM: usize, const BN: usize>(
    ids: &View<i32, 1>,
    table: &View<T, 2>,
    y: &mut View<T, 2>,
) {
    let (row, col) = (program_id(1) * BM, program_id(0) * BN);
    let rows = table.load_rows::<BM, BN>(ids.load::<BM>(row), col);
    y.store((row, col), rows);
}

/// `y[i] = words[ids[i]] + positions[position_ids[i]] + types[type_ids[i]]`, summed in `f32` from left to right; an
/// id outside its table adds zeros. Grid: (column blocks, row blocks).
#[kernel(instances(<f32, 16, 128>, <f16, 16, 128>, <bf16, 16, 128>))]
pub fn embedding_sum_tile<T: Float, const BM: usize, const BN: usize>(
    ids: &View<i32, 1>,
    position_ids: &View<i32, 1>,
    type_ids: &View<i32, 1>,
    words: &View<T, 2>,
    positions: &View<T, 2>,
    types: &View<T, 2>,
    y: &mut View<T, 2>,
) {
    let (row, col) = (program_id(1) * BM, program_id(0) * BN);
    let word = words.load_rows::<BM, BN>(ids.load::<BM>(row), col).to::<f32>();
    let position = positions.load_rows::<BM, BN>(position_ids.load::<BM>(row), col).to::<f32>();
    let kind = types.load_rows::<BM, BN>(type_ids.load::<BM>(row), col).to::<f32>();
    y.store((row, col), (word + position + kind).to());
}

/// Rows and columns per program of the launchers.
const BLOCK: (usize, usize) = (16, 128);

/// `y[i] = table[ids[i]]`. `ids [n]`, `table [entries, width]`, `y [n, width]`; an id outside the table gives zeros.
///
/// # Errors
/// Dims that do not go together, or the launch failed.
pub fn embedding<T: Float>(
    device: &Device,
    ids: &TensorView<'_, i32>,
    table: &TensorView<'_, T>,
    y: &mut TensorViewMut<'_, T>,
) -> Result {
    let [n] = dims::<1>("embedding", "ids", &ids.dims())?;
    let [_, width] = dims::<2>("embedding", "table", &table.dims())?;
    expect("embedding", "y", &y.dims(), &[n, width])?;
    if n * width > 0 {
        let grid = [width.div_ceil(BLOCK.1), n.div_ceil(BLOCK.0), 1];
        embedding_tile::kernel::<T, { BLOCK.0 }, { BLOCK.1 }>().launch(device, grid, (ids, table, y))?;
    }
    Ok(())
}

/// `y[i] = words[ids[0][i]] + positions[ids[1][i]] + types[ids[2][i]]`, the input of BERT before its norm. Three id
/// lists of `[n]`, three tables of `[.., width]`, `y [n, width]`.
///
/// # Errors
/// Dims that do not go together, or the launch failed.
pub fn embedding_sum<T: Float>(
    device: &Device,
    ids: [&TensorView<'_, i32>; 3],
    tables: [&TensorView<'_, T>; 3],
    y: &mut TensorViewMut<'_, T>,
) -> Result {
    let name = "embedding_sum";
    let [n] = dims::<1>(name, "ids", &ids[0].dims())?;
    expect(name, "position_ids", &ids[1].dims(), &[n])?;
    expect(name, "type_ids", &ids[2].dims(), &[n])?;
    let [_, width] = dims::<2>(name, "words", &tables[0].dims())?;
    for (argument, table) in [("positions", tables[1]), ("types", tables[2])] {
        let [entries, _] = dims::<2>(name, argument, &table.dims())?;
        expect(name, argument, &table.dims(), &[entries, width])?;
    }
    expect(name, "y", &y.dims(), &[n, width])?;
    if n * width > 0 {
        let grid = [width.div_ceil(BLOCK.1), n.div_ceil(BLOCK.0), 1];
        let args = (ids[0], ids[1], ids[2], tables[0], tables[1], tables[2], y);
        embedding_sum_tile::kernel::<T, { BLOCK.0 }, { BLOCK.1 }>().launch(device, grid, args)?;
    }
    Ok(())
}

/// Rows of `table` (rows of `width`) by id; an id outside the table gives zeros.
pub fn reference(ids: &[i32], table: &[f64], width: usize) -> Vec<f64> {
    let row = |id: i32| {
        let at = usize::try_from(id).ok()?.checked_mul(width)?;
        table.get(at..at + width)
    };
    ids.iter().flat_map(|&id| row(id).map_or_else(|| vec![0.0; width], <[f64]>::to_vec)).collect()
}
