//! The methods to read and write, written once. The type that uses these macros has a
//! method `source(&self) -> SourceId`.

/// `read`, `read_exact`, `read_vectored`, `recv`.
macro_rules! read_methods {
    () => {
        /// Reads some bytes into `buf`, as many as are there and fit, at least one; waits if
        /// there are none. Resolves to their count, 0 at the end of the stream (and for a buffer
        /// without room), and the buffer. The end, and an error, stay: every later read
        /// resolves to the same.
        ///
        /// Dropping this future loses nothing: bytes that arrive for it go to the next read.
        ///
        /// # Errors
        ///
        /// What the kernel answers, for example `ECONNRESET`; also if the stream is used on a core
        /// that is not its own, or was closed.
        pub fn read<B: $crate::buf::IoBufMut>(
            &self,
            buf: B,
        ) -> impl Future<Output = $crate::buf::BufResult<usize, B>> + use<B> {
            let incoming = $crate::source::Incoming {
                buf,
                whole: false,
                done: 0,
            };
            $crate::source::Transfer::<$crate::op::receive::Receive<B>>::new(
                self.source(),
                incoming,
            )
        }

        /// Reads until `buf` is full, up to its capacity: give a `buf.slice(..n)` to read
        /// `n` bytes.
        ///
        /// Dropping this future loses nothing: the bytes that it has read already, and those that
        /// arrive for it, go to the next read.
        ///
        /// # Errors
        ///
        /// As `read`, and `UnexpectedEof` if the stream ends before; the bytes that
        /// came are in the buffer then.
        pub fn read_exact<B: $crate::buf::IoBufMut>(
            &self,
            buf: B,
        ) -> impl Future<Output = $crate::buf::BufResult<(), B>> + use<B> {
            let incoming = $crate::source::Incoming {
                buf,
                whole: true,
                done: 0,
            };
            let transfer = $crate::source::Transfer::<$crate::op::receive::Receive<B>>::new(
                self.source(),
                incoming,
            );
            $crate::io::Whole::new(transfer, 0)
        }

        /// Receives some bytes without giving a buffer: what arrives is in memory of the runtime, and the
        /// [`Chunk`](crate::buf::Chunk) is a lease on it. A connection that waits here holds no buffer at all. An empty chunk is
        /// the end of the stream; the end, and an error, stay, as with `read`.
        ///
        /// From its first `recv` on a TCP stream receives ahead, as far as [`Builder::receive_ahead`](crate::Builder::receive_ahead)
        /// lets it. `recv` and all the other reads can be mixed: they see the same bytes in the same order. While the stream
        /// receives ahead, the others copy.
        ///
        /// Dropping this future loses nothing: what arrives goes to the next read.
        ///
        /// # Errors
        ///
        /// As `read`. Running out of buffers is none.
        pub fn recv(&self) -> impl Future<Output = std::io::Result<$crate::buf::Chunk>> + use<> {
            $crate::source::ReceiveNext::new(self.source())
        }

        /// As [`read`](Self::read), into several buffers, each filled before the next.
        ///
        /// Dropping this future loses nothing: bytes that arrive for it go to the next read.
        ///
        /// # Errors
        ///
        /// As `read`.
        pub fn read_vectored<B: $crate::buf::IoVectoredBufMut>(
            &self,
            bufs: B,
        ) -> impl Future<Output = $crate::buf::BufResult<usize, B>> + use<B> {
            $crate::source::Transfer::<$crate::op::vectored::ReceiveVectored<B>>::new(
                self.source(),
                bufs,
            )
        }
    };
}

