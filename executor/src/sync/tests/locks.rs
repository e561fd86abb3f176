use super::*;
use crate::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn the_mutex_passes_on_in_the_order_of_arrival() {
    let mutex = Mutex::new(0);
    let guard = now(mutex.lock());
    let (counter, waker) = Counter::new();
    let mut first = Box::pin(mutex.lock());
    let mut second = Box::pin(mutex.lock());
    assert!(poll(&mut first, &waker).is_pending());
    assert!(poll_once(&mut second).is_pending());
    drop(guard);
    assert_eq!(counter.wakes(), 1);
    assert!(poll_once(&mut second).is_pending());
    assert!(mutex.try_lock().is_err(), "it is promised");
    drop(first);
    assert!(
        poll_once(&mut second).is_ready(),
        "what was promised passes on"
    );
    drop(second);
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn guards_of_the_mutex_are_borrowed_owned_and_mapped() {
    let mutex = Rc::new(Mutex::new((1, "one")));
    {
        let mut owned = now(mutex.clone().lock_owned());
        owned.0 = 2;
        assert!(mutex.try_lock().is_err() && mutex.clone().try_lock_owned().is_err());
        assert_eq!(format!("{mutex:?}"), "Mutex { value: <locked> }");
    }
    assert_eq!(format!("{mutex:?}"), r#"Mutex { value: (2, "one") }"#);
    let guard = mutex.try_lock().unwrap();
    let Err(guard) = MutexGuard::try_map(guard, |_| None::<&mut u8>) else {
        panic!("there is no part");
    };
    let mut part = MutexGuard::map(guard, |pair| &mut pair.0);
    *part += 1;
    assert!(mutex.try_lock().is_err());
    drop(part);
    let mut mutex = Rc::into_inner(mutex).unwrap();
    mutex.get_mut().0 += 1;
    assert_eq!(mutex.into_inner(), (4, "one"));
}

#[test]
fn a_panic_with_the_lock_leaves_the_mutex_usable() {
    let mutex = Rc::new(Mutex::new(0));
    let borrowed = catch_unwind(AssertUnwindSafe(|| {
        let mut guard = mutex.try_lock().unwrap();
        *guard = 1;
        let _ = MutexGuard::map(guard, |_| -> &mut i32 { panic!("a part") });
    }));
    assert!(borrowed.is_err());
    let owned = catch_unwind(AssertUnwindSafe(|| {
        let mut guard = mutex.clone().try_lock_owned().unwrap();
        *guard += 1;
        panic!("in use");
    }));
    assert!(owned.is_err());
    assert_eq!(*mutex.try_lock().unwrap(), 2);
}

#[test]
fn a_leaked_guard_leaves_the_mutex_locked_and_the_value_within_reach() {
    let mut mutex = Mutex::new(1);
    std::mem::forget(mutex.try_lock().unwrap());
    assert!(mutex.try_lock().is_err());
    *mutex.get_mut() += 1;
    assert_eq!(mutex.into_inner(), 2);
}

#[test]
fn a_value_may_try_its_own_mutex_while_it_is_dropped() {
    type Value = Option<OnDrop<Box<dyn FnMut()>>>;
    let mutex: &'static Mutex<Value> = Box::leak(Box::new(Mutex::new(None)));
    let tried = Rc::new(Cell::new(false));
    let result = tried.clone();
    *mutex.try_lock().unwrap() = Some(OnDrop(Box::new(move || {
        result.set(mutex.try_lock().is_err());
    })));
    // The old value is dropped while the guard is held.
    *mutex.try_lock().unwrap() = None;
    assert!(tried.get());
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn a_guard_may_be_dropped_by_the_destructor_of_another_value() {
    let mutex = Mutex::new(0);
    let other = Mutex::new(Some(mutex.try_lock().unwrap()));
    *other.try_lock().unwrap() = None;
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn neither_readers_nor_writers_starve() {
    let lock = RwLock::new(0);
    let reading = now(lock.read());
    let mut writer = Box::pin(lock.write());
    assert!(poll_once(&mut writer).is_pending());
    let mut readers = [Box::pin(lock.read()), Box::pin(lock.read())];
    let mut last = Box::pin(lock.write());
    let (counter, waker) = Counter::new();
    for reader in &mut readers {
        assert!(poll(reader, &waker).is_pending(), "a writer came before");
    }
    assert!(poll_once(&mut last).is_pending());
    assert!(lock.try_read().is_err());
    drop(reading);
    let Poll::Ready(mut writing) = poll_once(&mut writer) else {
        panic!("it is the writer's turn");
    };
    *writing = 1;
    assert_eq!(counter.wakes(), 0);
    drop(writing);
    assert_eq!(counter.wakes(), 2, "readers go in together");
    let guards = readers.map(|mut reader| match poll(&mut reader, &waker) {
        Poll::Ready(guard) => *guard,
        Poll::Pending => panic!("it is the readers' turn"),
    });
    assert_eq!(guards, [1, 1]);
    assert!(poll_once(&mut last).is_ready());
}

#[test]
fn readers_behind_a_writer_that_is_dropped_go_in() {
    let lock = RwLock::new(0);
    let reading = now(lock.read());
    let mut writer = Box::pin(lock.write());
    let mut reader = Box::pin(lock.read());
    assert!(poll_once(&mut writer).is_pending());
    let (counter, waker) = Counter::new();
    assert!(poll(&mut reader, &waker).is_pending());
    drop(writer);
    assert_eq!(counter.wakes(), 1);
    assert!(poll(&mut reader, &waker).is_ready());
    drop(reading);
}

#[test]
fn a_writer_that_downgrades_lets_readers_in_and_no_writer() {
    let lock = Rc::new(RwLock::new(0));
    for owned in [false, true] {
        let mut writing = lock.try_write().unwrap();
        *writing += 1;
        let seen = *writing;
        drop(writing);
        let borrowed_guard = (!owned).then(|| lock.try_write().unwrap());
        let owned_guard = owned.then(|| lock.clone().try_write_owned().unwrap());
        let (counter, waker) = Counter::new();
        let mut reader = Box::pin(lock.read());
        let mut writer = Box::pin(lock.write());
        assert!(poll(&mut reader, &waker).is_pending());
        assert!(poll_once(&mut writer).is_pending());
        let borrowed_guard = borrowed_guard.map(RwLockWriteGuard::downgrade);
        let owned_guard = owned_guard.map(crate::sync::OwnedRwLockWriteGuard::downgrade);
        assert_eq!(counter.wakes(), 1);
        let Poll::Ready(reading) = poll(&mut reader, &waker) else {
            panic!("readers may go in");
        };
        assert!(borrowed_guard.as_deref().is_none_or(|value| *value == seen));
        assert!(owned_guard.as_deref().is_none_or(|value| *value == seen));
        assert!(poll_once(&mut writer).is_pending());
        drop((reading, borrowed_guard));
        assert_eq!(poll_once(&mut writer).is_pending(), owned);
        drop(owned_guard);
    }
}

#[test]
fn guards_of_the_lock_are_borrowed_owned_and_mapped() {
    let lock = Rc::new(RwLock::new((1, 2)));
    let (one, other) = (lock.clone().try_read_owned().unwrap(), now(lock.read()));
    assert_eq!((one.0, other.1), (1, 2));
    assert!(lock.try_write().is_err());
    let part = RwLockReadGuard::map(other, |pair| &pair.1);
    assert_eq!(*part, 2);
    let Err(part) = RwLockReadGuard::try_map(part, |_| None::<&u8>) else {
        panic!("there is no part");
    };
    drop(part);
    assert!(lock.try_write().is_err(), "one still reads");
    drop(one);
    *RwLockWriteGuard::map(lock.try_write().unwrap(), |pair| &mut pair.1) = 3;
    now(lock.clone().write_owned()).0 = 4;
    assert_eq!(*now(lock.clone().read_owned()), (4, 3));
    let mut lock = Rc::into_inner(lock).unwrap();
    lock.get_mut().0 = 5;
    assert_eq!(lock.into_inner(), (5, 3));
}

#[test]
fn at_most_so_many_read_at_the_same_time() {
    let lock = RwLock::with_max_readers((), 2);
    let readers = (lock.try_read().unwrap(), lock.try_read().unwrap());
    assert!(lock.try_read().is_err());
    drop(readers);
    assert!(lock.try_write().is_ok());
}

#[test]
#[should_panic(expected = "at least one reader")]
fn a_lock_without_readers_is_refused() {
    let _ = RwLock::with_max_readers((), 0);
}

/// 20 000 random steps with one mutex and one lock: access excludes as it should, and each
/// future that is woken finds its turn.
#[test]
fn random_programs_never_see_two_writers() {
    enum Guard<'a> {
        Read(RwLockReadGuard<'a, u64>),
        Write(RwLockWriteGuard<'a, u64>),
    }
    type Waiting<'a> = Pin<Box<dyn Future<Output = Guard<'a>> + 'a>>;
    let random = Random::new();
    let lock = RwLock::new(0);
    let mut line: Vec<(bool, Waiting<'_>)> = Vec::new();
    let mut inside: Vec<Guard<'_>> = Vec::new();
    for _ in 0..20_000 {
        match random.below(4) {
            0 if line.len() < 10 => {
                let writes = random.below(3) == 0;
                let future: Waiting<'_> = match writes {
                    true => Box::pin(async { Guard::Write(lock.write().await) }),
                    false => Box::pin(async { Guard::Read(lock.read().await) }),
                };
                line.push((writes, future));
            }
            1 if !line.is_empty() => {
                drop(line.remove(random.below(line.len())));
            }
            2 if !inside.is_empty() => match inside.swap_remove(random.below(inside.len())) {
                Guard::Write(mut guard) => {
                    *guard += 1;
                    if random.below(2) == 0 {
                        inside.push(Guard::Read(guard.downgrade()));
                    }
                }
                Guard::Read(guard) => drop(guard),
            },
            _ => {}
        }
        // Polled in order, so that the order of the line is that of `line`.
        let mut still = Vec::new();
        let mut barred = false;
        for (writes, mut future) in line {
            let reads_inside = !inside.iter().any(|guard| matches!(guard, Guard::Write(_)));
            let expected = !barred
                && if writes {
                    inside.is_empty()
                } else {
                    reads_inside
                };
            match poll_once(&mut future) {
                Poll::Ready(guard) => {
                    assert!(expected, "it went in out of turn");
                    inside.push(guard);
                }
                Poll::Pending => {
                    assert!(!expected, "it waits for nothing");
                    barred = true;
                    still.push((writes, future));
                }
            }
        }
        line = still;
        let writers = inside
            .iter()
            .filter(|guard| matches!(guard, Guard::Write(_)));
        assert!(writers.count() == 0 || inside.len() == 1);
    }
    drop((line, inside));
    assert!(lock.try_write().is_ok(), "nothing is lost");
}

#[test]
fn bug_044_they_work_under_a_poller_with_wakers_of_its_own() {
    let (mutex, lock) = (Rc::new(Mutex::new(0)), Rc::new(RwLock::new(0)));
    let mut children: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    for i in 0..40 {
        let (mutex, lock) = (mutex.clone(), lock.clone());
        children.push(Box::pin(async move {
            let mut guard = match i % 2 {
                0 => mutex.clone().lock_owned().await,
                _ => {
                    let mut guard = mutex.lock().await;
                    yield_once().await;
                    *guard += 1;
                    drop(guard);
                    mutex.clone().lock_owned().await
                }
            };
            yield_once().await;
            *guard += 1;
            drop(guard);
            let before = *lock.clone().read_owned().await;
            yield_once().await;
            let mut guard = lock.write().await;
            assert!(*guard >= before);
            *guard += 1;
        }));
    }
    run_all(children);
    assert_eq!((*now(mutex.lock()), *now(lock.read())), (60, 40));
}

#[test]
fn a_task_that_always_gets_the_lock_lets_the_others_run() {
    gives_way(|| {
        let (mutex, lock) = (Mutex::new(0), RwLock::new(0));
        async move {
            for _ in 0..5_000 {
                *mutex.lock().await += 1;
                *lock.write().await += 1;
            }
        }
    });
}
