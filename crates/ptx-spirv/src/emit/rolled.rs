//! Loops of matrix loads and products that a compiler has unrolled ([`crate::rolls`]), for devices whose compiler has few registers.
//!
//! The steps of the first round are written once, in a loop. A register for which other rounds have others is kept in the thread's memory
//! (`emit/home.rs`), and which of its words that is in the k-th round stands in a table:
//!
//! ```text
//! const uint table[] = { 4, 12, 20,  5, 12, 24,  ... };      three registers, by round
//! for (k = 0; k < rounds; k++) {
//!     words[table[3 * k]] = ...words[table[3 * k + 1]]...words[table[3 * k + 2] + 1]...
//! }
//! ```
//!
//! What a round hands to the next one is in a variable. Registers whose words lie at the same distance in all rounds share a place in the table.

use super::home::Home;
use super::*;
use crate::graph::Block;
use crate::rolls::{Carried, Roll};
use std::rc::Rc;

/// Products of a kernel from which on loops are made of it, where a lane has 32 words and where it has more: fewer Mesa's compiler for Intel
/// is done with in a minute (docs/benchmarks.md), and a loop reads from memory what otherwise are registers.
const LEAST_PRODUCTS: usize = 64;
const LEAST_PRODUCTS_WITH_MORE: usize = 640;
const FEW_REGISTERS: u32 = 32;

/// The loops of a kernel that the device needs; the order of its steps may change for them.
pub(crate) fn rolls(target: &Target, info: &KernelInfo, graph: &mut Graph) -> Vec<Rc<Roll>> {
    // Not of integers: their sums are scaled one by one, which rounds do not have in common.
    if target.registers == 0 || !cooperative_memory::multiplies_halves(graph, info) {
        return Vec::new();
    }
    let least = match target.registers <= FEW_REGISTERS {
        true => LEAST_PRODUCTS,
        false => LEAST_PRODUCTS_WITH_MORE,
    };
    let memory = &target.matrix_units.memory;
    let is_product = |i: &Instruction| {
        let form = matrix::form_of(i).filter(|_| i.opcode == Opcode::Mma && !sparse::is_sparse(i));
        form.is_some_and(|form| cooperative_memory::Tiling::of(form, memory).is_some())
    };
    let blocks = 0..graph.blocks.len();
    let products = blocks
        .flat_map(|block| graph.instructions(block))
        .filter(|(_, i)| is_product(i));
    if products.count() < least {
        return Vec::new();
    }
    let found = crate::rolls::find(graph, |i| i.opcode == Opcode::Ldmatrix || is_product(i));
    found.into_iter().map(Rc::new).collect()
}

/// Where the words of registers are, by round: the first of some place, and what is to be added to it.
struct Table {
    /// By place and round.
    places: Vec<Vec<u32>>,
    /// By register: the place, and what is to be added.
    registers: Vec<(Register, usize, u32)>,
    /// By load and round: the constant offset, which stands behind the places.
    offsets: Vec<Vec<u32>>,
}

impl Table {
    fn of(roll: &Roll, word: impl Fn(Register) -> u32) -> Self {
        let (mut places, mut registers) = (Vec::<Vec<u32>>::new(), Vec::new());
        for (name, by_round) in &roll.varying {
            let words: Vec<u32> = by_round.iter().map(|&r| word(r)).collect();
            let known = places.iter().enumerate().find_map(|(n, place)| {
                let distance = words[0].checked_sub(place[0])?;
                let same = place.iter().zip(&words).all(|(p, w)| p + distance == *w);
                same.then_some((n, distance))
            });
            let (place, distance) = known.unwrap_or((places.len(), 0));
            if place == places.len() {
                places.push(words);
            }
            registers.push((*name, place, distance));
        }
        let word = |&offset: &i64| offset as u32;
        let offsets = roll.offsets.iter();
        let offsets = offsets.map(|o| o.1.iter().map(word).collect());
        Self {
            places,
            registers,
            offsets: offsets.collect(),
        }
    }

    /// All of it, round by round; one word where there is nothing in it.
    fn words(&self) -> Vec<u32> {
        let columns = || self.places.iter().chain(&self.offsets);
        let rounds = columns().next().map_or(0, Vec::len);
        let round = |n| columns().map(move |column| column[n]);
        let words: Vec<u32> = (0..rounds).flat_map(round).collect();
        match words.is_empty() {
            true => vec![0],
            false => words,
        }
    }
}

