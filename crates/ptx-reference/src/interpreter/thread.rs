//! One thread: its registers and memory, and the instructions that concern no other thread.

use super::decode::{
    Action, Argument, Callee, Code, Decoded, Formal, Place, Source, Space, Target, TargetRegister,
    LOCAL_WINDOW, PARAM_WINDOW, SHARED_WINDOW, WINDOW,
};
use super::{atomics, mbarrier, printf, Fault, FaultKind, World};
use crate::error::Error;
use crate::semantics::{self, sign_extend, truncate};
use ptx::{Modifier as M, ScalarType, SpecialRegister as S};

/// A function being executed.
#[derive(Clone, Debug)]
pub struct Frame {
    pub function: usize,
    pub pc: u32,
    pub registers: Vec<u64>,
    /// Where the frame's parameters start in [`Thread::params`].
    pub params: u64,
    /// Where the frame's variables start in [`Thread::local`].
    pub local: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Ready,
    /// At an instruction that waits for other threads.
    Waiting,
    Exited,
}

/// A thread of a block.
#[derive(Clone, Debug)]
pub struct Thread {
    pub id: [u32; 3],
    pub lane: u32,
    pub warp: u32,
    pub state: State,
    pub frames: Vec<Frame>,
    pub params: Vec<u8>,
    pub local: Vec<u8>,
    pub carry: bool,
    /// How often it executed `barrier.cluster.arrive`.
    pub cluster_arrivals: u32,
}

/// The functions that the driver provides and this interpreter has.
pub const BUILTINS: [&str; 4] = ["vprintf", "__assertfail", "malloc", "free"];

/// Why a thread stopped running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Waiting,
    Exited,
    /// It used up its turn, or gave it up.
    Turn,
    Fault,
}

impl Thread {
    pub fn new(id: [u32; 3], index: u32, kernel: &Code, parameters: &[u8], fill: u8) -> Thread {
        let mut params = vec![0; kernel.param_bytes as usize];
        let known = parameters.len().min(params.len());
        params[..known].copy_from_slice(&parameters[..known]);
        Thread {
            id,
            lane: index % 32,
            warp: index / 32,
            state: State::Ready,
            frames: vec![Frame {
                function: 0,
                pc: 0,
                registers: vec![0; kernel.slots],
                params: 0,
                local: 0,
            }],
            params,
            local: vec![fill; kernel.local_bytes as usize],
            carry: false,
            cluster_arrivals: 0,
        }
    }

    /// The innermost function. A thread that has not exited has one.
    pub fn frame(&self) -> &Frame {
        self.frames.last().expect("a running thread has a frame")
    }

    fn frame_mut(&mut self) -> &mut Frame {
        self.frames
            .last_mut()
            .expect("a running thread has a frame")
    }

    /// The instruction to be executed next; `None` past the end of a function.
    pub fn instruction<'p>(&self, world: &World<'p>) -> Option<&'p Decoded> {
        let frame = self.frame();
        world.program.functions[frame.function]
            .instructions
            .get(frame.pc as usize)
    }

    pub fn advance(&mut self) {
        self.frame_mut().pc += 1;
        self.state = State::Ready;
    }

    pub fn register(&self, slot: u32) -> u64 {
        self.frame().registers[slot as usize]
    }

    /// Writes a result of `bits` bits, extended by its sign if the register is wider and the result signed.
    pub fn write(&mut self, target: Target, value: u64, bits: u32, signed: bool) {
        if let Some(TargetRegister { slot, bits: wide }) = target {
            let value = if signed && bits < wide {
                sign_extend(value, bits) as u64
            } else {
                truncate(value, bits)
            };
            self.frame_mut().registers[slot as usize] = truncate(value, wide);
        }
    }
}

/// A thread together with everything it can touch.
pub struct Machine<'m, 'w> {
    pub world: &'m mut World<'w>,
    pub shared: &'m mut [u8],
    pub thread: &'m mut Thread,
    pub block: [u32; 3],
}

