//! The operations of `atom` and `red` (PTX ISA, "Parallel Synchronization and Communication Instructions: atom").

use crate::semantics::softfloat::{Rounding, F32};
use crate::semantics::{format_of, packed, sign_extend, truncate, width};
use ptx::{Modifier as M, ScalarType};

/// The value that an atomic operation leaves in memory; `None` for a type it does not have.
///
/// `.add` of `.f32` flushes subnormals in global memory (`flush`); `.f16` and `.bf16` keep them.
pub fn combine(operation: M, ty: ScalarType, old: u64, b: u64, c: u64, flush: bool) -> Option<u64> {
    if let Some((element, count)) = packed(ty) {
        let bits = width(element);
        let mut value = 0;
        for lane in 0..count {
            let part = |v: u64| truncate(v >> (lane * bits), bits);
            value |=
                combine(operation, element, part(old), part(b), part(c), flush)? << (lane * bits);
        }
        return Some(value);
    }
    let bits = width(ty);
    let (old, b, c) = (truncate(old, bits), truncate(b, bits), truncate(c, bits));
    let by_size = |less: bool, pick_less: bool| if less == pick_less { old } else { b };
    if let Some(format) = format_of(ty) {
        let (x, y) = (format.to_f64(old), format.to_f64(b));
        return Some(match operation {
            M::AddMod => {
                let flush = |v| {
                    if flush && format == F32 {
                        format.flush(v)
                    } else {
                        v
                    }
                };
                flush(format.add(flush(old), flush(b), Rounding::NearestEven))
            }
            M::MinMod | M::MaxMod if x.is_nan() && y.is_nan() => format.nan(),
            M::MinMod | M::MaxMod if x.is_nan() => b,
            M::MinMod | M::MaxMod if y.is_nan() => old,
            M::MinMod | M::MaxMod => {
                let less = x < y || x == y && old & format.sign_bit() != 0;
                by_size(less, operation == M::MinMod)
            }
            M::ExchMod => b,
            M::CasMod => {
                if old == b {
                    c
                } else {
                    old
                }
            }
            _ => return None,
        });
    }
    let less = if ty.is_signed() {
        sign_extend(old, bits) < sign_extend(b, bits)
    } else {
        old < b
    };
    Some(match operation {
        M::AddMod => truncate(old.wrapping_add(b), bits),
        M::IncMod => {
            if old >= b {
                0
            } else {
                old + 1
            }
        }
        M::DecMod => {
            if old == 0 || old > b {
                b
            } else {
                old - 1
            }
        }
        M::MinMod => by_size(less, true),
        M::MaxMod => by_size(less, false),
        M::And => old & b,
        M::Or => old | b,
        M::Xor => old ^ b,
        M::ExchMod => b,
        M::CasMod => {
            if old == b {
                c
            } else {
                old
            }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_wrap() {
        assert_eq!(combine(M::IncMod, M::U32, 3, 3, 0, false), Some(0));
        assert_eq!(combine(M::IncMod, M::U32, 2, 3, 0, false), Some(3));
        assert_eq!(combine(M::IncMod, M::U32, 9, 3, 0, false), Some(0));
        assert_eq!(combine(M::DecMod, M::U32, 0, 3, 0, false), Some(3));
        assert_eq!(combine(M::DecMod, M::U32, 4, 3, 0, false), Some(3));
        assert_eq!(combine(M::DecMod, M::U32, 2, 3, 0, false), Some(1));
    }

    #[test]
    fn signs_matter() {
        assert_eq!(
            combine(M::MinMod, M::S32, 0xffff_ffff, 1, 0, false),
            Some(0xffff_ffff)
        );
        assert_eq!(
            combine(M::MinMod, M::U32, 0xffff_ffff, 1, 0, false),
            Some(1)
        );
        assert_eq!(combine(M::MaxMod, M::S64, u64::MAX, 1, 0, false), Some(1));
    }

    #[test]
    fn halves_add_apart() {
        // 1.0 + 1.0 in the low half, 65504 + 65504 in the high one.
        assert_eq!(
            combine(M::AddMod, M::F16x2, 0x7bff_3c00, 0x7bff_3c00, 0, false),
            Some(0x7c00_4000)
        );
    }
}
