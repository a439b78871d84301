//! `vkcuda probe`: what a driver's own operations do, measured.
//!
//! Each operation is a shader of its own, run on ordinary, extreme, subnormal and random operands, and compared with the
//! correctly rounded result, or for functions with the exact value. The translator knows from this what it can use as it is
//! and what it has to correct (`docs/numbers.md`).

mod shader;

use anyhow::{bail, Context};
use ptx::{Modifier, Opcode};
use ptx_reference::semantics::softfloat::{Format, Rounding, F16, F32, F64};
use ptx_reference::semantics::{evaluate, Form};
use rspirv::spirv::{GLOp, Op};
use shader::{Instruction, Modes, Number, GROUPS, SETS};
use std::sync::Arc;
use vulkan::{Device, Instance, Launch, MemoryKind};

#[derive(clap::Args)]
pub struct Arguments {
    /// The device's number in `vkcuda info`.
    #[arg(long, default_value_t = 0)]
    device: usize,
}

/// What a result is compared with.
enum Exact {
    /// Correctly rounded bits.
    Bits(fn(Format, [u64; 3]) -> u64),
    /// A function, as exactly as a double has it.
    Function(fn(f64) -> f64),
    /// A truth value.
    Truth(fn(f64, f64) -> bool),
}

struct Operation {
    name: &'static str,
    instruction: Instruction,
    from: Number,
    to: Number,
    exact: Exact,
    /// Operands of functions: the exponents of two that their magnitudes are between.
    range: [i32; 2],
}

const NEAREST: Rounding = Rounding::NearestEven;

