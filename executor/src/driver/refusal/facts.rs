//! [`Facts`]: what the system says of itself when it has refused a ring. Nobody reads it before.

use std::path::Path;

use crate::driver::system::{Limit, System, field};

/// All of it may be unknown (`None`): sandboxes hide files, and without a free descriptor nothing can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The kernel's release, as `uname -r` says it.
    pub(crate) kernel: Option<String>,
    /// The sysctl `kernel.io_uring_disabled`, which kernels from 6.6 on have if they have io_uring.
    pub(crate) disabled: Option<u32>,
    /// The sysctl `kernel.io_uring_group`; −1 is no group.
    pub(crate) group: Option<i64>,
    /// The groups of this thread.
    pub(crate) groups: Option<Vec<i64>>,
    pub(crate) seccomp: Option<Seccomp>,
    /// This thread can gain no privileges by running another program.
    pub(crate) no_new_privileges: Option<bool>,
    /// The active security modules.
    pub(crate) security_modules: Option<Vec<String>>,
    /// SELinux forbids what its policy does not allow, instead of only noting it.
    pub(crate) selinux_enforces: Option<bool>,
    /// The effective capabilities of this thread, as far as they count outside its user namespace.
    pub(crate) privileges: Option<u64>,
    /// Bytes that are locked in memory for this process at the moment, pinned ones among them. What its user has in other
    /// processes counts, too, and cannot be seen.
    pub(crate) locked_now: Option<u64>,
    pub(crate) locked_memory: Option<Limit>,
    pub(crate) descriptors_open: Option<usize>,
    pub(crate) descriptors: Option<Limit>,
    pub(crate) container: Option<Container>,
}

/// What filters the system calls of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seccomp {
    Off,
    Strict,
    Filter,
}

/// Who has made the sandbox that the process runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Docker,
    Podman,
    Kubernetes,
    /// A kernel in user space that answers system calls itself.
    Gvisor,
}

impl Seccomp {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Seccomp::Off => "off",
            Seccomp::Strict => "strict",
            Seccomp::Filter => "filter",
        }
    }
}

impl Container {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Container::Docker => "docker",
            Container::Podman => "podman",
            Container::Kubernetes => "kubernetes",
            Container::Gvisor => "gvisor",
        }
    }
}

const CAP_IPC_LOCK: u32 = 14;
const CAP_SYS_ADMIN: u32 = 21;

/// Of the first user namespace, the only one whose capabilities the kernel asks for here.
const ALL_USERS: [&str; 3] = ["0", "0", "4294967295"];

impl Facts {
    pub(crate) fn read(system: &System) -> Facts {
        // A filter belongs to a thread, and so do capabilities; where this is not to be had, the first thread stands for all.
        let status = system
            .read("proc/thread-self/status")
            .or_else(|| system.read("proc/self/status"))
            .unwrap_or_default();
        let kernel = system.read("proc/sys/kernel/osrelease");
        Facts {
            disabled: system.read_number("proc/sys/kernel/io_uring_disabled"),
            group: system.read_number("proc/sys/kernel/io_uring_group"),
            groups: groups(&status),
            seccomp: field(&status, "Seccomp").and_then(seccomp),
            no_new_privileges: field(&status, "NoNewPrivs").map(|value| value == "1"),
            security_modules: system
                .read("sys/kernel/security/lsm")
                .map(|names| names.split(',').map(str::to_owned).collect()),
            selinux_enforces: system
                .read("sys/fs/selinux/enforce")
                .map(|value| value == "1"),
            privileges: privileges(&status, system.read("proc/self/uid_map").as_deref()),
            locked_now: locked(&status),
            locked_memory: system.locked_memory,
            // One of them is the folder that is being read.
            descriptors_open: system
                .count("proc/self/fd")
                .map(|count| count.saturating_sub(1)),
            descriptors: system.descriptors,
            container: container(system, kernel.as_deref()),
            kernel,
        }
    }

    /// Major and minor number of the kernel.
    pub(crate) fn version(&self) -> Option<(u32, u32)> {
        let mut numbers = self
            .kernel
            .as_ref()?
            .split(|c: char| !c.is_ascii_digit())
            .map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    }

    pub(crate) fn has_filter(&self) -> bool {
        matches!(self.seccomp, Some(Seccomp::Filter | Seccomp::Strict))
    }

    pub(crate) fn is_administrator(&self) -> bool {
        self.has(CAP_SYS_ADMIN)
    }

    /// Locked memory is not counted.
    pub(crate) fn may_lock_all(&self) -> bool {
        self.has(CAP_IPC_LOCK)
            || self
                .locked_memory
                .is_some_and(|limit| limit.soft == Limit::NONE)
    }

    fn has(&self, capability: u32) -> bool {
        self.privileges
            .is_some_and(|privileges| privileges & (1 << capability) != 0)
    }

