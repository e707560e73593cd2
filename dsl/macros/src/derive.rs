//! `#[derive(Carried)]`: structs of tiles as variables of run-time loops and branches.

use crate::path::support;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Index, Member, Type, parse_quote_spanned};

/// The implementation: the values of all fields, in order.
pub fn carried(mut input: DeriveInput) -> TokenStream {
    let Data::Struct(data) = &input.data else {
        let message =
            "`Carried` can be derived for structs only: which variant a value is cannot change at run time";
        return Error::new(input.ident.span(), message).to_compile_error();
    };
    let support = support();
    let fields = || {
        data.fields.iter().enumerate().map(|(i, f)| {
            let member = f.ident.clone().map_or(Member::Unnamed(Index::from(i)), Member::Named);
            (member, f.ty.span())
        })
    };
    let part = |name: &str| {
        let name = proc_macro2::Ident::new(name, proc_macro2::Span::call_site());
        let calls = fields()
            .map(|(m, span)| quote_spanned!(span=> #support::carried::Carried::#name(&self.#m, _out);));
        quote!(#(#calls)*)
    };
    let (ids, types) = (part("ids"), part("types"));
    let rebuilt = fields()
        .map(|(m, span)| quote_spanned!(span=> #m: #support::carried::Carried::rebuild(&self.#m, _ids),));
    let rebuilt = quote!(#(#rebuilt)*);
    // A field of a type parameter's type needs the bound; what other types lack is said at their fields.
    let parameters: Vec<_> = input.generics.type_params().map(|p| p.ident.clone()).collect();
    let is_parameter =
        |ty: &Type| matches!(ty, Type::Path(p) if p.path.get_ident().is_some_and(|i| parameters.contains(i)));
    let bounds: Vec<syn::WherePredicate> = (data.fields.iter())
        .filter(|f| is_parameter(&f.ty))
        .map(|f| (&f.ty, f.ty.span()))
        .map(|(ty, span)| parse_quote_spanned!(span=> #ty: #support::carried::Carried))
        .collect();
    input.generics.make_where_clause().predicates.extend(bounds);
    let name = &input.ident;
    let (parameters, arguments, conditions) = input.generics.split_for_impl();
    quote! {
        impl #parameters #support::carried::Carried for #name #arguments #conditions {
            fn ids(&self, _out: &mut ::std::vec::Vec<#support::ValueId>) {
                #ids
            }
            fn types(&self, _out: &mut ::std::vec::Vec<#support::Type>) {
                #types
            }
            fn rebuild(&self, _ids: &mut dyn ::std::iter::Iterator<Item = #support::ValueId>) -> Self {
                Self { #rebuilt }
            }
        }
    }
}
