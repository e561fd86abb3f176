//! A line that says what runs, on standard error and only if that is a terminal: tables on standard output stay clean.

use std::cell::Cell;
use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Gone from the terminal when it is dropped, so that tables may follow.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

thread_local! {
    /// The scenario that runs on this thread.
    static SCENARIO: Cell<&'static str> = const { Cell::new("") };
}

/// Says which scenario the progress from now on is of.
pub(crate) fn of_scenario(name: &'static str) {
    SCENARIO.set(name);
}

impl Progress {
    /// Of so many steps. `what` is said beside the scenario: one of several things that it measures, or nothing.
    pub(crate) fn begin(what: &str, steps: usize) -> Progress {
        let target = if io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let progress = Progress::on(target, what, steps);
        // A step may take seconds: the time goes on beside it.
        if !progress.bar.is_hidden() {
            progress.bar.enable_steady_tick(Duration::from_millis(250));
        }
        progress
    }

    /// For what tells its steps where somebody else tells how far all is.
    pub(crate) fn unseen() -> Progress {
        Progress::on(ProgressDrawTarget::hidden(), "", 0)
    }

    fn on(target: ProgressDrawTarget, what: &str, steps: usize) -> Progress {
        let template = "{prefix} [{bar:24}] {pos}/{len} {elapsed}, about {eta} left  {msg}";
        let style = ProgressStyle::with_template(template).expect("it is a right template");
        let bar = ProgressBar::with_draw_target(Some(steps as u64), target).with_style(style);
        let prefix = [SCENARIO.get(), what];
        let prefix: Vec<&str> = prefix.into_iter().filter(|word| !word.is_empty()).collect();
        bar.set_prefix(prefix.join(", "));
        Progress { bar }
    }

    /// Says what the last step has come to, or what the next one is.
    pub(crate) fn say(&self, words: &str) {
        self.bar.set_message(words.to_owned());
    }

    /// Prints a line of a table while there are more steps to come.
    pub(crate) fn tell(&self, line: &str) {
        self.bar.suspend(|| println!("{line}"));
    }

    /// One step is done.
    pub(crate) fn step(&self) {
        self.bar.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;

    #[test]
    fn it_says_scenario_and_steps_and_leaves_nothing_behind() {
        let terminal = InMemoryTerm::new(5, 100);
        of_scenario("echo");
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let progress = Progress::on(target, "16 in flight", 9);
        progress.say("tokio");
        progress.step();
        progress.bar.tick();
        let seen = terminal.contents();
        for word in ["echo, 16 in flight", "1/9", "tokio"] {
            assert!(seen.contains(word), "no {word:?} in {seen:?}");
        }
        drop(progress);
        assert_eq!(terminal.contents(), "");
    }
}
