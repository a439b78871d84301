//! The making of Givens rotations from numbers in device memory, by one thread.

use crate::ptx::{ins, module, Arithmetic, Class, Element, Function, Number, Reg};

/// What a kernel is generated for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// Format of the numbers; the cosine of complex ones is real.
    pub element: Element,
    /// Format of the cosine.
    pub cosine: Element,
    /// How is computed.
    pub arithmetic: Arithmetic,
    /// Whether the modified rotation of `rotmg` is made, else that of `rotg`.
    pub modified: bool,
}

impl Spec {
    /// The kernel's name.
    pub fn name(&self) -> String {
        format!(
            "{}_{}",
            if self.modified { "rotmg" } else { "rotg" },
            self.element.name()
        )
    }

    /// The kernel as a PTX module.
    ///
    /// Parameters (u64: addresses), in order: `a`, `b`, `c`, `s` of `rotg`, or `d1`, `d2`, `x1`, `y1`, `param` of `rotmg`.
    /// The grid is one thread.
    pub fn ptx(&self) -> String {
        let mut f = Function::new(self.name());
        let names: &[&str] = if self.modified {
            &["d1", "d2", "x1", "y1", "param"]
        } else {
            &["a", "b", "c", "s"]
        };
        for &name in names {
            f.param(name, "u64");
        }
        f.threads(1);
        let at: Vec<Reg> = names
            .iter()
            .map(|name| f.load_param(name, Class::B64))
            .collect();
        match (self.modified, self.arithmetic.is_complex()) {
            (true, _) => self.modified(&mut f, &at),
            (false, false) => self.real(&mut f, &at),
            (false, true) => self.complex(&mut f, &at),
        }
        module(&f.finish())
    }

    fn op(
        &self,
        f: &mut Function,
        op: &str,
        a: impl std::fmt::Display,
        b: impl std::fmt::Display,
    ) -> Reg {
        f.op2(
            self.arithmetic.class(),
            &format!("{op}.{}", self.arithmetic.suffix()),
            a,
            b,
        )
    }

    fn select(
        &self,
        f: &mut Function,
        a: impl std::fmt::Display,
        b: impl std::fmt::Display,
        when: Reg,
    ) -> Reg {
        let op = format!("selp.{}", self.arithmetic.suffix());
        f.op3(self.arithmetic.class(), &op, a, b, when)
    }

    fn compare(
        &self,
        f: &mut Function,
        how: &str,
        a: impl std::fmt::Display,
        b: impl std::fmt::Display,
    ) -> Reg {
        f.compare(&format!("{how}.{}", self.arithmetic.suffix()), a, b)
    }

    fn absolute(&self, f: &mut Function, a: Reg) -> Reg {
        f.op1(
            self.arithmetic.class(),
            &format!("abs.{}", self.arithmetic.suffix()),
            a,
        )
    }

    fn value(&self, value: f64) -> String {
        self.arithmetic.immediate(value)
    }

    /// `a` where it is not zero, else one.
    fn divisor(&self, f: &mut Function, a: Reg) -> Reg {
        let zero = self.compare(f, "eq", a, self.value(0.0));
        self.select(f, self.value(1.0), a, zero)
    }

    /// The length of a vector of two, which overflows only where the length does.
    fn length(&self, f: &mut Function, a: Reg, b: Reg) -> Reg {
        let (a, b) = (self.absolute(f, a), self.absolute(f, b));
        let largest = self.op(f, "max", a, b);
        let scale = self.divisor(f, largest);
        let (a, b) = (
            self.op(f, "div.rn", a, scale),
            self.op(f, "div.rn", b, scale),
        );
        let (a, b) = (self.op(f, "mul", a, a), self.op(f, "mul", b, b));
        let sum = self.op(f, "add", a, b);
        let root = f.op1(
            self.arithmetic.class(),
            &format!("sqrt.rn.{}", self.arithmetic.suffix()),
            sum,
        );
        self.op(f, "mul", root, scale)
    }

    fn load(&self, f: &mut Function, at: Reg) -> Number {
        f.load("global", self.element, self.arithmetic, at, 0)
    }

    fn store_real(&self, f: &mut Function, element: Element, at: Reg, re: Reg) {
        f.store(
            None,
            element,
            self.arithmetic.real(),
            at,
            Number { re, im: None },
        );
    }

