//! Matrix products: argument checks as cuBLAS documents them, and the choice and launch of a kernel.
//!
//! [`Gemm`] holds what the C functions take; [`Product`] is the same in terms of layouts and strides, general enough to
//! express the products of levels 2 and 3 too (a vector with an increment is a matrix with one row and that leading
//! dimension).

use crate::handle::{Arguments, DeviceClass, Handle, Scalar};
use crate::kernels::gemm_depth;
use crate::kernels::gemm_direct::{self, Layout, Triangle, Vectors};
use crate::kernels::gemm_tensor::{self, Shape};
use crate::kernels::gemm_tiled;
use crate::kernels::Kernel;
use crate::ptx::{self, Arithmetic, Element};
use crate::types::{ComputeType, DataType, Operation, Status};

/// The number formats of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Formats {
    /// Of `A` and `B`.
    pub ab: Element,
    /// Of `C`.
    pub c: Element,
    /// Of `alpha` and `beta`.
    pub scale: Element,
    /// Of the sums.
    pub arithmetic: Arithmetic,
}

impl Formats {
    /// All operands of one type, computed in that type.
    pub fn uniform(element: Element) -> Self {
        let arithmetic = match element {
            Element::F16 | Element::BF16 | Element::F32 => Arithmetic::F32,
            Element::F64 => Arithmetic::F64,
            Element::S8 | Element::S32 => Arithmetic::S32,
            Element::C32 => Arithmetic::C32,
            Element::C64 => Arithmetic::C64,
        };
        Self {
            ab: element,
            c: element,
            scale: element,
            arithmetic,
        }
    }

    /// The combinations of `cublasGemmEx` (table "cublasGemmEx supports the following Compute Type, Scale Type,
    /// Atype/Btype, and Ctype"). Sums of `CUBLAS_COMPUTE_16F` are kept in single precision.
    ///
    /// # Errors
    /// `NOT_SUPPORTED` for the rest, which is logged.
    pub fn of(a: DataType, b: DataType, c: DataType, compute: ComputeType) -> Result<Self, Status> {
        use ComputeType as Compute;
        use DataType as Data;
        let formats = |ab, c, scale, arithmetic| {
            Ok(Self {
                ab,
                c,
                scale,
                arithmetic,
            })
        };
        let single = |ab, c| formats(ab, c, Element::F32, Arithmetic::F32);
        match (compute, a, c) {
            _ if a != b => Err(Status::NotSupported),
            (Compute::C16F | Compute::C16FPedantic, Data::R16F, Data::R16F) => {
                formats(Element::F16, Element::F16, Element::F16, Arithmetic::F32)
            }
            (Compute::C32I | Compute::C32IPedantic, Data::R8I, Data::R32I) => {
                formats(Element::S8, Element::S32, Element::S32, Arithmetic::S32)
            }
            (Compute::C32F | Compute::C32FPedantic, Data::R16BF, Data::R16BF) => {
                single(Element::BF16, Element::BF16)
            }
            (Compute::C32F | Compute::C32FPedantic, Data::R16BF, Data::R32F) => {
                single(Element::BF16, Element::F32)
            }
            (Compute::C32F | Compute::C32FPedantic, Data::R16F, Data::R16F) => {
                single(Element::F16, Element::F16)
            }
            (Compute::C32F | Compute::C32FPedantic, Data::R16F, Data::R32F) => {
                single(Element::F16, Element::F32)
            }
            (Compute::C32F | Compute::C32FPedantic, Data::R8I, Data::R32F) => {
                single(Element::S8, Element::F32)
            }
            (
                Compute::C32F
                | Compute::C32FPedantic
                | Compute::C32FFast16F
                | Compute::C32FFast16BF
                | Compute::C32FFastTF32
                | Compute::C32FEmulated16BFx9,
                Data::R32F,
                Data::R32F,
            ) => Ok(Self::uniform(Element::F32)),
            (
                Compute::C32F
                | Compute::C32FPedantic
                | Compute::C32FFast16F
                | Compute::C32FFast16BF
                | Compute::C32FFastTF32
                | Compute::C32FEmulated16BFx9,
                Data::C32F,
                Data::C32F,
            ) => Ok(Self::uniform(Element::C32)),
            (
                Compute::C64F | Compute::C64FPedantic | Compute::C64FEmulatedFixedPoint,
                Data::R64F,
                Data::R64F,
            ) => Ok(Self::uniform(Element::F64)),
            (
                Compute::C64F | Compute::C64FPedantic | Compute::C64FEmulatedFixedPoint,
                Data::C64F,
                Data::C64F,
            ) => Ok(Self::uniform(Element::C64)),
            _ => Err(Status::NotSupported),
        }
        .inspect_err(|_| {
            tracing::warn!(
                "unsupported product: A {a:?}, B {b:?}, C {c:?}, compute type {compute:?}"
            )
        })
    }
}

