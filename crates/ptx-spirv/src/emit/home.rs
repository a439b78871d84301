//! Registers that are kept in the thread's memory (`pressure.rs`).
//!
//! They are words of an array of the shader. Drivers make registers of one that is indexed by constants only, and compute
//! equal addresses once, for the price of a register until they are used again. So the indices have a 0 in them that no
//! compiler knows to be one, and that is another one for every instruction ([`Emitter::unknown_zero`]).

use super::entry::Push;
use super::*;
use crate::rolls::Roll;
use std::borrow::Cow;
use std::rc::Rc;

/// The array.
#[derive(Default)]
pub(super) struct Array {
    /// Words.
    words: u32,
    /// The variable; 0 before it is made.
    variable: Id,
}

/// Where a register's first word is in the array.
#[derive(Clone, Copy)]
pub(super) enum Home {
    /// At this place.
    Word(u32),
    /// At a place that is computed, and so many words behind it.
    Behind(Id, u32),
}

/// Zeros that compilers do not know.
#[derive(Default)]
pub(super) struct Zeros {
    /// The last one: its epoch and step, and itself.
    last: Option<(u32, usize, Id)>,
    /// How many there are.
    count: u32,
    /// Where they wait for what was computed before them: the word that was computed last, with its epoch.
    recent: Option<(u32, Id)>,
    /// Words computed long ago, and what [`Emitter::anew`] made of them: the epoch, and the sum.
    anew: FxHashMap<Id, (u32, Id)>,
}

/// Ids during which a value is recent: some hundred instructions.
const RECENT: Id = 500;

/// Words a lane where kernels that multiply halves through workgroup memory keep no registers in memory, at the first try. So
/// few are left beside the addresses of the array, each five instructions and as many registers, that Mesa's compiler
/// for Intel is five times as fast with spills of its own (docs/benchmarks.md). Where it gives up, the next try has fewer.
const SPILLED_BY_DRIVER: u32 = 32;

/// The device as far as a kernel is concerned that does or does not multiply halves through workgroup memory.
pub(super) fn target(target: &Target, halves_in_memory: bool) -> Cow<'_, Target> {
    match halves_in_memory && target.registers == SPILLED_BY_DRIVER {
        true => Cow::Owned(Target {
            registers: 0,
            ..target.clone()
        }),
        false => Cow::Borrowed(target),
    }
}

/// Chooses the registers that are kept in memory.
pub(super) fn place(
    graph: &Graph,
    target: &Target,
    (info, rolls): (&KernelInfo, &[Rc<Roll>]),
    storage: &mut [Storage],
) -> Array {
    if target.registers == 0 && rolls.is_empty() {
        return Array::default();
    }
    // The rest is for addresses, conditions and what goes into one access; and for matrices, which products through workgroup
    // memory have many of at once. Measured (docs/benchmarks.md).
    let sixteenths = if info.matrix_slot_bytes > 0 { 6 } else { 9 };
    // The driver's compiler finds out by itself what is left of kernels of halves with loops that were unrolled, in half of the time.
    // On llvmpipe nothing but what varies from round to round is kept here.
    let by_driver = target.registers == 0
        || !rolls.is_empty() && cooperative_memory::multiplies_halves(graph, info);
    let most = match by_driver {
        true => u32::MAX,
        false => target.registers * sixteenths / 16,
    };
    let homes = pressure::homes(graph, most, rolls);
    for (storage, word) in storage.iter_mut().zip(homes.word) {
        if let Some(word) = word {
            let home = Home::Word(word);
            *storage = Storage::Memory { home, known: None };
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
        self.homes.variable = self
            .asm
            .variable(Type::Words(self.homes.words.max(local::LEAST_WORDS)));
    }

    /// Keeps a value for the next [`Emitter::unknown_zero`] of kernels whose zeros wait for it.
    pub(super) fn computed(&mut self, v: Value) {
        let waits = self.target.registers != 0 && self.halves_in_memory;
        if waits && matches!(v.ty, Type::U32 | Type::F32) {
            let id = self.cast(v, Type::U32);
            self.zeros.recent = Some((self.epoch, id));
        }
    }

    /// A 0 of which no compiler knows that it is one, nor that it is the same as another: what a push constant and another
    /// constant every time have in common. Where a compiler has few registers it cannot keep then what it could compute again.
    /// In kernels that multiply halves through workgroup memory it is what the push constant and a recent word have in common,
    /// without which what is computed of it cannot begin.
    pub(super) fn unknown_zero(&mut self) -> Id {
        match self.zeros.last {
            Some((epoch, step, id)) if epoch == self.epoch && self.step == step => {
                return id;
            }
            _ => {}
        }
        let zero = self.push(Push::Zero);
        self.zeros.count += 1;
        let other = match self.zeros.recent {
            _ if !self.halves_in_memory => Some(self.asm.u32(!self.zeros.count)),
            Some((epoch, recent)) if epoch == self.epoch => Some(recent),
            _ => None,
        };
        let id = match other {
            Some(other) => self.asm.op(Op::BitwiseAnd, Type::U32, &[zero, other]),
            None => zero,
        };
        self.zeros.last = Some((self.epoch, self.step, id));
        id
    }

    /// A word that was computed long ago, as a sum with a 0 that compilers do not know: what is computed of it here is not
    /// kept from there on. The word itself where it is recent or constant, or registers are many.
    pub(super) fn anew(&mut self, word: Id) -> Id {
        let now = self.asm.last_id();
        let is_recent = now - word < RECENT;
        let as_it_is = self.target.registers == 0 || self.halves_in_memory;
        if as_it_is || is_recent || self.asm.is_constant(word) {
            return word;
        }
        if let Some(&(epoch, id)) = self.zeros.anew.get(&word) {
            if epoch == self.epoch && now - id < RECENT {
                return id;
            }
        }
        let zero = self.unknown_zero();
        let id = self.asm.op(Op::IAdd, Type::U32, &[word, zero]);
        self.zeros.anew.insert(word, (self.epoch, id));
        id
    }

    /// A pointer to a word of a register.
    fn home(&mut self, home: Home, part: u32) -> Id {
        let (start, word) = match home {
            Home::Word(word) => (self.unknown_zero(), word + part),
            Home::Behind(start, word) => (start, word + part),
        };
        let index = self.offset(start, Type::U32, word.into());
        let ty = self.asm.ty(Type::U32);
        let pointer = self.asm.pointer(rspirv::spirv::StorageClass::Function, ty);
        let variable = self.homes.variable;
        self.asm
            .op_with(Op::AccessChain, pointer, &[variable, index])
    }

    /// Loads a register.
    pub(super) fn load_home(&mut self, home: Home, ty: Type) -> Value {
        let words: Vec<Id> = (0..ty.size().div_ceil(4).max(1))
            .map(|n| {
                let pointer = self.home(home, n);
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
    pub(super) fn store_home(&mut self, home: Home, v: Value, ty: Type) {
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
            let pointer = self.home(home, n as u32);
            self.asm.void(Op::Store, &[pointer, id]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_spill_for_products_of_halves_where_words_are_few() {
        let with = |registers| Target {
            registers,
            ..Target::xe2()
        };
        let left = |registers, halves| target(&with(registers), halves).registers;
        assert_eq!(left(32, true), 0);
        assert_eq!(left(32, false), 32);
        // More words, and the next try with half of these.
        assert_eq!([left(64, true), left(16, true)], [64, 16]);
    }
}
