//! Rolls loops that a compiler has unrolled: rounds of instructions that differ in their registers alone.
//!
//! nvcc unrolls the loops of flash attention whole, and those of products of quantised matrices over the columns of a tile. Where a lane has
//! few registers, a driver's compiler then takes an hour for what were a few lines, since its work grows with the square of the program. So of
//!
//! ```text
//! ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r1, %r2, %r3, %r4}, [%a0];
//! mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%d0, ...}, {%q0, ...}, {%r1, %r3}, {%d0, ...};
//! ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r5, %r6, %r7, %r8}, [%a1];
//! mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%d0, ...}, {%q4, ...}, {%r5, %r7}, {%d0, ...};
//! ```
//!
//! becomes `for (k = 0; k < 2; k++)` around the first two instructions, in which `%a0`, `%d0` and `%q0` stand for words of the thread's memory
//! that a table has for each k ([`Roll::varying`]; `emit/rolled.rs`). What a round computes for itself (`%r1`) stays a value, and so does
//! what it hands to the next one ([`Roll::carried`]), as `%m0` does in
//!
//! ```text
//! max.ftz.f32 %m1, %m0, %s0;
//! max.ftz.f32 %m2, %m1, %s1;
//! ```

use crate::graph::{self, Graph, Register, Step};
use ptx::{Instruction, Modifier, Opcode, Operand};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::hash_map::Entry;

/// What becomes loops.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    /// Fewer rounds stay as they are.
    least_rounds: usize,
    /// Steps of a round at most.
    most_steps: usize,
    /// Products and matrix loads are put beside each other before rounds are looked for.
    gathers: bool,
    /// Only rounds with products become loops, and each register that varies counts in every round: the longer of two rounds that are both
    /// possible is chosen, which spends less time in looking up what varies.
    only_products: bool,
}

impl Rules {
    /// Of flash attention: everything, in the shortest rounds. It cannot be compiled otherwise.
    pub(crate) const ALL: Self = Self {
        least_rounds: 4,
        most_steps: 48,
        gathers: true,
        only_products: false,
    };

    /// Of products each of which is followed by what scales its sums: those of quantised matrices, whose rounds are columns of tiles.
    pub(crate) const PRODUCTS: Self = Self {
        least_rounds: 3,
        most_steps: 512,
        gathers: false,
        only_products: true,
    };
}

/// Steps that a loop saves at least, less those that it costs for each register that varies; and how many a product or matrix load is.
const LEAST_SAVED: usize = 12;
const VARYING_COSTS: usize = 2;
const PRODUCT: usize = 16;

/// A loop.
pub(crate) struct Roll {
    /// Its block.
    pub(crate) block: usize,
    /// The first step. The rounds follow each other.
    pub(crate) start: usize,
    /// Steps of a round.
    pub(crate) length: usize,
    /// How often.
    pub(crate) rounds: usize,
    /// Registers of the first round that others have others for: those, by round.
    pub(crate) varying: Vec<(Register, Vec<Register>)>,
    /// Registers that the first round reads, and what it writes for the next one to read in their place; and what the last one writes.
    pub(crate) carried: Vec<Carried>,
    /// Loads of the first round whose constant offset varies: the offsets, by round.
    pub(crate) offsets: Vec<(usize, Vec<i64>)>,
}

/// A register that is handed from round to round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    /// Read by the first round.
    pub(crate) from: Register,
    /// Written by it.
    pub(crate) to: Register,
    /// Written by the last one.
    pub(crate) last: Register,
}

impl Roll {
    /// The step behind the loop.
    pub(crate) fn end(&self) -> usize {
        self.start + self.length * self.rounds
    }

    /// Whether a step is of another round than the first one, which alone is written.
    pub(crate) fn skips(&self, step: usize) -> bool {
        (self.start + self.length..self.end()).contains(&step)
    }
}

