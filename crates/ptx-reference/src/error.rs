//! Why a kernel could not be run to its end.

/// An error of the interpreter. What a kernel does wrong (an access out of bounds, a deadlock) is an error too; what it
/// does on purpose (`trap`) is a [`Fault`](crate::interpreter::Fault).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The module's text could not be parsed.
    #[error(transparent)]
    Parse(#[from] ptx::ParseError),
    /// The module has no such kernel or function with a body.
    #[error("no function {0} with a body")]
    NoFunction(String),
    /// A name that nothing declares.
    #[error("line {line}: no variable or function {name}")]
    NoSymbol {
        /// The name.
        name: String,
        /// 1-based line of the module's text.
        line: u32,
    },
    /// The launch does not fit the kernel.
    #[error("launch: {0}")]
    Launch(String),
    /// An instruction, or a combination of its modifiers, that is not known here.
    #[error("line {line}: unsupported: {mnemonic}")]
    Unsupported {
        /// Opcode and modifiers as written, with what was not known about them.
        mnemonic: String,
        /// 1-based line of the module's text.
        line: u32,
    },
    /// An access outside of every buffer, or of the thread's or block's memory.
    #[error("line {line}: {bytes} bytes at {space} address {address:#x} are out of bounds (block {block:?}, thread {thread:?})")]
    OutOfBounds {
        /// The address, in the space named.
        address: u64,
        /// Bytes accessed.
        bytes: u64,
        /// `global`, `shared`, `local` or `param`.
        space: &'static str,
        /// 1-based line of the module's text.
        line: u32,
        /// `%ctaid`
        block: [u32; 3],
        /// `%tid`
        thread: [u32; 3],
    },
    /// An address that is not a multiple of the access size.
    #[error("line {line}: {space} address {address:#x} is not aligned to {bytes} bytes")]
    Misaligned {
        /// The address, in the space named.
        address: u64,
        /// The alignment needed.
        bytes: u64,
        /// `global`, `shared`, `local` or `param`.
        space: &'static str,
        /// 1-based line of the module's text.
        line: u32,
    },
    /// Threads wait for each other for ever.
    #[error("deadlock in block {block:?}: threads wait at {waiting}")]
    Deadlock {
        /// `%ctaid`
        block: [u32; 3],
        /// Lines waited at with the number of threads.
        waiting: String,
    },
    /// Something whose result PTX leaves undefined, found while running.
    #[error("line {line}: undefined: {message}")]
    Undefined {
        /// What it was.
        message: String,
        /// 1-based line of the module's text.
        line: u32,
    },
    /// The kernel ran for more instructions than allowed.
    #[error("more than {0} instructions executed")]
    StepLimit(u64),
}
