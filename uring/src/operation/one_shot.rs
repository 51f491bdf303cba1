//! The short way to write the common kinds of operation, which cannot get the contract wrong.

/// Implements [`Operation`](crate::operation::Operation) for an operation that completes once.
///
/// ```text
/// one_shot! {
///     // SAFETY: why the entry may point where it points.
///     unsafe impl[F: OpFd, B: BufMut] Operation for Read<F, B> {
///         entry: |Self { fd: _, buf, offset }| ..,   the entry, without the descriptor
///         on: fd,                                    whose descriptor it names; or `nothing`
///         result: bytes -> usize,                    one of `operation::result`
///         explained: offset,                         (optional) who has words for an error
///         fills: buf,                                (optional) a `BufMut` that is told how much
///         held: (fd: F, buf: B),                     what comes back behind the result
///     }
/// }
/// ```
///
/// The output is the result alone if nothing is held, else a tuple that begins with it.
macro_rules! one_shot {
    (
        unsafe impl[$($generics:tt)*] Operation for $type:ty {
            entry: |$this:pat_param| $entry:expr,
            on: $on:ident,
            result: $result:ident -> $value:ty,
            $(explained: $explained:ident,)?
            $(fills: $fills:ident,)?
            held: ($($held:ident: $held_type:ty),*),
        }
    ) => {
        // SAFETY: answered where the macro is called: the entry may point where it points while the
        // value stays; what it points to, and its descriptor, are held until `finish`; it completes
        // once, and posts nothing else; `ring` is that of the descriptor.
        unsafe impl<$($generics)*> $crate::operation::Operation for $type {
            type Item = ();
            type Output = one_shot!(@output $value; $($held_type),*);

            #[inline]
            unsafe fn prepare(&mut self, sqe: &mut $crate::abi::sqe::Sqe) {
                let $this = self;
                *sqe = $entry;
                one_shot!(@aim self, sqe, $on);
            }

            // the kernel posts no completion with `MORE` for it
            unsafe fn item(_this: *mut Self, _cqe: $crate::abi::cqe::Cqe) {}

            #[inline]
            #[allow(unused_mut, reason = "a buffer that is filled changes")]
            unsafe fn finish(mut self, cqe: $crate::abi::cqe::Cqe) -> Self::Output {
                // SAFETY: the completion of this entry, whose result is of this kind; passed once.
                let result = unsafe { $crate::operation::result::$result(cqe) };
                $(let result = self.$explained.explain(result);)?
                $(if let Ok(bytes) = result {
                    // SAFETY: the kernel wrote this many bytes from the start of the region, and
                    // was asked for no more than it has.
                    unsafe { $crate::operation::buf::BufMut::set_filled(&mut self.$fills, bytes) };
                })?
                one_shot!(@give result; $(self.$held),*)
            }

            fn refuse(self, error: ::std::io::Error) -> Self::Output {
                one_shot!(@give Err(error); $(self.$held),*)
            }

            #[inline]
            fn ring(&self) -> Option<$crate::abi::token::RingId> {
                one_shot!(@ring self, $on)
            }
        }
    };

    (@output $value:ty;) => { ::std::io::Result<$value> };
    (@output $value:ty; $($held:ty),+) => { (::std::io::Result<$value>, $($held),+) };
    (@give $result:expr;) => { $result };
    (@give $result:expr; $($held:expr),+) => { ($result, $($held),+) };
    (@aim $self:ident, $sqe:ident, nothing) => {};
    (@aim $self:ident, $sqe:ident, $on:ident) => {
        $crate::operation::fd::sealed::Sealed::target(&$self.$on).write_to($sqe)
    };
    (@ring $self:ident, nothing) => { None };
    (@ring $self:ident, $on:ident) => {
        $crate::operation::fd::sealed::Sealed::ring(&$self.$on)
    };
}

pub(crate) use one_shot;
