//! What one launch packed for its programs is not what the next one finds.

use kcc::{Builder, Tensor};
use kcc_dsl::prelude::bf16;
use kcc_kernels::attention::{Scores, attention};

#[test]
fn a_launch_sees_memory_as_it_is_now() {
    let device = Builder::cpu().threads(1).no_disk_cache().build();
    let dims = [1, 1, 256, 64];
    let fill = |step: usize| {
        Tensor::from_fn(&dims, move |i| bf16::from_f32((i * step % 251) as f32 / 125.0 - 1.0)).unwrap()
    };
    let (q, k, mut v) = (fill(7), fill(11), fill(13));
    let lengths = Tensor::from_slice(&[256], &[1]).unwrap();
    let run = |v: &Tensor<bf16>| {
        let mut o = Tensor::<bf16>::zeros(&dims).unwrap();
        let scores = Scores { scale: 0.125, causal: false };
        attention(&device, &q.view(), (&k.view(), &v.view()), &lengths.view(), &mut o.view_mut(), scores)
            .unwrap();
        o.to_vec()
    };
    let before = run(&v);
    assert!(before.iter().any(|x| x.to_f32() != 0.0));
    v.as_mut_slice().iter_mut().for_each(|x| *x = -*x);
    // The weights are the same, so every sum has the other sign.
    assert_eq!(run(&v), before.iter().map(|x| -*x).collect::<Vec<_>>());
}
