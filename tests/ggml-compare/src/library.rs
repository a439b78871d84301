//! libllama and ggml, loaded from a folder.

use std::collections::BTreeMap;
use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Mutex;

use anyhow::{bail, ensure, Context, Result};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

use crate::abi::{check_defaults, Batch, ContextParams, LogCallback, ModelParams, QuantizeParams};
use crate::operations::{InitParams, TypeTraits};

macro_rules! functions {
    ($(fn $name:ident($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions of libllama and ggml which this program calls, under their C names.
        pub struct Functions { $(pub $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)* }

        impl Functions {
            /// Looks every function up in the libraries, in their order.
            fn find(libraries: &[Library]) -> Result<Self> {
                Ok(Self { $($name: {
                    let name = concat!(stringify!($name), "\0");
                    libraries
                        .iter()
                        // SAFETY: the signature is that of the header of llama.cpp 0.5.0.
                        .find_map(|library| unsafe { library.get(name.as_bytes()) }.ok())
                        .map(|symbol| *symbol)
                        .with_context(|| format!("no library exports {}", stringify!($name)))?
                },)* })
            }
        }
    };
}

functions! {
    fn ggml_backend_load(*const c_char) -> *mut c_void;
    fn ggml_backend_dev_count() -> usize;
    fn ggml_backend_dev_get(usize) -> *mut c_void;
    fn ggml_backend_dev_name(*mut c_void) -> *const c_char;
    fn ggml_backend_dev_description(*mut c_void) -> *const c_char;
    fn ggml_backend_dev_memory(*mut c_void, *mut usize, *mut usize);
    fn ggml_get_name(*const c_void) -> *const c_char;
    fn ggml_op_desc(*const c_void) -> *const c_char;
    fn ggml_is_contiguous(*const c_void) -> bool;
    fn ggml_fp16_to_fp32_row(*const u16, *mut f32, i64);
    fn ggml_backend_tensor_get(*const c_void, *mut c_void, usize, usize);
    fn ggml_init(InitParams) -> *mut c_void;
    fn ggml_free(*mut c_void);
    fn ggml_tensor_overhead() -> usize;
    fn ggml_graph_overhead_custom(usize, bool) -> usize;
    fn ggml_row_size(c_int, i64) -> usize;
    fn ggml_nbytes(*const c_void) -> usize;
    fn ggml_quantize_chunk(c_int, *const f32, *mut c_void, i64, i64, i64, *const f32) -> usize;
    fn ggml_new_graph_custom(*mut c_void, usize, bool) -> *mut c_void;
    fn ggml_graph_n_nodes(*mut c_void) -> c_int;
    fn ggml_graph_node(*mut c_void, c_int) -> *mut c_void;
    fn ggml_get_type_traits(c_int) -> *const TypeTraits;
    fn ggml_backend_dev_backend_reg(*mut c_void) -> *mut c_void;
    fn ggml_backend_reg_get_proc_address(*mut c_void, *const c_char) -> *mut c_void;
    fn ggml_build_forward_expand(*mut c_void, *mut c_void);
    fn ggml_backend_dev_init(*mut c_void, *const c_char) -> *mut c_void;
    fn ggml_backend_free(*mut c_void);
    fn ggml_backend_supports_op(*mut c_void, *const c_void) -> bool;
    fn ggml_backend_alloc_ctx_tensors(*mut c_void, *mut c_void) -> *mut c_void;
    fn ggml_backend_buffer_free(*mut c_void);
    fn ggml_backend_graph_compute(*mut c_void, *mut c_void) -> c_int;
    fn ggml_backend_tensor_set(*mut c_void, *const c_void, usize, usize);
    fn ggml_log_set(LogCallback, *mut c_void);
    fn llama_log_set(LogCallback, *mut c_void);
    fn llama_version() -> *const c_char;
    fn llama_backend_init();
    fn llama_backend_free();
    fn llama_model_default_params() -> ModelParams;
    fn llama_context_default_params() -> ContextParams;
    fn llama_model_quantize_default_params() -> QuantizeParams;
    fn llama_model_quantize(*const c_char, *const c_char, *const QuantizeParams) -> u32;
    fn llama_model_load_from_file(*const c_char, ModelParams) -> *mut c_void;
    fn llama_model_free(*mut c_void);
    fn llama_model_desc(*mut c_void, *mut c_char, usize) -> i32;
    fn llama_model_ftype(*mut c_void) -> c_int;
    fn llama_model_get_vocab(*mut c_void) -> *const c_void;
    fn llama_vocab_n_tokens(*const c_void) -> i32;
    fn llama_tokenize(*const c_void, *const c_char, i32, *mut i32, i32, bool, bool) -> i32;
    fn llama_detokenize(*const c_void, *const i32, i32, *mut c_char, i32, bool, bool) -> i32;
    fn llama_init_from_model(*mut c_void, ContextParams) -> *mut c_void;
    fn llama_free(*mut c_void);
    fn llama_get_memory(*mut c_void) -> *mut c_void;
    fn llama_memory_clear(*mut c_void, bool);
    fn llama_batch_init(i32, i32, i32) -> Batch;
    fn llama_batch_free(Batch);
    fn llama_decode(*mut c_void, Batch) -> i32;
    fn llama_synchronize(*mut c_void);
    fn llama_get_logits_ith(*mut c_void, i32) -> *mut f32;
}

/// A device of ggml.
pub struct Device {
    /// ggml's name, such as `CUDA0`.
    pub name: String,
    /// The name of the hardware.
    pub description: String,
    /// Bytes of memory.
    pub total: usize,
    /// Bytes of free memory.
    pub free: usize,
    /// `ggml_backend_dev_t`.
    pub handle: *mut c_void,
}

/// libllama with its backends.
pub struct Llama {
    /// The C functions.
    pub c: Functions,
}

impl Drop for Llama {
    fn drop(&mut self) {
        // SAFETY: models and contexts borrow `self`, so that none is left.
        unsafe { (self.c.llama_backend_free)() }
    }
}

/// What libllama has logged so far, and whether to print all of it.
static LOG: Mutex<(String, bool)> = Mutex::new((String::new(), false));

/// Keeps every log line; prints warnings (3) and errors (4), or everything if so asked.
unsafe extern "C" fn log(level: c_int, text: *const c_char, _: *mut c_void) {
    // SAFETY: ggml passes a C string.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let Ok(mut log) = LOG.lock() else { return };
    if log.1 || level == 3 || level == 4 {
        eprint!("{text}");
    }
    log.0.push_str(&text);
}

impl Llama {
    /// Loads libllama from `folder`, the best CPU backend there, and `backend` if given.
    ///
    /// # Errors
    /// When a library or a function is missing, or the version is not the one whose structures are known.
    pub fn open(folder: &Path, backend: Option<&Path>, verbose: bool) -> Result<Self> {
        let find = |prefix: &str, but: &str| -> Result<PathBuf> {
            let mut found: Vec<_> = fs::read_dir(folder)
                .with_context(|| format!("no folder {}", folder.display()))?
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    name.starts_with(prefix) && name.ends_with(".so") && !name.starts_with(but)
                })
                .collect();
            found.sort();
            ensure!(
                found.len() == 1,
                "{} holds {} files {prefix}*.so, not one",
                folder.display(),
                found.len()
            );
            Ok(found.remove(0))
        };
        let paths = [
            find("libggml-base", "-")?,
            find("libggml.", "-")?,
            find("libllama.", "libllama-")?,
        ];
        let mut libraries = Vec::new();
        for path in &paths {
            // SAFETY: the initialisers of ggml's libraries have no preconditions.
            libraries.push(unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) }?);
        }
        let c = Functions::find(&libraries)?;
        if let Ok(mut log) = LOG.lock() {
            log.1 = verbose;
        }
        // SAFETY: the callback stays valid; the defaults are written by the library and read only after the check.
        unsafe {
            (c.ggml_log_set)(log, ptr::null_mut());
            (c.llama_log_set)(log, ptr::null_mut());
            check_defaults(
                &(c.llama_model_default_params)(),
                &(c.llama_context_default_params)(),
            )
            .with_context(|| format!("libllama {}", string((c.llama_version)())))?;
        }
        // The backends keep threads and exit handlers: the libraries stay loaded until the process ends.
        std::mem::forget(libraries);
        let llama = Self { c };
        llama.load_backend(&best_cpu_backend(folder)?)?;
        if let Some(backend) = backend {
            llama.load_backend(backend)?;
        }
        // SAFETY: called once, before anything else of libllama.
        unsafe { (llama.c.llama_backend_init)() };
        Ok(llama)
    }

    fn load_backend(&self, path: &Path) -> Result<()> {
        let name = c_path(path)?;
        // SAFETY: a C string.
        let registry = unsafe { (self.c.ggml_backend_load)(name.as_ptr()) };
        ensure!(
            !registry.is_null(),
            "ggml could not load the backend {}",
            path.display()
        );
        Ok(())
    }

    /// The devices of all backends.
    pub fn devices(&self) -> Vec<Device> {
        // SAFETY: the index is below the count; the strings live as long as the device.
        unsafe {
            (0..(self.c.ggml_backend_dev_count)())
                .map(|i| {
                    let handle = (self.c.ggml_backend_dev_get)(i);
                    let (mut free, mut total) = (0, 0);
                    (self.c.ggml_backend_dev_memory)(handle, &mut free, &mut total);
                    Device {
                        name: string((self.c.ggml_backend_dev_name)(handle)),
                        description: string((self.c.ggml_backend_dev_description)(handle)),
                        total,
                        free,
                        handle,
                    }
                })
                .collect()
        }
    }

    /// Everything that ggml and libllama have logged since the last call.
    pub fn take_log(&self) -> String {
        LOG.lock()
            .map_or(String::new(), |mut log| std::mem::take(&mut log.0))
    }

    /// Quantises a file with libllama's own quantiser.
    ///
    /// # Errors
    /// When libllama refuses the file or the type.
    pub fn quantize(&self, input: &Path, output: &Path, file_type: i32) -> Result<()> {
        let (input, output) = (c_path(input)?, c_path(output)?);
        // SAFETY: the parameters are the library's own defaults but for the two fields at its head.
        let status = unsafe {
            let mut parameters = (self.c.llama_model_quantize_default_params)();
            parameters.nthread = 1;
            parameters.ftype = file_type;
            (self.c.llama_model_quantize)(input.as_ptr(), output.as_ptr(), &parameters)
        };
        ensure!(status == 0, "llama_model_quantize returned {status}");
        Ok(())
    }
}

/// The CPU backend with the highest score on this processor: ggml builds one for each generation.
fn best_cpu_backend(folder: &Path) -> Result<PathBuf> {
    let mut scores = BTreeMap::new();
    for entry in fs::read_dir(folder)?.flatten() {
        let path = entry.path();
        if !entry
            .file_name()
            .to_string_lossy()
            .starts_with("libggml-cpu")
        {
            continue;
        }
        // SAFETY: loading has no preconditions; the function takes nothing and returns an int.
        let score = unsafe {
            let library = Library::new(&path)?;
            library
                .get::<unsafe extern "C" fn() -> c_int>(b"ggml_backend_score\0")
                .map_or(1, |score| score())
        };
        if score > 0 {
            scores.insert(score, path);
        }
    }
    match scores.pop_last() {
        Some((_, path)) => Ok(path),
        None => bail!("{} has no CPU backend for this processor", folder.display()),
    }
}

/// A C string from a path.
pub fn c_path(path: &Path) -> Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// A Rust string from a C string of a library; empty if null.
pub fn string(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, and a C string by the library's contract.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}
