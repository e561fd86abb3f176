//! A server in a process of its own, started, told to end, and ended.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::floor::system;
use crate::models::calls::{processes, sockets};
use crate::models::{Model, READY, REFUSES};

/// So long a server has to end by itself.
const GRACE: Duration = Duration::from_secs(2);

/// A folder with one file, that is removed in the end.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn with_file(name: &str, content: &[u8]) -> io::Result<Folder> {
        let name_of_folder = format!("krug-benches-models-{}", std::process::id());
        let folder = Folder {
            path: std::env::temp_dir().join(name_of_folder),
        };
        fs::create_dir_all(&folder.path)?;
        fs::write(folder.path.join(name), content)?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind is a small file in the folder for such.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A server at work. When this is dropped, it is killed with all its processes.
#[derive(Debug)]
pub(super) struct Serving {
    listener: TcpListener,
    pub(super) address: SocketAddrV4,
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Serving {
    /// Returns when the server is ready. It must be kept on the thread that began it: with that it is killed.
    pub(super) fn begin(model: &Model, driver: &str, folder: &Folder) -> io::Result<Serving> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        sockets::lengthen_queue(&listener)?;
        // What it accepts inherits that.
        system::use_cubic(&listener)?;
        let SocketAddr::V4(address) = listener.local_addr()? else {
            return Err(io::Error::other("a listener of the wrong family"));
        };
        let mut process = command(model, driver, &folder.path)?
            .stdin(OwnedFd::from(listener.try_clone()?))
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().expect("it has a pipe");
        let mut serving = Serving {
            listener,
            address,
            process,
            output: BufReader::new(output),
        };
        let mut line = String::new();
        serving.output.read_line(&mut line)?;
        match line.trim() {
            READY => Ok(serving),
            _ => Err(io::Error::other("the server has failed to begin")),
        }
    }

    /// The process that leads its group.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Tells it to end, and waits; kills it if that takes too long. Why it has refused users, if it has.
    pub(super) fn end(mut self) -> io::Result<Option<String>> {
        sockets::end(&self.listener)?;
        let limit = Instant::now() + GRACE;
        let mut ended_by_itself = None;
        while ended_by_itself.is_none() && Instant::now() < limit {
            thread::sleep(Duration::from_millis(1));
            ended_by_itself = self.process.try_wait()?;
        }
        if ended_by_itself.is_none() {
            processes::kill_group(self.process.id());
            self.process.wait()?;
        }
        let mut rest = String::new();
        self.output.read_to_string(&mut rest)?;
        let reason = rest.lines().find_map(|line| line.strip_prefix(REFUSES));
        match ended_by_itself {
            Some(status) if !status.success() => {
                Err(io::Error::other(format!("the server has failed: {status}")))
            }
            _ => Ok(reason.map(str::to_owned)),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            processes::kill_group(self.process.id());
            let _ = self.process.wait();
        }
    }
}

fn command(model: &Model, driver: &str, folder: &Path) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["models", "--served", model.name, "--driver", driver]);
    command.current_dir(folder).process_group(0);
    Ok(command)
}
