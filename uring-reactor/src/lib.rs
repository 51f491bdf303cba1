//! io_uring event loops that dispatch completions to closures.
