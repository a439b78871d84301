//! The interface of `cublas.h`, and the settings that handles keep.

use std::ptr;

use cublas::api::*;

use crate::device::*;

/// A letter of `cublas.h`.
fn letter(letter: char) -> std::ffi::c_char {
    letter as u8 as _
}

/// Functions with scalars and results by value, letters as modes, and kept errors.
pub fn functions_of_the_old_header() {
    let mut random = Random(41);
    unsafe {
        // Without a handle: the status is kept and the result is zero.
        assert_eq!(cublasGetError(), 1);
        assert_eq!(cublasSdot(1, ptr::null_mut(), 1, ptr::null_mut(), 1), 0.0);
        assert_eq!(cublasGetError(), 1);
        assert_eq!(cublasAlloc(4, 4, &mut ptr::null_mut()), 1);
        assert_eq!((cublasInit(), cublasInit(), cublasGetError()), (0, 0, 0));
        let mut version = 0;
        assert_eq!(cublasGetVersion::<13>(&mut version), 0);
        assert!(version >= 130_000);

        let (n, ld) = (5usize, 7usize);
        let numbers =
            |random: &mut Random, format, count| Buffer::new(format, random.numbers(format, count));
        let (x, y) = (
            numbers(&mut random, Format::F32, n),
            numbers(&mut random, Format::F32, n),
        );
        let dot: f64 = x
            .values
            .iter()
            .zip(&y.values)
            .map(|(a, b)| a[0] * b[0])
            .sum();
        assert_eq!(
            cublasSdot(n as i32, x.output(), 1, y.output(), 1),
            dot as f32
        );
        let largest = (0..n)
            .rev()
            .max_by(|&a, &b| x.values[a][0].abs().total_cmp(&x.values[b][0].abs()));
        assert_eq!(
            cublasIsamax(n as i32, x.output(), 1),
            largest.unwrap_or(0) as i32 + 1
        );

        let (u, v) = (
            numbers(&mut random, Format::C64, n),
            numbers(&mut random, Format::C64, n),
        );
        let pairs = || u.values.iter().zip(&v.values);
        let expected = pairs().fold([0.0; 2], |sum, (&a, &b)| add(sum, mul(conj(a), b)));
        let got = cublasZdotc(n as i32, u.output(), 1, v.output(), 1);
        assert_close([got.re, got.im], expected, 1e-13, || "zdotc".to_owned());
        let alpha = ComplexDouble { re: 0.5, im: -1.5 };
        cublasZaxpy(n as i32, alpha, u.output(), 1, v.output(), 1);
        for (got, (&a, &b)) in v.download().into_iter().zip(pairs()) {
            assert_close(got, add(mul([0.5, -1.5], a), b), 1e-13, || {
                "zaxpy".to_owned()
            });
        }
        let (u, v) = (
            numbers(&mut random, Format::C32, n),
            numbers(&mut random, Format::C32, n),
        );
        let expected = u
            .values
            .iter()
            .zip(&v.values)
            .fold([0.0; 2], |sum, (&a, &b)| add(sum, mul(a, b)));
        let got = cublasCdotu(n as i32, u.output(), 1, v.output(), 1);
        assert_close(
            [f64::from(got.re), f64::from(got.im)],
            expected,
            1e-5,
            || "cdotu".to_owned(),
        );

        // Products, with letters of either case.
        let (a, b) = (
            numbers(&mut random, Format::C32, ld * n),
            numbers(&mut random, Format::C32, ld * n),
        );
        let c = numbers(&mut random, Format::C32, ld * n);
        let (alpha, beta) = (
            ComplexFloat { re: 1.5, im: 0.5 },
            ComplexFloat { re: -1.0, im: 0.25 },
        );
        let (size, ldi) = (n as i32, ld as i32);
        cublasCgemm(
            letter('n'),
            letter('C'),
            size,
            size,
            size,
            alpha,
            a.output(),
            ldi,
            b.output(),
            ldi,
            beta,
            c.output(),
            ldi,
        );
        let result = c.download();
        for (row, column) in (0..n).flat_map(|row| (0..n).map(move |column| (row, column))) {
            let sum = (0..n).fold([0.0; 2], |sum, p| {
                add(
                    sum,
                    mul(
                        element(&a.values, 0, ld, row, p),
                        element(&b.values, 2, ld, p, column),
                    ),
                )
            });
            let at = row + column * ld;
            let expected = add(mul([1.5, 0.5], sum), mul([-1.0, 0.25], c.values[at]));
            assert_close(result[at], expected, 1e-4, || {
                format!("cgemm at {row}, {column}")
            });
        }
        // trmm of the old header overwrites B; trsm undoes it.
        let a = Buffer::new(
            Format::F64,
            (0..n * n)
                .map(|at| [if at % (n + 1) == 0 { 4.0 } else { 0.5 }, 0.0])
                .collect(),
        );
        let b = numbers(&mut random, Format::F64, n * n);
        let modes = (letter('L'), letter('u'), letter('T'), letter('N'));
        let (a_at, b_at) = (a.output(), b.output());
        cublasDtrmm(
            modes.0, modes.1, modes.2, modes.3, size, size, 2.0, a_at, size, b_at, size,
        );
        let product = b.download();
        let expected = (0..n).fold(0.0, |sum, p| {
            let factor = if p == n - 1 { 4.0 } else { 0.5 };
            sum + 2.0 * factor * b.values[p][0]
        });
        assert_close(product[n - 1], [expected, 0.0], 1e-12, || {
            "dtrmm".to_owned()
        });
        cublasDtrsm(
            modes.0, modes.1, modes.2, modes.3, size, size, 0.5, a_at, size, b_at, size,
        );
        for (got, &was) in b.download().into_iter().zip(&b.values) {
            assert_close(got, was, 1e-12, || "dtrsm".to_owned());
        }
        // A packed and a band system, and a rotation made on the host.
        let packed = Buffer::new(Format::F32, vec![[2.0, 0.0]; 6]);
        let x = Buffer::new(Format::F32, vec![[2.0, 0.0], [6.0, 0.0], [8.0, 0.0]]);
        cublasStpsv(
            letter('L'),
            letter('N'),
            letter('N'),
            3,
            packed.output(),
            x.output(),
            1,
        );
        assert_eq!(x.download(), [[1.0, 0.0], [2.0, 0.0], [1.0, 0.0]]);
        let (mut a, mut b, mut c, mut s) = (3f32, 4f32, 0f32, 0f32);
        let at = |number: &mut f32| ptr::from_mut(number).cast();
        cublasSrotg(at(&mut a), at(&mut b), at(&mut c), at(&mut s));
        assert_eq!((a, c, s), (5.0, 0.6, 0.8));
        assert_eq!(cublasGetError(), 0);

        // A letter that no mode has.
        cublasStpsv(
            letter('X'),
            letter('N'),
            letter('N'),
            3,
            packed.output(),
            x.output(),
            1,
        );
        assert_eq!((cublasGetError(), cublasGetError()), (7, 0));

        let mut memory = ptr::null_mut();
        assert_eq!(cublasAlloc(16, 4, &mut memory), 0);
        assert!(!memory.is_null());
        assert_eq!(
            (
                cublasFree(memory),
                cublasAlloc(0, 4, &mut memory),
                cublasGetError()
            ),
            (0, 7, 7)
        );
        assert_eq!(cublasSetKernelStream(cuda_abi::CUstream::NULL), 0);
        assert_eq!(
            (cublasShutdown(), cublasShutdown(), cublasGetError()),
            (0, 1, 1)
        );
    }
}

