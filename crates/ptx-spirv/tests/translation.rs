//! What the translator promises beside valid words: errors that name their cause, the same words for the same input, and
//! the description that the runtime launches by.

mod common;

use common::{kernel, kernels, profiles, text, translate, validate, validated_profiles};
use ptx_spirv::{ModuleLayout, SharedMemory, Target, TranslateError};

fn refusal(body: &str, target: &Target) -> TranslateError {
    translate(&kernel(body), "k", target).expect_err("a refusal")
}

#[test]
fn an_unsupported_instruction_is_named_with_kernel_and_line() {
    for (profile, target) in profiles() {
        let e = refusal(
            "mov.u32 %r0, 1;\nmultimem.red.relaxed.gpu.global.add.u32 [%rd0], %r0;",
            &target,
        );
        let TranslateError::Unsupported { kernel, line, what } = &e else {
            panic!("{profile}: {e}");
        };
        assert_eq!((kernel.as_str(), *line), ("k", 9), "{profile}");
        assert!(
            what.starts_with("multimem.red.relaxed.gpu.global.add.u32"),
            "{profile}: {what}"
        );
        let shown = e.to_string();
        assert!(
            shown.starts_with("k: line 9: unsupported: multimem.red"),
            "{shown}"
        );
    }
}

/// `%envreg1` and `2` hold the grid handle of cooperative groups; what the others hold is the driver's own affair.
#[test]
fn environment_registers_are_refused_by_name() {
    for register in ["envreg5", "envreg31"] {
        let e = refusal(
            &format!("mov.b32 %r0, %{register};\nst.global.u32 [%rd0], %r0;"),
            &Target::lavapipe(),
        );
        assert_eq!(
            e.to_string(),
            format!("k: line 8: unsupported: special register %{register}")
        );
    }
}

#[test]
fn a_missing_device_feature_is_named() {
    let mut target = Target::subgroup32();
    target.subgroup_clock = false;
    let e = refusal("mov.u32 %r0, %clock;", &target);
    assert!(
        e.to_string().contains("%clock without a shader clock"),
        "{e}"
    );
}

/// What fuzzing found: instructions with too few operands.
#[test]
fn instructions_without_their_operands_are_errors() {
    let product = "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 \
        {%f0,%f1,%f2,%f3}, {%r0,%r1}, {%r2}, {%f4,%f5,%f6,%f7};";
    let products = format!("{product}\nmma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {{%f0,%f1,%f2,%f3}}, {{%r0,%r1}};");
    for body in [
        "bar.red.popc.u32;",
        "bar.red.popc.u32 %r0, 0;",
        "fma.rn.f16 %h0, %h1, %h2;",
        "add.f16x2 %r0, %r1;",
        "mul.bf16 %h0, %h1;",
        "min.f16 %h0, %h1;",
        "fma.rn.bf16x2 %r0, %r1, %r2;",
        &products,
    ] {
        for (profile, target) in profiles() {
            let e = refusal(body, &target);
            assert!(
                matches!(
                    e,
                    TranslateError::Invalid { .. } | TranslateError::Parse { .. }
                ),
                "{body} for {profile}: {e}"
            );
        }
    }
}

/// A kernel without local memory that accesses some all the same.
#[test]
fn local_memory_that_is_not_there_is_no_error() {
    let body = "st.local.v2.u32 [%rd0], {%r0, %r1};\nld.local.u16 %h0, [%rd0+2];\nst.global.u16 [%rd1], %h0;";
    for (profile, target) in profiles() {
        let t = translate(&kernel(body), "k", &target).expect(profile);
        validate(profile, &t.spirv);
    }
}

