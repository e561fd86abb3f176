//! Locks and permits: whatever becomes of those who wait, in the end everything is free again, and never was too much given away.

use std::cell::Cell;
use std::rc::Rc;

use krug::sync::{Mutex, RwLock, Semaphore};

use crate::ways::World;

/// A semaphore, a mutex and a reader-writer lock, wanted by many at once.
pub(crate) async fn locks(world: Rc<World>) {
    const PERMITS: usize = 3;
    let semaphore = Rc::new(Semaphore::new(PERMITS));
    let mutex = Rc::new(Mutex::new(0_u32));
    let lock = Rc::new(RwLock::new(0_u32));
    let held = Rc::new(Cell::new(0));
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let (world, semaphore, mutex) = (world.clone(), semaphore.clone(), mutex.clone());
        let (lock, held) = (lock.clone(), held.clone());
        tasks.push(krug::spawn(async move {
            for _ in 0..world.steps / 8 {
                let count = 1 + world.random.below(PERMITS) as u32;
                let (semaphore, held) = (semaphore.clone(), held.clone());
                let (mutex, lock, inner) = (mutex.clone(), lock.clone(), world.clone());
                let _ = world
                    .end(async move {
                        let permit = semaphore.acquire_many(count).await.expect("it is open");
                        let _held = Held::new(held, count);
                        let mut guard = mutex.lock().await;
                        *guard += 1;
                        inner.pause().await;
                        drop(guard);
                        match count {
                            1 => *lock.write().await += 1,
                            _ => drop(lock.read().await),
                        }
                        drop(permit);
                    })
                    .await;
            }
        }));
    }
    for task in tasks {
        task.await.expect("a task");
    }
    if semaphore.available_permits() != PERMITS || held.get() != 0 {
        world.complain(format!(
            "{} of {PERMITS} permits are free, {} are held",
            semaphore.available_permits(),
            held.get()
        ));
    }
    if mutex.try_lock().is_err() || lock.try_write().is_err() {
        world.complain("a lock is taken, and nobody has it".to_owned());
    }
}

/// Permits in use; there are never more than exist.
struct Held(Rc<Cell<u32>>, u32);

impl Held {
    fn new(held: Rc<Cell<u32>>, count: u32) -> Held {
        held.set(held.get() + count);
        assert!(
            held.get() <= 3,
            "more permits were given away than there are"
        );
        Held(held, count)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.set(self.0.get() - self.1);
    }
}
