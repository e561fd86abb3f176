//! What to say of a cause, in numbers where there are some, and what to do about it.

use super::cause::{Cause, OLDEST};
use super::facts::{Container, Facts};
use crate::driver::system::Limit;

const CALLS: &str = "io_uring_setup, io_uring_enter and io_uring_register";

/// Half a sentence that goes on with a colon and the remedy.
pub(super) fn explanation(cause: Cause, facts: &Facts) -> String {
    let kernel = facts.kernel.as_deref().unwrap_or("of unknown release");
    match cause {
        Cause::Disabled => "the sysctl kernel.io_uring_disabled is 2, which forbids it to everybody".to_owned(),
        Cause::DisabledForOthers => match facts.group_allowed() {
            Some(group) => format!(
                "the sysctl kernel.io_uring_disabled is 1, and this process is neither privileged nor in the group {group} of \
                 kernel.io_uring_group"
            ),
            None => "the sysctl kernel.io_uring_disabled is 1, this process is not privileged, and kernel.io_uring_group names no \
                     group"
                .to_owned(),
        },
        Cause::Seccomp => format!("a seccomp filter{} forbids it", whose(facts)),
        Cause::Forbidden => "it is forbidden here, by a seccomp filter or by the sysctl kernel.io_uring_disabled".to_owned(),
        Cause::SecurityModule if facts.selinux_enforces == Some(true) => "SELinux forbids it".to_owned(),
        Cause::SecurityModule => format!("a security module forbids it{}", modules(facts)),
        Cause::Missing => format!("the kernel ({kernel}) is built without io_uring, or is older than 5.1"),
        Cause::MissingOrHidden => {
            format!("the kernel ({kernel}) has no io_uring, or a seccomp filter{} hides it", whose(facts))
        }
        Cause::OldKernel => format!("the io_uring of this kernel ({kernel}) is too old"),
        Cause::LockedMemory => format!("the memory of the ring exceeds RLIMIT_MEMLOCK{}", locked(facts)),
        Cause::Memory => "there is no memory for it, and that is not RLIMIT_MEMLOCK".to_owned(),
        Cause::Descriptors => format!("the process has too many open descriptors{}", open(facts)),
        Cause::OpenFiles => "the system has too many open files".to_owned(),
        Cause::Sandbox if facts.container == Some(Container::Gvisor) => "gVisor does not offer it".to_owned(),
        Cause::Sandbox => "a sandbox or virtual machine that krug does not know stands in the way".to_owned(),
    }
}

/// What to do, the most general first, each of them enough by itself; the others are for those who need every word. Never empty.
pub(super) fn remedies(cause: Cause, facts: &Facts) -> Vec<String> {
    match cause {
        Cause::Disabled => sysctl(facts),
        Cause::DisabledForOthers => group(facts),
        Cause::Seccomp => filter(facts),
        Cause::Forbidden => [filter(facts), sysctl(facts)].concat(),
        Cause::SecurityModule => security_module(facts),
        Cause::Missing => vec![format!(
            "take a kernel that is built with CONFIG_IO_URING, {} or later",
            oldest()
        )],
        Cause::MissingOrHidden => [
            vec![format!(
                "take a kernel that is built with CONFIG_IO_URING, {} or later, or let the seccomp profile allow {CALLS}",
                oldest()
            )],
            profiles(facts),
        ]
        .concat(),
        Cause::OldKernel => vec![format!(
            "Linux {} or later is needed, 6.1 or later is best",
            oldest()
        )],
        Cause::LockedMemory => locked_memory(facts),
        Cause::Memory => vec![
            "free some memory, raise the bound of the control group (memory.max), or ask for fewer entries (Builder::entries)"
                .to_owned(),
        ],
        Cause::Descriptors => descriptors(facts),
        Cause::OpenFiles => vec!["raise the sysctl: sysctl -w fs.file-max=1000000".to_owned()],
        Cause::Sandbox => sandbox(facts),
    }
}

fn oldest() -> String {
    format!("{}.{}", OLDEST.0, OLDEST.1)
}

