//! Two Vulkan devices for a child process: the GPUs of the machine, or lavapipe twice over.

use std::path::PathBuf;
use std::sync::OnceLock;
use vulkan::{DeviceKind, Instance};

/// What a child process needs in its environment to have two devices.
pub fn environment() -> Option<Vec<(String, String)>> {
    static FOUND: OnceLock<Option<Vec<(String, String)>>> = OnceLock::new();
    FOUND.get_or_init(find_environment).clone()
}

fn find_environment() -> Option<Vec<(String, String)>> {
    let instance = Instance::load().expect("a Vulkan loader");
    let devices = instance.physical_devices();
    let gpus = devices.iter().filter(|d| d.kind() != DeviceKind::Cpu);
    match (gpus.count(), devices.len()) {
        (2.., _) | (0, 2..) => return Some(Vec::new()),
        (1, _) => {
            eprintln!("there is one GPU: NOTHING TESTED");
            return None;
        }
        _ => {}
    }
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
    let library = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5))
        .find(|path| path.contains("libvulkan_lvp"));
    let Some(library) = library.map(PathBuf::from) else {
        eprintln!("there is one device, which is not lavapipe: NOTHING TESTED");
        return None;
    };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("two-devices");
    std::fs::create_dir_all(&folder).expect("a folder");
    let second = folder.join("libvulkan_lvp_second.so");
    // Made anew under another name and moved, since another test program may use it.
    let fresh = folder.join(format!("{}.fresh", std::process::id()));
    std::fs::copy(&library, &fresh).expect("a copy of the driver");
    std::fs::rename(&fresh, &second).expect("a copy of the driver");
    let manifests: Vec<_> = [("first", &library), ("second", &second)]
        .into_iter()
        .map(|(name, library)| {
            let manifest = folder.join(format!("{name}.json"));
            let text = format!(
                "{{\"file_format_version\": \"1.0.0\", \"ICD\": {{\"library_path\": {library:?}, \"api_version\": \"1.3.0\"}}}}"
            );
            std::fs::write(&fresh, text).expect("a manifest");
            std::fs::rename(&fresh, &manifest).expect("a manifest");
            manifest.to_str().expect("UTF-8").to_owned()
        })
        .collect();
    let list = manifests.join(":");
    Some(vec![
        ("VK_DRIVER_FILES".into(), list.clone()),
        ("VK_ICD_FILENAMES".into(), list),
    ])
}
