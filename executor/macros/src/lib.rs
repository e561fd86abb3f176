//! The attributes `#[krug::main]` and `#[krug::test]`.
