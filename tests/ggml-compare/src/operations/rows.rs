//! What is computed of whole rows: norms, soft-max, sums, sorting, choosing rows, and systems of equations.

use super::case::{input, Cases, Fill, Input, Layout, Measure, Type, QUANTISED};
use super::make::{Maker, Unary};

const F32: Type = Type::F32;
const F16: Type = Type::F16;
const I32: Type = Type::I32;

/// The cases.
pub fn cases() -> Cases {
    let mut cases = Cases::new("rows");
    norms(&mut cases);
    soft_max(&mut cases);
    sums(&mut cases);
    sorting(&mut cases);
    loss(&mut cases);
    matrices(&mut cases);
    get_rows(&mut cases);
    set_rows(&mut cases);
    cases
}

fn norms(cases: &mut Cases) {
    type Norm = fn(&Maker, super::make::Tensor, f32) -> super::make::Built;
    let norms: [(&str, Norm); 3] = [
        ("NORM", Maker::norm),
        ("RMS_NORM", Maker::rms_norm),
        ("L2_NORM", Maker::l2_norm),
    ];
    for (name, norm) in norms {
        let mut add = |argument: Input, epsilon: f32, in_subset: bool| {
            cases
                .add(
                    format!("{name} {epsilon:e}"),
                    Measure::CLOSE,
                    vec![argument],
                    move |m, t| norm(m, t[0], epsilon),
                )
                .subset(in_subset);
        };
        for columns in [1, 31, 64, 256, 1000, 1023, 1024, 1025, 2048, 5000, 16384] {
            let plain = input(F32, &[columns, 5, 3]);
            add(plain, 1e-5, matches!(columns, 64 | 1025 | 5000));
            add(plain.layout(Layout::Half), 1e-5, columns == 1000);
            add(plain.layout(Layout::HEADS), 1e-5, false);
        }
        for epsilon in [0.0, 1e-6, 1e-4, 0.1, 10.0] {
            add(input(F32, &[64, 5, 4, 3]), epsilon, false);
            add(input(F32, &[1025, 5, 4, 3]), epsilon, false);
        }
    }
    for (size, groups) in [
        ([64, 64, 320, 1], 32),
        ([9, 9, 1280, 1], 32),
        ([7, 5, 6, 3], 3),
        ([33, 2, 8, 2], 8),
        ([1500, 1, 4, 1], 2),
    ] {
        cases
            .add(
                format!("GROUP_NORM {groups}"),
                Measure::CLOSE,
                vec![input(F32, &size)],
                move |m, t| m.group_norm(t[0], groups, 1e-6),
            )
            .subset(size[0] <= 9);
    }
    for columns in [1, 64, 1000, 1025, 4096] {
        for epsilon in [1e-6, 0.1] {
            let plain = input(F32, &[columns, 5, 4, 3]);
            cases
                .add(
                    format!("RMS_NORM_BACK {epsilon:e}"),
                    Measure::CLOSE,
                    vec![plain; 2],
                    move |m, t| m.rms_norm_back(t[0], t[1], epsilon),
                )
                .subset(columns == 1000);
        }
    }
}

