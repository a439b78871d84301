//! What is computed number by number: unary functions, sums and products with broadcasts, gated linear units.

use super::case::{input, Cases, Fill, Layout, Measure, Type};
use super::make::{Binary, Maker, Unary};

const F32: Type = Type::F32;
const F16: Type = Type::F16;

/// ggml's activations, with the range of their arguments and whether their results are exact.
const ACTIVATIONS: [(&str, Unary, f32, bool); 21] = [
    ("ABS", Maker::abs, 150.0, true),
    ("SGN", Maker::sgn, 150.0, true),
    ("NEG", Maker::neg, 150.0, true),
    ("STEP", Maker::step, 150.0, true),
    ("TANH", Maker::tanh, 10.0, false),
    ("ELU", Maker::elu, 50.0, false),
    ("RELU", Maker::relu, 150.0, true),
    ("SIGMOID", Maker::sigmoid, 150.0, false),
    ("GELU", Maker::gelu, 150.0, false),
    ("GELU_ERF", Maker::gelu_erf, 150.0, false),
    ("GELU_QUICK", Maker::gelu_quick, 150.0, false),
    ("SILU", Maker::silu, 150.0, false),
    ("HARDSWISH", Maker::hardswish, 150.0, false),
    ("HARDSIGMOID", Maker::hardsigmoid, 150.0, false),
    ("EXP", Maker::exp, 10.0, false),
    ("EXPM1", Maker::expm1, 10.0, false),
    ("SOFTPLUS", Maker::softplus, 150.0, false),
    ("FLOOR", Maker::floor, 20.0, true),
    ("CEIL", Maker::ceil, 20.0, true),
    ("ROUND", Maker::round, 20.0, true),
    ("TRUNC", Maker::trunc, 20.0, true),
];

/// Functions with kernels of their own, and the range of their arguments.
const FUNCTIONS: [(&str, Unary, f32, f32); 5] = [
    ("SQR", Maker::sqr, -10.0, 10.0),
    ("SQRT", Maker::sqrt, 0.0, 100.0),
    ("LOG", Maker::log, 0.1, 100.0),
    ("SIN", Maker::sin, -6.5, 6.5),
    ("COS", Maker::cos, -6.5, 6.5),
];

/// Sums, differences, products and quotients.
const BINARY: [(&str, Binary); 4] = [
    ("ADD", Maker::add),
    ("SUB", Maker::sub),
    ("MUL", Maker::mul),
    ("DIV", Maker::div),
];

/// `enum ggml_glu_op` without the one that has parameters.
const GATED: [(&str, i32); 5] = [
    ("REGLU", 0),
    ("GEGLU", 1),
    ("SWIGLU", 2),
    ("GEGLU_ERF", 4),
    ("GEGLU_QUICK", 5),
];

/// The cases.
pub fn cases() -> Cases {
    let mut cases = Cases::new("elementwise");
    unary(&mut cases);
    parametrised(&mut cases);
    binary(&mut cases);
    special(&mut cases);
    gated(&mut cases);
    steps(&mut cases);
    cases
}

/// How close results of this type come when the kernel computes in floats.
fn closeness(kind: Type) -> Measure {
    match kind {
        F16 => Measure::HALF,
        _ => Measure::CLOSE,
    }
}

fn unary(cases: &mut Cases) {
    let shapes: [&[i64]; 5] = [
        &[1],
        &[257, 13],
        &[128, 2, 2, 2],
        &[5, 7, 11, 13],
        &[4096, 3],
    ];
    for (name, function, range, exact) in ACTIVATIONS {
        for kind in [F32, F16] {
            let measure = if exact {
                Measure::Equal
            } else {
                closeness(kind)
            };
            let build = move |m: &Maker, t: &[_]| function(m, t[0]);
            for shape in shapes {
                let argument = input(kind, shape).range(-range, range);
                cases
                    .add(name, measure, vec![argument], build)
                    .subset(shape == [257, 13]);
            }
            for layout in [Layout::Half, Layout::HalfOfRows] {
                let argument = input(kind, &[5, 7, 11, 13])
                    .range(-range, range)
                    .layout(layout);
                cases.add(name, measure, vec![argument], build);
            }
        }
    }
    for (name, function, low, high) in FUNCTIONS {
        for kind in [F32, F16] {
            for shape in shapes {
                let argument = input(kind, shape).range(low, high);
                cases
                    .add(name, closeness(kind), vec![argument], move |m, t| {
                        function(m, t[0])
                    })
                    .subset(shape == [257, 13]);
            }
        }
    }
}

