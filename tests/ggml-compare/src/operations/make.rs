//! ggml's constructors of tensors and operations.
//!
//! They have a table of their own, since versions of ggml have different ones: a constructor which the loaded library does
//! not export makes the cases that want it unsupported.

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

use anyhow::{ensure, Result};
use libloading::os::unix::Library;

use super::case::Type;

/// `struct ggml_tensor *`, of the context that is being built. What ggml asserts about shapes ends the process.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Tensor(NonNull<c_void>);

/// The head of `struct ggml_tensor`.
#[repr(C)]
struct Head {
    kind: c_int,
    buffer: *const c_void,
    size: [i64; 4],
    strides: [usize; 4],
}

impl Tensor {
    /// For ggml's functions.
    pub fn pointer(self) -> *mut c_void {
        self.0.as_ptr()
    }

    fn head(self) -> &'static Head {
        // SAFETY: a live tensor, whose head `Maker::new` has compared with a known one.
        unsafe { self.0.cast().as_ref() }
    }

    /// `enum ggml_type`.
    pub fn kind(self) -> c_int {
        self.head().kind
    }

    /// Numbers in each dimension.
    pub fn size(self) -> [i64; 4] {
        self.head().size
    }

    /// Bytes from a number, row, matrix and so on to the next.
    pub fn strides(self) -> [usize; 4] {
        self.head().strides
    }
}

/// A tensor, or the name of the constructor that is missing.
pub type Built = Result<Tensor, &'static str>;

/// An operation of one tensor.
pub type Unary = fn(&Maker, Tensor) -> Built;
/// An operation of two tensors.
pub type Binary = fn(&Maker, Tensor, Tensor) -> Built;

macro_rules! constructors {
    ($($name:ident($($argument:ident: $kind:ty),*);)*) => {
        /// The functions that add a tensor to a context, under their names without `ggml_`.
        #[derive(Default)]
        pub struct Constructors {
            $($name: Option<unsafe extern "C" fn(*mut c_void, $($kind),*) -> Option<Tensor>>,)*
            modifiers: Modifiers,
        }

        impl Constructors {
            /// Looks them up among the libraries that are loaded for all.
            fn find() -> Self {
                let loaded = Library::this();
                Self {
                    $($name: {
                        let name = concat!("ggml_", stringify!($name), "\0");
                        // SAFETY: the signature is that of ggml's header.
                        unsafe { loaded.get(name.as_bytes()) }.ok().map(|symbol| *symbol)
                    },)*
                    modifiers: Modifiers::find(&loaded),
                }
            }

            /// The same, for as long as the process lives, like the libraries themselves.
            pub fn leaked() -> &'static Self {
                Box::leak(Box::new(Self::find()))
            }
        }

        #[allow(clippy::too_many_arguments)]
        impl Maker {
            $(pub fn $name(&self, $($argument: $kind),*) -> Built {
                const NAME: &str = concat!("ggml_", stringify!($name));
                // SAFETY: the context is live, and so are the tensors, which come from it.
                let made = unsafe { (self.constructors.$name.ok_or(NAME)?)(self.context, $($argument),*) };
                made.ok_or(NAME)
            })*
        }
    };
}

macro_rules! modifiers {
    ($($name:ident($($argument:ident: $kind:ty),*);)*) => {
        /// The functions that change an operation which was just made.
        #[derive(Default)]
        struct Modifiers { $($name: Option<unsafe extern "C" fn(Tensor, $($kind),*)>,)* }

        impl Modifiers {
            fn find(loaded: &Library) -> Self {
                Self { $($name: {
                    let name = concat!("ggml_", stringify!($name), "\0");
                    // SAFETY: the signature is that of ggml's header; a result is not looked at.
                    unsafe { loaded.get(name.as_bytes()) }.ok().map(|symbol| *symbol)
                },)* }
            }
        }

        impl Maker {
            $(pub fn $name(&self, tensor: Tensor, $($argument: $kind),*) -> Built {
                let change = self.constructors.modifiers.$name.ok_or(concat!("ggml_", stringify!($name)))?;
                // SAFETY: a live tensor.
                unsafe { change(tensor, $($argument),*) };
                Ok(tensor)
            })*
        }
    };
}