#[test]
fn generic_addresses_of_one_space_or_of_several() {
    // Words of shared memory; for all threads but one those of global memory.
    let shared = ".shared .b64 s[4];\nmov.u32 %r0, s;\ncvt.u64.u32 %rd1, %r0;\ncvta.shared.u64 %rd1, %rd1;\n";
    let either =
        "mov.u32 %r1, %tid.x;\nsetp.eq.u32 %p0, %r1, 0;\nselp.b64 %rd1, %rd1, %rd0, %p0;\n";
    let atomics = "atom.add.u32 %r2, [%rd1], 1;\natom.cas.b64 %rd2, [%rd1+8], %rd0, %rd0;\nred.add.f32 [%rd1], 0f3F800000;\nred.inc.u32 [%rd1+4], %r2;\n\
        atom.add.noftz.f16x2 %r3, [%rd1], %r2;\natom.cas.b16 %h0, [%rd1+2], %h0, %h0;\nred.add.f64 [%rd1], 0d3FF0000000000000;\n";
    let objects = "mbarrier.init.b64 [%rd1], 3;\nmbarrier.arrive.b64 %rd2, [%rd1];\nmbarrier.test_wait.b64 %p1, [%rd1], %rd2;\n\
        mbarrier.try_wait.parity.b64 %p1, [%rd1+8], 0;\nmbarrier.inval.b64 [%rd1];\n";
    let matrices = "wmma.load.a.sync.aligned.row.m16n16k16.f16 {%r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7}, [%rd1], %r3;\n\
        wmma.load.c.sync.aligned.col.m16n16k16.f32 {%r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7}, [%rd1], %r3;\n\
        wmma.store.d.sync.aligned.row.m16n16k16.s32 [%rd1], {%r0, %r1, %r2, %r3, %r4, %r5, %r6, %r7};\n\
        ldmatrix.sync.aligned.m8n8.x2.b16 {%r0, %r1}, [%rd1];\nstmatrix.sync.aligned.m8n8.x1.b16 [%rd1], {%r0};\n";
    for body in [
        [shared, "", atomics],
        [shared, either, atomics],
        [shared, "", objects],
        [shared, "", matrices],
    ] {
        for (profile, target) in profiles() {
            let t = translate(&kernel(&body.concat()), "k", &target).expect(profile);
            validate(profile, &t.spirv);
        }
    }
}

#[test]
fn barriers_of_a_part_of_the_block_are_refused_where_subgroups_hold_two_warps() {
    let body = "barrier.sync 1, 64;";
    let e = refusal(body, &Target::subgroup64());
    assert!(e.to_string().contains("for a part of the block"), "{e}");
    for mut target in [
        Target::subgroup32(),
        Target::subgroup32_minimal(),
        Target::nvidia(),
    ] {
        target.maximal_reconvergence = false;
        for body in [body, "barrier.arrive 1, 64;\nmov.u32 %r0, %tid.x;\nsetp.gt.u32 %p0, %r0, 3;\n@%p0 ret;\nbar.sync 2, 32;"] {
            let t = translate(&kernel(body), "k", &target).expect("words of shared memory do it");
            validate("a barrier of a part of the block", &t.spirv);
        }
    }
    translate(&kernel(body), "k", &Target::lavapipe()).expect("yields can do it");
    // The whole block is no part of it.
    let whole = kernel(body).replace("(.param .u64 out)", "(.param .u64 out)\n.reqntid 64");
    translate(&whole, "k", &Target::subgroup64()).expect("a barrier of the whole block");
}

/// A loop's counter, raised before the end of the loop, in a kernel with shared memory.
#[test]
fn counters_are_hidden_where_shared_memory_is_in_scratch_on_nvidia() {
    let body = "mov.u32 %r0, 0;\nagain:\nadd.s32 %r0, %r0, 1;\nsetp.lt.s32 %p0, %r0, 9;\n@%p0 bra again;\nst.global.u32 [%rd0], %r0;";
    let shuffles = |target: &Target| {
        let t = translate(&kernel(body), "k", target).expect("a loop");
        validate("a loop with a counter", &t.spirv);
        common::instructions(&t.spirv)
            .iter()
            .filter(|i| i.class.opcode == rspirv::spirv::Op::GroupNonUniformShuffleXor)
            .count()
    };
    let mut target = Target::nvidia();
    // rspirv does not know its execution mode.
    target.maximal_reconvergence = false;
    assert_eq!(shuffles(&target), 0);
    target.shared_memory = SharedMemory::Scratch;
    assert_eq!(shuffles(&target), 1);
    target.opaque_counters = false;
    assert_eq!(shuffles(&target), 0);
}

