//! Attention in one kernel: sizes of heads, lengths, shared keys, masks, types of the cache.

use super::case::{input, Cases, Fill, Input, Layout, Measure, Type};

const F32: Type = Type::F32;
const F16: Type = Type::F16;

/// `GGML_PREC_F32`.
const PRECISE: i32 = 10;

/// One case.
#[derive(Clone, Copy)]
struct Attention {
    /// Numbers of a key and of a value.
    head: (i64, i64),
    /// Heads of keys, and how many heads of queries each serves.
    heads: (i64, i64),
    batch: i64,
    /// Keys, and queries.
    length: (i64, i64),
    kinds: (Type, Type),
    masked: bool,
    sinks: bool,
    max_bias: f32,
    softcap: f32,
    /// How keys and values lie in memory, and queries.
    layouts: (Layout, Layout),
    precise: bool,
}

impl Attention {
    /// Without anything special.
    fn new(head: (i64, i64), ratio: i64, keys: i64, queries: i64) -> Self {
        Self {
            head,
            heads: (if ratio >= 8 { 1 } else { 2 }, ratio),
            batch: 1,
            length: (keys, queries),
            kinds: (F16, F16),
            masked: true,
            sinks: false,
            max_bias: 0.0,
            softcap: 0.0,
            layouts: (Layout::Plain, Layout::Plain),
            precise: true,
        }
    }

    fn add(self, cases: &mut Cases, in_subset: bool) {
        let (keys, queries) = self.length;
        let (key, value) = self.head;
        let of_keys = |size, kind| {
            input(kind, &[size, keys, self.heads.0, self.batch]).layout(self.layouts.0)
        };
        let mut arguments: Vec<Input> = vec![
            input(
                F32,
                &[key, queries, self.heads.0 * self.heads.1, self.batch],
            )
            .layout(self.layouts.1),
            of_keys(key, self.kinds.0),
            of_keys(value, self.kinds.1),
        ];
        if self.masked {
            arguments.push(input(F16, &[keys, queries, 1, self.batch]).fill(Fill::Causal));
        }
        if self.sinks {
            arguments.push(input(F32, &[self.heads.0 * self.heads.1]).range(-10.0, 10.0));
        }
        let mut title = "FLASH_ATTN_EXT".to_string();
        for (wanted, text) in [
            (self.max_bias != 0.0, " ALiBi"),
            (self.softcap != 0.0, " softcap"),
            (self.sinks, " sinks"),
            (!self.precise, " halves"),
        ] {
            if wanted {
                title.push_str(text);
            }
        }
        let scale = 1.0 / (self.head.0 as f32).sqrt();
        cases
            .add(title, Measure::PRODUCT, arguments, move |m, t| {
                let mask = self.masked.then(|| t[3]);
                // With heads of 576, values are the first part of the keys: the CUDA backend's kernels take that for granted.
                let values = if key == 576 {
                    m.part(t[1], [value, keys, self.heads.0, self.batch], 0)?
                } else {
                    t[2]
                };
                let made =
                    m.flash_attn_ext(t[0], t[1], values, mask, scale, self.max_bias, self.softcap)?;
                if self.sinks {
                    m.flash_attn_ext_add_sinks(made, t.last().copied())?;
                }
                if self.precise {
                    m.flash_attn_ext_set_prec(made, PRECISE)?;
                }
                Ok(made)
            })
            .subset(in_subset);
    }
}

