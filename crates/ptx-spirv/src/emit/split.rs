//! Basic blocks of the shader are not longer than the driver's compiler can do with ([`Target::block_words`]).
//!
//! Kernels that multiply halves through workgroup memory are left whole: their sums go from product to product, and flash attention
//! took Mesa's compiler twice as long in pieces.
//!
//! Where a block has become long, a branch is written that is never taken: compilers keep it, because its condition is a push
//! constant and its arm stores.

use super::entry::Push;
use super::memory::Access;
use super::*;
use crate::assembler::Component;

/// Words after which a kernel's blocks end; 0 for never.
pub(super) fn block_words(graph: &Graph, target: &Target, info: &KernelInfo) -> u32 {
    let multiplies_halves =
        |i: &Instruction| matrix::form_of(i).is_some_and(|form| form.component == Component::F16);
    match info.matrix_slot_bytes > 0 && graph.any(multiplies_halves) {
        true => 0,
        false => target.block_words,
    }
}

impl Emitter<'_> {
    /// Ends the current basic block if it is long.
    pub(super) fn split_block(&mut self) {
        let most = self.block_words;
        if most == 0 || self.asm.words_of_block() < most as usize {
            return;
        }
        let zero = self.push(Push::Zero);
        let known = self.asm.u32(0);
        let never = self.asm.op(Op::INotEqual, Type::Bool, &[zero, known]);
        self.when(never, |e| {
            let record = e.fault_record();
            e.store_device(record, Type::U32, zero, Access::default());
        });
    }
}
