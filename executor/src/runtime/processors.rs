//! Which processors there are, and in which order cores are put on them.

use crate::driver::System;

/// More than any kernel is built for.
const NUMBER_MAX: usize = 1 << 16;

/// Puts the processors `allowed` into the order in which cores take them: one NUMA node is filled before the next, so that few
/// messages cross, and within a node every physical core has got one before any gets a second for its other hyperthread.
///
/// What the system does not say counts as one node, and as a physical core for each processor.
pub(super) fn in_order(allowed: &[usize], system: &System) -> Vec<usize> {
    let nodes = Nodes::of(system);
    let mut order = allowed.to_vec();
    order.sort_by_cached_key(|processor| {
        let rank = rank_in_its_core(*processor, allowed, system);
        (nodes.node_of(*processor), rank, *processor)
    });
    order
}

/// NUMA nodes and their processors.
struct Nodes(Vec<(usize, Vec<usize>)>);

impl Nodes {
    fn of(system: &System) -> Nodes {
        let numbers = list_in(system, "sys/devices/system/node/online").unwrap_or_default();
        let nodes = numbers.into_iter().map(|number| {
            let path = format!("sys/devices/system/node/node{number}/cpulist");
            (number, list_in(system, &path).unwrap_or_default())
        });
        Nodes(nodes.collect())
    }

    fn node_of(&self, processor: usize) -> usize {
        let mut nodes = self.0.iter();
        let found = nodes.find(|(_, processors)| processors.contains(&processor));
        found.map_or(0, |(number, _)| *number)
    }
}

/// How many of the allowed processors of the same physical core come before it.
fn rank_in_its_core(processor: usize, allowed: &[usize], system: &System) -> usize {
    let path = format!("sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list");
    let siblings = list_in(system, &path).unwrap_or_default();
    let before = siblings
        .iter()
        .filter(|sibling| **sibling < processor && allowed.contains(sibling));
    before.count()
}

fn list_in(system: &System, path: &str) -> Option<Vec<usize>> {
    parse_list(&system.read(path)?)
}

/// The kernel's way to write sets of numbers: `0-3,8,10-11`. `None` if it is something else.
fn parse_list(text: &str) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if last >= NUMBER_MAX {
            return None;
        }
        numbers.extend(first..=last);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    /// A machine with these nodes, each a list of processors, and these physical cores.
    fn machine(nodes: &[&str], cores: &[&[usize]]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let online = format!("0-{}", nodes.len() - 1);
        write(root, "sys/devices/system/node/online", &online);
        for (number, list) in nodes.iter().enumerate() {
            let path = format!("sys/devices/system/node/node{number}/cpulist");
            write(root, &path, list);
        }
        for siblings in cores {
            let list: Vec<String> = siblings.iter().map(usize::to_string).collect();
            for processor in *siblings {
                let path =
                    format!("sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list");
                write(root, &path, &list.join(","));
            }
        }
        folder
    }

    fn order(folder: &tempfile::TempDir, allowed: &[usize]) -> Vec<usize> {
        in_order(allowed, &System::at(folder.path()))
    }

    #[test]
    fn a_node_is_filled_before_the_next_and_physical_cores_before_their_hyperthreads() {
        let folder = machine(
            &["0-1,4-5", "2-3,6-7"],
            &[&[0, 4], &[1, 5], &[2, 6], &[3, 7]],
        );
        let all: Vec<usize> = (0..8).collect();
        assert_eq!(order(&folder, &all), [0, 1, 4, 5, 2, 3, 6, 7]);
    }

    #[test]
    fn a_hyperthread_whose_sibling_is_not_allowed_is_as_good_as_a_physical_core() {
        let folder = machine(&["0-3"], &[&[0, 1], &[2, 3]]);
        assert_eq!(order(&folder, &[1, 2, 3]), [1, 2, 3]);
        assert_eq!(order(&folder, &[0, 1, 2, 3]), [0, 2, 1, 3]);
    }

    #[test]
    fn what_is_not_said_makes_no_difference() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(order(&folder, &[3, 0, 7]), [0, 3, 7]);
    }

    #[test]
    fn lists_are_numbers_and_ranges_and_nothing_else() {
        assert_eq!(parse_list("0-3,8,10-11"), Some(vec![0, 1, 2, 3, 8, 10, 11]));
        assert_eq!(parse_list(""), Some(vec![]));
        for nonsense in ["a", "1-", "-1", "0-99999999999", "1;2"] {
            assert_eq!(parse_list(nonsense), None, "{nonsense}");
        }
    }
}
