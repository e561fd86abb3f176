//! How a program is compiled, for it to say so. A build script is not told of link-time optimisation and codegen units, and its output may be
//! that of another profile; a macro runs within the compiler, whose arguments they are.

use proc_macro::{Literal, TokenStream, TokenTree};

/// A text with what the compiler of this very crate was told: to be used in the crate of the program, because link-time optimisation is that of the whole.
#[proc_macro]
pub fn how(_: TokenStream) -> TokenStream {
    let arguments: Vec<String> = std::env::args().collect();
    TokenTree::from(Literal::string(&described(&arguments))).into()
}

fn described(arguments: &[String]) -> String {
    if arguments.iter().any(|argument| argument.starts_with('@')) {
        return "flags unknown, as they are in a file".to_owned();
    }
    let optimised = match value_of("opt-level", arguments) {
        Some("0") | None => "not optimised".to_owned(),
        Some(level) => format!("optimised at level {level}"),
    };
    let linked = match value_of("lto", arguments) {
        None | Some("no" | "n" | "off" | "false") => "no link-time optimisation",
        Some("thin") => "thin link-time optimisation",
        Some(_) => "fat link-time optimisation",
    };
    let units = match value_of("codegen-units", arguments) {
        Some("1") => "1 codegen unit".to_owned(),
        Some(count) => format!("{count} codegen units"),
        None => "codegen units as by default".to_owned(),
    };
    format!("{optimised}, {linked}, {units}")
}

/// What `-C NAME=VALUE` or `-CNAME=VALUE` says: the last one counts. Empty if it says no value.
fn value_of<'a>(name: &str, arguments: &'a [String]) -> Option<&'a str> {
    let mut value = None;
    let mut is_option = false;
    for argument in arguments {
        let option = match argument.strip_prefix("-C") {
            Some("") => None,
            Some(joined) => Some(joined),
            None => is_option.then_some(argument.as_str()),
        };
        is_option = argument == "-C";
        let Some(option) = option else { continue };
        let (key, told) = option.split_once('=').unwrap_or((option, ""));
        if key == name {
            value = Some(told);
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_compiler_is_told_is_described() {
        for (line, words) in [
            (
                "rustc -C opt-level=3 -C lto -C codegen-units=1 main.rs",
                "optimised at level 3, fat link-time optimisation, 1 codegen unit",
            ),
            (
                "rustc -Copt-level=s -Clto=thin -Ccodegen-units=16",
                "optimised at level s, thin link-time optimisation, 16 codegen units",
            ),
            (
                "rustc lto=fat -C embed-bitcode=no",
                "not optimised, no link-time optimisation, codegen units as by default",
            ),
            (
                "rustc -C lto=fat -C lto=off -C opt-level=3 -C opt-level=0",
                "not optimised, no link-time optimisation, codegen units as by default",
            ),
            ("rustc @flags", "flags unknown, as they are in a file"),
        ] {
            let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(described(&arguments), words, "{line}");
        }
    }
}
