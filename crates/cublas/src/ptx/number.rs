//! Arithmetic on real and complex numbers in registers, and their formats in memory.

use super::{ins, Arithmetic, Class, Element, Function, Number, Reg};

/// Arithmetic on numbers.
///
/// Products and sums carry no rounding modifier, so that they may be fused or not, whichever is faster on the device.
impl Function {
    /// Fresh registers for a number.
    pub fn number(&mut self, arithmetic: Arithmetic) -> Number {
        let re = self.reg(arithmetic.class());
        let im = arithmetic
            .is_complex()
            .then(|| self.reg(arithmetic.class()));
        Number { re, im }
    }

    /// `destination = value`, a real constant.
    pub fn set(&mut self, arithmetic: Arithmetic, destination: Number, value: f64) {
        let (ty, value, zero) = (
            arithmetic.class().name(),
            arithmetic.immediate(value),
            arithmetic.immediate(0.0),
        );
        ins!(self, "mov.{ty} {}, {value};", destination.re);
        if let Some(im) = destination.im {
            ins!(self, "mov.{ty} {im}, {zero};");
        }
    }

    /// A fresh number with a real constant.
    pub fn constant(&mut self, arithmetic: Arithmetic, value: f64) -> Number {
        let number = self.number(arithmetic);
        self.set(arithmetic, number, value);
        number
    }

    /// `destination = source`.
    pub fn copy(&mut self, arithmetic: Arithmetic, destination: Number, source: Number) {
        let ty = arithmetic.class().name();
        ins!(self, "mov.{ty} {}, {};", destination.re, source.re);
        if let (Some(d), Some(s)) = (destination.im, source.im) {
            ins!(self, "mov.{ty} {d}, {s};");
        }
    }

    /// Negates the imaginary part in place; nothing for real numbers.
    pub fn conjugate(&mut self, arithmetic: Arithmetic, number: Number) {
        if let Some(im) = number.im {
            ins!(self, "neg.{} {im}, {im};", arithmetic.suffix());
        }
    }

    /// `a + b`
    pub fn add(&mut self, arithmetic: Arithmetic, a: Number, b: Number) -> Number {
        self.by_component(arithmetic, "add", a, b)
    }

    /// `a - b`
    pub fn subtract(&mut self, arithmetic: Arithmetic, a: Number, b: Number) -> Number {
        self.by_component(arithmetic, "sub", a, b)
    }

    fn by_component(&mut self, arithmetic: Arithmetic, op: &str, a: Number, b: Number) -> Number {
        let d = self.number(arithmetic);
        let suffix = arithmetic.suffix();
        ins!(self, "{op}.{suffix} {}, {}, {};", d.re, a.re, b.re);
        if let (Some(d), Some(a), Some(b)) = (d.im, a.im, b.im) {
            ins!(self, "{op}.{suffix} {d}, {a}, {b};");
        }
        d
    }

    /// `accumulator += a * b`
    pub fn multiply_add(
        &mut self,
        arithmetic: Arithmetic,
        accumulator: Number,
        a: Number,
        b: Number,
    ) {
        self.accumulate(arithmetic, accumulator, a, b, false);
    }

    /// `accumulator -= a * b`
    pub fn multiply_subtract(
        &mut self,
        arithmetic: Arithmetic,
        accumulator: Number,
        a: Number,
        b: Number,
    ) {
        self.accumulate(arithmetic, accumulator, a, b, true);
    }

    fn accumulate(
        &mut self,
        arithmetic: Arithmetic,
        d: Number,
        a: Number,
        b: Number,
        negative: bool,
    ) {
        let (plus, minus) = if negative {
            ("sub", "add")
        } else {
            ("add", "sub")
        };
        self.term(arithmetic, plus, d.re, a.re, b.re);
        if let (Some(d_im), Some(a_im), Some(b_im)) = (d.im, a.im, b.im) {
            self.term(arithmetic, minus, d.re, a_im, b_im);
            self.term(arithmetic, plus, d_im, a.re, b_im);
            self.term(arithmetic, plus, d_im, a_im, b.re);
        }
    }

    fn term(&mut self, arithmetic: Arithmetic, op: &str, d: Reg, a: Reg, b: Reg) {
        let suffix = arithmetic.suffix();
        if arithmetic == Arithmetic::S32 && op == "add" {
            ins!(self, "mad.lo.s32 {d}, {a}, {b}, {d};");
            return;
        }
        let mul = if arithmetic == Arithmetic::S32 {
            "mul.lo"
        } else {
            "mul"
        };
        let t = self.op2(arithmetic.class(), &format!("{mul}.{suffix}"), a, b);
        ins!(self, "{op}.{suffix} {d}, {d}, {t};");
    }

