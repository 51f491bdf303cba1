//! One buffer for several operations: what a read fills, a linked write drains.

use std::{cell::UnsafeCell, fmt, sync::Arc};

use super::buf::{Buf, BufMut};

/// Lends a buffer to several operations at once: the first half to one that fills it, the second to
/// one, or by its clones to several, that read it.
///
/// Nobody can look at the bytes before all halves are back: [`LentMut::reclaim`] then gives the
/// buffer back. Which bytes an operation finds depends on the order in which they run, and a
/// [`Chain`](crate::Chain) is what gives them one; without it the bytes are a mixture, but never
/// memory that is not there: all of them are initialised, as [`Buf`] asks for.
///
/// Only the bytes that `buf` has as a [`Buf`] are lent: of a `Vec` its length, not its capacity.
///
/// # Panics
///
/// If `buf` breaks the contract of [`BufMut`]: its two regions start at different bytes.
///
/// # Example
///
/// ```
/// use uring::{AnyOperation, At, Ring, op};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// # let path = std::env::temp_dir().join(format!("uring-lend-{}", std::process::id()));
/// let from = std::fs::File::open("/proc/self/exe")?;
/// let to = std::fs::File::create(&path)?;
/// let mut ring: Ring<op::Nop> = Ring::builder().build()?;
/// let (filled, drained) = uring::lend(vec![0; 4096]);
/// let (mut read, mut written) = (None, None);
/// ring.scope::<AnyOperation<'_>, (), _>(2, |s| {
///     s.chain(|chain| {
///         let fill = op::Read::new(&from, filled, At(0));
///         chain.then(AnyOperation::with(fill, |output| read = Some(output)), ());
///         let drain = op::Write::new(&to, drained, At(0));
///         chain.then(AnyOperation::with(drain, |output| written = Some(output)), ());
///     })?;
///     while s.in_flight() > 0 {
///         s.wait(1, None)?;
///         while s.next().is_some() {}
///     }
///     Ok::<_, std::io::Error>(())
/// })?;
/// # std::fs::remove_file(&path)?;
/// let (Some((_, _, filled)), Some((result, _, drained))) = (read, written) else { panic!() };
/// assert_eq!(result?, 4096);
/// drop(drained);
/// let buffer = filled.reclaim().expect("the other half is gone");
/// assert_eq!(&buffer[..4], b"\x7fELF");
/// # Ok(()) }
/// ```
pub fn lend<B: Buf + BufMut>(buf: B) -> (LentMut<B>, Lent<B>) {
    let shared = Arc::new(Shared { buf: UnsafeCell::new(buf) });
    // SAFETY: the buffer has just been made ours; nobody else reaches it.
    let buf = unsafe { &mut *shared.buf.get() };
    let filled = buf.region();
    let (start, initialised) = (filled.cast::<u8>(), filled.len());
    let region = buf.region_mut();
    assert_eq!(
        start,
        region.cast_const().cast(),
        "what is filled is not what is read: see `BufMut`"
    );
    let length = initialised.min(region.len());
    let region = std::ptr::slice_from_raw_parts_mut(region.cast::<u8>(), length);
    let drained = Lent { region, shared: Arc::clone(&shared) };
    (LentMut { region, shared }, drained)
}

/// The buffer, where it stays until all halves are gone; nobody borrows it meanwhile.
struct Shared<B> {
    buf: UnsafeCell<B>,
}

// SAFETY: no method reaches the buffer through a shared reference: only whoever is the last takes
// it out, or drops it. So threads that share this do not share the buffer.
unsafe impl<B: Send> Sync for Shared<B> {}

/// The half that an operation fills: see [`lend`].
pub struct LentMut<B> {
    region: *mut [u8],
    shared: Arc<Shared<B>>,
}

/// The half that operations read: see [`lend`].
pub struct Lent<B> {
    region: *const [u8],
    shared: Arc<Shared<B>>,
}

impl<B> LentMut<B> {
    /// The buffer, if no other half is left.
    ///
    /// # Errors
    ///
    /// Gives itself back while an operation, or anybody, still has another half.
    pub fn reclaim(self) -> Result<B, Self> {
        let Self { region, shared } = self;
        match Arc::try_unwrap(shared) {
            Ok(shared) => Ok(shared.buf.into_inner()),
            Err(shared) => Err(Self { region, shared }),
        }
    }
}

