//! Givens rotations: their making (`rotg`, `rotmg`) and the modified one of vectors (`rotm`).
//!
//! A rotation is made of two or four numbers: on the host where they lie there, else by a kernel of one thread.

use crate::gemm::Formats;
use crate::handle::{Arguments, Handle, Scalar};
use crate::kernels::{rotg, rotm, Kernel};
use crate::ptx::Element;
use crate::types::{PointerMode, Status};
use crate::vectors::Vector;

/// A complex number; real ones have no second part.
pub type Complex = [f64; 2];

fn bytes_of(element: Element, [re, im]: Complex) -> Vec<u8> {
    match element {
        Element::F16 => half::f16::from_f64(re).to_ne_bytes().to_vec(),
        Element::BF16 => half::bf16::from_f64(re).to_ne_bytes().to_vec(),
        Element::F32 => (re as f32).to_ne_bytes().to_vec(),
        Element::F64 => re.to_ne_bytes().to_vec(),
        Element::S8 => (re as i8).to_ne_bytes().to_vec(),
        Element::S32 => (re as i32).to_ne_bytes().to_vec(),
        Element::C32 => [re, im]
            .iter()
            .flat_map(|&part| (part as f32).to_ne_bytes())
            .collect(),
        Element::C64 => [re, im]
            .iter()
            .flat_map(|part| part.to_ne_bytes())
            .collect(),
    }
}

/// Reads number `index` of an array in host memory.
///
/// # Errors
/// `INVALID_VALUE` for null.
///
/// # Safety
/// `array` is null or has that many numbers of the format.
pub unsafe fn read(array: u64, element: Element, index: usize) -> Result<Complex, Status> {
    if array == 0 {
        return Err(Status::InvalidValue);
    }
    let at = (array as *const u8).wrapping_add(index * element.size());
    // SAFETY: the caller promises a number there.
    let number = unsafe { Scalar::from_raw(PointerMode::Host, element, at.cast()) }?;
    Ok([number.re, number.im])
}

/// Writes number `index` of an array in host memory, rounded.
///
/// # Errors
/// `INVALID_VALUE` for null.
///
/// # Safety
/// As for [`read`].
pub unsafe fn write(
    array: u64,
    element: Element,
    index: usize,
    number: Complex,
) -> Result<(), Status> {
    if array == 0 {
        return Err(Status::InvalidValue);
    }
    let at = (array as *mut u8).wrapping_add(index * element.size());
    let bytes = bytes_of(element, number);
    // SAFETY: the caller promises a number there.
    unsafe { at.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    Ok(())
}

/// Makes a rotation of numbers in device memory: `a`, `b`, `c`, `s`, or `d1`, `d2`, `x1`, `y1`, `param`.
///
/// # Errors
/// What the launch gives.
pub fn make_on_device(
    handle: &Handle,
    element: Element,
    cosine: Element,
    addresses: &[u64],
) -> Result<(), Status> {
    let mut arguments = Arguments::default();
    for &address in addresses {
        arguments.word(address);
    }
    let kernel = Kernel::Rotg(rotg::Spec {
        element,
        cosine,
        arithmetic: Formats::uniform(element).arithmetic,
        modified: addresses.len() == 5,
    });
    handle.launch(&kernel, [1, 1, 1], 1, &mut arguments)
}

/// What `rotg` makes of two numbers: `r`, what takes the place of `b`, `c` and `s`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Givens {
    /// The length, which takes the place of `a`.
    pub r: Complex,
    /// `z` of real numbers, from which `c` and `s` can be had; `b` itself of complex ones.
    pub z: Complex,
    /// The cosine.
    pub c: f64,
    /// The sine.
    pub s: Complex,
}

impl Givens {
    /// Of real numbers (BLAS, `srotg`).
    pub fn real(a: f64, b: f64) -> Self {
        let larger = if a.abs() > b.abs() { a } else { b };
        let r = a.hypot(b).copysign(larger);
        if r == 0.0 {
            return Self {
                r: [0.0; 2],
                z: [0.0; 2],
                c: 1.0,
                s: [0.0; 2],
            };
        }
        let (c, s) = (a / r, b / r);
        let z = if a.abs() > b.abs() {
            s
        } else if c != 0.0 {
            1.0 / c
        } else {
            1.0
        };
        Self {
            r: [r, 0.0],
            z: [z, 0.0],
            c,
            s: [s, 0.0],
        }
    }

