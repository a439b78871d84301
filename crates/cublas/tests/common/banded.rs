//! Matrices in band and packed storage, compared with the same matrices written out.

use std::ffi::c_void;

use cublas::api::*;
use cublas::handle::Handle;

use crate::device::*;

type H = *const Handle;
type In = *const c_void;
type Out = *mut c_void;

/// Where element `i` of a vector of `n` lies.
fn place(n: usize, step: i32, i: usize) -> usize {
    let distance = step.unsigned_abs() as usize;
    if step < 0 {
        (n - 1 - i) * distance
    } else {
        i * distance
    }
}

/// Room for a vector of `n`.
fn room(n: usize, step: i32) -> usize {
    (n - 1) * step.unsigned_abs() as usize + 1
}

/// Calls the function of a format.
macro_rules! pick {
    ($format:expr, $f32:ident $f64:ident $c32:ident $c64:ident) => {
        match $format {
            Format::F32 => $f32,
            Format::F64 => $f64,
            Format::C32 => $c32,
            _ => $c64,
        }
    };
}

const FORMATS: [Format; 4] = [Format::F32, Format::F64, Format::C32, Format::C64];
const STEPS: [(i32, i32); 4] = [(1, 1), (2, -3), (-1, 2), (-2, -1)];

/// A matrix written out, with `None` outside of what is stored.
type Dense = Vec<Vec<Option<Complex>>>;

/// Rows and columns with numbers on `below` and `above` diagonals beside the main one.
fn dense(
    random: &mut Random,
    format: Format,
    (m, n): (usize, usize),
    (below, above): (usize, usize),
) -> Dense {
    let numbers = random.numbers(format, m * n);
    let within = |i: usize, j: usize| i <= j + below && j <= i + above;
    (0..m)
        .map(|i| {
            (0..n)
                .map(|j| within(i, j).then(|| numbers[i * n + j]))
                .collect()
        })
        .collect()
}

/// The band storage of a matrix; what no element lies in is NaN.
fn band(matrix: &Dense, above: usize, ld: usize) -> Vec<Complex> {
    let mut stored = vec![NAN; ld * matrix[0].len()];
    for (i, row) in matrix.iter().enumerate() {
        for (j, value) in row.iter().enumerate() {
            if let Some(value) = value {
                stored[above + i - j + j * ld] = *value;
            }
        }
    }
    stored
}

/// The packed storage of a triangle.
fn packed(matrix: &Dense, lower: bool) -> Vec<Complex> {
    let n = matrix.len();
    let rows = |j: usize| if lower { j..n } else { 0..j + 1 };
    (0..n)
        .flat_map(|j| rows(j).map(move |i| (i, j)))
        .map(|(i, j)| matrix[i][j].unwrap_or_default())
        .collect()
}

/// Element `(i, p)` of `op(A)`.
fn of(matrix: &Dense, op: i32, i: usize, p: usize) -> Complex {
    let value = match op {
        0 => matrix[i][p],
        _ => matrix[p][i],
    }
    .unwrap_or_default();
    if op == 2 {
        conj(value)
    } else {
        value
    }
}

/// Element `(i, p)` of a symmetric or Hermitian matrix.
fn mirrored(matrix: &Dense, (lower, hermitian): (bool, bool), i: usize, p: usize) -> Complex {
    let stored = if lower { i >= p } else { i <= p };
    let value = if stored { matrix[i][p] } else { matrix[p][i] }.unwrap_or_default();
    match (hermitian, i == p, stored) {
        (true, true, _) => [value[0], 0.0],
        (true, false, false) => conj(value),
        _ => value,
    }
}

/// Scalars for a call, in host or in device memory.
struct Scalars {
    host: Vec<Vec<u8>>,
    device: Vec<Buffer>,
    on_device: bool,
}

impl Scalars {
    fn new(blas: &Blas, on_device: bool, values: &[(Format, Complex)]) -> Self {
        assert_eq!(
            unsafe { cublasSetPointerMode_v2(blas.0, i32::from(on_device)) },
            0
        );
        let host = values
            .iter()
            .map(|&(format, value)| scalar(format, value))
            .collect();
        let device = values
            .iter()
            .map(|&(format, value)| Buffer::new(format, vec![value]))
            .collect();
        Self {
            host,
            device,
            on_device,
        }
    }

    fn at(&self, index: usize) -> In {
        if self.on_device {
            self.device[index].input()
        } else {
            self.host[index].as_ptr().cast()
        }
    }
}

