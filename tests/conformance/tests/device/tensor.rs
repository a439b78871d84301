//! Copies of boxes of tensors by tensor maps, in both directions and by reductions: 1 to 5 dimensions, every type, swizzles, steps, boxes
//! that are partly or wholly outside.
//!
//! Block `n` uses map `n`, at a corner of its own. The input is the corners, the maps and the tensors, each behind the other.

use ::texture::tensor::{ElementType, TensorMap, BYTES};
use conformance::{isolated, Bench, Case, Random};

/// Blocks of a kernel, each with a map of its own.
const BLOCKS: usize = 12;
const THREADS: u32 = 64;
/// Most bytes of a box.
const BOX: u32 = 2048;
/// Bytes that it may take in shared memory: rows of 16 bytes in a swizzle of 128.
const ROOM: u32 = 8 * BOX;

/// Bytes from one tensor to the next.
const TENSOR: usize = 1 << 15;
/// Where the first map is: behind the corners, of 32 bytes each.
const MAPS: usize = 512;
/// Where the first tensor is.
const TENSORS: usize = MAPS + BYTES * BLOCKS;

/// Maps of boxes of [`BOX`] bytes.
///
/// Where the first dimension ends within a piece of 16 bytes, NVIDIA's hardware writes that piece to its end: what is written has
/// whole ones.
fn maps(
    random: &mut Random,
    rank: usize,
    elements: &[ElementType],
    nan: bool,
    writes: bool,
) -> Vec<TensorMap> {
    (0..BLOCKS)
        .map(|n| {
            let element = elements[n % elements.len()];
            // Rows of 16, 32, 64 or 128 bytes, with the swizzles that they may have.
            let all = BOX / element.bytes();
            let row = if rank == 1 {
                all.min(256)
            } else {
                (16 << random.below(4)) / element.bytes()
            };
            let mut counts = vec![1; rank];
            counts[0] = row.min(256);
            let mut left = all / counts[0];
            for (axis, count) in counts.iter_mut().enumerate().skip(1) {
                *count = match axis + 1 == rank {
                    true => left,
                    false => (1 << random.below(3)).min(left),
                };
                left /= *count;
            }
            let bytes = counts[0] * element.bytes();
            let swizzle = (0..=3)
                .filter(|s| *s == 0 || bytes <= 16 << s)
                .nth(random.below(4))
                .unwrap_or(0);
            let steps: Vec<u32> = (0..rank)
                .map(|axis| match axis {
                    0 => 1,
                    // A box ends at 256.
                    _ if counts[axis] > 128 => 1,
                    _ => 1 + random.below(2) as u32,
                })
                .collect();
            let mut dimensions = Vec::new();
            let mut strides = Vec::new();
            let mut size = u64::from(element.bytes());
            for axis in 0..rank {
                let room = TENSOR as u64 / size;
                let most = room.min(if axis == 0 { 150 } else { 12 }).max(1);
                let mut dimension = 1 + random.below(most as usize) as u32;
                if axis == 0 && writes {
                    dimension = dimension.next_multiple_of((16 / element.bytes()).max(1));
                }
                dimensions.push(dimension);
                size = (size * u64::from(dimension)).next_multiple_of(16);
                if axis + 1 < rank {
                    strides.push(size);
                }
            }
            TensorMap {
                element,
                address: (TENSORS + n * TENSOR) as u64,
                dimensions,
                strides,
                counts,
                steps,
                swizzle: swizzle as u32,
                fills_nan: nan && element.is_float(),
            }
        })
        .collect()
}

/// Corners, maps (which are filled in later) and tensors of small numbers of their types.
///
/// NVIDIA's hardware takes corners only whose first bytes are whole pieces of 16, and, for what is written, no negative ones.
fn input(random: &mut Random, rank: usize, maps: &[TensorMap], writes: bool) -> Vec<u8> {
    let mut input = vec![0u8; TENSORS];
    for (n, map) in maps.iter().enumerate() {
        for axis in 0..rank {
            let size = map.dimensions[axis] as i32;
            let reach = (map.counts[axis] * map.steps[axis]) as i32;
            let corner = match random.below(4) {
                0 => 0,
                1 => random.below(size as usize) as i32,
                _ => random.below((size + reach) as usize) as i32 - reach,
            };
            let corner = match axis {
                0 => corner & -(16 / map.element.bytes() as i32).max(1),
                _ => corner,
            };
            let corner = if writes { corner.max(0) } else { corner };
            let at = 32 * n + 4 * axis;
            input[at..at + 4].copy_from_slice(&corner.to_le_bytes());
        }
    }
    for map in maps {
        let start = input.len();
        while input.len() < start + TENSOR {
            let small = random.below(64) as i32 - 31;
            let bytes = match map.element {
                ElementType::Float16 => half(small).to_le_bytes().to_vec(),
                ElementType::BFloat16 => {
                    ((small as f32).to_bits() >> 16).to_le_bytes()[..2].to_vec()
                }
                ElementType::Float64 => f64::from(small).to_le_bytes().to_vec(),
                // With bits that it has no place for.
                ElementType::TensorFloat32 | ElementType::TensorFloat32Ftz => {
                    let low = [0, 1, 0xfff, 0x1000, 0x1001, 0x1fff][random.below(6)];
                    let more = low | (random.below(2) as u32) << 13;
                    ((small as f32).to_bits() | more).to_le_bytes().to_vec()
                }
                e if e.is_float() => (small as f32).to_le_bytes().to_vec(),
                e => random.bits().to_le_bytes()[..e.bytes() as usize].to_vec(),
            };
            input.extend(bytes);
        }
    }
    input
}

