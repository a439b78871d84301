//! Several modules to one.

use ptx::link::{link, retarget, LinkError};
use ptx::{Initial, Module};

const HEAD: &str = ".version 8.0\n.target sm_80\n.address_size 64\n";

fn linked(parts: &[&str]) -> String {
    try_link(parts).unwrap_or_else(|error| panic!("{error}"))
}

fn try_link(parts: &[&str]) -> Result<String, LinkError> {
    let texts: Vec<_> = parts.iter().map(|part| format!("{HEAD}{part}")).collect();
    let names: Vec<_> = (0..parts.len()).map(|i| format!("part{i}")).collect();
    let modules: Vec<_> = names
        .iter()
        .zip(&texts)
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let linked = link(&modules, |name| name == "vprintf")?;
    let module = Module::parse(&linked).unwrap_or_else(|error| panic!("{error}\n{linked}"));
    for function in &module.functions {
        if function.body.is_some() {
            let parsed = module.parse_body(function);
            parsed.unwrap_or_else(|error| panic!("{error}\n{linked}"));
        }
    }
    Ok(linked)
}

/// The text of a function's body.
fn body<'a>(module: &Module<'a>, name: &str) -> &'a str {
    &module.text[module.function(name).unwrap().body.clone().unwrap()]
}

#[test]
fn externs_are_resolved_in_either_order() {
    let user = ".extern .global .attribute(.managed) .align 4 .u32 counter;
        .extern .func (.param .b32 r) helper (.param .b32 a);
        .extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b);
        .extern .shared .align 16 .b8 dynamic[];
        .visible .entry k() { .reg .b32 %r<2>; ld.global.u32 %r1, [counter]; ret; }";
    let owner = ".visible .global .attribute(.managed) .align 4 .u32 counter = 9;
        .extern .shared .align 16 .b8 dynamic[];
        .visible .func (.param .b32 r) helper (.param .b32 a) { st.param.b32 [r], 1; ret; }";
    for parts in [[user, owner], [owner, user]] {
        let text = linked(&parts);
        let module = Module::parse(&text).unwrap();
        let counter = module.variable("counter").unwrap();
        assert_eq!((counter.initializer.len(), counter.managed), (1, true));
        assert_eq!(module.variables.len(), 2, "{text}");
        assert!(body(&module, "helper").contains("st.param"));
        assert!(module.function("k").unwrap().is_entry);
    }
}

#[test]
fn names_without_linkage_stay_apart() {
    let part = |value: u32| {
        format!(
            ".global .align 4 .u32 state = {value};
            .global .align 8 .u64 place = generic(state);
            .global .align 1 .b8 text[6] = {{115, 116, 97, 116, 101, 0}};
            .func helper() {{ .reg .b32 %state; mov.u32 %state, state; // state
                state: ld.global.u32 %state, [state+0]; bra state; }}
            .visible .entry kernel{value}() {{ call helper; ret; }}"
        )
    };
    let text = linked(&[&part(1), &part(2)]);
    let module = Module::parse(&text).unwrap();
    assert_eq!(module.variables.len(), 6);
    for (index, value) in [(0, 1u8), (1, 2)] {
        let state = module.variable(&format!("state$module{index}")).unwrap();
        let Initial::Bytes { bytes, .. } = &state.initializer[0] else {
            panic!("{state:?}")
        };
        assert_eq!(bytes[0], value);
        let place = module.variable(&format!("place$module{index}")).unwrap();
        assert!(
            matches!(&place.initializer[0], Initial::Address { symbol, .. } if **symbol == *state.name)
        );
        let kernel = body(&module, &format!("kernel{value}"));
        assert!(kernel.contains(&format!("call helper$module{index};")));
        let helper = body(&module, &format!("helper$module{index}"));
        assert!(helper.contains(&format!("[state$module{index}+0]")));
        assert!(helper.contains("%state,"), "a register is no symbol");
    }
    // Nothing is renamed without need.
    let other = ".visible .entry other() { ret; }";
    assert!(!linked(&[&part(1), other]).contains("$module"));
}

#[test]
fn the_first_weak_definition_stays_unless_there_is_a_visible_one() {
    let weak = |value| {
        format!(
            ".weak .func shared_inline() {{ .reg .b32 %r; mov.u32 %r, {value}; ret; }}
            .weak .global .align 4 .u32 once = {value};"
        )
    };
    let text = linked(&[&weak(1), &weak(2)]);
    let module = Module::parse(&text).unwrap();
    assert!(body(&module, "shared_inline").contains("%r, 1"));
    assert_eq!(module.variables.len(), 1);
    let strong = ".visible .func shared_inline() { ret; } .visible .global .align 4 .u32 once = 3;";
    let text = linked(&[&weak(1), strong]);
    let module = Module::parse(&text).unwrap();
    assert_eq!(body(&module, "shared_inline").trim(), "ret;");
    let Initial::Bytes { bytes, .. } = &module.variable("once").unwrap().initializer[0] else {
        panic!()
    };
    assert_eq!(bytes[0], 3);
}

#[test]
fn debugging_information_goes_and_the_rest_stays() {
    let first = ".file 1 \"a \\\" ; .cu\"\n.pragma \"nounroll\";
        .section .debug_str { info: .b8 1, 2 }
        .const .align 4 .u32 a = 1, b = 2;
        .visible .entry k() .maxntid 32, 1, 1 .pragma \"x;y\"; { .loc 1 2 3\n ret; }";
    let text = linked(&[first, ".visible .entry l() { ret; }"]);
    let module = Module::parse(&text).unwrap();
    assert!(module.variable("a").is_some() && module.variable("b").is_some());
    assert!(!text.contains("debug_str") && !text.contains(".file"));
    assert!(module.function("k").unwrap().max_threads.is_some());
}

#[test]
fn errors_have_names() {
    let k = ".visible .entry k() { ret; }";
    assert_eq!(
        try_link(&[k, "", k]).unwrap_err().to_string(),
        "multiple definition of `k` in `part0` and `part2`"
    );
    assert_eq!(
        try_link(&[k, ".extern .func gone;"])
            .unwrap_err()
            .to_string(),
        "Undefined reference to 'gone' in 'part1'"
    );
    assert!(try_link(&[k, "nonsense"])
        .unwrap_err()
        .to_string()
        .starts_with("part1: line 4: "));
}

#[test]
fn a_target_is_replaced_alone() {
    let text = "// .target sm_1\n.version 8.8\n.target sm_121, debug\n.address_size 64\n.entry k() { ret; } // sm_121\n";
    let other = retarget(text, 90).unwrap();
    assert_eq!(other, text.replace("sm_121, debug", "sm_90, debug"));
    assert_eq!(Module::parse(&other).unwrap().header.target, 90);
    let arch = ".version 8.8 .target sm_121a .address_size 64";
    let header = Module::parse(&retarget(arch, 90).unwrap()).unwrap().header;
    assert_eq!((header.target, header.target_suffix), (90, None));
    assert!(retarget(".version 8.0\n.entry", 90).is_err());
    assert!(retarget(".version 8.0\n.section .debug_info", 90).is_err());
}
