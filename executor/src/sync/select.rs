//! The macro [`select!`](crate::select), and where its turns begin.

use std::cell::Cell;

use crate::context;

/// Waits for the first of up to eight futures to resolve, drops the others, and runs the
/// code of that branch.
///
/// ```text
/// select! { pattern = future => expression, … }             // fair
/// select! { biased; pattern = future => expression, … }     // in the order written
/// select! { pattern = future, if condition => expression, … }
/// ```
///
/// All expressions have the same type, which is the type of the whole. They run after all
/// futures are gone, so they may use what the futures had borrowed, and may `.await`,
/// `return`, `break` and use `?`. Patterns must match always: match on the value in the
/// expression instead. A branch whose condition is false when `select!` begins is left
/// out; its future is still made, but never polled.
///
/// ```
/// # use std::future::{pending, ready};
/// # krug::Runtime::new().unwrap().block_on(async {
/// let (sender, mut receiver) = krug::sync::mpsc::channel(1);
/// sender.send(5).await.unwrap();
/// let mut rest = 10;
/// let said = krug::select! {
///     number = receiver.recv() => {
///         rest -= number.unwrap_or(0);
///         format!("{rest} left")
///     }
///     () = pending::<()>() => "never".to_string(),
///     _ = ready(()), if rest == 0 => "not this time".to_string(),
/// };
/// assert_eq!(said, "5 left");
/// # });
/// ```
///
/// # Fairness
///
/// Each time the whole is polled, the futures are polled in turn, beginning with one that
/// the runtime's seeded generator chooses: the same seed, the same choices. Outside a
/// runtime each thread begins one further every time. With `biased;` the first branch is
/// always polled first, which is cheaper and lets it starve the others.
///
/// # Cancellation
///
/// The futures that lose are dropped, as is everything when the whole is dropped. With
/// krug's own futures this loses nothing: what each keeps is said in its documentation. A
/// future of your own (an `async` block) stops at the `.await` where it was. To go on with
/// a future later, in a loop, pin it outside and hand in `&mut future`; do not poll one
/// again that has resolved (leave it out with `if`).
///
/// # Panics
///
/// If all branches are left out: nothing would ever resolve.
#[macro_export]
macro_rules! select {
    (biased; $($branches:tt)+) => {
        $crate::__select!(@next [|_branches: u32| 0u32] [] [
            (0 a A) (1 b B) (2 c C) (3 d D) (4 e E) (5 f F) (6 g G) (7 h H)
        ] $($branches)+)
    };
    ($($branches:tt)+) => {
        $crate::__select!(@next [$crate::sync::__select_start] [] [
            (0 a A) (1 b B) (2 c C) (3 d D) (4 e E) (5 f F) (6 g G) (7 h H)
        ] $($branches)+)
    };
    () => {
        ::core::compile_error!("select! needs at least one branch: `pattern = future => expression`")
    };
}

