//! [`Finding`]: one thing that could be better.

use std::fmt;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// A runtime with the default settings cannot be made.
    Blocks,
    /// All works, slower than it could.
    Costs,
    /// Good to know.
    Note,
}

impl Severity {
    /// A word for programs: `blocks`, `costs` or `note`.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Blocks => "blocks",
            Severity::Costs => "costs",
            Severity::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Blocks => "blocks",
            Severity::Costs => "costs speed",
            Severity::Note => "note",
        })
    }
}

/// What is, why it matters, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub(super) severity: Severity,
    pub(super) name: &'static str,
    pub(super) what: String,
    pub(super) why: String,
    pub(super) remedies: Vec<String>,
}

impl Finding {
    /// How much it matters.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// A word for programs; the [module's docs](super) list them.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What is.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Why it matters.
    pub fn why(&self) -> &str {
        &self.why
    }

    /// What to do about it: what has to be reached first, then ways to reach it, of which one is enough. At least one.
    pub fn remedies(&self) -> &[String] {
        &self.remedies
    }
}
