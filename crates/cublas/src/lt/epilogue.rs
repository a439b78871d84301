//! What follows a product: a bias, and a function of each number.
//!
//! ```text
//! D = f(alpha * op(A) * op(B) + beta * C + bias)        f: nothing, ReLU or GELU; a bias is one number for each row
//! ```
//!
//! A pass of its own over `D`, which was rounded to its format before.

use super::attributes::{Layout, MatmulDesc};
use super::transform::grid;
use super::unsupported;
use crate::handle::{Handle, Scalar};
use crate::kernels::elementwise::Task;
use crate::ptx::Element;
use crate::types::{DataType, Operation, Status};
use crate::vectors::{Elementwise, Grid};

/// An epilogue (`cublasLtEpilogue_t`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Epilogue {
    task: Task,
    /// Address, and numbers from one of the batch to the next.
    bias: Option<(u64, i64)>,
}

const NOTHING: i32 = 1;
const RELU: i32 = 2;
const BIAS: i32 = 4;
const GELU: i32 = 32;

impl Epilogue {
    /// The epilogues that there are, as bits.
    pub(super) const MASK: u32 = (NOTHING | RELU | BIAS | GELU) as u32;

    /// What a description asks for; none where nothing follows.
    ///
    /// # Errors
    /// `NOT_SUPPORTED` for auxiliary outputs, gradients, numbers that are not real, and biases of another type than `D`.
    pub(super) fn of(desc: &MatmulDesc, d: DataType) -> Result<Option<Self>, Status> {
        let task = match desc.epilogue {
            NOTHING => return Ok(None),
            BIAS => Task::Sum,
            kind if kind & !BIAS == RELU => Task::SumRelu,
            kind if kind & !BIAS == GELU => Task::SumGelu,
            kind => return Err(unsupported(format_args!("epilogue {kind}"))),
        };
        let known = matches!(d, DataType::R16F | DataType::R16BF | DataType::R32F)
            || d == DataType::R64F && task != Task::SumGelu;
        if !known {
            return Err(unsupported(format_args!("an epilogue of {d:?}")));
        }
        let bias = desc.epilogue & BIAS != 0;
        if bias && desc.bias_kind != -1 && DataType::try_from(desc.bias_kind)? != d {
            return Err(unsupported(format_args!("a bias of another type than D")));
        }
        Ok(Some(Self {
            task,
            bias: bias.then_some((desc.bias, desc.bias_stride)),
        }))
    }

    /// Does it to `D`.
    ///
    /// # Errors
    /// `INVALID_VALUE` without an address of the bias; those of the launch.
    pub(super) fn run(
        self,
        handle: &Handle,
        element: Element,
        d: u64,
        layout: Layout,
    ) -> Result<(), Status> {
        let scale = match element {
            Element::F64 => Element::F64,
            _ => Element::F32,
        };
        let bytes = element.size() as i64;
        for index in 0..i64::from(layout.batch) {
            let at =
                |address: u64, stride: i64| address.wrapping_add_signed(index * stride * bytes);
            let target = grid(at(d, layout.batch_stride), layout, Operation::N)?;
            let bias = match self.bias {
                None => Grid::default(),
                Some((0, _)) => return Err(Status::InvalidValue),
                Some((address, stride)) => Grid {
                    address: at(address, stride),
                    row: 1,
                    ..Grid::default()
                },
            };
            let factor = if self.bias.is_some() { 1.0 } else { 0.0 };
            Elementwise {
                task: self.task,
                element,
                scales: (scale, scale),
                scalars: (Scalar::value(1.0), Scalar::value(factor)),
                size: (layout.rows as i64, layout.columns as i64),
                a: target,
                b: bias,
                c: target,
            }
            .run(handle)?;
        }
        Ok(())
    }
}
