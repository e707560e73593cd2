//! Block accesses: `load` and `store`, `load_rows` and `store_rows`.

use super::{Memory, ViewRef};
use crate::eager::error::Fault;
use crate::eager::round::Lane;
use crate::eager::value::{Data, Value, constant};
use crate::ir::{Const, TileType};

/// Calls `f` with each index of a block of `shape` that starts at `origin`, in row-major order.
fn each_index(
    shape: &[usize],
    origin: &[i64],
    mut f: impl FnMut(usize, &[i64]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut index = origin.to_vec();
    for n in 0..shape.iter().product() {
        f(n, &index)?;
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < origin[axis] + shape[axis] as i64 {
                break;
            }
            index[axis] = origin[axis];
        }
    }
    Ok(())
}

fn check_rank(v: &ViewRef, shape: &[usize], origin: &[i64]) -> Result<(), Fault> {
    if shape.len() == v.dims.len() && origin.len() == v.dims.len() {
        return Ok(());
    }
    Err(Fault::from(format!("a block of rank {} of a view of rank {}", shape.len(), v.dims.len())))
}

fn lane(tile: &Value, i: usize) -> Result<Lane, Fault> {
    tile.data().get(i).ok_or_else(|| Fault::from("a tile with too few elements"))
}

impl Memory {
    /// The block of type `ty` at `origin`; elements outside the view are `padding`.
    pub fn load(&self, v: &ViewRef, origin: &[i64], padding: Const, ty: &TileType) -> Result<Value, Fault> {
        check_rank(v, &ty.shape, origin)?;
        let padding = constant(ty.elem, padding)?;
        let mut data = Data::with_capacity(ty.elem, ty.len());
        each_index(&ty.shape, origin, |_, index| {
            data.push(match v.place(index)? {
                Some(place) => self.read(v, index, place, false)?,
                None => padding,
            });
            Ok(())
        })?;
        Ok(Value::new(ty.clone(), data)?)
    }

    /// Writes a block at `origin`; elements outside the view are not written.
    pub fn store(&mut self, v: &ViewRef, origin: &[i64], tile: &Value) -> Result<(), Fault> {
        check_rank(v, tile.shape(), origin)?;
        each_index(tile.shape(), origin, |n, index| match v.place(index)? {
            Some(place) => self.write(v, index, place, lane(tile, n)?, false),
            None => Ok(()),
        })
    }

    /// Row `i` of the result is `view[rows[i], col..]`; elements outside the view are `padding`.
    pub fn load_rows(
        &self,
        v: &ViewRef,
        rows: &Value,
        col: i64,
        padding: Const,
        ty: &TileType,
    ) -> Result<Value, Fault> {
        let (rows, n) = self.rows(v, rows, &ty.shape)?;
        let padding = constant(ty.elem, padding)?;
        let mut data = Data::with_capacity(ty.elem, ty.len());
        for row in rows {
            each_index(&[n], &[col], |_, c| {
                let index = [row, c[0]];
                data.push(match v.place(&index)? {
                    Some(place) => self.read(v, &index, place, false)?,
                    None => padding,
                });
                Ok(())
            })?;
        }
        Ok(Value::new(ty.clone(), data)?)
    }

    /// Writes row `i` of the tile to `view[rows[i], col..]`; elements outside the view are not written.
    pub fn store_rows(&mut self, v: &ViewRef, rows: &Value, col: i64, tile: &Value) -> Result<(), Fault> {
        let (rows, n) = self.rows(v, rows, tile.shape())?;
        for (i, row) in rows.into_iter().enumerate() {
            each_index(&[n], &[col], |k, c| {
                let index = [row, c[0]];
                match v.place(&index)? {
                    Some(place) => self.write(v, &index, place, lane(tile, i * n + k)?, false),
                    None => Ok(()),
                }
            })?;
        }
        Ok(())
    }

    /// The row indices, checked against the tile's shape (and the view, in strict mode), and the row length.
    fn rows(&self, v: &ViewRef, rows: &Value, shape: &[usize]) -> Result<(Vec<i64>, usize), Fault> {
        let rows = rows.as_ints()?;
        let &[m, n] = shape else { return Err(Fault::from("rows of a tile whose rank is not 2")) };
        if rows.len() != m || v.dims.len() != 2 {
            return Err(Fault::from(format!("{} row indices for {m} rows", rows.len())));
        }
        // -1 is how a kernel says "no row": these operations have no mask.
        if let Some(row) = rows.iter().find(|&&r| self.strict && !(-1 <= r && r < v.dims[0])) {
            return Err(Fault::new(format!(
                "row index {row} is outside `{}`, which has {} rows",
                v.name, v.dims[0]
            ))
            .help(
                "clamp the index, or make it -1 where there is no row; outside of strict mode the row reads as padding",
            ));
        }
        Ok((rows.to_vec(), n))
    }
}
