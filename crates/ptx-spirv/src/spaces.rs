//! Which state space the generic address in a register leads to, where that can be told.
//!
//! One value for each 64-bit virtual register, joined over all its definitions until nothing changes. What is not known for
//! certain stays [`Pointee::Any`], and accesses through it test the windows.

use crate::graph::{Graph, Step};
use ptx::{AddressBase, Instruction, Modifier, Opcode, Operand, SymbolKind};

/// Where a value may lead when it is used as a generic address: a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointee(u8);

#[allow(non_upper_case_globals)]
impl Pointee {
    /// No definition seen yet.
    pub const Unset: Pointee = Pointee(0);
    /// Not to shared or local memory: a global address, or a number.
    pub const Plain: Pointee = Pointee(1);
    /// To shared memory.
    pub const Shared: Pointee = Pointee(2);
    /// To local memory.
    pub const Local: Pointee = Pointee(4);
    /// Anywhere.
    pub const Any: Pointee = Pointee(7);

    /// Whether it may lead where `other` does.
    pub fn may(self, other: Pointee) -> bool {
        self.0 & other.0 != 0
    }

    fn join(self, other: Pointee) -> Pointee {
        Pointee(self.0 | other.0)
    }

    /// The sum of two values, one of them a number.
    fn sum(self, other: Pointee) -> Pointee {
        match (self, other) {
            (Pointee::Unset, _) | (_, Pointee::Unset) => Pointee::Unset,
            (Pointee::Plain, x) | (x, Pointee::Plain) => x,
            _ => Pointee::Any,
        }
    }

    /// The difference of two values; of two addresses in a space it is a number.
    fn difference(self, other: Pointee) -> Pointee {
        match (self, other) {
            (Pointee::Unset, _) | (_, Pointee::Unset) => Pointee::Unset,
            (x, Pointee::Plain) => x,
            (x, y) if x == y && (x == Pointee::Shared || x == Pointee::Local) => Pointee::Plain,
            _ => Pointee::Any,
        }
    }
}

/// The pointee of each virtual register of a kernel.
pub fn infer(graph: &Graph) -> Vec<Pointee> {
    let mut known = vec![Pointee::Unset; graph.registers.len()];
    let mut changed = true;
    while changed {
        changed = false;
        let mut set = |known: &mut Vec<Pointee>, register: u32, value: Pointee| {
            let joined = known[register as usize].join(value);
            if joined != known[register as usize] {
                known[register as usize] = joined;
                changed = true;
            }
        };
        for step in graph.blocks.iter().flat_map(|b| &b.steps) {
            match *step {
                Step::Copy { to, from } => {
                    let value = of_register(graph, &known, from);
                    set(&mut known, to, value);
                }
                Step::Constant { to, .. } => set(&mut known, to, Pointee::Plain),
                Step::Instruction {
                    frame, statement, ..
                } => {
                    let i = graph.instruction(frame, statement);
                    let count = crate::graph::destinations(i);
                    let mut registers = Vec::new();
                    for (n, o) in i.operands.iter().enumerate() {
                        if n < count || i.opcode == Opcode::Call && n == 0 {
                            crate::graph::operand_registers(o, &mut |r| {
                                registers.push(graph.register(frame, r));
                            });
                        }
                    }
                    registers.retain(|&r| graph.registers[r as usize].size() == Some(8));
                    if registers.is_empty() {
                        continue;
                    }
                    let value = result(graph, &known, frame, i);
                    for r in registers {
                        set(&mut known, r, value);
                    }
                }
            }
        }
    }
    known
}

fn of_register(graph: &Graph, known: &[Pointee], register: u32) -> Pointee {
    match graph.registers[register as usize].size() {
        Some(8) => known[register as usize],
        // Narrower values have no room for a window's mark.
        Some(16) => Pointee::Any,
        _ => Pointee::Plain,
    }
}

fn of_operand(graph: &Graph, known: &[Pointee], frame: u32, o: Option<&Operand>) -> Pointee {
    match o {
        Some(Operand::Register(r)) => of_register(graph, known, graph.register(frame, *r)),
        // Names stand for offsets within their space, or for places in the module's buffer.
        Some(
            Operand::Integer(_)
            | Operand::Single(_)
            | Operand::Double(_)
            | Operand::Special(_)
            | Operand::Symbol { .. },
        ) => Pointee::Plain,
        _ => Pointee::Any,
    }
}

/// What an instruction writes into its 64-bit destinations.
fn result(graph: &Graph, known: &[Pointee], frame: u32, i: &Instruction) -> Pointee {
    use Opcode as O;
    let source = |n: usize| of_operand(graph, known, frame, i.operands.get(n));
    match i.opcode {
        O::Cvta if i.has(Modifier::To) => Pointee::Plain,
        O::Cvta => {
            if i.has(Modifier::Shared)
                || i.has(Modifier::SharedCta)
                || i.has(Modifier::SharedCluster)
            {
                Pointee::Shared
            } else if i.has(Modifier::Local) {
                Pointee::Local
            } else {
                Pointee::Plain
            }
        }
        O::Mov | O::Cvt if i.operands.len() == 2 => source(1),
        O::Add => source(1).sum(source(2)),
        O::Sub => source(1).difference(source(2)),
        O::Mad => match source(1).sum(source(2)) {
            Pointee::Plain => source(3),
            Pointee::Unset => Pointee::Unset,
            _ => Pointee::Any,
        },
        O::Selp => source(1).join(source(2)),
        // A kernel's parameters come from the host, which has no address in a window.
        O::Ld if i.has(Modifier::Param) || i.has(Modifier::ParamEntry) => {
            let of_kernel = match i.operands.get(1) {
                Some(Operand::Address {
                    base: AddressBase::Symbol(s),
                    ..
                }) => matches!(
                    graph.frames[frame as usize].body.symbols[s.0 as usize].kind,
                    SymbolKind::Parameter(_)
                ),
                _ => false,
            };
            if frame == 0 && of_kernel {
                Pointee::Plain
            } else {
                Pointee::Any
            }
        }
        // Arithmetic on numbers gives numbers.
        O::Mul
        | O::Shl
        | O::Shr
        | O::And
        | O::Or
        | O::Xor
        | O::Not
        | O::Neg
        | O::Abs
        | O::Div
        | O::Rem
        | O::Min
        | O::Max
        | O::Bfe
        | O::Bfi
        | O::Mul24
        | O::Mad24
        | O::Popc
        | O::Clz
        | O::Sad => {
            let mut all = Pointee::Plain;
            for n in 1..i.operands.len() {
                match source(n) {
                    Pointee::Plain => {}
                    Pointee::Unset if all == Pointee::Plain => all = Pointee::Unset,
                    Pointee::Unset => {}
                    _ => all = Pointee::Any,
                }
            }
            all
        }
        _ => Pointee::Any,
    }
}
