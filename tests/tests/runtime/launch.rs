//! Launches on the CPU through a `kcc` child process, and what is refused before them.

use kcc::prelude::*;
use kcc::{ArgumentProblem, Builder, Device, Error, Launch, LaunchOptions, Tensor, TensorViewMut};

/// y = a · x + y, in blocks of `N`. Grid: (blocks).
#[kernel]
fn axpy<T: Float, const N: usize>(a: Scalar<f32>, x: &View<T, 1>, y: &mut View<T, 1>) {
    let at = program_id(0) * N;
    let sum = a * x.load::<N>(at).to::<f32>() + y.load::<N>(at).to::<f32>();
    y.store(at, sum.to());
}

/// The block (program 0, program 1) of the transpose. Grid: (row blocks, column blocks).
#[kernel]
fn transpose<const N: usize>(x: &View<f32, 2>, y: &mut View<f32, 2>) {
    let (i, j) = (program_id(0) * N, program_id(1) * N);
    y.store((j, i), x.load::<N, N>((i, j)).t());
}

/// Fails where `x` is negative. Grid: (elements).
#[kernel]
fn positive(x: &View<f32, 1>, y: &mut View<f32, 1>) {
    let i = program_id(0);
    let v = x.load::<1>(i);
    kassert!(v >= 0.0, "x must not be negative");
    y.store(i, v.sqrt());
}

/// Prints its program and the block that it reads. Grid: (blocks).
#[kernel]
fn show(x: &View<f32, 1>, y: &mut View<f32, 1>) {
    let i = program_id(0);
    let v = x.load::<4>(i * 4);
    kprint!("block {} is {}", i, v);
    y.store(i * 4, v);
}

/// What is known of rows after some of their columns.
#[derive(Clone, Copy, Carried)]
struct Seen<const M: usize> {
    max: Vector<f32, M>,
    sum: Vector<f32, M>,
    blocks: [Scalar<i32>; 2],
}

impl<const M: usize> Seen<M> {
    fn with<const N: usize>(self, x: Matrix<f32, M, N>) -> Self {
        let max = self.max.max(x.max_rows());
        let sum = self.sum * (self.max - max).exp() + (x - max.col()).exp().sum_rows();
        Seen { max, sum, blocks: [self.blocks[0] + 1, self.blocks[1]] }
    }
}

/// log(sum(exp(x))) by rows, every third block of four columns skipped; how many blocks were taken and skipped. Grid: (1).
#[kernel]
fn log_sum_exp(x: &View<f32, 2>, y: &mut View<f32, 1>, blocks: &mut View<i32, 1>) {
    let mut seen = Seen::<8> { max: Tile::constant(-1e30), sum: Tile::zeros(), blocks: [Scalar::zeros(); 2] };
    for col in (0..x.dim(1)).step_by(4) {
        seen = if col % 12 == 8 {
            Seen { blocks: [seen.blocks[0], seen.blocks[1] + 1], ..seen }
        } else {
            seen.with(x.load_or::<8, 4>((0, col), f32::NEG_INFINITY))
        };
    }
    let some = seen.blocks[0] > 0;
    y.store(0, select(some, seen.max + seen.sum.log(), f32::NEG_INFINITY));
    blocks.set(0, seen.blocks[0]);
    blocks.set(1, seen.blocks[1]);
}

pub(crate) fn device() -> Device {
    Builder::cpu().no_disk_cache().build()
}

fn ramp(n: usize) -> Tensor<f32> {
    Tensor::from_fn(&[n], |i| i as f32).unwrap()
}

#[test]
fn a_launch_computes_what_the_kernel_says_on_any_number_of_threads() {
    let device = device();
    for n in [1usize, 63, 64, 65, 1000] {
        for threads in [1, 2, 3] {
            let x = ramp(n);
            let mut y = Tensor::full(&[n], 1.0f32).unwrap();
            let options = LaunchOptions { threads: Some(threads), ..Default::default() };
            let kernel = axpy::kernel::<f32, 64>();
            kernel.launch_with(&device, n.div_ceil(64), (2.0, &x, &mut y), &options).unwrap();
            let expected: Vec<f32> = (0..n).map(|i| 2.0 * i as f32 + 1.0).collect();
            assert_eq!(y.as_slice(), expected, "{n} elements, {threads} threads");
        }
    }
    assert_eq!(device.stats().compilations.len(), 1, "one layout, one compilation");
}