fn soft_max(cases: &mut Cases) {
    // ggml's own bound for it.
    let measure = Measure::Error(1e-6);
    for columns in [1, 16, 33, 200, 512, 1024, 1025, 3000, 4096, 10000] {
        let plain = input(F32, &[columns, 13]).range(-5.0, 5.0);
        for scale in [1.0, 0.1] {
            cases
                .add(
                    format!("SOFT_MAX scale {scale}"),
                    measure,
                    vec![plain],
                    move |m, t| m.soft_max_ext(t[0], None, scale, 0.0),
                )
                .subset(scale == 1.0 && matches!(columns, 33 | 1025 | 10000));
        }
        for kind in [F32, F16] {
            for fill in [Fill::Causal, Fill::Range(-3.0, 3.0)] {
                // Row i of a causal mask of fewer columns than rows would see nothing, and 0/0 is no number.
                if fill == Fill::Causal && columns < 13 {
                    continue;
                }
                let causal = if fill == Fill::Causal { " causal" } else { "" };
                cases
                    .add(
                        format!("SOFT_MAX masked{causal}"),
                        measure,
                        vec![plain, input(kind, &[columns, 13]).fill(fill)],
                        |m, t| m.soft_max_ext(t[0], Some(t[1]), 0.5, 0.0),
                    )
                    .subset(matches!(columns, 200 | 3000) && kind == F16);
            }
        }
    }
    // The row of a whole vocabulary: one grid works on it, whose blocks wait for each other where the device has such launches.
    for columns in [32000, 151936] {
        cases
            .add(
                "SOFT_MAX of one row",
                measure,
                vec![input(F32, &[columns, 1]).range(-5.0, 5.0)],
                |m, t| m.soft_max_ext(t[0], None, 1.0, 0.0),
            )
            .subset(columns == 151936);
    }
    for heads in [1, 3, 8, 12, 32] {
        for (columns, rows) in [(64, 5), (1027, 4)] {
            for kind in [F32, F16] {
                for max_bias in [0.0, 8.0] {
                    for sinks in [false, true] {
                        let mut arguments = vec![
                            input(F32, &[columns, rows, heads, 2]).range(-5.0, 5.0),
                            input(kind, &[columns, rows]).fill(Fill::Causal),
                        ];
                        if sinks {
                            arguments.push(input(F32, &[heads]).range(-10.0, 10.0));
                        }
                        cases
                            .add(
                                format!("SOFT_MAX max bias {max_bias}, sinks {sinks}"),
                                measure,
                                arguments,
                                move |m, t| {
                                    let made = m.soft_max_ext(t[0], Some(t[1]), 0.5, max_bias)?;
                                    match sinks {
                                        true => m.soft_max_add_sinks(made, Some(t[2])),
                                        false => Ok(made),
                                    }
                                },
                            )
                            .subset(columns == 64 && heads == 12);
                    }
                }
            }
        }
    }
    for (mask_heads, mask_batch) in [(1, 1), (2, 1), (4, 3), (1, 3)] {
        cases.add(
            "SOFT_MAX masked by heads",
            measure,
            vec![
                input(F32, &[77, 6, 4, 3]),
                input(F16, &[77, 8, mask_heads, mask_batch]),
            ],
            |m, t| m.soft_max_ext(t[0], Some(t[1]), 0.5, 0.0),
        );
    }
    for columns in [1, 16, 200, 1025, 4096] {
        for scale in [1.0, 0.1] {
            let plain = input(F32, &[columns, 13, 2]).range(0.0, 1.0);
            cases
                .add(
                    format!("SOFT_MAX_BACK scale {scale}"),
                    measure,
                    vec![plain; 2],
                    move |m, t| m.soft_max_ext_back(t[0], t[1], scale, 0.0),
                )
                .subset(columns == 200);
        }
    }
}

