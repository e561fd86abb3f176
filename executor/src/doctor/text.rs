//! The report for people.

use std::fmt::{self, Display, Formatter};

use super::machine::{Machine, Processors};
use super::report::{Report, Rung};
use crate::driver::{Ability, Container, Examination, Facts, Found, Limit, Seccomp};
use crate::runtime::Driver;

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.driver {
            Some(Driver::Uring) => writeln!(f, "krug runs on io_uring here: {}", self.reason)?,
            Some(Driver::Sim) => writeln!(f, "krug simulates everything here: {}", self.reason)?,
            Some(_) => writeln!(f, "krug runs on epoll here: {}", self.reason)?,
            None => writeln!(f, "krug does not run here: {}", self.reason)?,
        }
        writeln!(f)?;
        for (name, value) in rows(self) {
            writeln!(f, "{name:<15} {value}")?;
        }
        writeln!(f)?;
        instead(f, self)?;
        findings(f, self)
    }
}

fn rows(report: &Report) -> Vec<(&'static str, String)> {
    let facts = &report.facts;
    let mut rows = vec![
        (
            "kernel",
            format!(
                "{}, {}",
                known(facts.kernel.as_deref()),
                report.machine.architecture
            ),
        ),
        ("container", container(facts.container).to_owned()),
        ("io_uring", ring(report)),
    ];
    if let Some(found) = report.found() {
        rows.push(("operations", abilities(&found.operations)));
        rows.push(("features", abilities(&found.features)));
        rows.push(("kernel threads", kernel_threads(found, &report.examination)));
    }
    rows.extend([
        ("sysctl", sysctl(facts)),
        ("seccomp", seccomp(facts)),
        (
            "modules",
            known(
                facts
                    .security_modules
                    .as_ref()
                    .map(|names| names.join(", ")),
            ),
        ),
        ("locked memory", locked_memory(facts)),
        ("descriptors", descriptors(facts)),
        ("processors", processors(&report.machine)),
        ("quota", quota(&report.machine)),
    ]);
    rows
}

fn known(value: Option<impl Display>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |value| value.to_string())
}

fn container(container: Option<Container>) -> &'static str {
    container.map_or("none that krug knows", Container::name)
}

fn ring(report: &Report) -> String {
    let Some(found) = report.found() else {
        return "refused".to_owned();
    };
    let capabilities = &found.capabilities;
    let rung = match report.rung() {
        Some(Rung::Modern) => "modern (as from Linux 6.6)",
        Some(Rung::Deferred) => "deferred (as from Linux 6.1)",
        Some(Rung::Plain) | None => "plain (as from Linux 5.11)",
    };
    let (entries, completions) = (capabilities.entries, capabilities.completion_entries);
    format!("{rung}; {entries} entries, {completions} for completions")
}

fn abilities(abilities: &[Ability]) -> String {
    let count = abilities.len();
    let present = |ability: &&Ability| ability.is_present == Some(true);
    match abilities.iter().filter(present).count() {
        _ if abilities.iter().all(|ability| ability.is_present.is_none()) => "unknown".to_owned(),
        present if present == count => format!("all {count} that krug uses"),
        present => format!("{present} of the {count} that krug uses"),
    }
}

fn kernel_threads(found: &Found, examination: &Examination) -> String {
    let Some([files, blocking]) = found.kernel_threads else {
        return "unknown".to_owned();
    };
    let asked = examination.blocking_threads;
    format!(
        "{files} a core for files; for calls that block {asked} a core, of {blocking} that the kernel allows"
    )
}

fn sysctl(facts: &Facts) -> String {
    let (disabled, group) = (known(facts.disabled), known(facts.group));
    format!("kernel.io_uring_disabled {disabled}, kernel.io_uring_group {group}")
}

fn seccomp(facts: &Facts) -> String {
    let mode = match facts.seccomp {
        None => "unknown",
        Some(Seccomp::Off) => "no filter",
        Some(Seccomp::Strict) => "strict",
        Some(Seccomp::Filter) => "a filter is on",
    };
    match facts.no_new_privileges {
        Some(true) => format!("{mode}; no new privileges"),
        _ => mode.to_owned(),
    }
}

fn locked_memory(facts: &Facts) -> String {
    let used = known(facts.locked_now.map(kibibytes));
    let bound = bound(facts.locked_memory, kibibytes);
    let counts = match facts.may_lock_all() {
        true => "; not counted for this process",
        false => "",
    };
    format!("{bound}{counts}; used: {used}")
}

fn descriptors(facts: &Facts) -> String {
    let bound = bound(facts.descriptors, |count| count.to_string());
    format!("{bound}; open: {}", known(facts.descriptors_open))
}

fn bound(limit: Option<Limit>, write: impl Fn(u64) -> String) -> String {
    let Some(limit) = limit else {
        return "the bound is unknown".to_owned();
    };
    let soft = limit.soft().map_or("any number".to_owned(), &write);
    match limit.hard() {
        Some(hard) if hard == limit.soft => format!("{soft} allowed"),
        None if limit.soft == Limit::NONE => format!("{soft} allowed"),
        hard => {
            let hard = hard.map_or("any number".to_owned(), &write);
            format!("{soft} allowed, which the process may raise to {hard}")
        }
    }
}

fn kibibytes(bytes: u64) -> String {
    format!("{} KiB", bytes / 1024)
}

fn processors(machine: &Machine) -> String {
    let told = |processors: &Option<Processors>| match processors {
        Some(Processors { list, count }) => format!("{count} ({list})"),
        None => "unknown".to_owned(),
    };
    format!(
        "allowed {}, online {}",
        told(&machine.allowed),
        told(&machine.online)
    )
}

fn quota(machine: &Machine) -> String {
    match machine.quota {
        Some(quota) => format!(
            "{} ms of each {} ms, as much as {} processors have",
            quota.time as f64 / 1000.0,
            quota.period as f64 / 1000.0,
            quota.processors()
        ),
        None if machine.has_groups => "none".to_owned(),
        None => "unknown".to_owned(),
    }
}

fn instead(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    let all = report.operations().iter().chain(report.features());
    let missing: Vec<&Ability> = all
        .filter(|ability| ability.is_present == Some(false))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    writeln!(f, "What the kernel lacks, and what krug does instead:")?;
    for ability in missing {
        writeln!(f, "- {}: {}", ability.name, ability.instead)?;
    }
    writeln!(f)
}

fn findings(f: &mut Formatter<'_>, report: &Report) -> fmt::Result {
    if report.findings.is_empty() {
        return writeln!(f, "Nothing could be better.");
    }
    writeln!(f, "What could be better:")?;
    for (index, finding) in report.findings.iter().enumerate() {
        writeln!(f)?;
        writeln!(f, "{}. {}: {}", index + 1, finding.severity, finding.what)?;
        writeln!(f, "   {}", finding.why)?;
        for (index, remedy) in finding.remedies.iter().enumerate() {
            let mark = if index == 0 { "=>" } else { " -" };
            writeln!(f, "   {mark} {remedy}")?;
        }
    }
    Ok(())
}
