//! What moves numbers: copies with conversions, concatenation, repetition, padding, parts of tensors.

use super::case::{input, Cases, Fill, Input, Layout, Measure, Type};
use super::make::{Maker, Unary};
use super::rows::rounding;

const F32: Type = Type::F32;
const F16: Type = Type::F16;
const BF16: Type = Type::BF16;
const I32: Type = Type::I32;

/// Types whose blocks the CUDA backend writes and reads.
const BLOCKS: [Type; 6] = [
    Type::Q4_0,
    Type::Q4_1,
    Type::Q5_0,
    Type::Q5_1,
    Type::Q8_0,
    Type::IQ4_NL,
];

/// The cases.
pub fn cases() -> Cases {
    let mut cases = Cases::new("layout");
    copies(&mut cases);
    continuous(&mut cases);
    concatenation(&mut cases);
    repetition(&mut cases);
    padding(&mut cases);
    parts(&mut cases);
    cases
}

/// Numbers that a type can hold.
fn filled(kind: Type, size: &[i64]) -> Input {
    match kind {
        I32 => input(kind, size).fill(Fill::Below(1000)),
        _ => input(kind, size),
    }
}

fn copies(cases: &mut Cases) {
    let mut pairs = Vec::new();
    for from in [F32, F16, BF16] {
        pairs.extend([F32, F16, BF16].map(|to| (from, to)));
    }
    pairs.extend([(F32, I32), (I32, F32), (I32, I32)]);
    for kind in BLOCKS {
        pairs.extend([
            (F32, kind),
            (kind, F32),
            (kind, kind),
            (F16, kind),
            (kind, F16),
        ]);
    }
    pairs.extend([Type::Q2_K, Type::Q4_K, Type::Q6_K, Type::IQ4_XS].map(|kind| (kind, kind)));
    let layouts = [
        Layout::Plain,
        Layout::HalfOfRows,
        Layout::Half,
        Layout::HEADS,
        Layout::Permuted([0, 3, 1, 2]),
        Layout::TRANSPOSED,
        Layout::Permuted([2, 0, 1, 3]),
    ];
    for (from, to) in pairs {
        let whole = from.block() == 1 && to.block() == 1;
        for size in [[256, 4, 3, 2], [512, 2, 5, 1], [256, 33, 1, 1]] {
            for source in layouts {
                for target in [
                    Layout::Plain,
                    Layout::HalfOfRows,
                    Layout::HEADS,
                    Layout::TRANSPOSED,
                ] {
                    // A block lies in one piece, and so do its numbers.
                    let moved = |layout| {
                        matches!(layout, Layout::TRANSPOSED | Layout::Permuted([2, 0, 1, 3]))
                    };
                    // The CPU writes blocks only without gaps, and the CUDA backend what it transposes.
                    if target != Layout::Plain && (to.block() > 1 || source == Layout::TRANSPOSED) {
                        continue;
                    }
                    if moved(target) && (!whole || source != Layout::Plain)
                        || moved(source) && !whole
                        || target == Layout::HEADS
                            && source != Layout::Plain
                            && source != Layout::HEADS
                    {
                        continue;
                    }
                    let measure = if from == to {
                        Measure::Equal
                    } else {
                        rounding(to, size.iter().product())
                    };
                    let whole_numbers = if to == I32 {
                        Fill::Below(1000)
                    } else {
                        filled(from, &size).fill
                    };
                    let arguments = vec![
                        input(from, &size).fill(whole_numbers).layout(source),
                        filled(to, &size).layout(target),
                    ];
                    cases
                        .add("CPY", measure, arguments, |m, t| m.cpy(t[0], t[1]))
                        .subset(
                            size[1] == 33
                                && target == Layout::Plain
                                && (source == Layout::Plain
                                    || from == F32 && source == Layout::TRANSPOSED),
                        );
                }
            }
        }
        if whole {
            // Rows that are no multiple of anything.
            for source in [
                Layout::Plain,
                Layout::TRANSPOSED,
                Layout::HEADS,
                Layout::Half,
            ] {
                for size in [[3, 7, 5, 2], [1, 1, 1, 1], [35, 65, 3, 1]] {
                    let whole_numbers = if to == I32 {
                        Fill::Below(1000)
                    } else {
                        filled(from, &size).fill
                    };
                    let arguments = vec![
                        input(from, &size).fill(whole_numbers).layout(source),
                        filled(to, &size),
                    ];
                    cases.add("CPY", rounding(to, 1000), arguments, |m, t| {
                        m.cpy(t[0], t[1])
                    });
                }
            }
        }
    }
    // NaN, infinities and what overflows.
    for (from, to) in [
        (F32, F32),
        (F32, F16),
        (F16, F32),
        (F32, BF16),
        (BF16, F32),
        (F16, F16),
    ] {
        for layout in [Layout::Plain, Layout::TRANSPOSED] {
            let arguments = vec![
                input(from, &[42, 10]).fill(Fill::Special).layout(layout),
                input(to, &[42, 10]),
            ];
            cases
                .add("CPY", Measure::CLOSE, arguments, |m, t| m.cpy(t[0], t[1]))
                .subset(layout == Layout::Plain);
        }
    }
    // One shape into another of as many numbers.
    for (from, to) in [([12, 5, 2, 1], [60, 2, 1, 1]), ([7, 9, 4, 1], [4, 9, 7, 1])] {
        for kind in [F32, F16] {
            cases.add(
                "CPY",
                Measure::Equal,
                vec![input(kind, &from).layout(Layout::HEADS), input(kind, &to)],
                |m, t| m.cpy(t[0], t[1]),
            );
        }
    }
}

