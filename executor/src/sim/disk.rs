//! The disks of a simulation, as tests see and disturb them.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::Sim;
use crate::driver::sim::{self, Flaws, Pace, World};

/// How the disk of a host is. At first it is healthy, and a crash loses or tears what was not synced.
///
/// | what | in a crash |
/// |---|---|
/// | bytes of a file that `sync_all` or `sync_data` was called for since | are there |
/// | other writes | each is there, lost, or there up to a border of 512 bytes |
/// | names that were made, changed or removed, and whose directory was synced since | are as they were |
/// | other names | each change is done or not, as a whole: also a rename |
#[derive(Clone, Debug, Default)]
pub struct Disks {
    flaws: Flaws,
    pace: Pace,
}

impl Disks {
    /// Whether what was not synced may be lost in a crash; true at first.
    pub fn lost_unsynced(&mut self, may_be: bool) -> &mut Disks {
        self.flaws.loses_unsynced = may_be;
        self
    }

    /// Whether a write that was not synced may be there in part after a crash; true at first.
    pub fn torn_writes(&mut self, may_be: bool) -> &mut Disks {
        self.flaws.tears_writes = may_be;
        self
    }

    /// Which share of the writes reaches another sector of the file than it should; seen after a crash.
    pub fn misdirected_writes(&mut self, share: f64) -> &mut Disks {
        self.flaws.misdirects = share;
        self
    }

    /// Which share of the writes has a wrong bit; seen after a crash.
    pub fn bit_flips(&mut self, share: f64) -> &mut Disks {
        self.flaws.flips_bits = share;
        self
    }

    /// Which share of the syncs fails with `EIO`. As in Linux, what it was for will not become durable, and the next
    /// sync does not say so again.
    pub fn sync_errors(&mut self, share: f64) -> &mut Disks {
        self.flaws.sync_errors = share;
        self
    }

    /// Which share of the syncs does nothing and says that it has.
    pub fn lying_syncs(&mut self, share: f64) -> &mut Disks {
        self.flaws.lying_syncs = share;
        self
    }

    /// How many bytes fit into the files; then there is `ENOSPC`.
    pub fn capacity(&mut self, bytes: u64) -> &mut Disks {
        self.flaws.capacity = bytes;
        self
    }

    /// How long a read or a question takes: 2 to 500 µs at first.
    pub fn read_time(&mut self, time: Range<Duration>) -> &mut Disks {
        self.pace.reads = time;
        self
    }

    /// How long a write takes: 2 to 200 µs at first.
    pub fn write_time(&mut self, time: Range<Duration>) -> &mut Disks {
        self.pace.writes = time;
        self
    }

    /// How long a sync takes: 0.1 to 10 ms at first.
    pub fn sync_time(&mut self, time: Range<Duration>) -> &mut Disks {
        self.pace.syncs = time;
        self
    }

    /// Which share of all this takes longer, and by how much.
    pub fn stalls(&mut self, share: f64, time: Range<Duration>) -> &mut Disks {
        self.pace.stalls = share;
        self.pace.stall = time;
        self
    }
}

/// The files of a host, for tests: what its programs see, without any delay.
pub struct HostFs<'a> {
    world: Rc<RefCell<World>>,
    host: usize,
    /// The host is in there.
    _of: PhantomData<&'a Sim>,
}

/// The files of the host that a runtime with [`Driver::Sim`](crate::runtime::Driver::Sim) is alone on: of the runtime that was made
/// last on this thread. They outlive it. `None` if there was none.
///
/// ```
/// use krug::runtime::Driver;
///
/// let runtime = krug::Runtime::builder().driver(Driver::Sim).build()?;
/// runtime.block_on(krug::fs::write("/tmp/greeting", "hello"))?;
/// let files = krug::sim::own_fs().expect("the runtime is there");
/// assert_eq!(files.read("/tmp/greeting")?, b"hello");
/// # std::io::Result::Ok(())
/// ```
pub fn own_fs() -> Option<HostFs<'static>> {
    Some(HostFs {
        world: sim::world_of_its_own()?,
        host: 0,
        _of: PhantomData,
    })
}

impl HostFs<'_> {
    /// What a file holds.
    ///
    /// # Errors
    ///
    /// As `std::fs::read`.
    pub fn read(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let world = self.world.borrow();
        let contents = world.contents(self.host, path.as_ref().as_os_str().as_bytes());
        contents.map_err(io::Error::from_raw_os_error)
    }

    /// Makes a file with these bytes, or replaces what it holds; durable at once.
    ///
    /// # Errors
    ///
    /// As `std::fs::write`.
    pub fn write(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        let path = path.as_ref().as_os_str().as_bytes();
        let put = world.put(self.host, path, bytes.as_ref());
        put.map_err(io::Error::from_raw_os_error)
    }

    /// Makes a directory, and all above it that are missing.
    ///
    /// # Errors
    ///
    /// As `std::fs::create_dir_all`.
    pub fn create_dir_all(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        let path = path.as_ref().as_os_str().as_bytes();
        let made = world.make_directories(self.host, path);
        made.map_err(io::Error::from_raw_os_error)
    }

    /// Removes a name of a file.
    ///
    /// # Errors
    ///
    /// As `std::fs::remove_file`.
    pub fn remove_file(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        let path = path.as_ref().as_os_str().as_bytes();
        let removed = world.remove_name(self.host, path);
        removed.map_err(io::Error::from_raw_os_error)
    }

    /// The names in a directory, sorted.
    ///
    /// # Errors
    ///
    /// As `std::fs::read_dir`.
    pub fn names(&self, directory: impl AsRef<Path>) -> io::Result<Vec<std::ffi::OsString>> {
        let world = self.world.borrow();
        let entries = world.entries(self.host, directory.as_ref().as_os_str().as_bytes());
        let entries = entries.map_err(io::Error::from_raw_os_error)?;
        let names = entries
            .into_iter()
            .map(|(name, ..)| OsStringExt::from_vec(name));
        Ok(names.collect())
    }
}

impl fmt::Debug for HostFs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host;
        f.debug_struct("HostFs")
            .field("host", &host)
            .finish_non_exhaustive()
    }
}

impl Sim {
    /// Changes how the disks of all hosts are that were added so far.
    pub fn disk(&mut self, change: impl Fn(&mut Disks)) {
        for host in 0..self.hosts.len() {
            self.change_disk(host, &change);
        }
    }

    /// Changes how the disk of one host is.
    ///
    /// # Panics
    ///
    /// If there is no host of this name.
    pub fn disk_of(&mut self, host: &str, change: impl Fn(&mut Disks)) {
        self.change_disk(self.find(host), &change);
    }

    fn change_disk(&mut self, host: usize, change: &dyn Fn(&mut Disks)) {
        let (flaws, pace) = self.world.borrow().flaws_and_pace(host);
        let mut disks = Disks { flaws, pace };
        change(&mut disks);
        let mut world = self.world.borrow_mut();
        world.set_flaws_and_pace(host, disks.flaws, disks.pace);
    }

    /// The files of a host. They outlive its crashes, as far as they are durable.
    ///
    /// # Panics
    ///
    /// If there is no host of this name.
    pub fn host_fs(&self, host: &str) -> HostFs<'_> {
        let host = self.find(host);
        HostFs {
            world: Rc::clone(&self.world),
            host,
            _of: PhantomData,
        }
    }
}
