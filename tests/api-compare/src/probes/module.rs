//! Modules: images that are refused, entries, globals, the JIT's options and logs, unloading.

use super::*;
use crate::{go, must, show};

/// Loads an image and prints what came of it.
fn load(what: &str, image: &CStr) {
    let mut module = 5u64;
    let code = crate::api::call(
        "cuModuleLoadData",
        &[
            std::ptr::from_mut(&mut module) as u64,
            image.as_ptr() as u64,
        ],
    );
    crate::api::line(what, &crate::api::status(code));
    crate::api::line(
        &format!("{what}, module"),
        &format!("null {} untouched {}", module == 0, module == 5),
    );
}

/// Loads an image with both log buffers; prints the status and what the buffers' sizes became.
fn logged(what: &str, image: &CStr, info: &mut [u8], error: &mut [u8]) {
    let mut module = 0u64;
    let options = [3u32, 4, 5, 6];
    let mut values = [
        info.as_mut_ptr() as u64,
        info.len() as u64,
        error.as_mut_ptr() as u64,
        error.len() as u64,
    ];
    let code = crate::api::call(
        "cuModuleLoadDataEx",
        &[
            std::ptr::from_mut(&mut module) as u64,
            image.as_ptr() as u64,
            4,
            options.as_ptr() as u64,
            values.as_mut_ptr() as u64,
        ],
    );
    crate::api::line(what, &crate::api::status(code));
    let ended = |buffer: &[u8], size: u64| {
        let end = buffer.iter().position(|b| *b == 0);
        // Whether there is text; whether it ends; what the size says about it.
        (
            end != Some(0),
            end.is_some(),
            end.map(|end| size as i64 - end as i64),
            size == 0,
        )
    };
    crate::api::line(
        &format!("{what}, info (text, ended, size - length, size 0)"),
        &format!("{:?}", ended(info, values[1])),
    );
    crate::api::line(
        &format!("{what}, error (text, ended, full)"),
        &format!("{:?}", {
            let (text, end, _, zero) = ended(error, values[3]);
            (text, end, zero, values[3] == error.len() as u64)
        }),
    );
}