/// Functions with parameters.
fn parametrised(cases: &mut Cases) {
    for shape in [&[257, 13][..], &[5, 7, 11, 13], &[4096, 3]] {
        let in_subset = shape == [257, 13];
        for kind in [F32, F16] {
            let argument = input(kind, shape).range(-10.0, 10.0);
            for (low, high) in [(-0.5, 0.5), (0.0, 6.0), (f32::NEG_INFINITY, 1.0)] {
                cases
                    .add(
                        format!("CLAMP to {low}..{high}"),
                        Measure::Equal,
                        vec![argument],
                        move |m, t| m.clamp(t[0], low, high),
                    )
                    .subset(in_subset);
            }
            for slope in [0.1, -0.5] {
                cases
                    .add(
                        format!("LEAKY_RELU {slope}"),
                        closeness(kind),
                        vec![argument],
                        move |m, t| m.leaky_relu(t[0], slope, false),
                    )
                    .subset(in_subset);
            }
        }
        let argument = input(F32, shape).range(-10.0, 10.0);
        for (by, bias) in [(0.37, 0.0), (2.0, 1.0), (-1.5, -0.25), (0.0, 3.0)] {
            cases
                .add(
                    format!("SCALE by {by} plus {bias}"),
                    Measure::CLOSE,
                    vec![argument],
                    move |m, t| m.scale_bias(t[0], by, bias),
                )
                .subset(in_subset);
        }
        for kind in [F32, F16] {
            let argument = input(kind, shape).range(-10.0, 10.0);
            for (n, p, beta, epsilon) in [(4.0, 20.0, 0.5, 1e-7), (0.8, 0.8, 0.5, -1e-6)] {
                cases
                    .add(
                        format!("XIELU {n} {p} {beta} {epsilon}"),
                        closeness(kind),
                        vec![argument],
                        move |m, t| m.xielu(t[0], n, p, beta, epsilon),
                    )
                    .subset(in_subset);
            }
        }
        cases
            .add("SILU_BACK", Measure::CLOSE, vec![argument; 2], |m, t| {
                m.silu_back(t[0], t[1])
            })
            .subset(in_subset);
    }
}

fn binary(cases: &mut Cases) {
    for (name, function) in BINARY {
        // The second argument keeps away from zero, by which one does not divide.
        let second = |kind, size: &[i64]| input(kind, size).range(0.5, 2.0);
        let build = move |m: &Maker, t: &[_]| function(m, t[0], t[1]);
        for (left, right) in [(F32, F32), (F16, F16), (F16, F32)] {
            let measure = closeness(left);
            let size = [10, 6, 4, 3];
            // Each dimension of the second argument is the whole, or 1.
            for mask in 0..16 {
                let other: Vec<i64> = (0..4)
                    .map(|i| if mask >> i & 1 == 1 { size[i] } else { 1 })
                    .collect();
                let arguments = vec![input(left, &size), second(right, &other)];
                cases
                    .add(name, measure, arguments, build)
                    .subset(mask % 5 == 0 && left == right);
            }
            // Or the half of one.
            for other in [
                [5, 6, 4, 3],
                [10, 3, 4, 3],
                [10, 6, 2, 3],
                [5, 3, 2, 1],
                [2, 2, 2, 3],
            ] {
                let arguments = vec![input(left, &size), second(right, &other)];
                cases.add(name, measure, arguments, build);
            }
            for (size, other) in [
                ([257, 13, 1, 1], [257, 13, 1, 1]),
                ([256, 13, 1, 1], [256, 1, 1, 1]),
                ([4096, 7, 1, 1], [4096, 1, 1, 1]),
                ([4096, 7, 1, 1], [1, 7, 1, 1]),
                ([3, 1000, 1, 1], [3, 1, 1, 1]),
                ([64, 3, 700, 2], [64, 1, 700, 1]),
                ([1, 1, 70000, 1], [1, 1, 1, 1]),
            ] {
                let arguments = vec![input(left, &size), second(right, &other)];
                cases
                    .add(name, measure, arguments, build)
                    .subset(size[0] == 4096 && left == F32);
            }
            for (first_layout, second_layout) in [
                (Layout::Half, Layout::Plain),
                (Layout::Plain, Layout::Half),
                (Layout::HalfOfRows, Layout::SecondHalf),
                (Layout::HEADS, Layout::Plain),
                (Layout::Plain, Layout::HEADS),
                (Layout::HEADS, Layout::HEADS),
            ] {
                let arguments = vec![
                    input(left, &size).layout(first_layout),
                    second(right, &size).layout(second_layout),
                ];
                cases
                    .add(name, measure, arguments, build)
                    .subset(first_layout == Layout::HEADS && left == F32);
            }
        }
    }
    for shape in [&[10, 6, 4, 3][..], &[1000, 7]] {
        let arguments = vec![input(F32, shape), input(F32, &[1])];
        cases
            .add("ADD1", Measure::CLOSE, arguments, |m, t| m.add1(t[0], t[1]))
            .subset(shape.len() == 2);
    }
    for columns in [32, 129, 2880] {
        for (experts, used, tokens) in [(4, 2, 1), (16, 8, 10), (32, 4, 33), (128, 128, 3)] {
            let arguments = vec![
                input(F32, &[columns, used, tokens]),
                input(F32, &[columns, experts]),
                input(Type::I32, &[used, tokens])
                    .fill(Fill::Distinct(experts))
                    .layout(if used < experts {
                        Layout::HalfOfRows
                    } else {
                        Layout::Plain
                    }),
            ];
            cases
                .add(
                    format!("ADD_ID {used} of {experts}"),
                    Measure::CLOSE,
                    arguments,
                    |m, t| m.add_id(t[0], t[1], t[2]),
                )
                .subset(columns == 129 && used == 8);
        }
    }
}

