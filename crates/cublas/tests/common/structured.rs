//! Products and systems with matrices of a structure, compared with sums in double precision.

use std::ffi::c_void;

use cublas::api::*;

use crate::device::*;

/// Element `(i, p)` of a triangular or symmetric matrix, of which one triangle is stored.
fn triangular(
    values: &[Complex],
    n: usize,
    (lower, unit): (bool, bool),
    op: i32,
    i: usize,
    p: usize,
) -> Complex {
    let (row, column) = if op == 0 { (i, p) } else { (p, i) };
    let value = match row.cmp(&column) {
        std::cmp::Ordering::Equal if unit => [1.0, 0.0],
        std::cmp::Ordering::Less if lower => [0.0, 0.0],
        std::cmp::Ordering::Greater if !lower => [0.0, 0.0],
        _ => values[row + column * n],
    };
    if op == 2 {
        conj(value)
    } else {
        value
    }
}

/// `trsm`, `trsmBatched` and `trmm` in every mode: the product undoes the solution.
pub fn triangular_systems() {
    let blas = Blas::new();
    let mut random = Random(6);
    for format in [Format::F32, Format::F64, Format::C32, Format::C64] {
        for mode in 0..24 {
            let (side, uplo, diag, op) = (mode & 1, mode >> 1 & 1, mode >> 2 & 1, mode >> 3);
            let (m, n) = (5, 7);
            let order = if side == 0 { m } else { n };
            let mut numbers = random.numbers(format, order * order * 2);
            for matrix in numbers.chunks_mut(order * order) {
                for (at, number) in matrix.iter_mut().enumerate() {
                    // A diagonal that dominates keeps the solution near the right side.
                    if at % (order + 1) == 0 {
                        *number = [
                            6.0 + at as f64 / 8.0,
                            if format.is_complex() { 1.0 } else { 0.0 },
                        ];
                    } else {
                        *number = [number[0] / 4.0, number[1] / 4.0];
                    }
                }
            }
            let a = Buffer::new(format, numbers);
            let b = Buffer::new(format, random.numbers(format, m * n * 2));
            let alpha = scalar(format, [2.0, 0.0]);
            let (mi, ni, lda) = (m as i32, n as i32, order as i32);
            let batched = mode % 2 == 0 || format == Format::F64;
            let alpha = alpha.as_ptr().cast();
            let status = unsafe {
                if batched {
                    let (pa, pb) = (a.pointers(2, order * order), b.pointers(2, m * n));
                    let function = match format {
                        Format::F32 => cublasStrsmBatched,
                        Format::F64 => cublasDtrsmBatched,
                        Format::C32 => cublasCtrsmBatched,
                        _ => cublasZtrsmBatched,
                    };
                    let status = function(
                        blas.0,
                        side,
                        uplo,
                        op,
                        diag,
                        mi,
                        ni,
                        alpha,
                        pa.input(),
                        lda,
                        pb.output(),
                        mi,
                        2,
                    );
                    b.download();
                    status
                } else {
                    let function = match format {
                        Format::F32 => cublasStrsm_v2,
                        Format::F64 => cublasDtrsm_v2,
                        Format::C32 => cublasCtrsm_v2,
                        _ => cublasZtrsm_v2,
                    };
                    function(
                        blas.0,
                        side,
                        uplo,
                        op,
                        diag,
                        mi,
                        ni,
                        alpha,
                        a.input(),
                        lda,
                        b.output(),
                        mi,
                    )
                }
            };
            assert_eq!(status, 0);
            let shape = (uplo == 0, diag == 1);
            let solved = b.download();
            for batch in 0..if batched { 2 } else { 1 } {
                let (a, x) = (&a.values[batch * order * order..], &solved[batch * m * n..]);
                for row in 0..m {
                    for column in 0..n {
                        let product = if side == 0 {
                            (0..m)
                                .map(|p| {
                                    mul(triangular(a, order, shape, op, row, p), x[p + column * m])
                                })
                                .fold([0.0, 0.0], add)
                        } else {
                            (0..n)
                                .map(|p| {
                                    mul(x[row + p * m], triangular(a, order, shape, op, p, column))
                                })
                                .fold([0.0, 0.0], add)
                        };
                        let given = b.values[batch * m * n + row + column * m];
                        let expected = [2.0 * given[0], 2.0 * given[1]];
                        assert_close(product, expected, 4e3 * format.epsilon(), || {
                            format!("trsm {format:?} mode {mode} at {row}, {column} of {batch}")
                        });
                    }
                }
            }
            // In place, and out of it.
            let x = Buffer::new(format, b.values[..m * n].to_vec());
            let y = Buffer::new(format, vec![NAN; m * n]);
            let function = match format {
                Format::F32 => cublasStrmm_v2,
                Format::F64 => cublasDtrmm_v2,
                Format::C32 => cublasCtrmm_v2,
                _ => cublasZtrmm_v2,
            };
            for target in [y.output(), x.output()] {
                let status = unsafe {
                    function(
                        blas.0,
                        side,
                        uplo,
                        op,
                        diag,
                        mi,
                        ni,
                        alpha,
                        a.input(),
                        lda,
                        x.input(),
                        mi,
                        target,
                        mi,
                    )
                };
                assert_eq!(status, 0);
            }
            let (out_of_place, in_place) = (y.download(), x.download());
            for row in 0..m {
                for column in 0..n {
                    let product = if side == 0 {
                        (0..m)
                            .map(|p| {
                                mul(
                                    triangular(&a.values, order, shape, op, row, p),
                                    x.values[p + column * m],
                                )
                            })
                            .fold([0.0, 0.0], add)
                    } else {
                        (0..n)
                            .map(|p| {
                                mul(
                                    x.values[row + p * m],
                                    triangular(&a.values, order, shape, op, p, column),
                                )
                            })
                            .fold([0.0, 0.0], add)
                    };
                    let expected = [2.0 * product[0], 2.0 * product[1]];
                    for result in [&out_of_place, &in_place] {
                        assert_close(
                            result[row + column * m],
                            expected,
                            1e3 * format.epsilon(),
                            || format!("trmm {format:?} mode {mode} at {row}, {column}"),
                        );
                    }
                }
            }
        }
    }
}

