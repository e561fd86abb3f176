//! Reports of machines that are made up, as files and answers, compared word by word with what is in `golden/`.
//! `KRUG_GOLDEN=write` writes these anew: read the difference before you keep it. For a new one, name it in [`GOLDEN`] and
//! begin with two empty files.

use std::fs;
use std::io;
use std::path::Path;

use tempfile::TempDir;

use super::machine::Machine;
use super::report::Report;
use super::{Cause, Severity};
use crate::driver::{
    Capabilities, Choice, Examination, Facts, Found, Limit, Refusal, Rung, System, made_up,
};

/// A machine that is looked at. What it is not told, it has from [`healthy`].
struct Patient {
    folder: TempDir,
    system: System,
    wish: Result<Choice, String>,
    ring: Result<Found, io::Error>,
    epoll: Result<(), String>,
}

fn all_of(rung: Rung) -> Capabilities {
    Capabilities {
        rung: Some(rung),
        entries: 256,
        completion_entries: 1024,
        accept_multishot: true,
        socket: true,
        bind_listen: true,
        pipe: true,
        shutdown: true,
        truncate: true,
        rename: true,
        remove: true,
        make_directory: true,
        hard_link: true,
        symbolic_link: true,
        provided_buffers: true,
        receive_multishot: true,
        receive_bundle: true,
        message_ring: true,
        no_iowait: true,
    }
}

const STATUS: &str = "Name:\tserver
Uid:\t1000\t1000\t1000\t1000
Gid:\t1000\t1000\t1000\t1000
Groups:\t27 1000
VmLck:\t       0 kB
VmPin:\t       0 kB
CapEff:\t0000000000000000
NoNewPrivs:\t0
Seccomp:\t0
Cpus_allowed_list:\t0-3
";

fn healthy() -> Patient {
    let folder = tempfile::tempdir().expect("a folder");
    let system = System::at(folder.path());
    let patient = Patient {
        folder,
        system,
        wish: Ok(Choice::Auto),
        ring: Ok(made_up(all_of(Rung::Modern), &[])),
        epoll: Ok(()),
    };
    let patient = patient
        .with("proc/thread-self/status", STATUS)
        .with("proc/self/uid_map", "0 0 4294967295")
        .with("proc/self/cgroup", "0::/system.slice/server.service\n")
        .with("sys/devices/system/cpu/online", "0-3\n")
        .with("sys/kernel/security/lsm", "lockdown,capability,apparmor\n")
        .kernel("6.18.44");
    let patient = ["0", "1", "2", "3"].iter().fold(patient, |patient, fd| {
        patient.with(&format!("proc/self/fd/{fd}"), "")
    });
    patient
        .sysctl(0, -1)
        .locked_memory(8 << 20, 8 << 20)
        .descriptors(524_288, 524_288)
}

impl Patient {
    fn with(self, path: &str, text: &str) -> Patient {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
        self
    }

    fn without(self, path: &str) -> Patient {
        let path = self.folder.path().join(path);
        let removed = match path.is_dir() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        removed.expect("what is taken away was there");
        self
    }

    fn kernel(self, release: &str) -> Patient {
        self.with("proc/sys/kernel/osrelease", release)
    }

    fn sysctl(self, disabled: u32, group: i64) -> Patient {
        self.with(
            "proc/sys/kernel/io_uring_disabled",
            &format!("{disabled}\n"),
        )
        .with("proc/sys/kernel/io_uring_group", &format!("{group}\n"))
    }

    fn without_sysctl(self) -> Patient {
        self.without("proc/sys/kernel/io_uring_disabled")
            .without("proc/sys/kernel/io_uring_group")
    }

    fn status(self, from: &str, to: &str) -> Patient {
        assert!(STATUS.contains(from), "{from}");
        self.with("proc/thread-self/status", &STATUS.replace(from, to))
    }

    fn locked_memory(mut self, soft: u64, hard: u64) -> Patient {
        self.system.locked_memory = Some(Limit { soft, hard });
        self
    }

    fn descriptors(mut self, soft: u64, hard: u64) -> Patient {
        self.system.descriptors = Some(Limit { soft, hard });
        self
    }

    fn wishes(mut self, choice: Choice) -> Patient {
        self.wish = Ok(choice);
        self
    }

