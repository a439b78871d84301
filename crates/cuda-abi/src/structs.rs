//! The structures of cuda.h that the implemented functions take, with the layout of its 64-bit C declarations.

use crate::enums::*;
use crate::handles::*;
use std::ffi::c_void;
use std::fmt;

/// A device's UUID (`cuDeviceGetUuid`), or the name of an export table.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CUuuid {
    /// The bytes in the order they are printed.
    pub bytes: [u8; 16],
}

impl fmt::Display for CUuuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.bytes.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for CUuuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `cuDeviceGetProperties`, deprecated since CUDA 5.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, non_snake_case)]
pub struct CUdevprop {
    pub maxThreadsPerBlock: i32,
    pub maxThreadsDim: [i32; 3],
    pub maxGridSize: [i32; 3],
    pub sharedMemPerBlock: i32,
    pub totalConstantMemory: i32,
    pub SIMDWidth: i32,
    pub memPitch: i32,
    pub regsPerBlock: i32,
    pub clockRate: i32,
    pub textureAlign: i32,
}

/// A two-dimensional copy (`cuMemcpy2D`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_MEMCPY2D {
    pub srcXInBytes: usize,
    pub srcY: usize,
    pub srcMemoryType: CUmemorytype,
    pub srcHost: *const c_void,
    pub srcDevice: CUdeviceptr,
    pub srcArray: CUarray,
    pub srcPitch: usize,
    pub dstXInBytes: usize,
    pub dstY: usize,
    pub dstMemoryType: CUmemorytype,
    pub dstHost: *mut c_void,
    pub dstDevice: CUdeviceptr,
    pub dstArray: CUarray,
    pub dstPitch: usize,
    pub WidthInBytes: usize,
    pub Height: usize,
}

/// A three-dimensional copy (`cuMemcpy3D`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_MEMCPY3D {
    pub srcXInBytes: usize,
    pub srcY: usize,
    pub srcZ: usize,
    pub srcLOD: usize,
    pub srcMemoryType: CUmemorytype,
    pub srcHost: *const c_void,
    pub srcDevice: CUdeviceptr,
    pub srcArray: CUarray,
    pub reserved0: *mut c_void,
    pub srcPitch: usize,
    pub srcHeight: usize,
    pub dstXInBytes: usize,
    pub dstY: usize,
    pub dstZ: usize,
    pub dstLOD: usize,
    pub dstMemoryType: CUmemorytype,
    pub dstHost: *mut c_void,
    pub dstDevice: CUdeviceptr,
    pub dstArray: CUarray,
    pub reserved1: *mut c_void,
    pub dstPitch: usize,
    pub dstHeight: usize,
    pub WidthInBytes: usize,
    pub Height: usize,
    pub Depth: usize,
}

/// A three-dimensional copy between contexts (`cuMemcpy3DPeer`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_MEMCPY3D_PEER {
    pub srcXInBytes: usize,
    pub srcY: usize,
    pub srcZ: usize,
    pub srcLOD: usize,
    pub srcMemoryType: CUmemorytype,
    pub srcHost: *const c_void,
    pub srcDevice: CUdeviceptr,
    pub srcArray: CUarray,
    pub srcContext: CUcontext,
    pub srcPitch: usize,
    pub srcHeight: usize,
    pub dstXInBytes: usize,
    pub dstY: usize,
    pub dstZ: usize,
    pub dstLOD: usize,
    pub dstMemoryType: CUmemorytype,
    pub dstHost: *mut c_void,
    pub dstDevice: CUdeviceptr,
    pub dstArray: CUarray,
    pub dstContext: CUcontext,
    pub dstPitch: usize,
    pub dstHeight: usize,
    pub WidthInBytes: usize,
    pub Height: usize,
    pub Depth: usize,
}

/// An array of one or two dimensions (`cuArrayCreate`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_ARRAY_DESCRIPTOR {
    pub Width: usize,
    pub Height: usize,
    pub Format: CUarray_format,
    pub NumChannels: u32,
}

/// An array (`cuArray3DCreate`). `Depth` counts layers where the flags say so, six for each cube.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_ARRAY3D_DESCRIPTOR {
    pub Width: usize,
    pub Height: usize,
    pub Depth: usize,
    pub Format: CUarray_format,
    pub NumChannels: u32,
    pub Flags: u32,
}

