//! The report for programs.

use super::finding::Finding;
use super::json::{Fields, Json};
use super::machine::{Machine, Processors};
use super::report::Report;
use crate::driver::{Ability, Container, Examination, Facts, Found, Limit, Refusal, Seccomp};
use crate::runtime::Driver;

impl Report {
    /// The same as JSON, indented, with a line break at its end.
    ///
    /// What is unknown is `null`; a bound that is none is the text `"unlimited"`. Fields may be added; those that are there
    /// keep their names and meanings.
    pub fn to_json(&self) -> String {
        Json::object_text(|fields| {
            let driver = self.driver.map(|driver| match driver {
                Driver::Uring => "uring",
                Driver::Sim => "sim",
                _ => "epoll",
            });
            fields.text("driver", driver);
            fields.text("reason", Some(&self.reason));
            let json = fields.field("ring");
            json.optional(self.found(), |json, found| {
                json.object(|fields| ring(fields, self, found, &self.examination));
            });
            let json = fields.field("refusal");
            json.optional(self.refusal(), refusal);
            fields
                .field("kernel")
                .object(|fields| kernel(fields, &self.facts, &self.machine));
            fields
                .field("limits")
                .object(|fields| limits(fields, &self.facts));
            fields
                .field("processors")
                .object(|fields| processors(fields, &self.machine));
            fields.field("findings").array(&self.findings, finding);
        })
    }
}

fn ring(fields: &mut Fields<'_>, report: &Report, found: &Found, examination: &Examination) {
    let capabilities = &found.capabilities;
    fields.text("rung", report.rung().map(|rung| rung.name()));
    fields.field("entries").number(capabilities.entries);
    let completions = capabilities.completion_entries;
    fields.field("completion_entries").number(completions);
    fields.field("operations").array(&found.operations, ability);
    fields.field("features").array(&found.features, ability);
    let json = fields.field("kernel_threads");
    json.optional(found.kernel_threads, |json, [files, blocking]| {
        json.object(|fields| {
            fields.field("files").number(files);
            fields.field("blocking").number(blocking);
            let asked = examination.blocking_threads;
            fields.field("blocking_asked").number(asked);
        });
    });
}

fn ability(json: &mut Json, ability: &Ability) {
    json.object(|fields| {
        fields.text("name", Some(ability.name));
        let present = ability.is_present;
        fields.field("present").optional(present, Json::boolean);
        fields.text("instead", Some(ability.instead));
    });
}

fn refusal(json: &mut Json, refusal: &Refusal) {
    json.object(|fields| {
        let errno = refusal.errno().map(i32::unsigned_abs);
        fields.field("errno").optional(errno, Json::number);
        fields.text("answer", Some(refusal.answer()));
        fields.text("cause", Some(refusal.cause().name()));
        fields.text("explanation", Some(refusal.explanation()));
        texts(fields.field("remedies"), refusal.remedies());
    });
}

fn texts(json: &mut Json, texts: &[String]) {
    json.array(texts, |json, text| json.string(text));
}

fn kernel(fields: &mut Fields<'_>, facts: &Facts, machine: &Machine) {
    fields.text("release", facts.kernel.as_deref());
    fields.text("machine", Some(machine.architecture));
    fields.text("container", facts.container.map(Container::name));
    let disabled = facts.disabled;
    let json = fields.field("io_uring_disabled");
    json.optional(disabled, Json::number);
    // −1: no group.
    let json = fields.field("io_uring_group");
    json.optional(facts.group_allowed().map(i64::unsigned_abs), Json::number);
    fields.text("seccomp", facts.seccomp.map(Seccomp::name));
    let json = fields.field("no_new_privileges");
    json.optional(facts.no_new_privileges, Json::boolean);
    let json = fields.field("security_modules");
    json.optional(facts.security_modules.as_deref(), texts);
    let json = fields.field("selinux_enforces");
    json.optional(facts.selinux_enforces, Json::boolean);
}

fn limits(fields: &mut Fields<'_>, facts: &Facts) {
    let json = fields.field("locked_memory");
    json.optional(facts.locked_memory, limit);
    let json = fields.field("locked_memory_used");
    json.optional(facts.locked_now, Json::number);
    fields
        .field("locked_memory_counts")
        .boolean(!facts.may_lock_all());
    let json = fields.field("descriptors");
    json.optional(facts.descriptors, limit);
    let open = facts.descriptors_open.map(|count| count as u64);
    let json = fields.field("descriptors_open");
    json.optional(open, Json::number);
}

fn limit(json: &mut Json, limit: Limit) {
    let write = |json: &mut Json, value| match value {
        Some(value) => Json::number(json, value),
        None => json.string("unlimited"),
    };
    json.object(|fields| {
        write(fields.field("soft"), limit.soft());
        write(fields.field("hard"), limit.hard());
    });
}

fn processors(fields: &mut Fields<'_>, machine: &Machine) {
    for (name, processors) in [("allowed", &machine.allowed), ("online", &machine.online)] {
        let write = |json: &mut Json, Processors { list, count }: &Processors| {
            json.object(|fields| {
                fields.text("list", Some(list));
                fields.field("count").number(*count as u64);
            });
        };
        fields.field(name).optional(processors.as_ref(), write);
    }
    let quota = machine.quota.map(|quota| quota.processors());
    fields.field("quota").optional(quota, Json::fraction);
}

fn finding(json: &mut Json, finding: &Finding) {
    json.object(|fields| {
        fields.text("severity", Some(finding.severity.name()));
        fields.text("name", Some(finding.name));
        fields.text("what", Some(&finding.what));
        fields.text("why", Some(&finding.why));
        texts(fields.field("remedies"), &finding.remedies);
    });
}
