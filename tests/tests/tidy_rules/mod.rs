//! The rules, one in each file, and the text they read.

pub mod arrows;
pub mod forbidden_words;
pub mod long_files;
pub mod long_functions;
pub mod readme;
pub mod unsafe_code;

mod text;

pub use text::Source;
