//! Sums of products through workgroup memory (`emit/cooperative_memory.rs`): D is a matrix until somebody reads its words.
//!
//! ```text
//! mma {%d0, ...}, ..., {%c0, ...};      D is a sum; the registers wait for its words
//! mma {%d0, ...}, ..., {%d0, ...};      its matrices are C
//! st.global [%a], %d0;                  the words are stored by matrix and loaded by lane
//! ```

use super::cooperative_memory::{Fragment, Tiling, NON_PRIVATE, ROW_MAJOR};
use super::*;
use crate::assembler::{Component, Role};
use crate::graph::Block;

/// Of each register, whether some block reads it before it writes it.
pub(super) fn exposed(graph: &Graph) -> Vec<bool> {
    let mut exposed = vec![false; graph.registers.len()];
    for block in &graph.blocks {
        let mut written: FxHashSet<Register> = FxHashSet::default();
        let mut read = |written: &FxHashSet<Register>, r: Register| {
            exposed[r as usize] |= !written.contains(&r);
        };
        for step in &block.steps {
            let (reads, writes) = graph.accesses(step);
            reads.into_iter().for_each(|r| read(&written, r));
            written.extend(writes);
        }
        if let Some(condition) = block.condition {
            read(&written, condition.register());
        }
    }
    exposed
}

/// The steps of products whose D is C of a later one.
pub(super) fn continuing(graph: &Graph, block: &Block) -> FxHashSet<usize> {
    let mut made: FxHashMap<Register, usize> = FxHashMap::default();
    let mut continues = FxHashSet::default();
    for (at, step) in block.steps.iter().enumerate() {
        if let Step::Instruction {
            frame, statement, ..
        } = *step
        {
            let i = graph.instruction(frame, statement);
            if i.opcode == Opcode::Mma {
                if let Some(c) = i.operands.get(3) {
                    let c = graph.registers_of(frame, c);
                    continues.extend(c.iter().filter_map(|r| made.get(r)));
                }
                if let Some(d) = i.operands.first() {
                    let d = graph.registers_of(frame, d);
                    made.extend(d.into_iter().map(|r| (r, at)));
                }
                continue;
            }
        }
        for r in graph.accesses(step).1 {
            made.remove(&r);
        }
    }
    continues
}

