//! The classic ways to write a server, each a small file server of HTTP/1.1, to be compared with each other.
//!
//! What is said on a connection is the same for all ([`conversation`], on [`http`]); a model decides who waits for what, and how. A
//! server is a process of its own. It gets a listener as its standard input and serves the folder that it is in, until the listener
//! is shut down.

mod acceptor;
mod blocking;
pub(crate) mod calls;
mod connection;
mod conversation;
mod epoll;
mod files;
mod forking;
mod http;
mod iterative;
mod krug;
mod names;
mod poll;
mod preforked;
mod prethreaded;
mod select;
mod threaded;

use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;

use ::krug::runtime::Driver;

pub(crate) use acceptor::REFUSES;

use crate::floor::{limits, system};
use acceptor::Acceptor;
use files::Files;

/// A way to serve.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) cores: Cores,
    /// It closes each connection after one answer: those who serve are few, and a connection that is kept would keep one of them
    /// from everybody else.
    pub(crate) closes: bool,
    serve: fn(Site) -> io::Result<()>,
}

/// Where a model runs. The second core belongs to the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    /// It is of one thread.
    One,
    /// All but that of the load.
    Others,
    /// As well, but if there are only two, both: else it would not show what it is for.
    AtLeastTwo,
}

impl Cores {
    /// Those that it gets of all that there are.
    pub(crate) fn of(self, all: &[usize]) -> Vec<usize> {
        match (self, all) {
            (_, [] | [_]) | (Cores::AtLeastTwo, [_, _]) => all.to_vec(),
            (Cores::One, [first, ..]) => vec![*first],
            (_, [first, _, others @ ..]) => [&[*first], others].concat(),
        }
    }
}

/// What a server is given.
struct Site {
    acceptor: Acceptor,
    files: Files,
    driver: Driver,
}

pub(crate) const MODELS: &[Model] = &[
    Model {
        name: "iterative",
        cores: Cores::One,
        closes: true,
        serve: iterative::serve,
    },
    Model {
        name: "forking",
        cores: Cores::Others,
        closes: false,
        serve: forking::serve,
    },
    Model {
        name: "preforked",
        cores: Cores::Others,
        closes: true,
        serve: preforked::serve,
    },
    Model {
        name: "threaded",
        cores: Cores::Others,
        closes: false,
        serve: threaded::serve,
    },
    Model {
        name: "prethreaded",
        cores: Cores::Others,
        closes: true,
        serve: prethreaded::serve,
    },
    Model {
        name: "select",
        cores: Cores::One,
        closes: false,
        serve: select::serve,
    },
    Model {
        name: "poll",
        cores: Cores::One,
        closes: false,
        serve: poll::serve,
    },
    Model {
        name: "epoll",
        cores: Cores::One,
        closes: false,
        serve: epoll::serve,
    },
    Model {
        name: "krug-one-core",
        cores: Cores::One,
        closes: false,
        serve: krug::serve_on_one_core,
    },
    Model {
        name: "krug-all-cores",
        cores: Cores::AtLeastTwo,
        closes: false,
        serve: krug::serve_on_all_cores,
    },
];

/// Workers of the models that begin them before there is a user: as many as a server of that kind has by default, within a few.
const WORKERS: usize = 64;

/// How much is received at once.
const RECEIVED_MAX: usize = 4096;

/// What the process says when it serves.
pub(crate) const READY: &str = "ready";

pub(crate) fn named(name: &str) -> io::Result<&'static Model> {
    MODELS
        .iter()
        .find(|model| model.name == name)
        .ok_or_else(|| {
            let names: Vec<_> = MODELS.iter().map(|model| model.name).collect();
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "no model is called `{name}`: there are {}",
                    names.join(", ")
                ),
            )
        })
}

/// What the process of a server does.
pub(crate) fn serve(name: &str, driver: Driver) -> io::Result<()> {
    // If the parent ended before this, the word below reaches nobody, and that is an error.
    limits::end_with_parent()?;
    let model = named(name)?;
    let cores = system::allowed_cores();
    if cores.len() > 1 {
        system::stay_on(&model.cores.of(&cores))?;
    }
    limits::raise_descriptor_limit()?;
    let listener = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    // It is an error here if standard input is something else.
    listener.local_addr()?;
    let site = Site {
        acceptor: Acceptor::new(listener)?,
        files: Files::of(std::env::current_dir()?),
        driver,
    };
    let mut output = io::stdout();
    writeln!(output, "{READY}")?;
    output.flush()?;
    (model.serve)(site)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_has_the_second_core_for_itself_where_that_is_possible() {
        let (one, others, two) = (Cores::One, Cores::Others, Cores::AtLeastTwo);
        for (cores, all, expected) in [
            (one, &[3][..], &[3][..]),
            (one, &[3, 5, 6], &[3]),
            (others, &[3], &[3]),
            (others, &[3, 5], &[3]),
            (others, &[3, 5, 6, 7], &[3, 6, 7]),
            (two, &[3, 5], &[3, 5]),
            (two, &[3, 5, 6], &[3, 6]),
        ] {
            assert_eq!(cores.of(all), expected, "{cores:?} of {all:?}");
        }
    }
}
