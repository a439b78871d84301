//! One thread: its registers and memory, and the instructions that concern no other thread.

mod access;
mod call;
mod tensor;
mod texture;

pub use call::BUILTINS;

use super::program::*;
use super::{atomics, FaultKind, World};
use crate::error::Error;
use crate::semantics::{self, sign_extend, truncate};
use ptx::SpecialRegister as S;

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
            Action::Sample {
                sample,
                handle,
                sampler,
                offset,
                targets,
                coordinates,
                detail,
            } => self.sample(
                instruction,
                *sample,
                (*handle, *sampler),
                targets,
                coordinates,
                (detail, offset),
            )?,
            Action::IsType {
                class,
                handle,
                target,
            } => {
                let found = self.descriptor(instruction, *handle)?.class;
                let is = texture::is_class(found, *class);
                self.thread.write(*target, is.into(), 1, false);
            }
            Action::TextureQuery {
                what,
                handle,
                level,
                target,
            } => {
                let texture = self.descriptor(instruction, *handle)?;
                let level = level.map_or(0, |level| self.read(level));
                let value = texture::query(&texture, *what, level as u32);
                self.thread.write(*target, value.into(), 32, false);
            }
            Action::Surface {
                surface,
                handle,
                coordinates,
                targets,
                sources,
            } => self.surface(
                instruction,
                *surface,
                *handle,
                coordinates,
                targets,
                sources,
            )?,
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
                blocks,
                reduce,
            } => {
                if blocks.is_some_and(|blocks| self.read(blocks) & 1 == 0) {
                    return Ok(());
                }
                let size = truncate(self.read(*bytes), 32);
                if size % 16 != 0 {
                    return Err(self.undefined(instruction, format!("a bulk copy of {size} bytes")));
                }
                let data = self.bytes(instruction, *from, size, 16)?.to_vec();
                let global = self.locate(*to).0 == Space::Global;
                let target = self.bytes(instruction, *to, size, 16)?;
                match reduce {
                    None => target.copy_from_slice(&data),
                    Some((operation, ty)) => {
                        let each = ty.size().unwrap_or(4) as usize;
                        for (old, new) in target.chunks_mut(each).zip(data.chunks(each)) {
                            let (x, y) = (little_endian(old), little_endian(new));
                            if let Some(v) = atomics::combine(*operation, *ty, x, y, 0, global) {
                                old.copy_from_slice(&v.to_le_bytes()[..each]);
                            }
                        }
                    }
                }
                if let Some(place) = barrier {
                    self.complete_bytes(instruction, *place, size as u32)?;
                }
            }
            Action::CopyTensor {
                map,
                coordinates,
                shared,
                how,
            } => self.copy_tensor(instruction, *map, coordinates, *shared, *how)?,
            Action::Completing {
                access,
                bytes,
                barrier,
            } => {
                self.simple(access)?;
                self.complete_bytes(instruction, *barrier, *bytes)?;
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
            // In units of allocation.
            S::TotalSmemSize | S::AggrSmemSize => (total as u32).next_multiple_of(128),
            S::DynamicSmemSize => launch.dynamic_shared,
            _ => 0,
        })
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
