//! Registers that are kept in the thread's memory (`pressure.rs`).
//!
//! They are words of an array of the shader. Drivers make registers of one that is indexed by constants only, and compute
//! equal addresses once, for the price of a register until they are used again. So the indices have a 0 in them that no
//! compiler knows to be one, and that is another one for every instruction ([`Emitter::unknown_zero`]).

use super::entry::Push;
use super::*;

/// The array.
#[derive(Default)]
pub(super) struct Array {
    /// Words.
    words: u32,
    /// The variable; 0 before it is made.
    variable: Id,
}

/// Zeros that compilers do not know.
#[derive(Default)]
pub(super) struct Zeros {
    /// The last one: its epoch and step, and itself.
    last: Option<(u32, usize, Id)>,
    /// A word that was computed last: its epoch, and itself.
    pub(super) recent: Option<(u32, Id)>,
}

/// Chooses the registers that are kept in memory.
pub(super) fn place(graph: &Graph, target: &Target, storage: &mut [Storage]) -> Array {
    if target.registers == 0 {
        return Array::default();
    }
    let homes = pressure::homes(graph, target.registers * 3 / 8);
    for (storage, word) in storage.iter_mut().zip(homes.word) {
        if let Some(word) = word {
            *storage = Storage::Memory { word, known: None };
        }
    }
    Array {
        words: homes.words,
        ..Array::default()
    }
}

impl Emitter<'_> {
    /// Makes the array, at the kernel's start.
    pub(super) fn make_homes(&mut self) {
        if self.homes.words == 0 {
            return;
        }
        self.homes.variable = self.asm.variable(Type::Words(self.homes.words));
    }

    /// Keeps a value for the next [`Emitter::unknown_zero`].
    pub(super) fn computed(&mut self, v: Value) {
        if self.target.registers != 0 && matches!(v.ty, Type::U32 | Type::F32) {
            let id = self.cast(v, Type::U32);
            self.zeros.recent = Some((self.epoch, id));
        }
    }

    /// A 0 of which no compiler knows that it is one, nor that it is the same as another: what some push constant and
    /// some value have in common. Where a compiler has few registers it cannot keep then what it could compute again.
    pub(super) fn unknown_zero(&mut self) -> Id {
        match self.zeros.last {
            Some((epoch, step, id)) if epoch == self.epoch && self.step == step => {
                return id;
            }
            _ => {}
        }
        let zero = self.push(Push::Zero);
        let id = match self.zeros.recent {
            Some((epoch, recent)) if epoch == self.epoch => {
                self.asm.op(Op::BitwiseAnd, Type::U32, &[zero, recent])
            }
            _ => zero,
        };
        self.zeros.last = Some((self.epoch, self.step, id));
        id
    }

    fn home(&mut self, word: u32) -> Id {
        let start = self.unknown_zero();
        let index = self.offset(start, Type::U32, word.into());
        let ty = self.asm.ty(Type::U32);
        let pointer = self.asm.pointer(rspirv::spirv::StorageClass::Function, ty);
        let variable = self.homes.variable;
        self.asm
            .op_with(Op::AccessChain, pointer, &[variable, index])
    }

    /// Loads a register.
    pub(super) fn load_home(&mut self, word: u32, ty: Type) -> Value {
        let words: Vec<Id> = (0..ty.size().div_ceil(4))
            .map(|n| {
                let pointer = self.home(word + n);
                self.asm.op(Op::Load, Type::U32, &[pointer])
            })
            .collect();
        let v = match words[..] {
            [low, high] => Value {
                id: self.join(low, high),
                ty: Type::U64,
            },
            _ => Value {
                id: words[0],
                ty: Type::U32,
            },
        };
        let id = self.cast(v, ty);
        Value { id, ty }
    }

    /// Stores a register.
    pub(super) fn store_home(&mut self, word: u32, v: Value, ty: Type) {
        let id = self.cast(v, ty);
        let v = Value { id, ty };
        let words = match ty.size() {
            8 => {
                let whole = self.cast(v, Type::U64);
                let (low, high) = self.split(whole);
                vec![low, high]
            }
            _ => vec![self.cast(v, Type::U32)],
        };
        for (n, id) in words.into_iter().enumerate() {
            let pointer = self.home(word + n as u32);
            self.asm.void(Op::Store, &[pointer, id]);
        }
    }
}