impl Emitter<'_> {
    /// Settles what a step needs before it is emitted: words of sums that it reads are loaded.
    pub(super) fn settle_sums(&mut self, step: &Step) {
        if self.matrix.memory.pending.is_empty() {
            return;
        }
        let graph = self.graph;
        let (mut reads, mut writes) = graph.accesses(step);
        if let Step::Instruction {
            frame, statement, ..
        } = *step
        {
            let i = graph.instruction(frame, statement);
            if i.predicate.is_none() && self.memory_tiling(i).is_some() {
                // C and D are the product's own affair.
                let c = i.operands.get(3).map(|c| graph.registers_of(frame, c));
                let c = c.unwrap_or_default();
                reads.retain(|r| !c.contains(r));
                writes.clear();
            }
        }
        let state = &self.matrix.memory;
        let mut wanted: Vec<usize> = reads
            .iter()
            .filter_map(|r| state.pending.get(r).map(|p| p.0))
            .collect();
        if !wanted.is_empty() {
            // Those that no product takes are wanted soon, too.
            wanted.extend(
                state
                    .pending
                    .values()
                    .map(|p| p.0)
                    .filter(|&s| !state.sums[s].continues),
            );
            self.read_back(&wanted);
        }
        for r in writes {
            self.matrix.memory.pending.remove(&r);
        }
    }

    /// Loads the words of sums that other blocks read, at the end of one.
    pub(super) fn settle_block_sums(&mut self, condition: Option<Register>) {
        let state = &mut self.matrix.memory;
        if state.pending.is_empty() {
            return;
        }
        let exposed = state.exposed.clone().expect("found when the block began");
        state
            .pending
            .retain(|&r, _| exposed[r as usize] || condition == Some(r));
        let wanted: Vec<usize> = state.pending.values().map(|p| p.0).collect();
        self.read_back(&wanted);
    }

    /// Loads the words of all sums.
    pub(super) fn settle_all_sums(&mut self) {
        let pending = self.matrix.memory.pending.values();
        let wanted: Vec<usize> = pending.map(|p| p.0).collect();
        self.read_back(&wanted);
    }

    pub(super) fn pending_of(&self, o: &Operand) -> Option<(usize, usize)> {
        let Operand::Register(r) = o else { return None };
        let r = self.virtual_register(*r);
        self.matrix.memory.pending.get(&r).copied()
    }

    /// The matrices that operands are the words of, if they are all of one sum.
    pub(super) fn pending_sum(&self, tiling: Tiling, c: &[Operand]) -> Option<Vec<Id>> {
        let (sum, _) = self.pending_of(c.first()?)?;
        let all = c
            .iter()
            .enumerate()
            .all(|(n, o)| self.pending_of(o) == Some((sum, n)));
        let sum = &self.matrix.memory.sums[sum];
        (all && sum.tiling == tiling).then(|| sum.matrices.clone())
    }

    /// Whether an operand is known to be all zeros.
    pub(super) fn is_zero_operand(&mut self, o: &Operand) -> bool {
        let Operand::Register(r) = o else {
            return Self::literal(o) == Some(0);
        };
        let v = self.register(self.virtual_register(*r));
        self.asm.known(v.ty, 0) == Some(v.id)
    }

    pub(super) fn zero_sum(&mut self, tiling: Tiling) -> Vec<Id> {
        let zero = self
            .asm
            .null(Type::Matrix(tiling.matrix(Role::Accumulator)));
        vec![zero; tiling.tiles() as usize]
    }

    /// Makes words of sums the values of the registers that wait for them.
    pub(super) fn read_back(&mut self, sums: &[usize]) {
        let wanted: FxHashSet<usize> = self.matrix.memory.pending.values().map(|p| p.0).collect();
        let mut sums: Vec<usize> = sums
            .iter()
            .copied()
            .filter(|s| wanted.contains(s))
            .collect();
        sums.sort_unstable();
        sums.dedup();
        if sums.is_empty() {
            return;
        }
        let words = self.words_of_sums(&sums);
        let state = &mut self.matrix.memory;
        let mut set: Vec<(Register, Id)> = Vec::new();
        state.pending.retain(|&r, &mut (sum, word)| {
            let Ok(n) = sums.binary_search(&sum) else {
                return true;
            };
            set.push((r, words[n][word]));
            false
        });
        // The same words every time.
        set.sort_unstable();
        let predicate = self.predicate.take();
        for (r, id) in set {
            self.set_register(r, Value { id, ty: Type::U32 });
        }
        self.predicate = predicate;
    }

    /// The words of sums, as the lanes have them.
    pub(super) fn words_of_sums(&mut self, sums: &[usize]) -> Vec<Vec<Id>> {
        let mut all = Vec::new();
        let mut rest = sums;
        while !rest.is_empty() {
            let state = &self.matrix.memory;
            let places: Vec<u32> = rest
                .iter()
                .map(|&sum| state.sums[sum].tiling.sum_places())
                .collect();
            let trip = self.trip(places.into_iter());
            let (now, later) = rest.split_at(trip.len());
            rest = later;
            for (&sum, &at) in now.iter().zip(&trip) {
                let sum = &self.matrix.memory.sums[sum];
                let (tiling, matrices) = (sum.tiling, sum.matrices.clone());
                self.store_sum(tiling, &matrices, at);
            }
            self.matrix_barrier();
            for (&sum, at) in now.iter().zip(trip) {
                let tiling = self.matrix.memory.sums[sum].tiling;
                let words = self.load_sum(tiling, at);
                // A product that adds to these words adds to the matrices.
                let state = &mut self.matrix.memory;
                let key = (tiling, Fragment::C(words.clone()));
                let matrices = state.sums[sum].matrices.clone();
                state.loaded.insert(key, (matrices, state.products));
                all.push(words);
            }
            self.matrix.memory.busy = true;
        }
        all
    }

    fn store_sum(&mut self, tiling: Tiling, matrices: &[Id], at: u32) {
        let matrix = tiling.matrix(Role::Accumulator);
        let line = tiling.sum_line();
        for (n, &id) in matrices.iter().enumerate() {
            let pointer = self.matrix_pointer(at + n as u32 * matrix.rows * line);
            let (layout, stride) = (self.asm.u32(ROW_MAJOR), self.asm.u32(line / 4));
            self.asm.void(
                Op::CooperativeMatrixStoreKHR,
                &[pointer, id, layout, stride, NON_PRIVATE],
            );
        }
    }

    /// A lane's words of D.
    fn load_sum(&mut self, tiling: Tiling, at: u32) -> Vec<Id> {
        let (lane, parts) = tiling.sum_parts();
        if tiling.sum == Component::F16 {
            return parts
                .iter()
                .map(|&(unit, _)| self.load_words(1, lane, at, unit)[0])
                .collect();
        }
        let mut words = [0; 4];
        for &(unit, elements) in parts {
            let found = self.load_words(elements.len() as u32, lane, at, unit);
            for (&e, id) in elements.iter().zip(found) {
                words[e] = id;
            }
        }
        if !tiling.narrow {
            return words.to_vec();
        }
        let [a, b, c, d] = words.map(|id| self.cast(Value { id, ty: Type::U32 }, Type::F32));
        vec![self.pack_singles(a, b), self.pack_singles(c, d)]
    }
}
