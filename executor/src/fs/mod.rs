//! Files and folders.

mod cursor;
mod error;
mod file;
mod metadata;
mod names;
mod open_options;
mod path;
mod positional;
mod questions;

pub use error::{PathError, raw_os_error};
pub use file::{File, KeepSize};
pub use metadata::{FileType, Metadata, Permissions};
pub use names::{
    create_dir, create_dir_all, hard_link, remove_dir, remove_dir_all, remove_file, rename, symlink,
};
pub use open_options::OpenOptions;
pub use questions::{
    canonicalize, metadata, read_link, set_permissions, symlink_metadata, try_exists,
};
