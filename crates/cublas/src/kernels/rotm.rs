//! The modified Givens rotation of two vectors, `x, y = h11 * x + h12 * y, h21 * x + h22 * y`, one thread for each pair.

use crate::ptx::{ins, module, Arithmetic, Class, Element, Function, Number};

/// Threads of a block.
pub const BLOCK: u32 = 128;

/// What a kernel is generated for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// Format of the vectors.
    pub element: Element,
    /// Format of the parameters in device memory.
    pub param: Element,
    /// How is computed; real.
    pub arithmetic: Arithmetic,
}

const NAMES: [&str; 5] = ["flag", "h11", "h21", "h12", "h22"];

impl Spec {
    /// The kernel's name.
    pub fn name(&self) -> String {
        format!("rotm_{}_by_{}", self.element.name(), self.param.name())
    }

    /// The kernel as a PTX module.
    ///
    /// Parameters, in order: `x`, `y` (u64: addresses of the first elements); `x_step`, `y_step` (s64: bytes); `count`
    /// (u64); `param` (u64: address of the five numbers of `cublas<t>rotm`, or null); the five numbers `flag`, `h11`,
    /// `h21`, `h12`, `h22` for a null address. The grid has `count` threads in x.
    pub fn ptx(&self) -> String {
        let (ar, class) = (self.arithmetic, self.arithmetic.class());
        let suffix = ar.suffix();
        let mut f = Function::new(self.name());
        for (name, ty) in [
            ("x", "u64"),
            ("y", "u64"),
            ("x_step", "s64"),
            ("y_step", "s64"),
            ("count", "u64"),
        ] {
            f.param(name, ty);
        }
        f.param("param", "u64");
        for name in NAMES {
            f.param(name, class.name());
        }
        f.threads(BLOCK);
        let tid = f.special("%tid.x");
        let block = f.special("%ctaid.x");
        let tid = f.widen(tid);
        let index = f.op3(Class::B64, "mad.wide.u32", block, BLOCK, tid);
        let count = f.load_param("count", Class::B64);
        let inside = f.compare("lt.u64", index, count);
        f.if_then(inside, |f| {
            let values = NAMES.map(|name| f.load_param(name, class));
            let param = f.load_param("param", Class::B64);
            let on_device = f.compare("ne.u64", param, 0);
            f.if_then(on_device, |f| {
                for (i, &value) in values.iter().enumerate() {
                    let loaded = f.load(
                        "global",
                        self.param,
                        ar,
                        param,
                        (i * self.param.size()) as i64,
                    );
                    f.copy(
                        ar,
                        Number {
                            re: value,
                            im: None,
                        },
                        loaded,
                    );
                }
            });
            let [flag, h11, h21, h12, h22] = values;
            f.comment("-2: nothing; 0: ones on the diagonal; 1: one and minus one beside it");
            let (one, minus_one) = (ar.immediate(1.0), ar.immediate(-1.0));
            let diagonal = f.compare(&format!("eq.{suffix}"), flag, ar.immediate(0.0));
            let other = f.compare(&format!("eq.{suffix}"), flag, &one);
            for (when, register, value) in [
                (diagonal, h11, &one),
                (diagonal, h22, &one),
                (other, h21, &minus_one),
                (other, h12, &one),
            ] {
                ins!(f, "@{when} mov.{suffix} {register}, {value};");
            }
            let rotates = f.compare(&format!("neu.{suffix}"), flag, ar.immediate(-2.0));
            f.if_then(rotates, |f| {
                let places = ["x", "y"].map(|name| {
                    let base = f.load_param(name, Class::B64);
                    let step = f.load_param(&format!("{name}_step"), Class::B64);
                    f.op3(Class::B64, "mad.lo.s64", index, step, base)
                });
                let [x, y] = places.map(|at| f.load("global", self.element, ar, at, 0));
                let number = |re| Number { re, im: None };
                for (at, (a, b)) in places.into_iter().zip([(h11, h12), (h21, h22)]) {
                    let sum = f.multiply(ar, number(a), x);
                    f.multiply_add(ar, sum, number(b), y);
                    f.store(None, self.element, ar, at, sum);
                }
            });
        });
        module(&f.finish())
    }
}
