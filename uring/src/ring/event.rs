//! What a completion turns into.

use std::fmt;

use crate::{
    abi::{cqe::Cqe, token::OpId},
    operation::Operation,
};

/// What happened to an operation.
#[non_exhaustive]
pub enum Event<'r, O: Operation, C> {
    /// It yielded something and goes on.
    Item {
        /// Which operation.
        id: OpId,
        /// Its context, which stays in the ring.
        ctx: &'r mut C,
        /// What it yielded.
        item: O::Item,
        /// The completion that it came with.
        cqe: Cqe,
    },
    /// It has ended. Its resources are in the output, and its id means nothing any more.
    Done {
        /// Which operation.
        id: OpId,
        /// Its context.
        ctx: C,
        /// The result, and what the operation owned.
        output: O::Output,
        /// The completion that it came with.
        cqe: Cqe,
    },
}

impl<O, C> fmt::Debug for Event<'_, O, C>
where
    O: Operation<Item: fmt::Debug, Output: fmt::Debug>,
    C: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item { id, ctx, item, cqe } => f
                .debug_struct("Item")
                .field("id", id)
                .field("ctx", ctx)
                .field("item", item)
                .field("cqe", cqe)
                .finish(),
            Self::Done { id, ctx, output, cqe } => f
                .debug_struct("Done")
                .field("id", id)
                .field("ctx", ctx)
                .field("output", output)
                .field("cqe", cqe)
                .finish(),
        }
    }
}
