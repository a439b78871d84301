//! Matrix products: of every type of weights, with one column and many, of batches, and of chosen experts.

use super::case::{input, Cases, Fill, Input, Layout, Measure, Type, QUANTISED};

const F32: Type = Type::F32;
const F16: Type = Type::F16;
const BF16: Type = Type::BF16;

/// `GGML_PREC_F32`.
const PRECISE: i32 = 10;

/// The cases.
pub fn cases() -> Cases {
    let mut cases = Cases::new("products");
    columns(&mut cases);
    floats(&mut cases);
    batches(&mut cases);
    experts(&mut cases);
    outer(&mut cases);
    cases
}

/// Types of weights.
fn weights() -> impl Iterator<Item = Type> {
    [F32, F16, BF16].into_iter().chain(QUANTISED)
}

/// Adds a product.
fn add(cases: &mut Cases, a: Input, b: Input) -> &mut super::case::Case {
    cases.add("MUL_MAT", Measure::PRODUCT, vec![a, b], |m, t| {
        m.mul_mat(t[0], t[1])
    })
}

/// Every type with every number of columns for which a backend may choose another kernel.
fn columns(cases: &mut Cases) {
    for kind in weights() {
        for columns in [
            1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 17, 32, 33, 64, 65, 100, 128, 200, 256, 512,
        ] {
            for (k, rows) in [(512, 128), (256, 67), (1280, 1)] {
                if k == 1280 && !matches!(columns, 1 | 5 | 16 | 33 | 128) {
                    continue;
                }
                let narrow = columns == 1 || columns == 5 && kind.block() == 1;
                add(cases, input(kind, &[k, rows]), input(F32, &[k, columns]))
                    .subset(rows == 67 && narrow);
            }
        }
        // Long rows, whose sums are split among blocks.
        for (k, rows, columns) in [
            (4096, 33, 1),
            (4096, 33, 16),
            (14336, 8, 1),
            (5120, 160, 24),
            (2048, 4096, 1),
        ] {
            add(cases, input(kind, &[k, rows]), input(F32, &[k, columns]));
        }
    }
    // Many rows, so that a tile is not all there is.
    for kind in [
        F32,
        F16,
        BF16,
        Type::Q4_0,
        Type::Q8_0,
        Type::Q4_K,
        Type::Q6_K,
        Type::IQ4_XS,
        Type::MXFP4,
    ] {
        for (rows, columns) in [(1057, 77), (2048, 511), (129, 1025)] {
            add(
                cases,
                input(kind, &[768, rows]),
                input(F32, &[768, columns]),
            );
        }
    }
}

/// Rows of floats have any length, and the columns may be halves as well.
fn floats(cases: &mut Cases) {
    for (kind, other) in [
        (F32, F32),
        (F16, F32),
        (F16, F16),
        (BF16, F32),
        (BF16, BF16),
    ] {
        for k in [1, 2, 7, 32, 65, 100, 193, 1057] {
            for (rows, columns) in [
                (1, 1),
                (64, 1),
                (13, 7),
                (67, 8),
                (33, 16),
                (128, 45),
                (83, 129),
            ] {
                add(cases, input(kind, &[k, rows]), input(other, &[k, columns]))
                    .subset(k == 193 && matches!(columns, 1 | 7) && kind != F32);
            }
        }
        for columns in [1, 8, 16, 128] {
            cases.add(
                "MUL_MAT precise",
                Measure::PRODUCT,
                vec![input(kind, &[256, 96]), input(other, &[256, columns])],
                |m, t| {
                    let product = m.mul_mat(t[0], t[1])?;
                    m.mul_mat_set_prec(product, PRECISE)
                },
            );
        }
    }
}

