//! Matrix products by cuBLAS's C functions, compared with sums in double precision.

use std::ffi::c_void;

use cublas::api::*;
use cublas::types::Status;

use crate::device::*;

/// The number formats of a product, and its compute type.
const PRODUCTS: [(Format, Format, Format, i32); 10] = [
    (Format::F16, Format::F16, Format::F16, 64),
    (Format::F16, Format::F16, Format::F32, 68),
    (Format::F16, Format::F32, Format::F32, 68),
    (Format::BF16, Format::F32, Format::F32, 68),
    (Format::BF16, Format::BF16, Format::F32, 68),
    (Format::F32, Format::F32, Format::F32, 77),
    (Format::F64, Format::F64, Format::F64, 70),
    (Format::S8, Format::S32, Format::S32, 72),
    (Format::C32, Format::C32, Format::C32, 68),
    (Format::C64, Format::C64, Format::C64, 70),
];

/// One matrix product, called through `cublasGemmEx` or its batched forms.
#[derive(Clone, Copy, Debug)]
struct Case {
    formats: (Format, Format, Format, i32),
    ops: (i32, i32),
    size: (usize, usize, usize),
    /// Added to each leading dimension.
    pad: usize,
    /// Numbers that `A`, `B` and `C` lie behind the start of their allocation.
    offset: usize,
    alpha: Complex,
    beta: Complex,
    count: usize,
    form: Form,
    device_scalars: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Single,
    Strided,
    Pointers,
}

fn run_gemm(blas: &Blas, random: &mut Random, case: Case) {
    let (ab, c_format, scale, compute) = case.formats;
    let (m, n, k) = case.size;
    let (rows_a, columns_a) = if case.ops.0 % 3 == 0 { (m, k) } else { (k, m) };
    let (rows_b, columns_b) = if case.ops.1 % 3 == 0 { (k, n) } else { (n, k) };
    let (lda, ldb, ldc) = (
        (rows_a + case.pad).max(1),
        (rows_b + case.pad).max(1),
        m + case.pad,
    );
    let (stride_a, stride_b, stride_c) = (lda * columns_a, ldb * columns_b, ldc * n);
    let a = Buffer::with_offset(ab, random.numbers(ab, stride_a * case.count), case.offset);
    let b = Buffer::with_offset(ab, random.numbers(ab, stride_b * case.count), case.offset);
    let integer = c_format == Format::S32;
    // Where beta is zero, C must not be read.
    let fill = if case.beta == [0.0, 0.0] && !integer {
        vec![NAN; stride_c * case.count]
    } else {
        random.numbers(c_format, stride_c * case.count)
    };
    let c = Buffer::with_offset(c_format, fill, case.offset);
    let (host_alpha, host_beta) = (scalar(scale, case.alpha), scalar(scale, case.beta));
    let (device_alpha, device_beta) = (
        Buffer::new(scale, vec![case.alpha]),
        Buffer::new(scale, vec![case.beta]),
    );
    let (alpha, beta): (*const c_void, *const c_void) = if case.device_scalars {
        (device_alpha.input(), device_beta.input())
    } else {
        (host_alpha.as_ptr().cast(), host_beta.as_ptr().cast())
    };
    let (m32, n32, k32) = (m as i32, n as i32, k as i32);
    let (lda32, ldb32, ldc32) = (lda as i32, ldb as i32, ldc as i32);
    let (ta, tb, tc) = (ab.data_type(), ab.data_type(), c_format.data_type());
    let (op_a, op_b) = case.ops;
    let status = unsafe {
        assert_eq!(
            cublasSetPointerMode_v2(blas.0, i32::from(case.device_scalars)),
            0
        );
        match case.form {
            Form::Single => cublasGemmEx(
                blas.0,
                op_a,
                op_b,
                m32,
                n32,
                k32,
                alpha,
                a.input(),
                ta,
                lda32,
                b.input(),
                tb,
                ldb32,
                beta,
                c.output(),
                tc,
                ldc32,
                compute,
                99,
            ),
            Form::Strided => cublasGemmStridedBatchedEx(
                blas.0,
                op_a,
                op_b,
                m32,
                n32,
                k32,
                alpha,
                a.input(),
                ta,
                lda32,
                stride_a as i64,
                b.input(),
                tb,
                ldb32,
                stride_b as i64,
                beta,
                c.output(),
                tc,
                ldc32,
                stride_c as i64,
                case.count as i32,
                compute,
                -1,
            ),
            Form::Pointers => {
                let (pa, pb, pc) = (
                    a.pointers(case.count, stride_a),
                    b.pointers(case.count, stride_b),
                    c.pointers(case.count, stride_c),
                );
                let status = cublasGemmBatchedEx(
                    blas.0,
                    op_a,
                    op_b,
                    m32,
                    n32,
                    k32,
                    alpha,
                    pa.input(),
                    ta,
                    lda32,
                    pb.input(),
                    tb,
                    ldb32,
                    beta,
                    pc.output(),
                    tc,
                    ldc32,
                    case.count as i32,
                    compute,
                    -1,
                );
                c.download();
                status
            }
        }
    };
    assert_eq!(status, 0, "{case:?}");
    let result = c.download();
    let (alpha, beta) = (device_alpha.values[0], device_beta.values[0]);
    let sums = if ab == Format::F64 || ab == Format::C64 {
        ab.epsilon()
    } else if integer {
        0.0
    } else {
        Format::F32.epsilon()
    };
    for batch in 0..case.count {
        for column in 0..n {
            for row in 0..ldc {
                let at = batch * stride_c + column * ldc + row;
                if row >= m {
                    assert_close(result[at], c.values[at], 0.0, || {
                        format!("{case:?}, padding at {row}, {column}")
                    });
                    continue;
                }
                let (mut sum, mut size) = ([0.0, 0.0], 0.0);
                for p in 0..k {
                    let left = element(&a.values[batch * stride_a..], op_a, lda, row, p);
                    let right = element(&b.values[batch * stride_b..], op_b, ldb, p, column);
                    let product = mul(left, right);
                    sum = add(sum, product);
                    size += abs(left) * abs(right);
                }
                let mut expected = mul(alpha, sum);
                size *= abs(alpha);
                if beta != [0.0, 0.0] {
                    expected = add(expected, mul(beta, c.values[at]));
                    size += abs(beta) * abs(c.values[at]);
                }
                let tolerance =
                    size * sums * (k + 4) as f64 + abs(expected) * c_format.epsilon() * 1.01;
                assert_close(result[at], expected, tolerance, || {
                    format!("{case:?} at {row}, {column} of {batch}")
                });
            }
        }
    }
}