    /// Of complex numbers (BLAS, `crotg`).
    pub fn complex(a: Complex, b: Complex) -> Self {
        let size = a[0].hypot(a[1]);
        if size == 0.0 {
            return Self {
                r: b,
                z: b,
                c: 0.0,
                s: [1.0, 0.0],
            };
        }
        let norm = size.hypot(b[0].hypot(b[1]));
        let direction = [a[0] / size, a[1] / size];
        let b_part = [b[0] / norm, b[1] / norm];
        let s = [
            direction[0] * b_part[0] + direction[1] * b_part[1],
            direction[1] * b_part[0] - direction[0] * b_part[1],
        ];
        Self {
            r: direction.map(|part| part * norm),
            z: b,
            c: size / norm,
            s,
        }
    }
}

/// What `rotmg` makes of four numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Modified {
    /// `d1`, `d2` and `x1` from now on.
    pub d1: f64,
    /// See `d1`.
    pub d2: f64,
    /// See `d1`.
    pub x1: f64,
    /// The flag, and `h11`, `h21`, `h12`, `h22` as far as the flag does not tell them.
    pub param: [Option<f64>; 5],
}

impl Modified {
    /// The rotation that takes `y1` away (BLAS, `srotmg`).
    pub fn new(mut d1: f64, mut d2: f64, mut x1: f64, y1: f64) -> Self {
        const GAMMA: f64 = 4096.0;
        const SQUARE: f64 = GAMMA * GAMMA;
        // The reference's bound, which is rounded.
        const LEAST: f64 = 5.960_464_5e-8;
        let zero = Self {
            d1: 0.0,
            d2: 0.0,
            x1: 0.0,
            param: [Some(-1.0), Some(0.0), Some(0.0), Some(0.0), Some(0.0)],
        };
        if d1 < 0.0 {
            return zero;
        }
        let p2 = d2 * y1;
        if p2 == 0.0 {
            return Self {
                d1,
                d2,
                x1,
                param: [Some(-2.0), None, None, None, None],
            };
        }
        let p1 = d1 * x1;
        let (q1, q2) = (p1 * x1, p2 * y1);
        let mut flag;
        // h11, h21, h12, h22
        let mut h;
        if q1.abs() > q2.abs() {
            let (h21, h12) = (-y1 / x1, p2 / p1);
            let u = 1.0 - h12 * h21;
            if u <= 0.0 {
                return zero;
            }
            (flag, h) = (0.0, [1.0, h21, h12, 1.0]);
            (d1, d2, x1) = (d1 / u, d2 / u, x1 * u);
        } else {
            if q2 < 0.0 {
                return zero;
            }
            let (h11, h22) = (p1 / p2, x1 / y1);
            let u = 1.0 + h11 * h22;
            (flag, h) = (1.0, [h11, -1.0, 1.0, h22]);
            (d1, d2, x1) = (d2 / u, d1 / u, y1 * u);
        }
        let far = |d: f64| d != 0.0 && d.is_finite() && (d.abs() <= LEAST || d.abs() >= SQUARE);
        while far(d1) {
            flag = -1.0;
            let (square, factor) = if d1 <= LEAST {
                (SQUARE, 1.0 / GAMMA)
            } else {
                (1.0 / SQUARE, GAMMA)
            };
            (d1, x1) = (d1 * square, x1 * factor);
            (h[0], h[2]) = (h[0] * factor, h[2] * factor);
        }
        while far(d2) {
            flag = -1.0;
            let (square, factor) = if d2.abs() <= LEAST {
                (SQUARE, 1.0 / GAMMA)
            } else {
                (1.0 / SQUARE, GAMMA)
            };
            d2 *= square;
            (h[1], h[3]) = (h[1] * factor, h[3] * factor);
        }
        let [h11, h21, h12, h22] = h.map(Some);
        let param = match flag {
            0.0 => [None, h21, h12, None],
            1.0 => [h11, None, None, h22],
            _ => [h11, h21, h12, h22],
        };
        let [a, b, c, d] = param;
        Self {
            d1,
            d2,
            x1,
            param: [Some(flag), a, b, c, d],
        }
    }
}

