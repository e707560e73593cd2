//! What a code object says of itself: arguments, memory, waves, symbols.

use super::disassembly::tool;
use super::open;
use kcc_amd::chips::CHIPS;
use kcc_amd::code_object::note;
use kcc_backend_tests::kernels::{attention_to, matmul};
use kcc_backend_tests::simulate::compile_ideal;
use kcc_dsl::exchange::{Artifact, GpuArg, GpuMeta};
use kcc_dsl::ir::{Elem, Kernel};
use std::process::Command;

fn read(artifact: &Artifact) -> String {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), &artifact.bytes).expect("the file is writable");
    let run = Command::new(tool("llvm-readobj"))
        .args(["--file-headers", "--notes", "--dyn-symbols"])
        .arg(file.path())
        .output()
        .expect("llvm-readobj runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).expect("text")
}

/// All values of a field, in order.
fn fields<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    let rest = text.lines().filter_map(|l| l.trim().trim_start_matches("- ").strip_prefix(name));
    rest.map(str::trim).collect()
}

/// Offset and size of each argument as the launch writes them: each aligned to its size (`kcc_dsl::exchange::gpu`).
fn expected(meta: &GpuMeta) -> Vec<(u32, u32)> {
    let mut sizes = Vec::new();
    for arg in &meta.args {
        match arg {
            GpuArg::View { rank, .. } => sizes.extend(vec![8; 1 + 2 * usize::from(*rank)]),
            GpuArg::Scalar(elem) => sizes.push((elem.bytes() as u32).max(4)),
        }
    }
    // Programs per axis, address of the status buffer.
    sizes.extend([4, 4, 4, 8]);
    let mut end = 0u32;
    sizes
        .into_iter()
        .map(|size| {
            let offset = end.next_multiple_of(size);
            end = offset + size;
            (offset, size)
        })
        .collect()
}

fn numbers(text: &str, name: &str) -> Vec<u32> {
    fields(text, name).iter().map(|v| v.parse().expect("a number")).collect()
}

#[test]
fn registers_can_be_limited() {
    let kernel = matmul(Elem::F16, 64, 64, 64);
    for chip in CHIPS {
        let target = open(&format!("amd:{}", chip.name));
        let compiled = |n: &str| compile_ideal(&kernel, &target, &[("warps", "4"), ("registers", n)]);
        let count = |n: &str| {
            let artifact = compiled(n).unwrap_or_else(|e| panic!("{} {n}: {e}", chip.name));
            note(&artifact.bytes, ".vgpr_count").expect("a count")
        };
        // LLVM takes no limit by which no more waves would run, where LDS leaves room for so few.
        let (all, few) = (count("0"), count("64"));
        assert!(few <= all && (chip.lds_kib < 160 || few <= 64), "{}: {few} of {all}", chip.name);
        let message = compiled("48").expect_err("a product takes more");
        assert!(message.contains("64 registers") && message.contains("registers=48"), "{message}");
    }
}

#[test]
fn code_objects_say_what_a_launch_does() {
    let kernels: [Kernel; 3] = [
        matmul(Elem::F16, 64, 64, 32),
        matmul(Elem::I8, 16, 64, 32),
        attention_to(Elem::BF16, Elem::BF16, 64, 64, 64),
    ];
    for chip in CHIPS {
        for kernel in &kernels {
            let target = open(&format!("amd:{}", chip.name));
            let artifact = compile_ideal(kernel, &target, &[("warps", "4")]).expect("compiles");
            let meta = artifact.gpu.clone().expect("launch facts");
            let text = read(&artifact);
            let name = format!("{} on {}", kernel.name, chip.name);
            let one = |field: &str| numbers(&text, field).first().copied();
            // Version 5 of the ABI, as the header has it, and 1.2 as the notes have it.
            assert_eq!(fields(&text, "ABIVersion:"), ["3"], "{name}");
            assert!(text.contains(&format!("amdgcn-amd-amdhsa--{}", chip.name)), "{name}");
            let args = expected(&meta);
            let said: Vec<(u32, u32)> =
                numbers(&text, ".offset:").into_iter().zip(numbers(&text, ".size:")).collect();
            assert_eq!(said, args, "{name}");
            let kinds = fields(&text, ".value_kind:");
            assert!(kinds.iter().all(|k| ["global_buffer", "by_value"].contains(k)), "{name}: {kinds:?}");
            let end = args.last().map_or(0, |(offset, size)| offset + size);
            assert_eq!(one(".kernarg_segment_size:"), Some(end), "{name}: hidden arguments");
            assert_eq!(one(".wavefront_size:"), Some(chip.lanes), "{name}");
            assert_eq!(one(".max_flat_workgroup_size:"), Some(meta.threads), "{name}");
            assert_eq!(meta.threads, 4 * chip.lanes, "{name}");
            assert_eq!(one(".group_segment_fixed_size:").map(u64::from), Some(meta.shared_bytes), "{name}");
            assert_eq!(one(".private_segment_fixed_size:"), Some(0), "{name}: scratch");
            assert_eq!(one(".vgpr_spill_count:"), Some(0), "{name}");
            for key in [".vgpr_count", ".kernarg_segment_size", ".vgpr_spill_count"] {
                assert_eq!(note(&artifact.bytes, key), one(&format!("{key}:")), "{name}: {key}");
            }
            assert_eq!(one(".sgpr_spill_count:"), Some(0), "{name}");
            assert_eq!(fields(&text, ".uses_dynamic_stack:"), ["false"], "{name}");
            assert_eq!(fields(&text, ".symbol:"), [format!("{}.kd", artifact.symbol)], "{name}");
            // The kernel and its descriptor, and nothing that somebody else would have to bring.
            let undefined = fields(&text, "Section: ").iter().filter(|s| s.starts_with("Undefined")).count();
            assert_eq!(undefined, 1, "{name}: only the table's empty first symbol\n{text}");
        }
    }
}
