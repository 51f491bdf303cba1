//! The macro that makes one operation type out of several.

/// Makes an enum of operations, with the enums of their items and outputs, for a
/// [`Ring`](crate::Ring) that runs more than one kind.
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
#[macro_export]
macro_rules! operations {
    (
        $(#[$meta:meta])*
        $vis:vis enum $op:ident, $item:ident, $output:ident {
            $($name:ident($type:ty)),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[allow(missing_docs, missing_debug_implementations, reason = "named by their operations")]
        #[allow(clippy::large_enum_variant, reason = "boxing would cost an allocation each")]
        $vis enum $op { $($name($type)),+ }

        #[doc = concat!("What the operations of `", stringify!($op), "` yield before their end.")]
        #[allow(missing_docs, missing_debug_implementations, reason = "named by their operations")]
        #[allow(clippy::large_enum_variant, reason = "boxing would cost an allocation each")]
        $vis enum $item { $($name(<$type as $crate::Operation>::Item)),+ }

        #[doc = concat!("What the operations of `", stringify!($op), "` yield at their end.")]
        #[allow(missing_docs, missing_debug_implementations, reason = "named by their operations")]
        #[allow(clippy::large_enum_variant, reason = "boxing would cost an allocation each")]
        $vis enum $output { $($name(<$type as $crate::Operation>::Output)),+ }

        $(impl ::core::convert::From<$type> for $op {
            fn from(op: $type) -> Self { Self::$name(op) }
        })+

        // SAFETY: each method hands its call, and so its contract, to the operation that is in the
        // enum, which stays the same from `prepare` to `finish`.
        unsafe impl $crate::Operation for $op {
            type Item = $item;
            type Output = $output;

            #[inline]
            unsafe fn prepare(&mut self, sqe: &mut $crate::Sqe) {
                match self {
                    $(Self::$name(op) => {
                        // SAFETY: the caller's contract is this call's.
                        unsafe { $crate::Operation::prepare(op, sqe) }
                    }),+
                }
            }

            #[inline]
            unsafe fn item(&mut self, cqe: $crate::Cqe) -> $item {
                match self {
                    $(Self::$name(op) => {
                        // SAFETY: the caller's contract is this call's.
                        $item::$name(unsafe { $crate::Operation::item(op, cqe) })
                    }),+
                }
            }

            #[inline]
            unsafe fn finish(self, cqe: $crate::Cqe) -> $output {
                match self {
                    $(Self::$name(op) => {
                        // SAFETY: the caller's contract is this call's.
                        $output::$name(unsafe { $crate::Operation::finish(op, cqe) })
                    }),+
                }
            }

            #[inline]
            fn ring(&self) -> ::core::option::Option<$crate::RingId> {
                match self { $(Self::$name(op) => $crate::Operation::ring(op)),+ }
            }
        }
    };
}
