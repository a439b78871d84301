//! Convolutions, pooling and scaling of images and volumes.

use super::case::{input, Cases, Layout, Measure, Type};

const F32: Type = Type::F32;
const F16: Type = Type::F16;

/// The cases.
pub fn cases() -> Cases {
    let mut cases = Cases::new("spatial");
    columns(&mut cases);
    volumes(&mut cases);
    convolutions(&mut cases);
    depthwise(&mut cases);
    transposed(&mut cases);
    pooling(&mut cases);
    scaling(&mut cases);
    cases
}

/// How close results of this type come.
fn closeness(kind: Type) -> Measure {
    match kind {
        F32 => Measure::CLOSE,
        _ => Measure::HALF,
    }
}

/// Arguments of a convolution as columns of a matrix.
fn columns(cases: &mut Cases) {
    for (kernel_kind, kind) in [(F32, F32), (F16, F32), (F16, F16)] {
        for stride in [1, 3] {
            for padding in [0, 3] {
                for dilation in [1, 3] {
                    let name =
                        format!("IM2COL stride {stride}, padding {padding}, dilation {dilation}");
                    for (size, kernel) in [
                        ([20, 20, 2, 2], [3, 3, 2, 2]),
                        ([33, 17, 3, 1], [2, 5, 3, 4]),
                    ] {
                        let arguments = vec![input(kernel_kind, &kernel), input(F32, &size)];
                        cases
                            .add(
                                format!("{name}, {}", kind.name()),
                                closeness(kind),
                                arguments,
                                move |m, t| {
                                    m.im2col(
                                        t[0], t[1], stride, stride, padding, padding, dilation,
                                        dilation, true, kind.0,
                                    )
                                },
                            )
                            .subset(size[0] == 33 && stride == padding);
                    }
                    let arguments = vec![input(kernel_kind, &[3, 2, 2]), input(F32, &[20, 2, 2])];
                    cases
                        .add(
                            format!("{name}, one dimension, {}", kind.name()),
                            closeness(kind),
                            arguments,
                            move |m, t| {
                                m.im2col(
                                    t[0], t[1], stride, 0, padding, 0, dilation, 0, false, kind.0,
                                )
                            },
                        )
                        .subset(stride == 3 && padding == 3 && dilation == 1);
                }
            }
        }
        for (size, kernel) in [
            ([12, 12, 256, 2], [3, 3, 256, 4]),
            ([200, 7, 8, 1], [5, 5, 8, 3]),
            ([64, 64, 1, 5], [7, 7, 1, 2]),
        ] {
            cases.add(
                format!("IM2COL large, {}", kind.name()),
                closeness(kind),
                vec![input(kernel_kind, &kernel), input(F32, &size)],
                move |m, t| m.im2col(t[0], t[1], 1, 1, 1, 1, 1, 1, true, kind.0),
            );
        }
    }
}

fn volumes(cases: &mut Cases) {
    for (kernel_kind, kind) in [(F32, F32), (F16, F32), (F16, F16)] {
        for s in [[1, 1, 1], [1, 3, 2]] {
            for p in [[0, 0, 0], [1, 2, 3]] {
                for d in [[1, 1, 1], [2, 1, 3]] {
                    for layout in [Layout::Plain, Layout::Half] {
                        let arguments = vec![
                            input(kernel_kind, &[3, 3, 3, 6]),
                            input(F32, &[20, 20, 10, 3]).layout(layout),
                        ];
                        cases
                            .add(
                                format!(
                                    "IM2COL_3D strides {s:?}, padding {p:?}, dilation {d:?}, {}",
                                    kind.name()
                                ),
                                closeness(kind),
                                arguments,
                                move |m, t| {
                                    m.im2col_3d(
                                        t[0], t[1], 3, s[0], s[1], s[2], p[0], p[1], p[2], d[0],
                                        d[1], d[2], kind.0,
                                    )
                                },
                            )
                            .subset(s[1] == 3 && d[0] == 1 && layout == Layout::Plain);
                    }
                }
            }
        }
    }
    for kernel in [F32, F16] {
        for (stride, padding) in [(1, 0), (2, 1)] {
            let arguments = vec![
                input(kernel, &[3, 3, 3, 2 * 4]),
                input(F32, &[11, 9, 7, 2 * 3]),
            ];
            cases.add(
                format!("CONV_3D stride {stride}, padding {padding}"),
                Measure::PRODUCT,
                arguments,
                move |m, t| {
                    m.conv_3d_direct(
                        t[0], t[1], stride, stride, stride, padding, padding, padding, 1, 1, 1, 2,
                        3, 4,
                    )
                },
            );
        }
    }
}