#[test]
fn loops_and_branches_carry_structs() {
    for device in [device(), Device::eager()] {
        for width in [0usize, 3, 50] {
            let x = Tensor::from_fn(&[8, width], |i| (i % 13) as f32 / 4.0).unwrap();
            let (mut y, mut blocks) = (Tensor::zeros(&[8]).unwrap(), Tensor::zeros(&[2]).unwrap());
            log_sum_exp::kernel().launch(&device, 1, (&x, &mut y, &mut blocks)).unwrap();
            let all = width.div_ceil(4) as i32;
            assert_eq!(blocks.as_slice(), [all - (all / 3), all / 3]);
            for row in 0..8 {
                let taken = (0..width).filter(|c| c / 4 % 3 != 2);
                let sum: f32 = taken.map(|c| x.as_slice()[row * width + c].exp()).sum();
                let (got, expected) = (y.as_slice()[row], sum.ln());
                assert!(got == expected || (got - expected).abs() < 1e-5, "{got} {expected}");
            }
        }
    }
}

#[test]
fn views_with_other_strides_give_the_same_result() {
    let device = device();
    let x = Tensor::from_fn(&[37, 23], |i| i as f32).unwrap();
    let mut y = Tensor::zeros(&[23, 37]).unwrap();
    transpose::kernel::<16>().launch(&device, (3, 2), (&x, &mut y)).unwrap();
    assert_eq!(y.to_vec(), x.view().t().to_vec());
    // The transpose of a transposed view is the tensor itself.
    let mut z = Tensor::zeros(&[37, 23]).unwrap();
    transpose::kernel::<16>().launch(&device, (2, 3), (&x.view().t(), &mut z)).unwrap();
    assert_eq!(z.to_vec(), x.to_vec());
    // Every other column: no axis of stride 1.
    let mut wide = Tensor::zeros(&[23, 74]).unwrap();
    let view = TensorViewMut::from_slice_strided(wide.as_mut_slice(), 0, &[23, 37], &[74, 2]).unwrap();
    transpose::kernel::<16>().launch(&device, (3, 2), (&x, view)).unwrap();
    let every_other: Vec<f32> = wide.as_slice().iter().step_by(2).copied().collect();
    assert_eq!(every_other, y.to_vec());
    assert!(wide.as_slice().iter().skip(1).step_by(2).all(|&v| v == 0.0));
}

#[test]
fn a_prepared_kernel_runs_on_other_sizes_and_refuses_other_layouts() {
    let device = device();
    let x = Tensor::from_fn(&[16, 16], |i| i as f32).unwrap();
    let mut y = Tensor::zeros(&[16, 16]).unwrap();
    let kernel = transpose::kernel::<16>();
    let prepared = kernel.prepare(&device, (&x, &mut y), &LaunchOptions::default()).unwrap();
    for (m, n) in [(16, 16), (5, 40)] {
        let x = Tensor::from_fn(&[m, n], |i| i as f32).unwrap();
        let mut y = Tensor::zeros(&[n, m]).unwrap();
        prepared.launch((m.div_ceil(16), n.div_ceil(16)), (&x, &mut y)).unwrap();
        assert_eq!(y.to_vec(), x.view().t().to_vec());
    }
    let e = prepared.launch((1, 1), (&x.view().t(), &mut y)).unwrap_err();
    assert!(e.to_string().contains("argument `x`") && e.to_string().contains("axis 1"), "{e}");
}

#[test]
fn a_failed_assertion_names_message_and_line() {
    for device in [device(), Device::eager()] {
        let x = Tensor::from_slice(&[1.0f32, 4.0, -1.0, 9.0], &[4]).unwrap();
        let mut y = Tensor::zeros(&[4]).unwrap();
        let e = positive::kernel().launch(&device, 4, (&x, &mut y)).unwrap_err();
        let [d] = e.diagnostics() else { panic!("{e}") };
        assert!(d.message.contains("x must not be negative"), "{e}");
        let loc = d.loc.as_ref().expect("a place");
        assert!(loc.file.ends_with("launch.rs"), "{loc}");
        let line = include_str!("launch.rs").lines().nth(loc.line as usize - 1).unwrap_or_default();
        assert!(line.contains("kassert!"), "{loc}: {line}");
    }
}

