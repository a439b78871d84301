//! Which registers are alive where: those that are read later on, before they are written.
//!
//! [`most_alive`] estimates from it how many registers a thread of the kernel needs (`CU_FUNC_ATTRIBUTE_NUM_REGS`), which decides how
//! many blocks fit a multiprocessor.

use crate::graph::{Block, Graph, Register};
use ptx::{Modifier, ScalarType};
use smallvec::SmallVec;

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
        if let Some(condition) = block.condition {
            all.push((condition.register(), false));
        }
        all
    };
    graph.blocks.iter().map(of_block).collect()
}

/// By block: the registers that are alive at its end, in order.
pub(crate) fn live_out(graph: &Graph) -> Vec<Vec<Register>> {
    flow(graph, &accesses(graph), &mut |_| true)
}

/// The same for some registers alone.
///
/// From each block that reads a register before it writes it, back to where it is written: what is visited is what is the
/// answer, so that kernels of a hundred thousand blocks and registers take no bits for each pair of them.
fn flow(
    graph: &Graph,
    accesses: &[Vec<Access>],
    wanted: &mut dyn FnMut(Register) -> bool,
) -> Vec<Vec<Register>> {
    const NOWHERE: u32 = u32::MAX;
    let blocks = graph.blocks.len();
    // By register: the blocks that read it before they write it, and those that write it.
    let mut readers: Vec<SmallVec<[u32; 2]>> = vec![SmallVec::new(); graph.registers.len()];
    let mut writers = readers.clone();
    let last_is = |list: &[u32], b: u32| list.last() == Some(&b);
    for (b, accesses) in (0u32..).zip(accesses) {
        for &(r, is_written) in accesses.iter().filter(|a| wanted(a.0)) {
            let written = &mut writers[r as usize];
            if is_written {
                if !last_is(written, b) {
                    written.push(b);
                }
            } else if !last_is(written, b) && !last_is(&readers[r as usize], b) {
                readers[r as usize].push(b);
            }
        }
    }
    let before = graph.predecessors();
    let mut out = vec![Vec::new(); blocks];
    // The register for which a block was visited last: as one at whose start, and at whose end, it is alive.
    let mut at_start = vec![NOWHERE; blocks];
    let mut writes = vec![NOWHERE; blocks];
    let mut work = Vec::new();
    for (r, (readers, writers)) in (0..).zip(readers.iter().zip(&writers)) {
        for &b in writers {
            writes[b as usize] = r;
        }
        for &b in readers {
            at_start[b as usize] = r;
        }
        work.extend_from_slice(readers);
        while let Some(b) = work.pop() {
            for &p in &before[b as usize] {
                let alive = &mut out[p as usize];
                if alive.last() == Some(&r) {
                    continue;
                }
                alive.push(r);
                if writes[p as usize] != r && at_start[p as usize] != r {
                    at_start[p as usize] = r;
                    work.push(p);
                }
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
    let out = flow(graph, &accesses, &mut |r| place[r as usize] == MANY);
    let size: Vec<u32> = graph.registers.iter().map(|&ty| words(ty)).collect();
    let mut most = 0;
    let mut alive = vec![false; size.len()];
    for (accesses, out) in accesses.iter().zip(&out) {
        let mut count = 0;
        for &r in out {
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
        for &r in accesses.iter().map(|(r, _)| r).chain(out) {
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
