//! Functions that call each other: their bodies become one, which calls itself.
//!
//! ```text
//! .func f { ... call g; ... ret; }         f:  ... call g; ... ret;
//! .func g { ... call f; ... ret; }         g:  ... call f; ... ret;
//! ```
//!
//! On the right is what a call of `f` from elsewhere finds: `f`'s body, and behind it those of all functions that `f` calls and that
//! call `f`, whose parameters and results are variables. `recursion.rs` makes its calls jumps.

use super::build::Builder;
use super::recursion::Part;
use super::*;
use ptx::{Symbol, Variable};

/// Functions in the order in which they were found, with those that they call by name.
#[derive(Default)]
struct Calls<'m> {
    functions: Vec<&'m ptx::Function>,
    /// By name; numbers in `functions`.
    callees: FxHashMap<&'m str, Vec<usize>>,
}

impl<'m> Calls<'m> {
    /// For each function that can come to call itself: it, and the others that it calls and that call it.
    fn cycles(&self) -> FxHashMap<&'m str, Vec<&'m ptx::Function>> {
        let callees = |n: usize| self.callees[&*self.functions[n].name].as_slice();
        // Who calls nobody but such as are done is on no cycle.
        let mut done = vec![false; self.functions.len()];
        loop {
            let before = done.clone();
            for n in (0..done.len()).rev() {
                done[n] = done[n] || callees(n).iter().all(|&c| done[c]);
            }
            if before == done {
                break;
            }
        }
        let left: Vec<usize> = (0..done.len()).filter(|&n| !done[n]).collect();
        let reached: FxHashMap<usize, FxHashSet<usize>> = left
            .iter()
            .map(|&from| {
                let mut reached = FxHashSet::default();
                let mut open = vec![from];
                while let Some(n) = open.pop() {
                    open.extend(
                        callees(n)
                            .iter()
                            .filter(|&&c| !done[c] && reached.insert(c)),
                    );
                }
                (from, reached)
            })
            .collect();
        let on_cycles = left.iter().filter(|&n| reached[n].contains(n));
        on_cycles
            .map(|&n| {
                let others = left
                    .iter()
                    .filter(|&m| *m != n && reached[&n].contains(m) && reached[m].contains(&n));
                let members = std::iter::once(&n).chain(others);
                (
                    &*self.functions[n].name,
                    members.map(|&m| self.functions[m]).collect(),
                )
            })
            .collect()
    }
}

impl<'m> Builder<'m, '_> {
    /// Finds the functions that can come to call themselves.
    pub(super) fn find_cycles(&mut self, kernel: &'m ptx::Function) -> Result<(), TranslateError> {
        let mut calls = Calls {
            functions: vec![kernel],
            ..Default::default()
        };
        let mut numbers = FxHashMap::from_iter([(&*kernel.name, 0)]);
        let mut next = 0;
        while let Some(&function) = calls.functions.get(next) {
            next += 1;
            let body = self.text(function)?;
            let mut callees = Vec::new();
            for statement in &body.statements {
                let Statement::Instruction(i) = statement else {
                    continue;
                };
                if i.opcode != Opcode::Call {
                    continue;
                }
                let by_name = matches!(i.operands.get(1), Some(Operand::Symbol { .. }));
                for callee in self.callees(&body, i) {
                    let number = *numbers.entry(&callee.name).or_insert_with(|| {
                        calls.functions.push(callee);
                        calls.functions.len() - 1
                    });
                    callees.extend(by_name.then_some(number));
                }
            }
            calls.callees.insert(&function.name, callees);
        }
        self.cycles = calls.cycles();
        Ok(())
    }
}

