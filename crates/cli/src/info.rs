//! `vkcuda info` and `vkcuda cache`.

use vulkan::cache;

/// Prints the usable devices in CUDA's order, then the refused ones with what each lacks.
pub fn devices() -> anyhow::Result<()> {
    let instance = vulkan::Instance::load()?;
    if instance.physical_devices().is_empty() {
        println!("no usable device");
    }
    for (ordinal, device) in instance.physical_devices().iter().enumerate() {
        let memory = device.memory_info();
        println!("device {ordinal}: {}", device.name());
        println!("  driver           {:?}", device.driver());
        println!("  kind             {:?}", device.kind());
        match device.pci() {
            Some(pci) => println!("  PCI              {pci:?}"),
            None => println!("  PCI              the driver does not say"),
        }
        println!(
            "  memory           {} MiB free of {} MiB",
            memory.free >> 20,
            memory.total >> 20
        );
        println!("  subgroups        {:?}", device.subgroup());
        println!("  warps            {:?}", device.target().warps);
        println!("  shared memory    {:?}", device.target().shared_memory);
        println!("  translated for   {:?}", device.target());
    }
    for refused in instance.refused() {
        println!("refused: {}", refused.name);
        for reason in &refused.reasons {
            println!("  {reason}");
        }
    }
    Ok(())
}

/// Prints the folder of the caches and the bytes in it.
pub fn cache() -> anyhow::Result<()> {
    let Some(base) = cache::base_directory() else {
        anyhow::bail!("no cache folder: neither VKCUDA_CACHE_DIR, XDG_CACHE_HOME nor HOME is set");
    };
    let mut folders = vec![base.clone()];
    let (mut files, mut bytes) = (0u64, 0u64);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                files += 1;
                bytes += metadata.len();
            }
        }
    }
    println!(
        "{}: {files} files, {:.1} MiB",
        base.display(),
        bytes as f64 / 1048576.0
    );
    Ok(())
}