/// Copies in one piece.
fn continuous(cases: &mut Cases) {
    let functions: [(&str, Unary); 2] = [("CONT", Maker::cont), ("DUP", Maker::dup)];
    for (name, function) in functions {
        for kind in [F32, F16, BF16, I32] {
            for size in [
                [70, 33, 1, 1],
                [3, 5, 7, 2],
                [64, 64, 2, 1],
                [2, 1, 3, 5],
                [1, 33, 65, 1],
            ] {
                for layout in [
                    Layout::Plain,
                    Layout::Half,
                    Layout::SecondHalf,
                    Layout::HalfOfRows,
                    Layout::TRANSPOSED,
                    Layout::HEADS,
                    Layout::Permuted([2, 0, 1, 3]),
                    Layout::Permuted([1, 2, 0, 3]),
                    Layout::Permuted([3, 2, 1, 0]),
                    Layout::PermutedHalf([1, 0, 2, 3]),
                ] {
                    cases
                        .add(
                            name,
                            Measure::Equal,
                            vec![filled(kind, &size).layout(layout)],
                            move |m, t| function(m, t[0]),
                        )
                        .subset(size[0] == 70 && name == "CONT");
                }
            }
        }
    }
}

fn concatenation(cases: &mut Cases) {
    for kind in [F32, F16, BF16, I32, Type::I64] {
        for dimension in 0..4 {
            for (first_layout, second_layout) in [
                (Layout::Plain, Layout::Plain),
                (Layout::Half, Layout::Plain),
                (Layout::Plain, Layout::HalfOfRows),
                (Layout::HEADS, Layout::SecondHalf),
                (Layout::TRANSPOSED, Layout::TRANSPOSED),
            ] {
                if kind == Type::I64 && first_layout == Layout::TRANSPOSED {
                    continue;
                }
                for size in [[11, 12, 13, 14], [64, 3, 2, 1]] {
                    let mut other = size;
                    other[dimension] = 7;
                    let arguments = vec![
                        filled(kind, &size)
                            .fill(Fill::Below(1000))
                            .layout(first_layout),
                        filled(kind, &other)
                            .fill(Fill::Below(1000))
                            .layout(second_layout),
                    ];
                    cases
                        .add(
                            format!("CONCAT {dimension}"),
                            Measure::Equal,
                            arguments,
                            move |m, t| m.concat(t[0], t[1], dimension as i32),
                        )
                        .subset(size[0] == 11 && first_layout == second_layout && kind == F32);
                }
            }
        }
    }
    for kind in BLOCKS.into_iter().chain([Type::Q4_K, Type::Q6_K]) {
        for dimension in 0..4 {
            let size = [512, 3, 2, 2];
            let mut other = size;
            other[dimension] = 256;
            let arguments = vec![input(kind, &size), input(kind, &other)];
            cases.add(
                format!("CONCAT {dimension}"),
                Measure::Equal,
                arguments,
                move |m, t| m.concat(t[0], t[1], dimension as i32),
            );
        }
    }
}

fn repetition(cases: &mut Cases) {
    for kind in [F32, F16, I32] {
        for size in [[10, 5, 4, 3], [1, 33, 2, 1]] {
            for times in [
                [1, 1, 1, 1],
                [2, 1, 1, 1],
                [1, 2, 1, 1],
                [1, 1, 2, 1],
                [1, 1, 1, 2],
                [3, 2, 1, 2],
            ] {
                let large = [0, 1, 2, 3].map(|i| size[i] * times[i]);
                cases
                    .add(
                        "REPEAT",
                        Measure::Equal,
                        vec![filled(kind, &size), filled(kind, &large)],
                        |m, t| m.repeat(t[0], t[1]),
                    )
                    .subset(size[0] == 10 && kind == F32);
                if kind == F32 {
                    for layout in [Layout::Plain, Layout::Half, Layout::HEADS] {
                        cases
                            .add(
                                "REPEAT_BACK",
                                Measure::CLOSE,
                                vec![input(F32, &large).layout(layout), input(F32, &size)],
                                |m, t| m.repeat_back(t[0], t[1]),
                            )
                            .subset(times[0] == 3 && layout == Layout::Plain);
                    }
                }
            }
        }
    }
}