/// Rotates two vectors by the five numbers of `param`.
///
/// # Errors
/// `INVALID_VALUE` for null pointers, `NOT_SUPPORTED` for more elements than a grid has threads.
///
/// # Safety
/// `param` is null or has five numbers of the format, in host or device memory by the pointer mode.
pub unsafe fn rotate(
    handle: &Handle,
    (element, param_element): (Element, Element),
    count: i64,
    (x, y): (Vector, Vector),
    param: u64,
) -> Result<(), Status> {
    if param == 0 {
        return Err(Status::InvalidValue);
    }
    if count <= 0 {
        return Ok(());
    }
    if x.address == 0 || y.address == 0 {
        return Err(Status::InvalidValue);
    }
    let Ok(blocks) = i32::try_from((count as u64).div_ceil(u64::from(rotm::BLOCK))) else {
        tracing::warn!("{count} elements are too many for one operation");
        return Err(Status::NotSupported);
    };
    let arithmetic = Formats::uniform(element).arithmetic;
    let bytes = element.size() as i64;
    let mut arguments = Arguments::default();
    arguments
        .word(x.first(count, element))
        .word(y.first(count, element));
    arguments
        .signed(x.step * bytes)
        .signed(y.step * bytes)
        .word(count as u64);
    let on_device = handle.state.lock().pointer_mode == PointerMode::Device;
    arguments.word(if on_device { param } else { 0 });
    for index in 0..5 {
        let value = if on_device {
            0.0
        } else {
            // SAFETY: the caller promises five numbers.
            unsafe { read(param, param_element, index) }?[0]
        };
        arguments.number(arithmetic, value);
    }
    let kernel = Kernel::Rotm(rotm::Spec {
        element,
        param: param_element,
        arithmetic,
    });
    handle.launch(&kernel, [blocks as u32, 1, 1], rotm::BLOCK, &mut arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_of_real_numbers() {
        let made = Givens::real(3.0, 4.0);
        assert_eq!((made.r[0], made.c, made.s[0]), (5.0, 0.6, 0.8));
        assert_eq!(made.z[0], 1.0 / 0.6);
        let made = Givens::real(-4.0, 3.0);
        assert_eq!(
            (made.r[0], made.c, made.s[0], made.z[0]),
            (-5.0, 0.8, -0.6, -0.6)
        );
        let made = Givens::real(0.0, 2.0);
        assert_eq!(
            (made.r[0], made.c, made.s[0], made.z[0]),
            (2.0, 0.0, 1.0, 1.0)
        );
        let made = Givens::real(0.0, 0.0);
        assert_eq!(
            (made.r[0], made.c, made.s[0], made.z[0]),
            (0.0, 1.0, 0.0, 0.0)
        );
    }

    #[test]
    fn rotations_of_complex_numbers() {
        let (a, b) = ([3.0, 4.0], [5.0, 12.0]);
        let made = Givens::complex(a, b);
        // c * a + s * b = r, and c * b - conj(s) * a = 0.
        let times = |x: Complex, y: Complex| [x[0] * y[0] - x[1] * y[1], x[0] * y[1] + x[1] * y[0]];
        let (sb, sa) = (times(made.s, b), times([made.s[0], -made.s[1]], a));
        for part in 0..2 {
            assert!((made.c * a[part] + sb[part] - made.r[part]).abs() < 1e-12);
            assert!((made.c * b[part] - sa[part]).abs() < 1e-12);
        }
        assert_eq!(
            Givens::complex([0.0; 2], b),
            Givens {
                r: b,
                z: b,
                c: 0.0,
                s: [1.0, 0.0]
            }
        );
    }

    #[test]
    fn modified_rotations_take_the_second_number_away() {
        for (d1, d2, x1, y1) in [
            (2.0, 3.0, 4.0, 1.0),
            (1.0, 3.0, 1.0, 2.0),
            (1e10, 2.0, 1e-3, 7.0),
            (1e-12, 1e-9, 3.0, 0.5),
            (1.0, -0.5, 3.0, 1.0),
        ] {
            let made = Modified::new(d1, d2, x1, y1);
            let [flag, h11, h21, h12, h22] = made.param.map(|number| number.unwrap_or(f64::NAN));
            let [h11, h21, h12, h22] = match flag {
                0.0 => [1.0, h21, h12, 1.0],
                1.0 => [h11, -1.0, 1.0, h22],
                _ => [h11, h21, h12, h22],
            };
            let (x, y) = (h11 * x1 + h12 * y1, h21 * x1 + h22 * y1);
            assert!(
                (x - made.x1).abs() <= 1e-12 * x.abs(),
                "{d1} {d2} {x1} {y1}"
            );
            assert!(y.abs() <= 1e-12 * (h21 * x1).abs(), "{d1} {d2} {x1} {y1}");
            let (before, after) = (d1 * x1 * x1 + d2 * y1 * y1, made.d1 * x * x);
            assert!(
                (before - after).abs() <= 1e-12 * before.abs(),
                "{d1} {d2} {x1} {y1}"
            );
        }
        assert_eq!(
            Modified::new(1.0, 2.0, 3.0, 0.0).param,
            [Some(-2.0), None, None, None, None]
        );
        assert_eq!(
            Modified::new(-1.0, 2.0, 3.0, 4.0).param,
            [Some(-1.0), Some(0.0), Some(0.0), Some(0.0), Some(0.0)]
        );
    }
}
