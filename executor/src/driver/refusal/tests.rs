//! Every answer with every state of the system that matters to it.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::driver::system::Limit;

fn facts() -> Facts {
    Facts {
        kernel: Some("6.18.0".to_owned()),
        disabled: Some(0),
        group: Some(-1),
        groups: Some(vec![1000]),
        seccomp: Some(Seccomp::Off),
        privileges: Some(0),
        locked_memory: Some(Limit {
            soft: 65536,
            hard: 65536,
        }),
        ..Facts::default()
    }
}

fn cause(errno: i32, facts: &Facts) -> Cause {
    Refusal::explained(&io::Error::from_raw_os_error(errno), facts).cause()
}

const ADMINISTRATOR: Option<u64> = Some(1 << 21);
const SECCOMP: [Option<Seccomp>; 4] = [
    None,
    Some(Seccomp::Off),
    Some(Seccomp::Strict),
    Some(Seccomp::Filter),
];

#[test]
fn eperm_is_the_sysctl_if_it_is_2_whoever_asks() {
    for privileges in [None, Some(0), ADMINISTRATOR] {
        for seccomp in SECCOMP {
            for group in [None, Some(-1), Some(1000)] {
                let facts = Facts {
                    disabled: Some(2),
                    privileges,
                    seccomp,
                    group,
                    ..facts()
                };
                assert_eq!(cause(libc::EPERM, &facts), Cause::Disabled);
            }
        }
    }
}

#[test]
fn eperm_is_the_sysctl_if_it_is_1_only_for_those_whom_it_concerns() {
    for (privileges, group, groups, is_concerned) in [
        (Some(0), Some(-1), Some(vec![1000]), true),
        (Some(0), Some(7), Some(vec![1000]), true),
        (Some(0), Some(1000), Some(vec![1000]), false),
        (ADMINISTRATOR, Some(-1), Some(vec![]), false),
        (ADMINISTRATOR, Some(7), Some(vec![7]), false),
        (None, None, None, true),
        // CAP_IPC_LOCK is another one.
        (Some(1 << 14), Some(-1), Some(vec![]), true),
    ] {
        for seccomp in SECCOMP {
            let facts = Facts {
                disabled: Some(1),
                privileges,
                group,
                groups: groups.clone(),
                seccomp,
                ..facts()
            };
            let is_found = cause(libc::EPERM, &facts) == Cause::DisabledForOthers;
            assert_eq!(is_found, is_concerned, "{facts:?}");
        }
    }
}

#[test]
fn eperm_is_the_filter_where_the_sysctl_allows_it() {
    for disabled in [None, Some(0)] {
        for (seccomp, expected) in SECCOMP.into_iter().zip([
            Cause::Forbidden,
            Cause::Sandbox,
            Cause::Seccomp,
            Cause::Seccomp,
        ]) {
            let facts = Facts {
                disabled,
                seccomp,
                ..facts()
            };
            assert_eq!(cause(libc::EPERM, &facts), expected, "{facts:?}");
        }
    }
}

#[test]
fn enosys_is_the_kernel_or_a_filter_and_a_sysctl_tells_which() {
    let (kernel, either) = (Cause::Missing, Cause::MissingOrHidden);
    for (disabled, expected) in [
        (None, [either, kernel, either, either]),
        (
            Some(0),
            [either, Cause::Sandbox, Cause::Seccomp, Cause::Seccomp],
        ),
    ] {
        for (seccomp, expected) in SECCOMP.into_iter().zip(expected) {
            let facts = Facts {
                disabled,
                seccomp,
                ..facts()
            };
            assert_eq!(cause(libc::ENOSYS, &facts), expected, "{facts:?}");
        }
    }
}

#[test]
fn einval_is_an_old_kernel_unless_it_is_new() {
    for (kernel, expected) in [
        (None, Cause::OldKernel),
        (Some("4.19.0"), Cause::OldKernel),
        (Some("5.10.0-30-amd64"), Cause::OldKernel),
        (Some("5.11.0"), Cause::Sandbox),
        (Some("6.1"), Cause::Sandbox),
    ] {
        let kernel = kernel.map(str::to_owned);
        let facts = Facts { kernel, ..facts() };
        let refusal = Refusal::explained(&io::Error::from_raw_os_error(libc::EINVAL), &facts);
        assert_eq!(refusal.cause(), expected, "{facts:?}");
        let says_what_is_needed = refusal.to_string().contains("Linux 5.11");
        assert_eq!(says_what_is_needed, expected == Cause::OldKernel);
    }
}

