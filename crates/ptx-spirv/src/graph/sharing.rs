//! Functions that are called from many places: in large kernels, one copy of each.
//!
//! Calls are inlined, so a function is in the graph once for each way to call it, and functions that call functions multiply: a
//! renderer's kernel has five times as many instructions as the functions that it is made of, and thirty functions that call the
//! next one twice would be a billion. Beyond [`crate::Target::most_inlined`] statements, or where functions call themselves, such functions have a copy for all of their calls: a call
//! copies its arguments, notes its number and jumps there, and the end goes back by the number.
//!
//! ```text
//! a:  call (r), f, (x);             a:  f.x = x; f.back = 2; next = 0; bra dispatch;
//! b:                                b:  r = f.r;
//!     ...                               ...
//! c:  call (s), f, (y);             c:  f.x = y; f.back = 3; next = 0; bra dispatch;
//! d:                                d:  s = f.r;
//!                                   f:  ...                        // the only copy of it
//!                                       next = f.back; bra dispatch;
//!                            dispatch:  brx next, {f, .., b, d};
//! ```
//!
//! All calls and returns go through one block, so that the kernel is one loop around ways that come together, not
//! loops in loops for functions that call functions.
//!
//! What a caller needs afterwards is kept in memory meanwhile (`kept.rs`). What lies between two calls becomes part of that
//! loop, in which threads that call from different places are in different rounds. So kernels with barriers or operations of
//! warps stay inlined.

use super::build::Builder;
use super::kept::{keep, Call, Writer};
use super::*;

/// A function is shared when its copies would be more statements than this.
const COPIES: u64 = 1 << 11;

/// Statements beyond which a kernel is refused: nothing would compile it.
const MOST: u64 = 1 << 21;

/// Functions that have one copy for all calls.
#[derive(Default)]
pub(super) struct Sharing<'m> {
    /// Their names.
    pub(super) functions: FxHashSet<&'m str>,
    copies: FxHashMap<&'m str, Shared>,
    /// Names of those whose copies are being written, outermost first.
    regions: Vec<&'m str>,
    calls: Vec<Call<'m>>,
    /// The number of the block that calls and the ends of copies go to.
    next: Option<Register>,
    /// The blocks with which copies end.
    ends: Vec<u32>,
}

/// The copy that the calls of a function have in common.
struct Shared {
    /// Where it begins.
    entry: u32,
    /// Its frame, whose parameters and results are variables of their own.
    frame: u32,
    /// The number of the block that it goes back to.
    back: Register,
}

/// Leads calls, which lead to what is behind them so far, to the copies of functions, and the ends of these back.
fn connect(graph: &mut Graph, writer: &mut Writer, sharing: &Sharing, next: Register) {
    let Sharing {
        copies,
        calls,
        ends,
        ..
    } = sharing;
    let mut functions: Vec<(&str, u32)> = copies.iter().map(|(&f, c)| (f, c.entry)).collect();
    functions.sort_unstable_by_key(|f| f.1);
    let mut targets: Vec<u32> = functions.iter().map(|f| f.1).collect();
    let number: FxHashMap<&str, u32> = functions.iter().map(|f| f.0).zip(0..).collect();
    let dispatch = graph.blocks.len() as u32;
    graph.blocks.push(Block::default());
    for call in calls {
        let constants = [
            (copies[call.callee].back, targets.len() as u32),
            (next, number[call.callee]),
        ];
        targets.push(call.back);
        let block = &mut graph.blocks[call.from as usize];
        block
            .steps
            .extend(constants.map(|(to, bits)| Step::Constant {
                to,
                bits: bits.into(),
            }));
        block.targets = SmallVec::from_slice(&[dispatch]);
    }
    for &end in ends {
        graph.blocks[end as usize].targets.push(dispatch);
    }
    // By halves.
    let mut open = vec![(dispatch, 0, targets.len())];
    while let Some((block, from, to)) = open.pop() {
        let middle = (from + to) / 2;
        let condition = writer.is_less(graph, next, middle as u32, block);
        let mut part = |graph: &mut Graph, from: usize, to: usize| {
            if to - from == 1 {
                return targets[from];
            }
            graph.blocks.push(Block::default());
            let block = graph.blocks.len() as u32 - 1;
            open.push((block, from, to));
            block
        };
        let ways = [part(graph, from, middle), part(graph, middle, to)];
        let block = &mut graph.blocks[block as usize];
        block.condition = Some(condition);
        block.targets.extend(ways);
    }
}