    /// `a * b`
    pub fn multiply(&mut self, arithmetic: Arithmetic, a: Number, b: Number) -> Number {
        let suffix = arithmetic.suffix();
        let mul = if arithmetic == Arithmetic::S32 {
            "mul.lo"
        } else {
            "mul"
        };
        let re = self.op2(arithmetic.class(), &format!("{mul}.{suffix}"), a.re, b.re);
        let mut d = Number { re, im: None };
        if let (Some(a_im), Some(b_im)) = (a.im, b.im) {
            self.term(arithmetic, "sub", d.re, a_im, b_im);
            let im = self.op2(arithmetic.class(), &format!("mul.{suffix}"), a.re, b_im);
            self.term(arithmetic, "add", im, a_im, b.re);
            d.im = Some(im);
        }
        d
    }

    /// `a / b`, rounded; complex by Smith's method, which does not overflow where the quotient does not.
    pub fn divide(&mut self, arithmetic: Arithmetic, a: Number, b: Number) -> Number {
        let suffix = arithmetic.suffix();
        let class = arithmetic.class();
        let (Some(a_im), Some(b_im)) = (a.im, b.im) else {
            let op = if arithmetic == Arithmetic::S32 {
                "div.s32".to_owned()
            } else {
                format!("div.rn.{suffix}")
            };
            return Number {
                re: self.op2(class, &op, a.re, b.re),
                im: None,
            };
        };
        let d = self.number(arithmetic);
        let d_im = d.im.expect("complex");
        let (abs_re, abs_im) = (
            self.op1(class, &format!("abs.{suffix}"), b.re),
            self.op1(class, &format!("abs.{suffix}"), b_im),
        );
        let swap = self.compare(&format!("lt.{suffix}"), abs_re, abs_im);
        // With |b.re| >= |b.im|: r = b.im/b.re, s = b.re + r*b.im, (a.re + r*a.im)/s and (a.im - r*a.re)/s.
        // Otherwise a/b = (a*-i)/(b*-i), where b*-i = (b.im, -b.re) is of the first kind.
        let select = format!("selp.{suffix}");
        let neg_b_re = self.op1(class, &format!("neg.{suffix}"), b.re);
        let neg_a_re = self.op1(class, &format!("neg.{suffix}"), a.re);
        let (br, bi) = (
            self.op3(class, &select, b_im, b.re, swap),
            self.op3(class, &select, neg_b_re, b_im, swap),
        );
        let (ar, ai) = (
            self.op3(class, &select, a_im, a.re, swap),
            self.op3(class, &select, neg_a_re, a_im, swap),
        );
        let r = self.op2(class, &format!("div.rn.{suffix}"), bi, br);
        let s = self.op3(class, &format!("fma.rn.{suffix}"), r, bi, br);
        let re = self.op3(class, &format!("fma.rn.{suffix}"), r, ai, ar);
        let neg_r = self.op1(class, &format!("neg.{suffix}"), r);
        let im = self.op3(class, &format!("fma.rn.{suffix}"), neg_r, ar, ai);
        ins!(self, "div.rn.{suffix} {}, {re}, {s};", d.re);
        ins!(self, "div.rn.{suffix} {d_im}, {im}, {s};");
        d
    }

    /// A predicate that is true when the number is not zero (NaN counts as not zero).
    pub fn is_nonzero(&mut self, arithmetic: Arithmetic, number: Number) -> Reg {
        let zero = arithmetic.immediate(0.0);
        let how = if arithmetic == Arithmetic::S32 {
            "ne.s32".to_owned()
        } else {
            format!("neu.{}", arithmetic.suffix())
        };
        let p = self.compare(&how, number.re, &zero);
        if let Some(im) = number.im {
            let q = self.compare(&how, im, &zero);
            ins!(self, "or.pred {p}, {p}, {q};");
        }
        p
    }
}