#[test]
fn volatile_accesses_of_eight_bytes_are_atomic() {
    let mut target = Target::subgroup32();
    target.maximal_reconvergence = false;
    for space in ["global", "shared"] {
        let place = if space == "shared" { "words" } else { "%rd0" };
        let body = format!(
            ".shared .align 8 .b8 words[64];\nld.volatile.{space}.u64 %rd1, [{place}];\nst.volatile.{space}.v2.u32 [{place}], {{%r0, %r0}};"
        );
        let t = translate(&kernel(&body), "k", &target).expect("volatile accesses");
        validate("a volatile access of eight bytes", &t.spirv);
    }
}

#[test]
fn clusters_of_several_blocks_are_refused_by_name() {
    let with = |size: &str| {
        kernel("mov.u32 %r0, %tid.x;").replace(
            "(.param .u64 out)",
            &format!("(.param .u64 out) .reqnctapercluster {size}"),
        )
    };
    translate(&with("1"), "k", &Target::lavapipe()).expect("a cluster of one block");
    let e = translate(&with("1, 2"), "k", &Target::lavapipe()).expect_err("two blocks");
    assert!(e.to_string().contains(".reqnctapercluster 1, 2, 1"), "{e}");
}

#[test]
fn text_that_is_no_ptx_is_a_parse_error_with_its_line() {
    let e = refusal("mov.u32 %r0, 1;\nmov.u32 %r0 %r1;", &Target::lavapipe());
    let TranslateError::Parse { kernel, source } = &e else {
        panic!("{e}");
    };
    assert_eq!(kernel, "k");
    assert_eq!(source.line, 9, "{source}");
}

#[test]
fn broken_rules_are_invalid() {
    let text = "cp.async.ca.shared.global [%r0], [%rd0], 5;";
    let e = refusal(text, &Target::lavapipe());
    assert!(
        matches!(&e, TranslateError::Invalid { line: 8, .. }),
        "{e:?}"
    );
}

#[test]
fn an_unknown_kernel_is_not_found() {
    let e = translate(&kernel(""), "other", &Target::lavapipe()).expect_err("no such kernel");
    assert_eq!(e, TranslateError::NoKernel("other".into()));
    // A device function is no kernel.
    let e = translate(&text("calls"), "larger", &Target::lavapipe()).expect_err("no kernel");
    assert_eq!(e, TranslateError::NoKernel("larger".into()));
}

/// A function that calls itself, with these parameters and results.
fn recursive(results: &str, parameters: &str, call: &str) -> String {
    kernel(&format!(".reg .b32 r; .param .b32 p0; .param .b32 r0; st.param.b32 [p0], 7; {call} ld.param.b32 r, [r0]; st.global.u32 [%rd0], r;"))
        .replace(
            ".visible .entry",
            &format!(".func {results} f {parameters} {{ .reg .b32 t; .param .b32 p0; .param .b32 r0; {call} ret; }}\n.visible .entry"),
        )
}

#[test]
fn functions_that_call_themselves_have_one_stack() {
    let call = "call (r0), f, (p0);";
    let text = recursive(
        "(.param .b32 y)",
        "(.param .b32 a)",
        &format!("{call} {call}"),
    );
    for (profile, target) in validated_profiles() {
        let done = translate(&text, "k", &target).unwrap_or_else(|e| panic!("{profile}: {e}"));
        validate(profile, &done.spirv);
        assert_eq!(done.info.local_bytes, 8192, "{profile}");
    }
}

#[test]
fn recursion_with_parameters_in_registers_is_refused() {
    let text = recursive("(.reg .b32 y)", "(.reg .b32 a)", "call (t), f, (1);");
    let text = text.replacen(
        "call (t), f, (1); ld.param",
        "call (r), f, (1); ld.param",
        1,
    );
    let e = translate(&text, "k", &Target::lavapipe()).expect_err("recursion");
    assert!(
        matches!(&e, TranslateError::Unsupported { what, .. } if what.contains("recursive call of f, whose parameters")),
        "{e}"
    );
}

