//! Operations on vectors and on single elements, compared with sums in double precision.

use std::ffi::c_void;

use cublas::api::*;

use crate::device::*;

/// Reductions, in host and device mode, short and over several blocks.
pub fn reductions() {
    let blas = Blas::new();
    let mut random = Random(9);
    type One = unsafe extern "C" fn(
        *const cublas::handle::Handle,
        i32,
        *const c_void,
        i32,
        *mut c_void,
    ) -> i32;
    type Two = unsafe extern "C" fn(
        *const cublas::handle::Handle,
        i32,
        *const c_void,
        i32,
        *const c_void,
        i32,
        *mut c_void,
    ) -> i32;
    let formats: [(Format, Format, One, One, Two, Option<Two>); 4] = [
        (
            Format::F32,
            Format::F32,
            cublasSnrm2_v2,
            cublasSasum_v2,
            cublasSdot_v2,
            None,
        ),
        (
            Format::F64,
            Format::F64,
            cublasDnrm2_v2,
            cublasDasum_v2,
            cublasDdot_v2,
            None,
        ),
        (
            Format::C32,
            Format::F32,
            cublasScnrm2_v2,
            cublasScasum_v2,
            cublasCdotu_v2,
            Some(cublasCdotc_v2),
        ),
        (
            Format::C64,
            Format::F64,
            cublasDznrm2_v2,
            cublasDzasum_v2,
            cublasZdotu_v2,
            Some(cublasZdotc_v2),
        ),
    ];
    for (format, real, norm, sum, dot, dot_conjugate) in formats {
        for (count, step) in [(1usize, 1usize), (100, 3), (2500, 1)] {
            let x = Buffer::new(format, random.numbers(format, count * step));
            let y = Buffer::new(format, random.numbers(format, count));
            let taken: Vec<Complex> = x.values.iter().step_by(step).copied().collect();
            let squares: f64 = taken.iter().map(|&v| abs(v) * abs(v)).sum();
            let absolute: f64 = taken.iter().map(|v| v[0].abs() + v[1].abs()).sum();
            let pairs = || taken.iter().zip(&y.values);
            let product = pairs().map(|(&a, &b)| mul(a, b)).fold([0.0, 0.0], add);
            let conjugated = pairs()
                .map(|(&a, &b)| mul(conj(a), b))
                .fold([0.0, 0.0], add);
            let size: f64 = pairs().map(|(&a, &b)| abs(a) * abs(b)).sum();
            for device in [false, true] {
                unsafe { assert_eq!(cublasSetPointerMode_v2(blas.0, i32::from(device)), 0) };
                let run = |result_format: Format, call: &dyn Fn(*mut c_void) -> i32| {
                    let result = Buffer::new(result_format, vec![NAN]);
                    let mut host = vec![0xFFu8; result_format.size()];
                    let target = if device {
                        result.output()
                    } else {
                        host.as_mut_ptr().cast()
                    };
                    assert_eq!(call(target), 0);
                    if device {
                        result.download()[0]
                    } else {
                        result_format.decode(&host)
                    }
                };
                let (n, inc) = (count as i32, step as i32);
                let what = || format!("{format:?}, {count} numbers, device mode {device}");
                let tolerance = 64.0 * format.epsilon();
                let got = run(real, &|r| unsafe { norm(blas.0, n, x.input(), inc, r) });
                assert_close(
                    got,
                    [squares.sqrt(), 0.0],
                    tolerance * squares.sqrt(),
                    || format!("norm of {}", what()),
                );
                let got = run(real, &|r| unsafe { sum(blas.0, n, x.input(), inc, r) });
                assert_close(got, [absolute, 0.0], tolerance * absolute, || {
                    format!("sum of {}", what())
                });
                let got = run(format, &|r| unsafe {
                    dot(blas.0, n, x.input(), inc, y.input(), 1, r)
                });
                assert_close(got, product, tolerance * size, || {
                    format!("dot of {}", what())
                });
                if let Some(dot) = dot_conjugate {
                    let got = run(format, &|r| unsafe {
                        dot(blas.0, n, x.input(), inc, y.input(), 1, r)
                    });
                    assert_close(got, conjugated, tolerance * size, || {
                        format!("dotc of {}", what())
                    });
                }
            }
        }
    }
    norms_of_extremes(&blas);
    places(&blas, &mut random);
}