/// A matrix as the C functions take it.
#[derive(Clone, Copy, Debug)]
pub struct Matrix {
    /// Address, or the address of the array of addresses of a batch.
    pub address: u64,
    /// Leading dimension, in numbers.
    pub ld: i64,
    /// Numbers from one matrix of the batch to the next.
    pub batch: i64,
}

/// The arguments of a matrix product.
#[derive(Clone, Copy, Debug)]
pub struct Gemm {
    /// What is done to `A` and `B`.
    pub ops: (Operation, Operation),
    /// Rows of `C`, columns of `C`, length of the sums.
    pub size: (i64, i64, i64),
    /// Number formats.
    pub formats: Formats,
    /// `alpha` and `beta`.
    pub scalars: (Scalar, Scalar),
    /// The matrices.
    pub a: Matrix,
    /// See `a`.
    pub b: Matrix,
    /// See `a`.
    pub c: Matrix,
    /// Products in the batch.
    pub count: i64,
    /// Whether the matrices' addresses are those of arrays of addresses.
    pub pointers: bool,
}

impl Gemm {
    /// Checks sizes, leading dimensions and pointers. `Ok(None)` means that there is nothing to do.
    ///
    /// # Errors
    /// `INVALID_VALUE` where cuBLAS documents it, `NOT_SUPPORTED` for sizes of 2^31 and more.
    pub fn product(&self) -> Result<Option<Product>, Status> {
        let (m, n, k) = self.size;
        let (op_a, op_b) = self.ops;
        if m < 0 || n < 0 || k < 0 || self.count < 0 {
            return Err(Status::InvalidValue);
        }
        let rows_a = if op_a.transposes() { k } else { m };
        let rows_b = if op_b.transposes() { n } else { k };
        if self.a.ld < rows_a.max(1) || self.b.ld < rows_b.max(1) || self.c.ld < m.max(1) {
            return Err(Status::InvalidValue);
        }
        if m == 0 || n == 0 || self.count == 0 {
            return Ok(None);
        }
        let reads = k > 0 && !self.scalars.0.is(0.0);
        if self.c.address == 0 || (reads && (self.a.address == 0 || self.b.address == 0)) {
            return Err(Status::InvalidValue);
        }
        let size = |value: i64| {
            u32::try_from(value)
                .ok()
                .filter(|&value| value <= i32::MAX as u32)
        };
        let (Some(m), Some(n), Some(k)) = (size(m), size(n), size(k)) else {
            tracing::warn!("a dimension of 2^31 or more is not supported");
            return Err(Status::NotSupported);
        };
        let layout = |transposed| {
            if transposed {
                Layout::Depth
            } else {
                Layout::Edge
            }
        };
        Ok(Some(Product {
            size: (m, n, if reads { k } else { 0 }),
            formats: self.formats,
            scalars: self.scalars,
            a: Operand {
                matrix: self.a,
                layout: layout(op_a.transposes()),
                conjugate: op_a.conjugates(),
            },
            b: Operand {
                matrix: self.b,
                layout: layout(!op_b.transposes()),
                conjugate: op_b.conjugates(),
            },
            c: self.c,
            count: self.count as u64,
            pointers: self.pointers,
            ..Product::default()
        }))
    }

    /// Checks and launches.
    pub fn run(&self, handle: &Handle) -> Result<(), Status> {
        match self.product()? {
            Some(product) => product.run(handle),
            None => Ok(()),
        }
    }
}

/// A factor of a product.
#[derive(Clone, Copy, Debug)]
pub struct Operand {
    /// Where it lies. The leading dimension may be negative or zero here.
    pub matrix: Matrix,
    /// The direction in which consecutive numbers run.
    pub layout: Layout,
    /// Whether it is conjugated.
    pub conjugate: bool,
}