impl Machine<'_, '_> {
    /// Runs until the thread waits, exits, traps or has executed `budget` instructions.
    pub fn run(&mut self, budget: u64) -> Result<Stop, Error> {
        for _ in 0..budget {
            let Some(instruction) = self.thread.instruction(self.world) else {
                // Past the end of a body is a return.
                if self.leave() {
                    continue;
                }
                return Ok(Stop::Exited);
            };
            self.world.outcome.steps += 1;
            if let Some((slot, negated)) = instruction.predicate {
                if (self.thread.register(slot) != 0) == negated {
                    self.thread.advance();
                    continue;
                }
            }
            match &instruction.action {
                Action::Barrier { .. } | Action::Warp { .. } | Action::ClusterWait => {
                    self.thread.state = State::Waiting;
                    return Ok(Stop::Waiting);
                }
                Action::Exit => {
                    self.thread.state = State::Exited;
                    return Ok(Stop::Exited);
                }
                Action::Return => {
                    if !self.leave() {
                        return Ok(Stop::Exited);
                    }
                }
                Action::Branch(target) => self.thread.frame_mut().pc = *target,
                Action::BranchIndexed { index, targets } => {
                    let index = self.read(*index) as u32;
                    let target = targets.get(index as usize).ok_or_else(|| {
                        self.undefined(
                            instruction,
                            format!("index {index} of {} branch targets", targets.len()),
                        )
                    })?;
                    self.thread.frame_mut().pc = *target;
                }
                Action::Trap => {
                    self.fault(instruction, FaultKind::Trap);
                    return Ok(Stop::Fault);
                }
                Action::Call {
                    callee,
                    results,
                    arguments,
                } => {
                    if let Some(stop) = self.call(instruction, callee, results, arguments)? {
                        return Ok(stop);
                    }
                }
                Action::Yield => {
                    self.thread.advance();
                    return Ok(Stop::Turn);
                }
                Action::MemoryBarrierObject {
                    operation,
                    place,
                    targets,
                    sources,
                } => {
                    let completed =
                        self.barrier_object(instruction, *operation, *place, targets, sources)?;
                    self.thread.advance();
                    if !completed {
                        return Ok(Stop::Turn);
                    }
                }
                _ => {
                    self.simple(instruction)?;
                    self.thread.frame_mut().pc += 1;
                }
            }
        }
        Ok(Stop::Turn)
    }

