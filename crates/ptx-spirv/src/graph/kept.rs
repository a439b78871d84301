//! What is alive across a call of a shared function is kept in local memory meanwhile.
//!
//! A function with one copy for all calls (`sharing.rs`) is a way from each call to what follows any other, so that everything that
//! is alive across one call would be alive in the function and across all others: compilers of shaders have a choice to make
//! for each such register wherever two ways meet. As in a compiler's calling convention, a call stores
//! what is read again behind it, and loads it there:
//!
//! ```text
//! st.local [kept + 16], x;  f.back = 2;  bra dispatch;
//! b:  ld.local x, [kept + 16];
//! ```
//!
//! Frames lie one behind the other as functions call each other; none is needed twice, since no shared function calls itself.

use super::*;
use crate::liveness::live_out;
use ptx::Symbol;

/// A call of a shared function.
pub(super) struct Call<'m> {
    /// The shared function in whose copy it is; none in the kernel itself.
    pub(super) caller: Option<&'m str>,
    /// The function that is called.
    pub(super) callee: &'m str,
    /// The block that jumps to the function's copy, and the one to which it goes back.
    pub(super) from: u32,
    pub(super) back: u32,
    /// What that block takes from the function.
    pub(super) results: Vec<Register>,
}

/// Stores and loads what is alive across each call. The graph has calls whose next block is what is behind them, and functions that
/// end.
pub(super) fn keep<'m>(graph: &mut Graph<'m>, writer: &mut Writer, calls: &[Call<'m>]) {
    let kept = alive_across(graph, calls);
    let size = |graph: &Graph, r: Register| graph.registers[r as usize].size().unwrap_or(4).max(2);
    // The frames' sizes, and then their places: behind those of all callers.
    let mut sizes: FxHashMap<Option<&str>, u32> = FxHashMap::default();
    let mut offsets: Vec<Vec<(Register, u32)>> = Vec::new();
    for (call, registers) in calls.iter().zip(kept) {
        let mut registers = registers;
        registers.sort_by_key(|&r| std::cmp::Reverse(size(graph, r)));
        let mut end = 0;
        let place = |r: Register| {
            let offset = end;
            end += size(graph, r);
            (r, offset)
        };
        offsets.push(registers.into_iter().map(place).collect());
        let frame = sizes.entry(call.caller).or_default();
        *frame = (*frame).max(end.next_multiple_of(16));
    }
    let mut bases: FxHashMap<Option<&str>, u32> = FxHashMap::default();
    let end_of = |bases: &FxHashMap<Option<&str>, u32>, function: Option<&str>| {
        let of = |map: &FxHashMap<Option<&str>, u32>| map.get(&function).copied().unwrap_or(0);
        of(bases) + of(&sizes)
    };
    let mut changed = true;
    while changed {
        changed = false;
        for call in calls {
            let end = end_of(&bases, call.caller);
            let base = bases.entry(Some(call.callee)).or_default();
            changed |= *base < end;
            *base = (*base).max(end);
        }
    }
    let bytes = calls.iter().map(|call| end_of(&bases, call.caller)).max();
    let bytes = bytes.unwrap_or(0);
    let start = graph.local_bytes.next_multiple_of(16);
    graph.local_bytes = start + bytes;

    writer.place = Place::Local(start);
    for (call, registers) in calls.iter().zip(offsets) {
        let base = bases.get(&call.caller).copied().unwrap_or(0);
        let (mut stores, mut loads) = (Vec::new(), Vec::new());
        for (r, offset) in registers {
            writer.transfer(graph, r, base + offset, &mut stores, &mut loads);
        }
        graph.blocks[call.from as usize].steps.extend(stores);
        graph.blocks[call.back as usize].steps.splice(0..0, loads);
    }
}

/// By call: the registers that are read behind it, before they are written, but for those that are constants.
fn alive_across(graph: &Graph, calls: &[Call]) -> Vec<Vec<Register>> {
    let constants = graph.constants();
    let out = live_out(graph);
    let wanted = |call: &Call| {
        let alive = out[call.from as usize].iter().copied();
        alive
            .filter(|r| constants[*r as usize].is_none() && !call.results.contains(r))
            .collect()
    };
    calls.iter().map(wanted).collect()
}

