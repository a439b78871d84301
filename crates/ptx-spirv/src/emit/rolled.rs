//! Loops of matrix loads and products that a compiler has unrolled ([`crate::rolls`]), for devices whose compiler has few registers, and for
//! llvmpipe, whose compiler takes minutes for what was unrolled.
//!
//! The steps of the first round are written once, in a loop. A register for which other rounds have others is kept in the thread's memory
//! (`emit/home.rs`). Which of its words that is in the k-th round is computed where it is as many words further each time, and stands in a
//! table otherwise; likewise the constant offsets of loads:
//!
//! ```text
//! const uint table[] = { 4, 20,  12, 24,  16, 12,  ... };      two registers, by round
//! for (k = 0; k < rounds; k++) {
//!     words[table[2 * k]] = ...words[8 * k + 30]...words[table[2 * k + 1] + 1]...
//! }
//! ```
//!
//! What a round hands to the next one is in a variable. Registers whose words lie at the same distance in all rounds share a column of the table.

use super::cooperative::Form;
use super::home::Home;
use super::*;
use crate::assembler::Component;
use crate::graph::Block;
use crate::rolls::{self, Carried, Roll, Rules};
use std::rc::Rc;

/// Products of a kernel from which on loops are made of it, where a lane has 32 words, of halves and of integers, and where it has more: fewer
/// Mesa's compiler for Intel is done with in a minute or two (docs/benchmarks.md), and a loop reads from memory what otherwise are registers.
const LEAST_PRODUCTS: usize = 64;
const LEAST_PRODUCTS_OF_INTEGERS: usize = 200;
const LEAST_PRODUCTS_WITH_MORE: usize = 640;
const FEW_REGISTERS: u32 = 32;
/// The same for llvmpipe, where registers are memory anyway.
const LEAST_PRODUCTS_ON_CPU: usize = 64;

/// The loops of a kernel that the device needs; the order of its steps may change for them.
pub(crate) fn rolls(target: &Target, info: &KernelInfo, graph: &mut Graph) -> Vec<Rc<Roll>> {
    let on_cpu = matches!(target.warps, Warps::Yield { .. });
    if !on_cpu && (target.registers == 0 || info.matrix_slot_bytes == 0) {
        return Vec::new();
    }
    let memory = &target.matrix_units.memory;
    let form_of = |i: &Instruction| {
        let form = matrix::form_of(i).filter(|_| i.opcode == Opcode::Mma && !sparse::is_sparse(i));
        form.filter(|&form| on_cpu || cooperative_memory::Tiling::of(form, memory).is_some())
    };
    let is_product = |i: &Instruction| form_of(i).is_some();
    let integers = |form: Form| matches!(form.component, Component::S8 | Component::U8);
    let halves = match on_cpu {
        true => graph.any(|i| form_of(i).is_some_and(|form| !integers(form))),
        false => cooperative_memory::multiplies_halves(graph, info),
    };
    let least = match (target.registers <= FEW_REGISTERS, halves) {
        _ if on_cpu => LEAST_PRODUCTS_ON_CPU,
        (true, true) => LEAST_PRODUCTS,
        (true, false) => LEAST_PRODUCTS_OF_INTEGERS,
        (false, _) => LEAST_PRODUCTS_WITH_MORE,
    };
    let blocks = 0..graph.blocks.len();
    let products = blocks
        .flat_map(|block| graph.instructions(block))
        .filter(|(_, i)| is_product(i));
    if products.count() < least {
        return Vec::new();
    }
    let found = match halves {
        true => rolls::find(graph, Rules::ALL, |i| {
            i.opcode == Opcode::Ldmatrix || is_product(i)
        }),
        false => rolls::find(graph, Rules::PRODUCTS, is_product),
    };
    found.into_iter().map(Rc::new).collect()
}

/// What a number is from round to round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Series {
    /// As much more each time.
    Linear { first: u32, step: u32 },
    /// What stands in a column of the table, and so much more.
    Column { column: usize, distance: u32 },
}

/// Where the words of registers are and what offsets are, by round.
#[derive(Default)]
struct Table {
    /// Those that are not linear, by round.
    columns: Vec<Vec<u32>>,
    /// Of registers: of their first word.
    registers: Vec<(Register, Series)>,
    /// Of loads, by step: of their constant offset.
    offsets: Vec<(usize, Series)>,
}

impl Table {
    fn of(roll: &Roll, word: impl Fn(Register) -> u32) -> Self {
        let mut table = Self::default();
        for (name, by_round) in &roll.varying {
            let series = table.series(by_round.iter().map(|&r| word(r)).collect());
            table.registers.push((*name, series));
        }
        for (step, by_round) in &roll.offsets {
            let series = table.series(by_round.iter().map(|&o| o as u32).collect());
            table.offsets.push((*step, series));
        }
        table
    }

    /// What numbers are, of which those that are not linear get a column.
    fn series(&mut self, numbers: Vec<u32>) -> Series {
        let first = numbers[0];
        let step = numbers
            .get(1)
            .map_or(0, |second| second.wrapping_sub(first));
        let expected = |round: usize| first.wrapping_add(step.wrapping_mul(round as u32));
        if (numbers.iter().enumerate()).all(|(round, &n)| n == expected(round)) {
            return Series::Linear { first, step };
        }
        let distance = |column: &Vec<u32>| {
            let distance = first.wrapping_sub(column[0]);
            let mut both = column.iter().zip(&numbers);
            both.all(|(c, n)| c.wrapping_add(distance) == *n)
                .then_some(distance)
        };
        let mut known = self.columns.iter().enumerate();
        match known.find_map(|(column, c)| Some((column, distance(c)?))) {
            Some((column, distance)) => Series::Column { column, distance },
            None => {
                self.columns.push(numbers);
                Series::Column {
                    column: self.columns.len() - 1,
                    distance: 0,
                }
            }
        }
    }