    /// Instructions that only go on to the next one.
    fn simple(&mut self, instruction: &Decoded) -> Result<(), Error> {
        match &instruction.action {
            Action::Nothing => {}
            Action::Pure {
                targets,
                sources,
                bits,
                signed,
            } => {
                let mut values = [0; 8];
                let count = sources.len().min(8);
                for (value, source) in values.iter_mut().zip(sources) {
                    *value = self.read(*source);
                }
                let form = &self.world.program.forms[instruction.form as usize];
                let output = semantics::evaluate(form, &values[..count], self.thread.carry)
                    .map_err(|e| self.unsupported(instruction, e.0))?;
                self.thread.write(targets[0], output.value, *bits, *signed);
                if let (Some(second), Some(value)) = (targets.get(1), output.second) {
                    self.thread.write(*second, value, 1, false);
                }
                if let Some(carry) = output.carry {
                    self.thread.carry = carry;
                }
            }
            Action::Move { targets, sources } => {
                let mut bits = 0u128;
                let mut at = 0;
                for (source, width) in sources {
                    bits |= u128::from(truncate(self.read(*source), *width)) << at;
                    at += width;
                }
                let mut at = 0;
                for (target, width) in targets {
                    self.thread
                        .write(*target, (bits >> at) as u64, *width, false);
                    at += width;
                }
            }
            Action::Load {
                place,
                bytes,
                signed,
                targets,
            } => {
                let total = u64::from(*bytes) * targets.len() as u64;
                let mut buffer = [0; 64];
                let data = self.bytes(instruction, *place, total, total)?;
                buffer[..data.len()].copy_from_slice(data);
                for (i, target) in targets.iter().enumerate() {
                    let value = little_endian(&buffer[i * *bytes as usize..][..*bytes as usize]);
                    self.thread.write(*target, value, bytes * 8, *signed);
                }
            }
            Action::Store {
                place,
                bytes,
                sources,
            } => {
                let total = u64::from(*bytes) * sources.len() as u64;
                let mut buffer = [0; 64];
                for (i, source) in sources.iter().enumerate() {
                    let value = self.read(*source);
                    buffer[i * *bytes as usize..][..*bytes as usize]
                        .copy_from_slice(&value.to_le_bytes()[..*bytes as usize]);
                }
                self.bytes(instruction, *place, total, total)?
                    .copy_from_slice(&buffer[..total as usize]);
            }
            Action::Atomic {
                place,
                ty,
                operation,
                targets,
                sources,
                count,
            } => {
                self.atomic(
                    instruction,
                    *place,
                    *ty,
                    *operation,
                    targets,
                    sources,
                    *count,
                )?;
            }
            Action::ToGeneric {
                space,
                target,
                source,
            } => {
                let value = self.read(*source);
                self.thread
                    .write(*target, value.wrapping_add(space.window()), 64, false);
            }
            Action::FromGeneric {
                space,
                target,
                source,
            } => {
                let value = self.read(*source);
                self.thread
                    .write(*target, value.wrapping_sub(space.window()), 64, false);
            }
            Action::IsSpace {
                space,
                target,
                source,
            } => {
                let (found, _) = self.window_of(self.read(*source));
                self.thread
                    .write(*target, u64::from(found == *space), 1, false);
            }
            Action::CopyAsync {
                to,
                from,
                bytes,
                valid,
                ignore,
            } => {
                let size = u64::from(*bytes);
                let mut taken = valid.map_or(size, |v| truncate(self.read(v), 32).min(size));
                if ignore.is_some_and(|p| self.read(p) != 0) {
                    taken = 0;
                }
                let mut buffer = [0; 16];
                if size as usize > buffer.len() {
                    return Err(self.unsupported(instruction, "this size".to_owned()));
                }
                // The source is aligned to the whole size even where less is read.
                let from = self.locate(*from);
                self.check_alignment(instruction, from, size)?;
                let data = self.slice(instruction, from, taken)?;
                buffer[..data.len()].copy_from_slice(data);
                self.bytes(instruction, *to, size, size)?
                    .copy_from_slice(&buffer[..size as usize]);
            }
            Action::CopyBulk {
                to,
                from,
                bytes,
                barrier,
            } => {
                let size = truncate(self.read(*bytes), 32);
                if size % 16 != 0 {
                    return Err(self.undefined(instruction, format!("a bulk copy of {size} bytes")));
                }
                let data = self.bytes(instruction, *from, size, 16)?.to_vec();
                self.bytes(instruction, *to, size, 16)?
                    .copy_from_slice(&data);
                if let Some(place) = barrier {
                    let object = self.bytes(instruction, *place, 8, 8)?;
                    let done = mbarrier::Object::unpack(little_endian(object));
                    object.copy_from_slice(&done.transfer(-(size as i32)).pack().to_le_bytes());
                }
            }
            Action::ClusterArrive => self.thread.cluster_arrivals += 1,
            Action::Alloca {
                target,
                size,
                align,
            } => {
                let start =
                    (self.thread.local.len() as u64).next_multiple_of(u64::from((*align).max(1)));
                let end = start + self.read(*size);
                if end > 1 << 24 {
                    return Err(
                        self.undefined(instruction, format!("alloca of {} bytes", end - start))
                    );
                }
                self.thread
                    .local
                    .resize(end as usize, self.world.options.fill);
                self.thread.write(*target, start, 64, false);
            }
            Action::StackSave { target } => {
                let top = self.thread.local.len() as u64;
                self.thread.write(*target, top, 64, false);
            }
            Action::StackRestore { source } => {
                let top = self.read(*source) as usize;
                self.thread.local.truncate(top);
            }
            _ => return Err(self.unsupported(instruction, String::new())),
        }
        Ok(())
    }

