//! Calls on files and their names. Each has its effect at a moment between its begin and its completion.

use std::ops::Range;
use std::time::Duration;

use super::inode::{Change, Content, Inode, InodeId};
use super::memory::{self, Room};
use super::objects::{Kind, ObjectId};
use super::paths::Found;
use super::progress::{Begun, Whereabouts};
use super::world::World;
use crate::driver::{Address, CURSOR, Completion, Descriptor, Operation, Status};

/// An open file.
pub(super) struct OpenFile {
    pub(super) inode: InodeId,
    pub(super) position: u64,
    /// `O_…`.
    pub(super) flags: i32,
}

/// How long what a disk does takes.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    pub(crate) reads: Range<Duration>,
    pub(crate) writes: Range<Duration>,
    pub(crate) syncs: Range<Duration>,
    /// How often something takes much longer, and how long that is.
    pub(crate) stalls: f64,
    pub(crate) stall: Range<Duration>,
}

impl Pace {
    /// A disk that takes no time.
    pub(super) fn prompt() -> Pace {
        let none = Duration::ZERO..Duration::ZERO;
        Pace {
            reads: none.clone(),
            writes: none.clone(),
            syncs: none,
            ..Pace::default()
        }
    }
}

impl Default for Pace {
    fn default() -> Pace {
        let micros = Duration::from_micros;
        Pace {
            reads: micros(2)..micros(500),
            writes: micros(2)..micros(200),
            syncs: micros(100)..micros(10_000),
            stalls: 0.0,
            stall: Duration::from_secs(1)..Duration::from_secs(10),
        }
    }
}

impl World {
    /// Whether an operation is one that a disk does.
    pub(super) fn is_on_disk(&self, operation: &Operation) -> bool {
        use Operation as O;
        match *operation {
            O::Open { .. }
            | O::Status { .. }
            | O::Rename { .. }
            | O::MakeDirectory { .. }
            | O::HardLink { .. }
            | O::SymbolicLink { .. }
            | O::Remove { .. } => true,
            O::Read { fd, .. }
            | O::ReadFixed { fd, .. }
            | O::ReadVectored { fd, .. }
            | O::Write { fd, .. }
            | O::WriteFixed { fd, .. }
            | O::WriteVectored { fd, .. }
            | O::Sync { fd, .. }
            | O::Truncate { fd, .. }
            | O::Allocate { fd, .. } => self.is_file(fd),
            _ => false,
        }
    }

    fn is_file(&self, fd: Descriptor) -> bool {
        let object = self.objects.named(fd).and_then(|id| self.objects.get(id));
        object.is_some_and(|object| matches!(object.kind, Kind::File(_)))
    }

    /// How long the disk takes for it.
    pub(super) fn time_on_disk(&mut self, core: usize, operation: &Operation) -> Duration {
        let pace = &self.machines[self.cores[core].host].pace;
        let range = match operation {
            Operation::Sync { .. } => &pace.syncs,
            Operation::Write { .. }
            | Operation::WriteFixed { .. }
            | Operation::WriteVectored { .. }
            | Operation::Truncate { .. }
            | Operation::Allocate { .. } => &pace.writes,
            _ => &pace.reads,
        };
        let time = self.disk_luck.within(range);
        let stall = self.disk_luck.within(&pace.stall);
        let stall = self
            .disk_luck
            .strikes_for(pace.stalls, stall, "a disk stalls");
        time + stall.unwrap_or_default()
    }

    /// The effect of an operation on a disk, now.
    pub(super) fn do_on_disk(&mut self, mut begun: Begun) {
        if self.is_dead(begun.core) {
            return;
        }
        World::check_seal(&begun);
        let whereabouts = self.cores[begun.core].whereabouts(begun.key);
        if whereabouts == Some(Whereabouts::OnDisk { is_cancelled: true }) {
            let answer = self.answer_to_cancel(begun.core);
            return self.complete(&mut begun, answer);
        }
        let result = match self.mishap(&begun) {
            Some(errno) => Err(errno),
            None => self.perform_on_disk(begun.core, begun.operation),
        };
        let result = result.unwrap_or_else(|errno| -errno);
        self.complete(&mut begun, Completion::last(result));
    }