/// A matrix product in terms of layouts, with every size checked.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// Rows of `C`, columns of `C`, length of the sums.
    pub size: (u32, u32, u32),
    /// Number formats.
    pub formats: Formats,
    /// Format of `beta`, where it is not that of `alpha`.
    pub scale_beta: Option<Element>,
    /// `alpha` and `beta`.
    pub scalars: (Scalar, Scalar),
    /// Whether `alpha` is conjugated.
    pub conjugate_alpha: bool,
    /// Left factor.
    pub a: Operand,
    /// Right factor.
    pub b: Operand,
    /// Result.
    pub c: Matrix,
    /// Products in the batch.
    pub count: u64,
    /// Whether the matrices' addresses are those of arrays of addresses.
    pub pointers: bool,
    /// The part of `C` that is written.
    pub fill: Triangle,
    /// Whether the diagonal of `C` is made real.
    pub hermitian: bool,
}

impl Default for Product {
    /// An empty product of single precision, to be filled in.
    fn default() -> Self {
        let matrix = Matrix {
            address: 0,
            ld: 1,
            batch: 0,
        };
        let operand = Operand {
            matrix,
            layout: Layout::Depth,
            conjugate: false,
        };
        Self {
            size: (0, 0, 0),
            formats: Formats::uniform(Element::F32),
            scale_beta: None,
            scalars: (Scalar::value(1.0), Scalar::value(0.0)),
            conjugate_alpha: false,
            a: operand,
            b: operand,
            c: matrix,
            count: 0,
            pointers: false,
            fill: Triangle::All,
            hermitian: false,
        }
    }
}

impl Product {
    /// Launches the kernel of the product on the handle's stream.
    pub fn run(&self, handle: &Handle) -> Result<(), Status> {
        let (m, n, _) = self.size;
        let has_tensor_cores = handle.compute_capability >= ptx::TARGET;
        let depth = || self.depth(handle.class, handle.multiprocessors);
        if let Some(spec) = has_tensor_cores.then(depth).flatten() {
            let (tile_m, tile_n) = spec.shape.tile;
            let tiles = (m.div_ceil(tile_m), n.div_ceil(tile_n));
            let threads = spec.shape.threads();
            return self.launch(handle, &Kernel::GemmDepth(spec), tiles, threads);
        }
        let tensor = || self.tensor(handle.class, handle.multiprocessors);
        if let Some(spec) = has_tensor_cores.then(tensor).flatten() {
            let tiles = (
                m.div_ceil(gemm_tensor::TILE_M),
                n.div_ceil(spec.shape.tile_n()),
            );
            let threads = spec.shape.threads();
            return self.launch(handle, &Kernel::GemmTensor(spec), tiles, threads);
        }
        if let Some(spec) = self.tiled(handle.class) {
            let tiles = (m.div_ceil(spec.tile()), n.div_ceil(spec.tile()));
            return self.launch(handle, &Kernel::GemmTiled(spec), tiles, gemm_tiled::THREADS);
        }
        let spec = self.direct(handle.class);
        let tiles_m = m.div_ceil(gemm_direct::BLOCK_ROWS * spec.rows as u32);
        let tiles_n = n.div_ceil(gemm_direct::BLOCK_COLUMNS * spec.columns as u32);
        let threads = gemm_direct::BLOCK_ROWS * gemm_direct::BLOCK_COLUMNS;
        self.launch(
            handle,
            &Kernel::GemmDirect(spec),
            (tiles_m, tiles_n),
            threads,
        )
    }

    /// Whether this is a product for tensor cores: of 16-bit floats, with lines of whole vectors of 16 bytes.
    fn suits_tensor_cores(&self, class: DeviceClass) -> bool {
        let plain = self.fill == Triangle::All
            && !self.pointers
            && !self.conjugate_alpha
            && self.scale_beta.is_none();
        let (m, n, k) = self.size;
        let half = matches!(self.formats.ab, Element::F16 | Element::BF16);
        let aligned = |operand: &Operand| {
            let matrix = &operand.matrix;
            matrix.address % 16 == 0 && matrix.ld % 8 == 0 && matrix.batch % 8 == 0
        };
        let large_enough = m >= 16 && n >= 8 && k >= 16;
        class == DeviceClass::Gpu
            && plain
            && half
            && large_enough
            && aligned(&self.a)
            && aligned(&self.b)
    }