/// Numbers in memory.
impl Function {
    /// Reads `count` consecutive numbers at `address + offset` into registers, with the widest loads that divide
    /// their bytes (16 at most), which must be aligned. `state` is the state space with its cache operator, such as
    /// `global.nc`.
    pub fn load_vector(
        &mut self,
        state: &str,
        element: Element,
        arithmetic: Arithmetic,
        address: Reg,
        offset: i64,
        count: usize,
    ) -> Vec<Number> {
        let components = if arithmetic.is_complex() { 2 } else { 1 };
        let component = element.size() / components;
        let bytes = element.size() * count;
        let chunk = [16, 8, 4, 2, 1]
            .into_iter()
            .find(|chunk| bytes % chunk == 0)
            .expect("one divides all");
        let chunk = chunk.max(component);
        let mut parts = Vec::new();
        for start in (0..bytes).step_by(chunk) {
            let at = offset + start as i64;
            match component {
                4 | 8 => {
                    let class = match element {
                        Element::S32 => Class::B32,
                        _ => arithmetic.class(),
                    };
                    let lanes = self.load_words(state, class, address, at, chunk / component);
                    parts.extend(lanes);
                }
                _ if chunk >= 4 => {
                    for word in self.load_words(state, Class::B32, address, at, chunk / 4) {
                        self.unpack(element, arithmetic, word, &mut parts);
                    }
                }
                2 => {
                    for k in 0..chunk / 2 {
                        let h = self.reg(Class::B16);
                        ins!(
                            self,
                            "ld.{state}.b16 {h}, [{address}+{}];",
                            at + 2 * k as i64
                        );
                        parts.push(self.widen_half(element, h));
                    }
                }
                _ => {
                    for k in 0..chunk {
                        let byte = self.reg(Class::B32);
                        ins!(self, "ld.{state}.s8 {byte}, [{address}+{}];", at + k as i64);
                        parts.push(self.integer_as(arithmetic, byte));
                    }
                }
            }
        }
        parts
            .chunks(components)
            .map(|part| Number {
                re: part[0],
                im: part.get(1).copied(),
            })
            .collect()
    }

    fn load_words(
        &mut self,
        state: &str,
        class: Class,
        address: Reg,
        offset: i64,
        count: usize,
    ) -> Vec<Reg> {
        let regs: Vec<Reg> = (0..count).map(|_| self.reg(class)).collect();
        let ty = class.name();
        match regs.as_slice() {
            [one] => ins!(self, "ld.{state}.{ty} {one}, [{address}+{offset}];"),
            many => {
                let list = many
                    .iter()
                    .map(Reg::to_string)
                    .collect::<Vec<_>>()
                    .join(", ");
                ins!(
                    self,
                    "ld.{state}.v{count}.{ty} {{{list}}}, [{address}+{offset}];"
                );
            }
        }
        regs
    }

    fn unpack(
        &mut self,
        element: Element,
        arithmetic: Arithmetic,
        word: Reg,
        parts: &mut Vec<Reg>,
    ) {
        match element {
            Element::F16 => {
                let (low, high) = (self.reg(Class::B16), self.reg(Class::B16));
                ins!(self, "mov.b32 {{{low}, {high}}}, {word};");
                for h in [low, high] {
                    parts.push(self.widen_half(element, h));
                }
            }
            Element::BF16 => {
                // A bfloat16 is the upper half of a float.
                let low = self.op2(Class::B32, "shl.b32", word, 16);
                let high = self.op2(Class::B32, "and.b32", word, "0xFFFF0000");
                for bits in [low, high] {
                    parts.push(self.op1(Class::F32, "mov.b32", bits));
                }
            }
            Element::S8 => {
                for k in 0..4 {
                    let byte = self.op3(Class::B32, "bfe.s32", word, 8 * k, 8);
                    parts.push(self.integer_as(arithmetic, byte));
                }
            }
            _ => unreachable!("only numbers smaller than a word are packed"),
        }
    }

    fn widen_half(&mut self, element: Element, h: Reg) -> Reg {
        if element == Element::F16 {
            return self.op1(Class::F32, "cvt.f32.f16", h);
        }
        let bits = self.op1(Class::B32, "cvt.u32.u16", h);
        let bits = self.op2(Class::B32, "shl.b32", bits, 16);
        self.op1(Class::F32, "mov.b32", bits)
    }

    fn integer_as(&mut self, arithmetic: Arithmetic, value: Reg) -> Reg {
        match arithmetic {
            Arithmetic::S32 => value,
            _ => self.op1(
                arithmetic.class(),
                &format!("cvt.rn.{}.s32", arithmetic.suffix()),
                value,
            ),
        }
    }

    /// Reads one number; `address` need only have the alignment of the number itself.
    pub fn load(
        &mut self,
        state: &str,
        element: Element,
        arithmetic: Arithmetic,
        address: Reg,
        offset: i64,
    ) -> Number {
        self.load_vector(state, element, arithmetic, address, offset, 1)[0]
    }

