//! Builds the graph of a kernel: bodies become blocks, and calls the bodies of what they call.

use super::sharing::Sharing;
use super::*;

/// Builds the graph of a kernel as most targets want it.
pub fn build<'m>(
    module: &'m Module<'m>,
    layout: &crate::ModuleLayout,
    kernel: &'m ptx::Function,
) -> Result<Graph<'m>, TranslateError> {
    let most = crate::Target::subgroup32().most_inlined();
    build_inlining(module, layout, kernel, most)
}

/// Builds the graph of a kernel. Every call is inlined where that makes no more than `most_inlined` statements (`sharing.rs`).
pub fn build_inlining<'m>(
    module: &'m Module<'m>,
    layout: &crate::ModuleLayout,
    kernel: &'m ptx::Function,
    most_inlined: u64,
) -> Result<Graph<'m>, TranslateError> {
    let mut builder = Builder {
        module,
        layout,
        kernel,
        texts: FxHashMap::default(),
        bodies: FxHashMap::default(),
        cycles: FxHashMap::default(),
        statics: FxHashMap::default(),
        shared_end: 0,
        graph: Graph {
            frames: Vec::new(),
            blocks: vec![Block::default()],
            registers: Vec::new(),
            kept: None,
            static_shared: 0,
            dynamic_align: 0,
            local_bytes: 0,
            stack: false,
            active: Default::default(),
            same_for_warp: Default::default(),
            references: Vec::new(),
            references_offset: 0,
            shared: FxHashMap::default(),
            local: FxHashMap::default(),
        },
        stack: Vec::new(),
        stacks: FxHashMap::default(),
        sharing: Sharing::default(),
    };
    builder.find_cycles(kernel)?;
    builder.share(kernel, most_inlined)?;
    let (offsets, end) = kernel.parameter_offsets();
    let place = |(offset, parameter): (u32, &ptx::Variable)| match parameter.opaque {
        Some(_) => Place::Reference(offset),
        None => Place::KernelParameter(offset),
    };
    let parameters = offsets
        .into_iter()
        .zip(&kernel.parameters)
        .map(place)
        .collect();
    let exit = builder.block();
    let frame = builder.frame(kernel, parameters, Vec::new())?;
    builder.body(frame, 0, exit)?;
    builder.connect();
    builder.graph.static_shared = builder.shared_end;
    builder.graph.local_bytes = builder.graph.local_bytes.next_multiple_of(16);
    if builder.graph.any(|i| {
        matches!(
            i.opcode,
            Opcode::Alloca | Opcode::Stacksave | Opcode::Stackrestore
        )
    }) {
        builder.graph.stack = true;
        builder.graph.local_bytes += crate::emit::STACK_BYTES;
    }
    let mut graph = builder.graph;
    graph.references = graph.used_references(module);
    graph.references_offset = end.next_multiple_of(8);
    Ok(graph)
}

pub(super) struct Builder<'m, 'l> {
    module: &'m Module<'m>,
    layout: &'l crate::ModuleLayout,
    pub(super) kernel: &'m ptx::Function,
    /// Bodies as they are in the text, and as they are inlined.
    texts: FxHashMap<&'m str, Rc<Body>>,
    bodies: FxHashMap<&'m str, Rc<Body>>,
    /// For functions that can come to call themselves: it and those through which it does.
    pub(super) cycles: FxHashMap<&'m str, Vec<&'m ptx::Function>>,
    /// Where the variables of such a function's body come from: a function, and the place in its list.
    statics: FxHashMap<&'m str, Vec<(&'m str, usize)>>,
    shared_end: u32,
    pub(super) graph: Graph<'m>,
    /// Names of the functions being inlined, outermost first.
    stack: Vec<&'m str>,
    /// Where the stack of each function is that calls itself.
    stacks: FxHashMap<&'m str, u32>,
    /// Functions that have one copy for all calls.
    pub(super) sharing: Sharing<'m>,
}

