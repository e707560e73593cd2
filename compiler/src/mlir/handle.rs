//! Handles on operations, values, blocks and attributes of a module, for the reader and the passes.
//!
//! They are `Copy` names without a lifetime of the operation they name: one is valid from the moment it is taken from
//! a live module until that operation is erased ([`Op::erase`]) or the module dropped, and code that
//! erases operations does not look at their handles again. Nothing outside the crate can make one.

use melior::ir::Module;
use mlir_sys::*;

fn text<'m>(s: MlirStringRef) -> &'m str {
    if s.length == 0 {
        return "";
    }
    // SAFETY: the string belongs to the context, which outlives every handle; MLIR guarantees `length` bytes.
    let bytes = unsafe { std::slice::from_raw_parts(s.data.cast::<u8>(), s.length) };
    std::str::from_utf8(bytes).unwrap_or("\u{fffd}")
}

fn name_ref(name: &str) -> MlirStringRef {
    MlirStringRef { data: name.as_ptr().cast(), length: name.len() }
}

/// An operation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Op(*mut std::ffi::c_void);

/// A value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Value(*const std::ffi::c_void);

/// A block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Block(*mut std::ffi::c_void);

/// An attribute; equal attributes have equal handles.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Attr(*const std::ffi::c_void);

/// A type; equal types have equal handles.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Ty(*const std::ffi::c_void);

// SAFETY (of every block below, unless it says more): the handle is valid by the module's rule, and the function
// reads or changes only what the handle names.

impl Op {
    pub(crate) fn raw(self) -> MlirOperation {
        MlirOperation { ptr: self.0 }
    }

    fn from_raw(op: MlirOperation) -> Option<Op> {
        (!op.ptr.is_null()).then_some(Op(op.ptr))
    }

    /// An operation that was just created and belongs to no block yet.
    pub(crate) fn created(op: MlirOperation) -> Option<Op> {
        Self::from_raw(op)
    }

    /// Full name: `arith.addf`.
    pub(crate) fn name<'m>(self) -> &'m str {
        // SAFETY: see above.
        unsafe { text(mlirIdentifierStr(mlirOperationGetName(self.raw()))) }
    }

    pub(crate) fn operands(self) -> Vec<Value> {
        // SAFETY: see above; the index is below the count.
        unsafe {
            let n = mlirOperationGetNumOperands(self.raw());
            (0..n).map(|i| Value(mlirOperationGetOperand(self.raw(), i).ptr)).collect()
        }
    }

    pub(crate) fn results(self) -> Vec<Value> {
        // SAFETY: see above; the index is below the count.
        unsafe {
            let n = mlirOperationGetNumResults(self.raw());
            (0..n).map(|i| Value(mlirOperationGetResult(self.raw(), i).ptr)).collect()
        }
    }

    /// The only result, if there is exactly one.
    pub(crate) fn result(self) -> Option<Value> {
        match self.results()[..] {
            [v] => Some(v),
            _ => None,
        }
    }

    /// Blocks of each region.
    pub(crate) fn regions(self) -> Vec<Vec<Block>> {
        // SAFETY: see above; the index is below the count.
        unsafe {
            let n = mlirOperationGetNumRegions(self.raw());
            (0..n).map(|i| blocks(mlirOperationGetRegion(self.raw(), i))).collect()
        }
    }

    /// Every block of every region.
    pub(crate) fn blocks(self) -> Vec<Block> {
        self.regions().into_iter().flatten().collect()
    }

    /// Name and value of each attribute, inherent ones included, sorted by name.
    pub(crate) fn attrs<'m>(self) -> Vec<(&'m str, Attr)> {
        // SAFETY: see above; the index is below the count.
        unsafe {
            let n = mlirOperationGetNumAttributes(self.raw());
            (0..n)
                .map(|i| mlirOperationGetAttribute(self.raw(), i))
                .map(|a| (text(mlirIdentifierStr(a.name)), Attr(a.attribute.ptr)))
                .collect()
        }
    }

    pub(crate) fn attr(self, name: &str) -> Option<Attr> {
        // SAFETY: see above; the name is only read during the call.
        let a = unsafe { mlirOperationGetAttributeByName(self.raw(), name_ref(name)) };
        (!a.ptr.is_null()).then_some(Attr(a.ptr))
    }

    pub(crate) fn location(self) -> MlirLocation {
        // SAFETY: see above.
        unsafe { mlirOperationGetLocation(self.raw()) }
    }

    pub(crate) fn move_before(self, other: Op) {
        // SAFETY: see above; both are in blocks of one module.
        unsafe { mlirOperationMoveBefore(self.raw(), other.raw()) }
    }

    /// Puts a created operation before another one.
    pub(crate) fn insert_before(self, other: Op) {
        // SAFETY: see above; `self` belongs to no block, the block takes ownership.
        unsafe {
            mlirBlockInsertOwnedOperationBefore(mlirOperationGetBlock(other.raw()), other.raw(), self.raw());
        }
    }

    pub(crate) fn set_operand(self, i: usize, v: Value) {
        // SAFETY: see above; the caller took `i` from `operands` and gives a value of the same type.
        unsafe { mlirOperationSetOperand(self.raw(), i as isize, v.raw()) }
    }

    /// Moves the only block of another operation's first region into this one's, which is empty.
    pub(crate) fn take_body(self, other: Op) {
        // SAFETY: see above; both operations have a first region.
        unsafe {
            mlirRegionTakeBody(mlirOperationGetRegion(self.raw(), 0), mlirOperationGetRegion(other.raw(), 0));
        }
    }

    /// Whether any result has a use.
    pub(crate) fn is_used(self) -> bool {
        self.results().into_iter().any(Value::is_used)
    }

    /// Erases an operation whose results have no uses.
    pub(crate) fn erase(self) {
        if self.is_used() {
            return; // MLIR would abort; the caller's mistake costs a dead operation instead.
        }
        // SAFETY: see above; nothing refers to the operation's results.
        unsafe {
            mlirOperationRemoveFromParent(self.raw());
            mlirOperationDestroy(self.raw());
        }
    }
}

