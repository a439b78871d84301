//! `vkcuda compile`: translated kernels through the compiler of a real Vulkan driver, with what it says of them.
//!
//! Nothing runs, so no card is needed: Mesa's RADV compiles for any chip it knows, and ANV with `tools/no-op-intel`. lavapipe
//! compiles when a pipeline is first used, not when it is made: there, a dispatch of no workgroups follows.
//!
//! ```text
//! VK_DRIVER_FILES=/usr/share/vulkan/icd.d/radeon_icd.json RADV_FORCE_FAMILY=navi31 \
//!     vkcuda compile libggml-cuda.so --every 10
//! VK_DRIVER_FILES=/usr/share/vulkan/icd.d/intel_icd.json NO_OP_INTEL=dg2 LD_PRELOAD=libno_op_intel.so \
//!     vkcuda compile libggml-cuda.so --every 10
//! VK_DRIVER_FILES=/usr/share/vulkan/icd.d/lvp_icd.json MESA_SHADER_CACHE_DISABLE=1 \
//!     vkcuda compile libggml-cuda.so --every 10
//! ```

use anyhow::Context;
use ash::{ext, khr, vk};
use ptx_spirv::{ModuleLayout, Target, Translated, Warps};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What to compile, and for which kind of device it is translated.
#[derive(clap::Args)]
pub struct Arguments {
    /// PTX text, fat binaries, executables or shared objects with fat binaries.
    #[arg(required_unless_present = "spirv")]
    files: Vec<PathBuf>,
    /// Shaders of others, to compare with: SPIR-V with an entry point `main`, up to 16 storage buffers in set 0, and default
    /// specialisation constants. May be given several times.
    #[arg(long)]
    spirv: Vec<PathBuf>,
    /// The kind of device: `lavapipe`, `subgroup32`, `subgroup32-minimal` or `subgroup64`. What the device's properties say
    /// without.
    #[arg(long)]
    profile: Option<String>,
    /// Only kernels with this in their (mangled) name; each of them is printed. May be given several times.
    #[arg(long)]
    kernel: Vec<String>,
    /// The shape of a block, as X,Y,Z. What the kernel is bounded to, or 256 threads, without.
    #[arg(long, value_delimiter = ',', num_args = 3)]
    block: Option<Vec<u32>>,
    /// Dynamic shared memory, bytes.
    #[arg(long, default_value_t = 0)]
    shared: u32,
    /// Without the first N kernels: to go on behind one that a driver does not survive.
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip: usize,
    /// Only every N-th kernel.
    #[arg(long, value_name = "N", default_value_t = 1)]
    every: usize,
    /// With `--every N`, which ones: those whose number leaves this remainder. N processes with 0 to N - 1 take all.
    #[arg(long, value_name = "REMAINDER", default_value_t = 0)]
    remainder: usize,
    /// Writes one line of comma-separated values for each kernel into this file, as they are compiled: the last line tells
    /// where a driver crashed.
    #[arg(long)]
    csv: Option<PathBuf>,
    /// The compute capability by which PTX is chosen, times ten.
    #[arg(long, default_value_t = 90)]
    compute_capability: u32,
}

/// Extensions that shaders may use.
const EXTENSIONS: &[&CStr] = &[
    ext::shader_atomic_float::NAME,
    khr::cooperative_matrix::NAME,
    khr::shader_clock::NAME,
    khr::shader_maximal_reconvergence::NAME,
    khr::workgroup_memory_explicit_layout::NAME,
];

/// Statistics that count what went from registers to memory: RADV's and ANV's.
const SPILLS: &[&str] = &["Spilled SGPRs", "Spilled VGPRs", "Spill Count"];

/// Statistics by name, of one pipeline.
type Statistics = BTreeMap<String, i64>;

