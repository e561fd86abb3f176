use proc_macro2::TokenStream;
use quote::quote;

use crate::expand::{Attribute, expand};

fn text(attribute: Attribute, options: TokenStream, function: TokenStream) -> String {
    let expanded = expand(attribute, options, function);
    syn::parse2::<syn::File>(expanded.clone()).expect("the expansion is Rust");
    expanded.to_string()
}

#[track_caller]
fn assert_contains(text: &str, tokens: TokenStream) {
    assert!(
        text.contains(&tokens.to_string()),
        "{tokens} is not in\n{text}"
    );
}

fn error_of(attribute: Attribute, options: TokenStream, function: TokenStream) -> String {
    let expanded = text(attribute, options, function);
    let (_, after) = expanded.split_once("compile_error").expect("an error");
    let (_, after) = after.split_once('"').expect("a message");
    after.split_once('"').expect("its end").0.to_string()
}

#[test]
fn main_becomes_a_function_that_builds_a_runtime_and_waits() {
    let expanded = text(
        Attribute::Main,
        quote!(),
        quote!(
            /// Documented.
            async fn main() -> std::io::Result<()> {
                Ok(())
            }
        ),
    );
    assert_contains(&expanded, quote!(fn main() -> std::io::Result<()>));
    assert_contains(&expanded, quote!(::krug::Runtime::builder().build()));
    assert_contains(&expanded, quote!(.block_on(main())));
    assert!(!expanded.contains("test"));
}

#[test]
fn options_become_calls_on_the_builder() {
    let expanded = text(
        Attribute::Main,
        quote!(entries = 2 * 4, seed = 7,),
        quote!(
            async fn main() {}
        ),
    );
    assert_contains(&expanded, quote!(.entries(2 * 4).seed(7).build()));
}

