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

impl Emitter<'_> {
    /// Ends the current basic block if it is long.
    pub(super) fn split_block(&mut self) {
        let most = self.target.block_words;
        if most == 0 || self.halves_in_memory || self.asm.words_of_block() < most as usize {
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
