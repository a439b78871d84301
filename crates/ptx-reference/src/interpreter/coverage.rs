//! What a kernel needs that this crate does not know, found without running it.

use super::program::{Action, Program, WarpKind};
use crate::error::Error;
use crate::memory::Memory;
use crate::{matrix, semantics};
use ptx::Module;

/// The instructions of a kernel, and of the functions it can reach, that would end a run with
/// [`Error::Unsupported`]: opcode with modifiers, and the line.
///
/// # Errors
/// Those of [`run`](super::run) before the first instruction.
pub fn unsupported(module: &Module<'_>, kernel: &str) -> Result<Vec<(String, u32)>, Error> {
    let function = module
        .function(kernel)
        .filter(|f| f.body.is_some())
        .ok_or_else(|| Error::NoFunction(kernel.to_owned()))?;
    let mut memory = Memory::new();
    super::place_variables(module, None, &module.variables, &mut memory)?;
    let program = Program::build(module, function, &mut memory)?;
    let mut missing = Vec::new();
    for instruction in program.functions.iter().flat_map(|code| &code.instructions) {
        let form = &program.forms[instruction.form as usize];
        let known = match &instruction.action {
            Action::Unsupported => false,
            Action::Pure { sources, .. } => {
                semantics::evaluate(form, &vec![1; sources.len()], false).is_ok()
            }
            Action::Warp { kind, sources, .. } => match kind {
                WarpKind::Mma | WarpKind::WmmaMma => {
                    matrix::multiply::execute(form, &vec![vec![0; sources.len()]; 32]).is_some()
                }
                WarpKind::LoadMatrix | WarpKind::StoreMatrix => {
                    matrix::load::Shape::of(form).is_some()
                }
                WarpKind::WmmaLoad | WarpKind::WmmaStore => {
                    matrix::wmma::Fragment::of(form).is_some()
                }
                _ => true,
            },
            Action::Call {
                callee: super::program::Callee::Builtin(name),
                ..
            } => super::thread::BUILTINS.contains(&&**name),
            Action::Atomic { operation, ty, .. } => {
                *ty == ptx::Modifier::B128
                    || super::atomics::combine(*operation, *ty, 0, 0, 0, false).is_some()
            }
            _ => true,
        };
        if !known {
            missing.push((form.mnemonic(), module.line(instruction.span)));
        }
    }
    Ok(missing)
}
