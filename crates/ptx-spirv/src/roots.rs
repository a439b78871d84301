//! Which pointer each address of global memory comes from.
//!
//! ```text
//! ld.param.u64 %rd1, [p];        parameter 0
//! mad.wide.u32 %rd2, %r1, 4, %rd1;   parameter 0, whatever %r1 is
//! add.s64      %rd2, %rd2, 128;      the same, in a loop
//! ld.global.u64 %rd3, [%rd2];    %rd3: what has been loaded may be a pointer
//! ```
//!
//! Two pointers are taken for pointers to different memory: this is for passes that look for accesses of one array
//! ([`crate::in_step`]), not for those that have to know that there is none.

use crate::graph::{Graph, Place, Register, Step};
use crate::ModuleLayout;
use ptx::{AddressBase, Instruction, Modifier, Module, Opcode, Operand};

/// A pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Root {
    /// At this byte offset of the kernel's parameters.
    Parameter(u32),
    /// What is loaded into a register.
    Register(Register),
    /// The module's own memory.
    Module,
}

/// What is known of a register.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// A number.
    Nothing,
    /// What has been loaded: a number or a pointer.
    Loaded(Root),
    Pointer(Root),
    /// One of several.
    Several,
}

impl Known {
    /// One of two.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, k) | (k, Self::Nothing) => k,
            (a, b) if a == b => a,
            (Self::Loaded(a), Self::Pointer(b)) | (Self::Pointer(a), Self::Loaded(b)) if a == b => {
                Self::Pointer(a)
            }
            _ => Self::Several,
        }
    }

    /// The sum of both: a pointer and a number.
    fn plus(self, other: Self) -> Self {
        match (self, other) {
            (p @ Self::Pointer(_), Self::Loaded(_)) | (Self::Loaded(_), p @ Self::Pointer(_)) => p,
            (a, b) => a.or(b),
        }
    }
}

/// The pointer that each register's address comes from.
pub struct Roots(Vec<Known>);

impl Roots {
    /// Follows pointers through a kernel, whatever the control flow.
    pub fn of(graph: &Graph, module: &Module, layout: &ModuleLayout) -> Self {
        let mut known = vec![Known::Nothing; graph.registers.len()];
        let mut changed = true;
        while changed {
            changed = false;
            for step in graph.blocks.iter().flat_map(|block| &block.steps) {
                let (to, value) = match *step {
                    Step::Copy { to, from } => (to, known[from as usize]),
                    Step::Constant { .. } => continue,
                    Step::Instruction {
                        frame, statement, ..
                    } => {
                        let i = graph.instruction(frame, statement);
                        let Some(Operand::Register(to)) = i.operands.first() else {
                            continue;
                        };
                        let to = graph.register(frame, *to);
                        if graph.registers[to as usize].size() != Some(8) {
                            continue;
                        }
                        let operand = |o: &Operand| match o {
                            Operand::Register(r) => known[graph.register(frame, *r) as usize],
                            o if is_of_module(graph, module, layout, frame, o) => {
                                Known::Pointer(Root::Module)
                            }
                            _ => Known::Nothing,
                        };
                        let value = match parameter(graph, module, layout, frame, i) {
                            Some(offset) => Known::Loaded(Root::Parameter(offset)),
                            None => flow(i, to, &operand),
                        };
                        (to, value)
                    }
                };
                let k = &mut known[to as usize];
                let new = k.or(value);
                changed |= new != *k;
                *k = new;
            }
        }
        Self(known)
    }

    /// The pointer that an address in a register comes from; none where that is not known.
    pub fn register(&self, r: Register) -> Option<Root> {
        match self.0[r as usize] {
            Known::Loaded(root) | Known::Pointer(root) => Some(root),
            _ => None,
        }
    }
}

/// What an instruction writes to its register.
fn flow(i: &Instruction, to: Register, operand: &dyn Fn(&Operand) -> Known) -> Known {
    let source = |n: usize| i.operands.get(n).map_or(Known::Nothing, operand);
    match i.opcode {
        Opcode::Cvta => match source(1) {
            Known::Loaded(root) => Known::Pointer(root),
            known => known,
        },
        Opcode::Mov if i.operands.len() == 2 => source(1),
        Opcode::Add | Opcode::Sub | Opcode::And => source(1).plus(source(2)),
        Opcode::Selp => source(1).or(source(2)),
        Opcode::Mad => source(3),
        Opcode::Ld | Opcode::Ldu if i.types().all(|t| t.size() == Some(8)) => {
            Known::Loaded(Root::Register(to))
        }
        _ => Known::Nothing,
    }
}