/// Writes instructions that no function has, as those of a frame of their own.
pub(super) struct Writer {
    frame: u32,
    body: Body,
    /// Where registers are kept.
    place: Place,
    span: Span,
}

impl Writer {
    /// A writer of instructions for a graph that gets no other frames before [`Writer::finish`].
    pub(super) fn new(graph: &Graph, kernel: &ptx::Function) -> Self {
        let mut body = Body::default();
        body.symbols.push(Symbol {
            name: "kept".into(),
            kind: SymbolKind::Local(0),
        });
        Self {
            frame: graph.frames.len() as u32,
            body,
            place: Place::Local(0),
            span: kernel.span,
        }
    }

    /// Adds the frame.
    pub(super) fn finish<'m>(mut self, graph: &mut Graph<'m>, kernel: &'m ptx::Function) {
        // Its registers are those of the whole kernel.
        self.body.registers.clone_from(&graph.registers);
        graph.kept = Some(self.frame);
        graph.frames.push(Frame {
            body: Rc::new(self.body),
            function: kernel,
            register_base: 0,
            variables: vec![self.place],
            parameters: Vec::new(),
            results: Vec::new(),
        });
    }

    /// Lets a block compute whether a word is less than a constant.
    pub(super) fn is_less(
        &mut self,
        graph: &mut Graph,
        word: Register,
        than: u32,
        block: u32,
    ) -> Condition {
        graph.registers.push(Modifier::Pred);
        let register = graph.registers.len() as Register - 1;
        let operands = [
            Operand::Register(RegisterId(register)),
            Operand::Register(RegisterId(word)),
            Operand::Integer(than.into()),
        ];
        let step = self.instruction(Opcode::Setp, &[Modifier::Lt, Modifier::U32], &operands);
        graph.blocks[block as usize].steps.push(step);
        Condition::Predicate {
            register,
            negated: false,
        }
    }

    /// Adds the steps that store a register, and those that load it.
    fn transfer(
        &mut self,
        graph: &mut Graph,
        register: Register,
        offset: u32,
        stores: &mut Vec<Step>,
        loads: &mut Vec<Step>,
    ) {
        let ty = graph.registers[register as usize];
        let address = Operand::Address {
            base: AddressBase::Symbol(SymbolId(0)),
            offset: i64::from(offset),
        };
        let value = Operand::Register(RegisterId(register));
        let (word, bits) = match ty.size() {
            None => {
                graph.registers.push(Modifier::B32);
                let word = RegisterId(graph.registers.len() as u32 - 1);
                (Operand::Register(word), Modifier::B32)
            }
            Some(..=2) => (value.clone(), Modifier::B16),
            Some(8) => (value.clone(), Modifier::B64),
            Some(16) => (value.clone(), Modifier::B128),
            Some(_) => (value.clone(), Modifier::B32),
        };
        let modifiers = [Modifier::Local, bits];
        if ty == Modifier::Pred {
            let (one, zero) = (Operand::Integer(1), Operand::Integer(0));
            let operands = [word.clone(), one, zero, value.clone()];
            stores.push(self.instruction(Opcode::Selp, &[Modifier::B32], &operands));
        }
        let store = [address.clone(), word.clone()];
        stores.push(self.instruction(Opcode::St, &modifiers, &store));
        loads.push(self.instruction(Opcode::Ld, &modifiers, &[word.clone(), address]));
        if ty == Modifier::Pred {
            let not_zero = [Modifier::Ne, Modifier::U32];
            let operands = [value, word, Operand::Integer(0)];
            loads.push(self.instruction(Opcode::Setp, &not_zero, &operands));
        }
    }

    fn instruction(
        &mut self,
        opcode: Opcode,
        modifiers: &[Modifier],
        operands: &[Operand],
    ) -> Step {
        let statements = &mut self.body.statements;
        statements.push(Statement::Instruction(Instruction {
            predicate: None,
            opcode,
            modifiers: modifiers.iter().copied().collect(),
            operands: operands.iter().cloned().collect(),
            parts: None,
            span: self.span,
        }));
        Step::Instruction {
            frame: self.frame,
            statement: statements.len() as u32 - 1,
            unpredicated: true,
        }
    }
}