/// All loops of a kernel, the order of whose steps is changed for it where rules say so: what stands between products or matrix loads
/// (`is_product`) and does not depend on them comes before them.
pub(crate) fn find(
    graph: &mut Graph,
    rules: Rules,
    is_product: impl Fn(&Instruction) -> bool,
) -> Vec<Roll> {
    if rules.gathers {
        for block in 0..graph.blocks.len() {
            gather(graph, block, &is_product);
        }
    }
    let constants = graph.constants();
    let by_name: FxHashSet<Register> = graph.words_of_parameters().collect();
    let search = Search {
        graph,
        rules,
        counts: graph.counts(),
        fixed: |r| constants[r as usize].is_some() || by_name.contains(&r),
    };
    let mut found = Vec::new();
    for block in 0..graph.blocks.len() {
        search.rolls_of(block, &is_product, &mut found);
    }
    found
}

fn instruction<'a>(graph: &'a Graph, step: &Step) -> Option<&'a Instruction> {
    match *step {
        Step::Instruction {
            frame, statement, ..
        } => Some(graph.instruction(frame, statement)),
        Step::Copy { .. } | Step::Constant { .. } => None,
    }
}

/// Puts the products and matrix loads of a block beside each other.
fn gather(graph: &mut Graph, block: usize, is_product: &impl Fn(&Instruction) -> bool) {
    let count = graph.blocks[block].steps.len();
    let mut at = 0;
    while at < count {
        let steps = &graph.blocks[block].steps;
        let meetings = &graph.blocks[block].meetings;
        // The run from here on: what is in it, and what can be done before.
        let (mut run, mut between, mut last) = (Vec::new(), Vec::new(), 0);
        let (mut read, mut written) = (FxHashSet::default(), FxHashSet::default());
        for (n, step) in steps.iter().enumerate().skip(at) {
            let meets = meetings.iter().any(|m| m.at as usize == n);
            let (reads, writes) = graph.accesses(step);
            let i = instruction(graph, step);
            if meets && n > at {
                break;
            }
            if i.is_some_and(|i| i.predicate.is_none() && is_product(i)) {
                run.push(*step);
                read.extend(reads);
                written.extend(writes);
                last = run.len() + between.len();
                continue;
            }
            let free = i.is_none_or(graph::can_be_moved)
                && reads.iter().all(|r| !written.contains(r))
                && writes
                    .iter()
                    .all(|r| !written.contains(r) && !read.contains(r));
            if run.is_empty() || !free {
                break;
            }
            between.push(*step);
        }
        if run.is_empty() {
            at += 1;
            continue;
        }
        // Those behind the last product stay there.
        between.truncate(last - run.len());
        between.append(&mut run);
        graph.blocks[block].steps[at..at + last].copy_from_slice(&between);
        at += last;
    }
}

/// Whether an instruction can be one of a round.
fn joins(i: &Instruction) -> bool {
    use Modifier as M;
    use Opcode::*;
    let plain = match i.opcode {
        Mov | Add | Sub | Mul | Mad | Fma | Min | Max | Abs | Neg | Ex2 | Lg2 | Rcp | Rsqrt
        | Sqrt | Tanh | Cvt | And | Or | Xor | Not | Shl | Shr | Lop3 | Prmt | Setp | Selp
        | Dp4a => true,
        Ld => {
            i.has(M::Shared)
                && ![M::Volatile, M::Acquire, M::Relaxed]
                    .iter()
                    .any(|&m| i.has(m))
        }
        _ => false,
    };
    plain && ![M::Cc, M::F64, M::B128].iter().any(|&m| i.has(m))
}

/// Whether operands are alike but for their registers and offsets.
fn are_alike(a: &Operand, b: &Operand) -> bool {
    use ptx::AddressBase::Register;
    match (a, b) {
        (Operand::Register(_), Operand::Register(_)) | (Operand::Sink, Operand::Sink) => true,
        (Operand::Integer(a), Operand::Integer(b)) => a == b,
        (Operand::Single(a), Operand::Single(b)) => a == b,
        (Operand::Vector(a), Operand::Vector(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| are_alike(a, b))
        }
        (Operand::Pair(a), Operand::Pair(b)) => are_alike(&a.0, &b.0) && are_alike(&a.1, &b.1),
        (Operand::Address { base: a, .. }, Operand::Address { base: b, .. }) => {
            matches!((a, b), (Register(_), Register(_)))
        }
        _ => false,
    }
}

