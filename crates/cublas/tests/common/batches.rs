//! Batches of matrix-vector products of 16-bit numbers, and groups of matrix products.

use cublas::api::*;
use cublas::handle::Handle;

use crate::device::*;

type H = *const Handle;
type In = *const std::ffi::c_void;
type Out = *mut std::ffi::c_void;
type Batched =
    unsafe extern "C" fn(H, i32, i32, i32, In, In, i32, In, i32, In, Out, i32, i32) -> i32;
type Strided = unsafe extern "C" fn(
    H,
    i32,
    i32,
    i32,
    In,
    In,
    i32,
    i64,
    In,
    i32,
    i64,
    In,
    Out,
    i32,
    i64,
    i32,
) -> i32;

/// `HSHgemvBatched`, `HSSgemvBatched`, `TSTgemvBatched`, `TSSgemvBatched` and the strided forms.
pub fn vectors_of_16_bits() {
    let blas = Blas::new();
    let mut random = Random(51);
    let functions: [(Format, Format, Batched, Strided); 4] = [
        (
            Format::F16,
            Format::F16,
            cublasHSHgemvBatched,
            cublasHSHgemvStridedBatched,
        ),
        (
            Format::F16,
            Format::F32,
            cublasHSSgemvBatched,
            cublasHSSgemvStridedBatched,
        ),
        (
            Format::BF16,
            Format::BF16,
            cublasTSTgemvBatched,
            cublasTSTgemvStridedBatched,
        ),
        (
            Format::BF16,
            Format::F32,
            cublasTSSgemvBatched,
            cublasTSSgemvStridedBatched,
        ),
    ];
    let (alpha, beta) = (
        scalar(Format::F32, [1.5, 0.0]),
        scalar(Format::F32, [-0.5, 0.0]),
    );
    let (alpha, beta): (In, In) = (alpha.as_ptr().cast(), beta.as_ptr().cast());
    let (m, n, ld, count) = (7usize, 5usize, 9usize, 3usize);
    for (ab, c, batched, strided) in functions {
        for (op, pointers) in [(0, false), (0, true), (1, false), (1, true), (2, true)] {
            let (length_x, length_y) = if op == 0 { (n, m) } else { (m, n) };
            let (incx, incy) = (2usize, 3usize);
            let strides = (ld * n, length_x * incx, length_y * incy);
            let a = Buffer::new(ab, random.numbers(ab, strides.0 * count));
            let x = Buffer::new(ab, random.numbers(ab, strides.1 * count));
            let y = Buffer::new(c, random.numbers(c, strides.2 * count));
            let (mi, ni, ldi, counti) = (m as i32, n as i32, ld as i32, count as i32);
            let status = unsafe {
                if pointers {
                    let places = [(&a, strides.0), (&x, strides.1), (&y, strides.2)]
                        .map(|(b, step)| b.pointers(count, step));
                    let [a, x, y] = &places;
                    let status = batched(
                        blas.0,
                        op,
                        mi,
                        ni,
                        alpha,
                        a.input(),
                        ldi,
                        x.input(),
                        incx as i32,
                        beta,
                        y.output(),
                        incy as i32,
                        counti,
                    );
                    assert_eq!(
                        (cublas::driver::driver().expect("a driver").ctx_synchronize)().0,
                        0
                    );
                    status
                } else {
                    strided(
                        blas.0,
                        op,
                        mi,
                        ni,
                        alpha,
                        a.input(),
                        ldi,
                        strides.0 as i64,
                        x.input(),
                        incx as i32,
                        strides.1 as i64,
                        beta,
                        y.output(),
                        incy as i32,
                        strides.2 as i64,
                        counti,
                    )
                }
            };
            assert_eq!(status, 0);
            let result = y.download();
            for (batch, i) in (0..count).flat_map(|batch| (0..length_y).map(move |i| (batch, i))) {
                let sum = (0..length_x).fold([0.0; 2], |sum, p| {
                    let factor = element(&a.values[batch * strides.0..], op, ld, i, p);
                    add(sum, mul(factor, x.values[batch * strides.1 + p * incx]))
                });
                let at = batch * strides.2 + i * incy;
                let expected = add(mul([1.5, 0.0], sum), mul([-0.5, 0.0], y.values[at]));
                let tolerance = 64.0 * c.epsilon() + 1e-4;
                assert_close(result[at], expected, tolerance, || {
                    format!("{ab:?} {c:?} op {op} at {batch}, {i}")
                });
            }
        }
    }
}

