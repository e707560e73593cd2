//! The items that `#[kernel]` and `#[function]` give.

use crate::path::support;
use crate::rewrite::Rewrite;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit_mut::VisitMut;
use syn::{
    AngleBracketedGenericArguments, Error, FnArg, GenericParam, Ident, ItemFn, Lifetime, Pat, ReturnType,
    Token, Type, parenthesized,
};

/// What stands in the parentheses of `#[kernel(..)]`.
#[derive(Default)]
pub struct Options {
    instances: Vec<AngleBracketedGenericArguments>,
    candidates: Vec<AngleBracketedGenericArguments>,
}

impl Parse for Options {
    fn parse(input: ParseStream) -> syn::Result<Self> {
        let mut options = Options::default();
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            let known = match name.to_string().as_str() {
                "instances" => &mut options.instances,
                "candidates" => &mut options.candidates,
                _ => {
                    let message = format!(
                        "`#[kernel]` has no option `{name}`; it has `instances(<f32, 64>, ..)` and `candidates(<f32, 128>, ..)`"
                    );
                    return Err(Error::new(name.span(), message));
                }
            };
            let list;
            parenthesized!(list in input);
            let list = Punctuated::<AngleBracketedGenericArguments, Token![,]>::parse_terminated(&list)?;
            known.extend(list);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

/// The function with its body rewritten.
fn rewritten(f: &ItemFn, support: &TokenStream) -> ItemFn {
    let mut f = f.clone();
    Rewrite::new(support.clone()).visit_block_mut(&mut f.block);
    f.attrs.push(syn::parse_quote!(
        #[allow(
            unused_assignments,
            unused_parens,
            unused_braces,
            unreachable_code,
            clippy::too_many_arguments,
            clippy::blocks_in_conditions,
            clippy::let_unit_value,
            clippy::unit_arg,
            clippy::unused_unit,
            clippy::double_parens,
            clippy::redundant_closure_call,
            clippy::needless_continue,
            clippy::toplevel_ref_arg
        )]
    ));
    f
}

fn unsupported(f: &ItemFn) -> Option<Error> {
    if let Some(t) = &f.sig.asyncness {
        return Some(Error::new(t.span, "a staged function cannot be `async`: it runs once, while tracing"));
    }
    if let Some(t) = &f.sig.constness {
        return Some(Error::new(t.span, "a staged function cannot be `const`: it records operations"));
    }
    None
}