    /// The tensor-core kernel for operands along `k`, where this product is one. Of its tiles that one is taken with which
    /// the last block ends first: large ones read less for a product, small ones keep all multiprocessors busy.
    pub fn depth(&self, class: DeviceClass, multiprocessors: u32) -> Option<gemm_depth::Spec> {
        let along = self.a.layout == Layout::Depth && self.b.layout == Layout::Depth;
        let (m, n, k) = self.size;
        if !self.suits_tensor_cores(class) || !along {
            return None;
        }
        let time = |shape: &gemm_depth::Shape| {
            let (tile_m, tile_n) = shape.tile;
            let tiles = u64::from(m.div_ceil(tile_m)) * u64::from(n.div_ceil(tile_n));
            shape.time(tiles * self.count, multiprocessors)
        };
        let shape = gemm_depth::Shape::ALL
            .into_iter()
            .filter(|shape| k % shape.depth() == 0)
            .min_by(|a, b| time(a).total_cmp(&time(b)))?;
        Some(gemm_depth::Spec {
            element_ab: self.formats.ab,
            element_c: self.formats.c,
            scale: self.formats.scale,
            shape,
        })
    }

    /// The tensor-core kernel for this product, where it can run and is worth it.
    pub fn tensor(&self, class: DeviceClass, multiprocessors: u32) -> Option<gemm_tensor::Spec> {
        if !self.suits_tensor_cores(class) {
            return None;
        }
        let (m, n, _) = self.size;
        let blocks = |shape: Shape| {
            u64::from(m.div_ceil(gemm_tensor::TILE_M))
                * u64::from(n.div_ceil(shape.tile_n()))
                * self.count
        };
        let shape = match n {
            0..=32 => Shape::Small,
            33..=64 => Shape::Medium,
            _ if blocks(Shape::Large) >= u64::from(multiprocessors) => Shape::Large,
            _ if blocks(Shape::Medium) >= u64::from(multiprocessors) => Shape::Medium,
            _ => Shape::Small,
        };
        Some(gemm_tensor::Spec {
            a: self.a.layout,
            b: self.b.layout,
            element_ab: self.formats.ab,
            element_c: self.formats.c,
            scale: self.formats.scale,
            shape,
        })
    }

    /// The kernel through shared memory for this product, where it is worth it: for narrow matrices most of its tile
    /// would be empty.
    pub fn tiled(&self, class: DeviceClass) -> Option<gemm_tiled::Spec> {
        let plain =
            self.fill == Triangle::All && !self.conjugate_alpha && self.scale_beta.is_none();
        let (m, n, k) = self.size;
        if class != DeviceClass::Gpu || !plain || m < 32 || n < 32 || k < 16 {
            return None;
        }
        let complex = self.formats.arithmetic.is_complex();
        Some(gemm_tiled::Spec {
            a: self.a.layout,
            b: self.b.layout,
            conjugate_a: self.a.conjugate && complex,
            conjugate_b: self.b.conjugate && complex,
            element_ab: self.formats.ab,
            element_c: self.formats.c,
            scale: self.formats.scale,
            arithmetic: self.formats.arithmetic,
            pointers: self.pointers,
        })
    }

    /// Launches a kernel with the parameters of [`gemm_direct::Spec::ptx`], in slices of the batch that fit the grid.
    fn launch(
        &self,
        handle: &Handle,
        kernel: &Kernel,
        tiles: (u32, u32),
        threads: u32,
    ) -> Result<(), Status> {
        const MAX_GRID_Z: u64 = 65535;
        let blocks = u64::from(tiles.0) * u64::from(tiles.1);
        let (Ok(blocks), Ok(count)) = (i32::try_from(blocks), u32::try_from(self.count)) else {
            tracing::warn!(
                "a product of {blocks} tiles in a batch of {} is too large",
                self.count
            );
            return Err(Status::NotSupported);
        };
        let (m, n, k) = self.size;
        let (ab, c) = (self.formats.ab.size() as i64, self.formats.c.size() as i64);
        let mut first = 0;
        while first < count {
            let slice = (count - first).min(MAX_GRID_Z as u32);
            let mut arguments = Arguments::default();
            arguments
                .word(self.a.matrix.address)
                .word(self.b.matrix.address)
                .word(self.c.address);
            arguments
                .signed(self.a.matrix.ld * ab)
                .signed(self.b.matrix.ld * ab)
                .signed(self.c.ld * c);
            arguments
                .signed(self.a.matrix.batch * ab)
                .signed(self.b.matrix.batch * ab)
                .signed(self.c.batch * c);
            arguments
                .small(m)
                .small(n)
                .small(k)
                .small(tiles.0)
                .small(first);
            arguments.scalar(self.formats.arithmetic, &self.scalars.0);
            arguments.scalar(self.formats.arithmetic, &self.scalars.1);
            handle.launch(kernel, [blocks as u32, 1, slice], threads, &mut arguments)?;
            first += slice;
        }
        Ok(())
    }