/// `SgemmGroupedBatched`, `DgemmGroupedBatched` and `GemmGroupedBatchedEx`.
pub fn grouped_products() {
    let blas = Blas::new();
    let mut random = Random(52);
    // Three groups: operations, sizes, and the products in each.
    let ops = ([0, 1, 0], [0, 0, 1]);
    let (m, n, k) = ([3, 5, 2], [4, 1, 6], [5, 7, 3]);
    let sizes = [2, 1, 3];
    let (lda, ldb, ldc) = ([4, 7, 3], [6, 8, 6], [3, 6, 4]);
    let room = 64;
    for (ab, c) in [
        (Format::F32, Format::F32),
        (Format::F64, Format::F64),
        (Format::F16, Format::F16),
        (Format::BF16, Format::F32),
    ] {
        let scale = if c == Format::F64 { c } else { Format::F32 };
        let numbers = |values: [f64; 3]| -> Vec<u8> {
            values
                .iter()
                .flat_map(|&v| scale.encode([v, 0.0]))
                .collect()
        };
        let (alphas, betas) = ([1.0, -0.5, 2.0], [0.0, 1.0, 0.5]);
        let (alpha, beta) = (numbers(alphas), numbers(betas));
        let (alpha, beta): (In, In) = (alpha.as_ptr().cast(), beta.as_ptr().cast());
        let [a, b] = [0, 1].map(|_| Buffer::new(ab, random.numbers(ab, 6 * room)));
        let results = Buffer::new(c, random.numbers(c, 6 * room));
        let places = [&a, &b, &results].map(|buffer| buffer.pointers(6, room));
        let [at, bt, ct] = &places;
        let status = unsafe {
            match (ab, c) {
                (Format::F32, _) => cublasSgemmGroupedBatched(
                    blas.0,
                    ops.0.as_ptr(),
                    ops.1.as_ptr(),
                    m.as_ptr(),
                    n.as_ptr(),
                    k.as_ptr(),
                    alpha,
                    at.input(),
                    lda.as_ptr(),
                    bt.input(),
                    ldb.as_ptr(),
                    beta,
                    ct.output(),
                    ldc.as_ptr(),
                    3,
                    sizes.as_ptr(),
                ),
                (Format::F64, _) => {
                    let wide = |values: [i32; 3]| values.map(i64::from);
                    let ([m, n, k], [a, b, c]) = ([m, n, k].map(wide), [lda, ldb, ldc].map(wide));
                    cublasDgemmGroupedBatched_64(
                        blas.0,
                        ops.0.as_ptr(),
                        ops.1.as_ptr(),
                        m.as_ptr(),
                        n.as_ptr(),
                        k.as_ptr(),
                        alpha,
                        at.input(),
                        a.as_ptr(),
                        bt.input(),
                        b.as_ptr(),
                        beta,
                        ct.output(),
                        c.as_ptr(),
                        3,
                        wide(sizes).as_ptr(),
                    )
                }
                _ => cublasGemmGroupedBatchedEx(
                    blas.0,
                    ops.0.as_ptr(),
                    ops.1.as_ptr(),
                    m.as_ptr(),
                    n.as_ptr(),
                    k.as_ptr(),
                    alpha,
                    at.input(),
                    ab.data_type(),
                    lda.as_ptr(),
                    bt.input(),
                    ab.data_type(),
                    ldb.as_ptr(),
                    beta,
                    ct.output(),
                    c.data_type(),
                    ldc.as_ptr(),
                    3,
                    sizes.as_ptr(),
                    68,
                ),
            }
        };
        assert_eq!(status, 0);
        let got = results.download();
        let groups = [0, 0, 1, 2, 2, 2];
        for (product, &group) in groups.iter().enumerate() {
            let part = |buffer: &Buffer| buffer.values[product * room..].to_vec();
            let (a, b, old) = (part(&a), part(&b), part(&results));
            for row in 0..m[group] as usize {
                for column in 0..n[group] as usize {
                    let sum = (0..k[group] as usize).fold([0.0; 2], |sum, p| {
                        let left = element(&a, ops.0[group], lda[group] as usize, row, p);
                        add(
                            sum,
                            mul(
                                left,
                                element(&b, ops.1[group], ldb[group] as usize, p, column),
                            ),
                        )
                    });
                    let at = row + column * ldc[group] as usize;
                    let expected = add(
                        mul([alphas[group], 0.0], sum),
                        mul([betas[group], 0.0], old[at]),
                    );
                    let tolerance = 64.0 * c.epsilon();
                    assert_close(got[product * room + at], expected, tolerance, || {
                        format!("group {group} of {ab:?} at {row}, {column}")
                    });
                }
            }
        }
        unsafe {
            assert_eq!(cublasSetPointerMode_v2(blas.0, 1), 0);
            let status = cublasSgemmGroupedBatched(
                blas.0,
                ops.0.as_ptr(),
                ops.1.as_ptr(),
                m.as_ptr(),
                n.as_ptr(),
                k.as_ptr(),
                alpha,
                at.input(),
                lda.as_ptr(),
                bt.input(),
                ldb.as_ptr(),
                beta,
                ct.output(),
                ldc.as_ptr(),
                3,
                sizes.as_ptr(),
            );
            assert_eq!(status, 15);
            assert_eq!(cublasSetPointerMode_v2(blas.0, 0), 0);
        }
    }
}
