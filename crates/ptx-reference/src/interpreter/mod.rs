//! Runs kernels: every thread is an interpreter of its own, and threads meet where PTX says that they do.
//!
//! A thread runs until it exits or comes to an instruction that waits for others: a block barrier, or an instruction of
//! its warp such as `shfl.sync` or `mma.sync`. When all that it waits for have come, the instruction is done for all of
//! them at once. Blocks run one after another, but a block that waits for another (spinning on a flag) makes room for it.
//!
//! ```
//! use ptx_reference::{run, Launch, Memory};
//! let text = "
//!     .version 8.0
//!     .target sm_80
//!     .address_size 64
//!     .visible .entry fill(.param .u64 out) {
//!         .reg .b64 %rd<4>; .reg .b32 %r<2>;
//!         ld.param.u64 %rd1, [out];
//!         mov.u32 %r1, %tid.x;
//!         mul.wide.u32 %rd2, %r1, 4;
//!         add.u64 %rd3, %rd1, %rd2;
//!         st.global.u32 [%rd3], %r1;
//!         ret;
//!     }";
//! let module = ptx::Module::parse(text).unwrap();
//! let mut memory = Memory::new();
//! let out = memory.allocate(256 * 4);
//! let parameters = out.to_le_bytes();
//! let launch = Launch { grid: [1, 1, 1], block: [256, 1, 1], dynamic_shared: 0, parameters: &parameters };
//! let outcome = run(&module, "fill", &launch, &mut memory).unwrap();
//! assert!(outcome.fault.is_none());
//! assert_eq!(memory.read(out + 4 * 255, 4).unwrap(), [255, 0, 0, 0]);
//! ```

mod atomics;
mod block;
mod coverage;
mod decode;
mod mbarrier;
mod printf;
mod program;
mod thread;
mod warp;

use crate::error::Error;
use crate::memory::Memory;
use block::{Block, Progress};
pub use coverage::unsupported;
use program::Program;
pub use program::{FUNCTIONS, LOCAL_WINDOW, PARAM_WINDOW, SHARED_WINDOW};
use ptx::{Initial, Module, Span, StateSpace, Variable};
use std::collections::VecDeque;

/// How a kernel is started.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// Blocks in x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block in x, y and z.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub dynamic_shared: u32,
    /// The kernel's parameters, each at its [offset](ptx::Function::parameter_offsets).
    pub parameters: &'a [u8],
}

/// Limits and choices of a run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Instructions, over all threads, after which a run is given up.
    pub step_limit: u64,
    /// What shared and local memory is filled with before a block runs. A kernel whose result depends on it reads
    /// memory that it never wrote.
    pub fill: u8,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            step_limit: 4_000_000_000,
            fill: 0,
        }
    }
}

/// A kernel that stopped itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it did.
    pub kind: FaultKind,
    /// 1-based line of the module's text.
    pub line: u32,
    /// `%ctaid`
    pub block: [u32; 3],
    /// `%tid`
    pub thread: [u32; 3],
}

/// How a kernel stopped itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// `trap` or `brkpt`.
    Trap,
    /// A failed `assert` of device code.
    Assert {
        /// The asserted expression.
        message: String,
        /// The source file.
        file: String,
        /// The line of the source file.
        line: u32,
        /// The function of the source file.
        function: String,
    },
}

/// What a run left besides memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What `printf` wrote, one string for each call.
    pub printf: Vec<String>,
    /// Set if the kernel stopped itself; memory is then as it was at that moment.
    pub fault: Option<Fault>,
    /// Instructions executed, over all threads.
    pub steps: u64,
}

/// Runs a kernel to its end.
///
/// The module's variables are placed in `memory` at the first run, and keep their contents for later ones.
///
/// # Errors
/// See [`Error`].
pub fn run(
    module: &Module<'_>,
    kernel: &str,
    launch: &Launch<'_>,
    memory: &mut Memory,
) -> Result<Outcome, Error> {
    run_with(module, kernel, launch, memory, Options::default())
}

