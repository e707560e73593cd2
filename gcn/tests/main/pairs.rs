//! Pairs of registers.

use super::assembly::{assemble, launch};

#[test]
fn a_move_of_pairs_takes_the_words_that_op_sel_names() {
    for chip in ["gfx90a", "gfx942", "gfx950"] {
        for (first, second) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let body = format!(
                "
  s_load_dwordx2 s[4:5], s[0:1], 0x0
  v_mov_b32_e32 v2, 10
  v_mov_b32_e32 v3, 11
  v_mov_b32_e32 v4, 20
  v_mov_b32_e32 v5, 21
  v_pk_mov_b32 v[6:7], v[2:3], v[4:5] op_sel:[{first},{second}]
  v_lshlrev_b32_e32 v1, 3, v0
  s_waitcnt lgkmcnt(0)
  global_store_dwordx2 v1, v[6:7], s[4:5]"
            );
            let words = launch(&assemble(chip, &body, None), 64, 128, 1).expect("it runs");
            assert_eq!(words[..2], [10 + first, 20 + second], "{chip}");
        }
    }
}
