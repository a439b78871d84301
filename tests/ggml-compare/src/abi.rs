//! The C structures of llama.cpp's `include/llama.h`, as they are in llama.cpp 0.5.0.
//!
//! llama.cpp changes these structures without notice, so [`check_defaults`] compares the default values which the loaded
//! library returns with those of the known layout before anything is passed to it.

use std::ffi::{c_char, c_int, c_void};

use anyhow::{ensure, Result};

/// `struct llama_model_params`, 80 bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ModelParams {
    /// Null-terminated list of devices for the layers; null: all devices.
    pub devices: *const *mut c_void,
    pub tensor_buft_overrides: *const c_void,
    /// Layers on the devices; negative: all.
    pub n_gpu_layers: i32,
    pub split_mode: c_int,
    /// `enum llama_load_mode`: -1 automatic, 0 read, 1 mmap.
    pub load_mode: c_int,
    pub lazy_mode: c_int,
    pub main_gpu: i32,
    pub tensor_split: *const f32,
    pub progress_callback: *const c_void,
    pub progress_callback_user_data: *mut c_void,
    pub kv_overrides: *const c_void,
    pub vocab_only: bool,
    pub check_tensors: bool,
    /// Whether a backend may repack weights into layouts of its own.
    pub use_extra_bufts: bool,
    pub no_host: bool,
    pub no_alloc: bool,
    pub load_mtp: bool,
}

/// `struct llama_context_params`, 160 bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ContextParams {
    pub n_ctx: u32,
    pub n_batch: u32,
    pub n_ubatch: u32,
    pub n_seq_max: u32,
    pub n_rs_seq: u32,
    /// Most outputs of one batch; 0: as many as the batch has tokens.
    pub n_outputs_max: u32,
    /// Most outputs of one sequence in a batch; 0: no limit of its own.
    pub n_outputs_max_per_seq: u32,
    pub n_threads: i32,
    pub n_threads_batch: i32,
    pub ctx_type: c_int,
    pub rope_scaling_type: c_int,
    pub pooling_type: c_int,
    pub attention_type: c_int,
    /// `enum llama_flash_attn_type`: -1 automatic, 0 off, 1 on.
    pub flash_attn_type: c_int,
    pub rope_freq_base: f32,
    pub rope_freq_scale: f32,
    pub yarn_ext_factor: f32,
    pub yarn_attn_factor: f32,
    pub yarn_beta_fast: f32,
    pub yarn_beta_slow: f32,
    pub yarn_orig_ctx: u32,
    pub defrag_thold: f32,
    /// Asked before each node of the graph whether its result is wanted, and called with it.
    pub cb_eval: Option<EvalCallback>,
    pub cb_eval_user_data: *mut c_void,
    /// `enum ggml_type` of the key cache: 1 is f16.
    pub type_k: c_int,
    /// `enum ggml_type` of the value cache.
    pub type_v: c_int,
    pub abort_callback: *const c_void,
    pub abort_callback_data: *mut c_void,
    pub embeddings: bool,
    pub offload_kqv: bool,
    pub no_perf: bool,
    pub op_offload: bool,
    pub swa_full: bool,
    pub kv_unified: bool,
    pub samplers: *const c_void,
    pub n_samplers: usize,
    pub ctx_other: *mut c_void,
}

/// `struct llama_batch`: the tokens of one `llama_decode`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Batch {
    pub n_tokens: i32,
    pub token: *mut i32,
    pub embd: *mut f32,
    pub pos: *mut i32,
    pub n_seq_id: *mut i32,
    pub seq_id: *mut *mut i32,
    /// For each token: whether its logits are wanted.
    pub logits: *mut i8,
}

/// The head of `struct llama_model_quantize_params`; the rest is kept as the library filled it in.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct QuantizeParams {
    pub nthread: i32,
    pub ftype: c_int,
    rest: [u64; 31],
}

/// `ggml_backend_sched_eval_callback`.
pub type EvalCallback =
    unsafe extern "C" fn(tensor: *mut c_void, ask: bool, user: *mut c_void) -> bool;

/// `ggml_log_callback`.
pub type LogCallback = unsafe extern "C" fn(level: c_int, text: *const c_char, user: *mut c_void);

const _: () = assert!(size_of::<ModelParams>() == 80);
const _: () = assert!(size_of::<ContextParams>() == 160);
const _: () = assert!(size_of::<Batch>() == 56);

/// Whether these defaults can only come from the layout above.
///
/// # Errors
/// When a field does not hold the value which llama.cpp 0.5.0 gives it.
pub fn check_defaults(model: &ModelParams, context: &ContextParams) -> Result<()> {
    let m = (
        model.devices.is_null(),
        model.n_gpu_layers,
        model.split_mode,
        model.main_gpu,
        model.kv_overrides.is_null(),
        model.vocab_only,
        model.use_extra_bufts,
        model.no_alloc,
    );
    let expected = (true, -1, 1, 0, true, false, true, false);
    ensure!(
        m == expected,
        "llama_model_params has another layout than in llama.cpp 0.5.0: {m:?}"
    );
    let c = (
        (context.n_ctx, context.n_batch, context.n_ubatch),
        (
            context.n_seq_max,
            context.rope_scaling_type,
            context.flash_attn_type,
        ),
        (context.yarn_ext_factor, context.defrag_thold),
        (context.type_k, context.type_v),
        (context.embeddings, context.offload_kqv, context.op_offload),
    );
    let expected = (
        (512, 2048, 512),
        (1, -1, -1),
        (-1.0, -1.0),
        (1, 1),
        (false, true, true),
    );
    ensure!(
        c == expected,
        "llama_context_params has another layout than in llama.cpp 0.5.0: {c:?}"
    );
    Ok(())
}
