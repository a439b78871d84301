//! The opaque handles of the driver API.
//!
//! In C they are pointers to structures nobody may look into; here they are numbers of a pointer's size, each its own type.

use std::fmt;

macro_rules! handles {
    ($($(#[$meta:meta])* $name:ident;)*) => {$(
        $(#[$meta])*
        #[repr(transparent)]
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub usize);

        impl $name {
            /// The null handle.
            pub const NULL: Self = Self(0);

            /// Whether this is the null handle.
            pub const fn is_null(self) -> bool {
                self.0 == 0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    )*};
}

handles! {
    /// A context (CUDA driver API, Context Management).
    CUcontext;
    /// A green context: a part of a device's resources. Never made by this library.
    CUgreenCtx;
    /// A module loaded into a context.
    CUmodule;
    /// A kernel of a module. A [`CUkernel`] is accepted wherever one is.
    CUfunction;
    /// A library: a module not yet bound to a context.
    CUlibrary;
    /// A kernel of a library.
    CUkernel;
    /// A stream; see [`CU_STREAM_LEGACY`] and [`CU_STREAM_PER_THREAD`] for the numbers that are not pointers.
    CUstream;
    /// An event.
    CUevent;
    /// A graph.
    CUgraph;
    /// A node of a graph.
    CUgraphNode;
    /// An instantiated graph.
    CUgraphExec;
    /// A pool of stream-ordered memory.
    CUmemoryPool;
    /// A running link (cuLinkCreate).
    CUlinkState;
    /// Something of the application's that graphs keep alive.
    CUuserObject;
    /// An array: memory for textures and surfaces.
    CUarray;
    /// An array with mipmap levels.
    CUmipmappedArray;
    /// A texture reference: a variable of a module that is read through, or one of the application's own.
    CUtexref;
    /// A surface reference: a variable of a module that is read and written through.
    CUsurfref;
}

/// The legacy default stream, which synchronises with every blocking stream.
pub const CU_STREAM_LEGACY: CUstream = CUstream(1);
/// The default stream of the calling thread.
pub const CU_STREAM_PER_THREAD: CUstream = CUstream(2);

/// A device ordinal.
pub type CUdevice = i32;
/// The "device" that stands for the CPU.
pub const CU_DEVICE_CPU: CUdevice = -1;
/// No device.
pub const CU_DEVICE_INVALID: CUdevice = -2;

/// An address in the device's address space.
pub type CUdeviceptr = u64;

/// Memory without an address (`cuMemCreate`).
pub type CUmemGenericAllocationHandle = u64;

/// A texture object, which kernels take as a 64-bit number.
pub type CUtexObject = u64;
/// A surface object, which kernels take as a 64-bit number.
pub type CUsurfObject = u64;