impl<B> Clone for Lent<B> {
    fn clone(&self) -> Self {
        Self { region: self.region, shared: Arc::clone(&self.shared) }
    }
}

// SAFETY: the pointer leads to memory that the buffer owns or borrows, whoever's thread it is on.
unsafe impl<B: Send> Send for LentMut<B> {}
// SAFETY: as above.
unsafe impl<B: Send> Send for Lent<B> {}
// SAFETY: a shared half does nothing but tell where the memory is.
unsafe impl<B: Send> Sync for LentMut<B> {}
// SAFETY: as above.
unsafe impl<B: Send> Sync for Lent<B> {}

// SAFETY: the buffer stays where it is until all halves are gone, and until then no Rust code reads
// or writes it; its region was initialised from the start.
unsafe impl<B> Buf for Lent<B> {
    fn region(&self) -> *const [u8] {
        self.region
    }
}

// SAFETY: as above; another operation may read the bytes meanwhile, but that is the kernel, which
// finds some bytes and nothing else.
unsafe impl<B> BufMut for LentMut<B> {
    fn region_mut(&mut self) -> *mut [u8] {
        self.region
    }

    unsafe fn set_filled(&mut self, _bytes: usize) {} // all of it counts as filled already
}

impl<B> fmt::Debug for LentMut<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LentMut({} bytes)", self.region.len())
    }
}

impl<B> fmt::Debug for Lent<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lent({} bytes)", self.region.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_last_other_half_is_gone() {
        let (filled, drained) = lend(vec![7; 3]);
        let other = drained.clone();
        drop(drained);
        let filled = filled.reclaim().expect_err("one half is left");
        drop(other);
        assert_eq!(filled.reclaim().unwrap(), [7; 3]);
    }

    #[test]
    fn only_initialised_bytes_are_lent() {
        let mut buffer = Vec::with_capacity(64);
        buffer.extend(*b"seven b");
        let (mut filled, drained) = lend(buffer);
        assert_eq!(filled.region_mut().len(), 7);
        assert_eq!(drained.region().len(), 7);
    }

    /// What is filled, and behind it what is not yet.
    struct Tail(Vec<u8>);

    // SAFETY: the bytes of a vector that nobody else has.
    unsafe impl Buf for Tail {
        fn region(&self) -> *const [u8] {
            self.0.region()
        }
    }

    // SAFETY: none: what `Buf` tells lies elsewhere, which the contract forbids.
    unsafe impl BufMut for Tail {
        fn region_mut(&mut self) -> *mut [u8] {
            let spare = self.0.spare_capacity_mut();
            std::ptr::slice_from_raw_parts_mut(spare.as_mut_ptr().cast(), spare.len())
        }

        unsafe fn set_filled(&mut self, _bytes: usize) {}
    }

    #[test]
    #[should_panic(expected = "what is filled is not what is read")]
    fn a_buffer_that_is_filled_elsewhere_than_it_is_read_is_not_lent() {
        let mut vec = Vec::with_capacity(64);
        vec.extend(*b"initialised");
        let _halves = lend(Tail(vec));
    }

    #[test]
    fn a_simulated_kernel_writes_while_the_halves_move_and_go() {
        let mut stack = [0_u8; 8];
        let (mut filled, drained) = lend(&mut stack[..]);
        let (to, from) = (filled.region_mut(), drained.region());
        let moved = Box::new((Some(filled), Some(drained)));
        for at in 0..8 {
            // SAFETY: the halves are alive, and nobody looks.
            unsafe { to.cast::<u8>().wrapping_add(at).write(9) };
            // SAFETY: as above.
            assert_eq!(unsafe { from.cast::<u8>().wrapping_add(at).read() }, 9);
        }
        let (filled, drained) = *moved;
        drop(drained);
        filled.expect("it is here").reclaim().expect("the last half")[7] = 1;
        assert_eq!(stack, [9, 9, 9, 9, 9, 9, 9, 1]);
    }

    #[test]
    fn an_array_is_lent_where_it_stays() {
        let (mut filled, drained) = lend([1, 2, 3]);
        let place = filled.region_mut().cast::<u8>();
        let moved = Box::new((filled, drained));
        assert_eq!(moved.1.region().cast::<u8>(), place.cast_const());
    }
}
