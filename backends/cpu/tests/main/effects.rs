//! What leaves a kernel by other ways than stores, and stores that must not reach too far.

use crate::harness::{compile, specs};
use crate::smoke::{check, numbers, view};
use kcc_dsl::eager::EagerBuffer;
use kcc_dsl::ir::{Builder, CmpOp, Elem};

#[test]
fn the_first_assertion_that_fails_is_named() {
    let mut b = Builder::new("asserts");
    let x = b.view("x", Elem::F32, 1);
    let zero = b.i32(0);
    let t = b.load(x, &[zero], &[20]);
    for (limit, message) in [(10.0, "below ten"), (5.0, "below five"), (1.0, "below one")] {
        let limit = b.full(Elem::F32, &[20], limit);
        let ok = b.compare(CmpOp::Lt, t, limit);
        b.assert(ok, message);
    }
    let k = b.finish().expect("valid");
    for target in crate::harness::targets() {
        for (value, failed) in [(0.5, None), (3.0, Some("below one")), (7.0, Some("below five"))] {
            let mut data = vec![0.0; 20];
            data[19] = value;
            let mut buffers = [EagerBuffer::from_f32(Elem::F32, &data)];
            let args = [view(0, &[20], false)];
            let loaded = compile(&k, &specs(&k, &args), target).expect("it compiles");
            let status = loaded.run([3, 1, 1], &mut buffers, &args);
            let named = (status > 0).then(|| loaded.asserts[status as usize - 1].as_str());
            assert_eq!(named, failed, "{target} {value}");
        }
    }
}

#[test]
fn a_tile_of_one_lane_too_many_writes_nothing_behind_its_end() {
    for elem in [Elem::BF16, Elem::F16, Elem::U8, Elem::F32] {
        let mut b = Builder::new("tail");
        let (x, y) = (b.view("x", elem, 1), b.view_mut("y", elem, 1));
        let zero = b.i32(0);
        let t = b.load(x, &[zero], &[33]);
        let t = b.add(t, t);
        b.store(y, &[zero], t);
        let k = b.finish().expect("valid");
        let data: Vec<f32> = numbers(40, 4).iter().map(|v| (v * 50.0).abs().round()).collect();
        let buffers = [EagerBuffer::from_f32(elem, &data), EagerBuffer::from_f32(elem, &[7.0; 40])];
        check(&k, [1, 1, 1], &buffers, &[view(0, &[40], false), view(1, &[40], true)], 0.0);
    }
}

#[test]
fn special_values_survive_casts_and_products() {
    for elem in [Elem::F8E4M3, Elem::F8E5M2, Elem::BF16, Elem::F16] {
        let mut b = Builder::new("special");
        let (x, y, z) = (b.view("x", Elem::F32, 2), b.view_mut("y", elem, 2), b.view_mut("z", Elem::F32, 2));
        let zero = b.i32(0);
        let t = b.load(x, &[zero, zero], &[16, 16]);
        let t = b.cast(t, elem);
        b.store(y, &[zero, zero], t);
        let one = b.full(elem, &[16, 16], 1.0);
        let acc = b.full(Elem::F32, &[16, 16], 0.0);
        let p = b.dot(one, t, acc);
        b.store(z, &[zero, zero], p);
        let k = b.finish().expect("valid");
        let mut data = vec![0.0f32; 256];
        let row = [
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            -0.0,
            447.0,
            449.0,
            1e6,
            -1e6,
            57344.0,
            61441.0,
            65520.0,
            2f32.powi(-9),
            2f32.powi(-10),
            1.5 * 2f32.powi(-16),
            1.0625,
            3.4e38,
        ];
        data[48..64].copy_from_slice(&row);
        let buffers = [
            EagerBuffer::from_f32(Elem::F32, &data),
            EagerBuffer::zeros(elem, 256),
            EagerBuffer::zeros(Elem::F32, 256),
        ];
        let d = [16, 16];
        // One value and fifteen zeros per sum: exact.
        check(&k, [1, 1, 1], &buffers, &[view(0, &d, false), view(1, &d, true), view(2, &d, true)], 0.0);
    }
}
