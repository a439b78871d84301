//! Reductions of vectors: dot products, sums, norms, and the place of the largest or smallest element.
//!
//! Each thread goes through the vector in steps of the grid, a block joins its threads' results in shared memory, and
//! the blocks' results lie in scratch memory for a second launch of one block. A short vector takes one launch.

use crate::ptx::{ins, module, Arithmetic, Class, Element, Function, Number, Reg};

/// Threads of a block.
pub const BLOCK: u32 = 128;
/// Most blocks of a first launch.
pub const MAX_BLOCKS: u32 = 512;
/// Bytes of one block's result in scratch memory.
pub const PARTIAL_BYTES: u64 = 32;

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// `sum(x[i] * y[i])`
    Dot,
    /// `sum(conj(x[i]) * y[i])`
    DotConjugate,
    /// `sum(|re x[i]| + |im x[i]|)`
    AbsoluteSum,
    /// `sqrt(sum(|x[i]|^2))`
    Norm,
    /// One plus the first index of the largest `|re x[i]| + |im x[i]|`.
    Largest,
    /// One plus the first index of the smallest.
    Smallest,
}

/// The part of the work that a launch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Everything, with one block.
    Whole,
    /// From the vector to a result for each block.
    First,
    /// From the blocks' results to the end.
    Last,
}

/// What a kernel is generated for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// What is computed.
    pub task: Task,
    /// The part of the work.
    pub stage: Stage,
    /// Format of the vectors.
    pub element: Element,
    /// How a vector's numbers are computed with.
    pub arithmetic: Arithmetic,
    /// Format of the result; of [`Task::Largest`] and [`Task::Smallest`] it is [`Element::S32`] for a 32-bit and
    /// [`Element::F64`] for a 64-bit index.
    pub result: Element,
}

/// Blue's method for norms: squares of large and small numbers are summed apart, scaled by powers of two. Exponents of
/// the bounds and of the scales, as LAPACK has them, for single and double precision.
struct Blue {
    big: i32,
    shrink: i32,
    small: i32,
    enlarge: i32,
}

const BLUE_F32: Blue = Blue {
    big: 52,
    shrink: -76,
    small: -63,
    enlarge: 75,
};
const BLUE_F64: Blue = Blue {
    big: 486,
    shrink: -538,
    small: -511,
    enlarge: 537,
};

impl Spec {
    /// The kernel's name.
    pub fn name(&self) -> String {
        let task = match self.task {
            Task::Dot => "dot",
            Task::DotConjugate => "dot_conjugate",
            Task::AbsoluteSum => "absolute_sum",
            Task::Norm => "norm",
            Task::Largest => "largest",
            Task::Smallest => "smallest",
        };
        let stage = match self.stage {
            Stage::Whole => "whole",
            Stage::First => "first",
            Stage::Last => "last",
        };
        format!(
            "reduce_{task}_{}_{}_{stage}",
            self.element.name(),
            self.result.name()
        )
    }

    /// The kernel as a PTX module.
    ///
    /// Parameters, in order: `x`, `y`, `partials`, `result` (u64: addresses); `x_step`, `y_step` (s64: bytes);
    /// `count` (u64: elements, or blocks' results in the last stage). Blocks have 128 threads in x.
    pub fn ptx(&self) -> String {
        let mut f = Function::new(self.name());
        for name in ["x", "y", "partials", "result"] {
            f.param(name, "u64");
        }
        for name in ["x_step", "y_step"] {
            f.param(name, "s64");
        }
        f.param("count", "u64");
        f.threads(BLOCK);
        f.shared("exchange", 16, BLOCK * PARTIAL_BYTES as u32);
        self.body(&mut f);
        module(&f.finish())
    }

