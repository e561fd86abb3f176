//! The attributes `#[krug::main]` and `#[krug::test]`.
//!
//! Use them through `krug`, which re-exports them: what they expand to names `::krug`.

use proc_macro::TokenStream;

mod expand;
mod options;

#[cfg(test)]
mod tests;

use expand::Attribute;

/// Makes an `async fn main` the start of the program: a fresh runtime runs it to its end.
///
/// ```text
/// #[krug::main]
/// async fn main() -> std::io::Result<()> {
///     …
/// }
/// ```
///
/// What it returns is what `main` returns, so `Result` works as usual. The options are
/// those of the runtime's builder:
///
/// | option | meaning |
/// |---|---|
/// | `entries = 64` | entries of the submission queue |
/// | `seed = 7` | seed of the generator behind fair choices, to repeat a run |
///
/// # Panics
///
/// The program panics, saying why, if the runtime cannot be built.
#[proc_macro_attribute]
pub fn main(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::expand(Attribute::Main, options.into(), function.into()).into()
}

/// Makes an `async fn` a test: each one runs on a fresh runtime.
///
/// ```text
/// #[krug::test]
/// async fn it_answers() -> std::io::Result<()> {
///     …
/// }
///
/// #[krug::test(start_paused = true)]
/// async fn an_hour_passes_at_once() {
///     krug::time::sleep(Duration::from_secs(3600)).await;
/// }
/// ```
///
/// Return types, `#[should_panic]` and `#[ignore]` work as with `#[test]`. The options
/// are those of `#[krug::main]` and
///
/// | option | meaning |
/// |---|---|
/// | `start_paused = true` | the clock stands still, and jumps to the next timer whenever nothing else is left to do |
#[proc_macro_attribute]
pub fn test(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::expand(Attribute::Test, options.into(), function.into()).into()
}
