//! [`run_on_every`]: the same on every core.

use std::future::{Future, poll_fn};
use std::panic::{Location, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::cores::CoreHandle;
use crate::task::{JoinError, JoinHandle};

/// Runs what `make` makes on every core of the runtime that this thread is running, and gives the outputs in the cores' order. A copy
/// of `make` is called on each core, with the core's number; what it makes need not be `Send`.
///
/// ```
/// let runtime = krug::Runtime::builder().cores(2).build()?;
/// let names = runtime.block_on(krug::runtime::run_on_every(|core| async move {
///     format!("core {core}")
/// }));
/// assert_eq!(names, ["core 0", "core 1"]);
/// # std::io::Result::Ok(())
/// ```
///
/// Dropping the future aborts what runs for it on all cores, without waiting until that has ended.
///
/// # Panics
///
/// Outside a runtime. A panic on one core comes through when what runs for this on the others has been aborted and dropped, or has ended: a
/// service whose part on one core is gone does not go on without it. Of several panics, that of the lowest core comes
/// through. It also panics if a core ends meanwhile, or has ended before, which only a failure of its driver or a shutdown does.
pub async fn run_on_every<M, F>(make: M) -> Vec<F::Output>
where
    M: FnOnce(usize) -> F + Clone + Send + 'static,
    F: Future<Output: Send> + 'static,
{
    let cores = CoreHandle::of_all_cores();
    assert!(
        !cores.is_empty(),
        "run_on_every needs a krug runtime on this thread: call it inside Runtime::block_on, or Runtime::run_on_every outside"
    );
    let mut parts = Parts(Vec::with_capacity(cores.len()));
    for (number, core) in cores.iter().enumerate() {
        let make = make.clone();
        let sent = core.spawn_in_time(move || make(number), Location::caller());
        let part = match sent.await {
            Ok(task) => Part::Running(task),
            Err(_) => Part::Ended(None),
        };
        parts.0.push(part);
    }
    drop(make);
    poll_fn(|cx| parts.poll(cx)).await;
    parts.into_outputs()
}

/// What runs on one core.
enum Part<T> {
    Running(JoinHandle<T>),
    Done(T),
    /// Why, if it had begun.
    Ended(Option<JoinError>),
}

/// What runs on all of them. Dropping it aborts what still runs.
struct Parts<T>(Vec<Part<T>>);

impl<T> Parts<T> {
    /// Ready when nothing runs any more. If one has ended badly, the others are aborted.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for part in &mut self.0 {
            if let Part::Running(task) = part
                && let Poll::Ready(joined) = Pin::new(task).poll(cx)
            {
                *part = match joined {
                    Ok(output) => Part::Done(output),
                    Err(error) => Part::Ended(Some(error)),
                };
            }
        }
        if self.0.iter().any(|part| matches!(part, Part::Ended(_))) {
            self.abort();
        }
        let is_running = self.0.iter().any(|part| matches!(part, Part::Running(_)));
        match is_running {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }

    fn abort(&self) {
        for part in &self.0 {
            if let Part::Running(task) = part {
                task.abort();
            }
        }
    }

    /// # Panics
    ///
    /// With the panic of the first core that has one, or that a core has ended.
    fn into_outputs(mut self) -> Vec<T> {
        let mut outputs = Vec::with_capacity(self.0.len());
        let mut first_ended = None;
        let mut first_panic = None;
        for (number, part) in std::mem::take(&mut self.0).into_iter().enumerate() {
            match part {
                Part::Running(_) => unreachable!("it was waited for"),
                Part::Done(output) => outputs.push(output),
                Part::Ended(Some(error)) if error.is_panic() => {
                    first_panic.get_or_insert(error);
                }
                // Those that were aborted for the sake of another one's panic are among these.
                Part::Ended(_) => {
                    first_ended.get_or_insert(number);
                }
            }
        }
        if let Some(panic) = first_panic {
            resume_unwind(panic.into_panic());
        }
        match first_ended {
            None => outputs,
            Some(number) => {
                panic!("core {number} of this runtime has ended, so nothing can run on every core")
            }
        }
    }
}

impl<T> Drop for Parts<T> {
    fn drop(&mut self) {
        self.abort();
    }
}
