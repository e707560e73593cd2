//! The standard pack: every kernel of `kernels/kcc.toml` chosen, launched and held against its reference, within the
//! tolerance that the pack declares, on shapes that take each of its variants.

use kcc_dsl::prelude::*;
use kcc_kernels::activation::{GELU, GELU_TANH, IDENTITY, SILU};
use kcc_kernels::cases::input::{Random, Value, exact};
use kcc_kernels::moe::{gate, permute};
use kcc_kernels::{activation, attention, embedding, layer_norm, matmul, pooling, rms_norm, softmax};
use kcc_runtime::pack::{Pack, PackKernel};
use kcc_runtime::{Arg, Device, How, Tensor};
use std::collections::BTreeSet;
use std::f32::consts::LOG2_E;
use std::f64::consts::FRAC_1_SQRT_2;

const EPS: f32 = 1e-5;

/// Runs kernels of a pack and notes which variants were chosen.
struct Runner {
    pack: Pack,
    device: Device,
    chosen: BTreeSet<(String, usize)>,
}

/// What two elements give.
type Of2 = fn(f64, f64) -> f64;

/// A tensor and its values.
struct Operand<T> {
    tensor: Tensor<T>,
    exact: Vec<f64>,
}

fn operand<T: Value>(random: &mut Random, dims: &[usize]) -> Operand<T> {
    let values: Vec<T> = random.values(dims.iter().product(), 1.0);
    Operand { tensor: Tensor::from_slice(&values, dims).unwrap(), exact: exact(&values) }
}

fn integers(values: &[i32], dims: &[usize]) -> Tensor<i32> {
    Tensor::from_slice(values, dims).unwrap()
}

/// A result, filled with what no kernel computes.
fn untouched<T: Value>(dims: &[usize]) -> Tensor<T> {
    Tensor::from_fn(dims, |_| T::from_f32(-77.0)).unwrap()
}

impl Runner {
    fn kernel(&self, name: &str) -> PackKernel {
        self.pack.kernel(name, &self.device).unwrap()
    }

