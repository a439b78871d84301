//! Givens rotations, and the functions of vectors with free types.

use std::ffi::c_void;

use cublas::api::*;
use cublas::handle::Handle;

use crate::device::*;

type H = *const Handle;
type Out = *mut c_void;

/// Numbers in host or in device memory by the pointer mode.
enum Place {
    Host(Format, Vec<u8>),
    Device(Buffer),
}

impl Place {
    fn new(on_device: bool, format: Format, values: &[Complex]) -> Self {
        if on_device {
            return Self::Device(Buffer::new(format, values.to_vec()));
        }
        Self::Host(
            format,
            values
                .iter()
                .flat_map(|&value| format.encode(value))
                .collect(),
        )
    }

    fn at(&mut self) -> Out {
        match self {
            Self::Host(_, bytes) => bytes.as_mut_ptr().cast(),
            Self::Device(buffer) => buffer.output(),
        }
    }

    fn values(&self) -> Vec<Complex> {
        match self {
            Self::Host(format, bytes) => bytes
                .chunks(format.size())
                .map(|number| format.decode(number))
                .collect(),
            Self::Device(buffer) => buffer.download(),
        }
    }
}

fn real(format: Format) -> Format {
    match format {
        Format::C32 => Format::F32,
        Format::C64 => Format::F64,
        other => other,
    }
}

/// `rotg` and `RotgEx`: the rotation takes the second number away and keeps the length.
pub fn givens_rotations() {
    let blas = Blas::new();
    let pairs = [
        ([3.0, 0.0], [4.0, 0.0]),
        ([-4.0, 1.5], [3.0, -2.0]),
        ([0.0, 0.0], [2.0, 1.0]),
        ([2.0, -1.0], [0.0, 0.0]),
        ([0.0, 0.0], [0.0, 0.0]),
    ];
    for (turn, format) in [Format::F32, Format::F64, Format::C32, Format::C64]
        .into_iter()
        .cycle()
        .take(16)
        .enumerate()
    {
        let (on_device, by_name) = (turn & 4 == 0, turn & 8 == 0);
        unsafe { assert_eq!(cublasSetPointerMode_v2(blas.0, i32::from(on_device)), 0) };
        for (a, b) in pairs {
            let complex = format.is_complex();
            let cut = |value: Complex| if complex { value } else { [value[0], 0.0] };
            let (a, b) = (cut(a), cut(b));
            let mut places = [(format, a), (format, b), (real(format), NAN), (format, NAN)]
                .map(|(format, value)| Place::new(on_device, format, &[value]));
            let [a_at, b_at, c_at, s_at] = [0, 1, 2, 3].map(|i| places[i].at());
            let status = unsafe {
                if by_name {
                    let function: unsafe extern "C" fn(H, Out, Out, Out, Out) -> i32 = match format
                    {
                        Format::F32 => cublasSrotg_v2,
                        Format::F64 => cublasDrotg_v2,
                        Format::C32 => cublasCrotg_v2,
                        _ => cublasZrotg_v2,
                    };
                    function(blas.0, a_at, b_at, c_at, s_at)
                } else {
                    let ty = format.data_type();
                    cublasRotgEx(blas.0, a_at, b_at, ty, c_at, s_at, ty, ty)
                }
            };
            assert_eq!(status, 0);
            let [r, z, c, s] = [0, 1, 2, 3].map(|i| places[i].values()[0]);
            let tolerance = 32.0 * format.epsilon();
            let what = || format!("rotg {format:?} of {a:?} and {b:?}");
            assert_close(add(mul(c, a), mul(s, b)), r, tolerance, what);
            let minus = conj(mul([-1.0, 0.0], s));
            assert_close(add(mul(c, b), mul(minus, a)), [0.0; 2], tolerance, what);
            assert_close(
                [c[0] * c[0] + abs(s) * abs(s), 0.0],
                [1.0, 0.0],
                tolerance,
                what,
            );
            if complex {
                assert_eq!(z, b);
            } else {
                // c and s come back from z.
                let (c_again, s_again) = match z[0] {
                    1.0 => (0.0, 1.0),
                    z if z.abs() < 1.0 => ((1.0 - z * z).sqrt(), z),
                    z => (1.0 / z, (1.0 - 1.0 / (z * z)).sqrt()),
                };
                assert_close([c_again, 0.0], [c[0].abs(), 0.0], tolerance, what);
                assert_close([s_again.abs(), 0.0], [s[0].abs(), 0.0], tolerance, what);
            }
        }
    }
}