    /// All columns, round by round.
    fn words(&self) -> Vec<u32> {
        let rounds = self.columns.first().map_or(0, Vec::len);
        let round = |n: usize| self.columns.iter().map(move |column| column[n]);
        (0..rounds).flat_map(round).collect()
    }
}

/// A round of a loop that is being written: what its numbers start from.
struct Round {
    /// The number of the round.
    k: Id,
    /// Products of it, by factor.
    products: FxHashMap<u32, Id>,
    /// What stands in the columns of the table.
    columns: Vec<Id>,
}

impl Emitter<'_> {
    /// The loops of the block that is being written.
    pub(super) fn rolls_of_block(&self) -> impl Iterator<Item = &Rc<Roll>> {
        let block = self.block as usize;
        self.rolls.iter().filter(move |roll| roll.block == block)
    }

    /// The loop that begins with a step of the block.
    pub(super) fn roll_at(&self, at: usize) -> Option<Rc<Roll>> {
        self.rolls_of_block().find(|roll| roll.start == at).cloned()
    }

    /// Registers that other rounds have in the place of one of the step that is being written.
    pub(super) fn in_other_rounds(&self, r: Register) -> Vec<Register> {
        let here = |roll: &&Rc<Roll>| (roll.start..roll.start + roll.length).contains(&self.step);
        let roll = self.rolls_of_block().find(here);
        let varying = roll.and_then(|roll| roll.varying.iter().find(|v| v.0 == r));
        varying.map_or(Vec::new(), |(_, by_round)| by_round.clone())
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
        let words = match table.columns.is_empty() {
            true => None,
            false => Some(self.asm.table(&table.words())),
        };
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
            let columns = e.columns_of_table(words, &table, k);
            let mut round = Round {
                k,
                products: FxHashMap::default(),
                columns,
            };
            for &(r, series) in &table.registers {
                let home = match e.start_of(&mut round, series) {
                    (Some(start), word) => Home::Behind(start, word),
                    (None, word) => Home::Word(word),
                };
                e.storage[r as usize] = Storage::Memory { home, known: None };
            }
            for (&(c, ty), &variable) in carried.iter().zip(&variables) {
                let id = e.asm.op(Op::Load, ty, &[variable]);
                e.storage[c.from as usize] = Storage::Ssa(Some(Value { id, ty }));
            }
            e.rolling = true;
            for n in roll.start..roll.start + roll.length {
                let offset = table.offsets.iter().find(|o| o.0 == n);
                e.varying_offset = offset.map(|&(_, series)| {
                    let (start, constant) = e.start_of(&mut round, series);
                    let start = start.unwrap_or_else(|| e.asm.u32(0));
                    e.offset(start, Type::U32, constant.into())
                });
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

    /// What stands in the columns of a table in the k-th round.
    fn columns_of_table(&mut self, words: Option<Id>, table: &Table, k: Id) -> Vec<Id> {
        let Some(words) = words else {
            return Vec::new();
        };
        let width = self.asm.u32(table.columns.len() as u32);
        let first = self.asm.op(Op::IMul, Type::U32, &[k, width]);
        (0..table.columns.len())
            .map(|n| {
                let index = self.offset(first, Type::U32, n as i64);
                self.element_of_table(words, index)
            })
            .collect()
    }

    /// A number in a round: a word, if it takes one, and a constant that is to be added.
    fn start_of(&mut self, round: &mut Round, series: Series) -> (Option<Id>, u32) {
        match series {
            Series::Linear { first, step: 0 } => (None, first),
            Series::Linear { first, step } => {
                let start = *round.products.entry(step).or_insert_with(|| {
                    let step = self.asm.u32(step);
                    self.asm.op(Op::IMul, Type::U32, &[round.k, step])
                });
                (Some(start), first)
            }
            Series::Column { column, distance } => (Some(round.columns[column]), distance),
        }
    }

    fn element_of_table(&mut self, table: Id, index: Id) -> Id {
        let ty = self.asm.ty(Type::U32);
        let pointer = self.asm.pointer(rspirv::spirv::StorageClass::Function, ty);
        let pointer = self.asm.op_with(Op::AccessChain, pointer, &[table, index]);
        self.asm.op(Op::Load, Type::U32, &[pointer])
    }
}

#[cfg(test)]
mod tests {
    use super::{Series, Table};

    #[test]
    fn what_is_not_linear_is_a_column() {
        let mut table = Table::default();
        let mut series = |numbers: &[u32]| table.series(numbers.to_vec());
        let linear = |first, step| Series::Linear { first, step };
        let column = |column, distance| Series::Column { column, distance };
        assert_eq!(series(&[7, 9, 11]), linear(7, 2));
        assert_eq!(series(&[7, 7, 7]), linear(7, 0));
        // Backwards.
        assert_eq!(series(&[9, 5, 1]), linear(9, 4u32.wrapping_neg()));
        assert_eq!(series(&[4, 12, 16]), column(0, 0));
        // Beside it all the time; before it.
        assert_eq!(series(&[5, 13, 17]), column(0, 1));
        assert_eq!(series(&[3, 11, 15]), column(0, 1u32.wrapping_neg()));
        assert_eq!(series(&[4, 12, 17]), column(1, 0));
        assert_eq!(table.words(), [4, 4, 12, 12, 16, 17]);
    }
}