/// A small integer in half precision.
fn half(n: i32) -> u16 {
    let sign = if n < 0 { 0x8000 } else { 0 };
    let n = n.unsigned_abs() as u16;
    if n == 0 {
        return sign;
    }
    let exponent = 15 - n.leading_zeros() as u16;
    sign | (exponent + 15) << 10 | (n << (10 - exponent)) & 0x3ff
}

/// The kernel: `copy` is done by one thread, between what all do.
fn case(name: &str, rank: usize, input: Vec<u8>, output: usize, text: [&str; 3]) -> Case {
    let [before, copy, after] = text;
    let corner = ["c0", "c1", "c2", "c3", "c4"][..rank].join(", ");
    let copy = copy.replace("CORNER", &corner);
    let loads: String = (0..rank)
        .map(|axis| format!("ld.global.b32 c{axis}, [a+{}];\n", 4 * axis))
        .collect();
    Case {
        name: format!("{name}, {rank} dimensions"),
        text: format!(
            ".version 8.6\n.target sm_90\n.address_size 64\n\
             .visible .entry k(.param .u64 in, .param .u64 out) .reqnctapercluster 1 {{\n\
             .shared .align 1024 .b8 box[{ROOM}]; .shared .align 8 .b64 done;\n\
             .reg .pred p, leads; .reg .b64 from, to, a, map, tensor, token; .reg .b32 c<5>; .reg .b32 tid, block, i, v, at, b, d, w; .reg .b16 h;\n\
             ld.param.u64 from, [in]; ld.param.u64 to, [out]; mov.u32 tid, %tid.x; mov.u32 block, %ctaid.x;\n\
             mov.u32 b, box; mov.u32 d, done; setp.eq.u32 leads, tid, 0;\n\
             mul.wide.u32 a, block, 32; add.u64 a, from, a;\n{loads}\
             mul.wide.u32 a, block, {BYTES}; add.u64 map, from, a; add.u64 map, map, {MAPS};\n\
             mul.wide.u32 a, block, {TENSOR}; add.u64 tensor, from, a; add.u64 tensor, tensor, {TENSORS};\n\
             @leads mbarrier.init.shared.b64 [d], 1;\n\
             {before}\nfence.proxy.async;\nbar.sync 0;\n@!leads bra waits;\n{copy}\nwaits:\n{after}\nret;\n}}\n"
        ),
        grid: [BLOCKS as u32, 1, 1],
        block: [THREADS, 1, 1],
        dynamic_shared: 0,
        input,
        output: vec![0; output],
        references: Vec::new(),
    }
}

/// Copies `bytes` of each block to the output, from `address` by the instruction `load`.
fn to_output(load: &str, address: &str, bytes: usize) -> String {
    let wide = if load.contains("shared") {
        format!("add.u32 at, {address}, w; {load} v, [at];")
    } else {
        format!("cvt.u64.u32 a, w; add.u64 a, {address}, a; {load} v, [a];")
    };
    format!(
        "shl.b32 w, tid, 2; mad.lo.u32 i, block, {bytes}, w; cvt.u64.u32 token, i; add.u64 to, to, token;\n\
         again: setp.ge.u32 p, w, {bytes}; @p bra over; {wide} st.global.b32 [to], v;\n\
         add.u64 to, to, {0}; add.u32 w, w, {0}; bra again;\nover:",
        4 * THREADS
    )
}

