//! Calls of functions that the system provides, and trap (PTX ISA, "call", "trap"; CUDA's device runtime: vprintf,
//! __assertfail).
//!
//! The printf buffer: u32 bytes used, u32 capacity, then records. A record is u32 size (a multiple of 4, with this
//! header), u32 size of the arguments, u64 address of the format, then the arguments as `vprintf` was given them.
//! A record that does not fit is dropped and counted in the bytes used. That of a failed assertion has the highest bit of the
//! second word set, and has the address of the message; its arguments are words: the addresses of the file's name and, behind the
//! line, of the function's, two each; the block, the thread.

use super::entry::Push;
use super::memory::{Access, Address, Space};
use super::*;

/// Fault codes of the fault record.
const TRAP: u32 = 1;
const ASSERT: u32 = 2;
pub(super) const ILLEGAL_ADDRESS: u32 = 4;
/// Fault record: a wait that never ended.
pub(super) const TIMEOUT: u32 = 3;
/// Bytes of a record before its arguments.
const RECORD_HEADER: u32 = 16;
/// In the second word of a record: it is a failed assertion's.
const ASSERTION_RECORD: u32 = 1 << 31;

impl Emitter<'_> {
    pub(super) fn call(&mut self, i: &Instruction) -> Result<()> {
        match i.opcode {
            Opcode::Trap | Opcode::Brkpt => {
                self.fault(TRAP);
                Ok(())
            }
            // An indirect call that leads to none of the module's functions.
            _ if matches!(i.operands.get(1), Some(Operand::Register(_))) => {
                self.fault(TRAP);
                Ok(())
            }
            _ => {
                let (results, callee, arguments) = match i.operands.as_slice() {
                    [Operand::List(r), Operand::Symbol { symbol, .. }, Operand::List(a), ..] => {
                        (r.clone(), *symbol, a.clone())
                    }
                    _ => return Err(EmitError::Invalid("call with unexpected operands".into())),
                };
                match self.symbol_name(callee) {
                    "vprintf" => self.printf(&results, &arguments),
                    "__assertfail" => {
                        self.assertion(&arguments)?;
                        self.fault(ASSERT);
                        Ok(())
                    }
                    "cudaGraphSetConditional" => self.set_conditional(&arguments),
                    name => Err(EmitError::Unsupported(format!("call of {name}"))),
                }
            }
        }
    }

    /// The words of a call's arguments, in order.
    fn argument_words(&mut self, arguments: &[Operand]) -> Result<Vec<Id>> {
        let mut words = Vec::new();
        for a in arguments {
            match a {
                Operand::Symbol { symbol, .. } => match self.place(*symbol)? {
                    Place::Words { first, size } => {
                        for n in 0..size.div_ceil(4) {
                            let v = self.register(first + n);
                            words.push(self.cast(v, Type::U32));
                        }
                    }
                    _ => {
                        return Err(EmitError::Invalid(
                            "an argument that is not a parameter variable".into(),
                        ))
                    }
                },
                o => {
                    let v = self.value(o, Type::U64)?;
                    let (low, high) = self.split(v);
                    words.extend([low, high]);
                }
            }
        }
        Ok(words)
    }

    /// cudaGraphSetConditional(handle, value): a handle is the address of a value that the runtime looks at.
    fn set_conditional(&mut self, arguments: &[Operand]) -> Result<()> {
        let &[low, high, value] = &self.argument_words(arguments)?[..] else {
            return Err(EmitError::Invalid(
                "cudaGraphSetConditional with other arguments than a handle and a value".into(),
            ));
        };
        let address = self.join(low, high);
        let access = Access {
            volatile: true,
            ..Access::default()
        };
        self.store_device(address, Type::U32, value, access);
        Ok(())
    }

    /// Records the first fault of the context: the code, the block, the thread.
    pub(super) fn fault(&mut self, code: u32) {
        let record = self.fault_record();
        let pointer = self.device_pointer(record, Type::U32);
        let (scope, relaxed, zero) = (self.asm.u32(1), self.asm.u32(0), self.asm.u32(0));
        let code = self.asm.u32(code);
        let before = self.asm.op(
            Op::AtomicCompareExchange,
            Type::U32,
            &[pointer, scope, relaxed, relaxed, code, zero],
        );
        let first = self.asm.op(Op::IEqual, Type::Bool, &[before, zero]);
        self.when(first, |e| {
            let mut data = Vec::new();
            for c in 0..3 {
                data.push(e.builtin_component(rspirv::spirv::BuiltIn::WorkgroupId, c));
            }
            data.push(e.entry.linear);
            e.put_words(record, 8, &data);
        });
    }

    /// alloca beyond the stack.
    pub(super) fn overflow(&mut self) {
        self.fault(TRAP);
    }

    /// Appends a record of `size` bytes to the printf buffer, if there is one and it fits; `body` writes what follows its header.
    /// `arguments` is the second word of the header, `text` the address behind it.
    fn record(
        &mut self,
        size: u32,
        arguments: u32,
        text: [Id; 2],
        body: impl FnOnce(&mut Self, Id),
    ) {
        let buffer = self.push(Push::Printf);
        let zero = self.asm.constant(Type::U64, 0);
        let present = self.asm.op(Op::INotEqual, Type::Bool, &[buffer, zero]);
        self.when(present, |e| {
            let pointer = e.device_pointer(buffer, Type::U32);
            let (scope, relaxed) = (e.asm.u32(1), e.asm.u32(0));
            let whole = e.asm.u32(size);
            let start = e
                .asm
                .op(Op::AtomicIAdd, Type::U32, &[pointer, scope, relaxed, whole]);
            let capacity_at = e.offset(buffer, Type::U64, 4);
            let capacity = e.load_device(capacity_at, Type::U32, Access::default());
            let end = e.asm.op(Op::IAdd, Type::U32, &[start, whole]);
            let fits = e.asm.op(Op::ULessThanEqual, Type::Bool, &[end, capacity]);
            e.when(fits, |e| {
                let offset = e.asm.op(Op::UConvert, Type::U64, &[start]);
                let at = e.asm.op(Op::IAdd, Type::U64, &[buffer, offset]);
                let at = e.offset(at, Type::U64, 8);
                let arguments = e.asm.u32(arguments);
                // Records are aligned to words.
                e.put_words(at, 0, &[whole, arguments, text[0], text[1]]);
                body(e, at);
            });
        });
    }

    /// Stores words one behind the other, from so many bytes behind an address on.
    fn put_words(&mut self, at: Id, offset: i64, words: &[Id]) {
        for (n, &word) in words.iter().enumerate() {
            let next = self.offset(at, Type::U64, offset + 4 * n as i64);
            self.store_device(next, Type::U32, word, Access::default());
        }
    }

    /// __assertfail(message, file, line, function, size of a character): appends a record of the thread.
    fn assertion(&mut self, arguments: &[Operand]) -> Result<()> {
        self.info.uses_assert = true;
        let words = self.argument_words(arguments)?;
        let &[message, message_high, file, file_high, line, function, function_high, ..] =
            &words[..]
        else {
            return Err(EmitError::Invalid(
                "__assertfail needs a message, a file, a line and a function".into(),
            ));
        };
        let mut data = vec![file, file_high, line, function, function_high];
        use ptx::SpecialRegister as S;
        for place in [S::CtaidX, S::CtaidY, S::CtaidZ, S::TidX, S::TidY, S::TidZ] {
            data.push(self.special(place)?.id);
        }
        let bytes = 4 * data.len() as u32;
        self.record(
            RECORD_HEADER + bytes,
            ASSERTION_RECORD | bytes,
            [message, message_high],
            |e, at| e.put_words(at, i64::from(RECORD_HEADER), &data),
        );
        Ok(())
    }

    /// vprintf(format, arguments): appends a record. The size of the arguments is not passed, so it is the space from
    /// the arguments' address to the end of the local variable, at most 256 bytes.
    fn printf(&mut self, results: &[Operand], arguments: &[Operand]) -> Result<()> {
        self.info.uses_printf = true;
        let words = self.argument_words(arguments)?;
        if words.len() < 4 {
            return Err(EmitError::Invalid(
                "vprintf needs a format and arguments".into(),
            ));
        }
        let values = self.join(words[2], words[3]);
        let bytes = self.info.local_bytes.min(256);
        let local = self.info.local_bytes > 0;
        self.record(
            RECORD_HEADER + bytes,
            bytes,
            [words[0], words[1]],
            |e, at| {
                if !local {
                    return;
                }
                // A null pointer means a format without arguments; reading past the thread's variable is cut off.
                let window = e.window(Space::Local);
                let from = e.asm.op(Op::ISub, Type::U64, &[values, window]);
                let from = e.asm.op(Op::UConvert, Type::U32, &[from]);
                for n in 0..bytes / 4 {
                    let o = e.offset(from, Type::U32, 4 * n as i64);
                    let last = e.asm.u32(e.info.local_bytes.saturating_sub(4));
                    let o = e.asm.glsl(rspirv::spirv::GLOp::UMin, Type::U32, &[o, last]);
                    let w = e.load(
                        Address {
                            space: Space::Local,
                            id: o,
                        },
                        Type::U32,
                        Access {
                            align: 4,
                            ..Access::default()
                        },
                    );
                    e.put_words(at, i64::from(RECORD_HEADER + 4 * n), &[w]);
                }
            },
        );
        let zero = self.asm.u32(0);
        for r in results {
            match r {
                Operand::Symbol { symbol, .. } => {
                    if let Place::Words { first, .. } = self.place(*symbol)? {
                        self.set_register(
                            first,
                            Value {
                                id: zero,
                                ty: Type::U32,
                            },
                        );
                    }
                }
                o => self.set(o, Type::U32, zero)?,
            }
        }
        Ok(())
    }
}