    /// The group that may use io_uring where the sysctl is 1.
    pub(crate) fn group_allowed(&self) -> Option<i64> {
        self.group.filter(|group| *group >= 0)
    }

    pub(crate) fn is_in_group(&self) -> bool {
        let groups = self.groups.as_deref().unwrap_or_default();
        self.group_allowed()
            .is_some_and(|group| groups.contains(&group))
    }
}

fn seccomp(value: &str) -> Option<Seccomp> {
    match value {
        "0" => Some(Seccomp::Off),
        "1" => Some(Seccomp::Strict),
        "2" => Some(Seccomp::Filter),
        _ => None,
    }
}

/// The one of the file system, which counts here, and the supplementary ones.
fn groups(status: &str) -> Option<Vec<i64>> {
    let own = field(status, "Gid")?.split_whitespace().last()?;
    let others = field(status, "Groups")?.split_whitespace();
    Some(
        others
            .chain([own])
            .filter_map(|group| group.parse().ok())
            .collect(),
    )
}

fn privileges(status: &str, users: Option<&str>) -> Option<u64> {
    let effective = u64::from_str_radix(field(status, "CapEff")?, 16).ok()?;
    let is_first_namespace = users?.split_whitespace().eq(ALL_USERS);
    Some(if is_first_namespace { effective } else { 0 })
}

fn locked(status: &str) -> Option<u64> {
    let bytes = |name| {
        let kibibytes = field(status, name)?.strip_suffix("kB")?.trim().parse();
        kibibytes.ok().map(|count: u64| count.saturating_mul(1024))
    };
    // Rings and registered buffers are pinned, `mlock` locks; the bound is on the sum.
    Some(bytes("VmLck")?.saturating_add(bytes("VmPin").unwrap_or(0)))
}

fn container(system: &System, kernel: Option<&str>) -> Option<Container> {
    let environment = system.read("proc/self/environ").unwrap_or_default();
    let has = |text: &str| environment.split('\0').any(|entry| entry.starts_with(text));
    if kernel.is_some_and(|release| release == "4.4.0" || release.contains("gvisor")) {
        Some(Container::Gvisor)
    } else if has("KUBERNETES_SERVICE_HOST=") || is_pod(system) {
        Some(Container::Kubernetes)
    } else if has("container=podman") || system.exists("run/.containerenv") {
        Some(Container::Podman)
    } else if has("container=docker") || system.exists(".dockerenv") {
        Some(Container::Docker)
    } else {
        None
    }
}

fn is_pod(system: &System) -> bool {
    let account = Path::new("secrets/kubernetes.io/serviceaccount");
    ["run", "var/run"]
        .iter()
        .any(|folder| system.exists(&Path::new(folder).join(account).to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_of_another_user_namespace_do_not_count() {
        let status = "CapEff:\t000001ffffffffff\n";
        let of = |users| Facts {
            privileges: privileges(status, users),
            ..Facts::default()
        };
        let first = of(Some("         0          0 4294967295"));
        assert!(first.is_administrator() && first.may_lock_all());
        let other = of(Some("         0       1000          1"));
        assert!(!other.is_administrator() && !other.may_lock_all());
        assert_eq!(of(None).privileges, None);
    }

    #[test]
    fn each_capability_is_its_own_bit() {
        let with = |bits| Facts {
            privileges: Some(bits),
            ..Facts::default()
        };
        assert!(with(1 << 21).is_administrator() && !with(1 << 21).may_lock_all());
        assert!(with(1 << 14).may_lock_all() && !with(1 << 14).is_administrator());
    }

    #[test]
    fn the_group_of_the_file_system_and_the_supplementary_ones_count() {
        let groups = groups("Gid:\t1\t2\t3\t4\nGroups:\t7 8 \n").expect("both lines are there");
        for (group, is_in) in [(4, true), (7, true), (8, true), (1, false), (-1, false)] {
            let facts = Facts {
                group: Some(group),
                groups: Some(groups.clone()),
                ..Facts::default()
            };
            assert_eq!(facts.is_in_group(), is_in, "{group}");
        }
    }

    #[test]
    fn locked_and_pinned_memory_count_together() {
        assert_eq!(locked("VmLck:\t 4 kB\nVmPin:\t 64 kB\n"), Some(68 * 1024));
        assert_eq!(locked("VmLck:\t 4 kB\n"), Some(4096));
        assert_eq!(locked(""), None);
    }

    #[test]
    fn the_version_is_read_off_any_release() {
        let version = |release: &str| {
            let kernel = Some(release.to_owned());
            Facts {
                kernel,
                ..Facts::default()
            }
            .version()
        };
        assert_eq!(version("5.14.0-503.el9.x86_64"), Some((5, 14)));
        assert_eq!(version("6.18"), Some((6, 18)));
        assert_eq!(version("unknown"), None);
        assert_eq!(version("6"), None);
    }
}