    /// The value of an operand.
    pub fn read(&self, source: Source) -> u64 {
        match source {
            Source::Register(slot) => self.thread.register(slot),
            Source::Not(slot) => u64::from(self.thread.register(slot) == 0),
            Source::Constant(value) => value,
            Source::Local(offset) => self.thread.frame().local.wrapping_add(offset),
            Source::Param(offset) => self.thread.frame().params.wrapping_add(offset),
            Source::Special(register) => self.special(register),
        }
    }

    fn special(&self, register: S) -> u64 {
        let launch = self.world.launch;
        let program = self.world.program;
        let (grid, size, tid) = (launch.grid, launch.block, self.thread.id);
        let lane = self.thread.lane;
        let clock = self.world.outcome.steps;
        let threads = size.iter().product::<u32>();
        let total = program.dynamic_shared_start + u64::from(launch.dynamic_shared);
        if let Some(mask) = lane_mask(register, lane) {
            return mask.into();
        }
        u64::from(match register {
            S::TidX => tid[0],
            S::TidY => tid[1],
            S::TidZ => tid[2],
            S::NtidX => size[0],
            S::NtidY => size[1],
            S::NtidZ => size[2],
            S::CtaidX => self.block[0],
            S::CtaidY => self.block[1],
            S::CtaidZ => self.block[2],
            S::NctaidX => grid[0],
            S::NctaidY => grid[1],
            S::NctaidZ => grid[2],
            S::Laneid => lane,
            S::Warpid => self.thread.warp,
            S::Nwarpid => threads.div_ceil(32),
            // Without clusters, each block is a cluster of its own.
            S::ClusteridX => self.block[0],
            S::ClusteridY => self.block[1],
            S::ClusteridZ => self.block[2],
            S::NclusteridX => grid[0],
            S::NclusteridY => grid[1],
            S::NclusteridZ => grid[2],
            S::ClusterNctaidX
            | S::ClusterNctaidY
            | S::ClusterNctaidZ
            | S::ClusterNctarank
            | S::Nsmid => 1,
            S::Clock | S::GlobaltimerLo => clock as u32,
            S::ClockHi | S::GlobaltimerHi => (clock >> 32) as u32,
            S::Clock64 | S::Globaltimer => return clock,
            S::TotalSmemSize | S::AggrSmemSize => total as u32,
            S::DynamicSmemSize => launch.dynamic_shared,
            _ => 0,
        })
    }

    /// The space that a generic address lies in, and the address there.
    fn window_of(&self, address: u64) -> (Space, u64) {
        for (space, window) in [
            (Space::Shared, SHARED_WINDOW),
            (Space::Local, LOCAL_WINDOW),
            (Space::Param, PARAM_WINDOW),
        ] {
            if (window..window + WINDOW).contains(&address) {
                return (space, address - window);
            }
        }
        (Space::Global, address)
    }

    /// The space and address of an access, generic ones resolved.
    fn locate(&self, place: Place) -> (Space, u64) {
        let address = self.read(place.base).wrapping_add_signed(place.offset);
        match place.space {
            Space::Generic => self.window_of(address),
            // Shared addresses may be in 32-bit registers, whose sums wrap.
            Space::Shared if address >> 32 == 0xffff_ffff || address >> 32 == 1 => {
                (Space::Shared, truncate(address, 32))
            }
            space => (space, address),
        }
    }

    fn check_alignment(
        &self,
        i: &Decoded,
        (space, address): (Space, u64),
        align: u64,
    ) -> Result<(), Error> {
        if address % align.max(1) != 0 {
            return Err(Error::Misaligned {
                address,
                bytes: align,
                space: space.name(),
                line: self.world.line(i.span),
            });
        }
        Ok(())
    }

