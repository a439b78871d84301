//! Functions that call themselves: calls of them are loops over a stack in local memory.
//!
//! All calls are inlined, so a function's calls of itself become jumps within its body. An activation is a frame of `stack`, at the
//! offset `sp`: the number of the call that it waits in, what is read again after that call, and the function's variables in local
//! memory. Parameters and results are variables of the body, which each activation keeps; what is returned is what the last one wrote.
//!
//! ```text
//!                                  sp = 0; parameters = those of the call
//! .func f                      enter:
//! {                                ...
//!     ...                          keep registers and parameters at stack[sp]; stack[sp] = 0
//!     call (r), f, (a);            parameters = a; sp += frame; trap unless there is room
//!                                  bra enter;
//!                              back0:
//!                                  take them back; r = result
//!     ...                          ...
//!     ret;                         bra leave;
//! }                            leave:
//!                                  if sp == 0: ret
//!                                  sp -= frame; bra back<stack[sp]>
//! ```
//!
//! Leading all calls and returns through one block instead, as `sharing.rs` does, makes kernels a little larger, and compiles no faster.
//!
//! Functions that call each other are one body before (`cycles.rs`), with a place to enter for each of them; a frame is one of
//! whichever function waits.

use super::*;
use ptx::{Predicate, Symbol, Variable};
use smallvec::smallvec;
use std::ops::Range;

/// Bytes of a stack, where as many frames as [`LEAST_DEPTH`] fit.
const STACK_BYTES: u64 = 8192;
/// Activations that there is room for in any case.
const LEAST_DEPTH: u64 = 32;
/// The name of a stack among a body's variables, which no PTX can have. All places where a function is inlined have one in common:
/// no two are active at once.
pub(super) const STACK: &str = "\0stack";

/// One of the functions that a body is made of.
pub(super) struct Part<'m> {
    pub(super) function: &'m ptx::Function,
    /// Its statements, and its variables, by their numbers in the body.
    pub(super) statements: Range<usize>,
    pub(super) variables: Range<usize>,
    /// Parameters and results, as variables of the body; of the first part they become so here.
    pub(super) parameters: Vec<SymbolId>,
    pub(super) results: Vec<SymbolId>,
    /// Where a frame's variables end, bytes.
    pub(super) frame: u64,
}

/// A call of one of the parts.
struct OwnCall {
    statement: usize,
    caller: usize,
    callee: usize,
}

/// Rewrites a body that is made of these functions, which call themselves and each other.
///
/// # Errors
/// Says what is not supported of such functions.
pub(super) fn unfold(body: &mut Body, parts: Vec<Part>) -> Result<(), String> {
    let mut calls = Vec::new();
    for (caller, part) in parts.iter().enumerate() {
        let mut formals = part
            .function
            .parameters
            .iter()
            .chain(&part.function.results);
        if formals.any(|v| v.space == StateSpace::Reg) {
            return Err(format!(
                "recursive call of {}, whose parameters are registers",
                part.function.name
            ));
        }
        for statement in part.statements.clone() {
            let callee = match &body.statements[statement] {
                Statement::Instruction(i) if i.opcode == Opcode::Call => match i.operands.get(1) {
                    Some(Operand::Symbol { symbol, .. }) => &body.symbols[symbol.0 as usize].name,
                    _ => continue,
                },
                _ => continue,
            };
            let callee = parts.iter().position(|p| p.function.name == *callee);
            calls.extend(callee.map(|callee| OwnCall {
                statement,
                caller,
                callee,
            }));
        }
    }
    Unfolding::new(body, parts, calls).run()
}

struct Unfolding<'a, 'm> {
    body: &'a mut Body,
    /// The first one is what is called from outside.
    parts: Vec<Part<'m>>,
    calls: Vec<OwnCall>,
    /// The result's statements.
    out: Vec<Statement>,
    span: ptx::Span,
    stack: SymbolId,
    /// Offset of the frame, its address, a place for addresses, one for numbers, one for conditions.
    sp: RegisterId,
    at: RegisterId,
    address: RegisterId,
    word: RegisterId,
    flag: RegisterId,
    /// Where the largest frame ends, bytes.
    end: u64,
}

