//! Calls: of functions, through pointers, and of what the driver provides.

use super::{little_endian, Frame, Machine, State, Stop};
use crate::error::Error;
use crate::interpreter::program::*;
use crate::interpreter::{printf, Fault, FaultKind};
use crate::semantics::truncate;

/// The functions that the driver provides and this interpreter has.
pub const BUILTINS: [&str; 4] = ["vprintf", "__assertfail", "malloc", "free"];

impl Machine<'_, '_> {
    pub(super) fn call(
        &mut self,
        i: &Decoded,
        callee: &Callee,
        results: &[Argument],
        arguments: &[Argument],
    ) -> Result<Option<Stop>, Error> {
        let index = match callee {
            Callee::Function(index) => *index,
            Callee::Pointer(source) => {
                let address = self.read(*source);
                match self.world.program.addresses.get(&address) {
                    Some(&index) => index,
                    None => return Err(self.undefined(i, format!("call of address {address:#x}"))),
                }
            }
            Callee::Builtin(name) => return self.builtin(i, name, results, arguments),
        };
        if self.thread.frames.len() >= 256 {
            return Err(self.undefined(i, "calls nested more than 256 deep".to_owned()));
        }
        let program = self.world.program;
        let code = &program.functions[index];
        if code.parameters.len() != arguments.len() || code.results.len() != results.len() {
            return Err(self.undefined(
                i,
                format!("call of {} with other parameters than it has", code.name),
            ));
        }
        let params = (self.thread.params.len() as u64).next_multiple_of(16);
        let local = (self.thread.local.len() as u64).next_multiple_of(16);
        let mut registers = vec![0; code.slots];
        self.thread
            .params
            .resize((params + code.param_bytes) as usize, 0);
        self.thread
            .local
            .resize((local + code.local_bytes) as usize, self.world.options.fill);
        let frame = self.thread.frame();
        let outside = program.functions[frame.function].shared_slots.clone();
        registers[code.shared_slots.clone()].copy_from_slice(&frame.registers[outside]);
        for (formal, argument) in code.parameters.iter().zip(arguments) {
            let value = self.argument(argument);
            self.pass(*formal, params, &mut registers, &value);
        }
        self.thread.frames.push(Frame {
            function: index,
            pc: 0,
            registers,
            params,
            local,
        });
        Ok(None)
    }

    /// Gives a value to a formal parameter.
    fn pass(&mut self, formal: Formal, params: u64, registers: &mut [u64], value: &[u8]) {
        match formal {
            Formal::Register(r) => {
                registers[r.slot as usize] = truncate(little_endian(value), r.bits)
            }
            Formal::Memory { offset, size } => {
                let size = (size as usize).min(value.len());
                let at = (params + offset) as usize;
                self.thread.params[at..at + size].copy_from_slice(&value[..size]);
            }
        }
    }

    /// Returns to the caller; false if there is none, and the thread has exited.
    pub(super) fn leave(&mut self) -> bool {
        if self.thread.frames.len() == 1 {
            self.thread.state = State::Exited;
            return false;
        }
        let Some(done) = self.thread.frames.pop() else {
            return false;
        };
        let program = self.world.program;
        let code = &program.functions[done.function];
        let values: Vec<Vec<u8>> = code
            .results
            .iter()
            .map(|formal| match formal {
                Formal::Register(r) => done.registers[r.slot as usize].to_le_bytes().to_vec(),
                Formal::Memory { offset, size } => self.param_bytes(done.params + offset, *size),
            })
            .collect();
        let shared = &done.registers[code.shared_slots.clone()];
        let caller = self.thread.frame_mut();
        let outside = program.functions[caller.function].shared_slots.clone();
        caller.registers[outside].copy_from_slice(shared);
        self.thread.params.truncate(done.params as usize);
        self.thread.local.truncate(done.local as usize);
        if let Some(Decoded {
            action: Action::Call { results, .. },
            ..
        }) = self.thread.instruction(self.world)
        {
            for (result, value) in results.iter().zip(values) {
                self.receive(result, &value);
            }
        }
        self.thread.advance();
        true
    }

