//! The timers of one core.
//!
//! Despite its name, which is what people look for, a [`Wheel`] is a *d*-ary heap with
//! four children per node (D. B. Johnson, "Priority queues with update and finding
//! minimum spanning trees", 1975). A hierarchical timing wheel (Varghese and Lauck,
//! 1987) inserts in constant time, but rounds deadlines to ticks or moves entries down
//! its levels, and knows the next deadline only roughly: it would wake an idle core in
//! the middle of a one-hour sleep. The heap is exact.
//!
//! Most timers of a program have one of a few durations, so that their deadlines come in order. Those stand in
//! [`ROWS`] rows beside the heap, each in the order of its deadlines: as soon as the heap is not tiny, a new timer goes to the end of the row that
//! ends last before it, or to an empty one, and only if there is neither into the heap. The next timer is the
//! first of the rows and of the heap. (Such rows are those of *patience sorting*: D. Aldous and P. Diaconis, "Longest
//! increasing subsequences", 1999.)
//!
//! Most timers are removed long before they are due. Such a removal leaves the node where it is; it
//! is thrown away when it is met at either end of the heap or of its row, or with all others of
//! its kind when they are more than those that live: a removal costs as much as moving a
//! few nodes, wherever the timer is, and nothing has to know where that is.
//!
//! Memory grows to about twice the largest number of timers that were live at once and is then
//! reused: no allocation in steady state.

mod row;
#[cfg(test)]
mod tests;

use std::time::Instant;

use row::Row;

/// Names one timer for as long as it is in the wheel. A key of a timer that fired or was
/// removed is of no effect, also when its place is in use again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerKey {
    index: u32,
    line: Line,
    /// The number of the insertion: unlike a count of uses per place it never wraps.
    generation: u64,
}

/// Values with a deadline each, which [`expire`](Wheel::expire) gives out in order.
#[derive(Debug)]
pub(crate) struct Wheel<T> {
    /// Of all timers that live, and of some that were removed, here or in the rows.
    heap: Vec<Node>,
    rows: [Row; ROWS],
    /// How many nodes stand in rows.
    in_rows: usize,
    places: Vec<Place<T>>,
    /// Head of the list of free places.
    free: u32,
    live: usize,
    inserted: u64,
    /// Deadlines are counted from here: half the size of an `Instant`, and one comparison.
    origin: Instant,
}

/// Nodes hold what the heap compares, so that sifting touches no other memory.
#[derive(Clone, Copy, Debug)]
struct Node {
    deadline_nanos: i64,
    /// Breaks ties: who came first fires first.
    generation: u64,
    index: u32,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Row(u8),
    Heap,
}

#[derive(Debug)]
enum Place<T> {
    Taken { generation: u64, value: T },
    Free { next: u32 },
}

const CHILDREN: usize = 4;
const NONE: u32 = u32::MAX;

/// As many durations as a server has usually: of a request, of an idle connection, of its own work.
const ROWS: usize = 4;

/// A heap of so few nodes is cheaper than a choice among rows.
const HEAP_TINY: usize = 8;

/// How many nodes of removed timers there may be in any case.
const REMOVED_MIN: usize = 64;

impl<T> Wheel<T> {
    pub(crate) fn new(origin: Instant) -> Wheel<T> {
        Wheel {
            heap: Vec::new(),
            rows: [Row::EMPTY; ROWS],
            in_rows: 0,
            places: Vec::new(),
            free: NONE,
            live: 0,
            inserted: 0,
            origin,
        }
    }

    /// Deadlines more than 292 years from the wheel's origin fire after 292 years.
    pub(crate) fn insert(&mut self, deadline: Instant, value: T) -> TimerKey {
        self.insert_at(self.nanos(deadline), value)
    }

    /// The same for a deadline that [`nanos`](Wheel::nanos) has given.
    pub(crate) fn insert_at(&mut self, deadline_nanos: i64, value: T) -> TimerKey {
        let generation = self.inserted;
        let index = self.take_place(generation, value);
        self.inserted += 1;
        self.live += 1;
        let node = Node {
            deadline_nanos,
            generation,
            index,
        };
        let line = self.line_for(deadline_nanos);
        match line {
            Line::Row(row) => {
                self.rows[usize::from(row)].push(node);
                self.in_rows += 1;
            }
            Line::Heap => self.push_to_heap(node),
        }
        TimerKey {
            index,
            line,
            generation,
        }
    }

