//! What tokio-console is told of sources.

use super::{Source, SourceId, StreamKind};
use crate::context;
use crate::cores::quietly;
use crate::observe::{self, Resource};

/// A source was made. Runs code of the user.
pub(super) fn tell_made(id: SourceId, source: &Source) {
    if observe::is_traced() {
        let resource = resource(source);
        let name = (id.index, id.generation);
        let tell = |core: &context::Core| core.console.add_resource(name, resource);
        quietly(|| _ = context::with(tell));
    }
}

/// It is gone. Runs code of the user.
pub(super) fn tell_gone(index: u32, generation: u32) {
    let name = (index, generation);
    quietly(|| _ = context::with(|core| core.console.remove_resource(name)));
}

fn resource(source: &Source) -> Resource {
    let (concrete_type, kind) = match source {
        Source::Stream(stream) => match stream.kind() {
            StreamKind::Tcp => ("TcpStream", "stream"),
            StreamKind::Unix => ("UnixStream", "stream"),
            StreamKind::Pipe => ("Pipe", "stream"),
        },
        Source::Listener(_) => ("Listener", "listener"),
        Source::Datagrams(_) => ("DatagramSocket", "datagrams"),
        Source::File(_) => ("File", "file"),
    };
    Resource {
        concrete_type,
        kind,
    }
}