    /// Writes one number, rounded to `element`, where the predicate `when` holds.
    pub fn store(
        &mut self,
        when: Option<Reg>,
        element: Element,
        arithmetic: Arithmetic,
        address: Reg,
        number: Number,
    ) {
        let guard = when.map(|p| format!("@{p} ")).unwrap_or_default();
        match (element, number.im) {
            (Element::C32 | Element::C64, Some(im)) => {
                let ty = arithmetic.suffix();
                ins!(
                    self,
                    "{guard}st.global.v2.{ty} [{address}], {{{}, {im}}};",
                    number.re
                );
            }
            (Element::F16, _) => {
                let h = self.op1(Class::B16, "cvt.rn.f16.f32", number.re);
                ins!(self, "{guard}st.global.b16 [{address}], {h};");
            }
            (Element::BF16, _) => {
                let h = self.op1(Class::B16, "cvt.rn.bf16.f32", number.re);
                ins!(self, "{guard}st.global.b16 [{address}], {h};");
            }
            (Element::S8, _) => {
                let mut value = number.re;
                if arithmetic != Arithmetic::S32 {
                    value = self.op1(
                        Class::B32,
                        &format!("cvt.rni.s32.{}", arithmetic.suffix()),
                        value,
                    );
                }
                let value = self.op2(Class::B32, "max.s32", value, -128);
                let value = self.op2(Class::B32, "min.s32", value, 127);
                ins!(self, "{guard}st.global.b8 [{address}], {value};");
            }
            (Element::F32 | Element::F64 | Element::S32, _) => {
                let ty = arithmetic.class().name();
                ins!(self, "{guard}st.global.{ty} [{address}], {};", number.re);
            }
            (Element::C32 | Element::C64, None) => {
                unreachable!("a complex element takes complex arithmetic")
            }
        }
    }

    /// Writes a number to shared memory as it is computed with.
    pub fn store_shared(&mut self, arithmetic: Arithmetic, address: Reg, number: Number) {
        let ty = arithmetic.class().name();
        match number.im {
            Some(im) => ins!(
                self,
                "st.shared.v2.{ty} [{address}], {{{}, {im}}};",
                number.re
            ),
            None => ins!(self, "st.shared.{ty} [{address}], {};", number.re),
        }
    }

    /// Writes two neighbouring real numbers, rounded to `element`; `address` is aligned to both.
    pub fn store_pair(&mut self, element: Element, address: Reg, [a, b]: [Number; 2]) {
        match element {
            Element::F32 => ins!(
                self,
                "st.global.v2.f32 [{address}], {{{}, {}}};",
                a.re,
                b.re
            ),
            Element::F16 | Element::BF16 => {
                let op = format!("cvt.rn.{}.f32", element.name());
                let (low, high) = (
                    self.op1(Class::B16, &op, a.re),
                    self.op1(Class::B16, &op, b.re),
                );
                let word = self.reg(Class::B32);
                ins!(self, "mov.b32 {word}, {{{low}, {high}}};");
                ins!(self, "st.global.b32 [{address}], {word};");
            }
            other => unreachable!("pairs of {other:?} are not written"),
        }
    }

    /// Declares the parameters of a scalar that the host passes by value or, when `NAME_at` is not null, that lies in
    /// device memory.
    pub fn scalar_params(&mut self, name: &str, arithmetic: Arithmetic) {
        self.param(format!("{name}_at"), "u64");
        self.param(format!("{name}_re"), arithmetic.class().name());
        if arithmetic.is_complex() {
            self.param(format!("{name}_im"), arithmetic.class().name());
        }
    }

    /// Reads a scalar declared by [`Function::scalar_params`]; `element` is its format in device
    /// memory, which may be real for a complex scalar.
    pub fn scalar(&mut self, name: &str, element: Element, arithmetic: Arithmetic) -> Number {
        let at = self.load_param(&format!("{name}_at"), Class::B64);
        let re = self.load_param(&format!("{name}_re"), arithmetic.class());
        let im = arithmetic
            .is_complex()
            .then(|| self.load_param(&format!("{name}_im"), arithmetic.class()));
        let value = Number { re, im };
        let on_device = self.compare("ne.u64", at, 0);
        self.if_then(on_device, |f| {
            if arithmetic.is_complex() && !matches!(element, Element::C32 | Element::C64) {
                let real = arithmetic.real();
                let loaded = f.load("global", element, real, at, 0);
                f.set(arithmetic, value, 0.0);
                f.copy(real, value, loaded);
            } else {
                let loaded = f.load("global", element, arithmetic, at, 0);
                f.copy(arithmetic, value, loaded);
            }
        });
        value
    }
}