fn sums(cases: &mut Cases) {
    let functions: [(&str, Unary); 2] = [("SUM_ROWS", Maker::sum_rows), ("MEAN", Maker::mean)];
    for (name, function) in functions {
        for columns in [1, 5, 32, 33, 64, 256, 1000, 1024, 2048, 5000, 32769] {
            for others in [[13, 1, 1], [3, 5, 2], [1, 1, 1], [700, 1, 1]] {
                if columns * others[0] > 1 << 20 {
                    continue;
                }
                // All of one sign, so that the sums are not small beside their parts.
                let argument =
                    input(F32, &[columns, others[0], others[1], others[2]]).range(0.0, 1.0);
                cases
                    .add(name, Measure::CLOSE, vec![argument], move |m, t| {
                        function(m, t[0])
                    })
                    .subset(others[0] == 13 && matches!(columns, 33 | 5000));
            }
        }
    }
    for shape in [
        &[1][..],
        &[33, 7, 3],
        &[1024, 1024],
        &[100_003],
        &[5, 6, 7, 8],
    ] {
        cases
            .add(
                "SUM",
                Measure::CLOSE,
                vec![input(F32, shape).range(0.0, 1.0)],
                |m, t| m.sum(t[0]),
            )
            .subset(shape.len() == 3 || shape == [100_003]);
    }
    for layout in [Layout::Half, Layout::HalfOfRows, Layout::HEADS] {
        let argument = input(F32, &[33, 7, 3]).range(0.0, 1.0).layout(layout);
        cases.add("SUM", Measure::CLOSE, vec![argument], |m, t| m.sum(t[0]));
    }
    // Long single rows are summed by blocks that look back at their predecessors.
    for columns in [
        1, 10, 127, 128, 255, 256, 1000, 1024, 1025, 2048, 4097, 20000, 100_000, 250_000,
    ] {
        for rows in [1, 2, 5] {
            let plain = input(F32, &[columns, rows]).range(0.0, 1.0);
            cases
                .add("CUMSUM", Measure::CLOSE, vec![plain], |m, t| m.cumsum(t[0]))
                .subset(matches!(columns, 127 | 1025 | 20000) && rows < 5);
        }
    }
    for size in [[10, 5, 4, 3], [127, 5, 4, 3], [128, 128, 4, 4]] {
        cases.add(
            "CUMSUM",
            Measure::CLOSE,
            vec![input(F32, &size).range(0.0, 1.0)],
            |m, t| m.cumsum(t[0]),
        );
    }
    for columns in [1, 2, 32, 100, 1000, 1025, 2000, 5438, 70000] {
        for rows in [1, 12, 100] {
            let argument = input(F32, &[columns, rows]).fill(Fill::Shuffled);
            cases
                .add("ARGMAX", Measure::Equal, vec![argument], |m, t| {
                    m.argmax(t[0])
                })
                .subset(rows == 12 && matches!(columns, 32 | 1025));
        }
    }
    for (shape, below) in [
        (&[500, 13][..], 3),
        (&[4, 5000], 2),
        (&[7, 3, 5], 1),
        (&[64, 64, 9], 10),
    ] {
        let argument = input(I32, shape).fill(Fill::Below(below));
        cases
            .add(
                format!("COUNT_EQUAL below {below}"),
                Measure::Equal,
                vec![argument; 2],
                |m, t| m.count_equal(t[0], t[1]),
            )
            .subset(shape.len() == 2);
    }
}

fn sorting(cases: &mut Cases) {
    for columns in [
        1, 2, 7, 16, 32, 60, 200, 256, 1000, 1023, 1024, 1025, 2048, 2049, 5000, 16384, 40000,
    ] {
        for rows in [[1, 1, 1], [13, 1, 1], [3, 2, 2]] {
            if columns > 10000 && rows[0] == 13 {
                continue;
            }
            let size = [columns, rows[0], rows[1], rows[2]];
            for (order, name) in [(0, "ascending"), (1, "descending")] {
                let argument = input(F32, &size).fill(Fill::Shuffled);
                cases
                    .add(
                        format!("ARGSORT {name}"),
                        Measure::Equal,
                        vec![argument],
                        move |m, t| m.argsort(t[0], order),
                    )
                    .subset(rows[0] == 13 && order == 1 && matches!(columns, 60 | 1024));
            }
        }
    }
    for columns in [1, 10, 64, 128, 500, 1024, 1025, 4096, 20000, 128_256] {
        for count in [1, 2, 4, 8, 40, 100, 1024] {
            for rows in [1, 5] {
                if count > columns || columns > 20000 && rows > 1 {
                    continue;
                }
                let argument = input(F32, &[columns, rows]).fill(Fill::Shuffled);
                cases
                    .add(
                        format!("TOP_K {count}"),
                        Measure::SameSet(count as usize),
                        vec![argument],
                        move |m, t| m.top_k(t[0], count as i32),
                    )
                    .subset(rows == 5 && columns == 128 && count == 8);
            }
        }
    }
}

fn loss(cases: &mut Cases) {
    for (columns, rows) in [(10, 5), (1000, 3), (30000, 1), (33, 100)] {
        let logits = input(F32, &[columns, rows]).range(-5.0, 5.0);
        let labels = input(F32, &[columns, rows]).range(0.0, 1.0);
        let in_subset = columns == 1000;
        cases
            .add(
                "CROSS_ENTROPY_LOSS",
                Measure::CLOSE,
                vec![logits, labels],
                |m, t| m.cross_entropy_loss(t[0], t[1]),
            )
            .subset(in_subset);
        cases
            .add(
                "CROSS_ENTROPY_LOSS_BACK",
                Measure::CLOSE,
                vec![input(F32, &[1]), logits, labels],
                |m, t| m.cross_entropy_loss_back(t[0], t[1], t[2]),
            )
            .subset(in_subset);
    }
}

