//! Declarations: headers, variables, initialisers, function heads.

use ptx::*;

const HEAD: &str = ".version 8.7\n.target sm_90a, debug\n.address_size 64\n";

fn with_head(rest: &str) -> String {
    format!("{HEAD}{rest}")
}

fn error(rest: &str) -> ParseError {
    Module::parse(&with_head(rest))
        .map(|m| m.variables)
        .expect_err(rest)
}

fn variable(rest: &str) -> Variable {
    Module::parse(&with_head(rest))
        .unwrap_or_else(|e| panic!("{rest}: {e}"))
        .variables[0]
        .clone()
}

#[test]
fn header() {
    let text = with_head("// nothing\n/* more\n */ ;");
    let header = Module::parse(&text).unwrap().header;
    let expected = Header {
        version: (8, 7),
        target: 90,
        target_suffix: Some('a'),
        address_size: 64,
        independent_textures: false,
    };
    assert_eq!(header, expected);
    assert!(Module::parse(".version 8.7 .target sm_75").is_ok());
    for bad in [
        "",
        ".version",
        ".version x.y",
        ".version 8.7",
        ".version 8.7 .target",
        ".version 99999.0 .target sm_75",
        "a",
    ] {
        assert!(Module::parse(bad).is_err(), "{bad}");
    }
    assert!(Module::parse(".version 8.7 .target sm_75 .address_size 16").is_err());
    assert!(
        Module::parse(".version 8.7 .target gfx90")
            .unwrap_err()
            .unsupported
    );
}

#[test]
fn plain_variables() {
    let v = variable(".visible .global .align 4 .u32 counter;");
    assert_eq!(
        (&*v.name, v.space, v.linkage),
        ("counter", StateSpace::Global, Linkage::Visible)
    );
    assert_eq!(
        (v.element, v.align, v.size, v.is_array),
        (Some(Modifier::U32), 4, 4, false)
    );
    let v = variable(".extern .shared .align 16 .b8 s[];");
    assert_eq!(
        (v.linkage, v.align, v.size, v.is_array),
        (Linkage::Extern, 16, 0, true)
    );
    let v = variable(".const .f64 table[3][5];");
    assert_eq!((v.space, v.align, v.size), (StateSpace::Const, 8, 120));
    let v = variable(".global .v4 .f32 four;");
    assert_eq!((v.align, v.size, v.is_array), (16, 16, false));
    let v = variable(".global .v2 .b16 pairs[6];");
    assert_eq!((v.align, v.size, v.is_array), (4, 24, true));
    let v = variable(".global .attribute(.managed) .align 8 .b64 m;");
    assert_eq!((v.align, v.managed), (8, true));
    let v = variable(".attribute(.managed) .global .align 8 .b64 m;");
    assert!(v.managed);
    let v = variable(".weak .global .b8 w[(1<<4)|3];");
    assert_eq!((v.size, v.linkage), (19, Linkage::Weak));
    assert!(!v.managed);
    let v = variable(".global .texref t;");
    assert_eq!((v.element, v.size), (None, 8));
    assert_eq!(
        variable(".global .samplerref s = { addr_mode_0 = wrap, filter_mode = linear };").element,
        None
    );
    assert_eq!(variable(".common .global .b32 c;").linkage, Linkage::Common);
    assert_eq!(
        Module::parse(&with_head(".global .u32 a, b[2];"))
            .unwrap()
            .variables
            .len(),
        2
    );
}

#[test]
fn redeclarations() {
    let text =
        with_head(".extern .global .b32 x; .visible .global .b32 x = 7; .extern .global .b32 x;");
    let module = Module::parse(&text).unwrap();
    assert_eq!(module.variables.len(), 1);
    assert_eq!(module.variable("x").unwrap().linkage, Linkage::Visible);
    assert!(module.function("x").is_none() && module.variable("y").is_none());
    error(".global .b32 x; .global .b32 x;");
    error(".global .b32 x; .func x() { ret; }");
    error(".func x(); .global .b32 x;");
    error(".func x() { ret; } .func x() { ret; }");
}