    /// The register kernel for this product.
    pub fn direct(&self, class: DeviceClass) -> gemm_direct::Spec {
        let (m, n, k) = self.size;
        let tile = |count: u32, most: usize| match count {
            0..=2 => 1,
            3..=5 => 4,
            _ => most,
        };
        let rows = tile(m, 8);
        let columns = tile(n, if rows == 8 { 4 } else { 8 });
        let complex = self.formats.arithmetic.is_complex();
        let mut spec = gemm_direct::Spec {
            a: self.a.layout,
            b: self.b.layout,
            conjugate_a: self.a.conjugate && complex,
            conjugate_b: self.b.conjugate && complex,
            element_ab: self.formats.ab,
            element_c: self.formats.c,
            scale: self.formats.scale,
            scale_beta: self.scale_beta.unwrap_or(self.formats.scale),
            conjugate_alpha: self.conjugate_alpha && complex,
            arithmetic: self.formats.arithmetic,
            // A complex sum takes two registers, a double two words.
            rows: if complex { rows.min(4) } else { rows },
            columns: if complex { columns.min(4) } else { columns },
            vectors: Vectors::Never,
            pointers: self.pointers,
            fill: self.fill,
            hermitian: self.hermitian && complex,
            stagger: false,
        };
        let fits = |operand: &Operand, tile: usize, count: u32| {
            let size = spec.element_ab.size();
            let line = match operand.layout {
                Layout::Depth => spec.unroll(),
                Layout::Edge => tile,
            };
            let bytes = (line * size).min(16) as i64;
            let aligned = |value: i64| value % bytes == 0;
            let shape = match operand.layout {
                Layout::Depth => true,
                Layout::Edge => {
                    count as usize >= tile && (count as usize * size) as i64 % bytes == 0
                }
            };
            let batch = self.pointers || (aligned(operand.matrix.batch * size as i64));
            let base = self.pointers || aligned(operand.matrix.address as i64);
            shape && batch && base && aligned(operand.matrix.ld * size as i64)
        };
        let unroll = spec.unroll();
        if unroll > 1
            && k as usize >= unroll
            && fits(&self.a, spec.rows, m)
            && fits(&self.b, spec.columns, n)
        {
            spec.vectors = if self.pointers {
                Vectors::Probe
            } else {
                Vectors::Always
            };
            let depth = self.a.layout == Layout::Depth && self.b.layout == Layout::Depth;
            spec.stagger = class == DeviceClass::Cpu && depth;
        }
        spec
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gemm_depth::Shape;

    #[test]
    fn the_tile_is_the_one_that_ends_first() {
        let shape = |size, multiprocessors| {
            let mut product = Product {
                size,
                formats: Formats::uniform(Element::F16),
                count: 1,
                ..Product::default()
            };
            product.a.matrix.ld = 4096;
            product.b.matrix.ld = 4096;
            let spec = product.depth(DeviceClass::Gpu, multiprocessors);
            spec.map(|spec| spec.shape)
        };
        assert_eq!(shape((512, 256, 64), 2), Some(Shape::LARGE));
        assert_eq!(shape((256, 64, 64), 2), Some(Shape::MEDIUM));
        assert_eq!(shape((128, 64, 64), 2), Some(Shape::SMALL));
        assert_eq!(shape((64, 64, 64), 2), Some(Shape::NARROW));
        // What was measured best on a device of 132 multiprocessors.
        assert_eq!(shape((4096, 512, 14336), 132), Some(Shape::MEDIUM));
        assert_eq!(shape((14336, 512, 4096), 132), Some(Shape::LARGE));
        assert_eq!(shape((4096, 4096, 4096), 132), Some(Shape::LARGE));
        assert_eq!(shape((2048, 512, 2048), 132), Some(Shape::MEDIUM));
        assert_eq!(shape((4096, 4096, 4096 + 8), 132), None);
    }
}
