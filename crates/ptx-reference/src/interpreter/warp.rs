//! Instructions of a warp, done for all threads that have come to them.

use super::block::Block;
use super::program::{Action, Decoded, Place, Target, WarpKind};
use super::World;
use crate::error::Error;
use crate::matrix;
use crate::semantics::softfloat::F32;
use crate::semantics::Form;
use ptx::Modifier as M;

/// The operands of an instruction as each lane has them.
pub(super) struct Lanes {
    /// Lanes that take part, as a mask.
    pub mask: u32,
    /// The sources of each of the 32 lanes; empty for lanes that take no part.
    pub sources: Vec<Vec<u64>>,
}

/// Executes the instruction that `members` (threads of the warp that starts at `start`) wait at.
pub(super) fn execute(
    block: &mut Block,
    world: &mut World<'_>,
    start: usize,
    members: &[usize],
) -> Result<(), Error> {
    let program = world.program;
    let mut lanes = Lanes {
        mask: 0,
        sources: vec![Vec::new(); 32],
    };
    let mut instructions: Vec<&Decoded> = Vec::new();
    for &index in members {
        let Some(instruction) = block.thread(index).instruction(world) else {
            continue;
        };
        instructions.push(instruction);
        let machine = block.machine(world, index);
        if let Action::Warp { sources, .. } = &instruction.action {
            lanes.mask |= 1 << (index - start);
            lanes.sources[index - start] = sources.iter().map(|s| machine.read(*s)).collect();
        }
    }
    let Some(first) = instructions.first().copied() else {
        return Ok(());
    };
    let Action::Warp { kind, .. } = &first.action else {
        return Ok(());
    };
    let form = &program.forms[first.form as usize];
    let results: Option<Vec<Vec<u64>>> = match kind {
        WarpKind::Barrier => return Ok(()),
        WarpKind::Shuffle => Some(shuffle(form, &lanes)),
        WarpKind::Vote => vote(form, &lanes),
        WarpKind::Match => Some(matching(form, &lanes)),
        WarpKind::Redux => reduce(form, &lanes),
        WarpKind::Elect => {
            let leader = lanes.mask.trailing_zeros();
            Some(
                (0..32)
                    .map(|lane| vec![leader.into(), u64::from(lane == leader)])
                    .collect(),
            )
        }
        WarpKind::ActiveMask => Some(vec![vec![lanes.mask.into()]; 32]),
        WarpKind::MoveMatrix => Some(matrix::load::transpose_8x8(&lanes.sources)),
        WarpKind::Mma | WarpKind::WmmaMma => matrix::multiply::execute(form, &lanes.sources),
        WarpKind::LoadMatrix => load_matrix(block, world, start, &instructions, members, form)?,
        WarpKind::StoreMatrix => {
            return store_matrix(block, world, start, &instructions, members, form, &lanes);
        }
        WarpKind::WmmaLoad => wmma_load(block, world, start, &instructions, members, form, &lanes)?,
        WarpKind::WmmaStore => {
            return wmma_store(block, world, start, &instructions, members, form, &lanes);
        }
    };
    let Some(results) = results else {
        return Err(block
            .machine(world, members[0])
            .unsupported(first, String::new()));
    };
    for (&index, instruction) in members.iter().zip(&instructions) {
        let Action::Warp { targets, .. } = &instruction.action else {
            continue;
        };
        write(block, index, targets, &results[index - start]);
    }
    Ok(())
}

fn write(block: &mut Block, index: usize, targets: &[Target], values: &[u64]) {
    for (target, value) in targets.iter().zip(values) {
        block.thread(index).write(*target, *value, 64, false);
    }
}

/// `shfl`: value and whether the source lane was in range.
fn shuffle(form: &Form, lanes: &Lanes) -> Vec<Vec<u64>> {
    (0..32u32)
        .map(|lane| {
            let own = &lanes.sources[lane as usize];
            let [a, b, c] = own[..] else {
                return vec![0, 0];
            };
            let b = (b & 31) as i32;
            let clamp = (c & 31) as i32;
            let segment = (c >> 8 & 31) as i32;
            let lane = lane as i32;
            let max = lane & segment | clamp & !segment;
            let min = lane & segment;
            let (j, in_range) = if form.has(M::Up) {
                (lane - b, lane - b >= max)
            } else if form.has(M::Down) {
                (lane + b, lane + b <= max)
            } else if form.has(M::Bfly) {
                (lane ^ b, lane ^ b <= max)
            } else {
                let j = min | b & !segment;
                (j, j <= max)
            };
            let value = if in_range {
                // A lane that takes no part has no defined value; here it gives 0.
                lanes
                    .sources
                    .get(j as usize)
                    .and_then(|s| s.first())
                    .copied()
                    .unwrap_or(0)
            } else {
                a
            };
            vec![value, in_range.into()]
        })
        .collect()
}

