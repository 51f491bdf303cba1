//! The macro that makes one operation type out of several.

/// Makes an enum of operations, with the enums of their items and outputs, for a
/// [`Ring`](crate::Ring), a [`Scope`](crate::Scope) or a [`Chain`](crate::Chain) that runs more
/// than one kind. The operations may borrow.
///
/// ```
/// use std::{os::fd::OwnedFd, rc::Rc};
/// use uring::{Event, Ring, op};
///
/// uring::operations! {
///     /// What this server does.
///     pub enum Op, OpItem, OpOutput {
///         Accept(op::AcceptMulti<Rc<OwnedFd>>),
///         Nop(op::Nop),
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// let mut ring: Ring<Op> = Ring::builder().build()?;
/// ring.submit(op::Nop::new().into(), ())?;
/// ring.wait(1, None)?;
/// let event = ring.next();
/// assert!(matches!(event, Some(Event::Done { output: OpOutput::Nop(Ok(())), .. })));
/// # Ok(()) }
/// ```
///
/// Copies one block with one submission: the write waits for the read.
///
/// ```
/// use std::fs::File;
/// use uring::{At, Lent, LentMut, Ring, op};
///
/// uring::operations! {
///     enum Copy<'f>, CopyItem, CopyOutput {
///         Read(op::Read<&'f File, LentMut<Vec<u8>>>),
///         Write(op::Write<&'f File, Lent<Vec<u8>>>),
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(_) = uring::check() else { return Ok(()) };
/// # let path = std::env::temp_dir().join(format!("uring-choice-{}", std::process::id()));
/// # std::fs::write(&path, "sixteen bytes are")?;
/// # let (from, to) = (File::open(&path)?, File::options().write(true).open(&path)?);
/// let mut ring: Ring<op::Nop> = Ring::builder().build()?;
/// let (filled, drained) = uring::lend(vec![0; 8]);
/// ring.scope::<Copy<'_>, (), _>(2, |s| {
///     s.chain(|chain| {
///         chain.then(op::Read::new(&from, filled, At(0)).into(), ());
///         chain.then(op::Write::new(&to, drained, At(8)).into(), ());
///     })?;
///     s.wait(2, None)
/// })?;
/// # assert_eq!(std::fs::read(&path)?, b"sixteen sixteen e");
/// # std::fs::remove_file(&path)?;
/// # Ok(()) }
/// ```
#[macro_export]
macro_rules! operations {
    (
        $(#[$meta:meta])*
        $vis:vis enum $op:ident $(<$($life:lifetime),+ $(,)?>)?, $item:ident, $output:ident {
            $($name:ident($type:ty)),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[allow(missing_docs, missing_debug_implementations, reason = "named by their operations")]
        #[allow(clippy::large_enum_variant, reason = "boxing would cost an allocation each")]
        $vis enum $op $(<$($life),+>)? { $($name($type)),+ }

        #[doc = concat!("What the operations of `", stringify!($op), "` yield before their end.")]
        #[allow(missing_docs, missing_debug_implementations, reason = "named by their operations")]
        #[allow(clippy::large_enum_variant, reason = "boxing would cost an allocation each")]
        $vis enum $item $(<$($life),+>)? { $($name(<$type as $crate::Operation>::Item)),+ }

        #[doc = concat!("What the operations of `", stringify!($op), "` yield at their end.")]
        #[allow(missing_docs, missing_debug_implementations, reason = "named by their operations")]
        #[allow(clippy::large_enum_variant, reason = "boxing would cost an allocation each")]
        $vis enum $output $(<$($life),+>)? { $($name(<$type as $crate::Operation>::Output)),+ }

        $crate::operations!(@all [$(<$($life),+>)?] $op $($name($type))+);

        // SAFETY: each method hands its call, and so its contract, to the operation that is in the
        // enum, which stays the same from `prepare` to `finish`.
        unsafe impl $(<$($life),+>)? $crate::Operation for $op $(<$($life),+>)? {
            type Item = $item $(<$($life),+>)?;
            type Output = $output $(<$($life),+>)?;

            #[inline(always)]
            unsafe fn prepare(&mut self, sqe: &mut $crate::Sqe) {
                match self {
                    $(Self::$name(op) => {
                        // SAFETY: the caller's contract is this call's.
                        unsafe { $crate::Operation::prepare(op, sqe) }
                    }),+
                }
            }

            #[inline(always)]
            unsafe fn item(this: *mut Self, cqe: $crate::Cqe) -> Self::Item {
                // SAFETY: `this` points to a value that nobody else accesses during the call: what
                // the kernel may write, an operation with items keeps outside of itself.
                match unsafe { &mut *this } {
                    $(Self::$name(op) => {
                        // SAFETY: the caller's contract, of the one, is this call's, of the other.
                        $item::$name(unsafe { <$type as $crate::Operation>::item(op, cqe) })
                    }),+
                }
            }

            #[inline(always)]
            unsafe fn finish(self, cqe: $crate::Cqe) -> Self::Output {
                match self {
                    $(Self::$name(op) => {
                        // SAFETY: the caller's contract is this call's.
                        $output::$name(unsafe {
                            $crate::Operation::finish(op, cqe)
                        })
                    }),+
                }
            }

            fn refuse(self, error: ::std::io::Error) -> Self::Output {
                match self {
                    $(Self::$name(op) => {
                        $output::$name($crate::Operation::refuse(op, error))
                    }),+
                }
            }

            #[inline]
            fn ring(&self) -> ::core::option::Option<$crate::RingId> {
                match self {
                    $(Self::$name(op) => $crate::Operation::ring(op)),+
                }
            }
        }
    };

    // Each operation converts into the enum, whose lifetimes are one token tree here.
    (@all $generics:tt $op:ident $($name:ident($type:ty))+) => {
        $($crate::operations!(@from $generics $op $name $type);)+
    };
    (@from [$($generics:tt)*] $op:ident $name:ident $type:ty) => {
        impl $($generics)* ::core::convert::From<$type> for $op $($generics)* {
            #[inline]
            fn from(op: $type) -> Self { Self::$name(op) }
        }
    };
}