/// Norms whose squares overflow or vanish.
fn norms_of_extremes(blas: &Blas) {
    unsafe { assert_eq!(cublasSetPointerMode_v2(blas.0, 0), 0) };
    let cases = [
        (Format::F64, vec![3e200, 4e200], 5e200),
        (Format::F64, vec![3e-200, 4e-200], 5e-200),
        (Format::F64, vec![3.0, 4.0, 1e-170], 5.0),
        (Format::F64, vec![1e300, 1.0], 1e300),
        (Format::F64, vec![f64::INFINITY, 1.0], f64::INFINITY),
        (Format::F64, vec![f64::NAN, 1.0], f64::NAN),
        (Format::F64, vec![0.0, 0.0], 0.0),
        (Format::F32, vec![3e30, 4e30], 5e30),
        (Format::F32, vec![3e-30, 4e-30], 5e-30),
    ];
    for (format, values, expected) in cases {
        let x = Buffer::new(format, values.iter().map(|&v| [v, 0.0]).collect());
        let mut result = vec![0u8; format.size()];
        let (n, target) = (values.len() as i32, result.as_mut_ptr().cast());
        let status = unsafe {
            match format {
                Format::F32 => cublasSnrm2_v2(blas.0, n, x.input(), 1, target),
                _ => cublasDnrm2_v2(blas.0, n, x.input(), 1, target),
            }
        };
        assert_eq!(status, 0);
        let got = format.decode(&result);
        assert_close(
            got,
            [expected, 0.0],
            8.0 * format.epsilon() * expected,
            || format!("norm of {values:?}"),
        );
    }
}

/// The place of the largest and of the smallest number.
fn places(blas: &Blas, random: &mut Random) {
    for count in [1usize, 7, 3000] {
        let mut numbers = random.numbers(Format::F32, count);
        numbers
            .iter_mut()
            .for_each(|number| number[0] += 3.0 * number[0].signum() + 0.125);
        // Twice, so that the first one is asked for.
        for at in [count / 3, count / 2] {
            numbers[at] = [-9.0, 0.0];
        }
        let small = count * 2 / 3;
        if count > 1 {
            numbers[small] = [0.0, 0.0];
        }
        let x = Buffer::new(Format::F32, numbers);
        let (mut place, mut wide) = (-1i32, -1i64);
        unsafe {
            assert_eq!(
                cublasIsamax_v2(blas.0, count as i32, x.input(), 1, &mut place),
                0
            );
            assert_eq!(place as usize, count / 3 + 1);
            assert_eq!(
                cublasIsamax_v2_64(blas.0, count as i64, x.input(), 1, &mut wide),
                0
            );
            assert_eq!(wide as usize, count / 3 + 1);
            if count > 1 {
                assert_eq!(
                    cublasIsamin_v2(blas.0, count as i32, x.input(), 1, &mut place),
                    0
                );
                assert_eq!(place as usize, small + 1);
            }
            assert_eq!(cublasIsamax_v2(blas.0, 0, x.input(), 1, &mut place), 0);
            assert_eq!(place, 0);
        }
    }
}

/// `axpy`, `scal`, `copy`, `swap`, `rot`, the `Ex` functions, `geam` and `dgmm`.
pub fn elementwise() {
    let blas = Blas::new();
    let mut random = Random(10);
    let n = 200usize;
    for format in [
        Format::F32,
        Format::F64,
        Format::C32,
        Format::C64,
        Format::F16,
        Format::BF16,
    ] {
        let x = Buffer::new(format, random.numbers(format, n * 2));
        let y = Buffer::new(format, random.numbers(format, n));
        let half = matches!(format, Format::F16 | Format::BF16);
        let (scale, execution) = if half {
            (Format::F32, Format::F32)
        } else {
            (format, format)
        };
        let factor = [0.5, if format.is_complex() { 1.0 } else { 0.0 }];
        let alpha = scalar(scale, factor);
        let (t, e, s) = (format.data_type(), execution.data_type(), scale.data_type());
        let status = unsafe {
            cublasAxpyEx(
                blas.0,
                n as i32,
                alpha.as_ptr().cast(),
                s,
                x.input(),
                t,
                -2,
                y.output(),
                t,
                1,
                e,
            )
        };
        assert_eq!(status, 0);
        let result = y.download();
        for (i, &got) in result.iter().enumerate() {
            let expected = add(mul(factor, x.values[(n - 1 - i) * 2]), y.values[i]);
            assert_close(got, expected, 8.0 * format.epsilon(), || {
                format!("axpy {format:?} at {i}")
            });
        }
        let status = unsafe {
            cublasScalEx(
                blas.0,
                n as i32,
                alpha.as_ptr().cast(),
                s,
                x.output(),
                t,
                2,
                e,
            )
        };
        assert_eq!(status, 0);
        let result = x.download();
        for (i, &got) in result.iter().enumerate() {
            let expected = if i % 2 == 0 {
                mul(factor, x.values[i])
            } else {
                x.values[i]
            };
            assert_close(got, expected, 8.0 * format.epsilon(), || {
                format!("scal {format:?} at {i}")
            });
        }
    }
    copies(&blas, &mut random);
    for format in [Format::F32, Format::C64] {
        matrices(&blas, &mut random, format);
    }
}