/// `CUDA_ARRAY3D_LAYERED`: the depth counts layers.
pub const CUDA_ARRAY3D_LAYERED: u32 = 1;
/// `CUDA_ARRAY3D_SURFACE_LDST`: surfaces may be made of it.
pub const CUDA_ARRAY3D_SURFACE_LDST: u32 = 2;
/// `CUDA_ARRAY3D_CUBEMAP`: six layers are the faces of a cube.
pub const CUDA_ARRAY3D_CUBEMAP: u32 = 4;
/// `CUDA_ARRAY3D_TEXTURE_GATHER`: gathers may be made from it.
pub const CUDA_ARRAY3D_TEXTURE_GATHER: u32 = 8;

/// What a texture or surface is made of.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_RESOURCE_DESC {
    /// Says which member of `res` is meant.
    pub resType: CUresourcetype,
    pub res: CUDA_RESOURCE_DESC_res,
    pub flags: u32,
}

/// The resource of [`CUDA_RESOURCE_DESC`].
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs, non_snake_case)]
pub union CUDA_RESOURCE_DESC_res {
    pub array: CUarray,
    pub mipmap: CUmipmappedArray,
    pub linear: CUDA_RESOURCE_DESC_linear,
    pub pitch2D: CUDA_RESOURCE_DESC_pitch2D,
    pub reserved: [i32; 32],
}

/// Texels one after the other.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_RESOURCE_DESC_linear {
    pub devPtr: CUdeviceptr,
    pub format: CUarray_format,
    pub numChannels: u32,
    pub sizeInBytes: usize,
}

/// Rows of texels.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_RESOURCE_DESC_pitch2D {
    pub devPtr: CUdeviceptr,
    pub format: CUarray_format,
    pub numChannels: u32,
    pub width: usize,
    pub height: usize,
    pub pitchInBytes: usize,
}

/// A tensor map: a tensor in memory, and how boxes of it are copied. Opaque in C.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CUtensorMap {
    pub opaque: [u64; 16],
}

/// How a texture is read.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_TEXTURE_DESC {
    pub addressMode: [CUaddress_mode; 3],
    pub filterMode: CUfilter_mode,
    pub flags: u32,
    pub maxAnisotropy: u32,
    pub mipmapFilterMode: CUfilter_mode,
    pub mipmapLevelBias: f32,
    pub minMipmapLevelClamp: f32,
    pub maxMipmapLevelClamp: f32,
    pub borderColor: [f32; 4],
    pub reserved: [i32; 12],
}

/// `CU_TRSA_OVERRIDE_FORMAT`: a reference takes its format from its array.
pub const CU_TRSA_OVERRIDE_FORMAT: u32 = 1;
/// `CU_PARAM_TR_DEFAULT`: the only unit of `cuParamSetTexRef`.
pub const CU_PARAM_TR_DEFAULT: i32 = -1;
/// `CU_TRSF_READ_AS_INTEGER`: integers stay integers.
pub const CU_TRSF_READ_AS_INTEGER: u32 = 1;
/// `CU_TRSF_NORMALIZED_COORDINATES`: coordinates run from 0 to 1.
pub const CU_TRSF_NORMALIZED_COORDINATES: u32 = 2;
/// `CU_TRSF_SRGB`: bytes are sRGB.
pub const CU_TRSF_SRGB: u32 = 0x10;
/// `CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION`.
pub const CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION: u32 = 0x20;
/// `CU_TRSF_SEAMLESS_CUBEMAP`: the faces of a cube join.
pub const CU_TRSF_SEAMLESS_CUBEMAP: u32 = 0x40;

/// The part of an array that a texture shows, and in which format.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_RESOURCE_VIEW_DESC {
    /// `CUresourceViewFormat`; 0 for the resource's own.
    pub format: u32,
    pub width: usize,
    pub height: usize,
    pub depth: usize,
    pub firstMipmapLevel: u32,
    pub lastMipmapLevel: u32,
    pub firstLayer: u32,
    pub lastLayer: u32,
    pub reserved: [u32; 16],
}

/// A place in an array.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct CUoffset3D {
    pub x: usize,
    pub y: usize,
    pub z: usize,
}

/// The size of a copy.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct CUextent3D {
    pub width: usize,
    pub height: usize,
    pub depth: usize,
}

/// One side of a copy of a batch (`cuMemcpy3DBatchAsync`).
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct CUmemcpy3DOperand {
    /// Says which member of `op` is meant.
    pub kind: CUmemcpy3DOperandType,
    pub op: CUmemcpy3DOperand_op,
}

/// The place of [`CUmemcpy3DOperand`].
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub union CUmemcpy3DOperand_op {
    pub ptr: CUmemcpy3DOperand_ptr,
    pub array: CUmemcpy3DOperand_array,
}

