//! Which device it is.

/// The kernel's driver.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// Up to Meteor Lake.
    I915,
    /// Lunar Lake and newer.
    Xe,
}

/// A device as the driver sees it.
#[derive(Clone, Copy)]
pub(crate) struct Model {
    name: &'static str,
    /// PCI device id.
    pub(crate) id: u16,
    /// Version of the graphics unit, major and minor.
    pub(crate) version: (u16, u16),
    /// Bytes of its own memory; 0 where it uses the host's.
    pub(crate) memory: u64,
    /// Xe cores (dual subslices), and execution units in each.
    pub(crate) cores: u32,
    pub(crate) units: u32,
    /// Compute engines beside the render engine.
    pub(crate) compute_engines: u16,
    /// Banks of the third-level cache.
    pub(crate) cache_banks: u32,
    pub(crate) kernel: Kernel,
}

const MODELS: [Model; 4] = [
    Model {
        name: "tgl",
        id: 0x9a49,
        version: (12, 0),
        memory: 0,
        cores: 6,
        units: 16,
        compute_engines: 0,
        cache_banks: 8,
        kernel: Kernel::I915,
    },
    Model {
        name: "dg2",
        id: 0x56a0,
        version: (12, 55),
        memory: 16 << 30,
        cores: 32,
        units: 16,
        compute_engines: 4,
        cache_banks: 32,
        kernel: Kernel::I915,
    },
    Model {
        name: "lnl",
        id: 0x64a0,
        version: (20, 4),
        memory: 0,
        cores: 8,
        units: 8,
        compute_engines: 1,
        cache_banks: 16,
        kernel: Kernel::Xe,
    },
    Model {
        name: "bmg",
        id: 0xe20b,
        version: (20, 1),
        memory: 12 << 30,
        cores: 20,
        units: 8,
        compute_engines: 1,
        cache_banks: 48,
        kernel: Kernel::Xe,
    },
];

/// Stepping that all of them report, late enough for no workaround of first silicon.
pub(crate) const REVISION: u32 = 8;
/// Bytes of the host's memory that the device may use.
pub(crate) const SYSTEM_MEMORY: u64 = 16 << 30;
/// Ticks a second of the devices' clock.
pub(crate) const CLOCK: u32 = 19_200_000;
/// Bits of device addresses.
pub(crate) const ADDRESS_BITS: u64 = 48;

impl Model {
    /// What the environment asks for; ends the process where there is no such device, since a default would be believed.
    pub(crate) fn from_environment() -> Self {
        let name = std::env::var("NO_OP_INTEL").unwrap_or_else(|_| "dg2".to_owned());
        let Some(mut model) = MODELS.into_iter().find(|model| model.name == name) else {
            refuse("NO_OP_INTEL", &name, &MODELS.map(|model| model.name))
        };
        match std::env::var("NO_OP_INTEL_KERNEL").as_deref() {
            Ok("i915") => model.kernel = Kernel::I915,
            Ok("xe") => model.kernel = Kernel::Xe,
            Ok(other) => refuse("NO_OP_INTEL_KERNEL", other, &["i915", "xe"]),
            Err(_) => {}
        }
        model
    }

    /// Bytes that memory of the device is aligned to.
    pub(crate) fn page(&self) -> u32 {
        if self.memory > 0 {
            65536
        } else {
            4096
        }
    }

    /// The answer to "hardware configuration": key, number of words, words. Older devices have none.
    pub(crate) fn configuration(&self) -> Option<[u32; 6]> {
        const UNITS_PER_CORE: u32 = 3;
        const THREADS_PER_UNIT: u32 = 15;
        (self.version >= (12, 55)).then_some([
            UNITS_PER_CORE,
            1,
            self.units,
            THREADS_PER_UNIT,
            1,
            8,
        ])
    }
}

fn refuse(variable: &str, value: &str, known: &[&str]) -> ! {
    eprintln!("no-op-intel: {variable}={value}: not one of {known:?}");
    std::process::exit(2)
}
