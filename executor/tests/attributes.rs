//! `#[krug::test]` and `#[krug::main]` as users write them.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

krug_tests::on_every_driver!();

thread_local! {
    static RAN: Cell<bool> = const { Cell::new(false) };
}

#[krug::test]
async fn a_test_runs_inside_a_runtime() {
    let task = krug::spawn(async { 7 });
    assert_eq!(task.await.unwrap(), 7);
}

#[krug::test]
async fn a_test_may_return_a_result() -> io::Result<()> {
    let text = String::from_utf8(vec![0x6f, 0x6b]).map_err(io::Error::other)?;
    assert_eq!(text, "ok");
    Ok(())
}

#[krug::test(start_paused = true, entries = 4 * 2, seed = 7)]
async fn a_test_with_a_paused_clock_sleeps_in_no_time() {
    let began = Instant::now();
    let hour = Duration::from_secs(3600);
    let begin = krug::time::now();
    krug::time::sleep(hour).await;
    assert_eq!(krug::time::now(), begin + hour);
    assert!(began.elapsed() < hour);
}

#[krug::test]
#[should_panic(expected = "this one")]
async fn a_test_may_be_expected_to_panic() {
    krug::task::yield_now().await;
    panic!("this one");
}

#[krug::main(entries = 8)]
async fn start() -> Result<&'static str, krug::time::Elapsed> {
    RAN.set(true);
    krug::time::timeout(Duration::from_secs(60), async { "done" }).await
}

#[test]
fn main_runs_its_function_and_returns_what_that_returns() {
    assert_eq!(start(), Ok("done"));
    assert!(RAN.get());
}

#[test]
fn the_same_seed_makes_the_same_choices() {
    let choices = |seed| {
        let runtime = krug::Runtime::builder().seed(seed).build().unwrap();
        runtime.block_on(async {
            let mut choices = Vec::new();
            for _ in 0..64 {
                choices.push(krug::select! {
                    _ = std::future::ready(()) => 0,
                    _ = std::future::ready(()) => 1,
                    _ = std::future::ready(()) => 2,
                });
            }
            choices
        })
    };
    assert_eq!(choices(1), choices(1));
    assert_ne!(choices(1), choices(2));
    for branch in 0..3 {
        assert!(choices(1).contains(&branch));
    }
}
