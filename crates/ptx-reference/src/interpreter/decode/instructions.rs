//! Instructions to actions, by opcode.

use super::{Decoder, Failure};
use crate::interpreter::mbarrier;
use crate::interpreter::program::*;
use crate::semantics::{self, Form};
use ptx::{Instruction, Modifier as M, Opcode as O, Operand, StateSpace, SymbolKind};

impl Decoder<'_, '_> {
    pub(super) fn action(&mut self, i: &Instruction, form: u32) -> Result<Action, Failure> {
        let span = i.span;
        let operand = |index: usize| i.operands.get(index).ok_or(Failure::Unsupported);
        if semantics::is_pure(i.opcode) {
            return self.pure(i, form);
        }
        let has = |m| i.has(m);
        let space = space_of(&i.modifiers);
        let ty = i.types().next();
        Ok(match i.opcode {
            O::Mov if has(M::Pred) || i.operands.len() == 2 => self.mov(i)?,
            O::Ld | O::Ldu => {
                let bytes = ty.and_then(M::size).ok_or(Failure::Unsupported)?;
                let ty = ty.ok_or(Failure::Unsupported)?;
                Action::Load {
                    place: self.place(operand(1)?, space, span)?,
                    bytes: bytes.min(8),
                    signed: ty.is_signed(),
                    targets: self.targets(operand(0)?)?,
                }
            }
            O::St | O::Red if has(M::Async) => {
                let access = if i.opcode == O::Red {
                    self.atomic(i, space)?
                } else {
                    Action::Store {
                        place: self.place(operand(0)?, space, span)?,
                        bytes: ty.and_then(M::size).ok_or(Failure::Unsupported)?.min(8),
                        sources: self.sources(operand(1)?, ty, span)?,
                    }
                };
                let count = match operand(1)? {
                    Operand::Vector(elements) => elements.len() as u32,
                    _ => 1,
                };
                Action::Completing {
                    access: Box::new(Decoded {
                        predicate: None,
                        action: access,
                        form,
                        span,
                    }),
                    bytes: count * ty.and_then(M::size).ok_or(Failure::Unsupported)?,
                    barrier: self.place(operand(2)?, Space::Shared, span)?,
                }
            }
            O::St if has(M::Bulk) => return Err(Failure::Unsupported),
            O::St => Action::Store {
                place: self.place(operand(0)?, space, span)?,
                bytes: ty.and_then(M::size).ok_or(Failure::Unsupported)?.min(8),
                sources: self.sources(operand(1)?, ty, span)?,
            },
            O::Tex | O::Tld4 => self.sample(i)?,
            O::Txq | O::Suq => {
                let known = |m: &M| {
                    matches!(
                        m,
                        M::Width
                            | M::Height
                            | M::Depth
                            | M::ArraySize
                            | M::NumMipmapLevels
                            | M::NumSamples
                            | M::NormalizedCoords
                            | M::ForceUnnormalizedCoords
                            | M::ChannelDataType
                            | M::ChannelOrder
                            | M::FilterMode
                            | M::AddrMode0
                            | M::AddrMode1
                            | M::AddrMode2
                            | M::MemoryLayout
                    )
                };
                let level = i.operands.get(2);
                Action::TextureQuery {
                    what: *i
                        .modifiers
                        .iter()
                        .find(|m| known(m))
                        .ok_or(Failure::Unsupported)?,
                    handle: self.place(operand(1)?, Space::Global, span)?.base,
                    level: level
                        .map(|o| self.source(o, Some(M::U32), span))
                        .transpose()?,
                    target: self.target(operand(0)?)?,
                }
            }
            O::Istypep => Action::IsType {
                class: *i.modifiers.first().ok_or(Failure::Unsupported)?,
                handle: self.source(operand(1)?, Some(M::B64), span)?,
                target: self.target(operand(0)?)?,
            },
            O::Suld if has(M::B) => self.surface(i)?,
            O::Sust | O::Sured if has(M::B) || has(M::P) => self.surface(i)?,
            O::Atom | O::Red => self.atomic(i, space)?,
            O::Cvta => {
                let source = match operand(1)? {
                    // `cvta.local.u64 %rd1, variable;`
                    o @ (Operand::Register(_) | Operand::Symbol { .. } | Operand::Integer(_)) => {
                        self.source(o, ty, span)?
                    }
                    _ => return Err(Failure::Unsupported),
                };
                let target = self.target(operand(0)?)?;
                if has(M::To) {
                    Action::FromGeneric {
                        space,
                        target,
                        source,
                    }
                } else {
                    Action::ToGeneric {
                        space,
                        target,
                        source,
                    }
                }
            }
            O::Isspacep => Action::IsSpace {
                space,
                target: self.target(operand(0)?)?,
                source: self.source(operand(1)?, Some(M::U64), span)?,
            },
            O::Bra => {
                let Operand::Label(label) = operand(0)? else {
                    return Err(Failure::Unsupported);
                };
                Action::Branch(self.labels[label.0 as usize])
            }
            O::Brx => {
                let Operand::BranchTargets(list) = operand(1)? else {
                    return Err(Failure::Unsupported);
                };
                Action::BranchIndexed {
                    index: self.source(operand(0)?, Some(M::U32), span)?,
                    targets: self.body.branch_targets[*list as usize]
                        .iter()
                        .map(|l| self.labels[l.0 as usize])
                        .collect(),
                }
            }
            O::Call => self.call(i)?,
            O::Ret => Action::Return,
            O::Exit => Action::Exit,
            O::Trap | O::Brkpt => Action::Trap,
            O::Bar | O::Barrier if has(M::Warp) => Action::Warp {
                kind: WarpKind::Barrier,
                targets: Targets::new(),
                sources: Sources::new(),
                mask: Some(self.source(operand(0)?, Some(M::B32), span)?),
                place: None,
            },
            O::Barrier if has(M::Cluster) && has(M::Arrive) => Action::ClusterArrive,
            O::Barrier if has(M::Cluster) && has(M::Wait) => Action::ClusterWait,
            O::Bar | O::Barrier if !has(M::Cluster) => self.barrier(i)?,
            O::Shfl | O::Vote | O::Match | O::Redux | O::Elect | O::Activemask => self.warp(i)?,
            O::Ldmatrix | O::Stmatrix | O::Movmatrix | O::Mma | O::Wmma => self.matrix(i, space)?,
            O::Cp if has(M::Bulk) => self.copy_bulk(i)?,
            O::Cp if has(M::Async) && !has(M::Mbarrier) => self.copy_async(i)?,
            O::Mbarrier | O::Cp if has(M::Mbarrier) || i.opcode == O::Mbarrier => {
                self.mbarrier(i, space)?
            }
            O::Nanosleep => Action::Yield,
            O::Membar
            | O::Fence
            | O::Prefetch
            | O::Prefetchu
            | O::Applypriority
            | O::Griddepcontrol
            | O::Pmevent
            | O::Setmaxnreg
            | O::Discard => Action::Nothing,
            // A policy only hints at caching; its value is opaque.
            O::Createpolicy => Action::Move {
                targets: [(self.target(operand(0)?)?, 64)].into_iter().collect(),
                sources: [(Source::Constant(0), 64)].into_iter().collect(),
            },
            // A grid without clusters has clusters of one block, whose rank is 0.
            O::Mapa => Action::Move {
                targets: [(self.target(operand(0)?)?, 64)].into_iter().collect(),
                sources: [(self.source(operand(1)?, ty, span)?, 64)]
                    .into_iter()
                    .collect(),
            },
            O::Getctarank => Action::Move {
                targets: [(self.target(operand(0)?)?, 32)].into_iter().collect(),
                sources: [(Source::Constant(0), 32)].into_iter().collect(),
            },
            O::Alloca => Action::Alloca {
                target: self.target(operand(0)?)?,
                size: self.source(operand(1)?, ty, span)?,
                align: match i.operands.get(2) {
                    Some(Operand::Integer(align)) => *align as u32,
                    _ => 8,
                },
            },
            O::Stacksave => Action::StackSave {
                target: self.target(operand(0)?)?,
            },
            O::Stackrestore => Action::StackRestore {
                source: self.source(operand(0)?, ty, span)?,
            },
            _ => return Err(Failure::Unsupported),
        })
    }