    fn receive(&mut self, result: &Argument, value: &[u8]) {
        match result {
            Argument::Memory { offset, size } => {
                let at = (self.thread.frame().params + offset) as usize;
                let size = (*size as usize).min(value.len());
                self.thread.params[at..at + size].copy_from_slice(&value[..size]);
            }
            Argument::Result(target) => self.thread.write(*target, little_endian(value), 64, false),
            Argument::Value(_) => {}
        }
    }

    fn param_bytes(&self, at: u64, size: u64) -> Vec<u8> {
        self.thread.params[at as usize..(at + size) as usize].to_vec()
    }

    /// The bytes of an argument.
    fn argument(&self, argument: &Argument) -> Vec<u8> {
        match argument {
            Argument::Memory { offset, size } => {
                self.param_bytes(self.thread.frame().params + offset, *size)
            }
            Argument::Value(source) => self.read(*source).to_le_bytes().to_vec(),
            Argument::Result(_) => Vec::new(),
        }
    }

    /// The functions that the driver provides.
    fn builtin(
        &mut self,
        i: &Decoded,
        name: &str,
        results: &[Argument],
        arguments: &[Argument],
    ) -> Result<Option<Stop>, Error> {
        let values: Vec<u64> = arguments
            .iter()
            .map(|a| little_endian(&self.argument(a)))
            .collect();
        let result: u64 = match (name, &values[..]) {
            ("vprintf", [text, data]) => {
                let text = self.string(*text);
                let mut at = *data;
                // The arguments lie one after another, each aligned to its size.
                let argument = |bytes: u32| {
                    at = at.next_multiple_of(bytes.into());
                    let value = self.peek(at, bytes.into());
                    at += u64::from(bytes);
                    value
                };
                let line = printf::format(&text, argument, |address| self.string(address));
                let count = line.len() as u64;
                self.world.outcome.printf.push(line);
                count
            }
            ("__assertfail", [message, file, line, function, _]) => {
                let text =
                    |address: &u64| String::from_utf8_lossy(&self.string(*address)).into_owned();
                let kind = FaultKind::Assert {
                    message: text(message),
                    file: text(file),
                    line: *line as u32,
                    function: text(function),
                };
                self.fault(i, kind);
                return Ok(Some(Stop::Fault));
            }
            ("malloc", [size]) => self.world.memory.allocate(*size as usize),
            ("free", [address]) => {
                self.world.memory.free(*address);
                0
            }
            _ => return Err(self.unsupported(i, format!("call of {name}"))),
        };
        if let Some(place) = results.first() {
            self.receive(place, &result.to_le_bytes());
        }
        self.thread.advance();
        Ok(None)
    }

    /// Reads a value at a generic address, if there is one.
    fn peek(&self, address: u64, bytes: u64) -> Option<u64> {
        let (space, at) = self.window_of(address);
        let range = at as usize..(at + bytes) as usize;
        Some(little_endian(match space {
            Space::Shared => self.shared.get(range)?,
            Space::Local => self.thread.local.get(range)?,
            Space::Param => self.thread.params.get(range)?,
            Space::Global | Space::Generic => self.world.memory.read(at, bytes as usize)?,
        }))
    }

    /// The string at a generic address.
    fn string(&self, address: u64) -> Vec<u8> {
        (0..1 << 16)
            .map_while(|offset| self.peek(address.wrapping_add(offset), 1))
            .take_while(|&c| c != 0)
            .map(|c| c as u8)
            .collect()
    }

    pub(super) fn fault(&mut self, i: &Decoded, kind: FaultKind) {
        let line = self.world.line(i.span);
        self.world.outcome.fault = Some(Fault {
            kind,
            line,
            block: self.block,
            thread: self.thread.id,
        });
    }
}
