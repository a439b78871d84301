//! One block: its threads, its shared memory, and where its threads meet.

use super::program::{Action, BarrierKind, Decoded, Source, WarpKind};
use super::thread::{Machine, State, Stop, Thread};
use super::World;
use crate::error::Error;
use rustc_hash::FxHashMap;

/// Instructions a thread may execute before others get their turn.
const TURN: u64 = 20_000;
/// Instructions a block may execute before another block gets its turn.
const BLOCK_TURN: u64 = 4_000_000;

/// How far a block got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Done,
    /// It is still running, perhaps waiting for another block.
    Paused,
    Fault,
}

/// A block being run.
pub struct Block {
    id: [u32; 3],
    threads: Vec<Thread>,
    shared: Vec<u8>,
    /// Threads that have arrived at a barrier without waiting, by barrier.
    arrived: FxHashMap<u32, Vec<bool>>,
}

/// A barrier that a thread waits at.
struct Waiting {
    thread: usize,
    kind: BarrierKind,
    count: Option<u32>,
}

impl Block {
    pub fn new(world: &World<'_>, id: [u32; 3]) -> Block {
        let [nx, ny, nz] = world.launch.block;
        let program = world.program;
        let fill = world.options.fill;
        let ids = (0..nz).flat_map(|z| (0..ny).flat_map(move |y| (0..nx).map(move |x| [x, y, z])));
        let threads = ids
            .zip(0..)
            .map(|(id, index)| {
                Thread::new(
                    id,
                    index,
                    &program.functions[0],
                    world.launch.parameters,
                    fill,
                )
            })
            .collect();
        let shared = program.dynamic_shared_start + u64::from(world.launch.dynamic_shared);
        Block {
            id,
            threads,
            shared: vec![fill; shared.max(program.shared_bytes) as usize],
            arrived: FxHashMap::default(),
        }
    }

    /// Runs until all threads have exited, one has trapped, or the block has had its turn.
    pub fn run(&mut self, world: &mut World<'_>) -> Result<Progress, Error> {
        let begin = world.outcome.steps;
        loop {
            let mut turns = false;
            for index in 0..self.threads.len() {
                if self.threads[index].state != State::Ready {
                    continue;
                }
                match self.machine(world, index).run(TURN)? {
                    Stop::Turn => turns = true,
                    Stop::Fault => return Ok(Progress::Fault),
                    Stop::Waiting | Stop::Exited => {}
                }
                if world.outcome.steps > world.options.step_limit {
                    return Err(Error::StepLimit(world.options.step_limit));
                }
            }
            if self.threads.iter().all(|t| t.state == State::Exited) {
                return Ok(Progress::Done);
            }
            let met = self.meet_in_warps(world)?
                | self.meet_at_barriers(world)?
                | self.meet_in_cluster(world);
            if !met && !turns && !self.meet_where_converged(world)? {
                return Err(self.deadlock(world));
            }
            if world.outcome.steps - begin > BLOCK_TURN {
                return Ok(Progress::Paused);
            }
        }
    }

    pub(super) fn machine<'m, 'w>(
        &'m mut self,
        world: &'m mut World<'w>,
        index: usize,
    ) -> Machine<'m, 'w> {
        Machine {
            world,
            shared: &mut self.shared,
            thread: &mut self.threads[index],
            block: self.id,
        }
    }

    /// The threads of a warp: a range of indices.
    fn warps(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let count = self.threads.len();
        (0..count)
            .step_by(32)
            .map(move |start| start..(start + 32).min(count))
    }

