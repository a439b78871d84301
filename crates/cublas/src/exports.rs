//! The list of exported functions and the macro that exports them under versioned names.

/// Exports every function of the library under the ELF symbol version `libcublas.so.MAJOR`.
///
/// A versioned symbol is defined by its name in an object file, `name@@node`, and by a version script that declares the
/// node. Rust has no way to say the first for a function, so each export is one jump instruction in assembly. The
/// second is the build script's: Rust passes a version script of its own to the linker, which ld.bfd does not combine
/// with another; ld.lld does, and comes with Rust, so the build scripts of the packages ask for it.
#[macro_export]
macro_rules! export_library {
    ($major:literal) => {
        $crate::exported_functions!($crate::export_symbols, "libcublas.so.", $major, $crate::api,);
        $crate::refused_functions!(
            $crate::export_symbols,
            "libcublas.so.",
            $major,
            $crate::refused,
        );
        $crate::export_symbol!(
            "libcublas.so.",
            $major,
            "cublasGetVersion_v2",
            $crate::api::cublasGetVersion_v2::<$major>
        );
        $crate::export_symbol!(
            "libcublas.so.",
            $major,
            "cublasGetVersion",
            $crate::api::cublasGetVersion::<$major>
        );
        $crate::export_symbol!(
            "libcublas.so.",
            $major,
            "cublasGetProperty",
            $crate::api::cublasGetProperty::<$major>
        );
        $crate::export_symbol!(
            "libcublas.so.",
            $major,
            "cublasGetCudartVersion",
            $crate::api::cublasGetCudartVersion::<$major>
        );
    };
}

/// The same for cublasLt, under the version `libcublasLt.so.MAJOR`.
#[macro_export]
macro_rules! export_lt_library {
    ($major:literal) => {
        $crate::exported_lt_functions!(
            $crate::export_symbols,
            "libcublasLt.so.",
            $major,
            $crate::lt,
        );
        $crate::export_symbol!(
            "libcublasLt.so.",
            $major,
            "cublasLtGetVersion",
            $crate::lt::cublasLtGetVersion::<$major>
        );
        $crate::export_symbol!(
            "libcublasLt.so.",
            $major,
            "cublasLtGetProperty",
            $crate::api::cublasGetProperty::<$major>
        );
        $crate::export_symbol!(
            "libcublasLt.so.",
            $major,
            "cublasLtGetCudartVersion",
            $crate::api::cublasGetCudartVersion::<$major>
        );
    };
}

/// Exports a list of functions of a module.
#[doc(hidden)]
#[macro_export]
macro_rules! export_symbols {
    ($node:literal, $major:literal, $root:tt::$module:ident, $($name:ident)*) => {
        $($crate::export_symbol!($node, $major, stringify!($name), $root::$module::$name);)*
    };
}

/// Exports one function.
#[doc(hidden)]
#[macro_export]
macro_rules! export_symbol {
    ($node:literal, $major:literal, $name:expr, $function:path) => {
        #[cfg(target_arch = "x86_64")]
        ::core::arch::global_asm!(
            concat!(".globl \"", $name, "@@", $node, $major, "\""),
            concat!(".type \"", $name, "@@", $node, $major, "\", @function"),
            concat!("\"", $name, "@@", $node, $major, "\":"),
            "jmp {function}",
            function = sym $function,
        );
        #[cfg(target_arch = "aarch64")]
        ::core::arch::global_asm!(
            concat!(".globl \"", $name, "@@", $node, $major, "\""),
            concat!(".type \"", $name, "@@", $node, $major, "\", @function"),
            concat!("\"", $name, "@@", $node, $major, "\":"),
            "b {function}",
            function = sym $function,
        );
    };
}

