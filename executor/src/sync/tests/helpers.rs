use super::*;
use crate::sync::{mpsc, oneshot};
use std::future::{pending, ready};

#[test]
fn select_resolves_with_the_first_that_is_ready_and_drops_the_rest() {
    let dropped = Cell::new(false);
    let name = now(async {
        let watch = OnDrop(|| dropped.set(true));
        crate::select! {
            _ = async { let _watch = &watch; pending::<()>().await } => "pending",
            () = ready(()) => {
                // The loser is gone, so what it had borrowed can be moved.
                drop(watch);
                "ready"
            }
        }
    });
    assert_eq!(name, "ready");
    assert!(dropped.get());
}

#[test]
fn select_is_fair_between_branches_that_are_always_ready() {
    let mut wins = [0; 3];
    for _ in 0..300 {
        let winner = now(async {
            crate::select! {
                _ = ready(()) => 0,
                _ = ready(()) => 1,
                _ = ready(()) => 2,
            }
        });
        wins[winner] += 1;
    }
    assert!(wins.iter().all(|&count| count >= 50), "{wins:?}");
}

#[test]
fn in_a_runtime_select_is_fair_and_the_seed_repeats_its_choices() {
    let winners = |seed| {
        let runtime = crate::runtime::Runtime::builder().seed(seed).build();
        runtime.expect("a runtime").block_on(async {
            let mut winners = Vec::new();
            for _ in 0..300 {
                winners.push(crate::select! {
                    _ = ready(()) => 0,
                    _ = ready(()) => 1,
                    _ = ready(()) => 2,
                });
            }
            winners
        })
    };
    let first = winners(7);
    for branch in 0..3 {
        let wins = first.iter().filter(|&&winner| winner == branch).count();
        assert!(wins >= 50, "branch {branch} won {wins} times of 300");
    }
    assert_eq!(winners(7), first);
    assert_ne!(winners(8), first);
}

#[test]
fn biased_select_prefers_the_first_branch() {
    for _ in 0..100 {
        let winner = now(async {
            crate::select! {
                biased;
                _ = ready(()) => 0,
                _ = ready(()) => 1,
            }
        });
        assert_eq!(winner, 0);
    }
}

#[test]
fn select_leaves_out_what_a_condition_excludes() {
    let winner = now(async {
        let closed = true;
        crate::select! {
            biased;
            _ = ready(()), if !closed => 0,
            _ = ready(()), if closed => { 1 }
            _ = ready(()) => 2
        }
    });
    assert_eq!(winner, 1);
}

#[test]
#[should_panic(expected = "all branches of select! are left out")]
fn select_without_any_branch_left_panics() {
    now(async {
        crate::select! { _ = pending::<()>(), if false => {} }
    });
}

#[test]
fn select_takes_eight_branches_and_handlers_may_leave_the_loop() {
    let number = now(async {
        let mut turns = 0;
        loop {
            turns += 1;
            if turns == 1 {
                crate::select! { _ = ready(()) => continue }
            }
            crate::select! {
                n = pending::<i32>() => break n,
                n = pending::<i32>() => break n,
                n = pending::<i32>() => break n,
                n = pending::<i32>() => break n,
                n = pending::<i32>() => break n,
                n = pending::<i32>() => break n,
                n = pending::<i32>() => break n,
                n = ready(8) => { break n }
            }
        }
    });
    assert_eq!(number, 8);
}

#[test]
fn handlers_may_await_and_use_question_marks() {
    let result: Result<i32, oneshot::RecvError> = now(async {
        let (sender, receiver) = oneshot::channel::<i32>();
        sender.send(4).unwrap();
        let n = crate::select! {
            n = receiver => n? + ready(1).await,
            n = pending() => n,
        };
        Ok(n)
    });
    assert_eq!(result, Ok(5));
}

#[test]
fn a_select_in_a_loop_loses_no_message() {
    let (one_sender, mut one) = mpsc::channel(1);
    let (two_sender, mut two) = mpsc::channel(1);
    let total = Rc::new(Cell::new(0));
    let sum = total.clone();
    let send_all = |sender: mpsc::Sender<u32>| async move {
        for i in 1..=100 {
            sender.send(i).await.unwrap();
        }
    };
    run_all(vec![
        Box::pin(async move {
            let (mut one_open, mut two_open) = (true, true);
            while one_open || two_open {
                crate::select! {
                    message = one.recv(), if one_open => match message {
                        Some(n) => sum.set(sum.get() + n),
                        None => one_open = false,
                    },
                    message = two.recv(), if two_open => match message {
                        Some(n) => sum.set(sum.get() + 1000 * n),
                        None => two_open = false,
                    },
                }
            }
        }),
        Box::pin(send_all(one_sender)),
        Box::pin(send_all(two_sender)),
    ]);
    assert_eq!(total.get(), 5050 + 5050 * 1000);
}

#[test]
fn join_collects_all_outputs_whatever_the_order() {
    let (sender, receiver) = oneshot::channel();
    let (back_sender, back) = oneshot::channel();
    run_all(vec![Box::pin(async {
        let (first, (), third) =
            crate::join!(back, async move { sender.send(1).unwrap() }, async move {
                let n: i32 = receiver.await.unwrap();
                back_sender.send(n + 1).unwrap();
                "third"
            },);
        assert_eq!((first, third), (Ok(2), "third"));
    })]);
}

#[test]
fn join_drops_each_future_as_soon_as_it_resolved() {
    // Completes only if the sender inside the first, hand-made future goes away.
    struct Holds(#[expect(dead_code)] oneshot::Sender<()>);
    impl Future for Holds {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    let (sender, receiver) = oneshot::channel();
    run_all(vec![Box::pin(async {
        let ((), received) = crate::join!(Holds(sender), receiver);
        assert_eq!(received, Err(oneshot::RecvError));
    })]);
}

#[test]
fn join_takes_none_to_eight() {
    now(async {
        crate::join!();
        assert_eq!(crate::join!(ready(1)), (1,));
        let all = crate::join!(
            ready(1),
            ready(2),
            ready(3),
            ready(4),
            ready(5),
            ready(6),
            ready(7),
            ready(8)
        );
        assert_eq!(all, (1, 2, 3, 4, 5, 6, 7, 8));
    });
}