/// Checks a product with its reference and that nothing between the elements was written.
fn check_vector(
    y: &Buffer,
    (n, step): (usize, i32),
    tolerance: f64,
    expected: impl Fn(usize, Complex) -> Complex,
    what: impl Fn() -> String,
) {
    let result = y.download();
    let places: Vec<usize> = (0..n).map(|i| place(n, step, i)).collect();
    for (i, &at) in places.iter().enumerate() {
        assert_close(result[at], expected(i, y.values[at]), tolerance, || {
            format!("{} at {i}", what())
        });
    }
    for (at, &value) in result.iter().enumerate() {
        if !places.contains(&at) {
            assert_close(value, y.values[at], 0.0, || {
                format!("{}: between elements", what())
            });
        }
    }
}

/// `gbmv`, `sbmv`, `hbmv`, `spmv` and `hpmv`.
pub fn band_and_packed_products() {
    let blas = Blas::new();
    let mut random = Random(21);
    for format in FORMATS {
        let tolerance = 256.0 * format.epsilon();
        let part = if format.is_complex() { 0.5 } else { 0.0 };
        let mut turn = 0;
        for (m, n, below, above) in [
            (7, 5, 2, 1),
            (5, 9, 0, 3),
            (6, 6, 0, 0),
            (3, 4, 5, 6),
            (1, 1, 0, 0),
        ] {
            for op in 0..3 {
                for (incx, incy) in STEPS {
                    turn += 1;
                    let matrix = dense(&mut random, format, (m, n), (below, above));
                    let ld = below + above + 1 + turn % 2;
                    let a = Buffer::new(format, band(&matrix, above, ld));
                    let (length_x, length_y) = if op == 0 { (n, m) } else { (m, n) };
                    let x = Buffer::new(format, random.numbers(format, room(length_x, incx)));
                    // Where beta is zero y is not read.
                    let zero = turn % 3 == 0;
                    let numbers = random.numbers(format, room(length_y, incy));
                    let y = Buffer::new(
                        format,
                        if zero {
                            vec![NAN; numbers.len()]
                        } else {
                            numbers
                        },
                    );
                    let (alpha, beta) = ([1.5, part], if zero { [0.0; 2] } else { [-0.5, part] });
                    let scalars =
                        Scalars::new(&blas, turn % 2 == 0, &[(format, alpha), (format, beta)]);
                    let function: unsafe extern "C" fn(
                        H,
                        i32,
                        i32,
                        i32,
                        i32,
                        i32,
                        In,
                        In,
                        i32,
                        In,
                        i32,
                        In,
                        Out,
                        i32,
                    ) -> i32 =
                        pick!(format, cublasSgbmv_v2 cublasDgbmv_v2 cublasCgbmv_v2 cublasZgbmv_v2);
                    let status = unsafe {
                        function(
                            blas.0,
                            op,
                            m as i32,
                            n as i32,
                            below as i32,
                            above as i32,
                            scalars.at(0),
                            a.input(),
                            ld as i32,
                            x.input(),
                            incx,
                            scalars.at(1),
                            y.output(),
                            incy,
                        )
                    };
                    assert_eq!(status, 0);
                    let expected = |i: usize, old: Complex| {
                        let sum = (0..length_x)
                            .map(|p| mul(of(&matrix, op, i, p), x.values[place(length_x, incx, p)]))
                            .fold([0.0; 2], add);
                        add(
                            mul(alpha, sum),
                            if zero { [0.0; 2] } else { mul(beta, old) },
                        )
                    };
                    check_vector(&y, (length_y, incy), tolerance, expected, || {
                        format!(
                            "gbmv {format:?} {m}x{n} op {op} {below}+{above} steps {incx} {incy}"
                        )
                    });
                }
            }
        }
        symmetric_products(&blas, &mut random, format);
    }
}