    /// The row that ends last before this deadline, or an empty one.
    #[inline]
    fn line_for(&self, deadline_nanos: i64) -> Line {
        let mut best = (i64::MIN, Line::Heap);
        if self.heap.len() < HEAP_TINY {
            return best.1;
        }
        // An empty row is as good as one that ends before all others.
        for (number, row) in (0..).zip(&self.rows) {
            if row.end() <= deadline_nanos && row.end() > best.0 {
                best = (row.end(), Line::Row(number));
            }
        }
        best.1
    }

    fn push_to_heap(&mut self, node: Node) {
        let position = self.heap.len();
        self.heap.push(node);
        self.sift_up(position);
    }

    /// Takes the timer out; `None` if it has fired or was removed before.
    pub(crate) fn remove(&mut self, key: TimerKey) -> Option<T> {
        let value = self.free_place(key.index, key.generation)?;
        self.leave(key.line, key.generation);
        if self.nodes() > 2 * self.live + REMOVED_MIN {
            self.throw_removed_away();
        }
        Some(value)
    }

    /// The timer of this generation has ended. Its node is thrown away if it stands at an end where that costs nothing.
    #[inline]
    fn leave(&mut self, line: Line, generation: u64) {
        let places = &self.places;
        match line {
            Line::Row(row) => {
                let row = &mut self.rows[usize::from(row)];
                self.in_rows -= row.leave(generation, |node| is_live(places, node));
            }
            Line::Heap => {
                while self.heap.last().is_some_and(|last| !is_live(places, last)) {
                    self.heap.pop();
                }
            }
        }
    }

    /// How many there are, those of removed timers included.
    fn nodes(&self) -> usize {
        self.heap.len() + self.in_rows
    }

