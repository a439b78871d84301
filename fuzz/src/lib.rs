//! What is fuzzed: each target takes any bytes, and must neither panic nor take memory or time without bound.

use ptx_spirv::{ModuleLayout, Target};

/// Containers: fat binaries, ELF files, archives, PTX text; every entry of them is unpacked.
pub fn fatbin(bytes: &[u8]) {
    let Ok(container) = fatbin::Container::from_bytes(bytes) else {
        return;
    };
    for entry in container.entries() {
        let _ = (entry.name(), entry.target(), entry.size());
        // A declared size that a damaged header makes large is refused or fails, but clearing it takes its time.
        if entry.size() <= 1 << 24 {
            let _ = entry.text();
        }
    }
    for module in container.modules() {
        if module.entries().iter().all(|entry| entry.size() <= 1 << 24) {
            let _ = module.select_ptx(90);
        }
    }
}

/// PTX: the module and every body.
pub fn parser(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(module) = ptx::Module::parse(&text) else {
        return;
    };
    for function in &module.functions {
        let _ = module.parse_body(function);
    }
    let _ = ModuleLayout::new(&module);
}

/// PTX of several modules, with [`BETWEEN`] between them: linked, and given another target.
pub fn linker(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let parts: Vec<(&str, &str)> = text.split(BETWEEN).map(|part| ("part", part)).collect();
    if let Ok(linked) = ptx::link::link(&parts, |name| name == "vprintf") {
        let _ = ptx::Module::parse(&linked);
    }
    let _ = ptx::link::retarget(&text, 90);
}

/// What is between the modules that [`linker`] links.
pub const BETWEEN: char = '\u{1f}';

/// PTX through the translator, for each kind of device in turn.
pub fn translator(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(module) = ptx::Module::parse(&text) else {
        return;
    };
    let Ok(layout) = ModuleLayout::new(&module) else {
        return;
    };
    let profile = Target::PROFILES[bytes.len() % Target::PROFILES.len()];
    let Some(target) = Target::profile(profile) else {
        return;
    };
    let entries = module
        .functions
        .iter()
        .filter(|f| f.is_entry && f.body.is_some());
    for function in entries.take(4) {
        let _ = ptx_spirv::translate(&module, &layout, &function.name, &target);
    }
}
