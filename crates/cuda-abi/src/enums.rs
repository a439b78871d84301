//! The enumerations of cuda.h.
//!
//! A C caller may pass any number, so each is a number with named constants, not a Rust `enum`.
//!
//! ```
//! use cuda_abi::CUlimit;
//! assert_eq!(CUlimit::PRINTF_FIFO_SIZE, CUlimit(1));
//! assert_eq!(format!("{:?} {:?}", CUlimit(1), CUlimit(99)), "PRINTF_FIFO_SIZE CUlimit(99)");
//! ```

/// Declares a C enumeration as a number with named constants.
macro_rules! c_enums {
    ($($(#[$meta:meta])* $name:ident { $($variant:ident = $value:literal;)* })*) => {$(
        $(#[$meta])*
        #[repr(transparent)]
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);

        #[allow(missing_docs)]
        impl $name {
            $(pub const $variant: Self = Self($value);)*

            /// The constant's name in cuda.h without its common prefix; `None` for an unknown number.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($variant)),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, concat!(stringify!($name), "({})"), self.0),
                }
            }
        }
    )*};
}

pub(crate) use c_enums;

c_enums! {
    /// A property of a kernel (`cuFuncGetAttribute`).
    CUfunction_attribute {
        MAX_THREADS_PER_BLOCK = 0;
        SHARED_SIZE_BYTES = 1;
        CONST_SIZE_BYTES = 2;
        LOCAL_SIZE_BYTES = 3;
        NUM_REGS = 4;
        PTX_VERSION = 5;
        BINARY_VERSION = 6;
        CACHE_MODE_CA = 7;
        MAX_DYNAMIC_SHARED_SIZE_BYTES = 8;
        PREFERRED_SHARED_MEMORY_CARVEOUT = 9;
        CLUSTER_SIZE_MUST_BE_SET = 10;
        REQUIRED_CLUSTER_WIDTH = 11;
        REQUIRED_CLUSTER_HEIGHT = 12;
        REQUIRED_CLUSTER_DEPTH = 13;
        NON_PORTABLE_CLUSTER_SIZE_ALLOWED = 14;
        CLUSTER_SCHEDULING_POLICY_PREFERENCE = 15;
        DEVICE_NODE_UPDATE_SUPPORTED = 16;
        SHARED_MEMORY_MODE = 17;
    }
    /// A property of an address (`cuPointerGetAttribute`).
    CUpointer_attribute {
        CONTEXT = 1;
        MEMORY_TYPE = 2;
        DEVICE_POINTER = 3;
        HOST_POINTER = 4;
        P2P_TOKENS = 5;
        SYNC_MEMOPS = 6;
        BUFFER_ID = 7;
        IS_MANAGED = 8;
        DEVICE_ORDINAL = 9;
        IS_LEGACY_CUDA_IPC_CAPABLE = 10;
        RANGE_START_ADDR = 11;
        RANGE_SIZE = 12;
        MAPPED = 13;
        ALLOWED_HANDLE_TYPES = 14;
        IS_GPU_DIRECT_RDMA_CAPABLE = 15;
        ACCESS_FLAGS = 16;
        MEMPOOL_HANDLE = 17;
        MAPPING_SIZE = 18;
        MAPPING_BASE_ADDR = 19;
        MEMORY_BLOCK_ID = 20;
        IS_HW_DECOMPRESS_CAPABLE = 21;
        LOCALITY_DOMAIN_ORDINAL = 22;
    }
    /// An option of the JIT compiler and linker.
    CUjit_option {
        MAX_REGISTERS = 0;
        THREADS_PER_BLOCK = 1;
        WALL_TIME = 2;
        INFO_LOG_BUFFER = 3;
        INFO_LOG_BUFFER_SIZE_BYTES = 4;
        ERROR_LOG_BUFFER = 5;
        ERROR_LOG_BUFFER_SIZE_BYTES = 6;
        OPTIMIZATION_LEVEL = 7;
        TARGET_FROM_CUCONTEXT = 8;
        TARGET = 9;
        FALLBACK_STRATEGY = 10;
        GENERATE_DEBUG_INFO = 11;
        LOG_VERBOSE = 12;
        GENERATE_LINE_INFO = 13;
        CACHE_MODE = 14;
        NEW_SM3X_OPT = 15;
        FAST_COMPILE = 16;
        GLOBAL_SYMBOL_NAMES = 17;
        GLOBAL_SYMBOL_ADDRESSES = 18;
        GLOBAL_SYMBOL_COUNT = 19;
        LTO = 20;
        FTZ = 21;
        PREC_DIV = 22;
        PREC_SQRT = 23;
        FMA = 24;
        REFERENCED_KERNEL_NAMES = 25;
        REFERENCED_KERNEL_COUNT = 26;
        REFERENCED_VARIABLE_NAMES = 27;
        REFERENCED_VARIABLE_COUNT = 28;
        OPTIMIZE_UNUSED_DEVICE_VARIABLES = 29;
        POSITION_INDEPENDENT_CODE = 30;
        MIN_CTA_PER_SM = 31;
        MAX_THREADS_PER_BLOCK = 32;
        OVERRIDE_DIRECTIVE_VALUES = 33;
        SPLIT_COMPILE = 34;
        BINARY_LOADER_THREAD_COUNT = 35;
    }
    /// What is given to the linker.
    CUjitInputType {
        CUBIN = 0;
        PTX = 1;
        FATBINARY = 2;
        OBJECT = 3;
        LIBRARY = 4;
        NVVM = 5;
    }
    /// An attribute of a launch, stream or kernel node.
    CUlaunchAttributeID {
        IGNORE = 0;
        ACCESS_POLICY_WINDOW = 1;
        COOPERATIVE = 2;
        SYNCHRONIZATION_POLICY = 3;
        CLUSTER_DIMENSION = 4;
        CLUSTER_SCHEDULING_POLICY_PREFERENCE = 5;
        PROGRAMMATIC_STREAM_SERIALIZATION = 6;
        PROGRAMMATIC_EVENT = 7;
        PRIORITY = 8;
        MEM_SYNC_DOMAIN_MAP = 9;
        MEM_SYNC_DOMAIN = 10;
        PREFERRED_CLUSTER_DIMENSION = 11;
        LAUNCH_COMPLETION_EVENT = 12;
        DEVICE_UPDATABLE_KERNEL_NODE = 13;
        PREFERRED_SHARED_MEMORY_CARVEOUT = 14;
        NVLINK_UTIL_CENTRIC_SCHEDULING = 16;
        PORTABLE_CLUSTER_SIZE_MODE = 17;
        SHARED_MEMORY_MODE = 18;
    }
    /// A limit of a context (`cuCtxSetLimit`).
    CUlimit {
        STACK_SIZE = 0;
        PRINTF_FIFO_SIZE = 1;
        MALLOC_HEAP_SIZE = 2;
        DEV_RUNTIME_SYNC_DEPTH = 3;
        DEV_RUNTIME_PENDING_LAUNCH_COUNT = 4;
        MAX_L2_FETCH_GRANULARITY = 5;
        PERSISTING_L2_CACHE_SIZE = 6;
        SHMEM_SIZE = 7;
        CIG_ENABLED = 8;
        CIG_SHMEM_FALLBACK_ENABLED = 9;
        PER_BLOCK_MEMORY_SIZE = 10;
    }
    /// What a graph node does.
    CUgraphNodeType {
        KERNEL = 0;
        MEMCPY = 1;
        MEMSET = 2;
        HOST = 3;
        GRAPH = 4;
        EMPTY = 5;
        WAIT_EVENT = 6;
        EVENT_RECORD = 7;
        EXT_SEMAS_SIGNAL = 8;
        EXT_SEMAS_WAIT = 9;
        MEM_ALLOC = 10;
        MEM_FREE = 11;
        BATCH_MEM_OP = 12;
        CONDITIONAL = 13;
        MEMCPY_BATCH = 14;
        EXTERNAL_ENGINE = 17;
        FABRIC_CPY_BATCH = 18;
    }
    /// What sort of memory an allocation is.
    CUmemAllocationType {
        INVALID = 0;
        PINNED = 1;
        MANAGED = 2;
    }
    /// What memory is shared with other processes by.
    CUmemAllocationHandleType {
        NONE = 0;
        POSIX_FILE_DESCRIPTOR = 1;
        WIN32 = 2;
        WIN32_KMT = 4;
        FABRIC = 8;
    }
    /// What is told about the memory of graphs' allocation nodes.
    CUgraphMem_attribute {
        USED_MEM_CURRENT = 0;
        USED_MEM_HIGH = 1;
        RESERVED_MEM_CURRENT = 2;
        RESERVED_MEM_HIGH = 3;
    }
    /// A property of a memory pool.
    CUmemPool_attribute {
        REUSE_FOLLOW_EVENT_DEPENDENCIES = 1;
        REUSE_ALLOW_OPPORTUNISTIC = 2;
        REUSE_ALLOW_INTERNAL_DEPENDENCIES = 3;
        RELEASE_THRESHOLD = 4;
        RESERVED_MEM_CURRENT = 5;
        RESERVED_MEM_HIGH = 6;
        USED_MEM_CURRENT = 7;
        USED_MEM_HIGH = 8;
        ALLOCATION_TYPE = 9;
        EXPORT_HANDLE_TYPES = 10;
        LOCATION_ID = 11;
        LOCATION_TYPE = 12;
        MAX_POOL_SIZE = 13;
        HW_DECOMPRESS_ENABLED = 14;
        LOCALITY_DOMAIN_ID = 15;
    }
    /// How strictly unsafe calls are refused while a stream captures.
    CUstreamCaptureMode {
        GLOBAL = 0;
        THREAD_LOCAL = 1;
        RELAXED = 2;
    }
    /// Whether a stream captures.
    CUstreamCaptureStatus {
        NONE = 0;
        ACTIVE = 1;
        INVALIDATED = 2;
    }
    /// Why an instantiated graph could not be updated.
    CUgraphExecUpdateResult {
        SUCCESS = 0;
        ERROR = 1;
        ERROR_TOPOLOGY_CHANGED = 2;
        ERROR_NODE_TYPE_CHANGED = 3;
        ERROR_FUNCTION_CHANGED = 4;
        ERROR_PARAMETERS_CHANGED = 5;
        ERROR_NOT_SUPPORTED = 6;
        ERROR_UNSUPPORTED_FUNCTION_CHANGE = 7;
        ERROR_ATTRIBUTES_CHANGED = 8;
    }
    /// Why a graph could not be instantiated.
    CUgraphInstantiateResult {
        SUCCESS = 0;
        ERROR = 1;
        INVALID_STRUCTURE = 2;
        NODE_OPERATION_NOT_SUPPORTED = 3;
        MULTIPLE_CTXS_NOT_SUPPORTED = 4;
        CONDITIONAL_HANDLE_UNUSED = 5;
    }
    /// An option of `cuLibraryLoadData`.
    CUlibraryOption {
        HOST_UNIVERSAL_FUNCTION_AND_DATA_TABLE = 0;
        BINARY_IS_PRESERVED = 1;
    }
    /// A property of a range of managed memory.
    CUmem_range_attribute {
        READ_MOSTLY = 1;
        PREFERRED_LOCATION = 2;
        ACCESSED_BY = 3;
        LAST_PREFETCH_LOCATION = 4;
        PREFERRED_LOCATION_TYPE = 5;
        PREFERRED_LOCATION_ID = 6;
        LAST_PREFETCH_LOCATION_TYPE = 7;
        LAST_PREFETCH_LOCATION_ID = 8;
    }
    /// Advice about a range of managed memory.
    CUmem_advise {
        SET_READ_MOSTLY = 1;
        UNSET_READ_MOSTLY = 2;
        SET_PREFERRED_LOCATION = 3;
        UNSET_PREFERRED_LOCATION = 4;
        SET_ACCESSED_BY = 5;
        UNSET_ACCESSED_BY = 6;
    }
    /// Where one side of a copy lies.
    CUmemorytype {
        HOST = 1;
        DEVICE = 2;
        ARRAY = 3;
        UNIFIED = 4;
    }
    /// An operation on memory in a stream.
    CUstreamBatchMemOpType {
        WAIT_VALUE_32 = 1;
        WRITE_VALUE_32 = 2;
        FLUSH_REMOTE_WRITES = 3;
        WAIT_VALUE_64 = 4;
        WRITE_VALUE_64 = 5;
        BARRIER = 6;
    }
    /// The format of an array's channels.
    CUarray_format {
        UNSIGNED_INT8 = 0x01;
        UNSIGNED_INT16 = 0x02;
        UNSIGNED_INT32 = 0x03;
        SIGNED_INT8 = 0x08;
        SIGNED_INT16 = 0x09;
        SIGNED_INT32 = 0x0a;
        HALF = 0x10;
        FLOAT = 0x20;
        UNORM_INT8X1 = 0xc0;
        UNORM_INT8X2 = 0xc1;
        UNORM_INT8X4 = 0xc2;
        UNORM_INT16X1 = 0xc3;
        UNORM_INT16X2 = 0xc4;
        UNORM_INT16X4 = 0xc5;
        SNORM_INT8X1 = 0xc6;
        SNORM_INT8X2 = 0xc7;
        SNORM_INT8X4 = 0xc8;
        SNORM_INT16X1 = 0xc9;
        SNORM_INT16X2 = 0xca;
        SNORM_INT16X4 = 0xcb;
    }
    /// What coordinates outside of a texture mean.
    CUaddress_mode {
        WRAP = 0;
        CLAMP = 1;
        MIRROR = 2;
        BORDER = 3;
    }
    /// Whether texels are interpolated.
    CUfilter_mode {
        POINT = 0;
        LINEAR = 1;
    }
    /// What a texture reads from.
    CUresourcetype {
        ARRAY = 0;
        MIPMAPPED_ARRAY = 1;
        LINEAR = 2;
        PITCH2D = 3;
    }
    /// What one side of a copy of a batch is.
    CUmemcpy3DOperandType {
        POINTER = 1;
        ARRAY = 2;
    }
    /// What kind of place a memory location is.
    CUmemLocationType {
        INVALID = 0;
        DEVICE = 1;
        HOST = 2;
        HOST_NUMA = 3;
        HOST_NUMA_CURRENT = 4;
        INVISIBLE = 5;
        DEVICE_LOCALITY_DOMAIN = 6;
    }
    /// Which granularity of memory without an address is asked for.
    CUmemAllocationGranularity_flags {
        MINIMUM = 0;
        RECOMMENDED = 1;
    }
    /// Access to memory.
    CUmemAccess_flags {
        NONE = 0;
        READ = 1;
        READWRITE = 3;
    }
    /// A property of the way between two devices.
    CUdevice_P2PAttribute {
        PERFORMANCE_RANK = 1;
        ACCESS_SUPPORTED = 2;
        NATIVE_ATOMIC_SUPPORTED = 3;
        ACCESS_ACCESS_SUPPORTED = 4;
        ONLY_PARTIAL_NATIVE_ATOMIC_SUPPORTED = 5;
    }
    /// What `cuGetProcAddress_v2` found.
    CUdriverProcAddressQueryResult {
        SUCCESS = 0;
        SYMBOL_NOT_FOUND = 1;
        VERSION_NOT_SUFFICIENT = 2;
    }
    /// Whether a kernel is loaded.
    CUfunctionLoadingState {
        UNLOADED = 0;
        LOADED = 1;
    }
    /// When kernels are loaded.
    CUmoduleLoadingMode {
        EAGER_LOADING = 1;
        LAZY_LOADING = 2;
    }
    /// Bank size of shared memory; has no effect since compute capability 5.0.
    CUsharedconfig {
        DEFAULT_BANK_SIZE = 0;
        FOUR_BYTE_BANK_SIZE = 1;
        EIGHT_BYTE_BANK_SIZE = 2;
    }
    /// Preference between L1 and shared memory; a hint.
    CUfunc_cache {
        PREFER_NONE = 0;
        PREFER_SHARED = 1;
        PREFER_L1 = 2;
        PREFER_EQUAL = 3;
    }
    /// A kind of execution affinity.
    CUexecAffinityType {
        SM_COUNT = 0;
    }
    /// Who may use a device.
    CUcomputemode {
        DEFAULT = 0;
        PROHIBITED = 2;
        EXCLUSIVE_PROCESS = 3;
    }
}