fn copies(blas: &Blas, random: &mut Random) {
    let n = 9usize;
    let format = Format::C32;
    let (x, y) = (
        Buffer::new(format, random.numbers(format, n)),
        Buffer::new(format, random.numbers(format, n)),
    );
    unsafe {
        assert_eq!(
            cublasCswap_v2(blas.0, n as i32, x.output(), 1, y.output(), -1),
            0
        );
        let (new_x, new_y) = (x.download(), y.download());
        for i in 0..n {
            assert_eq!(new_x[i], y.values[n - 1 - i]);
            assert_eq!(new_y[n - 1 - i], x.values[i]);
        }
        assert_eq!(
            cublasCcopy_v2(blas.0, n as i32, x.input(), 1, y.output(), 1),
            0
        );
        assert_eq!(y.download(), new_x);
    }
    let (x, y) = (
        Buffer::new(format, random.numbers(format, n)),
        Buffer::new(format, random.numbers(format, n)),
    );
    let (c_value, s_value) = ([0.75, 0.0], [0.25, 0.5]);
    let (c, s) = (scalar(Format::F32, c_value), scalar(format, s_value));
    let status = unsafe {
        cublasCrot_v2(
            blas.0,
            n as i32,
            x.output(),
            1,
            y.output(),
            1,
            c.as_ptr().cast(),
            s.as_ptr().cast(),
        )
    };
    assert_eq!(status, 0);
    let (new_x, new_y) = (x.download(), y.download());
    for i in 0..n {
        let (a, b) = (x.values[i], y.values[i]);
        assert_close(
            new_x[i],
            add(mul(c_value, a), mul(s_value, b)),
            1e-6,
            || "rot x".to_owned(),
        );
        let minus = [-s_value[0], s_value[1]];
        assert_close(new_y[i], add(mul(c_value, b), mul(minus, a)), 1e-6, || {
            "rot y".to_owned()
        });
    }
}

fn matrices(blas: &Blas, random: &mut Random, format: Format) {
    let (m, n) = (5usize, 4usize);
    let (mi, ni) = (m as i32, n as i32);
    let (one, two) = (scalar(format, [1.0, 0.0]), scalar(format, [2.0, 0.0]));
    let (one, two): (*const c_void, *const c_void) = (one.as_ptr().cast(), two.as_ptr().cast());
    let (geam, dgmm) = match format {
        Format::F32 => (
            cublasSgeam as unsafe extern "C" fn(_, _, _, _, _, _, _, _, _, _, _, _, _) -> i32,
            cublasSdgmm as unsafe extern "C" fn(_, _, _, _, _, _, _, _, _, _) -> i32,
        ),
        _ => (cublasZgeam as _, cublasZdgmm as _),
    };
    let (a, b) = (
        Buffer::new(format, random.numbers(format, m * n)),
        Buffer::new(format, random.numbers(format, m * n)),
    );
    let c = Buffer::new(format, vec![NAN; m * n]);
    for (op_a, op_b) in [(0, 0), (0, 1), (2, 0)] {
        let (lda, ldb) = (if op_a == 0 { m } else { n }, if op_b == 0 { m } else { n });
        let status = unsafe {
            geam(
                blas.0.cast_const(),
                op_a,
                op_b,
                mi,
                ni,
                one,
                a.input(),
                lda as i32,
                two,
                b.input(),
                ldb as i32,
                c.output(),
                mi,
            )
        };
        assert_eq!(status, 0);
        let result = c.download();
        for row in 0..m {
            for column in 0..n {
                let (a, b) = (
                    element(&a.values, op_a, lda, row, column),
                    element(&b.values, op_b, ldb, row, column),
                );
                let expected = add(a, mul([2.0, 0.0], b));
                assert_close(result[row + column * m], expected, 1e-6, || {
                    format!("geam {format:?}")
                });
            }
        }
    }
    for side in [0, 1] {
        let length = if side == 0 { m } else { n };
        let x = Buffer::new(format, random.numbers(format, length * 2));
        let status = unsafe {
            dgmm(
                blas.0.cast_const(),
                side,
                mi,
                ni,
                a.input(),
                mi,
                x.input(),
                2,
                c.output(),
                mi,
            )
        };
        assert_eq!(status, 0);
        let result = c.download();
        for row in 0..m {
            for column in 0..n {
                let factor = x.values[2 * if side == 0 { row } else { column }];
                let expected = mul(a.values[row + column * m], factor);
                assert_close(result[row + column * m], expected, 1e-6, || {
                    format!("dgmm {format:?} side {side}")
                });
            }
        }
    }
}
