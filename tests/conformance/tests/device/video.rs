//! Video instructions on registers and parts of them.

use crate::known::known_differences;
use conformance::{body, form, isolated, Bench, Form};

#[test]
fn video_instructions() {
    let mut forms = Vec::new();
    let types = ["s32.s32.s32", "u32.u32.u32", "s32.u32.s32", "u32.s32.u32"];
    for ty in types {
        for op in ["vadd", "vsub", "vabsdiff", "vmin", "vmax"] {
            for sat in ["", ".sat"] {
                forms.push(form(&format!("{op}.{ty}{sat}"), "b32", "b32 b32"));
                for second in ["add", "min", "max"] {
                    forms.push(form(
                        &format!("{op}.{ty}{sat}.{second}"),
                        "b32",
                        "b32 b32 b32",
                    ));
                }
            }
        }
        for op in ["vshl", "vshr"] {
            for mode in ["clamp", "wrap"] {
                let (d, rest) = ty.split_once('.').unwrap_or_default();
                let a = &rest[..3];
                forms.push(form(
                    &format!("{op}.{d}.{a}.u32.{mode}"),
                    "b32",
                    "b32 count",
                ));
                forms.push(form(
                    &format!("{op}.{d}.{a}.u32.{mode}.sat"),
                    "b32",
                    "b32 count",
                ));
            }
        }
        for ways in [2, 4] {
            for op in ["vadd", "vsub", "vabsdiff", "vmin", "vmax", "vavrg"] {
                for how in ["", ".sat", ".add"] {
                    forms.push(form(&format!("{op}{ways}.{ty}{how}"), "b32", "b32 b32 b32"));
                }
            }
        }
    }
    for comparison in ["eq", "ne", "lt", "le", "gt", "ge"] {
        for ty in ["s32.s32", "u32.u32", "s32.u32"] {
            forms.push(form(&format!("vset.{ty}.{comparison}"), "b32", "b32 b32"));
            for ways in [2, 4] {
                for how in ["", ".add"] {
                    forms.push(form(
                        &format!("vset{ways}.{ty}.{comparison}{how}"),
                        "b32",
                        "b32 b32 b32",
                    ));
                }
            }
        }
    }
    isolated("video::video_instructions", || {
        Bench::open().check(forms, known_differences("video::video_instructions"));
    });
}

/// A form with parts of registers: operands as they are written.
fn parts(instruction: &str, operands: &str) -> Form {
    let text = format!("{instruction} {operands}");
    body(&text, "b32", "b32 b32 b32", &format!("{text};"))
}