#[test]
fn a_ring_that_lacks_something_is_too_old_whatever_the_release_says() {
    let error = io::Error::new(io::ErrorKind::Unsupported, "it lacks EXT_ARG");
    let refusal = Refusal::explained(&error, &facts());
    assert_eq!((refusal.errno(), refusal.cause()), (None, Cause::OldKernel));
}

#[test]
fn enomem_is_the_bound_on_locked_memory_only_where_that_counts() {
    let bound = |soft| Some(Limit { soft, hard: soft });
    for (privileges, locked_memory, expected) in [
        (Some(0), bound(65536), Cause::LockedMemory),
        (Some(0), None, Cause::LockedMemory),
        (None, bound(65536), Cause::LockedMemory),
        (ADMINISTRATOR, bound(65536), Cause::LockedMemory),
        (Some(0), bound(Limit::NONE), Cause::Memory),
        (Some(1 << 14), bound(65536), Cause::Memory),
    ] {
        let facts = Facts {
            privileges,
            locked_memory,
            ..facts()
        };
        assert_eq!(cause(libc::ENOMEM, &facts), expected, "{facts:?}");
    }
}

#[test]
fn every_other_answer_is_a_sandbox_that_nobody_has_listed() {
    let known = [
        libc::EPERM,
        libc::EACCES,
        libc::ENOSYS,
        libc::EINVAL,
        libc::ENOMEM,
        libc::EMFILE,
        libc::ENFILE,
    ];
    for errno in (1..600).filter(|errno| !known.contains(errno)) {
        assert_eq!(cause(errno, &facts()), Cause::Sandbox, "{errno}");
    }
    assert_eq!(cause(libc::EMFILE, &facts()), Cause::Descriptors);
    assert_eq!(cause(libc::ENFILE, &facts()), Cause::OpenFiles);
    assert_eq!(cause(libc::EACCES, &facts()), Cause::SecurityModule);
}

#[test]
fn gvisor_answers_for_itself() {
    let facts = Facts {
        container: Some(Container::Gvisor),
        seccomp: None,
        disabled: None,
        ..facts()
    };
    for errno in [libc::EPERM, libc::ENOSYS, libc::EINVAL, libc::EOPNOTSUPP] {
        let refusal = Refusal::explained(&io::Error::from_raw_os_error(errno), &facts);
        assert_eq!(refusal.cause(), Cause::Sandbox);
        assert!(refusal.to_string().contains("gVisor"), "{refusal}");
    }
}

/// Everything that a refusal may look at, each in some states of its own.
fn states() -> Vec<Facts> {
    let mut states = vec![Facts::default(), facts()];
    states.push(Facts {
        disabled: None,
        ..facts()
    });
    let mut each = |change: &dyn Fn(&mut Facts)| {
        let changed = states.clone().into_iter().map(|mut facts| {
            change(&mut facts);
            facts
        });
        let changed: Vec<Facts> = changed.collect();
        states.extend(changed);
    };
    each(&|facts| facts.seccomp = Some(Seccomp::Filter));
    each(&|facts| facts.disabled = Some(1));
    each(&|facts| facts.disabled = facts.disabled.map(|_| 2));
    each(&|facts| facts.group = Some(77));
    each(&|facts| facts.privileges = Some(u64::MAX));
    each(&|facts| facts.container = Some(Container::Docker));
    each(&|facts| facts.container = Some(Container::Kubernetes));
    each(&|facts| facts.descriptors_open = Some(1024));
    each(&|facts| {
        facts.descriptors = Some(Limit {
            soft: 1024,
            hard: 4096,
        });
    });
    states
}

#[test]
fn every_refusal_is_one_line_with_answer_cause_and_remedy() {
    let mut causes = BTreeSet::new();
    for errno in [
        libc::EPERM,
        libc::EACCES,
        libc::ENOSYS,
        libc::EINVAL,
        libc::ENOMEM,
        libc::EMFILE,
        libc::ENFILE,
        libc::EOPNOTSUPP,
    ] {
        for facts in states() {
            let error = io::Error::from_raw_os_error(errno);
            let refusal = Refusal::explained(&error, &facts);
            let line = format!(
                "cannot set up io_uring: {error}; {}: {}",
                refusal.explanation(),
                refusal.remedies()[0]
            );
            assert_eq!(refusal.to_string(), line);
            assert!(!line.contains('\n') && !line.contains("  "), "{line}");
            assert!(refusal.remedies().iter().all(|remedy| !remedy.is_empty()));
            assert!(!refusal.explanation().contains(':'), "{line}");
            causes.insert(refusal.cause().name());
        }
    }
    assert_eq!(causes.len(), 13, "{causes:?}");
}