/// Rows at an address. Lengths count elements; 0 is close together.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUmemcpy3DOperand_ptr {
    pub ptr: CUdeviceptr,
    pub rowLength: usize,
    pub layerHeight: usize,
    pub locHint: CUmemLocation,
}

/// A place in an array, in elements.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct CUmemcpy3DOperand_array {
    pub array: CUarray,
    pub offset: CUoffset3D,
}

/// A copy of a batch. The extent counts elements of the array, bytes where there is none.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_MEMCPY3D_BATCH_OP {
    pub src: CUmemcpy3DOperand,
    pub dst: CUmemcpy3DOperand,
    pub extent: CUextent3D,
    /// As in [`CUmemcpyAttributes`].
    pub srcAccessOrder: i32,
    pub flags: u32,
}

/// The value of a launch, stream or kernel-node attribute: 64 bytes, read by the attribute's id.
#[repr(C)]
#[derive(Clone, Copy)]
pub union CUlaunchAttributeValue {
    /// The whole value.
    pub bytes: [u8; 64],
    /// Attributes that are one `int`.
    pub int: i32,
    /// Three dimensions (cluster dimension).
    pub dimensions: [u32; 3],
    /// Aligns the value as its largest member in C is aligned.
    pub align: u64,
}

impl fmt::Debug for CUlaunchAttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: every bit pattern is an integer, and the first four bytes are always initialised by the caller.
        write!(f, "{}", unsafe { self.int })
    }
}

/// One attribute of a launch (`cuLaunchKernelEx`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct CUlaunchAttribute {
    pub id: CUlaunchAttributeID,
    pub pad: [u8; 4],
    pub value: CUlaunchAttributeValue,
}

/// The value of a stream attribute.
pub type CUstreamAttrValue = CUlaunchAttributeValue;
/// The value of a kernel node's attribute.
pub type CUkernelNodeAttrValue = CUlaunchAttributeValue;
/// The id of a stream attribute.
pub type CUstreamAttrID = CUlaunchAttributeID;
/// The id of a kernel node's attribute.
pub type CUkernelNodeAttrID = CUlaunchAttributeID;

/// How to launch (`cuLaunchKernelEx`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUlaunchConfig {
    pub gridDimX: u32,
    pub gridDimY: u32,
    pub gridDimZ: u32,
    pub blockDimX: u32,
    pub blockDimY: u32,
    pub blockDimZ: u32,
    pub sharedMemBytes: u32,
    pub hStream: CUstream,
    pub attrs: *mut CUlaunchAttribute,
    pub numAttrs: u32,
}

/// The parameters of a kernel node, as of CUDA 12.0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_KERNEL_NODE_PARAMS {
    pub func: CUfunction,
    pub gridDimX: u32,
    pub gridDimY: u32,
    pub gridDimZ: u32,
    pub blockDimX: u32,
    pub blockDimY: u32,
    pub blockDimZ: u32,
    pub sharedMemBytes: u32,
    pub kernelParams: *mut *mut c_void,
    pub extra: *mut *mut c_void,
    pub kern: CUkernel,
    pub ctx: CUcontext,
}

/// The parameters of a kernel node before CUDA 12.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_KERNEL_NODE_PARAMS_v1 {
    pub func: CUfunction,
    pub gridDimX: u32,
    pub gridDimY: u32,
    pub gridDimZ: u32,
    pub blockDimX: u32,
    pub blockDimY: u32,
    pub blockDimZ: u32,
    pub sharedMemBytes: u32,
    pub kernelParams: *mut *mut c_void,
    pub extra: *mut *mut c_void,
}

/// The parameters of a node of any type (`cuGraphAddNode`).
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs, non_snake_case)]
pub struct CUgraphNodeParams {
    /// Says which member of `params` is meant.
    pub kind: CUgraphNodeType,
    pub reserved0: [i32; 3],
    pub params: CUgraphNodeParamsUnion,
    pub reserved2: i64,
}

/// The parameters of [`CUgraphNodeParams`], as far as nodes of their type can be made.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs, non_snake_case)]
pub union CUgraphNodeParamsUnion {
    pub kernel: CUDA_KERNEL_NODE_PARAMS,
    pub memcpy: CUDA_MEMCPY_NODE_PARAMS,
    pub memset: CUDA_MEMSET_NODE_PARAMS_v2,
    pub host: CUDA_HOST_NODE_PARAMS,
    pub graph: CUgraph,
    pub event: CUevent,
    pub alloc: CUDA_MEM_ALLOC_NODE_PARAMS,
    pub free: CUdeviceptr,
    pub conditional: CUDA_CONDITIONAL_NODE_PARAMS,
    pub memOp: CUDA_BATCH_MEM_OP_NODE_PARAMS,
    pub reserved1: [i64; 29],
}

