//! Something that is done many times over, by each contestant in its own way: how long it takes once.

use std::io;
use std::time::{Duration, Instant};

use krug::runtime::{Driver, Runtime};

use crate::floor::ring::Ring;
use crate::floor::system;
use crate::harness::machine::Machine;
use crate::harness::pairs::{Runs, interleave};
use crate::harness::report::{self, Comparison, Line};
use crate::harness::serving::on_first_core;
use crate::harness::statistics::Summary;
use crate::options::Options;
use crate::peers;
use crate::scenarios::EVERY;

/// What is measured.
pub(super) struct Course {
    pub(super) scenario: &'static str,
    /// One of the things that the scenario is about.
    pub(super) what: &'static str,
    /// What it should come to.
    pub(super) wanted: &'static str,
    /// How often a run does it, of `--operations`.
    pub(super) count: fn(operations: u64) -> u64,
    /// Differences below it cannot be told apart here.
    pub(super) resolution: f64,
    pub(super) contestants: &'static [Contestant],
}

/// Who takes part.
pub(super) struct Contestant {
    pub(super) name: &'static str,
    /// Does it at least so many times.
    pub(super) run: fn(operations: u64) -> io::Result<Done>,
}

/// What one run has come to. It has checked what it did.
#[derive(Debug, Clone)]
pub(super) struct Done {
    pub(super) operations: u64,
    pub(super) took: Duration,
    /// What else was seen, by the names that it has in the results.
    pub(super) details: Vec<(&'static str, f64)>,
}

impl Done {
    pub(super) fn nanoseconds(&self) -> f64 {
        self.took.as_nanos() as f64 / self.operations as f64
    }

    fn rate(&self) -> f64 {
        1e9 / self.nanoseconds()
    }
}

/// Why this machine does not let somebody take part, if so.
pub(super) fn refusal(name: &str) -> Option<String> {
    let ring = match name {
        "krug-uring" | "krug-uring-nospin" => {
            Runtime::builder().driver(Driver::Uring).build().err()
        }
        "floor" | "floor-spin" => Ring::new(8).err(),
        _ => None,
    };
    ring.map(|error| error.to_string())
}

/// The subject, and with whom it is compared, of those that take part: with all, if nobody is named. `None` if there is nothing to compare.
pub(super) fn field<'a, T>(
    options: &Options,
    all: &'a [T],
    name: fn(&T) -> &'static str,
) -> io::Result<Option<(&'a T, Vec<&'a T>)>> {
    field_without(options, all, name, refusal)
}

/// Whoever is refused is left out, with a line that says why.
pub(super) fn field_without<'a, T>(
    options: &Options,
    all: &'a [T],
    name: fn(&T) -> &'static str,
    refusal: impl Fn(&str) -> Option<String>,
) -> io::Result<Option<(&'a T, Vec<&'a T>)>> {
    let find = |wanted: &str| match all.iter().find(|one| name(one) == wanted) {
        Some(one) => Ok(Some(one)),
        // It may take part in other scenarios.
        None if options.scenario == EVERY || peers::named(wanted).is_ok() => Ok(None),
        None => {
            let names: Vec<_> = all.iter().map(name).collect();
            Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "nobody is called `{wanted}`: there are {}",
                    names.join(", ")
                ),
            ))
        }
    };
    let subject = find(&options.subject())?;
    let mut baselines = Vec::new();
    let mut is_open = true;
    for wanted in options.peers() {
        is_open = false;
        baselines.extend(find(&wanted)?);
    }
    if is_open {
        let subject = subject.map(name);
        baselines.extend(all.iter().filter(|one| Some(name(one)) != subject));
    }
    let can_run = |one: &&T| match refusal(name(one)) {
        None => true,
        Some(reason) => {
            println!("\n{}: skipped: {reason}", name(one));
            false
        }
    };
    baselines.retain(can_run);
    Ok(subject
        .filter(|_| !baselines.is_empty())
        .filter(can_run)
        .map(|subject| (subject, baselines)))
}

/// Says why nothing is measured.
pub(super) fn skip(what: &str) {
    println!(
        "\n{what}: skipped, as of those that can and are to take part none is left to compare"
    );
}

