//! The options in the attributes' parentheses.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, Ident, Lit, Result, Token};

/// Every option is a method of the runtime's builder with one argument, of the same name.
/// To add one, add its name.
const OF_BOTH: &[&str] = &["entries", "seed", "cores"];
const OF_TESTS: &[&str] = &["start_paused"];
/// Of tests in a simulation: an argument of the function that runs them.
const OF_SIM_TESTS: &[&str] = &["seeds"];

/// Options as they were written: `name = value, …`.
pub(crate) struct Options(Vec<(Ident, Expr)>);

struct NameAndValue(Ident, Expr);

impl Parse for NameAndValue {
    fn parse(input: ParseStream<'_>) -> Result<NameAndValue> {
        let name: Ident = input.parse()?;
        if !input.peek(Token![=]) {
            return Err(Error::new(name.span(), format!("write `{name} = …`")));
        }
        input.parse::<Token![=]>()?;
        Ok(NameAndValue(name, input.parse()?))
    }
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Options> {
        let listed = Punctuated::<NameAndValue, Token![,]>::parse_terminated(input)?;
        let mut options: Vec<(Ident, Expr)> = Vec::new();
        for NameAndValue(name, value) in listed {
            if options.iter().any(|(earlier, _)| *earlier == name) {
                return Err(Error::new(name.span(), format!("`{name}` is given twice")));
            }
            options.push((name, value));
        }
        Ok(Options(options))
    }
}

impl Options {
    /// The calls on the builder; an error names an option that does not exist.
    pub(crate) fn calls(&self, is_test: bool) -> Result<TokenStream> {
        let mut known = OF_BOTH.to_vec();
        if is_test {
            known.extend(OF_TESTS);
        }
        let mut calls = TokenStream::new();
        for (name, value) in &self.0 {
            if !known.iter().any(|option| name == option) {
                let only_for_tests = !is_test && OF_TESTS.iter().any(|option| name == option);
                return Err(unknown(name, only_for_tests, &known));
            }
            let value = match name == "cores" {
                true => cores(value)?,
                false => value.to_token_stream(),
            };
            quote!(.#name(#value)).to_tokens(&mut calls);
        }
        Ok(calls)
    }

    /// How many seeds a test in a simulation runs under, if it says so.
    pub(crate) fn seeds(self) -> Result<Option<Expr>> {
        let mut seeds = None;
        for (name, value) in self.0 {
            if !OF_SIM_TESTS.iter().any(|option| name == option) {
                return Err(unknown(&name, false, OF_SIM_TESTS));
            }
            seeds = Some(value);
        }
        Ok(seeds)
    }
}

/// A number, `"all"`, or anything else of which the builder makes a number of cores.
fn cores(value: &Expr) -> Result<TokenStream> {
    let Expr::Lit(literal) = value else {
        return Ok(value.to_token_stream());
    };
    let is_good = match &literal.lit {
        Lit::Str(text) if text.value() == "all" => {
            return Ok(quote!(::krug::runtime::Cores::All));
        }
        Lit::Int(number) => number.base10_parse::<usize>().is_ok_and(|count| count > 0),
        _ => false,
    };
    if !is_good {
        let message = "`cores` is a number of at least 1, or `all` in quotes, or an expression of the type `usize` or \
                       `krug::runtime::Cores`";
        return Err(Error::new(literal.span(), message));
    }
    Ok(value.to_token_stream())
}

fn unknown(name: &Ident, only_for_tests: bool, known: &[&str]) -> Error {
    let message = if only_for_tests {
        format!("`{name}` is an option of `#[krug::test]` only")
    } else {
        let known = known.join("`, `");
        format!("there is no option `{name}`; there are `{known}`")
    };
    Error::new(name.span(), message)
}