/// The constant of an address.
fn offset(i: &Instruction) -> i64 {
    let offset = |o: &Operand| match o {
        Operand::Address { offset, .. } => Some(*offset),
        _ => None,
    };
    i.operands.iter().find_map(offset).unwrap_or(0)
}

/// What registers of the first round are.
#[derive(Default)]
struct Name {
    /// The register, by round.
    registers: Vec<Register>,
    is_written: bool,
    /// Read before it is written.
    is_exposed: bool,
}

struct Search<'a, F> {
    graph: &'a Graph<'a>,
    rules: Rules,
    /// How often each register is written and read.
    counts: Vec<(u32, u32)>,
    /// Registers that are not kept in memory.
    fixed: F,
}

impl<F: Fn(Register) -> bool> Search<'_, F> {
    /// By step of a block: a number that alike ones have in common, and how much it is; none where it is in no round.
    fn kinds(
        &self,
        block: usize,
        is_product: &impl Fn(&Instruction) -> bool,
    ) -> Vec<Option<(usize, usize)>> {
        let mut known: Vec<&Instruction> = Vec::new();
        let steps = self.graph.blocks[block].steps.iter();
        let kind = |step| {
            let i = instruction(self.graph, step)?;
            let weight = match is_product(i) {
                true => PRODUCT,
                false => 1,
            };
            if i.predicate.is_some() || weight == 1 && !joins(i) {
                return None;
            }
            let is_same = |other: &&Instruction| {
                let operands = || i.operands.iter().zip(&other.operands);
                other.opcode == i.opcode
                    && other.modifiers == i.modifiers
                    && other.operands.len() == i.operands.len()
                    && operands().all(|(a, b)| are_alike(a, b))
                    && (i.opcode == Opcode::Ld || offset(i) == offset(other))
            };
            let kind = known.iter().position(is_same).unwrap_or_else(|| {
                known.push(i);
                known.len() - 1
            });
            Some((kind, weight))
        };
        steps.map(kind).collect()
    }

    /// The loops of a block: at each step the one that saves most.
    fn rolls_of(
        &self,
        block: usize,
        is_product: &impl Fn(&Instruction) -> bool,
        found: &mut Vec<Roll>,
    ) {
        let (rules, kinds) = (self.rules, self.kinds(block, is_product));
        let meetings = &self.graph.blocks[block].meetings;
        let mut at = 0;
        while at < kinds.len() {
            let rest = &kinds[at..];
            let joined = rest.iter().take_while(|k| k.is_some()).count();
            let until_meeting = meetings.iter().map(|m| m.at as usize).filter(|&m| m > at);
            let joined = joined.min(until_meeting.min().map_or(joined, |m| m - at));
            let mut best: Option<(usize, Roll)> = None;
            for length in 1..=rules.most_steps.min(joined / rules.least_rounds) {
                let same = (length..joined)
                    .take_while(|&n| rest[n] == rest[n - length])
                    .count();
                let rounds = 1 + same / length;
                if rounds < rules.least_rounds {
                    continue;
                }
                let most = best.as_ref().map_or(LEAST_SAVED - 1, |b| b.0);
                let round = || rest[..length].iter().flatten().map(|k| k.1);
                let is_wanted = !rules.only_products || round().any(|weight| weight == PRODUCT);
                let weight: usize = round().sum();
                if !is_wanted || weight * (rounds - 1) <= most {
                    continue;
                }
                if let Some(roll) = self.roll(block, at, length, rounds) {
                    let times = if rules.only_products { rounds } else { 1 };
                    let varies = roll.varying.len() + roll.offsets.len();
                    let cost = VARYING_COSTS * varies * times;
                    let saved = (weight * (rounds - 1)).saturating_sub(cost);
                    if saved > most {
                        best = Some((saved, roll));
                    }
                }
            }
            match best {
                Some((_, roll)) => {
                    at = roll.end();
                    found.push(roll);
                }
                None => at += 1,
            }
        }
    }

    /// The loop of so many rounds; none where they are no loop.
    fn roll(&self, block: usize, start: usize, length: usize, rounds: usize) -> Option<Roll> {
        let steps = &self.graph.blocks[block].steps[start..start + length * rounds];
        let mut offsets = Vec::new();
        for n in 0..length {
            let of = |step| instruction(self.graph, step).map_or(0, offset);
            let all: Vec<i64> = steps.iter().skip(n).step_by(length).map(of).collect();
            if all.iter().any(|&o| o != all[0]) {
                offsets.push((start + n, all));
            }
        }
        let names = self.names(steps, length)?;
        // By register: of which of the first round it is in the place.
        let mut named: FxHashMap<Register, FxHashSet<Register>> = FxHashMap::default();
        for (r, name) in &names {
            for &other in &name.registers {
                named.entry(other).or_default().insert(*r);
            }
        }
        // By register: how often rounds write and read it.
        let mut uses: FxHashMap<Register, (u32, u32)> = FxHashMap::default();
        for step in steps {
            let (reads, writes) = self.graph.accesses(step);
            reads
                .iter()
                .for_each(|&r| uses.entry(r).or_default().1 += 1);
            writes
                .iter()
                .for_each(|&r| uses.entry(r).or_default().0 += 1);
        }
        let all_here = |r: Register| self.counts[r as usize] == uses[&r];
        let carried = self.carried(&names, &named, all_here);
        let mut varying = Vec::new();
        for (r, name) in &names {
            if carried.iter().any(|c| c.from == *r || c.to == *r) {
                continue;
            }
            let same = name.registers.iter().all(|other| other == r);
            let own = |&r: &Register| named[&r].len() == 1 && all_here(r);
            let is_local = name.is_written && !name.is_exposed && name.registers.iter().all(own);
            if same && !name.is_written || is_local {
                continue;
            }
            let size = self.graph.registers[*r as usize].size();
            let kept = |&other: &Register| {
                let other_size = self.graph.registers[other as usize].size();
                matches!(size, Some(4 | 8)) && size == other_size && !(self.fixed)(other)
            };
            if !name.registers.iter().all(kept) {
                return None;
            }
            varying.push((*r, name.registers.clone()));
        }
        Some(Roll {
            block,
            start,
            length,
            rounds,
            varying,
            carried,
            offsets,
        })
    }

    /// The registers of the first round, in the order of their first use, and which others have in their place; none where that is not the
    /// same all the time, or what is two registers in one round is one in another, which writes it.
    fn names(&self, steps: &[Step], length: usize) -> Option<Vec<(Register, Name)>> {
        let mut names: Vec<(Register, Name)> = Vec::new();
        let mut index: FxHashMap<Register, usize> = FxHashMap::default();
        for n in 0..length {
            let of_rounds = steps.iter().skip(n).step_by(length);
            let accesses: Vec<_> = of_rounds.map(|step| self.graph.accesses(step)).collect();
            let (reads, writes) = &accesses[0];
            for k in 0..reads.len() + writes.len() {
                let is_write = k >= reads.len();
                let of_round = |(reads, writes): &(Vec<Register>, Vec<Register>)| {
                    reads.iter().chain(writes).nth(k).copied()
                };
                let registers: Vec<Register> =
                    accesses.iter().map(of_round).collect::<Option<_>>()?;
                let name = match index.entry(registers[0]) {
                    Entry::Occupied(e) => &mut names[*e.get()].1,
                    Entry::Vacant(e) => {
                        e.insert(names.len());
                        let name = Name {
                            registers: registers.clone(),
                            is_exposed: !is_write,
                            ..Name::default()
                        };
                        names.push((registers[0], name));
                        &mut names.last_mut()?.1
                    }
                };
                if name.registers != registers {
                    return None;
                }
                name.is_written |= is_write;
            }
        }
        for round in 0..steps.len() / length {
            let mut written: FxHashMap<Register, bool> = FxHashMap::default();
            for (_, name) in &names {
                let other = written.insert(name.registers[round], name.is_written);
                if other.is_some_and(|other| other || name.is_written) {
                    return None;
                }
            }
        }
        Some(names)
    }

    /// What rounds hand to the next one, and nobody else reads.
    fn carried(
        &self,
        names: &[(Register, Name)],
        named: &FxHashMap<Register, FxHashSet<Register>>,
        all_here: impl Fn(Register) -> bool,
    ) -> Vec<Carried> {
        let mut carried: Vec<Carried> = Vec::new();
        for (from, read) in names {
            let Some((_, rest)) = read.registers.split_first() else {
                continue;
            };
            if read.is_written {
                continue;
            }
            let found = names.iter().find(|(_, written)| {
                let (last, all) = match written.registers.split_last() {
                    Some(parts) => parts,
                    None => return false,
                };
                let ends_here = |&r: &Register| {
                    self.counts[r as usize].0 == 1 && named[&r].len() == 2 && all_here(r)
                };
                let types = |r: Register| self.graph.registers[r as usize];
                written.is_written
                    && !written.is_exposed
                    && all == rest
                    && all.iter().all(ends_here)
                    && named[last].len() == 1
                    && self.counts[*last as usize].0 == 1
                    && all.iter().all(|&r| types(r).size() == types(*from).size())
                    && types(*from) != Modifier::Pred
                    && types(*last).size() == types(*from).size()
            });
            if let Some((to, written)) = found {
                carried.push(Carried {
                    from: *from,
                    to: *to,
                    last: written.registers[written.registers.len() - 1],
                });
            }
        }
        carried
    }
}