    /// The value of a timer that has neither fired nor been removed.
    pub(crate) fn get_mut(&mut self, key: TimerKey) -> Option<&mut T> {
        match self.places.get_mut(key.index as usize)? {
            Place::Taken { generation, value } if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// When the next timer is due, exactly.
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        let nanos = self.first()?.0.deadline_nanos;
        let distance = std::time::Duration::from_nanos(nanos.unsigned_abs());
        // What `nanos` was made from could be represented, so this can, too; only a
        // deadline cut to 292 years might not, and then nobody will wait for it.
        match nanos < 0 {
            true => self.origin.checked_sub(distance),
            false => self.origin.checked_add(distance),
        }
    }

    /// Moves the values of all timers due at `now` to the end of `expired`, in the order
    /// of their deadlines, and of their insertion where these are equal.
    pub(crate) fn expire(&mut self, now: Instant, expired: &mut Vec<T>) {
        let now = self.nanos(now);
        while let Some((first, line)) = self.first()
            && first.deadline_nanos <= now
        {
            expired.extend(self.free_place(first.index, first.generation));
            match line {
                Line::Heap => self.remove_first_of_heap(),
                Line::Row(_) => self.leave(line, first.generation),
            }
        }
    }

    /// Whether one is due so many nanoseconds after the wheel's origin.
    pub(crate) fn is_due_at(&mut self, nanos: u64) -> bool {
        let nanos = i64::try_from(nanos).unwrap_or(i64::MAX);
        self.first()
            .is_some_and(|(first, _)| first.deadline_nanos <= nanos)
    }

    /// How many timers there are.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// How many nanoseconds after the wheel's origin an instant is; 292 years at the most.
    pub(crate) fn nanos(&self, instant: Instant) -> i64 {
        // A deadline long past is due like any other in the past, but before those.
        match instant.checked_duration_since(self.origin) {
            Some(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            None => i64::try_from(self.origin.duration_since(instant).as_nanos())
                .map_or(-i64::MAX, |before| -before),
        }
    }

    /// The node of the next timer that lives, and where it stands; those before it are thrown away.
    #[inline]
    fn first(&mut self) -> Option<(Node, Line)> {
        let mut line = Line::Heap;
        let mut first = self.first_of_heap();
        if self.in_rows == 0 {
            return first.map(|first| (first, line));
        }
        for (number, row) in (0..).zip(&self.rows) {
            let is_earlier = first.is_none_or(|first| row.first().rank() < first.rank());
            if is_earlier && !row.nodes.is_empty() {
                (line, first) = (Line::Row(number), Some(*row.first()));
            }
        }
        first.map(|first| (first, line))
    }

    fn first_of_heap(&mut self) -> Option<Node> {
        loop {
            let first = *self.heap.first()?;
            if is_live(&self.places, &first) {
                return Some(first);
            }
            self.remove_first_of_heap();
        }
    }

    fn remove_first_of_heap(&mut self) {
        self.heap.swap_remove(0);
        if !self.heap.is_empty() {
            self.sift_down(0);
        }
    }

    #[inline(never)]
    fn throw_removed_away(&mut self) {
        let mut heap = std::mem::take(&mut self.heap);
        heap.retain(|node| is_live(&self.places, node));
        self.heap = heap;
        for row in &mut self.rows {
            row.nodes.retain(|node| is_live(&self.places, node));
        }
        self.in_rows = self.rows.iter().map(|row| row.nodes.len()).sum();
        // Whoever has children, the last one first (R. W. Floyd, "Algorithm 245: Treesort 3", 1964).
        let parents = match self.heap.len() {
            0 | 1 => 0,
            length => parent(length - 1) + 1,
        };
        for position in (0..parents).rev() {
            self.sift_down(position);
        }
    }

    fn take_place(&mut self, generation: u64, value: T) -> u32 {
        let index = self.free;
        let taken = Place::Taken { generation, value };
        if let Some(place) = self.places.get_mut(index as usize) {
            let Place::Free { next } = std::mem::replace(place, taken) else {
                unreachable!("the list leads to free places only");
            };
            self.free = next;
            return index;
        }
        let index = u32::try_from(self.places.len()).expect("fewer than 2^32 timers on one core");
        assert!(index != NONE, "fewer than 2^32 timers on one core");
        self.places.push(taken);
        index
    }

    /// Ends the life of this timer; `None` if that has ended before.
    fn free_place(&mut self, index: u32, generation: u64) -> Option<T> {
        let place = self.places.get_mut(index as usize)?;
        match place {
            Place::Taken { generation: of, .. } if *of == generation => {}
            _ => return None,
        }
        let free = Place::Free { next: self.free };
        let Place::Taken { value, .. } = std::mem::replace(place, free) else {
            unreachable!("it was looked at above");
        };
        self.free = index;
        self.live -= 1;
        Some(value)
    }

    /// Moves the node at `position` up to where its parent is not later.
    fn sift_up(&mut self, mut position: usize) {
        let node = self.heap[position];
        while position > 0 {
            let above = self.heap[parent(position)];
            if above.rank() < node.rank() {
                break;
            }
            self.heap[position] = above;
            position = parent(position);
        }
        self.heap[position] = node;
    }

    /// Moves the node at `position` down to where no child is earlier.
    fn sift_down(&mut self, mut position: usize) {
        let heap = self.heap.as_mut_slice();
        let node = heap[position];
        while let Some((child, earliest)) = earliest_child(heap, position) {
            if node.rank() < earliest.rank() {
                break;
            }
            heap[position] = earliest;
            position = child;
        }
        heap[position] = node;
    }
}

impl Node {
    /// The order of the heap, as one number.
    #[inline(always)]
    fn rank(&self) -> u128 {
        // With the sign turned round the numbers below zero come first.
        let deadline = self.deadline_nanos as u64 ^ (1 << 63);
        u128::from(deadline) << 64 | u128::from(self.generation)
    }
}

#[inline(always)]
fn earliest_child(heap: &[Node], position: usize) -> Option<(usize, Node)> {
    let first = position * CHILDREN + 1;
    let children = heap.get(first..)?;
    let Some(four) = children.first_chunk::<CHILDREN>() else {
        let children = (first..).zip(children.iter().copied());
        return children.min_by_key(|(_, child)| child.rank());
    };
    let earlier = |one: usize, other: usize| match four[other].rank() < four[one].rank() {
        true => other,
        false => one,
    };
    let earliest = earlier(earlier(0, 1), earlier(2, 3));
    Some((first + earliest, four[earliest]))
}

/// Whether its timer has neither fired nor been removed.
#[inline]
fn is_live<T>(places: &[Place<T>], node: &Node) -> bool {
    match places[node.index as usize] {
        Place::Taken { generation, .. } => generation == node.generation,
        Place::Free { .. } => false,
    }
}

fn parent(position: usize) -> usize {
    (position - 1) / CHILDREN
}