#[test]
fn the_numbers_that_matter_are_told() {
    let facts = Facts {
        locked_now: Some(32768),
        descriptors_open: Some(1000),
        descriptors: Some(Limit {
            soft: 1024,
            hard: 4096,
        }),
        ..facts()
    };
    let told = |errno| Refusal::explained(&io::Error::from_raw_os_error(errno), &facts).explanation;
    assert!(told(libc::ENOMEM).contains("RLIMIT_MEMLOCK (64 KiB, of which 32 KiB is used here)"));
    assert!(told(libc::EMFILE).contains("(1000 of 1024)"));
}

#[test]
fn a_remedy_names_only_the_container_that_it_is_in() {
    let of = |container| {
        let facts = Facts {
            container,
            seccomp: Some(Seccomp::Filter),
            ..facts()
        };
        Refusal::explained(&io::Error::from_raw_os_error(libc::EPERM), &facts)
            .remedies
            .join("\n")
    };
    let docker = of(Some(Container::Docker));
    assert!(docker.contains("--security-opt seccomp=") && !docker.contains("Kubernetes"));
    let pod = of(Some(Container::Kubernetes));
    assert!(pod.contains("seccompProfile") && !pod.contains("docker"));
    let unknown = of(None);
    for word in ["docker", "podman", "Kubernetes", "systemd"] {
        assert!(unknown.contains(word), "{unknown}");
    }
}

#[test]
fn a_policy_of_selinux_is_changed_only_where_selinux_is_active() {
    let of = |names: Option<&[&str]>| {
        let security_modules = names.map(|names| names.iter().map(|&name| name.into()).collect());
        let facts = Facts {
            security_modules,
            ..facts()
        };
        let refusal = Refusal::explained(&io::Error::from_raw_os_error(libc::EACCES), &facts);
        refusal.remedies.join("\n").contains("semodule")
    };
    assert!(of(None));
    assert!(of(Some(&["capability", "selinux"])));
    assert!(!of(Some(&["capability", "bpf"])));
}

#[test]
fn facts_are_read_from_files_and_without_them_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let nothing = Facts::read(&System::at(Path::new("/nonexistent")));
    assert_eq!(nothing, Facts::default());
    write("proc/self/status", "Seccomp:\t0\nNoNewPrivs:\t0\n");
    assert_eq!(
        Facts::read(&System::at(folder.path())).seccomp,
        Some(Seccomp::Off)
    );
    // A filter may be on in this thread alone.
    write(
        "proc/thread-self/status",
        "Gid:\t5\t5\t5\t5\nGroups:\t7\nVmLck:\t8 kB\nVmPin:\t4 kB\nCapEff:\t0000000000200000\nNoNewPrivs:\t1\nSeccomp:\t2\n",
    );
    write("proc/self/uid_map", "         0          0 4294967295\n");
    write("proc/sys/kernel/osrelease", "6.6.1\n");
    write("proc/sys/kernel/io_uring_disabled", "1\n");
    write("proc/sys/kernel/io_uring_group", "7\n");
    write("sys/kernel/security/lsm", "capability,selinux,bpf\n");
    write("sys/fs/selinux/enforce", "1");
    write("proc/self/fd/0", "");
    write("proc/self/fd/3", "");
    write(".dockerenv", "");
    let read = Facts::read(&System::at(folder.path()));
    let names = ["capability", "selinux", "bpf"];
    assert_eq!(
        read,
        Facts {
            kernel: Some("6.6.1".to_owned()),
            disabled: Some(1),
            group: Some(7),
            groups: Some(vec![7, 5]),
            seccomp: Some(Seccomp::Filter),
            no_new_privileges: Some(true),
            security_modules: Some(names.map(str::to_owned).to_vec()),
            selinux_enforces: Some(true),
            privileges: Some(1 << 21),
            locked_now: Some(12 * 1024),
            locked_memory: None,
            descriptors_open: Some(1),
            descriptors: None,
            container: Some(Container::Docker),
        }
    );
    write(
        "proc/self/environ",
        "A=b\0KUBERNETES_SERVICE_HOST=10.0.0.1\0",
    );
    let read = Facts::read(&System::at(folder.path()));
    assert_eq!(read.container, Some(Container::Kubernetes));
}
