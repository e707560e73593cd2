//! Rows of any length in order, with not-a-number and equal elements among them, on a chip of every kind.

use super::*;
use kcc::Launch;

const DEVICES: [&str; 4] = ["cpu", "sim:sm_90a", "emu:gfx942", "sim:ascend910b"];

#[kernel]
fn in_order<T: Num, const M: usize, const N: usize, const K: usize>(
    x: &View<T, 2>,
    y: &mut View<T, 3>,
    at: &mut View<i32, 3>,
    top: &mut View<i32, 2>,
) {
    let row = program_id(0) * M;
    let t = x.load::<M, N>((row, 0));
    let (up, down) = (t.sort(), t.sort_descending());
    for (i, (values, indices)) in [up, down].into_iter().enumerate() {
        y.at_mut(i as i32).store((row, 0), values);
        at.at_mut(i as i32).store((row, 0), indices);
    }
    top.store((row, 0), t.top_k::<K>().1);
}

fn check<T: Num, const M: usize, const N: usize, const K: usize>() {
    let number = |i: usize| match (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 50 {
        h if h % 11 == 0 => f32::NAN,
        h if h % 13 == 0 => f32::NEG_INFINITY,
        h => (h % 50) as f32 - 20.0,
    };
    let x = Tensor::<T>::from_fn(&[2 * M, N], |i| T::from_f32(number(i))).unwrap();
    agree_as(
        &DEVICES,
        PLAIN,
        |got, wanted| got == wanted || got.is_nan() && wanted.is_nan(),
        |device, options| {
            let mut y = Tensor::<T>::zeros(&[2, 2 * M, N]).unwrap();
            let mut at = Tensor::<i32>::zeros(&[2, 2 * M, N]).unwrap();
            let mut top = Tensor::<i32>::zeros(&[2 * M, K]).unwrap();
            in_order::kernel::<T, M, N, K>()
                .launch_with(device, 2, (&x, &mut y, &mut at, &mut top), options)
                .unwrap();
            results(&[&y]).into_iter().chain(results(&[&at, &top])).collect()
        },
    );
}

#[test]
fn rows_of_any_length_come_in_order() {
    check::<f32, 3, 2, 2>();
    check::<f16, 1, 17, 5>();
    check::<i32, 2, 33, 3>();
    check::<f32, 2, 128, 40>();
}