#[test]
fn parts_of_registers() {
    let mut forms = Vec::new();
    let types = ["s32.s32.s32", "u32.u32.u32", "s32.u32.s32", "u32.s32.u32"];
    let selectors = ["", ".b0", ".b1", ".b2", ".b3", ".h0", ".h1"];
    for (n, op) in ["vadd", "vsub", "vabsdiff", "vmin", "vmax"]
        .iter()
        .enumerate()
    {
        for (m, selector) in selectors.iter().enumerate() {
            let ty = types[(n + m) % types.len()];
            let other = selectors[(n + 2 * m + 1) % selectors.len()];
            let to = selectors[1 + (n + m) % (selectors.len() - 1)];
            let sat = ["", ".sat"][(n + m) % 2];
            forms.push(parts(
                &format!("{op}.{ty}{sat}"),
                &format!("d0, a0{selector}, a1{other}"),
            ));
            forms.push(parts(
                &format!("{op}.{ty}{sat}"),
                &format!("d0{to}, a0{selector}, a1{other}, a2"),
            ));
            let second = ["add", "min", "max"][m % 3];
            forms.push(parts(
                &format!("{op}.{ty}{sat}.{second}"),
                &format!("d0, a0{selector}, a1{other}, a2"),
            ));
        }
    }
    for (n, selector) in selectors.iter().enumerate() {
        let to = selectors[1 + n % (selectors.len() - 1)];
        let comparison = ["eq", "ne", "lt", "le", "gt", "ge"][n % 6];
        forms.push(parts(
            &format!("vset.u32.s32.{comparison}"),
            &format!("d0{to}, a0{selector}, a1.b2, a2"),
        ));
        forms.push(parts(
            &format!("vshl.u32.u32.u32.{}", ["clamp", "wrap"][n % 2]),
            &format!("d0{to}, a0{selector}, a1.b0, a2"),
        ));
        forms.push(parts(
            &format!("vshr.s32.s32.u32.{}", ["clamp", "wrap"][n % 2]),
            &format!("d0, a0{selector}, a1.b3"),
        ));
    }
    for (n, op) in ["vadd", "vsub", "vabsdiff", "vmin", "vmax", "vavrg"]
        .iter()
        .enumerate()
    {
        for (m, mask) in ["", ".h0", ".h1", ".h10"].iter().enumerate() {
            let ty = types[(n + m) % types.len()];
            for how in ["", ".sat", ".add"] {
                let (a, b) = [
                    (".h10", ".h32"),
                    (".h31", ".h02"),
                    ("", ".h11"),
                    (".h23", ""),
                ][(n + m) % 4];
                forms.push(parts(
                    &format!("{op}2.{ty}{how}"),
                    &format!("d0{mask}, a0{a}, a1{b}, a2"),
                ));
            }
        }
        for (m, mask) in ["", ".b0", ".b31", ".b210", ".b3210"].iter().enumerate() {
            let ty = types[(n + m) % types.len()];
            for how in ["", ".sat", ".add"] {
                let (a, b) = [
                    (".b3210", ".b7654"),
                    (".b7531", ".b0246"),
                    ("", ".b1117"),
                    (".b4567", ""),
                ][(n + m) % 4];
                forms.push(parts(
                    &format!("{op}4.{ty}{how}"),
                    &format!("d0{mask}, a0{a}, a1{b}, a2"),
                ));
            }
        }
    }
    for how in ["", ".add"] {
        forms.push(parts(
            &format!("vset2.s32.u32.lt{how}"),
            "d0.h1, a0.h21, a1.h03, a2",
        ));
        forms.push(parts(
            &format!("vset4.u32.s32.ge{how}"),
            "d0.b20, a0.b7210, a1.b0043, a2",
        ));
    }
    isolated("video::parts_of_registers", || {
        Bench::open().check(forms, known_differences("video::parts_of_registers"));
    });
}

#[test]
fn products() {
    let mut forms = Vec::new();
    for (n, ty) in ["s32.s32", "u32.u32", "s32.u32", "u32.s32"]
        .iter()
        .enumerate()
    {
        for sat in ["", ".sat"] {
            for (m, scale) in ["", ".shr7", ".shr15"].iter().enumerate() {
                for (a, b, c) in [
                    ("", "", ""),
                    ("-", "", ""),
                    ("", "-", ""),
                    ("-", "-", ""),
                    ("", "", "-"),
                ] {
                    forms.push(parts(
                        &format!("vmad.s32.{ty}{sat}{scale}"),
                        &format!("d0, {a}a0, {b}a1, {c}a2"),
                    ));
                }
                let (a, b) =
                    [(".b0", ".h1"), (".h0", ""), ("", ".b3"), (".b2", ".b1")][(n + m) % 4];
                forms.push(parts(
                    &format!("vmad.s32.{ty}{sat}{scale}"),
                    &format!("d0, a0{a}, a1{b}, a2"),
                ));
                forms.push(parts(
                    &format!("vmad.s32.{ty}.po{sat}{scale}"),
                    &format!("d0, a0{a}, a1{b}, a2"),
                ));
            }
        }
    }
    isolated("video::products", || {
        Bench::open().check(forms, known_differences("video::products"));
    });
}