    #[rustfmt::skip] // A table: to be read downwards.
    fn perform_on_disk(&mut self, core: usize, operation: Operation) -> Result<i32, i32> {
        use Operation as O;
        let host = self.cores[core].host;
        match operation {
            O::Open { path, flags, mode } => self.open_file(host, &memory::c_string(path), flags, mode),
            O::Status { fd, path, flags, status } => self.status(core, fd, &memory::c_string(path), flags, status),
            O::Rename { from, to } => {
                let (from, to) = (self.named(host, from)?, self.named(host, to)?);
                self.machines[host].disk.rename(&from, &to)
            }
            O::HardLink { from, to } => {
                let from = self.machines[host].disk.find(&memory::c_string(from), false)?;
                from.inode.ok_or(libc::ENOENT)?;
                let to = self.named(host, to)?;
                self.machines[host].disk.hard_link(&from, &to)
            }
            O::Remove { path, flags } => self.remove(host, path, flags),
            O::MakeDirectory { path, mode } => self.create(host, path, Content::directory(), mode),
            O::SymbolicLink { target, link } => {
                let target = memory::c_string(target);
                if target.is_empty() {
                    return Err(libc::ENOENT);
                }
                self.create(host, link, Content::Link(target), 0o777)
            }
            O::Read { fd, address, length, offset } | O::ReadFixed { fd, address, length, offset, .. } => self.read_file(core, fd, &memory::at(address, length), offset),
            O::ReadVectored { fd, vectors, count, offset } => self.read_file(core, fd, &memory::vectors(vectors, count as usize), offset),
            O::Write { fd, address, length, offset } | O::WriteFixed { fd, address, length, offset, .. } => self.write_file(core, fd, &memory::at(address, length), offset),
            O::WriteVectored { fd, vectors, count, offset } => self.write_file(core, fd, &memory::vectors(vectors, count as usize), offset),
            O::Sync { fd, .. } => {
                let (_, inode) = self.file(core, fd)?;
                self.machines[host].disk.sync(inode, &self.disk_luck)
            }
            O::Truncate { fd, length } => self.truncate(core, fd, length),
            O::Allocate { fd, mode, offset, length } => self.allocate(core, fd, mode, offset, length),
            _ => Err(libc::EINVAL),
        }
    }

    fn named(&self, host: usize, path: Address) -> Result<Found, i32> {
        let path = memory::c_string(path);
        self.machines[host].disk.find_name(&path)
    }

    /// The open file of a number, and what it is.
    pub(super) fn file(&self, core: usize, fd: Descriptor) -> Result<(ObjectId, InodeId), i32> {
        let id = self.object(core, fd)?;
        match self.objects.get(id).map(|object| &object.kind) {
            Some(Kind::File(file)) => Ok((id, file.inode)),
            _ => Err(libc::EINVAL),
        }
    }

    fn flags(&self, id: ObjectId) -> i32 {
        match self.objects.get(id).map(|object| &object.kind) {
            Some(Kind::File(file)) => file.flags,
            _ => 0,
        }
    }

    fn open_file(&mut self, host: usize, path: &[u8], flags: i32, mode: u32) -> Result<i32, i32> {
        let now = self.elapsed();
        let has = |flag| flags & flag != 0;
        let disk = &mut self.machines[host].disk;
        let creates = has(libc::O_CREAT);
        let follows = !(has(libc::O_NOFOLLOW) || creates && has(libc::O_EXCL));
        let found = match creates {
            // What is to be made is no directory.
            true => disk.find_to_create(path, follows)?,
            false => disk.find(path, follows)?,
        };
        let writes = flags & libc::O_ACCMODE != libc::O_RDONLY;
        let inode = match found.inode {
            Some(_) if creates && has(libc::O_EXCL) => return Err(libc::EEXIST),
            Some(inode) => inode,
            None if creates => disk.create(&found, Content::file(), mode & !0o022, now)?,
            None => return Err(libc::ENOENT),
        };
        match &disk.inode(inode)?.content {
            Content::Link(_) => return Err(libc::ELOOP),
            Content::Socket => return Err(libc::ENXIO),
            Content::Directory { .. } if writes || creates => return Err(libc::EISDIR),
            Content::Directory { .. } => {}
            Content::File { .. } if has(libc::O_DIRECTORY) || found.is_directory_wanted => {
                return Err(libc::ENOTDIR);
            }
            Content::File { .. } if has(libc::O_TRUNC) && writes => {
                disk.inode_mut(inode)?.change(Change::Resize(0))?;
                disk.inode_mut(inode)?.modified = now;
            }
            Content::File { .. } => {}
        }
        let file = OpenFile {
            inode,
            position: 0,
            flags,
        };
        let id = self.objects.add(host, 0, Kind::File(file));
        Ok(self.objects.name(id))
    }