fn vote(form: &Form, lanes: &Lanes) -> Option<Vec<Vec<u64>>> {
    let ballot = (0..32)
        .filter(|&lane| lanes.sources[lane].first().is_some_and(|&p| p != 0))
        .fold(0u32, |mask, lane| mask | 1 << lane);
    let value: u64 = if form.has(M::Ballot) {
        ballot.into()
    } else if form.has(M::All) {
        (ballot == lanes.mask).into()
    } else if form.has(M::Any) {
        (ballot != 0).into()
    } else if form.has(M::Uni) {
        (ballot == 0 || ballot == lanes.mask).into()
    } else {
        return None;
    };
    Some(vec![vec![value]; 32])
}

fn matching(form: &Form, lanes: &Lanes) -> Vec<Vec<u64>> {
    let bits = crate::semantics::width(form.ty.unwrap_or(M::B32));
    let value = |lane: usize| {
        lanes.sources[lane]
            .first()
            .map(|v| crate::semantics::truncate(*v, bits))
    };
    (0..32)
        .map(|lane| {
            let own = value(lane);
            let same = (0..32)
                .filter(|&l| lanes.mask >> l & 1 == 1 && value(l) == own)
                .fold(0u32, |mask, l| mask | 1 << l);
            if form.has(M::All) {
                let all = same == lanes.mask;
                vec![if all { same.into() } else { 0 }, all.into()]
            } else {
                vec![same.into()]
            }
        })
        .collect()
}

fn reduce(form: &Form, lanes: &Lanes) -> Option<Vec<Vec<u64>>> {
    let values = lanes
        .sources
        .iter()
        .filter_map(|s| s.first())
        .map(|v| *v as u32);
    let signed = form.ty == Some(M::S32);
    let value = if form.ty == Some(M::F32) {
        let values = values.map(|v| {
            if form.has(M::AbsMod) {
                v & 0x7fff_ffff
            } else {
                v
            }
        });
        return extremum(form, values).map(|v| vec![vec![v]; 32]);
    } else if form.has(M::AddMod) {
        values.fold(0u32, |sum, v| sum.wrapping_add(v))
    } else if form.has(M::And) {
        values.fold(u32::MAX, |all, v| all & v)
    } else if form.has(M::Or) {
        values.fold(0, |all, v| all | v)
    } else if form.has(M::Xor) {
        values.fold(0, |all, v| all ^ v)
    } else {
        let key = |v: &u32| {
            if signed {
                i64::from(*v as i32)
            } else {
                i64::from(*v)
            }
        };
        if form.has(M::MinMod) {
            values.min_by_key(key)?
        } else if form.has(M::MaxMod) {
            values.max_by_key(key)?
        } else {
            return None;
        }
    };
    Some(vec![vec![value.into()]; 32])
}

/// `redux.sync.{min,max}.f32`
fn extremum(form: &Form, values: impl Iterator<Item = u32>) -> Option<u64> {
    let minimum = form.has(M::MinMod);
    let mut best: Option<u32> = None;
    for v in values {
        if f32::from_bits(v).is_nan() {
            if form.nan {
                return Some(F32.nan());
            }
            continue;
        }
        let less = |a: u32, b: u32| f32::from_bits(a).total_cmp(&f32::from_bits(b)).is_lt();
        best = Some(match best {
            Some(b) if less(v, b) != minimum => b,
            _ => v,
        });
    }
    Some(best.map_or(F32.nan(), u64::from))
}

/// The place of a member's instruction.
fn place_of(instruction: &Decoded) -> Option<Place> {
    match &instruction.action {
        Action::Warp { place, .. } => *place,
        _ => None,
    }
}

/// `ldmatrix`: lane `8 * m + r` has the address of row `r` of matrix `m`.
fn load_matrix(
    block: &mut Block,
    world: &mut World<'_>,
    start: usize,
    instructions: &[&Decoded],
    members: &[usize],
    form: &Form,
) -> Result<Option<Vec<Vec<u64>>>, Error> {
    let Some(shape) = matrix::load::Shape::of(form) else {
        return Ok(None);
    };
    let mut rows = vec![vec![0u8; shape.row_bytes]; shape.rows()];
    for (&index, instruction) in members.iter().zip(instructions) {
        let lane = index - start;
        let (Some(place), Some(row)) = (place_of(instruction), rows.get_mut(lane)) else {
            continue;
        };
        let mut machine = block.machine(world, index);
        row.copy_from_slice(machine.bytes(
            instruction,
            place,
            shape.row_bytes as u64,
            shape.row_bytes as u64,
        )?);
    }
    Ok(Some(matrix::load::distribute(&shape, &rows)))
}

