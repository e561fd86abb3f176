//! The classic ways to write a server, against the number of users: requests per second, and how long one takes.

mod load;
mod paired;
mod processor;
mod reply;
mod serving;
pub(super) mod wrk;

use std::io;
use std::thread;
use std::time::Duration;

use krug::runtime::Driver;

use crate::floor::limits::raise_descriptor_limit;
use crate::floor::system;
use crate::harness::limit;
use crate::harness::machine::Machine;
use crate::harness::progress::Progress;
use crate::harness::report::{self, Line};
use crate::harness::serving::pin;
use crate::models::{self, MODELS, Model};
use crate::options::Options;
use load::{Load, Measured, Outcome};
use serving::{Folder, Serving};

/// What the process of a server does.
pub(super) fn serve(name: &str, options: &Options) -> io::Result<()> {
    let driver = match options.driver.as_str() {
        "epoll" => Driver::Epoll,
        _ => Driver::Uring,
    };
    models::serve(name, driver)
}

const USERS: &[usize] = &[1, 10, 100, 500, 1000, 2000, 5000, 11_000, 20_000];
const USERS_QUICK: &[usize] = &[1, 10, 100];

/// Descriptors of a process that are none of a user.
const OTHER_DESCRIPTORS: usize = 100;

const FILE: &str = "index.html";
const FILE_BYTES: usize = 4096;

/// What a model came to with so many users.
enum Point {
    Measured(Measured),
    /// Why it cannot go on.
    Cannot(String),
}

pub(super) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    let users_max = usize::try_from(raise_descriptor_limit()?)
        .unwrap_or(usize::MAX)
        .saturating_sub(OTHER_DESCRIPTORS);
    let content = content();
    let folder = Folder::with_file(FILE, &content)?;
    let models = chosen(options)?;
    introduce(options, users_max);
    let mut stopped: Vec<Option<String>> = vec![None; models.len()];
    let counts = counts(options, users_max);
    let progress = Progress::begin("", counts.len() * models.len());
    for users in counts {
        if limit::is_over() {
            progress.tell(&format!(
                "\nskipped: {users} users, the time of --quick is over"
            ));
            continue;
        }
        progress.tell(&columns(users));
        for (model, stopped) in models.iter().zip(&mut stopped) {
            let point = match stopped {
                Some(reason) => Point::Cannot(reason.clone()),
                None => measure(model, users, options, (&folder, &content), &progress)
                    .map_err(|error| io::Error::other(format!("{}: {error}", model.name)))?,
            };
            if let Point::Cannot(reason) = &point {
                *stopped = Some(reason.clone());
            }
            progress.tell(&described(model, &point));
            progress.step();
            keep(options, machine, model, users, &point)?;
        }
    }
    drop(progress);
    paired::compare(options, machine, &models, users_max, (&folder, &content))
}

/// Of the file that is served.
fn content() -> Vec<u8> {
    let letter = |place| b'a' + (place * 7 % 26) as u8;
    (0..FILE_BYTES).map(letter).collect()
}

/// Those that are named, or all.
fn chosen(options: &Options) -> io::Result<Vec<&'static Model>> {
    let named: Vec<_> = options.peers().map(|name| models::named(&name)).collect();
    match named.is_empty() {
        true => Ok(MODELS.iter().collect()),
        false => named.into_iter().collect(),
    }
}

/// Each once, none above what the process may have descriptors for.
fn counts(options: &Options, limit: usize) -> Vec<usize> {
    let wanted = match options.users {
        Some(users) => vec![users],
        None if options.quick => USERS_QUICK.to_vec(),
        None => USERS.to_vec(),
    };
    let mut counts: Vec<usize> = wanted.iter().map(|users| *users.min(&limit)).collect();
    counts.dedup();
    counts
}

fn measure(
    model: &Model,
    users: usize,
    options: &Options,
    (folder, content): (&Folder, &[u8]),
    progress: &Progress,
) -> io::Result<Point> {
    let serving = Serving::begin(model, &options.driver, folder)?;
    let title = format!("{}, {users} users", model.name);
    progress.say(&title);
    let load = load_of(&serving, users, options, content, (&title, progress));
    let outcome = generate(load)?;
    let ended = serving.end();
    Ok(match outcome {
        Outcome::Measured(measured) => {
            ended?;
            match measured.replies {
                0 => Point::Cannot(format!("no answer to {users} users")),
                _ => Point::Measured(*measured),
            }
        }
        Outcome::Stuck { answered } => {
            let why = ended.unwrap_or_else(|error| Some(error.to_string()));
            let why = why.map_or_else(String::new, |reason| format!(": {reason}"));
            let seconds = load.patience.as_secs();
            Point::Cannot(format!(
                "{answered} of {users} users were answered within {seconds} s{why}"
            ))
        }
    })
}

fn load_of<'a>(
    serving: &Serving,
    users: usize,
    options: &Options,
    content: &'a [u8],
    (title, progress): (&'a str, &'a Progress),
) -> Load<'a> {
    Load {
        address: serving.address,
        server: serving.id(),
        users,
        name: FILE,
        content,
        first_core: system::allowed_cores().first().copied(),
        patience: Duration::from_secs(if options.quick { 2 } else { 20 }),
        warm_up: options.warm_up * longer(users),
        measured: options.measured * longer(users),
        progress,
        title,
    }
}

