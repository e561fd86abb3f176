//! [`Row`]: timers whose deadlines came in order.

use std::collections::VecDeque;

use super::{NONE, Node};

/// In the order of deadlines. It has nodes of timers that were removed, but not at its ends.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) nodes: VecDeque<Node>,
    /// Both ends, so that a look at them touches no other memory; of an empty row those below.
    first: Node,
    last: Node,
}

/// It comes after all others.
const NO_FIRST: Node = Node {
    deadline_nanos: i64::MAX,
    generation: u64::MAX,
    index: NONE,
};
/// It comes before all others.
const NO_LAST: Node = Node {
    deadline_nanos: -i64::MAX,
    ..NO_FIRST
};

impl Row {
    pub(super) const EMPTY: Row = Row {
        nodes: VecDeque::new(),
        first: NO_FIRST,
        last: NO_LAST,
    };

    /// The node that is first; of an empty row one that comes after all others.
    #[inline]
    pub(super) fn first(&self) -> &Node {
        &self.first
    }

    /// The last deadline. An empty row ends before all deadlines.
    #[inline]
    pub(super) fn end(&self) -> i64 {
        self.last.deadline_nanos
    }

    /// `node` is not before the end.
    #[inline]
    pub(super) fn push(&mut self, node: Node) {
        if self.nodes.is_empty() {
            self.first = node;
        }
        self.last = node;
        self.nodes.push_back(node);
    }

    /// If the node of this generation, whose timer has just ended, stands at an end, it is thrown away, and with it all others
    /// there that were removed before. Returns how many.
    #[inline]
    pub(super) fn leave(&mut self, generation: u64, is_live: impl Fn(&Node) -> bool) -> usize {
        let before = self.nodes.len();
        if generation == self.first.generation {
            while self.nodes.front().is_some_and(|first| !is_live(first)) {
                self.nodes.pop_front();
            }
            self.first = self.nodes.front().copied().unwrap_or(NO_FIRST);
            if self.nodes.is_empty() {
                self.last = NO_LAST;
            }
        } else if generation == self.last.generation {
            // The first one lives.
            while self.nodes.back().is_some_and(|last| !is_live(last)) {
                self.nodes.pop_back();
            }
            self.last = self.nodes.back().copied().unwrap_or(NO_LAST);
        }
        before - self.nodes.len()
    }
}