    fn has(self, capabilities: Capabilities, missing: &[&str]) -> Patient {
        let ring = Ok(made_up(capabilities, missing));
        Patient { ring, ..self }
    }

    fn refuses(self, errno: i32) -> Patient {
        self.refuses_with(io::Error::from_raw_os_error(errno))
    }

    fn refuses_with(self, error: io::Error) -> Patient {
        let ring = Err(error);
        Patient { ring, ..self }
    }

    fn report(self) -> Report {
        let facts = Facts::read(&self.system);
        let machine = Machine {
            architecture: "x86_64",
            ..Machine::read(&self.system)
        };
        let examination = Examination {
            wish: self.wish,
            ring: self
                .ring
                .map_err(|error| Refusal::explained(&error, &facts)),
            epoll: self.epoll,
            entries: 256,
            blocking_threads: 128,
        };
        Report::of(examination, facts, machine)
    }

    /// The report, after it was found to be the one in the files of this name.
    #[track_caller]
    fn looks_as_in(self, name: &str) -> Report {
        let report = self.report();
        is_golden(&format!("{name}.txt"), &report.to_string());
        is_golden(&format!("{name}.json"), &report.to_json());
        report
    }
}

/// The golden texts with their names. They are compiled in: where old kernels are tried there are no sources.
macro_rules! golden {
    ($($name:literal),* $(,)?) => {
        &[$(
            (concat!($name, ".txt"), include_str!(concat!("golden/", $name, ".txt"))),
            (concat!($name, ".json"), include_str!(concat!("golden/", $name, ".json"))),
        )*]
    };
}

const GOLDEN: &[(&str, &str)] = golden![
    "all-well",
    "eacces-selinux",
    "emfile",
    "enomem-memlock",
    "enosys",
    "enosys-gvisor",
    "eopnotsupp",
    "eperm-seccomp-docker",
    "eperm-seccomp-kubernetes",
    "eperm-sysctl-1-group",
    "eperm-sysctl-2",
    "old-kernel-5.10",
    "plain-rung-5.15",
    "quota",
    "scarce",
    "variable-epoll",
];

#[track_caller]
fn is_golden(name: &str, text: &str) {
    let mut known = GOLDEN.iter().filter(|(known, _)| *known == name);
    let (_, golden) = known.next().expect("a name in GOLDEN");
    if std::env::var_os("KRUG_GOLDEN").is_some_and(|value| value == "write") {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/doctor/golden");
        fs::write(folder.join(name), text).expect("the file can be written");
        return;
    }
    assert!(
        *golden == text,
        "golden/{name} is:\n{golden}\nthe report is:\n{text}"
    );
}

fn names(report: &Report) -> Vec<&str> {
    report
        .findings()
        .iter()
        .map(|finding| finding.name())
        .collect()
}

#[track_caller]
fn is_refused_for(report: &Report, cause: Cause) {
    assert_eq!(report.refusal().map(Refusal::cause), Some(cause));
    assert_eq!(report.driver(), Some(crate::runtime::Driver::Epoll));
    assert!(names(report).contains(&"ring-refused"));
    let refusal = report.refusal().expect("as above");
    assert_eq!(report.reason(), refusal.to_string());
}

#[test]
fn where_all_is_well_nothing_is_found() {
    let report = healthy().looks_as_in("all-well");
    assert_eq!(report.driver(), Some(crate::runtime::Driver::Uring));
    assert!(report.findings().is_empty());
}

#[test]
fn a_sysctl_that_forbids_it_to_all_is_named() {
    let report = healthy().sysctl(2, -1).refuses(libc::EPERM);
    is_refused_for(&report.looks_as_in("eperm-sysctl-2"), Cause::Disabled);
}

#[test]
fn a_sysctl_that_forbids_it_to_others_is_named_with_its_group() {
    let report = healthy().sysctl(1, 990).refuses(libc::EPERM);
    let report = report.looks_as_in("eperm-sysctl-1-group");
    is_refused_for(&report, Cause::DisabledForOthers);
}