/// Loads boxes with an instruction's middle part, of maps of these types.
fn loads(name: &str, elements: &[ElementType], nan: bool, instruction: &str, operands: &str) {
    let bench = Bench::open();
    let mut failures = Vec::new();
    for rank in 1..=5 {
        let mut random = Random(40 + rank as u64);
        let maps = maps(&mut random, rank, elements, nan, false);
        let input = input(&mut random, rank, &maps, false);
        let copy = format!(
            "mbarrier.arrive.expect_tx.shared.b64 token, [d], w;\n{} [b], [map, {{CORNER}}], [d]{operands};",
            instruction.replace("Nd", &format!("{rank}d"))
        );
        // A box of one dimension is no larger than 256 elements.
        let sizes: Vec<u32> = maps.iter().map(TensorMap::box_bytes).collect();
        let sizes: String = (0..BLOCKS)
            .map(|n| format!("setp.eq.u32 p, block, {n}; @p mov.u32 w, {};\n", sizes[n]))
            .collect();
        let before = format!(
            "shl.b32 w, tid, 2; clears: setp.ge.u32 p, w, {ROOM}; @p bra cleared; add.u32 at, b, w; st.shared.b32 [at], w;\n\
             add.u32 w, w, {}; bra clears;\ncleared:\nmov.u16 h, 1;\n{sizes}",
            4 * THREADS
        );
        let after = format!(
            "asks: mbarrier.try_wait.parity.shared.b64 p, [d], 0; @!p bra asks;\n{}",
            to_output("ld.shared.b32", "b", ROOM as usize)
        );
        let case = case(
            name,
            rank,
            input,
            ROOM as usize * BLOCKS,
            [&before, &copy, &after],
        );
        let placed: Vec<_> = (0..BLOCKS).map(|n| MAPS + n * BYTES).zip(maps).collect();
        failures.extend(bench.mapped(&case, &placed).err());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Stores boxes or reduces with them.
fn stores(name: &str, elements: &[ElementType], instruction: &str) {
    let bench = Bench::open();
    let mut failures = Vec::new();
    for rank in 1..=5 {
        let mut random = Random(80 + rank as u64);
        let maps = maps(&mut random, rank, elements, false, true);
        let input = input(&mut random, rank, &maps, true);
        // What is stored is the start of the tensor itself, whose numbers are of its type.
        let before = format!(
            "shl.b32 w, tid, 2; fills: setp.ge.u32 p, w, {ROOM}; @p bra filled; cvt.u64.u32 a, w; add.u64 a, tensor, a;\n\
             ld.global.b32 v, [a]; add.u32 at, b, w; st.shared.b32 [at], v; add.u32 w, w, {}; bra fills;\nfilled:",
            4 * THREADS
        );
        let copy = format!(
            "{} [map, {{CORNER}}], [b];\ncp.async.bulk.commit_group; cp.async.bulk.wait_group 0;",
            instruction.replace("Nd", &format!("{rank}d"))
        );
        let after = format!(
            "bar.sync 0; fence.proxy.async;\n{}",
            to_output("ld.global.b32", "tensor", TENSOR)
        );
        let case = case(name, rank, input, TENSOR * BLOCKS, [&before, &copy, &after]);
        let placed: Vec<_> = (0..BLOCKS).map(|n| MAPS + n * BYTES).zip(maps).collect();
        failures.extend(bench.mapped(&case, &placed).err());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

const LOAD: &str = "cp.async.bulk.tensor.Nd.shared::cluster.global.mbarrier::complete_tx::bytes";

#[test]
fn boxes_are_loaded() {
    isolated("tensor::boxes_are_loaded", || {
        loads("load", &ElementType::ALL, false, LOAD, "");
        loads("load with not a number", &ElementType::ALL, true, LOAD, "");
    });
}

#[test]
fn boxes_are_loaded_for_a_cluster_of_one() {
    isolated("tensor::boxes_are_loaded_for_a_cluster_of_one", || {
        let load = "cp.async.bulk.tensor.Nd.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster";
        loads("multicast", &ElementType::ALL, false, load, ", h");
    });
}

#[test]
fn boxes_are_stored() {
    isolated("tensor::boxes_are_stored", || {
        let store = "cp.async.bulk.tensor.Nd.global.shared::cta.bulk_group";
        stores("store", &ElementType::ALL, store);
    });
}

#[test]
fn boxes_are_reduced() {
    use ElementType::{BFloat16, Float16, Float32, Signed32, Signed64, Unsigned32, Unsigned64};
    isolated("tensor::boxes_are_reduced", || {
        for (operation, elements) in [
            (
                "add",
                &[Unsigned32, Signed32, Unsigned64, Float16, BFloat16, Float32][..],
            ),
            (
                "min",
                &[
                    Unsigned32, Signed32, Unsigned64, Signed64, Float16, BFloat16,
                ],
            ),
            (
                "max",
                &[
                    Unsigned32, Signed32, Unsigned64, Signed64, Float16, BFloat16,
                ],
            ),
            ("inc", &[Unsigned32]),
            ("dec", &[Unsigned32]),
            ("and", &[Unsigned32, Unsigned64]),
            ("or", &[Unsigned32, Unsigned64]),
            ("xor", &[Unsigned32, Unsigned64]),
        ] {
            let instruction =
                format!("cp.reduce.async.bulk.tensor.Nd.global.shared::cta.{operation}.bulk_group");
            stores(operation, elements, &instruction);
        }
    });
}
