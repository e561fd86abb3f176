//! [`PathError`]: an error that says what failed on which path.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What failed, and on which path: inside every [`io::Error`] of this module's functions that take a path.
///
/// The kind of the [`io::Error`] around it is that of the cause, so `error.kind()` is what the standard library would
/// say. The number of the kernel's error is not kept by an [`io::Error`] that carries anything else:
/// [`raw_os_error`] finds it.
///
/// ```
/// # krug::Runtime::new().unwrap().block_on(async {
/// use std::io::ErrorKind;
///
/// let error = krug::fs::File::open("/no/such/file").await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(error.to_string(), "cannot open /no/such/file: No such file or directory (os error 2)");
/// assert_eq!(krug::fs::raw_os_error(&error), Some(2));
/// # });
/// ```
#[derive(Debug)]
pub struct PathError {
    action: &'static str,
    path: PathBuf,
    /// The other path, of a rename for example.
    to: Option<PathBuf>,
    cause: io::Error,
}

impl PathError {
    pub(super) fn wrap(action: &'static str, path: &Path, cause: io::Error) -> io::Error {
        PathError::wrap_both(action, path, None, cause)
    }

    pub(super) fn wrap_both(
        action: &'static str,
        path: &Path,
        to: Option<&Path>,
        cause: io::Error,
    ) -> io::Error {
        let (path, to) = (path.to_owned(), to.map(Path::to_owned));
        let error = PathError {
            action,
            path,
            to,
            cause,
        };
        io::Error::new(error.cause.kind(), error)
    }

    /// The path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}", self.action, self.path.display())?;
        if let Some(to) = &self.to {
            write!(f, " to {}", to.display())?;
        }
        write!(f, ": {}", self.cause)
    }
}

impl Error for PathError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.cause)
    }
}

/// The number of the kernel's error, `ENOENT` for example, also if the error carries a path.
pub fn raw_os_error(error: &io::Error) -> Option<i32> {
    error.raw_os_error().or_else(|| {
        let inner = error.get_ref()?.downcast_ref::<PathError>()?;
        raw_os_error(&inner.cause)
    })
}
