//! A thread for each connection.

use std::fs;
use std::io;
use std::sync::Arc;
use std::thread;

use super::acceptor::Accepted;
use super::conversation::After;
use super::{Site, blocking};

/// What one connection needs, with a wide margin; only what is used takes memory.
const STACK: usize = 256 << 10;

/// A thread's stack and the one for its signals, each with a page before it that nobody may touch: so many maps of memory.
const MAPS_OF_A_THREAD: usize = 4;
/// For all the rest of the process.
const OTHER_MAPS: usize = 1000;

pub(super) fn serve(site: Site) -> io::Result<()> {
    let Site {
        acceptor, files, ..
    } = site;
    let files = Arc::new(files);
    let threads_max = threads_max();
    while let Accepted::Connection(stream) = acceptor.accept()? {
        // Each thread has its share of them.
        if Arc::strong_count(&files) > threads_max {
            acceptor.refuse(
                "no more threads: their stacks would be too many maps of memory (vm.max_map_count)",
            );
            continue;
        }
        let files = files.clone();
        let thread = thread::Builder::new().stack_size(STACK);
        let begun = thread.spawn(move || {
            // An error is that user's, who has gone.
            let _ = blocking::serve(stream, After::Keep, &files);
        });
        if let Err(error) = begun {
            acceptor.refuse(&format!("no more threads: {error}"));
        }
    }
    // The process ends now, and with it the threads of users who are still there.
    Ok(())
}

/// Beyond this a thread fails when it has begun already, and nobody can tell its user.
fn threads_max() -> usize {
    let text = fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
    // The kernel's own default.
    let maps = text.trim().parse().unwrap_or(65_530_usize);
    maps.saturating_sub(OTHER_MAPS) / MAPS_OF_A_THREAD
}