fn whose(facts: &Facts) -> &'static str {
    match facts.container {
        Some(Container::Docker) => " (Docker sets one unless told otherwise)",
        Some(Container::Podman) => " (Podman sets one unless told otherwise)",
        Some(Container::Kubernetes) => " (the pod's)",
        _ => "",
    }
}

fn modules(facts: &Facts) -> String {
    match &facts.security_modules {
        Some(names) => format!(" (active are {})", names.join(", ")),
        None => String::new(),
    }
}

fn locked(facts: &Facts) -> String {
    match (facts.locked_memory, facts.locked_now) {
        (Some(limit), Some(now)) => format!(
            " ({}, of which {} is used here)",
            kibibytes(limit.soft),
            kibibytes(now)
        ),
        (Some(limit), None) => format!(" ({})", kibibytes(limit.soft)),
        _ => String::new(),
    }
}

fn open(facts: &Facts) -> String {
    match (facts.descriptors_open, facts.descriptors) {
        (Some(open), Some(limit)) => format!(" ({open} of {})", limit.soft),
        (None, Some(limit)) => format!(" (all {})", limit.soft),
        _ => String::new(),
    }
}

fn kibibytes(bytes: u64) -> String {
    match bytes {
        Limit::NONE => "without a bound".to_owned(),
        _ => format!("{} KiB", bytes / 1024),
    }
}

fn sysctl(facts: &Facts) -> Vec<String> {
    let place = match facts.container {
        Some(_) => " on the host of the container",
        None => "",
    };
    vec![
        format!("run as root{place}: sysctl -w kernel.io_uring_disabled=0"),
        "to keep it after the next start: echo kernel.io_uring_disabled=0 > /etc/sysctl.d/50-io_uring.conf".to_owned(),
    ]
}

fn group(facts: &Facts) -> Vec<String> {
    let mut ways = match facts.group_allowed() {
        Some(group) => vec![format!(
            "add the user to the group {group} (as root: usermod -aG \"$(getent group {group} | cut -d: -f1)\" USER) and log in anew"
        )],
        None => vec![
            "name a group that may, as root: groupadd -f io_uring; sysctl -w kernel.io_uring_group=\"$(getent group io_uring | \
             cut -d: -f3)\"; usermod -aG io_uring USER; and log in anew"
                .to_owned(),
        ],
    };
    match facts.container {
        Some(Container::Docker | Container::Podman) => {
            ways.push(
                "in a container, name the group by its number: --group-add NUMBER".to_owned(),
            );
        }
        Some(Container::Kubernetes) => {
            ways.push("in a pod, name the group by its number: securityContext.supplementalGroups: [NUMBER]".to_owned());
        }
        _ => {}
    }
    ways.push("give the process CAP_SYS_ADMIN".to_owned());
    ways.push("allow it to everybody, as root: sysctl -w kernel.io_uring_disabled=0".to_owned());
    ways
}

fn filter(facts: &Facts) -> Vec<String> {
    let general = format!("let the seccomp profile allow {CALLS}");
    [vec![general], profiles(facts)].concat()
}

/// How to change the filter: of the container that is known, or of each.
fn profiles(facts: &Facts) -> Vec<String> {
    let profile = "the default profile of the engine with these three calls added to its list";
    let docker = format!("Docker: docker run --security-opt seccomp=PROFILE.json, {profile}");
    let compose = "Docker Compose: security_opt: [\"seccomp:PROFILE.json\"]".to_owned();
    let podman = format!("Podman: podman run --security-opt seccomp=PROFILE.json, {profile}");
    let kubernetes = "Kubernetes: securityContext.seccompProfile: {type: Localhost, localhostProfile: PROFILE.json}, with the file in \
                      /var/lib/kubelet/seccomp of each node"
        .to_owned();
    let systemd =
        "systemd: SystemCallFilter=@io-uring in the section [Service] of the unit".to_owned();
    match facts.container {
        Some(Container::Docker) => vec![docker, compose],
        Some(Container::Podman) => vec![podman],
        Some(Container::Kubernetes) => vec![kubernetes],
        _ => vec![docker, compose, podman, kubernetes, systemd],
    }
}