/// `cuGetProcAddress`: the legacy default stream's functions.
pub const CU_GET_PROC_ADDRESS_LEGACY_STREAM: u64 = 1;
/// `cuGetProcAddress`: the per-thread default stream's functions where there are such.
pub const CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM: u64 = 2;

/// `cuCtxCreate`: every flag there is.
pub const CU_CTX_FLAGS_MASK: u32 = 0xff;
/// `cuCtxCreate`: the scheduling policy's bits.
pub const CU_CTX_SCHED_MASK: u32 = 0x07;
/// `cuCtxCreate`: host memory may be mapped (always the case).
pub const CU_CTX_MAP_HOST: u32 = 0x08;
/// `cuCtxCreate`: faults leave a file behind (not here).
pub const CU_CTX_COREDUMP_ENABLE: u32 = 0x20;

/// `cuStreamCreate`: no implicit synchronisation with the legacy default stream.
pub const CU_STREAM_NON_BLOCKING: u32 = 1;

/// `cuEventCreate`: waiting threads sleep.
pub const CU_EVENT_BLOCKING_SYNC: u32 = 1;
/// `cuEventCreate`: no time stamp.
pub const CU_EVENT_DISABLE_TIMING: u32 = 2;
/// `cuEventCreate`: may be shared with another process.
pub const CU_EVENT_INTERPROCESS: u32 = 4;
/// `cuEventRecordWithFlags`, `cuStreamWaitEvent`: a node of its own in a captured graph.
pub const CU_EVENT_EXTERNAL: u32 = 1;

