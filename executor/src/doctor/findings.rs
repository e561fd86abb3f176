//! The rules: from what is to what could be better. The [module's docs](super) list them.

use super::finding::{Finding, Severity};
use super::machine::Machine;
use crate::driver::{Ability, Choice, Examination, Facts, Found, Limit, Refusal, Rung};
use crate::runtime::REGISTERED_MEMORY_DEFAULT;

/// What a ring with its queues takes at most with the default settings, as kernels count it that count it.
const RING_MEMORY: u64 = 64 << 10;
/// A server that keeps a connection for each of its users wants at least so many.
const DESCRIPTORS_ENOUGH: u64 = 65_536;

/// The gravest first, else in the order of the rules.
pub(super) fn findings(examined: &Examination, facts: &Facts, machine: &Machine) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(driver_unknown(examined));
    found.extend(no_driver(examined));
    match &examined.ring {
        Err(refusal) => found.push(ring_refused(refusal, examined)),
        Ok(ring) => {
            found.extend(epoll_chosen(examined));
            found.extend(old_ring(ring));
            found.extend(missing(
                "operations-missing",
                "operations",
                &ring.operations,
            ));
            found.extend(missing("features-missing", "features", &ring.features));
            found.extend(small_ring(ring, examined));
            found.extend(kernel_threads(ring, examined));
            found.extend(locked_memory(facts, machine));
        }
    }
    found.extend(descriptors(facts));
    found.extend(quota(machine));
    found.extend(one_processor(machine));
    found.sort_by_key(|finding| finding.severity);
    found
}

fn finding(
    severity: Severity,
    name: &'static str,
    what: String,
    why: &str,
    remedies: &[&str],
) -> Finding {
    Finding {
        severity,
        name,
        what,
        why: why.to_owned(),
        remedies: remedies.iter().map(|&remedy| remedy.to_owned()).collect(),
    }
}

fn driver_unknown(examined: &Examination) -> Option<Finding> {
    let error = examined.wish.as_ref().err()?;
    Some(finding(
        Severity::Blocks,
        "driver-unknown",
        error.clone(),
        "a runtime that leaves the choice to the environment cannot be made",
        &["unset KRUG_DRIVER, or set it to auto, uring, epoll or sim"],
    ))
}

fn no_driver(examined: &Examination) -> Option<Finding> {
    let error = examined.epoll.as_ref().err()?;
    let is_needed = examined.ring.is_err() || matches!(examined.wish, Ok(Choice::Epoll));
    is_needed.then(|| {
        finding(
            Severity::Blocks,
            "no-driver",
            format!("cannot set up epoll: {error}"),
            "nothing else stands in for a ring",
            &["most likely there are no descriptors left: raise RLIMIT_NOFILE (ulimit -n)"],
        )
    })
}

fn ring_refused(refusal: &Refusal, examined: &Examination) -> Finding {
    let (severity, why) = match (&examined.wish, &examined.epoll) {
        (Ok(Choice::Uring), _) => (
            Severity::Blocks,
            "KRUG_DRIVER=uring demands a ring: no runtime can be made",
        ),
        (Ok(Choice::Epoll), _) => (
            Severity::Note,
            "KRUG_DRIVER=epoll asks for no ring; without it there would be none either",
        ),
        (_, Err(_)) => (
            Severity::Blocks,
            "there is no epoll in its place either: no runtime can be made",
        ),
        (_, Ok(())) => (
            Severity::Costs,
            "krug runs on epoll instead: the same results, with more system calls, and with threads for files",
        ),
    };
    Finding {
        severity,
        name: "ring-refused",
        what: format!(
            "io_uring is refused: {}; {}",
            refusal.answer(),
            refusal.explanation()
        ),
        why: why.to_owned(),
        remedies: refusal.remedies().to_vec(),
    }
}

fn epoll_chosen(examined: &Examination) -> Option<Finding> {
    matches!(examined.wish, Ok(Choice::Epoll)).then(|| {
        finding(
            Severity::Costs,
            "epoll-chosen",
            "KRUG_DRIVER=epoll asks for epoll, and the system would make a ring".to_owned(),
            "on a ring there are fewer system calls, and no threads for files",
            &["unset KRUG_DRIVER"],
        )
    })
}

fn old_ring(ring: &Found) -> Option<Finding> {
    match ring.capabilities.rung? {
        Rung::Modern => None,
        Rung::Deferred => Some(finding(
            Severity::Note,
            "old-ring",
            "the kernel keeps an index beside the queue that krug does not need".to_owned(),
            "each submission writes to memory once more",
            &["take Linux 6.6 or later"],
        )),
        Rung::Plain => Some(finding(
            Severity::Costs,
            "old-ring",
            "the kernel cannot hold completions back until they are asked for".to_owned(),
            "it interrupts the thread for each of them, which costs the more the busier it is",
            &["take Linux 6.1 or later"],
        )),
    }
}