fn operations() -> Vec<Operation> {
    let mut all = Vec::new();
    let mut add = |name, instruction, from, to, exact, range| {
        all.push(Operation {
            name,
            instruction,
            from,
            to,
            exact,
            range,
        });
    };
    let wide = [-200, 200];
    for (from, names) in [
        (
            Number::F32,
            [
                "FAdd f32",
                "FMul f32",
                "FDiv f32",
                "1 / x f32",
                "Sqrt f32",
                "Fma f32",
                "FMul, FAdd f32",
            ],
        ),
        (
            Number::F64,
            [
                "FAdd f64",
                "FMul f64",
                "FDiv f64",
                "1 / x f64",
                "Sqrt f64",
                "Fma f64",
                "FMul, FAdd f64",
            ],
        ),
        (
            Number::F16,
            [
                "FAdd f16",
                "FMul f16",
                "FDiv f16",
                "1 / x f16",
                "Sqrt f16",
                "Fma f16",
                "FMul, FAdd f16",
            ],
        ),
    ] {
        let exact: [fn(Format, [u64; 3]) -> u64; 7] = [
            |f, [a, b, _]| f.add(a, b, NEAREST),
            |f, [a, b, _]| f.multiply(a, b, NEAREST),
            |f, [a, b, _]| f.divide(a, b, NEAREST),
            |f, [a, ..]| f.divide(f.from_f64(1.0), a, NEAREST),
            |f, [a, ..]| f.square_root(a, NEAREST),
            |f, [a, b, c]| f.multiply_add(a, b, c, NEAREST),
            |f, [a, b, c]| f.multiply_add(a, b, c, NEAREST),
        ];
        let instructions = [
            Instruction::Core(Op::FAdd, 2),
            Instruction::Core(Op::FMul, 2),
            Instruction::Core(Op::FDiv, 2),
            Instruction::Reciprocal,
            Instruction::Glsl(GLOp::Sqrt, 1),
            Instruction::Glsl(GLOp::Fma, 3),
            Instruction::Contracted,
        ];
        for n in 0..7 {
            add(
                names[n],
                instructions[n],
                from,
                from,
                Exact::Bits(exact[n]),
                wide,
            );
        }
    }
    type Function = (GLOp, fn(f64) -> f64, [&'static str; 2], [i32; 2]);
    let functions: [Function; 6] = [
        (
            GLOp::InverseSqrt,
            |x| 1.0 / x.sqrt(),
            ["InverseSqrt f32", "InverseSqrt f16"],
            wide,
        ),
        (GLOp::Exp2, f64::exp2, ["Exp2 f32", "Exp2 f16"], [-30, 6]),
        (GLOp::Log2, f64::log2, ["Log2 f32", "Log2 f16"], wide),
        (GLOp::Sin, f64::sin, ["Sin f32", "Sin f16"], [-20, 1]),
        (GLOp::Cos, f64::cos, ["Cos f32", "Cos f16"], [-20, 1]),
        (GLOp::Tanh, f64::tanh, ["Tanh f32", "Tanh f16"], [-20, 4]),
    ];
    for (op, exact, names, range) in functions {
        for (from, name) in [Number::F32, Number::F16].into_iter().zip(names) {
            add(
                name,
                Instruction::Glsl(op, 1),
                from,
                from,
                Exact::Function(exact),
                range,
            );
        }
    }
    let convert = Instruction::Core(Op::FConvert, 1);
    add(
        "FConvert f32 to f16",
        convert,
        Number::F32,
        Number::F16,
        Exact::Bits(|_, [a, ..]| F16.round(F32.unpack(a), NEAREST)),
        [-30, 18],
    );
    add(
        "FConvert f16 to f32",
        convert,
        Number::F16,
        Number::F32,
        Exact::Bits(|_, [a, ..]| F32.round(F16.unpack(a), NEAREST)),
        wide,
    );
    add(
        "FConvert f64 to f32",
        convert,
        Number::F64,
        Number::F32,
        Exact::Bits(|_, [a, ..]| F32.round(F64.unpack(a), NEAREST)),
        [-160, 130],
    );
    add(
        "FConvert f32 to f64",
        convert,
        Number::F32,
        Number::F64,
        Exact::Bits(|_, [a, ..]| F64.round(F32.unpack(a), NEAREST)),
        wide,
    );
    let less = Instruction::Core(Op::FOrdLessThan, 2);
    let equal = Instruction::Core(Op::FOrdEqual, 2);
    for (from, names) in [
        (Number::F32, ["FOrdLessThan f32", "FOrdEqual f32"]),
        (Number::F64, ["FOrdLessThan f64", "FOrdEqual f64"]),
        (Number::F16, ["FOrdLessThan f16", "FOrdEqual f16"]),
    ] {
        add(
            names[0],
            less,
            from,
            Number::Bool,
            Exact::Truth(|a, b| a < b),
            wide,
        );
        add(
            names[1],
            equal,
            from,
            Number::Bool,
            Exact::Truth(|a, b| a == b),
            wide,
        );
    }
    all
}

fn format(n: Number) -> Format {
    match n {
        Number::F16 => F16,
        Number::F64 => F64,
        _ => F32,
    }
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// Operand sets: a quarter of any bits, a quarter with a subnormal number, the rest of a size that fits.
fn operands(operation: &Operation) -> Vec<[u64; 3]> {
    let format = format(operation.from);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mask = u64::MAX >> (64 - operation.from.bits());
    let mantissa = (1u64 << (format.fraction + format.padding)) - 1;
    let [low, high] = operation.range;
    let ordinary = |random: &mut Random| {
        let span = (high - low) as u64;
        let exponent = low + (random.bits() >> 40).checked_rem(span).unwrap_or(0) as i32;
        let value =
            (1.0 + (random.bits() >> 12) as f64 / (1u64 << 52) as f64) * f64::from(exponent).exp2();
        let sign = if random.bits() >> 63 == 1 { -1.0 } else { 1.0 };
        // Back into the format's range.
        let limit = format.to_f64(format.max_finite());
        let value = if value > limit {
            limit / value.log2()
        } else {
            value
        };
        format.from_f64(sign * value)
    };
    (0..SETS)
        .map(|n| {
            let mut set = [0; 3];
            for (k, operand) in set.iter_mut().enumerate() {
                *operand = match n % 4 {
                    0 => random.bits() & mask,
                    1 if k == n / 4 % operation.instruction.operands() => {
                        // Of any length.
                        let shift = (random.bits() >> 50) % u64::from(format.fraction);
                        (random.bits() & mantissa) >> shift | (random.bits() & format.sign_bit())
                    }
                    // Neighbours, for comparisons and cancellation.
                    2 if k == 1 => set_neighbour(&mut random, set_first(n, format), mask),
                    2 if k == 0 => set_first(n, format),
                    _ => ordinary(&mut random),
                };
            }
            set
        })
        .collect()
}

/// A small number with its sign, by the set's number: subnormal or just not.
fn set_first(n: usize, format: Format) -> u64 {
    let least = 1u64 << (format.fraction + format.padding);
    let at = [
        0,
        1,
        least / 2,
        least - 1,
        least,
        least + 1,
        2 * least,
        3 * least,
    ];
    at[n / 4 % 8]
        | if n / 32 % 2 == 1 {
            format.sign_bit()
        } else {
            0
        }
}

fn set_neighbour(random: &mut Random, of: u64, mask: u64) -> u64 {
    of.wrapping_add(random.bits() >> 62).wrapping_sub(1) & mask
}

/// What was found out about an operation.
#[derive(Default)]
struct Found {
    compared: usize,
    /// Results that are not the correctly rounded ones, of those with ordinary operands and results.
    inexact: usize,
    /// The largest error in units of the last place.
    error: f64,
    /// Of functions, the largest difference itself.
    difference: f64,
    /// With subnormal operands: results as if they were kept, as if they were zero, neither.
    operands: [usize; 3],
    /// Subnormal results: kept, zero, something else.
    results: [usize; 3],
    /// Wrong results where an operand or the result is no number or infinite.
    special: usize,
}

fn verdict([kept, flushed, other]: [usize; 3]) -> String {
    match (kept, flushed, other) {
        (0, 0, 0) => "-".to_owned(),
        (_, 0, 0) => "kept".to_owned(),
        (0, _, 0) => "zero".to_owned(),
        _ => format!("{kept} kept, {flushed} zero, {other} other"),
    }
}

fn judge(operation: &Operation, sets: &[[u64; 3]], results: &[u64]) -> Found {
    let mut found = Found::default();
    let (from, to) = (format(operation.from), format(operation.to));
    let count = operation.instruction.operands();
    for (set, &got) in sets.iter().zip(results) {
        let used = &set[..count];
        // For the functions' error: inside their range only.
        let flushed = set.map(|v| from.flush(v));
        let expect = |set: [u64; 3]| match operation.exact {
            Exact::Bits(f) => f(from, set),
            Exact::Function(f) => to.from_f64(f(from.to_f64(set[0]))),
            Exact::Truth(f) => f(from.to_f64(set[0]), from.to_f64(set[1])).into(),
        };
        let (kept_result, flushed_result) = (expect(*set), expect(flushed));
        let subnormal = used.iter().any(|&v| from.is_subnormal(v));
        if let Exact::Truth(_) = operation.exact {
            found.compared += 1;
            if !subnormal {
                found.inexact += usize::from(got != kept_result);
            } else if kept_result != flushed_result {
                let at = if got == kept_result { 0 } else { 1 };
                found.operands[at] += 1;
            }
            continue;
        }
        let value = |bits: u64| to.to_f64(bits);
        let special = used.iter().any(|&v| !from.to_f64(v).is_finite())
            || !value(kept_result).is_finite()
            || !value(got).is_finite() && !subnormal;
        let same = |a: u64, b: u64| a == b || value(a).is_nan() && value(b).is_nan();
        // How far from the exact value, in units of the last place.
        let distance = |expected: u64| {
            let exact = match operation.exact {
                Exact::Function(f) => f(from.to_f64(set[0])),
                _ => value(expected),
            };
            let unit = exact.abs().max(value(1 << (to.fraction + to.padding)));
            (value(got) - exact).abs() / (unit.log2().floor() - f64::from(to.fraction)).exp2()
        };
        if subnormal {
            let near = |expected: u64| {
                same(got, expected)
                    || matches!(operation.exact, Exact::Function(_)) && distance(expected) < 64.0
            };
            // Only where it makes a difference, and the result itself would not be flushed.
            let differ = !same(kept_result, flushed_result)
                && !to.is_subnormal(kept_result)
                && !(value(kept_result) - value(flushed_result))
                    .abs()
                    .le(&(value(kept_result).abs() / 1e3));
            if differ {
                let at = if near(kept_result) {
                    0
                } else if same(got, flushed_result) {
                    1
                } else {
                    2
                };
                found.operands[at] += 1;
            }
            continue;
        }
        if special {
            found.special += usize::from(
                !same(got, kept_result) && !matches!(operation.exact, Exact::Function(_)),
            );
            continue;
        }
        if to.is_subnormal(kept_result) {
            let at = if same(got, kept_result)
                || matches!(operation.exact, Exact::Function(_))
                    && distance(kept_result) < 64.0
                    && value(got) != 0.0
            {
                0
            } else if value(got) == 0.0 {
                1
            } else {
                2
            };
            found.results[at] += 1;
            continue;
        }
        if let Exact::Function(_) = operation.exact {
            let magnitude = from.to_f64(set[0]).abs();
            let [low, high] = operation.range.map(|e| f64::from(e).exp2());
            if magnitude < low || magnitude > high || value(kept_result) == 0.0 {
                continue;
            }
        }
        found.compared += 1;
        found.inexact += usize::from(!same(got, kept_result));
        found.error = found.error.max(distance(kept_result));
        if let Exact::Function(f) = operation.exact {
            let difference = (value(got) - f(from.to_f64(set[0]))).abs();
            found.difference = found.difference.max(difference);
        }
    }
    found
}

/// Runs an operation.
fn run(
    device: &Arc<Device>,
    kernel: &ptx_spirv::Translated,
    sets: &[[u64; 3]],
) -> anyhow::Result<Vec<u64>> {
    let mut data = Vec::with_capacity(32 * SETS);
    for n in 0..3 {
        data.extend((0..SETS).flat_map(|k| sets.get(k).map_or(0, |set| set[n]).to_le_bytes()));
    }
    data.resize(32 * SETS, 0xee);
    let pipeline = device.create_shader(kernel)?.pipeline([32, 1, 1], 0)?;
    let memory = device.allocate(data.len() as u64, MemoryKind::Device)?;
    let stream = device.create_stream()?;
    stream.write(memory.address(), &data)?;
    stream.launch(
        &pipeline,
        &Launch {
            grid: [GROUPS, 1, 1],
            parameters: &memory.address().to_le_bytes(),
            ..Launch::default()
        },
    )?;
    let mut results = vec![0; 8 * sets.len()];
    stream.read(memory.address() + 24 * SETS as u64, &mut results)?;
    Ok(results
        .chunks_exact(8)
        .map(|c| u64::from_le_bytes(c.try_into().expect("8 bytes")))
        .collect())
}

/// Prints the tables of a device.
pub fn probe(arguments: &Arguments) -> anyhow::Result<()> {
    let instance = Instance::load()?;
    let Some(physical) = instance.physical_devices().get(arguments.device) else {
        bail!("no device {}: vkcuda info lists them", arguments.device);
    };
    let device = Device::open(physical).context("the device does not open")?;
    let target = device.target();
    println!(
        "{}: {} {}",
        physical.name(),
        physical.driver().name,
        physical.driver().info
    );
    println!("\nOf {SETS} operand sets each. Without modes; then with those that translated kernels ask for:");
    let translated = Modes {
        preserve: [
            target.denorm_preserve_f16,
            target.denorm_preserve_f32,
            target.denorm_preserve_f64,
        ],
        flush_f32: false,
        nearest_f32: target.rounding_rte_f32,
        keep_nan_f32: target.nan_preserve_f32,
    };
    let flush = Modes {
        flush_f32: true,
        ..Modes::default()
    };
    println!("{translated:?}\n");
    println!("| operation | modes | not correctly rounded | largest error, ulp (absolute) | subnormal operands | subnormal results | wrong with NaN or infinity |");
    println!("|---|---|---|---|---|---|---|");
    for operation in operations() {
        if !target.float64 && [operation.from, operation.to].contains(&Number::F64) {
            continue;
        }
        let sets = operands(&operation);
        let mut modes = vec![("none", Modes::default()), ("translated", translated)];
        if target.denorm_flush_f32 && operation.from == Number::F32 {
            modes.push(("flush", flush));
        }
        let mut rows: Vec<(&str, String)> = Vec::new();
        for (name, modes) in modes {
            let kernel = shader::kernel(operation.instruction, operation.from, operation.to, modes);
            let row = match run(&device, &kernel, &sets) {
                Ok(results) => {
                    let f = judge(&operation, &sets, &results);
                    let share = if f.inexact == 0 {
                        "0".to_owned()
                    } else {
                        format!(
                            "{:.2} %",
                            100.0 * f.inexact as f64 / f.compared.max(1) as f64
                        )
                    };
                    let error = match operation.exact {
                        Exact::Function(_) => format!("{:.2} ({:.1e})", f.error, f.difference),
                        _ => format!("{:.2}", f.error),
                    };
                    format!(
                        "{share} | {error} | {} | {} | {}",
                        verdict(f.operands),
                        verdict(f.results),
                        f.special
                    )
                }
                Err(error) => format!("{error} | | | |"),
            };
            rows.push((name, row));
        }
        // The same with all modes is one row.
        if rows.iter().all(|r| r.1 == rows[0].1) {
            rows.truncate(1);
            rows[0].0 = "any";
        }
        for (name, row) in rows {
            println!("| {} | {name} | {row} |", operation.name);
        }
    }
    conversions(&device, target.float64)?;
    extremes(&device, translated)
}

/// Conversions to integers of what does not fit.
fn conversions(device: &Arc<Device>, float64: bool) -> anyhow::Result<()> {
    println!("\nConversions to integers (what PTX has in brackets):\n");
    let values = [
        0.5,
        -0.5,
        1.5,
        -1.0,
        3e9,
        -3e9,
        5e9,
        1e19,
        -1e19,
        3e19,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ];
    let names: Vec<String> = values.iter().map(|v| format!("{v}")).collect();
    println!("| conversion | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(values.len()));
    for (from, label) in [
        (Number::F32, "f32"),
        (Number::F64, "f64"),
        (Number::F16, "f16"),
    ] {
        if from == Number::F64 && !float64 {
            continue;
        }
        for (to, name, signed) in [
            (Number::S32, "s32", true),
            (Number::U32, "u32", false),
            (Number::S64, "s64", true),
            (Number::U64, "u64", false),
        ] {
            let op = if signed {
                Op::ConvertFToS
            } else {
                Op::ConvertFToU
            };
            let kernel = shader::kernel(Instruction::Core(op, 1), from, to, Modes::default());
            let sets: Vec<[u64; 3]> = values
                .iter()
                .map(|&v| [format(from).from_f64(v), 0, 0])
                .collect();
            let results = run(device, &kernel, &sets)?;
            let cells: Vec<String> = results
                .iter()
                .zip(&sets)
                .map(|(&got, set)| {
                    let form = Form::new(Opcode::Cvt, &[Modifier::Rzi, ty(to), ty(from)]);
                    let expected = evaluate(&form, &set[..1], false).map_or(0, |v| v.value);
                    if got == expected {
                        "same".to_owned()
                    } else {
                        format!("{got:#x} ({expected:#x})")
                    }
                })
                .collect();
            println!("| {label} to {name} | {} |", cells.join(" | "));
        }
    }
    Ok(())
}

/// The PTX type of a number.
fn ty(n: Number) -> Modifier {
    match n {
        Number::F16 => Modifier::F16,
        Number::F32 => Modifier::F32,
        Number::F64 => Modifier::F64,
        Number::S32 => Modifier::S32,
        Number::S64 => Modifier::S64,
        Number::U64 => Modifier::U64,
        Number::U32 | Number::Bool => Modifier::U32,
    }
}

/// Minimum and maximum of zeros and of NaN.
fn extremes(device: &Arc<Device>, modes: Modes) -> anyhow::Result<()> {
    println!("\nMinimum and maximum in single precision:\n");
    println!("| operation | -0, +0 | +0, -0 | NaN, 1 | 1, NaN | NaN, NaN |");
    println!("|---|---|---|---|---|---|");
    let bits = |v: f32| u64::from(v.to_bits());
    let sets = [
        [bits(-0.0), bits(0.0), 0],
        [bits(0.0), bits(-0.0), 0],
        [bits(f32::NAN), bits(1.0), 0],
        [bits(1.0), bits(f32::NAN), 0],
        [bits(f32::NAN), bits(f32::NAN), 0],
    ];
    for (op, name) in [
        (GLOp::FMin, "FMin"),
        (GLOp::FMax, "FMax"),
        (GLOp::NMin, "NMin"),
        (GLOp::NMax, "NMax"),
    ] {
        let kernel = shader::kernel(Instruction::Glsl(op, 2), Number::F32, Number::F32, modes);
        let cells: Vec<String> = run(device, &kernel, &sets)?
            .iter()
            .map(|&v| format!("{:?}", f32::from_bits(v as u32)))
            .collect();
        println!("| {name} | {} |", cells.join(" | "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    #[test]
    fn shaders_are_valid() {
        let modes = Modes {
            preserve: [true; 3],
            flush_f32: false,
            nearest_f32: true,
            keep_nan_f32: true,
        };
        let integers = [Number::S32, Number::U32, Number::S64, Number::U64];
        let conversions = integers.map(|to| {
            let signed = matches!(to, Number::S32 | Number::S64);
            let op = if signed {
                Op::ConvertFToS
            } else {
                Op::ConvertFToU
            };
            (Instruction::Core(op, 1), Number::F64, to)
        });
        let all = operations()
            .into_iter()
            .map(|o| (o.instruction, o.from, o.to))
            .chain(conversions);
        for (instruction, from, to) in all {
            let words = shader::kernel(instruction, from, to, modes).spirv;
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
            let mut child = Command::new("spirv-val")
                .args(["--target-env", "vulkan1.3", "-"])
                .stdin(Stdio::piped())
                .spawn()
                .expect("spirv-val (package spirv-tools)");
            let mut pipe = child.stdin.take().expect("a pipe");
            pipe.write_all(&bytes).expect("the validator reads");
            drop(pipe);
            let status = child.wait().expect("the validator ends");
            assert!(status.success(), "{instruction:?} of {from:?} to {to:?}");
        }
    }

    #[test]
    fn flushed_and_wrong_results_are_told_apart() {
        let operation = operations()
            .into_iter()
            .find(|o| o.name == "FMul f32")
            .expect("multiplication");
        let bits = |v: f32| u64::from(v.to_bits());
        let small = bits(1e-40);
        let sets = [
            [small, bits(1e10), 0],
            [bits(1e-30), bits(1e-10), 0],
            [bits(1.5), bits(1.5), 0],
        ];
        let right = [
            bits(f32::from_bits(small as u32) * 1e10),
            bits(1e-40),
            bits(2.25),
        ];
        let found = judge(&operation, &sets, &right);
        assert_eq!((found.operands, found.results), ([1, 0, 0], [1, 0, 0]));
        assert_eq!((found.compared, found.inexact), (1, 0));
        let found = judge(&operation, &sets, &[0, 0, bits(2.25) + 1]);
        assert_eq!((found.operands, found.results), ([0, 1, 0], [0, 1, 0]));
        assert_eq!((found.inexact, found.error), (1, 1.0));
    }
}