fn convolutions(cases: &mut Cases) {
    for kernel_kind in [F32, F16] {
        for (size, kernel) in [
            ([19, 17, 4, 2], [3, 3, 4, 5]),
            ([64, 33, 16, 1], [1, 1, 16, 32]),
            ([30, 30, 3, 1], [7, 5, 3, 8]),
            ([8, 8, 64, 3], [2, 2, 64, 33]),
        ] {
            for stride in [[1, 1], [2, 3]] {
                for padding in [[0, 0], [2, 1]] {
                    for dilation in [[1, 1], [1, 2]] {
                        let arguments = vec![input(kernel_kind, &kernel), input(F32, &size)];
                        cases
                            .add(
                                format!("CONV_2D stride {stride:?}, padding {padding:?}, dilation {dilation:?}"),
                                Measure::PRODUCT,
                                arguments,
                                move |m, t| {
                                    m.conv_2d_direct(
                                        t[0], t[1], stride[0], stride[1], padding[0], padding[1], dilation[0],
                                        dilation[1],
                                    )
                                },
                            )
                            .subset(size[0] == 19 && stride[0] == 2);
                    }
                }
            }
        }
    }
}

fn depthwise(cases: &mut Cases) {
    for kernel_kind in [F32, F16] {
        for (size, kernel, stride, padding, dilation) in [
            ([17, 34, 9, 1], [3, 3, 1, 9], 1, 0, 1),
            ([32, 8, 64, 2], [3, 3, 1, 64], 2, 1, 1),
            ([21, 20, 33, 1], [5, 5, 1, 33], 1, 2, 2),
            ([56, 56, 16, 1], [7, 7, 1, 16], 3, 3, 1),
        ] {
            for channels_first in [false, true] {
                let arguments = vec![input(kernel_kind, &kernel), input(F32, &size)];
                let name = if channels_first {
                    ", channels first"
                } else {
                    ""
                };
                cases
                    .add(
                        format!("CONV_2D_DW stride {stride}, padding {padding}, dilation {dilation}{name}"),
                        Measure::CLOSE,
                        arguments,
                        move |m, t| {
                            let (mut kernel, mut image) = (t[0], t[1]);
                            if channels_first {
                                // The same sizes, but the numbers of all channels lie beside each other.
                                image = m.permuted(m.cont(m.permuted(image, [1, 2, 0, 3])?)?, [2, 0, 1, 3])?;
                                kernel = m.permuted(m.cont(m.permuted(kernel, [2, 3, 1, 0])?)?, [3, 2, 0, 1])?;
                            }
                            m.conv_2d_dw_direct(
                                kernel, image, stride, stride, padding, padding, dilation, dilation,
                            )
                        },
                    )
                    .subset(size[0] <= 21);
            }
        }
    }
}

fn transposed(cases: &mut Cases) {
    for (size, kernel) in [
        ([197, 32], [16, 32, 32]),
        ([3, 2], [2, 3, 2]),
        ([2, 1], [3, 1, 1]),
        ([33, 5], [1, 4, 5]),
        ([50, 64], [3, 7, 64]),
    ] {
        for stride in [1, 2, 3, 8] {
            cases
                .add(
                    format!("CONV_TRANSPOSE_1D stride {stride}"),
                    Measure::CLOSE,
                    vec![input(F32, &kernel), input(F32, &size)],
                    move |m, t| m.conv_transpose_1d(t[0], t[1], stride, 0, 1),
                )
                .subset(size[0] == 33);
        }
    }
    for kernel_kind in [F16, F32] {
        for (size, kernel) in [
            ([3, 2, 3, 1], [2, 2, 1, 3]),
            ([10, 10, 9, 1], [3, 3, 1, 9]),
            ([13, 7, 16, 2], [4, 2, 5, 16]),
        ] {
            for stride in [1, 2, 3] {
                cases
                    .add(
                        format!("CONV_TRANSPOSE_2D stride {stride}"),
                        Measure::PRODUCT,
                        vec![input(kernel_kind, &kernel), input(F32, &size)],
                        move |m, t| m.conv_transpose_2d_p0(t[0], t[1], stride),
                    )
                    .subset(size[0] == 10);
            }
        }
    }
    for kind in [F32, F16, Type::BF16] {
        let measure = if kind == F32 {
            Measure::CLOSE
        } else {
            Measure::PRODUCT
        };
        for (kernel, channels, length) in [(4, 3, 7), (16, 32, 100), (7, 1, 1), (3, 5, 64)] {
            for (stride, padding) in [(1, 0), (2, 0), (2, 1), (8, 0)] {
                cases
                    .add(
                        format!(
                            "COL2IM_1D stride {stride}, padding {padding}, {channels} channels"
                        ),
                        measure,
                        vec![input(kind, &[kernel * channels, length])],
                        move |m, t| m.col2im_1d(t[0], stride, channels as i32, padding),
                    )
                    .subset(length == 100);
            }
        }
    }
}