/// `cuMemHostAlloc`: usable by every context (always the case).
pub const CU_MEMHOSTALLOC_PORTABLE: u32 = 1;
/// `cuMemHostAlloc`: mapped into the device's address space (always the case).
pub const CU_MEMHOSTALLOC_DEVICEMAP: u32 = 2;
/// `cuMemHostAlloc`: write-combined.
pub const CU_MEMHOSTALLOC_WRITECOMBINED: u32 = 4;
/// `cuMemHostRegister`: mapped into the device's address space.
pub const CU_MEMHOSTREGISTER_DEVICEMAP: u32 = 2;
/// `cuMemHostRegister`: memory of a device, not of the host.
pub const CU_MEMHOSTREGISTER_IOMEMORY: u32 = 4;

/// `cuMemHostRegister`: the device only reads it.
pub const CU_MEMHOSTREGISTER_READ_ONLY: u32 = 8;

/// `cuMemAllocManaged`: reachable from every stream on any device.
pub const CU_MEM_ATTACH_GLOBAL: u32 = 1;
/// `cuMemAllocManaged`: reachable from the host at first.
pub const CU_MEM_ATTACH_HOST: u32 = 2;
/// `cuStreamAttachMemAsync`: reachable from one stream.
pub const CU_MEM_ATTACH_SINGLE: u32 = 4;

