//! The path under which the expansion finds the support code: the crate that the author depends on.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

/// `::kcc_dsl::__private`, or the same through the facade or a renamed dependency.
pub fn support() -> TokenStream {
    let found = [("kcc-dsl", "kcc_dsl"), ("kcc", "kcc")].into_iter().find_map(|(package, own)| {
        Some(match crate_name(package).ok()? {
            FoundCrate::Itself => own.to_owned(),
            FoundCrate::Name(name) => name,
        })
    });
    let name = Ident::new(found.as_deref().unwrap_or("kcc_dsl"), Span::call_site());
    quote!(::#name::__private)
}