#[test]
fn the_filter_of_a_container_is_named_with_what_the_container_needs() {
    let report = healthy()
        .status("Seccomp:\t0", "Seccomp:\t2")
        .with(".dockerenv", "")
        .refuses(libc::EPERM);
    is_refused_for(&report.looks_as_in("eperm-seccomp-docker"), Cause::Seccomp);
}

#[test]
fn the_filter_of_a_pod_is_named_with_what_the_pod_needs() {
    let report = healthy()
        .status("Seccomp:\t0", "Seccomp:\t2")
        .with("proc/self/environ", "KUBERNETES_SERVICE_HOST=10.0.0.1\0")
        .refuses(libc::EPERM);
    is_refused_for(
        &report.looks_as_in("eperm-seccomp-kubernetes"),
        Cause::Seccomp,
    );
}

#[test]
fn a_kernel_without_io_uring_is_named() {
    let report = healthy()
        .kernel("5.14.0-70.el9.x86_64")
        .without_sysctl()
        .refuses(libc::ENOSYS);
    is_refused_for(&report.looks_as_in("enosys"), Cause::Missing);
}

#[test]
fn a_policy_of_selinux_is_named() {
    let report = healthy()
        .with("sys/kernel/security/lsm", "lockdown,capability,selinux\n")
        .with("sys/fs/selinux/enforce", "1")
        .refuses(libc::EACCES);
    let report = report.looks_as_in("eacces-selinux");
    is_refused_for(&report, Cause::SecurityModule);
}

#[test]
fn too_little_locked_memory_is_named_with_its_numbers() {
    let report = healthy()
        .locked_memory(64 << 10, 64 << 10)
        .status("VmPin:\t       0 kB", "VmPin:\t      60 kB")
        .refuses(libc::ENOMEM);
    let report = report.looks_as_in("enomem-memlock");
    is_refused_for(&report, Cause::LockedMemory);
}

#[test]
fn an_answer_that_nobody_expects_is_a_sandbox() {
    let report = healthy()
        .without_sysctl()
        .without("sys/kernel/security/lsm")
        .status("Seccomp:\t0\n", "")
        .refuses(libc::EOPNOTSUPP);
    is_refused_for(&report.looks_as_in("eopnotsupp"), Cause::Sandbox);
}

#[test]
fn gvisor_is_named() {
    let report = healthy()
        .kernel("4.4.0")
        .without_sysctl()
        .refuses(libc::ENOSYS);
    is_refused_for(&report.looks_as_in("enosys-gvisor"), Cause::Sandbox);
}

/// Then no file can be read either: nearly all is unknown.
#[test]
fn without_a_descriptor_left_there_is_a_report_all_the_same() {
    let mut patient = healthy()
        .without("proc")
        .without("sys")
        .descriptors(1024, 4096)
        .refuses(libc::EMFILE);
    patient.epoll = Err(io::Error::from_raw_os_error(libc::EMFILE).to_string());
    let report = patient.looks_as_in("emfile");
    assert_eq!(report.driver(), None);
    assert_eq!(report.kernel(), None);
    assert_eq!(
        report.refusal().map(Refusal::cause),
        Some(Cause::Descriptors)
    );
    assert_eq!(report.findings()[0].severity(), Severity::Blocks);
}

#[test]
fn a_ring_that_lacks_what_krug_needs_is_too_old() {
    let lacks = "io_uring of this kernel lacks IORING_FEAT_EXT_ARG";
    let report = healthy()
        .kernel("5.10.0-8-amd64")
        .without_sysctl()
        .refuses_with(io::Error::new(io::ErrorKind::Unsupported, lacks));
    let report = report.looks_as_in("old-kernel-5.10");
    is_refused_for(&report, Cause::OldKernel);
}

#[test]
fn an_old_ring_is_told_what_it_lacks_and_what_stands_in_for_it() {
    let capabilities = Capabilities {
        accept_multishot: false,
        provided_buffers: false,
        receive_multishot: false,
        receive_bundle: false,
        message_ring: false,
        no_iowait: false,
        ..all_of(Rung::Plain)
    };
    let missing = ["BIND", "FTRUNCATE", "LISTEN", "MSG_RING", "PIPE", "SOCKET"];
    let report = healthy()
        .kernel("5.15.0-94-generic")
        .without_sysctl()
        .has(capabilities, &missing)
        .looks_as_in("plain-rung-5.15");
    assert_eq!(
        names(&report),
        ["old-ring", "operations-missing", "features-missing"]
    );
}

