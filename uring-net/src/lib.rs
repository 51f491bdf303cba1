//! TCP listeners and streams on io_uring.