impl<'a, 'm> Unfolding<'a, 'm> {
    fn new(body: &'a mut Body, parts: Vec<Part<'m>>, calls: Vec<OwnCall>) -> Self {
        let span = parts[0].function.span;
        let stack = variable(
            body,
            Variable {
                name: STACK.into(),
                space: StateSpace::Local,
                linkage: ptx::Linkage::Internal,
                element: Some(Modifier::B8),
                opaque: None,
                managed: false,
                align: 16,
                size: 0,
                is_array: true,
                initializer: Vec::new(),
                span,
            },
        );
        let mut register = |ty| {
            body.registers.push(ty);
            RegisterId(body.registers.len() as u32 - 1)
        };
        Self {
            stack,
            sp: register(Modifier::B32),
            at: register(Modifier::B64),
            address: register(Modifier::B64),
            word: register(Modifier::B32),
            flag: register(Modifier::Pred),
            out: Vec::new(),
            span,
            end: 0,
            body,
            parts,
            calls,
        }
    }

    fn run(mut self) -> Result<(), String> {
        let calls = std::mem::take(&mut self.calls);
        let live = live_after(self.body, &calls);
        let locals = self.place_locals();
        self.formals();
        let enter: Vec<LabelId> = self.labels("enter", self.parts.len());
        let back: Vec<LabelId> = self.labels("back", calls.len());
        let leave = self.label("leave");
        self.move_constant(self.sp, 0);
        let outermost = self.parts[0].function;
        for (n, parameter) in outermost.parameters.iter().enumerate() {
            let from = self.symbol(parameter, SymbolKind::Parameter(n as u32));
            self.copy(from, self.parts[0].parameters[n], parameter);
        }
        let statements = std::mem::take(&mut self.body.statements);
        // The depth is known when all frames are: until then it is where this instruction is.
        let mut checks = Vec::new();
        for (n, statement) in statements.into_iter().enumerate() {
            if let Some(part) = self.parts.iter().position(|p| p.statements.start == n) {
                self.out.push(Statement::Label(enter[part]));
            }
            let Statement::Instruction(mut i) = statement else {
                self.out.push(statement);
                continue;
            };
            self.span = i.span;
            if let Some(number) = calls.iter().position(|c| c.statement == n) {
                let call = &calls[number];
                let ways = [enter[call.callee], back[number]];
                let check = self.call(call, number as u64, &i, &live[number], ways)?;
                checks.push(check);
                continue;
            }
            match i.opcode {
                Opcode::Ret => {
                    i.opcode = Opcode::Bra;
                    i.modifiers.clear();
                    i.operands = smallvec![Operand::Label(leave)];
                    self.out.push(Statement::Instruction(i));
                }
                _ => self.instruction(i, &locals)?,
            }
        }
        self.out.push(Statement::Label(leave));
        self.set_flag(Modifier::Eq, self.sp, 0);
        self.emit(Opcode::Ret, &[], []);
        self.if_flag();
        let frame = self.end.next_multiple_of(16);
        let depth = (STACK_BYTES / frame).max(LEAST_DEPTH);
        self.add_to_sp(frame.wrapping_neg());
        self.locate();
        self.access(Opcode::Ld, Modifier::B32, self.word, 0);
        for (call, back) in back.into_iter().enumerate() {
            self.set_flag(Modifier::Eq, self.word, call as u64);
            self.emit(Opcode::Bra, &[], [Operand::Label(back)]);
            self.if_flag();
        }
        self.emit(Opcode::Trap, &[], []);
        for [add, check] in checks {
            for (at, value) in [(add, frame), (check, frame * (depth - 1))] {
                if let Statement::Instruction(i) = &mut self.out[at] {
                    i.operands[2] = Operand::Integer(value);
                }
            }
        }
        let SymbolKind::Local(n) = self.body.symbols[self.stack.0 as usize].kind else {
            unreachable!("a stack is a variable of the body");
        };
        self.body.variables[n as usize].size = frame * depth;
        self.body.statements = self.out;
        Ok(())
    }

