//! Which state spaces the generic addresses in a kernel's registers can point to.
//!
//! A generic access has to ask at run time whether its address lies in a window of shared or of local memory, which costs a
//! branch and, in kernels that make thousands of them, most of the driver's compile time. Most addresses come from one
//! `cvta` or one parameter, so each register gets the set of spaces that can flow into it, as the least solution over all
//! its definitions, whatever the control flow:
//!
//! ```text
//! cvta.shared.u64 %rd1, %rd0;       {shared}
//! ld.param.u64    %rd2, [p];        {global}: no window outlives its kernel
//! add.s64         %rd3, %rd1, %rd9; what both have
//! ld.global.u64   %rd4, [%rd2];     anything: a generic address may have been stored there
//! ```
//!
//! Registers of 32 bits are followed as the halves of addresses, which `mov.b64` takes apart and puts together. What is
//! converted from 32 bits by anything else is a number.

use crate::graph::{self, Graph, Place, Register, Step};
use crate::ModuleLayout;
use ptx::{AddressBase, Instruction, Modifier, Module, Opcode, Operand};

/// Spaces that an address can point to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spaces(u8);

impl Spaces {
    const SHARED: Self = Self(1);
    const LOCAL: Self = Self(2);
    const GLOBAL: Self = Self(4);
    const ANY: Self = Self(7);
    /// A word from memory: a number, or half of an address of any kind.
    const WORD: Self = Self(8);

    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether shared memory is among them.
    pub fn shared(self) -> bool {
        self.0 & Self::SHARED.0 != 0
    }

    /// Whether local memory is among them.
    pub fn local(self) -> bool {
        self.0 & Self::LOCAL.0 != 0
    }

    /// Whether anything else is among them: global memory, or a number from nowhere.
    pub fn elsewhere(self) -> bool {
        self.0 & Self::GLOBAL.0 != 0 || self.0 & Self::ANY.0 == 0
    }
}

/// The spaces of each register of a graph.
pub struct Provenance {
    registers: Vec<Spaces>,
}

impl Provenance {
    /// Follows addresses through a kernel.
    pub fn of(graph: &Graph, module: &Module, layout: &ModuleLayout) -> Self {
        let mut registers = vec![Spaces::default(); graph.registers.len()];
        let mut changed = true;
        while changed {
            changed = false;
            let mut join = |registers: &mut [Spaces], r: Register, spaces: Spaces| {
                let old = registers[r as usize];
                let new = old.with(spaces);
                registers[r as usize] = new;
                changed |= new != old;
            };
            for step in graph.blocks.iter().flat_map(|block| &block.steps) {
                match *step {
                    Step::Copy { to, from } => {
                        let spaces = registers[from as usize];
                        join(&mut registers, to, spaces);
                    }
                    Step::Constant { .. } => {}
                    Step::Instruction {
                        frame, statement, ..
                    } => {
                        let flow = Flow {
                            graph,
                            module,
                            layout,
                            frame,
                            i: graph.instruction(frame, statement),
                        };
                        flow.step(&mut |r, spaces: &dyn Fn(&[Spaces]) -> Spaces| {
                            let spaces = spaces(&registers);
                            join(&mut registers, r, spaces);
                        });
                    }
                }
            }
        }
        Self { registers }
    }

    /// What an address in a register can point to.
    pub fn register(&self, r: Register) -> Spaces {
        self.registers[r as usize]
    }
}

/// One instruction, and how spaces flow through it.
struct Flow<'a, 'm> {
    graph: &'a Graph<'m>,
    module: &'a Module<'a>,
    layout: &'a ModuleLayout,
    frame: u32,
    i: &'a Instruction,
}

/// Adds the spaces that a function of all registers gives to a register.
type Join<'a> = dyn FnMut(Register, &dyn Fn(&[Spaces]) -> Spaces) + 'a;

impl Flow<'_, '_> {
    /// The registers of an operand, in order.
    fn registers(&self, operand: &Operand) -> Vec<Register> {
        let mut found = Vec::new();
        graph::operand_registers(operand, &mut |r| {
            found.push(self.graph.register(self.frame, r));
        });
        found
    }

    fn bytes(&self, r: Register) -> u32 {
        self.graph.registers[r as usize].size().unwrap_or(0)
    }