    /// The instruction that a waiting thread waits at.
    fn waits_at<'p>(&self, world: &World<'p>, index: usize) -> Option<&'p Decoded> {
        let thread = &self.threads[index];
        (thread.state == State::Waiting)
            .then(|| thread.instruction(world))
            .flatten()
    }

    /// Does every instruction of a warp for which all lanes of its mask have come. True if there was one.
    fn meet_in_warps(&mut self, world: &mut World<'_>) -> Result<bool, Error> {
        let mut met = false;
        for warp in self.warps().collect::<Vec<_>>() {
            let mut done = 0u32;
            for lane in 0..warp.len() {
                if done >> lane & 1 == 1 {
                    continue;
                }
                let Some(instruction) = self.waits_at(world, warp.start + lane) else {
                    continue;
                };
                let Some(mask) = self.mask(instruction, warp.start + lane) else {
                    continue;
                };
                if mask >> lane & 1 == 0 {
                    let machine = self.machine(world, warp.start + lane);
                    return Err(machine.undefined(
                        instruction,
                        format!("lane {lane} is not in mask {mask:#010x}"),
                    ));
                }
                // Lanes that have exited, or that the block does not have, count as come.
                let members: Vec<usize> = (0..warp.len())
                    .filter(|&l| mask >> l & 1 == 1)
                    .map(|l| warp.start + l)
                    .filter(|&i| self.threads[i].state != State::Exited)
                    .collect();
                let all = members.iter().all(|&i| {
                    self.waits_at(world, i).is_some_and(|other| {
                        other.form == instruction.form && self.mask(other, i) == Some(mask)
                    })
                });
                if all {
                    done |= members.iter().fold(0, |m, &i| m | 1 << (i - warp.start));
                    self.meet(world, &warp, &members)?;
                    met = true;
                }
            }
        }
        Ok(met)
    }

    /// The mask of a warp instruction, as the thread has it.
    fn mask(&self, instruction: &Decoded, index: usize) -> Option<u32> {
        let Action::Warp {
            mask: Some(mask), ..
        } = &instruction.action
        else {
            return None;
        };
        let lane = self.threads[index].lane;
        Some(match mask {
            Source::Register(slot) => self.threads[index].register(*slot) as u32,
            Source::Constant(mask) => *mask as u32,
            Source::Special(register) => super::thread::lane_mask(*register, lane)?,
            _ => return None,
        })
    }

    /// Where nothing else can go on: instructions of "the active threads" are done for the threads of a warp that
    /// wait at the same place, which is as converged as they can be.
    fn meet_where_converged(&mut self, world: &mut World<'_>) -> Result<bool, Error> {
        for warp in self.warps().collect::<Vec<_>>() {
            for index in warp.clone() {
                let Some(instruction) = self.waits_at(world, index) else {
                    continue;
                };
                if !matches!(instruction.action, Action::Warp { mask: None, .. }) {
                    continue;
                }
                let place = (
                    self.threads[index].frame().function,
                    self.threads[index].frame().pc,
                );
                let members: Vec<usize> = warp
                    .clone()
                    .filter(|&i| self.threads[i].state == State::Waiting)
                    .filter(|&i| {
                        (self.threads[i].frame().function, self.threads[i].frame().pc) == place
                    })
                    .collect();
                self.meet(world, &warp, &members)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Does a warp instruction for the threads that have come to it.
    fn meet(
        &mut self,
        world: &mut World<'_>,
        warp: &std::ops::Range<usize>,
        members: &[usize],
    ) -> Result<(), Error> {
        let is_barrier = members.iter().all(|&i| {
            self.waits_at(world, i).is_some_and(|d| {
                matches!(
                    d.action,
                    Action::Warp {
                        kind: WarpKind::Barrier,
                        ..
                    }
                )
            })
        });
        if !is_barrier {
            super::warp::execute(self, world, warp.start, members)?;
        }
        for &index in members {
            self.threads[index].advance();
        }
        Ok(())
    }

    /// Opens every block barrier at which enough warps have arrived. True if one opened or a thread arrived and went on.
    fn meet_at_barriers(&mut self, world: &mut World<'_>) -> Result<bool, Error> {
        let mut waiting: FxHashMap<u32, Vec<Waiting>> = FxHashMap::default();
        let mut met = false;
        for index in 0..self.threads.len() {
            let Some(instruction) = self.waits_at(world, index) else {
                continue;
            };
            let Action::Barrier {
                kind, id, count, ..
            } = &instruction.action
            else {
                continue;
            };
            let machine = self.machine(world, index);
            let id = machine.read(*id) as u32;
            let count = count.map(|c| machine.read(c) as u32);
            if id > 15 || count.is_some_and(|c| c % 32 != 0) {
                return Err(
                    machine.undefined(instruction, format!("barrier {id} of {count:?} threads"))
                );
            }
            if *kind == BarrierKind::Arrive {
                let total = self.threads.len();
                let arrived = self.arrived.entry(id).or_insert_with(|| vec![false; total]);
                if std::mem::replace(&mut arrived[index], true) {
                    // The barrier must first open.
                    continue;
                }
                self.threads[index].advance();
                met = true;
                // The count given on arrival is that of the waiting threads; a barrier at which nobody waits opens
                // when a waiter comes.
                continue;
            }
            waiting.entry(id).or_default().push(Waiting {
                thread: index,
                kind: *kind,
                count,
            });
        }
        for (id, waiters) in waiting {
            if self.is_complete(world, id, &waiters)? {
                self.open(world, id, &waiters);
                met = true;
            }
        }
        Ok(met)
    }

    /// Lets threads at `barrier.cluster.wait` go on when all of the cluster, which is this block, have arrived as
    /// often as they have. True if there was one.
    fn meet_in_cluster(&mut self, world: &World<'_>) -> bool {
        let live = self.threads.iter().filter(|t| t.state != State::Exited);
        let Some(least) = live.map(|t| t.cluster_arrivals).min() else {
            return false;
        };
        let mut met = false;
        for index in 0..self.threads.len() {
            let waits = self
                .waits_at(world, index)
                .is_some_and(|i| i.action == Action::ClusterWait);
            if waits && self.threads[index].cluster_arrivals <= least {
                self.threads[index].advance();
                met = true;
            }
        }
        met
    }

    fn is_complete(
        &mut self,
        world: &mut World<'_>,
        id: u32,
        waiters: &[Waiting],
    ) -> Result<bool, Error> {
        let mut here = vec![false; self.threads.len()];
        for waiter in waiters {
            here[waiter.thread] = true;
        }
        if let Some(arrived) = self.arrived.get(&id) {
            here.iter_mut().zip(arrived).for_each(|(h, a)| *h |= a);
        }
        let count = waiters[0].count;
        if waiters.iter().any(|w| w.count != count) {
            let index = waiters[0].thread;
            if let Some(instruction) = self.waits_at(world, index) {
                return Err(self.machine(world, index).undefined(
                    instruction,
                    format!("barrier {id} with different thread counts"),
                ));
            }
        }
        let (mut complete, mut missing) = (0, false);
        for warp in self.warps() {
            let live = warp
                .clone()
                .filter(|&i| self.threads[i].state != State::Exited);
            let any = warp.clone().any(|i| here[i]);
            let all = live.clone().all(|i| here[i]);
            missing |= !all;
            complete += u32::from(any && all) * 32;
        }
        Ok(match count {
            None => !missing,
            Some(count) => complete >= count,
        })
    }

    /// Lets the waiters of a barrier go on.
    fn open(&mut self, world: &mut World<'_>, id: u32, waiters: &[Waiting]) {
        let mut votes = Vec::new();
        for waiter in waiters {
            let Some(instruction) = self.waits_at(world, waiter.thread) else {
                continue;
            };
            if let Action::Barrier {
                predicate: Some(predicate),
                ..
            } = &instruction.action
            {
                votes.push(self.machine(world, waiter.thread).read(*predicate) != 0);
            }
        }
        for waiter in waiters {
            let Some(instruction) = self.waits_at(world, waiter.thread) else {
                continue;
            };
            if let Action::Barrier { target, .. } = &instruction.action {
                let value = match waiter.kind {
                    BarrierKind::Popc => votes.iter().filter(|v| **v).count() as u64,
                    BarrierKind::And => votes.iter().all(|v| *v).into(),
                    BarrierKind::Or => votes.iter().any(|v| *v).into(),
                    BarrierKind::Sync | BarrierKind::Arrive => 0,
                };
                self.threads[waiter.thread].write(*target, value, 32, false);
            }
            self.threads[waiter.thread].advance();
        }
        self.arrived.remove(&id);
    }

    fn deadlock(&self, world: &World<'_>) -> Error {
        let mut lines: Vec<(u32, usize)> = Vec::new();
        for index in 0..self.threads.len() {
            let Some(instruction) = self.waits_at(world, index) else {
                continue;
            };
            let line = world.line(instruction.span);
            match lines.iter_mut().find(|(l, _)| *l == line) {
                Some((_, count)) => *count += 1,
                None => lines.push((line, 1)),
            }
        }
        let waiting = lines
            .iter()
            .map(|(line, count)| format!("line {line} ({count})"))
            .collect::<Vec<_>>()
            .join(", ");
        Error::Deadlock {
            block: self.id,
            waiting,
        }
    }

    /// The thread with this index, for instructions between threads.
    pub(super) fn thread(&mut self, index: usize) -> &mut Thread {
        &mut self.threads[index]
    }
}
