//! Recorded operations, replayed at the cost of a submission.

use crate::stream::Copy2d;
use crate::{Error, Pipeline};
use std::sync::Arc;

/// One operation of a recording.
#[derive(Clone)]
pub enum Node {
    /// A kernel launch.
    Launch {
        /// What to run.
        pipeline: Arc<Pipeline>,
        /// Workgroups.
        grid: [u32; 3],
        /// The parameter block.
        parameters: Vec<u8>,
        /// Address of the module buffer.
        module: u64,
        /// Address of the printf buffer.
        printf: u64,
    },
    /// A copy between device addresses.
    Copy {
        /// To.
        destination: u64,
        /// From.
        source: u64,
        /// Bytes.
        size: u64,
    },
    /// A copy of rows.
    Copy2d(Copy2d),
    /// A fill.
    Fill {
        /// To.
        destination: u64,
        /// The pattern, in its low `width` bytes.
        pattern: u32,
        /// 1, 2 or 4 bytes.
        width: u32,
        /// Elements.
        count: u64,
    },
    /// Nothing: keeps the indices of a graph's empty nodes.
    Empty,
}

/// A list of operations that [`crate::Stream::replay`] runs as one.
pub struct Recording {}

impl Recording {
    /// How many nodes.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether it has no nodes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Replaces a node for later replays; replays already made keep the old one. A launch that differs only in its
    /// parameter bytes costs no new recording.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an index out of range, [`Error::InvalidAddress`].
    pub fn set(&self, index: usize, node: Node) -> Result<(), Error> {
        let _ = (index, node);
        todo!()
    }
}