#[allow(clippy::too_many_arguments)]
fn store_matrix(
    block: &mut Block,
    world: &mut World<'_>,
    start: usize,
    instructions: &[&Decoded],
    members: &[usize],
    form: &Form,
    lanes: &Lanes,
) -> Result<(), Error> {
    let rows = matrix::load::Shape::of(form)
        .and_then(|shape| matrix::load::collect(&shape, &lanes.sources));
    let Some(rows) = rows else {
        return Err(block
            .machine(world, members[0])
            .unsupported(instructions[0], String::new()));
    };
    for (&index, instruction) in members.iter().zip(instructions) {
        let (Some(place), Some(row)) = (place_of(instruction), rows.get(index - start)) else {
            continue;
        };
        let size = row.len() as u64;
        block
            .machine(world, index)
            .bytes(instruction, place, size, size)?
            .copy_from_slice(row);
    }
    Ok(())
}

/// The place of an element that lies so many elements behind the start, and its first bit there.
fn element(place: Place, offset: u64, fragment: &matrix::wmma::Fragment) -> (Place, u32) {
    let bit = offset * fragment.bits() as u64;
    let place = Place {
        offset: place.offset + (bit / 8) as i64,
        ..place
    };
    (place, (bit % 8) as u32)
}

/// `wmma.load`: `[p], stride`.
#[allow(clippy::too_many_arguments)]
fn wmma_load(
    block: &mut Block,
    world: &mut World<'_>,
    start: usize,
    instructions: &[&Decoded],
    members: &[usize],
    form: &Form,
    lanes: &Lanes,
) -> Result<Option<Vec<Vec<u64>>>, Error> {
    let Some(fragment) = matrix::wmma::Fragment::of(form) else {
        return Ok(None);
    };
    let mut results = vec![Vec::new(); 32];
    for (&index, instruction) in members.iter().zip(instructions) {
        let lane = index - start;
        let Some(place) = place_of(instruction) else {
            continue;
        };
        let stride = lanes.sources[lane]
            .first()
            .copied()
            .unwrap_or(fragment.default_stride());
        let bytes = fragment.element_bytes();
        let mut elements = Vec::new();
        for i in 0..fragment.elements_per_lane() {
            let (row, column) = fragment.position(lane, i);
            let (at, bit) = element(place, fragment.offset(row, column, stride), &fragment);
            let mut machine = block.machine(world, index);
            let data = machine.bytes(instruction, at, bytes, bytes)?;
            elements.push(super::thread::little_endian(data) >> bit);
        }
        results[lane] = fragment.pack(&elements);
    }
    Ok(Some(results))
}

/// `wmma.store.d`: `[p], r, stride`. Accumulators are never smaller than a byte.
#[allow(clippy::too_many_arguments)]
fn wmma_store(
    block: &mut Block,
    world: &mut World<'_>,
    start: usize,
    instructions: &[&Decoded],
    members: &[usize],
    form: &Form,
    lanes: &Lanes,
) -> Result<(), Error> {
    let fragment = matrix::wmma::Fragment::of(form).filter(|f| f.bits() >= 8);
    let Some(fragment) = fragment else {
        return Err(block
            .machine(world, members[0])
            .unsupported(instructions[0], String::new()));
    };
    for (&index, instruction) in members.iter().zip(instructions) {
        let lane = index - start;
        let Some(place) = place_of(instruction) else {
            continue;
        };
        let count = fragment.registers_per_lane();
        let (registers, rest) = lanes.sources[lane].split_at(count.min(lanes.sources[lane].len()));
        let stride = rest.first().copied().unwrap_or(fragment.default_stride());
        let bytes = fragment.element_bytes();
        for (i, value) in fragment.unpack(registers).into_iter().enumerate() {
            let (row, column) = fragment.position(lane, i);
            let (at, _) = element(place, fragment.offset(row, column, stride), &fragment);
            block
                .machine(world, index)
                .bytes(instruction, at, bytes, bytes)?
                .copy_from_slice(&value.to_le_bytes()[..bytes as usize]);
        }
    }
    Ok(())
}
