//! The enumerations of `cublas_api.h` and `library_types.h`.
//!
//! They cross the C boundary as `i32`, since a C caller may pass any number; [`TryFrom`] turns the number into the
//! enumeration or into `CUBLAS_STATUS_INVALID_VALUE`.
//!
//! ```
//! use cublas::types::{Operation, Status};
//! assert_eq!(Operation::try_from(1), Ok(Operation::T));
//! assert_eq!(Operation::try_from(9), Err(Status::InvalidValue));
//! ```

/// Declares an enumeration of cuBLAS with its numbers and its conversion from `i32`.
macro_rules! c_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $value:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum $name {
            $($(#[$variant_meta])* $variant = $value,)*
        }

        impl TryFrom<i32> for $name {
            type Error = Status;

            fn try_from(value: i32) -> Result<Self, Status> {
                match value {
                    $($value => Ok(Self::$variant),)*
                    _ => Err(Status::InvalidValue),
                }
            }
        }
    };
}

c_enum! {
    /// `cublasStatus_t`, the result of every function.
    Status {
        /// The operation was accepted.
        Success = 0,
        /// The handle is null or was never made by `cublasCreate`; or the driver could not be initialised.
        NotInitialized = 1,
        /// Memory could not be had.
        AllocFailed = 3,
        /// An argument is outside of its documented range.
        InvalidValue = 7,
        /// The device lacks a needed feature.
        ArchMismatch = 8,
        /// Memory could not be copied or mapped.
        MappingError = 11,
        /// A kernel could not be launched or failed.
        ExecutionFailed = 13,
        /// Something inside this library failed.
        InternalError = 14,
        /// The combination of arguments is legal but not implemented.
        NotSupported = 15,
        /// A licence check failed; never returned here.
        LicenseError = 16,
    }
}

c_enum! {
    /// `cublasOperation_t`: what is done to a matrix before it is multiplied.
    Operation {
        /// As stored.
        N = 0,
        /// Transposed.
        T = 1,
        /// Transposed and conjugated; the same as `T` for real types.
        C = 2,
        /// Conjugated only (`CUBLAS_OP_CONJG`).
        Conjugate = 3,
    }
}

impl Operation {
    /// Whether rows and columns are exchanged.
    pub fn transposes(self) -> bool {
        matches!(self, Self::T | Self::C)
    }

    /// Whether elements are conjugated.
    pub fn conjugates(self) -> bool {
        matches!(self, Self::C | Self::Conjugate)
    }
}

c_enum! {
    /// `cublasFillMode_t`: the part of a matrix that is stored.
    Fill {
        /// On and below the diagonal.
        Lower = 0,
        /// On and above the diagonal.
        Upper = 1,
        /// Everything.
        Full = 2,
    }
}

c_enum! {
    /// `cublasDiagType_t`: whether the diagonal of a triangular matrix is taken to be one.
    Diagonal {
        /// The diagonal is read.
        NonUnit = 0,
        /// The diagonal is one and is not read.
        Unit = 1,
    }
}

c_enum! {
    /// `cublasSideMode_t`: the side on which the structured matrix stands.
    Side {
        /// `op(A) * X`.
        Left = 0,
        /// `X * op(A)`.
        Right = 1,
    }
}

c_enum! {
    /// `cublasPointerMode_t`: where scalars (`alpha`, `beta`, results) live.
    PointerMode {
        /// In host memory, read or written before the call returns.
        Host = 0,
        /// In device memory, read or written in stream order.
        Device = 1,
    }
}

c_enum! {
    /// `cublasAtomicsMode_t`: whether kernels may use atomics, whose result depends on the order.
    AtomicsMode {
        /// Atomics are not allowed.
        NotAllowed = 0,
        /// Atomics are allowed. The kernels here use none in either mode.
        Allowed = 1,
    }
}

c_enum! {
    /// `cudaDataType` of `library_types.h`, as far as kernels here handle it.
    DataType {
        /// IEEE single precision.
        R32F = 0,
        /// IEEE double precision.
        R64F = 1,
        /// IEEE half precision.
        R16F = 2,
        /// Signed 8-bit integer.
        R8I = 3,
        /// A pair of `R32F`.
        C32F = 4,
        /// A pair of `R64F`.
        C64F = 5,
        /// A pair of `R16F`.
        C16F = 6,
        /// A pair of `R8I`.
        C8I = 7,
        /// Unsigned 8-bit integer.
        R8U = 8,
        /// A pair of `R8U`.
        C8U = 9,
        /// Signed 32-bit integer.
        R32I = 10,
        /// A pair of `R32I`.
        C32I = 11,
        /// Unsigned 32-bit integer.
        R32U = 12,
        /// A pair of `R32U`.
        C32U = 13,
        /// bfloat16.
        R16BF = 14,
        /// A pair of `R16BF`.
        C16BF = 15,
        /// Signed 4-bit integer.
        R4I = 16,
        /// A pair of `R4I`.
        C4I = 17,
        /// Unsigned 4-bit integer.
        R4U = 18,
        /// A pair of `R4U`.
        C4U = 19,
        /// Signed 16-bit integer.
        R16I = 20,
        /// A pair of `R16I`.
        C16I = 21,
        /// Unsigned 16-bit integer.
        R16U = 22,
        /// A pair of `R16U`.
        C16U = 23,
        /// Signed 64-bit integer.
        R64I = 24,
        /// A pair of `R64I`.
        C64I = 25,
        /// Unsigned 64-bit integer.
        R64U = 26,
        /// A pair of `R64U`.
        C64U = 27,
        /// 8-bit float, 4 exponent bits.
        R8FE4M3 = 28,
        /// 8-bit float, 5 exponent bits.
        R8FE5M2 = 29,
    }
}

