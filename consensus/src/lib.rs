//! Leaderless consensus: 33 heroes settle among themselves who says which letter of a word, and say it.
//!
//! Nobody leads, nobody was given a number, anybody may vanish at any moment, and messages get lost; as long as more
//! than half of them are there, every letter is said by exactly one hero. The README beside this crate shows the
//! program; here is how it is built, in the order to read it:
//!
//! 1. [`core`]: the agreement itself, a pure state machine. It knows no clock, no socket, no file and no `await`: it is
//!    told what happened and when, and answers with what is to be done. Other heroes are ports to it, in a numbering of
//!    its own, so that nothing can be settled by who was counted first.
//! 2. [`advance`]: carries out what it wants.
//! 3. [`wire`]: messages as bytes. No input makes it panic or allocate more than it was given.
//! 4. [`log`]: what it promised, on disk, where that is kept.
//! 5. [`transport`]: links over Unix sockets, TCP, UDP and pipes; each is carried by two tasks of krug.
//! 6. [`node`]: a living hero, the state machine between clock, inbox and links. The only place where it meets `await`.
//! 7. [`program`]: arguments, faults, the harness that watches and never conducts, and what is printed. Its world in
//!    memory ([`program::memory`]) has a network and a clock of its own and replays a run from its seed.
//! 8. [`lottery`]: the obvious answer, which is wrong.
//! 9. [`oracle`]: what must be true whatever happens, for whoever tests it; [`sim`]: worlds in which everything does.
//!
//! # What is promised
//!
//! No two heroes, the dead counted, ever hold different rosters or hear different heroes say a letter. Letters come in
//! order, each once. A name on the roster was drawn by a hero. With more than half alive and links that do not lose for
//! ever, the word is spoken with probability 1. Heroes that lie are out of scope.
//!
//! The harness checks all but the last of these in every run: [`program::chronicle`].
#![forbid(unsafe_code)]

pub mod advance;
pub mod core;
pub mod log;
pub mod lottery;
pub mod node;
pub mod oracle;
pub mod program;
pub mod sim;
pub mod transport;
pub mod wire;

#[cfg(test)]
krug_tests::on_every_kernel_driver!();
