//! What a shuffle reads from lanes that are not there: 0.
//!
//! By the PTX ISA ("shfl.sync") that is undefined, but programs count on what NVIDIA's GPUs give from lanes that have exited (seen on an H200);
//! others give what lay in the lane's register. Lanes are missing where some threads of a warp leave a kernel before others do
//! (`uniform.rs`), and in the last warp of a block that is not whole warps, which is known when the pipeline is made: those read as 0, too,
//! so that results do not depend on what ran before (NVIDIA's GPUs give what lies in the register).
//!
//! ```text
//! here  = the subgroup's ballot of true
//! value = OpGroupNonUniformShuffle(value, lane)
//! value = (here >> lane & 1) != 0 ? value : 0
//! ```

use super::*;
use crate::uniform::{self, Level};

impl Emitter<'_> {
    /// Finds out whether lanes can be missing where the kernel shuffles. At the head of the kernel.
    pub(super) fn find_absent_lanes(&mut self) {
        if self.target.absent_lanes_read_zero {
            return;
        }
        if !self.graph.any(|i| i.opcode == Opcode::Shfl) {
            return;
        }
        let exits = match &self.state {
            Some(state) => state.early_exits,
            None => {
                let shuffles = |b: usize| {
                    self.graph
                        .any_in(b, |i: &Instruction| i.opcode == Opcode::Shfl)
                };
                uniform::early_exits(self.graph, self.module, self.layout, &shuffles)
            }
        };
        self.entry.absent = Some(match exits {
            Level::Lane => self.asm.constant(Type::Bool, 1),
            Level::Warp | Level::AlignedWarp => {
                let (part, whole) = (self.last_warp_is_part(), self.whole_rows(exits));
                let not = self
                    .asm
                    .spec_operation(Op::LogicalNot, Type::Bool, &[whole]);
                self.asm
                    .spec_operation(Op::LogicalOr, Type::Bool, &[part, not])
            }
            Level::Block => self.last_warp_is_part(),
        });
    }

    /// Whether a block is not whole warps: a specialisation constant.
    fn last_warp_is_part(&mut self) -> Id {
        let [x, y, z] = self.entry.ntid;
        let size = self.asm.spec_constant(0, 32);
        let xy = self.asm.spec_operation(Op::IMul, Type::U32, &[x, y]);
        let total = self.asm.spec_operation(Op::IMul, Type::U32, &[xy, z]);
        self.asm
            .spec_operation(Op::INotEqual, Type::Bool, &[size, total])
    }

    /// What an invocation of the subgroup gave a shuffle, or 0 where it has not come here. Its number is as for
    /// [`Self::native_shuffle`].
    pub(super) fn if_present(&mut self, value: Id, invocation: Id) -> Id {
        let Some(absent) = self.entry.absent else {
            return value;
        };
        let yes = self.asm.constant(Type::Bool, 1);
        let here = self.native_ballot(yes);
        let (zero, one) = (self.asm.u32(0), self.asm.u32(1));
        let here = self
            .asm
            .op(Op::ShiftRightLogical, Type::U32, &[here, invocation]);
        let here = self.asm.op(Op::BitwiseAnd, Type::U32, &[here, one]);
        let mut here = self.asm.op(Op::INotEqual, Type::Bool, &[here, zero]);
        if absent != yes {
            let never = self.asm.op(Op::LogicalNot, Type::Bool, &[absent]);
            here = self.asm.op(Op::LogicalOr, Type::Bool, &[never, here]);
        }
        self.asm.op(Op::Select, Type::U32, &[here, value, zero])
    }

    /// A word by one way where lanes can be missing, by another where they cannot, or read as 0 anyway.
    pub(super) fn where_absent(
        &mut self,
        absent: impl FnOnce(&mut Self) -> Id,
        complete: impl FnOnce(&mut Self) -> Id,
    ) -> Id {
        match self.entry.absent {
            None => complete(self),
            Some(id) if id == self.asm.constant(Type::Bool, 1) => absent(self),
            Some(id) => self.choose(id, Type::U32, absent, complete),
        }
    }
}