#[test]
fn functions_that_call_each_other_have_one_stack() {
    let text = kernel("call.uni f, (); call.uni g, (); call.uni f, ();").replace(
        ".visible .entry",
        ".func g();\n.func f() { call.uni g, (); ret; }\n.func g() { call.uni f, (); call.uni g, (); ret; }\n.visible .entry",
    );
    for (profile, target) in validated_profiles() {
        let done = translate(&text, "k", &target).unwrap_or_else(|e| panic!("{profile}: {e}"));
        validate(profile, &done.spirv);
        // One for calls of f from outside, one for calls of g.
        assert_eq!(done.info.local_bytes, 2 * 8192, "{profile}");
    }
}

#[test]
fn calls_of_unknown_functions_are_named() {
    let text = kernel("call.uni elsewhere, ();").replace(
        ".visible .entry",
        ".extern .func elsewhere();\n.visible .entry",
    );
    let e = translate(&text, "k", &Target::lavapipe()).expect_err("no such function");
    assert!(e.to_string().contains("elsewhere"), "{e}");
}

#[test]
fn the_same_input_gives_the_same_words() {
    for (profile, target) in profiles() {
        for (name, text) in kernels() {
            let first = translate(&text, &name, &target).expect("a translation");
            // Hash maps of another thread have other seeds, if anything depends on them.
            let second = std::thread::scope(|s| {
                s.spawn(|| translate(&text, &name, &target).expect("a translation"))
                    .join()
                    .expect("a thread that ends")
            });
            assert_eq!(first, second, "{name} for {profile}");
        }
    }
}

#[test]
fn parameters_and_memory_are_described() {
    let k = |name: &str, target: &Target| translate(&text(name), name, target).expect(name).info;
    let (native, yields) = (Target::subgroup32(), Target::lavapipe());
    let info = k("shared", &native);
    assert_eq!(info.parameters.len(), 2);
    assert_eq!((info.parameters[1].offset, info.parameters[1].size), (8, 4));
    assert_eq!(info.parameter_bytes, 12);
    assert_eq!((info.static_shared, info.dynamic_shared_align), (4096, 16));
    assert!(!info.shared_in_scratch);
    assert_eq!((info.subgroup_size, info.warp_state), (32, false));
    assert_eq!(info.slice_bytes(256, 1024), 0);
    assert_eq!(info.total_shared(1024), 5120);

    let info = k("shared", &yields);
    assert!(info.shared_in_scratch && info.warp_state);
    assert!(info.slice_bytes(256, 1024) >= info.warp_state_bytes(256) + 5120);

    // bar.red counts in 16 bytes after the kernel's own 20, before the dynamic array.
    assert_eq!(k("barrier_reduction", &native).static_shared, 48);
    assert_eq!(k("barrier_reduction", &yields).static_shared, 20);

    let info = k("local", &yields);
    assert_eq!((info.local_bytes, info.local_in_scratch), (64, true));
    assert!(!k("local", &native).local_in_scratch);
    let little = Target {
        private_memory: 48,
        ..native.clone()
    };
    let info = k("local", &little);
    assert_eq!((info.local_bytes, info.local_in_scratch), (64, true));
    assert!(!info.shared_in_scratch && info.slice_bytes(256, 0) >= 64 * 256);
    assert!(k("printf", &native).uses_printf);
    assert!(!k("trap", &native).writes_records());
    let info = k("assertion", &native);
    assert!(info.uses_assert && !info.uses_printf);
}

#[test]
fn addresses_in_tables_are_relocated() {
    let text = text("tables");
    let module = ptx::Module::parse(&text).expect("a module");
    let layout = ModuleLayout::new(&module).expect("a layout");
    let place = |name: &str| layout.variables[name].offset;
    let numbers = place("numbers") as usize;
    assert_eq!(
        layout.image[numbers + 8..numbers + 12],
        300u32.to_le_bytes()
    );
    let found: Vec<_> = layout
        .relocations
        .iter()
        .map(|r| (r.offset, r.size, r.target.clone(), r.addend))
        .collect();
    let to = |name| ptx_spirv::RelocationTarget::Offset(place(name));
    assert_eq!(
        found,
        [
            (place("pointers"), 8, to("first"), 0),
            (place("pointers") + 8, 8, to("second"), 0)
        ]
    );
}