const PLAIN: Case = Case {
    formats: PRODUCTS[0],
    ops: (1, 0),
    size: (16, 8, 16),
    pad: 0,
    offset: 0,
    alpha: [1.0, 0.0],
    beta: [0.0, 0.0],
    count: 1,
    form: Form::Single,
    device_scalars: false,
};

/// Every format with every pair of transpositions, in shapes that take the vector and the scalar paths.
pub fn products_of_every_format() {
    let blas = Blas::new();
    let mut random = Random(1);
    for formats in PRODUCTS {
        let complex = formats.0.is_complex();
        for op_a in [0, 1, 2, 3] {
            for op_b in [0, 1, 2, 3] {
                if (op_a >= 2 || op_b >= 2) && !complex {
                    continue;
                }
                for (size, pad) in [((16, 8, 16), 0), ((19, 7, 11), 3)] {
                    let (alpha, beta) = match (complex, pad) {
                        (_, 0) => ([1.0, 0.0], [0.0, 0.0]),
                        (false, _) => ([2.0, 0.0], [-1.0, 0.0]),
                        (true, _) => ([2.0, 0.5], [-1.0, 0.25]),
                    };
                    run_gemm(
                        &blas,
                        &mut random,
                        Case {
                            formats,
                            ops: (op_a, op_b),
                            size,
                            pad,
                            alpha,
                            beta,
                            ..PLAIN
                        },
                    );
                }
            }
        }
    }
}

/// Shapes from one number up, around the tiles' edges, and without a sum.
pub fn products_of_every_shape() {
    let blas = Blas::new();
    let mut random = Random(2);
    let shapes = [
        (1, 1, 1),
        (1, 9, 5),
        (9, 1, 5),
        (2, 3, 4),
        (3, 2, 8),
        (4, 4, 4),
        (8, 4, 1),
        (8, 5, 8),
        (65, 3, 9),
        (7, 33, 17),
        (72, 40, 24),
        (16, 8, 0),
        (40, 6, 32),
        (12, 5, 301),
    ];
    for formats in [PRODUCTS[0], PRODUCTS[3], PRODUCTS[5]] {
        for size in shapes {
            for ops in [(1, 0), (0, 1)] {
                let beta = [0.5, 0.0];
                run_gemm(
                    &blas,
                    &mut random,
                    Case {
                        formats,
                        ops,
                        size,
                        beta,
                        ..PLAIN
                    },
                );
            }
        }
    }
}

/// Addresses that are aligned to one number only.
pub fn products_of_misaligned_matrices() {
    let blas = Blas::new();
    let mut random = Random(3);
    for formats in PRODUCTS {
        for (ops, form) in [
            ((1, 0), Form::Single),
            ((0, 0), Form::Pointers),
            ((1, 1), Form::Pointers),
        ] {
            run_gemm(
                &blas,
                &mut random,
                Case {
                    formats,
                    ops,
                    form,
                    count: 2,
                    offset: 1,
                    ..PLAIN
                }
                .single(),
            );
        }
    }
}