/// Diagonals, triangles, constants and equations.
fn matrices(cases: &mut Cases) {
    for size in [
        [10, 1, 4, 3],
        [79, 1, 19, 13],
        [256, 1, 8, 16],
        [1, 1, 3, 2],
    ] {
        cases
            .add("DIAG", Measure::Equal, vec![input(F32, &size)], |m, t| {
                m.diag(t[0])
            })
            .subset(size[0] == 10);
    }
    for size in [
        [10, 10, 1, 1],
        [10, 10, 3, 2],
        [257, 33, 2, 1],
        [33, 257, 1, 1],
    ] {
        for past in [0, 5] {
            // Some backends write the lowest number for minus infinity; a soft-max makes zeros of both.
            cases
                .add(
                    format!("DIAG_MASK_INF {past} and SOFT_MAX"),
                    Measure::Error(1e-6),
                    vec![input(F32, &size)],
                    move |m, t| m.soft_max_ext(m.diag_mask_inf(t[0], past)?, None, 1.0, 0.0),
                )
                .subset(size[0] == 257);
            cases.add(
                format!("DIAG_MASK_ZERO {past}"),
                Measure::Equal,
                vec![input(F32, &size)],
                move |m, t| m.diag_mask_zero(t[0], past),
            );
        }
    }
    for kind in 0..4 {
        for size in [[10, 10, 4, 3], [128, 128, 2, 1], [257, 257, 1, 1]] {
            cases
                .add(
                    format!("TRI {kind}"),
                    Measure::Equal,
                    vec![input(F32, &size)],
                    move |m, t| m.tri(t[0], kind),
                )
                .subset(size[0] == 128);
        }
    }
    for kind in [F32, F16] {
        for shape in [&[303, 207, 11, 3][..], &[800, 600, 4], &[5]] {
            for value in [0.0, 2.0, -152.0] {
                cases
                    .add(
                        format!("FILL {value}"),
                        Measure::Equal,
                        vec![input(kind, shape)],
                        move |m, t| m.fill(t[0], value),
                    )
                    .subset(shape == [5]);
            }
        }
    }
    for (start, stop, step) in [(0.0, 10.0, 1.0), (0.0, 1_048_576.0, 1.0), (-3.0, 7.5, 0.25)] {
        cases
            .add(
                format!("ARANGE {start} to {stop} by {step}"),
                Measure::CLOSE,
                Vec::new(),
                move |m, _| m.arange(start, stop, step),
            )
            .subset(stop < 1e3);
    }
    for (order, others) in [
        (1, [1, 1]),
        (10, [4, 3]),
        (17, [2, 4]),
        (32, [3, 1]),
        (42, [5, 2]),
        (64, [2, 2]),
        (79, [5, 3]),
        (80, [2, 8]),
        (100, [4, 4]),
        (128, [4, 4]),
    ] {
        for columns in [1, 3, 10, 31, 32, 33, 64, 81, 200] {
            let arguments = vec![
                input(F32, &[order, order, others[0], others[1]]).fill(Fill::Triangle),
                input(F32, &[columns, order, others[0], others[1]]),
            ];
            cases
                .add("SOLVE_TRI", Measure::CLOSE, arguments, |m, t| {
                    m.solve_tri(t[0], t[1], true, true, false)
                })
                .subset(matches!(order, 17 | 64) && columns == 31);
        }
    }
}