/// Hands the names of the functions that are exported and refused to a macro, after some leading tokens: programs that
/// link cuBLAS do not start without them. They are of linear algebra beyond levels 1 to 3, of cublasXt, or undocumented.
#[doc(hidden)]
#[macro_export]
macro_rules! refused_functions {
    ($callback:path, $($leading:tt)*) => {
        $callback! { $($leading)*
            cublasSgeqrfBatched cublasDgeqrfBatched cublasCgeqrfBatched cublasZgeqrfBatched
            cublasSgelsBatched cublasDgelsBatched cublasCgelsBatched cublasZgelsBatched
            cublasLoggerConfigure cublasSetLoggerCallback cublasGetLoggerCallback
            cublasCbdmm cublasDbdmm cublasGetBackdoor cublasSbdmm cublasSetBackdoor cublasSetBackdoorEx
            cublasUint8gemmBias cublasXtCgemm cublasXtChemm cublasXtCher2k cublasXtCherk cublasXtCherkx
            cublasXtCreate cublasXtCspmm cublasXtCsymm cublasXtCsyr2k cublasXtCsyrk cublasXtCsyrkx cublasXtCtrmm
            cublasXtCtrsm cublasXtDestroy cublasXtDeviceSelect cublasXtDgemm cublasXtDspmm cublasXtDsymm
            cublasXtDsyr2k cublasXtDsyrk cublasXtDsyrkx cublasXtDtrmm cublasXtDtrsm cublasXtGetBlockDim
            cublasXtGetNumBoards cublasXtGetPinningMemMode cublasXtMaxBoards cublasXtSetBlockDim cublasXtSetCpuRatio
            cublasXtSetCpuRoutine cublasXtSetPinningMemMode cublasXtSgemm cublasXtSspmm cublasXtSsymm cublasXtSsyr2k
            cublasXtSsyrk cublasXtSsyrkx cublasXtStrmm cublasXtStrsm cublasXtZgemm cublasXtZhemm cublasXtZher2k
            cublasXtZherk cublasXtZherkx cublasXtZspmm cublasXtZsymm cublasXtZsyr2k cublasXtZsyrk cublasXtZsyrkx
            cublasXtZtrmm cublasXtZtrsm cublasZbdmm
        }
    };
}

/// Hands the names of cublasLt's exported functions to a macro, after some leading tokens.
#[doc(hidden)]
#[macro_export]
macro_rules! exported_lt_functions {
    ($callback:path, $($leading:tt)*) => {
        $callback! { $($leading)*
            cublasLtCreate cublasLtDestroy cublasLtGetStatusName cublasLtGetStatusString
            cublasLtMatmul cublasLtMatmulAlgoGetHeuristic
            cublasLtMatmulAlgoGetIds cublasLtMatmulAlgoInit cublasLtMatmulAlgoCheck cublasLtMatmulAlgoCapGetAttribute
            cublasLtMatmulAlgoConfigSetAttribute cublasLtMatmulAlgoConfigGetAttribute
            cublasLtMatmulDescCreate cublasLtMatmulDescDestroy cublasLtMatmulDescInit_internal
            cublasLtMatmulDescSetAttribute cublasLtMatmulDescGetAttribute
            cublasLtMatrixLayoutCreate cublasLtMatrixLayoutDestroy cublasLtMatrixLayoutInit_internal
            cublasLtMatrixLayoutSetAttribute cublasLtMatrixLayoutGetAttribute
            cublasLtMatmulPreferenceCreate cublasLtMatmulPreferenceDestroy cublasLtMatmulPreferenceInit_internal
            cublasLtMatmulPreferenceSetAttribute cublasLtMatmulPreferenceGetAttribute
            cublasLtMatrixTransform
            cublasLtMatrixTransformDescCreate cublasLtMatrixTransformDescDestroy
            cublasLtMatrixTransformDescInit_internal
            cublasLtMatrixTransformDescSetAttribute cublasLtMatrixTransformDescGetAttribute
        }
    };
}

