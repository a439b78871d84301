//! A device of ggml, and the graphs that run on it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use anyhow::{bail, ensure, Context, Result};

use super::case::{Case, Fill, Input, Type};
use super::make::{Constructors, Maker, Tensor};
use crate::library::{string, Functions, Llama};

/// `struct ggml_init_params`.
#[repr(C)]
pub struct InitParams {
    size: usize,
    buffer: *mut c_void,
    no_alloc: bool,
}

/// `struct ggml_type_traits`.
#[repr(C)]
pub struct TypeTraits {
    name: *const c_char,
    block: i64,
    interleave: i64,
    size: usize,
    quantised: bool,
    to_float: Option<unsafe extern "C" fn(*const c_void, *mut f32, i64)>,
}

/// What became of a graph that was to be built.
pub enum Attempt<T> {
    /// It runs.
    Done(T),
    /// The backend, or this version of ggml, does not have it; why.
    Unsupported(String),
}

/// Blocks of quantised types.
type Made = HashMap<Type, Vec<u8>>;

/// `ggml_backend_t`.
pub struct Backend<'a> {
    c: &'a Functions,
    constructors: &'static Constructors,
    handle: *mut c_void,
    name: String,
    made: RefCell<Made>,
}

impl<'a> Backend<'a> {
    /// Opens the device that ggml calls so.
    ///
    /// # Errors
    /// When there is none, or it fails.
    pub fn open(llama: &'a Llama, constructors: &'static Constructors, name: &str) -> Result<Self> {
        let c = &llama.c;
        let device = llama.devices().into_iter().find(|d| d.name == name);
        let device = device
            .with_context(|| format!("ggml finds no device {name}"))?
            .handle;
        // SAFETY: a device of ggml, no parameters.
        let handle = unsafe { (c.ggml_backend_dev_init)(device, ptr::null()) };
        ensure!(!handle.is_null(), "the device {name} could not be opened");
        Ok(Self {
            c,
            constructors,
            handle,
            name: name.into(),
            made: RefCell::default(),
        })
    }

    /// Sets how many threads the CPU's backend computes with; others know no threads.
    pub fn set_threads(&self, llama: &Llama, threads: usize) {
        let c = self.c;
        let device = llama.devices().into_iter().find(|d| d.name == self.name);
        let Some(device) = device else { return };
        // SAFETY: the function has this signature in every backend that exports it.
        unsafe {
            let registry = (c.ggml_backend_dev_backend_reg)(device.handle);
            let set = (c.ggml_backend_reg_get_proc_address)(
                registry,
                c"ggml_backend_set_n_threads".as_ptr(),
            );
            if !set.is_null() {
                let set: unsafe extern "C" fn(*mut c_void, c_int) = std::mem::transmute(set);
                set(self.handle, threads as c_int);
            }
        }
    }

    /// The result of a case.
    ///
    /// # Errors
    /// When memory or the computation fails.
    pub fn compute(&self, case: &Case) -> Result<Attempt<Vec<f64>>> {
        let bytes = |input: &Input, n: u64| self.bytes(input, n);
        Ok(match self.graph(case, 1, &bytes)? {
            Attempt::Done(graph) => {
                self.run(&graph, case)?;
                Attempt::Done(self.values(graph.result)?)
            }
            Attempt::Unsupported(why) => Attempt::Unsupported(why),
        })
    }

    /// The numbers of a tensor, with what lies in its gaps if it has any.
    fn values(&self, tensor: Tensor) -> Result<Vec<f64>> {
        let c = self.c;
        // SAFETY: a live tensor, and a buffer of the size which ggml says.
        let bytes = unsafe {
            let mut bytes = vec![0u8; (c.ggml_nbytes)(tensor.pointer())];
            (c.ggml_backend_tensor_get)(
                tensor.pointer(),
                bytes.as_mut_ptr().cast(),
                0,
                bytes.len(),
            );
            bytes
        };
        Ok(match Type(tensor.kind()) {
            Type::F32 => bytes
                .chunks_exact(4)
                .map(|b| f64::from(bytemuck::pod_read_unaligned::<f32>(b)))
                .collect(),
            Type::I32 => bytes
                .chunks_exact(4)
                .map(|b| f64::from(bytemuck::pod_read_unaligned::<i32>(b)))
                .collect(),
            Type::I64 => bytes
                .chunks_exact(8)
                .map(|b| bytemuck::pod_read_unaligned::<i64>(b) as f64)
                .collect(),
            kind => {
                // SAFETY: ggml's description of one of its types, whose head is compared before the function is used,
                // and as many whole blocks as the bytes hold.
                unsafe {
                    let traits = (c.ggml_get_type_traits)(kind.0)
                        .as_ref()
                        .context("a type without description")?;
                    ensure!(
                        traits.block == kind.block() && string(traits.name) == kind.name(),
                        "struct ggml_type_traits has another layout than in ggml 0.25"
                    );
                    let Some(to_float) = traits.to_float else {
                        bail!("a result of type {}", kind.name());
                    };
                    let count = bytes.len() / traits.size * traits.block as usize;
                    let mut values = vec![0f32; count];
                    to_float(bytes.as_ptr().cast(), values.as_mut_ptr(), count as i64);
                    values.into_iter().map(f64::from).collect()
                }
            }
        })
    }

