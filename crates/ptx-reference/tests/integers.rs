//! Integer and bit instructions against the definitions in the PTX ISA, written out bit by bit, and 128-bit arithmetic.

use proptest::prelude::*;
use ptx::{Modifier as M, Opcode as O};
use ptx_reference::semantics::{evaluate, Form, Output};

fn output(opcode: O, modifiers: &[M], operands: &[u64], carry: bool) -> Output {
    evaluate(&Form::new(opcode, modifiers), operands, carry).unwrap()
}

fn eval(opcode: O, modifiers: &[M], operands: &[u64]) -> u64 {
    output(opcode, modifiers, operands, false).value
}

fn word() -> impl Strategy<Value = u32> {
    prop_oneof![
        any::<u32>(),
        prop::sample::select(
            &[
                0u32,
                1,
                2,
                31,
                32,
                33,
                0x7fff_ffff,
                0x8000_0000,
                0x8000_0001,
                u32::MAX,
                u32::MAX - 1
            ][..]
        ),
        0u32..256,
    ]
}

fn long() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        word().prop_map(u64::from),
        prop::sample::select(&[1u64 << 63, (1 << 63) - 1, u64::MAX, u64::MAX - 1][..]),
    ]
}

/// `bfe` as the ISA's pseudocode has it.
fn bfe(a: u64, b: u32, c: u32, bits: u32, signed: bool) -> u64 {
    let msb = bits - 1;
    let (pos, len) = (b & 0xff, c & 0xff);
    let sign = if !signed || len == 0 {
        0
    } else {
        a >> (pos + len - 1).min(msb) & 1
    };
    (0..=msb).fold(0, |d, i| {
        d | (if i < len && pos + i <= msb {
            a >> (pos + i) & 1
        } else {
            sign
        }) << i
    })
}

/// `bfi` as the ISA's pseudocode has it.
fn bfi(a: u64, b: u64, c: u32, d: u32, bits: u32) -> u64 {
    let msb = bits - 1;
    let (pos, len) = (c & 0xff, d & 0xff);
    let mut f = b;
    for i in 0..len {
        if pos + i <= msb {
            f = f & !(1 << (pos + i)) | (a >> i & 1) << (pos + i);
        }
    }
    f
}

