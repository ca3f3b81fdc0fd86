//! One binary for all tests that cross crates. Each module says what it claims.

mod documents;
mod machines;
mod walk;
