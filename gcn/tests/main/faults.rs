//! Hand-written machine code with one mistake planted: each is caught, and the code without it runs.

use super::assembly::{assemble, each, launch, launch_grid};
use kcc_gcn::{Chip, Object};

const DOUBLE: &str = "
  s_load_dwordx2 s[4:5], s[0:1], 0x0
  v_lshlrev_b32_e32 v1, 2, v0
  s_waitcnt lgkmcnt(0)
  global_load_dword v2, v1, s[4:5]
  s_waitcnt vmcnt(0)
  v_add_u32_e32 v2, v2, v2
  global_store_dword v1, v2, s[4:5]";

#[test]
fn code_with_all_its_waits_doubles_every_word() {
    each(|chip, object| {
        let twice: Vec<u32> = (0..64).map(|i| 2 * (100 + i)).collect();
        assert_eq!(launch(&object(DOUBLE), 64, 64, 1), Ok(twice), "{chip}");
    });
}

#[test]
fn a_register_that_is_under_way_may_not_be_used() {
    each(|chip, object| {
        let early = launch(&object(&DOUBLE.replace("s_waitcnt vmcnt(0)", "s_nop 0")), 64, 64, 1);
        let message = early.expect_err("the load is not waited for");
        assert!(message.contains("v2 is read while a load to it is under way"), "{chip}: {message}");
        assert!(message.contains("v_add"), "{chip}: the instruction is named: {message}");
        let early = launch(&object(&DOUBLE.replace("s_waitcnt lgkmcnt(0)", "s_nop 0")), 64, 64, 1);
        assert!(early.expect_err("nor is this one").contains("s4 is read"), "{chip}");
    });
}

#[test]
fn a_store_beyond_the_buffer_is_a_fault() {
    each(|chip, object| {
        let message = launch(&object(DOUBLE), 64, 63, 1).expect_err("one word is missing");
        assert!(message.contains("lane") && message.contains("in no buffer"), "{chip}: {message}");
    });
}

#[test]
fn a_word_of_global_memory_that_is_misaligned_is_a_fault() {
    each(|chip, object| {
        let beside = DOUBLE.replacen("v2, v1, s[4:5]", "v2, v1, s[4:5] offset:2", 1);
        let message = launch(&object(&beside), 64, 65, 1).expect_err("2 is no multiple");
        assert!(message.contains("4 bytes at") && message.contains("no multiple"), "{chip}: {message}");
    });
}

/// Each wave writes 4 times its lane to LDS, and reads what the other one wrote.
const EXCHANGE: &str = "
  s_load_dwordx2 s[4:5], s[0:1], 0x0
  v_lshlrev_b32_e32 v1, 2, v0
  ds_write_b32 v1, v1
  s_waitcnt lgkmcnt(0)
  s_barrier
  v_xor_b32_e32 v3, LANES, v1
  ds_read_b32 v2, v3
  s_waitcnt lgkmcnt(0)
  global_store_dword v1, v2, s[4:5]";

fn exchange(chip: &str) -> String {
    let lanes = Chip::find(chip).expect("a chip of the table").lanes;
    EXCHANGE.replace("LANES", &format!("{:#x}", 4 * lanes))
}

#[test]
fn a_barrier_orders_only_what_was_waited_for() {
    each(|chip, object| {
        let lanes = Chip::find(chip).expect("a chip of the table").lanes;
        let right: Vec<u32> = (0..2 * lanes).map(|i| 4 * (i ^ lanes)).collect();
        let (good, text) = (object(&exchange(chip)), exchange(chip));
        // Without the first wait, which comes before the barrier.
        let bad = object(&text.replacen("s_waitcnt lgkmcnt(0)", "s_nop 0", 1));
        let runs = |object: &Object| {
            (0..20).map(|seed| launch(object, 2 * lanes, 2 * lanes as usize, seed)).collect::<Vec<_>>()
        };
        assert!(runs(&good).iter().all(|r| r.as_ref() == Ok(&right)), "{chip}");
        assert!(runs(&bad).iter().any(|r| r.as_ref() != Ok(&right)), "{chip}");
    });
}