#[cfg(test)]
mod tests {
    use super::{Carried, Roll, Rules};
    use crate::{graph, ModuleLayout};
    use ptx::{Module, Opcode};

    /// The loops of a kernel, and the opcodes of its first block in their new order.
    fn rolls(body: &str) -> (Vec<Roll>, Vec<Opcode>) {
        found(body, Rules::ALL)
    }

    fn found(body: &str, rules: Rules) -> (Vec<Roll>, Vec<Opcode>) {
        let text = format!(
            ".version 8.0\n.target sm_90\n.address_size 64\n.shared .align 16 .b8 rows[4096];\n\
             .entry k(.param .u64 p) {{ .reg .b64 %d<9>; .reg .b32 %r<99>; .reg .f32 %f<99>; .reg .pred %p<4>;\n\
             mov.u32 %r90, rows; mov.u32 %r91, %tid.x;\n{body}\nret; }}"
        );
        let module = Module::parse(&text).expect("PTX");
        let layout = ModuleLayout::new(&module).expect("a layout");
        let kernel = module.function("k").expect("the kernel");
        let mut graph = graph::build(&module, &layout, kernel).expect("a graph");
        let found = super::find(&mut graph, rules, |i| {
            matches!(i.opcode, Opcode::Mma | Opcode::Ldmatrix)
        });
        let opcodes = graph.instructions(0).map(|(_, i)| i.opcode).collect();
        (found, opcodes)
    }