/// Matrices of several tiles, with edges inside of a tile in every direction; leading dimensions are multiples of
/// eight numbers.
pub fn products_of_large_matrices() {
    let blas = Blas::new();
    let mut random = Random(11);
    let sizes = [
        ((136, 24, 48), 8),
        ((131, 75, 43), 5),
        ((24, 136, 72), 0),
        ((152, 56, 16), 0),
    ];
    for (i, formats) in [PRODUCTS[0], PRODUCTS[2], PRODUCTS[3], PRODUCTS[4]]
        .into_iter()
        .enumerate()
    {
        for (j, ops) in [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter().enumerate() {
            // Every format, pair of transpositions and size meets every other once.
            let (size, pad) = sizes[(i + j) % 4];
            let (alpha, beta) = ([0.5, 0.0], [1.0, 0.0]);
            run_gemm(
                &blas,
                &mut random,
                Case {
                    formats,
                    ops,
                    size,
                    pad,
                    alpha,
                    beta,
                    ..PLAIN
                },
            );
        }
    }
}

/// Operands along `k` in whole and partial tiles of every size; with two multiprocessors each of `gemm_depth::Shape::ALL`
/// is taken.
pub fn products_along_k() {
    let blas = Blas::new();
    let mut random = Random(13);
    let sizes = [
        (512, 256, 32),
        (500, 255, 32),
        (256, 64, 64),
        (251, 60, 128),
        (128, 64, 192),
        (122, 60, 64),
        (64, 64, 96),
        (61, 59, 32),
    ];
    for (i, size) in sizes.into_iter().enumerate() {
        let formats = PRODUCTS[[0, 2, 1, 3][i % 4]];
        let beta = if i % 3 == 0 { [0.0, 0.0] } else { [0.5, 0.0] };
        let pad = if i % 2 == 0 { 0 } else { 8 };
        let case = Case {
            formats,
            ops: (1, 0),
            size,
            beta,
            pad,
            ..PLAIN
        };
        run_gemm(&blas, &mut random, case);
    }
}

/// Matrices of several tiles of every format, in batches of addresses, at odd addresses.
pub fn products_of_tiles() {
    let blas = Blas::new();
    let mut random = Random(12);
    for (i, formats) in PRODUCTS.into_iter().enumerate() {
        let tile = if matches!(formats.3, 70) || formats.0.is_complex() {
            64
        } else {
            128
        };
        let ops = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)][i % 5];
        let complex = formats.0.is_complex();
        let ops = if complex { (2, 3) } else { (ops.0 % 2, ops.1) };
        // Over the end of a tile along rows in one half of the formats, along columns in the other.
        let (size, form, count, pad) = if i % 2 == 0 {
            ((tile + 3, 33, 19), Form::Pointers, 2, 0)
        } else {
            ((33, tile + 5, 17), Form::Single, 1, 1)
        };
        let beta = [2.0, 0.0];
        run_gemm(
            &blas,
            &mut random,
            Case {
                formats,
                ops,
                size,
                form,
                count,
                pad,
                beta,
                offset: 1,
                ..PLAIN
            },
        );
    }
}

impl Case {
    /// A single product has no batch.
    fn single(mut self) -> Self {
        if self.form == Form::Single {
            self.count = 1;
        }
        self
    }
}

/// Batches in both forms, with scalars in host and device memory.
pub fn products_in_batches() {
    let blas = Blas::new();
    let mut random = Random(4);
    for formats in PRODUCTS {
        for form in [Form::Strided, Form::Pointers] {
            for device_scalars in [false, true] {
                for (size, beta) in [((8, 8, 16), [0.0, 0.0]), ((5, 6, 7), [2.0, 0.0])] {
                    let case = Case {
                        formats,
                        form,
                        device_scalars,
                        size,
                        beta,
                        count: 3,
                        ..PLAIN
                    };
                    run_gemm(&blas, &mut random, case);
                }
            }
        }
    }
    // With a zero in device memory, A and B are not read.
    let (alpha, beta) = ([0.0, 0.0], [3.0, 0.0]);
    run_gemm(
        &blas,
        &mut random,
        Case {
            alpha,
            beta,
            device_scalars: true,
            ..PLAIN
        },
    );
    run_gemm(
        &blas,
        &mut random,
        Case {
            alpha,
            beta,
            ..PLAIN
        },
    );
}