    fn move_constant(&mut self, to: RegisterId, value: u64) {
        self.emit(
            Opcode::Mov,
            &[Modifier::U32],
            [Operand::Register(to), Operand::Integer(value)],
        );
    }

    /// The offset in the frame of each variable in local memory.
    fn place_locals(&mut self) -> FxHashMap<SymbolId, u64> {
        let mut places = FxHashMap::default();
        for part in &mut self.parts {
            // The number of the call comes first.
            part.frame = 16;
            for n in part.variables.clone() {
                let v = &mut self.body.variables[n];
                if v.space == StateSpace::Local {
                    let offset = part.frame.next_multiple_of(u64::from(v.align.max(1)));
                    part.frame = offset + v.size;
                    places.insert(n, offset);
                    // Nothing is in its old place.
                    v.size = 0;
                }
            }
        }
        let symbols = self.body.symbols.iter().enumerate();
        symbols
            .filter_map(|(n, symbol)| match symbol.kind {
                SymbolKind::Local(v) => Some((SymbolId(n as u32), *places.get(&(v as usize))?)),
                _ => None,
            })
            .collect()
    }

    /// Makes the parameters of the outermost function variables of the body. Its results are those of the call from outside.
    fn formals(&mut self) {
        let function = self.parts[0].function;
        for (parameter, n) in function.parameters.iter().zip(0..) {
            let all = 0..self.body.symbols.len();
            let parameter = Variable {
                space: StateSpace::Param,
                ..parameter.clone()
            };
            let kind = SymbolKind::Parameter(n);
            let symbol = formal_as_variable(self.body, all, parameter, kind);
            self.parts[0].parameters.push(symbol);
        }
        for (result, n) in function.results.iter().zip(0..) {
            let symbol = self.symbol(result, SymbolKind::Result(n));
            self.parts[0].results.push(symbol);
        }
    }

    fn symbol(&mut self, formal: &Variable, kind: SymbolKind) -> SymbolId {
        self.body.symbols.push(Symbol {
            name: formal.name.clone(),
            kind,
        });
        SymbolId(self.body.symbols.len() as u32 - 1)
    }

    fn label(&mut self, name: &str) -> LabelId {
        self.body.labels.push(name.into());
        LabelId(self.body.labels.len() as u32 - 1)
    }

    fn labels(&mut self, name: &str, count: usize) -> Vec<LabelId> {
        (0..count).map(|_| self.label(name)).collect()
    }

    fn register(&mut self, ty: Modifier) -> RegisterId {
        self.body.registers.push(ty);
        RegisterId(self.body.registers.len() as u32 - 1)
    }

    fn emit(
        &mut self,
        opcode: Opcode,
        modifiers: &[Modifier],
        operands: impl IntoIterator<Item = Operand>,
    ) {
        self.out.push(Statement::Instruction(Instruction {
            predicate: None,
            opcode,
            modifiers: modifiers.iter().copied().collect(),
            operands: operands.into_iter().collect(),
            parts: None,
            span: self.span,
        }));
    }

    /// Makes the last instruction depend on a register.
    fn predicate(&mut self, predicate: Predicate) {
        if let Some(Statement::Instruction(i)) = self.out.last_mut() {
            i.predicate = Some(predicate);
        }
    }

    /// Makes the last instruction depend on the flag.
    fn if_flag(&mut self) {
        self.predicate(Predicate {
            register: self.flag,
            negated: false,
        });
    }

    fn set_flag(&mut self, comparison: Modifier, a: RegisterId, b: u64) {
        self.emit(
            Opcode::Setp,
            &[comparison, Modifier::U32],
            [
                Operand::Register(self.flag),
                Operand::Register(a),
                Operand::Integer(b),
            ],
        );
    }

    fn add_to_sp(&mut self, bytes: u64) {
        self.emit(
            Opcode::Add,
            &[Modifier::U32],
            [
                Operand::Register(self.sp),
                Operand::Register(self.sp),
                Operand::Integer(bytes),
            ],
        );
    }