/// An operation on memory in a stream, of any type: all have their members at the same places.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct CUstreamBatchMemOpParams {
    pub operation: CUstreamBatchMemOpType,
    pub address: CUdeviceptr,
    /// Its lower half where the word has 32 bits.
    pub value: u64,
    pub flags: u32,
    pub alias: CUdeviceptr,
    pub pad: u64,
}

/// The parameters of a node of operations on memory.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_BATCH_MEM_OP_NODE_PARAMS {
    pub ctx: CUcontext,
    pub count: u32,
    pub paramArray: *mut CUstreamBatchMemOpParams,
    pub flags: u32,
}

/// The parameters of a conditional node.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_CONDITIONAL_NODE_PARAMS {
    /// `CUgraphConditionalHandle`.
    pub handle: u64,
    /// 0: if, 1: while, 2: switch.
    pub kind: u32,
    pub size: u32,
    /// Written: the graphs, in memory that lives as long as the node.
    pub phGraph_out: *mut CUgraph,
    pub ctx: CUcontext,
}

/// The parameters of a copy node in [`CUgraphNodeParams`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_MEMCPY_NODE_PARAMS {
    pub flags: i32,
    pub reserved: i32,
    pub copyCtx: CUcontext,
    pub copyParams: CUDA_MEMCPY3D,
}

/// The parameters of a memset node in [`CUgraphNodeParams`].
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_MEMSET_NODE_PARAMS_v2 {
    pub params: CUDA_MEMSET_NODE_PARAMS,
    pub ctx: CUcontext,
}

/// The parameters of an allocation node.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_MEM_ALLOC_NODE_PARAMS {
    pub poolProps: CUmemPoolProps,
    pub accessDescs: *const CUmemAccessDesc,
    pub accessDescCount: usize,
    pub bytesize: usize,
    /// Written: the address.
    pub dptr: CUdeviceptr,
}

/// Hints for copies (`cuMemcpyBatchAsync`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUmemcpyAttributes {
    /// 1: the source is read in stream order, 2: before the call returns, 3: at any time.
    pub srcAccessOrder: i32,
    pub srcLocHint: CUmemLocation,
    pub dstLocHint: CUmemLocation,
    pub flags: u32,
}

/// The parameters of a memset node.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_MEMSET_NODE_PARAMS {
    pub dst: CUdeviceptr,
    pub pitch: usize,
    pub value: u32,
    pub elementSize: u32,
    pub width: usize,
    pub height: usize,
}

/// A function called on the host in stream order.
pub type CUhostFn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;
/// A callback of `cuStreamAddCallback`.
pub type CUstreamCallback =
    Option<unsafe extern "C" fn(stream: CUstream, status: crate::CUresult, user_data: *mut c_void)>;
/// Dynamic shared memory as a function of the block size (`cuOccupancyMaxPotentialBlockSize`).
pub type CUoccupancyB2DSize = Option<unsafe extern "C" fn(block_size: i32) -> usize>;

/// The parameters of a host node.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_HOST_NODE_PARAMS {
    pub r#fn: CUhostFn,
    pub userData: *mut c_void,
}

/// A place where memory lives.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CUmemLocation {
    pub kind: CUmemLocationType,
    pub id: i32,
}

/// How a pool is to be made (`cuMemPoolCreate`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUmemPoolProps {
    pub allocType: u32,
    pub handleTypes: u32,
    pub location: CUmemLocation,
    pub win32SecurityAttributes: *mut c_void,
    pub maxSize: usize,
    pub usage: u16,
    pub gpuDirectRDMACapable: u8,
    pub reserved: [u8; 53],
}

/// What memory without an address is to be, or is (`cuMemCreate`). The members from `compressionType` on are the structure
/// `allocFlags` of C.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUmemAllocationProp {
    pub kind: CUmemAllocationType,
    pub requestedHandleTypes: u32,
    pub location: CUmemLocation,
    pub win32HandleMetaData: *mut c_void,
    pub compressionType: u8,
    pub gpuDirectRDMACapable: u8,
    pub usage: u16,
    pub reserved: [u8; 4],
}

/// Who may reach memory, and how.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct CUmemAccessDesc {
    pub location: CUmemLocation,
    pub flags: CUmemAccess_flags,
}