    /// So many times, with its number in the place of `#`, and those that follow in the places of `$`.
    fn times(count: usize, text: &str) -> String {
        let number = |n: usize| {
            text.replace('#', &n.to_string())
                .replace('$', &(n + 1).to_string())
        };
        (0..count).map(number).collect()
    }

    #[test]
    fn rounds_differ_in_registers() {
        let (found, _) = rolls(&format!(
            "{}{}",
            times(16, "add.f32 %f#, %f80, %f80; "),
            times(
                16,
                "sub.f32 %f88, %f#, %f81; ex2.approx.f32 %f88, %f88; mul.f32 %f#, %f88, %f#; "
            )
        ));
        let [first, second] = &found[..] else {
            panic!("{} loops", found.len());
        };
        // What a round computes for itself, and what is the same in all of them, does not vary.
        assert_eq!((second.length, second.rounds), (3, 16));
        assert_eq!((first.length, first.rounds), (1, 16));
        assert_eq!(second.varying.len(), 1);
        assert_eq!(second.varying[0].1.len(), 16);
    }

    /// What soft caps are made of.
    #[test]
    fn functions_of_single_precision_are_rolled_up() {
        for function in [
            "tanh.approx.f32",
            "sqrt.approx.f32",
            "lg2.approx.f32",
            "rcp.approx.f32",
        ] {
            let (found, _) = rolls(&times(
                16,
                &format!("{function} %f88, %f#; mul.f32 %f#, %f88, %f81; "),
            ));
            let [roll] = &found[..] else {
                panic!("{function}: {} loops", found.len());
            };
            assert_eq!((roll.length, roll.rounds), (2, 16), "{function}");
        }
    }