/// `extra` of `cuLaunchKernel`: end of the list.
pub const CU_LAUNCH_PARAM_END: usize = 0;
/// `extra` of `cuLaunchKernel`: the next entry points to the packed parameters.
pub const CU_LAUNCH_PARAM_BUFFER_POINTER: usize = 1;
/// `extra` of `cuLaunchKernel`: the next entry points to their size.
pub const CU_LAUNCH_PARAM_BUFFER_SIZE: usize = 2;

/// `cuGraphInstantiateWithFlags`: every flag there is.
pub const CUDA_GRAPH_INSTANTIATE_FLAGS_MASK: u64 = 0xf;
/// `cuGraphInstantiateWithFlags`: memory that the last launch allocated and nobody freed is freed by the next.
pub const CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH: u64 = 1;
/// `cuGraphInstantiateWithParams`: the instance is uploaded at once.
pub const CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD: u64 = 2;
/// `cuGraphInstantiateWithFlags`: the priorities of its nodes count, not that of the stream.
pub const CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY: u64 = 8;
/// `cuGraphInstantiateWithFlags`: the graph may be launched from the device.
pub const CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH: u64 = 4;

/// `cuStreamUpdateCaptureDependencies`: replace the set instead of adding to it.
pub const CU_STREAM_SET_CAPTURE_DEPENDENCIES: u32 = 1;
