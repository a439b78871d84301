//! Rotary position embedding, forward and back.

use super::case::{input, Cases, Fill, Input, Layout, Measure, Type};

/// `GGML_ROPE_TYPE_*`.
const NORMAL: i32 = 0;
const NEOX: i32 = 2;
const MROPE: i32 = 8;
const VISION: i32 = 24;
const IMROPE: i32 = 40;

/// One case.
#[derive(Clone, Copy)]
struct Rope {
    kind: Type,
    /// Numbers of a head, heads, tokens, batch.
    size: [i64; 4],
    /// How many numbers are rotated.
    dimensions: i32,
    mode: i32,
    layout: Layout,
    factors: bool,
    scale: f32,
    extrapolation: f32,
    attention: f32,
    offset: i32,
    back: bool,
}

impl Rope {
    fn new(kind: Type, size: [i64; 4], dimensions: i32, mode: i32) -> Self {
        Self {
            kind,
            size,
            dimensions,
            mode,
            layout: Layout::Plain,
            factors: false,
            scale: 1.0,
            extrapolation: 0.0,
            attention: 1.0,
            offset: 0,
            back: false,
        }
    }

    fn add(self, cases: &mut Cases, in_subset: bool) {
        let several = self.mode & MROPE != 0;
        let positions = self.size[2] * if several { 4 } else { 1 };
        let mut arguments: Vec<Input> = vec![
            input(self.kind, &self.size).layout(self.layout),
            input(Type::I32, &[positions]).fill(Fill::Below(512)),
        ];
        if self.factors {
            arguments.push(input(Type::F32, &[i64::from(self.dimensions) / 2]).range(0.9, 1.1));
        }
        let name = match self.mode {
            NORMAL => "of neighbours",
            NEOX => "of halves",
            MROPE => "of sections",
            VISION => "of vision",
            _ => "of interleaved sections",
        };
        let mut title = format!(
            "ROPE{} {name}, {} rotated, {} {} {}",
            if self.back { "_BACK" } else { "" },
            self.dimensions,
            self.scale,
            self.extrapolation,
            self.attention
        );
        if self.offset > 0 {
            title.push_str(&format!(", from {}", self.offset));
        }
        let measure = match self.kind {
            Type::F16 => Measure::HALF,
            _ => Measure::CLOSE,
        };
        cases
            .add(title, measure, arguments, move |m, t| {
                let factors = self.factors.then(|| t[2]);
                let (base, fast, slow) = (10000.0, 1.0, 1.0);
                let (scale, extrapolation, attention) =
                    (self.scale, self.extrapolation, self.attention);
                let (mode, n) = (self.mode, self.dimensions);
                let made = if several {
                    let (n, sections) = match mode {
                        VISION => (n / 2, [n / 4, n / 4, 0, 0]),
                        _ => (n, [n / 3, n / 3, n / 3, 0]),
                    };
                    let sections = sections.as_ptr();
                    if self.back {
                        m.rope_multi_back(
                            t[0],
                            t[1],
                            factors,
                            n,
                            sections,
                            mode,
                            0,
                            base,
                            scale,
                            extrapolation,
                            attention,
                            fast,
                            slow,
                        )
                    } else {
                        m.rope_multi(
                            t[0],
                            t[1],
                            factors,
                            n,
                            sections,
                            mode,
                            0,
                            base,
                            scale,
                            extrapolation,
                            attention,
                            fast,
                            slow,
                        )
                    }
                } else if self.back {
                    m.rope_ext_back(
                        t[0],
                        t[1],
                        factors,
                        n,
                        mode,
                        0,
                        base,
                        scale,
                        extrapolation,
                        attention,
                        fast,
                        slow,
                    )
                } else {
                    m.rope_ext(
                        t[0],
                        t[1],
                        factors,
                        n,
                        mode,
                        0,
                        base,
                        scale,
                        extrapolation,
                        attention,
                        fast,
                        slow,
                    )
                }?;
                match self.offset {
                    0 => Ok(made),
                    offset => m.rope_set_offset(made, offset),
                }
            })
            .subset(in_subset);
    }
}

/// The cases.
pub fn cases() -> Cases {
    let mut cases = Cases::new("rope");
    for kind in [Type::F32, Type::F16] {
        for back in [false, true] {
            for factors in [false, true] {
                // With and without the mixture of interpolation and extrapolation that YaRN is.
                for (scale, extrapolation, attention) in [(1.0, 0.0, 1.0), (1.4245, 0.7465, 1.4245)]
                {
                    let mut add = |size, dimensions, mode, layout| {
                        let case = Rope {
                            layout,
                            factors,
                            scale,
                            extrapolation,
                            attention,
                            back,
                            ..Rope::new(kind, size, dimensions, mode)
                        };
                        let head = size[0] == 128 && size[1] == 32;
                        case.add(&mut cases, head && !back && (kind == Type::F32 || !factors));
                    };
                    for layout in [
                        Layout::Plain,
                        Layout::Half,
                        Layout::SecondHalf,
                        Layout::HalfOfRows,
                    ] {
                        for mode in [NORMAL, NEOX] {
                            // LLaMA 7B, 13B, 65B; Falcon; Phi and StableLM, which rotate a part.
                            add([128, 32, 2, 1], 128, mode, layout);
                            add([128, 40, 3, 1], 128, mode, layout);
                            add([64, 71, 2, 1], 64, mode, layout);
                            add([80, 32, 2, 1], 20, mode, layout);
                            add([80, 16, 5, 2], 32, mode, layout);
                        }
                        add([128, 12, 2, 1], 128, MROPE, layout);
                        add([128, 28, 3, 1], 20, MROPE, layout);
                        add([128, 12, 2, 1], 128, IMROPE, layout);
                        add([128, 16, 3, 1], 32, IMROPE, layout);
                        add([80, 16, 2, 1], 80, VISION, layout);
                        add([128, 16, 4, 1], 128, VISION, layout);
                    }
                }
            }
        }
        for mode in [NORMAL, NEOX] {
            for offset in [16, 64] {
                let case = Rope {
                    offset,
                    ..Rope::new(kind, [128, 8, 3, 1], 64, mode)
                };
                case.add(&mut cases, false);
            }
            // Many tokens, one head, the smallest rotation.
            Rope::new(kind, [64, 1, 600, 1], 64, mode).add(&mut cases, true);
            Rope::new(kind, [2, 3, 5, 7], 2, mode).add(&mut cases, false);
            Rope {
                layout: Layout::HEADS,
                ..Rope::new(kind, [64, 8, 5, 1], 64, mode)
            }
            .add(&mut cases, false);
        }
    }
    cases
}
