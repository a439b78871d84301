//! The descriptors: structures that the caller holds, here or on its own stack, and their attributes.

use super::enter;
use crate::types::{Operation, Status};
use std::ffi::c_void;
use std::mem::{offset_of, size_of};

/// `cublasLtMatmulDesc_t`: at most 256 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MatmulDesc {
    /// `CUBLASLT_MATMUL_DESC_COMPUTE_TYPE`: a `cublasComputeType_t`.
    pub compute: i32,
    /// `CUBLASLT_MATMUL_DESC_SCALE_TYPE`: a `cudaDataType_t`.
    pub scale: i32,
    /// `CUBLASLT_MATMUL_DESC_POINTER_MODE`.
    pub pointer_mode: i32,
    /// `CUBLASLT_MATMUL_DESC_TRANSA`, `_TRANSB` and `_TRANSC`.
    pub ops: [i32; 3],
    /// `CUBLASLT_MATMUL_DESC_FILL_MODE`.
    pub fill: i32,
    /// `CUBLASLT_MATMUL_DESC_EPILOGUE`.
    pub epilogue: i32,
    /// `CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET`: a hint.
    pub sm_count: i32,
    /// `CUBLASLT_MATMUL_DESC_FAST_ACCUM`: a hint.
    pub fast_sums: i8,
    /// An attribute that changes the result and is not supported was set: its number, or 0.
    pub unsupported: i32,
    /// `CUBLASLT_MATMUL_DESC_BIAS_POINTER`.
    pub bias: u64,
    /// `CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE`.
    pub bias_stride: i64,
    /// `CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE`: a `cudaDataType_t`, or -1 for that of `D`.
    pub bias_kind: i32,
}

/// `cublasLtMatrixLayout_t`: at most 64 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Columns.
    pub columns: u64,
    /// Rows.
    pub rows: u64,
    /// Leading dimension, in numbers.
    pub ld: i64,
    /// Numbers from one matrix of the batch to the next.
    pub batch_stride: i64,
    /// Bytes from one plane of a complex matrix to the other; 0 for none.
    pub plane: i64,
    /// A `cudaDataType_t`.
    pub kind: i32,
    /// A `cublasLtOrder_t`: 0 columns, 1 rows.
    pub order: i32,
    /// Matrices.
    pub batch: i32,
}

/// `cublasLtMatmulPreference_t`: all hints for a choice that there is not.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Preference {
    /// `CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES`.
    pub workspace_bytes: u64,
    /// The attributes 0 and 3 to 10, each in its place.
    pub others: [u32; 12],
}

/// Bytes of the structures as `cublasLt.h` declares them, of which every one here fits in.
const MATMUL_DESC_BYTES: usize = 256;
const LAYOUT_BYTES: usize = 64;
const PREFERENCE_BYTES: usize = 64;

const _: () = assert!(
    size_of::<MatmulDesc>() <= MATMUL_DESC_BYTES
        && size_of::<Layout>() <= LAYOUT_BYTES
        && size_of::<Preference>() <= PREFERENCE_BYTES
);

impl MatmulDesc {
    fn new(compute: i32, scale: i32) -> Self {
        Self {
            compute,
            scale,
            pointer_mode: 0,
            ops: [0; 3],
            fill: 2,
            epilogue: 1,
            sm_count: 0,
            fast_sums: 0,
            unsupported: 0,
            bias: 0,
            bias_stride: 0,
            bias_kind: -1,
        }
    }
}

/// Where an attribute lies in its structure, and its size.
pub(super) type Field = Option<(usize, usize)>;

/// Something with attributes.
pub(super) trait Attributes: Sized {
    /// The place of an attribute that is kept.
    fn field(attribute: i32) -> Field;

    /// What to do with one that is not.
    fn other(&mut self, _attribute: i32, _value: &[u8]) -> Result<(), Status> {
        Err(Status::InvalidValue)
    }
}

macro_rules! field {
    ($ty:ty, $($name:ident).+ $([$index:literal])?, $size:literal) => {
        Some((offset_of!($ty, $($name).+) $(+ $index * $size)?, $size))
    };
}
pub(super) use field;

impl Attributes for MatmulDesc {
    fn field(attribute: i32) -> Field {
        match attribute {
            0 => field!(Self, compute, 4),
            1 => field!(Self, scale, 4),
            2 => field!(Self, pointer_mode, 4),
            3 => field!(Self, ops[0], 4),
            4 => field!(Self, ops[1], 4),
            5 => field!(Self, ops[2], 4),
            6 => field!(Self, fill, 4),
            7 => field!(Self, epilogue, 4),
            8 => field!(Self, bias, 8),
            10 => field!(Self, bias_stride, 8),
            15 => field!(Self, sm_count, 4),
            25 => field!(Self, fast_sums, 1),
            26 => field!(Self, bias_kind, 4),
            _ => None,
        }
    }