impl Value {
    pub(crate) fn raw(self) -> MlirValue {
        MlirValue { ptr: self.0 }
    }

    pub(crate) fn ty(self) -> Ty {
        // SAFETY: see above.
        Ty(unsafe { mlirValueGetType(self.raw()) }.ptr)
    }

    pub(crate) fn is_used(self) -> bool {
        // SAFETY: see above.
        unsafe { !mlirOpOperandIsNull(mlirValueGetFirstUse(self.raw())) }
    }

    /// Each use: the operation, and which of its operands.
    pub(crate) fn uses(self) -> Vec<(Op, usize)> {
        let mut all = Vec::new();
        // SAFETY: see above.
        unsafe {
            let mut at = mlirValueGetFirstUse(self.raw());
            while !mlirOpOperandIsNull(at) {
                all.push((Op(mlirOpOperandGetOwner(at).ptr), mlirOpOperandGetOperandNumber(at) as usize));
                at = mlirOpOperandGetNextUse(at);
            }
        }
        all
    }

    pub(crate) fn replace_all_uses(self, with: Value) {
        // SAFETY: see above; the caller gives a value of the same type that dominates the uses.
        unsafe { mlirValueReplaceAllUsesOfWith(self.raw(), with.raw()) }
    }

    /// The operation that computes it; `None` for a block argument.
    pub(crate) fn definition(self) -> Option<Op> {
        // SAFETY: see above; the kind is checked first.
        unsafe { mlirValueIsAOpResult(self.raw()).then(|| Op(mlirOpResultGetOwner(self.raw()).ptr)) }
    }

    /// The block whose argument it is, and its position there.
    pub(crate) fn argument_of(self) -> Option<(Block, usize)> {
        // SAFETY: see above; the kind is checked first.
        unsafe {
            mlirValueIsABlockArgument(self.raw()).then(|| {
                let block = Block(mlirBlockArgumentGetOwner(self.raw()).ptr);
                (block, mlirBlockArgumentGetArgNumber(self.raw()) as usize)
            })
        }
    }
}

impl Block {
    fn raw(self) -> MlirBlock {
        MlirBlock { ptr: self.0 }
    }

    pub(crate) fn args(self) -> Vec<Value> {
        // SAFETY: see above; the index is below the count.
        unsafe {
            let n = mlirBlockGetNumArguments(self.raw());
            (0..n).map(|i| Value(mlirBlockGetArgument(self.raw(), i).ptr)).collect()
        }
    }

    pub(crate) fn ops(self) -> Vec<Op> {
        let mut all = Vec::new();
        // SAFETY: see above.
        unsafe {
            let mut op = mlirBlockGetFirstOperation(self.raw());
            while let Some(o) = Op::from_raw(op) {
                all.push(o);
                op = mlirOperationGetNextInBlock(op);
            }
        }
        all
    }

    /// Removes an argument that has no uses.
    pub(crate) fn erase_arg(self, i: usize) {
        // SAFETY: see above; the caller took `i` from `args` and saw that nothing uses it.
        unsafe { mlirBlockEraseArgument(self.raw(), i as u32) }
    }

    /// The operation whose region holds the block.
    pub(crate) fn parent(self) -> Option<Op> {
        // SAFETY: see above.
        Op::from_raw(unsafe { mlirBlockGetParentOperation(self.raw()) })
    }
}

fn blocks(region: MlirRegion) -> Vec<Block> {
    let mut all = Vec::new();
    // SAFETY: the region belongs to a live operation.
    unsafe {
        let mut block = mlirRegionGetFirstBlock(region);
        while !block.ptr.is_null() {
            all.push(Block(block.ptr));
            block = mlirBlockGetNextInRegion(block);
        }
    }
    all
}

impl Ty {
    pub(crate) fn raw(self) -> MlirType {
        MlirType { ptr: self.0 }
    }
}

impl std::fmt::Display for Ty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // SAFETY: the type is interned in a live context.
        unsafe { melior::ir::Type::from_raw(self.raw()) }.fmt(f)
    }
}