#[test]
fn cores_are_a_number_all_or_an_expression() {
    for (value, argument) in [
        (quote!(4), quote!(4)),
        (quote!("all"), quote!(::krug::runtime::Cores::All)),
        (
            quote!(Cores::Set(PLACES.to_vec())),
            quote!(Cores::Set(PLACES.to_vec())),
        ),
    ] {
        let expanded = text(
            Attribute::Main,
            quote!(cores = #value),
            quote!(
                async fn main() {}
            ),
        );
        assert_contains(&expanded, quote!(.cores(#argument).build()));
    }
    for nonsense in [quote!(0), quote!("some"), quote!(true), quote!(1.5)] {
        let error = error_of(
            Attribute::Test,
            quote!(cores = #nonsense),
            quote!(
                async fn name() {}
            ),
        );
        assert!(
            error.contains("`cores` is a number of at least 1"),
            "{error}"
        );
    }
}

#[test]
fn a_test_keeps_its_attributes_outside() {
    let expanded = text(
        Attribute::Test,
        quote!(start_paused = true),
        quote!(
            #[should_panic(expected = "why")]
            pub async fn name() {}
        ),
    );
    assert_contains(
        &expanded,
        quote!(#[::core::prelude::v1::test] #[should_panic(expected = "why")] pub fn name()),
    );
    assert_contains(&expanded, quote!(.start_paused(true)));
    assert_eq!(expanded.matches("should_panic").count(), 1);
}

#[test]
fn mistakes_get_an_answer_that_says_what_to_do() {
    let main = |function| error_of(Attribute::Main, quote!(), function);
    assert!(
        main(quote!(
            fn main() {}
        ))
        .contains("write `async fn main`")
    );
    assert!(
        main(quote!(
            async fn main(port: u16) {}
        ))
        .contains("without arguments")
    );
    assert!(
        main(quote!(
            async fn main<T>() {}
        ))
        .contains("without generics")
    );
    assert!(
        main(quote!(
            struct Main;
        ))
        .contains("goes on an `async fn`")
    );
    let test = |function| error_of(Attribute::Test, quote!(), function);
    assert!(
        test(quote!(
            #[test]
            async fn name() {}
        ))
        .contains("remove the second")
    );
}

#[test]
fn unknown_options_get_the_list_of_known_ones() {
    let main = |options| {
        error_of(
            Attribute::Main,
            options,
            quote!(
                async fn main() {}
            ),
        )
    };
    assert_eq!(
        main(quote!(threads = 4)),
        "there is no option `threads`; there are `entries`, `seed`, `cores`"
    );
    assert!(main(quote!(start_paused = true)).contains("of `#[krug::test]` only"));
    assert!(main(quote!(entries)).contains("write `entries = …`"));
    assert!(main(quote!(entries = 1, entries = 2)).contains("given twice"));
    let test = |options| {
        error_of(
            Attribute::Test,
            options,
            quote!(
                async fn name() {}
            ),
        )
    };
    assert!(test(quote!(x = 1)).ends_with("`entries`, `seed`, `cores`, `start_paused`"));
}

#[test]
fn an_erroneous_main_does_not_also_miss_its_main() {
    let expanded = text(
        Attribute::Main,
        quote!(),
        quote!(
            fn main() {}
        ),
    );
    assert_contains(
        &expanded,
        quote!(
            fn main() {}
        ),
    );
}

fn sim_error_of(options: TokenStream, function: TokenStream) -> String {
    let expanded = crate::sim_test::expand(options, function).to_string();
    let (_, after) = expanded.split_once("compile_error").expect("an error");
    let (_, after) = after.split_once('"').expect("a message");
    after.split_once('"').expect("its end").0.to_string()
}

#[test]
fn a_simulated_test_becomes_a_test_that_is_checked_under_its_seeds() {
    let function = quote!(
        #[should_panic]
        fn survives(sim: &mut Sim) -> Result<(), Failure> {
            sim.run()
        }
    );
    let expanded = crate::sim_test::expand(quote!(seeds = 7), function.clone()).to_string();
    assert_contains(
        &expanded,
        quote!(#[::core::prelude::v1::test] #[should_panic] fn survives()),
    );
    assert_contains(
        &expanded,
        quote!(
            fn survives(sim: &mut Sim) -> Result<(), Failure> {
                sim.run()
            }
        ),
    );
    assert_contains(&expanded, quote!(::krug::sim::check(7, survives)));
    let usual = crate::sim_test::expand(quote!(), function).to_string();
    assert_contains(&usual, quote!(::krug::sim::check(100u64, survives)));
}

#[test]
fn a_simulated_test_with_a_mistake_is_told_what_to_write() {
    let right = quote!(
        fn it(sim: &mut Sim) {}
    );
    for (options, function, answer) in [
        (
            quote!(),
            quote!(
                async fn it(sim: &mut Sim) {}
            ),
            "needs a function that is not `async`",
        ),
        (
            quote!(),
            quote!(
                fn it() {}
            ),
            "write `fn it(sim: &mut krug::sim::Sim)`",
        ),
        (
            quote!(),
            quote!(
                fn it(sim: &mut Sim, seed: u64) {}
            ),
            "write `fn it(sim: &mut krug::sim::Sim)`",
        ),
        (
            quote!(),
            quote!(
                fn it(&mut self) {}
            ),
            "write `fn it(sim: &mut krug::sim::Sim)`",
        ),
        (
            quote!(),
            quote!(
                fn it<T>(sim: &mut T) {}
            ),
            "without generics",
        ),
        (
            quote!(),
            quote!(
                struct It;
            ),
            "goes on a `fn`",
        ),
        (
            quote!(),
            quote!(
                #[krug::test]
                fn it(sim: &mut Sim) {}
            ),
            "remove the second",
        ),
        (
            quote!(seed = 3),
            right.clone(),
            "there is no option `seed`; there are `seeds`",
        ),
        (quote!(seeds), right, "write `seeds = …`"),
    ] {
        let error = sim_error_of(options, function);
        assert!(error.contains(answer), "{error}: it should say {answer}");
    }
}
