//! glommio: an executor on the calling thread, which is pinned already, as
//! <https://docs.rs/glommio/0.9.0/glommio/struct.LocalExecutorBuilder.html> describes it.

use std::io;
use std::rc::Rc;

use ::glommio::channels::local_channel;
use ::glommio::io::BufferedFile;
use ::glommio::net::{TcpListener, UnixStream};
use ::glommio::timer::sleep;
use ::glommio::{LocalExecutor, LocalExecutorBuilder, Placement, executor, spawn_local};
use krug_benches::harness::{Job, Served};
use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::work::{self, Cannot, Outcome, Reads, Trips, Work, on_runtime};

fn runtime() -> io::Result<LocalExecutor> {
    let builder = LocalExecutorBuilder::new(Placement::Unbound);
    Ok(builder.make()?)
}

pub(super) fn echo(job: &Job) -> io::Result<Served> {
    runtime()?.run(async {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        job.listening(listener.local_addr()?);
        let mut tasks = Vec::with_capacity(job.connections);
        for _ in 0..job.connections {
            let stream = listener.accept().await?;
            stream.set_nodelay(true)?;
            tasks.push(spawn_local(echo_on(stream, job.bytes)));
        }
        for task in tasks {
            task.await?;
        }
        Ok(Served::default())
    })
}

async fn echo_on(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: usize) -> io::Result<()> {
    let mut buffer = vec![0; bytes];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

pub(super) fn run(work: &Work) -> Outcome {
    runtime()?.run(async {
        on_runtime!(
            work,
            spawn: [spawn_local],
            yield_now: [executor().yield_now],
            sleep: [sleep],
            channel: channel,
            read: read,
            pipes: |_| async { Err(Cannot::NotOffered("no pipes")) },
            unix: unix,
        )
    })
}

async fn channel(count: u64) -> Outcome {
    let (asking, asked) = local_channel::new_bounded(1);
    let (answering, answered) = local_channel::new_bounded(1);
    let other = spawn_local(async move {
        while let Some(number) = asked.recv().await {
            if answering.send(number).await.is_err() {
                return;
            }
        }
    });
    other.detach();
    work::ask_in_numbers(count, async |number| {
        asking.send(number).await.ok()?;
        answered.recv().await
    })
    .await
}

async fn read(reads: &Reads) -> Outcome {
    let file = Rc::new(
        BufferedFile::open(&reads.path)
            .await
            .map_err(io::Error::from)?,
    );
    work::reads(reads, |blocks| {
        let file = file.clone();
        spawn_local(async move {
            for offset in blocks {
                let block = file.read_at(offset, work::BLOCK).await?;
                work::check_block(&block, offset)?;
            }
            Ok(())
        })
    })
    .await
}

async fn unix(trips: Trips) -> Outcome {
    let (mut here, there) = UnixStream::pair().map_err(io::Error::from)?;
    spawn_local(echo_on(there, trips.bytes)).detach();
    work::ask(trips, async |mut message| {
        here.write_all(&message).await?;
        here.read_exact(&mut message).await?;
        Ok(message)
    })
    .await
}
