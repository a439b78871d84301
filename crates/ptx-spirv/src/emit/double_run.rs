//! Sums, products and fused ones of doubles that follow each other, where doubles are integers, or many fused ones are: one loop with one
//! copy of the function that does them all.
//!
//! Compilers of shaders put functions in place of their calls, and an fma by integers is some six hundred instructions: the sine of a
//! double would have twenty thousand. So of
//!
//! ```text
//! fma.rn.f64 %fd3, %fd1, %fd2, %fd0;
//! fma.rn.f64 %fd4, %fd3, %fd2, %fd0;
//! mul.f64 %fd5, %fd4, %fd1;
//! ```
//!
//! is made `for (k = 0; k < 3; k++) { choose a, b, c by k; d = fma(a, b, c); slot = d; }`, where a sum is `fma(a, 1, b)` and a
//! product `fma(a, b, -0)`. Results are in variables, slots, that take turns.
//!
//! On llvmpipe, whose fused operations alone are integers, such a loop takes up to two and a half times as long as its operations one by
//! one, and a fourth of the time to compile: it is for kernels with more of them than a power of doubles has.

use super::*;
use rustc_hash::FxHashMap;

/// Fewer are written one by one.
const LEAST: usize = 3;

/// Fused operations of a kernel that are written one by one where the device does all others.
const MANY: usize = 96;

/// Steps of a block of which one loop is made.
pub(super) struct Run {
    /// The first step behind it.
    pub(super) end: usize,
    /// Steps in between that can be done before.
    before: Vec<usize>,
    operations: Vec<Operation>,
}

struct Operation {
    step: usize,
    /// Which is written.
    result: Option<Register>,
    /// Operands of the instruction.
    operands: Vec<Source>,
}

#[derive(Clone, Copy)]
enum Source {
    /// What an operand of the instruction is before the run.
    Before(usize),
    /// The result of an operation.
    Result(usize),
}

/// An operand of the function in the loop.
#[derive(Clone, Copy)]
enum Term {
    Value(Id),
    Slot {
        variable: Id,
        /// With the other sign.
        negated: bool,
    },
}

/// Whether an instruction is one that the loop can do.
fn joins(i: &Instruction) -> bool {
    let sum = matches!(
        i.opcode,
        Opcode::Add | Opcode::Sub | Opcode::Mul | Opcode::Fma | Opcode::Mad
    );
    sum && i.has(Modifier::F64)
        && i.predicate.is_none()
        && float::directed(i).is_none()
        && i.operands[1..]
            .iter()
            .all(|o| matches!(o, Operand::Register(_) | Operand::Double(_)))
}

fn is_fused(i: &Instruction) -> bool {
    matches!(i.opcode, Opcode::Fma | Opcode::Mad) && i.has(Modifier::F64)
}