    /// `[handle, {coordinates}]`, `[handle, sampler, {coordinates}]`
    fn texture_address(
        &self,
        operand: Option<&Operand>,
        i: &Instruction,
    ) -> Result<(Source, Option<Source>, Sources), Failure> {
        let Some(Operand::TextureAddress(parts)) = operand else {
            return Err(Failure::Unsupported);
        };
        let (handle, sampler, coordinates) = match &**parts {
            [handle, coordinates] => (handle, None, coordinates),
            [handle, sampler, coordinates] => (handle, Some(sampler), coordinates),
            _ => return Err(Failure::Unsupported),
        };
        let handle_of = |o: &Operand| self.source(o, Some(M::B64), i.span);
        Ok((
            handle_of(handle)?,
            sampler.map(handle_of).transpose()?,
            self.sources(coordinates, Some(M::B32), i.span)?,
        ))
    }

    /// Whether an operand can only be a number of floating point.
    fn is_real(&self, operand: &Operand) -> bool {
        match operand {
            Operand::Single(_) | Operand::Double(_) => true,
            Operand::Register(r) => self.registers[r.0 as usize].1 == M::F32,
            _ => false,
        }
    }

    fn sample(&mut self, i: &Instruction) -> Result<Action, Failure> {
        let has = |m| i.has(m);
        let (axes, layered, cube) = geometry(i).ok_or(Failure::Unsupported)?;
        let gather = (i.opcode == O::Tld4)
            .then(|| [M::R, M::G, M::B, M::A].into_iter().position(has))
            .flatten();
        let details = 2 * usize::from(has(M::Grad)) + usize::from(has(M::Level));
        let half = match i.types().next() {
            Some(M::F16) if has(M::V4) => Some(Half::Single),
            Some(M::F16x2) if has(M::V2) => Some(Half::Packed),
            Some(M::F32 | M::U32 | M::S32) if has(M::V4) => None,
            _ => return Err(Failure::Unsupported),
        };
        let more = i.operands.get(2 + details..).ok_or(Failure::Unsupported)?;
        // What follows is an offset, or a depth to compare with.
        let known = match more {
            [] => true,
            [one] => !cube && !self.is_real(one),
            _ => false,
        };
        if !known || (i.opcode == O::Tld4) != gather.is_some() {
            return Err(Failure::Unsupported);
        }
        let destination = match &i.operands[0] {
            Operand::Pair(_) => return Err(Failure::Unsupported),
            one => one,
        };
        let (handle, sampler, coordinates) = self.texture_address(i.operands.get(1), i)?;
        let offset = match more {
            [offset] => self.sources(offset, Some(M::S32), i.span)?,
            _ => Sources::new(),
        };
        if !offset.is_empty() && offset.len() < axes {
            return Err(Failure::Unsupported);
        }
        let mut detail = Sources::new();
        for operand in &i.operands[2..2 + details] {
            detail.extend(self.sources(operand, Some(M::F32), i.span)?);
        }
        Ok(Action::Sample {
            sample: Sample {
                axes,
                layered,
                cube,
                integer: matches!(i.types().nth(1), Some(M::S32 | M::U32)),
                gradient: has(M::Grad),
                gather,
                half,
            },
            handle,
            sampler,
            offset,
            targets: self.targets(destination)?,
            coordinates,
            detail,
        })
    }