fn bytes(variable: &Variable) -> &[u8] {
    match &variable.initializer[..] {
        [Initial::Bytes { offset: 0, bytes }] => bytes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn initial_numbers() {
    assert_eq!(
        bytes(&variable(".global .b8 a[4] = {1, 0xFF, -1};")),
        [1, 255, 255]
    );
    assert_eq!(bytes(&variable(".global .u16 a = 0x1234;")), [0x34, 0x12]);
    assert_eq!(
        bytes(&variable(".global .s64 a = -2;")),
        [254, 255, 255, 255, 255, 255, 255, 255]
    );
    assert_eq!(
        bytes(&variable(".global .f32 a = 0f3F800000;")),
        1f32.to_le_bytes()
    );
    assert_eq!(
        bytes(&variable(".global .f32 a = 1.5;")),
        1.5f32.to_le_bytes()
    );
    assert_eq!(
        bytes(&variable(".global .f32 a = -3;")),
        (-3f32).to_le_bytes()
    );
    assert_eq!(
        bytes(&variable(".global .f64 a = 0d3FF0000000000000;")),
        1f64.to_le_bytes()
    );
    assert_eq!(bytes(&variable(".global .f64 a = 2;")), 2f64.to_le_bytes());
    assert_eq!(
        bytes(&variable(".global .b128 a = -2;")),
        (-2i128).to_le_bytes()
    );
    assert_eq!(bytes(&variable(".global .b32 a = {7};")), [7, 0, 0, 0]);
    let v = variable(".global .b16 a[][2] = {{1, 2}, {3}, {5, 6}};");
    assert_eq!(v.size, 12);
    assert_eq!(bytes(&v), [1, 0, 2, 0, 3, 0, 0, 0, 5, 0, 6, 0]);
    let v = variable(".const .v4 .u8 a[] = {{1, 2, 3, 4}, {5, 6, 7, 8}};");
    assert_eq!((v.size, bytes(&v).len()), (8, 8));
    assert!(variable(".global .b32 a[3] = {};").initializer.is_empty());
    for bad in [
        ".global .b8 a[2] = {1, 2, 3};",
        ".global .b8 a[2][2] = {1, 2, 3, 4};",
        ".global .b8 a = 1.5;",
        ".global .b8 a[2] = {1 2};",
        ".global .b32 a = ;",
        ".global .b8 a[2] = {1, 2;",
        ".global .b8 a[2][1000000000000] = {{1}, {2}};",
        ".global .b8 a[][4000000000000000000] = {{}, {}, {}, {}, {}, {}, {}, {}};",
        ".global .b8 a[][200000000000000] = {{}, {}, {}, {}, {}, {}, {}, {}};",
        ".global .b8 a[4000000000000][4000000000000];",
    ] {
        error(bad);
    }
}

#[test]
fn initial_addresses() {
    let address = |text: &str| match variable(text).initializer.remove(0) {
        Initial::Address {
            offset: 0,
            size,
            symbol,
            addend,
            generic,
            mask,
        } => (size, symbol.to_string(), addend, generic, mask),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        address(".global .u64 p = x;"),
        (8, "x".into(), 0, false, None)
    );
    assert_eq!(
        address(".global .u64 p[2] = {x+8, 0};"),
        (8, "x".into(), 8, false, None)
    );
    assert_eq!(
        address(".global .u32 p[1] = {x-4};"),
        (4, "x".into(), -4, false, None)
    );
    assert_eq!(
        address(".global .u64 p = generic(x);"),
        (8, "x".into(), 0, true, None)
    );
    assert_eq!(
        address(".global .u64 p = generic(x)+16;"),
        (8, "x".into(), 16, true, None)
    );
    assert_eq!(
        address(".global .u64 p = generic(x + 16);"),
        (8, "x".into(), 16, true, None)
    );
    assert_eq!(
        address(".global .b8 p[2] = {0xFF(x), 0xFF00(x)};"),
        (1, "x".into(), 0, false, Some(0xff))
    );
    assert_eq!(
        address(".global .b8 p[1] = {0xFF00(generic(x)+4)};"),
        (1, "x".into(), 4, true, Some(0xff00))
    );
    let v = variable(".global .b8 p[10] = {1, 2, 0xFF(x), 0xFF00(x), 3};");
    assert_eq!(v.initializer.len(), 4);
    assert_eq!(
        v.initializer[3],
        Initial::Bytes {
            offset: 4,
            bytes: vec![3]
        }
    );
    error(".global .b16 p = x;");
    error(".global .b64 p = 0xFF(x);");
    error(".global .b64 p = generic(x;");
}

#[test]
fn function_heads() {
    let text = with_head(
        r#"
        .file 1 "a\"{.cu", 1700000000, 1234
        .extern .func (.param .b32 result) vprintf (.param .b64 a, .param .b64 b) ;
        .weak .entry k(
            .param .u64 .ptr .global .align 16 out,
            .param .align 8 .b8 block[12],
            .param .u8 flag,
            .param .texref t,
            .param .u64 .ptr .surfref handle
        )
        .maxntid 256, 2
        .minnctapersm 2
        .maxnreg 64
        .reqnctapercluster 2, 1, 1
        .explicitcluster
        .maxclusterrank 8
        .pragma "nounroll";
        {
            // } is not the end, nor is "
            /* } */
            .pragma "}{{";
            { ret; }
        }
        .visible .entry r() .reqntid 32, 1, 1 { }
        .func .attribute(.unified(0xAB, 0xCD)) never (.reg .b32 a) .noreturn .abi_preserve 8 { trap; }
        .func (.reg .f32 r0, .reg .b32 r1) two();
        .section .debug_info { .b8 1 .b64 $label { } }
        .pragma "a", "b";
        "#,
    );
    let module = Module::parse(&text).unwrap();
    let names: Vec<_> = module.functions.iter().map(|f| &*f.name).collect();
    assert_eq!(names, ["vprintf", "k", "r", "never", "two"]);
    let vprintf = module.function("vprintf").unwrap();
    assert_eq!(
        (vprintf.is_entry, vprintf.linkage, &vprintf.body),
        (false, Linkage::Extern, &None)
    );
    assert_eq!((vprintf.results.len(), vprintf.parameters.len()), (1, 2));
    assert!(module
        .parse_body(vprintf)
        .unwrap_err()
        .message
        .contains("vprintf"));
    let k = module.function("k").unwrap();
    assert!(k.is_entry && k.linkage == Linkage::Weak);
    assert_eq!(k.parameter_offsets(), (vec![0, 8, 20, 24, 32], 40));
    assert_eq!(
        (
            k.parameters[0].align,
            k.parameters[1].align,
            k.parameters[1].size
        ),
        (8, 8, 12)
    );
    assert_eq!(k.max_threads, Some([256, 2, 1]));
    assert_eq!(
        (k.min_blocks_per_multiprocessor, k.max_registers),
        (Some(2), Some(64))
    );
    assert_eq!(module.parse_body(k).unwrap().statements.len(), 1);
    let r = module.function("r").unwrap();
    assert_eq!(
        (r.required_threads, r.parameters.len()),
        (Some([32, 1, 1]), 0)
    );
    assert_eq!(module.parse_body(r).unwrap(), Body::default());
    let never = module.function("never").unwrap();
    assert!(never.no_return && never.parameters[0].space == StateSpace::Reg);
    let two = module.function("two").unwrap();
    assert_eq!(
        (two.results.len(), two.results[0].element),
        (2, Some(Modifier::F32))
    );
    assert_eq!(module.line(module.function("r").unwrap().span), 27);
}

#[test]
fn definitions_replace_declarations() {
    let text = with_head(
        ".func f(.param .b32 a); .entry k() { ret; } .func f(.param .b32 b) { ret; } .func f();",
    );
    let module = Module::parse(&text).unwrap();
    assert_eq!(module.functions.len(), 2);
    let f = module.function("f").unwrap();
    assert_eq!(&*f.parameters[0].name, "b");
    assert!(f.body.is_some());
}

#[test]
fn aliases() {
    let text =
        with_head(".func f(.param .b32 a) { ret; } .weak .func g(.param .b32 a); .alias g, f;");
    let module = Module::parse(&text).unwrap();
    let g = module.function("g").unwrap();
    assert_eq!((&*g.name, g.linkage), ("g", Linkage::Weak));
    assert_eq!(module.parse_body(g).unwrap().statements.len(), 1);
    error(".alias g, f;");
    error(".func f() { ret; } .func g() { ret; } .alias g, f;");
}

#[test]
fn errors_name_line_and_text() {
    let e = error("\n.global .u32 3x;\n");
    assert_eq!(e.line, 5);
    assert!(e.message.contains("3x"), "{e}");
    assert!(!e.unsupported);
    let e = error(".bogus 3;");
    assert!(e.unsupported && e.message.contains("`bogus`"), "{e}");
    let e = error(".entry k() .bogus 3 { ret; }");
    assert!(e.unsupported && e.message.contains("`bogus`"), "{e}");
    let e = error(".global .q32 x;");
    assert!(e.unsupported && e.message.contains("`q32`"), "{e}");
    let e = error(".entry k() { ret; ");
    assert!(!e.unsupported && e.message.contains("never closed"), "{e}");
    error(".entry k() { \"no end }");
    error(".entry k() { /* no end }");
    error(".entry k(.param .u32 a .param .u32 b) { ret; }");
    error(".entry k(.param .pred a) { ret; }");
    error(".entry k(.u32 a) { ret; }");
    error(".global .align 3 .u32 x;");
    error(".global .align 99999999999 .u32 x;");
    error(".global x;");
    error(".global .u32 x");
    error(".func f() .maxntid 99999999999 { ret; }");
    error("é");
    error("\0");
}

#[test]
fn references() {
    let text = ".version 8.7 .target sm_75, texmode_independent .address_size 64
        .visible .global .texref image;
        .global .samplerref how = { addr_mode_0 = clamp_to_border, filter_mode = linear, force_unnormalized_coords = 1 };
        .global .surfref output;
        .entry k(.param .texref image, .param .u64 .ptr .global .align 8 to) { ret; }";
    let module = Module::parse(text).unwrap();
    assert!(module.header.independent_textures);
    let kinds = |module: &Module| -> Vec<_> {
        let opaque = module.variables.iter().map(|v| v.opaque.clone().unwrap());
        opaque.map(|o| (o.kind, o.fields)).collect()
    };
    let found = kinds(&module);
    use ptx::OpaqueKind::{Sampler, Surface, Texture};
    assert_eq!(found[0], (Texture, vec![]));
    assert_eq!(found[1].0, Sampler);
    let fields: Vec<_> = found[1].1.iter().map(|(n, v)| (&**n, &**v)).collect();
    assert_eq!(
        fields,
        [
            ("addr_mode_0", "clamp_to_border"),
            ("filter_mode", "linear"),
            ("force_unnormalized_coords", "1")
        ]
    );
    assert_eq!(found[2], (Surface, vec![]));
    let kernel = module.function("k").unwrap();
    assert_eq!(kernel.parameters[0].opaque.as_ref().unwrap().kind, Texture);
    assert_eq!(kernel.parameter_offsets(), (vec![0, 8], 16));
    // And again from its own print.
    let printed = ptx::printer::module(&module).unwrap();
    let again = Module::parse(&printed).unwrap();
    assert_eq!(again.header, module.header);
    assert_eq!(kinds(&again), found);
    let bad = |item: &str| {
        Module::parse(&format!(
            ".version 8.7 .target sm_75 .address_size 64 {item}"
        ))
        .is_err()
    };
    assert!(bad(".global .texref image[2];"));
    assert!(bad(".const .texref image;"));
    assert!(bad(".global .samplerref how = { filter_mode };"));
    assert!(bad(".global .samplerref how = 3;"));
}

/// Arrays have a length, but for those of other modules and of functions' parameters.
#[test]
fn arrays_without_a_length() {
    let parse = |text: &str| {
        let text = format!(".version 6.5 .target sm_30 .address_size 64 {text}");
        ptx::Module::parse(&text).map(drop).map_err(|e| e.message)
    };
    for right in [
        ".extern .shared .b32 s[];",
        ".extern .global .b32 g[];",
        ".global .b32 g[] = {1, 2};",
        ".global .b8 empty[0];",
        ".visible .func f(.param .b32 a[]) { ret; }",
    ] {
        assert_eq!(parse(right), Ok(()), "{right}");
    }
    for wrong in [
        ".const .b32 c[];",
        ".global .b32 g[];",
        ".shared .b32 s[];",
        ".visible .entry k(.param .b32 a[]) { ret; }",
    ] {
        let error = parse(wrong).unwrap_err();
        assert!(
            error.contains("an array without a length"),
            "{wrong}: {error}"
        );
    }
}

/// nvopencc ended declarations of functions with nothing, and declared textures in a state space of their own.
#[test]
fn old_declarations() {
    let text = ".version 1.4
        .target sm_10, map_f64_to_f32
        .visible .func (.param .f32 r) f (.param .f32 a)
        .extern .func g
        .tex .u32 picture;
        .tex .u64 one, other;
        .visible .func h (.reg .u32 a)
        .entry k { ret; }
        .extern .func last";
    let module = ptx::Module::parse(text).unwrap();
    for name in ["f", "g", "h", "last"] {
        assert!(module.function(name).unwrap().body.is_none(), "{name}");
    }
    assert!(module.function("k").unwrap().body.is_some());
    for name in ["picture", "one", "other"] {
        let variable = module.variable(name).unwrap();
        assert_eq!(variable.space, ptx::StateSpace::Global, "{name}");
        assert_eq!(
            variable.opaque.as_ref().unwrap().kind,
            ptx::OpaqueKind::Texture
        );
    }
}
