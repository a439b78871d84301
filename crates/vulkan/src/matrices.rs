//! Which products of matrices the device does on PTX's own fragments: found by trying.
//!
//! VK_KHR_cooperative_matrix names the shapes; which elements a lane holds is the driver's own affair. So each shape that
//! `mma.sync` has too is translated with the assumption that the layouts agree, run on numbers whose products are exact, and
//! compared. What differs stays with plain arithmetic.

use crate::error::Error;
use crate::features::BFLOAT16_COMPONENT;
use crate::{kernels, probe, Device, PhysicalDevice};
use ash::{khr, vk};
use ptx_spirv::{MatrixMemory, MatrixShape, MatrixUnits, Target};
use std::sync::Arc;

/// One shape: how PTX and Vulkan write it.
struct Shape {
    /// The modifiers after `mma.sync.aligned.`.
    form: &'static str,
    k: u32,
    /// Registers of A, B and C as PTX counts them.
    registers: (usize, usize, usize),
    component: vk::ComponentTypeKHR,
    sum: vk::ComponentTypeKHR,
    /// Which of [`MatrixUnits`] the shape is needed for.
    unit: Unit,
}

impl Shape {
    /// Whether the registers of C and D are `.f32`.
    fn has_single_sums(&self) -> bool {
        self.sum == vk::ComponentTypeKHR::FLOAT32
    }
}

/// One of [`MatrixUnits`].
type Unit = fn(&mut MatrixUnits) -> &mut bool;

const SHAPES: [Shape; 8] = [
    Shape {
        form: "m16n8k16.row.col.f32.f16.f16.f32",
        k: 16,
        registers: (4, 2, 4),
        component: vk::ComponentTypeKHR::FLOAT16,
        sum: vk::ComponentTypeKHR::FLOAT32,
        unit: |units| &mut units.half_k16,
    },
    Shape {
        form: "m16n8k16.row.col.f16.f16.f16.f16",
        k: 16,
        registers: (4, 2, 2),
        component: vk::ComponentTypeKHR::FLOAT16,
        sum: vk::ComponentTypeKHR::FLOAT16,
        unit: |units| &mut units.half_k16,
    },
    Shape {
        form: "m16n8k8.row.col.f32.f16.f16.f32",
        k: 8,
        registers: (2, 1, 4),
        component: vk::ComponentTypeKHR::FLOAT16,
        sum: vk::ComponentTypeKHR::FLOAT32,
        unit: |units| &mut units.half_k8,
    },
    Shape {
        form: "m16n8k8.row.col.f16.f16.f16.f16",
        k: 8,
        registers: (2, 1, 2),
        component: vk::ComponentTypeKHR::FLOAT16,
        sum: vk::ComponentTypeKHR::FLOAT16,
        unit: |units| &mut units.half_k8,
    },
    Shape {
        form: "m16n8k16.row.col.f32.bf16.bf16.f32",
        k: 16,
        registers: (4, 2, 4),
        component: BFLOAT16_COMPONENT,
        sum: vk::ComponentTypeKHR::FLOAT32,
        unit: |units| &mut units.brain_k16,
    },
    Shape {
        form: "m16n8k8.row.col.f32.bf16.bf16.f32",
        k: 16,
        registers: (2, 1, 4),
        component: BFLOAT16_COMPONENT,
        sum: vk::ComponentTypeKHR::FLOAT32,
        unit: |units| &mut units.brain_k16,
    },
    Shape {
        form: "m16n8k32.row.col.s32.s8.s8.s32",
        k: 32,
        registers: (4, 2, 4),
        component: vk::ComponentTypeKHR::SINT8,
        sum: vk::ComponentTypeKHR::SINT32,
        unit: |units| &mut units.byte_k32,
    },
    Shape {
        form: "m16n8k16.row.col.s32.s8.s8.s32",
        k: 32,
        registers: (2, 1, 4),
        component: vk::ComponentTypeKHR::SINT8,
        sum: vk::ComponentTypeKHR::SINT32,
        unit: |units| &mut units.byte_k32,
    },
];