    #[test]
    fn what_is_handed_on_is_carried() {
        let (found, _) = rolls(&times(
            16,
            "ld.shared.b32 %r88, [%r90+#]; add.u32 %r$, %r#, %r88; ",
        ));
        let [roll] = &found[..] else {
            panic!("{} loops", found.len());
        };
        let Carried { from, to, last } = roll.carried[0];
        assert_eq!((from + 1, from + 16), (to, last));
        assert_eq!(roll.offsets.len(), 1);
        assert_eq!(roll.offsets[0].1, Vec::from_iter(0..16));
        assert!(roll.varying.is_empty());
        // Somebody else reads what is handed on.
        let (found, _) = rolls(&format!(
            "{} st.shared.b32 [%r90], %r7;",
            times(16, "ld.shared.b32 %r88, [%r90+#]; add.u32 %r$, %r#, %r88; ")
        ));
        assert!(found
            .iter()
            .all(|roll| roll.carried.is_empty() || roll.rounds < 16));
    }

    #[test]
    fn what_stands_between_products_comes_before_them() {
        let (found, opcodes) = rolls(&times(
            24,
            "mov.b32 %r#, %r91; mma.sync.aligned.m16n8k8.row.col.f16.f16.f16.f16 {%r#, %r95}, {%r91, %r91}, {%r91}, {%r#, %r91}; ",
        ));
        let products = opcodes.iter().filter(|&&o| o == Opcode::Mma).count();
        let first = opcodes.iter().position(|&o| o == Opcode::Mma);
        let together = &opcodes[first.expect("products")..][..products];
        assert_eq!(products, 24);
        assert!(together.iter().all(|&o| o == Opcode::Mma));
        let shapes: Vec<_> = found
            .iter()
            .map(|roll| (roll.length, roll.rounds))
            .collect();
        assert_eq!(shapes, [(1, 24), (1, 24)]);
    }

    /// Of rounds in rounds the outer ones: what varies from one to the next is looked up less often.
    #[test]
    fn the_longer_rounds_of_products_become_a_loop() {
        let product = |column: usize, k: usize| {
            format!(
                "mov.b32 %r80, 0; mma.sync.aligned.m16n8k8.row.col.f16.f16.f16.f16 {{%r80, %r80}}, {{%r{}, %r{}}}, \
                 {{%r91}}, {{%r80, %r80}}; add.u32 %r{}, %r{}, %r80; ",
                60 + 2 * k,
                61 + 2 * k,
                50 + column,
                50 + column
            )
        };
        let body: String = (0..8)
            .flat_map(|column| (0..4).map(move |k| product(column, k)))
            .collect();
        let shapes = |rules| {
            let found = found(&body, rules).0;
            let shape = |roll: &Roll| (roll.length, roll.rounds, roll.varying.len());
            found.iter().map(shape).collect::<Vec<_>>()
        };
        assert_eq!(shapes(Rules::PRODUCTS), [(12, 8, 1)]);
        // The registers of A, and the sum.
        assert_eq!(shapes(Rules::ALL), [(3, 32, 3)]);
        // What has no products is no concern of theirs.
        let sums = times(16, "add.f32 %f#, %f80, %f80; mul.f32 %f#, %f#, %f80; ");
        assert!(found(&sums, Rules::PRODUCTS).0.is_empty());
        assert_eq!(found(&sums, Rules::ALL).0.len(), 1);
    }

    #[test]
    fn what_is_no_loop_stays() {
        // A register that a round writes and another one reads under another name.
        for body in [
            times(8, "add.u32 %r50, %r50, %r#; xor.b32 %r$, %r50, %r51; add.u32 %r51, %r#, %r$; st.shared.b32 [%r90], %r$; "),
            times(3, "add.f32 %f#, %f80, %f80; mul.f32 %f40, %f#, %f40; max.f32 %f41, %f40, %f41; neg.f32 %f42, %f41; "),
            times(16, "@%p1 add.u32 %r#, %r91, %r91; "),
        ] {
            assert!(rolls(&body).0.is_empty(), "{body}");
        }
    }
}