impl<'m> Builder<'m, '_> {
    pub(super) fn block(&mut self) -> u32 {
        self.graph.blocks.push(Block::default());
        self.graph.blocks.len() as u32 - 1
    }

    /// A new register of a word.
    pub(super) fn register(&mut self) -> Register {
        self.graph.registers.push(Modifier::B32);
        self.graph.registers.len() as Register - 1
    }

    fn line(&self, span: Span) -> u32 {
        self.module.line(span)
    }

    pub(super) fn unsupported(&self, span: Span, what: impl Into<String>) -> TranslateError {
        TranslateError::Unsupported {
            kernel: self.kernel.name.to_string(),
            line: self.line(span),
            what: what.into(),
        }
    }

    fn invalid(&self, span: Span, what: impl Into<String>) -> TranslateError {
        TranslateError::Invalid {
            kernel: self.kernel.name.to_string(),
            line: self.line(span),
            what: what.into(),
        }
    }

    pub(super) fn words(&mut self, size: u32) -> Place {
        let first = self.graph.registers.len() as Register;
        let count = size.div_ceil(4).max(1);
        self.graph
            .registers
            .extend((0..count).map(|_| Modifier::B32));
        Place::Words { first, size }
    }

    /// A function's body as it is in the text.
    pub(super) fn text(&mut self, function: &'m ptx::Function) -> Result<Rc<Body>, TranslateError> {
        if let Some(body) = self.texts.get(&*function.name) {
            return Ok(body.clone());
        }
        let module = provided::module_of(function).unwrap_or(self.module);
        let mut body = module
            .parse_body(function)
            .map_err(|source| TranslateError::Parse {
                kernel: self.kernel.name.to_string(),
                source,
            })?;
        if !std::ptr::eq(function, self.kernel) {
            addressed::copy_addressed_parameters(&mut body, function);
        }
        let body = Rc::new(body);
        self.texts.insert(&function.name, body.clone());
        Ok(body)
    }

    /// A function's body as it is inlined, without calls of itself.
    pub(super) fn parse(
        &mut self,
        function: &'m ptx::Function,
    ) -> Result<Rc<Body>, TranslateError> {
        if let Some(body) = self.bodies.get(&*function.name) {
            return Ok(body.clone());
        }
        let body = match self.cycles.get(&*function.name).cloned() {
            None => self.text(function)?,
            Some(functions) => {
                let bodies = functions
                    .into_iter()
                    .map(|f| Ok((self.text(f)?, f)))
                    .collect::<Result<Vec<_>, _>>()?;
                let (mut body, parts) = cycles::merge(&bodies);
                let mut statics = vec![(&*function.name, 0); body.variables.len()];
                for part in &parts {
                    for (index, v) in part.variables.clone().enumerate() {
                        statics[v] = (&part.function.name, index);
                    }
                }
                self.statics.insert(&function.name, statics);
                recursion::unfold(&mut body, parts)
                    .map_err(|what| self.unsupported(function.span, what))?;
                Rc::new(body)
            }
        };
        self.bodies.insert(&function.name, body.clone());
        Ok(body)
    }

    fn allocate_shared(&mut self, key: String, variable: &ptx::Variable) -> Place {
        if variable.size == 0 || (variable.linkage == ptx::Linkage::Extern && variable.is_array) {
            self.graph.dynamic_align = self.graph.dynamic_align.max(variable.align).max(16);
            return Place::DynamicShared;
        }
        if let Some(&offset) = self.graph.shared.get(&key) {
            return Place::Shared(offset);
        }
        let offset = self.shared_end.next_multiple_of(variable.align.max(1));
        self.shared_end = offset + variable.size as u32;
        self.graph.shared.insert(key, offset);
        Place::Shared(offset)
    }

    fn allocate_local(&mut self, variable: &ptx::Variable) -> u32 {
        let end = &mut self.graph.local_bytes;
        let offset = end.next_multiple_of(variable.align.max(1));
        *end = offset + variable.size as u32;
        offset
    }

    /// A new frame of a function, with these places for its parameters and results.
    pub(super) fn frame(
        &mut self,
        function: &'m ptx::Function,
        parameters: Vec<Place>,
        results: Vec<Place>,
    ) -> Result<u32, TranslateError> {
        if self.stack.contains(&&*function.name) {
            return Err(self.unsupported(
                function.span,
                format!("recursive call of {}", function.name),
            ));
        }
        if self.stack.len() > 64 {
            return Err(self.unsupported(function.span, "calls nested more than 64 deep"));
        }
        let body = self.parse(function)?;
        let frame = self.graph.frames.len() as u32;
        let register_base = self.graph.registers.len() as Register;
        self.graph.registers.extend_from_slice(&body.registers);
        let mut variables = Vec::with_capacity(body.variables.len());
        for (index, v) in body.variables.iter().enumerate() {
            let of = self.statics.get(&*function.name);
            let of = of.and_then(|of| of.get(index)).copied();
            let (declared_in, place) = of.unwrap_or((&function.name, index));
            let name = || static_name(declared_in, place);
            let place = match v.space {
                StateSpace::Local if &*v.name == recursion::STACK => {
                    let known = self.stacks.get(&*function.name).copied();
                    let offset = known.unwrap_or_else(|| self.allocate_local(v));
                    self.stacks.insert(&function.name, offset);
                    Place::Local(offset)
                }
                StateSpace::Local => Place::Local(self.allocate_local(v)),
                StateSpace::Param => self.words(v.size as u32),
                // One for all calls of the function.
                StateSpace::Shared => self.allocate_shared(name(), v),
                _ => match self.layout.variables.get(&name()) {
                    Some(place) => Place::Module(place.offset),
                    None => {
                        return Err(self.unsupported(
                            v.span,
                            format!("variable {} inside a function", v.name),
                        ));
                    }
                },
            };
            variables.push(place);
        }
        self.graph.frames.push(Frame {
            body: body.clone(),
            function,
            register_base,
            variables,
            parameters,
            results,
        });
        Ok(frame)
    }

    /// The steps that give a frame what a call passes in registers, and those that take what it gives back.
    ///
    /// Formals that are registers are the body's first ones, results before parameters.
    pub(super) fn handed_over(
        &self,
        frame: u32,
        passed: &Passed,
    ) -> Result<(Vec<Step>, Vec<Step>), TranslateError> {
        let Frame {
            body,
            function,
            register_base,
            ..
        } = &self.graph.frames[frame as usize];
        let (mut into, mut out) = (Vec::new(), Vec::new());
        // The module's own registers are in each frame those of the caller.
        let shared = body.module_registers.clone();
        for (here, outside) in shared.zip(passed.module_registers.clone()) {
            let here = register_base + here;
            into.push(Step::Copy {
                to: here,
                from: outside,
            });
            out.push(Step::Copy {
                to: outside,
                from: here,
            });
        }
        let mut formal = *register_base;
        for to in &passed.from_registers {
            out.extend(to.map(|to| Step::Copy { to, from: formal }));
            formal += 1;
        }
        for place in &passed.into_registers {
            into.push(match *place {
                Place::Register(from) => Step::Copy { to: formal, from },
                Place::Constant(bits) => Step::Constant { to: formal, bits },
                _ => {
                    return Err(self.invalid(
                        function.span,
                        "a parameter is a register, the argument is not",
                    ))
                }
            });
            formal += 1;
        }
        Ok((into, out))
    }

    /// Calls a function between two blocks.
    fn enter(
        &mut self,
        function: &'m ptx::Function,
        mut passed: Passed,
        entry: u32,
        exit: u32,
    ) -> Result<(), TranslateError> {
        let mut operands = passed.parameters.iter().chain(&passed.results);
        if self.sharing.functions.contains(&*function.name) && operands.all(Place::can_be_copied) {
            return self.enter_shared(function, passed, entry, exit);
        }
        let parameters = std::mem::take(&mut passed.parameters);
        let results = std::mem::take(&mut passed.results);
        let frame = self.frame(function, parameters, results)?;
        let (into, out) = self.handed_over(frame, &passed)?;
        self.graph.blocks[entry as usize].steps.extend(into);
        let exit = self.steps_before(exit, out);
        self.body(frame, entry, exit)
    }

    /// A block with some steps before a block; that one, if there are none.
    fn steps_before(&mut self, block: u32, steps: Vec<Step>) -> u32 {
        if steps.is_empty() {
            return block;
        }
        let before = self.block();
        self.graph.blocks[before as usize].steps = steps;
        self.graph.blocks[before as usize].targets.push(block);
        before
    }

    /// Writes a frame's body between block `entry` and block `exit`.
    pub(super) fn body(&mut self, frame: u32, entry: u32, exit: u32) -> Result<(), TranslateError> {
        let Frame {
            ref body,
            function,
            register_base,
            ..
        } = self.graph.frames[frame as usize];
        let body = body.clone();
        self.stack.push(&function.name);
        let mut labels: FxHashMap<LabelId, u32> = FxHashMap::default();
        for s in &body.statements {
            if let Statement::Label(l) = s {
                let block = self.block();
                labels.insert(*l, block);
            }
        }
        let mut current = entry;
        // Whether `current` can still take steps.
        let mut open = true;
        for (index, s) in body.statements.iter().enumerate() {
            let i = match s {
                Statement::Label(l) => {
                    let block = labels[l];
                    if open {
                        self.graph.blocks[current as usize].targets.push(block);
                    }
                    current = block;
                    open = true;
                    continue;
                }
                Statement::Instruction(i) => i,
            };
            if !open {
                continue;
            }
            let condition = i.predicate.map(|p| Condition::Predicate {
                register: register_base + p.register.0,
                negated: p.negated,
            });
            let step = |unpredicated| Step::Instruction {
                frame,
                statement: index as u32,
                unpredicated,
            };
            match i.opcode {
                Opcode::Bra => {
                    let Some(Operand::Label(to)) = i.operands.first() else {
                        return Err(self.invalid(i.span, "bra without a label"));
                    };
                    let Some(&to) = labels.get(to) else {
                        return Err(
                            self.invalid(i.span, "branch to a label that is not in the function")
                        );
                    };
                    current = self.branch(current, condition, to, &mut open);
                }
                Opcode::Ret if self.stack.len() > 1 => {
                    current = self.branch(current, condition, exit, &mut open)
                }
                Opcode::Ret | Opcode::Exit => {
                    // One exit block for the whole kernel: the first block made after the entry.
                    current = self.branch(current, condition, 1, &mut open);
                }
                Opcode::Trap => {
                    let trap = self.block();
                    self.graph.blocks[trap as usize].steps.push(step(true));
                    self.graph.blocks[trap as usize].targets.push(1);
                    current = self.branch(current, condition, trap, &mut open);
                }
                Opcode::Brx => {
                    let table = match i.operands.get(1) {
                        Some(Operand::BranchTargets(t)) => body.branch_targets[*t as usize].clone(),
                        _ => return Err(self.invalid(i.span, "brx.idx without a table")),
                    };
                    let Some(Operand::Register(r)) = i.operands.first() else {
                        return Err(self.unsupported(i.span, "brx.idx by a constant"));
                    };
                    let register = register_base + r.0;
                    let mut rest = current;
                    if condition.is_some() {
                        let ladder = self.block();
                        current = self.branch(current, condition, ladder, &mut open);
                        rest = ladder;
                    } else {
                        open = false;
                    }
                    for (value, label) in table.iter().enumerate() {
                        let Some(&to) = labels.get(label) else {
                            return Err(self.invalid(
                                i.span,
                                "brx.idx to a label that is not in the function",
                            ));
                        };
                        if value + 1 == table.len() {
                            self.graph.blocks[rest as usize].targets.push(to);
                        } else {
                            let next = self.block();
                            let block = &mut self.graph.blocks[rest as usize];
                            block.condition = Some(Condition::Equal {
                                register,
                                value: value as u32,
                            });
                            block.targets.extend([to, next]);
                            rest = next;
                        }
                    }
                }
                Opcode::Call => {
                    let after = self.block();
                    let start = self.block();
                    match condition {
                        None => self.graph.blocks[current as usize].targets.push(start),
                        Some(c) => {
                            let block = &mut self.graph.blocks[current as usize];
                            block.condition = Some(c);
                            block.targets.extend([start, after]);
                        }
                    }
                    self.call(frame, index as u32, i, start, after)?;
                    current = after;
                }
                _ if condition.is_some() && !is_pure(i) => {
                    let inside = self.block();
                    let after = self.block();
                    let block = &mut self.graph.blocks[current as usize];
                    block.condition = condition;
                    block.targets.extend([inside, after]);
                    let block = &mut self.graph.blocks[inside as usize];
                    block.steps.push(step(true));
                    block.targets.push(after);
                    block.convergent |= is_convergent(i);
                    current = after;
                }
                _ => {
                    let block = &mut self.graph.blocks[current as usize];
                    block.steps.push(step(false));
                    block.convergent |= is_convergent(i);
                }
            }
            self.touch(frame, i)?;
        }
        if open {
            self.graph.blocks[current as usize].targets.push(exit);
        }
        self.stack.pop();
        Ok(())
    }

    /// Ends `current` with a jump or branch to `to`; returns the block that follows.
    fn branch(
        &mut self,
        current: u32,
        condition: Option<Condition>,
        to: u32,
        open: &mut bool,
    ) -> u32 {
        match condition {
            None => {
                self.graph.blocks[current as usize].targets.push(to);
                *open = false;
                current
            }
            Some(c) => {
                let next = self.block();
                let block = &mut self.graph.blocks[current as usize];
                block.condition = Some(c);
                block.targets.extend([to, next]);
                next
            }
        }
    }

    /// Gives module-level shared variables their place at the first instruction that names them.
    fn touch(&mut self, frame: u32, i: &Instruction) -> Result<(), TranslateError> {
        for o in &i.operands {
            let symbol = match o {
                Operand::Symbol { symbol, .. } => *symbol,
                Operand::Address {
                    base: AddressBase::Symbol(symbol),
                    ..
                } => *symbol,
                _ => continue,
            };
            let body = self.graph.frames[frame as usize].body.clone();
            let s = &body.symbols[symbol.0 as usize];
            if s.kind == SymbolKind::Module {
                if let Some(v) = self.module.variable(&s.name) {
                    match v.space {
                        StateSpace::Shared => drop(self.allocate_shared(s.name.to_string(), v)),
                        StateSpace::Local if !self.graph.local.contains_key(&*s.name) => {
                            let offset = self.allocate_local(v);
                            self.graph.local.insert(s.name.to_string(), offset);
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// The function that a call by name enters.
    fn named(&self, name: &str) -> Option<&'m ptx::Function> {
        let module = self.module;
        provided::overriding(name)
            .or_else(|| module.function(name).filter(|f| f.body.is_some()))
            .or_else(|| provided::function(name))
    }

    /// The functions that a call may enter.
    pub(super) fn callees(&self, body: &Body, i: &Instruction) -> Vec<&'m ptx::Function> {
        match i.operands.as_slice() {
            [_, Operand::Symbol { symbol, .. }, ..] => {
                let name = &body.symbols[symbol.0 as usize].name;
                self.named(name).into_iter().collect()
            }
            [Operand::List(results), Operand::Register(_), Operand::List(arguments), ..] => {
                let candidates = self.candidates(body, i, results, arguments);
                candidates.into_iter().map(|(_, f)| f).collect()
            }
            _ => Vec::new(),
        }
    }

    fn call(
        &mut self,
        frame: u32,
        statement: u32,
        i: &Instruction,
        start: u32,
        after: u32,
    ) -> Result<(), TranslateError> {
        let (results, callee, arguments) = match i.operands.as_slice() {
            [Operand::List(r), callee, Operand::List(a), ..] => (r, callee, a),
            _ => {
                return Err(self.invalid(
                    i.span,
                    "call with operands that are not (results), function, (arguments)",
                ))
            }
        };
        let Operand::Symbol { symbol, .. } = callee else {
            return self.indirect_call(frame, i, (results, callee, arguments), start, after);
        };
        let body = self.graph.frames[frame as usize].body.clone();
        let name = body.symbols[symbol.0 as usize].name.clone();
        let Some(function) = self.named(&name) else {
            if !SYSTEM_CALLS.contains(&&*name) {
                let why = if is_system_call(&name) {
                    "a kernel that launches kernels"
                } else {
                    "which the module does not define"
                };
                return Err(self.unsupported(i.span, format!("call of {name}, {why}")));
            }
            self.graph.blocks[start as usize]
                .steps
                .push(Step::Instruction {
                    frame,
                    statement,
                    unpredicated: true,
                });
            let to = if &*name == "__assertfail" { 1 } else { after };
            self.graph.blocks[start as usize].targets.push(to);
            return Ok(());
        };
        self.inline(frame, i, function, (results, arguments), start, after)
    }

    /// Inlines a function for a call with these operands.
    fn inline(
        &mut self,
        frame: u32,
        i: &Instruction,
        function: &'m ptx::Function,
        (results, arguments): (&[Operand], &[Operand]),
        start: u32,
        after: u32,
    ) -> Result<(), TranslateError> {
        // A module may declare that a function of another one has a result where it has none (Numba does so with C's `void`);
        // linkers do not compare the two, and the result is undefined.
        let gives = function.results.len() == results.len() || function.results.is_empty();
        if !gives || arguments.len() != function.parameters.len() {
            return Err(self.invalid(
                i.span,
                format!(
                    "call of {} with the wrong number of operands",
                    function.name
                ),
            ));
        }
        let shape = |builder: &Self, callee: &ptx::Variable| {
            builder.invalid(
                i.span,
                format!(
                    "an operand of another form than {} of {}",
                    callee.name, function.name
                ),
            )
        };
        let place_of = |builder: &mut Self, o: &Operand, callee: &ptx::Variable| match o {
            Operand::Symbol { symbol, .. } => builder.graph_place(frame, *symbol, i.span),
            Operand::Register(r) => {
                let register = builder.graph.frames[frame as usize].register_base + r.0;
                Ok(Place::Register(register))
            }
            Operand::Integer(bits) | Operand::Double(bits) if callee.space == StateSpace::Reg => {
                Ok(Place::Constant(*bits))
            }
            Operand::Single(bits) if callee.space == StateSpace::Reg => {
                Ok(Place::Constant(u64::from(*bits)))
            }
            _ => Err(builder.unsupported(
                i.span,
                format!("this operand for parameter {}", callee.name),
            )),
        };
        let caller = &self.graph.frames[frame as usize];
        let shared = &caller.body.module_registers;
        let mut passed = Passed {
            module_registers: caller.register_base + shared.start
                ..caller.register_base + shared.end,
            ..Passed::default()
        };
        let unused = Place::Constant(0);
        for (o, p) in arguments.iter().zip(&function.parameters) {
            if p.space != StateSpace::Reg {
                passed.parameters.push(place_of(self, o, p)?);
                continue;
            }
            passed.parameters.push(unused);
            for o in components(o, p).ok_or_else(|| shape(self, p))? {
                passed.into_registers.push(place_of(self, o, p)?);
            }
        }
        for (o, p) in results.iter().zip(&function.results) {
            if p.space != StateSpace::Reg {
                passed.results.push(match o {
                    Operand::Sink => self.words(p.size as u32),
                    o => place_of(self, o, p)?,
                });
                continue;
            }
            passed.results.push(unused);
            for o in components(o, p).ok_or_else(|| shape(self, p))? {
                passed.from_registers.push(match (o, place_of(self, o, p)) {
                    (Operand::Sink, _) => None,
                    (_, Ok(Place::Register(to))) => Some(to),
                    (_, Err(error)) => return Err(error),
                    _ => return Err(shape(self, p)),
                });
            }
        }
        self.enter(function, passed, start, after)
    }

    /// The functions of the module that a call by address may mean, with their addresses: those that take such operands.
    fn candidates(
        &self,
        body: &Body,
        i: &Instruction,
        results: &[Operand],
        arguments: &[Operand],
    ) -> Vec<(u32, &'m ptx::Function)> {
        let prototype = match i.operands.get(3) {
            Some(Operand::Prototype(p)) => body.prototypes.get(*p as usize),
            _ => None,
        };
        let alike = |a: &[ptx::Variable], b: &[ptx::Variable]| {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|(a, b)| (a.space, a.size) == (b.space, b.size))
        };
        let module: &'m Module<'m> = self.module;
        let candidate = |(n, name): (u32, &String)| {
            let f = module.function(name)?;
            let fits = !f.is_entry
                && f.body.is_some()
                && f.results.len() == results.len()
                && f.parameters.len() == arguments.len()
                && prototype.is_none_or(|p| {
                    alike(&p.results, &f.results) && alike(&p.parameters, &f.parameters)
                });
            fits.then_some((n, f))
        };
        (1..)
            .zip(&self.layout.functions)
            .filter_map(candidate)
            .collect()
    }

    /// A call by address: a ladder over the functions of the module that take such operands. Addresses are the functions'
    /// numbers in the module's layout. An address of no such function, or of one that is being called already (which would
    /// be recursion), ends in a trap.
    fn indirect_call(
        &mut self,
        frame: u32,
        i: &Instruction,
        (results, callee, arguments): (&[Operand], &Operand, &[Operand]),
        start: u32,
        after: u32,
    ) -> Result<(), TranslateError> {
        let Operand::Register(r) = callee else {
            return Err(self.unsupported(i.span, "a call of something that is no function"));
        };
        let register = self.graph.frames[frame as usize].register_base + r.0;
        let body = self.graph.frames[frame as usize].body.clone();
        let mut candidates = self.candidates(&body, i, results, arguments);
        candidates.retain(|(_, f)| !self.stack.contains(&&*f.name));
        if candidates.len() > MOST_CANDIDATES {
            return Err(self.unsupported(
                i.span,
                format!("an indirect call with {} candidates", candidates.len()),
            ));
        }
        let mut rest = start;
        for (address, function) in candidates {
            let (here, next) = (self.block(), self.block());
            let block = &mut self.graph.blocks[rest as usize];
            block.condition = Some(Condition::Equal {
                register,
                value: address,
            });
            block.targets.extend([here, next]);
            self.inline(frame, i, function, (results, arguments), here, after)?;
            rest = next;
        }
        // A trap: `call` as an instruction of the emitter, with no callee that it knows.
        let statement = body
            .statements
            .iter()
            .position(|s| matches!(s, Statement::Instruction(x) if std::ptr::eq(x, i)));
        let Some(statement) = statement else {
            return Err(self.unsupported(i.span, "an indirect call outside of a body"));
        };
        self.graph.blocks[rest as usize]
            .steps
            .push(Step::Instruction {
                frame,
                statement: statement as u32,
                unpredicated: true,
            });
        self.graph.blocks[rest as usize].targets.push(1);
        Ok(())
    }

    fn graph_place(
        &mut self,
        frame: u32,
        symbol: SymbolId,
        span: Span,
    ) -> Result<Place, TranslateError> {
        self.graph
            .place(self.module, self.layout, frame, symbol)
            .ok_or_else(|| {
                self.unsupported(
                    span,
                    "a name that is neither variable, parameter nor function",
                )
            })
    }
}