/// The shapes that only go through memory.
const UNSIGNED: [Shape; 2] = [
    Shape {
        form: "m16n8k32.row.col.s32.u8.u8.s32",
        k: 32,
        registers: (4, 2, 4),
        component: vk::ComponentTypeKHR::UINT8,
        sum: vk::ComponentTypeKHR::UINT32,
        unit: |units| &mut units.byte_k32,
    },
    Shape {
        form: "m16n8k16.row.col.s32.u8.u8.s32",
        k: 32,
        registers: (2, 1, 4),
        component: vk::ComponentTypeKHR::UINT8,
        sum: vk::ComponentTypeKHR::UINT32,
        unit: |units| &mut units.byte_k32,
    },
];

/// Words of a lane in the test's memory: A, B, C, and D with the plain and with the device's own product.
const LANE_WORDS: usize = 32;

/// The units that the device has and that keep PTX's fragments. Runs small kernels the first time with a driver; the
/// answer is kept on disk.
///
/// # Errors
/// [`Error::OutOfMemory`] or [`Error::DeviceLost`].
pub(crate) fn measure(device: &Arc<Device>) -> Result<MatrixUnits, Error> {
    let named = shapes_of(device.physical());
    let mut units = MatrixUnits::ALL;
    for shape in &SHAPES {
        let mut with = MatrixUnits::default();
        *(shape.unit)(&mut with) = true;
        let has = named.contains(&(shape.k, shape.component, shape.sum))
            && kernels::cached_probe(device, shape.form, |device| agrees(device, shape, with))?;
        *(shape.unit)(&mut units) &= has;
    }
    if reinterprets_words(device.physical()) {
        const WORDS: [(vk::ComponentTypeKHR, u32, Unit, Unit); 3] = [
            (
                vk::ComponentTypeKHR::SINT8,
                32,
                |units| &mut units.byte_k32,
                |units| &mut units.byte_words,
            ),
            (
                vk::ComponentTypeKHR::FLOAT16,
                16,
                |units| &mut units.half_k16,
                |units| &mut units.half_words,
            ),
            (
                BFLOAT16_COMPONENT,
                16,
                |units| &mut units.brain_k16,
                |units| &mut units.brain_words,
            ),
        ];
        for (component, k, unit, words) in WORDS {
            let mut with = units;
            let mut works = *unit(&mut with);
            *words(&mut with) = true;
            for shape in SHAPES
                .iter()
                .filter(|s| (s.component, s.k) == (component, k))
            {
                let name = format!("words {}", shape.form);
                works = works
                    && kernels::cached_probe(device, &name, |device| agrees(device, shape, with))?;
            }
            *words(&mut units) = works;
        }
    }
    if units.half_k16 && device.physical().features.cooperative_matrix2.conversions == vk::TRUE {
        let mut with = units;
        with.transposes = true;
        units.transposes = kernels::cached_probe(device, "transposes by two", |device| {
            transposes(device, with)
        })?;
    }
    units.memory = measure_memory(device)?;
    Ok(units)
}

/// The products through workgroup memory that the device lists, where its driver gains by them, and that give what plain
/// arithmetic gives: of whole numbers, whose sums are exact in every order.
fn measure_memory(device: &Arc<Device>) -> Result<MatrixMemory, Error> {
    let physical = device.physical();
    if physical.features.cooperative_matrix.cooperative_matrix == vk::FALSE {
        return Ok(MatrixMemory::NONE);
    }
    let instance = &physical.instance;
    let driver = vk::DriverId::from_raw(physical.driver().id);
    let mut memory = through_memory(instance.entry(), &instance.vk, physical.handle, driver);
    let halves_and_bytes = SHAPES
        .iter()
        .filter(|shape| shape.component != BFLOAT16_COMPONENT);
    for shape in halves_and_bytes.chain(&UNSIGNED) {
        let mut one = MatrixMemory::NONE;
        let (all, one_field) = (field(&mut memory, shape), field(&mut one, shape));
        let Some(tried) = *all else { continue };
        *one_field = Some(tried);
        let with = MatrixUnits {
            memory: one,
            ..MatrixUnits::default()
        };
        let name = format!("memory {tried:?} {}", shape.form);
        if !kernels::cached_probe(device, &name, |device| agrees(device, shape, with))? {
            *field(&mut memory, shape) = None;
        }
    }
    Ok(memory)
}

