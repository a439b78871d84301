//! Kernels to test.

use cublas::kernels::gemm_depth;
use cublas::kernels::gemm_direct::{Layout, Spec, Triangle, Vectors};
use cublas::kernels::gemm_tensor::{self, Shape};
use cublas::kernels::{
    banded, elementwise, gemm_tiled, reduce, rotg, rotm, symmetric, triangular, Kernel,
};
use cublas::ptx::{Arithmetic, Element};

/// The register kernels that ggml's calls select: transposed `A`, `B` as stored.
pub fn snapshot_kernels() -> Vec<Kernel> {
    let formats = [
        (
            Element::F16,
            Element::F16,
            Element::F16,
            Vectors::Always,
            false,
        ),
        (
            Element::F16,
            Element::F16,
            Element::F16,
            Vectors::Probe,
            true,
        ),
        (
            Element::F16,
            Element::F32,
            Element::F32,
            Vectors::Probe,
            true,
        ),
        (
            Element::BF16,
            Element::F32,
            Element::F32,
            Vectors::Always,
            false,
        ),
        (
            Element::F32,
            Element::F32,
            Element::F32,
            Vectors::Always,
            false,
        ),
        (
            Element::F32,
            Element::F32,
            Element::F32,
            Vectors::Never,
            false,
        ),
    ];
    formats
        .into_iter()
        .map(|(ab, c, scale, vectors, pointers)| {
            Kernel::GemmDirect(Spec {
                a: Layout::Depth,
                b: Layout::Depth,
                conjugate_a: false,
                conjugate_b: false,
                element_ab: ab,
                element_c: c,
                scale,
                scale_beta: scale,
                conjugate_alpha: false,
                arithmetic: Arithmetic::F32,
                rows: 8,
                columns: 4,
                vectors,
                pointers,
                fill: Triangle::All,
                hermitian: false,
                stagger: vectors == Vectors::Always,
            })
        })
        .collect()
}

/// Kernels of every family, format and layout.
#[allow(dead_code)]
pub fn all_kernels() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    let formats = [
        (Element::F16, Element::F16, Element::F16, Arithmetic::F32),
        (Element::F16, Element::F32, Element::F32, Arithmetic::F32),
        (Element::BF16, Element::BF16, Element::F32, Arithmetic::F32),
        (Element::S8, Element::S32, Element::S32, Arithmetic::S32),
        (Element::S8, Element::F32, Element::F32, Arithmetic::F32),
        (Element::F32, Element::F32, Element::F32, Arithmetic::F32),
        (Element::F64, Element::F64, Element::F64, Arithmetic::F64),
        (Element::C32, Element::C32, Element::C32, Arithmetic::C32),
        (Element::C64, Element::C64, Element::C64, Arithmetic::C64),
    ];
    let layouts = [Layout::Depth, Layout::Edge];
    for (element_ab, element_c, scale, arithmetic) in formats {
        for (a, b) in layouts
            .iter()
            .flat_map(|&a| layouts.iter().map(move |&b| (a, b)))
        {
            let complex = arithmetic.is_complex();
            let mut spec = Spec {
                a,
                b,
                conjugate_a: complex && a == Layout::Depth,
                conjugate_b: complex && b == Layout::Edge,
                element_ab,
                element_c,
                scale,
                scale_beta: scale,
                conjugate_alpha: false,
                arithmetic,
                rows: 4,
                columns: 4,
                vectors: Vectors::Never,
                pointers: false,
                fill: Triangle::All,
                hermitian: false,
                stagger: false,
            };
            kernels.push(Kernel::GemmDirect(spec.clone()));
            kernels.push(Kernel::GemmTiled(gemm_tiled::Spec {
                a,
                b,
                conjugate_a: spec.conjugate_a,
                conjugate_b: spec.conjugate_b,
                element_ab,
                element_c,
                scale,
                arithmetic,
                pointers: a == b,
            }));
            if complex {
                let (fill, hermitian) = (Triangle::Upper, true);
                kernels.push(Kernel::GemmDirect(Spec {
                    fill,
                    hermitian,
                    ..spec.clone()
                }));
            }
            if spec.unroll() > 1 {
                (spec.rows, spec.vectors) = (8, Vectors::Always);
                kernels.push(Kernel::GemmDirect(spec.clone()));
                (spec.rows, spec.columns, spec.fill) = (1, 8, Triangle::Lower);
                (spec.vectors, spec.pointers) = (Vectors::Probe, true);
                kernels.push(Kernel::GemmDirect(spec));
            }
        }
    }
    for ab in [Element::F16, Element::BF16] {
        for (a, b) in layouts
            .iter()
            .flat_map(|&a| layouts.iter().map(move |&b| (a, b)))
        {
            for shape in [Shape::Large, Shape::Medium, Shape::Small] {
                kernels.push(Kernel::GemmTensor(gemm_tensor::Spec {
                    a,
                    b,
                    element_ab: ab,
                    element_c: if shape == Shape::Large {
                        ab
                    } else {
                        Element::F32
                    },
                    scale: Element::F32,
                    shape,
                }));
            }
        }
    }
    for (ab, c) in [
        (Element::F16, Element::F16),
        (Element::F16, Element::F32),
        (Element::BF16, Element::F32),
    ] {
        for shape in gemm_depth::Shape::ALL {
            kernels.push(Kernel::GemmDepth(gemm_depth::Spec {
                element_ab: ab,
                element_c: c,
                scale: Element::F32,
                shape,
            }));
        }
    }
    kernels.extend(small_kernels());
    kernels
}

