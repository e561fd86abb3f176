//! The attributes `#[krug::main]`, `#[krug::test]` and `#[krug::sim_test]`.
//!
//! Use them through `krug`, which re-exports them: what they expand to names `::krug`.

use proc_macro::TokenStream;

mod expand;
mod options;
mod sim_test;

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
/// | `cores = 4`, `cores = "all"` | how many cores: a number, or as many as there are processors; the function runs on core 0 |
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

/// Makes a function a test that runs in a simulation, once for each of many seeds. The function is given a world without
/// hosts; see the module `krug::sim`.
///
/// ```text
/// #[krug::sim_test(seeds = 200)]
/// fn survives(sim: &mut krug::sim::Sim) {
///     sim.host("a", || async { server().await });
///     sim.client("c", async { check().await });
///     sim.run().unwrap();
/// }
/// ```
///
/// It may return nothing or a `Result<(), E>` whose error can be shown (`Debug`). `#[should_panic]` and `#[ignore]` work as
/// with `#[test]`. The environment has the last word on the seeds: see `krug::sim::check`. The option is
///
/// | option | meaning |
/// |---|---|
/// | `seeds = 200` | how many seeds it runs under, from 0 on; 100 if it is not there |
#[proc_macro_attribute]
pub fn sim_test(options: TokenStream, function: TokenStream) -> TokenStream {
    sim_test::expand(options.into(), function.into()).into()
}
