//! The rules, one in each file, and the text they read.

pub(crate) mod arrows;
pub(crate) mod drop_docs;
pub(crate) mod forbidden_words;
pub(crate) mod long_files;
pub(crate) mod long_functions;
pub(crate) mod readme;
pub(crate) mod unsafe_code;

mod text;

pub(crate) use text::Source;
