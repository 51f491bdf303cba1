//! Runnable programs for each layer of uring.
