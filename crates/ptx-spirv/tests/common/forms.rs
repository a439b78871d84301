//! The forms of `tests/coverage/table.txt`, and a module of any of them.

/// The forms.
pub const TABLE: &str = include_str!("../coverage/table.txt");

/// What `{a,b}` stands for: every text that a form means. Lists of registers are in braces too, with spaces.
pub fn expand(form: &str) -> Vec<String> {
    let mut start = 0;
    while let Some(open) = form[start..].find('{').map(|n| n + start) {
        let close = form[open..].find('}').map_or(form.len(), |n| n + open);
        let inside = &form[open + 1..close];
        // Registers follow a space or a bracket; choices follow a letter, a dot or the start.
        if inside.contains(' ') || !inside.contains(',') {
            start = close;
            continue;
        }
        return inside
            .split(',')
            .flat_map(|choice| expand(&format!("{}{choice}{}", &form[..open], &form[close + 1..])))
            .collect();
    }
    vec![form.to_owned()]
}

/// A module whose kernel `k` has these instructions, a line each.
pub fn module(forms: &[String]) -> String {
    // A module that has one reads textures through samplers of their own.
    let sampler = match forms.iter().any(|form| form.contains("filter")) {
        true => ".global .samplerref filter;\n",
        false => "",
    };
    let body: String = forms.iter().map(|form| format!("{form};\n")).collect();
    format!(
        ".version 8.8\n.target sm_90\n.address_size 64\n.global .align 16 .b32 gv[16];\n.const .align 16 .b32 cv[16];\n\
         .global .texref image;\n{sampler}.global .surfref canvas;\n\
         .func device() {{ ret; }}\n\
         .func (.reg .b32 y) device_registers(.reg .b32 a) {{ add.u32 y, a, 1; ret; }}\n\
         .visible .entry k(.param .u64 in)\n{{\n.shared .align 16 .b32 sv[16];\n.local .align 16 .b32 lv[16];\n\
         .reg .pred p<8>; .reg .b16 h<8>; .reg .b32 r<16>; .reg .b64 d<8>; .reg .b128 x<4>;\n\
         .reg .f32 f<8>; .reg .f64 g<8>;\ntable: .branchtargets end, other;\n\
         prototype: .callprototype (.reg .b32 _) _ (.reg .b32 _);\n{body}other:\nend:\nret;\n}}\n"
    )
}

/// Every form, those that are refused among them.
pub fn all() -> Vec<String> {
    TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(": "))
        .flat_map(|(_, forms)| forms.split("; "))
        .flat_map(|form| expand(form.trim_start_matches(['-', '~'])))
        .collect()
}