/// `rotmg`, `rotm`, `RotmgEx` and `RotmEx`.
pub fn modified_rotations() {
    let blas = Blas::new();
    let mut random = Random(31);
    for (turn, format) in [Format::F32, Format::F64]
        .into_iter()
        .cycle()
        .take(8)
        .enumerate()
    {
        let (on_device, by_name) = (turn & 2 == 0, turn & 4 == 0);
        let (single, ty) = (format == Format::F32, format.data_type());
        unsafe { assert_eq!(cublasSetPointerMode_v2(blas.0, i32::from(on_device)), 0) };
        for given in [
            [2.0, 3.0, 4.0, 1.0],
            [1.0, 3.0, 1.0, 2.0],
            [1e9, 2.0, 0.5, 7.0],
            [1.0, 2.0, 3.0, 0.0],
        ] {
            let mut places = given.map(|value| Place::new(on_device, format, &[[value, 0.0]]));
            let mut param = Place::new(on_device, format, &[NAN; 5]);
            let [d1, d2, x1, y1] = [0, 1, 2, 3].map(|i| places[i].at());
            let status = unsafe {
                match (by_name, single) {
                    (true, true) => cublasSrotmg_v2(blas.0, d1, d2, x1, y1, param.at()),
                    (true, false) => cublasDrotmg_v2(blas.0, d1, d2, x1, y1, param.at()),
                    _ => cublasRotmgEx(blas.0, d1, ty, d2, ty, x1, ty, y1, ty, param.at(), ty, ty),
                }
            };
            assert_eq!(status, 0);
            // The vectors begin with the numbers that the rotation was made for.
            let n = 5usize;
            let mut numbers = [random.numbers(format, 2 * n), random.numbers(format, n)];
            (numbers[0][2 * (n - 1)], numbers[1][0]) = ([given[2], 0.0], [given[3], 0.0]);
            let [x, y] = numbers.map(|numbers| Buffer::new(format, numbers));
            let status = unsafe {
                match (by_name, single) {
                    (true, true) => {
                        cublasSrotm_v2(blas.0, n as i32, x.output(), -2, y.output(), 1, param.at())
                    }
                    (true, false) => cublasDrotm_v2_64(
                        blas.0,
                        n as i64,
                        x.output(),
                        -2,
                        y.output(),
                        1,
                        param.at(),
                    ),
                    _ => cublasRotmEx(
                        blas.0,
                        n as i32,
                        x.output(),
                        ty,
                        -2,
                        y.output(),
                        ty,
                        1,
                        param.at(),
                        ty,
                        ty,
                    ),
                }
            };
            assert_eq!(status, 0);
            let param: Vec<f64> = param.values().iter().map(|value| value[0]).collect();
            let h = match param[0] {
                -2.0 => [1.0, 0.0, 0.0, 1.0],
                0.0 => [1.0, param[2], param[3], 1.0],
                1.0 => [param[1], -1.0, 1.0, param[4]],
                _ => [param[1], param[2], param[3], param[4]],
            };
            let what = || format!("rotm {format:?} of {given:?}");
            let (new_x, new_y) = (x.download(), y.download());
            for i in 0..n {
                let (a, b) = (x.values[2 * (n - 1 - i)][0], y.values[i][0]);
                let size = 8.0 * format.epsilon() * h.iter().map(|h| h.abs()).fold(1.0, f64::max);
                assert_close(
                    new_x[2 * (n - 1 - i)],
                    [h[0] * a + h[2] * b, 0.0],
                    size * (a.abs() + b.abs()),
                    what,
                );
                assert_close(
                    new_y[i],
                    [h[1] * a + h[3] * b, 0.0],
                    size * (a.abs() + b.abs()),
                    what,
                );
            }
            let [d1, _, x1, _] = places.map(|place| place.values()[0][0]);
            let before = given[0] * given[2] * given[2] + given[1] * given[3] * given[3];
            let tolerance = 64.0 * format.epsilon();
            if param[0] != -2.0 {
                assert_close([d1 * x1 * x1, 0.0], [before, 0.0], tolerance * before, what);
                assert_close(
                    new_y[0],
                    [0.0, 0.0],
                    tolerance * (given[2].abs() + given[3].abs()),
                    what,
                );
            }
        }
    }
}

