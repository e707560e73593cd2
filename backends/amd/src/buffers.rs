//! Global memory through resource descriptors (ISA guides, "Buffer resource descriptor"): raw buffers, whose bounds are
//! counted in bytes.
//!
//! ```text
//! word 0, 1: base, stride 0        word 2: bytes        word 3: the chip's
//! ```

use crate::chips::Chip;
use kcc_compiler::Error;
use kcc_compiler::emit::{Emit, K, Ty, V};
use kcc_compiler::gpu::Buffers;
use kcc_dsl::ir::Cache;

/// The scope of what direct copies write. Reads of LDS say that they are none of it: order between them is that of waits and
/// barriers, and LLVM need not wait for all copies before each read.
pub(crate) const COPIES: &str = "#llvm.alias_scope<id = distinct[1]<>, domain = <id = distinct[0]<>>>";

/// Those of a chip.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw {
    pub chip: &'static Chip,
    /// Whether LLVM is to know scopes, which say nothing to the simulator.
    pub scopes: bool,
}

/// The instruction's hint: bit 1 is `slc`, on gfx942 and gfx950 `nt`: evicted first.
fn hint(cache: Cache) -> i64 {
    if cache == Cache::Stream { 2 } else { 0 }
}

impl Buffers for Raw {
    fn resource(&self, e: &mut Emit, base: V, bytes: V) -> V {
        let stride = e.int(K::I16, 0);
        let flags = e.int(K::I32, i64::from(self.chip.buffer_word as i32));
        let bytes = e.conv("arith.extui", bytes, K::I64);
        let ty = Ty::scalar(K::Resource);
        let text = format!("rocdl.make.buffer.rsrc {base}, {stride}, {bytes}, {flags} : {} to {ty}", base.ty);
        e.pure(ty, text, &[base, stride, bytes, flags])
    }

    fn load(&self, e: &mut Emit, resource: V, offset: V, ty: Ty, cache: Cache) -> V {
        let (zero, hint) = (e.int(K::I32, 0), e.int(K::I32, hint(cache)));
        e.here(ty, format!("rocdl.raw.ptr.buffer.load {resource}, {offset}, {zero}, {hint} : {ty}"))
    }

    fn store(&self, e: &mut Emit, value: V, resource: V, offset: V, cache: Cache) {
        let (zero, hint) = (e.int(K::I32, 0), e.int(K::I32, hint(cache)));
        let ty = value.ty;
        e.line(format!("rocdl.raw.ptr.buffer.store {value}, {resource}, {offset}, {zero}, {hint} : {ty}"));
    }

    fn copy(&self, e: &mut Emit, resource: V, to: V, offset: V, cache: Cache) -> Result<(), Error> {
        let (zero, hint) = (e.int(K::I32, 0), e.int(K::I32, hint(cache)));
        let bytes = e.int(K::I32, i64::from(self.chip.direct_copy));
        let operands = format!("{resource}, {to}, {bytes}, {offset}, {zero}, {zero}, {hint}");
        let scope = if self.scopes { format!(" {{alias_scopes = [{COPIES}]}}") } else { String::new() };
        e.line(format!("rocdl.raw.ptr.buffer.load.lds {operands}{scope}"));
        Ok(())
    }
}