    /// Computes the frame's address.
    fn locate(&mut self) {
        self.emit(
            Opcode::Mov,
            &[Modifier::U64],
            [
                Operand::Register(self.address),
                Operand::Symbol {
                    symbol: self.stack,
                    offset: 0,
                },
            ],
        );
        self.emit(
            Opcode::Cvt,
            &[Modifier::U64, Modifier::U32],
            [Operand::Register(self.at), Operand::Register(self.sp)],
        );
        self.emit(
            Opcode::Add,
            &[Modifier::U64],
            [
                Operand::Register(self.at),
                Operand::Register(self.at),
                Operand::Register(self.address),
            ],
        );
    }

    /// Loads or stores a register.
    fn transfer(
        &mut self,
        opcode: Opcode,
        types: [Modifier; 2],
        register: RegisterId,
        base: AddressBase,
        offset: u64,
    ) {
        let address = Operand::Address {
            base,
            offset: offset as i64,
        };
        let value = Operand::Register(register);
        let operands = match opcode {
            Opcode::Ld => [value, address],
            _ => [address, value],
        };
        self.emit(opcode, &types, operands);
    }

    /// Loads or stores a word of the frame.
    fn access(&mut self, opcode: Opcode, ty: Modifier, register: RegisterId, offset: u64) {
        let base = AddressBase::Register(self.at);
        self.transfer(opcode, [Modifier::Local, ty], register, base, offset);
    }

    /// Loads or stores a word of a parameter.
    fn parameter(&mut self, opcode: Opcode, register: RegisterId, of: SymbolId, offset: u64) {
        let types = [Modifier::Param, Modifier::B32];
        self.transfer(opcode, types, register, AddressBase::Symbol(of), offset);
    }

    /// Copies a parameter's words.
    fn copy(&mut self, from: SymbolId, to: SymbolId, shape: &Variable) {
        for at in (0..shape.size).step_by(4) {
            let word = self.register(Modifier::B32);
            self.parameter(Opcode::Ld, word, from, at);
            self.parameter(Opcode::St, word, to, at);
        }
    }

    /// An instruction of the function's own, with its local variables where they are now.
    fn instruction(
        &mut self,
        mut i: Instruction,
        locals: &FxHashMap<SymbolId, u64>,
    ) -> Result<(), String> {
        let mut moved = false;
        for o in &mut i.operands {
            match o {
                Operand::Address { base, offset } => {
                    let AddressBase::Symbol(symbol) = *base else {
                        continue;
                    };
                    if let Some(&place) = locals.get(&symbol) {
                        *base = AddressBase::Register(self.at);
                        *offset += place as i64;
                        moved = true;
                    }
                }
                Operand::Symbol { symbol, offset } => {
                    let Some(&place) = locals.get(symbol) else {
                        continue;
                    };
                    if i.opcode != Opcode::Mov || i.predicate.is_some() {
                        return Err(format!(
                            "{} of a local variable of {}, which calls itself",
                            i.opcode.text(),
                            self.parts[0].function.name
                        ));
                    }
                    let bytes = place.wrapping_add(*offset as u64);
                    self.locate();
                    let ty = match i.types().next_back().and_then(Modifier::size) {
                        Some(4) => {
                            // A 32-bit local address.
                            self.emit(
                                Opcode::Cvt,
                                &[Modifier::U32, Modifier::U64],
                                [Operand::Register(self.word), Operand::Register(self.at)],
                            );
                            (Modifier::U32, self.word)
                        }
                        _ => (Modifier::U64, self.at),
                    };
                    let to = i.operands[0].clone();
                    self.emit(
                        Opcode::Add,
                        &[ty.0],
                        [to, Operand::Register(ty.1), Operand::Integer(bytes)],
                    );
                    return Ok(());
                }
                _ => {}
            }
        }
        if moved {
            self.locate();
        }
        self.out.push(Statement::Instruction(i));
        Ok(())
    }