    fn create(
        &mut self,
        host: usize,
        path: Address,
        content: Content,
        mode: u32,
    ) -> Result<i32, i32> {
        let found = self.named(host, path)?;
        let now = self.elapsed();
        let disk = &mut self.machines[host].disk;
        disk.create(&found, content, mode & !0o022, now)?;
        Ok(0)
    }

    fn remove(&mut self, host: usize, path: Address, flags: i32) -> Result<i32, i32> {
        let found = self.named(host, path)?;
        let is_directory = flags & libc::AT_REMOVEDIR != 0;
        self.machines[host].disk.remove(&found, is_directory)
    }

    fn read_file(
        &mut self,
        core: usize,
        fd: Descriptor,
        room: &Room,
        offset: u64,
    ) -> Result<i32, i32> {
        let (id, inode) = self.file(core, fd)?;
        if self.flags(id) & libc::O_ACCMODE == libc::O_WRONLY {
            return Err(libc::EBADF);
        }
        self.check_range(id, room, offset)?;
        let at = self.start(id, offset);
        let disk = &self.machines[self.cores[core].host].disk;
        if matches!(disk.inode(inode)?.content, Content::Directory { .. }) {
            return Err(libc::EISDIR);
        }
        let bytes = disk.inode(inode)?.read(at, room.length());
        let count = room.store(&bytes);
        self.advance(id, offset, at + count as u64);
        Ok(count as i32)
    }

    fn write_file(
        &mut self,
        core: usize,
        fd: Descriptor,
        room: &Room,
        offset: u64,
    ) -> Result<i32, i32> {
        let (id, inode) = self.file(core, fd)?;
        let flags = self.flags(id);
        if flags & libc::O_ACCMODE == libc::O_RDONLY {
            return Err(libc::EBADF);
        }
        self.check_range(id, room, offset)?;
        let now = self.elapsed();
        let host = self.cores[core].host;
        let at = match flags & libc::O_APPEND {
            0 => self.start(id, offset),
            // Wherever it was told to go.
            _ => self.machines[host].disk.inode(inode)?.length(),
        };
        let bytes = room.load(room.length());
        let count = self.machines[host].disk.write(inode, at, &bytes, now)?;
        self.advance(id, offset, at + count as u64);
        Ok(count as i32)
    }

    /// No file is longer than an offset can say. Past the cache, everything has to lie at borders of sectors.
    fn check_range(&self, id: ObjectId, room: &Room, offset: u64) -> Result<(), i32> {
        let end = self.start(id, offset).checked_add(room.length() as u64);
        if end.is_none_or(|end| end > i64::MAX as u64) {
            return Err(libc::EINVAL);
        }
        if self.flags(id) & libc::O_DIRECT == 0 {
            return Ok(());
        }
        let sector = super::disk::SECTOR;
        let is_aligned = |number: u64| number.is_multiple_of(sector);
        let pieces_are = room
            .pieces()
            .iter()
            .all(|piece| is_aligned(piece.address.0 as u64) && is_aligned(piece.length as u64));
        match pieces_are && is_aligned(self.start(id, offset)) {
            true => Ok(()),
            false => Err(libc::EINVAL),
        }
    }

    fn start(&self, id: ObjectId, offset: u64) -> u64 {
        match self.objects.get(id).map(|object| &object.kind) {
            Some(Kind::File(file)) if offset == CURSOR => file.position,
            _ => offset,
        }
    }

    /// The cursor moves, if it was used.
    fn advance(&mut self, id: ObjectId, offset: u64, end: u64) {
        if let Some(Kind::File(file)) = self.objects.get_mut(id).map(|object| &mut object.kind)
            && offset == CURSOR
        {
            file.position = end;
        }
    }

    fn truncate(&mut self, core: usize, fd: Descriptor, length: u64) -> Result<i32, i32> {
        let (id, inode) = self.file(core, fd)?;
        if self.flags(id) & libc::O_ACCMODE == libc::O_RDONLY {
            return Err(libc::EINVAL);
        }
        if length > i64::MAX as u64 {
            return Err(libc::EINVAL);
        }
        self.resize(core, inode, length)
    }