/// Batches of matrices, each used for one or several others, and arguments with gaps or exchanged dimensions.
fn batches(cases: &mut Cases) {
    let kinds = [
        (F32, F32),
        (F16, F32),
        (F16, F16),
        (BF16, F32),
        (Type::Q4_0, F32),
        (Type::Q8_0, F32),
        (Type::Q4_K, F32),
        (Type::Q6_K, F32),
        (Type::IQ2_XXS, F32),
        (Type::IQ4_NL, F32),
    ];
    for (kind, other) in kinds {
        for columns in [1, 4, 8, 16, 33] {
            for (batch, times) in [
                ([2, 3], [1, 1]),
                ([2, 3], [2, 1]),
                ([2, 3], [1, 2]),
                ([1, 1], [4, 3]),
                ([8, 1], [4, 1]),
            ] {
                let a = input(kind, &[256, 19, batch[0], batch[1]]);
                let b = input(
                    other,
                    &[256, columns, batch[0] * times[0], batch[1] * times[1]],
                );
                add(cases, a, b).subset(columns == 1 && times == [2, 1] && kind.block() == 1);
            }
            for (first, second) in [
                (Layout::HEADS, Layout::Plain),
                (Layout::Plain, Layout::HEADS),
                (Layout::HEADS, Layout::HEADS),
                (Layout::HalfOfRows, Layout::Plain),
                (Layout::Plain, Layout::HalfOfRows),
                (Layout::Half, Layout::Half),
                (Layout::Plain, Layout::SecondHalf),
                (
                    Layout::Permuted([0, 2, 3, 1]),
                    Layout::Permuted([0, 2, 3, 1]),
                ),
                (
                    Layout::Permuted([0, 3, 2, 1]),
                    Layout::Permuted([0, 3, 2, 1]),
                ),
                (Layout::TRANSPOSED, Layout::Plain),
                (Layout::Plain, Layout::TRANSPOSED),
            ] {
                if kind.block() > 1 && first == Layout::TRANSPOSED {
                    continue;
                }
                let a = input(kind, &[256, 16, 2, 3]).layout(first);
                let b = input(other, &[256, columns, 2, 3]).layout(second);
                add(cases, a, b)
                    .subset(columns == 1 && second == Layout::HEADS && kind.block() == 1);
            }
        }
        // Keys and values as attention without a kernel of its own has them.
        for tokens in [1, 17] {
            let keys = input(kind, &[128, 77, 4]).layout(Layout::HEADS);
            let queries = input(other, &[128, tokens, 16]).layout(Layout::HEADS);
            if kind.block() <= 32 {
                add(cases, keys, queries);
            }
        }
    }
}

/// Products with the experts that each token chooses.
fn experts(cases: &mut Cases) {
    for kind in weights() {
        for tokens in [1, 2, 3, 4, 5, 7, 8, 9, 17, 32, 65, 129] {
            for (experts, used, rows, shared) in [
                (4, 1, 128, false),
                (8, 2, 67, false),
                (8, 4, 96, true),
                (32, 4, 32, false),
            ] {
                if experts == 32 && !matches!(tokens, 1 | 8 | 32 | 129) {
                    continue;
                }
                let arguments = vec![
                    input(kind, &[256, rows, experts]),
                    // The same numbers for every expert, or others for each.
                    input(F32, &[256, if shared { 1 } else { used }, tokens]),
                    input(Type::I32, &[used, tokens])
                        .fill(Fill::Distinct(experts))
                        .layout(if shared {
                            Layout::HalfOfRows
                        } else {
                            Layout::Plain
                        }),
                ];
                cases
                    .add(
                        format!("MUL_MAT_ID {used} of {experts}"),
                        Measure::PRODUCT,
                        arguments,
                        |m, t| m.mul_mat_id(t[0], t[1], t[2]),
                    )
                    // With an odd number of rows the last block of one expert also writes the first row of the next, which
                    // another block writes at the same time: a race of ggml's kernel.
                    .subset(
                        tokens == 1
                            && rows == 96
                            && matches!(
                                kind,
                                F32 | F16 | Type::Q4_K | Type::Q6_K | Type::Q8_0 | Type::MXFP4
                            ),
                    );
            }
        }
    }
}

/// Sums of outer products.
fn outer(cases: &mut Cases) {
    for (m, n, k) in [
        (256, 16, 16),
        (1, 1, 5),
        (67, 33, 1),
        (128, 128, 300),
        (13, 70, 64),
    ] {
        for (batch, times) in [
            ([1, 1], [1, 1]),
            ([3, 1], [2, 1]),
            ([3, 2], [1, 2]),
            ([1, 2], [3, 2]),
        ] {
            for layout in [Layout::Plain, Layout::TRANSPOSED] {
                let arguments = vec![
                    input(F32, &[m, k, batch[0], batch[1]]),
                    input(F32, &[n, k, batch[0] * times[0], batch[1] * times[1]]).layout(layout),
                ];
                cases
                    .add("OUT_PROD", Measure::PRODUCT, arguments, |m, t| {
                        m.out_prod(t[0], t[1])
                    })
                    .subset(m == 256 && batch[1] == 1);
            }
        }
    }
}