    /// A call of one of the functions. Returns the statements where the frame's size and the stack's are needed.
    fn call(
        &mut self,
        own: &OwnCall,
        number: u64,
        i: &Instruction,
        live: &[RegisterId],
        [enter, back]: [LabelId; 2],
    ) -> Result<[usize; 2], String> {
        let (Some(Operand::List(results)), Some(Operand::List(arguments))) =
            (i.operands.first(), i.operands.get(2))
        else {
            return Err("a recursive call of another form".into());
        };
        let symbols = |list: &[Operand]| -> Option<Vec<Option<SymbolId>>> {
            list.iter()
                .map(|o| match o {
                    Operand::Symbol { symbol, .. } => Some(Some(*symbol)),
                    Operand::Sink => Some(None),
                    _ => None,
                })
                .collect()
        };
        let (Some(results), Some(arguments)) = (symbols(results), symbols(arguments)) else {
            return Err("a recursive call with operands that are no parameters".into());
        };
        let function = self.parts[own.callee].function;
        if arguments.len() != function.parameters.len() || results.len() > function.results.len() {
            return Err("a recursive call with the wrong number of operands".into());
        }
        let after = self.label("after");
        if let Some(p) = i.predicate {
            self.emit(Opcode::Bra, &[], [Operand::Label(after)]);
            self.predicate(Predicate {
                negated: !p.negated,
                ..p
            });
        }
        // What is kept is kept in the frame's end, anew for each call.
        let caller = &self.parts[own.caller];
        let mut end = caller.frame;
        let mut kept: Vec<(RegisterId, u64)> = Vec::new();
        for &register in live {
            let size = width(self.body.registers[register.0 as usize]);
            end = end.next_multiple_of(size) + size;
            kept.push((register, end - size));
        }
        // Results, too, that have been written already, but for those that the call gives.
        let formals = caller.function.parameters.iter().zip(&caller.parameters);
        let own_results = caller.function.results.iter().zip(&caller.results);
        let own_results = own_results.filter(|(_, symbol)| !results.contains(&Some(**symbol)));
        let mut words = Vec::new();
        for (formal, &symbol) in formals.chain(own_results) {
            for at in (0..formal.size).step_by(4) {
                end = end.next_multiple_of(4) + 4;
                words.push((symbol, at, end - 4));
            }
        }
        self.end = self.end.max(end);
        self.locate();
        self.move_constant(self.word, number);
        self.access(Opcode::St, Modifier::B32, self.word, 0);
        for &(register, at) in &kept {
            match self.body.registers[register.0 as usize] {
                Modifier::Pred => {
                    self.emit(
                        Opcode::Selp,
                        &[Modifier::B32],
                        [
                            Operand::Register(self.word),
                            Operand::Integer(1),
                            Operand::Integer(0),
                            Operand::Register(register),
                        ],
                    );
                    self.access(Opcode::St, Modifier::B32, self.word, at);
                }
                ty => self.access(Opcode::St, bits(ty), register, at),
            }
        }
        for &(formal, of, at) in &words {
            self.parameter(Opcode::Ld, self.word, formal, of);
            self.access(Opcode::St, Modifier::B32, self.word, at);
        }
        for (n, from) in arguments.into_iter().enumerate() {
            let Some(from) = from else {
                return Err("a recursive call with operands that are no parameters".into());
            };
            let to = self.parts[own.callee].parameters[n];
            self.copy(from, to, &function.parameters[n]);
        }
        let add = self.out.len();
        self.add_to_sp(0);
        let check = self.out.len();
        self.set_flag(Modifier::Gt, self.sp, 0);
        self.emit(Opcode::Trap, &[], []);
        self.if_flag();
        self.emit(Opcode::Bra, &[], [Operand::Label(enter)]);

        // Whoever comes back has the frame's address.
        self.out.push(Statement::Label(back));
        for &(register, at) in &kept {
            match self.body.registers[register.0 as usize] {
                Modifier::Pred => {
                    self.access(Opcode::Ld, Modifier::B32, self.word, at);
                    self.emit(
                        Opcode::Setp,
                        &[Modifier::Ne, Modifier::U32],
                        [
                            Operand::Register(register),
                            Operand::Register(self.word),
                            Operand::Integer(0),
                        ],
                    );
                }
                ty => self.access(Opcode::Ld, bits(ty), register, at),
            }
        }
        for (n, to) in results.into_iter().enumerate() {
            if let Some(to) = to {
                let from = self.parts[own.callee].results[n];
                self.copy(from, to, &function.results[n]);
            }
        }
        for &(formal, of, at) in &words {
            self.access(Opcode::Ld, Modifier::B32, self.word, at);
            self.parameter(Opcode::St, self.word, formal, of);
        }
        self.out.push(Statement::Label(after));
        Ok([add, check])
    }
}