fn security_module(facts: &Facts) -> Vec<String> {
    let active = facts.security_modules.as_deref();
    let is_another = active.is_some_and(|names| names.iter().all(|name| name != "selinux"));
    let mut ways = match is_another {
        true => vec!["allow io_uring in the policy of that module (SELinux, which is not active, calls it io_uring:allowed)".to_owned()],
        false => vec![
            "SELinux needs the permission io_uring:allowed for the domain of this program".to_owned(),
            "from what was refused, as root: ausearch -m AVC -ts recent | audit2allow -M krug_io_uring && semodule -i krug_io_uring.pp"
                .to_owned(),
        ],
    };
    if facts.has_filter() {
        ways.push(format!(
            "if it is the seccomp filter that answers like this, let its profile allow {CALLS}"
        ));
    }
    ways
}

fn locked_memory(facts: &Facts) -> Vec<String> {
    let mut ways =
        vec!["raise it (ulimit -l, LimitMEMLOCK=), give the process CAP_IPC_LOCK, or ask for fewer entries".to_owned()];
    let shell = match facts.locked_memory {
        Some(limit) if limit.hard > limit.soft => format!(
            "shell: ulimit -l {}",
            match limit.hard {
                Limit::NONE => "unlimited".to_owned(),
                hard => (hard / 1024).to_string(),
            }
        ),
        _ => "shell, after a line `USER - memlock 65536` in /etc/security/limits.conf and a new login: ulimit -l 65536".to_owned(),
    };
    let docker = "Docker, Podman: run --ulimit memlock=67108864:67108864".to_owned();
    let compose = "Docker Compose: ulimits: {memlock: 67108864}".to_owned();
    let kubernetes = "Kubernetes: securityContext.capabilities.add: [\"IPC_LOCK\"], or LimitMEMLOCK=64M for the container engine of each node".to_owned();
    match facts.container {
        Some(Container::Docker) => ways.extend([docker, compose]),
        Some(Container::Podman) => ways.push(docker),
        Some(Container::Kubernetes) => ways.push(kubernetes),
        _ => ways.extend([
            shell,
            "systemd: LimitMEMLOCK=64M in the section [Service] of the unit".to_owned(),
            docker,
            compose,
            kubernetes,
        ]),
    }
    ways
}

fn descriptors(facts: &Facts) -> Vec<String> {
    let mut ways = vec!["raise RLIMIT_NOFILE (ulimit -n), or close what is not needed".to_owned()];
    if let Some(limit) = facts.descriptors.filter(|limit| limit.hard > limit.soft) {
        ways.push(format!("shell: ulimit -n {}", limit.hard));
    }
    match facts.container {
        Some(Container::Docker | Container::Podman) => {
            ways.push("Docker, Podman: run --ulimit nofile=65536:65536".to_owned());
        }
        Some(Container::Kubernetes) => {
            ways.push(
                "Kubernetes: LimitNOFILE=65536 for the container engine of each node".to_owned(),
            );
        }
        _ => {
            ways.push("systemd: LimitNOFILE=65536 in the section [Service] of the unit".to_owned())
        }
    }
    ways
}

fn sandbox(facts: &Facts) -> Vec<String> {
    if facts.container == Some(Container::Gvisor) {
        return vec![
            "run it in another runtime class than gVisor's; with runsc, try --iouring, which offers a part of io_uring".to_owned(),
        ];
    }
    let mut ways = vec![
        "look for io_uring in the documentation of this sandbox or virtual machine".to_owned(),
    ];
    if facts.disabled == Some(0) && !facts.has_filter() {
        ways.push(
            "it is not the sysctl kernel.io_uring_disabled, which is 0, nor a seccomp filter, of which there is none; BPF programs \
             of security modules, emulators and tracers remain"
                .to_owned(),
        );
    } else if facts.has_filter() {
        ways.push(format!(
            "if it is the seccomp filter that answers like this, let its profile allow {CALLS}"
        ));
        ways.extend(profiles(facts));
    }
    ways
}
