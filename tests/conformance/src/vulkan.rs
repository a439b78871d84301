//! Kernels through this process's translator, on the machine's first Vulkan device.

use crate::bench::Case;
use crate::side::Buffers;
use ptx_spirv::{KernelInfo, ModuleLayout, Target};
use std::sync::Arc;
use texture::{Class, Descriptor};
use vulkan::{Allocation, Device, Instance, Launch, MemoryKind, Stream};

pub(crate) struct VulkanSide {
    device: Arc<Device>,
    stream: Arc<Stream>,
}

impl VulkanSide {
    /// # Panics
    /// Without a device.
    pub(crate) fn open() -> Self {
        let instance = Instance::load().expect("a Vulkan loader");
        let physical = instance
            .physical_devices()
            .first()
            .expect("a device; lavapipe will do");
        let device = Device::open(physical).expect("the device opens");
        let stream = device.create_stream().expect("a stream");
        Self { device, stream }
    }

    /// The same device, with a stream of its own.
    ///
    /// # Panics
    /// Without such a stream.
    pub(crate) fn another(&self) -> Self {
        Self {
            device: self.device.clone(),
            stream: self.device.create_stream().expect("a stream"),
        }
    }

    pub(crate) fn target(&self) -> &Target {
        self.device.target()
    }

    fn allocate(&self, bytes: usize) -> Result<Allocation, String> {
        self.device
            .allocate(bytes.max(16) as u64, MemoryKind::Device)
            .map_err(|e| e.to_string())
    }

    pub(crate) fn buffers(&self, input: usize, output: usize) -> Result<Buffers, String> {
        let (input, output) = (self.allocate(input)?, self.allocate(output)?);
        Ok(Buffers {
            input: input.address(),
            output: output.address(),
            _keep: Box::new((input, output)),
        })
    }

    /// The handles of the references that a kernel uses, and the memory of what nothing is bound to.
    fn references(
        &self,
        module: &ptx::Module,
        case: &Case,
        input: &[u8],
        info: &KernelInfo,
    ) -> Result<(Vec<u64>, Vec<Allocation>), String> {
        let (mut handles, mut unbound) = (Vec::new(), Vec::new());
        for name in &info.references {
            if let Some(bound) = case.references.iter().find(|r| r.name == *name) {
                handles.push(bound.handle_in(input));
                continue;
            }
            let variable = module.variable(name).ok_or("no such reference")?;
            let opaque = variable.opaque.as_ref().ok_or("no reference")?;
            let class = match opaque.kind {
                ptx::OpaqueKind::Texture => Class::Texture,
                ptx::OpaqueKind::Sampler => Class::Sampler,
                ptx::OpaqueKind::Surface => Class::Surface,
            };
            let memory = self.allocate(texture::BYTES + texture::WIDEST_TEXEL as usize)?;
            let texel = memory.address() + texture::BYTES as u64;
            let mut descriptor = Descriptor::unbound(class, texel);
            for (field, value) in &opaque.fields {
                descriptor.set_field(field, value)?;
            }
            let mut bytes = descriptor.encode().to_vec();
            bytes.extend([0; texture::WIDEST_TEXEL as usize]);
            self.stream
                .write(memory.address(), &bytes)
                .map_err(|e| e.to_string())?;
            handles.push(memory.address());
            unbound.push(memory);
        }
        Ok((handles, unbound))
    }

    pub(crate) fn run(
        &self,
        module: &ptx::Module,
        case: &Case,
        buffers: &Buffers,
        input: &[u8],
        target: Option<&Target>,
    ) -> Result<Vec<u8>, String> {
        let layout = ModuleLayout::new(module).map_err(|e| format!("layout: {e}"))?;
        let target = target.unwrap_or_else(|| self.target());
        let translated = ptx_spirv::translate(module, &layout, "k", target)
            .map_err(|e| format!("translator: {e}"))?;
        let mut image = layout.image.clone();
        let variables = self.allocate(image.len())?;
        for relocation in &layout.relocations {
            let bytes = relocation.bytes(variables.address());
            let (at, size) = (relocation.offset as usize, relocation.size as usize);
            image[at..at + size].copy_from_slice(&bytes[..size]);
        }
        let parameters: Vec<u8> = [buffers.input, buffers.output]
            .iter()
            .flat_map(|a| a.to_le_bytes())
            .collect();
        let (handles, _unbound) = self.references(module, case, input, &translated.info)?;
        let device = || -> Result<Vec<u8>, vulkan::Error> {
            self.stream.write(buffers.input, input)?;
            self.stream.write(buffers.output, &case.output)?;
            self.stream.write(variables.address(), &image)?;
            let shader = self.device.create_shader(&translated)?;
            let pipeline = shader.pipeline(case.block, case.dynamic_shared)?;
            crate::isolate::compiled(&case.name);
            let block = translated
                .info
                .parameter_block(&parameters, &handles, case.grid, false);
            let launch = Launch {
                grid: case.grid,
                parameters: &block,
                module: variables.address(),
                ..Launch::default()
            };
            self.stream.launch(&pipeline, &launch)?;
            self.stream.synchronize()?;
            let mut got = vec![0; case.output.len()];
            self.stream.read(buffers.output, &mut got)?;
            Ok(got)
        };
        device().map_err(|e| {
            self.device.clear_fault();
            format!("device: {e}")
        })
    }
}