/// NaN, infinities, subnormal and large numbers, where ggml's backends mean the same by the operation.
fn special(cases: &mut Cases) {
    for kind in [F32, F16] {
        let argument = input(kind, &[42, 10]).fill(Fill::Special);
        let functions: [(&str, Unary); 8] = [
            ("ABS", Maker::abs),
            ("NEG", Maker::neg),
            ("FLOOR", Maker::floor),
            ("CEIL", Maker::ceil),
            ("TRUNC", Maker::trunc),
            ("SQR", Maker::sqr),
            ("SIGMOID", Maker::sigmoid),
            ("TANH", Maker::tanh),
        ];
        for (name, function) in functions {
            cases
                .add(name, closeness(kind), vec![argument], move |m, t| {
                    function(m, t[0])
                })
                .subset(kind == F32);
        }
        for (name, function) in BINARY {
            let arguments = vec![argument, input(kind, &[1, 10]).range(0.5, 2.0)];
            cases
                .add(name, closeness(kind), arguments, move |m, t| {
                    function(m, t[0], t[1])
                })
                .subset(kind == F32);
        }
    }
}

fn gated(cases: &mut Cases) {
    for kind in [F32, F16] {
        for shape in [
            [128, 2, 2, 2],
            [10, 7, 11, 13],
            [514, 13, 1, 1],
            [22016, 3, 1, 1],
        ] {
            for layout in [Layout::Plain, Layout::Half, Layout::SecondHalf] {
                let in_subset = shape[0] == 514 && layout == Layout::Plain;
                let wide = input(kind, &shape).range(-20.0, 20.0).layout(layout);
                let narrow = input(kind, &[shape[0] / 2, shape[1], shape[2], shape[3]])
                    .range(-20.0, 20.0)
                    .layout(layout);
                for (name, operation) in GATED {
                    for swapped in [false, true] {
                        let title = if swapped {
                            format!("{name} swapped")
                        } else {
                            name.into()
                        };
                        cases
                            .add(title, closeness(kind), vec![wide], move |m, t| {
                                m.glu(t[0], operation, swapped)
                            })
                            .subset(in_subset);
                    }
                    cases
                        .add(
                            format!("{name} of two"),
                            closeness(kind),
                            vec![narrow; 2],
                            move |m, t| m.glu_split(t[0], t[1], operation),
                        )
                        .subset(in_subset);
                }
                if kind == F32 {
                    for (alpha, limit) in [(1.702, 7.0), (0.5, 2.0)] {
                        cases
                            .add(
                                format!("SWIGLU_OAI {alpha} {limit}"),
                                Measure::CLOSE,
                                vec![narrow; 2],
                                move |m, t| m.swiglu_oai(t[0], t[1], alpha, limit),
                            )
                            .subset(in_subset);
                    }
                }
            }
        }
    }
}

/// Steps of training.
fn steps(cases: &mut Cases) {
    for shape in [&[10, 5, 4, 3][..], &[1000, 3]] {
        let plain = input(F32, shape);
        let positive = plain.range(0.0, 1.0);
        let arguments = vec![
            plain,
            plain,
            positive,
            positive,
            // Learning rate, both decays, epsilon, weight decay and both corrections.
            input(F32, &[7]).range(0.1, 0.9),
        ];
        cases
            .add("OPT_STEP_ADAMW", Measure::CLOSE, arguments, |m, t| {
                m.opt_step_adamw(m.set_param(t[0])?, t[1], t[2], t[3], t[4])
            })
            .subset(shape.len() == 2);
        let arguments = vec![plain, plain, input(F32, &[2]).range(0.1, 0.5)];
        cases
            .add("OPT_STEP_SGD", Measure::CLOSE, arguments, |m, t| {
                m.opt_step_sgd(m.set_param(t[0])?, t[1], t[2])
            })
            .subset(shape.len() == 2);
    }
}
