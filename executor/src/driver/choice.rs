//! [`Choice`]: which driver is wanted, by the program or by the environment.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};

use super::Refusal;

/// Which driver is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Choice {
    /// What the environment says; else io_uring, or epoll where that is refused.
    #[default]
    Auto,
    Uring,
    Epoll,
    /// A world of its own, or the one of a simulation: nothing is real.
    Sim,
}

/// Decides for programs that leave it open.
const VARIABLE: &str = "KRUG_DRIVER";

impl Choice {
    /// What is wanted when the environment has had its say.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it says something that is no driver.
    pub(crate) fn resolve(self) -> io::Result<Choice> {
        match (self, env::var_os(VARIABLE)) {
            (Choice::Auto, Some(text)) => Choice::named(&text),
            (choice, _) => Ok(choice),
        }
    }

    fn named(text: &OsStr) -> io::Result<Choice> {
        match text.to_str() {
            Some("" | "auto") => Ok(Choice::Auto),
            Some("uring") => Ok(Choice::Uring),
            Some("epoll") => Ok(Choice::Epoll),
            Some("sim") => Ok(Choice::Sim),
            _ => {
                let text = text.to_string_lossy();
                let complaint = format!(
                    "the environment says {VARIABLE}={text}, but there is no such driver: say auto, uring, epoll or sim"
                );
                Err(io::Error::new(io::ErrorKind::InvalidInput, complaint))
            }
        }
    }
}

/// Decides from what a simulation follows, for programs that leave it open.
const SEED: &str = "KRUG_SIM_SEED";

/// The seed that the environment names.
///
/// # Errors
///
/// `InvalidInput` if it is no number.
pub(crate) fn seed_of_environment() -> io::Result<Option<u64>> {
    env::var_os(SEED).map(|text| number(&text)).transpose()
}

fn number(text: &OsStr) -> io::Result<u64> {
    let number = text.to_str().and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        let text = text.to_string_lossy();
        let complaint = format!("the environment says {SEED}={text}: it should be a whole number");
        io::Error::new(io::ErrorKind::InvalidInput, complaint)
    })
}

/// The last reason that was told, so that a program that makes many runtimes says it once.
static TOLD: AtomicI32 = AtomicI32::new(0);

/// Says once why there is no ring.
pub(super) fn tell(refusal: &Refusal) {
    let errno = refusal.errno().unwrap_or(-1);
    if TOLD.swap(errno, Ordering::Relaxed) != errno {
        tracing::warn!("{refusal}. Going on with epoll, slower, with the same results");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_whole_number() {
        let text = u64::MAX.to_string();
        assert_eq!(number(OsStr::new(&text)).unwrap(), u64::MAX);
        for text in ["", "-1", "17a"] {
            let error = number(OsStr::new(text)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(&format!("={text}:")), "{error}");
        }
    }

    #[test]
    fn the_environment_names_a_driver_or_is_told_what_there_is() {
        let named = |text: &str| Choice::named(OsStr::new(text));
        assert_eq!(named("auto").unwrap(), Choice::Auto);
        assert_eq!(named("").unwrap(), Choice::Auto);
        assert_eq!(named("uring").unwrap(), Choice::Uring);
        assert_eq!(named("epoll").unwrap(), Choice::Epoll);
        assert_eq!(named("sim").unwrap(), Choice::Sim);
        for text in ["kqueue", "EPOLL", " epoll"] {
            let error = named(text).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
