//! Parameters of functions whose address is taken: they are copied to the stack.
//!
//! The parameters of a function are registers here. `mov` may take the address of one, which is then in local memory (PTX
//! ISA, "Device Function Parameters"), as LLVM writes it for structures that are passed by value:
//!
//! ```text
//! .func f(.param .align 8 .b8 s[12])          .func f(.param .align 8 .b8 s[12])
//! {                                           {   .local .align 8 .b8 copy[12];
//!                                                 ld.param.b64 %a, [s];     st.local.b64 [copy], %a;
//!                                                 ld.param.b32 %b, [s+8];   st.local.b32 [copy+8], %b;
//!     mov.b64 %rd1, s;                            mov.b64 %rd1, copy;
//!     ld.param.u64 %rd2, [%rd1];                  ld.local.u64 %rd2, [%rd1];
//! ```

use super::*;
use ptx::{Symbol, Variable};
use smallvec::smallvec;

/// Rewrites the body of a function that is called as above, if it takes the address of a parameter.
pub(super) fn copy_addressed_parameters(body: &mut Body, function: &ptx::Function) {
    let addressed: Vec<(SymbolId, u32)> = (0..body.symbols.len() as u32)
        .map(SymbolId)
        .filter_map(|id| match body.symbols[id.0 as usize].kind {
            SymbolKind::Parameter(n) => Some((id, n)),
            _ => None,
        })
        .filter(|&(id, n)| {
            let parameter = &function.parameters[n as usize];
            parameter.space == StateSpace::Param && takes_address(body, id)
        })
        .collect();
    if addressed.is_empty() {
        return;
    }
    let mut copies = Vec::new();
    for &(id, n) in &addressed {
        let parameter = &function.parameters[n as usize];
        let original = SymbolId(body.symbols.len() as u32);
        let local = SymbolKind::Local(body.variables.len() as u32);
        let symbol = &mut body.symbols[id.0 as usize];
        let before = std::mem::replace(&mut symbol.kind, local);
        let (name, kind) = (symbol.name.clone(), before);
        body.symbols.push(Symbol { name, kind });
        body.variables.push(Variable {
            space: StateSpace::Local,
            ..parameter.clone()
        });
        copies.extend(copy(body, original, id, parameter));
    }
    let of_copy = |id: SymbolId| addressed.iter().any(|a| a.0 == id);
    for statement in &mut body.statements {
        let Statement::Instruction(i) = statement else {
            continue;
        };
        let to_copy = match i.opcode {
            Opcode::Cvta => true,
            Opcode::Ld | Opcode::St => i.operands.iter().any(|o| match o {
                Operand::Address { base, .. } => match *base {
                    AddressBase::Symbol(symbol) => of_copy(symbol),
                    AddressBase::Register(_) => true,
                    AddressBase::Absolute => false,
                },
                _ => false,
            }),
            _ => false,
        };
        for modifier in i.modifiers.iter_mut().filter(|_| to_copy) {
            if *modifier == Modifier::Param {
                *modifier = Modifier::Local;
            }
        }
    }
    body.statements.splice(0..0, copies);
}

/// Whether an instruction has the address of a symbol as a value; arguments of calls are none.
fn takes_address(body: &Body, id: SymbolId) -> bool {
    body.statements.iter().any(|statement| match statement {
        Statement::Instruction(i) if i.opcode != Opcode::Call => {
            let named = |o: &Operand| matches!(o, Operand::Symbol { symbol, .. } if *symbol == id);
            i.operands.iter().any(named)
        }
        _ => false,
    })
}

/// Loads of a parameter and stores to its copy, of 8 bytes and then of what is left.
fn copy(body: &mut Body, from: SymbolId, to: SymbolId, parameter: &Variable) -> Vec<Statement> {
    let mut copies = Vec::new();
    let mut at = 0;
    while at < parameter.size {
        let left = parameter.size - at;
        let types = [
            (8, Modifier::B64),
            (4, Modifier::B32),
            (2, Modifier::B16),
            (1, Modifier::B8),
        ];
        let fits = |size: u64| size <= left && u64::from(parameter.align) % size == 0;
        let (size, ty) = *types.iter().find(|t| fits(t.0)).unwrap_or(&types[3]);
        let register = RegisterId(body.registers.len() as u32);
        // No register has eight bits.
        body.registers.push(match ty {
            Modifier::B8 => Modifier::B16,
            other => other,
        });
        let mut access = |opcode, space, symbol| {
            let address = Operand::Address {
                base: AddressBase::Symbol(symbol),
                offset: at as i64,
            };
            let value = Operand::Register(register);
            let operands = match opcode {
                Opcode::Ld => smallvec![value, address],
                _ => smallvec![address, value],
            };
            copies.push(Statement::Instruction(Instruction {
                predicate: None,
                opcode,
                modifiers: smallvec![space, ty],
                operands,
                parts: None,
                span: parameter.span,
            }));
        };
        access(Opcode::Ld, Modifier::Param, from);
        access(Opcode::St, Modifier::Local, to);
        at += size;
    }
    copies
}
