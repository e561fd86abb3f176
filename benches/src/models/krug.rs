//! A task for each connection, on krug: on one core, or on all, over which connections are dealt out.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use ::krug::buf::IoBuf;
use ::krug::cores::{CoreHandle, Placement};
use ::krug::fs::File;
use ::krug::net::{TcpListener, TcpStream};
use ::krug::runtime::Builder;
use ::krug::task::spawn;

use super::Site;
use super::conversation::{After, Conversation, Step};
use super::files::OPEN_MAX;
use crate::floor::system;

pub(super) fn serve_on_one_core(site: Site) -> io::Result<()> {
    let (listener, folder) = (site.acceptor.into_listener(), site.files.into_folder());
    let runtime = Builder::new().driver(site.driver).build()?;
    let ended = runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let stream = listener.accept().await?;
            drop(spawn(serve(stream, folder.clone())));
        }
    });
    told(ended)
}

pub(super) fn serve_on_all_cores(site: Site) -> io::Result<()> {
    let (listener, folder) = (site.acceptor.into_listener(), site.files.into_folder());
    let cores = system::allowed_cores().len().max(1);
    let builder = Builder::new().driver(site.driver).cores(cores);
    let runtime = builder.pin(cores > 1).build()?;
    let ended = runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        let placement = Placement::least_loaded(CoreHandle::of_all_cores());
        let serve = move |stream| serve(stream, folder.clone());
        listener.distribute(&placement, serve).await
    });
    told(ended)
}

/// That the listener was shut down is how it is told to end.
fn told(ended: io::Result<()>) -> io::Result<()> {
    match ended {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        ended => ended,
    }
}

/// An error is the user's, who has gone.
async fn serve(stream: TcpStream, folder: Arc<Path>) {
    let _ = converse(&stream, &folder).await;
}

async fn converse(stream: &TcpStream, folder: &Path) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut conversation = Conversation::new(After::Keep);
    loop {
        match conversation.step() {
            Step::Receive => {
                let chunk = stream.recv().await?;
                if chunk.is_empty() {
                    conversation.ended();
                } else {
                    conversation.received(&chunk);
                }
            }
            Step::Send => {
                let (sent, output) = stream.write_all(conversation.take_output()).await;
                sent?;
                conversation.give_back(output);
            }
            Step::Load(name) => {
                let content = load(folder, &name).await.ok();
                conversation.loaded(content.as_deref());
            }
            Step::Close => return Ok(()),
        }
    }
}

struct Opened {
    file: File,
    length: usize,
}

thread_local! {
    /// Those of this core: what is open belongs to the core that has opened it.
    static OPEN: RefCell<HashMap<String, Rc<Opened>>> = RefCell::default();
}

/// As [`Files::load`](super::files::Files::load), without waiting.
async fn load(folder: &Path, name: &str) -> io::Result<Vec<u8>> {
    let opened = OPEN.with_borrow(|open| open.get(name).cloned());
    let opened = match opened {
        Some(opened) => opened,
        None => open(folder.join(name), name).await?,
    };
    let content = Vec::with_capacity(opened.length);
    let (result, content) = opened
        .file
        .read_exact_at(content.slice(..opened.length), 0)
        .await;
    result?;
    Ok(content.into_inner())
}

async fn open(path: PathBuf, name: &str) -> io::Result<Rc<Opened>> {
    let file = File::open(&path).await?;
    let metadata = file.metadata().await?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let length = usize::try_from(metadata.len()).map_err(io::Error::other)?;
    let opened = Rc::new(Opened { file, length });
    OPEN.with_borrow_mut(|open| {
        if open.len() < OPEN_MAX {
            open.insert(name.to_owned(), opened.clone());
        }
    });
    Ok(opened)
}