    fn surface(&mut self, i: &Instruction) -> Result<Action, Failure> {
        let (axes, layered, cube) = geometry(i).ok_or(Failure::Unsupported)?;
        let ty = i.types().next_back().ok_or(Failure::Unsupported)?;
        let bytes = ty.size().filter(|_| !cube).ok_or(Failure::Unsupported)?;
        let load = i.opcode == O::Suld;
        let address = i.operands.get(usize::from(load));
        let (handle, None, coordinates) = self.texture_address(address, i)? else {
            return Err(Failure::Unsupported);
        };
        let (mut targets, mut sources) = (Targets::new(), Sources::new());
        match load {
            true => targets = self.targets(&i.operands[0])?,
            false => {
                let data = i.operands.get(1).ok_or(Failure::Unsupported)?;
                sources = self.sources(data, Some(ty), i.span)?;
            }
        }
        let outside = [M::Clamp, M::Zero].into_iter().find(|&m| i.has(m));
        Ok(Action::Surface {
            surface: Surface {
                axes,
                layered,
                bytes,
                formatted: i.has(M::P),
                outside: outside.unwrap_or(M::TrapMod),
                reduce: match i.opcode {
                    O::Sured => Some((reduction(i).ok_or(Failure::Unsupported)?, ty)),
                    _ => None,
                },
            },
            handle,
            coordinates,
            targets,
            sources,
        })
    }

