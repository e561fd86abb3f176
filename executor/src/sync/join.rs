//! The macro [`join!`](crate::join).

/// Waits for all of up to eight futures and resolves with their outputs, as a tuple.
///
/// The futures run together in this task, not in parallel; each is dropped as soon as it
/// resolved. Each time the whole is polled, the futures are polled in turn, beginning with
/// one that the runtime's seeded generator chooses (see [`select!`](crate::select)).
///
/// ```
/// # krug::Runtime::new().unwrap().block_on(async {
/// let (number, name) = krug::join!(async { 7 }, async { "seven" });
/// assert_eq!((number, name), (7, "seven"));
/// # });
/// ```
///
/// # Cancellation
///
/// Dropping the whole drops the futures that have not resolved, and the outputs of those
/// that have.
#[macro_export]
macro_rules! join {
    () => { () };
    ($($future:expr),+ $(,)?) => {
        $crate::__join!(@next [] [
            (0 a x) (1 b y) (2 c z) (3 d u) (4 e v) (5 f w) (6 g s) (7 h t)
        ] $($future,)+)
    };
}

/// Gives the futures names: `@next [(name future)…] [names left] rest`.
#[doc(hidden)]
#[macro_export]
macro_rules! __join {
    (@next [$($done:tt)+] $left:tt) => {
        $crate::__join!(@all $($done)+)
    };
    (@next [$($done:tt)*] [] $($rest:tt)+) => {
        ::core::compile_error!("join! takes up to eight futures")
    };
    (@next [$($done:tt)*] [$name:tt $($left:tt)*] $future:expr, $($rest:tt)*) => {
        $crate::__join!(@next [$($done)* ($name ($future))] [$($left)*] $($rest)*)
    };
    (@all $((($index:tt $name:ident $output:ident) ($future:expr)))+) => {
        match ($(::core::future::IntoFuture::into_future($future),)+) {
            ($($name,)+) => {
                $(
                    let mut $name = ::core::pin::pin!(::core::option::Option::Some($name));
                    let mut $output = ::core::option::Option::None;
                )+
                ::core::future::poll_fn(move |cx| {
                    const COUNT: u32 = 0 $(+ { let _: u32 = $index; 1 })+;
                    let first: u32 = $crate::sync::__select_start(COUNT);
                    for turn in 0..COUNT {
                        match $crate::sync::__select_branch(first, turn, COUNT) {
                            $($index => {
                                if let ::core::option::Option::Some(future) = $name.as_mut().as_pin_mut()
                                    && let ::core::task::Poll::Ready(output) =
                                        ::core::future::Future::poll(future, cx)
                                {
                                    $output = ::core::option::Option::Some(output);
                                    $name.set(::core::option::Option::None);
                                }
                            })+
                            _ => ::core::unreachable!(),
                        }
                    }
                    if $($output.is_none())||+ {
                        return ::core::task::Poll::Pending;
                    }
                    ::core::task::Poll::Ready(($(
                        $output.take().expect("every future has resolved"),
                    )+))
                })
                .await
            }
        }
    };
}