    /// The words of a parameter variable that an access of a parameter covers, from its first byte on.
    fn words(&self, address: &Operand) -> Option<(Place, u32)> {
        let Operand::Address {
            base: AddressBase::Symbol(symbol),
            offset,
        } = address
        else {
            return None;
        };
        let place = self
            .graph
            .place(self.module, self.layout, self.frame, *symbol)?;
        Some((place, *offset as u32 / 4))
    }

    fn step(&self, join: &mut Join<'_>) {
        let i = self.i;
        let parameter = i.has(Modifier::Param) || i.has(Modifier::ParamFunc);
        match i.opcode {
            // What a register is given back is what it was.
            Opcode::Ld if self.graph.kept == Some(self.frame) => {}
            Opcode::Ld if parameter => self.load_parameter(join),
            Opcode::St if parameter => self.store_parameter(join),
            Opcode::Ld | Opcode::Ldu | Opcode::Atom | Opcode::Call => {
                for r in self.destinations() {
                    let loaded = match self.bytes(r) {
                        8.. => Spaces::ANY,
                        4 => Spaces::WORD,
                        _ => Spaces::default(),
                    };
                    join(r, &|_| loaded);
                }
            }
            Opcode::Cvta => {
                let spaces = if i.has(Modifier::To) {
                    Spaces::default()
                } else if i.has(Modifier::Local) {
                    Spaces::LOCAL
                } else if i.has(Modifier::Shared)
                    || i.has(Modifier::SharedCta)
                    || i.has(Modifier::SharedCluster)
                {
                    Spaces::SHARED
                } else {
                    Spaces::GLOBAL
                };
                for r in self.destinations() {
                    join(r, &|_| spaces);
                }
            }
            _ => self.arithmetic(join),
        }
    }

    fn destinations(&self) -> Vec<Register> {
        let count = match self.i.opcode {
            Opcode::Call => 1,
            _ => graph::destinations(self.i),
        };
        let operands = self.i.operands.iter().take(count);
        operands.flat_map(|o| self.registers(o)).collect()
    }

    fn load_parameter(&self, join: &mut Join<'_>) {
        let at = self.i.operands.get(1).and_then(|o| self.words(o));
        let mut word = 0;
        for r in self.destinations() {
            let count = self.bytes(r).div_ceil(4);
            match at {
                // No window outlives its kernel, so none comes in from outside.
                Some((Place::KernelParameter(_), _)) => join(r, &|_| Spaces::GLOBAL),
                Some((Place::Register(from), _)) => join(r, &|all| all[from as usize]),
                Some((Place::Words { first, size }, start)) => {
                    let words = size.div_ceil(4);
                    join(r, &|all| {
                        (start + word..start + word + count)
                            .filter(|&n| n < words)
                            .fold(Spaces::default(), |sum, n| {
                                sum.with(all[(first + n) as usize])
                            })
                            .joined(count > 1)
                    });
                }
                _ => join(r, &|_| Spaces::ANY.with(Spaces::WORD)),
            }
            word += count;
        }
    }

    fn store_parameter(&self, join: &mut Join<'_>) {
        let Some((place, start)) = self.i.operands.first().and_then(|o| self.words(o)) else {
            return;
        };
        let sources = self
            .i
            .operands
            .get(1)
            .map_or(Vec::new(), |o| self.registers(o));
        match place {
            Place::Register(to) => {
                for from in sources {
                    join(to, &|all| all[from as usize]);
                }
            }
            Place::Words { first, size } => {
                let mut word = start;
                for from in sources {
                    for _ in 0..self.bytes(from).div_ceil(4) {
                        if word < size.div_ceil(4) {
                            join(first + word, &|all| all[from as usize]);
                        }
                        word += 1;
                    }
                }
            }
            _ => {}
        }
    }

    /// What the sources have goes to the results.
    fn arithmetic(&self, join: &mut Join<'_>) {
        let count = graph::destinations(self.i);
        let sources: Vec<Register> = self
            .i
            .operands
            .iter()
            .skip(count)
            .flat_map(|o| self.registers(o))
            .collect();
        let moves = self.i.opcode == Opcode::Mov;
        for r in self.destinations() {
            let wide = self.bytes(r) >= 8;
            // Only a move makes an address of words; elsewhere a word becomes a number.
            join(r, &|all| {
                sources.iter().fold(Spaces::default(), |sum, &from| {
                    let spaces = all[from as usize];
                    let whole = self.bytes(from) >= 8 || !wide || moves;
                    let spaces = if whole { spaces } else { Spaces::default() };
                    sum.with(spaces.joined(wide))
                })
            });
        }
    }
}