/// [`run`] with a choice of limits.
///
/// # Errors
/// See [`Error`].
pub fn run_with(
    module: &Module<'_>,
    kernel: &str,
    launch: &Launch<'_>,
    memory: &mut Memory,
    options: Options,
) -> Result<Outcome, Error> {
    let function = module
        .function(kernel)
        .filter(|f| f.is_entry && f.body.is_some())
        .ok_or_else(|| Error::NoFunction(kernel.to_owned()))?;
    let threads = launch.block.iter().map(|&n| u64::from(n)).product::<u64>();
    if threads == 0 || threads > 1024 || launch.grid.contains(&0) {
        return Err(Error::Launch(format!(
            "grid {:?}, block {:?}",
            launch.grid, launch.block
        )));
    }
    let (_, size) = function.parameter_offsets();
    if (launch.parameters.len() as u64) < u64::from(size) {
        return Err(Error::Launch(format!(
            "{} bytes of parameters of {size}",
            launch.parameters.len()
        )));
    }
    place_variables(module, None, &module.variables, memory)?;
    let program = Program::build(module, function, memory)?;
    let mut world = World {
        module,
        program: &program,
        launch,
        memory,
        outcome: Outcome::default(),
        options,
    };
    let [gx, gy, gz] = launch.grid;
    let mut ids = (0..gz).flat_map(|z| (0..gy).flat_map(move |y| (0..gx).map(move |x| [x, y, z])));
    let mut waiting: VecDeque<Block> = VecDeque::new();
    while let Some(mut block) = ids
        .next()
        .map(|id| Block::new(&world, id))
        .or_else(|| waiting.pop_front())
    {
        match block.run(&mut world)? {
            Progress::Done => {}
            Progress::Fault => break,
            // It may wait for a later block: that one gets its turn first.
            Progress::Paused => waiting.push_back(block),
        }
    }
    Ok(world.outcome)
}

/// What all blocks share.
struct World<'a> {
    module: &'a Module<'a>,
    program: &'a Program,
    launch: &'a Launch<'a>,
    memory: &'a mut Memory,
    outcome: Outcome,
    options: Options,
}

impl World<'_> {
    fn line(&self, span: Span) -> u32 {
        self.module.line(span)
    }
}

/// The name under which a `.global` variable declared in a body is kept.
fn local_symbol(function: &str, index: usize) -> String {
    format!("{function}\0{index}")
}

/// Gives every global and constant variable that has no place yet a buffer with its initial value. `function` is the
/// one whose body declares them, if they are not the module's.
fn place_variables(
    module: &Module<'_>,
    function: Option<&ptx::Function>,
    variables: &[Variable],
    memory: &mut Memory,
) -> Result<(), Error> {
    let mut fresh = Vec::new();
    for (index, variable) in variables.iter().enumerate() {
        let lasting = matches!(variable.space, StateSpace::Global | StateSpace::Const);
        let name = match function {
            Some(function) => local_symbol(&function.name, index),
            None => variable.name.to_string(),
        };
        if lasting && variable.linkage != ptx::Linkage::Extern && memory.symbol(&name).is_none() {
            if let Some(opaque) = &variable.opaque {
                let address = place_reference(opaque, memory).map_err(Error::Launch)?;
                memory.place_symbol(&name, address);
                continue;
            }
            let address = memory.allocate(variable.size as usize);
            memory.place_symbol(&name, address);
            fresh.push((variable, address));
        }
    }
    for (variable, start) in fresh {
        for piece in &variable.initializer {
            let (offset, bytes) = match piece {
                Initial::Bytes { offset, bytes } => (*offset, bytes.clone()),
                Initial::Address {
                    offset,
                    size,
                    symbol,
                    addend,
                    mask,
                    ..
                } => {
                    let address =
                        symbol_address(module, memory, symbol).ok_or_else(|| Error::NoSymbol {
                            name: symbol.to_string(),
                            line: module.line(variable.span),
                        })?;
                    let value = address.wrapping_add_signed(*addend);
                    let value = match mask {
                        Some(mask) if *mask != 0 => (value & mask) >> mask.trailing_zeros(),
                        _ => value,
                    };
                    (
                        *offset,
                        value.to_le_bytes()[..(*size).min(8) as usize].to_vec(),
                    )
                }
            };
            memory.write(start + offset, &bytes).ok_or_else(|| {
                Error::Launch(format!(
                    "the initial value of {} is larger than it",
                    variable.name
                ))
            })?;
        }
    }
    Ok(())
}

/// What a reference means that nothing is bound to: gives the address of its descriptor, which stands for the reference
/// itself ([`Memory::place_symbol`] binds one).
fn place_reference(opaque: &ptx::Opaque, memory: &mut Memory) -> Result<u64, String> {
    use texture::{Class, Descriptor, WIDEST_TEXEL};
    let class = match opaque.kind {
        ptx::OpaqueKind::Texture => Class::Texture,
        ptx::OpaqueKind::Sampler => Class::Sampler,
        ptx::OpaqueKind::Surface => Class::Surface,
    };
    let texel = memory.allocate(WIDEST_TEXEL as usize);
    let mut descriptor = Descriptor::unbound(class, texel);
    for (field, value) in &opaque.fields {
        descriptor.set_field(field, value)?;
    }
    Ok(memory.allocate_with(&descriptor.encode()))
}

/// The generic address of a name in an initial value.
fn symbol_address(module: &Module<'_>, memory: &Memory, name: &str) -> Option<u64> {
    memory
        .symbol(name)
        .or_else(|| function_address(module, name))
}

/// The address that stands for a function of the module.
fn function_address(module: &Module<'_>, name: &str) -> Option<u64> {
    module
        .functions
        .iter()
        .position(|f| *f.name == *name)
        .map(|i| FUNCTIONS + 16 * i as u64)
}
