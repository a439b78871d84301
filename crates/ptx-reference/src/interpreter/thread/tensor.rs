//! Copies by tensor maps (PTX ISA, "Data Movement and Conversion Instructions: cp.async.bulk.tensor", "Tensors").

use super::{little_endian, Machine};
use crate::error::Error;
use crate::interpreter::atomics;
use crate::interpreter::program::*;
use crate::semantics::softfloat;
use ::texture::tensor::{ElementType, TensorMap, BYTES};
use ptx::{Modifier as M, ScalarType};

/// What an element is to reductions.
fn scalar(element: ElementType) -> ScalarType {
    match element {
        ElementType::Unsigned8 => M::U8,
        ElementType::Unsigned16 => M::U16,
        ElementType::Unsigned32 => M::U32,
        ElementType::Signed32 => M::S32,
        ElementType::Unsigned64 => M::U64,
        ElementType::Signed64 => M::S64,
        ElementType::Float16 => M::F16,
        ElementType::BFloat16 => M::Bf16,
        ElementType::Float64 => M::F64,
        _ => M::F32,
    }
}

/// The bits of an element as loads have them: NVIDIA's hardware rounds to TF32 then, to nearest and to even ones, and cuts off what
/// is not a number.
fn loaded(element: ElementType, bits: u64) -> u64 {
    match element.is_tensor_float() {
        false => bits,
        true if f32::from_bits(bits as u32).is_nan() => bits & !0x1fff,
        true => {
            let number = softfloat::F32.unpack(bits);
            softfloat::TF32.round(number, softfloat::Rounding::NearestEven)
        }
    }
}

impl Machine<'_, '_> {
    /// Copies a box, element by element, in either direction.
    pub(super) fn copy_tensor(
        &mut self,
        i: &Decoded,
        map: Source,
        coordinates: &[Source],
        shared: Place,
        how: Tensor,
    ) -> Result<(), Error> {
        let place = Place {
            space: Space::Generic,
            base: map,
            offset: 0,
        };
        let bytes = self.bytes(i, place, BYTES as u64, 64)?;
        let map = match TensorMap::decode(bytes) {
            Some(map) if map.dimensions.len() == coordinates.len() => map,
            _ => return Err(self.undefined(i, "a tensor map of other dimensions, or none".into())),
        };
        let first: Vec<i64> = coordinates
            .iter()
            .map(|&c| i64::from(self.read(c) as i32))
            .collect();
        if let Tensor::Load {
            blocks: Some(blocks),
            ..
        } = how
        {
            // A cluster is one block, the first.
            if self.read(blocks) & 1 == 0 {
                return Ok(());
            }
        }
        let size = u64::from(map.element.bytes());
        let (space, start) = self.locate(shared);
        let row: Vec<u64> = map.counts.iter().map(|&n| n.into()).collect();
        for number in 0..row.iter().product::<u64>() {
            let mut rest = number;
            let (mut address, mut inside) = (map.address, true);
            for axis in 0..row.len() {
                let index = rest % row[axis];
                rest /= row[axis];
                let at = first[axis] + index as i64 * i64::from(map.steps[axis]);
                inside &= (0..i64::from(map.dimensions[axis])).contains(&at);
                let stride = if axis == 0 {
                    size
                } else {
                    map.strides[axis - 1]
                };
                address = address.wrapping_add((at as u64).wrapping_mul(stride));
            }
            let mut element = [0u8; 8];
            let element = &mut element[..size as usize];
            let (line, column) = (number / row[0], number % row[0]);
            let at = start + line * u64::from(map.pitch()) + column * size;
            let here = map.swizzled(at as u32);
            let here = (space, u64::from(here));
            let there = (Space::Global, address);
            if let Tensor::Load { .. } = how {
                if inside {
                    element.copy_from_slice(self.slice(i, there, size)?);
                    let loaded = loaded(map.element, little_endian(element));
                    element.copy_from_slice(&loaded.to_le_bytes()[..size as usize]);
                } else {
                    for (n, byte) in (0..).zip(element.iter_mut()) {
                        *byte = map.fill(n);
                    }
                }
                self.slice(i, here, size)?.copy_from_slice(element);
                continue;
            }
            element.copy_from_slice(self.slice(i, here, size)?);
            if !inside {
                continue;
            }
            let to = self.slice(i, there, size)?;
            let Tensor::Reduce(operation) = how else {
                to.copy_from_slice(element);
                continue;
            };
            let (x, y) = (little_endian(to), little_endian(element));
            let ty = scalar(map.element);
            match atomics::combine(operation, ty, x, y, 0, true) {
                Some(v) => to.copy_from_slice(&v.to_le_bytes()[..size as usize]),
                None => return Err(self.undefined(i, format!("{operation} of {ty}"))),
            }
        }
        if let Tensor::Load { barrier, .. } = how {
            self.complete_bytes(i, barrier, map.box_bytes())?;
        }
        Ok(())
    }
}