/// `write`, `write_all`, `write_vectored`, `write_all_vectored`, `flush`.
macro_rules! write_methods {
    () => {
        /// Writes some of `buf`, as much as the kernel takes at once; waits if it takes none.
        /// Resolves to the count of bytes written, and the buffer.
        ///
        /// Dropping this future before it was first polled, while it waits for an earlier write, or in the turn in which it
        /// begins, as long as the kernel has seen nothing of it (a ring never has then), writes nothing. Dropped later, the whole
        /// buffer is sent all the same, before anything written afterwards; an error of that shows at the next write, flush,
        /// shutdown or close.
        ///
        /// # Errors
        ///
        /// What the kernel answers, for example `EPIPE` (never a signal); the error of an earlier
        /// write whose future was dropped; also if the stream is used on a core that is not its own, or
        /// was closed.
        pub fn write<B: $crate::buf::IoBuf>(
            &self,
            buf: B,
        ) -> impl Future<Output = $crate::buf::BufResult<usize, B>> + use<B> {
            let outgoing = $crate::source::Outgoing {
                buf,
                whole: false,
                committed: None,
            };
            $crate::source::Transfer::<$crate::op::send::Send<B>>::new(self.source(), outgoing)
        }

        /// Writes all of `buf`.
        ///
        /// Dropping this future: as [`write`](Self::write); a write that has begun arrives whole.
        ///
        /// # Errors
        ///
        /// As `write`. How many bytes were sent before an error is not known.
        pub fn write_all<B: $crate::buf::IoBuf>(
            &self,
            buf: B,
        ) -> impl Future<Output = $crate::buf::BufResult<(), B>> + use<B> {
            let len = buf.initialized_len();
            let outgoing = $crate::source::Outgoing {
                buf,
                whole: true,
                committed: None,
            };
            let transfer =
                $crate::source::Transfer::<$crate::op::send::Send<B>>::new(self.source(), outgoing);
            $crate::io::Whole::new(transfer, len)
        }

        /// As [`write`](Self::write), from several buffers, as if they were joined.
        ///
        /// Dropping this future: as `write`.
        ///
        /// # Errors
        ///
        /// As `write`.
        pub fn write_vectored<B: $crate::buf::IoVectoredBuf>(
            &self,
            bufs: B,
        ) -> impl Future<Output = $crate::buf::BufResult<usize, B>> + use<B> {
            let outgoing = $crate::source::Outgoing {
                buf: bufs,
                whole: false,
                committed: None,
            };
            $crate::source::Transfer::<$crate::op::vectored::SendVectored<B>>::new(
                self.source(),
                outgoing,
            )
        }

        /// As [`write_all`](Self::write_all), from several buffers, as if they were joined.
        ///
        /// Dropping this future: as `write_all`.
        ///
        /// # Errors
        ///
        /// As `write_all`.
        pub fn write_all_vectored<B: $crate::buf::IoVectoredBuf>(
            &self,
            bufs: B,
        ) -> impl Future<Output = $crate::buf::BufResult<(), B>> + use<B> {
            let len = bufs.total_len();
            let outgoing = $crate::source::Outgoing {
                buf: bufs,
                whole: true,
                committed: None,
            };
            let transfer = $crate::source::Transfer::<$crate::op::vectored::SendVectored<B>>::new(
                self.source(),
                outgoing,
            );
            $crate::io::Whole::new(transfer, len)
        }

        /// Waits until the kernel has everything that was written before, also by writes whose
        /// futures were dropped.
        ///
        /// Dropping this future does nothing.
        ///
        /// # Errors
        ///
        /// The error of such a write; also as for `write`.
        pub async fn flush(&self) -> std::io::Result<()> {
            $crate::source::Transfer::<$crate::op::shutdown::Shutdown>::new(self.source(), None)
                .await
        }
    };
}

/// `close`, `set_linger_time`.
macro_rules! stream_end_methods {
    () => {
        /// Closes the stream: what was written is handed to the kernel first, which takes at most
        /// the linger time (5 s unless set otherwise); then the descriptor is closed. After the linger time the rest is
        /// given up, and the peer of a TCP connection sees a reset.
        ///
        /// Dropping this future, or the stream itself, does the same in the background, as long as the
        /// runtime runs.
        ///
        /// # Errors
        ///
        /// The error of a write whose future was dropped; `ETIMEDOUT` after the linger time; also if the
        /// stream is used on a core that is not its own.
        pub async fn close(self) -> std::io::Result<()> {
            $crate::source::CloseStream::new(self.source()).await
        }

        /// How long closing may go on sending what was written.
        ///
        /// # Errors
        ///
        /// If the stream is used on a core that is not its own.
        pub fn set_linger_time(&self, linger: std::time::Duration) -> std::io::Result<()> {
            $crate::source::stream(self.source()).map(|stream| stream.set_linger(linger))
        }
    };
}

pub(crate) use {read_methods, stream_end_methods, write_methods};
