//! Bugs of others about memory; see `tests/BUGS.md`. Those that need an allocator of their own are in `memory.rs`.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use krug::JoinHandle;
use krug::buf::{IoBuf, IoBufMut, IoVectoredBuf};
use krug::net::UnixStream;
use krug_tests::{Tracked, turns, with_settings};

krug_tests::on_every_driver!();

struct Probe<T>(PhantomData<T>);

/// Found for every type, after the method of `Probe` itself.
trait NoBuffer {
    fn is_buffer(&self) -> bool {
        false
    }
}

impl<T> NoBuffer for &Probe<T> {}

impl<T: IoBuf> Probe<T> {
    fn is_buffer(&self) -> bool {
        true
    }
}

macro_rules! is_buffer {
    ($type:ty) => {
        (&Probe::<$type>(PhantomData)).is_buffer()
    };
}

#[test]
fn bug_025_a_buffer_is_owned_and_outlives_every_borrow() {
    // Compiles only as long as these traits ask for it.
    fn is_static<T: 'static>() {}
    fn buffers_are_static<B: IoBuf, M: IoBufMut, V: IoVectoredBuf>() {
        is_static::<B>();
        is_static::<M>();
        is_static::<V>();
    }
    buffers_are_static::<Vec<u8>, Vec<u8>, [Vec<u8>; 2]>();
    assert!(is_buffer!(Vec<u8>) && is_buffer!(Box<[u8]>) && is_buffer!(&'static [u8]));
    // What another handle could read or write meanwhile.
    assert!(!is_buffer!(&'static mut [u8]));
    assert!(!is_buffer!(&'static Vec<u8>));
    assert!(!is_buffer!(Rc<RefCell<Vec<u8>>>));
}

#[test]
fn bug_030_memory_that_moves_with_its_owner_is_no_buffer() {
    assert!(!is_buffer!([u8; 16]));
    assert!(!is_buffer!(u64));
    assert!(!is_buffer!((u8, u8)));
    assert!(!is_buffer!(Option<[u8; 16]>));
}

#[test]
fn bug_023_a_task_that_holds_itself_ends_with_its_runtime() {
    with_settings(|builder| {
        let runtime = builder.build().unwrap();
        let (buf, track) = Tracked::new(vec![0; 64]);
        let myself: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
        let alive = Rc::downgrade(&myself);
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().unwrap();
            let cycle = myself.clone();
            let waker: Rc<RefCell<Option<std::task::Waker>>> = Rc::default();
            let task = krug::spawn(async move {
                // Task, handle and waker hold each other; the read holds the buffer.
                let _myself = cycle;
                let own = waker.clone();
                std::future::poll_fn(move |cx| {
                    own.replace(Some(cx.waker().clone()));
                    std::task::Poll::Ready(())
                })
                .await;
                drop(one.read(buf).await);
                drop((waker, other));
            });
            myself.replace(Some(task));
            turns(5).await;
        });
        drop(myself);
        assert!(alive.upgrade().is_some() && !track.is_dropped());
        assert!(
            runtime
                .shutdown(std::time::Duration::from_secs(10))
                .is_clean()
        );
        assert!(track.is_dropped(), "the buffer outlived the runtime");
        assert!(alive.upgrade().is_none(), "the task outlived its runtime");
    });
}