    /// What lies in memory for an argument.
    fn bytes(&self, input: &Input, seed: u64) -> Vec<u8> {
        let (kind, size) = (input.kind, input.stored_size());
        if kind.block() == 1 {
            return encode(self.c, kind, size, input.fill, seed);
        }
        // Quantising takes longer than everything else: a few blocks serve all tensors of the type, in other orders.
        const SIZE: [i64; 4] = [256, 32, 1, 1];
        let mut made = self.made.borrow_mut();
        let pool = made.entry(kind).or_insert_with(|| {
            // SAFETY: a type number of ggml, and a whole number of its blocks.
            let row = unsafe { (self.c.ggml_row_size)(kind.0, SIZE[0]) };
            random_blocks(kind, row, SIZE[1] as usize)
                .unwrap_or_else(|| encode(self.c, kind, SIZE, Fill::Range(-1.0, 1.0), 0))
        });
        let blocks = SIZE[0] * SIZE[1] / kind.block();
        let bytes = pool.len() / blocks as usize;
        let count = size.iter().product::<i64>() / kind.block();
        Fill::Below(blocks)
            .values([count, 1, 1, 1], seed)
            .into_iter()
            .flat_map(|block| &pool[block as usize * bytes..][..bytes])
            .copied()
            .collect()
    }

    /// Computes a graph and waits for it.
    ///
    /// # Errors
    /// What ggml returns.
    pub fn run(&self, graph: &Graph, case: &Case) -> Result<()> {
        // SAFETY: a graph of this backend, whose tensors are allocated.
        let status = unsafe { (self.c.ggml_backend_graph_compute)(self.handle, graph.graph) };
        ensure!(
            status == 0,
            "{}: ggml_backend_graph_compute returned {status}",
            case.title
        );
        Ok(())
    }

    /// A graph that has an operation `repeat` times over the same inputs, allocated and filled.
    ///
    /// # Errors
    /// When memory fails.
    pub fn graph(
        &self,
        case: &Case,
        repeat: usize,
        bytes: &dyn Fn(&Input, u64) -> Vec<u8>,
    ) -> Result<Attempt<Graph<'a>>> {
        let c = self.c;
        // SAFETY: the context has room for the tensors and the graph, and lives until its end in `Scope`; all pointers
        // come from ggml, and the buffers have the sizes which ggml says.
        unsafe {
            let mut scope = Scope {
                c,
                context: (c.ggml_init)(InitParams {
                    size: (64 + 8 * repeat) * (c.ggml_tensor_overhead)()
                        + (c.ggml_graph_overhead_custom)(8 * repeat + 64, false),
                    buffer: ptr::null_mut(),
                    no_alloc: true,
                }),
                buffer: ptr::null_mut(),
            };
            ensure!(!scope.context.is_null(), "ggml_init failed");
            let maker = Maker::new(self.constructors, scope.context)?;
            let (mut stored, mut arguments) = (Vec::new(), Vec::new());
            for input in &case.inputs {
                let (memory, view) = input.make(&maker);
                stored.push(memory);
                match view {
                    Ok(view) => arguments.push(view),
                    Err(name) => return Ok(Attempt::Unsupported(format!("no {name}"))),
                }
            }
            let graph = (c.ggml_new_graph_custom)(scope.context, 8 * repeat + 64, false);
            let mut result = None;
            for _ in 0..repeat {
                match (case.build)(&maker, &arguments) {
                    Ok(tensor) => {
                        (c.ggml_build_forward_expand)(graph, tensor.pointer());
                        result = Some(tensor);
                    }
                    Err(name) => return Ok(Attempt::Unsupported(format!("no {name}"))),
                }
            }
            let result = result.context("nothing to compute")?;
            for i in 0..(c.ggml_graph_n_nodes)(graph) {
                let node = (c.ggml_graph_node)(graph, i);
                if !(c.ggml_backend_supports_op)(self.handle, node) {
                    return Ok(Attempt::Unsupported(format!("not by {}", self.name)));
                }
            }
            scope.buffer = (c.ggml_backend_alloc_ctx_tensors)(scope.context, self.handle);
            ensure!(!scope.buffer.is_null(), "no memory for {}", case.title);
            for (i, (input, tensor)) in case.inputs.iter().zip(&stored).enumerate() {
                let bytes = bytes(input, i as u64);
                ensure!(
                    bytes.len() == (c.ggml_nbytes)(tensor.pointer()),
                    "{}: size of input {i}",
                    case.title
                );
                (c.ggml_backend_tensor_set)(
                    tensor.pointer(),
                    bytes.as_ptr().cast(),
                    0,
                    bytes.len(),
                );
            }
            Ok(Attempt::Done(Graph {
                graph,
                result,
                _scope: scope,
            }))
        }
    }
}

