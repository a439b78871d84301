//! `cublasLtMatrixTransform`: `C = alpha * op(A) + beta * op(B)`, from any of row and column order to any.
//!
//! Transposing and the order of memory are both no more than distances between rows and between columns, so that one
//! elementwise kernel does all of it.

use super::attributes::{descriptor, field, init, make, read, set, Attributes, Field, Layout};
use super::{enter, get};
use crate::handle::{Handle, Scalar};
use crate::kernels::elementwise::Task;
use crate::ptx::Element;
use crate::types::{DataType, Operation, PointerMode, Status};
use crate::vectors::{Elementwise, Grid};
use cuda_abi::CUstream;
use std::ffi::c_void;
use std::mem::{offset_of, size_of};

/// `cublasLtMatrixTransformDesc_t`: at most 64 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TransformDesc {
    /// `CUBLASLT_MATRIX_TRANSFORM_DESC_SCALE_TYPE`: a `cudaDataType_t`.
    scale: i32,
    /// `CUBLASLT_MATRIX_TRANSFORM_DESC_POINTER_MODE`.
    pointer_mode: i32,
    /// `CUBLASLT_MATRIX_TRANSFORM_DESC_TRANSA` and `_TRANSB`.
    ops: [i32; 2],
}

const _: () = assert!(size_of::<TransformDesc>() <= 64);

impl TransformDesc {
    fn new(scale: i32) -> Self {
        Self {
            scale,
            pointer_mode: 0,
            ops: [0; 2],
        }
    }
}

impl Attributes for TransformDesc {
    fn field(attribute: i32) -> Field {
        match attribute {
            0 => field!(Self, scale, 4),
            1 => field!(Self, pointer_mode, 4),
            2 => field!(Self, ops[0], 4),
            3 => field!(Self, ops[1], 4),
            _ => None,
        }
    }
}

descriptor!(
    TransformDesc,
    cublasLtMatrixTransformDescDestroy,
    cublasLtMatrixTransformDescSetAttribute,
    cublasLtMatrixTransformDescGetAttribute
);

/// Makes the description of a transformation.
pub unsafe extern "C" fn cublasLtMatrixTransformDescCreate(
    desc: *mut *mut TransformDesc,
    scale: i32,
) -> i32 {
    enter("cublasLtMatrixTransformDescCreate", || {
        make(desc, TransformDesc::new(scale))
    })
}

/// The same in memory of the caller's.
pub unsafe extern "C" fn cublasLtMatrixTransformDescInit_internal(
    desc: *mut TransformDesc,
    size: usize,
    scale: i32,
) -> i32 {
    enter("cublasLtMatrixTransformDescInit_internal", || {
        init(desc, size, TransformDesc::new(scale))
    })
}

fn unsupported(what: std::fmt::Arguments) -> Status {
    tracing::warn!("cublasLtMatrixTransform: {what} is not supported");
    Status::NotSupported
}

/// The formats of the matrices and of the scalars that there are kernels for.
fn elements(kind: i32, scale: i32) -> Result<(Element, Element), Status> {
    let (of, by) = (DataType::try_from(kind)?, DataType::try_from(scale)?);
    match (of, by) {
        (DataType::R16F, DataType::R16F) => Ok((Element::F16, Element::F16)),
        (DataType::R16F, DataType::R32F) => Ok((Element::F16, Element::F32)),
        (DataType::R16BF, DataType::R32F) => Ok((Element::BF16, Element::F32)),
        (DataType::R32F, DataType::R32F) => Ok((Element::F32, Element::F32)),
        (DataType::R64F, DataType::R64F) => Ok((Element::F64, Element::F64)),
        (DataType::C32F, DataType::C32F) => Ok((Element::C32, Element::C32)),
        (DataType::C64F, DataType::C64F) => Ok((Element::C64, Element::C64)),
        _ => Err(unsupported(format_args!("{of:?} scaled by {by:?}"))),
    }
}

/// An operand, as the result's rows and columns see it; which of the batch is added later.
pub(super) fn grid(address: u64, layout: Layout, op: Operation) -> Result<Grid, Status> {
    if !matches!(layout.order, 0 | 1) || layout.plane != 0 {
        return Err(unsupported(format_args!("order {}", layout.order)));
    }
    let (row, column) = match (layout.order == 1) != op.transposes() {
        true => (layout.ld, 1),
        false => (1, layout.ld),
    };
    Ok(Grid {
        address,
        row,
        column,
        conjugate: op.conjugates(),
    })
}

/// `C = alpha * op(A) + beta * op(B)` in a stream. An operand whose factor is zero is not read and may be null.
pub unsafe extern "C" fn cublasLtMatrixTransform(
    handle: *const Handle,
    desc: *const TransformDesc,
    alpha: *const c_void,
    a: u64,
    a_layout: *const Layout,
    beta: *const c_void,
    b: u64,
    b_layout: *const Layout,
    c: u64,
    c_layout: *const Layout,
    stream: CUstream,
) -> i32 {
    enter("cublasLtMatrixTransform", || {
        // SAFETY: the C caller's handle, descriptors and scalars.
        let (handle, desc, to, (element, scale), scalars, operands) = unsafe {
            let desc = get(desc)?;
            let to = get(c_layout)?;
            let mode = PointerMode::try_from(desc.pointer_mode)?;
            let formats = elements(to.kind, desc.scale)?;
            let scalar = |pointer: *const c_void| match (pointer.is_null(), mode) {
                (true, PointerMode::Host) => Ok(Scalar::value(0.0)),
                _ => Scalar::from_raw(mode, formats.1, pointer),
            };
            let scalars = [scalar(alpha)?, scalar(beta)?];
            let mut operands = [None, None];
            for (index, (address, layout)) in [(a, a_layout), (b, b_layout)].into_iter().enumerate()
            {
                if !scalars[index].is(0.0) {
                    operands[index] = Some((address, get(layout)?));
                }
            }
            (
                Handle::from_raw(handle)?,
                desc,
                to,
                formats,
                scalars,
                operands,
            )
        };
        let (rows, columns) = (to.rows as i64, to.columns as i64);
        let mut grids = [Grid::default(); 2];
        let mut strides = [0; 2];
        for (index, operand) in operands.into_iter().enumerate() {
            let Some((address, layout)) = operand else {
                continue;
            };
            let op = Operation::try_from(desc.ops[index])?;
            if address == 0 || layout.shape(op) != (rows, columns) || layout.batch != to.batch {
                return Err(Status::InvalidValue);
            }
            if layout.kind != to.kind {
                return Err(unsupported(format_args!(
                    "an operand of another type than C"
                )));
            }
            grids[index] = grid(address, layout, op)?;
            strides[index] = layout.batch_stride;
        }
        let target = grid(c, to, Operation::N)?;
        if c == 0 {
            return Err(Status::InvalidValue);
        }
        let handle = handle.on_stream(stream);
        for index in 0..i64::from(to.batch) {
            let of_batch = |grid: Grid, stride: i64| Grid {
                address: grid
                    .address
                    .wrapping_add_signed(index * stride * element.size() as i64),
                ..grid
            };
            Elementwise {
                task: Task::Sum,
                element,
                scales: (scale, scale),
                scalars: (scalars[0], scalars[1]),
                size: (rows, columns),
                a: of_batch(grids[0], strides[0]),
                b: of_batch(grids[1], strides[1]),
                c: of_batch(target, to.batch_stride),
            }
            .run(&handle)?;
        }
        Ok(())
    })
}
