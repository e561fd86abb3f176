//! glommio: an executor on the calling thread, which is pinned already, as
//! <https://docs.rs/glommio/0.9.0/glommio/struct.LocalExecutorBuilder.html> describes it; once as it comes, and once with its
//! `spin_before_park`.

use std::io;
use std::rc::Rc;

use ::glommio::channels::local_channel;
use ::glommio::io::BufferedFile;
use ::glommio::net::{TcpListener, UnixStream};
use ::glommio::timer::sleep;
use ::glommio::{LocalExecutor, LocalExecutorBuilder, Placement, executor, spawn_local};
use krug_benches::harness::{Job, Served};
use rustix::thread::sched_getcpu;
use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{LONGEST_LOOK, Waiting};
use crate::work::{self, Cannot, Outcome, Reads, Trips, Work, on_runtime};

fn runtime(waiting: Waiting) -> io::Result<LocalExecutor> {
    let builder = match waiting {
        Waiting::Asleep => LocalExecutorBuilder::new(Placement::Unbound),
        // To one that it has not bound to a core itself this setting means nothing, and it does not say so.
        Waiting::LookingOn => LocalExecutorBuilder::new(Placement::Fixed(sched_getcpu()))
            .spin_before_park(LONGEST_LOOK),
    };
    Ok(builder.make()?)
}

pub(super) fn echo(waiting: Waiting, job: &Job) -> io::Result<Served> {
    runtime(waiting)?.run(async {
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

pub(super) fn run(waiting: Waiting, work: &Work) -> Outcome {
    runtime(waiting)?.run(async {
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

/// So many pauses of this length, one after the other.
#[cfg(test)]
pub(super) fn pause(waiting: Waiting, times: u64, time: std::time::Duration) -> io::Result<()> {
    runtime(waiting)?.run(async {
        for _ in 0..times {
            sleep(time).await;
        }
        Ok(())
    })
}
