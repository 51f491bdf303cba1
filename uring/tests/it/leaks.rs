//! The leaks that are meant.

/// What `LeakSanitizer` leaves out: the tests of what a ring does with operations that the kernel
/// kept, or that it cannot ask for. It leaks them.
// SAFETY: the name is reserved for this purpose, and nobody else in this binary has it.
#[unsafe(no_mangle)]
extern "C" fn __lsan_default_suppressions() -> *const std::ffi::c_char {
    c"leak:a_context_that_panics_in_its_drop_frees_nothing_that_is_in_flight
leak:a_filter_that_comes_after_the_ring_is_an_error_and_neither_a_hang_nor_an_abort
leak:a_close_waits_no_longer_than_it_was_told_although_a_drop_panics
leak:closing_a_ring_at_once_says_what_is_still_out"
        .as_ptr()
}