/// A Vulkan device of which nothing but the compiler is used.
struct Compiler {
    _entry: ash::Entry,
    instance: ash::Instance,
    messages: ext::debug_utils::Instance,
    messenger: vk::DebugUtilsMessengerEXT,
    device: ash::Device,
    /// What tells of pipelines; lavapipe has nothing like it.
    properties: Option<khr::pipeline_executable_properties::Device>,
    /// Where a pipeline is used without running, for drivers that compile it no earlier.
    first_use: Option<vk::Queue>,
    /// Bytes of push constants that the layout has.
    push_constants: u32,
    layout: vk::PipelineLayout,
    name: String,
    /// Smallest and largest subgroup.
    subgroups: (u32, u32),
    /// Whether the size of subgroups can be chosen.
    required: bool,
    /// What kernels are translated for.
    target: Target,
}

impl Drop for Compiler {
    fn drop(&mut self) {
        // SAFETY: all handles are this object's own, and nothing made from them is left.
        unsafe {
            self.device.destroy_pipeline_layout(self.layout, None);
            self.device.destroy_device(None);
            self.messages
                .destroy_debug_utils_messenger(self.messenger, None);
            self.instance.destroy_instance(None);
        }
    }
}

impl Compiler {
    fn open() -> anyhow::Result<Compiler> {
        // SAFETY: the loader and the drivers are trusted, as by every Vulkan program.
        let entry = unsafe { ash::Entry::load() }?;
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
        let names = [ext::debug_utils::NAME.as_ptr()];
        let info = vk::InstanceCreateInfo::default()
            .application_info(&application)
            .enabled_extension_names(&names);
        // SAFETY: the structures live until the call returns.
        let instance = unsafe { entry.create_instance(&info, None) }?;
        let messages = ext::debug_utils::Instance::new(&entry, &instance);
        let info = vk::DebugUtilsMessengerCreateInfoEXT::default()
            .message_severity(vk::DebugUtilsMessageSeverityFlagsEXT::ERROR)
            .message_type(vk::DebugUtilsMessageTypeFlagsEXT::GENERAL)
            .pfn_user_callback(Some(print_message));
        // SAFETY: the instance has the extension; the callback has the type that it wants.
        let messenger = unsafe { messages.create_debug_utils_messenger(&info, None) }?;
        // SAFETY: the instance is alive.
        let physical = *unsafe { instance.enumerate_physical_devices() }?
            .first()
            .context("no Vulkan device")?;
        // SAFETY: the handle comes from the instance.
        let present = unsafe { instance.enumerate_device_extension_properties(physical) }?;
        let has = |name: &CStr| {
            present
                .iter()
                .any(|e| e.extension_name_as_c_str() == Ok(name))
        };
        let statistics = khr::pipeline_executable_properties::NAME;
        let mut v13 = vk::PhysicalDeviceVulkan13Properties::default();
        let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut v13);
        // SAFETY: as above; the chain is of Vulkan 1.3.
        unsafe { instance.get_physical_device_properties2(physical, &mut properties) };
        let name = properties
            .properties
            .device_name_as_c_str()
            .map_or_else(|_| String::new(), |n| n.to_string_lossy().into_owned());
        let required = v13
            .required_subgroup_size_stages
            .contains(vk::ShaderStageFlags::COMPUTE);
        let subgroups = (v13.min_subgroup_size, v13.max_subgroup_size);
        let target = vulkan::target_of_compiler(&entry, &instance, physical)
            .map_err(|missing| anyhow::anyhow!("{name} lacks {missing}"))?;
        // Only llvmpipe's warps do.
        let late = matches!(target.warps, Warps::Yield { .. });
        anyhow::ensure!(late || has(statistics), "the driver has no {statistics:?}");