    fn pure(&mut self, i: &Instruction, form: u32) -> Result<Action, Failure> {
        let form = &self.program.forms[form as usize];
        let destination = i.operands.first().ok_or(Failure::Unsupported)?;
        let targets = match destination {
            Operand::Pair(pair) => [self.target(&pair.0)?, self.target(&pair.1)?]
                .into_iter()
                .collect(),
            other => [self.target(other)?].into_iter().collect(),
        };
        let mut sources = Sources::new();
        for (index, operand) in i.operands[1..].iter().enumerate() {
            sources.extend(self.sources(operand, form.operand_type(index), i.span)?);
        }
        let (bits, signed) = result_type(form);
        Ok(Action::Pure {
            targets,
            sources,
            bits,
            signed,
        })
    }

    fn mov(&mut self, i: &Instruction) -> Result<Action, Failure> {
        let ty = i.types().next().ok_or(Failure::Unsupported)?;
        let bits = semantics::width(ty);
        let [to, from] = &i.operands[..] else {
            return Err(Failure::Unsupported);
        };
        let pieces = |operand: &Operand| match operand {
            Operand::Vector(elements) => elements.len() as u32,
            _ => 1,
        };
        let targets = self.targets(to)?;
        let sources = self.sources(from, Some(ty), i.span)?;
        // `mov.v4.u32 %v, %tid` moves whole elements; without `.v4` a vector is the parts of one value.
        let whole = i.has(M::V2) || i.has(M::V4);
        let share = |count: u32| if whole { bits } else { bits / count };
        let target_bits = share(pieces(to).max(targets.len() as u32));
        let source_bits = share(pieces(from).max(sources.len() as u32));
        Ok(Action::Move {
            targets: targets.into_iter().map(|t| (t, target_bits)).collect(),
            sources: sources.into_iter().map(|s| (s, source_bits)).collect(),
        })
    }

    fn atomic(&mut self, i: &Instruction, space: Space) -> Result<Action, Failure> {
        let operation = reduction(i).ok_or(Failure::Unsupported)?;
        let ty = i.types().next().ok_or(Failure::Unsupported)?;
        let mut operands = i.operands.iter();
        let mut next = || operands.next().ok_or(Failure::Unsupported);
        let targets = if i.opcode == O::Atom {
            self.targets(next()?)?
        } else {
            Targets::new()
        };
        let place = self.place(next()?, space, i.span)?;
        let mut sources = self.sources(next()?, Some(ty), i.span)?;
        let count = if ty == M::B128 {
            1
        } else {
            sources.len() as u32
        };
        if operation == M::CasMod {
            sources.extend(self.sources(next()?, Some(ty), i.span)?);
        }
        Ok(Action::Atomic {
            place,
            ty,
            operation,
            targets,
            sources,
            count,
        })
    }

    fn call(&mut self, i: &Instruction) -> Result<Action, Failure> {
        let at = i
            .operands
            .iter()
            .position(|o| !matches!(o, Operand::List(_)))
            .ok_or(Failure::Unsupported)?;
        let list = |index: Option<usize>| match index.and_then(|index| i.operands.get(index)) {
            Some(Operand::List(items)) => &items[..],
            _ => &[],
        };
        let callee = match &i.operands[at] {
            Operand::Symbol { symbol, .. } => {
                let symbol = &self.body.symbols[symbol.0 as usize];
                match self.program.names.get(&symbol.name) {
                    Some(&index) => Callee::Function(index),
                    None => Callee::Builtin(symbol.name.clone()),
                }
            }
            register @ Operand::Register(_) => {
                Callee::Pointer(self.source(register, Some(M::U64), i.span)?)
            }
            _ => return Err(Failure::Unsupported),
        };
        let memory = |operand: &Operand| -> Option<Argument> {
            let Operand::Symbol { symbol, offset: 0 } = operand else {
                return None;
            };
            let symbol = &self.body.symbols[symbol.0 as usize];
            let formal = |f: &Formal| match f {
                Formal::Memory { offset, size } => Some(Argument::Memory {
                    offset: *offset,
                    size: *size,
                }),
                Formal::Register(_) => None,
            };
            match symbol.kind {
                SymbolKind::Local(v)
                    if self.body.variables[v as usize].space == StateSpace::Param =>
                {
                    Some(Argument::Memory {
                        offset: self.variables[v as usize],
                        size: self.body.variables[v as usize].size,
                    })
                }
                SymbolKind::Parameter(p) => formal(&self.formals[p as usize]),
                SymbolKind::Result(r) => formal(&self.results[r as usize]),
                _ => None,
            }
        };
        // The components of a vector are operands of their own.
        let components = |items: &[Operand]| -> Vec<Operand> {
            let each = items.iter().flat_map(|operand| match operand {
                Operand::Vector(parts) => parts.to_vec(),
                one => vec![one.clone()],
            });
            each.collect()
        };
        let mut results = Vec::new();
        for operand in &components(list(at.checked_sub(1))) {
            results.push(match memory(operand) {
                Some(argument) => argument,
                None => Argument::Result(self.target(operand)?),
            });
        }
        let mut arguments = Vec::new();
        for operand in &components(list(Some(at + 1))) {
            arguments.push(match memory(operand) {
                Some(argument) => argument,
                None => Argument::Value(self.source(operand, None, i.span)?),
            });
        }
        Ok(Action::Call {
            callee,
            results,
            arguments,
        })
    }

