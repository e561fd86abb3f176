//! From an `async fn` to one that builds a runtime and waits.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Error, ItemFn, Result, Signature};

use crate::options::Options;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attribute {
    Main,
    Test,
}

impl Attribute {
    fn name(self) -> &'static str {
        match self {
            Attribute::Main => "#[krug::main]",
            Attribute::Test => "#[krug::test]",
        }
    }
}

/// What the attribute is replaced with: the function made synchronous, or an error.
pub(crate) fn expand(
    attribute: Attribute,
    options: TokenStream,
    function: TokenStream,
) -> TokenStream {
    let function: ItemFn = match syn::parse2(function.clone()) {
        Ok(function) => function,
        Err(_) => {
            let message = format!("{} goes on an `async fn`", attribute.name());
            let error = Error::new(function.span(), message).into_compile_error();
            return quote!(#error #function);
        }
    };
    check(attribute, &function)
        .and_then(|()| syn::parse2::<Options>(options))
        .and_then(|options| options.calls(attribute == Attribute::Test))
        .map(|calls| synchronous(attribute, &calls, &function))
        .unwrap_or_else(|error| {
            // The function stays in name, so that a missing `main` is not reported, too.
            let (error, name) = (error.into_compile_error(), &function.sig.ident);
            quote!(#error fn #name() {})
        })
}

fn check(attribute: Attribute, function: &ItemFn) -> Result<()> {
    let (name, signature) = (attribute.name(), &function.sig);
    if signature.asyncness.is_none() {
        let message = format!(
            "{name} needs an `async` function: write `async fn {}`",
            signature.ident
        );
        return Err(Error::new(signature.fn_token.span, message));
    }
    refuse_generics(name, signature)?;
    if !signature.inputs.is_empty() {
        let message = format!("{name} needs a function without arguments: nobody could pass them");
        return Err(Error::new(signature.inputs.span(), message));
    }
    refuse_second_test(name, &function.attrs)
}

pub(crate) fn refuse_generics(name: &str, signature: &Signature) -> Result<()> {
    let generics = &signature.generics;
    if generics.params.is_empty() && generics.where_clause.is_none() {
        return Ok(());
    }
    let message = format!("{name} needs a function without generics: nobody could choose them");
    Err(Error::new(generics.span(), message))
}

pub(crate) fn refuse_second_test(name: &str, attributes: &[syn::Attribute]) -> Result<()> {
    let is_test = |attribute: &&syn::Attribute| {
        let last = attribute.path().segments.last();
        last.is_some_and(|segment| segment.ident == "test" || segment.ident == "sim_test")
    };
    match attributes.iter().find(is_test) {
        Some(second) => {
            let message = format!("{name} is enough: remove the second test attribute");
            Err(Error::new(second.span(), message))
        }
        None => Ok(()),
    }
}

fn synchronous(attribute: Attribute, calls: &TokenStream, function: &ItemFn) -> TokenStream {
    let (attributes, visibility) = (&function.attrs, &function.vis);
    let (name, output) = (&function.sig.ident, &function.sig.output);
    let test = match attribute {
        Attribute::Main => None,
        Attribute::Test => Some(quote!(#[::core::prelude::v1::test])),
    };
    // The function itself goes inside as it was written: return types, `?` and the
    // compiler's messages are those of an ordinary `async fn`.
    let mut inside = function.clone();
    inside.attrs.clear();
    inside.vis = syn::Visibility::Inherited;
    quote! {
        #test
        #(#attributes)*
        #visibility fn #name() #output {
            #inside
            ::krug::Runtime::builder()
                #calls
                .build()
                .unwrap_or_else(|error| ::core::panic!("the runtime cannot start: {error}"))
                .block_on(#name())
        }
    }
}
