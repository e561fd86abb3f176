//! The runtimes that are compared, one file each, set to what their own documentation recommends for speed.

mod compio;
mod floor;
mod glommio;
mod kimojio;
mod krug;
mod monoio;
mod smol;
mod tokio;
mod tokio_uring;

use std::io;
use std::time::Duration;

use krug_benches::harness::{Job, Served};

use crate::work::{Outcome, Work};

/// How a runtime waits that has a setting for it.
#[derive(Debug, Clone, Copy)]
enum Waiting {
    /// It sleeps at once.
    Asleep,
    /// It looks on for [`LONGEST_LOOK`] before it sleeps.
    LookingOn,
}

/// That of krug at most, where it is pinned.
const LONGEST_LOOK: Duration = Duration::from_micros(100);

/// A runtime with its settings.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// The crate whose version is told.
    package: &'static str,
    /// Sends back what comes on so many connections; ends with the last of them.
    pub(crate) echo: fn(&Job) -> io::Result<Served>,
    /// On the calling thread.
    pub(crate) run: fn(&Work) -> Outcome,
    /// Which channel carries messages between its tasks.
    pub(crate) channel: &'static str,
    /// How a task lets others run.
    pub(crate) yielding: &'static str,
}

pub(crate) const ALL: &[Peer] = &[
    Peer {
        name: SUBJECT,
        package: "krug",
        echo: krug::echo,
        run: krug::run,
        channel: "krug::sync::mpsc",
        yielding: "krug::task::yield_now",
    },
    Peer {
        name: SUBJECT_IN_RECV,
        package: "krug",
        echo: krug::echo_by_recv,
        run: krug::run,
        channel: "krug::sync::mpsc",
        yielding: "krug::task::yield_now",
    },
    Peer {
        name: "floor",
        package: "krug-benches",
        echo: krug_benches::harness::serve_floor,
        run: floor::run,
        channel: "none",
        yielding: "none",
    },
    Peer {
        name: "tokio",
        package: "tokio",
        echo: tokio::echo,
        run: tokio::run,
        channel: "tokio::sync::mpsc",
        yielding: "tokio::task::yield_now",
    },
    Peer {
        name: "smol",
        package: "smol",
        echo: smol::echo,
        run: smol::run,
        channel: "smol::channel",
        yielding: "smol::future::yield_now",
    },
    Peer {
        name: "monoio",
        package: "monoio",
        echo: |job| monoio::echo(monoio::Ring::AsItComes, job),
        run: |work| monoio::run(monoio::Ring::AsItComes, work),
        channel: LOCAL_SYNC,
        yielding: FUTURES_LITE,
    },
    Peer {
        name: "monoio-defer",
        package: "monoio",
        echo: |job| monoio::echo(monoio::Ring::Defer, job),
        run: |work| monoio::run(monoio::Ring::Defer, work),
        channel: LOCAL_SYNC,
        yielding: FUTURES_LITE,
    },
    Peer {
        name: "glommio",
        package: "glommio",
        echo: |job| glommio::echo(Waiting::Asleep, job),
        run: |work| glommio::run(Waiting::Asleep, work),
        channel: "glommio::channels::local_channel",
        yielding: "glommio::executor().yield_now",
    },
    Peer {
        name: "glommio-spin",
        package: "glommio",
        echo: |job| glommio::echo(Waiting::LookingOn, job),
        run: |work| glommio::run(Waiting::LookingOn, work),
        channel: "glommio::channels::local_channel",
        yielding: "glommio::executor().yield_now",
    },
    Peer {
        name: "compio",
        package: "compio",
        echo: |job| compio::echo(compio::Ring::Coop, job),
        run: |work| compio::run(compio::Ring::Coop, work),
        channel: LOCAL_SYNC,
        yielding: FUTURES_LITE,
    },
    Peer {
        name: "compio-defer",
        package: "compio",
        echo: |job| compio::echo(compio::Ring::Defer, job),
        run: |work| compio::run(compio::Ring::Defer, work),
        channel: LOCAL_SYNC,
        yielding: FUTURES_LITE,
    },
    Peer {
        name: "tokio-uring",
        package: "tokio-uring",
        echo: tokio_uring::echo,
        run: tokio_uring::run,
        channel: "tokio::sync::mpsc",
        yielding: "tokio::task::yield_now",
    },
    Peer {
        name: "kimojio",
        package: "kimojio",
        echo: |job| kimojio::echo(Waiting::Asleep, job),
        run: |work| kimojio::run(Waiting::Asleep, work),
        channel: "kimojio::async_channel",
        yielding: "kimojio::operations::yield_io",
    },
    Peer {
        name: "kimojio-busy",
        package: "kimojio",
        echo: |job| kimojio::echo(Waiting::LookingOn, job),
        run: |work| kimojio::run(Waiting::LookingOn, work),
        channel: "kimojio::async_channel",
        yielding: "kimojio::operations::yield_io",
    },
];

