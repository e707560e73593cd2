//! Creates operations of the tile IR in a module, for passes.

use super::handle::{Op, Ty, Value};
use crate::dialect::{elementwise, types};
use crate::error::{Error, bug};
use crate::import::attributes;
use kcc_dsl::ir::{OpKind, Type};
use melior::Context;
use mlir_sys::*;

fn string_ref(s: &str) -> MlirStringRef {
    MlirStringRef { data: s.as_ptr().cast(), length: s.len() }
}

/// The MLIR type of a type of the tile IR.
pub(crate) fn ty(context: &Context, t: &Type) -> Result<MlirType, Error> {
    let text = types::text(t);
    // SAFETY: the text is only read during the call.
    let raw = unsafe { mlirTypeParseGet(context.to_raw(), string_ref(&text)) };
    if raw.ptr.is_null() { Err(bug(format!("`{text}` is no MLIR type"))) } else { Ok(raw) }
}

/// Puts an operation with one result and without regions before `before`, at its place in the source.
pub(crate) fn before(
    context: &Context,
    before: Op,
    kind: &OpKind,
    operands: &[Value],
    from: Option<&Type>,
    result: &Type,
) -> Result<Value, Error> {
    let elem = from.map(Type::elem);
    let name = elementwise::spell(kind, elem.unwrap_or(result.elem()), result.elem())
        .map_or_else(|| format!("kt.{}", kind.name()), std::borrow::Cow::into_owned);
    let attrs = format!("{{{}}}", attributes::of(kind, elem, Some(result))?.join(", "));
    let result = ty(context, result)?;
    let operands: Vec<MlirValue> = operands.iter().map(|v| v.raw()).collect();
    // SAFETY: name, operands, result and attributes outlive the calls that copy them; the dictionary is one, by its
    // braces, and its entries live in the context; the created operation is handed to the block of `before`.
    unsafe {
        let dictionary = mlirAttributeParseGet(context.to_raw(), string_ref(&attrs));
        if dictionary.ptr.is_null() || !mlirAttributeIsADictionary(dictionary) {
            return Err(bug(format!("`{attrs}` are no attributes")));
        }
        let entries: Vec<MlirNamedAttribute> = (0..mlirDictionaryAttrGetNumElements(dictionary))
            .map(|i| mlirDictionaryAttrGetElement(dictionary, i))
            .collect();
        let mut state = mlirOperationStateGet(string_ref(&name), before.location());
        mlirOperationStateAddOperands(&mut state, operands.len() as isize, operands.as_ptr());
        mlirOperationStateAddResults(&mut state, 1, &result);
        mlirOperationStateAddAttributes(&mut state, entries.len() as isize, entries.as_ptr());
        let op = Op::created(mlirOperationCreate(&mut state))
            .ok_or_else(|| bug(format!("`{name}` was not made")))?;
        op.insert_before(before);
        op.result().ok_or_else(|| bug(format!("`{name}` has no result")))
    }
}

/// Puts an operation like `model`, with its place and attributes and as many empty regions, before it.
pub(crate) fn like(model: Op, operands: &[Value], results: &[Ty]) -> Result<Op, Error> {
    let operands: Vec<MlirValue> = operands.iter().map(|v| v.raw()).collect();
    let results: Vec<MlirType> = results.iter().map(|t| t.raw()).collect();
    // SAFETY: name, operands, results and attributes outlive the calls that copy them; regions are new and handed
    // over; the created operation is handed to the block of `model`.
    unsafe {
        let n = mlirOperationGetNumAttributes(model.raw());
        let attrs: Vec<MlirNamedAttribute> =
            (0..n).map(|i| mlirOperationGetAttribute(model.raw(), i)).collect();
        let regions: Vec<MlirRegion> = model.regions().iter().map(|_| mlirRegionCreate()).collect();
        let mut state = mlirOperationStateGet(string_ref(model.name()), model.location());
        mlirOperationStateAddOperands(&mut state, operands.len() as isize, operands.as_ptr());
        mlirOperationStateAddResults(&mut state, results.len() as isize, results.as_ptr());
        mlirOperationStateAddAttributes(&mut state, attrs.len() as isize, attrs.as_ptr());
        mlirOperationStateAddOwnedRegions(&mut state, regions.len() as isize, regions.as_ptr());
        let op = Op::created(mlirOperationCreate(&mut state));
        let op = op.ok_or_else(|| bug(format!("`{}` was not made", model.name())))?;
        op.insert_before(model);
        Ok(op)
    }
}

/// The type of the tile IR that a value has.
pub(crate) fn type_of(ty: Ty) -> Option<Type> {
    types::parse(&ty.to_string()).ok()
}