/// `AsumEx`, `IamaxEx`, `IaminEx`, `CopyEx`, `SwapEx` and `RotEx`.
pub fn vectors_of_free_types() {
    let blas = Blas::new();
    let mut random = Random(32);
    unsafe { assert_eq!(cublasSetPointerMode_v2(blas.0, 0), 0) };
    for format in [
        Format::F32,
        Format::F64,
        Format::C32,
        Format::C64,
        Format::F16,
        Format::BF16,
    ] {
        let n = 37usize;
        let (ty, size) = (format.data_type(), n as i32);
        let half = matches!(format, Format::F16 | Format::BF16);
        let execution = if half { Format::F32 } else { format };
        let mut numbers = random.numbers(format, 2 * n);
        for number in &mut numbers {
            number[0] += number[0].signum() + 0.25;
        }
        (numbers[2 * 11], numbers[2 * 23], numbers[2 * 5]) = ([9.0, 0.0], [-9.0, 0.0], [0.0, 0.0]);
        let x = Buffer::new(format, numbers);
        let y = Buffer::new(format, random.numbers(format, n));
        let what = || format!("{format:?}");
        let (mut place, mut wide) = (0i32, 0i64);
        let mut sum = vec![0u8; real(format).size()];
        let total: f64 = x
            .values
            .iter()
            .step_by(2)
            .map(|v| v[0].abs() + v[1].abs())
            .sum();
        unsafe {
            assert_eq!(cublasIamaxEx(blas.0, size, x.input(), ty, 2, &mut place), 0);
            assert_eq!(
                cublasIaminEx_64(blas.0, n as i64, x.input(), ty, 2, &mut wide),
                0
            );
            assert_eq!((place, wide), (12, 6), "{format:?}");
            let (result, at) = (real(format).data_type(), sum.as_mut_ptr().cast());
            assert_eq!(
                cublasAsumEx(
                    blas.0,
                    size,
                    x.input(),
                    ty,
                    2,
                    at,
                    result,
                    real(execution).data_type()
                ),
                0
            );
            let got = real(format).decode(&sum);
            assert_close(got, [total, 0.0], 64.0 * format.epsilon() * total, what);

            assert_eq!(
                cublasSwapEx(blas.0, size, x.output(), ty, 2, y.output(), ty, -1),
                0
            );
            let (new_x, new_y) = (x.download(), y.download());
            for i in 0..n {
                assert_eq!(
                    (new_x[2 * i], new_y[n - 1 - i]),
                    (y.values[n - 1 - i], x.values[2 * i])
                );
            }
            assert_eq!(
                cublasCopyEx_64(blas.0, n as i64, x.input(), ty, 2, y.output(), ty, 1),
                0
            );
            let new_y = y.download();
            assert!((0..n).all(|i| new_y[i] == new_x[2 * i]));

            let (c_value, s_value) = (
                [0.75, 0.0],
                [0.5, if format.is_complex() { 0.25 } else { 0.0 }],
            );
            let (c, s) = (scalar(real(format), c_value), scalar(format, s_value));
            let status = cublasRotEx(
                blas.0,
                size,
                x.output(),
                ty,
                2,
                y.output(),
                ty,
                1,
                c.as_ptr().cast(),
                s.as_ptr().cast(),
                ty,
                execution.data_type(),
            );
            assert_eq!(status, 0);
            let (turned_x, turned_y) = (x.download(), y.download());
            for i in 0..n {
                let a = new_x[2 * i];
                let tolerance = 32.0 * format.epsilon();
                assert_close(
                    turned_x[2 * i],
                    mul(add(c_value, s_value), a),
                    tolerance,
                    what,
                );
                let minus = conj(mul([-1.0, 0.0], s_value));
                assert_close(turned_y[i], mul(add(c_value, minus), a), tolerance, what);
            }
            assert_eq!(
                cublasCopyEx(blas.0, size, x.input(), ty, 2, y.output(), 99, 1),
                15
            );
            assert_eq!(cublasIamaxEx(blas.0, size, x.input(), 99, 1, &mut place), 7);
        }
    }
}