/// With two warps in a subgroup, what a warp does stays in its half: shuffles take the lane in the own half, and of each
/// ballot the own half's word is picked.
#[test]
fn two_warps_of_a_subgroup_keep_to_their_halves() {
    use rspirv::dr::Operand;
    use rspirv::spirv::Op;
    let id = |o: &Operand| match o {
        Operand::IdRef(id) => *id,
        other => panic!("{other:?} is no id"),
    };
    let mut target = Target::subgroup64();
    // rspirv does not know its execution mode.
    target.maximal_reconvergence = false;
    for name in ["warp", "matrices", "wmma"] {
        let t = translate(&common::text(name), name, &target).expect("a translation");
        assert_eq!(t.info.subgroup_size, 64);
        let all = common::instructions(&t.spirv);
        let by_id = |wanted: u32| {
            all.iter()
                .find(|i| i.result_id == Some(wanted))
                .expect("every id has an instruction")
        };
        let constant = |wanted: u32| match by_id(wanted).operands.first() {
            Some(Operand::LiteralBit32(v)) if by_id(wanted).class.opcode == Op::Constant => {
                Some(*v)
            }
            _ => None,
        };
        // The half of an invocation: its number and 32.
        let is_half = |wanted: u32| {
            let i = by_id(wanted);
            i.class.opcode == Op::BitwiseAnd
                && i.operands.iter().any(|o| constant(id(o)) == Some(32))
        };
        let shuffles: Vec<_> = all
            .iter()
            .filter(|i| i.class.opcode == Op::GroupNonUniformShuffle)
            .collect();
        assert!(!shuffles.is_empty(), "{name} has shuffles");
        for i in shuffles {
            let lane = by_id(id(&i.operands[2]));
            assert_eq!(lane.class.opcode, Op::BitwiseOr, "{name}");
            assert!(lane.operands.iter().any(|o| is_half(id(o))), "{name}");
        }
        for ballot in all
            .iter()
            .filter(|i| i.class.opcode == Op::GroupNonUniformBallot)
        {
            let ballot = ballot.result_id.expect("a result");
            let words: Vec<u32> = all
                .iter()
                .filter(|i| i.class.opcode == Op::CompositeExtract && id(&i.operands[0]) == ballot)
                .filter_map(|i| i.result_id)
                .collect();
            let [first, second] = words[..] else {
                panic!("{name}: {} words of a ballot", words.len())
            };
            let pick = all
                .iter()
                .find(|i| {
                    i.class.opcode == Op::Select
                        && id(&i.operands[1]) == first
                        && id(&i.operands[2]) == second
                })
                .expect("one of the two words is picked");
            let test = by_id(id(&pick.operands[0]));
            assert_eq!(test.class.opcode, Op::IEqual);
            assert!(is_half(id(&test.operands[0])) && constant(id(&test.operands[1])) == Some(0));
        }
        // A barrier of the subgroup would wait for the other warp.
        for i in all.iter().filter(|i| i.class.opcode == Op::ControlBarrier) {
            assert_ne!(constant(id(&i.operands[0])), Some(3), "{name}");
        }
    }
}

/// Before PTX 3.0 local memory may be the module's: one place for all functions of a kernel.
#[test]
fn local_memory_of_the_module() {
    let text = ".version 2.1\n.target sm_20\n.local .align 8 .b8 %kept[24];\n\
        .func f() { .reg .u32 %r<2>; ld.local.u32 %r0, [%kept+8]; add.u32 %r0, %r0, 1; st.local.u32 [%kept+8], %r0; ret; }\n\
        .entry k(.param .u64 out) { .reg .u64 %rd<1>; .reg .u32 %r<2>; .local .b32 own;\n\
        mov.u32 %r0, %tid.x; st.local.u32 [%kept+8], %r0; call f; call f; ld.local.u32 %r1, [%kept+8];\n\
        ld.param.u64 %rd0, [out]; st.global.u32 [%rd0], %r1; st.local.u32 [own], %r1; exit; }";
    for (profile, target) in common::validated_profiles() {
        let t = translate(text, "k", &target).unwrap_or_else(|e| panic!("{profile}: {e}"));
        // 24 bytes and 4 of the kernel's own, whatever the calls.
        assert_eq!(t.info.local_bytes, 32, "{profile}");
        validate(profile, &t.spirv);
    }
}