/// What `cuGraphExecUpdate_v2` found.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUgraphExecUpdateResultInfo {
    pub result: CUgraphExecUpdateResult,
    pub errorNode: CUgraphNode,
    pub errorFromNode: CUgraphNode,
}

/// Annotation of an edge; all zero is a full dependency, the only kind this library makes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CUgraphEdgeData {
    pub from_port: u8,
    pub to_port: u8,
    pub kind: u8,
    pub reserved: [u8; 5],
}

/// How to instantiate a graph, and how it went.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUDA_GRAPH_INSTANTIATE_PARAMS {
    pub flags: u64,
    pub hUploadStream: CUstream,
    pub hErrNode_out: CUgraphNode,
    pub result_out: CUgraphInstantiateResult,
}

/// Execution affinity of a context: how many multiprocessors it may use.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct CUexecAffinityParam {
    pub kind: CUexecAffinityType,
    pub sm_count: u32,
}

/// How to create a context (`cuCtxCreate_v4`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, non_snake_case)]
pub struct CUctxCreateParams {
    pub execAffinityParams: *mut CUexecAffinityParam,
    pub numExecAffinityParams: i32,
    pub cigParams: *mut c_void,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{align_of, offset_of, size_of};

    #[test]
    fn layouts_are_those_of_the_c_declarations() {
        assert_eq!(size_of::<CUDA_MEMCPY2D>(), 128);
        assert_eq!(size_of::<CUDA_MEMCPY3D>(), 200);
        assert_eq!(size_of::<CUDA_MEMCPY3D_PEER>(), 200);
        assert_eq!(size_of::<CUlaunchAttribute>(), 72);
        assert_eq!(align_of::<CUlaunchAttributeValue>(), 8);
        assert_eq!(size_of::<CUlaunchConfig>(), 56);
        assert_eq!(offset_of!(CUlaunchConfig, hStream), 32);
        assert_eq!(size_of::<CUDA_KERNEL_NODE_PARAMS>(), 72);
        assert_eq!(size_of::<CUDA_KERNEL_NODE_PARAMS_v1>(), 56);
        assert_eq!(size_of::<CUgraphNodeParams>(), 256);
        assert_eq!(size_of::<CUDA_MEMCPY_NODE_PARAMS>(), 216);
        assert_eq!(size_of::<CUmemcpyAttributes>(), 24);
        assert_eq!(size_of::<CUDA_MEM_ALLOC_NODE_PARAMS>(), 120);
        assert_eq!(size_of::<CUDA_MEMSET_NODE_PARAMS>(), 40);
        assert_eq!(size_of::<CUmemPoolProps>(), 88);
        assert_eq!(size_of::<CUmemAllocationProp>(), 32);
        assert_eq!(offset_of!(CUmemAllocationProp, usage), 26);
        assert_eq!(size_of::<CUgraphEdgeData>(), 8);
        assert_eq!(size_of::<CUDA_GRAPH_INSTANTIATE_PARAMS>(), 32);
        assert_eq!(size_of::<CUctxCreateParams>(), 24);
        assert_eq!(size_of::<CUdevprop>(), 56);
        assert_eq!(size_of::<CUstreamBatchMemOpParams>(), 48);
        assert_eq!(offset_of!(CUstreamBatchMemOpParams, flags), 24);
        assert_eq!(size_of::<CUDA_BATCH_MEM_OP_NODE_PARAMS>(), 32);
        assert_eq!(size_of::<CUDA_CONDITIONAL_NODE_PARAMS>(), 32);
        assert_eq!(size_of::<CUDA_ARRAY_DESCRIPTOR>(), 24);
        assert_eq!(size_of::<CUDA_ARRAY3D_DESCRIPTOR>(), 40);
        assert_eq!(size_of::<CUDA_RESOURCE_DESC>(), 144);
        assert_eq!(offset_of!(CUDA_RESOURCE_DESC, flags), 136);
        assert_eq!(size_of::<CUDA_TEXTURE_DESC>(), 104);
        assert_eq!(size_of::<CUDA_RESOURCE_VIEW_DESC>(), 112);
        assert_eq!(size_of::<CUmemcpy3DOperand>(), 40);
        assert_eq!(size_of::<CUDA_MEMCPY3D_BATCH_OP>(), 112);
    }

    #[test]
    fn uuids_print_as_usual() {
        let uuid = CUuuid {
            bytes: *b"\x6b\xd5\xfb\x6c\x5b\xf4\xe7\x4a\x89\x87\xd9\x39\x12\xfd\x9d\xf9",
        };
        assert_eq!(uuid.to_string(), "6bd5fb6c-5bf4-e74a-8987-d93912fd9df9");
    }
}