    /// Everything else changes the result: scales, auxiliary outputs. Null pointers do not.
    fn other(&mut self, attribute: i32, value: &[u8]) -> Result<(), Status> {
        if value.iter().any(|&byte| byte != 0) {
            self.unsupported = attribute;
        }
        Ok(())
    }
}

impl Layout {
    /// Rows and columns of the matrix after an operation.
    pub(super) fn shape(&self, op: Operation) -> (i64, i64) {
        let (rows, columns) = (self.rows as i64, self.columns as i64);
        match op.transposes() {
            true => (columns, rows),
            false => (rows, columns),
        }
    }
}

impl Attributes for Layout {
    fn field(attribute: i32) -> Field {
        match attribute {
            0 => field!(Self, kind, 4),
            1 => field!(Self, order, 4),
            2 => field!(Self, rows, 8),
            3 => field!(Self, columns, 8),
            4 => field!(Self, ld, 8),
            5 => field!(Self, batch, 4),
            6 => field!(Self, batch_stride, 8),
            7 => field!(Self, plane, 8),
            _ => None,
        }
    }
}

impl Attributes for Preference {
    fn field(attribute: i32) -> Field {
        match attribute {
            1 => field!(Self, workspace_bytes, 8),
            0 | 2..=11 => Some((offset_of!(Self, others) + attribute as usize * 4, 4)),
            _ => None,
        }
    }
}

/// Sets an attribute from `size` bytes at `value`.
pub(super) unsafe fn set<T: Attributes>(
    object: *mut T,
    attribute: i32,
    value: *const c_void,
    size: usize,
) -> Result<(), Status> {
    if object.is_null() || value.is_null() {
        return Err(Status::InvalidValue);
    }
    match T::field(attribute) {
        Some((_, bytes)) if bytes != size => Err(Status::InvalidValue),
        Some((offset, bytes)) => {
            // SAFETY: the place lies in the structure, and the caller's value has `size` bytes.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    value.cast::<u8>(),
                    object.cast::<u8>().add(offset),
                    bytes,
                );
            }
            Ok(())
        }
        None => {
            // SAFETY: as above.
            let bytes = unsafe { std::slice::from_raw_parts(value.cast::<u8>(), size) };
            // SAFETY: the caller's structure, which no other thread changes meanwhile.
            unsafe { &mut *object }.other(attribute, bytes)
        }
    }
}

/// Reads an attribute to `size` bytes at `value`; with 0 bytes only its size is told.
pub(super) unsafe fn read<T: Attributes>(
    object: *const T,
    attribute: i32,
    value: *mut c_void,
    size: usize,
    written: *mut usize,
) -> Result<(), Status> {
    let (offset, bytes) = T::field(attribute).ok_or(Status::InvalidValue)?;
    if object.is_null() {
        return Err(Status::InvalidValue);
    }
    // SAFETY: the attribute lies in the caller's structure; the places are the caller's.
    unsafe {
        let bytes = std::slice::from_raw_parts(object.cast::<u8>().add(offset), bytes);
        give(bytes, value, size, written)
    }
}

/// Writes an attribute's bytes to `size` bytes at `value`; with 0 bytes only their number is told.
pub(super) unsafe fn give(
    bytes: &[u8],
    value: *mut c_void,
    size: usize,
    written: *mut usize,
) -> Result<(), Status> {
    if (size == 0 && written.is_null()) || (size != 0 && value.is_null()) {
        return Err(Status::InvalidValue);
    }
    // SAFETY: the caller's places, of which `value` has `size` bytes.
    unsafe {
        if !written.is_null() {
            *written = bytes.len();
        }
        if size == 0 {
            return Ok(());
        }
        if size < bytes.len() {
            return Err(Status::InvalidValue);
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), value.cast::<u8>(), bytes.len());
    }
    Ok(())
}

