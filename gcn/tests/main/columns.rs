//! Reads of LDS that turn rows into columns (gfx950).

use super::assembly::{assemble, launch};

/// Sixteen lanes write two words each from their number on, and read by other addresses.
const COLUMNS: &str = "
  s_load_dwordx2 s[4:5], s[0:1], 0x0
  v_lshlrev_b32_e32 v1, 3, v0
  v_lshlrev_b32_e32 v2, 2, v0
  v_mov_b32_e32 v4, 0x10000
  v_mad_u32_u24 v2, v2, v4, v2
  v_add_u32_e32 v2, 0x10000, v2
  v_add_u32_e32 v3, 0x20002, v2
  ds_write_b64 v1, v[2:3]
  s_waitcnt lgkmcnt(0)
  ds_read_b64_tr_b16 v[6:7], v1
  s_waitcnt lgkmcnt(0)
  global_store_dwordx2 v1, v[6:7], s[4:5]";

#[test]
fn lanes_of_sixteen_receive_columns_of_what_they_read() {
    // Halves are numbered in the order of LDS: half h lies at byte 2 h. Four rows of sixteen, again for each sixteen lanes.
    let words = launch(&assemble("gfx950", COLUMNS, None), 64, 128, 3).expect("it runs");
    for lane in 0..64u32 {
        let half = |row: u32| lane / 16 * 64 + 16 * row + lane % 16;
        let pair = |row: u32| half(row) | half(row + 1) << 16;
        assert_eq!(words[2 * lane as usize..][..2], [pair(0), pair(2)], "lane {lane}");
    }
}

#[test]
fn a_lane_of_sixteen_that_is_off_is_a_fault() {
    let off = COLUMNS.replace("  ds_read_b64_tr", "  s_mov_b64 exec, 0xff\n  ds_read_b64_tr");
    let message = launch(&assemble("gfx950", &off, None), 64, 128, 3).expect_err("lanes are off");
    assert!(message.contains("some lanes of 16"), "{message}");
}
