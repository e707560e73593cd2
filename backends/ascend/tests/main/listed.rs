//! Every instance that the kernels list compiles for the chip, or says why not.

use kcc_davinci::Chip;
use kcc_dsl::exchange::ArgSpec;
use kcc_dsl::ir::ParamKind;
use kcc_kernels as _;

#[test]
fn listed_instances_compile() {
    let chip = Chip::find("ascend910b").expect("a chip");
    let mut refused = Vec::new();
    let mut n = 0;
    let shipped = |module: &str| module.split("::").next() == Some("kcc_kernels");
    for r in kcc_dsl::registered().filter(|r| !r.candidate && shipped(r.module_path)) {
        let def = (r.def)();
        let kernel = def.trace().expect("traces");
        let args: Vec<ArgSpec> = (kernel.params.iter())
            .map(|p| ArgSpec {
                unit_axis: match p.kind {
                    ParamKind::View { rank, .. } => Some(rank as u8 - 1),
                    ParamKind::Scalar(_) => None,
                },
                ..ArgSpec::default()
            })
            .collect();
        n += 1;
        if let Err(e) = kcc_ascend::compile(&kernel, &args, chip) {
            refused.push(format!("{}: {e}", kernel.symbol()));
        }
    }
    assert!(n > 40, "{n} instances");
    assert!(refused.is_empty(), "{} of {n}:\n{}", refused.len(), refused.join("\n"));
}