        let mut names: Vec<&CStr> = EXTENSIONS.iter().copied().filter(|n| has(n)).collect();
        if has(statistics) {
            names.push(statistics);
        }
        let pointers: Vec<_> = names.iter().map(|n| n.as_ptr()).collect();
        let mut v11 = vk::PhysicalDeviceVulkan11Features::default();
        let mut v12 = vk::PhysicalDeviceVulkan12Features::default();
        let mut v13 = vk::PhysicalDeviceVulkan13Features::default();
        let mut executable = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default();
        let mut atomics = vk::PhysicalDeviceShaderAtomicFloatFeaturesEXT::default();
        let mut matrices = vk::PhysicalDeviceCooperativeMatrixFeaturesKHR::default();
        let mut clock = vk::PhysicalDeviceShaderClockFeaturesKHR::default();
        let mut reconvergence = vk::PhysicalDeviceShaderMaximalReconvergenceFeaturesKHR::default();
        let mut layout = vk::PhysicalDeviceWorkgroupMemoryExplicitLayoutFeaturesKHR::default();
        let mut features = vk::PhysicalDeviceFeatures2::default()
            .push_next(&mut v11)
            .push_next(&mut v12)
            .push_next(&mut v13);
        if has(statistics) {
            features = features.push_next(&mut executable);
        }
        if has(ext::shader_atomic_float::NAME) {
            features = features.push_next(&mut atomics);
        }
        if has(khr::cooperative_matrix::NAME) {
            features = features.push_next(&mut matrices);
        }
        if has(khr::shader_clock::NAME) {
            features = features.push_next(&mut clock);
        }
        if has(khr::shader_maximal_reconvergence::NAME) {
            features = features.push_next(&mut reconvergence);
        }
        if has(khr::workgroup_memory_explicit_layout::NAME) {
            features = features.push_next(&mut layout);
        }
        // SAFETY: the chain holds structures of Vulkan 1.3 and of extensions that the device has. What it fills in is then
        // what the device is opened with.
        let device = unsafe {
            instance.get_physical_device_features2(physical, &mut features);
            features.features.robust_buffer_access = vk::FALSE;
            let queue = vk::DeviceQueueCreateInfo::default().queue_priorities(&[1.0]);
            let info = vk::DeviceCreateInfo::default()
                .queue_create_infos(std::slice::from_ref(&queue))
                .enabled_extension_names(&pointers)
                .push_next(&mut features);
            instance.create_device(physical, &info, None)
        }?;
        // Parameters follow the push constants on every profile but the least.
        let push_constants =
            ptx_spirv::PUSH_CONSTANT_BYTES + Target::subgroup32().inline_parameters;
        let range = vk::PushConstantRange::default()
            .stage_flags(vk::ShaderStageFlags::COMPUTE)
            .size(push_constants);
        // llvmpipe reads scratch as a uniform buffer.
        let window = vk::DescriptorSetLayoutBinding::default()
            .descriptor_type(vk::DescriptorType::UNIFORM_BUFFER)
            .descriptor_count(1)
            .stage_flags(vk::ShaderStageFlags::COMPUTE);
        let window =
            vk::DescriptorSetLayoutCreateInfo::default().bindings(std::slice::from_ref(&window));
        // SAFETY: the device is alive.
        let window = unsafe { device.create_descriptor_set_layout(&window, None) }?;
        let info = vk::PipelineLayoutCreateInfo::default()
            .set_layouts(if late {
                std::slice::from_ref(&window)
            } else {
                &[]
            })
            .push_constant_ranges(std::slice::from_ref(&range));
        // SAFETY: the device is alive. What an object was made of may be destroyed afterwards (Vulkan, "Object Lifetime").
        let layout = unsafe {
            let layout = device.create_pipeline_layout(&info, None);
            device.destroy_descriptor_set_layout(window, None);
            layout
        }?;
        Ok(Compiler {
            properties: has(statistics)
                .then(|| khr::pipeline_executable_properties::Device::new(&instance, &device)),
            // SAFETY: the device has been opened with this queue.
            first_use: late.then(|| unsafe { device.get_device_queue(0, 0) }),
            _entry: entry,
            instance,
            messages,
            messenger,
            device,
            push_constants,
            layout,
            name,
            subgroups,
            required,
            target,
        })
    }

    /// Compiles a kernel for blocks of this shape.
    fn compile(
        &self,
        kernel: &Translated,
        block: [u32; 3],
        dynamic_shared: u32,
    ) -> anyhow::Result<Statistics> {
        let info = &kernel.info;
        let threads = block.iter().product::<u32>();
        let constants = [
            threads.next_multiple_of(info.subgroup_size.max(32)),
            block[0],
            block[1],
            block[2],
            info.workgroup_memory(threads, dynamic_shared),
        ];
        let entries: [vk::SpecializationMapEntry; 5] = std::array::from_fn(|n| {
            vk::SpecializationMapEntry::default()
                .constant_id(n as u32)
                .offset(4 * n as u32)
                .size(4)
        });
        let data: Vec<u8> = constants.iter().flat_map(|c| c.to_ne_bytes()).collect();
        let specialization = vk::SpecializationInfo::default()
            .map_entries(&entries)
            .data(&data);
        let mut size = vk::PipelineShaderStageRequiredSubgroupSizeCreateInfo::default()
            .required_subgroup_size(info.subgroup_size);
        let create = vk::ShaderModuleCreateInfo::default().code(&kernel.spirv);
        // SAFETY: the device is alive; the structures and what they point at live until the calls return; every object
        // made here is destroyed here.
        unsafe {
            let module = self.device.create_shader_module(&create, None)?;
            let mut stage = vk::PipelineShaderStageCreateInfo::default()
                .flags(vk::PipelineShaderStageCreateFlags::REQUIRE_FULL_SUBGROUPS)
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(module)
                .name(c"main")
                .specialization_info(&specialization);
            if info.subgroup_size != 0 && self.required {
                stage = stage.push_next(&mut size);
            }
            let create = vk::ComputePipelineCreateInfo::default()
                .flags(
                    vk::PipelineCreateFlags::DISPATCH_BASE
                        | vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR,
                )
                .stage(stage)
                .layout(self.layout);
            let made =
                self.device
                    .create_compute_pipelines(vk::PipelineCache::null(), &[create], None);
            self.device.destroy_shader_module(module, None);
            let pipeline = made.map_err(|(_, result)| result)?[0];
            if let Some(queue) = self.first_use {
                let bytes = self.push_constants;
                let used =
                    vulkan::dispatch_nothing(&self.device, queue, 0, self.layout, bytes, pipeline);
                if let Err(result) = used {
                    self.device.destroy_pipeline(pipeline, None);
                    return Err(result.into());
                }
            }
            self.statistics(pipeline)
        }
    }

    /// What the driver says of a pipeline, which is destroyed.
    ///
    /// # Safety
    /// The pipeline is the device's own, and nobody else's.
    unsafe fn statistics(&self, pipeline: vk::Pipeline) -> anyhow::Result<Statistics> {
        // SAFETY: as above; the structures live until the calls return.
        unsafe {
            let executable = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
            let found = self
                .properties
                .as_ref()
                .map_or(Ok(Vec::new()), |properties| {
                    properties.get_pipeline_executable_statistics(&executable)
                });
            self.device.destroy_pipeline(pipeline, None);
            let mut statistics = Statistics::new();
            for s in found? {
                let value = match s.format {
                    vk::PipelineExecutableStatisticFormatKHR::INT64 => s.value.i64,
                    vk::PipelineExecutableStatisticFormatKHR::UINT64 => s.value.u64 as i64,
                    _ => continue,
                };
                let name = s.name_as_c_str().unwrap_or_default();
                if name.to_bytes().to_ascii_lowercase().ends_with(b"hash") {
                    continue;
                }
                statistics.insert(name.to_string_lossy().into_owned(), value);
            }
            Ok(statistics)
        }
    }
}