/// The functions with a type in their name.
pub fn products_by_named_functions() {
    let blas = Blas::new();
    let mut random = Random(5);
    type Gemm = unsafe extern "C" fn(
        *const cublas::handle::Handle,
        i32,
        i32,
        i32,
        i32,
        i32,
        *const c_void,
        *const c_void,
        i32,
        *const c_void,
        i32,
        *const c_void,
        *mut c_void,
        i32,
    ) -> i32;
    let functions: [(Format, Gemm); 5] = [
        (Format::F32, cublasSgemm_v2),
        (Format::F64, cublasDgemm_v2),
        (Format::C32, cublasCgemm_v2),
        (Format::C64, cublasZgemm_v2),
        (Format::F16, cublasHgemm),
    ];
    for (format, gemm) in functions {
        let a = Buffer::new(format, random.numbers(format, 6 * 4));
        let b = Buffer::new(format, random.numbers(format, 4 * 5));
        let c = Buffer::new(format, vec![NAN; 6 * 5]);
        let (alpha, beta) = (scalar(format, [1.0, 0.0]), scalar(format, [0.0, 0.0]));
        let status = unsafe {
            gemm(
                blas.0,
                0,
                0,
                6,
                5,
                4,
                alpha.as_ptr().cast(),
                a.input(),
                6,
                b.input(),
                4,
                beta.as_ptr().cast(),
                c.output(),
                6,
            )
        };
        assert_eq!(status, 0);
        for (at, &got) in c.download().iter().enumerate() {
            let (row, column) = (at % 6, at / 6);
            let terms = (0..4).map(|p| mul(a.values[row + p * 6], b.values[p + column * 4]));
            let expected = terms.fold([0.0, 0.0], add);
            assert_close(got, expected, 64.0 * format.epsilon(), || {
                format!("{format:?} at {row}, {column}")
            });
        }
    }
}

/// Wrong arguments get cuBLAS's status and change nothing.
pub fn wrong_arguments() {
    let blas = Blas::new();
    let c = Buffer::new(Format::F32, vec![[7.0, 0.0]; 64]);
    let one = scalar(Format::F32, [1.0, 0.0]);
    let one: *const c_void = one.as_ptr().cast();
    let (invalid, unsupported) = (Status::InvalidValue as i32, Status::NotSupported as i32);
    let gemm = |ops: (i32, i32), size: (i32, i32, i32), lds: (i32, i32, i32), alpha| unsafe {
        cublasSgemm_v2(
            blas.0,
            ops.0,
            ops.1,
            size.0,
            size.1,
            size.2,
            alpha,
            c.input(),
            lds.0,
            c.input(),
            lds.1,
            one,
            c.output(),
            lds.2,
        )
    };
    assert_eq!(gemm((4, 0), (4, 4, 4), (4, 4, 4), one), invalid);
    assert_eq!(gemm((0, 0), (-1, 4, 4), (4, 4, 4), one), invalid);
    assert_eq!(gemm((0, 0), (4, 4, -1), (4, 4, 4), one), invalid);
    assert_eq!(gemm((0, 0), (4, 4, 4), (3, 4, 4), one), invalid);
    assert_eq!(gemm((1, 0), (8, 4, 4), (4, 4, 7), one), invalid);
    assert_eq!(gemm((0, 1), (4, 8, 4), (4, 4, 4), one), invalid);
    assert_eq!(
        gemm((0, 0), (4, 4, 4), (4, 4, 4), std::ptr::null()),
        invalid
    );
    assert_eq!(gemm((0, 0), (0, 4, 4), (1, 4, 1), one), 0);
    let gemm_ex = |a, b, c_type, compute| unsafe {
        cublasGemmEx(
            blas.0,
            0,
            0,
            4,
            4,
            4,
            one,
            c.input(),
            a,
            4,
            c.input(),
            b,
            4,
            one,
            c.output(),
            c_type,
            4,
            compute,
            -1,
        )
    };
    let (single, half, double) = (
        Format::F32.data_type(),
        Format::F16.data_type(),
        Format::F64.data_type(),
    );
    assert_eq!(gemm_ex(half, single, single, 68), unsupported);
    assert_eq!(gemm_ex(single, single, half, 68), unsupported);
    assert_eq!(gemm_ex(double, double, double, 68), unsupported);
    assert_eq!(gemm_ex(half, half, half, 66), invalid);
    assert_eq!(gemm_ex(77, half, half, 68), invalid);
    let trsm = |side, fill, m, lda| unsafe {
        cublasStrsm_v2(
            blas.0,
            side,
            fill,
            0,
            0,
            m,
            4,
            one,
            c.input(),
            lda,
            c.output(),
            8,
        )
    };
    assert_eq!(trsm(2, 0, 4, 4), invalid);
    assert_eq!(trsm(0, 2, 4, 4), invalid);
    assert_eq!(trsm(0, 0, 4, 3), invalid);
    assert_eq!(trsm(0, 0, -4, 4), invalid);
    assert_eq!(c.download(), c.values);
}