fn symmetric_products(blas: &Blas, random: &mut Random, format: Format) {
    let tolerance = 256.0 * format.epsilon();
    let complex = format.is_complex();
    let part = if complex { 0.5 } else { 0.0 };
    let mut turn = 0;
    for (n, k) in [(7usize, 2usize), (6, 0), (4, 6), (1, 0), (9, usize::MAX)] {
        for lower in [false, true] {
            for (incx, incy) in STEPS {
                turn += 1;
                let is_packed = k == usize::MAX;
                let reach = if is_packed { n } else { k };
                let sides = if lower { (reach, 0) } else { (0, reach) };
                let matrix = dense(random, format, (n, n), sides);
                let ld = reach + 1 + turn % 2;
                let stored = if is_packed {
                    packed(&matrix, lower)
                } else {
                    band(&matrix, sides.1, ld)
                };
                let a = Buffer::new(format, stored);
                let x = Buffer::new(format, random.numbers(format, room(n, incx)));
                let zero = turn % 3 == 0;
                let numbers = random.numbers(format, room(n, incy));
                let y = Buffer::new(
                    format,
                    if zero {
                        vec![NAN; numbers.len()]
                    } else {
                        numbers
                    },
                );
                let (alpha, beta) = ([1.5, part], if zero { [0.0; 2] } else { [-0.5, part] });
                let scalars = Scalars::new(blas, turn % 2 == 0, &[(format, alpha), (format, beta)]);
                let (uplo, size) = (i32::from(!lower), n as i32);
                let (alpha_at, beta_at) = (scalars.at(0), scalars.at(1));
                let status = unsafe {
                    if is_packed {
                        let function: unsafe extern "C" fn(
                            H,
                            i32,
                            i32,
                            In,
                            In,
                            In,
                            i32,
                            In,
                            Out,
                            i32,
                        ) -> i32 = pick!(format, cublasSspmv_v2 cublasDspmv_v2 cublasChpmv_v2 cublasZhpmv_v2);
                        function(
                            blas.0,
                            uplo,
                            size,
                            alpha_at,
                            a.input(),
                            x.input(),
                            incx,
                            beta_at,
                            y.output(),
                            incy,
                        )
                    } else {
                        let function: unsafe extern "C" fn(
                            H,
                            i32,
                            i32,
                            i32,
                            In,
                            In,
                            i32,
                            In,
                            i32,
                            In,
                            Out,
                            i32,
                        ) -> i32 = pick!(format, cublasSsbmv_v2 cublasDsbmv_v2 cublasChbmv_v2 cublasZhbmv_v2);
                        function(
                            blas.0,
                            uplo,
                            size,
                            k as i32,
                            alpha_at,
                            a.input(),
                            ld as i32,
                            x.input(),
                            incx,
                            beta_at,
                            y.output(),
                            incy,
                        )
                    }
                };
                assert_eq!(status, 0);
                let expected = |i: usize, old: Complex| {
                    let sum = (0..n)
                        .map(|p| {
                            mul(
                                mirrored(&matrix, (lower, complex), i, p),
                                x.values[place(n, incx, p)],
                            )
                        })
                        .fold([0.0; 2], add);
                    add(
                        mul(alpha, sum),
                        if zero { [0.0; 2] } else { mul(beta, old) },
                    )
                };
                check_vector(&y, (n, incy), tolerance, expected, || {
                    format!("symmetric {format:?} {n} band {k} lower {lower} steps {incx} {incy}")
                });
            }
        }
    }
}