    fn slice(
        &mut self,
        i: &Decoded,
        (space, address): (Space, u64),
        bytes: u64,
    ) -> Result<&mut [u8], Error> {
        let line_error = Error::OutOfBounds {
            address,
            bytes,
            space: space.name(),
            line: 0,
            block: self.block,
            thread: self.thread.id,
        };
        let range = || -> Option<std::ops::Range<usize>> {
            let start = usize::try_from(address).ok()?;
            Some(start..start.checked_add(bytes as usize)?)
        };
        let found = match space {
            _ if bytes == 0 => return Ok(&mut []),
            Space::Generic | Space::Global => self.world.memory.slice_mut(address, bytes as usize),
            Space::Shared => range().and_then(|r| self.shared.get_mut(r)),
            Space::Local => range().and_then(|r| self.thread.local.get_mut(r)),
            Space::Param => range().and_then(|r| self.thread.params.get_mut(r)),
        };
        match (found, line_error) {
            (Some(slice), _) => Ok(slice),
            (
                None,
                Error::OutOfBounds {
                    address,
                    bytes,
                    space,
                    block,
                    thread,
                    ..
                },
            ) => {
                let line = self.world.module.line(i.span);
                Err(Error::OutOfBounds {
                    address,
                    bytes,
                    space,
                    line,
                    block,
                    thread,
                })
            }
            (None, error) => Err(error),
        }
    }

    /// The bytes of an access.
    pub fn bytes(
        &mut self,
        i: &Decoded,
        place: Place,
        bytes: u64,
        align: u64,
    ) -> Result<&mut [u8], Error> {
        let at = self.locate(place);
        self.check_alignment(i, at, align)?;
        self.slice(i, at, bytes)
    }

    #[allow(clippy::too_many_arguments)]
    fn atomic(
        &mut self,
        i: &Decoded,
        place: Place,
        ty: ScalarType,
        operation: M,
        targets: &[Target],
        sources: &[Source],
        count: u32,
    ) -> Result<(), Error> {
        let bytes = ty.size().unwrap_or(4);
        if bytes == 16 {
            return self.wide_atomic(i, place, operation, targets, sources);
        }
        let total = u64::from(bytes * count);
        let at = self.locate(place);
        self.check_alignment(i, at, total)?;
        let values: Vec<u64> = sources.iter().map(|s| self.read(*s)).collect();
        // Only single-precision additions in global memory flush subnormals.
        let flush = at.0 == Space::Global;
        let mut old = Vec::new();
        let slice = self.slice(i, at, total)?;
        let mut known = true;
        for (index, part) in slice.chunks_mut(bytes as usize).enumerate() {
            let before = little_endian(part);
            let c = values.get(index + count as usize).copied().unwrap_or(0);
            match atomics::combine(operation, ty, before, values[index], c, flush) {
                Some(after) => part.copy_from_slice(&after.to_le_bytes()[..bytes as usize]),
                None => known = false,
            }
            old.push(before);
        }
        if !known {
            return Err(self.unsupported(i, String::new()));
        }
        for (target, value) in targets.iter().zip(old) {
            self.thread.write(*target, value, bytes * 8, ty.is_signed());
        }
        Ok(())
    }

    /// `atom.exch.b128` and `atom.cas.b128`.
    fn wide_atomic(
        &mut self,
        i: &Decoded,
        place: Place,
        operation: M,
        targets: &[Target],
        sources: &[Source],
    ) -> Result<(), Error> {
        let values: Vec<u128> = sources
            .chunks(2)
            .map(|pair| {
                let high = pair.get(1).map_or(0, |s| self.read(*s));
                u128::from(self.read(pair[0])) | u128::from(high) << 64
            })
            .collect();
        let new = match (operation, &values[..]) {
            (M::ExchMod, [b]) => (None, *b),
            (M::CasMod, [b, c]) => (Some(*b), *c),
            _ => return Err(self.unsupported(i, String::new())),
        };
        let slice = self.bytes(i, place, 16, 16)?;
        let mut old = [0; 16];
        old.copy_from_slice(slice);
        let old = u128::from_le_bytes(old);
        if new.0.is_none_or(|expected| expected == old) {
            slice.copy_from_slice(&new.1.to_le_bytes());
        }
        for (index, target) in targets.iter().enumerate().take(2) {
            self.thread
                .write(*target, (old >> (64 * index)) as u64, 64, false);
        }
        Ok(())
    }

