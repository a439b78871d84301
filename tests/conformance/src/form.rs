//! Instruction forms, and kernels made of them.

use crate::kind::{Kind, Random};
use ptx::Opcode;
use std::fmt::Write;

/// How results may differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Compare {
    /// Not at all, but for the bits of a NaN.
    Exact,
    /// By units of the last place, as a distance of ordered bit patterns.
    Ulp(u64),
    /// By the documented error of the opcode or, where that is more, by this much absolutely or relatively (what the device's
    /// driver is known to keep).
    Approximate(Opcode, f64, f64),
}

/// An instruction with its operands' kinds.
#[derive(Clone, Debug)]
pub struct Form {
    /// The name in reports.
    pub name: String,
    /// PTX over the registers `d0`, `d1` ... and `a0`, `a1` ...
    pub text: String,
    /// Kinds of `d0` ...
    pub results: Vec<Kind>,
    /// Kinds of `a0` ...
    pub operands: Vec<Kind>,
    /// How results are compared.
    pub compare: Compare,
}

/// One instruction: destinations, then sources, in order.
pub fn form(instruction: &str, results: &str, operands: &str) -> Form {
    let names = |kinds: &str, letter: char| -> Vec<String> {
        let count = kinds.split_whitespace().count();
        (0..count).map(|i| format!("{letter}{i}")).collect()
    };
    let mut names_of_all = vec![names(results, 'd').join("|")];
    names_of_all.extend(names(operands, 'a'));
    let names = names_of_all;
    body(
        instruction,
        results,
        operands,
        &format!("{instruction} {};", names.join(", ")),
    )
}

/// Any text over the registers `d0` ..., `a0` ...; it may declare registers of its own.
pub fn body(name: &str, results: &str, operands: &str, text: &str) -> Form {
    let kinds = |names: &str| names.split_whitespace().map(Kind::named).collect();
    Form {
        name: name.to_owned(),
        text: text.to_owned(),
        results: kinds(results),
        operands: kinds(operands),
        compare: Compare::Exact,
    }
}

impl Form {
    /// The form with another comparison.
    pub fn with(mut self, compare: Compare) -> Form {
        self.compare = compare;
        self
    }

    /// Operand sets, `count` of them: all pairs of edges as far as they go, then random ones.
    pub fn inputs(&self, count: usize) -> Vec<Vec<u64>> {
        let mut random = Random(
            0x9e37_79b9_7f4a_7c15
                ^ self.name.bytes().fold(1, |h: u64, b| {
                    h.wrapping_mul(0x100_0000_01b3) ^ u64::from(b)
                }),
        );
        let edges: Vec<Vec<u64>> = self.operands.iter().map(|k| k.edges()).collect();
        let all: usize = edges.iter().map(Vec::len).product();
        (0..count)
            .map(|i| {
                // Every combination in turn where they fit into three quarters, else random picks among them.
                let within = i < count * 3 / 4;
                let mut rest = if all <= count * 3 / 4 {
                    i
                } else {
                    random.below(all.max(1))
                };
                let exhausted = all <= count * 3 / 4 && i >= all;
                self.operands
                    .iter()
                    .zip(&edges)
                    .map(|(kind, edges)| {
                        let at = rest % edges.len();
                        rest /= edges.len();
                        if exhausted || !within {
                            kind.random(&mut random)
                        } else {
                            edges[at]
                        }
                    })
                    .collect()
            })
            .collect()
    }
}

/// A kernel `k(in, out)` of some forms. Operand `o` (counted over all forms) of thread `i` is the 8 bytes at
/// `in + (o * count + i) * 8`; results likewise in `out`.
pub fn kernel(forms: &[Form], count: usize) -> String {
    let mut text = String::from(
        ".version 8.3\n.target sm_90\n.address_size 64\n.visible .entry k(.param .u64 in, .param .u64 out) {\n\
         .reg .b64 from, to, i;\n.reg .b32 x, y, z;\n\
         ld.param.u64 from, [in]; ld.param.u64 to, [out];\n\
         mov.u32 x, %ctaid.x; mov.u32 y, %ntid.x; mov.u32 z, %tid.x;\n\
         mad.lo.u32 x, x, y, z; mul.wide.u32 i, x, 8;\nadd.u64 from, from, i; add.u64 to, to, i;\n",
    );
    let (mut operand, mut result) = (0, 0);
    for form in forms {
        let _ = writeln!(text, "{{ // {}", form.name);
        let kinds = |kinds: &[Kind], letter: char, text: &mut String| {
            for (i, kind) in kinds.iter().enumerate() {
                let ty = if *kind == Kind::Pred {
                    ".pred".to_owned()
                } else {
                    format!(".b{}", kind.bits())
                };
                let _ = writeln!(text, ".reg {ty} {letter}{i};");
            }
        };
        kinds(&form.operands, 'a', &mut text);
        kinds(&form.results, 'd', &mut text);
        text.push_str(".reg .b32 word;\n");
        for (i, kind) in form.operands.iter().enumerate() {
            let offset = operand * count * 8;
            operand += 1;
            let _ = match kind {
                Kind::Pred => writeln!(
                    text,
                    "ld.global.b32 word, [from+{offset}]; setp.ne.u32 a{i}, word, 0;"
                ),
                _ => writeln!(text, "ld.global.b{} a{i}, [from+{offset}];", kind.bits()),
            };
        }
        let _ = writeln!(text, "{}", form.text);
        for (i, kind) in form.results.iter().enumerate() {
            let offset = result * count * 8;
            result += 1;
            let _ = match kind {
                Kind::Pred => writeln!(
                    text,
                    "selp.u32 word, 1, 0, d{i}; st.global.b32 [to+{offset}], word;"
                ),
                _ => writeln!(text, "st.global.b{} [to+{offset}], d{i};", kind.bits()),
            };
        }
        text.push_str("}\n");
    }
    text.push_str("ret;\n}\n");
    text
}