/// The shape of the device by which a product goes through memory.
fn field<'a>(memory: &'a mut MatrixMemory, shape: &Shape) -> &'a mut Option<MatrixShape> {
    match shape.component {
        vk::ComponentTypeKHR::UINT8 => &mut memory.unsigned,
        vk::ComponentTypeKHR::SINT8 => &mut memory.signed,
        _ if shape.has_single_sums() || memory.half.is_none() => &mut memory.half_single,
        _ => &mut memory.half,
    }
}

/// Whether a driver has been seen to reinterpret matrices of words as matrices of bytes or halves. Others are not asked: what a
/// compiler makes of a module that no specification allows cannot be known before.
fn reinterprets_words(physical: &PhysicalDevice) -> bool {
    const NVIDIA: i32 = vk::DriverId::NVIDIA_PROPRIETARY.as_raw();
    let driver = physical.driver();
    // NVIDIA packs the major version into the upper ten bits.
    driver.id == NVIDIA && driver.version >> 22 == 580
}

/// (K, element of A and B, element of C and D) of the shapes with subgroup scope that products of 16 rows and 8 columns are made
/// of: of bfloat16 those with 16 columns.
fn shapes_of(physical: &PhysicalDevice) -> Vec<(u32, vk::ComponentTypeKHR, vk::ComponentTypeKHR)> {
    if physical.features.cooperative_matrix.cooperative_matrix == vk::FALSE {
        return Vec::new();
    }
    let instance = &physical.instance;
    properties(instance.entry(), &instance.vk, physical.handle)
        .iter()
        .filter(|p| {
            p.size
                == (
                    16,
                    if p.element == BFLOAT16_COMPONENT {
                        16
                    } else {
                        8
                    },
                )
        })
        .filter(|p| {
            p.element != BFLOAT16_COMPONENT || physical.features.bfloat16.matrices == vk::TRUE
        })
        .map(|p| (p.k, p.element, p.sum))
        .collect()
}

/// What VK_KHR_cooperative_matrix lists for subgroups, where A and B, and C and the result, have the same elements, and
/// sums do not saturate. The device must have the extension.
fn properties(
    entry: &ash::Entry,
    instance: &ash::Instance,
    physical: vk::PhysicalDevice,
) -> Vec<Listed> {
    let functions = khr::cooperative_matrix::Instance::new(entry, instance);
    // SAFETY: the handle comes from this instance, and the device has the extension.
    let all = unsafe { functions.get_physical_device_cooperative_matrix_properties(physical) };
    all.unwrap_or_default()
        .iter()
        .filter(|p| {
            p.scope == vk::ScopeKHR::SUBGROUP
                && p.a_type == p.b_type
                && p.c_type == p.result_type
                && p.saturating_accumulation == vk::FALSE
        })
        .map(|p| Listed {
            size: (p.m_size, p.n_size),
            k: p.k_size,
            element: p.a_type,
            sum: p.c_type,
        })
        .collect()
}

/// A product that a device lists.
struct Listed {
    /// M and N.
    size: (u32, u32),
    k: u32,
    /// Of A and B.
    element: vk::ComponentTypeKHR,
    /// Of C and the result.
    sum: vk::ComponentTypeKHR,
}

/// The products that a device lists and that go through workgroup memory where its driver is one that gains by it. The
/// device must have VK_KHR_cooperative_matrix.
pub(crate) fn through_memory(
    entry: &ash::Entry,
    instance: &ash::Instance,
    physical: vk::PhysicalDevice,
    driver: vk::DriverId,
) -> MatrixMemory {
    if !gains(driver) {
        return MatrixMemory::NONE;
    }
    let all = properties(entry, instance, physical);
    use vk::ComponentTypeKHR as T;
    let find = |element: T, sum: T, depths: &[u32]| {
        // The first depth that there is, and the shape of which the least is lost.
        const SIZES: [(u32, u32); 4] = [(16, 8), (8, 16), (8, 8), (16, 16)];
        depths.iter().find_map(|&k| {
            SIZES.iter().find_map(|&size| {
                all.iter()
                    .any(|p| (p.size, p.k, p.element, p.sum) == (size, k, element, sum))
                    .then(|| MatrixShape::new(size.0 as u8, size.1 as u8, k as u8))
            })
        })
    };
    MatrixMemory {
        half_single: find(T::FLOAT16, T::FLOAT32, &[16]),
        half: find(T::FLOAT16, T::FLOAT16, &[16]).filter(|s| (s.m, s.n) != (8, 16)),
        signed: find(T::SINT8, T::SINT32, &[32, 16]),
        unsigned: find(T::UINT8, T::UINT32, &[32, 16]),
    }
}

