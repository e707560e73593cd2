//! A vendor's library: opened at run time, every function that its driver calls looked up at once, so that none is missing later.

use libloading::Library;
use std::ffi::{OsStr, OsString};

/// Declares `Api`: functions of a library by their C types, and the library that keeps them in place. What stands in
/// braces is looked up by a function of its own.
macro_rules! functions {
    (
        { $($field:ident: $type:ty = $find:path;)* }
        $($name:ident: $symbol:literal, ($($arg:ty),*) -> $result:ty;)*
    ) => {
        /// The functions, and the library that they live in.
        pub(super) struct Api {
            $(pub(super) $field: $type,)*
            $(pub(super) $name: unsafe extern "C" fn($($arg),*) -> $result,)*
            /// Keeps the functions in place.
            _library: libloading::Library,
        }

        impl Api {
            fn find(library: libloading::Library) -> std::result::Result<Api, &'static str> {
                $(
                    // SAFETY: the type is that of the vendor's header.
                    let $name = *unsafe {
                        library.get::<unsafe extern "C" fn($($arg),*) -> $result>($symbol.as_bytes())
                    }
                    .map_err(|_| $symbol)?;
                )*
                $(let $field = $find(&library)?;)*
                Ok(Api { $($field,)* $($name,)* _library: library })
            }
        }
    };
}
pub(crate) use functions;

/// Names to try: the one in a variable, or the usual ones.
pub(crate) fn names(variable: &str, usual: &[&str]) -> Vec<OsString> {
    match std::env::var_os(variable).filter(|name| !name.is_empty()) {
        Some(name) => vec![name],
        None => usual.iter().map(OsString::from).collect(),
    }
}

/// The first library that opens; else what was looked for.
pub(crate) fn first(names: &[impl AsRef<OsStr>]) -> Result<Library, String> {
    let found = names.iter().find_map(|name| {
        // SAFETY: a vendor's library sets up its own state when it is loaded, as for any program that uses it.
        unsafe { Library::new(name.as_ref()) }.ok()
    });
    found.ok_or_else(|| {
        let names: Vec<_> = names.iter().map(|name| name.as_ref().to_string_lossy()).collect();
        names.join(", ")
    })
}
