//! Device memory, numbers of every format, and reference results for tests that call cuBLAS's C functions.

use std::ffi::c_void;
use std::ptr;

use cublas::api::{cublasCreate_v2, cublasDestroy_v2};
use cublas::driver::driver;
use cublas::handle::Handle;
use cuda_abi::CUresult;

/// A complex number of the reference results.
pub type Complex = [f64; 2];

pub fn mul(a: Complex, b: Complex) -> Complex {
    [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]]
}

pub fn add(a: Complex, b: Complex) -> Complex {
    [a[0] + b[0], a[1] + b[1]]
}

pub fn conj(a: Complex) -> Complex {
    [a[0], -a[1]]
}

pub fn abs(a: Complex) -> f64 {
    a[0].hypot(a[1])
}

/// A number format, and a number of it in a device's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    F16,
    BF16,
    F32,
    F64,
    S8,
    S32,
    C32,
    C64,
}

impl Format {
    pub fn size(self) -> usize {
        match self {
            Format::S8 => 1,
            Format::F16 | Format::BF16 => 2,
            Format::F32 | Format::S32 => 4,
            Format::F64 | Format::C32 => 8,
            Format::C64 => 16,
        }
    }

    /// `cudaDataType`
    pub fn data_type(self) -> i32 {
        match self {
            Format::F32 => 0,
            Format::F64 => 1,
            Format::F16 => 2,
            Format::S8 => 3,
            Format::C32 => 4,
            Format::C64 => 5,
            Format::S32 => 10,
            Format::BF16 => 14,
        }
    }

    pub fn is_complex(self) -> bool {
        matches!(self, Format::C32 | Format::C64)
    }

    /// Relative error of one rounding.
    pub fn epsilon(self) -> f64 {
        match self {
            Format::F16 => 2f64.powi(-11),
            Format::BF16 => 2f64.powi(-8),
            Format::F32 | Format::C32 => 2f64.powi(-24),
            Format::F64 | Format::C64 => 2f64.powi(-53),
            Format::S8 | Format::S32 => 0.0,
        }
    }

    pub fn encode(self, value: Complex) -> Vec<u8> {
        match self {
            Format::F16 => half::f16::from_f64(value[0]).to_le_bytes().to_vec(),
            Format::BF16 => half::bf16::from_f64(value[0]).to_le_bytes().to_vec(),
            Format::F32 => (value[0] as f32).to_le_bytes().to_vec(),
            Format::F64 => value[0].to_le_bytes().to_vec(),
            Format::S8 => vec![value[0] as i8 as u8],
            Format::S32 => (value[0] as i32).to_le_bytes().to_vec(),
            Format::C32 => value
                .iter()
                .flat_map(|&part| (part as f32).to_le_bytes())
                .collect(),
            Format::C64 => value.iter().flat_map(|&part| part.to_le_bytes()).collect(),
        }
    }

    pub fn decode(self, bytes: &[u8]) -> Complex {
        fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
            bytes[at..at + N].try_into().expect("enough bytes")
        }
        match self {
            Format::F16 => [half::f16::from_le_bytes(part(bytes, 0)).to_f64(), 0.0],
            Format::BF16 => [half::bf16::from_le_bytes(part(bytes, 0)).to_f64(), 0.0],
            Format::F32 => [f64::from(f32::from_le_bytes(part(bytes, 0))), 0.0],
            Format::F64 => [f64::from_le_bytes(part(bytes, 0)), 0.0],
            Format::S8 => [f64::from(bytes[0] as i8), 0.0],
            Format::S32 => [f64::from(i32::from_le_bytes(part(bytes, 0))), 0.0],
            Format::C32 => [
                f64::from(f32::from_le_bytes(part(bytes, 0))),
                f64::from(f32::from_le_bytes(part(bytes, 4))),
            ],
            Format::C64 => [
                f64::from_le_bytes(part(bytes, 0)),
                f64::from_le_bytes(part(bytes, 8)),
            ],
        }
    }
}

/// Numbers in device memory and what they are.
pub struct Buffer {
    base: u64,
    /// Address of the first number.
    pub address: u64,
    pub format: Format,
    pub values: Vec<Complex>,
}