fn missing(name: &'static str, kind: &str, abilities: &[Ability]) -> Option<Finding> {
    let names = |presence| -> Vec<&str> {
        let those = abilities
            .iter()
            .filter(|ability| ability.is_present == presence);
        those.map(|ability| ability.name).collect()
    };
    let (missing, unknown) = (names(Some(false)), names(None));
    let what = match (missing.is_empty(), unknown.is_empty()) {
        (true, true) => return None,
        (true, false) => format!("the kernel does not say which {kind} it has"),
        (false, _) => format!("{kind} that the kernel lacks: {}", missing.join(", ")),
    };
    Some(finding(
        Severity::Costs,
        name,
        what,
        "krug does the same in another way, with more system calls, memory or threads; see the list",
        &["take a later kernel; Linux 6.16 has all of them"],
    ))
}

fn small_ring(ring: &Found, examined: &Examination) -> Option<Finding> {
    let (got, asked) = (ring.capabilities.entries, examined.entries);
    (got < asked).then(|| {
        finding(
            Severity::Costs,
            "small-ring",
            format!("the memory that may be locked was enough for a ring of {got} entries, not of {asked}"),
            "a turn with much to submit takes several system calls; with one ring more there may be none",
            &["raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=), or give the process CAP_IPC_LOCK"],
        )
    })
}

fn kernel_threads(ring: &Found, examined: &Examination) -> Option<Finding> {
    let [_, allowed] = ring.kernel_threads?;
    let asked = examined.blocking_threads;
    (allowed < asked).then(|| {
        finding(
            Severity::Note,
            "kernel-threads",
            format!("the kernel allows {allowed} threads for calls that block; krug asks for {asked} a core"),
            "calls that wait for a terminal or a splice may stand in line behind each other",
            &["raise the number of processes that the user may have (ulimit -u, LimitNPROC=)"],
        )
    })
}

fn locked_memory(facts: &Facts, machine: &Machine) -> Option<Finding> {
    let limit = facts
        .locked_memory
        .filter(|limit| limit.soft != Limit::NONE && !facts.may_lock_all())?;
    let cores = machine.allowed.as_ref().map_or(1, |allowed| allowed.count);
    let of_each = REGISTERED_MEMORY_DEFAULT as u64 + RING_MEMORY;
    let needed = of_each.saturating_mul(cores as u64);
    (limit.soft < needed).then(|| Finding {
        severity: Severity::Costs,
        name: "locked-memory",
        what: format!(
            "{} KiB of memory may be locked; a runtime on each processor (of {cores}) takes up to {} KiB",
            limit.soft / 1024,
            needed / 1024
        ),
        why: "buffers that the kernel knows become plain ones, and kernels that count rings, too, refuse them".to_owned(),
        remedies: vec![
            format!(
                "raise RLIMIT_MEMLOCK: ulimit -l {0}, LimitMEMLOCK={0}K (systemd), --ulimit memlock={1} (Docker, Podman)",
                needed / 1024,
                needed
            ),
            "give the process CAP_IPC_LOCK".to_owned(),
            "register less: Builder::registered_memory".to_owned(),
        ],
    })
}

fn descriptors(facts: &Facts) -> Option<Finding> {
    let limit = facts.descriptors?;
    let useful = limit.hard.min(DESCRIPTORS_ENOUGH);
    (limit.soft < useful).then(|| {
        let soft = limit.soft;
        finding(
            Severity::Note,
            "descriptors",
            format!("{soft} descriptors may be open, though the process may raise that to {useful} itself"),
            "each connection takes one; krug leaves the bound as it is",
            &[&format!("ulimit -n {useful} before the start, LimitNOFILE={useful} (systemd), or setrlimit in the program")],
        )
    })
}

fn quota(machine: &Machine) -> Option<Finding> {
    let (quota, allowed) = (machine.quota?, machine.allowed.as_ref()?.count);
    let enough_for = quota.processors();
    (enough_for < allowed as f64).then(|| {
        finding(
            Severity::Costs,
            "quota",
            format!("the control group has time for {enough_for} processors, of {allowed} that are allowed"),
            "when the time is used up, all threads stand still until the next period begins",
            &[
                &format!("start no more runtimes than {}", enough_for.ceil()),
                "or raise the quota: cpu.max of the control group, --cpus (Docker, Podman), resources.limits.cpu (Kubernetes)",
            ],
        )
    })
}

fn one_processor(machine: &Machine) -> Option<Finding> {
    let allowed = machine.allowed.as_ref()?;
    (allowed.count == 1).then(|| {
        finding(
            Severity::Note,
            "one-processor",
            format!("this thread may run on one processor only ({})", allowed.list),
            "a second runtime would only take turns with the first",
            &["if there are more, allow them: taskset, AllowedCPUs= (systemd), --cpuset-cpus (Docker, Podman)"],
        )
    })
}
