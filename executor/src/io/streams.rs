//! What makes a stream one: its source, and with that the traits for owned buffers.

use std::io;

use crate::buf::BufResult;
use crate::op::send::{Send as SendBuf, whole_or_error};
use crate::op::shutdown::Shutdown;
use crate::source::{CloseStream, Outgoing, SourceId, Transfer};

/// Where bytes come from or go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Stream(SourceId),
    /// With a cursor.
    File(SourceId),
}

impl Port {
    #[cfg(feature = "futures-io")]
    pub(crate) fn source(self) -> SourceId {
        let (Port::Stream(id) | Port::File(id)) = self;
        id
    }
}

/// The end of the stream that belongs to a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndOfWriting {
    /// The socket is shut down for writing.
    ShutDown,
    /// A pipe has no other end than its closing.
    Close,
    /// A file has none.
    Flush,
}

/// A stream to read from. Public in name only, for bounds of public types: nobody else can implement or call it.
#[allow(unreachable_pub)]
pub trait ReadStream {
    #[doc(hidden)]
    #[allow(private_interfaces)]
    fn read_port(&self) -> Port;
}

/// A stream to write to, likewise.
#[allow(unreachable_pub)]
pub trait WriteStream {
    #[doc(hidden)]
    #[allow(private_interfaces)]
    const END: EndOfWriting;

    #[doc(hidden)]
    #[allow(private_interfaces)]
    fn write_port(&self) -> Port;
}

impl<S: ReadStream> ReadStream for &S {
    #[allow(private_interfaces)]
    fn read_port(&self) -> Port {
        (**self).read_port()
    }
}

impl<S: WriteStream> WriteStream for &S {
    #[allow(private_interfaces)]
    const END: EndOfWriting = S::END;

    #[allow(private_interfaces)]
    fn write_port(&self) -> Port {
        (**self).write_port()
    }
}

/// Sends `bytes`, which are accepted by this call.
pub(crate) fn commit(
    id: SourceId,
    bytes: Vec<u8>,
) -> impl Future<Output = BufResult<(), Vec<u8>>> + use<> {
    let len = bytes.len();
    let sending = Transfer::<SendBuf<Vec<u8>>>::new(id, Outgoing::committed(bytes));
    async move {
        let (result, bytes) = sending.await;
        (whole_or_error(result, len), bytes)
    }
}

/// Ends writing after everything that was written.
pub(crate) async fn end_writing(id: SourceId, end: EndOfWriting) -> io::Result<()> {
    match end {
        EndOfWriting::ShutDown => Transfer::<Shutdown>::new(id, Some(libc::SHUT_WR)).await,
        EndOfWriting::Close => CloseStream::new(id).await,
        EndOfWriting::Flush => Transfer::<Shutdown>::new(id, None).await,
    }
}

/// The traits of types that have `read_methods!`.
macro_rules! read_stream {
    ($($stream:ty),+) => {$(
        impl $crate::io::streams::ReadStream for $stream {
            #[allow(private_interfaces)]
            fn read_port(&self) -> $crate::io::streams::Port {
                $crate::io::streams::Port::Stream(self.source())
            }
        }

        $crate::io::read_stream!(@owned $stream);
        $crate::io::read_stream!(@owned &$stream);
    )+};
    (@owned $reader:ty) => {
        impl $crate::io::AsyncReadOwned for $reader {
            async fn read<B: $crate::buf::IoBufMut>(
                &mut self,
                buf: B,
            ) -> $crate::buf::BufResult<usize, B> {
                let id = self.source();
                let incoming = $crate::source::Incoming { buf, whole: false, done: 0 };
                $crate::source::Transfer::<$crate::op::receive::Receive<B>>::new(id, incoming).await
            }
        }
    };
}

/// The traits of types that have `write_methods!`.
macro_rules! write_stream {
    ($end:ident: $($stream:ty),+) => {$(
        impl $crate::io::streams::WriteStream for $stream {
            #[allow(private_interfaces)]
            const END: $crate::io::streams::EndOfWriting = $crate::io::streams::EndOfWriting::$end;

            #[allow(private_interfaces)]
            fn write_port(&self) -> $crate::io::streams::Port {
                $crate::io::streams::Port::Stream(self.source())
            }
        }

        $crate::io::write_stream!(@owned $stream, $stream);
        $crate::io::write_stream!(@owned $stream, &$stream);
    )+};
    (@owned $stream:ty, $writer:ty) => {
        impl $crate::io::AsyncWriteOwned for $writer {
            async fn write_all<B: $crate::buf::IoBuf>(
                &mut self,
                buf: B,
            ) -> $crate::buf::BufResult<(), B> {
                <$stream>::write_all(self, buf).await
            }

            fn commit(
                &mut self,
                bytes: Vec<u8>,
            ) -> impl std::future::Future<Output = $crate::buf::BufResult<(), Vec<u8>>> {
                let id = self.source();
                $crate::io::streams::commit(id, bytes)
            }

            async fn flush(&mut self) -> std::io::Result<()> {
                <$stream>::flush(self).await
            }

            async fn shutdown(&mut self) -> std::io::Result<()> {
                use $crate::io::streams::{WriteStream, end_writing};
                end_writing(self.source(), <$stream as WriteStream>::END).await
            }
        }
    };
}

pub(crate) use {read_stream, write_stream};