/// `bmsk` as the ISA's pseudocode has it.
fn bmsk(a: u32, b: u32, clamp: bool) -> u32 {
    let (a1, b1) = (a & 0x1f, b & 0x1f);
    let mut mask0 = u32::MAX << a1;
    let sum = a1 + b1;
    let mut mask1 = if sum >= 32 { 0 } else { u32::MAX << sum };
    let position_overflow = clamp && a >= 32;
    let width_overflow = clamp && b >= 32;
    if position_overflow {
        mask0 = 0;
    }
    if sum >= 32 || position_overflow || width_overflow {
        mask1 = 0;
    } else if b1 == 0 {
        mask1 = u32::MAX;
    }
    mask0 & !mask1
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn words(a in word(), b in word(), c in word()) {
        let (x, y, z) = (u64::from(a), u64::from(b), u64::from(c));
        let (s, t) = (a as i32, b as i32);
        let w = |v: i32| u64::from(v as u32);
        prop_assert_eq!(eval(O::Add, &[M::S32], &[x, y]), w(s.wrapping_add(t)));
        prop_assert_eq!(eval(O::Add, &[M::Sat, M::S32], &[x, y]), w(s.saturating_add(t)));
        prop_assert_eq!(eval(O::Sub, &[M::Sat, M::S32], &[x, y]), w(s.saturating_sub(t)));
        prop_assert_eq!(eval(O::Mul, &[M::Lo, M::S32], &[x, y]), w(s.wrapping_mul(t)));
        prop_assert_eq!(eval(O::Mul, &[M::Hi, M::S32], &[x, y]), (i64::from(s) * i64::from(t)) as u64 >> 32);
        prop_assert_eq!(eval(O::Mul, &[M::Hi, M::U32], &[x, y]), (x * y) >> 32);
        prop_assert_eq!(eval(O::Mul, &[M::Wide, M::U32], &[x, y]), x * y);
        prop_assert_eq!(eval(O::Mad, &[M::Wide, M::S32], &[x, y, z << 32 | 5]),
            (i64::from(s) * i64::from(t)).wrapping_add((z << 32 | 5) as i64) as u64);
        let high = ((i64::from(s) * i64::from(t)) >> 32) as i32;
        prop_assert_eq!(eval(O::Mad, &[M::Hi, M::Sat, M::S32], &[x, y, z]), w(high.saturating_add(c as i32)));
        prop_assert_eq!(eval(O::Mul24, &[M::Lo, M::S32], &[x, y]), w(((s << 8 >> 8) as i64 * (t << 8 >> 8) as i64) as i32));
        prop_assert_eq!(eval(O::Mul24, &[M::Hi, M::U32], &[x, y]), (((x & 0xff_ffff) * (y & 0xff_ffff)) >> 16) & 0xffff_ffff);
        prop_assert_eq!(eval(O::Sad, &[M::S32], &[x, y, z]), u64::from(s.abs_diff(t).wrapping_add(c)));
        prop_assert_eq!(eval(O::Min, &[M::S32], &[x, y]), w(s.min(t)));
        prop_assert_eq!(eval(O::Max, &[M::Relu, M::S32], &[x, y]), w(s.max(t).max(0)));
        prop_assert_eq!(eval(O::Shl, &[M::B32], &[x, y]), u64::from(a.checked_shl(b).unwrap_or(0)));
        prop_assert_eq!(eval(O::Shr, &[M::U32], &[x, y]), u64::from(a.checked_shr(b).unwrap_or(0)));
        prop_assert_eq!(eval(O::Shr, &[M::S32], &[x, y]), w(s.checked_shr(b).unwrap_or(s >> 31)));
        prop_assert_eq!(eval(O::Bfe, &[M::U32], &[x, y, z]), bfe(x, b, c, 32, false));
        prop_assert_eq!(eval(O::Bfe, &[M::S32], &[x, y, z]), bfe(x, b, c, 32, true));
        prop_assert_eq!(eval(O::Bfi, &[M::B32], &[x, y, z, x & 63]), bfi(x, y, c, a & 63, 32));
        prop_assert_eq!(eval(O::Bmsk, &[M::Clamp, M::B32], &[x, y]), u64::from(bmsk(a, b, true)));
        prop_assert_eq!(eval(O::Bmsk, &[M::Wrap, M::B32], &[x, y]), u64::from(bmsk(a, b, false)));
        if t != 0 {
            prop_assert_eq!(eval(O::Div, &[M::S32], &[x, y]), w(s.wrapping_div(t)));
            prop_assert_eq!(eval(O::Rem, &[M::S32], &[x, y]), w(s.wrapping_rem(t)));
            prop_assert_eq!(eval(O::Div, &[M::U32], &[x, y]), x / y);
        }
        // The funnel shift is a shift of both words together.
        let both = u128::from(y << 32 | x);
        let clamped = c.min(32);
        prop_assert_eq!(eval(O::Shf, &[M::L, M::Clamp, M::B32], &[x, y, z]), (both << clamped >> 32) as u32 as u64);
        prop_assert_eq!(eval(O::Shf, &[M::R, M::Clamp, M::B32], &[x, y, z]), (both >> clamped) as u32 as u64);
        prop_assert_eq!(eval(O::Shf, &[M::L, M::Wrap, M::B32], &[x, x, z]), u64::from(a.rotate_left(c & 31)));
        prop_assert_eq!(eval(O::Lop3, &[M::B32], &[x, y, z, 0x96]), x ^ y ^ z);
        prop_assert_eq!(eval(O::Lop3, &[M::B32], &[x, y, z, 0xe8]), x & y | x & z | y & z);
        prop_assert_eq!(eval(O::Lop3, &[M::B32], &[x, y, z, 0xca]), x & y | !x & z);
        prop_assert_eq!(eval(O::Prmt, &[M::B32], &[x, y, 0x3210]), x);
        prop_assert_eq!(eval(O::Prmt, &[M::B32], &[x, y, 0x7654]), y);
        prop_assert_eq!(eval(O::Prmt, &[M::B32], &[x, y, 0x0123]), u64::from(a.swap_bytes()));
        prop_assert_eq!(eval(O::Prmt, &[M::B32], &[x, y, 0xbbb3]), u64::from((a >> 24) | if a >> 31 == 1 { 0xffff_ff00 } else { 0 }));
        prop_assert_eq!(eval(O::Popc, &[M::B32], &[x]), u64::from(a.count_ones()));
        prop_assert_eq!(eval(O::Clz, &[M::B32], &[x]), u64::from(a.leading_zeros()));
        prop_assert_eq!(eval(O::Brev, &[M::B32], &[x]), u64::from(a.reverse_bits()));
        let bytes = |v: u32| v.to_le_bytes();
        let dot: i32 = (0..4).map(|i| i32::from(bytes(a)[i] as i8) * i32::from(bytes(b)[i])).sum();
        prop_assert_eq!(eval(O::Dp4a, &[M::S32, M::U32], &[x, y, z]), w((c as i32).wrapping_add(dot)));
        let dot: i64 = i64::from(a as i16) * i64::from(bytes(b)[2] as i8) + i64::from(s >> 16) * i64::from(bytes(b)[3] as i8);
        prop_assert_eq!(eval(O::Dp2a, &[M::Hi, M::S32, M::S32], &[x, y, z]), w((i64::from(c as i32) + dot) as i32));
        prop_assert_eq!(eval(O::Vabsdiff4, &[M::U32, M::U32, M::U32, M::AddMod], &[x, y, z]),
            u64::from((0..4).fold(c, |sum, i| sum.wrapping_add(bytes(a)[i].abs_diff(bytes(b)[i]).into()))));
    }

    #[test]
    fn longs(a in long(), b in long(), c in long()) {
        let (s, t) = (a as i64, b as i64);
        prop_assert_eq!(eval(O::Mul, &[M::Hi, M::S64], &[a, b]), ((i128::from(s) * i128::from(t)) >> 64) as u64);
        prop_assert_eq!(eval(O::Mul, &[M::Hi, M::U64], &[a, b]), ((u128::from(a) * u128::from(b)) >> 64) as u64);
        prop_assert_eq!(eval(O::Mul, &[M::Lo, M::S64], &[a, b]), a.wrapping_mul(b));
        prop_assert_eq!(eval(O::Mad, &[M::Lo, M::U64], &[a, b, c]), a.wrapping_mul(b).wrapping_add(c));
        prop_assert_eq!(eval(O::Bfe, &[M::S64], &[a, b, c]), bfe(a, b as u32, c as u32, 64, true));
        prop_assert_eq!(eval(O::Bfe, &[M::U64], &[a, b, c]), bfe(a, b as u32, c as u32, 64, false));
        prop_assert_eq!(eval(O::Bfi, &[M::B64], &[a, b, c, a & 127]), bfi(a, b, c as u32, (a & 127) as u32, 64));
        prop_assert_eq!(eval(O::Shr, &[M::S64], &[a, b]), s.checked_shr(b as u32).unwrap_or(s >> 63) as u64);
        prop_assert_eq!(eval(O::Shl, &[M::B64], &[a, b]), a.checked_shl(b as u32).unwrap_or(0));
        prop_assert_eq!(eval(O::Clz, &[M::B64], &[a]), u64::from(a.leading_zeros()));
        prop_assert_eq!(eval(O::Abs, &[M::S64], &[a]), s.wrapping_abs() as u64);
        prop_assert_eq!(eval(O::Neg, &[M::S64], &[a]), s.wrapping_neg() as u64);
        if b != 0 {
            prop_assert_eq!(eval(O::Div, &[M::S64], &[a, b]), s.wrapping_div(t) as u64);
            prop_assert_eq!(eval(O::Rem, &[M::U64], &[a, b]), a % b);
        }
        prop_assert_eq!(eval(O::Cvt, &[M::Sat, M::S8, M::S64], &[a]), s.clamp(-128, 127) as u8 as u64);
        prop_assert_eq!(eval(O::Cvt, &[M::Sat, M::U32, M::S64], &[a]), s.clamp(0, u32::MAX.into()) as u64);
        prop_assert_eq!(eval(O::Cvt, &[M::S64, M::S16], &[a]), a as i16 as i64 as u64);
        prop_assert_eq!(eval(O::Cvt, &[M::U32, M::S8], &[a]), u64::from(a as i8 as i32 as u32));
    }

    /// A 128-bit sum, difference and product out of 32-bit pieces, carried through CC.CF.
    #[test]
    fn extended_precision(a in any::<u128>(), b in any::<u128>()) {
        let piece = |v: u128, i: usize| (v >> (32 * i)) as u32 as u64;
        let chain = |first: O, next: O| {
            let (mut result, mut carry) = (0u128, false);
            for i in 0..4 {
                let o = output(if i == 0 { first } else { next }, &[M::Cc, M::U32], &[piece(a, i), piece(b, i)], carry);
                carry = o.carry.unwrap();
                result |= u128::from(o.value) << (32 * i);
            }
            (result, carry)
        };
        prop_assert_eq!(chain(O::Add, O::Addc), a.overflowing_add(b));
        // The flag is set where nothing is borrowed.
        let (difference, borrowed) = a.overflowing_sub(b);
        prop_assert_eq!(chain(O::Sub, O::Subc), (difference, !borrowed));
        // 64 by 32 bits.
        let (x, y) = (a as u64, b as u32);
        let [x0, x1] = [piece(x.into(), 0), piece(x.into(), 1)];
        let y = u64::from(y);
        let low = eval(O::Mul, &[M::Lo, M::U32], &[x0, y]);
        let middle = output(O::Mad, &[M::Lo, M::Cc, M::U32], &[x1, y, eval(O::Mul, &[M::Hi, M::U32], &[x0, y])], false);
        let high = output(O::Madc, &[M::Hi, M::U32], &[x1, y, 0], middle.carry.unwrap());
        let product = u128::from(low) | u128::from(middle.value) << 32 | u128::from(high.value) << 64;
        prop_assert_eq!(product, u128::from(x) * u128::from(y));
        prop_assert_eq!(high.carry, None);
    }
}