/// `tbmv`, `tbsv`, `tpmv` and `tpsv`: the product, and the solution that undoes it.
pub fn band_and_packed_triangles() {
    type Packed = unsafe extern "C" fn(H, i32, i32, i32, i32, In, Out, i32) -> i32;
    type Band = unsafe extern "C" fn(H, i32, i32, i32, i32, i32, In, i32, Out, i32) -> i32;
    let blas = Blas::new();
    let mut random = Random(22);
    for format in FORMATS {
        let mut turn = 0;
        for (n, k) in [(7usize, 2usize), (5, 0), (4, 6), (1, 0), (8, usize::MAX)] {
            for mode in 0..12 {
                turn += 1;
                let (lower, unit, op) = (mode & 1 == 0, mode >> 1 & 1 == 1, mode >> 2);
                let step = [1, -1, 2, -3][turn % 4];
                let is_packed = k == usize::MAX;
                let reach = if is_packed { n } else { k };
                let sides = if lower { (reach, 0) } else { (0, reach) };
                let mut matrix = dense(&mut random, format, (n, n), sides);
                for (i, row) in matrix.iter_mut().enumerate() {
                    // A small triangle beside the diagonal keeps the solution exact enough.
                    for value in row.iter_mut().flatten() {
                        *value = [value[0] / 4.0, value[1] / 4.0];
                    }
                    let part = if format.is_complex() { 1.0 } else { 0.0 };
                    row[i] = Some(if unit { NAN } else { [4.0 + i as f64, part] });
                }
                let ld = reach + 1 + turn % 2;
                let stored = if is_packed {
                    packed(&matrix, lower)
                } else {
                    band(&matrix, sides.1, ld)
                };
                let a = Buffer::new(format, stored);
                for (i, row) in matrix.iter_mut().enumerate() {
                    if unit {
                        row[i] = Some([1.0, 0.0]);
                    }
                }
                let x = Buffer::new(format, random.numbers(format, room(n, step)));
                let modes = (i32::from(!lower), op, i32::from(unit));
                let run = |multiply: bool| unsafe {
                    if is_packed {
                        let product: Packed = pick!(format, cublasStpmv_v2 cublasDtpmv_v2 cublasCtpmv_v2 cublasZtpmv_v2);
                        let solution: Packed = pick!(format, cublasStpsv_v2 cublasDtpsv_v2 cublasCtpsv_v2 cublasZtpsv_v2);
                        let function = if multiply { product } else { solution };
                        function(
                            blas.0,
                            modes.0,
                            modes.1,
                            modes.2,
                            n as i32,
                            a.input(),
                            x.output(),
                            step,
                        )
                    } else {
                        let product: Band = pick!(format, cublasStbmv_v2 cublasDtbmv_v2 cublasCtbmv_v2 cublasZtbmv_v2);
                        let solution: Band = pick!(format, cublasStbsv_v2 cublasDtbsv_v2 cublasCtbsv_v2 cublasZtbsv_v2);
                        let function = if multiply { product } else { solution };
                        function(
                            blas.0,
                            modes.0,
                            modes.1,
                            modes.2,
                            n as i32,
                            k as i32,
                            a.input(),
                            ld as i32,
                            x.output(),
                            step,
                        )
                    }
                };
                let what = || format!("triangle {format:?} {n} band {k} mode {mode} step {step}");
                assert_eq!(run(true), 0);
                let tolerance = 256.0 * format.epsilon();
                let expected = |i: usize, _: Complex| {
                    (0..n)
                        .map(|p| mul(of(&matrix, op, i, p), x.values[place(n, step, p)]))
                        .fold([0.0; 2], add)
                };
                check_vector(&x, (n, step), tolerance, expected, what);
                assert_eq!(run(false), 0);
                let growth = if unit { 64.0 } else { 1.0 };
                let expected = |_: usize, old: Complex| old;
                check_vector(&x, (n, step), growth * tolerance, expected, || {
                    format!("{} solved", what())
                });
            }
        }
    }
}