impl Spaces {
    /// Words put together to an address (or left as they are): half of any address makes an address of any kind.
    fn joined(self, wide: bool) -> Self {
        if wide && self.0 & Self::WORD.0 != 0 {
            Self::ANY
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The spaces of the registers of a kernel, by name.
    fn spaces(body: &str, check: &[(&str, [bool; 3])]) {
        let text = format!(
            ".version 8.0\n.target sm_90\n.address_size 64\n.shared .align 8 .b8 table[64];\n\
             .func inner(.param .b64 q) {{ .reg .b64 %x<2>; ld.param.u64 %x0, [q]; add.u64 %x1, %x0, 8; ret; }}\n\
             .entry k(.param .u64 p) {{ .reg .b64 %d<8>; .reg .b32 %r<8>; .local .align 8 .b8 depot[16];\n{body}\nret; }}"
        );
        let module = Module::parse(&text).expect("PTX");
        let layout = ModuleLayout::new(&module).expect("a layout");
        let kernel = module.function("k").expect("the kernel");
        let graph = graph::build(&module, &layout, kernel).expect("a graph");
        let provenance = Provenance::of(&graph, &module, &layout);
        for (name, expected) in check {
            let (frame, name) = match name.strip_prefix("inner ") {
                Some(name) => (1, name),
                None => (0, *name),
            };
            let body = &graph.frames[frame].body;
            let number = |first: u32, count: Option<u32>, prefix: &str| {
                let rest = name.strip_prefix(prefix)?;
                match count {
                    None => rest.is_empty().then_some(first),
                    Some(count) => Some(rest.parse::<u32>().ok().filter(|n| *n < count)? + first),
                }
            };
            let index = body
                .register_names
                .iter()
                .find_map(|(first, count, prefix)| number(first.0, *count, prefix))
                .unwrap_or_else(|| panic!("no register {name}"));
            let spaces = provenance.register(graph.frames[frame].register_base + index);
            let found = [spaces.shared(), spaces.local(), spaces.elsewhere()];
            assert_eq!(&found, expected, "{name}: shared, local, elsewhere");
        }
    }

    #[test]
    fn one_origin() {
        spaces(
            "mov.u64 %d0, table; cvta.shared.u64 %d1, %d0; add.s64 %d2, %d1, 16;\n\
             mov.u64 %d3, depot; cvta.local.u64 %d4, %d3; ld.param.u64 %d5, [p]; mul.wide.s32 %d6, %r0, 4; add.s64 %d7, %d5, %d6;",
            &[
                ("%d2", [true, false, false]),
                ("%d4", [false, true, false]),
                ("%d7", [false, false, true]),
            ],
        );
    }

    #[test]
    fn several_origins() {
        spaces(
            ".reg .pred %p0;\n\
             mov.u64 %d0, table; cvta.shared.u64 %d1, %d0; ld.param.u64 %d2, [p]; setp.eq.u32 %p0, %r0, 0;\n\
             selp.b64 %d3, %d1, %d2, %p0; ld.global.u64 %d4, [%d2]; add.s64 %d5, %d4, %d1;",
            &[
                ("%d3", [true, false, true]),
                ("%d4", [true, true, true]),
                ("%d5", [true, true, true]),
            ],
        );
    }

    #[test]
    fn halves() {
        spaces(
            "mov.u64 %d0, table; cvta.shared.u64 %d1, %d0; mov.b64 {%r0, %r1}, %d1; mov.b64 %d2, {%r0, %r1};\n\
             ld.param.u64 %d3, [p]; ld.global.u32 %r2, [%d3]; cvt.u64.u32 %d4, %r2; add.s64 %d5, %d3, %d4;\n\
             ld.global.u32 %r3, [%d3+4]; mov.b64 %d6, {%r2, %r3};",
            &[
                ("%d2", [true, false, false]),
                ("%d5", [false, false, true]),
                ("%d6", [true, true, true]),
            ],
        );
    }

    #[test]
    fn arguments() {
        spaces(
            "mov.u64 %d0, table; cvta.shared.u64 %d1, %d0; { .param .b64 a; st.param.b64 [a], %d1; call.uni inner, (a); }",
            &[("inner %x1", [true, false, false])],
        );
    }
}
