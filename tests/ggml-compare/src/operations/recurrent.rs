//! Layers with a state: Mamba, RWKV, gated linear attention, delta rule, hyper-connections.

use super::case::{input, Cases, Fill, Input, Layout, Measure, Type};

const F32: Type = Type::F32;

/// The cases.
pub fn cases() -> Cases {
    let mut cases = Cases::new("recurrent");
    mamba(&mut cases);
    rwkv(&mut cases);
    delta(&mut cases);
    connections(&mut cases);
    cases
}

fn mamba(cases: &mut Cases) {
    for kernel in [3, 4, 9, 15] {
        for channels in [128, 1024, 2048] {
            for (tokens, sequences) in [(1, 1), (5, 1), (1, 4), (33, 2), (70, 1)] {
                let arguments = vec![
                    input(F32, &[kernel - 1 + tokens, channels, sequences]),
                    input(F32, &[kernel, channels]),
                ];
                cases
                    .add("SSM_CONV", Measure::CLOSE, arguments, |m, t| {
                        m.ssm_conv(t[0], t[1])
                    })
                    .subset(channels == 128 && kernel <= 4);
            }
        }
    }
    // Numbers of a state, of a head, heads, groups; what Mamba and Mamba-2 have.
    for (state, head, heads, groups) in [
        (16, 1, 128, 1),
        (16, 1, 1024, 1),
        (128, 64, 16, 2),
        (256, 64, 8, 2),
        (128, 80, 4, 1),
        (128, 128, 4, 4),
        (128, 16, 24, 8),
    ] {
        for (tokens, sequences) in [(1, 1), (7, 1), (32, 4), (1, 3), (130, 2), (300, 1)] {
            if tokens * heads * head > 1 << 18 {
                continue;
            }
            for states in [1, 3] {
                // A state for each of the last tokens; what no token wrote is not defined.
                if states > 1 && (head == 1 || states > tokens) {
                    continue;
                }
                let arguments = vec![
                    input(F32, &[state, head, heads, sequences]),
                    input(F32, &[head, heads, tokens, sequences]),
                    input(F32, &[heads, tokens, sequences]),
                    input(F32, &[if head > 1 { 1 } else { state }, heads]).range(-1.0, -0.5),
                    input(F32, &[state, groups, tokens, sequences]),
                    input(F32, &[state, groups, tokens, sequences]),
                    input(Type::I32, &[sequences]).fill(Fill::Shuffled),
                ];
                // Long inputs of Mamba-2 go through halves.
                let bound = if head > 1 { 2e-7 } else { 1e-7 };
                cases
                    .add(
                        format!("SSM_SCAN {states}"),
                        Measure::Error(bound),
                        arguments,
                        move |m, t| m.ssm_scan(t[0], t[1], t[2], t[3], t[4], t[5], t[6], states),
                    )
                    .subset(tokens == 7 && states == 1 && (heads == 128 || heads == 16));
            }
        }
    }
}

fn rwkv(cases: &mut Cases) {
    for size in [64, 128] {
        for heads in [1, 32] {
            for (tokens, sequences) in [(1, 1), (1, 4), (32, 1), (32, 4), (70, 2)] {
                let all = input(F32, &[size, heads, tokens * sequences]);
                let state = input(F32, &[size * size * heads, sequences]);
                let in_subset = heads == 1 && tokens == 32;
                let arguments = vec![all, all, all, input(F32, &[size, heads]), all, state];
                cases
                    .add("RWKV_WKV6", Measure::CLOSE, arguments, |m, t| {
                        m.rwkv_wkv6(t[0], t[1], t[2], t[3], t[4], t[5])
                    })
                    .subset(in_subset);
                let mut arguments: Vec<Input> = vec![all; 6];
                arguments.push(state);
                cases
                    .add("RWKV_WKV7", Measure::CLOSE, arguments, |m, t| {
                        // Without norms the state grows beyond all bounds.
                        let (a, b) = (m.l2_norm(t[4], 1e-7)?, m.l2_norm(t[5], 1e-7)?);
                        m.rwkv_wkv7(t[0], t[1], t[2], t[3], a, b, t[6])
                    })
                    .subset(in_subset);
                let arguments = vec![all, all, all, all.range(0.0, 1.0), state];
                cases
                    .add(
                        "GATED_LINEAR_ATTN",
                        Measure::CLOSE,
                        arguments,
                        move |m, t| {
                            m.gated_linear_attn(
                                t[0],
                                t[1],
                                t[2],
                                t[3],
                                t[4],
                                (size as f32).powf(-0.5),
                            )
                        },
                    )
                    .subset(in_subset);
            }
        }
    }
}