const SUBJECT: &str = "krug-uring";
const SUBJECT_IN_RECV: &str = "krug-recv";
const LOCAL_SYNC: &str = "local-sync, as it has none of its own";
const FUTURES_LITE: &str = "futures-lite, as it has none of its own";

/// Who is compared with all others.
pub(crate) fn subject() -> &'static Peer {
    &ALL[0]
}

/// The same, receiving into buffers that are lent only while there is something in them.
pub(crate) fn subject_in_recv() -> &'static Peer {
    &ALL[1]
}

impl Peer {
    pub(crate) fn is_ours(&self) -> bool {
        self.package == subject().package
    }
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name)
    }
}

pub(crate) fn named(name: &str) -> io::Result<&'static Peer> {
    let found = ALL.iter().find(|peer| peer.name == name);
    found.ok_or_else(|| io::Error::other(format!("no peer is called `{name}`")))
}

/// The crates whose versions are told, each once.
pub(crate) fn packages() -> Vec<&'static str> {
    let mut packages: Vec<_> = ALL.iter().map(|peer| peer.package).collect();
    packages.dedup();
    packages
}

#[cfg(test)]
mod tests {
    use std::fs;

    use krug_benches::harness::serving::on_first_core;

    use super::*;

    const PAUSES: u64 = 200;
    /// Shorter than [`LONGEST_LOOK`], and longer than a runtime takes to go to sleep, without optimisation.
    const SHORT: Duration = Duration::from_micros(60);
    const LONG: Duration = Duration::from_millis(1);

    type Pause = fn(Waiting, u64, Duration) -> io::Result<()>;

    /// How often the calling thread has given its core away by itself.
    fn given_away() -> io::Result<u64> {
        let status = fs::read_to_string("/proc/thread-self/status")?;
        let mut lines = status.lines();
        let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        let count = count.and_then(|count| count.trim().parse().ok());
        count.ok_or_else(|| io::Error::other("the kernel does not count it"))
    }

    /// How many of the pauses are slept through.
    fn slept(pause: Pause, waiting: Waiting, time: Duration) -> u64 {
        let run = || {
            let before = given_away()?;
            pause(waiting, PAUSES, time)?;
            io::Result::Ok(given_away()? - before)
        };
        on_first_core(run).unwrap()
    }

    /// By what the kernel counts and not by time, which other programs take.
    #[test]
    fn who_looks_on_sleeps_through_long_pauses_only_and_others_through_short_ones_too() {
        let pauses: [(&str, Pause); 2] = [
            ("glommio-spin", glommio::pause),
            ("kimojio-busy", kimojio::pause),
        ];
        for (name, pause) in pauses {
            let peer = named(name).unwrap();
            if let Err(error) = on_first_core(|| (peer.run)(&Work::Nothing)) {
                println!("skipped: {name}, which does not start here: {error}");
                continue;
            }
            for (waiting, time, sleeps) in [
                (Waiting::Asleep, SHORT, true),
                (Waiting::LookingOn, SHORT, false),
                (Waiting::LookingOn, LONG, true),
            ] {
                let slept = slept(pause, waiting, time);
                println!("{name}, {waiting:?}, {time:?}: {slept} of {PAUSES}");
                assert_eq!(
                    slept > PAUSES / 2,
                    sleeps,
                    "{name}, {waiting:?}, {time:?}: {slept} of {PAUSES}"
                );
            }
        }
    }
}