#[test]
fn who_asks_for_epoll_is_told_that_there_could_be_a_ring() {
    let report = healthy()
        .wishes(Choice::Epoll)
        .looks_as_in("variable-epoll");
    assert_eq!(report.driver(), Some(crate::runtime::Driver::Epoll));
    assert_eq!(names(&report), ["epoll-chosen"]);
}

#[test]
fn who_asks_for_a_simulation_is_told_that_nothing_is_real() {
    let report = healthy().wishes(Choice::Sim).report();
    assert_eq!(report.driver(), Some(crate::runtime::Driver::Sim));
    let text = report.to_string();
    let first = "krug simulates everything here: KRUG_DRIVER=sim asks for it\n";
    assert!(text.starts_with(first), "{text}");
    let json = report.to_json();
    assert!(json.contains("\"driver\": \"sim\""), "{json}");
}

#[test]
fn a_quota_below_the_processors_is_found() {
    let report = healthy()
        .with("sys/fs/cgroup/system.slice/cpu.max", "150000 100000\n")
        .looks_as_in("quota");
    assert_eq!(names(&report), ["quota"]);
    assert_eq!(report.quota(), Some(1.5));
}

#[test]
fn several_scarcities_are_found_with_the_gravest_first() {
    let small = Capabilities {
        entries: 64,
        completion_entries: 256,
        ..all_of(Rung::Deferred)
    };
    let mut patient = healthy()
        .locked_memory(64 << 10, Limit::NONE)
        .descriptors(1024, 4096)
        .status("0-3", "2")
        .has(small, &[]);
    if let Ok(found) = &mut patient.ring {
        found.kernel_threads = Some([1, 40]);
    }
    let report = patient.looks_as_in("scarce");
    assert_eq!(
        names(&report),
        [
            "small-ring",
            "locked-memory",
            "old-ring",
            "kernel-threads",
            "descriptors",
            "one-processor"
        ]
    );
}

#[test]
fn a_ring_that_is_demanded_and_refused_blocks() {
    let report = healthy()
        .wishes(Choice::Uring)
        .sysctl(2, -1)
        .refuses(libc::EPERM)
        .report();
    assert_eq!(report.driver(), None);
    assert_eq!(report.findings()[0].severity(), Severity::Blocks);
    assert!(
        report
            .to_string()
            .starts_with("krug does not run here: KRUG_DRIVER=uring")
    );
}

#[test]
fn a_ring_that_nobody_wants_and_nobody_could_have_is_a_note() {
    let report = healthy()
        .wishes(Choice::Epoll)
        .sysctl(2, -1)
        .refuses(libc::EPERM)
        .report();
    assert_eq!(report.driver(), Some(crate::runtime::Driver::Epoll));
    assert_eq!(report.reason(), "KRUG_DRIVER=epoll asks for it");
    assert_eq!(names(&report), ["ring-refused"]);
    assert_eq!(report.findings()[0].severity(), Severity::Note);
}

#[test]
fn a_variable_that_names_no_driver_blocks() {
    let mut patient = healthy();
    patient.wish = Err("no such driver".to_owned());
    let report = patient.report();
    assert_eq!(report.driver(), None);
    assert_eq!(names(&report), ["driver-unknown"]);
    assert_eq!(report.findings()[0].severity(), Severity::Blocks);
}

#[test]
fn a_want_of_epoll_does_not_matter_where_there_is_a_ring() {
    let mut patient = healthy();
    patient.epoll = Err("there is none".to_owned());
    assert!(patient.report().findings().is_empty());
}

/// Lists as many kinds of findings as the rules have.
#[test]
fn every_finding_is_in_the_table_of_the_docs() {
    let rules = include_str!("findings.rs");
    let docs = include_str!("mod.rs");
    let named = |line: &str| Some(line.strip_prefix("//! | `")?.split('`').next()?.to_owned());
    let listed: Vec<String> = docs.lines().filter_map(named).collect();
    assert_eq!(listed.len(), 13, "{listed:?}");
    for name in listed {
        assert!(rules.contains(&format!("\"{name}\"")), "{name}");
    }
}
