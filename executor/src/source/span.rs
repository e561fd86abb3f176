//! [`Span`]: what of a file an operation touches.

/// What of a file an operation touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// From the first offset up to, not including, the second.
    Bytes(u64, u64),
    /// All bytes and the length.
    Everything,
    /// Nothing, but it ends what came before: handing the file to the disk.
    Sync,
}

impl Span {
    pub(crate) fn bytes(offset: u64, length: usize) -> Span {
        Span::Bytes(offset, offset.saturating_add(length as u64))
    }

    /// True if what touches `self` has to wait until a change that touches `other` is over.
    pub(super) fn meets(self, other: Span) -> bool {
        match (self, other) {
            (Span::Bytes(begin, end), Span::Bytes(from, to)) => begin < to && from < end,
            (Span::Bytes(..), Span::Sync) => false,
            _ => true,
        }
    }

    /// What covers both.
    pub(super) fn and(self, other: Span) -> Span {
        match (self, other) {
            (Span::Bytes(begin, end), Span::Bytes(from, to)) => {
                Span::Bytes(begin.min(from), end.max(to))
            }
            (Span::Sync, span) | (span, Span::Sync) => span,
            _ => Span::Everything,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Span::*;

    #[test]
    fn bytes_meet_only_where_they_overlap() {
        assert!(Bytes(0, 10).meets(Bytes(9, 20)));
        assert!(!Bytes(0, 10).meets(Bytes(10, 20)), "neighbours");
        assert!(!Bytes(10, 20).meets(Bytes(0, 10)), "neighbours");
        assert!(Bytes(5, 6).meets(Bytes(0, 10)), "inside");
        assert!(!Bytes(5, 5).meets(Bytes(5, 10)), "nothing");
    }

    #[test]
    fn everything_meets_all_and_a_sync_holds_up_no_bytes() {
        for span in [Bytes(3, 4), Everything, Sync] {
            assert!(Everything.meets(span) && Sync.meets(span));
        }
        assert!(Bytes(0, 1).meets(Everything));
        assert!(!Bytes(0, 1).meets(Sync));
    }

    #[test]
    fn what_covers_two_is_met_by_all_that_met_one() {
        assert_eq!(Bytes(0, 2).and(Bytes(8, 9)), Bytes(0, 9));
        assert_eq!(Sync.and(Bytes(8, 9)), Bytes(8, 9));
        assert_eq!(Bytes(8, 9).and(Sync), Bytes(8, 9));
        assert_eq!(Everything.and(Bytes(8, 9)), Everything);
        assert_eq!(Sync.and(Sync), Sync);
    }
}
