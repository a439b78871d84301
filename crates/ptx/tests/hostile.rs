//! Large texts made to be slow: the time must grow with the text only. A parser with a square in it would need minutes.

use ptx::Module;
use std::time::{Duration, Instant};

const COUNT: usize = 200_000;

/// Parses a body made of `piece` again and again; its result does not matter, its time does.
fn body(before: &str, piece: impl Fn(usize) -> String, after: &str) {
    let middle: String = (0..COUNT).map(piece).collect();
    let text = format!(".version 8.0 .target sm_80 .func f() {{ ret; }} .entry k() {{ {before} {middle} {after} }}");
    let start = Instant::now();
    if let Ok(module) = Module::parse(&text) {
        let _ = module.parse_body(module.function("k").unwrap());
    }
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{before} {}: {:?}",
        &middle[..20],
        start.elapsed()
    );
}

#[test]
fn bodies() {
    body("", |_| "{".into(), "");
    body("", |_| "{ }".into(), "");
    body("", |i| format!("l{i}: bra l{};", i + 1), "");
    body(&"{".repeat(200), |i| format!("bra l{i};"), &"}".repeat(200));
    body("", |_| "bra l;".into(), "l:");
    body("", |i| format!("t{i}: .calltargets f;"), "");
    body("", |i| format!(".reg .b32 r{i};"), "");
    body("", |i| format!(".reg .b32 r{i}<0>;"), "");
    body(
        ".reg .b32 %r1<9>;",
        |_| "mov.b32 _, %r99999999999999;".into(),
        "",
    );
    body("", |_| "/* } */ \"".into(), "");
    body("", |_| "/**/".into(), "");
    body("", |_| ".shared .b32 x;".into(), "");
    body("", |i| format!(".shared .b32 x{i}; mov.b32 _, x{i};"), "");
    body("mov.b32 _, 1", |_| "+1".into(), ";");
    body("mov.b32 _, ", |_| "(".into(), "");
    body("mov.b32 _, {1", |_| ",1".into(), "};");
}

#[test]
fn modules() {
    for piece in [
        ".global .b8 a[2] = {1, 2};",
        ".extern .func f();",
        ".extern .global .b32 x;",
        ".func g(); .alias g, g;",
        ".section .x { \"}\" }",
        ".file 1 \"x\"",
        ".entry k() { /* { */ \"\\\"}\" }",
        ".attribute(",
        "(",
    ] {
        let text = format!(".version 8.0 .target sm_80 {}", piece.repeat(COUNT));
        let start = Instant::now();
        let _ = Module::parse(&text);
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{piece}: {:?}",
            start.elapsed()
        );
    }
}
