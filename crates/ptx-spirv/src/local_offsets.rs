//! Which byte of local memory a generic address points to, if it points there at all.
//!
//! Local memory that is indexed by constants alone becomes registers in every driver. A pointer that is to one variable of it or to
//! global memory, by a condition, would spoil that if only its value at run time said which byte is meant: a driver selects each
//! word among all there are. Flash attention reads keys so, those behind the last one from a row of zeros:
//!
//! ```text
//! mov.u64 %rd1, depot;            byte 0, not an address yet
//! cvta.local.u64 %rd2, %rd1;      byte 0
//! selp.b64 %rd3, %rd4, %rd2, %p;  byte 0, or global memory
//! ld.v4.u32 {...}, [%rd3+16];     byte 16, or global memory
//! ```
//!
//! As in [`Provenance`], each register has what all its definitions have in common, whatever the control flow.

use crate::graph::{self, Graph, Place, Register, Step};
use crate::provenance::Provenance;
use crate::ModuleLayout;
use ptx::{Instruction, Modifier, Module, Opcode, Operand};

/// What is known of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Nothing that points to local memory has been written to it.
    Nothing,
    /// Where it points to local memory (or is a number), it is this.
    Is(u64),
    /// More than one number.
    Several,
}

impl Known {
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, k) | (k, Self::Nothing) => k,
            (a, b) if a == b => a,
            _ => Self::Several,
        }
    }

    fn with(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        match (self, other) {
            (Self::Nothing, _) | (_, Self::Nothing) => Self::Nothing,
            (Self::Is(a), Self::Is(b)) => Self::Is(f(a, b)),
            _ => Self::Several,
        }
    }
}

/// The bytes of local memory that registers point to.
pub(crate) struct LocalOffsets(Vec<Known>);

impl LocalOffsets {
    /// Follows addresses through a kernel.
    pub(crate) fn of(
        graph: &Graph,
        module: &Module,
        layout: &ModuleLayout,
        provenance: &Provenance,
    ) -> Self {
        let mut known = vec![Known::Nothing; graph.registers.len()];
        // Parameters and results are written by their names.
        for r in graph.words_of_parameters() {
            known[r as usize] = Known::Several;
        }
        let mut changed = true;
        while changed {
            changed = false;
            for step in graph.blocks.iter().flat_map(|block| &block.steps) {
                for to in graph.accesses(step).1 {
                    let value = match *step {
                        Step::Constant { bits, .. } => Known::Is(bits),
                        Step::Copy { from, .. } => {
                            moved(provenance, to, from, known[from as usize])
                        }
                        Step::Instruction {
                            frame, statement, ..
                        } => Flow {
                            graph,
                            module,
                            layout,
                            provenance,
                            known: &known,
                            frame,
                        }
                        .written(graph.instruction(frame, statement), to),
                    };
                    let new = known[to as usize].or(value);
                    changed |= new != known[to as usize];
                    known[to as usize] = new;
                }
            }
        }
        Self(known)
    }

    /// The byte of local memory that an address in a register is, if it points there; none where that depends.
    pub(crate) fn register(&self, r: Register) -> Option<u64> {
        match self.0[r as usize] {
            Known::Is(offset) => Some(offset),
            _ => None,
        }
    }
}

/// What a register is after a move: among addresses, one of another space says nothing of where in local memory it points.
fn moved(provenance: &Provenance, to: Register, from: Register, known: Known) -> Known {
    let local = |r| provenance.register(r).local();
    match local(to) && !local(from) {
        true => Known::Nothing,
        false => known,
    }
}

/// An instruction's place.
struct Flow<'a, 'm> {
    graph: &'a Graph<'m>,
    module: &'a Module<'a>,
    layout: &'a ModuleLayout,
    provenance: &'a Provenance,
    known: &'a [Known],
    frame: u32,
}

impl Flow<'_, '_> {
    /// What an operand is, as a number.
    fn number(&self, o: Option<&Operand>) -> Known {
        match o {
            Some(Operand::Integer(v)) => Known::Is(*v),
            Some(Operand::Register(r)) => self.known[self.graph.register(self.frame, *r) as usize],
            Some(Operand::Symbol { symbol, offset }) => {
                let place = self
                    .graph
                    .place(self.module, self.layout, self.frame, *symbol);
                match place {
                    Some(Place::Local(at)) => Known::Is(u64::from(at).wrapping_add(*offset as u64)),
                    _ => Known::Several,
                }
            }
            _ => Known::Several,
        }
    }

    /// What an operand is, moved to a register.
    fn moved(&self, to: Register, o: Option<&Operand>) -> Known {
        let number = self.number(o);
        match o {
            Some(Operand::Register(from)) => {
                let from = self.graph.register(self.frame, *from);
                moved(self.provenance, to, from, number)
            }
            _ if self.provenance.register(to).local() => Known::Nothing,
            _ => number,
        }
    }