/// The cases.
pub fn cases() -> Cases {
    let mut cases = Cases::new("attention");
    let heads = [
        (40, 40),
        (64, 64),
        (72, 72),
        (80, 80),
        (96, 96),
        (112, 112),
        (128, 128),
        (192, 128),
        (256, 256),
        (320, 256),
        (512, 512),
        (576, 512),
    ];
    for head in heads {
        for ratio in [1, 4, 8, 16] {
            for keys in [113, 512, 1024] {
                for queries in [1, 3, 32, 75] {
                    let case = Attention::new(head, ratio, keys, queries);
                    // One query per step is what the demonstration's model computes, with heads of 64.
                    case.add(&mut cases, head.0 == 64 && queries == 1 && keys == 512);
                }
            }
        }
        // Ratios that are no power of two, and what only they may have.
        for ratio in [2, 3, 5, 12, 32] {
            for queries in [1, 7] {
                Attention::new(head, ratio, 512, queries).add(&mut cases, false);
            }
        }
        for queries in [1, 3, 32] {
            let plain = Attention::new(head, 4, 512, queries);
            let special = [
                Attention {
                    masked: false,
                    ..plain
                },
                Attention {
                    sinks: true,
                    ..plain
                },
                Attention {
                    max_bias: 8.0,
                    ..plain
                },
                Attention {
                    softcap: 10.0,
                    ..plain
                },
                Attention {
                    precise: false,
                    ..plain
                },
                Attention { batch: 3, ..plain },
                Attention {
                    max_bias: 8.0,
                    softcap: 10.0,
                    sinks: true,
                    ..plain
                },
                Attention {
                    layouts: (Layout::HEADS, Layout::HEADS),
                    ..plain
                },
                Attention {
                    layouts: (Layout::HalfOfRows, Layout::Plain),
                    ..plain
                },
                Attention {
                    layouts: (Layout::HalfOfRows, Layout::HEADS),
                    batch: 2,
                    ..plain
                },
            ];
            for case in special {
                // No kernel for other heads has a softcap.
                if case.softcap == 0.0 || matches!(head.0, 128 | 256) {
                    let in_subset = head.0 == 64 && queries == 1 && case.batch == 1;
                    case.add(&mut cases, in_subset);
                }
            }
        }
        kinds(&mut cases, head);
    }
    indexer(&mut cases);
    cases
}

/// Types of the cache.
fn kinds(cases: &mut Cases, head: (i64, i64)) {
    let kinds = [
        F32,
        Type::BF16,
        Type::Q8_0,
        Type::Q5_1,
        Type::Q5_0,
        Type::Q4_1,
        Type::Q4_0,
    ];
    for kind in kinds {
        // A head is a whole number of blocks.
        if head.0 % kind.block() != 0 {
            continue;
        }
        for ratio in [1, 8] {
            for (keys, queries) in [(113, 1), (512, 1), (512, 2), (512, 3), (1024, 32)] {
                let case = Attention {
                    kinds: (kind, kind),
                    ..Attention::new(head, ratio, keys, queries)
                };
                case.add(
                    cases,
                    head.0 == 64 && ratio == 1 && keys == 512 && queries == 1,
                );
            }
        }
        let case = Attention {
            kinds: (kind, kind),
            layouts: (Layout::HEADS, Layout::HEADS),
            sinks: true,
            ..Attention::new(head, 4, 512, 3)
        };
        case.add(cases, false);
    }
    for pair in [
        (Type::Q8_0, Type::Q4_0),
        (F16, Type::Q8_0),
        (Type::Q5_1, F16),
    ] {
        if head.0 % 32 != 0 {
            continue;
        }
        for queries in [1, 3] {
            let case = Attention {
                kinds: pair,
                ..Attention::new(head, 4, 512, queries)
            };
            case.add(cases, false);
        }
    }
}

/// Scores by which a sparse attention chooses its keys.
fn indexer(cases: &mut Cases) {
    let kinds = [F32, F16, Type::BF16, Type::Q8_0, Type::Q4_0, Type::Q5_1];
    for kind in kinds {
        for heads in [32, 64] {
            for (keys, queries, streams) in [(64, 1, 1), (113, 7, 1), (256, 33, 2)] {
                let arguments = vec![
                    input(F32, &[128, heads, queries, streams]),
                    input(kind, &[128, 1, keys, streams]),
                    input(F32, &[heads, queries, 1, streams]),
                    input(F16, &[keys, queries]).fill(Fill::Causal),
                ];
                cases
                    .add(
                        "LIGHTNING_INDEXER",
                        Measure::Error(1e-6),
                        arguments,
                        |m, t| m.lightning_indexer(t[0], t[1], t[2], t[3]),
                    )
                    .subset(kind == Type::Q8_0 && keys == 64 && heads == 32);
            }
        }
    }
}