    fn real(&self, f: &mut Function, at: &[Reg]) {
        let (a, b) = (self.load(f, at[0]).re, self.load(f, at[1]).re);
        let (abs_a, abs_b) = (self.absolute(f, a), self.absolute(f, b));
        let first = self.compare(f, "gt", abs_a, abs_b);
        let length = self.length(f, a, b);
        let larger = self.select(f, a, b, first);
        let negative = self.compare(f, "lt", larger, self.value(0.0));
        let minus = self.op(f, "sub", self.value(0.0), length);
        let r = self.select(f, minus, length, negative);
        let divisor = self.divisor(f, r);
        let empty = self.compare(f, "eq", r, self.value(0.0));
        let c = self.op(f, "div.rn", a, divisor);
        let c = self.select(f, self.value(1.0), c, empty);
        let s = self.op(f, "div.rn", b, divisor);
        f.comment("z, from which both can be had");
        let inverse_of = self.divisor(f, c);
        let inverse = self.op(f, "div.rn", self.value(1.0), inverse_of);
        let z = self.select(f, s, inverse, first);
        let z = self.select(f, self.value(0.0), z, empty);
        for (&at, number) in at.iter().zip([r, z, c, s]) {
            self.store_real(f, self.element, at, number);
        }
    }

    fn complex(&self, f: &mut Function, at: &[Reg]) {
        let (a, b) = (self.load(f, at[0]), self.load(f, at[1]));
        let (Some(a_im), Some(b_im)) = (a.im, b.im) else {
            unreachable!("complex numbers have two parts")
        };
        let size = self.length(f, a.re, a_im);
        let empty = self.compare(f, "eq", size, self.value(0.0));
        let size_b = self.length(f, b.re, b_im);
        let norm = self.length(f, size, size_b);
        let (by, all) = (self.divisor(f, size), self.divisor(f, norm));
        let (re, im) = (
            self.op(f, "div.rn", a.re, by),
            self.op(f, "div.rn", a_im, by),
        );
        let (b_re, b_part) = (
            self.op(f, "div.rn", b.re, all),
            self.op(f, "div.rn", b_im, all),
        );
        let direction = Number { re, im: Some(im) };
        let part = Number {
            re: b_re,
            im: Some(b_part),
        };
        f.conjugate(self.arithmetic, part);
        let s = f.multiply(self.arithmetic, direction, part);
        let c = self.op(f, "div.rn", size, all);
        let pairs = [(re, b.re, s.re, 1.0), (im, b_im, s.im.unwrap_or(s.re), 0.0)];
        let [r, s] = {
            let mut parts = Vec::new();
            for (direction, b, sine, alone) in pairs {
                let r = self.op(f, "mul", direction, norm);
                parts.push((
                    self.select(f, b, r, empty),
                    self.select(f, self.value(alone), sine, empty),
                ));
            }
            let number = |re, im| Number { re, im: Some(im) };
            [
                number(parts[0].0, parts[1].0),
                number(parts[0].1, parts[1].1),
            ]
        };
        f.store(None, self.element, self.arithmetic, at[0], r);
        self.store_real(f, self.cosine, at[2], c);
        f.store(None, self.element, self.arithmetic, at[3], s);
    }