impl Buffer {
    /// Uploads numbers, `skip` numbers behind the start of the allocation.
    pub fn with_offset(format: Format, values: Vec<Complex>, skip: usize) -> Self {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|&value| format.encode(value))
            .collect();
        let mut base = 0;
        let skip = (skip * format.size()) as u64;
        let driver = driver().expect("a driver");
        unsafe {
            let allocated = (driver.mem_alloc)(&mut base, bytes.len().max(1) + skip as usize);
            assert_eq!(allocated, CUresult::SUCCESS);
            let copied = (driver.memcpy_htod)(base + skip, bytes.as_ptr().cast(), bytes.len());
            assert_eq!(copied, CUresult::SUCCESS);
        }
        // What was uploaded is what was rounded.
        let values = bytes
            .chunks(format.size())
            .map(|number| format.decode(number))
            .collect();
        Self {
            base,
            address: base + skip,
            format,
            values,
        }
    }

    pub fn new(format: Format, values: Vec<Complex>) -> Self {
        Self::with_offset(format, values, 0)
    }

    /// The numbers that are in device memory now.
    pub fn download(&self) -> Vec<Complex> {
        let mut bytes = vec![0u8; self.values.len() * self.format.size()];
        let driver = driver().expect("a driver");
        unsafe {
            assert_eq!((driver.ctx_synchronize)(), CUresult::SUCCESS);
            let copied = (driver.memcpy_dtoh)(bytes.as_mut_ptr().cast(), self.address, bytes.len());
            assert_eq!(copied, CUresult::SUCCESS);
        }
        bytes
            .chunks(self.format.size())
            .map(|number| self.format.decode(number))
            .collect()
    }

    pub fn input(&self) -> *const c_void {
        self.address as *const c_void
    }

    pub fn output(&self) -> *mut c_void {
        self.address as *mut c_void
    }

    /// Device memory with addresses of parts of this buffer, `stride` numbers apart.
    pub fn pointers(&self, count: usize, stride: usize) -> Pointers {
        let addresses: Vec<u64> = (0..count)
            .map(|i| self.address + (i * stride * self.format.size()) as u64)
            .collect();
        let mut base = 0;
        let driver = driver().expect("a driver");
        unsafe {
            assert_eq!((driver.mem_alloc)(&mut base, count * 8), CUresult::SUCCESS);
            let copied = (driver.memcpy_htod)(base, addresses.as_ptr().cast(), count * 8);
            assert_eq!(copied, CUresult::SUCCESS);
        }
        Pointers(base)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        unsafe { (driver().expect("a driver").mem_free)(self.base) };
    }
}

/// An array of addresses in device memory.
pub struct Pointers(pub u64);

impl Pointers {
    pub fn input(&self) -> *const c_void {
        self.0 as *const c_void
    }

    pub fn output(&self) -> *mut c_void {
        self.0 as *mut c_void
    }
}

impl Drop for Pointers {
    fn drop(&mut self) {
        unsafe { (driver().expect("a driver").mem_free)(self.0) };
    }
}

/// A cuBLAS handle for one test.
pub struct Blas(pub *mut Handle);

impl Blas {
    pub fn new() -> Self {
        let mut handle = ptr::null_mut();
        assert_eq!(unsafe { cublasCreate_v2(&mut handle) }, 0);
        Self(handle)
    }
}

impl Drop for Blas {
    fn drop(&mut self) {
        assert_eq!(unsafe { cublasDestroy_v2(self.0) }, 0);
    }
}

/// A scalar in host memory, in bytes of its format.
pub fn scalar(format: Format, value: Complex) -> Vec<u8> {
    format.encode(value)
}

/// Reproducible numbers: multiples of an eighth between -2 and 2, integers for integer formats.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 20) % 33) as f64 / 8.0 - 2.0
    }

    pub fn numbers(&mut self, format: Format, count: usize) -> Vec<Complex> {
        let integer = matches!(format, Format::S8 | Format::S32);
        (0..count)
            .map(|_| {
                let re = self.next() * if integer { 8.0 } else { 1.0 };
                [
                    re,
                    if format.is_complex() {
                        self.next()
                    } else {
                        0.0
                    },
                ]
            })
            .collect()
    }
}

/// Fails unless `got` is `expected` within `tolerance`, or both are NaN.
pub fn assert_close(
    got: Complex,
    expected: Complex,
    tolerance: f64,
    what: impl FnOnce() -> String,
) {
    let near = abs([got[0] - expected[0], got[1] - expected[1]]) <= tolerance;
    let both_nan = got[0].is_nan() && expected[0].is_nan();
    let equal = got == expected;
    assert!(
        near || both_nan || equal,
        "{}: {got:?} instead of {expected:?}",
        what()
    );
}

/// What results are filled with before a call that must not read them.
pub const NAN: Complex = [f64::NAN, 0.0];

/// Element of `op(A)` for a matrix with leading dimension `ld`.
pub fn element(values: &[Complex], op: i32, ld: usize, row: usize, column: usize) -> Complex {
    let value = match op {
        0 | 3 => values[row + column * ld],
        _ => values[column + row * ld],
    };
    if op >= 2 {
        conj(value)
    } else {
        value
    }
}