fn pooling(cases: &mut Cases) {
    // `enum ggml_op_pool`.
    for (operation, name) in [(0, "maximum"), (1, "average")] {
        for kernel in [[1, 1], [3, 2], [3, 3], [5, 4]] {
            for stride in [[1, 1], [2, 1], [3, 3]] {
                for padding in [0, 1] {
                    if padding >= kernel[1] {
                        continue;
                    }
                    let title =
                        format!("of {kernel:?}, stride {stride:?}, padding {padding}, {name}");
                    for size in [[10, 10, 3, 1], [31, 17, 5, 2]] {
                        cases
                            .add(
                                format!("POOL_2D {title}"),
                                Measure::CLOSE,
                                vec![input(F32, &size)],
                                move |m, t| {
                                    let padding = padding as f32;
                                    m.pool_2d(
                                        t[0], operation, kernel[0], kernel[1], stride[0],
                                        stride[1], padding, padding,
                                    )
                                },
                            )
                            .subset(size[0] == 31 && stride[0] == 2);
                    }
                    if stride[0] == stride[1] || stride[0] == 2 {
                        cases
                            .add(
                                format!("POOL_1D {title}"),
                                Measure::CLOSE,
                                vec![input(F32, &[31, 7, 2])],
                                move |m, t| {
                                    m.pool_1d(t[0], operation, kernel[0], stride[0], padding)
                                },
                            )
                            .subset(stride[0] == 2);
                    }
                }
            }
        }
    }
}

fn scaling(cases: &mut Cases) {
    // `enum ggml_scale_mode`, with the flags for aligned corners (256) and for antialiasing (512).
    for (mode, name) in [
        (0, "nearest"),
        (1, "bilinear"),
        (2, "bicubic"),
        (1 | 256, "bilinear, corners"),
        (2 | 256, "bicubic, corners"),
        (1 | 512, "bilinear, antialiased"),
    ] {
        for (from, to) in [
            ([16, 16, 3, 1], [32, 32, 3, 1]),
            ([7, 5, 3, 2], [21, 15, 3, 2]),
            ([2, 5, 7, 3], [5, 8, 7, 3]),
            ([20, 30, 2, 1], [7, 11, 2, 1]),
            ([64, 1, 1, 1], [100, 3, 1, 1]),
            ([1, 4, 3, 1], [2, 8, 3, 1]),
        ] {
            for layout in [Layout::Plain, Layout::TRANSPOSED] {
                cases
                    .add(
                        format!("UPSCALE to {to:?} {name}"),
                        Measure::CLOSE,
                        vec![input(F32, &from).layout(layout)],
                        move |m, t| m.interpolate(t[0], to[0], to[1], to[2], to[3], mode),
                    )
                    .subset(from[0] == 7 || from[0] == 20);
            }
        }
        cases.add(
            format!("UPSCALE of all dimensions {name}"),
            Measure::CLOSE,
            vec![input(F32, &[2, 5, 7, 11])],
            move |m, t| m.interpolate(t[0], 5, 7, 11, 13, mode),
        );
    }
    for dimensions in [320, 7, 15, 256] {
        for period in [10000, 1000, 12] {
            for count in [1, 2, 33] {
                cases
                    .add(
                        format!("TIMESTEP_EMBEDDING {dimensions} {period}"),
                        Measure::CLOSE,
                        vec![input(F32, &[count]).range(0.0, 10.0)],
                        move |m, t| m.timestep_embedding(t[0], dimensions, period),
                    )
                    .subset(count == 2 && period == 10000);
            }
        }
    }
}