fn padding(cases: &mut Cases) {
    for size in [[512, 12, 1, 1], [11, 22, 3, 2], [7, 5, 4, 3]] {
        for layout in [Layout::Plain, Layout::Half, Layout::HEADS] {
            let plain = input(F32, &size).layout(layout);
            for by in [[1, 0, 0, 0], [0, 3, 0, 0], [0, 0, 2, 1], [5, 4, 3, 2]] {
                let name = format!("PAD {by:?}");
                cases
                    .add(name, Measure::Equal, vec![plain], move |m, t| {
                        m.pad(t[0], by[0], by[1], by[2], by[3])
                    })
                    .subset(size[0] == 11 && layout == Layout::Plain);
                cases.add(
                    format!("PAD circular {by:?}"),
                    Measure::Equal,
                    vec![plain],
                    move |m, t| {
                        let by = [0, 1, 2, 3].map(|i: usize| i64::from(by[i]).min(size[i]) as i32);
                        m.pad_circular(t[0], by[0], by[1], by[2], by[3])
                    },
                );
            }
            for (left, right) in [([1, 2, 3, 4], [4, 3, 2, 1]), ([11, 22, 0, 0], [1, 0, 0, 3])] {
                cases
                    .add(
                        format!("PAD {left:?} and {right:?}"),
                        Measure::Equal,
                        vec![plain],
                        move |m, t| {
                            m.pad_ext(
                                t[0], left[0], right[0], left[1], right[1], left[2], right[2],
                                left[3], right[3],
                            )
                        },
                    )
                    .subset(size[0] == 7);
            }
        }
        for (left, right) in [(1, 2), (5, 5), (0, 3), (6, 0)] {
            cases
                .add(
                    format!("PAD_REFLECT_1D {left} {right}"),
                    Measure::Equal,
                    vec![input(F32, &size)],
                    move |m, t| m.pad_reflect_1d(t[0], left, right),
                )
                .subset(size[0] == 7);
        }
        for by in [[3, -2, 0, 0], [-1, 1, 0, 0], [6, 4, 0, 0], [0, 0, 0, 0]] {
            for layout in [Layout::Plain, Layout::Half] {
                cases
                    .add(
                        format!("ROLL {by:?}"),
                        Measure::Equal,
                        vec![input(F32, &size).layout(layout)],
                        move |m, t| m.roll(t[0], by[0], by[1], by[2], by[3]),
                    )
                    .subset(size[0] == 512);
            }
        }
    }
    cases.add(
        "ROLL [2, -1, 1, -1]",
        Measure::Equal,
        vec![input(F32, &[9, 8, 4, 3])],
        |m, t| m.roll(t[0], 2, -1, 1, -1),
    );
}

/// Parts of tensors that are set or added to.
fn parts(cases: &mut Cases) {
    for kind in [F32, I32] {
        for (size, part) in [
            ([256, 17, 1, 1], [256, 16, 1, 1]),
            ([256, 17, 2, 3], [128, 16, 2, 3]),
            ([6, 5, 4, 3], [6, 4, 3, 2]),
            ([33, 9, 2, 1], [7, 3, 1, 1]),
        ] {
            // Numbers before the part.
            for offset in [0, 1, 5] {
                for layout in [Layout::Plain, Layout::HalfOfRows, Layout::Half] {
                    if offset > 0 && part[0] + offset > size[0] {
                        continue;
                    }
                    let offset = 4 * offset as usize;
                    let arguments = vec![filled(kind, &size), filled(kind, &part).layout(layout)];
                    // The kernel of SET takes a part without gaps, and says so only when it runs.
                    if layout == Layout::Plain {
                        cases
                            .add(
                                format!("SET at {offset}"),
                                Measure::Equal,
                                arguments.clone(),
                                move |m, t| {
                                    let [_, row, matrix, rest] = t[0].strides();
                                    m.set(t[0], t[1], row, matrix, rest, offset)
                                },
                            )
                            .subset(size[0] == 33);
                    }
                    if kind == F32 {
                        cases
                            .add(
                                format!("ACC at {offset}"),
                                Measure::CLOSE,
                                arguments,
                                move |m, t| {
                                    let [_, row, matrix, rest] = t[0].strides();
                                    m.acc(t[0], t[1], row, matrix, rest, offset)
                                },
                            )
                            .subset(size[0] == 33 && layout == Layout::Plain);
                    }
                }
            }
        }
    }
}
