//! Floating-point semantics against the CPU's arithmetic, the crate `half`, and formulas of their own.

use proptest::prelude::*;
use ptx::{Modifier as M, Opcode as O};
use ptx_reference::semantics::softfloat::{
    self, Format, Rounding, BF16, E2M1, E4M3, E5M2, F16, F32, F64, TF32,
};
use ptx_reference::semantics::{evaluate, Form};

fn eval(opcode: O, modifiers: &[M], operands: &[u64]) -> u64 {
    evaluate(&Form::new(opcode, modifiers), operands, false)
        .unwrap()
        .value
}

/// Bits of single-precision numbers that are likely to go wrong.
const NASTY: [u32; 24] = [
    0x0000_0000,
    0x8000_0000,
    0x0000_0001,
    0x8000_0001,
    0x007f_ffff,
    0x807f_ffff,
    0x0080_0000,
    0x8080_0000,
    0x3f80_0000,
    0xbf80_0000,
    0x3f80_0001,
    0x3f7f_ffff,
    0x3f00_0000,
    0x7f7f_ffff,
    0xff7f_ffff,
    0x7f80_0000,
    0xff80_0000,
    0x7fc0_0000,
    0x7f80_0001,
    0xffff_ffff,
    0x4b00_0000,
    0x4b00_0001,
    0x5f00_0000,
    0xcf00_0000,
];

fn single() -> impl Strategy<Value = u32> {
    prop_oneof![
        any::<u32>(),
        prop::sample::select(&NASTY[..]),
        (0x3f00_0000u32..0x4100_0000)
    ]
}

fn double() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        single().prop_map(|v| f64::from(f32::from_bits(v)).to_bits()),
        prop::sample::select(
            &[
                0,
                1,
                1 << 63,
                (1 << 52) - 1,
                1 << 52,
                0x7fef_ffff_ffff_ffff,
                0x7ff0_0000_0000_0000
            ][..]
        ),
    ]
}

/// The same value, all NaNs being the same.
fn same(format: Format, a: u64, b: u64) -> bool {
    a == b || format.is_nan(a) && format.is_nan(b)
}

/// The bits of the nearest half. `half` converts doubles by way of singles; rounding to odd on the way keeps that from
/// rounding twice.
fn nearest_half(x: f64) -> u16 {
    let mut single = x as f32;
    if single.is_finite() && f64::from(single) != x && single.to_bits() & 1 == 0 {
        // The neighbour on the other side of x is odd.
        let away = f64::from(single).abs() < x.abs();
        let bits = single.to_bits();
        single = f32::from_bits(if away { bits + 1 } else { bits - 1 });
    }
    half::f16::from_f32(single).to_bits()
}