/// `#[function]`
pub fn function(f: ItemFn) -> TokenStream {
    if let Some(e) = unsupported(&f) {
        return e.to_compile_error();
    }
    let f = rewritten(&f, &support());
    quote!(#f)
}

struct Param {
    name: Ident,
    ty: Type,
    by: By,
}

enum By {
    Ref,
    Mut,
    Value,
}

fn params(f: &ItemFn) -> Result<Vec<Param>, Error> {
    let mut params = Vec::new();
    for input in &f.sig.inputs {
        let typed = match input {
            FnArg::Receiver(r) => {
                return Err(Error::new(r.span(), "a kernel is a free function: it takes no `self`"));
            }
            FnArg::Typed(t) => t,
        };
        let Pat::Ident(name) = typed.pat.as_ref() else {
            let message = "a kernel's parameter is a plain name: take it apart in the body";
            return Err(Error::new(typed.pat.span(), message));
        };
        let (ty, by) = match typed.ty.as_ref() {
            Type::Reference(r) => {
                let mut r = r.clone();
                r.lifetime = Some(Lifetime::new("'static", r.and_token.span));
                let by = if r.mutability.is_some() { By::Mut } else { By::Ref };
                (Type::Reference(r), by)
            }
            Type::ImplTrait(t) => {
                let message = "a kernel's parameter needs a named type: `&View<T, R>`, `&mut View<T, R>` or `Scalar<T>`";
                return Err(Error::new(t.span(), message));
            }
            ty => (ty.clone(), By::Value),
        };
        params.push(Param { name: name.ident.clone(), ty, by });
    }
    Ok(params)
}

fn check(f: &ItemFn) -> Result<(), Error> {
    if let Some(e) = unsupported(f) {
        return Err(e);
    }
    if let ReturnType::Type(_, ty) = &f.sig.output
        && !matches!(ty.as_ref(), Type::Tuple(t) if t.elems.is_empty())
    {
        let message = "a kernel returns nothing: write the result through a `&mut View` parameter; a function that \
                       returns tiles is `#[function]`";
        return Err(Error::new(ty.span(), message));
    }
    if let Some(l) = f.sig.generics.lifetimes().next() {
        return Err(Error::new(l.span(), "a kernel has no lifetime parameters: leave the lifetimes out"));
    }
    Ok(())
}

/// `#[kernel]`
pub fn kernel(options: Options, f: ItemFn) -> TokenStream {
    let support = support();
    let params = match check(&f).and_then(|()| params(&f)) {
        Ok(params) => params,
        Err(e) => {
            let (error, f) = (e.to_compile_error(), rewritten(&f, &support));
            return quote!(#error #f);
        }
    };
    let function = rewritten(&f, &support);
    let (name, vis, generics) = (&f.sig.ident, &f.vis, &f.sig.generics);
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    let turbofish = ty_generics.as_turbofish();
    let cfgs: Vec<_> = f.attrs.iter().filter(|a| a.path().is_ident("cfg")).collect();

    let markers = params.iter().map(|p| {
        let ty = &p.ty;
        quote_spanned!(ty.span()=> <#ty as #support::params::KernelParam>::Marker)
    });
    let descriptions = params.iter().map(|p| {
        let (ty, text) = (&p.ty, p.name.to_string());
        let kind = quote_spanned!(ty.span()=> <#ty as #support::params::KernelParam>::KIND);
        quote!(#support::Param { name: ::std::string::String::from(#text), kind: #kind })
    });
    // Hygienic: a parameter may have the kernel's own name, which must go on meaning the function.
    let local =
        |i: usize, p: &Param| Ident::new(&format!("slot_{i}"), Span::mixed_site().located_at(p.name.span()));
    let bindings = params.iter().enumerate().map(|(i, p)| {
        let (ty, name, i) = (&p.ty, local(i, p), i as u32);
        let mutable = matches!(p.by, By::Mut).then(|| quote!(mut));
        let slot = quote_spanned!(ty.span()=> <#ty as #support::params::KernelParam>::slot(#i));
        quote!(let #mutable #name = #slot;)
    });
    let arguments = params.iter().enumerate().map(|(i, p)| {
        let name = local(i, p);
        match p.by {
            By::Ref => quote!(&#name),
            By::Mut => quote!(&mut #name),
            By::Value => quote!(#name),
        }
    });
    let labels = generics.params.iter().filter_map(|g| match g {
        GenericParam::Type(t) => {
            let t = &t.ident;
            Some(quote!(#support::type_label::<#t>()))
        }
        GenericParam::Const(c) => {
            let c = &c.ident;
            Some(quote!(::std::string::ToString::to_string(&#c)))
        }
        GenericParam::Lifetime(_) => None,
    });
    let registrations = instances(&options, &f, &support);
    let text = name.to_string();
    let doc =
        format!("The kernel [`{text}`](fn@{text}) as a value: `{text}::kernel()`, to launch or to trace.");
    quote! {
        #function

        #(#cfgs)*
        #[doc = #doc]
        #[allow(non_camel_case_types)]
        #vis enum #name {}

        #(#cfgs)*
        #[allow(clippy::all)]
        impl #name {
            /// The kernel with these generic arguments.
            pub fn kernel #impl_generics () -> #support::KernelDef<(#(#markers,)*)> #where_clause {
                fn body #impl_generics () #where_clause {
                    #(#bindings)*
                    #name #turbofish (#(#arguments),*)
                }
                let generics: ::std::vec::Vec<::std::string::String> = ::std::vec![#(#labels),*];
                #support::KernelDef::new(#support::KernelFn {
                    name: #text,
                    generics: generics.join(", "),
                    module_path: ::core::module_path!(),
                    loc: #support::Loc {
                        file: ::std::string::String::from(::core::file!()),
                        line: ::core::line!(),
                        column: ::core::column!(),
                    },
                    params: ::std::vec![#(#descriptions),*],
                    body: body #turbofish,
                })
            }
        }

        #(#cfgs)*
        const _: () = { #(#registrations)* };
    }
}

/// Registers the listed instances, or the only one of a kernel without generic parameters.
fn instances(options: &Options, f: &ItemFn, support: &TokenStream) -> Vec<TokenStream> {
    let (name, text) = (&f.sig.ident, f.sig.ident.to_string());
    let register = |call: TokenStream, candidate: bool| {
        quote! {
            #support::inventory::submit! {
                #support::Registered {
                    name: #text,
                    module_path: ::core::module_path!(),
                    candidate: #candidate,
                    def: || #call.into_erased(),
                }
            }
        }
    };
    if f.sig.generics.params.is_empty() {
        return vec![register(quote!(#name::kernel()), false)];
    }
    let call = |args: &AngleBracketedGenericArguments| {
        let args = &args.args;
        quote_spanned!(args.span()=> #name::kernel::<#args>())
    };
    let listed = options.instances.iter().map(|args| register(call(args), false));
    listed.chain(options.candidates.iter().map(|args| register(call(args), true))).collect()
}
