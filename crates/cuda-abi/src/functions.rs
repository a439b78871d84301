//! The one table of driver functions.
//!
//! [`driver_functions!`](crate::driver_functions) hands every row of cuda.h (and the GL, EGL, VDPAU and profiler headers) to a macro of the
//! caller's. The driver makes its exported symbols from it, [`FUNCTIONS`] is the same table as data: what
//! `cuGetProcAddress` searches, and what [`crate::coverage`] prints.
//!
//! A row is a kind, the name that `cuGetProcAddress` knows, the CUDA version that introduced this signature (13000 is
//! 13.0), the exported symbol, and where there is one the version and symbol of its per-thread-default-stream twin:
//!
//! ```text
//! ready cuStreamQuery 2000 cuStreamQuery, 7000 cuStreamQuery_ptsz (stream: CUstream);
//! sync cuMemcpy 4000 cuMemcpy, 7000 cuMemcpy_ptds (dst: CUdeviceptr, src: CUdeviceptr, byte_count: usize);
//! (refused NOT_SUPPORTED "memory is not shared between processes") cuIpcGetMemHandle 4010 cuIpcGetMemHandle;
//! (meaningless NOT_SUPPORTED "WGL is of Windows") cuWGLGetDevice 2020 cuWGLGetDevice;
//! absent cuArrayCreate 3020 cuArrayCreate_v2;
//! ```
//!
//! * `ready`: implemented. In the twin, a null `stream` means the calling thread's default stream.
//! * `sync`: implemented, without a stream argument (or with one inside a structure), on the default stream that the symbol
//!   implies. The implementation gets that stream as an additional first argument.
//! * `refused`: exported, answers the error that stands there, and says in the log why.
//! * `meaningless`: the same, for what cannot exist on a device that is not NVIDIA's, or on this operating system.
//! * `absent`: missing so far. Exported, answers `CUDA_ERROR_NOT_SUPPORTED` and says so in the log.
//!
//! ```
//! use cuda_abi::functions::{find, Lookup};
//! let Lookup::Found(f) = find("cuMemAlloc", 12080, 13000, false) else { panic!() };
//! assert_eq!(f.symbol, "cuMemAlloc_v2");
//! let Lookup::Found(f) = find("cuMemcpyHtoD", 7000, 13000, true) else { panic!() };
//! assert_eq!(f.symbol, "cuMemcpyHtoD_v2_ptds");
//! assert!(matches!(find("cuLibraryLoadData", 11080, 13000, false), Lookup::VersionNotSufficient));
//! assert!(matches!(find("cuNoSuchThing", 13000, 13000, false), Lookup::NotFound));
//! ```

use crate::CUresult;
use std::collections::HashMap;
use std::sync::OnceLock;