modifiers! {
    flash_attn_ext_add_sinks(sinks: Option<Tensor>);
    flash_attn_ext_set_prec(precision: c_int);
    soft_max_add_sinks(sinks: Option<Tensor>);
    mul_mat_set_prec(precision: c_int);
    rope_set_offset(offset: c_int);
    set_param();
}

constructors! {
    new_tensor(kind: c_int, dimensions: c_int, size: *const i64);
    view_4d(a: Tensor, n0: i64, n1: i64, n2: i64, n3: i64, row: usize, matrix: usize, rest: usize, offset: usize);
    permute(a: Tensor, to0: c_int, to1: c_int, to2: c_int, to3: c_int);

    abs(a: Tensor);
    sgn(a: Tensor);
    neg(a: Tensor);
    step(a: Tensor);
    tanh(a: Tensor);
    elu(a: Tensor);
    relu(a: Tensor);
    sigmoid(a: Tensor);
    gelu(a: Tensor);
    gelu_erf(a: Tensor);
    gelu_quick(a: Tensor);
    silu(a: Tensor);
    hardswish(a: Tensor);
    hardsigmoid(a: Tensor);
    exp(a: Tensor);
    expm1(a: Tensor);
    softplus(a: Tensor);
    floor(a: Tensor);
    ceil(a: Tensor);
    round(a: Tensor);
    trunc(a: Tensor);
    sqr(a: Tensor);
    sqrt(a: Tensor);
    log(a: Tensor);
    sin(a: Tensor);
    cos(a: Tensor);
    xielu(a: Tensor, alpha_n: f32, alpha_p: f32, beta: f32, epsilon: f32);
    leaky_relu(a: Tensor, slope: f32, in_place: bool);
    clamp(a: Tensor, low: f32, high: f32);
    scale_bias(a: Tensor, by: f32, bias: f32);
    silu_back(a: Tensor, b: Tensor);
    add(a: Tensor, b: Tensor);
    sub(a: Tensor, b: Tensor);
    mul(a: Tensor, b: Tensor);
    div(a: Tensor, b: Tensor);
    add1(a: Tensor, b: Tensor);
    add_id(a: Tensor, b: Tensor, ids: Tensor);
    glu(a: Tensor, operation: c_int, swapped: bool);
    glu_split(a: Tensor, b: Tensor, operation: c_int);
    swiglu_oai(a: Tensor, b: Tensor, alpha: f32, limit: f32);
    opt_step_adamw(a: Tensor, gradient: Tensor, m: Tensor, v: Tensor, parameters: Tensor);
    opt_step_sgd(a: Tensor, gradient: Tensor, parameters: Tensor);

    norm(a: Tensor, epsilon: f32);
    rms_norm(a: Tensor, epsilon: f32);
    rms_norm_back(a: Tensor, b: Tensor, epsilon: f32);
    l2_norm(a: Tensor, epsilon: f32);
    group_norm(a: Tensor, groups: c_int, epsilon: f32);
    soft_max_ext(a: Tensor, mask: Option<Tensor>, scale: f32, max_bias: f32);
    soft_max_ext_back(a: Tensor, b: Tensor, scale: f32, max_bias: f32);
    sum(a: Tensor);
    sum_rows(a: Tensor);
    mean(a: Tensor);
    cumsum(a: Tensor);
    argmax(a: Tensor);
    argsort(a: Tensor, order: c_int);
    top_k(a: Tensor, count: c_int);
    count_equal(a: Tensor, b: Tensor);
    cross_entropy_loss(a: Tensor, b: Tensor);
    cross_entropy_loss_back(a: Tensor, b: Tensor, c: Tensor);
    diag(a: Tensor);
    diag_mask_inf(a: Tensor, past: c_int);
    diag_mask_zero(a: Tensor, past: c_int);
    tri(a: Tensor, kind: c_int);
    fill(a: Tensor, value: f32);
    arange(start: f32, stop: f32, step: f32);
    get_rows(a: Tensor, ids: Tensor);
    get_rows_back(a: Tensor, ids: Tensor, like: Tensor);
    set_rows(a: Tensor, b: Tensor, ids: Tensor);
    solve_tri(a: Tensor, b: Tensor, left: bool, lower: bool, unit: bool);

    cpy(a: Tensor, b: Tensor);
    cont(a: Tensor);
    dup(a: Tensor);
    concat(a: Tensor, b: Tensor, dimension: c_int);
    repeat(a: Tensor, like: Tensor);
    repeat_back(a: Tensor, like: Tensor);
    pad(a: Tensor, p0: c_int, p1: c_int, p2: c_int, p3: c_int);
    pad_circular(a: Tensor, p0: c_int, p1: c_int, p2: c_int, p3: c_int);
    pad_ext(
        a: Tensor, l0: c_int, r0: c_int, l1: c_int, r1: c_int, l2: c_int, r2: c_int, l3: c_int, r3: c_int
    );
    pad_reflect_1d(a: Tensor, left: c_int, right: c_int);
    roll(a: Tensor, s0: c_int, s1: c_int, s2: c_int, s3: c_int);
    set(a: Tensor, b: Tensor, row: usize, matrix: usize, rest: usize, offset: usize);
    acc(a: Tensor, b: Tensor, row: usize, matrix: usize, rest: usize, offset: usize);

    mul_mat(a: Tensor, b: Tensor);
    mul_mat_id(a: Tensor, b: Tensor, ids: Tensor);
    out_prod(a: Tensor, b: Tensor);
    flash_attn_ext(
        q: Tensor, k: Tensor, v: Tensor, mask: Option<Tensor>, scale: f32, max_bias: f32, logit_softcap: f32
    );
    lightning_indexer(q: Tensor, k: Tensor, weights: Tensor, mask: Tensor);

    rope_ext(
        a: Tensor, positions: Tensor, factors: Option<Tensor>, dimensions: c_int, mode: c_int, original_context: c_int,
        base: f32, scale: f32, extrapolation: f32, attention: f32, beta_fast: f32, beta_slow: f32
    );
    rope_ext_back(
        a: Tensor, positions: Tensor, factors: Option<Tensor>, dimensions: c_int, mode: c_int, original_context: c_int,
        base: f32, scale: f32, extrapolation: f32, attention: f32, beta_fast: f32, beta_slow: f32
    );
    rope_multi(
        a: Tensor, positions: Tensor, factors: Option<Tensor>, dimensions: c_int, sections: *const c_int, mode: c_int,
        original_context: c_int, base: f32, scale: f32, extrapolation: f32, attention: f32, beta_fast: f32,
        beta_slow: f32
    );
    rope_multi_back(
        a: Tensor, positions: Tensor, factors: Option<Tensor>, dimensions: c_int, sections: *const c_int, mode: c_int,
        original_context: c_int, base: f32, scale: f32, extrapolation: f32, attention: f32, beta_fast: f32,
        beta_slow: f32
    );

    im2col(
        kernel: Tensor, a: Tensor, s0: c_int, s1: c_int, p0: c_int, p1: c_int, d0: c_int, d1: c_int, two: bool,
        kind: c_int
    );
    im2col_3d(
        kernel: Tensor, a: Tensor, channels: i64, s0: c_int, s1: c_int, s2: c_int, p0: c_int, p1: c_int, p2: c_int,
        d0: c_int, d1: c_int, d2: c_int, kind: c_int
    );
    conv_2d_direct(kernel: Tensor, a: Tensor, s0: c_int, s1: c_int, p0: c_int, p1: c_int, d0: c_int, d1: c_int);
    conv_2d_dw_direct(kernel: Tensor, a: Tensor, s0: c_int, s1: c_int, p0: c_int, p1: c_int, d0: c_int, d1: c_int);
    conv_3d_direct(
        kernel: Tensor, a: Tensor, s0: c_int, s1: c_int, s2: c_int, p0: c_int, p1: c_int, p2: c_int, d0: c_int,
        d1: c_int, d2: c_int, channels: c_int, batch: c_int, outputs: c_int
    );
    conv_transpose_1d(kernel: Tensor, a: Tensor, stride: c_int, padding: c_int, dilation: c_int);
    conv_transpose_2d_p0(kernel: Tensor, a: Tensor, stride: c_int);
    col2im_1d(a: Tensor, stride: c_int, channels: c_int, padding: c_int);
    pool_1d(a: Tensor, operation: c_int, kernel: c_int, stride: c_int, padding: c_int);
    pool_2d(a: Tensor, operation: c_int, k0: c_int, k1: c_int, s0: c_int, s1: c_int, p0: f32, p1: f32);
    interpolate(a: Tensor, n0: i64, n1: i64, n2: i64, n3: i64, mode: u32);
    timestep_embedding(a: Tensor, dimensions: c_int, period: c_int);

    ssm_conv(a: Tensor, kernel: Tensor);
    ssm_scan(s: Tensor, x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, ids: Tensor, states: i64);
    rwkv_wkv6(k: Tensor, v: Tensor, r: Tensor, tf: Tensor, td: Tensor, state: Tensor);
    rwkv_wkv7(r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor);
    gated_linear_attn(k: Tensor, v: Tensor, q: Tensor, g: Tensor, state: Tensor, scale: f32);
    gated_delta_net(q: Tensor, k: Tensor, v: Tensor, g: Tensor, beta: Tensor, state: Tensor, states: i64);
    dsv4_hc_comb(mixes: Tensor, scale: Tensor, base: Tensor, epsilon: f32, iterations: c_int);
    dsv4_hc_pre(a: Tensor, weights: Tensor);
    dsv4_hc_post(a: Tensor, residual: Tensor, post: Tensor, comb: Tensor);
}

