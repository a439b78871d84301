//! The linker.

use super::*;
use crate::{go, must, show};

const CALLER: &CStr = c".version 8.0\n.target sm_80\n.address_size 64\n.extern .func (.param .b32 r) twice(.param .b32 x);
.visible .entry e(.param .u64 at, .param .u32 value) { .reg .b64 %a; .reg .b32 %v; ld.param.u64 %a, [at]; ld.param.u32 %v, [value];
{ .param .b32 x; .param .b32 r; st.param.b32 [x], %v; call (r), twice, (x); ld.param.b32 %v, [r]; }
st.global.u32 [%a], %v; ret; }";
const CALLED: &CStr = c".version 8.0\n.target sm_80\n.address_size 64\n.visible .func (.param .b32 r) twice(.param .b32 x) { .reg .b32 %v;
ld.param.b32 %v, [x]; add.u32 %v, %v, %v; st.param.b32 [r], %v; ret; }";

/// A new link.
fn create() -> u64 {
    let mut link = 0u64;
    must!(cuLinkCreate_v2(0, NULL, NULL, &mut link));
    link
}

/// Adds PTX.
fn add(link: u64, text: &CStr) -> u32 {
    let size = text.to_bytes_with_nul().len();
    go!(cuLinkAddData_v2(
        link, 1, text, size, c"input", 0, NULL, NULL
    ))
}

