//! `mbarrier`: barrier objects in shared memory (PTX ISA, "mbarrier").
//!
//! The object is opaque to the program. Here its 64 bits are: pending arrivals in bits 0 to 19, expected arrivals in 20
//! to 39, pending bytes (signed) in 40 to 62, and the phase's parity in 63.

use ptx::{Instruction, Modifier as M, Opcode as O};

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `mbarrier.init`
    Init,
    /// `mbarrier.inval`
    Invalidate,
    /// `mbarrier.arrive`, with `.expect_tx`, without `.noComplete` mattering.
    Arrive { expect: bool, drop: bool },
    /// `mbarrier.expect_tx`
    Expect,
    /// `mbarrier.complete_tx`
    Complete,
    /// `mbarrier.test_wait` and `try_wait`
    Wait { parity: bool },
    /// `mbarrier.pending_count`
    PendingCount,
    /// `cp.async.mbarrier.arrive`; with `.noinc` the arrival counts among those expected.
    CopyArrive { noinc: bool },
}

impl Operation {
    /// The operation of an instruction.
    pub fn of(i: &Instruction) -> Option<Operation> {
        let has = |m| i.has(m);
        Some(if i.opcode == O::Cp {
            Operation::CopyArrive {
                noinc: has(M::Noinc),
            }
        } else if has(M::Init) {
            Operation::Init
        } else if has(M::Inval) {
            Operation::Invalidate
        } else if has(M::Arrive) || has(M::ArriveDrop) {
            Operation::Arrive {
                expect: has(M::ExpectTx),
                drop: has(M::ArriveDrop),
            }
        } else if has(M::ExpectTx) {
            Operation::Expect
        } else if has(M::CompleteTx) {
            Operation::Complete
        } else if has(M::TestWait) || has(M::Trywait) {
            Operation::Wait {
                parity: has(M::Parity),
            }
        } else if has(M::PendingCount) {
            Operation::PendingCount
        } else {
            return None;
        })
    }

    /// Whether the first operand is a destination.
    pub fn has_result(self) -> bool {
        matches!(
            self,
            Operation::Arrive { .. } | Operation::Wait { .. } | Operation::PendingCount
        )
    }
}

/// An object, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    pub pending: u32,
    pub expected: u32,
    pub bytes: i32,
    pub phase: bool,
}

const COUNT: u64 = (1 << 20) - 1;

impl Object {
    pub fn new(count: u32) -> Object {
        Object {
            pending: count,
            expected: count,
            bytes: 0,
            phase: false,
        }
    }

    pub fn unpack(bits: u64) -> Object {
        Object {
            pending: (bits & COUNT) as u32,
            expected: (bits >> 20 & COUNT) as u32,
            bytes: ((bits << 1) as i64 >> 41) as i32,
            phase: bits >> 63 == 1,
        }
    }

    pub fn pack(self) -> u64 {
        u64::from(self.pending) & COUNT
            | (u64::from(self.expected) & COUNT) << 20
            | (self.bytes as u64 & ((1 << 23) - 1)) << 40
            | u64::from(self.phase) << 63
    }

    /// Takes arrivals off; `None` if there are more than are pending.
    pub fn arrive(mut self, count: u32) -> Option<Object> {
        self.pending = self.pending.checked_sub(count)?;
        Some(self.settle())
    }

    /// Changes the bytes still to come.
    pub fn transfer(mut self, bytes: i32) -> Object {
        self.bytes += bytes;
        self.settle()
    }

    /// Begins the next phase if nothing is pending.
    fn settle(mut self) -> Object {
        if self.pending == 0 && self.bytes == 0 {
            self.phase = !self.phase;
            self.pending = self.expected;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_survive_packing() {
        for bytes in [0, 1, -1, 1 << 20, -(1 << 20)] {
            let object = Object {
                pending: 3,
                expected: COUNT as u32,
                bytes,
                phase: true,
            };
            assert_eq!(Object::unpack(object.pack()), object);
        }
    }

    #[test]
    fn a_phase_ends_with_the_last_arrival_and_byte() {
        let object = Object::new(2).transfer(64).arrive(2).unwrap();
        assert!(!object.phase);
        let object = object.transfer(-64);
        assert!(object.phase);
        assert_eq!(object.pending, 2);
        assert!(object.arrive(3).is_none());
    }
}