impl Attr {
    pub(crate) fn raw(self) -> MlirAttribute {
        MlirAttribute { ptr: self.0 }
    }

    pub(crate) fn ty(self) -> Ty {
        // SAFETY: the attribute is interned in a live context.
        Ty(unsafe { mlirAttributeGetType(self.raw()) }.ptr)
    }

    /// The value of an integer attribute of a signless type, sign-extended.
    pub(crate) fn int(self) -> Option<i64> {
        // SAFETY: as above; the kind, the type's kind and the width are checked before the value is read, since MLIR
        // asserts them.
        unsafe {
            if !mlirAttributeIsAInteger(self.raw()) {
                return None;
            }
            let ty = self.ty().raw();
            if !mlirTypeIsAInteger(ty) || mlirIntegerTypeGetWidth(ty) > 64 {
                return None;
            }
            Some(if mlirIntegerTypeIsSignless(ty) {
                mlirIntegerAttrGetValueInt(self.raw())
            } else if mlirIntegerTypeIsSigned(ty) {
                mlirIntegerAttrGetValueSInt(self.raw())
            } else {
                mlirIntegerAttrGetValueUInt(self.raw()) as i64
            })
        }
    }

    pub(crate) fn float(self) -> Option<f64> {
        // SAFETY: as above; the kind is checked first.
        unsafe { mlirAttributeIsAFloat(self.raw()).then(|| mlirFloatAttrGetValueDouble(self.raw())) }
    }

    pub(crate) fn bool(self) -> Option<bool> {
        // SAFETY: as above; the kind is checked first.
        unsafe { mlirAttributeIsABool(self.raw()).then(|| mlirBoolAttrGetValue(self.raw())) }
    }

    pub(crate) fn str<'m>(self) -> Option<&'m str> {
        // SAFETY: as above; the kind is checked first.
        unsafe { mlirAttributeIsAString(self.raw()).then(|| text(mlirStringAttrGetValue(self.raw()))) }
    }

    pub(crate) fn symbol<'m>(self) -> Option<&'m str> {
        // SAFETY: as above; the kind is checked first.
        unsafe {
            mlirAttributeIsAFlatSymbolRef(self.raw()).then(|| text(mlirFlatSymbolRefAttrGetValue(self.raw())))
        }
    }

    pub(crate) fn ints(self) -> Option<Vec<i64>> {
        // SAFETY: as above; the kind is checked first, the index is below the count.
        unsafe {
            mlirAttributeIsADenseI64Array(self.raw()).then(|| {
                let n = mlirDenseArrayGetNumElements(self.raw());
                (0..n).map(|i| mlirDenseI64ArrayGetElement(self.raw(), i)).collect()
            })
        }
    }

    /// Elements of an array attribute.
    pub(crate) fn array(self) -> Option<Vec<Attr>> {
        // SAFETY: as above; the kind is checked first, the index is below the count.
        unsafe {
            mlirAttributeIsAArray(self.raw()).then(|| {
                let n = mlirArrayAttrGetNumElements(self.raw());
                (0..n).map(|i| Attr(mlirArrayAttrGetElement(self.raw(), i).ptr)).collect()
            })
        }
    }

    /// Entries of a dictionary attribute.
    pub(crate) fn entries<'m>(self) -> Option<Vec<(&'m str, Attr)>> {
        // SAFETY: as above; the kind is checked first, the index is below the count.
        unsafe {
            mlirAttributeIsADictionary(self.raw()).then(|| {
                let n = mlirDictionaryAttrGetNumElements(self.raw());
                (0..n)
                    .map(|i| mlirDictionaryAttrGetElement(self.raw(), i))
                    .map(|a| (text(mlirIdentifierStr(a.name)), Attr(a.attribute.ptr)))
                    .collect()
            })
        }
    }

    /// The element that a dense constant repeats: a scalar attribute.
    pub(crate) fn splat(self) -> Option<Attr> {
        // SAFETY: as above; kind and splatness are checked first.
        unsafe {
            (mlirAttributeIsADenseElements(self.raw()) && mlirDenseElementsAttrIsSplat(self.raw()))
                .then(|| Attr(mlirDenseElementsAttrGetSplatValue(self.raw()).ptr))
        }
    }
}

impl std::fmt::Display for Attr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // SAFETY: the attribute is interned in a live context.
        unsafe { melior::ir::Attribute::from_raw(self.raw()) }.fmt(f)
    }
}

/// The operations at the top of a module.
pub(crate) fn top(module: &Module) -> Vec<Op> {
    // SAFETY: the module is live, and so is its only block.
    Block(unsafe { mlirModuleGetBody(module.to_raw()) }.ptr).ops()
}

/// Every operation of these blocks and below, outer before inner, in order.
pub(crate) fn walk(blocks: &[Block], visit: &mut impl FnMut(Op)) {
    for block in blocks {
        for op in block.ops() {
            visit(op);
            walk(&op.blocks(), visit);
        }
    }
}