/// Kernels of the families beside the matrix product.
#[allow(dead_code)]
fn small_kernels() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    let formats = [
        (Element::F32, Element::F32, Arithmetic::F32),
        (Element::F64, Element::F64, Arithmetic::F64),
        (Element::C32, Element::F32, Arithmetic::C32),
        (Element::C64, Element::F64, Arithmetic::C64),
    ];
    for (element, real, arithmetic) in formats {
        let complex = arithmetic.is_complex();
        for task in [triangular::Task::Solve, triangular::Task::Multiply] {
            for (unit, pointers) in [(false, false), (true, true)] {
                let conjugate = complex && unit;
                let spec = triangular::Spec {
                    task,
                    element,
                    arithmetic,
                    conjugate,
                    unit,
                    pointers,
                };
                kernels.push(Kernel::Triangular(spec));
            }
        }
        for modified in [false, true] {
            if !(complex && modified) {
                kernels.push(Kernel::Rotg(rotg::Spec {
                    element,
                    cosine: real,
                    arithmetic,
                    modified,
                }));
            }
        }
        if !complex {
            let param = element;
            kernels.push(Kernel::Rotm(rotm::Spec {
                element,
                param,
                arithmetic,
            }));
        }
        for task in [
            banded::Task::General,
            banded::Task::Symmetric,
            banded::Task::Solve,
            banded::Task::Multiply,
            banded::Task::Update,
            banded::Task::Update2,
            banded::Task::Unpack,
            banded::Task::Pack,
        ] {
            for (packed, lower) in [(false, false), (false, true), (true, false), (true, true)] {
                kernels.push(Kernel::Banded(banded::Spec {
                    task,
                    element,
                    alpha: if lower { element } else { real },
                    arithmetic,
                    packed,
                    lower,
                    transposed: lower != packed,
                    conjugate: complex && packed,
                    unit: lower && packed,
                    hermitian: complex && lower,
                }));
            }
        }
        for (lower, hermitian) in [(true, false), (false, complex)] {
            let conjugate = hermitian;
            if lower || complex {
                let spec = symmetric::Spec {
                    element,
                    arithmetic,
                    lower,
                    hermitian,
                    conjugate,
                };
                kernels.push(Kernel::Symmetric(spec));
            }
        }
        for task in [
            elementwise::Task::Scale,
            elementwise::Task::AddScaled,
            elementwise::Task::Copy,
            elementwise::Task::Swap,
            elementwise::Task::Rotate,
            elementwise::Task::Sum,
            elementwise::Task::Product,
        ] {
            let spec = elementwise::Spec {
                task,
                element,
                alpha: real,
                beta: element,
                arithmetic,
                conjugate_a: complex,
                conjugate_b: false,
            };
            kernels.push(Kernel::Elementwise(spec));
        }
        for (task, result) in [
            (reduce::Task::Dot, element),
            (reduce::Task::DotConjugate, element),
            (reduce::Task::AbsoluteSum, real),
            (reduce::Task::Norm, real),
            (reduce::Task::Largest, Element::S32),
            (reduce::Task::Smallest, Element::F64),
        ] {
            for stage in [
                reduce::Stage::Whole,
                reduce::Stage::First,
                reduce::Stage::Last,
            ] {
                let spec = reduce::Spec {
                    task,
                    stage,
                    element,
                    arithmetic,
                    result,
                };
                kernels.push(Kernel::Reduce(spec));
            }
        }
    }
    for element in [Element::F16, Element::BF16] {
        let spec = elementwise::Spec {
            task: elementwise::Task::AddScaled,
            element,
            alpha: Element::F32,
            beta: element,
            arithmetic: Arithmetic::F32,
            conjugate_a: false,
            conjugate_b: false,
        };
        kernels.push(Kernel::Elementwise(spec));
        let spec = reduce::Spec {
            task: reduce::Task::Dot,
            stage: reduce::Stage::Whole,
            element,
            arithmetic: Arithmetic::F32,
            result: element,
        };
        kernels.push(Kernel::Reduce(spec));
    }
    kernels
}