/// `gemv`, `ger`, `symv`, `hemv`, `trsv` and `trmv`, with increments of either sign.
pub fn matrices_and_vectors() {
    let blas = Blas::new();
    let mut random = Random(7);
    let (m, n, lda) = (7usize, 5usize, 8usize);
    for format in [Format::F32, Format::F64, Format::C32, Format::C64] {
        let tolerance = 256.0 * format.epsilon();
        let alpha_value = [2.0, if format.is_complex() { -0.5 } else { 0.0 }];
        let (alpha, beta) = (scalar(format, alpha_value), scalar(format, [0.5, 0.0]));
        let (alpha, beta): (*const c_void, *const c_void) =
            (alpha.as_ptr().cast(), beta.as_ptr().cast());
        let a = Buffer::new(format, random.numbers(format, lda * n));
        let at = |count: usize, step: i32, i: usize| {
            (if step < 0 {
                count as i32 - 1 - i as i32
            } else {
                i as i32
            } * step.abs()) as usize
        };
        for (op, incx, incy) in [(0, 1, 1), (0, -2, 3), (1, 1, 1), (1, 2, -1), (2, 1, 2)] {
            let (length_x, length_y) = if op == 0 { (n, m) } else { (m, n) };
            let x = Buffer::new(format, random.numbers(format, length_x * 3));
            let y = Buffer::new(format, random.numbers(format, length_y * 3));
            let function = match format {
                Format::F32 => cublasSgemv_v2,
                Format::F64 => cublasDgemv_v2,
                Format::C32 => cublasCgemv_v2,
                _ => cublasZgemv_v2,
            };
            let status = unsafe {
                function(
                    blas.0,
                    op,
                    m as i32,
                    n as i32,
                    alpha,
                    a.input(),
                    lda as i32,
                    x.input(),
                    incx,
                    beta,
                    y.output(),
                    incy,
                )
            };
            assert_eq!(status, 0);
            let result = y.download();
            for i in 0..length_y {
                let sum = (0..length_x)
                    .map(|p| {
                        mul(
                            element(&a.values, op, lda, i, p),
                            x.values[at(length_x, incx, p)],
                        )
                    })
                    .fold([0.0, 0.0], add);
                let place = at(length_y, incy, i);
                let expected = add(mul(alpha_value, sum), mul([0.5, 0.0], y.values[place]));
                assert_close(result[place], expected, tolerance, || {
                    format!("gemv {format:?} op {op} at {i}")
                });
            }
        }
        for conjugate in [false, true] {
            if conjugate && !format.is_complex() {
                continue;
            }
            let (x, y) = (
                Buffer::new(format, random.numbers(format, 2 * m)),
                Buffer::new(format, random.numbers(format, n)),
            );
            let c = Buffer::new(format, random.numbers(format, lda * n));
            let function = match (format, conjugate) {
                (Format::F32, _) => cublasSger_v2,
                (Format::F64, _) => cublasDger_v2,
                (Format::C32, false) => cublasCgeru_v2,
                (Format::C32, true) => cublasCgerc_v2,
                (_, false) => cublasZgeru_v2,
                (_, true) => cublasZgerc_v2,
            };
            let status = unsafe {
                function(
                    blas.0,
                    m as i32,
                    n as i32,
                    alpha,
                    x.input(),
                    -2,
                    y.input(),
                    1,
                    c.output(),
                    lda as i32,
                )
            };
            assert_eq!(status, 0);
            let result = c.download();
            for row in 0..m {
                for column in 0..n {
                    let y = y.values[column];
                    let product = mul(
                        x.values[at(m, -2, row)],
                        if conjugate { conj(y) } else { y },
                    );
                    let expected = add(c.values[row + column * lda], mul(alpha_value, product));
                    assert_close(result[row + column * lda], expected, tolerance, || {
                        format!("ger {format:?}")
                    });
                }
            }
        }
        symmetric_products(&blas, &mut random, format, (alpha, alpha_value), beta);
        for mode in 0..12 {
            let (uplo, diag, op) = (mode & 1, mode >> 1 & 1, mode >> 2);
            let shape = (uplo == 0, diag == 1);
            let mut numbers = random.numbers(format, n * n);
            for i in 0..n {
                numbers[i * (n + 1)] = [8.0, 0.0];
            }
            let a = Buffer::new(format, numbers);
            let x = Buffer::new(format, random.numbers(format, n * 2));
            let (multiply, solve) = match format {
                Format::F32 => (
                    cublasStrmv_v2 as unsafe extern "C" fn(_, _, _, _, _, _, _, _, _) -> _,
                    cublasStrsv_v2 as unsafe extern "C" fn(_, _, _, _, _, _, _, _, _) -> _,
                ),
                Format::F64 => (cublasDtrmv_v2 as _, cublasDtrsv_v2 as _),
                Format::C32 => (cublasCtrmv_v2 as _, cublasCtrsv_v2 as _),
                _ => (cublasZtrmv_v2 as _, cublasZtrsv_v2 as _),
            };
            let status: i32 = unsafe {
                multiply(
                    blas.0.cast_const(),
                    uplo,
                    op,
                    diag,
                    n as i32,
                    a.input(),
                    n as i32,
                    x.output(),
                    -2,
                )
            };
            assert_eq!(status, 0);
            let product = x.download();
            for i in 0..n {
                let expected = (0..n)
                    .map(|p| {
                        mul(
                            triangular(&a.values, n, shape, op, i, p),
                            x.values[at(n, -2, p)],
                        )
                    })
                    .fold([0.0, 0.0], add);
                assert_close(product[at(n, -2, i)], expected, tolerance, || {
                    format!("trmv {format:?} mode {mode}")
                });
            }
            let status: i32 = unsafe {
                solve(
                    blas.0.cast_const(),
                    uplo,
                    op,
                    diag,
                    n as i32,
                    a.input(),
                    n as i32,
                    x.output(),
                    -2,
                )
            };
            assert_eq!(status, 0);
            let back = x.download();
            for (i, &got) in back.iter().enumerate() {
                let unit_growth = if diag == 1 { 1e4 } else { 64.0 };
                assert_close(got, x.values[i], unit_growth * tolerance, || {
                    format!("trsv {format:?} mode {mode}")
                });
            }
        }
    }
}

