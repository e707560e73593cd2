//! The kernels in eager mode against their references, and what their launchers refuse.

use kcc_kernels::activation::IDENTITY;
use kcc_kernels::attention::{Scores, attention};
use kcc_kernels::cases::cases;
use kcc_kernels::matmul::{Epilogue, matmul};
use kcc_kernels::{Error, layer_norm, pooling, softmax};
use kcc_runtime::{Device, Tensor};

fn ones(dims: &[usize]) -> Tensor<f32> {
    Tensor::full(dims, 1.0).unwrap()
}

/// The cases whose names begin so.
fn check(kernel: &str) {
    let device = Device::eager();
    let cases: Vec<_> = cases().into_iter().filter(|c| c.name.split(' ').next() == Some(kernel)).collect();
    assert!(!cases.is_empty(), "no case of {kernel}");
    let wrong: Vec<String> = cases.iter().filter_map(|c| c.check(&device).err()).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

macro_rules! kernels {
    ($($kernel:ident),* $(,)?) => {
        mod agrees_with_its_reference {
            $(#[test]
            fn $kernel() {
                super::check(stringify!($kernel));
            })*
        }

        #[test]
        fn every_case_belongs_to_a_test() {
            let tested = [$(stringify!($kernel)),*];
            for case in cases() {
                let kernel = case.name.split(' ').next().unwrap_or_default();
                assert!(tested.contains(&kernel), "{}", case.name);
            }
        }
    };
}
kernels!(
    activation,
    add,
    attention,
    attention_half,
    attention_packed,
    decode,
    embedding,
    embedding_sum,
    gate,
    layer_norm,
    matmul,
    mean_pool,
    mean_pool_packed,
    moe,
    mul,
    permute,
    rms_norm,
    rms_norm_residual,
    silu_mul,
    softmax,
);

#[test]
fn a_launcher_names_the_argument_whose_dims_do_not_fit() {
    let device = Device::eager();
    let (x, g, b) = (ones(&[2, 5]), ones(&[5]), ones(&[4]));
    let mut y = ones(&[2, 5]);
    let e = layer_norm::layer_norm(&device, &x.view(), None, (&g.view(), &b.view()), &mut y.view_mut(), 1e-5)
        .unwrap_err();
    assert!(matches!(e, Error::Shape { argument: "beta", .. }), "{e}");
    assert_eq!(e.to_string(), "layer_norm: argument `beta` has dims [4], the other arguments ask for [5]");
}

#[test]
fn a_launcher_refuses_another_rank() {
    let mut y = ones(&[4]);
    let e = softmax::softmax(&Device::eager(), &ones(&[4]).view(), &mut y.view_mut()).unwrap_err();
    assert_eq!(e.to_string(), "softmax: argument `x` has dims [4], a tensor of rank 2 is needed");
}

#[test]
fn matmul_refuses_inner_dims_that_differ() {
    let none = Epilogue { bias: None, residual: None };
    let (a, b, mut c) = (ones(&[2, 3]), ones(&[4, 5]), ones(&[2, 5]));
    let e =
        matmul::<f32, IDENTITY>(&Device::eager(), &a.view(), &b.view(), none, &mut c.view_mut()).unwrap_err();
    assert!(matches!(e, Error::Shape { argument: "b", .. }), "{e}");
}

#[test]
fn attention_refuses_key_heads_that_do_not_divide_the_heads() {
    let (q, k, mut o) = (ones(&[1, 3, 2, 32]), ones(&[1, 2, 2, 32]), ones(&[1, 3, 2, 32]));
    let lengths = Tensor::from_slice(&[2], &[1]).unwrap();
    let scores = Scores { scale: 1.0, causal: false };
    let e = attention(
        &Device::eager(),
        &q.view(),
        (&k.view(), &k.view()),
        &lengths.view(),
        &mut o.view_mut(),
        scores,
    )
    .unwrap_err();
    assert!(e.to_string().contains("3 heads of 32 over 2 key heads"), "{e}");
}

#[test]
fn attention_refuses_scales_that_are_not_positive() {
    let (x, mut o) = (ones(&[1, 1, 2, 32]), ones(&[1, 1, 2, 32]));
    let lengths = Tensor::from_slice(&[2], &[1]).unwrap();
    for scale in [0.0, -0.5, f32::NAN, f32::INFINITY] {
        let scores = Scores { scale, causal: false };
        let (x, device) = (x.view(), Device::eager());
        let e = attention(&device, &x, (&x, &x), &lengths.view(), &mut o.view_mut(), scores).unwrap_err();
        assert!(e.to_string().contains(&format!("a scale of {scale}")), "{e}");
    }
}

#[test]
fn pooling_refuses_rows_wider_than_its_tiles() {
    let (x, mut y) = (ones(&[1, 5000]), ones(&[1, 5000]));
    let starts = Tensor::from_slice(&[0, 1], &[2]).unwrap();
    let e = pooling::mean_pool_packed(&Device::eager(), &x.view(), &starts.view(), &mut y.view_mut())
        .unwrap_err();
    assert!(matches!(e, Error::Unsupported { .. }), "{e}");
}
