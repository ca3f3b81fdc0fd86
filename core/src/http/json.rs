//! JSON objects as protocol messages: strict, bounded, unknown members kept.