/// `spr`, `hpr`, `spr2`, `hpr2`, `tpttr` and `trttp`.
pub fn packed_updates() {
    let blas = Blas::new();
    let mut random = Random(23);
    for format in FORMATS {
        let complex = format.is_complex();
        let real = match format {
            Format::C32 => Format::F32,
            Format::C64 => Format::F64,
            other => other,
        };
        for mode in 0..16 {
            let (lower, two) = (mode & 1 == 0, mode >> 1 & 1 == 1);
            let (incx, incy) = STEPS[mode >> 2];
            let n = 7usize;
            let matrix = dense(&mut random, format, (n, n), (n, n));
            let a = Buffer::new(format, packed(&matrix, lower));
            let x = Buffer::new(format, random.numbers(format, room(n, incx)));
            let y = Buffer::new(format, random.numbers(format, room(n, incy)));
            let alpha = [1.5, if complex && two { 0.5 } else { 0.0 }];
            let scalars = Scalars::new(
                &blas,
                mode % 3 == 0,
                &[(if two { format } else { real }, alpha)],
            );
            let uplo = i32::from(!lower);
            let status = unsafe {
                if two {
                    let function: unsafe extern "C" fn(
                        H,
                        i32,
                        i32,
                        In,
                        In,
                        i32,
                        In,
                        i32,
                        Out,
                    ) -> i32 =
                        pick!(format, cublasSspr2_v2 cublasDspr2_v2 cublasChpr2_v2 cublasZhpr2_v2);
                    function(
                        blas.0,
                        uplo,
                        n as i32,
                        scalars.at(0),
                        x.input(),
                        incx,
                        y.input(),
                        incy,
                        a.output(),
                    )
                } else {
                    let function: unsafe extern "C" fn(H, i32, i32, In, In, i32, Out) -> i32 =
                        pick!(format, cublasSspr_v2 cublasDspr_v2 cublasChpr_v2 cublasZhpr_v2);
                    function(
                        blas.0,
                        uplo,
                        n as i32,
                        scalars.at(0),
                        x.input(),
                        incx,
                        a.output(),
                    )
                }
            };
            assert_eq!(status, 0);
            let turned = |value: Complex| if complex { conj(value) } else { value };
            let updated: Dense = (0..n)
                .map(|i| {
                    (0..n)
                        .map(|j| {
                            let x = |i| x.values[place(n, incx, i)];
                            let y = |i| y.values[place(n, incy, i)];
                            let update = if two {
                                add(
                                    mul(alpha, mul(x(i), turned(y(j)))),
                                    mul(turned(alpha), mul(y(i), turned(x(j)))),
                                )
                            } else {
                                mul(alpha, mul(x(i), turned(x(j))))
                            };
                            let mut sum = add(matrix[i][j].unwrap_or_default(), update);
                            if complex && i == j {
                                sum[1] = 0.0;
                            }
                            Some(sum)
                        })
                        .collect()
                })
                .collect();
            let expected = packed(&updated, lower);
            for (at, &got) in a.download().iter().enumerate() {
                assert_close(got, expected[at], 64.0 * format.epsilon(), || {
                    format!("update {format:?} mode {mode} at {at}")
                });
            }
        }
        for lower in [false, true] {
            let (n, ld) = (6usize, 8usize);
            let matrix = dense(&mut random, format, (n, n), (n, n));
            let from = Buffer::new(format, packed(&matrix, lower));
            let full = Buffer::new(format, random.numbers(format, ld * n));
            let back = Buffer::new(format, vec![NAN; n * (n + 1) / 2]);
            let unpack: unsafe extern "C" fn(H, i32, i32, In, Out, i32) -> i32 =
                pick!(format, cublasStpttr cublasDtpttr cublasCtpttr cublasZtpttr);
            let pack: unsafe extern "C" fn(H, i32, i32, In, i32, Out) -> i32 =
                pick!(format, cublasStrttp cublasDtrttp cublasCtrttp cublasZtrttp);
            let uplo = i32::from(!lower);
            unsafe {
                assert_eq!(
                    unpack(
                        blas.0,
                        uplo,
                        n as i32,
                        from.input(),
                        full.output(),
                        ld as i32
                    ),
                    0
                );
                assert_eq!(
                    pack(
                        blas.0,
                        uplo,
                        n as i32,
                        full.input(),
                        ld as i32,
                        back.output()
                    ),
                    0
                );
                assert_eq!(
                    unpack(
                        blas.0,
                        uplo,
                        n as i32,
                        from.input(),
                        full.output(),
                        n as i32 - 1
                    ),
                    7
                );
            }
            for (at, &got) in full.download().iter().enumerate() {
                let (i, j) = (at % ld, at / ld);
                let within = i < n && if lower { i >= j } else { i <= j };
                let expected = if within {
                    matrix[i][j].unwrap_or_default()
                } else {
                    full.values[at]
                };
                assert_eq!(got, expected, "tpttr {format:?} lower {lower} at {i}, {j}");
            }
            assert_eq!(
                back.download(),
                from.values,
                "trttp {format:?} lower {lower}"
            );
        }
    }
    wrong_arguments(&blas);
}

fn wrong_arguments(blas: &Blas) {
    let scalars = Scalars::new(blas, false, &[(Format::F32, [1.0, 0.0])]);
    let (one, a) = (
        scalars.at(0),
        Buffer::new(Format::F32, vec![[1.0, 0.0]; 16]),
    );
    let (x, y) = (a.input(), a.output());
    unsafe {
        // A leading dimension smaller than the band, negative bands, increments of zero, a fill mode of both triangles.
        assert_eq!(
            cublasSgbmv_v2(blas.0, 0, 2, 2, 1, 1, one, x, 2, x, 1, one, y, 1),
            7
        );
        assert_eq!(
            cublasSgbmv_v2(blas.0, 0, 2, 2, -1, 1, one, x, 4, x, 1, one, y, 1),
            7
        );
        assert_eq!(
            cublasSsbmv_v2(blas.0, 0, 2, 1, one, x, 1, x, 1, one, y, 1),
            7
        );
        assert_eq!(cublasSspmv_v2(blas.0, 0, 2, one, x, x, 0, one, y, 1), 7);
        assert_eq!(cublasSspmv_v2(blas.0, 2, 2, one, x, x, 1, one, y, 1), 7);
        assert_eq!(cublasStbsv_v2(blas.0, 0, 0, 0, 2, 1, x, 1, y, 1), 7);
        assert_eq!(cublasStpsv_v2(blas.0, 0, 0, 0, -1, x, y, 1), 7);
        assert_eq!(
            cublasStpsv_v2(blas.0, 0, 0, 0, 2, std::ptr::null(), y, 1),
            7
        );
        assert_eq!(
            cublasStpsv_v2(blas.0, 0, 0, 0, 0, std::ptr::null(), y, 1),
            0
        );
    }
}