/// Checks a result rounded with each mode against the exact value, which lies `side` of the nearest double `value`.
fn brackets(
    format: Format,
    value: f64,
    side: std::cmp::Ordering,
    rounded: impl Fn(Rounding) -> u64,
) {
    use std::cmp::Ordering::*;
    let down = format.to_f64(rounded(Rounding::Down));
    let up = format.to_f64(rounded(Rounding::Up));
    // exact > value, or exact >= value when they are equal.
    let at_most = |x: f64| x < value || x == value && side != Less;
    let at_least = |x: f64| x > value || x == value && side != Greater;
    assert!(at_most(down), "{down:e} is above {value:e} {side:?}");
    assert!(at_least(up), "{up:e} is below {value:e} {side:?}");
    // Nothing of the format lies between.
    if down != up {
        let next = format.to_f64(
            if down < 0.0 || down == 0.0 && rounded(Rounding::Down) >> (format.width() - 1) == 1 {
                let bits = rounded(Rounding::Down);
                if bits == format.sign_bit() {
                    1
                } else {
                    bits - 1
                }
            } else {
                rounded(Rounding::Down) + 1
            },
        );
        assert_eq!(next, up, "{down:e} {up:e}");
    }
    let zero = format.to_f64(rounded(Rounding::Zero));
    let negative = value < 0.0 || value == 0.0 && side == Less;
    assert_eq!(zero, if negative { up } else { down });
    let nearest = format.to_f64(rounded(Rounding::NearestEven));
    assert!(nearest == down || nearest == up);
    if down.is_finite() && up.is_finite() {
        let (below, above) = (value - down, up - value);
        if (below - above).abs() > value.abs() * 1e-14 {
            assert_eq!(nearest, if below < above { down } else { up });
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn single_precision_to_nearest_is_the_cpus(a in single(), b in single(), c in single()) {
        let (x, y, z) = (f32::from_bits(a), f32::from_bits(b), f32::from_bits(c));
        let (a, b, c) = (u64::from(a), u64::from(b), u64::from(c));
        let n = Rounding::NearestEven;
        let cases = [
            (F32.add(a, b, n), x + y),
            (F32.multiply(a, b, n), x * y),
            (F32.divide(a, b, n), x / y),
            (F32.square_root(a, n), x.sqrt()),
            (F32.multiply_add(a, b, c, n), x.mul_add(y, z)),
            (eval(O::Add, &[M::F32], &[a, b]), x + y),
            (eval(O::Sub, &[M::Rn, M::F32], &[a, b]), x - y),
            (eval(O::Fma, &[M::Rn, M::F32], &[a, b, c]), x.mul_add(y, z)),
            (eval(O::Div, &[M::Rn, M::F32], &[a, b]), x / y),
            (eval(O::Rcp, &[M::Rn, M::F32], &[a]), 1.0 / x),
        ];
        for (i, (ours, cpu)) in cases.into_iter().enumerate() {
            prop_assert!(same(F32, ours, cpu.to_bits().into()), "case {i}: {x:e} {y:e} {z:e}: {ours:#x} {:#x}", cpu.to_bits());
        }
    }

    #[test]
    fn double_precision_to_nearest_is_the_cpus(a in double(), b in double(), c in double()) {
        let (x, y, z) = (f64::from_bits(a), f64::from_bits(b), f64::from_bits(c));
        let cases = [
            (eval(O::Add, &[M::F64], &[a, b]), x + y),
            (eval(O::Sub, &[M::F64], &[a, b]), x - y),
            (eval(O::Mul, &[M::F64], &[a, b]), x * y),
            (eval(O::Div, &[M::Rn, M::F64], &[a, b]), x / y),
            (eval(O::Sqrt, &[M::Rn, M::F64], &[a]), x.sqrt()),
            (eval(O::Fma, &[M::Rn, M::F64], &[a, b, c]), x.mul_add(y, z)),
        ];
        for (i, (ours, cpu)) in cases.into_iter().enumerate() {
            prop_assert!(same(F64, ours, cpu.to_bits()), "case {i}: {x:e} {y:e} {z:e}: {ours:#x} {:#x}", cpu.to_bits());
        }
    }

    /// The exact sum or product of two singles, as a double and the sign of what is missing, brackets every rounding.
    #[test]
    fn directed_roundings_bracket_the_exact_value(a in single(), b in single()) {
        let (x, y) = (f64::from(f32::from_bits(a)), f64::from(f32::from_bits(b)));
        if !(x.is_finite() && y.is_finite()) {
            return Ok(());
        }
        let (a, b) = (u64::from(a), u64::from(b));
        // A product of two singles is exact in a double, unless below its range.
        brackets(F32, x * y, std::cmp::Ordering::Equal, |r| F32.multiply(a, b, r));
        // The error of a sum of doubles is a double (two-sum).
        let sum = x + y;
        let virtual_y = sum - x;
        let error = (x - (sum - virtual_y)) + (y - virtual_y);
        brackets(F32, sum, error.partial_cmp(&0.0).unwrap(), |r| F32.add(a, b, r));
        if y != 0.0 {
            let quotient = x / y;
            let rest = (-quotient).mul_add(y, x);
            let side = rest.partial_cmp(&0.0).unwrap();
            brackets(F32, quotient, if y < 0.0 { side.reverse() } else { side }, |r| F32.divide(a, b, r));
        }
        if x >= 0.0 {
            let root = x.sqrt();
            let side = (-root).mul_add(root, x).partial_cmp(&0.0).unwrap();
            brackets(F32, root, side, |r| F32.square_root(a, r));
        }
    }

    #[test]
    fn fused_sums_are_rounded_once(a in single(), b in single(), c in single()) {
        let (x, y, z) = (f64::from(f32::from_bits(a)), f64::from(f32::from_bits(b)), f64::from(f32::from_bits(c)));
        if !(x.is_finite() && y.is_finite() && z.is_finite()) {
            return Ok(());
        }
        let (product, sum) = (x * y, x * y + z);
        let virtual_z = sum - product;
        let error = (product - (sum - virtual_z)) + (z - virtual_z);
        let (a, b, c) = (u64::from(a), u64::from(b), u64::from(c));
        brackets(F32, sum, error.partial_cmp(&0.0).unwrap(), |r| F32.multiply_add(a, b, c, r));
    }

    #[test]
    fn conversions_are_those_of_half(a in single(), d in double()) {
        let (x, n) = (f32::from_bits(a), Rounding::NearestEven);
        let a = u64::from(a);
        prop_assert!(same(F16, F16.round(F32.unpack(a), n), half::f16::from_f32(x).to_bits().into()));
        prop_assert!(same(BF16, BF16.round(F32.unpack(a), n), half::bf16::from_f32(x).to_bits().into()));
        prop_assert!(same(F32, eval(O::Cvt, &[M::Rn, M::F32, M::F64], &[d]), (f64::from_bits(d) as f32).to_bits().into()));
        prop_assert_eq!(same(F64, eval(O::Cvt, &[M::F64, M::F32], &[a]), f64::from(x).to_bits()), true);
    }

    #[test]
    fn half_precision_arithmetic(a in any::<u16>(), b in any::<u16>(), c in any::<u16>()) {
        use half::f16;
        let [x, y, z] = [a, b, c].map(|v| f64::from(f16::from_bits(v)));
        let (a, b, c) = (u64::from(a), u64::from(b), u64::from(c));
        // Sums and products of halves are exact in doubles; one rounding follows.
        let check = |ours: u64, exact: f64| same(F16, ours, nearest_half(exact).into());
        prop_assert!(check(eval(O::Add, &[M::F16], &[a, b]), x + y));
        prop_assert!(check(eval(O::Sub, &[M::F16], &[a, b]), x - y));
        prop_assert!(check(eval(O::Mul, &[M::F16], &[a, b]), x * y));
        // The exact sum brackets every rounding. (`half` converts doubles by way of singles, which rounds twice.)
        if x.is_finite() && y.is_finite() && z.is_finite() {
            let (product, sum) = (x * y, x * y + z);
            let virtual_z = sum - product;
            let error = (product - (sum - virtual_z)) + (z - virtual_z);
            brackets(F16, sum, error.partial_cmp(&0.0).unwrap(), |r| F16.multiply_add(a, b, c, r));
            let nearest = F16.multiply_add(a, b, c, Rounding::NearestEven);
            prop_assert_eq!(eval(O::Fma, &[M::Rn, M::F16], &[a, b, c]), nearest);
        }
        let packed = eval(O::Mul, &[M::F16x2], &[a | b << 16, c | c << 16]);
        prop_assert!(check(packed & 0xffff, x * z) && check(packed >> 16, y * z));
    }

    #[test]
    fn to_integers_as_rust_casts(a in single(), d in double()) {
        let (x, y) = (f32::from_bits(a), f64::from_bits(d));
        let a = u64::from(a);
        if !x.is_nan() {
            prop_assert_eq!(eval(O::Cvt, &[M::Rzi, M::S32, M::F32], &[a]), u64::from(x as i32 as u32));
            prop_assert_eq!(eval(O::Cvt, &[M::Rzi, M::U32, M::F32], &[a]), u64::from(x as u32));
            prop_assert_eq!(eval(O::Cvt, &[M::Rzi, M::S64, M::F32], &[a]), x as i64 as u64);
            prop_assert_eq!(eval(O::Cvt, &[M::Rzi, M::U64, M::F32], &[a]), x as u64);
            prop_assert_eq!(eval(O::Cvt, &[M::Rzi, M::S8, M::F32], &[a]), u64::from(x as i8 as u8));
            prop_assert_eq!(eval(O::Cvt, &[M::Rni, M::S32, M::F32], &[a]), u64::from(x.round_ties_even() as i32 as u32));
            prop_assert_eq!(eval(O::Cvt, &[M::Rmi, M::S32, M::F32], &[a]), u64::from(x.floor() as i32 as u32));
            prop_assert_eq!(eval(O::Cvt, &[M::Rpi, M::U16, M::F32], &[a]), u64::from(x.ceil() as u16));
        }
        if !y.is_nan() {
            prop_assert_eq!(eval(O::Cvt, &[M::Rzi, M::S64, M::F64], &[d]), y as i64 as u64);
            prop_assert_eq!(eval(O::Cvt, &[M::Rni, M::S32, M::F64], &[d]), u64::from(y.round_ties_even() as i32 as u32));
        }
        // To integers that stay floating-point.
        let f = |v: f32| u64::from(v.to_bits());
        prop_assert!(same(F32, eval(O::Cvt, &[M::Rni, M::F32, M::F32], &[a]), f(x.round_ties_even())));
        prop_assert!(same(F32, eval(O::Cvt, &[M::Rzi, M::F32, M::F32], &[a]), f(x.trunc())));
        prop_assert!(same(F32, eval(O::Cvt, &[M::Rmi, M::F32, M::F32], &[a]), f(x.floor())));
        prop_assert!(same(F32, eval(O::Cvt, &[M::Rpi, M::F32, M::F32], &[a]), f(x.ceil())));
    }

    #[test]
    fn from_integers_as_rust_casts(v in any::<u64>(), shift in 0u32..64) {
        let v = v >> shift;
        let f = |x: f32| u64::from(x.to_bits());
        prop_assert_eq!(eval(O::Cvt, &[M::Rn, M::F32, M::S32], &[v]), f(v as i32 as f32));
        prop_assert_eq!(eval(O::Cvt, &[M::Rn, M::F32, M::U32], &[v]), f(v as u32 as f32));
        prop_assert_eq!(eval(O::Cvt, &[M::Rn, M::F32, M::S64], &[v]), f(v as i64 as f32));
        prop_assert_eq!(eval(O::Cvt, &[M::Rn, M::F32, M::U64], &[v]), f(v as f32));
        prop_assert_eq!(eval(O::Cvt, &[M::Rn, M::F64, M::U64], &[v]), (v as f64).to_bits());
        prop_assert_eq!(eval(O::Cvt, &[M::Rn, M::F64, M::S64], &[v]), (v as i64 as f64).to_bits());
        prop_assert_eq!(eval(O::Cvt, &[M::Rn, M::F32, M::S16], &[v]), f(v as i16 as f32));
        prop_assert_eq!(eval(O::Cvt, &[M::Rn, M::F16, M::S32], &[v]), u64::from(nearest_half((v as i32).into())));
    }
}

#[test]
fn every_small_encoding_survives() {
    for format in [
        F16,
        BF16,
        E4M3,
        E5M2,
        E2M1,
        softfloat::E2M3,
        softfloat::E3M2,
    ] {
        for bits in 0..1 << format.width() {
            for rounding in [
                Rounding::NearestEven,
                Rounding::Zero,
                Rounding::Up,
                Rounding::Down,
            ] {
                let again = format.round(format.unpack(bits), rounding);
                assert!(same(format, again, bits), "{format:?} {bits:#x} {again:#x}");
            }
        }
    }
    for bits in 0..1 << 16 {
        assert!(same(
            F64,
            F16.to_f64(bits).to_bits(),
            f64::from(half::f16::from_bits(bits as u16)).to_bits()
        ));
        assert!(same(
            F64,
            BF16.to_f64(bits).to_bits(),
            f64::from(half::bf16::from_bits(bits as u16)).to_bits()
        ));
    }
}

#[test]
fn narrow_formats_have_the_documented_ranges() {
    assert_eq!(E4M3.to_f64(E4M3.max_finite()), 448.0);
    assert_eq!(E5M2.to_f64(E5M2.max_finite()), 57344.0);
    assert_eq!(E2M1.to_f64(E2M1.max_finite()), 6.0);
    assert_eq!(softfloat::E3M2.to_f64(softfloat::E3M2.max_finite()), 28.0);
    assert_eq!(softfloat::E2M3.to_f64(softfloat::E2M3.max_finite()), 7.5);
    assert_eq!(E4M3.to_f64(1), 2f64.powi(-9));
    assert!(E4M3.is_nan(0x7f) && E4M3.is_nan(0xff) && !E4M3.is_nan(0x7e));
}

#[test]
fn narrow_conversions() {
    let f = |v: f32| u64::from(v.to_bits());
    let e4m3 = |a: f32, b: f32| {
        eval(
            O::Cvt,
            &[M::Rn, M::Satfinite, M::E4m3x2, M::F32],
            &[f(a), f(b)],
        )
    };
    // The first source goes to the upper half.
    assert_eq!(e4m3(1.0, -2.0), 0x38c0);
    assert_eq!(e4m3(f32::INFINITY, -1e9), 0x7efe);
    assert_eq!(e4m3(f32::NAN, 464.0) >> 8 & 0x7f, 0x7f);
    assert_eq!(e4m3(0.0, 465.0), 0x007e);
    let e5m2 = |a: f32, b: f32| {
        eval(
            O::Cvt,
            &[M::Rn, M::Satfinite, M::E5m2x2, M::F32],
            &[f(a), f(b)],
        )
    };
    assert_eq!(e5m2(1.0, f32::INFINITY), 0x3c7b);
    let relu = eval(
        O::Cvt,
        &[M::Rn, M::Satfinite, M::Relu, M::E4m3x2, M::F32],
        &[f(-1.0), f(1.0)],
    );
    assert_eq!(relu, 0x0038);
    // And back: upper to upper.
    assert_eq!(
        eval(O::Cvt, &[M::Rn, M::F16x2, M::E4m3x2], &[0x38c0]),
        0x3c00_c000
    );
    assert_eq!(
        eval(O::Cvt, &[M::Rn, M::F16x2, M::E5m2x2], &[0x3c7c]),
        0x3c00_7c00
    );
    assert_eq!(
        eval(O::Cvt, &[M::Rn, M::F16x2, M::F32], &[f(1.0), f(2.0)]),
        0x3c00_4000
    );
    assert_eq!(
        eval(O::Cvt, &[M::Rn, M::Bf16x2, M::F32], &[f(1.0), f(2.0)]),
        0x3f80_4000
    );
    assert_eq!(
        eval(
            O::Cvt,
            &[M::Rn, M::Satfinite, M::E2m1x2, M::F32],
            &[f(6.5), f(-0.5)]
        ),
        0x79
    );
    // Ties go away from zero in .rna, and the lower 13 bits are zero.
    assert_eq!(
        eval(O::Cvt, &[M::Rna, M::Tf32, M::F32], &[0x3f80_1000]),
        0x3f80_2000
    );
    assert_eq!(
        eval(O::Cvt, &[M::Rna, M::Tf32, M::F32], &[0x3f80_0fff]),
        0x3f80_0000
    );
    assert_eq!(
        TF32.round(F32.unpack(0x3f80_1000), Rounding::NearestEven),
        0x3f80_0000
    );
    assert_eq!(
        eval(O::Cvt, &[M::Rn, M::Satfinite, M::F16, M::F32], &[f(1e6)]),
        0x7bff
    );
    assert_eq!(
        eval(O::Cvt, &[M::Rn, M::F16, M::F32], &[f(65519.9)]),
        0x7bff
    );
    assert_eq!(
        eval(O::Cvt, &[M::Rn, M::F16, M::F32], &[f(65520.0)]),
        0x7c00
    );
    assert_eq!(eval(O::Cvt, &[M::Rz, M::F16, M::F32], &[f(1e6)]), 0x7bff);
}

#[test]
fn flushing_and_saturation() {
    let f = |v: f32| u64::from(v.to_bits());
    let tiny = 0x0000_0001;
    assert_eq!(eval(O::Add, &[M::Ftz, M::F32], &[tiny, tiny]), 0);
    assert_eq!(
        eval(O::Add, &[M::Ftz, M::F32], &[0x8000_0001, 0x8000_0001]),
        0x8000_0000
    );
    assert_eq!(eval(O::Add, &[M::F32], &[tiny, tiny]), 2);
    assert_eq!(
        eval(O::Mul, &[M::Ftz, M::F32], &[0x0080_0000, f(-0.5)]),
        0x8000_0000
    );
    assert_eq!(eval(O::Abs, &[M::Ftz, M::F32], &[0x8000_0001]), 0);
    assert_eq!(eval(O::Neg, &[M::Ftz, M::F32], &[tiny]), 0x8000_0000);
    assert_eq!(eval(O::Add, &[M::Sat, M::F32], &[f(0.75), f(0.75)]), f(1.0));
    assert_eq!(eval(O::Add, &[M::Sat, M::F32], &[f(-0.75), f(0.5)]), 0);
    assert_eq!(eval(O::Mul, &[M::Sat, M::F32], &[f(f32::NAN), f(0.5)]), 0);
    assert_eq!(eval(O::Mul, &[M::Sat, M::F32], &[f(-0.0), f(0.5)]), 0);
    assert_eq!(
        eval(O::Cvt, &[M::Sat, M::F32, M::F32], &[f(f32::INFINITY)]),
        f(1.0)
    );
    assert_eq!(eval(O::Cvt, &[M::Ftz, M::F32, M::F32], &[tiny]), 0);
    assert_eq!(
        eval(O::Cvt, &[M::Ftz, M::F64, M::F32], &[0x8000_0001]),
        (-0.0f64).to_bits()
    );
    // Half precision is not touched by .ftz.
    assert_eq!(
        eval(
            O::Cvt,
            &[M::Rn, M::Ftz, M::F16, M::F32],
            &[f(2f32.powi(-24))]
        ),
        1
    );
    assert_eq!(
        eval(O::Fma, &[M::Rn, M::Relu, M::F16], &[0x3c00, 0xbc00, 0]),
        0
    );
    assert_eq!(
        eval(O::Fma, &[M::Rn, M::Relu, M::F16], &[0x7c00, 0, 0]),
        0x7fff
    );
}

#[test]
fn nan_becomes_an_integer() {
    let nan = 0x7fc0_0000;
    let double = f64::NAN.to_bits();
    assert_eq!(eval(O::Cvt, &[M::Rzi, M::S32, M::F32], &[nan]), 0);
    assert_eq!(eval(O::Cvt, &[M::Rzi, M::U16, M::F32], &[nan]), 0);
    assert_eq!(eval(O::Cvt, &[M::Rzi, M::S64, M::F32], &[nan]), 1 << 63);
    assert_eq!(eval(O::Cvt, &[M::Rzi, M::U64, M::F32], &[nan]), 1 << 63);
    assert_eq!(eval(O::Cvt, &[M::Rzi, M::S32, M::F64], &[double]), 1 << 31);
    assert_eq!(eval(O::Cvt, &[M::Rzi, M::U32, M::F64], &[double]), 1 << 31);
    assert_eq!(eval(O::Cvt, &[M::Rzi, M::S32, M::F16], &[0x7e00]), 0);
}

#[test]
fn extrema() {
    let f = |v: f32| u64::from(v.to_bits());
    let nan = f(f32::NAN);
    assert_eq!(eval(O::Min, &[M::F32], &[f(0.0), f(-0.0)]), f(-0.0));
    assert_eq!(eval(O::Min, &[M::F32], &[f(-0.0), f(0.0)]), f(-0.0));
    assert_eq!(eval(O::Max, &[M::F32], &[f(-0.0), f(0.0)]), f(0.0));
    assert_eq!(eval(O::Max, &[M::F32], &[f(0.0), f(-0.0)]), f(0.0));
    assert_eq!(eval(O::Max, &[M::F32], &[nan, f(-3.0)]), f(-3.0));
    assert_eq!(eval(O::Min, &[M::F32], &[f(-3.0), nan]), f(-3.0));
    assert_eq!(eval(O::Min, &[M::F32], &[nan, 0xff80_0001]), 0x7fff_ffff);
    assert_eq!(eval(O::Max, &[M::Nan, M::F32], &[f(1.0), nan]), 0x7fff_ffff);
    assert_eq!(
        eval(O::Min, &[M::Xorsign, M::AbsMod, M::F32], &[f(-3.0), f(2.0)]),
        f(-2.0)
    );
    assert_eq!(
        eval(
            O::Max,
            &[M::Xorsign, M::AbsMod, M::F32],
            &[f(-3.0), f(-2.0)]
        ),
        f(3.0)
    );
    assert_eq!(
        eval(O::Max, &[M::F16x2], &[0x8000_7e00, 0x0000_3c00]),
        0x0000_3c00
    );
    assert_eq!(eval(O::Max, &[M::Ftz, M::F32], &[1, f(-1.0)]), 0);
    assert_eq!(eval(O::Max, &[M::F32], &[f(1.0), f(2.0), f(3.0)]), f(3.0));
}

#[test]
fn comparisons_with_nan() {
    let f = |v: f32| u64::from(v.to_bits());
    let nan = f(f32::NAN);
    let setp = |cmp: M, a: u64, b: u64| {
        let output = evaluate(&Form::new(O::Setp, &[cmp, M::F32]), &[a, b], false).unwrap();
        (output.value, output.second.unwrap())
    };
    for cmp in [M::Eq, M::Ne, M::Lt, M::Le, M::Gt, M::Ge, M::Num] {
        assert_eq!(setp(cmp, nan, f(1.0)), (0, 1), "{cmp}");
    }
    for cmp in [M::Equ, M::Neu, M::Ltu, M::Leu, M::Gtu, M::Geu, M::NanCmp] {
        assert_eq!(setp(cmp, nan, f(1.0)), (1, 0), "{cmp}");
    }
    assert_eq!(setp(M::Eq, f(0.0), f(-0.0)), (1, 0));
    assert_eq!(
        eval(O::Setp, &[M::Eq, M::Ftz, M::F32], &[1, 0x8000_0002]),
        1
    );
    assert_eq!(eval(O::Setp, &[M::Gtu, M::F32], &[f(1.0), f(2.0)]), 0);
    assert_eq!(
        eval(O::Set, &[M::Lt, M::F32, M::S32], &[-1i32 as u32 as u64, 1]),
        f(1.0)
    );
    assert_eq!(
        eval(
            O::Set,
            &[M::Lt, M::And, M::U32, M::F32],
            &[f(0.0), f(1.0), 0]
        ),
        0
    );
    // The two results of a packed comparison.
    let output = evaluate(
        &Form::new(O::Setp, &[M::Gt, M::F16x2]),
        &[0x3c00_0000, 0x0000_3c00],
        false,
    )
    .unwrap();
    assert_eq!((output.value, output.second), (0, Some(1)));
}

#[test]
fn double_precision_fma_keeps_every_bit() {
    let f = |v: f64| v.to_bits();
    let a = 1.0 + f64::EPSILON;
    // (1 + e)^2 - 1 - 2e = e^2
    let d = eval(
        O::Fma,
        &[M::Rn, M::F64],
        &[f(a), f(a), f(-(1.0 + 2.0 * f64::EPSILON))],
    );
    assert_eq!(f64::from_bits(d), f64::EPSILON * f64::EPSILON);
    // A term far below only matters to directed rounding.
    assert_eq!(eval(O::Add, &[M::Rp, M::F64], &[f(1.0), 1]), f(1.0) + 1);
    assert_eq!(eval(O::Add, &[M::Rm, M::F64], &[f(1.0), 1]), f(1.0));
    assert_eq!(
        eval(O::Add, &[M::Rz, M::F64], &[f(1.0), 1 | 1 << 63]),
        f(1.0) - 1
    );
    assert_eq!(eval(O::Sub, &[M::Rm, M::F64], &[f(1.0), f(1.0)]), f(-0.0));
}

#[test]
fn approximations_are_near() {
    use ptx_reference::semantics::approximate::{bound, Bound};
    let f = |v: f32| u64::from(v.to_bits());
    for (opcode, x, exact) in [
        (O::Ex2, 3.5f32, 3.5f64.exp2()),
        (O::Lg2, 10.0, 10f64.log2()),
        (O::Sin, 1.0, 1f64.sin()),
        (O::Cos, 1.0, 1f64.cos()),
        (O::Tanh, 0.25, 0.25f64.tanh()),
        (O::Rsqrt, 2.0, 0.5f64.sqrt()),
    ] {
        let ours = eval(opcode, &[M::Approx, M::F32], &[f(x)]);
        assert!(
            Bound::Ulp(0.5).allows(exact, F32.to_f64(ours), F32),
            "{opcode}"
        );
        assert!(bound(opcode, F32, f(x)).allows(exact, F32.to_f64(ours), F32));
        assert!(!bound(opcode, F32, f(x)).allows(exact, F32.to_f64(ours) * 1.01, F32));
    }
    assert_eq!(eval(O::Ex2, &[M::Approx, M::Ftz, M::F32], &[f(-200.0)]), 0);
    assert_eq!(
        eval(O::Lg2, &[M::Approx, M::Ftz, M::F32], &[1]),
        f(f32::NEG_INFINITY)
    );
    assert_eq!(
        eval(O::Div, &[M::Approx, M::F32], &[f(2.0), f(2f32.powi(127))]),
        0
    );
    assert_eq!(
        eval(
            O::Div,
            &[M::Full, M::F32],
            &[f(2f32.powi(100)), f(2f32.powi(127))]
        ),
        f(2f32.powi(-27))
    );
}
