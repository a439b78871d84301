//! No text makes the parser panic, and what it reads is what the printer writes.

use proptest::prelude::*;
use ptx::*;

/// Texts that use every construct.
const SEEDS: [&str; 3] = [
    r#".version 8.7
.target sm_90a, texmode_unified
.address_size 64
.file 1 "x.cu"
.extern .shared .align 16 .b8 dynamic[];
.global .align 8 .u64 pointers[3] = {generic(table)+8, f, 0};
.global .b8 masked[4] = {0xFF(table), 0xFF00(table+4), 1, 2};
.const .v4 .f32 table[2] = {{1.0, 2.0, 0f40400000, -4}, {5, 6}};
.global .f64 d = 0d3FF0000000000000;
.global .texref tex;
.func (.param .b32 r) f(.param .b32 a, .param .align 8 .b8 b[16]) .noreturn;
.func (.reg .b32 r) g(.reg .b32 a, .reg .pred ok) { @ok add.s32 r, a, 1; ret; }
.alias f2, f;
.func f2(.param .b32 a);
.visible .entry k(.param .u64 .ptr .global .align 4 p0, .param .u32 n) .maxntid 256, 1, 1 .minnctapersm 1
{
    .reg .pred %p<4>; .reg .b32 %r<20>; .reg .b64 %rd<8>; .reg .f32 %f<8>; .reg .v4 .b32 %v; .reg .v2 .f32 %w<2>;
    .reg .b32 %r1<3>;
    .local .align 8 .b8 depot[24];
    .loc 1 3 4, function_name $info, inlined_at 1 2 3
    mov.u32 %r1, %tid.x; mov.v4.u32 %v, %ctaid; mov.u32 %r2, %v.z; mov.b64 %rd1, {%r1, %r2};
    ld.param.u64 %rd2, [p0]; cvta.to.global.u64 %rd2, %rd2; mov.u64 %rd3, depot+8; mov.u64 %rd4, table[1];
$top:
    setp.lt.and.s32 %p1|%p2, %r1, -5, !%p0;
    @!%p1 bra.uni $end;
    fma.rn.ftz.f32 %f1, %f2, 0f3F800000, 1.5;
    ld.global.nc.L1::no_allocate.v2.f32 {%f3, _}, [%rd2+-16];
    st.local.b32 [depot+4], (1<<4)|WARP_SZ;
    tex.2d.v4.f32.f32 {%f1, %f2, %f3, %f4}, [tex, {%f5, %f6}];
    { .param .b32 x; .reg .b32 t; .reg .b32 %r<2>; mov.b32 t, %r1; st.param.b32 [x], t; call.uni (x), g, (x, %p1); 
      again: @%p1 bra again; bra out; { out: } }
    { .reg .b32 t; again: mov.b32 t, 7; bra again; out: }
out:
    brx.idx %r1, jumps;
jumps: .branchtargets $top, $end, out;
proto: .callprototype (.param .b32 _) _ (.param .b64 _);
    call (%r1), %rd3, (%rd4), proto;
    call (%r1), %rd3, (), proto;
    call %rd3, proto;
    shfl.sync.bfly.b32 %r3|%p3, %r2, 16, 31, -1;
    bar.sync 0;
$end:
    ret;
}
"#,
    ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry e()\n{\n.reg .b16 %rs<9>;\n/* {{ */ // }}\n\
     mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f0,%f1,%f2,%f3}, {%r0,%r1,%r2,%r3}, {%r4,%r5}, {0,0,0,0};\n}\n",
    ".version 6.0 .target sm_70 .entry a { .reg .b32 %a<3>; .reg .b32 a1; mov.b32 a1, %a2; exit; }",
];

/// Parses all; whether everything was right.
fn parse_all(text: &str) -> bool {
    let Ok(module) = Module::parse(text) else {
        return false;
    };
    module
        .functions
        .iter()
        .filter(|f| f.body.is_some())
        .fold(true, |right, f| {
            f.parameter_offsets();
            module.parse_body(f).is_ok() & right
        })
}

/// Everything but places and names.
fn nameless(mut body: Body) -> Body {
    body.register_names.clear();
    body.labels.iter_mut().for_each(|name| *name = "".into());
    for symbol in &mut body.symbols {
        if let SymbolKind::Local(_) = symbol.kind {
            symbol.name = "".into();
        }
    }
    for prototype in &mut body.prototypes {
        prototype.name = "".into();
        prototype
            .results
            .iter_mut()
            .chain(&mut prototype.parameters)
            .for_each(|v| v.span = Span(0));
    }
    for variable in &mut body.variables {
        variable.name = "".into();
        variable.span = Span(0);
    }
    for statement in &mut body.statements {
        if let Statement::Instruction(instruction) = statement {
            instruction.span = Span(0);
        }
    }
    body
}

fn placeless(variables: &[Variable]) -> Vec<Variable> {
    variables
        .iter()
        .cloned()
        .map(|v| Variable { span: Span(0), ..v })
        .collect()
}