fn symmetric_products(
    blas: &Blas,
    random: &mut Random,
    format: Format,
    (alpha, alpha_value): (*const c_void, Complex),
    beta: *const c_void,
) {
    let (m, n) = (6usize, 5usize);
    let tolerance = 256.0 * format.epsilon();
    for mode in 0..8 {
        let (side, uplo, hermitian) = (mode & 1, mode >> 1 & 1, mode >> 2 == 1);
        if hermitian && !format.is_complex() {
            continue;
        }
        let order = if side == 0 { m } else { n };
        let s = Buffer::new(format, random.numbers(format, order * order));
        let full = |row: usize, column: usize| {
            let stored = if uplo == 0 {
                row >= column
            } else {
                row <= column
            };
            let value = if stored {
                s.values[row + column * order]
            } else {
                s.values[column + row * order]
            };
            match (hermitian, stored, row == column) {
                (true, _, true) => [value[0], 0.0],
                (true, false, _) => conj(value),
                _ => value,
            }
        };
        let (b, c) = (
            Buffer::new(format, random.numbers(format, m * n)),
            Buffer::new(format, random.numbers(format, m * n)),
        );
        let function = match (format, hermitian) {
            (Format::F32, _) => cublasSsymm_v2,
            (Format::F64, _) => cublasDsymm_v2,
            (Format::C32, false) => cublasCsymm_v2,
            (Format::C32, true) => cublasChemm_v2,
            (_, false) => cublasZsymm_v2,
            (_, true) => cublasZhemm_v2,
        };
        let (mi, ni) = (m as i32, n as i32);
        let status = unsafe {
            function(
                blas.0,
                side,
                uplo,
                mi,
                ni,
                alpha,
                s.input(),
                order as i32,
                b.input(),
                mi,
                beta,
                c.output(),
                mi,
            )
        };
        assert_eq!(status, 0);
        let result = c.download();
        for row in 0..m {
            for column in 0..n {
                let sum = if side == 0 {
                    (0..m)
                        .map(|p| mul(full(row, p), b.values[p + column * m]))
                        .fold([0.0, 0.0], add)
                } else {
                    (0..n)
                        .map(|p| mul(b.values[row + p * m], full(p, column)))
                        .fold([0.0, 0.0], add)
                };
                let expected = add(
                    mul(alpha_value, sum),
                    mul([0.5, 0.0], c.values[row + column * m]),
                );
                assert_close(result[row + column * m], expected, tolerance, || {
                    format!("symm {format:?} mode {mode} at {row}, {column}")
                });
            }
        }
    }
}

