//! What waits and transfers nothing: timers, readiness, no-operations, tasks.

use std::cell::Cell;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::ways::{Outcome, World};

/// Sleeps and ticks are never early, and those that were dropped leave nothing.
pub(crate) async fn timers(world: Rc<World>) {
    for _ in 0..world.steps {
        let duration = world.random.micros(300);
        let deadline = krug::time::now() + duration;
        let way = world.random.below(3);
        let outcome = world
            .end(async move {
                match way {
                    0 => krug::time::sleep_until(deadline).await,
                    1 => {
                        let mut sleep = krug::time::sleep(duration * 100);
                        let _ = krug::time::timeout(duration / 2, &mut sleep).await;
                        sleep.reset(deadline);
                        sleep.await;
                    }
                    _ => drop(
                        krug::time::interval_at(deadline, duration.max(Duration::from_micros(1)))
                            .tick()
                            .await,
                    ),
                }
                krug::time::now()
            })
            .await;
        if let Outcome::Done(now) = outcome
            && now < deadline
        {
            world.complain(format!("a timer was {:?} early", deadline - now));
        }
    }
}

/// Waits for the readiness of descriptors that krug has no type for; the no-operation.
pub(crate) async fn descriptors(world: Rc<World>) {
    krug_tests::needs_a_kernel!("its pipes are the standard library's");
    for _ in 0..world.steps / 4 {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let is_written = world.random.below(2) == 0;
        if is_written {
            writer.write_all(b"!").expect("there is room");
        }
        let fd = OwnedFd::from(reader);
        // One that is never written to becomes ready when the writer is gone.
        let writer = if is_written {
            Some(writer)
        } else {
            drop(writer);
            None
        };
        match world.end(krug::io::readable(fd)).await {
            Outcome::Done((Err(error), _)) if !krug::io::Canceller::was_cancelled(&error) => {
                world.complain(format!("readable failed: {error}"));
            }
            _ => {}
        }
        drop(writer);
        if let Outcome::Done(Err(error)) = world.end(krug::io::nop()).await
            && !krug::io::Canceller::was_cancelled(&error)
        {
            world.complain(format!("nop failed: {error}"));
        }
    }
}

/// Tasks that are awaited, aborted and detached: each future is dropped once, whatever becomes of it.
pub(crate) async fn tasks(world: Rc<World>) {
    let alive = Rc::new(Cell::new(0));
    for _ in 0..world.steps {
        alive.set(alive.get() + 1);
        let (guard, pauses) = (Guard(alive.clone()), world.clone());
        let task = krug::spawn(async move {
            let _guard = guard;
            pauses.pause().await;
            7
        });
        match world.end(task).await {
            Outcome::Done(Ok(7)) | Outcome::Dropped | Outcome::NeverPolled => {}
            Outcome::Done(other) => world.complain(format!("a task came to {other:?}")),
        }
    }
    let begin = Instant::now();
    while alive.get() != 0 && begin.elapsed() < krug_tests::patient(World::PATIENCE) {
        krug::time::sleep(Duration::from_micros(100)).await;
    }
    if alive.get() != 0 {
        world.complain(format!("{} futures of tasks were not dropped", alive.get()));
    }
}

struct Guard(Rc<Cell<i32>>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