/// Makes a formal of a function a variable of the body, which those of some symbols that are of its kind name from now on.
pub(super) fn formal_as_variable(
    body: &mut Body,
    symbols: Range<usize>,
    formal: Variable,
    kind: SymbolKind,
) -> SymbolId {
    let new = variable(body, formal);
    let to = body.symbols[new.0 as usize].kind;
    for symbol in &mut body.symbols[symbols] {
        if symbol.kind == kind {
            symbol.kind = to;
        }
    }
    new
}

/// Adds a variable to a body, with a symbol.
fn variable(body: &mut Body, variable: Variable) -> SymbolId {
    body.symbols.push(Symbol {
        name: variable.name.clone(),
        kind: SymbolKind::Local(body.variables.len() as u32),
    });
    body.variables.push(variable);
    SymbolId(body.symbols.len() as u32 - 1)
}

/// Bytes of a register in a frame.
fn width(ty: Modifier) -> u64 {
    ty.size().map_or(4, |size| u64::from(size.max(2)))
}

/// The type by which a register is kept.
fn bits(ty: Modifier) -> Modifier {
    match width(ty) {
        2 => Modifier::B16,
        4 => Modifier::B32,
        8 => Modifier::B64,
        _ => Modifier::B128,
    }
}

/// The registers that are read after each of some calls, before they are written.
fn live_after(body: &Body, calls: &[OwnCall]) -> Vec<Vec<RegisterId>> {
    let count = body.statements.len();
    let words = body.registers.len().div_ceil(64);
    let mut labels = vec![count; body.labels.len()];
    for (n, statement) in body.statements.iter().enumerate() {
        if let Statement::Label(label) = statement {
            labels[label.0 as usize] = n;
        }
    }
    // What is live before each statement, and at the end.
    let mut live = vec![vec![0u64; words]; count + 1];
    let after = |live: &[Vec<u64>], n: usize| {
        let mut set = vec![0u64; words];
        let mut join = |to: usize| {
            for (s, l) in set.iter_mut().zip(&live[to]) {
                *s |= l;
            }
        };
        let Statement::Instruction(i) = &body.statements[n] else {
            join(n + 1);
            return set;
        };
        let goes_on = i.predicate.is_some()
            || !matches!(
                i.opcode,
                Opcode::Bra | Opcode::Brx | Opcode::Ret | Opcode::Exit | Opcode::Trap
            );
        if goes_on {
            join(n + 1);
        }
        for o in &i.operands {
            match o {
                Operand::Label(label) => join(labels[label.0 as usize]),
                Operand::BranchTargets(table) => {
                    for label in &body.branch_targets[*table as usize] {
                        join(labels[label.0 as usize]);
                    }
                }
                _ => {}
            }
        }
        set
    };
    loop {
        let mut changed = false;
        for n in (0..count).rev() {
            let mut set = after(&live, n);
            if let Statement::Instruction(i) = &body.statements[n] {
                let written = match i.opcode {
                    Opcode::Call => 0,
                    _ => destinations(i),
                };
                if i.predicate.is_none() {
                    for o in i.operands.iter().take(written) {
                        operand_registers(o, &mut |r| {
                            set[r.0 as usize / 64] &= !(1 << (r.0 % 64));
                        });
                    }
                }
                let mut read = |r: RegisterId| set[r.0 as usize / 64] |= 1 << (r.0 % 64);
                for o in i.operands.iter().skip(written) {
                    operand_registers(o, &mut read);
                }
                if let Some(p) = i.predicate {
                    read(p.register);
                }
            }
            if set != live[n] {
                live[n] = set;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    calls
        .iter()
        .map(|call| {
            let set = after(&live, call.statement);
            (0..body.registers.len() as u32)
                .filter(|r| !body.module_registers.contains(r))
                .filter(|r| set[*r as usize / 64] >> (r % 64) & 1 != 0)
                .map(RegisterId)
                .collect()
        })
        .collect()
}
