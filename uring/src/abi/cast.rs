//! Numbers whose sign the kernel and C see differently; the bits stay.
//!
//! The standard library's `cast_signed` and `cast_unsigned` are newer than our `rust-version`.

pub(crate) const fn unsigned(number: i32) -> u32 {
    u32::from_ne_bytes(number.to_ne_bytes())
}

pub(crate) const fn signed(number: u32) -> i32 {
    i32::from_ne_bytes(number.to_ne_bytes())
}