/// The four functions that every descriptor has beside the one that makes it.
macro_rules! descriptor {
    ($ty:ty, $destroy:ident, $set:ident, $get:ident) => {
        /// Ends what its `Create` made.
        pub unsafe extern "C" fn $destroy(object: *mut $ty) -> i32 {
            enter(stringify!($destroy), || {
                if object.is_null() {
                    return Err(Status::InvalidValue);
                }
                // SAFETY: made by a box in `Create`.
                drop(unsafe { Box::from_raw(object) });
                Ok(())
            })
        }

        /// Sets an attribute.
        pub unsafe extern "C" fn $set(
            object: *mut $ty,
            attribute: i32,
            value: *const c_void,
            size: usize,
        ) -> i32 {
            enter(stringify!($set), || {
                // SAFETY: the C caller's descriptor and value.
                unsafe { set(object, attribute, value, size) }
            })
        }

        /// Reads an attribute.
        pub unsafe extern "C" fn $get(
            object: *const $ty,
            attribute: i32,
            value: *mut c_void,
            size: usize,
            written: *mut usize,
        ) -> i32 {
            enter(stringify!($get), || {
                // SAFETY: the C caller's descriptor and places.
                unsafe { read(object, attribute, value, size, written) }
            })
        }
    };
}

pub(super) use descriptor;

descriptor!(
    MatmulDesc,
    cublasLtMatmulDescDestroy,
    cublasLtMatmulDescSetAttribute,
    cublasLtMatmulDescGetAttribute
);
descriptor!(
    Layout,
    cublasLtMatrixLayoutDestroy,
    cublasLtMatrixLayoutSetAttribute,
    cublasLtMatrixLayoutGetAttribute
);
descriptor!(
    Preference,
    cublasLtMatmulPreferenceDestroy,
    cublasLtMatmulPreferenceSetAttribute,
    cublasLtMatmulPreferenceGetAttribute
);

/// Puts a new object behind a caller's pointer to a pointer.
pub(super) fn make<T>(place: *mut *mut T, object: T) -> Result<(), Status> {
    if place.is_null() {
        return Err(Status::InvalidValue);
    }
    // SAFETY: not null, so the C caller's place.
    unsafe { *place = Box::into_raw(Box::new(object)) };
    Ok(())
}

/// Puts an object into `size` bytes of the caller's.
pub(super) fn init<T>(place: *mut T, size: usize, object: T) -> Result<(), Status> {
    if place.is_null() || size < size_of::<T>() {
        return Err(Status::InvalidValue);
    }
    // SAFETY: the caller's place has `size` bytes.
    unsafe { place.write_unaligned(object) };
    Ok(())
}

/// Makes the description of a product.
pub unsafe extern "C" fn cublasLtMatmulDescCreate(
    desc: *mut *mut MatmulDesc,
    compute: i32,
    scale: i32,
) -> i32 {
    enter("cublasLtMatmulDescCreate", || {
        make(desc, MatmulDesc::new(compute, scale))
    })
}

/// The same in memory of the caller's.
pub unsafe extern "C" fn cublasLtMatmulDescInit_internal(
    desc: *mut MatmulDesc,
    size: usize,
    compute: i32,
    scale: i32,
) -> i32 {
    enter("cublasLtMatmulDescInit_internal", || {
        init(desc, size, MatmulDesc::new(compute, scale))
    })
}

fn layout(kind: i32, rows: u64, columns: u64, ld: i64) -> Layout {
    Layout {
        columns,
        rows,
        ld,
        batch_stride: 0,
        plane: 0,
        kind,
        order: 0,
        batch: 1,
    }
}

/// Makes the description of a matrix.
pub unsafe extern "C" fn cublasLtMatrixLayoutCreate(
    place: *mut *mut Layout,
    kind: i32,
    rows: u64,
    columns: u64,
    ld: i64,
) -> i32 {
    enter("cublasLtMatrixLayoutCreate", || {
        make(place, layout(kind, rows, columns, ld))
    })
}

/// The same in memory of the caller's.
pub unsafe extern "C" fn cublasLtMatrixLayoutInit_internal(
    place: *mut Layout,
    size: usize,
    kind: i32,
    rows: u64,
    columns: u64,
    ld: i64,
) -> i32 {
    enter("cublasLtMatrixLayoutInit_internal", || {
        init(place, size, layout(kind, rows, columns, ld))
    })
}

const PREFERENCE: Preference = Preference {
    workspace_bytes: 0,
    others: [0; 12],
};

/// Makes preferences for the choice of an algorithm.
pub unsafe extern "C" fn cublasLtMatmulPreferenceCreate(place: *mut *mut Preference) -> i32 {
    enter("cublasLtMatmulPreferenceCreate", || make(place, PREFERENCE))
}

/// The same in memory of the caller's.
pub unsafe extern "C" fn cublasLtMatmulPreferenceInit_internal(
    place: *mut Preference,
    size: usize,
) -> i32 {
    enter("cublasLtMatmulPreferenceInit_internal", || {
        init(place, size, PREFERENCE)
    })
}
