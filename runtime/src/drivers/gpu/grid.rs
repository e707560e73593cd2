//! From programs to hardware blocks.

use crate::error::{Error, Result};
use crate::launch::Label;
use kcc_dsl::exchange::gpu::MAX_GRID_YZ;
use kcc_dsl::exchange::{GpuMeta, GridMap};

/// Most blocks along the first axis.
const MAX_X: i128 = i32::MAX as i128;

/// Blocks per axis for a grid of programs on a device with that many multiprocessors.
///
/// # Errors
/// More programs than the hardware can count.
pub(crate) fn blocks(
    label: &Label<'_>,
    meta: &GpuMeta,
    programs: [i64; 3],
    processors: u32,
) -> Result<[u32; 3]> {
    // Whole clusters: the code of programs beyond the end of the grid writes nothing.
    let cluster = meta.cluster.map(|c| i128::from(c.max(1)));
    let in_cluster: i128 = cluster.iter().product();
    let whole = [0, 1, 2].map(|i| {
        let n = i128::from(programs[i]);
        (n + cluster[i] - 1) / cluster[i] * cluster[i]
    });
    let total: i128 = whole.iter().product();
    let line =
        || if total <= MAX_X { Ok([total as u32, 1, 1]) } else { Err(too_large(label, programs, total)) };
    match meta.grid {
        GridMap::Direct => {
            let [x, y, z] = whole;
            if y > i128::from(MAX_GRID_YZ) || z > i128::from(MAX_GRID_YZ) {
                return line();
            }
            if x > MAX_X {
                Err(too_large(label, programs, total))
            } else {
                Ok([x as u32, y as u32, z as u32])
            }
        }
        GridMap::Linear => line(),
        GridMap::Persistent { blocks_per_sm } => {
            let at_once = i128::from(processors.max(1)) * i128::from(blocks_per_sm.max(1)) / in_cluster;
            let clusters = at_once.clamp(1, (total / in_cluster).max(1));
            Ok([(clusters * in_cluster).min(MAX_X) as u32, 1, 1])
        }
    }
}

fn too_large(label: &Label<'_>, [x, y, z]: [i64; 3], blocks: i128) -> Error {
    Error::Limit {
        kernel: label.to_string(),
        reason: format!(
            "a grid of {x}x{y}x{z} programs needs {blocks} blocks, a GPU counts at most {MAX_X}; \
             give each program {0} times as much work, or cut the launch in {0} parts",
            (blocks + MAX_X - 1) / MAX_X
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(grid: GridMap, cluster: [u32; 3], programs: [i64; 3]) -> Result<[u32; 3]> {
        let meta = GpuMeta { grid, cluster, ..GpuMeta::default() };
        blocks(&Label { name: "k", generics: "" }, &meta, programs, 132)
    }

    #[test]
    fn a_direct_grid_is_the_grid_until_an_axis_is_too_long() {
        assert_eq!(of(GridMap::Direct, [1; 3], [7, 65_535, 3]).unwrap(), [7, 65_535, 3]);
        assert_eq!(of(GridMap::Direct, [1; 3], [7, 65_536, 3]).unwrap(), [7 * 65_536 * 3, 1, 1]);
    }

    #[test]
    fn clusters_are_whole() {
        assert_eq!(of(GridMap::Direct, [2, 1, 1], [7, 5, 1]).unwrap(), [8, 5, 1]);
        assert_eq!(of(GridMap::Direct, [4, 1, 1], [8, 5, 1]).unwrap(), [8, 5, 1]);
        assert_eq!(of(GridMap::Direct, [2, 1, 1], [3, 70_000, 1]).unwrap(), [4 * 70_000, 1, 1]);
        assert_eq!(of(GridMap::Direct, [2, 1, 1], [0, 5, 1]).unwrap(), [0, 5, 1]);
    }

    #[test]
    fn a_persistent_grid_fills_the_device_and_no_more() {
        let map = GridMap::Persistent { blocks_per_sm: 1 };
        assert_eq!(of(map, [1; 3], [1000, 1, 1]).unwrap(), [132, 1, 1]);
        assert_eq!(of(map, [1; 3], [10, 5, 1]).unwrap(), [50, 1, 1]);
        assert_eq!(of(map, [2, 1, 1], [1000, 1, 1]).unwrap(), [132, 1, 1]);
    }

    #[test]
    fn a_grid_beyond_the_hardware_names_the_limit_and_the_number() {
        let e = of(GridMap::Linear, [1; 3], [1 << 20, 1 << 12, 1]).unwrap_err().to_string();
        assert!(e.contains("4294967296") && e.contains("2147483647") && e.contains("in 3 parts"), "{e}");
        assert!(of(GridMap::Direct, [2, 1, 1], [i64::from(i32::MAX), 1, 1]).is_err());
    }
}
