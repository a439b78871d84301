//! Libraries and their kernels.

use super::*;
use crate::{go, must, show};

/// A library of [`PTX`].
fn library() -> u64 {
    let mut library = 0u64;
    must!(cuLibraryLoadData(
        &mut library,
        PTX,
        NULL,
        NULL,
        0,
        NULL,
        NULL,
        0
    ));
    library
}

probes! {
    "library/load" => || {
        init();
        let mut l = 0u64;
        go!(cuLibraryLoadData(&mut l, NULL, NULL, NULL, 0, NULL, NULL, 0));
        go!(cuLibraryLoadData(NULL, PTX, NULL, NULL, 0, NULL, NULL, 0));
        go!(cuLibraryLoadData(&mut l, PTX, NULL, NULL, 0, NULL, NULL, 0));
        go!(cuLibraryUnload(l));
        go!(cuLibraryUnload(NULL));
        go!(cuLibraryLoadData(&mut l, c"", NULL, NULL, 0, NULL, NULL, 0));
        go!(cuLibraryLoadData(&mut l, c"words", NULL, NULL, 0, NULL, NULL, 0));
        go!(cuLibraryLoadData(&mut l, c".version 99.0\n.target sm_80\n.address_size 64\n", NULL, NULL, 0, NULL, NULL, 0));
        go!(cuLibraryLoadData(&mut l, c".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry e() { frobnicate; }", NULL, NULL, 0, NULL, NULL, 0));
        go!(cuLibraryLoadData(&mut l, PTX, NULL, NULL, 0, &1u32, &1u64, 1));
        go!(cuLibraryLoadData(&mut l, PTX, NULL, NULL, 0, &9u32, &1u64, 1));
        go!(cuLibraryLoadData(&mut l, PTX, &7u32, &2u64, 1, NULL, NULL, 0));
        go!(cuLibraryLoadData(&mut l, PTX, &99u32, &2u64, 1, NULL, NULL, 0));
        go!(cuLibraryLoadFromFile(&mut l, c"/nonexistent", NULL, NULL, 0, NULL, NULL, 0));
        go!(cuLibraryLoadFromFile(&mut l, NULL, NULL, NULL, 0, NULL, NULL, 0));
    };
    "library/kernels" => || {
        context();
        let l = library();
        let (mut k, mut other, mut n) = (0u64, 0u64, 0u32);
        go!(cuLibraryGetKernel(&mut k, l, c"mixed"));
        go!(cuLibraryGetKernel(&mut other, l, c"mixed"));
        show!(k == other);
        go!(cuLibraryGetKernel(&mut other, l, c"nothing"));
        go!(cuLibraryGetKernel(&mut other, l, NULL));
        go!(cuLibraryGetKernel(NULL, l, c"mixed"));
        go!(cuLibraryGetKernel(&mut other, NULL, c"mixed"));
        go!(cuLibraryGetKernelCount(&mut n, l));
        show!(n);
        go!(cuLibraryGetKernelCount(NULL, l));
        let mut all = [0u64; 16];
        go!(cuLibraryEnumerateKernels(&mut all, 16, l));
        show!(all.iter().filter(|k| **k != 0).count(), all.contains(&k));
        all = [0; 16];
        go!(cuLibraryEnumerateKernels(&mut all, 2, l));
        show!(all.iter().filter(|k| **k != 0).count());
        go!(cuLibraryEnumerateKernels(&mut all, 0, l));
        go!(cuLibraryEnumerateKernels(NULL, 2, l));
        let mut name = 0u64;
        go!(cuKernelGetName(&mut name, k));
        show!(crate::api::text(name));
        go!(cuKernelGetLibrary(&mut other, k));
        show!(other == l);
        go!(cuKernelGetLibrary(NULL, k));
        let (mut offset, mut size) = (0usize, 0usize);
        for index in 0..6usize {
            let code = crate::api::call("cuKernelGetParamInfo", &[k, index as u64, std::ptr::from_mut(&mut offset) as u64, std::ptr::from_mut(&mut size) as u64]);
            crate::api::line(&format!("parameter {index}"), &format!("{} {offset} {size}", crate::api::status(code)));
        }
        go!(cuKernelGetParamInfo(k, 0, &mut offset, NULL));
        go!(cuKernelGetParamInfo(k, 0, NULL, &mut size));
        go!(cuKernelGetParamInfo(NULL, 0, &mut offset, &mut size));
    };
    "library/function" => || {
        context();
        let l = library();
        let (mut k, mut f, mut g, mut m, mut n) = (0u64, 0u64, 0u64, 0u64, 0u64);
        must!(cuLibraryGetKernel(&mut k, l, c"mixed"));
        go!(cuKernelGetFunction(&mut f, k));
        go!(cuKernelGetFunction(&mut g, k));
        show!(f == g, f == k);
        go!(cuKernelGetFunction(NULL, k));
        go!(cuKernelGetFunction(&mut g, NULL));
        go!(cuLibraryGetModule(&mut m, l));
        go!(cuLibraryGetModule(NULL, l));
        go!(cuLibraryGetModule(&mut n, NULL));
        go!(cuFuncGetModule(&mut n, f));
        show!(m == n);
        go!(cuModuleGetFunction(&mut g, m, c"mixed"));
        show!(f == g);
        go!(cuModuleUnload(m));
        let (mut offset, mut size) = (0usize, 0usize);
        for index in 0..6usize {
            let code = crate::api::call("cuFuncGetParamInfo", &[f, index as u64, std::ptr::from_mut(&mut offset) as u64, std::ptr::from_mut(&mut size) as u64]);
            crate::api::line(&format!("parameter {index}"), &format!("{} {offset} {size}", crate::api::status(code)));
        }
        go!(cuFuncGetParamInfo(NULL, 0, &mut offset, &mut size));
        go!(cuFuncGetParamInfo(f, 0, NULL, &mut size));
        go!(cuFuncGetParamInfo(f, 0, &mut offset, NULL));
        let own = own_context();
        go!(cuKernelGetFunction(&mut g, k));
        show!(f == g);
        must!(cuCtxDestroy_v2(own));
        go!(cuKernelGetFunction(&mut g, k));
        show!(f == g);
    };
    "library/no-context" => || {
        init();
        let l = library();
        let (mut k, mut f, mut m, mut s) = (0u64, 0u64, 0u64, 0usize);
        go!(cuLibraryGetKernel(&mut k, l, c"mixed"));
        go!(cuKernelGetFunction(&mut f, k));
        go!(cuLibraryGetModule(&mut m, l));
        go!(cuLibraryGetGlobal(&mut m, &mut s, l, c"word"));
        go!(cuKernelGetParamInfo(k, 0, &mut s, NULL));
        let mut v = 0i32;
        go!(cuKernelGetAttribute(&mut v, 0, k, 0));
        show!(v);
        go!(cuKernelGetAttribute(&mut v, 0, k, 9));
        go!(cuKernelGetAttribute(&mut v, 99, k, 0));
        go!(cuKernelGetAttribute(NULL, 0, k, 0));
        go!(cuKernelGetAttribute(&mut v, 0, NULL, 0));
        go!(cuKernelSetAttribute(8, 70000, k, 0));
        go!(cuKernelGetAttribute(&mut v, 8, k, 0));
        show!(v);
        go!(cuKernelSetAttribute(8, 1 << 20, k, 0));
        go!(cuKernelSetAttribute(0, 1, k, 0));
        go!(cuKernelSetCacheConfig(k, 1, 0));
        go!(cuKernelSetCacheConfig(k, 9, 0));
        go!(cuLibraryUnload(l));
    };
    "library/globals" => || {
        context();
        let l = library();
        let (mut d, mut s, mut e, mut m) = (0u64, 0usize, 0u64, 0u64);
        go!(cuLibraryGetGlobal(&mut d, &mut s, l, c"table"));
        show!(s, d != 0);
        go!(cuLibraryGetGlobal(&mut d, NULL, l, c"word"));
        go!(cuLibraryGetGlobal(NULL, &mut s, l, c"word"));
        go!(cuLibraryGetGlobal(NULL, NULL, l, c"word"));
        go!(cuLibraryGetGlobal(&mut d, &mut s, l, c"numbers"));
        go!(cuLibraryGetGlobal(&mut d, &mut s, l, c"nothing"));
        go!(cuLibraryGetGlobal(&mut d, &mut s, l, NULL));
        go!(cuLibraryGetManaged(&mut d, &mut s, l, c"word"));
        go!(cuLibraryGetManaged(&mut d, &mut s, l, c"nothing"));
        go!(cuLibraryGetUnifiedFunction(&mut d, l, c"word"));
        must!(cuLibraryGetGlobal(&mut d, &mut s, l, c"word"));
        must!(cuLibraryGetModule(&mut m, l));
        go!(cuModuleGetGlobal_v2(&mut e, &mut s, m, c"word"));
        show!(d == e, peek(d));
    };
    "library/launch-kernel-handle" => || {
        context();
        let (l, at, s) = (library(), alloc(64), stream(0));
        let mut k = 0u64;
        must!(cuLibraryGetKernel(&mut k, l, c"store"));
        let p = Parameters::new(at, 11);
        go!(cuLaunchKernel(k, 1, 1, 1, 1, 1, 1, 0, s, p.list(), NULL));
        go!(cuStreamSynchronize(s));
        show!(peek(at));
        let mut v = 0i32;
        go!(cuFuncGetAttribute(&mut v, 0, k));
        go!(cuFuncSetAttribute(k, 8, 1000));
        go!(cuFuncGetAttribute(&mut v, 8, k));
        show!(v);
        let mut f = 0u64;
        must!(cuKernelGetFunction(&mut f, k));
        go!(cuFuncGetAttribute(&mut v, 8, f));
        show!(v);
        go!(cuLibraryUnload(l));
    };
    "library/unload-twice" => || {
        context();
        let l = library();
        go!(cuLibraryUnload(l));
        go!(cuLibraryUnload(l));
    };
    "library/lazy-errors" => || {
        context();
        let mut l = 0u64;
        go!(cuLibraryLoadData(&mut l, c".version 8.0\n.target sm_80\n.address_size 64\n.extern .func f();\n.visible .entry e() { call f; ret; }", NULL, NULL, 0, NULL, NULL, 0));
        let (mut k, mut f) = (0u64, 0u64);
        if l != 0 {
            go!(cuLibraryGetKernel(&mut k, l, c"e"));
            go!(cuKernelGetFunction(&mut f, k));
        }
    };
    "library/null-handles" => || {
        context();
        let (mut at, mut n) = (0u64, 0usize);
        go!(cuKernelGetName(&mut at, NULL));
        go!(cuKernelGetName(NULL, NULL));
        go!(cuFuncGetName(&mut at, NULL));
        go!(cuFuncGetModule(&mut at, NULL));
        go!(cuFuncIsLoaded(&mut at, NULL));
        go!(cuFuncLoad(NULL));
        go!(cuKernelGetLibrary(&mut at, NULL));
        go!(cuKernelGetParamCount(NULL, &mut n));
        go!(cuFuncGetParamCount(NULL, &mut n));
        go!(cuFuncGetParamInfo(NULL, 0, &mut n, &mut n));
        go!(cuKernelSetAttribute(8, 0, NULL, 0));
        go!(cuKernelSetCacheConfig(NULL, 1, 0));
        go!(cuFuncSetAttribute(NULL, 8, 0));
        go!(cuFuncSetCacheConfig(NULL, 1));
        go!(cuLibraryGetKernelCount(&mut n, NULL));
        go!(cuLibraryEnumerateKernels(&mut at, 1, NULL));
        go!(cuLibraryGetModule(&mut at, NULL));
        go!(cuLibraryGetKernel(&mut at, NULL, c"e"));
        go!(cuLibraryGetGlobal(&mut at, &mut n, NULL, c"e"));
        go!(cuLibraryGetManaged(&mut at, &mut n, NULL, c"e"));
        go!(cuLibraryGetUnifiedFunction(&mut at, NULL, c"e"));
        go!(cuLibraryUnload(NULL));
        go!(cuModuleGetFunctionCount(&mut n, NULL));
        go!(cuModuleEnumerateFunctions(&mut at, 1, NULL));
        go!(cuModuleGetLoadingMode(NULL));
    };
}