/// The byte offset of the kernel's parameters that an instruction loads.
fn parameter(
    graph: &Graph,
    module: &Module,
    layout: &ModuleLayout,
    frame: u32,
    i: &Instruction,
) -> Option<u32> {
    let of_parameters = i.has(Modifier::Param) || i.has(Modifier::ParamEntry);
    if i.opcode != Opcode::Ld || !of_parameters || i.types().any(|t| t.size() != Some(8)) {
        return None;
    }
    let Some(Operand::Address {
        base: AddressBase::Symbol(symbol),
        offset,
    }) = i.operands.get(1)
    else {
        return None;
    };
    match graph.place(module, layout, frame, *symbol)? {
        Place::KernelParameter(at) => Some(at.wrapping_add(*offset as u32)),
        _ => None,
    }
}

/// Whether an operand is an address of the module's memory.
pub fn is_of_module(
    graph: &Graph,
    module: &Module,
    layout: &ModuleLayout,
    frame: u32,
    o: &Operand,
) -> bool {
    let symbol = match o {
        Operand::Symbol { symbol, .. }
        | Operand::Address {
            base: AddressBase::Symbol(symbol),
            ..
        } => *symbol,
        _ => return false,
    };
    matches!(
        graph.place(module, layout, frame, symbol),
        Some(Place::Module(_))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph;

    /// The root of %d9.
    fn root(body: &str) -> Option<Root> {
        let text = format!(
            ".version 8.0\n.target sm_90\n.address_size 64\n.global .align 8 .b8 table[64];\n\
             .entry k(.param .u64 p, .param .align 8 .b8 q[32]) {{ .reg .b64 %d<10>; .reg .b32 %r<4>; .reg .pred %p<2>;\n\
             mov.u32 %r0, %tid.x; {body}\nret; }}"
        );
        let module = Module::parse(&text).expect("PTX");
        let layout = ModuleLayout::new(&module).expect("a layout");
        let kernel = module.function("k").expect("the kernel");
        let graph = graph::build(&module, &layout, kernel).expect("a graph");
        let roots = Roots::of(&graph, &module, &layout);
        let nine = graph.frames[0].body.register_names.iter();
        let nine = nine.clone().find(|n| n.2.contains('d')).expect("%d");
        roots.register(graph.register(0, ptx::RegisterId(nine.0 .0 + 9)))
    }

    #[test]
    fn addresses_have_the_pointer_that_they_are_made_of() {
        for (body, expected) in [
            ("ld.param.u64 %d9, [p];", Some(Root::Parameter(0))),
            (
                "ld.param.u64 %d0, [q+8]; cvta.to.global.u64 %d1, %d0; mul.wide.u32 %d2, %r0, 4; add.s64 %d9, %d1, %d2;",
                Some(Root::Parameter(16)),
            ),
            (
                "ld.param.u64 %d0, [p]; mad.wide.u32 %d9, %r0, 4, %d0; l: add.s64 %d9, %d9, 128; setp.eq.u32 %p0, %r0, 7; @%p0 bra l;",
                Some(Root::Parameter(0)),
            ),
            ("mov.u64 %d0, table; add.s64 %d9, %d0, 8;", Some(Root::Module)),
            // Bytes, by a number among the parameters.
            (
                "ld.param.u64 %d0, [p]; ld.param.u64 %d1, [q]; cvta.to.global.u64 %d2, %d0; add.s64 %d9, %d1, %d2;",
                Some(Root::Parameter(0)),
            ),
            // A number, and one of two pointers.
            ("mul.wide.u32 %d9, %r0, 4;", None),
            ("ld.param.u64 %d0, [p]; ld.param.u64 %d1, [q]; selp.b64 %d9, %d0, %d1, %p0;", None),
        ] {
            assert_eq!(root(body), expected, "{body}");
        }
    }
}