    fn modified(&self, f: &mut Function, at: &[Reg]) {
        const GAMMA: f64 = 4096.0;
        const SQUARE: f64 = GAMMA * GAMMA;
        const LEAST: f64 = 5.960_464_5e-8;
        let suffix = self.arithmetic.suffix();
        let [d1, d2, x1, y1] = [0, 1, 2, 3].map(|i| self.load(f, at[i]).re);
        let (p1, p2) = (self.op(f, "mul", d1, x1), self.op(f, "mul", d2, y1));
        let (q1, q2) = (self.op(f, "mul", p1, x1), self.op(f, "mul", p2, y1));
        let negative = self.compare(f, "lt", d1, self.value(0.0));
        let same = self.compare(f, "eq", p2, self.value(0.0));
        let positive = f.op1(Class::Pred, "not.pred", negative);
        ins!(f, "and.pred {same}, {same}, {positive};");
        let flag = f.op1(
            self.arithmetic.class(),
            &format!("mov.{suffix}"),
            self.value(-2.0),
        );
        let other = f.op1(Class::Pred, "not.pred", same);
        f.if_then(other, |f| {
            let (size1, size2) = (self.absolute(f, q1), self.absolute(f, q2));
            let first = self.compare(f, "gt", size1, size2);
            let ratio = self.op(f, "div.rn", y1, x1);
            let h21 = self.op(f, "sub", self.value(0.0), ratio);
            let h12 = self.op(f, "div.rn", p2, p1);
            let product = self.op(f, "mul", h12, h21);
            let u1 = self.op(f, "sub", self.value(1.0), product);
            let h11 = self.op(f, "div.rn", p1, p2);
            let h22 = self.op(f, "div.rn", x1, y1);
            let product = self.op(f, "mul", h11, h22);
            let u2 = self.op(f, "add", product, self.value(1.0));
            let u = self.select(f, u1, u2, first);
            let (new_d1, new_d2) = (self.select(f, d1, d2, first), self.select(f, d2, d1, first));
            let new_x1 = self.select(f, x1, y1, first);
            let h = [
                self.select(f, self.value(1.0), h11, first),
                self.select(f, h21, self.value(-1.0), first),
                self.select(f, h12, self.value(1.0), first),
                self.select(f, self.value(1.0), h22, first),
            ];
            let kind = self.select(f, self.value(0.0), self.value(1.0), first);
            ins!(f, "mov.{suffix} {flag}, {kind};");
            let (new_d1, new_d2) = (
                self.op(f, "div.rn", new_d1, u),
                self.op(f, "div.rn", new_d2, u),
            );
            let new_x1 = self.op(f, "mul", new_x1, u);
            f.comment("no rotation: all zero");
            let small = self.compare(f, "le", u, self.value(0.0));
            let below = self.compare(f, "lt", q2, self.value(0.0));
            let none = f.reg(Class::Pred);
            ins!(f, "and.pred {small}, {small}, {first};");
            ins!(f, "not.pred {none}, {first};");
            ins!(f, "and.pred {none}, {none}, {below};");
            ins!(f, "or.pred {none}, {none}, {small};");
            ins!(f, "or.pred {none}, {none}, {negative};");
            for number in h.into_iter().chain([new_d1, new_d2, new_x1]) {
                ins!(f, "@{none} mov.{suffix} {number}, {};", self.value(0.0));
            }
            ins!(f, "@{none} mov.{suffix} {flag}, {};", self.value(-1.0));
            for (d, scaled) in [(new_d1, [new_x1, h[0], h[2]]), (new_d2, [h[1], h[3], h[3]])] {
                f.while_loop(
                    |f| {
                        let size = self.absolute(f, d);
                        let far = self.compare(f, "le", size, self.value(LEAST));
                        let large = self.compare(f, "ge", size, self.value(SQUARE));
                        let there = self.compare(f, "gt", size, self.value(0.0));
                        let finite = self.compare(f, "lt", size, self.value(f64::INFINITY));
                        ins!(f, "or.pred {far}, {far}, {large};");
                        ins!(f, "and.pred {far}, {far}, {there};");
                        ins!(f, "and.pred {far}, {far}, {finite};");
                        far
                    },
                    |f| {
                        let size = self.absolute(f, d);
                        let small = self.compare(f, "le", size, self.value(LEAST));
                        let square =
                            self.select(f, self.value(SQUARE), self.value(1.0 / SQUARE), small);
                        let factor =
                            self.select(f, self.value(1.0 / GAMMA), self.value(GAMMA), small);
                        ins!(f, "mov.{suffix} {flag}, {};", self.value(-1.0));
                        ins!(f, "mul.{suffix} {d}, {d}, {square};");
                        for (i, number) in scaled.iter().enumerate() {
                            if !scaled[..i].contains(number) {
                                ins!(f, "mul.{suffix} {number}, {number}, {factor};");
                            }
                        }
                    },
                );
            }
            for (&at, number) in at.iter().zip([new_d1, new_d2, new_x1]) {
                self.store_real(f, self.element, at, number);
            }
            f.comment("what the flag does not tell");
            let diagonal = self.compare(f, "ne", flag, self.value(0.0));
            let beside = self.compare(f, "ne", flag, self.value(1.0));
            for (i, (number, when)) in h
                .into_iter()
                .zip([diagonal, beside, beside, diagonal])
                .enumerate()
            {
                let to = f.op2(Class::B64, "add.s64", at[4], (i + 1) * self.element.size());
                f.store(
                    Some(when),
                    self.element,
                    self.arithmetic,
                    to,
                    Number {
                        re: number,
                        im: None,
                    },
                );
            }
        });
        self.store_real(f, self.element, at[4], flag);
    }
}
