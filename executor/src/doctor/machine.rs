//! [`Machine`]: the processors that this thread may use, and how much of their time.

use std::path::{Component, Path};

use crate::driver::{System, field};

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Machine {
    /// What this program is built for.
    pub(super) architecture: &'static str,
    /// The processors that this thread may run on, as `0-3,8`.
    pub(super) allowed: Option<Processors>,
    pub(super) online: Option<Processors>,
    /// Its control groups are known.
    pub(super) has_groups: bool,
    /// The tightest one of all control groups above the process.
    pub(super) quota: Option<Quota>,
}

/// A list as the kernel writes it, and how many it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Processors {
    pub(super) list: String,
    pub(super) count: usize,
}

/// So many microseconds of processor time in each period of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    pub(super) time: u64,
    pub(super) period: u64,
}

impl Quota {
    /// For how many processors that is enough.
    pub(super) fn processors(self) -> f64 {
        self.time as f64 / self.period as f64
    }
}

impl Machine {
    pub(super) fn read(system: &System) -> Machine {
        let status = system
            .read("proc/thread-self/status")
            .or_else(|| system.read("proc/self/status"))
            .unwrap_or_default();
        let online = system.read("sys/devices/system/cpu/online");
        Machine {
            architecture: std::env::consts::ARCH,
            allowed: field(&status, "Cpus_allowed_list").and_then(Processors::listed),
            online: online.as_deref().and_then(Processors::listed),
            has_groups: system.read(GROUPS).is_some(),
            quota: quota_of_process(system),
        }
    }
}

impl Processors {
    fn listed(list: &str) -> Option<Processors> {
        let range = |range: &str| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            last.checked_sub(first)?.checked_add(1)
        };
        let counts: Option<Vec<usize>> = list.split(',').map(range).collect();
        Some(Processors {
            list: list.to_owned(),
            count: counts?.into_iter().fold(0, usize::saturating_add),
        })
    }
}

/// Says which control groups the process is in.
const GROUPS: &str = "proc/self/cgroup";

/// The tightest one that bounds the process.
pub(super) fn quota_of_process(system: &System) -> Option<Quota> {
    quota(system, &system.read(GROUPS)?)
}

/// Where the hierarchies of control groups are found: the second kind alone or beside the first; the first kind.
const SECOND: [&str; 2] = ["sys/fs/cgroup", "sys/fs/cgroup/unified"];
const FIRST: [&str; 2] = ["sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct"];

fn quota(system: &System, groups: &str) -> Option<Quota> {
    let mut quotas = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else {
            continue;
        };
        if controllers.is_empty() {
            let read = |folder: &str| second_kind(&system.read(&format!("{folder}/cpu.max"))?);
            quotas.extend(SECOND.iter().flat_map(|root| above(root, group, read)));
        } else if controllers.split(',').any(|name| name == "cpu") {
            let read = |folder: &str| first_kind(system, folder);
            quotas.extend(FIRST.iter().flat_map(|root| above(root, group, read)));
        }
    }
    let processors = |quota: &Quota| quota.processors();
    quotas
        .into_iter()
        .min_by(|one, other| processors(one).total_cmp(&processors(other)))
}

/// What `read` finds in the folder of `group` and in all above it. In a container, the upper part of the path may not be there:
/// what is at the root is then the container's own.
fn above(root: &str, group: &str, read: impl Fn(&str) -> Option<Quota>) -> Vec<Quota> {
    let names = Path::new(group).components();
    let names = names.filter_map(|name| match name {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    let mut folder = root.to_owned();
    let mut found: Vec<Quota> = read(&folder).into_iter().collect();
    for name in names {
        folder = format!("{folder}/{name}");
        found.extend(read(&folder));
    }
    found
}

/// `150000 100000`, or `max 100000`: without a bound.
fn second_kind(text: &str) -> Option<Quota> {
    let (time, period) = text.split_once(' ')?;
    positive(time.parse().ok()?, period.parse().ok()?)
}

fn first_kind(system: &System, folder: &str) -> Option<Quota> {
    // −1: without a bound.
    let time = system.read_number(&format!("{folder}/cpu.cfs_quota_us"))?;
    let period = system.read_number(&format!("{folder}/cpu.cfs_period_us"))?;
    positive(time, period)
}

fn positive(time: u64, period: u64) -> Option<Quota> {
    (time > 0 && period > 0).then_some(Quota { time, period })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors_are_counted() {
        let count = |list: &str| Processors::listed(list).map(|found| found.count);
        assert_eq!(count("0"), Some(1));
        assert_eq!(count("0-3,8"), Some(5));
        for list in ["", "3-1", "a", "0-", "-1", "0,,1"] {
            assert_eq!(count(list), None, "{list}");
        }
    }

    fn quota_of(files: &[(&str, &str)]) -> Option<f64> {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Machine::read(&System::at(folder.path()))
            .quota
            .map(Quota::processors)
    }

    #[test]
    fn the_tightest_quota_above_the_process_counts() {
        let group = ("proc/self/cgroup", "0::/upper/lower\n");
        let upper = "sys/fs/cgroup/upper/cpu.max";
        let lower = "sys/fs/cgroup/upper/lower/cpu.max";
        let root = "sys/fs/cgroup/cpu.max";
        for (files, expected) in [
            (vec![group], None),
            (vec![group, (lower, "max 100000\n")], None),
            (vec![group, (lower, "150000 100000\n")], Some(1.5)),
            (
                vec![group, (lower, "max 100000"), (upper, "50000 100000")],
                Some(0.5),
            ),
            (
                vec![group, (lower, "300000 100000"), (upper, "200000 100000")],
                Some(2.0),
            ),
            (vec![group, (root, "25000 100000")], Some(0.25)),
            (
                vec![group, (lower, "0 0"), (upper, "a b"), (root, "1")],
                None,
            ),
        ] {
            assert_eq!(quota_of(&files), expected, "{files:?}");
        }
    }

    #[test]
    fn control_groups_of_the_first_kind_have_quotas_too() {
        let group = ("proc/self/cgroup", "4:cpu,cpuacct:/a\n0::/\n");
        let period = ("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000");
        let quota = |time| {
            quota_of(&[
                group,
                period,
                ("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", time),
            ])
        };
        assert_eq!(quota("-1"), None);
        assert_eq!(quota("250000"), Some(2.5));
        let other = [
            ("proc/self/cgroup", "4:cpuacct:/a\n"),
            period,
            ("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "1000"),
        ];
        assert_eq!(quota_of(&other), None);
    }
}
