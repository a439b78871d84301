//! Memory as a thread sees it: addresses, bounds, atomics and barrier objects.

use super::{little_endian, Machine};
use crate::error::Error;
use crate::interpreter::program::*;
use crate::interpreter::{atomics, mbarrier};
use crate::semantics::truncate;
use ptx::{Modifier as M, ScalarType};

impl Machine<'_, '_> {
    /// The space that a generic address lies in, and the address there.
    pub(super) fn window_of(&self, address: u64) -> (Space, u64) {
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
    pub(super) fn locate(&self, place: Place) -> (Space, u64) {
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

    pub(super) fn check_alignment(
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

    pub(super) fn slice(
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
    pub(super) fn atomic(
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

    /// Fewer bytes are to come at an mbarrier.
    pub(super) fn complete_bytes(
        &mut self,
        i: &Decoded,
        place: Place,
        bytes: u32,
    ) -> Result<(), Error> {
        let object = self.bytes(i, place, 8, 8)?;
        let done = mbarrier::Object::unpack(little_endian(object));
        object.copy_from_slice(&done.transfer(-(bytes as i32)).pack().to_le_bytes());
        Ok(())
    }

    /// Does an `mbarrier` operation; false if it is a wait that is not over.
    pub(super) fn barrier_object(
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
}