c_enum! {
    /// `cublasComputeType_t`: the type in which products are added up, and with it the type of `alpha` and `beta`.
    ComputeType {
        /// Half. Products are added up in single precision here, which is at least as exact.
        C16F = 64,
        /// Half, without reduced-precision shortcuts.
        C16FPedantic = 65,
        /// Single.
        C32F = 68,
        /// Single, without reduced-precision shortcuts.
        C32FPedantic = 69,
        /// Double.
        C64F = 70,
        /// Double, without shortcuts.
        C64FPedantic = 71,
        /// 32-bit integer.
        C32I = 72,
        /// 32-bit integer, without shortcuts.
        C32IPedantic = 73,
        /// Single; factors may be rounded to half.
        C32FFast16F = 74,
        /// Single; factors may be rounded to bfloat16.
        C32FFast16BF = 75,
        /// Single; factors may be rounded to TF32.
        C32FFastTF32 = 77,
        /// Single, emulated by nine bfloat16 products.
        C32FEmulated16BFx9 = 78,
        /// Double, emulated in fixed point.
        C64FEmulatedFixedPoint = 79,
    }
}

/// Rejects a `cublasMath_t` with unknown bits: the low nibble is a mode of 0 to 4 or 8, bit 4 is
/// `CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION`.
pub fn check_math_mode(mode: i32) -> Result<i32, Status> {
    match mode & !16 {
        0..=4 | 8 => Ok(mode),
        _ => Err(Status::InvalidValue),
    }
}

impl Status {
    /// The constant's name, as `cublasGetStatusName` gives it.
    pub fn name(self) -> &'static std::ffi::CStr {
        match self {
            Self::Success => c"CUBLAS_STATUS_SUCCESS",
            Self::NotInitialized => c"CUBLAS_STATUS_NOT_INITIALIZED",
            Self::AllocFailed => c"CUBLAS_STATUS_ALLOC_FAILED",
            Self::InvalidValue => c"CUBLAS_STATUS_INVALID_VALUE",
            Self::ArchMismatch => c"CUBLAS_STATUS_ARCH_MISMATCH",
            Self::MappingError => c"CUBLAS_STATUS_MAPPING_ERROR",
            Self::ExecutionFailed => c"CUBLAS_STATUS_EXECUTION_FAILED",
            Self::InternalError => c"CUBLAS_STATUS_INTERNAL_ERROR",
            Self::NotSupported => c"CUBLAS_STATUS_NOT_SUPPORTED",
            Self::LicenseError => c"CUBLAS_STATUS_LICENSE_ERROR",
        }
    }

    /// A sentence for people, as `cublasGetStatusString` gives it.
    pub fn description(self) -> &'static std::ffi::CStr {
        match self {
            Self::Success => c"the operation completed successfully",
            Self::NotInitialized => c"the library was not initialized",
            Self::AllocFailed => c"the resource allocation failed",
            Self::InvalidValue => c"an unsupported value or parameter was passed to the function",
            Self::ArchMismatch => {
                c"the function requires an architectural feature absent from the device"
            }
            Self::MappingError => c"an access to GPU memory space failed",
            Self::ExecutionFailed => c"the function failed to launch on the GPU",
            Self::InternalError => c"an internal operation failed",
            Self::NotSupported => c"the functionality requested is not supported",
            Self::LicenseError => c"the functionality requested requires some license",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_headers() {
        assert_eq!(Status::NotSupported as i32, 15);
        assert_eq!(ComputeType::try_from(77), Ok(ComputeType::C32FFastTF32));
        assert_eq!(ComputeType::try_from(76), Err(Status::InvalidValue));
        assert_eq!(DataType::try_from(14), Ok(DataType::R16BF));
    }

    #[test]
    fn math_modes() {
        assert_eq!(check_math_mode(3), Ok(3));
        assert_eq!(check_math_mode(16), Ok(16));
        assert_eq!(check_math_mode(19), Ok(19));
        assert_eq!(check_math_mode(5), Err(Status::InvalidValue));
        assert_eq!(check_math_mode(32), Err(Status::InvalidValue));
        assert_eq!(check_math_mode(-1), Err(Status::InvalidValue));
    }
}