#[test]
fn what_was_never_written_differs_from_seed_to_seed() {
    each(|chip, object| {
        for register in ["v2, v9, v9", "v2, s9, v1"] {
            let undefined = object(&DOUBLE.replace("v2, v2, v2", register));
            assert_ne!(launch(&undefined, 64, 64, 1), launch(&undefined, 64, 64, 2), "{chip}: {register}");
        }
    });
}

#[test]
fn registers_beyond_those_asked_for_and_misaligned_accesses_of_lds_are_faults() {
    each(|chip, object| {
        let message = launch(&object("  v_mov_b32_e32 v40, 0"), 64, 1, 1).expect_err("v40 is not there");
        assert!(message.contains("v40 is beyond"), "{chip}: {message}");
        let add = object("  v_mov_b32_e32 v1, 2\n  ds_add_u32 v1, v2");
        let message = launch(&add, 64, 1, 1).expect_err("2 is no multiple");
        assert!(message.contains("no multiple of 4"), "{chip}: {message}");
        let write = if chip == "gfx1100" { "store" } else { "write" };
        for (size, from, at) in [(32, "v2", 2), (64, "v[2:3]", 4), (128, "v[4:7]", 8)] {
            let beside = |at: u32| format!("  v_mov_b32_e32 v1, {at}\n  ds_{write}_b{size} v1, {from}");
            let message = launch(&object(&beside(at)), 64, 1, 1).expect_err("between two words");
            assert!(message.contains(&format!("no multiple of {}", size / 8)), "{chip}: {message}");
            assert!(launch(&object(&beside(2 * at)), 64, 1, 1).is_ok(), "{chip}: {size}");
        }
    });
}

#[test]
fn hidden_arguments_of_the_grid_are_given_and_others_refused() {
    // The grid is 3 by 2 by 5 groups of 64.
    let kinds = [
        ("hidden_block_count_x", 4, 3),
        ("hidden_block_count_y", 4, 2),
        ("hidden_block_count_z", 4, 5),
        ("hidden_group_size_x", 2, 64),
        ("hidden_group_size_z", 2, 1),
        ("hidden_remainder_x", 2, 0),
        ("hidden_global_offset_y", 8, 0),
        ("hidden_grid_dims", 2, 3),
    ];
    for (kind, size, value) in kinds {
        let load = format!(
            "  s_load_dwordx2 s[4:5], s[0:1], 0x0\n  s_load_dword s6, s[0:1], 0x8\n  v_lshlrev_b32_e32 v1, 2, v0
  s_waitcnt lgkmcnt(0)\n  s_and_b32 s6, s6, {}\n  v_mov_b32_e32 v2, s6\n  global_store_dword v1, v2, s[4:5]",
            if size == 2 { "0xffff" } else { "-1" }
        );
        let object = assemble("gfx942", &load, Some((kind, size)));
        assert_eq!(object.asks_for(), (vec![], vec![kind]));
        assert_eq!(launch_grid(&object, [3, 2, 5], 64, 64, 1), Ok(vec![value; 64]), "{kind}");
    }
    let object = assemble("gfx942", DOUBLE, Some(("hidden_hostcall_buffer", 8)));
    assert!(launch(&object, 64, 64, 1).expect_err("nobody gives it").contains("hidden_hostcall_buffer"));
}

#[test]
fn an_unknown_instruction_matters_only_when_it_runs() {
    let skipped = assemble("gfx942", "  s_branch .Lover\n  v_exp_legacy_f32_e32 v0, v0\n.Lover:", None);
    assert!(launch(&skipped, 64, 1, 1).is_ok());
    let run = assemble("gfx942", "  v_exp_legacy_f32_e32 v0, v0", None);
    assert!(launch(&run, 64, 1, 1).expect_err("it runs").contains("does not know `v_exp_legacy_f32_e32`"));
}
