//! Which registers are alive where: those that are read later on, before they are written.
//!
//! [`most_alive`] estimates from it how many registers a thread of the kernel needs (`CU_FUNC_ATTRIBUTE_NUM_REGS`), which decides how
//! many blocks fit a multiprocessor.

use crate::graph::{Block, Condition, Graph, Register};
use ptx::{Modifier, ScalarType};

/// A bit for each register.
pub(crate) type Bits = Vec<u64>;

/// Whether a register is one of them.
pub(crate) fn has(bits: &Bits, r: Register) -> bool {
    bits[r as usize / 64] >> (r % 64) & 1 != 0
}

fn put(bits: &mut Bits, r: Register) {
    bits[r as usize / 64] |= 1 << (r % 64);
}

/// What a step reads or writes: a register, and whether it is written.
type Access = (Register, bool);

/// By block: the accesses of its steps, each step's reads before its writes, and what the branch reads.
fn accesses(graph: &Graph) -> Vec<Vec<Access>> {
    let of_block = |block: &Block| {
        let mut all = Vec::with_capacity(4 * block.steps.len());
        for step in &block.steps {
            let (reads, writes) = graph.accesses(step);
            all.extend(reads.into_iter().map(|r| (r, false)));
            all.extend(writes.into_iter().map(|w| (w, true)));
        }
        if let Some(Condition::Predicate { register, .. } | Condition::Equal { register, .. }) =
            block.condition
        {
            all.push((register, false));
        }
        all
    };
    graph.blocks.iter().map(of_block).collect()
}

/// By block: the registers that are alive at its end.
pub(crate) fn live_out(graph: &Graph) -> Vec<Bits> {
    flow(graph, &accesses(graph), graph.registers.len(), &|r| Some(r))
}

/// The same for some registers alone, by the numbers below `count` that they have.
fn flow(
    graph: &Graph,
    accesses: &[Vec<Access>],
    count: usize,
    number: &dyn Fn(Register) -> Option<Register>,
) -> Vec<Bits> {
    let length = count.div_ceil(64);
    let blocks = graph.blocks.len();
    // Read before they are written, and written, in each block.
    let mut live_in = vec![vec![0u64; length]; blocks];
    let mut writes = vec![vec![0u64; length]; blocks];
    for (b, accesses) in accesses.iter().enumerate() {
        for &(r, is_written) in accesses {
            let Some(r) = number(r) else { continue };
            if is_written {
                put(&mut writes[b], r);
            } else if !has(&writes[b], r) {
                put(&mut live_in[b], r);
            }
        }
    }
    let mut out = vec![vec![0u64; length]; blocks];
    let mut changed = true;
    while changed {
        changed = false;
        for b in (0..blocks).rev() {
            for &t in &graph.blocks[b].targets {
                for n in 0..length {
                    out[b][n] |= live_in[t as usize][n];
                }
            }
            for n in 0..length {
                let new = live_in[b][n] | out[b][n] & !writes[b][n];
                changed |= new != live_in[b][n];
                live_in[b][n] = new;
            }
        }
    }
    out
}

/// Words of 32 bits that a register takes.
fn words(ty: ScalarType) -> u32 {
    match ty {
        Modifier::Pred => 0,
        t => t.size().map_or(1, |bytes| bytes.div_ceil(4)),
    }
}

/// The most words of registers that are alive at once.
pub(crate) fn most_alive(graph: &Graph) -> u32 {
    const NOWHERE: u32 = u32::MAX;
    // Most registers are of one block only, and alive at the end of none.
    const MANY: u32 = u32::MAX - 1;
    let accesses = accesses(graph);
    let mut place = vec![NOWHERE; graph.registers.len()];
    for (b, accesses) in (0u32..).zip(&accesses) {
        for &(r, _) in accesses {
            let place = &mut place[r as usize];
            *place = match *place {
                NOWHERE => b,
                old if old == b => b,
                _ => MANY,
            };
        }
    }
    let mut shared = Vec::new();
    for (r, place) in (0..).zip(&mut place) {
        *place = match *place {
            MANY => {
                shared.push(r);
                shared.len() as u32 - 1
            }
            _ => NOWHERE,
        };
    }
    let number = |r: Register| Some(place[r as usize]).filter(|&n| n != NOWHERE);
    let out = flow(graph, &accesses, shared.len(), &number);
    let size: Vec<u32> = graph.registers.iter().map(|&ty| words(ty)).collect();
    let mut most = 0;
    let mut alive = vec![false; size.len()];
    for (accesses, out) in accesses.iter().zip(&out) {
        let mut count = 0;
        let at_end = (0..).zip(&shared).filter(|&(n, _)| has(out, n));
        for (_, &r) in at_end {
            alive[r as usize] = true;
            count += size[r as usize];
        }
        most = most.max(count);
        for &(r, is_written) in accesses.iter().rev() {
            let was = std::mem::replace(&mut alive[r as usize], !is_written);
            match (was, is_written) {
                (true, true) => count -= size[r as usize],
                (false, false) => count += size[r as usize],
                _ => {}
            }
            most = most.max(count);
        }
        for &(r, _) in accesses {
            alive[r as usize] = false;
        }
        for &r in &shared {
            alive[r as usize] = false;
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{graph, ModuleLayout};
    use ptx::Module;

    fn most(body: &str) -> u32 {
        let text = format!(
            ".version 8.0\n.target sm_90\n.address_size 64\n.entry k(.param .u64 p) {{\n\
             .reg .b64 %d<4>; .reg .b32 %r<16>; .reg .pred %p<4>;\n{body}\nret; }}"
        );
        let module = Module::parse(&text).expect("PTX");
        let layout = ModuleLayout::new(&module).expect("a layout");
        let kernel = module.function("k").expect("the kernel");
        most_alive(&graph::build(&module, &layout, kernel).expect("a graph"))
    }

    #[test]
    fn what_is_read_later_is_alive() {
        // The pointer, two words, and one at a time of the others.
        assert_eq!(
            most(
                "ld.param.u64 %d0, [p]; mov.u32 %r0, %tid.x; mov.u32 %r1, %ctaid.x; add.u32 %r2, %r0, 1;\n\
                 st.global.u32 [%d0], %r2; add.u32 %r3, %r1, %r0; st.global.u32 [%d0+4], %r3;"
            ),
            5
        );
        // Declared, and never written or read.
        assert_eq!(most("mov.u32 %r0, 1;"), 0);
    }

    #[test]
    fn loops_keep_what_the_next_round_reads() {
        let body = |kept: &str| {
            format!(
                "ld.param.u64 %d0, [p]; mov.u32 %r0, 0; mov.u32 %r1, %tid.x; mov.u32 %r5, %ctaid.x;\n\
                 again: st.global.u32 [%d0], %r0; add.u32 %r0, %r0, {kept}; setp.lt.u32 %p0, %r0, 9; @%p0 bra again;"
            )
        };
        assert_eq!(most(&body("1")), 3, "pointer and counter");
        assert_eq!(most(&body("%r1")), 4, "the step lives through all rounds");
    }
}