    fn blue(&self) -> &'static Blue {
        match self.arithmetic.class() {
            Class::F64 => &BLUE_F64,
            _ => &BLUE_F32,
        }
    }

    fn power_of_two(&self, exponent: i32) -> String {
        self.arithmetic.immediate(2f64.powi(exponent))
    }

    fn is_index(&self) -> bool {
        matches!(self.task, Task::Largest | Task::Smallest)
    }

    /// Fresh registers of a running result, with the neutral value.
    fn start(&self, f: &mut Function) -> Vec<Reg> {
        let real = self.arithmetic.real();
        let mut state = Vec::new();
        match self.task {
            Task::Dot | Task::DotConjugate => {
                let sum = f.constant(self.arithmetic, 0.0);
                state.push(sum.re);
                state.extend(sum.im);
            }
            Task::AbsoluteSum => state.push(f.constant(real, 0.0).re),
            Task::Norm => {
                // Squares of numbers of middle size, of big ones, of small ones.
                for _ in 0..3 {
                    state.push(f.constant(real, 0.0).re);
                }
            }
            Task::Largest | Task::Smallest => {
                let neutral = if self.task == Task::Largest {
                    -1.0
                } else {
                    f64::INFINITY
                };
                state.push(f.constant(real, neutral).re);
                state.push(f.op1(Class::B64, "mov.b64", -1));
            }
        }
        state
    }

    /// Joins `other` into `state`.
    fn join(&self, f: &mut Function, state: &[Reg], other: &[Reg]) {
        if self.is_index() {
            let suffix = self.arithmetic.suffix();
            let how = if self.task == Task::Largest {
                "gt"
            } else {
                "lt"
            };
            let better = f.compare(&format!("{how}.{suffix}"), other[0], state[0]);
            let same = f.compare(&format!("eq.{suffix}"), other[0], state[0]);
            // As an unsigned number, the neutral index is behind all others.
            let before = f.compare("lt.u64", other[1], state[1]);
            ins!(f, "and.pred {same}, {same}, {before};");
            ins!(f, "or.pred {better}, {better}, {same};");
            ins!(
                f,
                "selp.{} {}, {}, {}, {better};",
                suffix,
                state[0],
                other[0],
                state[0]
            );
            ins!(
                f,
                "selp.b64 {}, {}, {}, {better};",
                state[1],
                other[1],
                state[1]
            );
            return;
        }
        let suffix = self.arithmetic.suffix();
        for (state, other) in state.iter().zip(other) {
            ins!(f, "add.{suffix} {state}, {state}, {other};");
        }
    }

    /// `|re| + |im|`
    fn magnitude(&self, f: &mut Function, number: Number) -> Reg {
        let (class, suffix) = (self.arithmetic.class(), self.arithmetic.suffix());
        let abs = f.op1(class, &format!("abs.{suffix}"), number.re);
        match number.im {
            Some(im) => {
                let im = f.op1(class, &format!("abs.{suffix}"), im);
                f.op2(class, &format!("add.{suffix}"), abs, im)
            }
            None => abs,
        }
    }

    /// Adds the square of `part` to the running sums of a norm.
    fn square(&self, f: &mut Function, state: &[Reg], part: Reg) {
        let (class, ty, blue) = (
            self.arithmetic.class(),
            self.arithmetic.suffix(),
            self.blue(),
        );
        let (one, zero) = (
            self.arithmetic.immediate(1.0),
            self.arithmetic.immediate(0.0),
        );
        let select = format!("selp.{ty}");
        let abs = f.op1(class, &format!("abs.{ty}"), part);
        let big = f.compare(&format!("gt.{ty}"), abs, self.power_of_two(blue.big));
        let small = f.compare(&format!("lt.{ty}"), abs, self.power_of_two(blue.small));
        let either = f.op2(Class::Pred, "or.pred", big, small);
        let scale = f.op3(class, &select, self.power_of_two(blue.enlarge), &one, small);
        let scale = f.op3(class, &select, self.power_of_two(blue.shrink), scale, big);
        let scaled = f.op2(class, &format!("mul.{ty}"), abs, scale);
        let square = f.op2(class, &format!("mul.{ty}"), scaled, scaled);
        let middle = f.op3(class, &select, &zero, square, either);
        ins!(f, "add.{ty} {}, {}, {middle};", state[0], state[0]);
        for (sum, when) in [(state[1], big), (state[2], small)] {
            let value = f.op3(class, &select, square, &zero, when);
            ins!(f, "add.{ty} {sum}, {sum}, {value};");
        }
    }

    fn accumulate(
        &self,
        f: &mut Function,
        state: &[Reg],
        x: Number,
        y: Option<Number>,
        index: Reg,
    ) {
        match self.task {
            Task::Dot | Task::DotConjugate => {
                if self.task == Task::DotConjugate {
                    f.conjugate(self.arithmetic, x);
                }
                let sum = Number {
                    re: state[0],
                    im: state.get(1).copied(),
                };
                f.multiply_add(self.arithmetic, sum, x, y.expect("two vectors"));
            }
            Task::AbsoluteSum => {
                let value = self.magnitude(f, x);
                ins!(
                    f,
                    "add.{} {}, {}, {value};",
                    self.arithmetic.suffix(),
                    state[0],
                    state[0]
                );
            }
            Task::Norm => {
                for part in std::iter::once(x.re).chain(x.im) {
                    self.square(f, state, part);
                }
            }
            Task::Largest | Task::Smallest => {
                let value = self.magnitude(f, x);
                self.join(f, state, &[value, index]);
            }
        }
    }

    fn save(&self, f: &mut Function, space: &str, address: Reg, state: &[Reg]) {
        for (i, reg) in state.iter().enumerate() {
            ins!(
                f,
                "st.{space}.{} [{address}+{}], {reg};",
                self.word(i),
                8 * i
            );
        }
    }

    fn restore(&self, f: &mut Function, space: &str, address: Reg, like: &[Reg]) -> Vec<Reg> {
        (0..like.len())
            .map(|i| {
                let ty = self.word(i);
                let class = match ty {
                    "f32" => Class::F32,
                    "f64" => Class::F64,
                    _ => Class::B64,
                };
                f.op1(
                    class,
                    &format!("ld.{space}.{ty}"),
                    format_args!("[{address}+{}]", 8 * i),
                )
            })
            .collect()
    }

    /// The type of register `i` of a running result.
    fn word(&self, i: usize) -> &'static str {
        match self.task {
            Task::Largest | Task::Smallest if i == 1 => "b64",
            _ => self.arithmetic.suffix(),
        }
    }

    fn body(&self, f: &mut Function) {
        let (ar, element) = (self.arithmetic, self.element);
        let tid = f.special("%tid.x");
        let block = f.special("%ctaid.x");
        let wide = f.widen(tid);
        let index = f.op3(Class::B64, "mad.wide.u32", block, BLOCK, wide);
        let count = f.load_param("count", Class::B64);
        let state = self.start(f);
        let blocks = f.special("%nctaid.x");
        let grid = f.op2(Class::B64, "mul.wide.u32", blocks, BLOCK);
        if self.stage == Stage::Last {
            let partials = f.load_param("partials", Class::B64);
            f.while_loop(
                |f| f.compare("lt.u64", index, count),
                |f| {
                    let at = f.op3(Class::B64, "mad.lo.u64", index, PARTIAL_BYTES, partials);
                    let other = self.restore(f, "global", at, &state);
                    self.join(f, &state, &other);
                    ins!(f, "add.u64 {index}, {index}, {grid};");
                },
            );
        } else {
            let two = matches!(self.task, Task::Dot | Task::DotConjugate);
            let (x, x_step) = (
                f.load_param("x", Class::B64),
                f.load_param("x_step", Class::B64),
            );
            let (y, y_step) = (
                f.load_param("y", Class::B64),
                f.load_param("y_step", Class::B64),
            );
            f.while_loop(
                |f| f.compare("lt.u64", index, count),
                |f| {
                    let at = f.op3(Class::B64, "mad.lo.s64", index, x_step, x);
                    let a = f.load("global", element, ar, at, 0);
                    let b = two.then(|| {
                        let at = f.op3(Class::B64, "mad.lo.s64", index, y_step, y);
                        f.load("global", element, ar, at, 0)
                    });
                    self.accumulate(f, &state, a, b, index);
                    ins!(f, "add.u64 {index}, {index}, {grid};");
                },
            );
        }
        f.comment("the block's result");
        let exchange = f.op1(Class::B64, "mov.u64", "exchange");
        let mine = f.op3(Class::B64, "mad.wide.u32", tid, PARTIAL_BYTES, exchange);
        self.save(f, "shared", mine, &state);
        ins!(f, "bar.sync 0;");
        let mut half = BLOCK / 2;
        while half > 0 {
            let joins = f.compare("lt.u32", tid, half);
            f.if_then(joins, |f| {
                let at = f.op2(Class::B64, "add.u64", mine, u64::from(half) * PARTIAL_BYTES);
                let other = self.restore(f, "shared", at, &state);
                self.join(f, &state, &other);
                self.save(f, "shared", mine, &state);
            });
            ins!(f, "bar.sync 0;");
            half /= 2;
        }
        let writes = f.compare("eq.u32", tid, 0);
        f.if_then(writes, |f| {
            if self.stage == Stage::First {
                let partials = f.load_param("partials", Class::B64);
                let at = f.op3(Class::B64, "mad.wide.u32", block, PARTIAL_BYTES, partials);
                self.save(f, "global", at, &state);
            } else {
                let result = f.load_param("result", Class::B64);
                self.finish(f, result, &state);
            }
        });
    }

    /// Writes the result that a running result stands for.
    fn finish(&self, f: &mut Function, result: Reg, state: &[Reg]) {
        match self.task {
            Task::Dot | Task::DotConjugate => {
                let number = Number {
                    re: state[0],
                    im: state.get(1).copied(),
                };
                f.store(None, self.result, self.arithmetic, result, number);
            }
            Task::AbsoluteSum => {
                let number = Number {
                    re: state[0],
                    im: None,
                };
                f.store(None, self.result, self.arithmetic.real(), result, number);
            }
            Task::Norm => {
                let number = Number {
                    re: self.norm(f, state),
                    im: None,
                };
                f.store(None, self.result, self.arithmetic.real(), result, number);
            }
            Task::Largest | Task::Smallest => {
                // The neutral index is left when there is no element, or none but NaN: 0 then, or the first one.
                let none = f.compare("eq.s64", state[1], -1);
                let count = f.load_param("count", Class::B64);
                let first = f.op2(Class::B64, "min.u64", count, 1);
                let index = f.op2(Class::B64, "add.s64", state[1], 1);
                let index = f.op3(Class::B64, "selp.b64", first, index, none);
                if self.result == Element::F64 {
                    ins!(f, "st.global.b64 [{result}], {index};");
                } else {
                    let index = f.op1(Class::B32, "cvt.u32.u64", index);
                    ins!(f, "st.global.b32 [{result}], {index};");
                }
            }
        }
    }

    /// The norm from the three sums of squares: middle, big, small.
    fn norm(&self, f: &mut Function, state: &[Reg]) -> Reg {
        let (class, ty, blue) = (
            self.arithmetic.class(),
            self.arithmetic.suffix(),
            self.blue(),
        );
        let zero = self.arithmetic.immediate(0.0);
        let (sqrt, mul, fma) = (
            format!("sqrt.rn.{ty}"),
            format!("mul.rn.{ty}"),
            format!("fma.rn.{ty}"),
        );
        let select = format!("selp.{ty}");
        let (middle, big, small) = (state[0], state[1], state[2]);
        // Beside numbers of middle size, the small ones may be added at their own scale.
        let down = f.op2(class, &mul, small, self.power_of_two(-blue.enlarge));
        let joined = f.op3(class, &fma, down, self.power_of_two(-blue.enlarge), middle);
        let plain = f.op1(class, &sqrt, joined);
        let root = f.op1(class, &sqrt, small);
        let only_small = f.op2(class, &mul, root, self.power_of_two(-blue.enlarge));
        let is_zero = f.compare(&format!("eq.{ty}"), middle, &zero);
        let result = f.op3(class, &select, only_small, plain, is_zero);
        let up = f.op2(class, &mul, middle, self.power_of_two(blue.shrink));
        let joined = f.op3(class, &fma, up, self.power_of_two(blue.shrink), big);
        let root = f.op1(class, &sqrt, joined);
        let with_big = f.op2(class, &mul, root, self.power_of_two(-blue.shrink));
        let is_big = f.compare(&format!("gt.{ty}"), big, &zero);
        f.op3(class, &select, with_big, result, is_big)
    }
}
