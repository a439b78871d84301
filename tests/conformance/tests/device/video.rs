//! Video instructions on whole registers.

use crate::known::known_differences;
use conformance::{form, isolated, Bench};

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