    fn barrier(&mut self, i: &Instruction) -> Result<Action, Failure> {
        let kind = if i.has(M::Arrive) {
            BarrierKind::Arrive
        } else if !i.has(M::RedMod) {
            BarrierKind::Sync
        } else if i.has(M::Popc) {
            BarrierKind::Popc
        } else if i.has(M::And) {
            BarrierKind::And
        } else {
            BarrierKind::Or
        };
        let mut operands = &i.operands[..];
        let reduces = matches!(kind, BarrierKind::Popc | BarrierKind::And | BarrierKind::Or);
        let (mut target, mut predicate) = (None, None);
        if reduces {
            let [first, rest @ .., last] = operands else {
                return Err(Failure::Unsupported);
            };
            target = self.target(first)?;
            predicate = Some(self.source(last, Some(M::Pred), i.span)?);
            operands = rest;
        }
        let id = self.source(
            operands.first().ok_or(Failure::Unsupported)?,
            Some(M::U32),
            i.span,
        )?;
        let count = match operands.get(1) {
            Some(operand) => Some(self.source(operand, Some(M::U32), i.span)?),
            None => None,
        };
        Ok(Action::Barrier {
            kind,
            id,
            count,
            predicate,
            target,
        })
    }

    fn warp(&mut self, i: &Instruction) -> Result<Action, Failure> {
        let kind = match i.opcode {
            O::Shfl => WarpKind::Shuffle,
            O::Vote => WarpKind::Vote,
            O::Match => WarpKind::Match,
            O::Redux => WarpKind::Redux,
            O::Elect => WarpKind::Elect,
            _ => WarpKind::ActiveMask,
        };
        let (first, rest) = i.operands.split_first().ok_or(Failure::Unsupported)?;
        let targets = self.targets(first)?;
        let mut sources = Sources::new();
        for operand in rest {
            let ty = if kind == WarpKind::Vote && sources.is_empty() {
                Some(M::Pred)
            } else {
                None
            };
            sources.push(self.source(operand, ty, i.span)?);
        }
        // With .sync, the last operand is the mask.
        let mask = if i.has(M::Sync) {
            Some(sources.pop().ok_or(Failure::Unsupported)?)
        } else {
            None
        };
        Ok(Action::Warp {
            kind,
            targets,
            sources,
            mask,
            place: None,
        })
    }

    fn matrix(&mut self, i: &Instruction, space: Space) -> Result<Action, Failure> {
        let kind = match i.opcode {
            O::Ldmatrix => WarpKind::LoadMatrix,
            O::Stmatrix => WarpKind::StoreMatrix,
            O::Movmatrix => WarpKind::MoveMatrix,
            O::Mma => WarpKind::Mma,
            _ if i.has(M::Load) => WarpKind::WmmaLoad,
            _ if i.has(M::Store) => WarpKind::WmmaStore,
            _ => WarpKind::WmmaMma,
        };
        let mut targets = Targets::new();
        let mut sources = Sources::new();
        let mut place = None;
        let stores = matches!(kind, WarpKind::StoreMatrix | WarpKind::WmmaStore);
        for (index, operand) in i.operands.iter().enumerate() {
            if matches!(operand, Operand::Address { .. }) {
                place = Some(self.place(operand, space, i.span)?);
            } else if index == 0 && !stores {
                targets = self.targets(operand)?;
            } else {
                sources.extend(self.sources(operand, None, i.span)?);
            }
        }
        Ok(Action::Warp {
            kind,
            targets,
            sources,
            mask: Some(Source::Constant(0xffff_ffff)),
            place,
        })
    }

