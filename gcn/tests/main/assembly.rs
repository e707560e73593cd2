//! Hand-written machine code, assembled by LLVM's tools and run.

use kcc_gcn::{Chip, Launch, Memory, Object};
use std::path::Path;
use std::process::Command;

fn tool(name: &str) -> std::path::PathBuf {
    let prefix = std::env::var_os("LLVM_SYS_221_PREFIX").unwrap_or_else(|| "/usr/lib/llvm-22".into());
    let path = Path::new(&prefix).join("bin").join(name);
    if path.is_file() { path } else { name.into() }
}

fn run(program: &str, arguments: &[&std::ffi::OsStr]) {
    let run = Command::new(tool(program)).args(arguments).output().expect("LLVM's tools run");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

/// A code object of one kernel `k` with a pointer and, if asked for, a hidden argument of so many bytes.
pub(super) fn assemble(chip: &str, body: &str, hidden: Option<(&str, u32)>) -> Object {
    let wave32 = chip.starts_with("gfx11");
    let accumulators = if wave32 { "" } else { ".amdhsa_accum_offset 32" };
    let wave = if wave32 { ".amdhsa_wavefront_size32 1" } else { "" };
    let more = hidden.map(|(kind, size)| format!("- {{.offset: 8, .size: {size}, .value_kind: {kind}}}"));
    let more = more.unwrap_or_default();
    let (size, lanes) = (if hidden.is_some() { 16 } else { 8 }, if wave32 { 32 } else { 64 });
    let text = format!(
        r#".amdgcn_target "amdgcn-amd-amdhsa--{chip}"
.text
.globl k
.p2align 8
.type k,@function
k:
{body}
  s_endpgm
.Lend:
.size k, .Lend-k
.rodata
.p2align 6
.amdhsa_kernel k
  .amdhsa_group_segment_fixed_size 1024
  .amdhsa_kernarg_size {size}
  .amdhsa_user_sgpr_kernarg_segment_ptr 1
  .amdhsa_next_free_vgpr 32
  .amdhsa_next_free_sgpr 32
  {accumulators}
  {wave}
.end_amdhsa_kernel
.amdgpu_metadata
amdhsa.version: [1, 2]
amdhsa.kernels:
  - .name: k
    .symbol: k.kd
    .kernarg_segment_size: {size}
    .group_segment_fixed_size: 1024
    .private_segment_fixed_size: 0
    .kernarg_segment_align: 8
    .wavefront_size: {lanes}
    .sgpr_count: 32
    .vgpr_count: 32
    .max_flat_workgroup_size: 256
    .args:
      - {{.offset: 0, .size: 8, .value_kind: global_buffer, .address_space: global}}
      {more}
.end_amdgpu_metadata
"#
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [source, object, linked] = ["k.s", "k.o", "k.hsaco"].map(|name| folder.path().join(name));
    std::fs::write(&source, text).expect("the folder is writable");
    let cpu = format!("-mcpu={chip}");
    let flags = ["-triple=amdgcn-amd-amdhsa", &cpu, "-filetype=obj", "-o"].map(std::ffi::OsStr::new);
    let mut arguments = flags.to_vec();
    arguments.extend([object.as_os_str(), source.as_os_str()]);
    run("llvm-mc", &arguments);
    run("ld.lld", &["-shared".as_ref(), "-o".as_ref(), linked.as_os_str(), object.as_os_str()]);
    let bytes = std::fs::read(&linked).expect("ld.lld wrote it");
    Object::load(&bytes, "k").expect("a code object")
}

/// Runs one group of 64 or 128 work items on a buffer of words.
pub(super) fn launch(object: &Object, threads: u32, words: usize, seed: u64) -> Result<Vec<u32>, String> {
    launch_grid(object, [1; 3], threads, words, seed)
}

/// Runs so many groups on each axis.
pub(super) fn launch_grid(
    object: &Object,
    grid: [u32; 3],
    threads: u32,
    words: usize,
    seed: u64,
) -> Result<Vec<u32>, String> {
    let mut bytes: Vec<u8> = (0..words as u32).flat_map(|i| (100 + i).to_le_bytes()).collect();
    let mut memory = Memory::new();
    let address = memory.borrow(&mut bytes);
    let launch = Launch { grid, block: [threads, 1, 1], args: &[address], memory: &mut memory, seed };
    object.run(launch).map_err(|fault| fault.to_string())?;
    Ok(bytes.chunks(4).map(|b| u32::from_le_bytes(b.try_into().expect("four bytes"))).collect())
}

fn on_gfx11(text: &str) -> String {
    let renamed = [
        ("s_load_dwordx2", "s_load_b64"),
        ("load_dword", "load_b32"),
        ("store_dword", "store_b32"),
        ("v_add_u32", "v_add_nc_u32"),
        ("ds_write_b32", "ds_store_b32"),
        ("ds_read_b32", "ds_load_b32"),
    ];
    renamed.iter().fold(text.to_owned(), |text, (old, new)| text.replace(old, new))
}

pub(super) fn each(test: impl Fn(&str, &dyn Fn(&str) -> Object)) {
    for chip in Chip::all() {
        let text = |body: &str| if chip.lanes == 32 { on_gfx11(body) } else { body.to_owned() };
        test(chip.name, &|body| assemble(chip.name, &text(body), None));
    }
}
