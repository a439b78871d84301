//! The command as a user runs it.

use std::process::{Command, Output};

fn vkcuda(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vkcuda"))
        .args(arguments)
        .output()
        .expect("the command starts")
}

const FILL: &str = "
    .version 8.0
    .target sm_80
    .address_size 64
    .visible .entry fill(.param .u64 out) {
        .reg .b64 %rd<2>;
        ld.param.u64 %rd1, [out];
        st.global.u32 [%rd1], 7;
        ret;
    }
    .visible .entry cluster(.param .u64 out) {
        wgmma.fence.sync.aligned;
        ret;
    }";

#[test]
fn info_lists_a_device() {
    let output = vkcuda(&["info"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("device 0: "), "{text}");
}

#[test]
fn translate_writes_spirv_and_names_what_it_cannot_do() {
    let folder = std::env::temp_dir().join(format!("vkcuda-cli-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("kernels.ptx");
    std::fs::write(&file, FILL).unwrap();
    let (file, out) = (file.to_str().unwrap(), folder.to_str().unwrap());
    let output = vkcuda(&["translate", file, "--kernel", "fill", "--out", out]);
    assert!(output.status.success(), "{output:?}");
    let spirv = std::fs::read(folder.join("1.spv")).unwrap();
    assert_eq!(spirv[..4], 0x0723_0203u32.to_le_bytes());
    let output = vkcuda(&["translate", file]);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("cluster") && text.contains("wgmma.fence"),
        "{text}"
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn run_refuses_a_folder_without_the_library() {
    let output = vkcuda(&["run", "--libraries", "/", "--", "true"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("libcuda.so.1"));
}