/// The bodies of some functions as one, the first one's before the others', and where each is in it.
pub(super) fn merge<'m>(bodies: &[(Rc<Body>, &'m ptx::Function)]) -> (Body, Vec<Part<'m>>) {
    let mut merged = Body {
        module_registers: bodies[0].0.module_registers.clone(),
        ..Body::default()
    };
    let mut parts = Vec::new();
    for (body, function) in bodies {
        let is_first = parts.is_empty();
        let moved = Moved {
            shared: body.module_registers.clone(),
            to_shared: merged.module_registers.start,
            registers: merged.registers.len() as u32,
            labels: merged.labels.len() as u32,
            symbols: merged.symbols.len() as u32,
            branch_targets: merged.branch_targets.len() as u32,
            prototypes: merged.prototypes.len() as u32,
        };
        let first_variable = merged.variables.len();
        let statements = merged.statements.len();
        merged.registers.extend_from_slice(&body.registers);
        merged
            .register_names
            .extend(body.register_names.iter().map(|(register, count, name)| {
                let mut register = *register;
                moved.register(&mut register);
                (register, *count, name.clone())
            }));
        merged.labels.extend_from_slice(&body.labels);
        merged.variables.extend_from_slice(&body.variables);
        merged.prototypes.extend_from_slice(&body.prototypes);
        let tables = body.branch_targets.iter().map(|table| {
            let label = |label: &LabelId| LabelId(label.0 + moved.labels);
            table.iter().map(label).collect()
        });
        merged.branch_targets.extend(tables);
        merged.symbols.extend(body.symbols.iter().map(|symbol| {
            let kind = match symbol.kind {
                SymbolKind::Local(n) => SymbolKind::Local(n + first_variable as u32),
                kind => kind,
            };
            let name = symbol.name.clone();
            Symbol { name, kind }
        }));
        merged
            .statements
            .extend(body.statements.iter().cloned().map(|mut statement| {
                moved.statement(&mut statement);
                statement
            }));
        // Where the text ends, the function returns.
        merged.statements.push(Statement::Instruction(Instruction {
            predicate: None,
            opcode: Opcode::Ret,
            modifiers: SmallVec::new(),
            operands: SmallVec::new(),
            parts: None,
            span: function.span,
        }));
        let own = first_variable..merged.variables.len();
        let mut part = Part {
            function,
            statements: statements..merged.statements.len(),
            variables: own,
            parameters: Vec::new(),
            results: Vec::new(),
            frame: 0,
        };
        if !is_first {
            let own = moved.symbols as usize..merged.symbols.len();
            let mut variables = |formals: &[Variable], kind: fn(u32) -> SymbolKind| {
                let formals = formals.iter().zip(0..);
                let symbols = formals.map(|(formal, n)| {
                    let space = StateSpace::Param;
                    let formal = Variable {
                        space,
                        ..formal.clone()
                    };
                    recursion::formal_as_variable(&mut merged, own.clone(), formal, kind(n))
                });
                symbols.collect()
            };
            part.parameters = variables(&function.parameters, SymbolKind::Parameter);
            part.results = variables(&function.results, SymbolKind::Result);
        }
        parts.push(part);
    }
    (merged, parts)
}

/// By how much a body's numbers are larger behind others.
struct Moved {
    /// The module's registers, which are the same for all.
    shared: std::ops::Range<u32>,
    to_shared: u32,
    registers: u32,
    labels: u32,
    symbols: u32,
    branch_targets: u32,
    prototypes: u32,
}

impl Moved {
    fn register(&self, r: &mut RegisterId) {
        r.0 = match self.shared.contains(&r.0) {
            true => r.0 - self.shared.start + self.to_shared,
            false => r.0 + self.registers,
        };
    }

    fn statement(&self, statement: &mut Statement) {
        match statement {
            Statement::Label(label) => label.0 += self.labels,
            Statement::Instruction(i) => {
                if let Some(p) = &mut i.predicate {
                    self.register(&mut p.register);
                }
                i.operands.iter_mut().for_each(|o| self.operand(o));
            }
        }
    }

    fn operand(&self, operand: &mut Operand) {
        match operand {
            Operand::Register(r) | Operand::NotRegister(r) => self.register(r),
            Operand::Symbol { symbol, .. } => symbol.0 += self.symbols,
            Operand::Address { base, .. } => match base {
                AddressBase::Register(r) => self.register(r),
                AddressBase::Symbol(symbol) => symbol.0 += self.symbols,
                AddressBase::Absolute => {}
            },
            Operand::Vector(parts) | Operand::List(parts) | Operand::TextureAddress(parts) => {
                parts.iter_mut().for_each(|p| self.operand(p));
            }
            Operand::Pair(pair) => {
                self.operand(&mut pair.0);
                self.operand(&mut pair.1);
            }
            Operand::Label(label) => label.0 += self.labels,
            Operand::BranchTargets(table) => *table += self.branch_targets,
            Operand::Prototype(prototype) => *prototype += self.prototypes,
            Operand::Integer(_)
            | Operand::Single(_)
            | Operand::Double(_)
            | Operand::Special(_)
            | Operand::Sink => {}
        }
    }
}