/// `syrk` and `herk` with free types give what the plain functions give.
fn rank_updates_of_free_types(blas: &Blas, random: &mut Random) {
    let (n, k) = (7usize, 5usize);
    let (ni, ki, format) = (n as i32, k as i32, Format::C32);
    let a = Buffer::new(format, random.numbers(format, n * k));
    let old = random.numbers(format, n * n);
    for mode in 0..8 {
        let (uplo, transposed, hermitian) = (mode & 1, mode >> 1 & 1, mode >> 2 == 1);
        let op = transposed * if hermitian { 2 } else { 1 };
        let ld = if op == 0 { ni } else { ki };
        let scale = if hermitian { Format::F32 } else { format };
        let (alpha, beta) = (scalar(scale, [1.5, 0.5]), scalar(scale, [2.0, -1.0]));
        let (alpha, beta): (*const c_void, *const c_void) =
            (alpha.as_ptr().cast(), beta.as_ptr().cast());
        let (c, plain) = (
            Buffer::new(format, old.clone()),
            Buffer::new(format, old.clone()),
        );
        let (ty, other) = (format.data_type(), 7);
        let (free, three, named) = if hermitian {
            (
                cublasCherkEx as unsafe extern "C" fn(_, _, _, _, _, _, _, _, _, _, _, _, _) -> i32,
                cublasCherk3mEx
                    as unsafe extern "C" fn(_, _, _, _, _, _, _, _, _, _, _, _, _) -> i32,
                cublasCherk_v2 as unsafe extern "C" fn(_, _, _, _, _, _, _, _, _, _, _) -> i32,
            )
        } else {
            (
                cublasCsyrkEx as _,
                cublasCsyrk3mEx as _,
                cublasCsyrk_v2 as _,
            )
        };
        let (handle, from, to) = (blas.0.cast_const(), a.input(), c.output());
        let function = if mode % 3 == 0 { three } else { free };
        unsafe {
            let status = function(
                handle, uplo, op, ni, ki, alpha, from, ty, ld, beta, to, ty, ni,
            );
            assert_eq!(status, 0);
            let status = named(
                handle,
                uplo,
                op,
                ni,
                ki,
                alpha,
                from,
                ld,
                beta,
                plain.output(),
                ni,
            );
            assert_eq!(status, 0);
            let status = free(
                handle, uplo, op, ni, ki, alpha, from, other, ld, beta, to, ty, ni,
            );
            assert_eq!(status, 15);
        }
        assert_eq!(c.download(), plain.download(), "mode {mode}");
    }
}

