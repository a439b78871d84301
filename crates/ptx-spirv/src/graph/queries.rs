//! What the passes ask of a kernel's graph as a whole: which registers are constants, how often each is written and read, and what
//! the kernel uses.

use super::*;

impl Graph<'_> {
    /// The blocks that are reached, in an order in which all ways from the entry lead forward but those back into loops, and for each block
    /// the nearest one that all ways to it pass (`u32::MAX` where there are none).
    pub fn dominators(&self) -> (Vec<u32>, Vec<u32>) {
        let count = self.blocks.len();
        let mut order = Vec::new();
        let mut seen = vec![false; count];
        let mut stack = vec![(0u32, 0)];
        seen[0] = true;
        while let Some((b, next)) = stack.pop() {
            if let Some(&t) = self.blocks[b as usize].targets.get(next) {
                stack.push((b, next + 1));
                if !std::mem::replace(&mut seen[t as usize], true) {
                    stack.push((t, 0));
                }
            } else {
                order.push(b);
            }
        }
        order.reverse();
        let mut number = vec![u32::MAX; count];
        for (n, &b) in order.iter().enumerate() {
            number[b as usize] = n as u32;
        }
        let mut nearest = vec![u32::MAX; count];
        nearest[0] = 0;
        let mut changed = true;
        while changed {
            changed = false;
            for &b in &order {
                for &t in &self.blocks[b as usize].targets {
                    if t == 0 {
                        continue;
                    }
                    let old = nearest[t as usize];
                    let mut common = b;
                    if old != u32::MAX {
                        let mut other = old;
                        while common != other {
                            while number[common as usize] > number[other as usize] {
                                common = nearest[common as usize];
                            }
                            while number[other as usize] > number[common as usize] {
                                other = nearest[other as usize];
                            }
                        }
                    }
                    if old != common {
                        nearest[t as usize] = common;
                        changed = true;
                    }
                }
            }
        }
        (order, nearest)
    }

    /// By block: the blocks that lead to it.
    pub fn predecessors(&self) -> Vec<Vec<u32>> {
        let mut before = vec![Vec::new(); self.blocks.len()];
        for (b, block) in self.blocks.iter().enumerate() {
            for &t in &block.targets {
                before[t as usize].push(b as u32);
            }
        }
        before
    }

    /// By register: the step that writes it, if there is just one.
    pub fn only_writers(&self) -> Vec<Option<Step>> {
        let mut writers: Vec<Option<Option<Step>>> = vec![None; self.registers.len()];
        let mut write = |r: Register, step: Step| {
            let w = &mut writers[r as usize];
            *w = Some(if w.is_none() { Some(step) } else { None });
        };
        for step in self.blocks.iter().flat_map(|b| &b.steps) {
            match *step {
                Step::Copy { to, .. } | Step::Constant { to, .. } => write(to, *step),
                Step::Instruction {
                    frame, statement, ..
                } => {
                    let i = self.instruction(frame, statement);
                    // What a call gives back may be in a register.
                    let n = destinations(i).max(usize::from(i.opcode == Opcode::Call));
                    for o in i.operands.iter().take(n) {
                        operand_registers(o, &mut |r| write(self.register(frame, r), *step));
                    }
                }
            }
        }
        writers.into_iter().map(Option::flatten).collect()
    }

    /// By register: whether nothing reads it but stores to memory and products of matrices.
    pub fn leaves_registers(&self) -> Vec<bool> {
        let mut leaves = vec![true; self.registers.len()];
        for step in self.blocks.iter().flat_map(|b| &b.steps) {
            match *step {
                Step::Copy { from, .. } => leaves[from as usize] = false,
                Step::Constant { .. } => {}
                Step::Instruction {
                    frame, statement, ..
                } => {
                    let i = self.instruction(frame, statement);
                    let ends = match i.opcode {
                        Opcode::Mma => true,
                        Opcode::St => !i.has(Modifier::Param) && !i.has(Modifier::ParamFunc),
                        _ => false,
                    };
                    if ends {
                        continue;
                    }
                    for o in i.operands.iter().skip(destinations(i)) {
                        operand_registers(o, &mut |r| {
                            leaves[self.register(frame, r) as usize] = false;
                        });
                    }
                }
            }
        }
        leaves
    }

    /// By register: the integer that it is all the time, because a move of it is all that writes it.
    pub fn constants(&self) -> Vec<Option<u64>> {
        self.constants_of(&self.only_writers())
    }

    /// The same, of what [`Self::only_writers`] gave.
    pub fn constants_of(&self, writers: &[Option<Step>]) -> Vec<Option<u64>> {
        let integer = |writer: &Option<Step>| {
            let Some(Step::Instruction {
                frame, statement, ..
            }) = *writer
            else {
                return None;
            };
            let i = self.instruction(frame, statement);
            match (i.opcode, i.operands.get(1)) {
                (Opcode::Mov, Some(Operand::Integer(v))) if i.predicate.is_none() => Some(*v),
                _ => None,
            }
        };
        writers.iter().map(integer).collect()
    }

    /// The registers that an operand has.
    pub fn registers_of(&self, frame: u32, o: &Operand) -> Vec<Register> {
        let mut all = Vec::new();
        operand_registers(o, &mut |r| all.push(self.register(frame, r)));
        all
    }

    /// The registers that a step reads and those that it writes; what a predicate keeps is read, too.
    pub fn accesses(&self, step: &Step) -> (Vec<Register>, Vec<Register>) {
        match *step {
            Step::Copy { to, from } => (vec![from], vec![to]),
            Step::Constant { to, .. } => (vec![], vec![to]),
            Step::Instruction {
                frame,
                statement,
                unpredicated,
            } => {
                let i = self.instruction(frame, statement);
                let n = destinations(i).max(usize::from(i.opcode == Opcode::Call));
                let (mut reads, mut writes) = (Vec::new(), Vec::new());
                if let Some(p) = i.predicate {
                    reads.push(self.register(frame, p.register));
                }
                for (k, o) in i.operands.iter().enumerate() {
                    let registers = self.registers_of(frame, o);
                    // A destination may be one of memory.
                    if k >= n || matches!(o, Operand::Address { .. }) {
                        reads.extend(registers);
                        continue;
                    }
                    if i.predicate.is_some() && !unpredicated {
                        reads.extend(&registers);
                    }
                    writes.extend(registers);
                }
                (reads, writes)
            }
        }
    }

    /// The registers that are parameters and results or words of those: loads and stores access them by the names of those, so that they
    /// are among no instruction's operands.
    pub fn words_of_parameters(&self) -> impl Iterator<Item = Register> + '_ {
        let frames = self.frames.iter();
        let places = frames.flat_map(|f| f.parameters.iter().chain(&f.results).chain(&f.variables));
        places.flat_map(|place| match *place {
            Place::Words { first, size } => first..first + size.div_ceil(4),
            Place::Register(r) => r..r + 1,
            _ => 0..0,
        })
    }

    /// By register: how many places write it, and read it.
    pub fn counts(&self) -> Vec<(u32, u32)> {
        let mut counts = vec![(0, 0); self.registers.len()];
        let reads = |counts: &mut Vec<(u32, u32)>, r: Register| counts[r as usize].1 += 1;
        for block in &self.blocks {
            for step in &block.steps {
                let (frame, statement) = match *step {
                    Step::Copy { to, from } => {
                        counts[to as usize].0 += 1;
                        reads(&mut counts, from);
                        continue;
                    }
                    Step::Constant { to, .. } => {
                        counts[to as usize].0 += 1;
                        continue;
                    }
                    Step::Instruction {
                        frame, statement, ..
                    } => (frame, statement),
                };
                let i = self.instruction(frame, statement);
                if let Some(p) = i.predicate {
                    reads(&mut counts, self.register(frame, p.register));
                }
                // What a call gives back may be in a register.
                let n = destinations(i).max(usize::from(i.opcode == Opcode::Call));
                for (k, o) in i.operands.iter().enumerate() {
                    operand_registers(o, &mut |r| {
                        let r = self.register(frame, r);
                        if k < n {
                            counts[r as usize].0 += 1;
                        } else {
                            reads(&mut counts, r);
                        }
                    });
                }
            }
            if let Some(condition) = block.condition {
                reads(&mut counts, condition.register());
            }
        }
        counts
    }

    /// Whether a barrier of the kernel counts predicates (bar.red).
    pub fn uses_barrier_reduction(&self) -> bool {
        self.any(|i| matches!(i.opcode, Opcode::Bar | Opcode::Barrier) && i.has(Modifier::RedMod))
    }

    /// Whether the kernel has barriers that say how many threads take part.
    pub fn uses_partial_barriers(&self) -> bool {
        self.any(|i| {
            matches!(i.opcode, Opcode::Bar | Opcode::Barrier)
                && !i.has(Modifier::Warp)
                && !i.has(Modifier::Cluster)
                // Beside the number, and the result and predicate of reductions.
                && i.operands.len() > if i.has(Modifier::RedMod) { 3 } else { 1 }
        })
    }

    /// The names of the module's texture, sampler and surface references that the kernel names, in the order in which it does.
    pub(super) fn used_references(&self, module: &Module) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        if module.variables.iter().all(|v| v.opaque.is_none()) {
            return names;
        }
        fn symbols(o: &Operand, found: &mut impl FnMut(SymbolId)) {
            match o {
                Operand::Symbol { symbol, .. }
                | Operand::Address {
                    base: AddressBase::Symbol(symbol),
                    ..
                } => found(*symbol),
                Operand::Vector(parts) | Operand::List(parts) | Operand::TextureAddress(parts) => {
                    parts.iter().for_each(|part| symbols(part, found));
                }
                _ => {}
            }
        }
        for step in self.blocks.iter().flat_map(|b| &b.steps) {
            let Step::Instruction {
                frame, statement, ..
            } = *step
            else {
                continue;
            };
            let body = &self.frames[frame as usize].body;
            let mut name = |symbol: SymbolId| {
                let symbol = &body.symbols[symbol.0 as usize];
                let is_reference = symbol.kind == SymbolKind::Module
                    && module
                        .variable(&symbol.name)
                        .is_some_and(|v| v.opaque.is_some());
                if is_reference && names.iter().all(|n| **n != *symbol.name) {
                    names.push(symbol.name.to_string());
                }
            };
            let i = self.instruction(frame, statement);
            i.operands.iter().for_each(|o| symbols(o, &mut name));
        }
        names
    }

    /// Whether the kernel may change 64 bits of shared memory at once: by an atomic operation, or an mbarrier.
    pub fn changes_shared_64(&self) -> bool {
        use Modifier as M;
        let has_shared = self.static_shared > 0 || self.dynamic_align > 0;
        has_shared
            && self.any(|i| match i.opcode {
                Opcode::Mbarrier => true,
                Opcode::Cp => [M::Mbarrier, M::MbarrierCompleteTxBytes]
                    .iter()
                    .any(|&m| i.has(m)),
                Opcode::Atom | Opcode::Red => {
                    !i.has(M::Global) && i.types().any(|t| t.size() == Some(8))
                }
                _ => false,
            })
    }

    /// Whether the kernel asks for the grid's handle.
    pub fn uses_grid_handle(&self) -> bool {
        use ptx::SpecialRegister::{Envreg1, Envreg2};
        self.any(|i| {
            i.operands
                .iter()
                .any(|o| matches!(o, Operand::Special(Envreg1 | Envreg2)))
        })
    }

    /// Whether the kernel allocates or frees memory.
    pub fn uses_heap(&self) -> bool {
        use ptx::SpecialRegister::Envreg3;
        self.any(|i| {
            i.operands
                .iter()
                .any(|o| matches!(o, Operand::Special(Envreg3)))
        })
    }

    /// Whether all that the kernel does with its parameters is to load numbers of up to 64 bits from fixed places.
    pub fn reads_parameters_by_name(
        &self,
        module: &Module,
        layout: &crate::ModuleLayout,
        bytes: u32,
    ) -> bool {
        let is_parameter =
            |frame: u32, symbol: SymbolId| match self.place(module, layout, frame, symbol) {
                Some(Place::KernelParameter(at)) => Some(at),
                _ => None,
            };
        self.blocks.iter().flat_map(|b| &b.steps).all(|step| {
            let Step::Instruction {
                frame, statement, ..
            } = *step
            else {
                return true;
            };
            let i = self.instruction(frame, statement);
            i.operands.iter().enumerate().all(|(n, o)| match o {
                Operand::Symbol { symbol, .. } => is_parameter(frame, *symbol).is_none(),
                // A tensor map is in memory.
                Operand::TextureAddress(parts) => parts.iter().all(|part| match part {
                    Operand::Symbol { symbol, .. } => is_parameter(frame, *symbol).is_none(),
                    _ => true,
                }),
                Operand::Address {
                    base: AddressBase::Symbol(symbol),
                    offset,
                } => match is_parameter(frame, *symbol) {
                    None => true,
                    Some(at) => {
                        let size = i.types().next_back().and_then(|t| t.size());
                        let first = i64::from(at) + offset;
                        // Vectors are of up to four elements.
                        let most = i64::from(bytes.next_multiple_of(4));
                        i.opcode == Opcode::Ld
                            && n == 1
                            && size.is_some_and(|size| {
                                let size = i64::from(size);
                                size <= 8
                                    && first % size.min(4) == 0
                                    && first >= 0
                                    && first + size * i64::from(i.vector_width()) <= most
                            })
                    }
                },
                _ => true,
            })
        })
    }

    /// Whether the kernel has matrix instructions.
    pub fn uses_matrices(&self) -> bool {
        self.any(|i| {
            matches!(
                i.opcode,
                Opcode::Mma
                    | Opcode::Wmma
                    | Opcode::Ldmatrix
                    | Opcode::Stmatrix
                    | Opcode::Movmatrix
            )
        })
    }
}
