use super::*;
use crate::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError};
use std::collections::VecDeque;

#[test]
fn a_big_request_at_the_head_is_not_overtaken() {
    let semaphore = Semaphore::new(3);
    let held = semaphore.try_acquire_many(2).unwrap();
    let (counter, waker) = Counter::new();
    let mut big = Box::pin(semaphore.acquire_many(2));
    let mut small = Box::pin(semaphore.acquire());
    assert!(poll(&mut big, &waker).is_pending());
    assert!(poll_once(&mut small).is_pending());
    assert_eq!(semaphore.available_permits(), 1, "kept for the big one");
    assert_eq!(
        semaphore.try_acquire().unwrap_err(),
        TryAcquireError::NoPermits
    );
    drop(held);
    assert_eq!(counter.wakes(), 1);
    assert!(poll(&mut big, &waker).is_ready());
    assert!(poll_once(&mut small).is_ready());
}

#[test]
fn who_waited_behind_a_big_request_goes_on_when_that_is_dropped() {
    let semaphore = Semaphore::new(1);
    let (counter, waker) = Counter::new();
    let mut big = Box::pin(semaphore.acquire_many(2));
    let mut small = Box::pin(semaphore.acquire());
    assert!(poll_once(&mut big).is_pending());
    assert!(poll(&mut small, &waker).is_pending());
    drop(big);
    assert_eq!(counter.wakes(), 1);
    assert!(poll(&mut small, &waker).is_ready());
}

#[test]
fn permits_granted_to_a_dropped_future_pass_to_the_next() {
    let semaphore = Semaphore::new(2);
    let held = semaphore.try_acquire_many(2).unwrap();
    let (counter, waker) = Counter::new();
    let mut first = Box::pin(semaphore.acquire_many(2));
    let mut second = Box::pin(semaphore.acquire_many(2));
    assert!(poll_once(&mut first).is_pending());
    assert!(poll(&mut second, &waker).is_pending());
    drop(held);
    assert_eq!((counter.wakes(), semaphore.available_permits()), (0, 0));
    drop(first);
    assert_eq!(counter.wakes(), 1);
    assert!(poll(&mut second, &waker).is_ready());
    drop(second);
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn bug_063_all_who_can_go_on_are_woken_by_one_release() {
    let semaphore = Semaphore::new(0);
    let mut waiting: Vec<_> = (0..20).map(|_| Box::pin(semaphore.acquire())).collect();
    let (counter, waker) = Counter::new();
    for acquire in &mut waiting {
        assert!(poll(acquire, &waker).is_pending());
    }
    semaphore.add_permits(20);
    assert_eq!(counter.wakes(), 20);
    for acquire in &mut waiting {
        assert!(poll(acquire, &waker).is_ready());
    }
}

#[test]
fn bug_048_a_permit_granted_to_a_future_that_is_not_polled_comes_back_with_it() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let mut waiting = Box::pin(semaphore.acquire());
    assert!(poll_once(&mut waiting).is_pending());
    drop(held);
    assert!(semaphore.try_acquire().is_err(), "it is granted");
    drop(waiting);
    assert!(semaphore.try_acquire().is_ok());
}