fn get_rows(cases: &mut Cases) {
    let plain = [F32, F16, Type::BF16, I32];
    for kind in plain.into_iter().chain(QUANTISED) {
        let measure = if kind.block() == 1 {
            Measure::Equal
        } else {
            Measure::CLOSE
        };
        let fill = if kind == I32 {
            Fill::Below(1000)
        } else {
            Fill::Range(-1.0, 1.0)
        };
        for (columns, rows, chosen, batch) in [
            (256, 80, 13, 1),
            (256, 5, 4, 7),
            (1024, 4, 300, 1),
            (768, 3, 1, 2),
        ] {
            let arguments = vec![
                input(kind, &[columns, rows, batch]).fill(fill),
                input(I32, &[chosen, batch]).fill(Fill::Below(rows)),
            ];
            cases
                .add("GET_ROWS", measure, arguments, |m, t| {
                    m.get_rows(t[0], t[1])
                })
                .subset(chosen == 13);
        }
        // The numbers of the rows are a view themselves.
        let arguments = vec![
            input(kind, &[256, 70, 3]).fill(fill),
            input(I32, &[9, 3])
                .fill(Fill::Below(70))
                .layout(Layout::Half),
        ];
        cases.add("GET_ROWS", measure, arguments, |m, t| {
            m.get_rows(t[0], t[1])
        });
    }
    for kind in [F32, F16] {
        for (columns, rows, chosen) in [(1, 8, 2), (67, 40, 33), (5000, 3, 2), (31, 100_000, 50)] {
            let arguments = vec![
                input(kind, &[columns, rows]),
                input(I32, &[chosen]).fill(Fill::Below(rows)),
            ];
            cases.add("GET_ROWS", Measure::Equal, arguments, |m, t| {
                m.get_rows(t[0], t[1])
            });
        }
    }
    for (columns, rows, chosen) in [(256, 40, 13), (1, 8, 20), (1000, 3, 7)] {
        let arguments = vec![
            input(F32, &[columns, chosen]),
            input(I32, &[chosen]).fill(Fill::Below(rows)),
            input(F32, &[columns, rows]),
        ];
        cases
            .add("GET_ROWS_BACK", Measure::CLOSE, arguments, |m, t| {
                m.get_rows_back(t[0], t[1], t[2])
            })
            .subset(columns == 256);
    }
}

fn set_rows(cases: &mut Cases) {
    let kinds = [
        F32,
        F16,
        Type::BF16,
        Type::Q4_0,
        Type::Q4_1,
        Type::Q5_0,
        Type::Q5_1,
        Type::Q8_0,
        Type::IQ4_NL,
        Type::Q2_0,
        Type::Q1_0,
        Type::MXFP4,
    ];
    for from in [F32, F16] {
        for to in kinds {
            for index in [I32, Type::I64] {
                for (columns, rows, chosen, others, broadcast) in [
                    (256, 40, 13, [1, 1], [1, 1]),
                    (256, 5, 1, [7, 3], [1, 1]),
                    (1024, 100, 100, [1, 2], [1, 1]),
                    (128, 33, 32, [2, 3], [2, 3]),
                ] {
                    for layout in [Layout::Plain, Layout::HalfOfRows] {
                        let size = [
                            columns,
                            chosen,
                            others[0] * broadcast[0],
                            others[1] * broadcast[1],
                        ];
                        let arguments = vec![
                            input(to, &[columns, rows, size[2], size[3]]),
                            input(from, &size).layout(layout),
                            input(index, &[chosen, others[0], others[1]])
                                .fill(Fill::Distinct(rows)),
                        ];
                        cases
                            .add(
                                "SET_ROWS",
                                rounding(to, size.iter().product()),
                                arguments,
                                |m, t| m.set_rows(t[0], t[1], t[2]),
                            )
                            .subset(chosen == 13 && index == Type::I64 && layout == Layout::Plain);
                    }
                }
            }
        }
    }
}

/// How close two roundings of this many numbers between -1 and 1 to a type come: a number of a quantised type may be one
/// step off, since the scale of a block is computed in another order.
pub fn rounding(to: Type, count: i64) -> Measure {
    let step = match to {
        Type::F32 | Type::I32 | Type::I64 => return Measure::Equal,
        Type::F16 | Type::BF16 => return Measure::CLOSE,
        Type::Q8_0 => 1.0 / 64.0,
        Type::Q5_0 | Type::Q5_1 => 1.0 / 16.0,
        _ => 1.0 / 8.0,
    };
    // The mean square of such numbers is a third.
    Measure::Error(step * step / (count as f64 / 3.0))
}