impl Drop for Backend<'_> {
    fn drop(&mut self) {
        // SAFETY: opened by `open`, and nothing of it is left.
        unsafe { (self.c.ggml_backend_free)(self.handle) }
    }
}

/// Blocks of random bits, of the types in which each bit pattern is a block: their quantiser first makes tables for seconds.
/// The scale of a block is a half between 2^-7 and 2^-3.
fn random_blocks(kind: Type, bytes: usize, count: usize) -> Option<Vec<u8>> {
    // Where the upper half of the scale stands; IQ1_M has each fourth of it above 12 bits of scales of its own.
    let upper = match kind {
        Type::IQ2_XXS | Type::IQ2_XS | Type::IQ2_S => 1,
        Type::IQ3_XXS | Type::IQ3_S | Type::IQ1_S => 1,
        Type::IQ1_M => bytes - 1,
        _ => return None,
    };
    let size = [(bytes * count) as i64, 1, 1, 1];
    let mut blocks: Vec<u8> = Fill::Below(256)
        .values(size, kind.0 as u64)
        .into_iter()
        .map(|byte| byte as u8)
        .collect();
    for block in blocks.chunks_exact_mut(bytes) {
        block[upper] = block[upper] & 0xf | 0x20;
    }
    Some(blocks)
}

/// Numbers in a type of ggml.
pub fn encode(c: &Functions, kind: Type, size: [i64; 4], fill: Fill, seed: u64) -> Vec<u8> {
    let values = fill.values(size, seed);
    match kind {
        Type::F32 => bytemuck::cast_slice(&values).to_vec(),
        Type::I32 => values
            .iter()
            .flat_map(|v| (*v as i32).to_le_bytes())
            .collect(),
        Type::I64 => values
            .iter()
            .flat_map(|v| (*v as i64).to_le_bytes())
            .collect(),
        kind => {
            let columns = size[0];
            let rows = values.len() as i64 / columns;
            // Some types cannot be made without an importance of each column.
            let importance = vec![1f32; columns as usize];
            // SAFETY: a type number of ggml; the buffer has the bytes that ggml says such rows take.
            unsafe {
                let mut bytes = vec![0u8; (c.ggml_row_size)(kind.0, columns) * rows as usize];
                (c.ggml_quantize_chunk)(
                    kind.0,
                    values.as_ptr(),
                    bytes.as_mut_ptr().cast(),
                    0,
                    rows,
                    columns,
                    importance.as_ptr(),
                );
                bytes
            }
        }
    }
}

/// A graph whose tensors are allocated on a backend.
pub struct Graph<'a> {
    graph: *mut c_void,
    /// The result of its last operation.
    result: Tensor,
    _scope: Scope<'a>,
}

/// A context and the memory of its tensors.
struct Scope<'a> {
    c: &'a Functions,
    context: *mut c_void,
    buffer: *mut c_void,
}

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        // SAFETY: made in `graph`; the buffer may be null.
        unsafe {
            if !self.buffer.is_null() {
                (self.c.ggml_backend_buffer_free)(self.buffer);
            }
            (self.c.ggml_free)(self.context);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_blocks_have_small_scales() {
        // Bytes of a block; the first two of IQ1_S are the scale, the last eight of IQ1_M hold it in their upper bits.
        let blocks = random_blocks(Type::IQ1_S, 50, 100).expect("made of bits");
        assert_eq!(blocks.len(), 5000);
        assert!(blocks.chunks(50).all(|block| block[1] >> 4 == 2));
        let blocks = random_blocks(Type::IQ1_M, 56, 100).expect("made of bits");
        assert!(blocks.chunks(56).all(|block| block[55] >> 4 == 2));
        assert_ne!(blocks[..56], blocks[56..112]);
        assert_eq!(random_blocks(Type::Q4_K, 144, 1), None);
    }
}