/// On a thread of its own, on the second core.
fn generate(load: Load<'_>) -> io::Result<Outcome> {
    thread::scope(|scope| {
        let generator = thread::Builder::new().name("load".to_owned());
        let generator = generator.spawn_scoped(scope, || {
            pin(1)?;
            load::generate(load)
        })?;
        let panicked = |_| Err(io::Error::other("the load generator has panicked"));
        generator.join().unwrap_or_else(panicked)
    })
}

/// By how much more time is measured, so that everybody comes to be answered several times.
fn longer(users: usize) -> u32 {
    1 + u32::try_from(users / 5000).unwrap_or(0)
}

fn introduce(options: &Options, limit: usize) {
    println!(
        "\nmodels: a file of {FILE_BYTES} bytes over HTTP/1.1, each user one request at a time, TCP_NODELAY, cubic; {} s for each number of users, more from 5000 on; krug on {}",
        options.measured.as_secs_f64(),
        options.driver,
    );
    println!(
        "A process may have {} descriptors, so there are {limit} users at most. The load has the second core for itself, but for models marked +, which are on it, too, where there are only two",
        limit + OTHER_DESCRIPTORS
    );
    println!(
        "µs of CPU: of all processes and threads of the server, for each request; beside it p50 and p99 of the time until a user has its reply"
    );
    println!(
        "Models marked × close after each reply, because who serves is taken as long as a connection lasts: their users connect anew each time"
    );
}

fn columns(users: usize) -> String {
    format!(
        "\n{:<19} {:>11} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>8}",
        format!("{users} users"),
        "requests/s",
        "µs of CPU",
        "p50 µs",
        "p99 µs",
        "first core",
        "generator",
        "unanswered",
        "broken"
    )
}

/// With the marks that [`introduce`] explains.
fn title(model: &Model) -> String {
    let cores = system::allowed_cores();
    let shares = cores.len() < 2 || model.cores.of(&cores).contains(&cores[1]);
    let shares = if shares { " +" } else { "" };
    let closes = if model.closes { " ×" } else { "" };
    format!("{}{shares}{closes}", model.name)
}

fn described(model: &Model, point: &Point) -> String {
    let title = title(model);
    match point {
        Point::Cannot(reason) => format!("{title:<19} cannot: {reason}"),
        Point::Measured(measured) => format!(
            "{title:<19} {:>11.0} {:>10.2} {:>10.0} {:>10.0} {:>8.0} % {:>8.0} % {:>10} {:>8}",
            measured.rate(),
            measured.server_cost(),
            measured.microseconds(50.0),
            measured.microseconds(99.0),
            measured.first_core_load.unwrap_or(f64::NAN) * 100.0,
            measured.load() * 100.0,
            measured.unanswered,
            measured.broken
        ),
    }
}

impl Measured {
    fn rate(&self) -> f64 {
        self.replies as f64 / self.elapsed.as_secs_f64()
    }

    fn microseconds(&self, percent: f64) -> f64 {
        self.latencies.value_at_percentile(percent) as f64 / 1e3
    }

    /// Time on processors for each request, in microseconds, of all processes of the server together.
    fn server_cost(&self) -> f64 {
        self.server_busy.as_secs_f64() * 1e6 / self.replies as f64
    }

    /// Of the core that the generator is on, its own share.
    fn load(&self) -> f64 {
        self.busy.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

/// The points of one picture: its title, what its y is, and how to read it off.
type Picture = (&'static str, &'static str, fn(&Measured) -> f64);

const PICTURES: &[Picture] = &[
    ("requests per second", "requests per second", Measured::rate),
    (
        "time on processors",
        "µs of CPU for each request",
        Measured::server_cost,
    ),
    ("p50", "median latency, µs", |measured| {
        measured.microseconds(50.0)
    }),
    ("p99", "99 of 100 take at most, µs", |measured| {
        measured.microseconds(99.0)
    }),
];

fn keep(
    options: &Options,
    machine: &Machine,
    model: &Model,
    users: usize,
    point: &Point,
) -> io::Result<()> {
    let series = match model.name.starts_with("krug") {
        true => format!("{} ({})", title(model), options.driver),
        false => title(model),
    };
    for (plot, y_label, y) in PICTURES {
        let mut line = Line::of(machine, "models", "curve");
        line.text("plot", plot).text("series", &series);
        line.text("x_label", "concurrent users")
            .text("y_label", y_label);
        line.number("x", users as f64);
        match point {
            Point::Cannot(reason) => line.text("cannot", reason),
            Point::Measured(measured) => line
                .number("y", y(measured))
                .number("generator_load", measured.load())
                .number(
                    "first_core_load",
                    measured.first_core_load.unwrap_or(f64::NAN),
                )
                .number("unanswered", measured.unanswered as f64)
                .number("broken", measured.broken as f64),
        };
        report::keep(options.json.as_deref(), &line)?;
    }
    Ok(())
}