    fn copy_async(&mut self, i: &Instruction) -> Result<Action, Failure> {
        if i.has(M::WaitAll) || i.has(M::WaitGroup) || i.has(M::CommitGroup) {
            return Ok(Action::Nothing);
        }
        let [to, from, size, rest @ ..] = &i.operands[..] else {
            return Err(Failure::Unsupported);
        };
        let Operand::Integer(bytes) = size else {
            return Err(Failure::Unsupported);
        };
        // What follows is the number of bytes to take or a predicate to take none, then a cache policy.
        let extra = rest.len() - usize::from(i.has(M::L2CacheHint));
        let (mut valid, mut ignore) = (None, None);
        if let (1, Some(operand)) = (extra, rest.first()) {
            let is_predicate = match operand {
                Operand::Register(r) => self.registers[r.0 as usize].1 == M::Pred,
                Operand::NotRegister(_) => true,
                _ => false,
            };
            let source = self.source(operand, Some(M::U32), i.span)?;
            if is_predicate {
                ignore = Some(source);
            } else {
                valid = Some(source);
            }
        }
        Ok(Action::CopyAsync {
            to: self.place(to, Space::Shared, i.span)?,
            from: self.place(from, Space::Global, i.span)?,
            bytes: *bytes as u32,
            valid,
            ignore,
        })
    }

    /// `cp.async.bulk` between two spaces, the destination's named first.
    /// cp.async.bulk.tensor in tiled mode.
    fn copy_tensor(&mut self, i: &Instruction) -> Result<Action, Failure> {
        let modes = [
            M::Im2col,
            M::Im2colW,
            M::Im2colW128,
            M::Im2colNoOffs,
            M::TileGather4,
            M::TileScatter4,
            M::MulticastClusterAll,
            M::CtaGroup1,
            M::CtaGroup2,
        ];
        if modes.iter().any(|m| i.has(*m)) {
            return Err(Failure::Unsupported);
        }
        let dimensions = [M::OneD, M::TwoD, M::ThreeD, M::FourD, M::FiveD];
        let rank = 1 + dimensions
            .iter()
            .position(|m| i.has(*m))
            .ok_or(Failure::Unsupported)?;
        let load = i.has(M::MbarrierCompleteTxBytes);
        let operand = |n: usize| i.operands.get(n).ok_or(Failure::Unsupported);
        let (map, None, coordinates) =
            self.texture_address(i.operands.get(usize::from(load)), i)?
        else {
            return Err(Failure::Unsupported);
        };
        if coordinates.len() != rank {
            return Err(Failure::Unsupported);
        }
        let shared = self.place(operand(usize::from(!load))?, Space::Shared, i.span)?;
        let how = if load {
            Tensor::Load {
                barrier: self.place(operand(2)?, Space::Shared, i.span)?,
                blocks: match i.has(M::MulticastCluster) {
                    true => Some(self.source(operand(3)?, Some(M::U16), i.span)?),
                    false => None,
                },
            }
        } else if i.has(M::Reduce) {
            Tensor::Reduce(reduction(i).ok_or(Failure::Unsupported)?)
        } else {
            Tensor::Store
        };
        Ok(Action::CopyTensor {
            map,
            coordinates,
            shared,
            how,
        })
    }

