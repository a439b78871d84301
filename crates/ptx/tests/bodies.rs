//! Statements of bodies: one test for each kind of operand and declaration.

use ptx::Operand::{
    Address, BranchTargets, Double, Integer, Label, List, NotRegister, Pair, Prototype, Register,
    Single, Sink, Special, Symbol, TextureAddress, Vector,
};
use ptx::{
    AddressBase, Body, Instruction, LabelId, Modifier, Module, Opcode, Operand, ParseError,
    Predicate, RegisterId, SpecialRegister, StateSpace, Statement, SymbolId, SymbolKind,
};

const HEAD: &str = ".version 8.7 .target sm_90 .address_size 64
    .global .u32 table[16]; .global .texref tex; .global .v2 .f32 pairs[4];
    .extern .shared .align 16 .b8 dynamic[];
    .func (.param .b32 r) callee(.param .b32 a, .param .b64 b) { ret; }
    .visible .entry k(.param .u64 p0, .param .align 8 .b8 p1[16]) {";

fn parse(body: &str) -> Result<Body, ParseError> {
    let text = format!("{HEAD}\n{body}\n}}");
    let module = Module::parse(&text)?;
    module.parse_body(module.function("k").unwrap())
}

fn body(text: &str) -> Body {
    parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn error(text: &str) -> ParseError {
    match parse(text) {
        Ok(_) => panic!("{text}: no error"),
        Err(error) => error,
    }
}

fn instructions(text: &str) -> Vec<Instruction> {
    body(text)
        .statements
        .into_iter()
        .filter_map(|s| match s {
            Statement::Instruction(i) => Some(i),
            Statement::Label(_) => None,
        })
        .collect()
}

/// The only instruction, with `%p<4> %r<10> %rd<10> %f<10>` declared in this order.
fn one(text: &str) -> Instruction {
    let declared = ".reg .pred %p<4>; .reg .b32 %r<10>; .reg .b64 %rd<10>; .reg .f32 %f<10>;";
    let mut all = instructions(&format!("{declared}\n{text}"));
    assert_eq!(all.len(), 1, "{text}");
    all.remove(0)
}

fn operands(text: &str) -> Vec<Operand> {
    one(text).operands.to_vec()
}

const fn p(number: u32) -> Operand {
    Register(RegisterId(number))
}
const fn r(number: u32) -> Operand {
    Register(RegisterId(4 + number))
}
const fn rd(number: u32) -> Operand {
    Register(RegisterId(14 + number))
}
const fn f(number: u32) -> Operand {
    Register(RegisterId(24 + number))
}

fn vector<const N: usize>(operands: [Operand; N]) -> Operand {
    Vector(Box::new(operands))
}

fn address(register: Operand, offset: i64) -> Operand {
    match register {
        Register(register) => Address {
            base: AddressBase::Register(register),
            offset,
        },
        _ => unreachable!(),
    }
}

#[test]
fn mnemonics() {
    let i = one("ld.global.nc.L1::no_allocate.L2::256B.v4.f32 {%f1, %f2, %f3, %f4}, [%rd1+16];");
    assert_eq!(i.opcode, Opcode::Ld);
    assert_eq!(i.mnemonic(), "ld.global.nc.L1::no_allocate.L2::256B.v4.f32");
    assert_eq!(i.types().collect::<Vec<_>>(), [Modifier::F32]);
    assert_eq!(
        i.operands.to_vec(),
        [vector([f(1), f(2), f(3), f(4)]), address(rd(1), 16)]
    );
    assert_eq!(one("mov .u32 %r0 , 3 ;").mnemonic(), "mov.u32");
    assert_eq!(
        one("min.NaN.f32 %f0, %f1, %f2;").modifiers[0],
        Modifier::Nan
    );
    assert_eq!(
        one("setp.nan.f32 %p0, %f1, %f2;").modifiers[0],
        Modifier::NanCmp
    );
    assert_eq!(one("ret;").operands.len(), 0);
    assert_eq!(one("bar.sync 0;").operands.to_vec(), [Integer(0)]);
    let i = one("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%rd1], %r2, [%r3];");
    assert_eq!(i.modifiers[4], Modifier::MbarrierCompleteTxBytes);
}

#[test]
fn predicates() {
    let i = one("@%p1 trap;");
    assert_eq!(
        i.predicate,
        Some(Predicate {
            register: RegisterId(1),
            negated: false
        })
    );
    let i = one("@ ! %p2 trap;");
    assert_eq!(
        i.predicate,
        Some(Predicate {
            register: RegisterId(2),
            negated: true
        })
    );
    assert_eq!(
        operands("setp.eq.and.u32 %p0|%p1, %r0, 1, !%p2;")[3],
        NotRegister(RegisterId(2))
    );
    assert_eq!(
        operands("setp.eq.u32 %p0|%p1, %r0, 1;")[0],
        Pair(Box::new((p(0), p(1))))
    );
    assert_eq!(
        operands("setp.eq.u32 _|%p1, %r0, 1;")[0],
        Pair(Box::new((Sink, p(1))))
    );
    assert_eq!(
        operands("shfl.sync.up.b32 %r1 | %p1, %r2, 1, 0, -1;")[0],
        Pair(Box::new((r(1), p(1))))
    );
}

#[test]
fn constants() {
    let value = |text: &str| operands(&format!("mov.b32 %r0, {text};"))[1].clone();
    assert_eq!(value("42"), Integer(42));
    assert_eq!(value("-1"), Integer(u64::MAX));
    assert_eq!(value("0x10U"), Integer(16));
    assert_eq!(value("017"), Integer(15));
    assert_eq!(value("0b11"), Integer(3));
    assert_eq!(value("0xFFFFFFFFFFFFFFFF"), Integer(u64::MAX));
    assert_eq!(value("0f3F800000"), Single(0x3f80_0000));
    let value = |text: &str| operands(&format!("mov.b64 %rd0, {text};"))[1].clone();
    assert_eq!(value("0d3FF0000000000000"), Double(0x3ff0_0000_0000_0000));
    assert_eq!(value("1.5"), Double(1.5f64.to_bits()));
    assert_eq!(value(".5"), Double(0.5f64.to_bits()));
    assert_eq!(value("-2.5e-1"), Double((-0.25f64).to_bits()));
    assert_eq!(value("WARP_SZ"), Integer(32));
    assert_eq!(value("(1<<4)|3"), Integer(19));
    assert_eq!(value("-(8)"), Integer(-8i64 as u64));
    assert_eq!(value("~0"), Integer(u64::MAX));
    assert_eq!(value("!0"), Integer(1));
    assert_eq!(value("1 ? 2 : 3"), Integer(2));
    error("mov.b32 %r0, 18446744073709551616;");
    error("mov.b32 %r0, 12ab;");
    error("mov.b32 %r0, 'a';");
}

#[test]
fn special_registers() {
    let value = |text: &str| operands(&format!("mov.b32 %r0, {text};"))[1].clone();
    assert_eq!(value("%tid.x"), Special(SpecialRegister::TidX));
    assert_eq!(value("%nctaid.z"), Special(SpecialRegister::NctaidZ));
    assert_eq!(value("%tid.r"), Special(SpecialRegister::TidX));
    assert_eq!(value("%ntid.w"), Integer(0));
    assert_eq!(value("%laneid"), Special(SpecialRegister::Laneid));
    assert_eq!(value("%lanemask_lt"), Special(SpecialRegister::LanemaskLt));
    assert_eq!(value("%clock64"), Special(SpecialRegister::Clock64));
    assert_eq!(value("%envreg31"), Special(SpecialRegister::Envreg31));
    assert_eq!(
        value("%cluster_ctaid.y"),
        Special(SpecialRegister::ClusterCtaidY)
    );
    let [x, y, z] = [
        SpecialRegister::TidX,
        SpecialRegister::TidY,
        SpecialRegister::TidZ,
    ]
    .map(Special);
    assert_eq!(value("%tid"), vector([x, y, z, Integer(0)]));
    let e = error("mov.b32 _, %frobnicator;");
    assert!(e.unsupported && e.message.contains("frobnicator"), "{e}");
    assert!(!error("mov.b32 _, %r7;").unsupported);
}

#[test]
fn addresses() {
    let place = |text: &str| operands(&format!("ld.u32 %r0, {text};"))[1].clone();
    let symbol = |offset| Address {
        base: AddressBase::Symbol(SymbolId(0)),
        offset,
    };
    assert_eq!(place("[%rd1]"), address(rd(1), 0));
    assert_eq!(place("[%rd1+8]"), address(rd(1), 8));
    assert_eq!(place("[ %rd1 + 8 ]"), address(rd(1), 8));
    assert_eq!(place("[%rd1-8]"), address(rd(1), -8));
    assert_eq!(place("[%rd1+-8]"), address(rd(1), -8));
    assert_eq!(place("[%rd1+4*2]"), address(rd(1), 8));
    assert_eq!(place("[%rd1-8+2]"), address(rd(1), -6));
    assert_eq!(place("[%rd1+(1<<4)]"), address(rd(1), 16));
    assert_eq!(
        place("[64]"),
        Address {
            base: AddressBase::Absolute,
            offset: 64
        }
    );
    assert_eq!(place("[table]"), symbol(0));
    assert_eq!(place("[table+4]"), symbol(4));
    assert_eq!(place("table[3]"), symbol(12));
    assert_eq!(place("pairs[2]"), symbol(8));
    assert_eq!(place("[p1+8]"), symbol(8));
    for bad in [
        "[]",
        "[%tid.x]",
        "[%rd1",
        "[%rd1+]",
        "[%rd1+%rd2]",
        "[_]",
        "[%rd1+1.5]",
        "table[",
        "table[1.5]",
    ] {
        error(&format!(".reg .b64 %rd<3>; ld.u32 _, {bad};"));
    }
}

#[test]
fn symbols() {
    let b = body(
        ".reg .b64 %rd<5>; .local .align 8 .b8 depot[16]; .shared .b32 s;
         mov.u64 %rd1, table; mov.u64 %rd1, table+8; mov.u64 %rd2, depot-4; mov.u64 %rd3, p0; mov.u64 %rd3, callee;
         mov.u64 %rd3, table[2]; mov.u64 %rd3, dynamic; mov.b64 %rd3, {s, 0};",
    );
    let kinds: Vec<_> = b.symbols.iter().map(|s| (&*s.name, s.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("table", SymbolKind::Module),
            ("depot", SymbolKind::Local(0)),
            ("p0", SymbolKind::Parameter(0)),
            ("callee", SymbolKind::Module),
            ("dynamic", SymbolKind::Module),
            ("s", SymbolKind::Local(1)),
        ]
    );
    let second: Vec<_> = b
        .statements
        .iter()
        .map(|s| match s {
            Statement::Instruction(i) => i.operands[1].clone(),
            Statement::Label(_) => unreachable!(),
        })
        .collect();
    let symbol = |id, offset| Symbol {
        symbol: SymbolId(id),
        offset,
    };
    assert_eq!(second[..3], [symbol(0, 0), symbol(0, 8), symbol(1, -4)]);
    assert_eq!(second[5], symbol(0, 8));
    assert_eq!(second[7], vector([symbol(5, 0), Integer(0)]));
    assert_eq!(b.variables[0].space, StateSpace::Local);
    assert_eq!((b.variables[0].align, b.variables[0].size), (8, 16));
    let e = error("mov.u64 _, nowhere;");
    assert!(e.message.contains("nowhere") && !e.unsupported, "{e}");
}

#[test]
fn registers() {
    let b = body(".reg .pred p, q; .reg .b32 %r<3>; .reg .v4 .f32 %v; .reg .v2 .b16 %w<2>; .reg .b128 %x, %y<2>;");
    use Modifier::{Pred, B128, B16, B32, F32};
    let types = [
        Pred, Pred, B32, B32, B32, F32, F32, F32, F32, B16, B16, B16, B16, B128, B128, B128,
    ];
    assert_eq!(b.registers, types);
    let names: Vec<_> = (0..types.len() as u32)
        .map(|i| b.register_name(RegisterId(i)))
        .collect();
    let expected = [
        "p", "q", "%r0", "%r1", "%r2", "%v.x", "%v.y", "%v.z", "%v.w", "%w0.x", "%w0.y", "%w1.x",
        "%w1.y", "%x",
    ];
    assert_eq!(names[..14], expected);
    assert_eq!(names[15], "%y1");
    error(".reg .b32 %r<4000000000>;");
    error(".reg .b32 %r<99999999999999999999>;");
    error(".reg .b32 %r<1000000>; .reg .b32 %f<1000000>;");
    error(".reg .v4 .b32 %r<200000>;");
    error(".reg .b32 %r; .reg .b32 %r;");
    error(".reg .b32 %r<2>; .reg .b32 %r<3>;");
    error(".reg .b32 %r<-1>;");
    error(".reg %r;");
    error(".reg .texref %r;");
    error(".reg .b32 %r<2>; mov.b32 %r2, 0;");
    error(".reg .b32 %r<20>; mov.b32 %r01, 0;");
}

#[test]
fn vectors() {
    let b = body(".reg .v4 .f32 %v; .reg .f32 %f<2>; mov.f32 %f0, %v.z; ld.v4.f32 %v, [p1]; mov.f32 %f1, %v.r;");
    let of = |index: usize| match &b.statements[index] {
        Statement::Instruction(i) => i.operands.to_vec(),
        Statement::Label(_) => unreachable!(),
    };
    assert_eq!(of(0), [p(4), p(2)]);
    assert_eq!(of(1)[0], vector([p(0), p(1), p(2), p(3)]));
    assert_eq!(of(2)[1], p(0));
    assert_eq!(operands("mov.b64 {%r1, _}, %rd1;")[0], vector([r(1), Sink]));
    assert_eq!(
        operands("mov.b64 %rd1, {%r1, -1};")[1],
        vector([r(1), Integer(u64::MAX)])
    );
    error(".reg .v2 .f32 %v; mov.f32 %v.x, %v.z;");
    error(".reg .b32 %r<2>; mov.b64 {%r0, {%r1}}, 0;");
    error(".reg .v2 .b32 %v; mov.b64 {%v}, 0;");
    assert!(error(".reg .b32 %r<3>; add.s32 %r0, %r1.b0, %r2;")
        .message
        .contains(".b0"));
}

#[test]
fn textures() {
    let place = operands("tex.2d.v4.f32.f32 {%f0, %f1, %f2, %f3}|%p0, [tex, {%f4, %f5}];");
    assert_eq!(
        place[0],
        Pair(Box::new((vector([f(0), f(1), f(2), f(3)]), p(0))))
    );
    let tex = Symbol {
        symbol: SymbolId(0),
        offset: 0,
    };
    assert_eq!(
        place[1],
        TextureAddress(Box::new([tex, vector([f(4), f(5)])]))
    );
    let place = operands("tex.1d.v4.f32.f32 {%f0, %f1, %f2, %f3}, [%rd1, %rd2, {%f4}];");
    assert_eq!(
        place[1],
        TextureAddress(Box::new([rd(1), rd(2), vector([f(4)])]))
    );
    let place = operands("cp.async.bulk.prefetch.tensor.1d.L2.global.tile [%rd1+64, {%r1}];");
    assert_eq!(
        place[0],
        TextureAddress(Box::new([address(rd(1), 64), vector([r(1)])]))
    );
}

#[test]
fn labels_and_branches() {
    let b = body(
        "$a: bra.uni end; _b: @%p bra $a; { end: ret; } end: exit; .reg .pred %p;"
            .replace("@%p ", "")
            .as_str(),
    );
    assert_eq!(
        b.labels.iter().map(|l| &**l).collect::<Vec<_>>(),
        ["$a", "_b", "end", "end"]
    );
    let targets: Vec<_> = b
        .statements
        .iter()
        .filter_map(|s| match s {
            Statement::Instruction(i) if i.opcode == Opcode::Bra => Some(i.operands[0].clone()),
            _ => None,
        })
        .collect();
    assert_eq!(targets, [Label(LabelId(3)), Label(LabelId(0))]);
    let e = error("bra nowhere;");
    assert!(e.message.contains("nowhere") && !e.unsupported, "{e}");
    error("a: ret; a: ret;");
    error("bra inner; { inner: ret; }");
    error("a: .branchtargets b; b: bra a;");
    error("a: ret; .reg .b32 %r; brx.idx %r, a;");
    error("a: .branchtargets nowhere; ret;");
}

#[test]
fn jump_tables() {
    let b = body(
        ".reg .b32 %r; brx.idx.uni %r, table1; table0: .branchtargets a; table1: .branchtargets a, b, a;
         a: ret; b: brx.idx %r, table0;",
    );
    assert_eq!(
        b.branch_targets,
        [vec![LabelId(0)], vec![LabelId(0), LabelId(1), LabelId(0)]]
    );
    let tables: Vec<_> = b
        .statements
        .iter()
        .filter_map(|s| match s {
            Statement::Instruction(i) => i.operands.get(1).cloned(),
            Statement::Label(_) => None,
        })
        .collect();
    assert_eq!(tables, [BranchTargets(1), BranchTargets(0)]);
}

#[test]
fn calls() {
    let all = instructions(
        ".reg .b64 %rd<3>; .reg .b32 %r<2>;
         { .param .b32 x; .param .b64 y; .param .b32 result; st.param.b32 [x+0], 1;
           call.uni (result), callee, (x, y); ld.param.b32 %r0, [result]; }
         call callee;
         call callee, (1, 2);
         call (%r0), %rd1, (%r0, %rd2), proto;
         call %rd1, proto;
         call (%r0), callee, (), targets;
         proto: .callprototype (.param .b32 _) _ (.param .b32 _, .param .align 8 .b8 _[16]) .noreturn;
         targets: .calltargets callee;",
    );
    let calls: Vec<_> = all
        .iter()
        .filter(|i| i.opcode == Opcode::Call)
        .map(|i| i.operands.to_vec())
        .collect();
    let symbol = |id| Symbol {
        symbol: SymbolId(id),
        offset: 0,
    };
    let list = |operands: &[Operand]| List(operands.into());
    let (rd, r) = (
        |n| Register(RegisterId(n)),
        |n: u32| Register(RegisterId(3 + n)),
    );
    assert_eq!(
        calls[0],
        [list(&[symbol(1)]), symbol(2), list(&[symbol(0), symbol(3)])]
    );
    assert_eq!(calls[1], [list(&[]), symbol(2), list(&[])]);
    assert_eq!(
        calls[2],
        [list(&[]), symbol(2), list(&[Integer(1), Integer(2)])]
    );
    assert_eq!(
        calls[3],
        [list(&[r(0)]), rd(1), list(&[r(0), rd(2)]), Prototype(0)]
    );
    assert_eq!(calls[4], [list(&[]), rd(1), list(&[]), Prototype(0)]);
    assert_eq!(
        calls[5],
        [list(&[r(0)]), symbol(2), list(&[]), Prototype(1)]
    );
    let b = body(
        "proto: .callprototype (.param .b32 _) _ (.param .b32 _, .param .align 8 .b8 _[16]); ret;",
    );
    let prototype = &b.prototypes[0];
    assert_eq!(
        (
            &*prototype.name,
            prototype.results.len(),
            prototype.parameters.len()
        ),
        ("proto", 1, 2)
    );
    assert_eq!(prototype.parameters[1].size, 16);
    error("call (1) callee;");
    error("call callee, (1;");
    error("call nowhere;");
    error("call 7;");
    error("call callee, (), nowhere;");
    error("t: .calltargets nowhere; ret;");
}

#[test]
fn functions_with_registers_as_parameters() {
    let text = ".version 8.0 .target sm_80 .address_size 64
        .func (.reg .b32 sum, .reg .pred ok) f(.reg .b32 a, .param .b32 b) {
            .reg .b32 t; ld.param.b32 t, [b]; add.s32 sum, a, t; setp.eq.s32 ok, a, 0; ret; }";
    let module = Module::parse(text).unwrap();
    let b = module.parse_body(module.function("f").unwrap()).unwrap();
    assert_eq!(
        b.registers,
        [Modifier::B32, Modifier::Pred, Modifier::B32, Modifier::B32]
    );
    assert_eq!(b.symbols[0].kind, SymbolKind::Parameter(1));
    assert_eq!(b.register_name(RegisterId(2)), "a");
}

#[test]
fn scopes() {
    let b = body(
        ".reg .b32 %r<2>; mov.b32 %r0, 1;
         { .reg .b32 %r<2>; .reg .b32 t; .shared .b32 s; mov.b32 %r0, t; { mov.b32 %r1, s; } }
         { .reg .b64 t; mov.b64 t, 0; } mov.b32 %r1, 2;",
    );
    assert_eq!(b.registers.len(), 6);
    let first: Vec<_> = b
        .statements
        .iter()
        .map(|s| match s {
            Statement::Instruction(i) => i.operands[0].clone(),
            Statement::Label(_) => unreachable!(),
        })
        .collect();
    assert_eq!(first, [p(0), p(2), p(3), p(5), p(1)]);
    error("{ .reg .b32 t; } mov.b32 t, 0;");
    error("{ ret;");
    error("}");
    error(&"{".repeat(100_000));
}

#[test]
fn what_says_nothing_is_skipped() {
    let b = body(
        ".loc 1 23 4
         .loc 1 5 1, function_name $L__info_string0, inlined_at 1 10 3
         .loc 2 8 1, function_name $L__info_string0+16, inlined_at 1 10 3
         .pragma \"nounroll\"; ; // comment\n /* and { more */ ret; .pragma \"a\", \"b\";",
    );
    assert_eq!(b.statements.len(), 1);
}

#[test]
fn spans_lead_to_lines() {
    let text = format!("{HEAD}\n\n ret;\n@!p\n exit; .reg .pred p; }}")
        .replace("@!p", ".reg .pred q; @!q");
    let module = Module::parse(&text).unwrap();
    let b = module.parse_body(module.function("k").unwrap()).unwrap();
    let lines: Vec<_> = b
        .statements
        .iter()
        .map(|s| match s {
            Statement::Instruction(i) => module.line(i.span),
            Statement::Label(_) => unreachable!(),
        })
        .collect();
    assert_eq!(lines, [7, 8]);
}

#[test]
fn errors_name_line_and_text() {
    let e = error("ret;\n\nfrobnicate.u32 %r1;");
    assert_eq!(e.line, 8);
    assert!(e.unsupported && e.message.contains("`frobnicate`"), "{e}");
    let e = error(".reg .b32 %r<3>; add.blub.u32 %r0, %r1, %r2;");
    assert!(
        e.unsupported && e.message.contains("`blub`") && e.message.contains("add.blub.u32"),
        "{e}"
    );
    let e = error(".frob 7;");
    assert!(e.unsupported && e.message.contains("`frob`"), "{e}");
    let e = error("ret\n}");
    assert!(!e.unsupported, "{e}");
    for bad in [
        "add.",
        "add.;",
        "@",
        "@ret;",
        "@7 ret;",
        "a",
        "7;",
        "mov.b32 ,;",
        "mov.b32 _ _;",
        "mov.b32 _,;",
        "\u{e9};",
    ] {
        error(bad);
    }
}

#[test]
fn parts_of_registers() {
    let text = "vadd.s32.u32.u32.sat %r1.h1, %r2.b3, %r3.h0, %r4;";
    let i = one(text);
    let parts = i.parts.as_deref().copied().unwrap_or_default();
    let shown = |part: ptx::Part| part.selector.map(|s| s.to_string());
    assert_eq!(
        parts.map(shown),
        [
            Some("h1".into()),
            Some("b3".into()),
            Some("h0".into()),
            None
        ]
    );
    let places = |text: &str| {
        let parts = one(text).parts.unwrap_or_default();
        parts.map(|part| part.selector.map(|s| s.places().to_vec()))
    };
    assert_eq!(
        places("vavrg4.s32.s32.s32 %r1.b310, %r2.b7531, %r3, %r4;"),
        [Some(vec![0, 1, 3]), Some(vec![1, 3, 5, 7]), None, None]
    );
    assert_eq!(
        places("vset2.u32.u32.lt.add %r1.h0, %r2, %r3.h30, %r4;"),
        [Some(vec![0]), None, Some(vec![0, 3]), None]
    );
    let i = one("vmad.s32.s32.u32.sat %r1, -%r2.b1, -5, -%r4;");
    let negated = i.parts.as_deref().copied().unwrap_or_default();
    assert_eq!(negated.map(|part| part.negated), [false, true, false, true]);
    assert_eq!(i.operands[2], Operand::Integer(-5i64 as u64));
    assert!(one("vadd.s32.s32.s32 %r1, %r2, %r3;").parts.is_none());
    for bad in [
        "vadd.s32.s32.s32 %r1, %r2.b4, %r3;",
        "vadd.s32.s32.s32 %r1, %r2.h10, %r3;",
        "vadd.s32.s32.s32 %r1, -%r2, %r3;",
        "vadd2.s32.s32.s32 %r1.h01, %r2, %r3, %r4;",
        "vadd2.s32.s32.s32 %r1, %r2.h3, %r3, %r4;",
        "vadd2.s32.s32.s32 %r1, %r2.b10, %r3, %r4;",
        "vadd4.s32.s32.s32 %r1.b4, %r2, %r3, %r4;",
        "vadd4.s32.s32.s32 %r1, %r2.b01234, %r3, %r4;",
        "add.s32 %r1, %r2.b1, %r3;",
    ] {
        let declared = ".reg .b32 %r<10>;";
        assert!(parse(&format!("{declared} {bad}")).is_err(), "{bad}");
    }
}

/// A register and an offset for an operand that is no address, and an element by a register: their sums come before.
#[test]
fn sums_in_operands() {
    let declared = ".reg .b16 %h; .reg .b32 %r<4>; .reg .u64 %rd<4>;";
    let text = |statement: &str| -> Vec<String> {
        let body = body(&format!("{declared}\n{statement}"));
        let instructions = body.statements.iter().filter_map(|s| match s {
            Statement::Instruction(i) => Some(format!("{} {:?}", i.mnemonic(), i.operands)),
            Statement::Label(_) => None,
        });
        instructions.collect()
    };
    let registers = |n: &str| {
        text(n)
            .join("\n")
            .replace("RegisterId", "")
            .replace("SymbolId", "")
    };
    assert_eq!(
        registers("add.u32 %r0, %r1+1, %r2 - 2;"),
        "add.u32 [Register((9)), Register((2)), Integer(1)]\n\
         add.u32 [Register((10)), Register((3)), Integer(18446744073709551614)]\n\
         add.u32 [Register((1)), Register((9)), Register((10))]"
    );
    assert_eq!(
        registers("st.u64 [%rd0], %rd1 + 8*2;"),
        "add.u64 [Register((9)), Register((6)), Integer(16)]\n\
         st.u64 [Address { base: Register((5)), offset: 0 }, Register((9))]"
    );
    assert_eq!(
        registers("ld.global.u32 %r0, table[%r1+2];"),
        "mov.u64 [Register((9)), Symbol { symbol: (0), offset: 0 }]\n\
         cvt.s64.u32 [Register((10)), Register((2))]\n\
         mad.lo.u64 [Register((11)), Register((10)), Integer(4), Register((9))]\n\
         ld.global.u32 [Register((1)), Address { base: Register((11)), offset: 8 }]"
    );
    assert!(error(&format!("{declared} add.u32 %r0+1, %r1, %r2;"))
        .message
        .contains("expected"));
    let float = ".reg .f32 %f<2>; add.f32 %f0, %f1+1, %f1;";
    assert!(error(float)
        .message
        .contains("a register of this type and an offset"));
}

/// PTX before 3.0 has registers and local memory outside of functions. What a function declares hides them.
#[test]
fn registers_of_modules() {
    let module = |version: &str| {
        format!(
            ".version {version} .target sm_20 .reg .u32 %ra<3>; .reg .v2 .f32 pair; .local .u32 %L1;
             .func (.reg .u32 %rv1) f (.reg .u32 %ra1) {{ mov.u32 %rv1, %ra1; mov.u32 %ra2, 5; mov.f32 pair.y, pair.x; st.local.u32 [%L1], %ra2; ret; }}"
        )
    };
    let text = module("2.3");
    let parsed = Module::parse(&text).unwrap();
    let body = parsed.parse_body(parsed.function("f").unwrap()).unwrap();
    assert_eq!(
        (body.registers.len(), body.module_registers.clone()),
        (7, 2..7)
    );
    let operands: Vec<_> = body
        .statements
        .iter()
        .filter_map(|s| match s {
            Statement::Instruction(i) => Some(i.operands.to_vec()),
            Statement::Label(_) => None,
        })
        .collect();
    assert_eq!(operands[0], [p(0), p(1)]);
    assert_eq!(operands[1], [p(4), Integer(5)]);
    assert_eq!(operands[2], [p(6), p(5)]);
    assert_eq!(parsed.variable("%L1").unwrap().space, StateSpace::Local);
    assert!(Module::parse(&module("3.0")).is_err_and(|e| e.unsupported));
}

/// Of a prototype parameters may lack a name, of a function they may not.
#[test]
fn parameters_without_a_name() {
    let body = body("p: .callprototype (.reg .f64) _ (.reg .s64, .param .b8[8]);");
    assert_eq!(
        (
            body.prototypes[0].results.len(),
            body.prototypes[0].parameters.len()
        ),
        (1, 2)
    );
    assert_eq!(body.prototypes[0].parameters[1].size, 8);
    assert!(Module::parse(".version 8.0 .target sm_90 .entry k(.param .u32) { ret; }").is_err());
}
