//! Registers, drivers and decisions, slot by slot.
