//! Who is next among several cores of a world: asked by a simulation, and by a simulated runtime of several cores.

use std::time::{Duration, Instant};

use crate::driver::sim::World;

/// A core that shares its thread with others.
pub(crate) trait TakesTurns {
    /// Whether a turn would come to something now; `has_news`: its driver has.
    fn is_ready(&self, has_news: bool) -> bool;

    /// When a turn would come to something, even if nothing happens.
    fn next_moment(&self) -> Option<Instant>;
}

/// One of the cores that have something to do, by what the caller calls it. Each comes with its number in the world. `ready` is
/// memory that is used over and over.
pub(crate) fn draw<'a, Name: Copy>(
    world: &World,
    cores: impl Iterator<Item = (Name, usize, &'a dyn TakesTurns)>,
    ready: &mut Vec<Name>,
) -> Option<Name> {
    ready.clear();
    let with_work = cores.filter(|(_, number, core)| core.is_ready(world.has_news(*number)));
    ready.extend(with_work.map(|(name, ..)| name));
    let chosen = world.schedule().below(ready.len().max(1) as u32);
    ready.get(chosen as usize).copied()
}

/// When something happens next in the world or to a core, if nothing happens before.
pub(crate) fn next_moment<'a>(
    world: &World,
    cores: impl Iterator<Item = &'a dyn TakesTurns>,
) -> Option<Duration> {
    let of_cores = cores.filter_map(TakesTurns::next_moment).min();
    let of_cores = of_cores.map(|moment| world.moment(moment));
    [world.next_event(), of_cores].into_iter().flatten().min()
}