/// One flag for sums and differences, as GPUs have it.
#[test]
fn carries_and_borrows_mix() {
    let flag = |opcode, a: u64, b: u64| output(opcode, &[M::Cc, M::U32], &[a, b], false).carry;
    assert_eq!(flag(O::Sub, 0, 0), Some(true));
    assert_eq!(flag(O::Sub, 0, 1), Some(false));
    let with = |opcode, carry| output(opcode, &[M::U32], &[2, 0], carry).value;
    assert_eq!((with(O::Addc, false), with(O::Addc, true)), (2, 3));
    assert_eq!((with(O::Subc, false), with(O::Subc, true)), (1, 2));
}

#[test]
fn edges() {
    let min = u64::from(i32::MIN as u32);
    let minus_one = u64::from(u32::MAX);
    assert_eq!(eval(O::Div, &[M::S32], &[min, minus_one]), min);
    assert_eq!(eval(O::Rem, &[M::S32], &[min, minus_one]), 0);
    assert_eq!(eval(O::Abs, &[M::S32], &[min]), min);
    assert_eq!(eval(O::Bfind, &[M::U32], &[0]), minus_one);
    assert_eq!(eval(O::Bfind, &[M::S32], &[minus_one]), minus_one);
    assert_eq!(eval(O::Bfind, &[M::S32], &[min]), 30);
    assert_eq!(eval(O::Bfind, &[M::Shiftamt, M::U32], &[1]), 31);
    assert_eq!(eval(O::Bfind, &[M::U64], &[1 << 63]), 63);
    assert_eq!(eval(O::Cnot, &[M::B32], &[0]), 1);
    assert_eq!(eval(O::Not, &[M::Pred], &[0]), 1);
    assert_eq!(eval(O::Szext, &[M::Wrap, M::U32], &[minus_one, 0]), 0);
    assert_eq!(eval(O::Szext, &[M::Clamp, M::S32], &[0x80, 8]), 0xffff_ff80);
    assert_eq!(eval(O::Szext, &[M::Clamp, M::S32], &[0x80, 40]), 0x80);
    for (mask, base, offset, found) in [
        (0xaaaa_aaaau64, 3u64, 1i32, 3u32),
        (0xaaaa_aaaa, 3, -1, 3),
        (0xaaaa_aaaa, 2, 1, 3),
        (0xaaaa_aaaa, 2, -1, 1),
        (0xaaaa_aaaa, 2, 0, u32::MAX),
        (0xaaaa_aaaa, 3, 0, 3),
        (1, 0, 2, u32::MAX),
    ] {
        assert_eq!(
            eval(O::Fns, &[M::B32], &[mask, base, offset as u32 as u64]),
            u64::from(found)
        );
    }
    let modes = [
        (M::F4e, [0x3210u64, 0x4321, 0x5432, 0x6543]),
        (M::B4e, [0x5670, 0x6701, 0x7012, 0x0123]),
        (M::Rc8, [0x0000, 0x1111, 0x2222, 0x3333]),
        (M::Ecl, [0x3210, 0x3211, 0x3222, 0x3333]),
        (M::Ecr, [0x0000, 0x1110, 0x2210, 0x3210]),
        (M::Rc16, [0x1010, 0x3232, 0x1010, 0x3232]),
    ];
    let (a, b) = (0x3322_1100, 0x7766_5544);
    for (mode, selections) in modes {
        for (c, selection) in selections.into_iter().enumerate() {
            assert_eq!(
                eval(O::Prmt, &[M::B32, mode], &[a, b, c as u64]),
                eval(O::Prmt, &[M::B32], &[a, b, selection]),
                "{mode} {c}"
            );
        }
    }
    assert_eq!(eval(O::Slct, &[M::U32, M::S32], &[1, 2, minus_one]), 2);
    assert_eq!(eval(O::Slct, &[M::U32, M::F32], &[1, 2, 0x8000_0000]), 1);
    assert_eq!(
        eval(
            O::Cvt,
            &[M::Pack, M::Sat, M::U8, M::S32, M::B32],
            &[300, minus_one, 0x1234]
        ),
        0x1234_ff00
    );
    assert_eq!(
        eval(O::Cvt, &[M::Pack, M::Sat, M::S16, M::S32], &[0x8000, min]),
        0x7fff_8000
    );
    // 16-bit results are cut to 16 bits; their shifts are bounded by 16.
    assert_eq!(eval(O::Shr, &[M::S16], &[0x8000, 20]), 0xffff);
    assert_eq!(eval(O::Shl, &[M::B16], &[0x1, 16]), 0);
    assert_eq!(
        eval(O::Mul, &[M::Wide, M::U16], &[0xffff, 0xffff]),
        0xfffe_0001
    );
    assert_eq!(eval(O::Mul, &[M::Lo, M::S16], &[0x7fff, 2]), 0xfffe);
    assert_eq!(
        eval(O::Add, &[M::S16x2], &[0x7fff_ffff, 0x0001_0001]),
        0x8000_0000
    );
}

#[test]
fn unknown_forms_are_named() {
    let error = evaluate(&Form::new(O::Add, &[]), &[1, 2], false).unwrap_err();
    assert_eq!(error.to_string(), "no semantics for add");
    assert!(evaluate(&Form::new(O::Popc, &[M::B32]), &[], false).is_err());
}
