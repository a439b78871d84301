//! Reading scratch on llvmpipe: as a uniform buffer, the "window" of docs/design.md, "Warps on llvmpipe".
//!
//! A load by address is a masked gather there, which LLVM makes eight branches of, going over the whole function once more
//! for each. A load from a uniform buffer is eight loads without a branch, lanes that are off reading some other place of
//! the buffer. All such loads are volatile, because the memory does change under them.

use super::entry::Push;
use super::*;
use rspirv::spirv::{Decoration, StorageClass};

/// Descriptor set and binding of the window.
const SET: u32 = 0;
const BINDING: u32 = 0;
/// Bytes of the arrays by which the window is declared: no slice lies beyond (the runtime gives no more scratch).
const BYTES: u32 = 1 << 30;

impl Emitter<'_> {
    /// Whether scratch is read through the window.
    pub(super) fn has_window(&self) -> bool {
        self.yields()
    }

    /// Loads from scratch, at an offset in bytes from its start with the natural alignment of the type; nothing where the
    /// type is none that the window has.
    pub(super) fn load_window(&mut self, offset: Id, ty: Type) -> Option<Id> {
        let element = match ty.size() {
            4 => Type::U32,
            8 => Type::U64,
            16 => Type::Vector(Scalar::U64, 2),
            _ => return None,
        };
        let view = self.window_view(element);
        let shift = self.asm.u32(element.size().trailing_zeros());
        let index = self
            .asm
            .op(Op::ShiftRightLogical, Type::U32, &[offset, shift]);
        let pointee = self.asm.ty(element);
        let pointer = self.asm.pointer(StorageClass::Uniform, pointee);
        let zero = self.asm.u32(0);
        let at = self
            .asm
            .op_with(Op::AccessChain, pointer, &[view, zero, index]);
        // Volatile, NonPrivatePointer.
        let id = self.asm.op(Op::Load, element, &[at, 0x21]);
        Some(if element == ty {
            id
        } else {
            self.asm.op(Op::Bitcast, ty, &[id])
        })
    }

    /// The window as an array of a type.
    fn window_view(&mut self, element: Type) -> Id {
        if let Some(&view) = self.entry.windows.get(&element) {
            return view;
        }
        let stride = element.size();
        let length = self.asm.u32(BYTES / stride);
        let ty = self.asm.ty(element);
        let array = self.asm.id();
        self.asm.global(Op::TypeArray, &[array, ty, length]);
        self.asm.decorate(array, Decoration::ArrayStride, &[stride]);
        let block = self.asm.id();
        self.asm.global(Op::TypeStruct, &[block, array]);
        self.asm.decorate(block, Decoration::Block, &[]);
        self.asm.decorate_member(block, 0, Decoration::Offset, &[0]);
        let pointer = self.asm.pointer(StorageClass::Uniform, block);
        let view = self.asm.id();
        self.asm
            .global(Op::Variable, &[pointer, view, StorageClass::Uniform as u32]);
        self.asm.decorate(view, Decoration::DescriptorSet, &[SET]);
        self.asm.decorate(view, Decoration::Binding, &[BINDING]);
        self.asm.interface(view);
        self.entry.windows.insert(element, view);
        view
    }

    /// The offset of an address in the kernel's shared memory from the start of scratch.
    pub(super) fn shared_in_window(&mut self, offset: Id) -> Id {
        let base = self.entry.shared_in_window;
        self.asm.op(Op::IAdd, Type::U32, &[base, offset])
    }

    /// At the kernel's start: where its shared memory lies in the window.
    pub(super) fn place_shared_in_window(&mut self) {
        let offset = self.push(Push::SharedOffset);
        self.entry.shared_in_window =
            self.asm
                .op(Op::IAdd, Type::U32, &[self.entry.slice_in_window, offset]);
    }
}
