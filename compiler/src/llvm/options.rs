//! Options that LLVM takes on its command line alone, and for the whole process.

use std::collections::BTreeSet;
use std::ffi::{CString, c_char};
use std::sync::{Mutex, PoisonError};

/// Sets each option once: LLVM refuses to be told twice.
pub(crate) fn set(options: &[&'static str]) {
    static DONE: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    let new =
        options.iter().filter(|option| done.insert(option)).filter_map(|option| CString::new(*option).ok());
    let words: Vec<CString> = std::iter::once(c"kcc".to_owned()).chain(new).collect();
    if words.len() == 1 {
        return;
    }
    let pointers: Vec<*const c_char> = words.iter().map(|word| word.as_ptr()).collect();
    // SAFETY: the words and the list outlive the call, which copies what it keeps. A target's options concern its own code alone, and are set
    // before the first of it is generated.
    unsafe {
        inkwell::llvm_sys::support::LLVMParseCommandLineOptions(
            pointers.len() as i32,
            pointers.as_ptr(),
            c"".as_ptr(),
        );
    }
}
