//! The doctor on this machine: it says what a runtime really gets, and leaves nothing behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use krug::doctor::{Cause, Refusal, Report};
use krug::{Runtime, doctor};
use krug_tests::{passes_in_a_process_of_its_own, run_alone};
use serde_json::Value;

krug_tests::on_every_driver!();

/// What does not change from one moment to the next.
fn summary(report: &Report) -> String {
    let names: Vec<_> = report.findings().iter().map(|it| it.name()).collect();
    format!(
        "{:?} {} {:?} {:?} {:?} {names:?}",
        report.driver(),
        report.reason(),
        report.rung(),
        report.operations(),
        report.features()
    )
}

#[test]
fn reports_inside_and_outside_of_a_runtime_are_the_same_and_leave_no_descriptor() {
    run_alone(|runtime| {
        let outside = summary(&doctor());
        for _ in 0..20 {
            let inside =
                runtime.block_on(async { krug::spawn(async { summary(&doctor()) }).await });
            assert_eq!(inside.unwrap(), outside);
        }
    });
}

#[test]
fn the_driver_of_the_report_is_the_one_that_a_runtime_gets() {
    let report = doctor();
    let runtime = Runtime::new().unwrap();
    assert_eq!(report.driver(), Some(runtime.driver()));
    if let Some(reason) = runtime.fallback_reason() {
        assert_eq!(report.refusal().map(Refusal::to_string), Some(reason));
        assert_eq!(report.findings()[0].name(), "ring-refused");
    }
}

#[test]
fn what_this_machine_says_of_itself_is_in_the_report() {
    let report = doctor();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(report.kernel(), Some(release.trim()));
    let processors = std::thread::available_parallelism().unwrap().get();
    // What the standard library says takes a quota into account.
    assert!(report.processors().is_some_and(|count| count >= processors));
    assert!(report.descriptors().is_some() && report.locked_memory().is_some());
    assert!(report.to_string().contains(release.trim()));
}

/// The bound for new descriptors of this process.
fn allow_descriptors(soft: Option<u64>) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the call fills `limit`.
    let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur = soft.unwrap_or(limit.rlim_max);
    // SAFETY: the call reads `limit`.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!((got, set), (0, 0));
}

#[test]
fn where_no_descriptor_can_be_opened_that_is_what_the_report_says() {
    krug_tests::needs_a_kernel!("it is about a limit of the kernel's");
    let name = "where_no_descriptor_can_be_opened_that_is_what_the_report_says";
    if passes_in_a_process_of_its_own(name) {
        return;
    }
    allow_descriptors(Some(0));
    let report = doctor();
    allow_descriptors(None);
    assert_eq!(report.driver(), None, "{report}");
    assert_eq!(
        report.refusal().map(Refusal::cause),
        Some(Cause::Descriptors)
    );
    assert_eq!(report.kernel(), None);
    assert_eq!(report.descriptors().and_then(|limit| limit.soft()), Some(0));
    assert!(report.to_string().starts_with("krug does not run here: "));
}

fn keys(value: &Value) -> BTreeSet<&str> {
    let fields = value.as_object().expect("an object");
    fields.keys().map(String::as_str).collect()
}

/// Of this machine, and of those that the golden texts are about.
#[test]
fn every_report_is_json_with_the_same_fields() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../executor/src/doctor/golden");
    let mut texts = vec![doctor().to_json()];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            texts.push(fs::read_to_string(path).unwrap());
        }
    }
    assert!(texts.len() >= 14, "{} reports", texts.len());
    let read = |text: &String| -> Value {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"))
    };
    let reports: Vec<Value> = texts.iter().map(read).collect();
    for report in &reports {
        assert_eq!(keys(report), keys(&reports[0]));
        for part in ["kernel", "limits", "processors"] {
            assert_eq!(keys(&report[part]), keys(&reports[0][part]));
        }
        assert!(report["ring"].is_null() != report["refusal"].is_null());
        for finding in report["findings"].as_array().expect("a list") {
            let severity = finding["severity"].as_str().expect("a word");
            assert!(["blocks", "costs", "note"].contains(&severity));
            assert!(
                finding["remedies"]
                    .as_array()
                    .is_some_and(|list| !list.is_empty())
            );
        }
    }
}