/// Calls `$callback!` with every row of the table. See the module's documentation for what a row is.
#[macro_export]
macro_rules! driver_functions {
    ($callback:ident) => {
        $callback! {
            // Start and errors.
            ready cuInit 2000 cuInit (flags: u32);
            ready cuDriverGetVersion 2020 cuDriverGetVersion (driver_version: *mut i32);
            ready cuGetProcAddress 11030 cuGetProcAddress (symbol: *const c_char, function: *mut *mut c_void, cuda_version: i32, flags: u64);
            sync cuGetProcAddress 12000 cuGetProcAddress_v2, 12000 cuGetProcAddress_v2_ptsz (symbol: *const c_char, function: *mut *mut c_void, cuda_version: i32, flags: u64, symbol_found: *mut CUdriverProcAddressQueryResult);
            ready cuGetExportTable 3000 cuGetExportTable (export_table: *mut *const c_void, export_table_id: *const CUuuid);
            ready cuGetErrorString 6000 cuGetErrorString (error: CUresult, text: *mut *const c_char);
            ready cuGetErrorName 6000 cuGetErrorName (error: CUresult, text: *mut *const c_char);

            // Devices.
            ready cuDeviceGet 2000 cuDeviceGet (device: *mut CUdevice, ordinal: i32);
            ready cuDeviceGetCount 2000 cuDeviceGetCount (count: *mut i32);
            ready cuDeviceGetName 2000 cuDeviceGetName (name: *mut c_char, len: i32, device: CUdevice);
            ready cuDeviceGetUuid 9020 cuDeviceGetUuid (uuid: *mut CUuuid, device: CUdevice);
            ready cuDeviceGetUuid 11040 cuDeviceGetUuid_v2 (uuid: *mut CUuuid, device: CUdevice);
            ready cuDeviceGetLuid 10000 cuDeviceGetLuid (luid: *mut c_char, device_node_mask: *mut u32, device: CUdevice);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuDeviceTotalMem 2000 cuDeviceTotalMem;
            ready cuDeviceTotalMem 3020 cuDeviceTotalMem_v2 (bytes: *mut usize, device: CUdevice);
            ready cuDeviceGetAttribute 2000 cuDeviceGetAttribute (value: *mut i32, attribute: CUdevice_attribute, device: CUdevice);
            ready cuDeviceGetByPCIBusId 4010 cuDeviceGetByPCIBusId (device: *mut CUdevice, pci_bus_id: *const c_char);
            ready cuDeviceGetPCIBusId 4010 cuDeviceGetPCIBusId (pci_bus_id: *mut c_char, len: i32, device: CUdevice);
            ready cuDeviceComputeCapability 2000 cuDeviceComputeCapability (major: *mut i32, minor: *mut i32, device: CUdevice);
            ready cuDeviceGetProperties 2000 cuDeviceGetProperties (prop: *mut CUdevprop, device: CUdevice);
            ready cuDeviceGetP2PAttribute 8000 cuDeviceGetP2PAttribute (value: *mut i32, attribute: CUdevice_P2PAttribute, src_device: CUdevice, dst_device: CUdevice);
            ready cuDeviceCanAccessPeer 4000 cuDeviceCanAccessPeer (can_access_peer: *mut i32, device: CUdevice, peer_dev: CUdevice);
            ready cuDeviceGetDefaultMemPool 11020 cuDeviceGetDefaultMemPool (pool_out: *mut CUmemoryPool, device: CUdevice);
            ready cuDeviceGetMemPool 11020 cuDeviceGetMemPool (pool: *mut CUmemoryPool, device: CUdevice);
            ready cuDeviceSetMemPool 11020 cuDeviceSetMemPool (device: CUdevice, pool: CUmemoryPool);
            ready cuDeviceGetExecAffinitySupport 11040 cuDeviceGetExecAffinitySupport (value: *mut i32, kind: CUexecAffinityType, device: CUdevice);

            // Primary contexts.
            ready cuDevicePrimaryCtxRetain 7000 cuDevicePrimaryCtxRetain (ctx: *mut CUcontext, device: CUdevice);
            ready cuDevicePrimaryCtxRelease 7000 cuDevicePrimaryCtxRelease (device: CUdevice);
            ready cuDevicePrimaryCtxRelease 11000 cuDevicePrimaryCtxRelease_v2 (device: CUdevice);
            ready cuDevicePrimaryCtxReset 7000 cuDevicePrimaryCtxReset (device: CUdevice);
            ready cuDevicePrimaryCtxReset 11000 cuDevicePrimaryCtxReset_v2 (device: CUdevice);
            ready cuDevicePrimaryCtxSetFlags 7000 cuDevicePrimaryCtxSetFlags (device: CUdevice, flags: u32);
            ready cuDevicePrimaryCtxSetFlags 11000 cuDevicePrimaryCtxSetFlags_v2 (device: CUdevice, flags: u32);
            ready cuDevicePrimaryCtxGetState 7000 cuDevicePrimaryCtxGetState (device: CUdevice, flags: *mut u32, active: *mut i32);

            // Contexts.
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuCtxCreate 2000 cuCtxCreate;
            ready cuCtxCreate 3020 cuCtxCreate_v2 (ctx: *mut CUcontext, flags: u32, device: CUdevice);
            ready cuCtxCreate 11040 cuCtxCreate_v3 (ctx: *mut CUcontext, params_array: *mut CUexecAffinityParam, num_params: i32, flags: u32, device: CUdevice);
            ready cuCtxCreate 12050 cuCtxCreate_v4 (ctx: *mut CUcontext, ctx_create_params: *mut CUctxCreateParams, flags: u32, device: CUdevice);
            ready cuCtxDestroy 2000 cuCtxDestroy (ctx: CUcontext);
            ready cuCtxDestroy 4000 cuCtxDestroy_v2 (ctx: CUcontext);
            ready cuCtxPushCurrent 2000 cuCtxPushCurrent (ctx: CUcontext);
            ready cuCtxPushCurrent 4000 cuCtxPushCurrent_v2 (ctx: CUcontext);
            ready cuCtxPopCurrent 2000 cuCtxPopCurrent (ctx: *mut CUcontext);
            ready cuCtxPopCurrent 4000 cuCtxPopCurrent_v2 (ctx: *mut CUcontext);
            ready cuCtxSetCurrent 4000 cuCtxSetCurrent (ctx: CUcontext);
            ready cuCtxGetCurrent 4000 cuCtxGetCurrent (ctx: *mut CUcontext);
            ready cuCtxGetDevice 2000 cuCtxGetDevice (device: *mut CUdevice);
            ready cuCtxGetDevice 13000 cuCtxGetDevice_v2 (device: *mut CUdevice, ctx: CUcontext);
            ready cuCtxGetFlags 7000 cuCtxGetFlags (flags: *mut u32);
            ready cuCtxSetFlags 12010 cuCtxSetFlags (flags: u32);
            ready cuCtxGetId 12000 cuCtxGetId (ctx: CUcontext, ctx_id: *mut u64);
            ready cuCtxSynchronize 2000 cuCtxSynchronize ();
            ready cuCtxSynchronize 13000 cuCtxSynchronize_v2 (ctx: CUcontext);
            ready cuCtxSetLimit 3010 cuCtxSetLimit (limit: CUlimit, value: usize);
            ready cuCtxGetLimit 3010 cuCtxGetLimit (value: *mut usize, limit: CUlimit);
            ready cuCtxGetCacheConfig 3020 cuCtxGetCacheConfig (config: *mut CUfunc_cache);
            ready cuCtxSetCacheConfig 3020 cuCtxSetCacheConfig (config: CUfunc_cache);
            ready cuCtxGetSharedMemConfig 4020 cuCtxGetSharedMemConfig (config: *mut CUsharedconfig);
            ready cuCtxSetSharedMemConfig 4020 cuCtxSetSharedMemConfig (config: CUsharedconfig);
            ready cuCtxGetApiVersion 3020 cuCtxGetApiVersion (ctx: CUcontext, version: *mut u32);
            ready cuCtxGetStreamPriorityRange 5050 cuCtxGetStreamPriorityRange (least_priority: *mut i32, greatest_priority: *mut i32);
            ready cuCtxResetPersistingL2Cache 11000 cuCtxResetPersistingL2Cache ();
            ready cuCtxAttach 2000 cuCtxAttach (ctx: *mut CUcontext, flags: u32);
            ready cuCtxDetach 2000 cuCtxDetach (ctx: CUcontext);
            ready cuCtxEnablePeerAccess 4000 cuCtxEnablePeerAccess (peer_context: CUcontext, flags: u32);
            ready cuCtxDisablePeerAccess 4000 cuCtxDisablePeerAccess (peer_context: CUcontext);
            ready cuCtxGetExecAffinity 11040 cuCtxGetExecAffinity (exec_affinity: *mut CUexecAffinityParam, kind: CUexecAffinityType);

            // Modules.
            ready cuModuleLoad 2000 cuModuleLoad (module: *mut CUmodule, file_name: *const c_char);
            ready cuModuleLoadData 2000 cuModuleLoadData (module: *mut CUmodule, image: *const c_void);
            ready cuModuleLoadDataEx 2010 cuModuleLoadDataEx (module: *mut CUmodule, image: *const c_void, num_options: u32, options: *mut CUjit_option, option_values: *mut *mut c_void);
            ready cuModuleLoadFatBinary 2000 cuModuleLoadFatBinary (module: *mut CUmodule, fat_cubin: *const c_void);
            ready cuModuleUnload 2000 cuModuleUnload (module: CUmodule);
            ready cuModuleGetLoadingMode 11070 cuModuleGetLoadingMode (mode: *mut CUmoduleLoadingMode);
            ready cuModuleGetFunction 2000 cuModuleGetFunction (function: *mut CUfunction, module: CUmodule, name: *const c_char);
            ready cuModuleGetFunctionCount 12040 cuModuleGetFunctionCount (count: *mut u32, module: CUmodule);
            ready cuModuleEnumerateFunctions 12040 cuModuleEnumerateFunctions (functions: *mut CUfunction, num_functions: u32, module: CUmodule);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuModuleGetGlobal 2000 cuModuleGetGlobal;
            ready cuModuleGetGlobal 3020 cuModuleGetGlobal_v2 (dptr: *mut CUdeviceptr, bytes: *mut usize, module: CUmodule, name: *const c_char);

            // The linker.
            ready cuLinkCreate 5050 cuLinkCreate (num_options: u32, options: *mut CUjit_option, option_values: *mut *mut c_void, state_out: *mut CUlinkState);
            ready cuLinkCreate 6050 cuLinkCreate_v2 (num_options: u32, options: *mut CUjit_option, option_values: *mut *mut c_void, state_out: *mut CUlinkState);
            ready cuLinkAddData 5050 cuLinkAddData (state: CUlinkState, kind: CUjitInputType, data: *mut c_void, size: usize, name: *const c_char, num_options: u32, options: *mut CUjit_option, option_values: *mut *mut c_void);
            ready cuLinkAddData 6050 cuLinkAddData_v2 (state: CUlinkState, kind: CUjitInputType, data: *mut c_void, size: usize, name: *const c_char, num_options: u32, options: *mut CUjit_option, option_values: *mut *mut c_void);
            ready cuLinkAddFile 5050 cuLinkAddFile (state: CUlinkState, kind: CUjitInputType, path: *const c_char, num_options: u32, options: *mut CUjit_option, option_values: *mut *mut c_void);
            ready cuLinkAddFile 6050 cuLinkAddFile_v2 (state: CUlinkState, kind: CUjitInputType, path: *const c_char, num_options: u32, options: *mut CUjit_option, option_values: *mut *mut c_void);
            ready cuLinkComplete 5050 cuLinkComplete (state: CUlinkState, cubin_out: *mut *mut c_void, size_out: *mut usize);
            ready cuLinkDestroy 5050 cuLinkDestroy (state: CUlinkState);

            // Libraries.
            ready cuLibraryLoadData 12000 cuLibraryLoadData (library: *mut CUlibrary, code: *const c_void, jit_options: *mut CUjit_option, jit_options_values: *mut *mut c_void, num_jit_options: u32, library_options: *mut CUlibraryOption, library_option_values: *mut *mut c_void, num_library_options: u32);
            ready cuLibraryLoadFromFile 12000 cuLibraryLoadFromFile (library: *mut CUlibrary, file_name: *const c_char, jit_options: *mut CUjit_option, jit_options_values: *mut *mut c_void, num_jit_options: u32, library_options: *mut CUlibraryOption, library_option_values: *mut *mut c_void, num_library_options: u32);
            ready cuLibraryUnload 12000 cuLibraryUnload (library: CUlibrary);
            ready cuLibraryGetKernel 12000 cuLibraryGetKernel (kernel: *mut CUkernel, library: CUlibrary, name: *const c_char);
            ready cuLibraryGetKernelCount 12040 cuLibraryGetKernelCount (count: *mut u32, library: CUlibrary);
            ready cuLibraryEnumerateKernels 12040 cuLibraryEnumerateKernels (kernels: *mut CUkernel, num_kernels: u32, library: CUlibrary);
            ready cuLibraryGetModule 12000 cuLibraryGetModule (module: *mut CUmodule, library: CUlibrary);
            ready cuLibraryGetGlobal 12000 cuLibraryGetGlobal (dptr: *mut CUdeviceptr, bytes: *mut usize, library: CUlibrary, name: *const c_char);
            ready cuLibraryGetManaged 12000 cuLibraryGetManaged (dptr: *mut CUdeviceptr, bytes: *mut usize, library: CUlibrary, name: *const c_char);

            // Kernels of libraries.
            ready cuKernelGetFunction 12000 cuKernelGetFunction (function: *mut CUfunction, kernel: CUkernel);
            ready cuKernelGetLibrary 12050 cuKernelGetLibrary (library: *mut CUlibrary, kernel: CUkernel);
            ready cuKernelGetAttribute 12000 cuKernelGetAttribute (value: *mut i32, attribute: CUfunction_attribute, kernel: CUkernel, device: CUdevice);
            ready cuKernelSetAttribute 12000 cuKernelSetAttribute (attribute: CUfunction_attribute, value: i32, kernel: CUkernel, device: CUdevice);
            ready cuKernelSetCacheConfig 12000 cuKernelSetCacheConfig (kernel: CUkernel, config: CUfunc_cache, device: CUdevice);
            ready cuKernelGetName 12030 cuKernelGetName (name: *mut *const c_char, kernel: CUkernel);
            ready cuKernelGetParamInfo 12040 cuKernelGetParamInfo (kernel: CUkernel, param_index: usize, param_offset: *mut usize, param_size: *mut usize);
            ready cuKernelGetParamCount 13020 cuKernelGetParamCount (kernel: CUkernel, param_count: *mut usize);

            // Kernels of modules.
            ready cuFuncGetModule 11000 cuFuncGetModule (module: *mut CUmodule, function: CUfunction);
            ready cuFuncGetAttribute 2020 cuFuncGetAttribute (value: *mut i32, attribute: CUfunction_attribute, function: CUfunction);
            ready cuFuncSetAttribute 9000 cuFuncSetAttribute (function: CUfunction, attribute: CUfunction_attribute, value: i32);
            ready cuFuncSetCacheConfig 3000 cuFuncSetCacheConfig (function: CUfunction, config: CUfunc_cache);
            ready cuFuncSetSharedMemConfig 4020 cuFuncSetSharedMemConfig (function: CUfunction, config: CUsharedconfig);
            ready cuFuncGetName 12030 cuFuncGetName (name: *mut *const c_char, function: CUfunction);
            ready cuFuncGetParamInfo 12040 cuFuncGetParamInfo (function: CUfunction, param_index: usize, param_offset: *mut usize, param_size: *mut usize);
            ready cuFuncGetParamCount 13020 cuFuncGetParamCount (function: CUfunction, param_count: *mut usize);
            ready cuFuncIsLoaded 12040 cuFuncIsLoaded (state: *mut CUfunctionLoadingState, function: CUfunction);
            ready cuFuncLoad 12040 cuFuncLoad (function: CUfunction);

            // Memory.
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemGetInfo 2000 cuMemGetInfo;
            ready cuMemGetInfo 3020 cuMemGetInfo_v2 (free: *mut usize, total: *mut usize);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemAlloc 2000 cuMemAlloc;
            ready cuMemAlloc 3020 cuMemAlloc_v2 (dptr: *mut CUdeviceptr, size: usize);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemAllocPitch 2000 cuMemAllocPitch;
            ready cuMemAllocPitch 3020 cuMemAllocPitch_v2 (dptr: *mut CUdeviceptr, pitch: *mut usize, width_in_bytes: usize, height: usize, element_size_bytes: u32);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemFree 2000 cuMemFree;
            ready cuMemFree 3020 cuMemFree_v2 (dptr: CUdeviceptr);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemGetAddressRange 2000 cuMemGetAddressRange;
            ready cuMemGetAddressRange 3020 cuMemGetAddressRange_v2 (base: *mut CUdeviceptr, size: *mut usize, dptr: CUdeviceptr);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemAllocHost 2000 cuMemAllocHost;
            ready cuMemAllocHost 3020 cuMemAllocHost_v2 (pointer: *mut *mut c_void, size: usize);
            ready cuMemFreeHost 2000 cuMemFreeHost (pointer: *mut c_void);
            ready cuMemHostAlloc 2020 cuMemHostAlloc (pointer: *mut *mut c_void, size: usize, flags: u32);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemHostGetDevicePointer 2020 cuMemHostGetDevicePointer;
            ready cuMemHostGetDevicePointer 3020 cuMemHostGetDevicePointer_v2 (dptr: *mut CUdeviceptr, pointer: *mut c_void, flags: u32);
            ready cuMemHostGetFlags 2030 cuMemHostGetFlags (flags: *mut u32, pointer: *mut c_void);
            ready cuMemHostRegister 4000 cuMemHostRegister (pointer: *mut c_void, size: usize, flags: u32);
            ready cuMemHostRegister 6050 cuMemHostRegister_v2 (pointer: *mut c_void, size: usize, flags: u32);
            ready cuMemHostUnregister 4000 cuMemHostUnregister (pointer: *mut c_void);
            ready cuMemAllocManaged 6000 cuMemAllocManaged (dptr: *mut CUdeviceptr, size: usize, flags: u32);
            ready cuPointerGetAttribute 4000 cuPointerGetAttribute (data: *mut c_void, attribute: CUpointer_attribute, dptr: CUdeviceptr);
            ready cuPointerGetAttributes 7000 cuPointerGetAttributes (num_attributes: u32, attributes: *mut CUpointer_attribute, data: *mut *mut c_void, dptr: CUdeviceptr);
            ready cuPointerSetAttribute 6000 cuPointerSetAttribute (value: *const c_void, attribute: CUpointer_attribute, dptr: CUdeviceptr);
            ready cuMemPrefetchAsync 8000 cuMemPrefetchAsync, 8000 cuMemPrefetchAsync_ptsz (dev_ptr: CUdeviceptr, count: usize, dst_device: CUdevice, stream: CUstream);
            ready cuMemPrefetchAsync 12020 cuMemPrefetchAsync_v2, 12020 cuMemPrefetchAsync_v2_ptsz (dev_ptr: CUdeviceptr, count: usize, location: CUmemLocation, flags: u32, stream: CUstream);
            ready cuMemAdvise 8000 cuMemAdvise (dev_ptr: CUdeviceptr, count: usize, advice: CUmem_advise, device: CUdevice);
            ready cuMemAdvise 12020 cuMemAdvise_v2 (dev_ptr: CUdeviceptr, count: usize, advice: CUmem_advise, location: CUmemLocation);
            ready cuMemRangeGetAttribute 8000 cuMemRangeGetAttribute (data: *mut c_void, data_size: usize, attribute: CUmem_range_attribute, dev_ptr: CUdeviceptr, count: usize);
            ready cuMemRangeGetAttributes 8000 cuMemRangeGetAttributes (data: *mut *mut c_void, data_sizes: *mut usize, attributes: *mut CUmem_range_attribute, num_attributes: usize, dev_ptr: CUdeviceptr, count: usize);

            // Stream-ordered memory.
            ready cuMemAllocAsync 11020 cuMemAllocAsync, 11020 cuMemAllocAsync_ptsz (dptr: *mut CUdeviceptr, size: usize, stream: CUstream);
            ready cuMemFreeAsync 11020 cuMemFreeAsync, 11020 cuMemFreeAsync_ptsz (dptr: CUdeviceptr, stream: CUstream);
            ready cuMemAllocFromPoolAsync 11020 cuMemAllocFromPoolAsync, 11020 cuMemAllocFromPoolAsync_ptsz (dptr: *mut CUdeviceptr, size: usize, pool: CUmemoryPool, stream: CUstream);
            ready cuMemPoolCreate 11020 cuMemPoolCreate (pool: *mut CUmemoryPool, pool_props: *const CUmemPoolProps);
            ready cuMemPoolDestroy 11020 cuMemPoolDestroy (pool: CUmemoryPool);
            ready cuMemPoolTrimTo 11020 cuMemPoolTrimTo (pool: CUmemoryPool, min_bytes_to_keep: usize);
            ready cuMemPoolSetAttribute 11020 cuMemPoolSetAttribute (pool: CUmemoryPool, attribute: CUmemPool_attribute, value: *mut c_void);
            ready cuMemPoolGetAttribute 11020 cuMemPoolGetAttribute (pool: CUmemoryPool, attribute: CUmemPool_attribute, value: *mut c_void);
            ready cuMemPoolSetAccess 11020 cuMemPoolSetAccess (pool: CUmemoryPool, map: *const CUmemAccessDesc, count: usize);
            ready cuMemPoolGetAccess 11020 cuMemPoolGetAccess (flags: *mut CUmemAccess_flags, mem_pool: CUmemoryPool, location: *mut CUmemLocation);

            // Copies.
            sync cuMemcpy 4000 cuMemcpy, 7000 cuMemcpy_ptds (dst: CUdeviceptr, src: CUdeviceptr, byte_count: usize);
            ready cuMemcpyAsync 4000 cuMemcpyAsync, 7000 cuMemcpyAsync_ptsz (dst: CUdeviceptr, src: CUdeviceptr, byte_count: usize, stream: CUstream);
            sync cuMemcpyPeer 4000 cuMemcpyPeer, 7000 cuMemcpyPeer_ptds (dst_device: CUdeviceptr, dst_context: CUcontext, src_device: CUdeviceptr, src_context: CUcontext, byte_count: usize);
            ready cuMemcpyPeerAsync 4000 cuMemcpyPeerAsync, 7000 cuMemcpyPeerAsync_ptsz (dst_device: CUdeviceptr, dst_context: CUcontext, src_device: CUdeviceptr, src_context: CUcontext, byte_count: usize, stream: CUstream);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemcpyHtoD 2000 cuMemcpyHtoD;
            sync cuMemcpyHtoD 3020 cuMemcpyHtoD_v2, 7000 cuMemcpyHtoD_v2_ptds (dst_device: CUdeviceptr, src_host: *const c_void, byte_count: usize);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemcpyHtoDAsync 2000 cuMemcpyHtoDAsync;
            ready cuMemcpyHtoDAsync 3020 cuMemcpyHtoDAsync_v2, 7000 cuMemcpyHtoDAsync_v2_ptsz (dst_device: CUdeviceptr, src_host: *const c_void, byte_count: usize, stream: CUstream);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemcpyDtoH 2000 cuMemcpyDtoH;
            sync cuMemcpyDtoH 3020 cuMemcpyDtoH_v2, 7000 cuMemcpyDtoH_v2_ptds (dst_host: *mut c_void, src_device: CUdeviceptr, byte_count: usize);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemcpyDtoHAsync 2000 cuMemcpyDtoHAsync;
            ready cuMemcpyDtoHAsync 3020 cuMemcpyDtoHAsync_v2, 7000 cuMemcpyDtoHAsync_v2_ptsz (dst_host: *mut c_void, src_device: CUdeviceptr, byte_count: usize, stream: CUstream);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemcpyDtoD 2000 cuMemcpyDtoD;
            sync cuMemcpyDtoD 3020 cuMemcpyDtoD_v2, 7000 cuMemcpyDtoD_v2_ptds (dst_device: CUdeviceptr, src_device: CUdeviceptr, byte_count: usize);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemcpyDtoDAsync 3000 cuMemcpyDtoDAsync;
            ready cuMemcpyDtoDAsync 3020 cuMemcpyDtoDAsync_v2, 7000 cuMemcpyDtoDAsync_v2_ptsz (dst_device: CUdeviceptr, src_device: CUdeviceptr, byte_count: usize, stream: CUstream);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemcpy2D 2000 cuMemcpy2D;
            sync cuMemcpy2D 3020 cuMemcpy2D_v2, 7000 cuMemcpy2D_v2_ptds (copy: *const CUDA_MEMCPY2D);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemcpy2DUnaligned 2000 cuMemcpy2DUnaligned;
            sync cuMemcpy2DUnaligned 3020 cuMemcpy2DUnaligned_v2, 7000 cuMemcpy2DUnaligned_v2_ptds (copy: *const CUDA_MEMCPY2D);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemcpy2DAsync 2000 cuMemcpy2DAsync;
            ready cuMemcpy2DAsync 3020 cuMemcpy2DAsync_v2, 7000 cuMemcpy2DAsync_v2_ptsz (copy: *const CUDA_MEMCPY2D, stream: CUstream);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemcpy3D 2000 cuMemcpy3D;
            sync cuMemcpy3D 3020 cuMemcpy3D_v2, 7000 cuMemcpy3D_v2_ptds (copy: *const CUDA_MEMCPY3D);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemcpy3DAsync 2000 cuMemcpy3DAsync;
            ready cuMemcpy3DAsync 3020 cuMemcpy3DAsync_v2, 7000 cuMemcpy3DAsync_v2_ptsz (copy: *const CUDA_MEMCPY3D, stream: CUstream);
            sync cuMemcpy3DPeer 4000 cuMemcpy3DPeer, 7000 cuMemcpy3DPeer_ptds (copy: *const CUDA_MEMCPY3D_PEER);
            ready cuMemcpy3DPeerAsync 4000 cuMemcpy3DPeerAsync, 7000 cuMemcpy3DPeerAsync_ptsz (copy: *const CUDA_MEMCPY3D_PEER, stream: CUstream);

            // Fills.
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemsetD8 2000 cuMemsetD8;
            sync cuMemsetD8 3020 cuMemsetD8_v2, 7000 cuMemsetD8_v2_ptds (dst_device: CUdeviceptr, uc: u8, n: usize);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemsetD16 2000 cuMemsetD16;
            sync cuMemsetD16 3020 cuMemsetD16_v2, 7000 cuMemsetD16_v2_ptds (dst_device: CUdeviceptr, us: u16, n: usize);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemsetD32 2000 cuMemsetD32;
            sync cuMemsetD32 3020 cuMemsetD32_v2, 7000 cuMemsetD32_v2_ptds (dst_device: CUdeviceptr, ui: u32, n: usize);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemsetD2D8 2000 cuMemsetD2D8;
            sync cuMemsetD2D8 3020 cuMemsetD2D8_v2, 7000 cuMemsetD2D8_v2_ptds (dst_device: CUdeviceptr, dst_pitch: usize, uc: u8, width: usize, height: usize);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemsetD2D16 2000 cuMemsetD2D16;
            sync cuMemsetD2D16 3020 cuMemsetD2D16_v2, 7000 cuMemsetD2D16_v2_ptds (dst_device: CUdeviceptr, dst_pitch: usize, us: u16, width: usize, height: usize);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemsetD2D32 2000 cuMemsetD2D32;
            sync cuMemsetD2D32 3020 cuMemsetD2D32_v2, 7000 cuMemsetD2D32_v2_ptds (dst_device: CUdeviceptr, dst_pitch: usize, ui: u32, width: usize, height: usize);
            ready cuMemsetD8Async 3020 cuMemsetD8Async, 7000 cuMemsetD8Async_ptsz (dst_device: CUdeviceptr, uc: u8, n: usize, stream: CUstream);
            ready cuMemsetD16Async 3020 cuMemsetD16Async, 7000 cuMemsetD16Async_ptsz (dst_device: CUdeviceptr, us: u16, n: usize, stream: CUstream);
            ready cuMemsetD32Async 3020 cuMemsetD32Async, 7000 cuMemsetD32Async_ptsz (dst_device: CUdeviceptr, ui: u32, n: usize, stream: CUstream);
            ready cuMemsetD2D8Async 3020 cuMemsetD2D8Async, 7000 cuMemsetD2D8Async_ptsz (dst_device: CUdeviceptr, dst_pitch: usize, uc: u8, width: usize, height: usize, stream: CUstream);
            ready cuMemsetD2D16Async 3020 cuMemsetD2D16Async, 7000 cuMemsetD2D16Async_ptsz (dst_device: CUdeviceptr, dst_pitch: usize, us: u16, width: usize, height: usize, stream: CUstream);
            ready cuMemsetD2D32Async 3020 cuMemsetD2D32Async, 7000 cuMemsetD2D32Async_ptsz (dst_device: CUdeviceptr, dst_pitch: usize, ui: u32, width: usize, height: usize, stream: CUstream);

            // Streams.
            ready cuStreamCreate 2000 cuStreamCreate (stream: *mut CUstream, flags: u32);
            ready cuStreamCreateWithPriority 5050 cuStreamCreateWithPriority (stream: *mut CUstream, flags: u32, priority: i32);
            ready cuStreamGetPriority 5050 cuStreamGetPriority, 7000 cuStreamGetPriority_ptsz (stream: CUstream, priority: *mut i32);
            ready cuStreamGetFlags 5050 cuStreamGetFlags, 7000 cuStreamGetFlags_ptsz (stream: CUstream, flags: *mut u32);
            ready cuStreamGetId 12000 cuStreamGetId, 12000 cuStreamGetId_ptsz (stream: CUstream, stream_id: *mut u64);
            ready cuStreamGetDevice 12080 cuStreamGetDevice, 12080 cuStreamGetDevice_ptsz (stream: CUstream, device: *mut CUdevice);
            ready cuStreamGetCtx 9020 cuStreamGetCtx, 9020 cuStreamGetCtx_ptsz (stream: CUstream, ctx: *mut CUcontext);
            ready cuStreamGetCtx 12050 cuStreamGetCtx_v2, 12050 cuStreamGetCtx_v2_ptsz (stream: CUstream, ctx: *mut CUcontext, green_ctx: *mut CUgreenCtx);
            ready cuStreamGetGreenCtx 12040 cuStreamGetGreenCtx (stream: CUstream, green_ctx: *mut CUgreenCtx);
            ready cuStreamDestroy 2000 cuStreamDestroy (stream: CUstream);
            ready cuStreamDestroy 4000 cuStreamDestroy_v2 (stream: CUstream);
            ready cuStreamWaitEvent 3020 cuStreamWaitEvent, 7000 cuStreamWaitEvent_ptsz (stream: CUstream, event: CUevent, flags: u32);
            ready cuStreamAddCallback 5000 cuStreamAddCallback, 7000 cuStreamAddCallback_ptsz (stream: CUstream, callback: CUstreamCallback, user_data: *mut c_void, flags: u32);
            ready cuStreamSynchronize 2000 cuStreamSynchronize, 7000 cuStreamSynchronize_ptsz (stream: CUstream);
            ready cuStreamQuery 2000 cuStreamQuery, 7000 cuStreamQuery_ptsz (stream: CUstream);
            ready cuStreamAttachMemAsync 6000 cuStreamAttachMemAsync, 7000 cuStreamAttachMemAsync_ptsz (stream: CUstream, dptr: CUdeviceptr, length: usize, flags: u32);
            ready cuStreamCopyAttributes 11000 cuStreamCopyAttributes, 11000 cuStreamCopyAttributes_ptsz (dst_stream: CUstream, src_stream: CUstream);
            ready cuStreamGetAttribute 11000 cuStreamGetAttribute, 11000 cuStreamGetAttribute_ptsz (stream: CUstream, attribute: CUstreamAttrID, value: *mut CUstreamAttrValue);
            ready cuStreamSetAttribute 11000 cuStreamSetAttribute, 11000 cuStreamSetAttribute_ptsz (stream: CUstream, attribute: CUstreamAttrID, param: *const CUstreamAttrValue);

            // Events.
            ready cuEventCreate 2000 cuEventCreate (event: *mut CUevent, flags: u32);
            ready cuEventRecord 2000 cuEventRecord, 7000 cuEventRecord_ptsz (event: CUevent, stream: CUstream);
            ready cuEventRecordWithFlags 11010 cuEventRecordWithFlags, 11010 cuEventRecordWithFlags_ptsz (event: CUevent, stream: CUstream, flags: u32);
            ready cuEventQuery 2000 cuEventQuery (event: CUevent);
            ready cuEventSynchronize 2000 cuEventSynchronize (event: CUevent);
            ready cuEventDestroy 2000 cuEventDestroy (event: CUevent);
            ready cuEventDestroy 4000 cuEventDestroy_v2 (event: CUevent);
            ready cuEventElapsedTime 2000 cuEventElapsedTime (milliseconds: *mut f32, start: CUevent, end: CUevent);
            ready cuEventElapsedTime 12080 cuEventElapsedTime_v2 (milliseconds: *mut f32, start: CUevent, end: CUevent);

            // Launches.
            ready cuLaunchKernel 4000 cuLaunchKernel, 7000 cuLaunchKernel_ptsz (function: CUfunction, grid_dim_x: u32, grid_dim_y: u32, grid_dim_z: u32, block_dim_x: u32, block_dim_y: u32, block_dim_z: u32, shared_mem_bytes: u32, stream: CUstream, kernel_params: *mut *mut c_void, extra: *mut *mut c_void);
            sync cuLaunchKernelEx 11060 cuLaunchKernelEx, 11060 cuLaunchKernelEx_ptsz (config: *const CUlaunchConfig, function: CUfunction, kernel_params: *mut *mut c_void, extra: *mut *mut c_void);
            ready cuLaunchCooperativeKernel 9000 cuLaunchCooperativeKernel, 9000 cuLaunchCooperativeKernel_ptsz (function: CUfunction, grid_dim_x: u32, grid_dim_y: u32, grid_dim_z: u32, block_dim_x: u32, block_dim_y: u32, block_dim_z: u32, shared_mem_bytes: u32, stream: CUstream, kernel_params: *mut *mut c_void);
            ready cuLaunchHostFunc 10000 cuLaunchHostFunc, 10000 cuLaunchHostFunc_ptsz (stream: CUstream, function: CUhostFn, user_data: *mut c_void);
            ready cuLaunchHostFunc 13010 cuLaunchHostFunc_v2, 13010 cuLaunchHostFunc_v2_ptsz (stream: CUstream, function: CUhostFn, user_data: *mut c_void, sync_mode: u32);

            // Occupancy.
            ready cuOccupancyMaxActiveBlocksPerMultiprocessor 6050 cuOccupancyMaxActiveBlocksPerMultiprocessor (num_blocks: *mut i32, function: CUfunction, block_size: i32, dynamic_smem_size: usize);
            ready cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags 7000 cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags (num_blocks: *mut i32, function: CUfunction, block_size: i32, dynamic_smem_size: usize, flags: u32);
            ready cuOccupancyMaxPotentialBlockSize 6050 cuOccupancyMaxPotentialBlockSize (min_grid_size: *mut i32, block_size: *mut i32, function: CUfunction, block_size_to_dynamic_smem_size: CUoccupancyB2DSize, dynamic_smem_size: usize, block_size_limit: i32);
            ready cuOccupancyMaxPotentialBlockSizeWithFlags 7000 cuOccupancyMaxPotentialBlockSizeWithFlags (min_grid_size: *mut i32, block_size: *mut i32, function: CUfunction, block_size_to_dynamic_smem_size: CUoccupancyB2DSize, dynamic_smem_size: usize, block_size_limit: i32, flags: u32);
            ready cuOccupancyAvailableDynamicSMemPerBlock 10020 cuOccupancyAvailableDynamicSMemPerBlock (dynamic_smem_size: *mut usize, function: CUfunction, num_blocks: i32, block_size: i32);

            // Stream capture.
            ready cuStreamBeginCapture 10000 cuStreamBeginCapture, 10000 cuStreamBeginCapture_ptsz (stream: CUstream);
            ready cuStreamBeginCapture 10010 cuStreamBeginCapture_v2, 10010 cuStreamBeginCapture_v2_ptsz (stream: CUstream, mode: CUstreamCaptureMode);
            ready cuStreamBeginCaptureToGraph 12030 cuStreamBeginCaptureToGraph, 12030 cuStreamBeginCaptureToGraph_ptsz (stream: CUstream, graph: CUgraph, dependencies: *const CUgraphNode, dependency_data: *const CUgraphEdgeData, num_dependencies: usize, mode: CUstreamCaptureMode);
            ready cuStreamEndCapture 10000 cuStreamEndCapture, 10000 cuStreamEndCapture_ptsz (stream: CUstream, graph: *mut CUgraph);
            ready cuStreamIsCapturing 10000 cuStreamIsCapturing, 10000 cuStreamIsCapturing_ptsz (stream: CUstream, capture_status: *mut CUstreamCaptureStatus);
            ready cuStreamGetCaptureInfo 10010 cuStreamGetCaptureInfo, 10010 cuStreamGetCaptureInfo_ptsz (stream: CUstream, capture_status_out: *mut CUstreamCaptureStatus, id_out: *mut u64);
            ready cuStreamGetCaptureInfo 11030 cuStreamGetCaptureInfo_v2, 11030 cuStreamGetCaptureInfo_v2_ptsz (stream: CUstream, capture_status_out: *mut CUstreamCaptureStatus, id_out: *mut u64, graph_out: *mut CUgraph, dependencies_out: *mut *const CUgraphNode, num_dependencies_out: *mut usize);
            ready cuStreamGetCaptureInfo 12030 cuStreamGetCaptureInfo_v3, 12030 cuStreamGetCaptureInfo_v3_ptsz (stream: CUstream, capture_status_out: *mut CUstreamCaptureStatus, id_out: *mut u64, graph_out: *mut CUgraph, dependencies_out: *mut *const CUgraphNode, edge_data_out: *mut *const CUgraphEdgeData, num_dependencies_out: *mut usize);
            ready cuStreamUpdateCaptureDependencies 11030 cuStreamUpdateCaptureDependencies, 11030 cuStreamUpdateCaptureDependencies_ptsz (stream: CUstream, dependencies: *mut CUgraphNode, num_dependencies: usize, flags: u32);
            ready cuStreamUpdateCaptureDependencies 12030 cuStreamUpdateCaptureDependencies_v2, 12030 cuStreamUpdateCaptureDependencies_v2_ptsz (stream: CUstream, dependencies: *mut CUgraphNode, dependency_data: *const CUgraphEdgeData, num_dependencies: usize, flags: u32);
            ready cuThreadExchangeStreamCaptureMode 10010 cuThreadExchangeStreamCaptureMode (mode: *mut CUstreamCaptureMode);

            // Graphs.
            ready cuGraphCreate 10000 cuGraphCreate (graph: *mut CUgraph, flags: u32);
            ready cuGraphDestroy 10000 cuGraphDestroy (graph: CUgraph);
            ready cuGraphClone 10000 cuGraphClone (graph_clone: *mut CUgraph, original_graph: CUgraph);
            ready cuGraphAddKernelNode 10000 cuGraphAddKernelNode (graph_node: *mut CUgraphNode, graph: CUgraph, dependencies: *const CUgraphNode, num_dependencies: usize, node_params: *const CUDA_KERNEL_NODE_PARAMS_v1);
            ready cuGraphAddKernelNode 12000 cuGraphAddKernelNode_v2 (graph_node: *mut CUgraphNode, graph: CUgraph, dependencies: *const CUgraphNode, num_dependencies: usize, node_params: *const CUDA_KERNEL_NODE_PARAMS);
            ready cuGraphKernelNodeGetParams 10000 cuGraphKernelNodeGetParams (node: CUgraphNode, node_params: *mut CUDA_KERNEL_NODE_PARAMS_v1);
            ready cuGraphKernelNodeGetParams 12000 cuGraphKernelNodeGetParams_v2 (node: CUgraphNode, node_params: *mut CUDA_KERNEL_NODE_PARAMS);
            ready cuGraphKernelNodeSetParams 10000 cuGraphKernelNodeSetParams (node: CUgraphNode, node_params: *const CUDA_KERNEL_NODE_PARAMS_v1);
            ready cuGraphKernelNodeSetParams 12000 cuGraphKernelNodeSetParams_v2 (node: CUgraphNode, node_params: *const CUDA_KERNEL_NODE_PARAMS);
            ready cuGraphAddMemcpyNode 10000 cuGraphAddMemcpyNode (graph_node: *mut CUgraphNode, graph: CUgraph, dependencies: *const CUgraphNode, num_dependencies: usize, copy_params: *const CUDA_MEMCPY3D, ctx: CUcontext);
            ready cuGraphMemcpyNodeGetParams 10000 cuGraphMemcpyNodeGetParams (node: CUgraphNode, node_params: *mut CUDA_MEMCPY3D);
            ready cuGraphAddMemsetNode 10000 cuGraphAddMemsetNode (graph_node: *mut CUgraphNode, graph: CUgraph, dependencies: *const CUgraphNode, num_dependencies: usize, memset_params: *const CUDA_MEMSET_NODE_PARAMS, ctx: CUcontext);
            ready cuGraphMemsetNodeGetParams 10000 cuGraphMemsetNodeGetParams (node: CUgraphNode, node_params: *mut CUDA_MEMSET_NODE_PARAMS);
            ready cuGraphAddHostNode 10000 cuGraphAddHostNode (graph_node: *mut CUgraphNode, graph: CUgraph, dependencies: *const CUgraphNode, num_dependencies: usize, node_params: *const CUDA_HOST_NODE_PARAMS);
            ready cuGraphHostNodeGetParams 10000 cuGraphHostNodeGetParams (node: CUgraphNode, node_params: *mut CUDA_HOST_NODE_PARAMS);
            ready cuGraphAddChildGraphNode 10000 cuGraphAddChildGraphNode (graph_node: *mut CUgraphNode, graph: CUgraph, dependencies: *const CUgraphNode, num_dependencies: usize, child_graph: CUgraph);
            ready cuGraphChildGraphNodeGetGraph 10000 cuGraphChildGraphNodeGetGraph (node: CUgraphNode, graph: *mut CUgraph);
            ready cuGraphAddEmptyNode 10000 cuGraphAddEmptyNode (graph_node: *mut CUgraphNode, graph: CUgraph, dependencies: *const CUgraphNode, num_dependencies: usize);
            ready cuGraphNodeGetType 10000 cuGraphNodeGetType (node: CUgraphNode, kind: *mut CUgraphNodeType);
            ready cuGraphGetNodes 10000 cuGraphGetNodes (graph: CUgraph, nodes: *mut CUgraphNode, num_nodes: *mut usize);
            ready cuGraphGetRootNodes 10000 cuGraphGetRootNodes (graph: CUgraph, root_nodes: *mut CUgraphNode, num_root_nodes: *mut usize);
            ready cuGraphGetEdges 10000 cuGraphGetEdges (graph: CUgraph, from: *mut CUgraphNode, to: *mut CUgraphNode, num_edges: *mut usize);
            ready cuGraphGetEdges 12030 cuGraphGetEdges_v2 (graph: CUgraph, from: *mut CUgraphNode, to: *mut CUgraphNode, edge_data: *mut CUgraphEdgeData, num_edges: *mut usize);
            ready cuGraphNodeGetDependencies 10000 cuGraphNodeGetDependencies (node: CUgraphNode, dependencies: *mut CUgraphNode, num_dependencies: *mut usize);
            ready cuGraphNodeGetDependencies 12030 cuGraphNodeGetDependencies_v2 (node: CUgraphNode, dependencies: *mut CUgraphNode, edge_data: *mut CUgraphEdgeData, num_dependencies: *mut usize);
            ready cuGraphNodeGetDependentNodes 10000 cuGraphNodeGetDependentNodes (node: CUgraphNode, dependent_nodes: *mut CUgraphNode, num_dependent_nodes: *mut usize);
            ready cuGraphNodeGetDependentNodes 12030 cuGraphNodeGetDependentNodes_v2 (node: CUgraphNode, dependent_nodes: *mut CUgraphNode, edge_data: *mut CUgraphEdgeData, num_dependent_nodes: *mut usize);
            ready cuGraphAddDependencies 10000 cuGraphAddDependencies (graph: CUgraph, from: *const CUgraphNode, to: *const CUgraphNode, num_dependencies: usize);
            ready cuGraphAddDependencies 12030 cuGraphAddDependencies_v2 (graph: CUgraph, from: *const CUgraphNode, to: *const CUgraphNode, edge_data: *const CUgraphEdgeData, num_dependencies: usize);
            ready cuGraphRemoveDependencies 10000 cuGraphRemoveDependencies (graph: CUgraph, from: *const CUgraphNode, to: *const CUgraphNode, num_dependencies: usize);
            ready cuGraphRemoveDependencies 12030 cuGraphRemoveDependencies_v2 (graph: CUgraph, from: *const CUgraphNode, to: *const CUgraphNode, edge_data: *const CUgraphEdgeData, num_dependencies: usize);
            ready cuGraphDestroyNode 10000 cuGraphDestroyNode (node: CUgraphNode);
            ready cuGraphInstantiate 10000 cuGraphInstantiate (graph_exec: *mut CUgraphExec, graph: CUgraph, error_node: *mut CUgraphNode, log_buffer: *mut c_char, buffer_size: usize);
            ready cuGraphInstantiate 11000 cuGraphInstantiate_v2 (graph_exec: *mut CUgraphExec, graph: CUgraph, error_node: *mut CUgraphNode, log_buffer: *mut c_char, buffer_size: usize);
            ready cuGraphInstantiateWithFlags 11040 cuGraphInstantiateWithFlags (graph_exec: *mut CUgraphExec, graph: CUgraph, flags: u64);
            ready cuGraphInstantiateWithParams 12000 cuGraphInstantiateWithParams, 12000 cuGraphInstantiateWithParams_ptsz (graph_exec: *mut CUgraphExec, graph: CUgraph, instantiate_params: *mut CUDA_GRAPH_INSTANTIATE_PARAMS);
            ready cuGraphExecGetFlags 12000 cuGraphExecGetFlags (graph_exec: CUgraphExec, flags: *mut u64);
            ready cuGraphExecKernelNodeSetParams 10010 cuGraphExecKernelNodeSetParams (graph_exec: CUgraphExec, node: CUgraphNode, node_params: *const CUDA_KERNEL_NODE_PARAMS_v1);
            ready cuGraphExecKernelNodeSetParams 12000 cuGraphExecKernelNodeSetParams_v2 (graph_exec: CUgraphExec, node: CUgraphNode, node_params: *const CUDA_KERNEL_NODE_PARAMS);
            ready cuGraphExecMemcpyNodeSetParams 10020 cuGraphExecMemcpyNodeSetParams (graph_exec: CUgraphExec, node: CUgraphNode, copy_params: *const CUDA_MEMCPY3D, ctx: CUcontext);
            ready cuGraphExecMemsetNodeSetParams 10020 cuGraphExecMemsetNodeSetParams (graph_exec: CUgraphExec, node: CUgraphNode, memset_params: *const CUDA_MEMSET_NODE_PARAMS, ctx: CUcontext);
            ready cuGraphExecHostNodeSetParams 10020 cuGraphExecHostNodeSetParams (graph_exec: CUgraphExec, node: CUgraphNode, node_params: *const CUDA_HOST_NODE_PARAMS);
            ready cuGraphExecUpdate 10020 cuGraphExecUpdate (graph_exec: CUgraphExec, graph: CUgraph, error_node_out: *mut CUgraphNode, update_result_out: *mut CUgraphExecUpdateResult);
            ready cuGraphExecUpdate 12000 cuGraphExecUpdate_v2 (graph_exec: CUgraphExec, graph: CUgraph, result_info: *mut CUgraphExecUpdateResultInfo);
            ready cuGraphUpload 11010 cuGraphUpload, 11010 cuGraphUpload_ptsz (graph: CUgraphExec, stream: CUstream);
            ready cuGraphLaunch 10000 cuGraphLaunch, 10000 cuGraphLaunch_ptsz (graph: CUgraphExec, stream: CUstream);
            ready cuGraphExecDestroy 10000 cuGraphExecDestroy (graph_exec: CUgraphExec);
            ready cuGraphKernelNodeSetAttribute 11000 cuGraphKernelNodeSetAttribute (node: CUgraphNode, attribute: CUkernelNodeAttrID, value: *const CUkernelNodeAttrValue);
            ready cuGraphKernelNodeGetAttribute 11000 cuGraphKernelNodeGetAttribute (node: CUgraphNode, attribute: CUkernelNodeAttrID, value_out: *mut CUkernelNodeAttrValue);
            ready cuGraphMemcpyNodeSetParams 10000 cuGraphMemcpyNodeSetParams (node: CUgraphNode, node_params: *const CUDA_MEMCPY3D);
            ready cuGraphMemsetNodeSetParams 10000 cuGraphMemsetNodeSetParams (node: CUgraphNode, node_params: *const CUDA_MEMSET_NODE_PARAMS);
            ready cuGraphHostNodeSetParams 10000 cuGraphHostNodeSetParams (node: CUgraphNode, node_params: *const CUDA_HOST_NODE_PARAMS);

            // Profiler.
            ready cuProfilerStart 4000 cuProfilerStart ();
            ready cuProfilerStop 4000 cuProfilerStop ();

            // By name: newer functions, and those that are refused or missing.
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuArray3DCreate 2000 cuArray3DCreate;
            ready cuArray3DCreate 3020 cuArray3DCreate_v2 (array: *mut CUarray, descriptor: *const CUDA_ARRAY3D_DESCRIPTOR);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuArray3DGetDescriptor 2000 cuArray3DGetDescriptor;
            ready cuArray3DGetDescriptor 3020 cuArray3DGetDescriptor_v2 (descriptor: *mut CUDA_ARRAY3D_DESCRIPTOR, array: CUarray);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuArrayCreate 2000 cuArrayCreate;
            ready cuArrayCreate 3020 cuArrayCreate_v2 (array: *mut CUarray, descriptor: *const CUDA_ARRAY_DESCRIPTOR);
            ready cuArrayDestroy 2000 cuArrayDestroy (array: CUarray);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuArrayGetDescriptor 2000 cuArrayGetDescriptor;
            ready cuArrayGetDescriptor 3020 cuArrayGetDescriptor_v2 (descriptor: *mut CUDA_ARRAY_DESCRIPTOR, array: CUarray);
            (refused INVALID_VALUE "no array maps its memory later: the device attribute says 0") cuArrayGetMemoryRequirements 11060 cuArrayGetMemoryRequirements;
            (refused INVALID_VALUE "no array has planes: formats with several are refused") cuArrayGetPlane 11020 cuArrayGetPlane;
            (refused INVALID_VALUE "no array is sparse: the device attribute says 0") cuArrayGetSparseProperties 11010 cuArrayGetSparseProperties;
            (refused NOT_SUPPORTED "Vulkan cannot save and restore a process's device memory") cuCheckpointOperationComplete 13040 cuCheckpointOperationComplete;
            (refused NOT_SUPPORTED "Vulkan cannot save and restore a process's device memory") cuCheckpointProcessCheckpoint 12080 cuCheckpointProcessCheckpoint;
            (refused NOT_SUPPORTED "Vulkan cannot save and restore a process's device memory") cuCheckpointProcessGetRestoreThreadId 12080 cuCheckpointProcessGetRestoreThreadId;
            (refused NOT_SUPPORTED "Vulkan cannot save and restore a process's device memory") cuCheckpointProcessGetState 12080 cuCheckpointProcessGetState;
            (refused NOT_SUPPORTED "Vulkan cannot save and restore a process's device memory") cuCheckpointProcessLock 12080 cuCheckpointProcessLock;
            (refused NOT_SUPPORTED "Vulkan cannot save and restore a process's device memory") cuCheckpointProcessRestore 12080 cuCheckpointProcessRestore;
            (refused NOT_SUPPORTED "Vulkan cannot save and restore a process's device memory") cuCheckpointProcessUnlock 12080 cuCheckpointProcessUnlock;
            (refused NOT_SUPPORTED "the Vulkan device makes no core dumps") cuCoredumpDeregisterCompleteCallback 13020 cuCoredumpDeregisterCompleteCallback;
            (refused NOT_SUPPORTED "the Vulkan device makes no core dumps") cuCoredumpDeregisterStartCallback 13020 cuCoredumpDeregisterStartCallback;
            (refused NOT_SUPPORTED "the Vulkan device makes no core dumps") cuCoredumpGetAttribute 12010 cuCoredumpGetAttribute;
            (refused NOT_SUPPORTED "the Vulkan device makes no core dumps") cuCoredumpGetAttributeGlobal 12010 cuCoredumpGetAttributeGlobal;
            (refused NOT_SUPPORTED "the Vulkan device makes no core dumps") cuCoredumpRegisterCompleteCallback 13020 cuCoredumpRegisterCompleteCallback;
            (refused NOT_SUPPORTED "the Vulkan device makes no core dumps") cuCoredumpRegisterStartCallback 13020 cuCoredumpRegisterStartCallback;
            (refused NOT_SUPPORTED "the Vulkan device makes no core dumps") cuCoredumpSetAttribute 12010 cuCoredumpSetAttribute;
            (refused NOT_SUPPORTED "the Vulkan device makes no core dumps") cuCoredumpSetAttributeGlobal 12010 cuCoredumpSetAttributeGlobal;
            (refused NOT_SUPPORTED "Vulkan cannot divide a device's processors among contexts") cuCtxFromGreenCtx 12040 cuCtxFromGreenCtx;
            (refused NOT_SUPPORTED "Vulkan cannot divide a device's processors among contexts") cuCtxGetDevResource 12040 cuCtxGetDevResource;
            ready cuCtxRecordEvent 12050 cuCtxRecordEvent (ctx: CUcontext, event: CUevent);
            ready cuCtxWaitEvent 12050 cuCtxWaitEvent (ctx: CUcontext, event: CUevent);
            (refused NOT_SUPPORTED "memory and semaphores of other interfaces are not imported") cuDestroyExternalMemory 10000 cuDestroyExternalMemory;
            (refused NOT_SUPPORTED "memory and semaphores of other interfaces are not imported") cuDestroyExternalSemaphore 10000 cuDestroyExternalSemaphore;
            (refused NOT_SUPPORTED "Vulkan cannot divide a device's processors among contexts") cuDevResourceGenerateDesc 12040 cuDevResourceGenerateDesc;
            (refused NOT_SUPPORTED "Vulkan cannot divide a device's processors among contexts") cuDevSmResourceSplit 13010 cuDevSmResourceSplit;
            (refused NOT_SUPPORTED "Vulkan cannot divide a device's processors among contexts") cuDevSmResourceSplitByCount 12040 cuDevSmResourceSplitByCount;
            (meaningless NOT_SUPPORTED "NVLink fabrics join NVIDIA's devices only") cuDeviceGetCliqueCount 13040 cuDeviceGetCliqueCount;
            (meaningless NOT_SUPPORTED "NVLink fabrics join NVIDIA's devices only") cuDeviceGetCliqueInfo 13040 cuDeviceGetCliqueInfo;
            (refused NOT_SUPPORTED "Vulkan cannot divide a device's processors among contexts") cuDeviceGetDevResource 12040 cuDeviceGetDevResource;
            (meaningless NOT_SUPPORTED "NVLink fabrics join NVIDIA's devices only") cuDeviceGetFabricClusterUuid 13040 cuDeviceGetFabricClusterUuid;
            ready cuDeviceGetGraphMemAttribute 11040 cuDeviceGetGraphMemAttribute (device: CUdevice, attribute: CUgraphMem_attribute, value: *mut c_void);
            ready cuDeviceGetHostAtomicCapabilities 13000 cuDeviceGetHostAtomicCapabilities (capabilities: *mut u32, operations: *const i32, count: u32, device: CUdevice);
            (meaningless NOT_SUPPORTED "NvSciSync is of NVIDIA's embedded systems") cuDeviceGetNvSciSyncAttributes 10020 cuDeviceGetNvSciSyncAttributes;
            ready cuDeviceGetP2PAtomicCapabilities 13000 cuDeviceGetP2PAtomicCapabilities (capabilities: *mut u32, operations: *const i32, count: u32, src_device: CUdevice, dst_device: CUdevice);
            ready cuDeviceGetTexture1DLinearMaxWidth 11010 cuDeviceGetTexture1DLinearMaxWidth (max_width: *mut usize, format: CUarray_format, num_channels: u32, device: CUdevice);
            ready cuDeviceGraphMemTrim 11040 cuDeviceGraphMemTrim (device: CUdevice);
            (refused NOT_SUPPORTED "Vulkan tells of no memory budget that shrinks") cuDeviceRegisterAsyncNotification 12040 cuDeviceRegisterAsyncNotification;
            ready cuDeviceSetGraphMemAttribute 11040 cuDeviceSetGraphMemAttribute (device: CUdevice, attribute: CUgraphMem_attribute, value: *mut c_void);
            (refused NOT_SUPPORTED "Vulkan tells of no memory budget that shrinks") cuDeviceUnregisterAsyncNotification 12040 cuDeviceUnregisterAsyncNotification;
            (meaningless NOT_SUPPORTED "EGL streams and images are shared with NVIDIA's own graphics drivers only") cuEGLStreamConsumerAcquireFrame 7000 cuEGLStreamConsumerAcquireFrame;
            (meaningless NOT_SUPPORTED "EGL streams and images are shared with NVIDIA's own graphics drivers only") cuEGLStreamConsumerConnect 7000 cuEGLStreamConsumerConnect;
            (meaningless NOT_SUPPORTED "EGL streams and images are shared with NVIDIA's own graphics drivers only") cuEGLStreamConsumerConnectWithFlags 8000 cuEGLStreamConsumerConnectWithFlags;
            (meaningless NOT_SUPPORTED "EGL streams and images are shared with NVIDIA's own graphics drivers only") cuEGLStreamConsumerDisconnect 7000 cuEGLStreamConsumerDisconnect;
            (meaningless NOT_SUPPORTED "EGL streams and images are shared with NVIDIA's own graphics drivers only") cuEGLStreamConsumerReleaseFrame 7000 cuEGLStreamConsumerReleaseFrame;
            (meaningless NOT_SUPPORTED "EGL streams and images are shared with NVIDIA's own graphics drivers only") cuEGLStreamProducerConnect 7000 cuEGLStreamProducerConnect;
            (meaningless NOT_SUPPORTED "EGL streams and images are shared with NVIDIA's own graphics drivers only") cuEGLStreamProducerDisconnect 7000 cuEGLStreamProducerDisconnect;
            (meaningless NOT_SUPPORTED "EGL streams and images are shared with NVIDIA's own graphics drivers only") cuEGLStreamProducerPresentFrame 7000 cuEGLStreamProducerPresentFrame;
            (meaningless NOT_SUPPORTED "EGL streams and images are shared with NVIDIA's own graphics drivers only") cuEGLStreamProducerReturnFrame 7000 cuEGLStreamProducerReturnFrame;
            (meaningless NOT_SUPPORTED "EGL streams and images are shared with NVIDIA's own graphics drivers only") cuEventCreateFromEGLSync 9000 cuEventCreateFromEGLSync;
            (refused NOT_SUPPORTED "memory and semaphores of other interfaces are not imported") cuExternalMemoryGetMappedBuffer 10000 cuExternalMemoryGetMappedBuffer;
            (refused NOT_SUPPORTED "memory and semaphores of other interfaces are not imported") cuExternalMemoryGetMappedMipmappedArray 10000 cuExternalMemoryGetMappedMipmappedArray;
            (meaningless NOT_SUPPORTED "NVLink fabrics join NVIDIA's devices only") cuFabricCpyBatchAsync 13050 cuFabricCpyBatchAsync, 13050 cuFabricCpyBatchAsync_ptsz;
            (refused NOT_SUPPORTED "no other device writes to this one's memory: the device attribute says 0") cuFlushGPUDirectRDMAWrites 11030 cuFlushGPUDirectRDMAWrites;
            ready cuFuncSetBlockShape 2000 cuFuncSetBlockShape (function: CUfunction, x: i32, y: i32, z: i32);
            ready cuFuncSetSharedSize 2000 cuFuncSetSharedSize (function: CUfunction, bytes: u32);
            (refused NOT_SUPPORTED "no memory is shared with OpenGL contexts") cuGLCtxCreate 2000 cuGLCtxCreate;
            (refused NOT_SUPPORTED "no memory is shared with OpenGL contexts") cuGLCtxCreate 3020 cuGLCtxCreate_v2;
            (refused NOT_SUPPORTED "no memory is shared with OpenGL contexts") cuGLGetDevices 4010 cuGLGetDevices;
            (refused NOT_SUPPORTED "no memory is shared with OpenGL contexts") cuGLGetDevices 6050 cuGLGetDevices_v2;
            (refused NOT_SUPPORTED "no memory is shared with OpenGL contexts") cuGLInit 2000 cuGLInit;
            (refused NOT_SUPPORTED "no memory is shared with OpenGL contexts") cuGLMapBufferObject 2000 cuGLMapBufferObject;
            (refused NOT_SUPPORTED "no memory is shared with OpenGL contexts") cuGLMapBufferObject 3020 cuGLMapBufferObject_v2, 7000 cuGLMapBufferObject_v2_ptds;
            (refused NOT_SUPPORTED "no memory is shared with OpenGL contexts") cuGLMapBufferObjectAsync 2030 cuGLMapBufferObjectAsync;
            (refused NOT_SUPPORTED "no memory is shared with OpenGL contexts") cuGLMapBufferObjectAsync 3020 cuGLMapBufferObjectAsync_v2, 7000 cuGLMapBufferObjectAsync_v2_ptsz;
            (refused NOT_SUPPORTED "no memory is shared with OpenGL contexts") cuGLRegisterBufferObject 2000 cuGLRegisterBufferObject;
            (refused NOT_SUPPORTED "no memory is shared with OpenGL contexts") cuGLSetBufferObjectMapFlags 2030 cuGLSetBufferObjectMapFlags;
            (refused NOT_SUPPORTED "no memory is shared with OpenGL contexts") cuGLUnmapBufferObject 2000 cuGLUnmapBufferObject;
            (refused NOT_SUPPORTED "no memory is shared with OpenGL contexts") cuGLUnmapBufferObjectAsync 2030 cuGLUnmapBufferObjectAsync;
            (refused NOT_SUPPORTED "no memory is shared with OpenGL contexts") cuGLUnregisterBufferObject 2000 cuGLUnregisterBufferObject;
            ready cuGraphAddBatchMemOpNode 11070 cuGraphAddBatchMemOpNode (graph_node: *mut CUgraphNode, graph: CUgraph, dependencies: *const CUgraphNode, num_dependencies: usize, node_params: *const CUDA_BATCH_MEM_OP_NODE_PARAMS);
            ready cuGraphAddEventRecordNode 11010 cuGraphAddEventRecordNode (graph_node: *mut CUgraphNode, graph: CUgraph, dependencies: *const CUgraphNode, num_dependencies: usize, event: CUevent);
            ready cuGraphAddEventWaitNode 11010 cuGraphAddEventWaitNode (graph_node: *mut CUgraphNode, graph: CUgraph, dependencies: *const CUgraphNode, num_dependencies: usize, event: CUevent);
            (refused NOT_SUPPORTED "memory and semaphores of other interfaces are not imported") cuGraphAddExternalSemaphoresSignalNode 11020 cuGraphAddExternalSemaphoresSignalNode;
            (refused NOT_SUPPORTED "memory and semaphores of other interfaces are not imported") cuGraphAddExternalSemaphoresWaitNode 11020 cuGraphAddExternalSemaphoresWaitNode;
            ready cuGraphAddMemAllocNode 11040 cuGraphAddMemAllocNode (graph_node: *mut CUgraphNode, graph: CUgraph, dependencies: *const CUgraphNode, num_dependencies: usize, node_params: *mut CUDA_MEM_ALLOC_NODE_PARAMS);
            ready cuGraphAddMemFreeNode 11040 cuGraphAddMemFreeNode (graph_node: *mut CUgraphNode, graph: CUgraph, dependencies: *const CUgraphNode, num_dependencies: usize, dptr: CUdeviceptr);
            ready cuGraphAddNode 12020 cuGraphAddNode (graph_node: *mut CUgraphNode, graph: CUgraph, dependencies: *const CUgraphNode, num_dependencies: usize, node_params: *mut CUgraphNodeParams);
            ready cuGraphAddNode 12030 cuGraphAddNode_v2 (graph_node: *mut CUgraphNode, graph: CUgraph, dependencies: *const CUgraphNode, dependency_data: *const CUgraphEdgeData, num_dependencies: usize, node_params: *mut CUgraphNodeParams);
            ready cuGraphAddNode 13040 cuGraphAddNode_v3 (graph_node: *mut CUgraphNode, graph: CUgraph, dependencies: *const CUgraphNode, dependency_data: *const CUgraphEdgeData, num_dependencies: usize, node_params: *mut CUgraphNodeParams);
            ready cuGraphBatchMemOpNodeGetParams 11070 cuGraphBatchMemOpNodeGetParams (node: CUgraphNode, node_params: *mut CUDA_BATCH_MEM_OP_NODE_PARAMS);
            ready cuGraphBatchMemOpNodeSetParams 11070 cuGraphBatchMemOpNodeSetParams (node: CUgraphNode, node_params: *const CUDA_BATCH_MEM_OP_NODE_PARAMS);
            ready cuGraphConditionalHandleCreate 12030 cuGraphConditionalHandleCreate (handle: *mut u64, graph: CUgraph, ctx: CUcontext, default_launch_value: u32, flags: u32);
            ready cuGraphDebugDotPrint 11030 cuGraphDebugDotPrint (graph: CUgraph, path: *const c_char, flags: u32);
            ready cuGraphEventRecordNodeGetEvent 11010 cuGraphEventRecordNodeGetEvent (node: CUgraphNode, event_out: *mut CUevent);
            ready cuGraphEventRecordNodeSetEvent 11010 cuGraphEventRecordNodeSetEvent (node: CUgraphNode, event: CUevent);
            ready cuGraphEventWaitNodeGetEvent 11010 cuGraphEventWaitNodeGetEvent (node: CUgraphNode, event_out: *mut CUevent);
            ready cuGraphEventWaitNodeSetEvent 11010 cuGraphEventWaitNodeSetEvent (node: CUgraphNode, event: CUevent);
            ready cuGraphExecBatchMemOpNodeSetParams 11070 cuGraphExecBatchMemOpNodeSetParams (graph_exec: CUgraphExec, node: CUgraphNode, node_params: *const CUDA_BATCH_MEM_OP_NODE_PARAMS);
            ready cuGraphExecChildGraphNodeSetParams 11010 cuGraphExecChildGraphNodeSetParams (graph_exec: CUgraphExec, node: CUgraphNode, child_graph: CUgraph);
            ready cuGraphExecEventRecordNodeSetEvent 11010 cuGraphExecEventRecordNodeSetEvent (graph_exec: CUgraphExec, node: CUgraphNode, event: CUevent);
            ready cuGraphExecEventWaitNodeSetEvent 11010 cuGraphExecEventWaitNodeSetEvent (graph_exec: CUgraphExec, node: CUgraphNode, event: CUevent);
            (refused NOT_SUPPORTED "memory and semaphores of other interfaces are not imported") cuGraphExecExternalSemaphoresSignalNodeSetParams 11020 cuGraphExecExternalSemaphoresSignalNodeSetParams;
            (refused NOT_SUPPORTED "memory and semaphores of other interfaces are not imported") cuGraphExecExternalSemaphoresWaitNodeSetParams 11020 cuGraphExecExternalSemaphoresWaitNodeSetParams;
            ready cuGraphExecGetId 13010 cuGraphExecGetId (graph_exec: CUgraphExec, graph_id: *mut u32);
            ready cuGraphExecNodeSetParams 12020 cuGraphExecNodeSetParams (graph_exec: CUgraphExec, node: CUgraphNode, node_params: *mut CUgraphNodeParams);
            (refused NOT_SUPPORTED "memory and semaphores of other interfaces are not imported") cuGraphExternalSemaphoresSignalNodeGetParams 11020 cuGraphExternalSemaphoresSignalNodeGetParams;
            (refused NOT_SUPPORTED "memory and semaphores of other interfaces are not imported") cuGraphExternalSemaphoresSignalNodeSetParams 11020 cuGraphExternalSemaphoresSignalNodeSetParams;
            (refused NOT_SUPPORTED "memory and semaphores of other interfaces are not imported") cuGraphExternalSemaphoresWaitNodeGetParams 11020 cuGraphExternalSemaphoresWaitNodeGetParams;
            (refused NOT_SUPPORTED "memory and semaphores of other interfaces are not imported") cuGraphExternalSemaphoresWaitNodeSetParams 11020 cuGraphExternalSemaphoresWaitNodeSetParams;
            ready cuGraphGetId 13010 cuGraphGetId (graph: CUgraph, graph_id: *mut u32);
            ready cuGraphKernelNodeCopyAttributes 11000 cuGraphKernelNodeCopyAttributes (dst: CUgraphNode, src: CUgraphNode);
            ready cuGraphMemAllocNodeGetParams 11040 cuGraphMemAllocNodeGetParams (node: CUgraphNode, params_out: *mut CUDA_MEM_ALLOC_NODE_PARAMS);
            ready cuGraphMemFreeNodeGetParams 11040 cuGraphMemFreeNodeGetParams (node: CUgraphNode, dptr_out: *mut CUdeviceptr);
            ready cuGraphNodeFindInClone 10000 cuGraphNodeFindInClone (node_out: *mut CUgraphNode, original_node: CUgraphNode, cloned_graph: CUgraph);
            ready cuGraphNodeGetContainingGraph 13010 cuGraphNodeGetContainingGraph (node: CUgraphNode, graph: *mut CUgraph);
            ready cuGraphNodeGetEnabled 11060 cuGraphNodeGetEnabled (graph_exec: CUgraphExec, node: CUgraphNode, is_enabled: *mut u32);
            ready cuGraphNodeGetLocalId 13010 cuGraphNodeGetLocalId (node: CUgraphNode, node_id: *mut u32);
            ready cuGraphNodeGetParams 13020 cuGraphNodeGetParams (node: CUgraphNode, node_params: *mut CUgraphNodeParams);
            ready cuGraphNodeGetToolsId 13010 cuGraphNodeGetToolsId (node: CUgraphNode, tools_node_id: *mut u64);
            ready cuGraphNodeSetEnabled 11060 cuGraphNodeSetEnabled (graph_exec: CUgraphExec, node: CUgraphNode, is_enabled: u32);
            ready cuGraphNodeSetParams 12020 cuGraphNodeSetParams (node: CUgraphNode, node_params: *mut CUgraphNodeParams);
            ready cuGraphNodeSetParams 13040 cuGraphNodeSetParams_v2 (node: CUgraphNode, node_params: *mut CUgraphNodeParams);
            ready cuGraphReleaseUserObject 11030 cuGraphReleaseUserObject (graph: CUgraph, object: CUuserObject, count: u32);
            ready cuGraphRetainUserObject 11030 cuGraphRetainUserObject (graph: CUgraph, object: CUuserObject, count: u32, flags: u32);
            (meaningless NOT_SUPPORTED "EGL streams and images are shared with NVIDIA's own graphics drivers only") cuGraphicsEGLRegisterImage 7000 cuGraphicsEGLRegisterImage;
            (refused NOT_SUPPORTED "no memory is shared with OpenGL contexts") cuGraphicsGLRegisterBuffer 3000 cuGraphicsGLRegisterBuffer;
            (refused NOT_SUPPORTED "no memory is shared with OpenGL contexts") cuGraphicsGLRegisterImage 3000 cuGraphicsGLRegisterImage;
            (refused INVALID_HANDLE "no graphics resource can be registered") cuGraphicsMapResources 3000 cuGraphicsMapResources, 7000 cuGraphicsMapResources_ptsz;
            (meaningless NOT_SUPPORTED "EGL streams and images are shared with NVIDIA's own graphics drivers only") cuGraphicsResourceGetMappedEglFrame 7000 cuGraphicsResourceGetMappedEglFrame;
            (refused INVALID_HANDLE "no graphics resource can be registered") cuGraphicsResourceGetMappedMipmappedArray 5000 cuGraphicsResourceGetMappedMipmappedArray;
            (refused INVALID_HANDLE "no graphics resource can be registered") cuGraphicsResourceGetMappedPointer 3000 cuGraphicsResourceGetMappedPointer;
            (refused INVALID_HANDLE "no graphics resource can be registered") cuGraphicsResourceGetMappedPointer 3020 cuGraphicsResourceGetMappedPointer_v2;
            (refused INVALID_HANDLE "no graphics resource can be registered") cuGraphicsResourceSetMapFlags 3000 cuGraphicsResourceSetMapFlags;
            (refused INVALID_HANDLE "no graphics resource can be registered") cuGraphicsResourceSetMapFlags 6050 cuGraphicsResourceSetMapFlags_v2;
            (refused INVALID_HANDLE "no graphics resource can be registered") cuGraphicsSubResourceGetMappedArray 3000 cuGraphicsSubResourceGetMappedArray;
            (refused INVALID_HANDLE "no graphics resource can be registered") cuGraphicsUnmapResources 3000 cuGraphicsUnmapResources, 7000 cuGraphicsUnmapResources_ptsz;
            (refused INVALID_HANDLE "no graphics resource can be registered") cuGraphicsUnregisterResource 3000 cuGraphicsUnregisterResource;
            (meaningless NOT_SUPPORTED "VDPAU surfaces belong to NVIDIA's video driver") cuGraphicsVDPAURegisterOutputSurface 3010 cuGraphicsVDPAURegisterOutputSurface;
            (meaningless NOT_SUPPORTED "VDPAU surfaces belong to NVIDIA's video driver") cuGraphicsVDPAURegisterVideoSurface 3010 cuGraphicsVDPAURegisterVideoSurface;
            (refused NOT_SUPPORTED "Vulkan cannot divide a device's processors among contexts") cuGreenCtxCreate 12040 cuGreenCtxCreate;
            (refused NOT_SUPPORTED "Vulkan cannot divide a device's processors among contexts") cuGreenCtxDestroy 12040 cuGreenCtxDestroy;
            (refused NOT_SUPPORTED "Vulkan cannot divide a device's processors among contexts") cuGreenCtxGetDevResource 12040 cuGreenCtxGetDevResource;
            (refused NOT_SUPPORTED "Vulkan cannot divide a device's processors among contexts") cuGreenCtxGetId 12090 cuGreenCtxGetId;
            (refused NOT_SUPPORTED "Vulkan cannot divide a device's processors among contexts") cuGreenCtxRecordEvent 12040 cuGreenCtxRecordEvent;
            (refused NOT_SUPPORTED "Vulkan cannot divide a device's processors among contexts") cuGreenCtxStreamCreate 12050 cuGreenCtxStreamCreate;
            (refused NOT_SUPPORTED "Vulkan cannot divide a device's processors among contexts") cuGreenCtxWaitEvent 12040 cuGreenCtxWaitEvent;
            (refused NOT_SUPPORTED "memory and semaphores of other interfaces are not imported") cuImportExternalMemory 10000 cuImportExternalMemory;
            (refused NOT_SUPPORTED "memory and semaphores of other interfaces are not imported") cuImportExternalSemaphore 10000 cuImportExternalSemaphore;
            (refused NOT_SUPPORTED "memory and events are not shared between processes: the device attributes say 0") cuIpcCloseMemHandle 4010 cuIpcCloseMemHandle;
            (refused NOT_SUPPORTED "memory and events are not shared between processes: the device attributes say 0") cuIpcGetEventHandle 4010 cuIpcGetEventHandle;
            (refused NOT_SUPPORTED "memory and events are not shared between processes: the device attributes say 0") cuIpcGetMemHandle 4010 cuIpcGetMemHandle;
            (refused NOT_SUPPORTED "memory and events are not shared between processes: the device attributes say 0") cuIpcOpenEventHandle 4010 cuIpcOpenEventHandle;
            (refused NOT_SUPPORTED "memory and events are not shared between processes: the device attributes say 0") cuIpcOpenMemHandle 4010 cuIpcOpenMemHandle;
            (refused NOT_SUPPORTED "memory and events are not shared between processes: the device attributes say 0") cuIpcOpenMemHandle 11000 cuIpcOpenMemHandle_v2;
            ready cuLaunch 2000 cuLaunch (function: CUfunction);
            (refused NOT_SUPPORTED "grids over several devices: the device attribute says 0") cuLaunchCooperativeKernelMultiDevice 9000 cuLaunchCooperativeKernelMultiDevice;
            ready cuLaunchGrid 2000 cuLaunchGrid (function: CUfunction, grid_width: i32, grid_height: i32);
            ready cuLaunchGridAsync 2000 cuLaunchGridAsync (function: CUfunction, grid_width: i32, grid_height: i32, stream: CUstream);
            (refused NOT_SUPPORTED "system-wide atomics on unified functions are of NVIDIA's coherent platforms") cuLibraryGetUnifiedFunction 12000 cuLibraryGetUnifiedFunction;
            (meaningless NOT_SUPPORTED "NVLink fabrics join NVIDIA's devices only") cuLogicalEndpointAddDevice 13030 cuLogicalEndpointAddDevice;
            (meaningless NOT_SUPPORTED "NVLink fabrics join NVIDIA's devices only") cuLogicalEndpointBindAddr 13030 cuLogicalEndpointBindAddr;
            (meaningless NOT_SUPPORTED "NVLink fabrics join NVIDIA's devices only") cuLogicalEndpointBindMem 13030 cuLogicalEndpointBindMem;
            (meaningless NOT_SUPPORTED "NVLink fabrics join NVIDIA's devices only") cuLogicalEndpointCreate 13030 cuLogicalEndpointCreate;
            (meaningless NOT_SUPPORTED "NVLink fabrics join NVIDIA's devices only") cuLogicalEndpointDestroy 13030 cuLogicalEndpointDestroy;
            (meaningless NOT_SUPPORTED "NVLink fabrics join NVIDIA's devices only") cuLogicalEndpointExport 13030 cuLogicalEndpointExport;
            (meaningless NOT_SUPPORTED "NVLink fabrics join NVIDIA's devices only") cuLogicalEndpointGetLimits 13030 cuLogicalEndpointGetLimits;
            (meaningless NOT_SUPPORTED "NVLink fabrics join NVIDIA's devices only") cuLogicalEndpointIdRelease 13030 cuLogicalEndpointIdRelease;
            (meaningless NOT_SUPPORTED "NVLink fabrics join NVIDIA's devices only") cuLogicalEndpointIdReserve 13030 cuLogicalEndpointIdReserve;
            (meaningless NOT_SUPPORTED "NVLink fabrics join NVIDIA's devices only") cuLogicalEndpointImport 13030 cuLogicalEndpointImport;
            (meaningless NOT_SUPPORTED "NVLink fabrics join NVIDIA's devices only") cuLogicalEndpointQuery 13030 cuLogicalEndpointQuery;
            (meaningless NOT_SUPPORTED "NVLink fabrics join NVIDIA's devices only") cuLogicalEndpointUnbind 13030 cuLogicalEndpointUnbind;
            (refused NOT_SUPPORTED "messages go to standard error, see VKCUDA_LOG") cuLogsCurrent 12090 cuLogsCurrent;
            (refused NOT_SUPPORTED "messages go to standard error, see VKCUDA_LOG") cuLogsDumpToFile 12090 cuLogsDumpToFile;
            (refused NOT_SUPPORTED "messages go to standard error, see VKCUDA_LOG") cuLogsDumpToMemory 12090 cuLogsDumpToMemory;
            (refused NOT_SUPPORTED "messages go to standard error, see VKCUDA_LOG") cuLogsRegisterCallback 12090 cuLogsRegisterCallback;
            (refused NOT_SUPPORTED "messages go to standard error, see VKCUDA_LOG") cuLogsUnregisterCallback 12090 cuLogsUnregisterCallback;
            ready cuMemAddressFree 10020 cuMemAddressFree (ptr: CUdeviceptr, size: usize);
            ready cuMemAddressReserve 10020 cuMemAddressReserve (ptr: *mut CUdeviceptr, size: usize, alignment: usize, addr: CUdeviceptr, flags: u64);
            (refused NOT_SUPPORTED "there is no decompression engine: the device attribute says 0") cuMemBatchDecompressAsync 12060 cuMemBatchDecompressAsync, 12060 cuMemBatchDecompressAsync_ptsz;
            ready cuMemCreate 10020 cuMemCreate (handle: *mut CUmemGenericAllocationHandle, size: usize, prop: *const CUmemAllocationProp, flags: u64);
            ready cuMemDiscardAndPrefetchBatchAsync 13000 cuMemDiscardAndPrefetchBatchAsync, 13000 cuMemDiscardAndPrefetchBatchAsync_ptsz (dptrs: *mut CUdeviceptr, sizes: *mut usize, count: usize, locations: *mut CUmemLocation, location_indices: *mut usize, num_locations: usize, flags: u64, stream: CUstream);
            ready cuMemDiscardBatchAsync 13000 cuMemDiscardBatchAsync, 13000 cuMemDiscardBatchAsync_ptsz (dptrs: *mut CUdeviceptr, sizes: *mut usize, count: usize, flags: u64, stream: CUstream);
            ready cuMemExportToShareableHandle 10020 cuMemExportToShareableHandle (shareable_handle: *mut c_void, handle: CUmemGenericAllocationHandle, handle_type: CUmemAllocationHandleType, flags: u64);
            ready cuMemGetAccess 10020 cuMemGetAccess (flags: *mut u64, location: *const CUmemLocation, ptr: CUdeviceptr);
            ready cuMemGetAllocationGranularity 10020 cuMemGetAllocationGranularity (granularity: *mut usize, prop: *const CUmemAllocationProp, option: CUmemAllocationGranularity_flags);
            ready cuMemGetAllocationPropertiesFromHandle 10020 cuMemGetAllocationPropertiesFromHandle (prop: *mut CUmemAllocationProp, handle: CUmemGenericAllocationHandle);
            ready cuMemGetDefaultMemPool 13000 cuMemGetDefaultMemPool (pool_out: *mut CUmemoryPool, location: *mut CUmemLocation, kind: CUmemAllocationType);
            (refused NOT_SUPPORTED "memory is not shared between processes: the device attributes say 0") cuMemGetHandleForAddressRange 11070 cuMemGetHandleForAddressRange;
            (refused NOT_SUPPORTED "Vulkan does not tell where the pages of memory are") cuMemGetLocationInfo 13040 cuMemGetLocationInfo;
            ready cuMemGetMemPool 13000 cuMemGetMemPool (pool: *mut CUmemoryPool, location: *mut CUmemLocation, kind: CUmemAllocationType);
            (refused NOT_SUPPORTED "memory is not shared between processes: the device attributes say 0") cuMemImportFromShareableHandle 10020 cuMemImportFromShareableHandle;
            ready cuMemMap 10020 cuMemMap (ptr: CUdeviceptr, size: usize, offset: usize, handle: CUmemGenericAllocationHandle, flags: u64);
            (refused NOT_SUPPORTED "arrays without memory: the device attribute says 0") cuMemMapArrayAsync 11010 cuMemMapArrayAsync, 11010 cuMemMapArrayAsync_ptsz;
            (refused NOT_SUPPORTED "memory is not shared between processes: the device attributes say 0") cuMemPoolExportPointer 11020 cuMemPoolExportPointer;
            (refused NOT_SUPPORTED "memory is not shared between processes: the device attributes say 0") cuMemPoolExportToShareableHandle 11020 cuMemPoolExportToShareableHandle;
            (refused NOT_SUPPORTED "memory is not shared between processes: the device attributes say 0") cuMemPoolImportFromShareableHandle 11020 cuMemPoolImportFromShareableHandle;
            (refused NOT_SUPPORTED "memory is not shared between processes: the device attributes say 0") cuMemPoolImportPointer 11020 cuMemPoolImportPointer;
            ready cuMemPrefetchBatchAsync 13000 cuMemPrefetchBatchAsync, 13000 cuMemPrefetchBatchAsync_ptsz (dptrs: *mut CUdeviceptr, sizes: *mut usize, count: usize, locations: *mut CUmemLocation, location_indices: *mut usize, num_locations: usize, flags: u64, stream: CUstream);
            ready cuMemRelease 10020 cuMemRelease (handle: CUmemGenericAllocationHandle);
            ready cuMemRetainAllocationHandle 11000 cuMemRetainAllocationHandle (handle: *mut CUmemGenericAllocationHandle, addr: *mut c_void);
            ready cuMemSetAccess 10020 cuMemSetAccess (ptr: CUdeviceptr, size: usize, desc: *const CUmemAccessDesc, count: usize);
            ready cuMemSetMemPool 13000 cuMemSetMemPool (location: *mut CUmemLocation, kind: CUmemAllocationType, pool: CUmemoryPool);
            ready cuMemUnmap 10020 cuMemUnmap (ptr: CUdeviceptr, size: usize);
            ready cuMemcpy3DBatchAsync 12080 cuMemcpy3DBatchAsync, 12080 cuMemcpy3DBatchAsync_ptsz (num_ops: usize, ops: *mut CUDA_MEMCPY3D_BATCH_OP, fail_index: *mut usize, flags: u64, stream: CUstream);
            ready cuMemcpy3DBatchAsync 13000 cuMemcpy3DBatchAsync_v2, 13000 cuMemcpy3DBatchAsync_v2_ptsz (num_ops: usize, ops: *mut CUDA_MEMCPY3D_BATCH_OP, flags: u64, stream: CUstream);
            ready cuMemcpy3DWithAttributesAsync 13020 cuMemcpy3DWithAttributesAsync, 13020 cuMemcpy3DWithAttributesAsync_ptsz (op: *mut CUDA_MEMCPY3D_BATCH_OP, flags: u64, stream: CUstream);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemcpyAtoA 2000 cuMemcpyAtoA;
            sync cuMemcpyAtoA 3020 cuMemcpyAtoA_v2, 7000 cuMemcpyAtoA_v2_ptds (dst_array: CUarray, dst_offset: usize, src_array: CUarray, src_offset: usize, byte_count: usize);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemcpyAtoD 2000 cuMemcpyAtoD;
            sync cuMemcpyAtoD 3020 cuMemcpyAtoD_v2, 7000 cuMemcpyAtoD_v2_ptds (dst: CUdeviceptr, src_array: CUarray, src_offset: usize, byte_count: usize);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemcpyAtoH 2000 cuMemcpyAtoH;
            sync cuMemcpyAtoH 3020 cuMemcpyAtoH_v2, 7000 cuMemcpyAtoH_v2_ptds (dst: *mut c_void, src_array: CUarray, src_offset: usize, byte_count: usize);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemcpyAtoHAsync 2000 cuMemcpyAtoHAsync;
            ready cuMemcpyAtoHAsync 3020 cuMemcpyAtoHAsync_v2, 7000 cuMemcpyAtoHAsync_v2_ptsz (dst: *mut c_void, src_array: CUarray, src_offset: usize, byte_count: usize, stream: CUstream);
            ready cuMemcpyBatchAsync 12080 cuMemcpyBatchAsync, 12080 cuMemcpyBatchAsync_ptsz (dsts: *mut CUdeviceptr, srcs: *mut CUdeviceptr, sizes: *mut usize, count: usize, attributes: *mut CUmemcpyAttributes, attribute_indices: *mut usize, num_attributes: usize, fail_index: *mut usize, stream: CUstream);
            ready cuMemcpyBatchAsync 13000 cuMemcpyBatchAsync_v2, 13000 cuMemcpyBatchAsync_v2_ptsz (dsts: *mut CUdeviceptr, srcs: *mut CUdeviceptr, sizes: *mut usize, count: usize, attributes: *mut CUmemcpyAttributes, attribute_indices: *mut usize, num_attributes: usize, stream: CUstream);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemcpyDtoA 2000 cuMemcpyDtoA;
            sync cuMemcpyDtoA 3020 cuMemcpyDtoA_v2, 7000 cuMemcpyDtoA_v2_ptds (dst_array: CUarray, dst_offset: usize, src: CUdeviceptr, byte_count: usize);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemcpyHtoA 2000 cuMemcpyHtoA;
            sync cuMemcpyHtoA 3020 cuMemcpyHtoA_v2, 7000 cuMemcpyHtoA_v2_ptds (dst_array: CUarray, dst_offset: usize, src: *const c_void, byte_count: usize);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuMemcpyHtoAAsync 2000 cuMemcpyHtoAAsync;
            ready cuMemcpyHtoAAsync 3020 cuMemcpyHtoAAsync_v2, 7000 cuMemcpyHtoAAsync_v2_ptsz (dst_array: CUarray, dst_offset: usize, src: *const c_void, byte_count: usize, stream: CUstream);
            ready cuMemcpyWithAttributesAsync 13020 cuMemcpyWithAttributesAsync, 13020 cuMemcpyWithAttributesAsync_ptsz (dst: CUdeviceptr, src: CUdeviceptr, size: usize, attributes: *mut CUmemcpyAttributes, stream: CUstream);
            ready cuMipmappedArrayCreate 5000 cuMipmappedArrayCreate (array: *mut CUmipmappedArray, descriptor: *const CUDA_ARRAY3D_DESCRIPTOR, num_levels: u32);
            ready cuMipmappedArrayDestroy 5000 cuMipmappedArrayDestroy (array: CUmipmappedArray);
            ready cuMipmappedArrayGetLevel 5000 cuMipmappedArrayGetLevel (level_array: *mut CUarray, array: CUmipmappedArray, level: u32);
            (refused INVALID_VALUE "no array maps its memory later: the device attribute says 0") cuMipmappedArrayGetMemoryRequirements 11060 cuMipmappedArrayGetMemoryRequirements;
            (refused INVALID_VALUE "no array is sparse: the device attribute says 0") cuMipmappedArrayGetSparseProperties 11010 cuMipmappedArrayGetSparseProperties;
            ready cuModuleGetSurfRef 3000 cuModuleGetSurfRef (surf_ref: *mut CUsurfref, module: CUmodule, name: *const c_char);
            ready cuModuleGetTexRef 2000 cuModuleGetTexRef (tex_ref: *mut CUtexref, module: CUmodule, name: *const c_char);
            (meaningless NOT_SUPPORTED "NVLink multicast joins NVIDIA's devices only: the device attribute says 0") cuMulticastAddDevice 12010 cuMulticastAddDevice;
            (meaningless NOT_SUPPORTED "NVLink multicast joins NVIDIA's devices only: the device attribute says 0") cuMulticastBindAddr 12010 cuMulticastBindAddr;
            (meaningless NOT_SUPPORTED "NVLink multicast joins NVIDIA's devices only: the device attribute says 0") cuMulticastBindAddr 13010 cuMulticastBindAddr_v2;
            (meaningless NOT_SUPPORTED "NVLink multicast joins NVIDIA's devices only: the device attribute says 0") cuMulticastBindMem 12010 cuMulticastBindMem;
            (meaningless NOT_SUPPORTED "NVLink multicast joins NVIDIA's devices only: the device attribute says 0") cuMulticastBindMem 13010 cuMulticastBindMem_v2;
            (meaningless NOT_SUPPORTED "NVLink multicast joins NVIDIA's devices only: the device attribute says 0") cuMulticastCreate 12010 cuMulticastCreate;
            (meaningless NOT_SUPPORTED "NVLink multicast joins NVIDIA's devices only: the device attribute says 0") cuMulticastGetGranularity 12010 cuMulticastGetGranularity;
            (meaningless NOT_SUPPORTED "NVLink multicast joins NVIDIA's devices only: the device attribute says 0") cuMulticastUnbind 12010 cuMulticastUnbind;
            ready cuOccupancyMaxActiveClusters 11070 cuOccupancyMaxActiveClusters (num_clusters: *mut i32, function: CUfunction, config: *const CUlaunchConfig);
            ready cuOccupancyMaxPotentialClusterSize 11070 cuOccupancyMaxPotentialClusterSize (cluster_size: *mut i32, function: CUfunction, config: *const CUlaunchConfig);
            ready cuParamSetSize 2000 cuParamSetSize (function: CUfunction, bytes: u32);
            ready cuParamSetTexRef 2000 cuParamSetTexRef (function: CUfunction, tex_unit: i32, tex_ref: CUtexref);
            ready cuParamSetf 2000 cuParamSetf (function: CUfunction, offset: i32, value: f32);
            ready cuParamSeti 2000 cuParamSeti (function: CUfunction, offset: i32, value: u32);
            ready cuParamSetv 2000 cuParamSetv (function: CUfunction, offset: i32, pointer: *mut c_void, bytes: u32);
            (refused NOT_SUPPORTED "output of the command-line profiler, gone since CUDA 12") cuProfilerInitialize 4000 cuProfilerInitialize;
            (refused NOT_SUPPORTED "memory and semaphores of other interfaces are not imported") cuSignalExternalSemaphoresAsync 10000 cuSignalExternalSemaphoresAsync, 10000 cuSignalExternalSemaphoresAsync_ptsz;
            ready cuStreamBatchMemOp 8000 cuStreamBatchMemOp, 8000 cuStreamBatchMemOp_ptsz (stream: CUstream, count: u32, params: *mut CUstreamBatchMemOpParams, flags: u32);
            ready cuStreamBatchMemOp 11070 cuStreamBatchMemOp_v2, 11070 cuStreamBatchMemOp_v2_ptsz (stream: CUstream, count: u32, params: *mut CUstreamBatchMemOpParams, flags: u32);
            (meaningless NOT_SUPPORTED "CUDA in graphics is of NVIDIA's Direct3D and Vulkan drivers") cuStreamBeginCaptureToCig 13010 cuStreamBeginCaptureToCig, 13010 cuStreamBeginCaptureToCig_ptsz;
            (refused NOT_SUPPORTED "of CUDA 13.3: graphs are updated by cuGraphExecUpdate here") cuStreamBeginRecaptureToGraph 13030 cuStreamBeginRecaptureToGraph, 13030 cuStreamBeginRecaptureToGraph_ptsz;
            (meaningless NOT_SUPPORTED "CUDA in graphics is of NVIDIA's Direct3D and Vulkan drivers") cuStreamEndCaptureToCig 13010 cuStreamEndCaptureToCig, 13010 cuStreamEndCaptureToCig_ptsz;
            (refused NOT_SUPPORTED "Vulkan cannot divide a device's processors among contexts") cuStreamGetDevResource 13010 cuStreamGetDevResource, 13010 cuStreamGetDevResource_ptsz;
            ready cuStreamWaitValue32 8000 cuStreamWaitValue32, 8000 cuStreamWaitValue32_ptsz (stream: CUstream, address: CUdeviceptr, value: u32, flags: u32);
            ready cuStreamWaitValue32 11070 cuStreamWaitValue32_v2, 11070 cuStreamWaitValue32_v2_ptsz (stream: CUstream, address: CUdeviceptr, value: u32, flags: u32);
            ready cuStreamWaitValue64 9000 cuStreamWaitValue64, 9000 cuStreamWaitValue64_ptsz (stream: CUstream, address: CUdeviceptr, value: u64, flags: u32);
            ready cuStreamWaitValue64 11070 cuStreamWaitValue64_v2, 11070 cuStreamWaitValue64_v2_ptsz (stream: CUstream, address: CUdeviceptr, value: u64, flags: u32);
            ready cuStreamWriteValue32 8000 cuStreamWriteValue32, 8000 cuStreamWriteValue32_ptsz (stream: CUstream, address: CUdeviceptr, value: u32, flags: u32);
            ready cuStreamWriteValue32 11070 cuStreamWriteValue32_v2, 11070 cuStreamWriteValue32_v2_ptsz (stream: CUstream, address: CUdeviceptr, value: u32, flags: u32);
            ready cuStreamWriteValue64 9000 cuStreamWriteValue64, 9000 cuStreamWriteValue64_ptsz (stream: CUstream, address: CUdeviceptr, value: u64, flags: u32);
            ready cuStreamWriteValue64 11070 cuStreamWriteValue64_v2, 11070 cuStreamWriteValue64_v2_ptsz (stream: CUstream, address: CUdeviceptr, value: u64, flags: u32);
            ready cuSurfObjectCreate 5000 cuSurfObjectCreate (surf_object: *mut CUsurfObject, resource: *const CUDA_RESOURCE_DESC);
            ready cuSurfObjectDestroy 5000 cuSurfObjectDestroy (surf_object: CUsurfObject);
            ready cuSurfObjectGetResourceDesc 5000 cuSurfObjectGetResourceDesc (resource: *mut CUDA_RESOURCE_DESC, surf_object: CUsurfObject);
            ready cuSurfRefGetArray 3000 cuSurfRefGetArray (array: *mut CUarray, surf_ref: CUsurfref);
            ready cuSurfRefSetArray 3000 cuSurfRefSetArray (surf_ref: CUsurfref, array: CUarray, flags: u32);
            (refused NOT_SUPPORTED "copies by tensor maps are in tiled mode alone") cuTensorMapEncodeIm2col 12000 cuTensorMapEncodeIm2col;
            (refused NOT_SUPPORTED "copies by tensor maps are in tiled mode alone") cuTensorMapEncodeIm2colWide 12080 cuTensorMapEncodeIm2colWide;
            ready cuTensorMapEncodeTiled 12000 cuTensorMapEncodeTiled (tensor_map: *mut CUtensorMap, data_type: u32, rank: u32, global_address: *mut c_void, global_dim: *const u64, global_strides: *const u64, box_dim: *const u32, element_strides: *const u32, interleave: u32, swizzle: u32, l2_promotion: u32, oob_fill: u32);
            ready cuTensorMapReplaceAddress 12000 cuTensorMapReplaceAddress (tensor_map: *mut CUtensorMap, global_address: *mut c_void);
            (refused NOT_SUPPORTED "memory is of one class here") cuTensorMapSetAllocationClass 13050 cuTensorMapSetAllocationClass;
            ready cuTexObjectCreate 5000 cuTexObjectCreate (tex_object: *mut CUtexObject, resource: *const CUDA_RESOURCE_DESC, texture: *const CUDA_TEXTURE_DESC, view: *const CUDA_RESOURCE_VIEW_DESC);
            ready cuTexObjectDestroy 5000 cuTexObjectDestroy (tex_object: CUtexObject);
            ready cuTexObjectGetResourceDesc 5000 cuTexObjectGetResourceDesc (resource: *mut CUDA_RESOURCE_DESC, tex_object: CUtexObject);
            ready cuTexObjectGetResourceViewDesc 5000 cuTexObjectGetResourceViewDesc (view: *mut CUDA_RESOURCE_VIEW_DESC, tex_object: CUtexObject);
            ready cuTexObjectGetTextureDesc 5000 cuTexObjectGetTextureDesc (texture: *mut CUDA_TEXTURE_DESC, tex_object: CUtexObject);
            ready cuTexRefCreate 2000 cuTexRefCreate (tex_ref: *mut CUtexref);
            ready cuTexRefDestroy 2000 cuTexRefDestroy (tex_ref: CUtexref);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuTexRefGetAddress 2000 cuTexRefGetAddress;
            ready cuTexRefGetAddress 3020 cuTexRefGetAddress_v2 (dptr: *mut CUdeviceptr, tex_ref: CUtexref);
            ready cuTexRefGetAddressMode 2000 cuTexRefGetAddressMode (mode: *mut CUaddress_mode, tex_ref: CUtexref, dim: i32);
            ready cuTexRefGetArray 2000 cuTexRefGetArray (array: *mut CUarray, tex_ref: CUtexref);
            ready cuTexRefGetBorderColor 8000 cuTexRefGetBorderColor (border_color: *mut f32, tex_ref: CUtexref);
            ready cuTexRefGetFilterMode 2000 cuTexRefGetFilterMode (mode: *mut CUfilter_mode, tex_ref: CUtexref);
            ready cuTexRefGetFlags 2000 cuTexRefGetFlags (flags: *mut u32, tex_ref: CUtexref);
            ready cuTexRefGetFormat 2000 cuTexRefGetFormat (format: *mut CUarray_format, num_channels: *mut i32, tex_ref: CUtexref);
            ready cuTexRefGetMaxAnisotropy 5000 cuTexRefGetMaxAnisotropy (max_anisotropy: *mut i32, tex_ref: CUtexref);
            ready cuTexRefGetMipmapFilterMode 5000 cuTexRefGetMipmapFilterMode (mode: *mut CUfilter_mode, tex_ref: CUtexref);
            ready cuTexRefGetMipmapLevelBias 5000 cuTexRefGetMipmapLevelBias (bias: *mut f32, tex_ref: CUtexref);
            ready cuTexRefGetMipmapLevelClamp 5000 cuTexRefGetMipmapLevelClamp (min_clamp: *mut f32, max_clamp: *mut f32, tex_ref: CUtexref);
            ready cuTexRefGetMipmappedArray 5000 cuTexRefGetMipmappedArray (array: *mut CUmipmappedArray, tex_ref: CUtexref);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuTexRefSetAddress 2000 cuTexRefSetAddress;
            ready cuTexRefSetAddress 3020 cuTexRefSetAddress_v2 (byte_offset: *mut usize, tex_ref: CUtexref, dptr: CUdeviceptr, bytes: usize);
            (refused NOT_SUPPORTED "addresses and sizes of 32 bits, as before CUDA 3.2") cuTexRefSetAddress2D 2020 cuTexRefSetAddress2D;
            ready cuTexRefSetAddress2D 3020 cuTexRefSetAddress2D_v2 (tex_ref: CUtexref, descriptor: *const CUDA_ARRAY_DESCRIPTOR, dptr: CUdeviceptr, pitch: usize);
            ready cuTexRefSetAddress2D 4010 cuTexRefSetAddress2D_v3 (tex_ref: CUtexref, descriptor: *const CUDA_ARRAY_DESCRIPTOR, dptr: CUdeviceptr, pitch: usize);
            ready cuTexRefSetAddressMode 2000 cuTexRefSetAddressMode (tex_ref: CUtexref, dim: i32, mode: CUaddress_mode);
            ready cuTexRefSetArray 2000 cuTexRefSetArray (tex_ref: CUtexref, array: CUarray, flags: u32);
            ready cuTexRefSetBorderColor 8000 cuTexRefSetBorderColor (tex_ref: CUtexref, border_color: *const f32);
            ready cuTexRefSetFilterMode 2000 cuTexRefSetFilterMode (tex_ref: CUtexref, mode: CUfilter_mode);
            ready cuTexRefSetFlags 2000 cuTexRefSetFlags (tex_ref: CUtexref, flags: u32);
            ready cuTexRefSetFormat 2000 cuTexRefSetFormat (tex_ref: CUtexref, format: CUarray_format, num_channels: i32);
            ready cuTexRefSetMaxAnisotropy 5000 cuTexRefSetMaxAnisotropy (tex_ref: CUtexref, max_anisotropy: u32);
            ready cuTexRefSetMipmapFilterMode 5000 cuTexRefSetMipmapFilterMode (tex_ref: CUtexref, mode: CUfilter_mode);
            ready cuTexRefSetMipmapLevelBias 5000 cuTexRefSetMipmapLevelBias (tex_ref: CUtexref, bias: f32);
            ready cuTexRefSetMipmapLevelClamp 5000 cuTexRefSetMipmapLevelClamp (tex_ref: CUtexref, min_clamp: f32, max_clamp: f32);
            ready cuTexRefSetMipmappedArray 5000 cuTexRefSetMipmappedArray (tex_ref: CUtexref, array: CUmipmappedArray, flags: u32);
            ready cuUserObjectCreate 11030 cuUserObjectCreate (object_out: *mut CUuserObject, pointer: *mut c_void, destroy: CUhostFn, initial_refcount: u32, flags: u32);
            ready cuUserObjectRelease 11030 cuUserObjectRelease (object: CUuserObject, count: u32);
            ready cuUserObjectRetain 11030 cuUserObjectRetain (object: CUuserObject, count: u32);
            (meaningless NOT_SUPPORTED "VDPAU surfaces belong to NVIDIA's video driver") cuVDPAUCtxCreate 3010 cuVDPAUCtxCreate;
            (meaningless NOT_SUPPORTED "VDPAU surfaces belong to NVIDIA's video driver") cuVDPAUCtxCreate 3020 cuVDPAUCtxCreate_v2;
            (meaningless NOT_SUPPORTED "VDPAU surfaces belong to NVIDIA's video driver") cuVDPAUGetDevice 3010 cuVDPAUGetDevice;
            (meaningless NOT_SUPPORTED "WGL is of Windows") cuWGLGetDevice 2020 cuWGLGetDevice;
            (refused NOT_SUPPORTED "memory and semaphores of other interfaces are not imported") cuWaitExternalSemaphoresAsync 10000 cuWaitExternalSemaphoresAsync, 10000 cuWaitExternalSemaphoresAsync_ptsz;
        }
    };
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Implemented.
    Ready,
    /// Answered with this error, for this reason.
    Refused(CUresult, &'static str),
    /// As `Refused`: nothing that this device or system could have.
    Meaningless(CUresult, &'static str),
    /// Missing: `CUDA_ERROR_NOT_SUPPORTED`.
    Absent,
}

/// One exported symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// What `cuGetProcAddress` calls it.
    pub name: &'static str,
    /// What the dynamic linker calls it.
    pub symbol: &'static str,
    /// The CUDA version of this signature: 13000 is 13.0.
    pub since: u32,
    /// Whether a missing stream means the calling thread's default stream.
    pub per_thread: bool,
    /// Whether it is implemented.
    pub status: Status,
    /// The parameters as Rust text; empty for what is absent.
    pub parameters: &'static str,
}

macro_rules! table {
    (@status ready) => { Status::Ready };
    (@status sync) => { Status::Ready };
    (@status absent) => { Status::Absent };
    (@status (refused $status:ident $why:literal)) => { Status::Refused(CUresult::$status, $why) };
    (@status (meaningless $status:ident $why:literal)) => { Status::Meaningless(CUresult::$status, $why) };
    ($(
        $kind:tt $name:ident $since:literal $symbol:ident
        $(, $twin_since:literal $twin:ident)?
        $( ( $($arg:ident : $ty:ty),* ) )? ;
    )*) => {
        /// Every exported symbol, the older signature of a name before the newer.
        pub const FUNCTIONS: &[Function] = &[$(
            Function {
                name: stringify!($name),
                symbol: stringify!($symbol),
                since: $since,
                per_thread: false,
                status: table!(@status $kind),
                parameters: concat!($(stringify!($($arg: $ty),*))?),
            },
            $(Function {
                name: stringify!($name),
                symbol: stringify!($twin),
                since: $twin_since,
                per_thread: true,
                status: table!(@status $kind),
                parameters: "",
            },)?
        )*];
    };
}

driver_functions!(table);

/// The outcome of [`find`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The newest signature that the caller knows.
    Found(&'static Function),
    /// The name is known, but every signature is newer than the version asked for.
    VersionNotSufficient,
    /// No such name in a driver of this version.
    NotFound,
}

/// Finds the function that `cuGetProcAddress(name, version)` means, in a driver that reports `driver_version`.
///
/// A signature newer than the driver's version does not exist, as in NVIDIA's driver of that version. `per_thread`
/// prefers the per-thread-default-stream twin where the caller's version has one.
pub fn find(name: &str, version: u32, driver_version: u32, per_thread: bool) -> Lookup {
    static BY_NAME: OnceLock<HashMap<&'static str, Vec<&'static Function>>> = OnceLock::new();
    let by_name = BY_NAME.get_or_init(|| {
        let mut map: HashMap<_, Vec<_>> = HashMap::new();
        for function in FUNCTIONS {
            map.entry(function.name).or_default().push(function);
            if function.per_thread {
                // Runtime 12.1 asks for one twin by its symbol.
                map.entry(function.symbol).or_default().push(function);
            }
        }
        map
    });
    let Some(functions) = by_name.get(name) else {
        return Lookup::NotFound;
    };
    let newest = |twin: bool| {
        functions
            .iter()
            .filter(|f| f.per_thread == twin && f.since <= version.min(driver_version))
            .max_by_key(|f| f.since)
    };
    let found = if per_thread {
        newest(true).or_else(|| newest(false))
    } else {
        newest(false).or_else(|| newest(true).filter(|function| function.symbol == name))
    };
    match found {
        Some(function) => Lookup::Found(function),
        None if functions.iter().any(|f| f.since <= driver_version) => Lookup::VersionNotSufficient,
        None => Lookup::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn symbols_are_distinct_and_belong_to_their_name() {
        let mut seen = HashSet::new();
        for f in FUNCTIONS {
            assert!(seen.insert(f.symbol), "{} twice", f.symbol);
            assert!(
                f.symbol.starts_with(f.name),
                "{} is not a {}",
                f.symbol,
                f.name
            );
            assert_eq!(
                f.per_thread,
                f.symbol.ends_with("_ptsz") || f.symbol.ends_with("_ptds"),
                "{}",
                f.symbol
            );
        }
    }

    #[test]
    fn lookup_follows_the_version() {
        let symbol = |name, version, twin| match find(name, version, 13000, twin) {
            Lookup::Found(f) => f.symbol,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(symbol("cuGetProcAddress", 11030, false), "cuGetProcAddress");
        assert_eq!(
            symbol("cuGetProcAddress", 12000, false),
            "cuGetProcAddress_v2"
        );
        assert_eq!(
            symbol("cuStreamGetCaptureInfo", 10010, false),
            "cuStreamGetCaptureInfo"
        );
        assert_eq!(
            symbol("cuStreamGetCaptureInfo", 11030, true),
            "cuStreamGetCaptureInfo_v2_ptsz"
        );
        assert_eq!(
            symbol("cuStreamGetCaptureInfo", 13000, false),
            "cuStreamGetCaptureInfo_v3"
        );
        assert_eq!(
            symbol("cuMemcpy", 4000, true),
            "cuMemcpy",
            "the twin came later"
        );
        assert_eq!(symbol("cuInit", 13000, true), "cuInit", "no twin");
        assert_eq!(
            symbol("cuGraphLaunch_ptsz", 12000, false),
            "cuGraphLaunch_ptsz"
        );
        assert_eq!(
            find("cuKernelGetParamCount", 13020, 13000, false),
            Lookup::NotFound
        );
        assert!(matches!(
            find("cuKernelGetParamCount", 13020, 13020, false),
            Lookup::Found(_)
        ));
    }
}