probes! {
    "module/bad-images" => || {
        context();
        load("empty text", c"");
        load("a space", c" ");
        load("words", c"this is no module at all");
        load("only a version", c".version 8.0\n");
        load("version and target", c".version 8.0\n.target sm_80\n");
        load("no entries", c".version 8.0\n.target sm_80\n.address_size 64\n");
        load("no address size", c".version 8.0\n.target sm_80\n.visible .entry e() { ret; }");
        load("32-bit addresses", c".version 8.0\n.target sm_80\n.address_size 32\n.visible .entry e() { ret; }");
        load("version 99.9", c".version 99.9\n.target sm_80\n.address_size 64\n.visible .entry e() { ret; }");
        load("version 9.9", c".version 9.9\n.target sm_80\n.address_size 64\n.visible .entry e() { ret; }");
        load("target sm_100", c".version 8.7\n.target sm_100\n.address_size 64\n.visible .entry e() { ret; }");
        load("target sm_90a", c".version 8.0\n.target sm_90a\n.address_size 64\n.visible .entry e() { ret; }");
        load("target sm_99", c".version 8.0\n.target sm_99\n.address_size 64\n.visible .entry e() { ret; }");
        load("target sm_20", c".version 3.0\n.target sm_20\n.address_size 64\n.visible .entry e() { ret; }");
        load("target sm_50", c".version 5.0\n.target sm_50\n.address_size 64\n.visible .entry e() { ret; }");
        load("target newer than the version", c".version 6.0\n.target sm_80\n.address_size 64\n.visible .entry e() { ret; }");
        load("cut off in the body", c".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry e() {");
        load("unknown instruction", c".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry e() { frobnicate.u32; ret; }");
        load("undeclared register", c".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry e() { mov.u32 %r1, 0; ret; }");
        load("wrong operand type", c".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry e() { .reg .f32 %f; .reg .b64 %d; add.u32 %f, %d, 1; ret; }");
        load("unknown label", c".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry e() { bra nowhere; ret; }");
        load("twice the same entry", c".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry e() { ret; }\n.visible .entry e() { ret; }");
        load("extern function", c".version 8.0\n.target sm_80\n.address_size 64\n.extern .func f();\n.visible .entry e() { call f; ret; }");
        load("extern variable", c".version 8.0\n.target sm_80\n.address_size 64\n.extern .global .u32 x;\n.visible .entry e() { .reg .b32 %r; ld.global.u32 %r, [x]; st.global.u32 [x], %r; ret; }");
        load("extern variable, not used", c".version 8.0\n.target sm_80\n.address_size 64\n.extern .global .u32 x;\n.visible .entry e() { ret; }");
        load("extern function, not called", c".version 8.0\n.target sm_80\n.address_size 64\n.extern .func f();\n.visible .entry e() { ret; }");
        load("too much shared memory", c".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry e() { .shared .b8 s[300000]; .reg .b32 %r; ld.shared.u32 %r, [s]; st.shared.u32 [s+4], %r; ret; }");
        load("more than 48 KiB of shared memory", c".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry e() { .shared .b8 s[50000]; .reg .b32 %r; ld.shared.u32 %r, [s]; st.shared.u32 [s+4], %r; ret; }");
        load("too much constant memory", c".version 8.0\n.target sm_80\n.address_size 64\n.const .b8 s[70000];\n.visible .entry e() { .reg .b32 %r; ld.const.u32 %r, [s]; st.global.u32 [0], %r; ret; }");
        load("ELF of nothing", c"\x7fELF");
        load("bytes", c"\x01\x02\x03\x04");
        load("comment first", c"// text\n/* more */ .version 8.0\n.target sm_80\n.address_size 64\n.visible .entry e() { ret; }");
    };
    "module/null" => || {
        context();
        let (mut m, mut f, mut s) = (0u64, 0u64, 0usize);
        go!(cuModuleLoadData(NULL, PTX));
        go!(cuModuleLoadData(&mut m, NULL));
        go!(cuModuleLoadDataEx(&mut m, NULL, 0, NULL, NULL));
        go!(cuModuleLoadFatBinary(&mut m, NULL));
        go!(cuModuleLoad(&mut m, NULL));
        go!(cuModuleLoad(&mut m, c"/nonexistent.ptx"));
        go!(cuModuleLoad(&mut m, c""));
        go!(cuModuleLoad(&mut m, c"/"));
        go!(cuModuleUnload(NULL));
        go!(cuModuleGetFunction(&mut f, NULL, c"e"));
        let m = module(PTX);
        go!(cuModuleGetFunction(NULL, m, c"empty"));
        go!(cuModuleGetFunction(&mut f, m, NULL));
        go!(cuModuleGetFunction(&mut f, m, c""));
        go!(cuModuleGetFunction(&mut f, m, c"nothing"));
        go!(cuModuleGetFunction(&mut f, m, c"word"));
        go!(cuModuleGetGlobal_v2(NULL, NULL, m, c"word"));
        go!(cuModuleGetGlobal_v2(NULL, &mut s, m, c"word"));
        show!(s);
        go!(cuModuleGetGlobal_v2(&mut f, NULL, m, c"word"));
        show!(f != 0);
        go!(cuModuleGetGlobal_v2(&mut f, &mut s, m, NULL));
        go!(cuModuleGetGlobal_v2(&mut f, &mut s, m, c""));
        go!(cuModuleGetGlobal_v2(&mut f, &mut s, m, c"nothing"));
        go!(cuModuleGetGlobal_v2(&mut f, &mut s, m, c"empty"));
        go!(cuModuleGetGlobal_v2(&mut f, &mut s, NULL, c"word"));
    };
    "module/globals" => || {
        context();
        let m = module(PTX);
        let (mut d, mut s) = (0u64, 0usize);
        go!(cuModuleGetGlobal_v2(&mut d, &mut s, m, c"word"));
        show!(s, d % 4, peek(d));
        go!(cuModuleGetGlobal_v2(&mut d, &mut s, m, c"table"));
        show!(s, d % 8, peek(d));
        go!(cuModuleGetGlobal_v2(&mut d, &mut s, m, c"numbers"));
        show!(s);
        go!(cuMemcpyHtoD_v2(d, &5u32, 4));
        show!(peek(d));
        go!(cuMemFree_v2(d));
        let second = module(PTX);
        let mut e = 0u64;
        go!(cuModuleGetGlobal_v2(&mut e, &mut s, second, c"numbers"));
        show!(e != d, peek(e));
        let (mut base, mut size) = (0u64, 0usize);
        go!(cuMemGetAddressRange_v2(&mut base, &mut size, d));
        let mut kind = 0u32;
        go!(cuPointerGetAttribute(&mut kind, 2, d));
        show!(kind);
    };
    "module/functions" => || {
        context();
        let m = module(PTX);
        let (mut f, mut g, mut n) = (0u64, 0u64, 0u32);
        go!(cuModuleGetFunction(&mut f, m, c"empty"));
        go!(cuModuleGetFunction(&mut g, m, c"empty"));
        show!(f == g);
        go!(cuModuleGetFunctionCount(&mut n, m));
        show!(n);
        go!(cuModuleGetFunctionCount(NULL, m));
        let mut all = [0u64; 16];
        go!(cuModuleEnumerateFunctions(&mut all, 3, m));
        show!(all.iter().filter(|f| **f != 0).count());
        go!(cuModuleEnumerateFunctions(&mut all, 16, m));
        show!(all.iter().filter(|f| **f != 0).count(), all.contains(&f));
        go!(cuModuleEnumerateFunctions(&mut all, 0, m));
        go!(cuModuleEnumerateFunctions(NULL, 3, m));
        let mut module = 0u64;
        go!(cuFuncGetModule(&mut module, f));
        show!(module == m);
        go!(cuFuncGetModule(NULL, f));
        go!(cuFuncGetModule(&mut module, NULL));
        let mut mode = 0u32;
        go!(cuModuleGetLoadingMode(&mut mode));
        show!(mode);
        let mut name = 0u64;
        go!(cuFuncGetName(&mut name, f));
        show!(crate::api::text(name));
        go!(cuFuncGetName(NULL, f));
        go!(cuFuncGetName(&mut name, NULL));
        let mut state = 9u32;
        go!(cuFuncIsLoaded(&mut state, f));
        go!(cuFuncLoad(f));
        go!(cuFuncIsLoaded(&mut state, f));
        show!(state);
        go!(cuFuncLoad(NULL));
        go!(cuFuncIsLoaded(NULL, f));
        go!(cuFuncIsLoaded(&mut state, NULL));
    };
    "module/unload" => || {
        context();
        let m = module(PTX);
        let (f, at) = (function(m, c"store"), alloc(64));
        launch(f, NULL, at, 5);
        go!(cuModuleUnload(m));
        must!(cuCtxSynchronize());
        show!(peek(at));
        go!(cuCtxSynchronize());
    };
    "module/unload-twice" => || {
        context();
        let m = module(PTX);
        go!(cuModuleUnload(m));
        go!(cuModuleUnload(m));
    };
    "module/get-after-unload" => || {
        context();
        let m = module(PTX);
        must!(cuModuleUnload(m));
        let mut f = 0u64;
        go!(cuModuleGetFunction(&mut f, m, c"empty"));
    };
    "module/busy-unload" => || {
        context();
        let (m, s) = (module(PTX), stream(1));
        let (f, at) = (function(m, c"store"), alloc(64));
        hold(s);
        launch(f, s, at, 5);
        // Whether unloading waits for the launch: opened by another thread after a while.
        on_thread(|| {
            std::thread::spawn(|| { moment(); release(); });
        });
        go!(cuModuleUnload(m));
        go!(cuStreamSynchronize(s));
        show!(peek(at));
    };
    "module/logs" => || {
        context();
        let (mut info, mut error) = (vec![1u8; 4096], vec![1u8; 4096]);
        logged("good", PTX, &mut info, &mut error);
        let (mut info, mut error) = (vec![1u8; 4096], vec![1u8; 4096]);
        logged("bad", c".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry e() { frobnicate.u32; ret; }", &mut info, &mut error);
        let (mut info, mut error) = (vec![1u8; 64], vec![1u8; 16]);
        logged("bad, small buffers", c".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry e() { frobnicate.u32; ret; }", &mut info, &mut error);
        let (mut info, mut error) = (vec![1u8; 64], vec![1u8; 1]);
        logged("bad, one byte", c".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry e() { frobnicate.u32; ret; }", &mut info, &mut error);
        let (mut info, mut error) = (vec![1u8; 4096], vec![1u8; 4096]);
        logged("unresolved", c".version 8.0\n.target sm_80\n.address_size 64\n.extern .func f();\n.visible .entry e() { call f; ret; }", &mut info, &mut error);
        let (mut info, mut error) = (vec![1u8; 4096], vec![1u8; 4096]);
        logged("no PTX", c"words", &mut info, &mut error);
    };
    "module/options" => || {
        context();
        let mut m = 0u64;
        // Each option alone, with a value that means something and one that does not.
        for option in [0u32, 2, 7, 8, 10, 11, 12, 13, 14, 15, 16, 20, 21, 22, 23, 24, 29, 30, 36, 99] {
            for value in [1u64, 3, 64] {
                if option == 0 && value == 1 {
                    continue;
                }
                // Some options give something back in the value's place.
                let mut place = value;
                let code = crate::api::call("cuModuleLoadDataEx", &[
                    std::ptr::from_mut(&mut m) as u64, PTX.as_ptr() as u64, 1, std::ptr::from_ref(&option) as u64, std::ptr::from_mut(&mut place) as u64]);
                crate::api::line(&format!("option {option} = {value}"), &crate::api::status(code));
            }
        }
        go!(cuModuleLoadDataEx(&mut m, PTX, 0, NULL, NULL));
        go!(cuModuleLoadDataEx(&mut m, PTX, 2, &[7u32, 7], &[2u64, 3]));
        go!(cuModuleLoadDataEx(&mut m, PTX, 1, &4u32, &4096u64));
        go!(cuModuleLoadDataEx(&mut m, PTX, 2, &[3u32, 4], &mut [0u64, 100]));
    };
    "module/wall-time" => || {
        context();
        let (mut m, options, mut values) = (0u64, [2u32, 7], [0u64, 1]);
        go!(cuModuleLoadDataEx(&mut m, PTX, 2, &options, &mut values));
        show!(f32::from_bits(values[0] as u32) > 0.0);
    };
    "module/in-thread" => || {
        let c = context();
        let m = module(PTX);
        on_thread(|| {
            let mut f = 0u64;
            go!(cuModuleGetFunction(&mut f, m, c"empty"));
            must!(cuCtxSetCurrent(c));
            go!(cuModuleGetFunction(&mut f, m, c"empty"));
            must!(cuCtxSetCurrent(NULL));
            go!(cuModuleUnload(m));
        });
    };
    "module/other-context" => || {
        init();
        let a = own_context();
        let m = module(PTX);
        own_context();
        let (mut f, mut s) = (0u64, 0usize);
        go!(cuModuleGetFunction(&mut f, m, c"empty"));
        go!(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
        go!(cuModuleGetGlobal_v2(&mut f, &mut s, m, c"word"));
        go!(cuModuleUnload(m));
        must!(cuCtxSetCurrent(a));
        go!(cuModuleUnload(m));
    };
}