    /// Does an `mbarrier` operation; false if it is a wait that is not over.
    fn barrier_object(
        &mut self,
        i: &Decoded,
        operation: mbarrier::Operation,
        place: Option<Place>,
        targets: &[Target],
        sources: &[Source],
    ) -> Result<bool, Error> {
        use mbarrier::{Object, Operation};
        let first = sources.first().map_or(0, |s| self.read(*s));
        let second = sources.get(1).map_or(0, |s| self.read(*s));
        let target = targets.first().copied().flatten();
        let Some(place) = place else {
            if operation != Operation::PendingCount {
                return Err(self.unsupported(i, String::new()));
            }
            self.thread
                .write(target, Object::unpack(first).pending.into(), 32, false);
            return Ok(true);
        };
        let slice = self.bytes(i, place, 8, 8)?;
        let old = Object::unpack(little_endian(slice));
        let arrive = |object: Object, count: u32| object.arrive(count);
        let mut done = true;
        let new = match operation {
            Operation::Init => Some(Object::new(first as u32)),
            Operation::Invalidate => Some(Object::unpack(0)),
            Operation::Arrive { expect, drop } => {
                let count = match (expect, sources.len()) {
                    (true, 2) => second as u32,
                    (false, 1) => first as u32,
                    _ => 1,
                };
                let mut object = old;
                if expect {
                    object.bytes += first as u32 as i32;
                }
                if drop {
                    object.expected = object.expected.saturating_sub(count);
                }
                arrive(object, count)
            }
            Operation::Expect => Some(old.transfer(first as u32 as i32)),
            Operation::Complete => Some(old.transfer(-(first as u32 as i32))),
            Operation::CopyArrive { noinc: true } => arrive(old, 1),
            // The pending count goes up by one and down again, since copies are complete at once.
            Operation::CopyArrive { noinc: false } => Some(old),
            Operation::Wait { parity } => {
                done = if parity {
                    old.phase != (first & 1 != 0)
                } else {
                    old.phase != Object::unpack(first).phase
                };
                Some(old)
            }
            Operation::PendingCount => None,
        };
        let Some(new) = new else {
            return Err(self.undefined(i, "more arrivals at an mbarrier than expected".to_owned()));
        };
        slice.copy_from_slice(&new.pack().to_le_bytes());
        match operation {
            Operation::Wait { .. } => self.thread.write(target, done.into(), 1, false),
            Operation::Arrive { .. } => self.thread.write(target, old.pack(), 64, false),
            _ => {}
        }
        Ok(done)
    }

    fn call(
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
    fn leave(&mut self) -> bool {
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

    fn fault(&mut self, i: &Decoded, kind: FaultKind) {
        let line = self.world.line(i.span);
        self.world.outcome.fault = Some(Fault {
            kind,
            line,
            block: self.block,
            thread: self.thread.id,
        });
    }

    /// The error for an instruction that is not known, or not in this form.
    pub fn unsupported(&self, i: &Decoded, what: String) -> Error {
        let mut mnemonic = self.world.program.forms[i.form as usize].mnemonic();
        if !what.is_empty() && what != mnemonic {
            mnemonic = format!("{mnemonic} ({what})");
        }
        Error::Unsupported {
            mnemonic,
            line: self.world.line(i.span),
        }
    }

    /// The error for something that PTX leaves undefined.
    pub fn undefined(&self, i: &Decoded, message: String) -> Error {
        Error::Undefined {
            message,
            line: self.world.line(i.span),
        }
    }
}

/// The value of `%lanemask_eq` and the others; `None` for other registers.
pub fn lane_mask(register: S, lane: u32) -> Option<u32> {
    Some(match register {
        S::LanemaskEq => 1 << lane,
        S::LanemaskLt => (1 << lane) - 1,
        S::LanemaskLe => u32::MAX >> (31 - lane),
        S::LanemaskGt => !(u32::MAX >> (31 - lane)),
        S::LanemaskGe => u32::MAX << lane,
        _ => return None,
    })
}

/// The value of up to eight bytes.
pub fn little_endian(bytes: &[u8]) -> u64 {
    let mut all = [0; 8];
    let count = bytes.len().min(8);
    all[..count].copy_from_slice(&bytes[..count]);
    u64::from_le_bytes(all)
}