/// Takes branches off one by one: `@next [start] [branches so far] [names left] rest`.
#[doc(hidden)]
#[macro_export]
macro_rules! __select {
    (@next $start:tt [$($done:tt)+] $left:tt) => {
        $crate::__select!(@all $start $($done)+)
    };
    (@next $start:tt [$($done:tt)*] [] $($rest:tt)+) => {
        ::core::compile_error!("select! takes up to eight branches")
    };
    (@next $start:tt [$($done:tt)*] [$name:tt $($left:tt)*]
        $pattern:pat = $future:expr, if $condition:expr => $body:block $(, $($rest:tt)*)?
    ) => {
        $crate::__select!(@next $start
            [$($done)* ($name ($pattern) ($future) ($condition) ($body))] [$($left)*] $($($rest)*)?)
    };
    (@next $start:tt [$($done:tt)*] [$name:tt $($left:tt)*]
        $pattern:pat = $future:expr, if $condition:expr => $body:block $($rest:tt)*
    ) => {
        $crate::__select!(@next $start
            [$($done)* ($name ($pattern) ($future) ($condition) ($body))] [$($left)*] $($rest)*)
    };
    (@next $start:tt [$($done:tt)*] [$name:tt $($left:tt)*]
        $pattern:pat = $future:expr, if $condition:expr => $body:expr $(, $($rest:tt)*)?
    ) => {
        $crate::__select!(@next $start
            [$($done)* ($name ($pattern) ($future) ($condition) ($body))] [$($left)*] $($($rest)*)?)
    };
    (@next $start:tt [$($done:tt)*] [$name:tt $($left:tt)*]
        $pattern:pat = $future:expr => $body:block $(, $($rest:tt)*)?
    ) => {
        $crate::__select!(@next $start
            [$($done)* ($name ($pattern) ($future) (true) ($body))] [$($left)*] $($($rest)*)?)
    };
    (@next $start:tt [$($done:tt)*] [$name:tt $($left:tt)*]
        $pattern:pat = $future:expr => $body:block $($rest:tt)*
    ) => {
        $crate::__select!(@next $start
            [$($done)* ($name ($pattern) ($future) (true) ($body))] [$($left)*] $($rest)*)
    };
    (@next $start:tt [$($done:tt)*] [$name:tt $($left:tt)*]
        $pattern:pat = $future:expr => $body:expr $(, $($rest:tt)*)?
    ) => {
        $crate::__select!(@next $start
            [$($done)* ($name ($pattern) ($future) (true) ($body))] [$($left)*] $($($rest)*)?)
    };
    (@all [$start:expr] $((
        ($index:tt $name:ident $variant:ident) ($pattern:pat) ($future:expr) ($condition:expr) ($body:expr)
    ))+) => {{
        // Items have no hygiene: the name must be one that nobody else uses.
        enum __KrugSelected<$($variant),+> { $($variant($variant)),+ }
        // The scrutinee of a `match` keeps its temporaries until the end, as futures need
        // that borrow from a temporary.
        let selected = match ($(($condition, ::core::future::IntoFuture::into_future($future)),)+) {
            ($($name,)+) => {
                $(
                    let (is_enabled, future) = $name;
                    let mut $name = ::core::pin::pin!(is_enabled.then_some(future));
                )+
                ::core::assert!(
                    $($name.is_some())||+,
                    "all branches of select! are left out: nothing would ever resolve"
                );
                let start = $start;
                ::core::future::poll_fn(move |cx| {
                    const COUNT: u32 = 0 $(+ { let _: u32 = $index; 1 })+;
                    let first: u32 = start(COUNT);
                    for turn in 0..COUNT {
                        match $crate::sync::__select_branch(first, turn, COUNT) {
                            $($index => {
                                if let ::core::option::Option::Some(future) = $name.as_mut().as_pin_mut()
                                    && let ::core::task::Poll::Ready(output) =
                                        ::core::future::Future::poll(future, cx)
                                {
                                    return ::core::task::Poll::Ready(__KrugSelected::$variant(output));
                                }
                            })+
                            _ => ::core::unreachable!(),
                        }
                    }
                    ::core::task::Poll::Pending
                })
                .await
            }
        };
        match selected {
            $(__KrugSelected::$variant($pattern) => $body,)+
        }
    }};
}

thread_local! {
    /// Where the next turn outside a runtime begins.
    static NEXT: Cell<u32> = const { Cell::new(0) };
}

/// Which of `count` branches is polled first this time.
#[doc(hidden)]
pub fn start(count: u32) -> u32 {
    context::with(|core| core.random.below(count)).unwrap_or_else(|| {
        let turn = NEXT.with(|next| next.replace(next.get().wrapping_add(1)));
        turn % count
    })
}

/// Which of `count` branches comes `turn` after the `first`.
#[doc(hidden)]
pub const fn branch(first: u32, turn: u32, count: u32) -> u32 {
    (first + turn) % count
}
