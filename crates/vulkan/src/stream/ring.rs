//! A ring of mapped memory: parameters and small or staged copies.
//!
//! Positions only grow; a position's place is its remainder by the size. What a batch took is given back, in order, when the
//! batch has run.

use crate::error::Error;
use crate::memory::{Allocation, Span};

pub(crate) struct Ring {
    memory: Allocation,
    host: *mut u8,
    size: u64,
    head: u64,
    tail: u64,
}

// SAFETY: the pointer is mapped memory that the ring owns.
unsafe impl Send for Ring {}

/// A place in the ring, written once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) address: u64,
    pub(crate) span: Span,
}

impl Ring {
    pub(crate) fn new(memory: Allocation) -> Result<Self, Error> {
        let host = memory
            .host()
            .ok_or_else(|| Error::Unsupported("mapped memory for parameters".to_owned()))?;
        let size = memory.size();
        Ok(Self {
            memory,
            host,
            size,
            head: 0,
            tail: 0,
        })
    }

    /// The position after everything that was taken.
    pub(crate) fn mark(&self) -> u64 {
        self.head
    }

    /// Gives back everything before a mark.
    pub(crate) fn release(&mut self, mark: u64) {
        self.tail = self.tail.max(mark);
    }

    /// Copies bytes into the ring; `None` while there is no room. `data` is not empty and at most the ring's size.
    pub(crate) fn write(&mut self, data: &[u8], alignment: u64) -> Option<Place> {
        let length = data.len() as u64;
        let mut start = self.head.next_multiple_of(alignment);
        // A place does not wrap around.
        if start % self.size + length > self.size {
            start = start.next_multiple_of(self.size);
        }
        if start + length > self.tail + self.size {
            return None;
        }
        self.head = start + length;
        let offset = start % self.size;
        // SAFETY: offset and length lie within the mapping; no work in flight uses this place, and the ring is not shared.
        unsafe {
            std::ptr::copy_nonoverlapping(data.as_ptr(), self.host.add(offset as usize), data.len())
        };
        Some(Place {
            address: self.memory.address() + offset,
            span: self.memory.span(offset, length),
        })
    }
}
