//! [`task_local!`](crate::task_local) and [`LocalKey`]: values that go with a future.
//!
//! The value lies in the future. While that is polled or dropped, and no longer, a cell of the thread points to the value. So
//! nothing is moved at a poll, the value goes wherever the future goes, and what the thread keeps is a pointer without a destructor,
//! which can be asked even while the thread ends.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll};
use std::thread;

/// Declares keys of values that go with a future, whichever task or thread polls it.
///
/// ```
/// krug::task_local! {
///     /// Who asks.
///     static REQUEST: u64;
///     pub static USER: String;
/// }
///
/// async fn answer() -> String {
///     krug::task::yield_now().await;
///     USER.with(|user| format!("{user} asked as {}", REQUEST.get()))
/// }
///
/// # krug::Runtime::new().unwrap().block_on(async {
/// let answering = REQUEST.scope(7, USER.scope("Ada".into(), answer()));
/// assert_eq!(answering.await, "Ada asked as 7");
/// assert!(REQUEST.try_with(|_| ()).is_err());
/// # });
/// ```
///
/// A task that is spawned inside begins without values: give it what it needs by another `scope`.
#[macro_export]
macro_rules! task_local {
    () => {};
    ($(#[$attribute:meta])* $visible:vis static $name:ident: $type:ty; $($rest:tt)*) => {
        $crate::task_local!($(#[$attribute])* $visible static $name: $type);
        $crate::task_local!($($rest)*);
    };
    ($(#[$attribute:meta])* $visible:vis static $name:ident: $type:ty) => {
        $(#[$attribute])*
        $visible static $name: $crate::task::LocalKey<$type> = {
            ::std::thread_local! {
                static CURRENT: $crate::task::__CurrentValue<$type> = const {
                    $crate::task::__CurrentValue::none()
                };
            }
            $crate::task::LocalKey::__new(CURRENT)
        };
    };
}

/// The value of one key on one thread: that of the innermost scope being polled. Null: there is none.
#[doc(hidden)]
pub struct CurrentValue<T>(Cell<*const T>);

impl<T> CurrentValue<T> {
    #[doc(hidden)]
    pub const fn none() -> CurrentValue<T> {
        CurrentValue(Cell::new(ptr::null()))
    }
}

impl<T> fmt::Debug for CurrentValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CurrentValue").finish_non_exhaustive()
    }
}

/// The key of a value that goes with a future; declared by [`task_local!`](crate::task_local).
pub struct LocalKey<T: 'static> {
    current: thread::LocalKey<CurrentValue<T>>,
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn __new(current: thread::LocalKey<CurrentValue<T>>) -> LocalKey<T> {
        LocalKey { current }
    }

    /// Gives `value` to `future`: whatever is polled in it finds the value here. Inner scopes hide outer ones.
    ///
    /// The value is dropped with what this returns, after `future`, whose destructor still finds it.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops `future`, and then the value.
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> TaskLocalFuture<T, F> {
        TaskLocalFuture {
            future: Some(future),
            value,
            key: self,
            _pinned: PhantomPinned,
        }
    }

    /// Calls `f`, for which the value is here. The value is dropped afterwards.
    pub fn sync_scope<R>(&'static self, value: T, f: impl FnOnce() -> R) -> R {
        self.enter(&value, f)
    }

    /// Calls `f` with the value. `f` may use the key again, also to open a scope in the scope.
    ///
    /// # Panics
    ///
    /// Outside of a scope of this key.
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(error) => panic!("{error}"),
        }
    }

    /// Calls `f` with the value, if there is one. Works also in destructors of thread-locals: there is no value then.
    ///
    /// # Errors
    ///
    /// Outside of a scope of this key.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let current = self.current.with(|current| current.0.get());
        if current.is_null() {
            return Err(AccessError(()));
        }
        // SAFETY: `enter` has set the pointer on this thread, from a reference that it holds until it has put the previous one back; it
        // does so when what it calls is over, and this is called by that. So the value is neither moved nor dropped before `f` returns.
        Ok(f(unsafe { &*current }))
    }

    /// A clone of the value.
    ///
    /// # Panics
    ///
    /// Outside of a scope of this key.
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    /// `value` is the current one while `f` runs; then the previous one is again, also after a panic.
    fn enter<R>(&'static self, value: &T, f: impl FnOnce() -> R) -> R {
        struct Restore<T: 'static> {
            key: &'static LocalKey<T>,
            previous: *const T,
        }

        impl<T> Drop for Restore<T> {
            fn drop(&mut self) {
                self.key
                    .current
                    .with(|current| current.0.set(self.previous));
            }
        }

        let previous = self.current.with(|current| current.0.replace(value));
        let _restore = Restore {
            key: self,
            previous,
        };
        f()
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

/// The future of [`LocalKey::scope`].
#[must_use = "futures do nothing unless awaited"]
pub struct TaskLocalFuture<T: 'static, F> {
    /// Pinned with the whole. Dropped when it has returned, or in the destructor, while the value is there.
    future: Option<F>,
    value: T,
    key: &'static LocalKey<T>,
    _pinned: PhantomPinned,
}

impl<T: 'static, F> TaskLocalFuture<T, F> {
    /// Drops the future, which finds its value while it goes.
    fn drop_future(self: Pin<&mut Self>) {
        // SAFETY: the future is dropped in its place, and nothing else of the whole is moved.
        let this = unsafe { self.get_unchecked_mut() };
        let (future, value) = (&mut this.future, &this.value);
        this.key.enter(value, || *future = None);
    }
}

impl<T: 'static, F: Future> Future for TaskLocalFuture<T, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the future is not moved: it is pinned again below, and dropped in its place by `drop_future` only.
        let this = unsafe { self.as_mut().get_unchecked_mut() };
        let Some(future) = &mut this.future else {
            panic!("a future of `LocalKey::scope` was polled after it was ready");
        };
        // SAFETY: as above; the whole is pinned.
        let future = unsafe { Pin::new_unchecked(future) };
        let polled = this.key.enter(&this.value, || future.poll(cx));
        if polled.is_ready() {
            self.drop_future();
        }
        polled
    }
}

impl<T: 'static, F> Drop for TaskLocalFuture<T, F> {
    fn drop(&mut self) {
        if self.future.is_some() {
            // SAFETY: it is being dropped, and not moved any more.
            unsafe { Pin::new_unchecked(self) }.drop_future();
        }
    }
}

impl<T: 'static, F> fmt::Debug for TaskLocalFuture<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLocalFuture")
            .field("is_done", &self.future.is_none())
            .finish_non_exhaustive()
    }
}

/// The error of [`LocalKey::try_with`]: there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError(());

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a task-local value was asked for outside of its scope: wrap the future in `NAME.scope(value, future)`; a task \
             that is spawned needs a scope of its own",
        )
    }
}

impl std::error::Error for AccessError {}