impl Emitter<'_> {
    /// The run of operations on doubles that begins with a step of a block, if there is one; `limit` is the step that it has to end
    /// before.
    pub(super) fn double_run(&self, steps: &[Step], at: usize, limit: usize) -> Option<Run> {
        let native = !self.asm.doubles_are_integers();
        if native && !self.has_many_fused() {
            return None;
        }
        let mut run = Run {
            end: at,
            before: Vec::new(),
            operations: Vec::new(),
        };
        // By register: the operation that wrote it last. And what operations read from before the run.
        let mut written: FxHashMap<Register, usize> = FxHashMap::default();
        let mut read: FxHashSet<Register> = FxHashSet::default();
        let mut between = Vec::new();
        for (n, step) in steps.iter().enumerate().take(limit).skip(at) {
            let instruction = match *step {
                Step::Instruction {
                    frame, statement, ..
                } => Some((frame, self.graph.instruction(frame, statement))),
                Step::Copy { .. } | Step::Constant { .. } => None,
            };
            if let Some((frame, i)) = instruction.filter(|(_, i)| joins(i)) {
                let mut operands = Vec::new();
                for (k, o) in i.operands.iter().enumerate().skip(1) {
                    let register = match o {
                        Operand::Register(r) => Some(self.graph.register(frame, *r)),
                        _ => None,
                    };
                    let result = register.and_then(|r| written.get(&r).copied());
                    if let (Some(r), None) = (register, result) {
                        read.insert(r);
                    }
                    operands.push(result.map_or(Source::Before(k), Source::Result));
                }
                let result = match i.operands[0] {
                    Operand::Register(r) => Some(self.graph.register(frame, r)),
                    Operand::Sink => None,
                    _ => break,
                };
                if let Some(r) = result {
                    written.insert(r, run.operations.len());
                }
                run.operations.push(Operation {
                    step: n,
                    result,
                    operands,
                });
                run.before.append(&mut between);
                run.end = n + 1;
                continue;
            }
            if run.operations.is_empty() || !instruction.is_none_or(|(_, i)| graph::can_be_moved(i))
            {
                break;
            }
            let (reads, writes) = self.graph.accesses(step);
            let free = reads.iter().all(|r| !written.contains_key(r))
                && writes
                    .iter()
                    .all(|r| !written.contains_key(r) && !read.contains(r));
            if !free {
                break;
            }
            between.push(n);
        }
        // Sums and products alone are the device's own.
        let by_integers = |operation: &&Operation| match steps[operation.step] {
            Step::Instruction {
                frame, statement, ..
            } if native => is_fused(self.graph.instruction(frame, statement)),
            _ => true,
        };
        (run.operations.iter().filter(by_integers).count() >= LEAST).then_some(run)
    }

    /// Whether so many fused operations are integers', though doubles are not, that all at their places would take a compiler minutes.
    fn has_many_fused(&self) -> bool {
        let count = || {
            let blocks = 0..self.graph.blocks.len();
            let instructions = blocks.flat_map(|b| self.graph.instructions(b));
            instructions.filter(|(_, i)| is_fused(i)).count() > MANY
        };
        !self.target.fused_fma && *self.many_fused.get_or_init(count)
    }

    /// Writes a run of `steps`.
    pub(super) fn write_double_run(
        &mut self,
        steps: &[Step],
        run: &Run,
    ) -> std::result::Result<(), TranslateError> {
        for &n in &run.before {
            self.step(n, &steps[n])?;
        }
        let (slots, needed) = self.slots(steps, run);
        let mut terms = Vec::new();
        for operation in &run.operations {
            terms.push(self.terms(steps, operation, &slots)?);
        }
        let count = run.operations.len() as u32;
        self.repeat(count, |e, k| {
            let [a, b, c] = e.select_terms(k, &terms);
            let d = e.double_fma(a, b, c, None);
            e.store_result(k, d, &slots);
        });
        for (n, operation) in run.operations.iter().enumerate() {
            if let (Some(register), true) = (operation.result, needed[n]) {
                let id = self.asm.op(Op::Load, Type::F64, &[slots[n]]);
                self.set_register(register, Value { id, ty: Type::F64 });
            }
        }
        Ok(())
    }

    /// For each operation the variable of its result, and whether it is needed behind the run.
    fn slots(&mut self, steps: &[Step], run: &Run) -> (Vec<Id>, Vec<bool>) {
        let count = run.operations.len();
        let mut last_use: Vec<usize> = (0..count).collect();
        for (n, operation) in run.operations.iter().enumerate() {
            for source in &operation.operands {
                if let Source::Result(k) = *source {
                    last_use[k] = n;
                }
            }
        }
        let mut read_here: FxHashMap<Register, u32> = FxHashMap::default();
        for operation in &run.operations {
            for r in self.graph.accesses(&steps[operation.step]).0 {
                *read_here.entry(r).or_default() += 1;
            }
        }
        let reads = self.reads_of_registers();
        let mut writer: FxHashMap<Register, usize> = FxHashMap::default();
        for (n, operation) in run.operations.iter().enumerate() {
            operation.result.map(|r| writer.insert(r, n));
        }
        let needed: Vec<bool> = run
            .operations
            .iter()
            .enumerate()
            .map(|(n, operation)| {
                let r = operation.result;
                let elsewhere = |r| reads[r as usize] > read_here.get(&r).copied().unwrap_or(0);
                r.is_some_and(|r| writer[&r] == n && elsewhere(r))
            })
            .collect();
        let (mut free, mut slots): (Vec<Id>, Vec<Id>) = (Vec::new(), Vec::new());
        for n in 0..count {
            // An operation reads its operands before it writes.
            let over = (0..n).filter(|&k| last_use[k] == n && !needed[k]);
            free.extend(over.map(|k| slots[k]));
            let slot = match free.pop() {
                Some(slot) => slot,
                None => self.asm.variable(Type::F64),
            };
            slots.push(slot);
            if last_use[n] == n && !needed[n] {
                free.push(slot);
            }
        }
        (slots, needed)
    }

    /// How often steps read each register.
    fn reads_of_registers(&mut self) -> &[u32] {
        if self.register_reads.is_empty() {
            let mut reads = vec![0; self.graph.registers.len()];
            for step in self.graph.blocks.iter().flat_map(|b| &b.steps) {
                for r in self.graph.accesses(step).0 {
                    reads[r as usize] += 1;
                }
            }
            self.register_reads = reads;
        }
        &self.register_reads
    }

    /// What the function takes to do an operation.
    fn terms(
        &mut self,
        steps: &[Step],
        operation: &Operation,
        slots: &[Id],
    ) -> std::result::Result<[Term; 3], TranslateError> {
        let Step::Instruction {
            frame, statement, ..
        } = steps[operation.step]
        else {
            unreachable!("operations are instructions");
        };
        self.frame = frame;
        let i = self.graph.instruction(frame, statement);
        let mut terms = Vec::new();
        for source in &operation.operands {
            terms.push(match *source {
                Source::Before(k) => {
                    let value = self.value(&i.operands[k], Type::F64);
                    Term::Value(value.map_err(|e| self.refusal(i, e))?)
                }
                Source::Result(k) => Term::Slot {
                    variable: slots[k],
                    negated: false,
                },
            });
        }
        let constant = |e: &mut Self, x: f64| Term::Value(e.asm.constant(Type::F64, x.to_bits()));
        Ok(match (i.opcode, &terms[..]) {
            (Opcode::Add, &[a, b]) => [a, constant(self, 1.0), b],
            (Opcode::Sub, &[a, b]) => {
                let b = match b {
                    Term::Value(id) => Term::Value(self.asm.op(Op::FNegate, Type::F64, &[id])),
                    Term::Slot { variable, .. } => Term::Slot {
                        variable,
                        negated: true,
                    },
                };
                [a, constant(self, 1.0), b]
            }
            (Opcode::Mul, &[a, b]) => [a, b, constant(self, -0.0)],
            (_, &[a, b, c]) => [a, b, c],
            _ => {
                let what = format!("{} with this number of operands", i.mnemonic());
                return Err(self.refusal(i, EmitError::Invalid(what)));
            }
        })
    }

    /// The operands of the k-th operation.
    fn select_terms(&mut self, k: Id, terms: &[[Term; 3]]) -> [Id; 3] {
        let cases: Vec<u32> = (0..terms.len() as u32).collect();
        let mut arms: Vec<([Id; 3], Id)> = Vec::new();
        self.switch(k, &cases, |e, n| {
            let ids = terms[n].map(|term| match term {
                Term::Value(id) => id,
                Term::Slot { variable, negated } => {
                    let id = e.asm.op(Op::Load, Type::F64, &[variable]);
                    match negated {
                        true => e.asm.op(Op::FNegate, Type::F64, &[id]),
                        false => id,
                    }
                }
            });
            arms.push((ids, e.asm.current_block()));
        });
        std::array::from_fn(|n| {
            let words: Vec<Id> = arms
                .iter()
                .flat_map(|(ids, block)| [ids[n], *block])
                .collect();
            self.asm.op(Op::Phi, Type::F64, &words)
        })
    }

    /// Puts the k-th result into its slot.
    fn store_result(&mut self, k: Id, result: Id, slots: &[Id]) {
        let mut distinct = slots.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        if let [one] = distinct[..] {
            return self.asm.void(Op::Store, &[one, result]);
        }
        let number = |slot: &Id| distinct.iter().position(|d| d == slot).unwrap_or(0) as u32;
        let cases: Vec<u32> = slots.iter().map(number).collect();
        self.switch(k, &cases, |e, n| {
            e.asm.void(Op::Store, &[distinct[n], result]);
        });
    }

    /// Writes `switch (k)` whose k-th case goes to the arm of that number.
    fn switch(&mut self, k: Id, arm_of: &[u32], mut arm: impl FnMut(&mut Self, usize)) {
        let arms = arm_of.iter().max().map_or(0, |&n| n as usize + 1);
        let labels: Vec<Id> = (0..arms).map(|_| self.asm.id()).collect();
        let merge = self.asm.id();
        self.asm.void(Op::SelectionMerge, &[merge, 0]);
        // The last arm is the default.
        let mut words = vec![k, labels[arms - 1]];
        for (case, &n) in arm_of.iter().enumerate() {
            if n as usize != arms - 1 {
                words.extend([case as u32, labels[n as usize]]);
            }
        }
        self.asm.void(Op::Switch, &words);
        for (n, &label) in labels.iter().enumerate() {
            self.label(label);
            arm(self, n);
            self.asm.void(Op::Branch, &[merge]);
        }
        self.label(merge);
    }
}