/// Whether kernels gain by products through workgroup memory under a driver.
///
/// Mesa's for Intel compiles flash attention and products of quantised matrices in a fraction of the time, with fewer
/// instructions and spills; some it did not compile at all. RADV, whose registers hold what plain arithmetic fetches,
/// expects most of them to take longer, although there are fewer instructions: it has shapes of 16 columns alone, of which
/// half is lost. (The numbers are in `docs/benchmarks.md`.) On NVIDIA's GPUs fragments stay in registers.
fn gains(driver: vk::DriverId) -> bool {
    driver == vk::DriverId::INTEL_OPEN_SOURCE_MESA
}

/// Whether ldmatrix.trans by conversions of matrices gives what reading element by element gives.
fn transposes(device: &Arc<Device>, units: MatrixUnits) -> Result<bool, Error> {
    let data: Vec<u8> = (0..32 * LANE_WORDS as u32)
        .flat_map(|n| n.wrapping_mul(0x9e37_79b9).rotate_left(n).to_le_bytes())
        .collect();
    let run = |units| {
        let target = Target {
            matrix_units: units,
            ..device.target().clone()
        };
        probe::run(device, &target, TRANSPOSE, &data)
    };
    let with = run(units);
    let without = run(MatrixUnits::default())?;
    match with {
        Ok(words) => Ok(words == without),
        Err(Error::DeviceLost) => Err(Error::DeviceLost),
        Err(error) => {
            tracing::warn!(%error, "not used: the driver refuses the test of conversions");
            Ok(false)
        }
    }
}

/// Four and two matrices whose rows lie in no order, transposed.
const TRANSPOSE: &str = "
.version 8.0
.target sm_90
.address_size 64
.entry probe(.param .u64 p)
{
    .reg .b64 %a<3>;
    .reg .b32 %r<14>;
    .shared .align 16 .b8 rows[512];
    ld.param.u64 %a0, [p];
    mov.u32 %r0, %tid.x;
    mul.wide.u32 %a1, %r0, 128;
    add.s64 %a2, %a0, %a1;
    ld.global.v4.b32 {%r1, %r2, %r3, %r4}, [%a2];
    mov.u32 %r5, rows;
    shl.b32 %r6, %r0, 4;
    add.u32 %r6, %r6, %r5;
    st.shared.v4.b32 [%r6], {%r1, %r2, %r3, %r4};
    bar.warp.sync -1;
    mul.lo.u32 %r7, %r0, 11;
    and.b32 %r7, %r7, 31;
    mad.lo.u32 %r7, %r7, 16, %r5;
    ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%r8, %r9, %r10, %r11}, [%r7];
    ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%r12, %r13}, [%r7];
    st.global.v4.b32 [%a2+16], {%r8, %r9, %r10, %r11};
    st.global.v2.b32 [%a2+32], {%r12, %r13};
    ret;
}
";

/// Whether a shape on cooperative matrices gives what plain arithmetic gives.
fn agrees(device: &Arc<Device>, shape: &Shape, units: MatrixUnits) -> Result<bool, Error> {
    let data = fragments(shape);
    let with = run(device, shape, units, &data);
    let without = run(device, shape, MatrixUnits::default(), &data)?;
    match with {
        Ok(words) => Ok(words == without),
        Err(Error::DeviceLost) => Err(Error::DeviceLost),
        Err(error) => {
            tracing::warn!(shape = shape.form, %error, "not used: the driver refuses the test");
            Ok(false)
        }
    }
}