/// Adds tensors to a ggml context.
pub struct Maker {
    constructors: &'static Constructors,
    context: *mut c_void,
}

impl Maker {
    /// A maker for a live context.
    ///
    /// # Errors
    /// When this ggml's tensors are laid out in another way than the known one.
    pub fn new(constructors: &'static Constructors, context: *mut c_void) -> Result<Self> {
        let maker = Self {
            constructors,
            context,
        };
        let size = [3, 5, 7, 2];
        let head = maker.tensor(Type::F16, size);
        ensure!(
            (head.kind(), head.size(), head.strides()) == (Type::F16.0, size, [2, 6, 30, 210]),
            "struct ggml_tensor has another layout than in ggml 0.25"
        );
        Ok(maker)
    }

    /// A tensor without gaps.
    pub fn tensor(&self, kind: Type, size: [i64; 4]) -> Tensor {
        self.new_tensor(kind.0, 4, size.as_ptr())
            .expect("ggml has no tensors")
    }

    /// A part of a tensor, which begins `offset` bytes behind its begin.
    pub fn part(&self, of: Tensor, size: [i64; 4], offset: usize) -> Built {
        let [_, row, matrix, rest] = of.strides();
        self.view_4d(
            of, size[0], size[1], size[2], size[3], row, matrix, rest, offset,
        )
    }

    /// Dimension `i` becomes dimension `to[i]`.
    pub fn permuted(&self, of: Tensor, to: [usize; 4]) -> Built {
        let to = to.map(|i| i as c_int);
        self.permute(of, to[0], to[1], to[2], to[3])
    }
}
