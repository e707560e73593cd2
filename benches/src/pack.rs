//! Packs: what it costs to open one, and to launch a kernel of it on the CPU.

use crate::Bench;
use anyhow::{Result, anyhow};
use kcc_dsl::exchange::{ArgSpec, CompileRequest};
use kcc_kernels::softmax::softmax_tile;
use kcc_runtime::jit::{ChildCompiler, Compiler as _, find_kcc};
use kcc_runtime::pack::format::{
    Backend, Code, CodeKind, Dtype, Kernel, Kind, Manifest, Op, Param, Tolerance, Variant,
};
use kcc_runtime::pack::{Pack, Writer};
use kcc_runtime::{Arg, Device, Elem, Tensor};

/// Variants of the pack's only kernel, where opening is timed.
const MANY: usize = 100;

/// Where launches are: as many as the standard pack has of softmax for a machine.
const FEW: usize = 9;

/// Launches of one run: one is shorter than a clock's tick.
const LAUNCHES: u64 = 1000;

/// Softmax in so many variants, each for another range of widths; the first takes the least and costs least, as lists have them.
fn pack(device: &Device, variants: usize) -> Result<Vec<u8>> {
    let target = device.target()?.ok_or_else(|| anyhow!("a device that compiles"))?.to_owned();
    let kernel = softmax_tile::kernel::<f32, 1024>();
    let kernel = kernel.trace().map_err(|e| anyhow!("{e:?}"))?;
    let args = vec![ArgSpec { unit_axis: Some(1), ..ArgSpec::default() }; 2];
    let compiler = ChildCompiler::shared(&find_kcc().map_err(anyhow::Error::msg)?);
    let request =
        CompileRequest { kernel, target: target.clone(), args: args.clone(), options: Default::default() };
    let artifact = compiler.compile(&request).map_err(anyhow::Error::msg)?.map_err(|e| anyhow!("{e:?}"))?;
    let file = "bin/cpu/softmax.o".to_owned();
    let variant = |i: usize| Variant {
        backend: Backend { r#type: "cpu".into(), archs: vec![], target: target.clone() },
        generics: "f32, 1024".into(),
        dtypes: vec![Dtype(Elem::F32); 2],
        args: args.clone(),
        when: vec![
            "y.dim(0) == x.dim(0)".into(),
            "y.dim(1) == x.dim(1)".into(),
            format!("x.dim(1) <= {}", 1024 - variants + i + 1),
        ],
        cost: i.to_string(),
        grid: ["x.dim(0)".into(), "1".into(), "1".into()],
        workspace: String::new(),
        tolerance: Tolerance { absolute: 0.0, relative: 1e-5 },
        code: Code::new(file.as_str(), CodeKind::Object, artifact.symbol.as_str(), &artifact.bytes),
        cpu: Some(artifact.cpu.clone()),
        gpu: None,
        npu: None,
    };
    let param = |name: &str, kind| Param { name: name.into(), kind, rank: 2 };
    let kernel = Kernel {
        name: "softmax".into(),
        op: Op { name: "softmax".into(), version: 1 },
        params: vec![param("x", Kind::Input), param("y", Kind::Output)],
        source: None,
        variants: (0..variants).map(variant).collect(),
    };
    let manifest = Manifest::new("bench", "1.0.0", "", vec![kernel]);
    let files = [(file, artifact.bytes.clone())].into();
    Writer::new(&manifest, files).and_then(|w| w.zip()).map_err(anyhow::Error::msg)
}

/// Opens a pack of 100 variants.
pub fn open(device: &Device) -> Result<Bench> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("bench.kpack");
    std::fs::write(&path, pack(device, MANY)?)?;
    Bench::new(1, move || {
        let pack = Pack::open(folder.path().join("bench.kpack"))?;
        anyhow::ensure!(pack.manifest().kernels[0].variants.len() == MANY);
        Ok(())
    })
}

/// Launches a kernel on one number: choice among variants, checks, call.
pub fn launch(device: &Device) -> Result<Bench> {
    let kernel = Pack::from_bytes(pack(device, FEW)?)?.kernel("softmax", device)?;
    let (x, mut y) = (Tensor::<f32>::zeros(&[1, 1])?, Tensor::<f32>::zeros(&[1, 1])?);
    Bench::new(LAUNCHES, move || {
        let args = [Arg::input(&x), Arg::output(&mut y)];
        Ok((0..LAUNCHES).try_for_each(|_| kernel.launch(&args, None))?)
    })
}
