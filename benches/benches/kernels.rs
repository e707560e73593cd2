//! Every case under criterion: `cargo bench -p kcc-bench`, or `cargo bench -p kcc-bench -- matmul`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kcc_bench::{NAMES, bench, dtypes};
use kcc_runtime::Device;

fn kernels(c: &mut Criterion) {
    for threads in [1, 2] {
        let device = Device::open(&format!("cpu:{threads}")).expect("a CPU device");
        for name in NAMES {
            for dtype in dtypes(name) {
                let mut group = c.benchmark_group(format!("{name}.{dtype}"));
                group.sample_size(10);
                // Inputs are made only if the filter asks for the case.
                let mut case = None;
                group.throughput(Throughput::Elements(1));
                group.bench_function(format!("{threads} threads"), |b| {
                    let case = case.get_or_insert_with(|| {
                        bench(name, dtype, &device).expect("inputs").expect("a case of this name")
                    });
                    b.iter(|| (case.run)().expect("a run"));
                });
                group.finish();
            }
        }
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