/// What a function is made of.
struct Part {
    /// Its own statements and those of all that it calls, inlined.
    statements: u64,
    /// Functions that it calls, once for each call.
    calls: Vec<u32>,
    /// How often all calls inlined have it.
    copies: u64,
}

/// The functions of a kernel in the order in which they were left: what a function calls comes before it.
struct Parts<'m> {
    parts: Vec<Part>,
    names: Vec<&'m str>,
    /// By name; of those that are being looked at, none.
    numbers: FxHashMap<&'m str, Option<u32>>,
    convergent: bool,
}

impl<'m> Builder<'m, '_> {
    /// Calls a function with one copy for all calls between two blocks.
    pub(super) fn enter_shared(
        &mut self,
        function: &'m ptx::Function,
        passed: Passed,
        start: u32,
        after: u32,
    ) -> Result<(), TranslateError> {
        if !self.sharing.copies.contains_key(&*function.name) {
            let mut places = |formals: &[ptx::Variable]| -> Vec<Place> {
                let words = |formal: &ptx::Variable| match formal.space {
                    StateSpace::Reg => Place::Constant(0),
                    _ => self.words(formal.size as u32),
                };
                formals.iter().map(words).collect()
            };
            let (parameters, results) = (places(&function.parameters), places(&function.results));
            let frame = self.frame(function, parameters, results)?;
            let (entry, exit) = (self.block(), self.block());
            let next = self.sharing.next.unwrap_or_else(|| self.register());
            self.sharing.next = Some(next);
            let back = self.register();
            self.graph.blocks[exit as usize].steps.push(Step::Copy {
                to: next,
                from: back,
            });
            self.sharing.ends.push(exit);
            self.sharing.regions.push(&function.name);
            self.body(frame, entry, exit)?;
            self.sharing.regions.pop();
            let copy = Shared { entry, frame, back };
            self.sharing.copies.insert(&function.name, copy);
        }
        let frame = self.sharing.copies[&*function.name].frame;
        let (mut into, mut out) = self.handed_over(frame, &passed)?;
        let Frame {
            parameters,
            results,
            ..
        } = &self.graph.frames[frame as usize];
        for (&from, &to) in passed.parameters.iter().zip(parameters) {
            copy_words(from, to, &mut into);
        }
        for (&from, &to) in results.iter().zip(&passed.results) {
            copy_words(from, to, &mut out);
        }
        self.graph.blocks[start as usize].steps.extend(into);
        let results = out
            .iter()
            .filter_map(|step| match *step {
                Step::Copy { from, .. } => Some(from),
                _ => None,
            })
            .collect();
        let back = self.block();
        self.graph.blocks[back as usize].steps = out;
        self.graph.blocks[back as usize].targets.push(after);
        self.sharing.calls.push(Call {
            caller: self.sharing.regions.last().copied(),
            callee: &function.name,
            from: start,
            back,
            results,
        });
        self.graph.blocks[start as usize].targets.push(back);
        Ok(())
    }

    /// Ends the graph: what calls and the copies of functions do before and after each other.
    pub(super) fn connect(&mut self) {
        let Some(next) = self.sharing.next else {
            return;
        };
        let mut writer = Writer::new(&self.graph, self.kernel);
        keep(&mut self.graph, &mut writer, &self.sharing.calls);
        connect(&mut self.graph, &mut writer, &self.sharing, next);
        writer.finish(&mut self.graph, self.kernel);
    }

    /// Chooses the functions that have one copy for all calls.
    ///
    /// # Errors
    /// `Unsupported` if a kernel is too large without sharing, and has barriers or operations of warps.
    pub(super) fn share(
        &mut self,
        kernel: &'m ptx::Function,
        most_inlined: u64,
    ) -> Result<(), TranslateError> {
        let mut all = Parts {
            parts: Vec::new(),
            names: Vec::new(),
            numbers: FxHashMap::default(),
            convergent: false,
        };
        self.measure(kernel, &mut all)?;
        let inlined = all.parts.last().map_or(0, |kernel| kernel.statements);
        let calls_itself = all.names.iter().any(|&name| self.cycles.contains_key(name));
        if inlined <= most_inlined && !calls_itself {
            return Ok(());
        }
        if let Some(kernel) = all.parts.last_mut() {
            kernel.copies = 1;
        }
        for n in (0..all.parts.len()).rev() {
            let copies = all.parts[n].copies;
            for callee in std::mem::take(&mut all.parts[n].calls) {
                let callee = &mut all.parts[callee as usize];
                callee.copies = callee.copies.saturating_add(copies);
            }
        }
        if !all.convergent {
            let parts = all.parts.iter().zip(&all.names);
            let worth = |part: &Part| {
                part.copies > 1 && part.copies.saturating_mul(part.statements) > COPIES
            };
            self.sharing
                .functions
                .extend(parts.filter(|(part, _)| worth(part)).map(|(_, name)| *name));
        } else if inlined > MOST {
            let what = format!(
                "calls of functions that make {inlined} statements of it, with barriers or operations of warps in them"
            );
            return Err(self.unsupported(kernel.span, what));
        }
        Ok(())
    }

    /// Adds a function and what it calls; its number. None of a function that is being looked at: it calls itself, which is for
    /// others to judge.
    fn measure(
        &mut self,
        function: &'m ptx::Function,
        all: &mut Parts<'m>,
    ) -> Result<Option<u32>, TranslateError> {
        if let Some(&known) = all.numbers.get(&*function.name) {
            return Ok(known);
        }
        all.numbers.insert(&function.name, None);
        let body = self.parse(function)?;
        let mut part = Part {
            statements: body.statements.len() as u64,
            calls: Vec::new(),
            copies: 0,
        };
        for statement in &body.statements {
            let Statement::Instruction(i) = statement else {
                continue;
            };
            all.convergent |= is_convergent(i);
            if i.opcode != Opcode::Call {
                continue;
            }
            for callee in self.callees(&body, i) {
                if let Some(number) = self.measure(callee, all)? {
                    let statements = &mut part.statements;
                    *statements = statements.saturating_add(all.parts[number as usize].statements);
                    part.calls.push(number);
                }
            }
        }
        let number = all.parts.len() as u32;
        all.parts.push(part);
        all.names.push(&function.name);
        all.numbers.insert(&function.name, Some(number));
        Ok(Some(number))
    }
}