probes! {
    "link/two" => || {
        context();
        let link = create();
        add(link, CALLER);
        add(link, CALLED);
        let (mut image, mut size) = (0u64, 0usize);
        go!(cuLinkComplete(link, &mut image, &mut size));
        show!(image != 0, size > 0);
        let mut m = 0u64;
        go!(cuModuleLoadData(&mut m, image));
        go!(cuLinkDestroy(link));
        let (f, at) = (function(m, c"e"), alloc(64));
        launch(f, NULL, at, 21);
        show!(peek(at));
    };
    "link/order" => || {
        context();
        let link = create();
        add(link, CALLED);
        add(link, CALLER);
        let (mut image, mut size) = (0u64, 0usize);
        go!(cuLinkComplete(link, &mut image, &mut size));
        go!(cuLinkComplete(link, &mut image, &mut size));
        add(link, CALLED);
        go!(cuLinkDestroy(link));
    };
    "link/empty" => || {
        context();
        let link = create();
        let (mut image, mut size) = (0u64, 0usize);
        go!(cuLinkComplete(link, &mut image, &mut size));
        show!(image != 0, size > 0);
        go!(cuLinkDestroy(link));
        let link = create();
        go!(cuLinkDestroy(link));
    };
    "link/unresolved" => || {
        context();
        let link = create();
        add(link, CALLER);
        let (mut image, mut size) = (0u64, 0usize);
        go!(cuLinkComplete(link, &mut image, &mut size));
        show!(image == 0);
        go!(cuLinkDestroy(link));
    };
    "link/twice-defined" => || {
        context();
        let link = create();
        add(link, CALLED);
        add(link, CALLED);
        let (mut image, mut size) = (0u64, 0usize);
        go!(cuLinkComplete(link, &mut image, &mut size));
        go!(cuLinkDestroy(link));
    };
    "link/bad-input" => || {
        context();
        let link = create();
        add(link, c"words");
        add(link, c"");
        add(link, c".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry e() { frobnicate; }");
        go!(cuLinkAddData_v2(link, 1, NULL, 10, c"x", 0, NULL, NULL));
        go!(cuLinkAddData_v2(link, 1, CALLED, 0, c"x", 0, NULL, NULL));
        go!(cuLinkAddData_v2(link, 9, CALLED, 10, c"x", 0, NULL, NULL));
        go!(cuLinkAddData_v2(link, 0, c"words", 5, c"x", 0, NULL, NULL));
        go!(cuLinkAddData_v2(link, 2, c"words", 5, c"x", 0, NULL, NULL));
        go!(cuLinkAddData_v2(link, 3, c"words", 5, c"x", 0, NULL, NULL));
        go!(cuLinkAddData_v2(link, 4, c"words", 5, c"x", 0, NULL, NULL));
        go!(cuLinkAddFile_v2(link, 1, c"/nonexistent", 0, NULL, NULL));
        go!(cuLinkAddFile_v2(link, 1, NULL, 0, NULL, NULL));
        go!(cuLinkAddData_v2(link, 1, CALLED, CALLED.to_bytes_with_nul().len(), NULL, 0, NULL, NULL));
        let (mut image, mut size) = (0u64, 0usize);
        go!(cuLinkComplete(link, &mut image, &mut size));
    };
    "link/null" => || {
        context();
        let link = create();
        go!(cuLinkCreate_v2(0, NULL, NULL, NULL));
        go!(cuLinkCreate_v2(1, NULL, NULL, &mut 0u64));
        go!(cuLinkComplete(link, NULL, NULL));
        let link = create();
        add(link, CALLED);
        let mut image = 0u64;
        go!(cuLinkComplete(link, &mut image, NULL));
        let link = create();
        add(link, CALLED);
        let mut size = 0u64;
        go!(cuLinkComplete(link, NULL, &mut size));
        go!(cuLinkDestroy(NULL));
        go!(cuLinkComplete(NULL, &mut image, &mut size));
        go!(cuLinkAddData_v2(NULL, 1, CALLED, 10, c"x", 0, NULL, NULL));
    };
    "link/logs" => || {
        context();
        let (mut info, mut error) = ([0u8; 2048], [0u8; 2048]);
        let mut link = 0u64;
        let options = [3u32, 4, 5, 6, 12];
        let mut values = [info.as_mut_ptr() as u64, 2048, error.as_mut_ptr() as u64, 2048, 1];
        go!(cuLinkCreate_v2(5, &options, &mut values, &mut link));
        add(link, CALLER);
        let (mut image, mut size) = (0u64, 0usize);
        go!(cuLinkComplete(link, &mut image, &mut size));
        let text = crate::api::text(error.as_ptr() as u64);
        show!(text.is_empty(), text.contains("twice"));
        go!(cuLinkDestroy(link));
        show!(values[1] == 2048, values[3] == 2048);
    };
    "link/options" => || {
        context();
        let mut link = 0u64;
        // Without those that NVIDIA's library divides by.
        for option in [0u32, 2, 7, 8, 10, 11, 12, 13, 14, 15, 16, 20, 29, 30, 36, 99] {
            for value in [1u64, 3] {
                if option == 0 && value == 1 {
                    continue;
                }
                // Some options give something back in the value's place.
                let mut place = value;
                let code = crate::api::call("cuLinkCreate_v2", &[1, std::ptr::from_ref(&option) as u64, std::ptr::from_mut(&mut place) as u64, std::ptr::from_mut(&mut link) as u64]);
                crate::api::line(&format!("option {option} = {value}"), &crate::api::status(code));
            }
        }
    };
    "link/error-log" => || {
        context();
        for (what, input, name) in [("unresolved", CALLER, c"caller.ptx"), ("syntax", c".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry e() { frobnicate; }", c"bad.ptx")] {
            let mut log = [0u8; 1000];
            let (options, mut values) = ([5u32, 6], [log.as_mut_ptr() as u64, log.len() as u64]);
            let (mut link, mut image, mut size) = (0u64, 0u64, 0usize);
            must!(cuLinkCreate_v2(2, &options, &mut values, &mut link));
            go!(cuLinkAddData_v2(link, 1, input, input.to_bytes_with_nul().len(), name, 0, NULL, NULL));
            go!(cuLinkComplete(link, &mut image, &mut size));
            let text = CStr::from_bytes_until_nul(&log).map_or("not ended".into(), |text| text.to_string_lossy().into_owned());
            crate::api::line(what, &text);
            go!(cuLinkDestroy(link));
        }
    };
}
