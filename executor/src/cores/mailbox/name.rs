//! [`Name`]: a mailbox in half a word, and the shelves on which all of them stand.

use super::Mailbox;

#[cfg(not(krug_loom))]
pub(crate) use shelves::Name;
#[cfg(not(krug_loom))]
pub(super) use shelves::{give_back, take};

#[cfg(krug_loom)]
pub(crate) use leaked::Name;
#[cfg(krug_loom)]
pub(super) use leaked::{give_back, take};

#[cfg(not(krug_loom))]
mod shelves {
    use std::num::NonZero;
    use std::sync::{Mutex, OnceLock, PoisonError};

    use super::Mailbox;
    use crate::primitives::Ordering;

    /// As many as numbers have bits.
    const SHELVES: usize = 32;

    /// Each has twice as many mailboxes as the one before, and stays where it is: what has the number `n` stands on the
    /// shelf that is named by the highest bit of `n`, at the place that the others say.
    static MAILBOXES: [OnceLock<Box<[Mailbox]>>; SHELVES] = [const { OnceLock::new() }; SHELVES];

    struct Pool {
        made: u32,
        free: Vec<Name>,
    }

    static POOL: Mutex<Pool> = Mutex::new(Pool {
        made: 0,
        free: Vec::new(),
    });

    /// Which mailbox: its number, from 1.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub(crate) struct Name(NonZero<u32>);

    impl Name {
        pub(crate) fn mailbox(self) -> &'static Mailbox {
            let shelf = self.0.ilog2();
            let shelves = MAILBOXES[shelf as usize].get();
            let mailboxes = shelves.expect("a name is given to what is there");
            &mailboxes[(self.0.get() - (1 << shelf)) as usize]
        }

        pub(crate) fn number(self) -> u32 {
            self.0.get() - 1
        }
    }

    /// One that no worker has.
    pub(in crate::cores::mailbox) fn take() -> Name {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = pool.free.pop() {
            return name;
        }
        let made = pool.made.checked_add(1).and_then(NonZero::new);
        let name = made.expect("fewer workers than a machine has bytes");
        pool.made = name.get();
        let shelf = name.ilog2();
        MAILBOXES[shelf as usize]
            .get_or_init(|| (0..1_u32 << shelf).map(|_| Mailbox::new()).collect());
        Name(name)
    }

    pub(in crate::cores::mailbox) fn give_back(name: Name) {
        // The next life would share its name with the first one: rest for ever.
        if name.mailbox().epoch.load(Ordering::Relaxed) == u32::MAX {
            return;
        }
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        pool.free.push(name);
    }
}

/// Under loom nothing may outlive one execution of a model: each life gets a new mailbox.
#[cfg(krug_loom)]
mod leaked {
    use std::hash::{Hash, Hasher};
    use std::ptr;

    use super::Mailbox;

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Name(&'static Mailbox);

    impl Name {
        pub(crate) fn mailbox(self) -> &'static Mailbox {
            self.0
        }

        pub(crate) fn number(self) -> u32 {
            0
        }
    }

    impl PartialEq for Name {
        fn eq(&self, other: &Name) -> bool {
            ptr::eq(self.0, other.0)
        }
    }

    impl Eq for Name {}

    impl Hash for Name {
        fn hash<H: Hasher>(&self, state: &mut H) {
            ptr::hash(self.0, state);
        }
    }

    pub(in crate::cores::mailbox) fn take() -> Name {
        Name(Box::leak(Box::new(Mailbox::new())))
    }

    pub(in crate::cores::mailbox) fn give_back(_: Name) {}
}

#[cfg(all(test, not(krug_loom)))]
mod tests {
    use std::collections::HashSet;
    use std::ptr;

    use super::*;

    #[test]
    fn every_name_leads_to_a_mailbox_of_its_own_which_stays_where_it_is() {
        let names: Vec<Name> = (0..100).map(|_| take()).collect();
        let places = || names.iter().map(|name| ptr::from_ref(name.mailbox()));
        let before: Vec<_> = places().collect();
        assert_eq!(before.iter().collect::<HashSet<_>>().len(), names.len());
        // More shelves than these need.
        let more: Vec<Name> = (0..200).map(|_| take()).collect();
        assert!(places().eq(before.iter().copied()));
        names.into_iter().chain(more).for_each(give_back);
    }
}