/// Runs a course in pairs, and tells.
pub(super) fn compare(options: &Options, machine: &Machine, course: &Course) -> io::Result<()> {
    let title = format!("{}, {}", course.scenario, course.what);
    let Some((subject, baselines)) = field(options, course.contestants, |one| one.name)? else {
        skip(&title);
        return Ok(());
    };
    let operations = (course.count)(options.operations).max(1);
    println!(
        "\n{title}; {} pairs of {operations}; wanted: {}",
        options.pairs, course.wanted
    );
    let runs = interleave(options.pairs, baselines.len(), |who| {
        let contestant = who.of(subject, &baselines);
        run_once(contestant, operations)
            .map_err(|error| io::Error::other(format!("{title}, {}: {error}", contestant.name)))
    })?;
    let names: Vec<&str> = baselines.iter().map(|one| one.name).collect();
    for (name, row) in runs.rows(subject.name, &names) {
        tell(name, row);
        let mut line = Line::of(machine, course.scenario, "runs");
        line.text("what", course.what).text("peer", name);
        line.number("operations", operations as f64);
        line.numbers("nanoseconds", row.iter().map(Done::nanoseconds));
        for (name, value) in details(row) {
            line.number(name, *value);
        }
        report::keep(options.json.as_deref(), &line)?;
    }
    let field = (subject.name, &*names);
    let compared = (course.scenario, course.what, course.resolution);
    tell_ratios(options, machine, compared, field, &runs, Done::rate)
}

fn run_once(contestant: &Contestant, operations: u64) -> io::Result<Done> {
    on_first_core(|| (contestant.run)(operations))
}

fn tell(name: &str, row: &[Done]) {
    let time = Summary::of(&row.iter().map(Done::nanoseconds).collect::<Vec<_>>());
    let described = details(row)
        .iter()
        .map(|(name, value)| format!("{} {value:.3}", name.replace('_', " ")));
    println!(
        "{name:<12} {:>9.1} ns each ({:.1}…{:.1}), {:>9.1} k/s  {}",
        time.median,
        time.minimum,
        time.maximum,
        1e6 / time.median,
        described.collect::<Vec<_>>().join(", "),
    );
}

/// Those of the last run.
fn details(row: &[Done]) -> &[(&'static str, f64)] {
    row.last().map_or(&[], |done| &done.details)
}

/// Tells, and keeps, how the subject stands to each of its baselines: above 1 in what `rate` reads off a run is better.
pub(super) fn tell_ratios<T>(
    options: &Options,
    machine: &Machine,
    (scenario, what, resolution): (&str, &str, f64),
    (subject, baselines): (&str, &[&str]),
    runs: &Runs<T>,
    rate: fn(&T) -> f64,
) -> io::Result<()> {
    for (index, baseline) in baselines.iter().enumerate() {
        let sides = (subject, (index, *baseline));
        let comparison = Comparison::of(runs, sides, resolution, rate);
        println!("{}", comparison.describe());
        let mut line = comparison.line(machine, scenario);
        line.text("what", what);
        report::keep(options.json.as_deref(), &line)?;
    }
    Ok(())
}

/// Does the work on a runtime of ours, on this thread; it says how often it did it. What came before has warmed up.
pub(super) fn on_krug(
    driver: Driver,
    operations: u64,
    work: impl AsyncFn(u64) -> io::Result<u64>,
) -> io::Result<Done> {
    let runtime = Runtime::builder().driver(driver).build()?;
    runtime.block_on(async {
        work(operations.div_ceil(10)).await?;
        let before = runtime.metrics().enters;
        let mut done = timed(operations, &work).await?;
        let enters = (runtime.metrics().enters - before) as f64 / done.operations as f64;
        done.details.push(("enters_each", enters));
        Ok(done)
    })
}

/// The same on tokio, which does not count its system calls.
pub(super) fn on_tokio(
    operations: u64,
    work: impl AsyncFn(u64) -> io::Result<u64>,
) -> io::Result<Done> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    on_runtime_of_tokio(builder.enable_all(), operations, work)
}

/// The same on tokio without its drivers, which it else asks whenever no task is ready: for what needs neither I/O nor timers.
pub(super) fn on_tokio_without_io(
    operations: u64,
    work: impl AsyncFn(u64) -> io::Result<u64>,
) -> io::Result<Done> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    on_runtime_of_tokio(&mut builder, operations, work)
}

fn on_runtime_of_tokio(
    builder: &mut tokio::runtime::Builder,
    operations: u64,
    work: impl AsyncFn(u64) -> io::Result<u64>,
) -> io::Result<Done> {
    builder.build()?.block_on(async {
        work(operations.div_ceil(10)).await?;
        timed(operations, &work).await
    })
}

/// The same without a runtime.
pub(super) fn on_nothing(
    operations: u64,
    work: impl Fn(u64) -> io::Result<u64>,
) -> io::Result<Done> {
    work(operations.div_ceil(10))?;
    let before = Before::now()?;
    let operations = work(operations)?;
    before.done(operations)
}

async fn timed(operations: u64, work: impl AsyncFn(u64) -> io::Result<u64>) -> io::Result<Done> {
    let before = Before::now()?;
    let operations = work(operations).await?;
    before.done(operations)
}

/// When a run began, and what its thread had cost by then.
struct Before {
    begin: Instant,
    busy: Duration,
}