    /// Whether a result of arithmetic is an address of local memory only where one of its sources is, and none of them is one.
    fn is_elsewhere(&self, i: &Instruction) -> bool {
        use Opcode::*;
        let arithmetic = matches!(
            i.opcode,
            Add | Sub | Mul | Mad | Mov | Selp | And | Or | Shl
        );
        let local = |r: &Register| self.provenance.register(*r).local();
        // Of words, each may be half of an address.
        let elsewhere = |o: &Operand| {
            !matches!(o, Operand::Vector(_))
                && !self.graph.registers_of(self.frame, o).iter().any(local)
        };
        arithmetic && i.operands.iter().skip(1).all(elsewhere)
    }

    /// What an instruction writes to a register.
    fn written(&self, i: &Instruction, to: Register) -> Known {
        let o = |n: usize| i.operands.get(n);
        let one = matches!(o(0), Some(Operand::Register(_))) && graph::destinations(i) == 1;
        match i.opcode {
            _ if !one => Known::Several,
            _ if self.provenance.register(to).local() && self.is_elsewhere(i) => Known::Nothing,
            Opcode::Mov => self.moved(to, o(1)),
            Opcode::Selp => self.moved(to, o(1)).or(self.moved(to, o(2))),
            Opcode::Cvta if i.has(Modifier::Local) => self.number(o(1)),
            Opcode::Add if !i.has(Modifier::Cc) => {
                self.number(o(1)).with(self.number(o(2)), u64::wrapping_add)
            }
            Opcode::Sub if !i.has(Modifier::Cc) => {
                self.number(o(1)).with(self.number(o(2)), u64::wrapping_sub)
            }
            _ => Known::Several,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The byte of local memory that %d9 points to.
    fn offset(body: &str) -> Option<u64> {
        let text = format!(
            ".version 8.0\n.target sm_90\n.address_size 64\n\
             .func f(.param .b64 q) {{ .reg .b64 %d<10>; ld.param.u64 %d9, [q]; ret; }}\n\
             .entry k(.param .u64 p) {{ .reg .b64 %d<10>; .reg .b32 %r<4>; .reg .pred %p<2>; .local .align 16 .b8 other[16]; .local .align 16 .b8 depot[64];\n\
             mov.u64 %d0, depot; cvta.local.u64 %d1, %d0; ld.param.u64 %d2, [p]; mov.u32 %r0, %tid.x; setp.eq.u32 %p0, %r0, 7;\n\
             {body}\nret; }}"
        );
        let module = Module::parse(&text).expect("PTX");
        let layout = ModuleLayout::new(&module).expect("a layout");
        let kernel = module.function("k").expect("the kernel");
        let graph = graph::build(&module, &layout, kernel).expect("a graph");
        let provenance = Provenance::of(&graph, &module, &layout);
        let offsets = LocalOffsets::of(&graph, &module, &layout, &provenance);
        let frame = graph.frames.len() as u32 - 1;
        let mut names = graph.frames[frame as usize].body.register_names.iter();
        let nine = names.find(|n| n.2.contains('d')).expect("%d");
        offsets.register(graph.register(frame, ptx::RegisterId(nine.0 .0 + 9)))
    }

    #[test]
    fn addresses_in_local_memory_have_their_bytes() {
        for (body, expected) in [
            ("add.s64 %d9, %d1, 8;", Some(24)),
            ("sub.s64 %d3, %d1, -4; mov.u64 %d9, %d3;", Some(20)),
            // Or global memory.
            ("selp.b64 %d9, %d1, %d2, %p0;", Some(16)),
            ("selp.b64 %d3, %d1, 0, %p0; add.s64 %d9, %d3, 8;", Some(24)),
            (
                "mov.u64 %d9, %d1; @%p0 bra l; mul.wide.u32 %d3, %r0, 4; add.s64 %d9, %d2, %d3; l:",
                Some(16),
            ),
            ("mov.u64 %d3, 4; add.s64 %d9, %d1, %d3;", Some(20)),
            (
                "{ .param .b64 a; st.param.b64 [a], %d1; call.uni f, (a); }",
                None,
            ),
            // One of two, one that depends, one that was stored.
            ("add.s64 %d3, %d1, 8; selp.b64 %d9, %d1, %d3, %p0;", None),
            ("mul.wide.u32 %d3, %r0, 4; add.s64 %d9, %d1, %d3;", None),
            (
                "mov.u64 %d9, %d1; l: add.s64 %d9, %d9, 8; @%p0 bra l;",
                None,
            ),
            (
                "mov.u64 %d9, %d1; @%p0 bra l; ld.global.u64 %d9, [%d2]; l:",
                None,
            ),
            (
                "mov.b64 {%r1, %r2}, %d1; add.u32 %r1, %r1, 4; mov.b64 %d9, {%r1, %r2};",
                None,
            ),
        ] {
            assert_eq!(offset(body), expected, "{body}");
        }
    }
}