/// `syrk`, `herk`, `syr2k`, `her2k`, `syrkx`, `herkx`: one triangle is written, the other is left alone.
pub fn rank_updates() {
    let blas = Blas::new();
    let mut random = Random(8);
    rank_updates_of_free_types(&blas, &mut random);
    let (n, k) = (9usize, 6usize);
    for format in [Format::F32, Format::F64, Format::C32, Format::C64] {
        let real = match format {
            Format::C32 => Format::F32,
            Format::C64 => Format::F64,
            other => other,
        };
        for mode in 0..24 {
            let (uplo, transposed, hermitian, kind) =
                (mode & 1, mode >> 1 & 1, mode >> 2 & 1 == 1, mode >> 3);
            if hermitian && !format.is_complex() {
                continue;
            }
            let op = transposed * if hermitian { 2 } else { 1 };
            let ld = if op == 0 { n } else { k };
            let columns = if op == 0 { k } else { n };
            let a = Buffer::new(format, random.numbers(format, ld * columns));
            let b = Buffer::new(format, random.numbers(format, ld * columns));
            let mut numbers = random.numbers(format, n * n);
            if hermitian {
                for i in 0..n {
                    numbers[i * (n + 1)][1] = 0.0;
                }
            }
            let c = Buffer::new(format, numbers);
            let complex_alpha = format.is_complex() && !(hermitian && kind == 0);
            let alpha_value = [1.5, if complex_alpha { 0.5 } else { 0.0 }];
            let alpha = scalar(
                if hermitian && kind == 0 { real } else { format },
                alpha_value,
            );
            let beta = scalar(if hermitian { real } else { format }, [2.0, 0.0]);
            let (alpha, beta): (*const c_void, *const c_void) =
                (alpha.as_ptr().cast(), beta.as_ptr().cast());
            let (ni, ki, ldi) = (n as i32, k as i32, ld as i32);
            let status = unsafe {
                if kind == 0 {
                    let function = match (format, hermitian) {
                        (Format::F32, _) => cublasSsyrk_v2,
                        (Format::F64, _) => cublasDsyrk_v2,
                        (Format::C32, false) => cublasCsyrk_v2,
                        (Format::C32, true) => cublasCherk_v2,
                        (_, false) => cublasZsyrk_v2,
                        (_, true) => cublasZherk_v2,
                    };
                    function(
                        blas.0,
                        uplo,
                        op,
                        ni,
                        ki,
                        alpha,
                        a.input(),
                        ldi,
                        beta,
                        c.output(),
                        ni,
                    )
                } else {
                    let function = match (format, hermitian, kind) {
                        (Format::F32, _, 1) => cublasSsyr2k_v2,
                        (Format::F32, _, _) => cublasSsyrkx,
                        (Format::F64, _, 1) => cublasDsyr2k_v2,
                        (Format::F64, _, _) => cublasDsyrkx,
                        (Format::C32, false, 1) => cublasCsyr2k_v2,
                        (Format::C32, true, 1) => cublasCher2k_v2,
                        (Format::C32, false, _) => cublasCsyrkx,
                        (Format::C32, true, _) => cublasCherkx,
                        (_, false, 1) => cublasZsyr2k_v2,
                        (_, true, 1) => cublasZher2k_v2,
                        (_, false, _) => cublasZsyrkx,
                        (_, true, _) => cublasZherkx,
                    };
                    function(
                        blas.0,
                        uplo,
                        op,
                        ni,
                        ki,
                        alpha,
                        a.input(),
                        ldi,
                        b.input(),
                        ldi,
                        beta,
                        c.output(),
                        ni,
                    )
                }
            };
            assert_eq!(status, 0);
            let result = c.download();
            for row in 0..n {
                for column in 0..n {
                    let at = row + column * n;
                    let written = if uplo == 0 {
                        row >= column
                    } else {
                        row <= column
                    };
                    if !written {
                        assert_close(result[at], c.values[at], 0.0, || {
                            format!("rank {format:?} mode {mode}: other triangle")
                        });
                        continue;
                    }
                    let right = |x: &Buffer, row: usize, p: usize| {
                        let value = element(&x.values, op, ld, row, p);
                        if hermitian {
                            conj(value)
                        } else {
                            value
                        }
                    };
                    let sum = |x: &Buffer, y: &Buffer| {
                        (0..k)
                            .map(|p| mul(element(&x.values, op, ld, row, p), right(y, column, p)))
                            .fold([0.0, 0.0], add)
                    };
                    let other = if hermitian {
                        conj(alpha_value)
                    } else {
                        alpha_value
                    };
                    let mut expected = match kind {
                        0 => mul(alpha_value, sum(&a, &a)),
                        1 => add(mul(alpha_value, sum(&a, &b)), mul(other, sum(&b, &a))),
                        _ => mul(alpha_value, sum(&a, &b)),
                    };
                    expected = add(expected, mul([2.0, 0.0], c.values[at]));
                    if hermitian && row == column {
                        expected[1] = 0.0;
                    }
                    assert_close(result[at], expected, 512.0 * format.epsilon(), || {
                        format!("rank {format:?} mode {mode} at {row}, {column}")
                    });
                }
            }
        }
    }
}