/// Whether the text, if it is right, survives printing and parsing.
fn round_trip(text: &str) {
    let Ok(module) = Module::parse(text) else {
        return;
    };
    let Ok(printed) = printer::module(&module) else {
        return;
    };
    let again = Module::parse(&printed).unwrap_or_else(|e| panic!("{e} in\n{printed}"));
    assert_eq!(module.header, again.header);
    assert_eq!(
        placeless(&module.variables),
        placeless(&again.variables),
        "{printed}"
    );
    assert_eq!(module.functions.len(), again.functions.len());
    for function in &module.functions {
        let other = again.function(&function.name).unwrap();
        let head = |f: &Function| Function {
            span: Span(0),
            body: None,
            parameters: placeless(&f.parameters),
            results: placeless(&f.results),
            ..f.clone()
        };
        assert_eq!(head(function), head(other), "{printed}");
        assert_eq!(function.body.is_some(), other.body.is_some());
        if function.body.is_some() {
            let body = nameless(module.parse_body(function).unwrap());
            let other = again
                .parse_body(other)
                .unwrap_or_else(|e| panic!("{e} in\n{printed}"));
            assert_eq!(body, nameless(other), "{printed}");
        }
    }
}

#[test]
fn seeds_are_right_and_survive() {
    let module = Module::parse(SEEDS[0]).unwrap();
    for function in module.functions.iter().filter(|f| f.body.is_some()) {
        module.parse_body(function).unwrap();
    }
    for seed in SEEDS {
        round_trip(seed);
    }
}

#[test]
fn printing_twice_changes_nothing() {
    let module = Module::parse(SEEDS[0]).unwrap();
    let once = printer::module(&module).unwrap();
    let twice = printer::module(&Module::parse(&once).unwrap()).unwrap();
    assert_eq!(once, twice);
}

/// Every prefix of a text, and the text without each of its bytes.
#[test]
fn truncations_and_omissions() {
    for seed in SEEDS {
        for at in 0..seed.len() {
            parse_all(&seed[..at]);
            let text = format!("{}{}", &seed[..at], &seed[at + 1..]);
            if parse_all(&text) {
                round_trip(&text);
            }
        }
    }
}

/// A piece of text to put somewhere.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~\n]{0,4}",
        "\\PC{1,3}",
        prop::sample::select(vec![
            "{",
            "}",
            "(",
            ")",
            "[",
            "]",
            ";",
            ",",
            ":",
            ".",
            "|",
            "!",
            "@",
            "%",
            "_",
            "-",
            "+",
            "<",
            ">",
            "\"",
            "//",
            "/*",
            "*/",
            "0x",
            "0f",
            "0d",
            "1.5",
            "18446744073709551615",
            "-9223372036854775808",
            "\0",
            "%r1",
            "%p1",
            "%v",
            "%v.x",
            "%tid",
            "%tid.y",
            "$top",
            ".reg .b32 ",
            "<4000000000>",
            ".param",
            ".global",
            ".align 8",
            ".branchtargets",
            ".callprototype",
            "table",
            "depot",
            "generic(",
            "0xFF(",
            "p0",
            "ret;",
            "bra ",
            "call ",
            "= {",
            ".b8 q[]",
            "{ .reg .b32 %r1; mov.b32 %r1, 2; }",
            "{ .reg .b32 %r<3>; mov.b32 %r1, 2; }",
            "{ .shared .b32 table; mov.u64 %rd1, table; }",
            ".reg .b32 depot; ",
            ".v4",
            ".pred",
            ".f16",
        ])
        .prop_map(String::from),
        prop::sample::select(Modifier::ALL).prop_map(|m| format!(".{m}")),
        prop::sample::select(Opcode::ALL).prop_map(|o| format!("{o} ")),
        prop::sample::select(SpecialRegister::ALL).prop_map(|s| format!("%{s}")),
    ]
}

fn at(text: &str, place: prop::sample::Index) -> usize {
    let mut at = place.index(text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn mutations_do_not_panic_and_survive_where_right(
        seed in prop::sample::select(&SEEDS[..]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..4, piece()), 1..4),
    ) {
        let mut text = seed.to_owned();
        for (place, removed, inserted) in edits {
            let start = at(&text, place);
            let mut end = (start + removed).min(text.len());
            while !text.is_char_boundary(end) {
                end += 1;
            }
            text.replace_range(start..end, &inserted);
        }
        parse_all(&text);
        round_trip(&text);
    }

    #[test]
    fn noise_does_not_panic(text in "\\PC{0,200}") {
        parse_all(&text);
        parse_all(&format!(".version 8.0 .target sm_80 .entry k() {{ {text} }}"));
    }

    #[test]
    fn instructions_survive(
        opcode in prop::sample::select(Opcode::ALL)
            .prop_map(|o| if matches!(o, Opcode::Bra | Opcode::Brx | Opcode::Call) { Opcode::Mov } else { o }),
        modifiers in prop::collection::vec(prop::sample::select(Modifier::ALL), 0..8),
        operands in prop::collection::vec(prop::sample::select(&[
            "%r1", "!%p1", "-7", "0x80000000", "0f7FC00000", "0d0000000000000001", "%clock", "s", "s-4", "[%rd1]",
            "[s+9223372036854775807]", "[-8]", "{%r1, %r2}", "{%r1}", "%r1|%p1", "_", "_|_", "[s, {%r1, 0}]",
            "[%rd1-4, s, %r1]", "%v", "9223372036854775808", "(.u64)-1",
        ][..]), 0..6),
    ) {
        // Of a target whose instructions may have any form.
        let mut text = ".version 8.0 .target sm_100 .shared .b32 s; .entry k() { .reg .pred %p<2>; .reg .b32 %r<3>; \
                        .reg .b64 %rd<2>; .reg .v2 .b32 %v; @!%p0 ".to_owned();
        text.push_str(opcode.text());
        for modifier in modifiers {
            text.push('.');
            text.push_str(modifier.text());
        }
        text.push(' ');
        text.push_str(&operands.join(", "));
        text.push_str("; }");
        prop_assert!(parse_all(&text), "{}", text);
        round_trip(&text);
    }
}
