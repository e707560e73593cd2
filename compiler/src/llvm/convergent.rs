//! Marks calls of inline assembly as convergent: MLIR has no word for it, and without it LLVM may copy a barrier into both
//! arms of a branch.

use inkwell::llvm_sys::LLVMAttributeFunctionIndex;
use inkwell::llvm_sys::core::{
    LLVMAddCallSiteAttribute, LLVMCreateEnumAttribute, LLVMGetCalledValue, LLVMGetEnumAttributeKindForName,
    LLVMGetFirstBasicBlock, LLVMGetFirstFunction, LLVMGetFirstInstruction, LLVMGetModuleContext,
    LLVMGetNextBasicBlock, LLVMGetNextFunction, LLVMGetNextInstruction, LLVMIsACallInst, LLVMIsAInlineAsm,
};
use inkwell::module::Module;

/// Marks every call of inline assembly in a module.
pub(crate) fn mark_assembly(module: &Module) {
    const NAME: &str = "convergent";
    let raw = module.as_mut_ptr();
    // SAFETY: the module is valid and not changed by anyone else meanwhile; the lists of its functions, blocks and
    // instructions are walked by LLVM's own iteration and end in null; adding an attribute moves nothing.
    unsafe {
        let context = LLVMGetModuleContext(raw);
        let kind = LLVMGetEnumAttributeKindForName(NAME.as_ptr().cast(), NAME.len());
        let attribute = LLVMCreateEnumAttribute(context, kind, 0);
        let mut function = LLVMGetFirstFunction(raw);
        while !function.is_null() {
            let mut block = LLVMGetFirstBasicBlock(function);
            while !block.is_null() {
                let mut instruction = LLVMGetFirstInstruction(block);
                while !instruction.is_null() {
                    if !LLVMIsACallInst(instruction).is_null()
                        && !LLVMIsAInlineAsm(LLVMGetCalledValue(instruction)).is_null()
                    {
                        LLVMAddCallSiteAttribute(instruction, LLVMAttributeFunctionIndex, attribute);
                    }
                    instruction = LLVMGetNextInstruction(instruction);
                }
                block = LLVMGetNextBasicBlock(block);
            }
            function = LLVMGetNextFunction(function);
        }
    }
}
