//! Every instance that the kernels list compiles for the chip, or says why not.

use kcc_davinci::Chip;
use kcc_dsl::exchange::ArgSpec;
use kcc_kernels as _;
use std::sync::Mutex;

#[test]
fn listed_instances_compile() {
    let chip = Chip::find("ascend910b").expect("a chip");
    let shipped = |module: &str| module.split("::").next() == Some("kcc_kernels");
    let listed: Vec<_> = kcc_dsl::registered().filter(|r| !r.candidate && shipped(r.module_path)).collect();
    let n = listed.len();
    let (next, refused) = (Mutex::new(listed.into_iter()), Mutex::new(Vec::new()));
    std::thread::scope(|s| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            s.spawn(|| {
                loop {
                    let Some(r) = next.lock().expect("no panic").next() else { break };
                    let kernel = (r.def)().trace().expect("traces");
                    let args: Vec<ArgSpec> = kernel.params.iter().map(|p| ArgSpec::dense(p.kind)).collect();
                    if let Err(e) = kcc_ascend::compile(&kernel, &args, chip) {
                        refused.lock().expect("no panic").push(format!("{}: {e}", kernel.symbol()));
                    }
                }
            });
        }
    });
    let refused = refused.into_inner().expect("no panic");
    assert!(n > 40, "{n} instances");
    assert!(refused.is_empty(), "{} of {n}:\n{}", refused.len(), refused.join("\n"));
}