/// Steps that copy a parameter or result of a function; none for those that are registers.
fn copy_words(from: Place, to: Place, steps: &mut Vec<Step>) {
    if let (
        Place::Words { first, size },
        Place::Words {
            first: to,
            size: most,
        },
    ) = (from, to)
    {
        let words = 0..size.min(most).div_ceil(4);
        steps.extend(words.map(|n| Step::Copy {
            to: to + n,
            from: first + n,
        }));
    }
}

#[cfg(test)]
mod tests {
    use crate::{graph, ModuleLayout, TranslateError};
    use ptx::Module;
    use std::fmt::Write;

    /// The frames of a kernel that calls the last of some functions, each of which calls the one before it twice.
    fn frames(functions: usize, inside: &str) -> Result<usize, TranslateError> {
        let mut text = String::from(".version 8.0\n.target sm_90\n.address_size 64\n");
        for n in 0..functions {
            let _ = write!(
                text,
                ".func (.reg .b32 y) f{n}(.reg .b32 a) {{ add.u32 y, a, {n};\n{inside}\n"
            );
            for _ in 0..2 * n.min(1) {
                let _ = writeln!(text, "call (y), f{}, (y);", n - 1);
            }
            text.push_str("ret; }\n");
        }
        let _ = write!(
            text,
            ".entry k(.param .u64 p) {{ .reg .b32 r; .reg .b64 d; mov.u32 r, %tid.x; call (r), f{}, (r);\n\
             ld.param.u64 d, [p]; st.global.u32 [d], r; ret; }}",
            functions - 1
        );
        let module = Module::parse(&text).expect("PTX");
        let layout = ModuleLayout::new(&module).expect("a layout");
        let kernel = module.function("k").expect("the kernel");
        graph::build(&module, &layout, kernel).map(|graph| graph.frames.len())
    }

    #[test]
    fn small_kernels_have_every_call_inlined() {
        assert_eq!(frames(5, "").ok(), Some(1 + 31));
    }

    #[test]
    fn large_ones_have_one_copy_for_each_function_that_pays() {
        // The last function is called once; of the first, 2^29 copies would be made. One frame is what calls keep.
        assert_eq!(frames(30, "").ok(), Some(1 + 30 + 1));
    }

    #[test]
    fn calls_with_barriers_are_inlined_or_refused() {
        assert_eq!(frames(5, "bar.sync 0;").ok(), Some(1 + 31));
        let refused = frames(30, "bar.sync 0;").expect_err("too large");
        let what = refused.to_string();
        assert!(what.contains("statements"), "{what}");
    }
}