#[test]
fn bug_049_a_closed_semaphore_gives_no_more_permits() {
    let semaphore = Rc::new(Semaphore::new(1));
    let held = semaphore.try_acquire().unwrap();
    let (counter, waker) = Counter::new();
    let mut waiting = [
        Box::pin(semaphore.acquire_many(1)),
        Box::pin(semaphore.acquire_many(5)),
    ];
    for acquire in &mut waiting {
        assert!(poll(acquire, &waker).is_pending());
    }
    semaphore.close();
    assert!(semaphore.is_closed());
    assert_eq!(counter.wakes(), 2);
    for acquire in &mut waiting {
        assert!(matches!(poll(acquire, &waker), Poll::Ready(Err(_))));
    }
    drop(held);
    assert!(now(semaphore.acquire()).is_err());
    assert!(now(semaphore.clone().acquire_owned()).is_err());
    assert_eq!(
        semaphore.try_acquire().unwrap_err(),
        TryAcquireError::Closed
    );
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn permits_are_split_merged_and_forgotten() {
    let semaphore = Rc::new(Semaphore::new(5));
    let mut permit = now(semaphore.acquire_many(4)).unwrap();
    assert!(permit.split(5).is_none());
    let part = permit.split(3).unwrap();
    assert_eq!((permit.num_permits(), part.num_permits()), (1, 3));
    permit.merge(part);
    assert_eq!(
        (permit.num_permits(), semaphore.available_permits()),
        (4, 1)
    );
    permit.forget();
    assert_eq!(
        (semaphore.existing(), semaphore.available_permits()),
        (1, 1)
    );

    semaphore.add_permits(3);
    let mut owned = now(semaphore.clone().acquire_many_owned(3)).unwrap();
    let part = owned.split(1).unwrap();
    assert!(Rc::ptr_eq(part.semaphore(), &semaphore));
    drop(owned);
    assert_eq!(semaphore.available_permits(), 3);
    part.forget();
    assert_eq!(semaphore.forget_permits(9), 3);
    assert_eq!(semaphore.existing(), 0);
}

#[test]
#[should_panic(expected = "two semaphores")]
fn permits_of_two_semaphores_are_not_merged() {
    let (one, other) = (Semaphore::new(1), Semaphore::new(1));
    let mut permit = one.try_acquire().unwrap();
    permit.merge(other.try_acquire().unwrap());
}

#[test]
fn permits_beyond_the_limit_are_refused_and_nothing_changes() {
    let semaphore = Semaphore::new(Semaphore::MAX_PERMITS);
    let held = semaphore.try_acquire().unwrap();
    let add = std::panic::AssertUnwindSafe(|| semaphore.add_permits(1));
    assert!(std::panic::catch_unwind(add).is_err());
    drop(held);
    assert_eq!(semaphore.available_permits(), Semaphore::MAX_PERMITS);
}

#[test]
fn a_request_for_none_waits_for_its_turn() {
    let semaphore = Semaphore::new(0);
    assert!(now(semaphore.acquire_many(0)).is_ok());
    let mut one = Box::pin(semaphore.acquire());
    let mut none = Box::pin(semaphore.acquire_many(0));
    assert!(poll_once(&mut one).is_pending());
    assert!(poll_once(&mut none).is_pending());
    semaphore.add_permits(1);
    assert!(poll_once(&mut none).is_ready());
}

#[test]
fn a_waker_that_uses_the_semaphore_finds_nothing_borrowed() {
    let semaphore: &'static Semaphore = Box::leak(Box::new(Semaphore::new(0)));
    let other = Rc::new(RefCell::new(None));
    let dropped = other.clone();
    // Woken, or dropped, it drops another waiter and takes and returns a permit.
    let meddler = Meddler::install(move || {
        drop(dropped.take());
        drop(semaphore.try_acquire());
        let _ = format!("{semaphore:?}");
    });
    let mut first = Box::pin(semaphore.acquire());
    let mut second = Box::pin(semaphore.acquire_many(1));
    let mut third = Box::pin(semaphore.acquire());
    assert!(poll(&mut first, &meddling_waker()).is_pending());
    assert!(poll(&mut second, &meddling_waker()).is_pending());
    *other.borrow_mut() = Some(second);
    let (counter, waker) = Counter::new();
    assert!(poll(&mut third, &waker).is_pending());
    semaphore.add_permits(2);
    assert!(other.borrow().is_none());
    assert_eq!(
        counter.wakes(),
        1,
        "it has what the dropped one had or wanted"
    );
    assert!(poll(&mut third, &waker).is_ready());
    drop((first, third));
    assert_eq!(semaphore.available_permits(), 2);
    assert!(meddler.runs() >= 2);
}

#[test]
fn a_waker_that_panics_keeps_nobody_from_being_woken() {
    let semaphore = Semaphore::new(0);
    let meddler = Meddler::install(|| panic!("a waker"));
    let mut first = Box::pin(semaphore.acquire());
    let mut second = Box::pin(semaphore.acquire());
    let panics = meddling_waker();
    assert!(poll(&mut first, &panics).is_pending());
    let (counter, waker) = Counter::new();
    assert!(poll(&mut second, &waker).is_pending());
    semaphore.add_permits(2);
    assert_eq!(counter.wakes(), 1);
    assert_eq!(meddler.runs(), 1);
    drop(meddler);
    assert!(poll_once(&mut first).is_ready());
    assert!(poll(&mut second, &waker).is_ready());
}

type Acquire = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>>>>;

/// A semaphore, and what it should be: lists in plain order.
struct Program {
    random: Random,
    semaphore: Rc<Semaphore>,
    futures: Vec<(u64, Acquire)>,
    held: Vec<OwnedSemaphorePermit>,
    free: usize,
    existing: usize,
    /// Who waits, and for how much.
    line: VecDeque<(u64, usize)>,
    /// Who was granted how much and has not collected it.
    granted: Vec<(u64, usize)>,
    asked: u64,
}

impl Program {
    fn ask(&mut self) {
        let count = self.random.below(5);
        let mut acquire: Acquire =
            Box::pin(self.semaphore.clone().acquire_many_owned(count as u32));
        let may_go = self.line.is_empty() && count <= self.free;
        match poll_once(&mut acquire) {
            Poll::Ready(permit) => {
                assert!(may_go, "it overtook");
                self.free -= count;
                self.held.push(permit.unwrap());
            }
            Poll::Pending => {
                assert!(!may_go, "it waits for nothing");
                self.line.push_back((self.asked, count));
                self.futures.push((self.asked, acquire));
            }
        }
        self.asked += 1;
    }

    fn poll(&mut self) {
        let chosen = self.random.below(self.futures.len());
        let (id, mut acquire) = self.futures.swap_remove(chosen);
        let mine = self.granted.iter().position(|(granted, _)| *granted == id);
        match poll_once(&mut acquire) {
            Poll::Ready(permit) => {
                self.granted.remove(mine.expect("it was its turn"));
                self.held.push(permit.unwrap());
            }
            Poll::Pending => {
                assert_eq!(mine, None, "it was granted");
                self.futures.push((id, acquire));
            }
        }
    }

    fn give_up(&mut self) {
        let chosen = self.random.below(self.futures.len());
        let (id, acquire) = self.futures.swap_remove(chosen);
        drop(acquire);
        self.line.retain(|(waiting, _)| *waiting != id);
        if let Some(mine) = self.granted.iter().position(|(granted, _)| *granted == id) {
            self.free += self.granted.remove(mine).1;
        }
    }

    fn give_back(&mut self) {
        let permit = self.held.swap_remove(self.random.below(self.held.len()));
        let count = permit.num_permits();
        match self.random.below(10) {
            0 => {
                permit.forget();
                self.existing -= count;
            }
            _ => {
                drop(permit);
                self.free += count;
            }
        }
    }

    fn change(&mut self) {
        if self.existing < 4 {
            self.semaphore.add_permits(1);
            self.free += 1;
            self.existing += 1;
        } else if self.random.below(10) == 0 {
            let forgotten = self.semaphore.forget_permits(1);
            assert_eq!(forgotten, self.free.min(1));
            self.free -= forgotten;
            self.existing -= forgotten;
        }
    }

    fn check(&mut self) {
        while let Some(&(id, count)) = self.line.front()
            && count <= self.free
        {
            self.free -= count;
            self.granted.push((id, count));
            self.line.pop_front();
        }
        let in_hands: usize = self.held.iter().map(|permit| permit.num_permits()).sum();
        let on_the_way: usize = self.granted.iter().map(|(_, count)| count).sum();
        assert_eq!(self.semaphore.available_permits(), self.free);
        assert_eq!(self.semaphore.existing(), self.existing);
        assert_eq!(self.free + in_hands + on_the_way, self.existing);
    }
}

/// 20 000 random steps: requests of any size are made, polled and dropped, permits given
/// back, added and forgotten.
#[test]
fn random_programs_keep_order_and_permits() {
    let mut program = Program {
        random: Random::new(),
        semaphore: Rc::new(Semaphore::new(3)),
        futures: Vec::new(),
        held: Vec::new(),
        free: 3,
        existing: 3,
        line: VecDeque::new(),
        granted: Vec::new(),
        asked: 0,
    };
    for _ in 0..20_000 {
        match program.random.below(7) {
            0 | 1 if program.futures.len() < 12 => program.ask(),
            2 if !program.futures.is_empty() => program.poll(),
            3 if !program.futures.is_empty() => program.give_up(),
            4 | 5 if !program.held.is_empty() => program.give_back(),
            _ => program.change(),
        }
        program.check();
    }
}

#[test]
fn bug_044_it_works_under_a_poller_with_wakers_of_its_own() {
    let semaphore = Semaphore::new(2);
    let inside = Cell::new(0);
    let (semaphore, inside) = (&semaphore, &inside);
    let mut children: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    for i in 0..30 {
        children.push(Box::pin(async move {
            let permit = semaphore.acquire_many(1 + i % 2).await.unwrap();
            inside.set(inside.get() + permit.num_permits());
            assert!(inside.get() <= 2);
            yield_once().await;
            inside.set(inside.get() - permit.num_permits());
        }));
    }
    run_all(children);
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn a_task_that_always_gets_a_permit_lets_the_others_run() {
    gives_way(|| {
        let semaphore = Semaphore::new(1);
        async move {
            for _ in 0..10_000 {
                drop(semaphore.acquire().await);
            }
        }
    });
}

#[test]
fn select_timeout_and_abort_lose_no_permit() {
    let runtime = crate::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let semaphore = Rc::new(Semaphore::new(1));
        let held = semaphore.clone().acquire_owned().await.unwrap();
        crate::select! {
            biased;
            _ = semaphore.acquire() => unreachable!("it is held"),
            () = crate::task::yield_now() => {}
        }
        let wait = crate::time::timeout(std::time::Duration::from_millis(1), semaphore.acquire());
        assert!(wait.await.is_err());
        let other = semaphore.clone();
        let task = crate::task::spawn(async move { drop(other.acquire().await) });
        crate::task::yield_now().await;
        drop(held);
        // Woken, and not polled again.
        task.abort();
        assert!(task.await.is_err());
        assert_eq!(semaphore.available_permits(), 1);
    });
}