    fn copy_bulk(&mut self, i: &Instruction) -> Result<Action, Failure> {
        if i.has(M::WaitGroup) || i.has(M::CommitGroup) || i.has(M::Prefetch) {
            return Ok(Action::Nothing);
        }
        if i.has(M::Tensor) {
            return self.copy_tensor(i);
        }
        let others = [M::MulticastClusterAll, M::CpMask];
        if others.iter().any(|m| i.has(*m)) {
            return Err(Failure::Unsupported);
        }
        let mut spaces = i.modifiers.iter().filter_map(|m| match space_of(&[*m]) {
            Space::Generic => None,
            space => Some(space),
        });
        let (Some(to), Some(from)) = (spaces.next(), spaces.next()) else {
            return Err(Failure::Unsupported);
        };
        let [target, source, bytes, rest @ ..] = &i.operands[..] else {
            return Err(Failure::Unsupported);
        };
        let barrier = match (i.has(M::MbarrierCompleteTxBytes), rest.first()) {
            (true, Some(operand)) => Some(self.place(operand, Space::Shared, i.span)?),
            (false, _) if i.has(M::BulkGroup) => None,
            _ => return Err(Failure::Unsupported),
        };
        let reduce = match i.has(M::Reduce) {
            false => None,
            true => {
                let ty = i.types().next_back().ok_or(Failure::Unsupported)?;
                Some((reduction(i).ok_or(Failure::Unsupported)?, ty))
            }
        };
        Ok(Action::CopyBulk {
            reduce,
            to: self.place(target, to, i.span)?,
            from: self.place(source, from, i.span)?,
            bytes: self.source(bytes, Some(M::U32), i.span)?,
            barrier,
            blocks: match (i.has(M::MulticastCluster), rest.get(1)) {
                (false, _) => None,
                (true, Some(blocks)) => Some(self.source(blocks, Some(M::U16), i.span)?),
                (true, None) => return Err(Failure::Unsupported),
            },
        })
    }

    fn mbarrier(&mut self, i: &Instruction, space: Space) -> Result<Action, Failure> {
        let operation = mbarrier::Operation::of(i).ok_or(Failure::Unsupported)?;
        let mut targets = Targets::new();
        let mut sources = Sources::new();
        let mut place = None;
        for (index, operand) in i.operands.iter().enumerate() {
            match operand {
                Operand::Address { .. } => place = Some(self.place(operand, space, i.span)?),
                _ if index == 0 && operation.has_result() => targets = self.targets(operand)?,
                Operand::Sink => {}
                _ => sources.push(self.source(operand, None, i.span)?),
            }
        }
        Ok(Action::MemoryBarrierObject {
            operation,
            place,
            targets,
            sources,
        })
    }
}

/// The operation of an atomic instruction or a reduction.
fn reduction(i: &Instruction) -> Option<M> {
    const OPERATIONS: [M; 10] = [
        M::AddMod,
        M::IncMod,
        M::DecMod,
        M::MinMod,
        M::MaxMod,
        M::ExchMod,
        M::CasMod,
        M::And,
        M::Or,
        M::Xor,
    ];
    i.modifiers.iter().copied().find(|m| OPERATIONS.contains(m))
}

/// The state space of an access or conversion.
fn space_of(modifiers: &[M]) -> Space {
    modifiers
        .iter()
        .find_map(|m| {
            Some(match m {
                M::Global | M::Const => Space::Global,
                M::Shared | M::SharedCta | M::SharedCluster => Space::Shared,
                M::Local => Space::Local,
                M::Param | M::ParamEntry | M::ParamFunc => Space::Param,
                _ => return None,
            })
        })
        .unwrap_or(Space::Generic)
}

/// The width of a pure instruction's result, and whether a wider register gets it sign-extended.
fn result_type(form: &Form) -> (u32, bool) {
    let ty = form.ty.unwrap_or(M::B64);
    let bits = semantics::width(ty);
    match form.opcode {
        O::Setp | O::Testp => (1, false),
        O::Popc | O::Clz | O::Bfind => (32, false),
        O::Mul | O::Mad if form.wide => (bits * 2, ty.is_signed()),
        O::Cvt if form.has(M::Pack) => (32, false),
        _ => (bits, ty.is_signed()),
    }
}

/// The coordinates of a texture's geometry, whether a layer comes before them, and whether it is a cube.
fn geometry(i: &Instruction) -> Option<(usize, bool, bool)> {
    i.modifiers.iter().find_map(|m| {
        Some(match m {
            M::OneD => (1, false, false),
            M::TwoD => (2, false, false),
            M::ThreeD => (3, false, false),
            M::A1d => (1, true, false),
            M::A2d => (2, true, false),
            M::Cube => (3, false, true),
            M::Acube => (3, true, true),
            _ => return None,
        })
    })
}