fn delta(cases: &mut Cases) {
    for size in [16, 32, 64, 128] {
        for (tokens, sequences) in [(1, 1), (1, 2), (4, 1), (4, 2), (33, 1), (70, 2)] {
            for times in [1, 2] {
                for layout in [Layout::Plain, Layout::HEADS] {
                    for vector in [false, true] {
                        for states in [1, 4] {
                            if states > 1 && (vector || times > 1 || states > tokens) {
                                continue;
                            }
                            let values = 4 * times;
                            let keys = input(F32, &[size, 4, tokens, sequences]).layout(layout);
                            let arguments = vec![
                                keys,
                                keys,
                                input(F32, &[size, values, tokens, sequences])
                                    .range(-0.3, 5.0)
                                    .layout(layout),
                                input(
                                    F32,
                                    &[if vector { size } else { 1 }, values, tokens, sequences],
                                )
                                .range(-20.0, -1e-4),
                                input(F32, &[1, values, tokens, sequences]).range(0.0, 1.0),
                                input(F32, &[size, size, values, sequences]),
                            ];
                            cases
                                .add(
                                    format!("GATED_DELTA_NET {states}"),
                                    Measure::CLOSE,
                                    arguments,
                                    move |m, t| {
                                        let (q, k) =
                                            (m.l2_norm(t[0], 1e-6)?, m.l2_norm(t[1], 1e-6)?);
                                        m.gated_delta_net(q, k, t[2], t[3], t[4], t[5], states)
                                    },
                                )
                                .subset(size == 64 && tokens == 4 && sequences == 2 && times == 1);
                        }
                    }
                }
            }
        }
    }
}

/// Residual streams that are mixed with weights of their own.
fn connections(cases: &mut Cases) {
    const STREAMS: i64 = 4;
    for tokens in [1, 7, 17, 300] {
        for iterations in [1, 4, 20] {
            let arguments = vec![
                input(F32, &[(2 + STREAMS) * STREAMS, tokens]).range(-2.0, 2.0),
                input(F32, &[3]).range(-0.5, 0.5),
                input(F32, &[(2 + STREAMS) * STREAMS]).range(-0.25, 0.25),
            ];
            cases
                .add(
                    format!("DSV4_HC_COMB {iterations}"),
                    Measure::CLOSE,
                    arguments,
                    move |m, t| m.dsv4_hc_comb(t[0], t[1], t[2], 1e-6, iterations),
                )
                .subset(tokens == 17 && iterations == 4);
        }
        for columns in [1, 31, 256, 4096] {
            let in_subset = tokens == 17 && columns == 31;
            let streams = input(F32, &[columns, STREAMS, tokens]);
            let weights = input(F32, &[STREAMS, tokens]).range(0.0, 2.0);
            cases
                .add(
                    "DSV4_HC_PRE",
                    Measure::CLOSE,
                    vec![streams, weights],
                    |m, t| m.dsv4_hc_pre(t[0], t[1]),
                )
                .subset(in_subset);
            let arguments = vec![
                input(F32, &[columns, tokens]),
                streams,
                weights,
                input(F32, &[STREAMS, STREAMS, tokens]).range(0.0, 1.0),
            ];
            cases
                .add("DSV4_HC_POST", Measure::CLOSE, arguments, |m, t| {
                    m.dsv4_hc_post(t[0], t[1], t[2], t[3])
                })
                .subset(in_subset);
        }
    }
}