impl Before {
    fn now() -> io::Result<Before> {
        Ok(Before {
            begin: Instant::now(),
            busy: system::thread_time(),
        })
    }

    fn done(self, operations: u64) -> io::Result<Done> {
        let took = self.begin.elapsed();
        let busy = system::thread_time().saturating_sub(self.busy);
        // Below 1 where it waited, or where others had the core.
        let load = busy.as_secs_f64() / took.as_secs_f64();
        Ok(Done {
            operations,
            took,
            details: vec![("core_load", load)],
        })
    }
}

/// The usual four: our two drivers, tokio, and a loop without an executor; and somebody else, if there is.
macro_rules! contestants {
    ($krug:path, $tokio:path, $floor:path $(, $more:expr)?) => {
        &[
            $crate::scenarios::course::Contestant {
                name: "krug-uring",
                run: |operations| {
                    $crate::scenarios::course::on_krug(
                        ::krug::runtime::Driver::Uring,
                        operations,
                        $krug,
                    )
                },
            },
            $crate::scenarios::course::Contestant {
                name: "krug-epoll",
                run: |operations| {
                    $crate::scenarios::course::on_krug(
                        ::krug::runtime::Driver::Epoll,
                        operations,
                        $krug,
                    )
                },
            },
            $crate::scenarios::course::Contestant {
                name: "tokio",
                run: |operations| $crate::scenarios::course::on_tokio(operations, $tokio),
            },
            $crate::scenarios::course::Contestant {
                name: "floor",
                run: |operations| $crate::scenarios::course::on_nothing(operations, $floor),
            },
            $($more,)?
        ]
    };
}
pub(super) use contestants;

/// Every contestant does so many, few, and not fewer than were asked for.
#[cfg(test)]
pub(super) fn ends_for_all(course: &Course, operations: u64) {
    for contestant in course.contestants {
        let done = run_once(contestant, operations)
            .unwrap_or_else(|error| panic!("{}, {}: {error}", course.what, contestant.name));
        let name = contestant.name;
        assert!(
            (operations..operations + 128).contains(&done.operations),
            "{}, {name}: {} instead of {operations}",
            course.what,
            done.operations
        );
        assert!(done.took > Duration::ZERO, "{}, {name}", course.what);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::options::{Parsed, parse};

    const NAMES: &[&str] = &["krug-uring", "krug-epoll", "floor"];

    fn field_of(line: &str) -> io::Result<Option<(&'static str, Vec<&'static str>)>> {
        let Ok(Parsed::Run(options)) = parse(line.split_whitespace().map(str::to_owned)) else {
            panic!("{line}")
        };
        let field = field(&options, NAMES, |name| name)?;
        Ok(field.map(|(subject, baselines)| (*subject, baselines.into_iter().copied().collect())))
    }

    #[test]
    fn without_names_all_are_compared_and_with_names_those() {
        let all = field_of("nop").unwrap();
        assert_eq!(all, Some(("krug-uring", vec!["krug-epoll", "floor"])));
        let one = field_of("nop --driver epoll --peer floor").unwrap();
        assert_eq!(one, Some(("krug-epoll", vec!["floor"])));
        let noise = field_of("nop --peer krug").unwrap();
        assert_eq!(noise, Some(("krug-uring", vec!["krug-uring"])));
    }

    #[test]
    fn who_has_nothing_to_compare_is_skipped_and_who_is_nobody_is_an_error() {
        assert_eq!(field_of("nop --peer tokio").unwrap(), None);
        assert_eq!(field_of("nop --subject tokio").unwrap(), None);
        assert!(field_of("nop --peer nobody").is_err());
    }

    #[test]
    fn whom_the_machine_refuses_is_left_out_and_the_others_are_compared() {
        let field_on = |refused: &'static str| {
            let Ok(Parsed::Run(options)) = parse(["nop".to_owned()].into_iter()) else {
                panic!("it names a scenario")
            };
            let refusal = |name: &str| (name == refused).then(|| "forbidden".to_owned());
            let field = field_without(&options, NAMES, |name| *name, refusal).unwrap();
            field.map(|(_, baselines)| baselines.into_iter().copied().collect::<Vec<_>>())
        };
        assert_eq!(field_on("floor"), Some(vec!["krug-epoll"]));
        assert_eq!(field_on("krug-uring"), None);
        assert_eq!(refusal("tokio"), None);
    }

    #[test]
    fn what_a_run_has_come_to_is_told_for_each_time() {
        let done = on_nothing(50, |count| {
            thread::sleep(Duration::from_millis(count / 10));
            Ok(count * 2)
        });
        let done = done.unwrap();
        assert_eq!(done.operations, 100);
        assert!(done.nanoseconds() >= 50_000.0);
    }
}