/// Hands the names of all exported functions of [`crate::api`] to a macro, after some leading tokens.
#[doc(hidden)]
#[macro_export]
macro_rules! exported_functions {
    ($callback:path, $($leading:tt)*) => {
        $callback! { $($leading)*
            cublasCreate_v2 cublasDestroy_v2 cublasSetStream_v2 cublasGetStream_v2 cublasSetWorkspace_v2
            cublasSetPointerMode_v2 cublasGetPointerMode_v2 cublasSetMathMode cublasGetMathMode cublasSetAtomicsMode
            cublasGetAtomicsMode cublasSetSmCountTarget cublasGetSmCountTarget cublasGetStatusName cublasGetStatusString
            cublasGetEmulationStrategy cublasSetEmulationStrategy cublasGetEmulationSpecialValuesSupport
            cublasSetEmulationSpecialValuesSupport cublasGetFixedPointEmulationMantissaControl
            cublasSetFixedPointEmulationMantissaControl cublasGetFixedPointEmulationMaxMantissaBitCount
            cublasSetFixedPointEmulationMaxMantissaBitCount cublasGetFixedPointEmulationMantissaBitOffset
            cublasSetFixedPointEmulationMantissaBitOffset cublasGetFixedPointEmulationMantissaBitCountPointer
            cublasSetFixedPointEmulationMantissaBitCountPointer cublasGetEnvironmentMode cublasSetEnvironmentMode
            cublasXerbla
            cublasSetVector cublasSetVector_64 cublasGetVector cublasGetVector_64
            cublasSetVectorAsync cublasSetVectorAsync_64 cublasGetVectorAsync cublasGetVectorAsync_64
            cublasSetMatrix cublasSetMatrix_64 cublasGetMatrix cublasGetMatrix_64
            cublasSetMatrixAsync cublasSetMatrixAsync_64 cublasGetMatrixAsync cublasGetMatrixAsync_64

            cublasSgemm_v2 cublasSgemm_v2_64 cublasDgemm_v2 cublasDgemm_v2_64 cublasCgemm_v2 cublasCgemm_v2_64
            cublasZgemm_v2 cublasZgemm_v2_64 cublasHgemm cublasHgemm_64 cublasCgemm3m cublasCgemm3m_64
            cublasZgemm3m cublasZgemm3m_64
            cublasSgemmBatched cublasSgemmBatched_64 cublasDgemmBatched cublasDgemmBatched_64
            cublasCgemmBatched cublasCgemmBatched_64 cublasCgemm3mBatched cublasCgemm3mBatched_64
            cublasZgemmBatched cublasZgemmBatched_64 cublasHgemmBatched cublasHgemmBatched_64
            cublasSgemmStridedBatched cublasSgemmStridedBatched_64 cublasDgemmStridedBatched
            cublasDgemmStridedBatched_64 cublasCgemmStridedBatched cublasCgemmStridedBatched_64
            cublasCgemm3mStridedBatched cublasCgemm3mStridedBatched_64 cublasZgemmStridedBatched
            cublasZgemmStridedBatched_64 cublasHgemmStridedBatched cublasHgemmStridedBatched_64
            cublasGemmEx cublasGemmEx_64 cublasGemmBatchedEx cublasGemmBatchedEx_64
            cublasGemmStridedBatchedEx cublasGemmStridedBatchedEx_64
            cublasSgemmEx cublasSgemmEx_64 cublasCgemmEx cublasCgemmEx_64 cublasCgemm3mEx cublasCgemm3mEx_64

            cublasSgetrfBatched cublasDgetrfBatched cublasCgetrfBatched cublasZgetrfBatched
            cublasSgetriBatched cublasDgetriBatched cublasCgetriBatched cublasZgetriBatched
            cublasSgetrsBatched cublasDgetrsBatched cublasCgetrsBatched cublasZgetrsBatched
            cublasSmatinvBatched cublasDmatinvBatched cublasCmatinvBatched cublasZmatinvBatched

            cublasSaxpy_v2 cublasSaxpy_v2_64 cublasDaxpy_v2 cublasDaxpy_v2_64 cublasCaxpy_v2 cublasCaxpy_v2_64
            cublasZaxpy_v2 cublasZaxpy_v2_64 cublasAxpyEx cublasAxpyEx_64 cublasSscal_v2 cublasSscal_v2_64
            cublasDscal_v2 cublasDscal_v2_64 cublasCscal_v2 cublasCscal_v2_64 cublasZscal_v2 cublasZscal_v2_64
            cublasCsscal_v2 cublasCsscal_v2_64 cublasZdscal_v2 cublasZdscal_v2_64 cublasScalEx cublasScalEx_64
            cublasScopy_v2 cublasScopy_v2_64 cublasDcopy_v2 cublasDcopy_v2_64 cublasCcopy_v2 cublasCcopy_v2_64
            cublasZcopy_v2 cublasZcopy_v2_64 cublasSswap_v2 cublasSswap_v2_64 cublasDswap_v2 cublasDswap_v2_64
            cublasCswap_v2 cublasCswap_v2_64 cublasZswap_v2 cublasZswap_v2_64 cublasSrot_v2 cublasSrot_v2_64
            cublasDrot_v2 cublasDrot_v2_64 cublasCrot_v2 cublasCrot_v2_64 cublasZrot_v2 cublasZrot_v2_64
            cublasCsrot_v2 cublasCsrot_v2_64 cublasZdrot_v2 cublasZdrot_v2_64 cublasSdot_v2 cublasSdot_v2_64
            cublasDdot_v2 cublasDdot_v2_64 cublasCdotu_v2 cublasCdotu_v2_64 cublasZdotu_v2 cublasZdotu_v2_64
            cublasCdotc_v2 cublasCdotc_v2_64 cublasZdotc_v2 cublasZdotc_v2_64 cublasDotEx cublasDotEx_64 cublasDotcEx
            cublasDotcEx_64 cublasSnrm2_v2 cublasSnrm2_v2_64 cublasDnrm2_v2 cublasDnrm2_v2_64 cublasScnrm2_v2
            cublasScnrm2_v2_64 cublasDznrm2_v2 cublasDznrm2_v2_64 cublasNrm2Ex cublasNrm2Ex_64 cublasSasum_v2
            cublasSasum_v2_64 cublasDasum_v2 cublasDasum_v2_64 cublasScasum_v2 cublasScasum_v2_64 cublasDzasum_v2
            cublasDzasum_v2_64 cublasIsamax_v2 cublasIsamax_v2_64 cublasIdamax_v2 cublasIdamax_v2_64 cublasIcamax_v2
            cublasIcamax_v2_64 cublasIzamax_v2 cublasIzamax_v2_64 cublasIsamin_v2 cublasIsamin_v2_64 cublasIdamin_v2
            cublasIdamin_v2_64 cublasIcamin_v2 cublasIcamin_v2_64 cublasIzamin_v2 cublasIzamin_v2_64 cublasSgemv_v2
            cublasSgemv_v2_64 cublasDgemv_v2 cublasDgemv_v2_64 cublasCgemv_v2 cublasCgemv_v2_64 cublasZgemv_v2
            cublasZgemv_v2_64 cublasSgemvBatched cublasSgemvBatched_64 cublasDgemvBatched cublasDgemvBatched_64
            cublasCgemvBatched cublasCgemvBatched_64 cublasZgemvBatched cublasZgemvBatched_64
            cublasSgemvStridedBatched cublasSgemvStridedBatched_64 cublasDgemvStridedBatched
            cublasDgemvStridedBatched_64 cublasCgemvStridedBatched cublasCgemvStridedBatched_64
            cublasZgemvStridedBatched cublasZgemvStridedBatched_64 cublasSger_v2 cublasSger_v2_64 cublasDger_v2
            cublasDger_v2_64 cublasCgeru_v2 cublasCgeru_v2_64 cublasZgeru_v2 cublasZgeru_v2_64 cublasCgerc_v2
            cublasCgerc_v2_64 cublasZgerc_v2 cublasZgerc_v2_64 cublasSsyr_v2 cublasSsyr_v2_64 cublasDsyr_v2
            cublasDsyr_v2_64 cublasCsyr_v2 cublasCsyr_v2_64 cublasZsyr_v2 cublasZsyr_v2_64 cublasCher_v2
            cublasCher_v2_64 cublasZher_v2 cublasZher_v2_64 cublasSsyr2_v2 cublasSsyr2_v2_64 cublasDsyr2_v2
            cublasDsyr2_v2_64 cublasCsyr2_v2 cublasCsyr2_v2_64 cublasZsyr2_v2 cublasZsyr2_v2_64 cublasCher2_v2
            cublasCher2_v2_64 cublasZher2_v2 cublasZher2_v2_64 cublasSsymv_v2 cublasSsymv_v2_64 cublasDsymv_v2
            cublasDsymv_v2_64 cublasCsymv_v2 cublasCsymv_v2_64 cublasZsymv_v2 cublasZsymv_v2_64 cublasChemv_v2
            cublasChemv_v2_64 cublasZhemv_v2 cublasZhemv_v2_64 cublasStrmv_v2 cublasStrmv_v2_64 cublasDtrmv_v2
            cublasDtrmv_v2_64 cublasCtrmv_v2 cublasCtrmv_v2_64 cublasZtrmv_v2 cublasZtrmv_v2_64 cublasStrsv_v2
            cublasStrsv_v2_64 cublasDtrsv_v2 cublasDtrsv_v2_64 cublasCtrsv_v2 cublasCtrsv_v2_64 cublasZtrsv_v2
            cublasZtrsv_v2_64 cublasStrsm_v2 cublasStrsm_v2_64 cublasDtrsm_v2 cublasDtrsm_v2_64 cublasCtrsm_v2
            cublasCtrsm_v2_64 cublasZtrsm_v2 cublasZtrsm_v2_64 cublasStrsmBatched cublasStrsmBatched_64
            cublasDtrsmBatched cublasDtrsmBatched_64 cublasCtrsmBatched cublasCtrsmBatched_64 cublasZtrsmBatched
            cublasZtrsmBatched_64 cublasStrmm_v2 cublasStrmm_v2_64 cublasDtrmm_v2 cublasDtrmm_v2_64 cublasCtrmm_v2
            cublasCtrmm_v2_64 cublasZtrmm_v2 cublasZtrmm_v2_64 cublasSsymm_v2 cublasSsymm_v2_64 cublasDsymm_v2
            cublasDsymm_v2_64 cublasCsymm_v2 cublasCsymm_v2_64 cublasZsymm_v2 cublasZsymm_v2_64 cublasChemm_v2
            cublasChemm_v2_64 cublasZhemm_v2 cublasZhemm_v2_64 cublasSsyrk_v2 cublasSsyrk_v2_64 cublasDsyrk_v2
            cublasDsyrk_v2_64 cublasCsyrk_v2 cublasCsyrk_v2_64 cublasZsyrk_v2 cublasZsyrk_v2_64 cublasCherk_v2
            cublasCherk_v2_64 cublasZherk_v2 cublasZherk_v2_64 cublasSsyrkx cublasSsyrkx_64 cublasDsyrkx
            cublasDsyrkx_64 cublasCsyrkx cublasCsyrkx_64 cublasZsyrkx cublasZsyrkx_64 cublasCherkx cublasCherkx_64
            cublasZherkx cublasZherkx_64 cublasSsyr2k_v2 cublasSsyr2k_v2_64 cublasDsyr2k_v2 cublasDsyr2k_v2_64
            cublasCsyr2k_v2 cublasCsyr2k_v2_64 cublasZsyr2k_v2 cublasZsyr2k_v2_64 cublasCher2k_v2 cublasCher2k_v2_64
            cublasZher2k_v2 cublasZher2k_v2_64 cublasSgeam cublasSgeam_64 cublasDgeam cublasDgeam_64 cublasCgeam
            cublasCgeam_64 cublasZgeam cublasZgeam_64 cublasSdgmm cublasSdgmm_64 cublasDdgmm cublasDdgmm_64
            cublasCdgmm cublasCdgmm_64 cublasZdgmm cublasZdgmm_64

            cublasSgbmv_v2 cublasSgbmv_v2_64 cublasDgbmv_v2 cublasDgbmv_v2_64 cublasCgbmv_v2 cublasCgbmv_v2_64
            cublasZgbmv_v2 cublasZgbmv_v2_64 cublasSsbmv_v2 cublasSsbmv_v2_64 cublasDsbmv_v2 cublasDsbmv_v2_64
            cublasChbmv_v2 cublasChbmv_v2_64 cublasZhbmv_v2 cublasZhbmv_v2_64 cublasSspmv_v2 cublasSspmv_v2_64
            cublasDspmv_v2 cublasDspmv_v2_64 cublasChpmv_v2 cublasChpmv_v2_64 cublasZhpmv_v2 cublasZhpmv_v2_64
            cublasStbmv_v2 cublasStbmv_v2_64 cublasDtbmv_v2 cublasDtbmv_v2_64 cublasCtbmv_v2 cublasCtbmv_v2_64
            cublasZtbmv_v2 cublasZtbmv_v2_64 cublasStbsv_v2 cublasStbsv_v2_64 cublasDtbsv_v2 cublasDtbsv_v2_64
            cublasCtbsv_v2 cublasCtbsv_v2_64 cublasZtbsv_v2 cublasZtbsv_v2_64 cublasStpmv_v2 cublasStpmv_v2_64
            cublasDtpmv_v2 cublasDtpmv_v2_64 cublasCtpmv_v2 cublasCtpmv_v2_64 cublasZtpmv_v2 cublasZtpmv_v2_64
            cublasStpsv_v2 cublasStpsv_v2_64 cublasDtpsv_v2 cublasDtpsv_v2_64 cublasCtpsv_v2 cublasCtpsv_v2_64
            cublasZtpsv_v2 cublasZtpsv_v2_64 cublasSspr_v2 cublasSspr_v2_64 cublasDspr_v2 cublasDspr_v2_64
            cublasChpr_v2 cublasChpr_v2_64 cublasZhpr_v2 cublasZhpr_v2_64 cublasSspr2_v2 cublasSspr2_v2_64
            cublasDspr2_v2 cublasDspr2_v2_64 cublasChpr2_v2 cublasChpr2_v2_64 cublasZhpr2_v2 cublasZhpr2_v2_64
            cublasStpttr cublasDtpttr cublasCtpttr cublasZtpttr cublasStrttp cublasDtrttp cublasCtrttp cublasZtrttp

            cublasSrotg_v2 cublasDrotg_v2 cublasCrotg_v2 cublasZrotg_v2 cublasRotgEx cublasSrotm_v2
            cublasSrotm_v2_64 cublasDrotm_v2 cublasDrotm_v2_64 cublasRotmEx cublasRotmEx_64 cublasSrotmg_v2
            cublasDrotmg_v2 cublasRotmgEx cublasRotEx cublasRotEx_64 cublasAsumEx cublasAsumEx_64 cublasIamaxEx
            cublasIamaxEx_64 cublasIaminEx cublasIaminEx_64 cublasCopyEx cublasCopyEx_64 cublasSwapEx
            cublasSwapEx_64

            cublasInit cublasShutdown cublasGetError cublasAlloc cublasFree cublasSetKernelStream
            cublasSnrm2 cublasDnrm2 cublasScnrm2 cublasDznrm2 cublasSasum cublasDasum cublasScasum cublasDzasum
            cublasIsamax cublasIdamax cublasIcamax cublasIzamax cublasIsamin cublasIdamin cublasIcamin cublasIzamin
            cublasSdot cublasDdot cublasCdotu cublasZdotu cublasCdotc cublasZdotc cublasSscal cublasDscal
            cublasCscal cublasZscal cublasCsscal cublasZdscal cublasSaxpy cublasDaxpy cublasCaxpy cublasZaxpy
            cublasScopy cublasDcopy cublasCcopy cublasZcopy cublasSswap cublasDswap cublasCswap cublasZswap
            cublasSrot cublasDrot cublasCrot cublasZrot cublasCsrot cublasZdrot cublasSrotg cublasDrotg cublasCrotg
            cublasZrotg cublasSrotm cublasDrotm cublasSrotmg cublasDrotmg cublasSgemv cublasDgemv cublasCgemv
            cublasZgemv cublasSgbmv cublasDgbmv cublasCgbmv cublasZgbmv cublasStrmv cublasDtrmv cublasCtrmv
            cublasZtrmv cublasStrsv cublasDtrsv cublasCtrsv cublasZtrsv cublasStbmv cublasDtbmv cublasCtbmv
            cublasZtbmv cublasStbsv cublasDtbsv cublasCtbsv cublasZtbsv cublasStpmv cublasDtpmv cublasCtpmv
            cublasZtpmv cublasStpsv cublasDtpsv cublasCtpsv cublasZtpsv cublasSsymv cublasDsymv cublasChemv
            cublasZhemv cublasSsbmv cublasDsbmv cublasChbmv cublasZhbmv cublasSspmv cublasDspmv cublasChpmv
            cublasZhpmv cublasSger cublasDger cublasCgeru cublasZgeru cublasCgerc cublasZgerc cublasSsyr cublasDsyr
            cublasCher cublasZher cublasSspr cublasDspr cublasChpr cublasZhpr cublasSsyr2 cublasDsyr2 cublasCher2
            cublasZher2 cublasSspr2 cublasDspr2 cublasChpr2 cublasZhpr2 cublasSgemm cublasDgemm cublasCgemm
            cublasZgemm cublasSsyrk cublasDsyrk cublasCsyrk cublasZsyrk cublasCherk cublasZherk cublasSsyr2k
            cublasDsyr2k cublasCsyr2k cublasZsyr2k cublasCher2k cublasZher2k cublasSsymm cublasDsymm cublasCsymm
            cublasZsymm cublasChemm cublasZhemm cublasStrsm cublasDtrsm cublasCtrsm cublasZtrsm cublasStrmm
            cublasDtrmm cublasCtrmm cublasZtrmm cublasHSHgemvBatched cublasHSHgemvBatched_64 cublasHSSgemvBatched
            cublasHSSgemvBatched_64 cublasTSTgemvBatched cublasTSTgemvBatched_64 cublasTSSgemvBatched
            cublasTSSgemvBatched_64 cublasHSHgemvStridedBatched cublasHSHgemvStridedBatched_64
            cublasHSSgemvStridedBatched cublasHSSgemvStridedBatched_64 cublasTSTgemvStridedBatched
            cublasTSTgemvStridedBatched_64 cublasTSSgemvStridedBatched cublasTSSgemvStridedBatched_64
            cublasSgemmGroupedBatched cublasSgemmGroupedBatched_64 cublasDgemmGroupedBatched
            cublasDgemmGroupedBatched_64 cublasGemmGroupedBatchedEx cublasGemmGroupedBatchedEx_64

            cublasCsyrkEx cublasCsyrkEx_64 cublasCsyrk3mEx cublasCsyrk3mEx_64 cublasCherkEx cublasCherkEx_64
            cublasCherk3mEx cublasCherk3mEx_64
        }
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    macro_rules! names {
        ($($name:ident)*) => {
            const EXPORTED: &[&str] = &[$(stringify!($name)),*];
        };
    }

    crate::exported_functions!(names,);

    macro_rules! refused {
        ($($name:ident)*) => {
            const REFUSED: &[&str] = &[$(stringify!($name)),*];
        };
    }

    crate::refused_functions!(refused,);

    /// The functions whose results depend on the library's major version.
    const VERSIONED: [&str; 4] = [
        "cublasGetVersion",
        "cublasGetVersion_v2",
        "cublasGetProperty",
        "cublasGetCudartVersion",
    ];

    /// `names.txt` has what NVIDIA's libraries of the major versions 12 and 13 export, 13.4 the last.
    #[test]
    fn exports_are_those_of_nvidias_libraries() {
        let names = include_str!("../tests/names.txt");
        let wanted: BTreeSet<&str> = names.lines().collect();
        let all = || {
            [EXPORTED, REFUSED, &VERSIONED]
                .into_iter()
                .flatten()
                .copied()
        };
        let ours: BTreeSet<&str> = all().collect();
        assert_eq!(all().count(), ours.len(), "a name is there twice");
        let missing: Vec<_> = wanted.difference(&ours).collect();
        let more: Vec<_> = ours.difference(&wanted).collect();
        assert!(
            missing.is_empty() && more.is_empty(),
            "missing {missing:?}, unknown {more:?}"
        );
    }

    /// Every function that a file of `api/` defines is in the list of exports; the compiler checks the converse.
    #[test]
    fn every_function_is_exported() {
        let exported: BTreeSet<&str> = EXPORTED.iter().copied().collect();
        let mut defined = 0;
        for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/api"))
            .expect("the folder is there")
        {
            let text =
                std::fs::read_to_string(file.expect("an entry").path()).expect("source text");
            for line in text.lines().map(str::trim_start) {
                let definition = line.contains("fn cublas")
                    || line.starts_with("cublas")
                    || line.starts_with("[cublas");
                if !definition
                    || !(line.ends_with('{') || line.ends_with(';') || line.ends_with(";]"))
                {
                    continue;
                }
                let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
                for name in
                    words.filter(|word| word.starts_with("cublas") && !word.contains("Status_"))
                {
                    assert!(
                        exported.contains(name) || VERSIONED.contains(&name),
                        "{name} is not exported"
                    );
                    defined += 1;
                }
            }
        }
        assert!(
            defined >= exported.len(),
            "only {defined} definitions found for {} exports",
            exported.len()
        );
    }
}