impl Compiler {
    /// Compiles a shader that is not the translator's.
    fn compile_other(&self, spirv: &[u32]) -> anyhow::Result<Statistics> {
        let bindings: [_; 16] = std::array::from_fn(|n| {
            vk::DescriptorSetLayoutBinding::default()
                .binding(n as u32)
                .descriptor_type(vk::DescriptorType::STORAGE_BUFFER)
                .descriptor_count(1)
                .stage_flags(vk::ShaderStageFlags::COMPUTE)
        });
        let set = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
        let range = vk::PushConstantRange::default()
            .stage_flags(vk::ShaderStageFlags::COMPUTE)
            .size(128);
        let create = vk::ShaderModuleCreateInfo::default().code(spirv);
        // SAFETY: the device is alive; every object made here is destroyed here, after its last use.
        unsafe {
            let set = self.device.create_descriptor_set_layout(&set, None)?;
            let info = vk::PipelineLayoutCreateInfo::default()
                .set_layouts(std::slice::from_ref(&set))
                .push_constant_ranges(std::slice::from_ref(&range));
            let layout = self.device.create_pipeline_layout(&info, None)?;
            let module = self.device.create_shader_module(&create, None)?;
            let stage = vk::PipelineShaderStageCreateInfo::default()
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(module)
                .name(c"main");
            let create = vk::ComputePipelineCreateInfo::default()
                .flags(vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR)
                .stage(stage)
                .layout(layout);
            let made =
                self.device
                    .create_compute_pipelines(vk::PipelineCache::null(), &[create], None);
            let statistics = made
                .map_err(|(_, result)| result.into())
                .and_then(|pipelines| self.statistics(pipelines[0]));
            self.device.destroy_shader_module(module, None);
            self.device.destroy_pipeline_layout(layout, None);
            self.device.destroy_descriptor_set_layout(set, None);
            statistics
        }
    }
}

