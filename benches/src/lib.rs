//! Completion versus readiness, measured.
