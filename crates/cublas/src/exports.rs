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
        $crate::exported_functions!($crate::export_symbols, $major);
        $crate::export_symbol!($major, "cublasGetVersion_v2", $crate::api::cublasGetVersion_v2::<$major>);
        $crate::export_symbol!($major, "cublasGetProperty", $crate::api::cublasGetProperty::<$major>);
        $crate::export_symbol!($major, "cublasGetCudartVersion", $crate::api::cublasGetCudartVersion::<$major>);
    };
}

/// Exports a list of functions of [`crate::api`].
#[doc(hidden)]
#[macro_export]
macro_rules! export_symbols {
    ($major:literal $($name:ident)*) => {
        $($crate::export_symbol!($major, stringify!($name), $crate::api::$name);)*
    };
}

/// Exports one function.
#[doc(hidden)]
#[macro_export]
macro_rules! export_symbol {
    ($major:literal, $name:expr, $function:path) => {
        #[cfg(target_arch = "x86_64")]
        ::core::arch::global_asm!(
            concat!(".globl \"", $name, "@@libcublas.so.", $major, "\""),
            concat!(".type \"", $name, "@@libcublas.so.", $major, "\", @function"),
            concat!("\"", $name, "@@libcublas.so.", $major, "\":"),
            "jmp {function}",
            function = sym $function,
        );
        #[cfg(target_arch = "aarch64")]
        ::core::arch::global_asm!(
            concat!(".globl \"", $name, "@@libcublas.so.", $major, "\""),
            concat!(".type \"", $name, "@@libcublas.so.", $major, "\", @function"),
            concat!("\"", $name, "@@libcublas.so.", $major, "\":"),
            "b {function}",
            function = sym $function,
        );
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

    /// Every function that a file of `api/` defines is in the list of exports; the compiler checks the converse.
    #[test]
    fn every_function_is_exported() {
        let exported: BTreeSet<&str> = EXPORTED.iter().copied().collect();
        let generic = ["cublasGetVersion_v2", "cublasGetProperty", "cublasGetCudartVersion"];
        let mut defined = 0;
        for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/api")).expect("the folder is there") {
            let text = std::fs::read_to_string(file.expect("an entry").path()).expect("source text");
            for line in text.lines().map(str::trim_start) {
                let definition = line.contains("fn cublas") || line.starts_with("cublas") || line.starts_with("[cublas");
                if !definition || !(line.ends_with('{') || line.ends_with(';') || line.ends_with(";]")) {
                    continue;
                }
                let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
                for name in words.filter(|word| word.starts_with("cublas") && !word.contains("Status_")) {
                    assert!(exported.contains(name) || generic.contains(&name), "{name} is not exported");
                    defined += 1;
                }
            }
        }
        assert!(defined >= exported.len(), "only {defined} definitions found for {} exports", exported.len());
    }
}