/// `key value, key value` of statistics.
fn listed(statistics: &Statistics) -> String {
    let list: Vec<String> = statistics
        .iter()
        .map(|(key, value)| format!("{key} {value}"))
        .collect();
    list.join(", ")
}

/// Prints what a driver says of an error: why it did not compile a kernel.
unsafe extern "system" fn print_message(
    _severity: vk::DebugUtilsMessageSeverityFlagsEXT,
    _types: vk::DebugUtilsMessageTypeFlagsEXT,
    data: *const vk::DebugUtilsMessengerCallbackDataEXT<'_>,
    _user: *mut std::ffi::c_void,
) -> vk::Bool32 {
    // SAFETY: the driver gives a valid structure, whose text is null or ends.
    let text = unsafe { (*data).message_as_c_str() };
    if let Some(text) = text {
        println!("the driver: {}", text.to_string_lossy());
    }
    vk::FALSE
}

/// The shape of a block where nobody says: what the kernel is bounded to, else 256 threads.
fn block_of(kernel: &Translated) -> [u32; 3] {
    match kernel.info.required_threads {
        Some(block) => block,
        None if kernel.info.max_threads < 1024 => [kernel.info.max_threads, 1, 1],
        None => [256, 1, 1],
    }
}

/// Compiles and prints what came of it; fails when a kernel was not compiled.
pub fn compile(arguments: &Arguments) -> anyhow::Result<()> {
    anyhow::ensure!(arguments.every > 0, "--every needs a number above 0");
    let compiler = Compiler::open()?;
    let target = match &arguments.profile {
        Some(name) => crate::profile(name)?,
        None => compiler.target.clone(),
    };
    anyhow::ensure!(
        target.warps != Warps::Subgroup64 || compiler.subgroups.1 >= 64,
        "{} has no subgroups of 64",
        compiler.name
    );
    println!("{}: {target:?}", compiler.name);
    for path in &arguments.spirv {
        let bytes = std::fs::read(path)?;
        let words: Vec<u32> = bytes
            .chunks_exact(4)
            .map(|word| word.iter().rev().fold(0, |w, &b| w << 8 | u32::from(b)))
            .collect();
        let statistics = compiler.compile_other(&words)?;
        println!("{}\n    {}", path.display(), listed(&statistics));
    }
    if arguments.files.is_empty() {
        return Ok(());
    }
    let mut csv = match &arguments.csv {
        Some(path) => Some(std::fs::File::create(path)?),
        None => None,
    };
    let (mut number, mut compiled, mut failed) = (0usize, 0usize, 0usize);
    let mut time = Duration::ZERO;
    let mut sums = Statistics::new();
    let mut spilling: Vec<(i64, String)> = Vec::new();
    let mut times: Vec<(Duration, String)> = Vec::new();
    for file in &arguments.files {
        crate::for_each_module(file, arguments.compute_capability, |_, text| {
            let module = ptx::Module::parse(&text)?;
            let layout = ModuleLayout::new(&module)?;
            for function in module
                .functions
                .iter()
                .filter(|f| f.is_entry && f.body.is_some())
            {
                let name = &*function.name;
                let parts = &arguments.kernel;
                if !parts.is_empty() && !parts.iter().any(|part| name.contains(part.as_str())) {
                    continue;
                }
                number += 1;
                if number <= arguments.skip
                    || number % arguments.every != arguments.remainder % arguments.every
                {
                    continue;
                }
                let mut target = target.clone();
                if let (Some(&[x, y, z]), true) = (
                    arguments.block.as_deref(),
                    target.rows != ptx_spirv::Rows::Any,
                ) {
                    target.rows = ptx_spirv::Rows::of([x, y, z]);
                }
                let block_for = |kernel: &Translated| match arguments.block.as_deref() {
                    Some(&[x, y, z]) => [x, y, z],
                    _ => block_of(kernel),
                };
                let mut start = Instant::now();
                let result = vulkan::with_reductions(
                    name,
                    &target,
                    0,
                    |error: &anyhow::Error| error.is::<vk::Result>(),
                    |reductions| {
                        let target = target.reduced(reductions).context("a smaller target")?;
                        let kernel = ptx_spirv::translate(&module, &layout, name, &target)?;
                        let block = block_for(&kernel);
                        if reductions == 0 {
                            if let Some(csv) = &mut csv {
                                write!(csv, "{number},{name},{}", block[0] * block[1] * block[2])?;
                                csv.flush()?;
                            }
                            // The first translation is not the driver's time.
                            start = Instant::now();
                        }
                        compiler.compile(&kernel, block, arguments.shared)
                    },
                );
                let took = start.elapsed();
                time += took;
                times.push((took, name.to_owned()));
                let (statistics, reductions) = match result {
                    Ok(made) => made,
                    Err(error) => {
                        failed += 1;
                        if !error.is::<vk::Result>() {
                            println!("not translated: {error}");
                            continue;
                        }
                        println!("not compiled: {name}: {error}");
                        if let Some(csv) = &mut csv {
                            writeln!(csv, ",{},{error}", took.as_millis())?;
                        }
                        continue;
                    }
                };
                if reductions > 0 {
                    println!("{name}: compiled for a target reduced {reductions} times");
                }
                compiled += 1;
                let list = listed(&statistics);
                if let Some(csv) = &mut csv {
                    writeln!(csv, ",{},{}", took.as_millis(), list.replace(", ", ","))?;
                }
                if !arguments.kernel.is_empty() {
                    println!("{name}\n    {} ms; {}", took.as_millis(), list);
                }
                let spills: i64 = statistics
                    .iter()
                    .filter(|(key, _)| SPILLS.contains(&key.as_str()))
                    .map(|(_, value)| value)
                    .sum();
                if spills > 0 {
                    spilling.push((spills, name.to_owned()));
                }
                for (key, value) in statistics {
                    *sums.entry(key).or_default() += value;
                }
            }
            Ok(())
        })?;
    }
    println!(
        "{compiled} kernels compiled in {:.1} s, {failed} failed, {} spill registers",
        time.as_secs_f64(),
        spilling.len()
    );
    for (key, sum) in &sums {
        println!(
            "    {key}: {:.1} a kernel",
            *sum as f64 / compiled.max(1) as f64
        );
    }
    spilling.sort();
    for (count, name) in spilling.iter().rev().take(10) {
        println!("    {count} spills: {name}");
    }
    times.sort();
    for (took, name) in times.iter().rev().take(10) {
        println!("    {:.1} s: {name}", took.as_secs_f64());
    }
    anyhow::ensure!(compiled > 0, "no kernel was compiled");
    anyhow::ensure!(failed == 0, "{failed} kernels failed");
    Ok(())
}
