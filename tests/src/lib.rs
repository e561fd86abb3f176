//! The tests of this package are in `tests/`; this library is what they share.