    fn resize(&mut self, core: usize, inode: InodeId, length: u64) -> Result<i32, i32> {
        /// Nobody simulates larger files: it would be a mistake.
        const LENGTH_MAX: u64 = 1 << 32;
        if length > LENGTH_MAX {
            return Err(libc::EFBIG);
        }
        let now = self.elapsed();
        let disk = &mut self.machines[self.cores[core].host].disk;
        let inode = disk.inode_mut(inode)?;
        inode.change(Change::Resize(length))?;
        inode.reserved = 0;
        inode.modified = now;
        Ok(0)
    }

    fn allocate(
        &mut self,
        core: usize,
        fd: Descriptor,
        mode: i32,
        offset: u64,
        length: u64,
    ) -> Result<i32, i32> {
        let (id, inode) = self.file(core, fd)?;
        if self.flags(id) & libc::O_ACCMODE == libc::O_RDONLY {
            return Err(libc::EBADF);
        }
        if length == 0 {
            return Err(libc::EINVAL);
        }
        let keeps_length = mode & libc::FALLOC_FL_KEEP_SIZE != 0;
        if mode & !(libc::FALLOC_FL_KEEP_SIZE | libc::FALLOC_FL_PUNCH_HOLE) != 0 {
            return Err(libc::EOPNOTSUPP);
        }
        let now = self.elapsed();
        let disk = &mut self.machines[self.cores[core].host].disk;
        let present = disk.inode(inode)?.length();
        let end = offset.checked_add(length).ok_or(libc::EFBIG)?;
        if mode & libc::FALLOC_FL_PUNCH_HOLE != 0 {
            let hole = end.min(present).saturating_sub(offset) as usize;
            if hole > 0 {
                disk.write(inode, offset, &vec![0; hole], now)?;
            }
            return Ok(0);
        }
        if keeps_length || end <= present {
            let inode = disk.inode_mut(inode)?;
            inode.reserved = inode.reserved.max(end);
            return Ok(0);
        }
        self.resize(core, inode, end)
    }

    fn status(
        &mut self,
        core: usize,
        fd: Descriptor,
        path: &[u8],
        flags: i32,
        status: Address,
    ) -> Result<i32, i32> {
        let host = self.cores[core].host;
        let inode = match path.is_empty() {
            true => self.file(core, fd)?.1,
            false => {
                let follows = flags & libc::AT_SYMLINK_NOFOLLOW == 0;
                let found = self.machines[host].disk.find(path, follows)?;
                found.inode.ok_or(libc::ENOENT)?
            }
        };
        let disk = &self.machines[host].disk;
        let links = disk.links(inode);
        memory::store_status(status, describe(inode, disk.inode(inode)?, links));
        Ok(0)
    }
}

fn describe(id: InodeId, inode: &Inode, links: usize) -> Status {
    /// The date at the beginning of a world.
    const DATE: i64 = 1_767_225_600;
    let moment = |elapsed: Duration| {
        let mut moment = Status::empty().0.stx_mtime;
        moment.tv_sec = DATE + elapsed.as_secs() as i64;
        moment.tv_nsec = elapsed.subsec_nanos();
        moment
    };
    let kind = match inode.content {
        Content::File { .. } => libc::S_IFREG,
        Content::Directory { .. } => libc::S_IFDIR,
        Content::Link(_) => libc::S_IFLNK,
        Content::Socket => libc::S_IFSOCK,
    };
    let mut status = Status::empty();
    let found = &mut status.0;
    found.stx_mask = libc::STATX_BASIC_STATS | libc::STATX_BTIME | libc::STATX_DIOALIGN;
    found.stx_blksize = 4096;
    found.stx_nlink = links as u32;
    found.stx_mode = (kind | inode.mode) as u16;
    found.stx_ino = id.0;
    found.stx_size = inode.length();
    found.stx_blocks = inode.length().max(inode.reserved).div_ceil(512);
    found.stx_btime = moment(inode.born);
    found.stx_mtime = moment(inode.modified);
    found.stx_ctime = moment(inode.modified);
    found.stx_atime = moment(inode.modified);
    found.stx_dio_mem_align = super::disk::SECTOR as u32;
    found.stx_dio_offset_align = super::disk::SECTOR as u32;
    status
}