impl Emitter<'_> {
    /// The loop that begins with a step of the block.
    pub(super) fn roll_at(&self, at: usize) -> Option<Rc<Roll>> {
        let here = |roll: &&Rc<Roll>| roll.block == self.block as usize && roll.start == at;
        self.rolls.iter().find(here).cloned()
    }

    /// Writes a loop of a block.
    pub(super) fn write_roll(
        &mut self,
        block: &Block,
        roll: &Roll,
    ) -> std::result::Result<(), TranslateError> {
        self.settle_all_sums();
        let table = Table::of(roll, |r| match self.storage[r as usize] {
            Storage::Memory {
                home: Home::Word(word),
                ..
            } => word,
            _ => unreachable!("registers that vary are kept in memory"),
        });
        let words = self.asm.table(&table.words());
        let types = &self.graph.registers;
        let carried: Vec<(Carried, Type)> = roll
            .carried
            .iter()
            .map(|&c| (c, register_type(types[c.to as usize])))
            .collect();
        let variables: Vec<Id> = carried
            .iter()
            .map(|&(c, ty)| {
                let (variable, first) = (self.asm.variable(ty), self.register(c.from));
                let first = self.cast(first, ty);
                self.asm.void(Op::Store, &[variable, first]);
                variable
            })
            .collect();
        // The registers of the first round that stand for others.
        let names = table.registers.iter().map(|r| r.0);
        let names: Vec<Register> = names.chain(carried.iter().map(|c| c.0.from)).collect();
        let before: Vec<(Storage, Option<u64>)> = names
            .iter()
            .map(|&r| (self.storage[r as usize], self.constants[r as usize].take()))
            .collect();
        let mut result = Ok(());
        self.repeat(roll.rounds as u32, |e, k| {
            e.start_products(block);
            let columns = table.places.len() + table.offsets.len();
            let width = e.asm.u32(columns as u32);
            let first = e.asm.op(Op::IMul, Type::U32, &[k, width]);
            let columns: Vec<Id> = (0..columns)
                .map(|n| {
                    let index = e.offset(first, Type::U32, n as i64);
                    e.element_of_table(words, index)
                })
                .collect();
            for &(r, place, distance) in &table.registers {
                let home = Home::Behind(columns[place], distance);
                e.storage[r as usize] = Storage::Memory { home, known: None };
            }
            for (&(c, ty), &variable) in carried.iter().zip(&variables) {
                let id = e.asm.op(Op::Load, ty, &[variable]);
                e.storage[c.from as usize] = Storage::Ssa(Some(Value { id, ty }));
            }
            e.rolling = true;
            for n in roll.start..roll.start + roll.length {
                let offset = roll.offsets.iter().position(|o| o.0 == n);
                e.varying_offset = offset.map(|o| columns[table.places.len() + o]);
                result = result.clone().and(e.step(n, &block.steps[n]));
            }
            e.varying_offset = None;
            e.settle_all_sums();
            for (&(c, ty), &variable) in carried.iter().zip(&variables) {
                let next = e.register(c.to);
                let next = e.cast(next, ty);
                e.asm.void(Op::Store, &[variable, next]);
            }
            e.rolling = false;
        });
        for (&r, (storage, constant)) in names.iter().zip(before) {
            self.constants[r as usize] = constant;
            self.storage[r as usize] = match storage {
                Storage::Memory { home, .. } => Storage::Memory { home, known: None },
                other => other,
            };
        }
        self.start_products(block);
        for (&(c, ty), &variable) in carried.iter().zip(&variables) {
            let id = self.asm.op(Op::Load, ty, &[variable]);
            self.set_register(c.last, Value { id, ty });
        }
        result
    }

    fn element_of_table(&mut self, table: Id, index: Id) -> Id {
        let ty = self.asm.ty(Type::U32);
        let pointer = self.asm.pointer(rspirv::spirv::StorageClass::Function, ty);
        let pointer = self.asm.op_with(Op::AccessChain, pointer, &[table, index]);
        self.asm.op(Op::Load, Type::U32, &[pointer])
    }
}