/// Small whole numbers in every element, different ones in every place: all sums are exact in every order.
fn fragments(shape: &Shape) -> Vec<u8> {
    let mut state = 0x9e37_79b9u32;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let half = |n: u32| -> u32 {
        // -4 to 4 in half precision and in bfloat16.
        const HALVES: [u32; 9] = [
            0xc400, 0xc200, 0xc000, 0xbc00, 0, 0x3c00, 0x4000, 0x4200, 0x4400,
        ];
        const BRAINS: [u32; 9] = [
            0xc080, 0xc040, 0xc000, 0xbf80, 0, 0x3f80, 0x4000, 0x4040, 0x4080,
        ];
        let numbers = match shape.component {
            BFLOAT16_COMPONENT => &BRAINS,
            _ => &HALVES,
        };
        numbers[n as usize % 9]
    };
    let (a, b, c) = shape.registers;
    let mut words = vec![0u32; 32 * LANE_WORDS];
    for lane in words.chunks_exact_mut(LANE_WORDS) {
        for (n, word) in lane[..a + b + c].iter_mut().enumerate() {
            let bytes = [vk::ComponentTypeKHR::SINT8, vk::ComponentTypeKHR::UINT8];
            *word = if bytes.contains(&shape.component) {
                next()
            } else if n >= a + b && shape.has_single_sums() {
                ((next() % 100) as f32).to_bits()
            } else {
                half(next() >> 8) | half(next() >> 8) << 16
            };
        }
    }
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The test's memory afterwards.
fn run(
    device: &Arc<Device>,
    shape: &Shape,
    units: MatrixUnits,
    data: &[u8],
) -> Result<Vec<u8>, Error> {
    let target = Target {
        matrix_units: units,
        ..device.target().clone()
    };
    probe::run(device, &target, &kernel(shape), data)
}

/// A warp that loads its fragments, multiplies, and stores D behind them.
fn kernel(shape: &Shape) -> String {
    use std::fmt::Write;
    let (a, b, c) = shape.registers;
    let (kind, sum) = if shape.has_single_sums() {
        ("f32", "%f")
    } else {
        ("b32", "%s")
    };
    let list = |prefix: &str, from: usize, count: usize| -> String {
        let names: Vec<String> = (from..from + count)
            .map(|n| format!("{prefix}{n}"))
            .collect();
        names.join(", ")
    };
    let mut text = format!(
        ".version 8.0\n.target sm_90\n.address_size 64\n.entry probe(.param .u64 p)\n{{\n\
         .reg .b64 %a<3>;\n.reg .b32 %r<{}>;\n.reg .{kind} {sum}<{}>;\n\
         ld.param.u64 %a0, [p];\nmov.u32 %r0, %tid.x;\nmul.wide.u32 %a1, %r0, {};\nadd.s64 %a2, %a0, %a1;\n",
        a + b + 1,
        2 * c,
        LANE_WORDS * 4,
    );
    for n in 0..a + b {
        let _ = writeln!(text, "ld.global.b32 %r{}, [%a2+{}];", n + 1, 4 * n);
    }
    for n in 0..c {
        let _ = writeln!(
            text,
            "ld.global.{kind} {sum}{n}, [%a2+{}];",
            4 * (a + b + n)
        );
    }
    let _ = writeln!(
        text,
        "mma.sync.aligned.{} {{{}}}, {{{}}}, {{{}}}, {{{}}};",
        shape.form,
        list(sum, c, c),
        list("%r", 1, a),
        list("%r", a + 1, b),
        list(sum, 0, c),
    );
    for n in 0..c {
        let at = 4 * (a + b + c + n);
        let _ = writeln!(text, "st.global.{kind} [%a2+{at}], {sum}{};", c + n);
    }
    text.push_str("ret;\n}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptx_spirv::ModuleLayout;

    #[test]
    fn the_kernels_translate() {
        for shape in &SHAPES {
            let text = kernel(shape);
            let module = ptx::Module::parse(&text).unwrap();
            let layout = ModuleLayout::new(&module).unwrap();
            for target in [Target::lavapipe(), Target::subgroup32(), Target::nvidia()] {
                ptx_spirv::translate(&module, &layout, "probe", &target)
                    .unwrap_or_else(|error| panic!("{}: {error}", shape.form));
            }
        }
    }
}
