//! From a function of a simulation to a test that runs it under many seeds.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Error, FnArg, ItemFn, Result};

use crate::expand::{refuse_generics, refuse_second_test};
use crate::options::Options;

const NAME: &str = "#[krug::sim_test]";

/// How many seeds a test runs under that does not say it.
const SEEDS: u64 = 100;

/// What the attribute is replaced with: a test that takes no argument, or an error.
pub(crate) fn expand(options: TokenStream, function: TokenStream) -> TokenStream {
    let function: ItemFn = match syn::parse2(function.clone()) {
        Ok(function) => function,
        Err(_) => {
            let message = format!("{NAME} goes on a `fn` that takes a `&mut krug::sim::Sim`");
            let error = Error::new(function.span(), message).into_compile_error();
            return quote!(#error #function);
        }
    };
    check(&function)
        .and_then(|()| syn::parse2::<Options>(options))
        .and_then(|options| options.seeds())
        .map(|seeds| {
            let seeds = seeds.map_or_else(|| quote!(#SEEDS), |seeds| quote!(#seeds));
            test(&seeds, &function)
        })
        .unwrap_or_else(Error::into_compile_error)
}

fn check(function: &ItemFn) -> Result<()> {
    let (name, signature) = (&function.sig.ident, &function.sig);
    if let Some(asyncness) = signature.asyncness {
        let message = format!(
            "{NAME} needs a function that is not `async`: it adds hosts, whose futures are, and calls `sim.run()`"
        );
        return Err(Error::new(asyncness.span(), message));
    }
    refuse_generics(NAME, signature)?;
    let is_one_value =
        signature.inputs.len() == 1 && matches!(signature.inputs.first(), Some(FnArg::Typed(_)));
    if !is_one_value {
        let message = format!(
            "{NAME} gives the function its world: write `fn {name}(sim: &mut krug::sim::Sim)`"
        );
        let place = match signature.inputs.is_empty() {
            true => name.span(),
            false => signature.inputs.span(),
        };
        return Err(Error::new(place, message));
    }
    refuse_second_test(NAME, &function.attrs)
}

fn test(seeds: &TokenStream, function: &ItemFn) -> TokenStream {
    let (attributes, visibility) = (&function.attrs, &function.vis);
    let name = &function.sig.ident;
    // The function itself goes inside as it was written: the compiler's messages about it are those of any function.
    let mut inside = function.clone();
    inside.attrs.clear();
    inside.vis = syn::Visibility::Inherited;
    quote! {
        #[::core::prelude::v1::test]
        #(#attributes)*
        #visibility fn #name() {
            #inside
            ::krug::sim::check(#seeds, #name);
        }
    }
}