    /// Launches a kernel; gives the tolerance of the variant that ran, absolute and relative.
    fn run(&mut self, name: &str, args: &[Arg<'_>]) -> (f64, f64) {
        let kernel = self.kernel(name);
        let choice = kernel.choose(args).unwrap_or_else(|e| panic!("{name}: {e}"));
        kernel.launch_as(&choice, args, How::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        self.chosen.insert((name.to_owned(), choice.variant));
        let entry = self.pack.manifest().kernels.iter().find(|k| k.name == name).unwrap();
        let t = &entry.variants[choice.variant].tolerance;
        (t.absolute, t.relative)
    }
}

fn close<T: Value>(name: &str, (absolute, relative): (f64, f64), got: &Tensor<T>, want: &[f64]) {
    assert_eq!(got.as_slice().len(), want.len(), "{name}");
    for (i, (got, want)) in got.as_slice().iter().zip(want).enumerate() {
        let got = got.to_f64();
        let bound = absolute + relative * want.abs();
        assert!(
            (got - want).abs() <= bound,
            "{name} {}: element {i} is {got}, exact {want} ± {bound}",
            T::ELEM
        );
    }
}

#[test]
fn every_kernel_of_the_standard_pack_meets_its_tolerance() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("standard.kpack");
    let crate_dir = super::kernels();
    let args =
        ["pack", "build", crate_dir.to_str().unwrap(), "-t", "cpu:x86-64-v3", "-o", path.to_str().unwrap()];
    let out = super::kcc(&args);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let pack = Pack::open(&path).unwrap();
    pack.verify().unwrap();
    let mut r = Runner { pack, device: Device::cpu(), chosen: BTreeSet::new() };
    element_wise::<f32>(&mut r);
    all::<f32>(&mut r);
    element_wise::<f16>(&mut r);
    all::<f16>(&mut r);
    element_wise::<bf16>(&mut r);
    all::<bf16>(&mut r);

    // Nothing in the list is left out here.
    let every: BTreeSet<(String, usize)> = (r.pack.manifest().kernels.iter())
        .flat_map(|k| (0..k.variants.len()).map(|i| (k.name.clone(), i)))
        .collect();
    let missed: Vec<_> = every.difference(&r.chosen).collect();
    assert!(missed.is_empty(), "variants that no shape took: {missed:?}");

    // Dims that do not go together are no kernel's.
    let x = Tensor::<f32>::zeros(&[2, 8]).unwrap();
    let mut y = Tensor::<f32>::zeros(&[2, 9]).unwrap();
    let e = r.kernel("softmax").launch(&[Arg::input(&x), Arg::output(&mut y)], None).unwrap_err().to_string();
    assert!(e.contains("no variant takes (f32 [2, 8]"), "{e}");
    assert!(e.ends_with(": `y.dim(1) == x.dim(1)` does not hold"), "{e}");
    let y = Tensor::<i32>::zeros(&[2, 8]).unwrap();
    let e = r.kernel("softmax").choose(&[Arg::input(&x), Arg::input(&y)]).unwrap_err().to_string();
    assert_eq!(e.matches("(view<f32, 2>, view<f32, 2>)").count(), 1, "each combination once: {e}");

    // Nor are numbers out of range.
    for scale in [0.0, -0.1, f32::NAN, f32::INFINITY] {
        let q = Tensor::<f32>::zeros(&[1, 1, 2, 8]).unwrap();
        let (lengths, mut o) = (integers(&[2], &[1]), Tensor::<f32>::zeros(&[1, 1, 2, 8]).unwrap());
        let [q, k, v] = [&q; 3].map(Arg::input);
        let args = [q, k, v, Arg::input(&lengths), Arg::output(&mut o), Arg::scalar(scale)];
        let e = r.kernel("attention").launch(&args, None).unwrap_err().to_string();
        assert!(e.contains("`scale ") && e.ends_with("does not hold"), "{scale}: {e}");
    }

    // `kcc pack bench` times every variant that is right, and says which is chosen.
    let args =
        ["-k", "softmax", "-a", "x=random:3x70", "-a", "y=empty:3x70", "--dtype", "f16", "--seconds", "0.01"];
    let out = super::kcc(&[&["pack", "bench", path.to_str().unwrap(), "--json"], &args[..]].concat());
    let said: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let variants = said["variants"].as_array().unwrap();
    assert_eq!(variants.len(), 3, "{said}");
    let chosen: Vec<bool> = variants.iter().map(|v| v["chosen"] == true).collect();
    assert_eq!(chosen, [true, false, false], "{said}");
    assert!(variants.iter().all(|v| v["seconds"].as_f64().is_some_and(|s| s > 0.0)), "{said}");
}

fn all<T: Value + DotElem>(r: &mut Runner) {
    rows::<T>(r);
    products::<T>(r);
    attentions::<T>(r);
    lookups::<T>(r);
    experts::<T>(r);
}

fn element_wise<T: Value>(r: &mut Runner) {
    let random = &mut Random::new(1);
    for dims in [[1, 1], [3, 1000], [2, 1025]] {
        let (a, b) = (operand::<T>(random, &dims), operand::<T>(random, &dims));
        let two: [(&str, Of2); 3] = [
            ("add", |a, b| a + b),
            ("mul", |a, b| a * b),
            ("silu_mul", |a, b| activation::reference(SILU, a) * b),
        ];
        for (name, f) in two {
            let mut y = untouched::<T>(&dims);
            let t = r.run(name, &[Arg::input(&a.tensor), Arg::input(&b.tensor), Arg::output(&mut y)]);
            let want: Vec<f64> = a.exact.iter().zip(&b.exact).map(|(a, b)| f(*a, *b)).collect();
            close(name, t, &y, &want);
        }
        for (name, act) in [("gelu", GELU), ("gelu_tanh", GELU_TANH), ("silu", SILU)] {
            let mut y = untouched::<T>(&dims);
            let t = r.run(name, &[Arg::input(&a.tensor), Arg::output(&mut y)]);
            let want: Vec<f64> = a.exact.iter().map(|x| activation::reference(act, *x)).collect();
            close(name, t, &y, &want);
        }
    }
}

fn rows<T: Value>(r: &mut Runner) {
    let random = &mut Random::new(2);
    for dims in [[3, 1], [2, 1000], [1, 4096], [2, 5000]] {
        let width = dims[1];
        let (x, z) = (operand::<T>(random, &dims), operand::<T>(random, &dims));
        let (g, b) = (operand::<T>(random, &[width]), operand::<T>(random, &[width]));
        let eps = || Arg::scalar(EPS);

        let mut y = untouched::<T>(&dims);
        let t = r.run("softmax", &[Arg::input(&x.tensor), Arg::output(&mut y)]);
        close("softmax", t, &y, &softmax::reference(&x.exact, dims[0], width));

        let t =
            r.run("rms_norm", &[Arg::input(&x.tensor), Arg::input(&g.tensor), Arg::output(&mut y), eps()]);
        close("rms_norm", t, &y, &rms_norm::reference(&x.exact, &g.exact, EPS.into()));

        let mut sum = untouched::<T>(&dims);
        let [ax, az, ag, ab] = [&x, &z, &g, &b].map(|o| Arg::input(&o.tensor));
        let t = r.run("rms_norm_residual", &[ax, az, ag, Arg::output(&mut sum), Arg::output(&mut y), eps()]);
        let sums: Vec<f64> = x.exact.iter().zip(&z.exact).map(|(x, z)| x + z).collect();
        close("sum of rms_norm_residual", t, &sum, &sums);
        // The norm is of the sum as it was rounded.
        close("rms_norm_residual", t, &y, &rms_norm::reference(&exact(sum.as_slice()), &g.exact, EPS.into()));

        // Of one element the deviation vanishes, and any error of the mean is divided by sqrt(eps).
        if width > 1 {
            let [ax, ag] = [&x, &g].map(|o| Arg::input(&o.tensor));
            let t = r.run("layer_norm", &[ax, Arg::input(&x.tensor), ag, ab, Arg::output(&mut y), eps()]);
            let want = layer_norm::reference(&x.exact, None, &g.exact, &b.exact, EPS.into());
            close("layer_norm", t, &y, &want);
            let [ax, az, ag, ab] = [&x, &z, &g, &b].map(|o| Arg::input(&o.tensor));
            let t = r.run("layer_norm_residual", &[ax, az, ag, ab, Arg::output(&mut y), eps()]);
            let want = layer_norm::reference(&x.exact, Some(&z.exact), &g.exact, &b.exact, EPS.into());
            close("layer_norm_residual", t, &y, &want);
        }
    }
}

fn products<T: Value + DotElem>(r: &mut Runner) {
    let random = &mut Random::new(3);
    for (m, n, k) in [(1, 1, 1), (16, 65, 70), (17, 64, 3), (65, 130, 129)] {
        let (a, b) = (operand::<T>(random, &[m, k]), operand::<T>(random, &[k, n]));
        let (bias, res) = (operand::<T>(random, &[n]), operand::<T>(random, &[m, n]));
        for (name, act, biased, residual) in [
            ("matmul", IDENTITY, false, false),
            ("linear", IDENTITY, true, false),
            ("linear_gelu", GELU, true, false),
            ("linear_residual", IDENTITY, true, true),
        ] {
            let mut c = untouched::<T>(&[m, n]);
            let [aa, ab, abias, ares] = [&a, &b, &bias, &res].map(|o| Arg::input(&o.tensor));
            let t = r.run(name, &[aa, ab, abias, ares, Arg::output(&mut c)]);
            let want = matmul::reference(
                (m, n, k),
                &a.exact,
                &b.exact,
                biased.then_some(&bias.exact[..]),
                act,
                residual.then_some(&res.exact[..]),
            );
            close(name, t, &c, &want);
        }
    }
}

fn attentions<T: Value + DotElem>(r: &mut Runner) {
    let random = &mut Random::new(4);
    for head in [40, 64, 128] {
        let z = attention::Sizes { batch: 2, heads: 4, kv_heads: 2, queries: 67, keys: 131, head };
        let q = operand::<T>(random, &[z.batch, z.heads, z.queries, head]);
        let [k, v] = [(); 2].map(|()| operand::<T>(random, &[z.batch, z.kv_heads, z.keys, head]));
        let (lengths, counts) = (integers(&[131, 70], &[2]), [131, 70]);
        let scale = FRAC_1_SQRT_2 / (head as f64).sqrt();
        for (name, causal) in [("attention", false), ("attention_causal", true)] {
            let mut o = untouched::<T>(&[z.batch, z.heads, z.queries, head]);
            let [aq, ak, av] = [&q, &k, &v].map(|o| Arg::input(&o.tensor));
            let rest = [Arg::input(&lengths), Arg::output(&mut o), Arg::scalar(scale as f32 * LOG2_E)];
            let args: Vec<Arg<'_>> = [aq, ak, av].into_iter().chain(rest).collect();
            let t = r.run(name, &args);
            drop(args);
            let want = attention::reference(z, (&q.exact, &k.exact, &v.exact), &counts, causal, scale);
            close(name, t, &o, &want);
        }
    }
    for group in [1, 3, 8] {
        let z = attention::Sizes { batch: 2, heads: 2 * group, kv_heads: 2, queries: 1, keys: 75, head: 100 };
        let dims = [2, 2, group, 100];
        let q = operand::<T>(random, &dims);
        let [k, v] = [(); 2].map(|()| operand::<T>(random, &[2, 2, 75, 100]));
        let (lengths, scale) = (integers(&[75, 33], &[2]), 0.1f32);
        let mut o = untouched::<T>(&dims);
        let [aq, ak, av] = [&q, &k, &v].map(|o| Arg::input(&o.tensor));
        let t = r.run(
            "decode",
            &[aq, ak, av, Arg::input(&lengths), Arg::output(&mut o), Arg::scalar(scale * LOG2_E)],
        );
        let want = attention::reference(z, (&q.exact, &k.exact, &v.exact), &[75, 33], false, scale.into());
        close("decode", t, &o, &want);
    }
    // Two sequences of 5 and 40 rows, each its own attention.
    let (rows, heads, head) = (45, 2, 32);
    let [q, k, v] = [(); 3].map(|()| operand::<T>(random, &[heads, rows, head]));
    let mut o = untouched::<T>(&[heads, rows, head]);
    let starts = integers(&[0, 5, 45], &[3]);
    let [aq, ak, av] = [&q, &k, &v].map(|o| Arg::input(&o.tensor));
    let scale = 0.25f32;
    let t = r.run(
        "attention_packed",
        &[aq, ak, av, Arg::input(&starts), Arg::output(&mut o), Arg::scalar(scale * LOG2_E)],
    );
    let mut want = vec![0.0; heads * rows * head];
    for (first, n) in [(0, 5), (5, 40)] {
        for h in 0..heads {
            let at = (h * rows + first) * head..(h * rows + first + n) * head;
            let z = attention::Sizes { batch: 1, heads: 1, kv_heads: 1, queries: n, keys: n, head };
            let qkv = (&q.exact[at.clone()], &k.exact[at.clone()], &v.exact[at.clone()]);
            want[at].copy_from_slice(&attention::reference(z, qkv, &[n], false, scale.into()));
        }
    }
    close("attention_packed", t, &o, &want);
}

fn lookups<T: Value>(r: &mut Runner) {
    let random = &mut Random::new(5);
    let (n, width, words) = (19, 130, 23);
    let ids: Vec<i32> = (0..n).map(|_| random.below(words) as i32).collect();
    let positions: Vec<i32> = (0..n as i32).collect();
    let types = vec![1; n];
    let [w, p, k] = [words, n, 2].map(|rows| operand::<T>(random, &[rows, width]));
    let [ti, tp, tt] = [&ids, &positions, &types].map(|v| integers(v, &[n]));
    let mut y = untouched::<T>(&[n, width]);
    let t = r.run("embedding", &[Arg::input(&ti), Arg::input(&w.tensor), Arg::output(&mut y)]);
    let one = embedding::reference(&ids, &w.exact, width);
    close("embedding", t, &y, &one);
    let [aw, ap, ak] = [&w, &p, &k].map(|o| Arg::input(&o.tensor));
    let args = [Arg::input(&ti), Arg::input(&tp), Arg::input(&tt), aw, ap, ak, Arg::output(&mut y)];
    let t = r.run("embedding_sum", &args);
    drop(args);
    let [two, three] =
        [(&positions, &p), (&types, &k)].map(|(ids, table)| embedding::reference(ids, &table.exact, width));
    let want: Vec<f64> = (0..one.len()).map(|i| one[i] + two[i] + three[i]).collect();
    close("embedding_sum", t, &y, &want);

    let (batch, tokens, width) = (3, 17, 100);
    let x = operand::<T>(random, &[batch, tokens, width]);
    let keep: Vec<Vec<usize>> = vec![(0..17).collect(), (0..1).collect(), (3..9).collect()];
    let mask: Vec<i32> =
        keep.iter().flat_map(|k| (0..tokens).map(move |t| i32::from(k.contains(&t)))).collect();
    let mask = integers(&mask, &[batch, tokens]);
    let mut y = untouched::<T>(&[batch, width]);
    let t = r.run("mean_pool", &[Arg::input(&x.tensor), Arg::input(&mask), Arg::output(&mut y)]);
    let rows: Vec<Vec<usize>> =
        keep.iter().enumerate().map(|(b, k)| k.iter().map(|t| b * tokens + t).collect()).collect();
    close("mean_pool", t, &y, &pooling::reference(&x.exact, width, &rows));

    let x = operand::<T>(random, &[tokens, width]);
    let starts = integers(&[0, 1, 9, 17], &[4]);
    let t = r.run("mean_pool_packed", &[Arg::input(&x.tensor), Arg::input(&starts), Arg::output(&mut y)]);
    let rows = [0..1, 1..9, 9..17].map(|r| r.collect());
    close("mean_pool_packed", t, &y, &pooling::reference(&x.exact, width, &rows));
}

fn experts<T: Value + DotElem>(r: &mut Runner) {
    let random = &mut Random::new(6);
    let (tokens, hidden, inner) = (21, 66, 130);
    for (count, choices) in [(7, 2), (50, 8)] {
        let slots = tokens * choices;
        let scores = operand::<T>(random, &[tokens, count]);
        let (mut ids, mut weights) =
            (Tensor::<i32>::zeros(&[tokens, choices]).unwrap(), untouched::<f32>(&[tokens, choices]));
        let args = [Arg::input(&scores.tensor), Arg::output(&mut ids), Arg::output(&mut weights)];
        let t = r.run("moe_gate", &args);
        drop(args);
        let (want_ids, want) = gate::reference(&scores.exact, count, choices);
        assert_eq!(ids.as_slice(), want_ids, "moe_gate");
        close("moe_gate", t, &weights, &want);

        let flat = integers(ids.as_slice(), &[slots]);
        let (mut starts, mut order) =
            (Tensor::<i32>::zeros(&[count + 1]).unwrap(), Tensor::<i32>::zeros(&[slots]).unwrap());
        r.run("moe_permute", &[Arg::input(&flat), Arg::output(&mut starts), Arg::output(&mut order)]);
        let sorted = permute::reference(ids.as_slice(), count);
        assert_eq!((starts.as_slice(), order.as_slice()), (&sorted.0[..], &sorted.1[..]), "moe_permute");

        let x = operand::<T>(random, &[tokens, hidden]);
        let [gate, up] = [(); 2].map(|()| operand::<T>(random, &[count, hidden, inner]));
        let down = operand::<T>(random, &[count, inner, hidden]);
        let mut h = untouched::<T>(&[slots, inner]);
        let [ax, ag, au] = [&x, &gate, &up].map(|o| Arg::input(&o.tensor));
        let t = r.run(
            "moe_swiglu",
            &[
                ax,
                ag,
                au,
                Arg::input(&starts),
                Arg::input(&order),
                Arg::output(&mut h),
                Arg::scalar(choices as i32),
            ],
        );
        let row = |x: &[f64], w: &[f64], e: usize, n: usize| {
            let w = &w[e * x.len() * n..(e + 1) * x.len() * n];
            matmul::reference((1, n, x.len()), x, w, None, IDENTITY, None)
        };
        let mut want = Vec::new();
        for (at, slot) in sorted.1.iter().enumerate() {
            let e = (0..count).find(|e| at < sorted.0[e + 1] as usize).unwrap();
            let token = *slot as usize / choices;
            let x = &x.exact[token * hidden..(token + 1) * hidden];
            let (g, u) = (row(x, &gate.exact, e, inner), row(x, &up.exact, e, inner));
            want.extend(g.iter().zip(u).map(|(g, u)| activation::reference(SILU, *g) * u));
        }
        close("moe_swiglu", t, &h, &want);

        // The second layer of small values, so that its sums are of magnitude 1.
        let small: Vec<T> = random.values(slots * inner, 1.0 / inner as f32);
        let h =
            Operand { tensor: Tensor::from_slice(&small, &[slots, inner]).unwrap(), exact: exact(&small) };
        let mut parts = untouched::<T>(&[slots, hidden]);
        let [ah, ad] = [&h, &down].map(|o| Arg::input(&o.tensor));
        let t =
            r.run("moe_down", &[ah, ad, Arg::input(&starts), Arg::input(&order), Arg::output(&mut parts)]);
        let mut want = vec![0.0; slots * hidden];
        for (at, slot) in sorted.1.iter().enumerate() {
            let e = (0..count).find(|e| at < sorted.0[e + 1] as usize).unwrap();
            let slot = *slot as usize;
            want[slot * hidden..(slot + 1) * hidden].copy_from_slice(&row(
                &h.exact[at * inner..(at + 1) * inner],
                &down.exact,
                e,
                hidden,
            ));
        }
        close("moe_down", t, &parts, &want);

        let parts = operand::<T>(random, &[tokens, choices, hidden]);
        let mut y = untouched::<T>(&[tokens, hidden]);
        let t = r.run("moe_combine", &[Arg::input(&parts.tensor), Arg::input(&weights), Arg::output(&mut y)]);
        let w = exact(weights.as_slice());
        let want: Vec<f64> = (0..tokens * hidden)
            .map(|i| {
                let (token, c) = (i / hidden, i % hidden);
                (0..choices)
                    .map(|j| w[token * choices + j] * parts.exact[(token * choices + j) * hidden + c])
                    .sum()
            })
            .collect();
        close("moe_combine", t, &y, &want);
    }
}