/// What the setters keep, their defaults, and what they refuse.
pub fn settings() {
    let blas = Blas::new();
    type Get = unsafe extern "C" fn(*const cublas::handle::Handle, *mut i32) -> i32;
    type Set = unsafe extern "C" fn(*const cublas::handle::Handle, i32) -> i32;
    /// Getter, setter, default, numbers that are taken and that are refused.
    type Setting = (Get, Set, i32, &'static [i32], &'static [i32]);
    let settings: [Setting; 6] = [
        (
            cublasGetEmulationStrategy,
            cublasSetEmulationStrategy,
            0,
            &[1, 2, 0],
            &[-1, 3],
        ),
        (
            cublasGetEmulationSpecialValuesSupport,
            cublasSetEmulationSpecialValuesSupport,
            0xFFFF,
            &[0, 1, 2, 3, 0xFFFF],
            &[-1, 4],
        ),
        (
            cublasGetFixedPointEmulationMantissaControl,
            cublasSetFixedPointEmulationMantissaControl,
            0,
            &[1, 0],
            &[-1, 2],
        ),
        (
            cublasGetFixedPointEmulationMaxMantissaBitCount,
            cublasSetFixedPointEmulationMaxMantissaBitCount,
            0,
            &[55, 0],
            &[-1],
        ),
        (
            cublasGetFixedPointEmulationMantissaBitOffset,
            cublasSetFixedPointEmulationMantissaBitOffset,
            0,
            &[-8, 8],
            &[],
        ),
        (
            cublasGetEnvironmentMode,
            cublasSetEnvironmentMode,
            0,
            &[1, 0],
            &[],
        ),
    ];
    for (get, set, default, good, bad) in settings {
        let mut value = -99;
        unsafe {
            assert_eq!((get(blas.0, &mut value), value), (0, default));
            assert_eq!(get(blas.0, ptr::null_mut()), 7);
            for &number in good {
                assert_eq!(set(blas.0, number), 0);
                assert_eq!((get(blas.0, &mut value), value), (0, number));
                for &number in bad {
                    assert_eq!(set(blas.0, number), 7);
                }
            }
            assert_eq!((get(blas.0, &mut value), Some(&value)), (0, good.last()));
        }
    }
    let (mut bits, mut place) = (0, ptr::null_mut());
    unsafe {
        assert_eq!(
            cublasGetFixedPointEmulationMantissaBitCountPointer(blas.0, &mut place),
            0
        );
        assert!(place.is_null());
        assert_eq!(
            cublasSetFixedPointEmulationMantissaBitCountPointer(blas.0, &mut bits),
            0
        );
        assert_eq!(
            cublasGetFixedPointEmulationMantissaBitCountPointer(blas.0, &mut place),
            0
        );
        assert_eq!(place, ptr::from_mut(&mut bits));
    }
}
