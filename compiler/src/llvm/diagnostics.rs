//! Collects what LLVM reports, so that it becomes an [`Error`] instead of text on stderr and an `exit`.

use crate::error::{Error, bug};
use inkwell::llvm_sys::LLVMDiagnosticSeverity;
use inkwell::llvm_sys::core::{
    LLVMContextSetDiagnosticHandler, LLVMDisposeMessage, LLVMGetDiagInfoDescription, LLVMGetDiagInfoSeverity,
};
use inkwell::llvm_sys::prelude::{LLVMContextRef, LLVMDiagnosticInfoRef};
use std::cell::RefCell;
use std::ffi::{CStr, c_void};

/// Errors that LLVM reports on its context. Without a handler LLVM prints them and ends the process.
pub(crate) struct LlvmErrors(Box<RefCell<Vec<String>>>);

impl LlvmErrors {
    /// Installs the handler; the context must not outlive the result's last use.
    pub(crate) fn install(context: LLVMContextRef) -> Self {
        let messages = Box::new(RefCell::new(Vec::new()));
        // SAFETY: the box does not move while the context lives; the caller keeps both in one scope.
        unsafe {
            LLVMContextSetDiagnosticHandler(
                context,
                Some(handle),
                std::ptr::from_ref(&*messages) as *mut c_void,
            );
        }
        LlvmErrors(messages)
    }

    /// The errors so far, as one.
    pub(crate) fn take(&self, stage: &str) -> Result<(), Error> {
        let all = self.0.take();
        if all.is_empty() { Ok(()) } else { Err(bug(format!("{stage}: {}", all.join("; ")))) }
    }
}

extern "C" fn handle(info: LLVMDiagnosticInfoRef, messages: *mut c_void) {
    // SAFETY: `messages` is the box of the `LlvmErrors` that installed this handler, `info` is valid during the call,
    // and the description is ours to dispose of.
    unsafe {
        if matches!(LLVMGetDiagInfoSeverity(info), LLVMDiagnosticSeverity::LLVMDSError) {
            let text = LLVMGetDiagInfoDescription(info);
            let message = CStr::from_ptr(text).to_string_lossy().into_owned();
            (*messages.cast::<RefCell<Vec<String>>>()).borrow_mut().push(message);
            LLVMDisposeMessage(text);
        }
    }
}