#[test]
fn prints_reach_the_handler_with_their_operands() {
    use std::sync::{Arc, Mutex};
    for builder in [Builder::cpu().no_disk_cache(), Builder::eager()] {
        let texts = Arc::new(Mutex::new(Vec::new()));
        let sink = texts.clone();
        let device = builder.on_print(move |t| sink.lock().unwrap().push(t.to_owned())).build();
        let mut y = Tensor::zeros(&[8]).unwrap();
        show::kernel().launch(&device, 2, (&ramp(8), &mut y)).unwrap();
        let mut texts = texts.lock().unwrap().clone();
        texts.sort();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(texts[1].starts_with("block 1 is [4") && texts[1].contains('7'), "{texts:?}");
    }
}

#[test]
fn bad_launches_are_refused_with_the_arguments_name() {
    for device in [device(), Device::eager()] {
        let kernel = axpy::kernel::<f32, 64>();
        let x = ramp(64);
        let mut y = ramp(64);
        for grid in [0i64, -1, i64::from(i32::MAX) + 1] {
            let e = kernel.launch(&device, grid, (1.0, &x, &mut y)).unwrap_err();
            assert!(matches!(e, Error::Grid { .. }) && e.to_string().contains("axpy<f32, 64>"), "{e}");
        }
        let flat = Tensor::<f32>::zeros(&[8, 8]).unwrap();
        let e = kernel.launch(&device, 1, (1.0, &flat, &mut y)).unwrap_err();
        assert_eq!(
            e.to_string(),
            "kernel `axpy<f32, 64>`: argument `x`: the kernel takes rank 1, the tensor has rank 2 (dims [8, 8])"
        );
        // SAFETY: the second view is only described; the launch refuses it.
        let twin = unsafe { TensorViewMut::from_raw(x.as_slice().as_ptr().cast_mut(), &[32], &[1]) }.unwrap();
        let e = kernel.launch(&device, 1, (1.0, &x, twin)).unwrap_err();
        assert!(
            matches!(&e, Error::Argument { argument, problem, .. } if argument == "y"
                && **problem == ArgumentProblem::Alias { other: "x".into() }),
            "{e}"
        );
    }
}

#[test]
fn untyped_launches_check_kind_and_element_type() {
    use kcc::Arg;
    let kernel = axpy::kernel::<f32, 64>().into_erased();
    let (x, mut y, mut z) = (ramp(4), ramp(4), Tensor::full(&[4], bf16::ONE).unwrap());
    let options = LaunchOptions::default();
    for device in [device(), Device::eager()] {
        let refused = |args: &[Arg<'_>]| device.launch(&kernel, 1, args, &options).unwrap_err().to_string();
        let e = refused(&[Arg::scalar(1.0f32), Arg::input(&x)]);
        assert!(e.contains("takes 3 arguments, 2 were given"), "{e}");
        let e = refused(&[Arg::scalar(1i32), Arg::input(&x), Arg::output(&mut y)]);
        assert!(e.contains("argument `a`: the kernel takes f32, i32 was given"), "{e}");
        let e = refused(&[Arg::scalar(1.0f32), Arg::input(&x), Arg::output(&mut z)]);
        assert!(e.contains("argument `y`: the kernel takes f32, bf16 was given"), "{e}");
        let e = refused(&[Arg::scalar(1.0f32), Arg::input(&x), Arg::input(&x)]);
        assert!(e.contains("argument `y`: the kernel takes a mutable view, a view was given"), "{e}");
        let e = refused(&[Arg::input(&x), Arg::input(&x), Arg::output(&mut y)]);
        assert!(e.contains("argument `a`: the kernel takes a scalar, a view was given"), "{e}");
    }
}

#[test]
fn where_every_written_view_is_empty_nothing_runs() {
    for device in [device(), Device::eager()] {
        let x = Tensor::from_slice(&[-1.0f32], &[1]).unwrap();
        let mut y = Tensor::zeros(&[0]).unwrap();
        positive::kernel().launch(&device, 1, (&x, &mut y)).unwrap();
        assert_eq!(device.stats().launches, 0);
    }
}

#[test]
fn eager_finds_a_read_of_what_nobody_wrote() {
    let x = ramp(4);
    let mut y = Tensor::empty(&[4]).unwrap();
    let e = axpy::kernel::<f32, 4>().launch(&Device::eager(), 1, (1.0, &x, &mut y)).unwrap_err();
    assert!(e.to_string().contains("nobody has written it"), "{e}");
}
