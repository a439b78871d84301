//! `vkcuda translate`: the library's own translation, on a file.

use ptx_spirv::ModuleLayout;
use std::path::PathBuf;

/// What to translate, for which device, and where to.
#[derive(clap::Args)]
pub struct Arguments {
    /// PTX text, a fat binary, or an executable or shared object with fat binaries.
    file: PathBuf,
    /// Only kernels with this in their (mangled) name.
    #[arg(long)]
    kernel: Option<String>,
    /// Writes each kernel's SPIR-V into this folder, as NUMBER.spv.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The kind of device to translate for: `lavapipe`, `subgroup32` (a GPU with every optional feature),
    /// `subgroup32-minimal` (with none), `subgroup64`, or `nvidia` (with NVIDIA's matrix units).
    #[arg(long, default_value = "subgroup32")]
    target: String,
    /// The compute capability by which PTX is chosen, times ten.
    #[arg(long, default_value_t = 90)]
    compute_capability: u32,
}

/// Translates and says for each kernel what came of it; fails when one failed.
pub fn translate(arguments: &Arguments) -> anyhow::Result<()> {
    let target = crate::profile(&arguments.target)?;
    if let Some(out) = &arguments.out {
        std::fs::create_dir_all(out)?;
    }
    let (mut number, mut failed) = (0usize, 0usize);
    crate::for_each_module(&arguments.file, arguments.compute_capability, |_, text| {
        let module = ptx::Module::parse(&text)?;
        let layout = ModuleLayout::new(&module)?;
        for function in module
            .functions
            .iter()
            .filter(|f| f.is_entry && f.body.is_some())
        {
            if arguments
                .kernel
                .as_ref()
                .is_some_and(|part| !function.name.contains(part.as_str()))
            {
                continue;
            }
            number += 1;
            match ptx_spirv::translate(&module, &layout, &function.name, &target) {
                Ok(translated) => {
                    println!(
                        "{number}: {}: {} bytes of SPIR-V, {} of static shared memory, {} of local memory",
                        function.name,
                        translated.spirv.len() * 4,
                        translated.info.static_shared,
                        translated.info.local_bytes
                    );
                    if let Some(out) = &arguments.out {
                        let words: Vec<u8> = translated
                            .spirv
                            .iter()
                            .flat_map(|word| word.to_le_bytes())
                            .collect();
                        std::fs::write(out.join(format!("{number}.spv")), words)?;
                    }
                }
                Err(error) => {
                    failed += 1;
                    println!("{number}: {error}");
                }
            }
        }
        Ok(())
    })?;
    anyhow::ensure!(number > 0, "no kernel to translate");
    anyhow::ensure!(
        failed == 0,
        "{failed} of {number} kernels were not translated"
    );
    Ok(())
}
