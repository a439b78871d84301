//! Several modules to one: what `nvlink` does for machine code, on text.
//!
//! A name that is `.visible` in one module is what the others mean by `.extern`. Of `.weak` definitions of a name the first
//! stays, unless there is a `.visible` one. Names without linkage are their module's own: where another module has the
//! same, they get another name (PTX ISA, "Linking Directives").
//!
//! ```
//! let caller = ".version 8.0 .target sm_80 .address_size 64
//!     .extern .func (.param .b32 r) helper;
//!     .visible .entry k() { .reg .b32 %a; { .param .b32 p; call (p), helper; ld.param.b32 %a, [p]; } ret; }";
//! let callee = ".version 8.2 .target sm_90 .address_size 64
//!     .visible .func (.param .b32 r) helper { st.param.b32 [r], 7; ret; }";
//! let linked = ptx::link::link(&[("a", caller), ("b", callee)], |_| false).unwrap();
//! let module = ptx::Module::parse(&linked).unwrap();
//! assert!(module.function("helper").unwrap().body.is_some());
//! assert_eq!((module.header.version, module.header.target), ((8, 2), 90));
//! ```

use crate::ast::Linkage;
use crate::cursor::{is_name_byte, text, Cursor, Fault};
use crate::declaration::linkage;
use crate::{error, Header, Module, ParseError};
use rustc_hash::{FxHashMap, FxHashSet};
use std::fmt::Write;
use std::ops::Range;

/// Why modules do not become one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// A module is no PTX.
    #[error("{module}: {error}")]
    Parse {
        /// The module's name.
        module: String,
        /// What the parser says.
        error: ParseError,
    },
    /// Two modules define the same name for all.
    #[error("multiple definition of `{name}` in `{first}` and `{second}`")]
    Duplicate {
        /// What is defined.
        name: String,
        /// A module.
        first: String,
        /// Another one.
        second: String,
    },
    /// No module defines a name.
    #[error("Undefined reference to '{name}' in '{module}'")]
    Undefined {
        /// What is missing.
        name: String,
        /// Who wants it.
        module: String,
    },
}

/// What an item at module level is, as far as linking goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A function without its body.
    Declaration,
    /// A function.
    Function,
    /// A variable. `.extern .shared` ones are the block's dynamic shared memory and defined nowhere.
    Variable { is_shared: bool },
    /// `.alias`, `.pragma`: without a name of its own.
    Other,
}

struct Item<'a> {
    kind: Kind,
    linkage: Linkage,
    names: Vec<&'a str>,
    range: Range<usize>,
}

impl Item<'_> {
    fn defines(&self) -> bool {
        match self.kind {
            Kind::Function => true,
            Kind::Variable { .. } => self.linkage != Linkage::Extern,
            Kind::Declaration | Kind::Other => false,
        }
    }
}

struct Part<'a> {
    name: &'a str,
    text: &'a str,
    header: Header,
    items: Vec<Item<'a>>,
}

/// Links modules, each given by a name for messages and its text. `provided` tells functions that need no definition.
///
/// # Errors
/// See [`LinkError`].
pub fn link(
    modules: &[(&str, &str)],
    provided: impl Fn(&str) -> bool,
) -> Result<String, LinkError> {
    let parts = modules
        .iter()
        .map(|&(name, text)| part(name, text))
        .collect::<Result<Vec<_>, _>>()?;
    let defined = definitions(&parts)?;
    // How many modules know a name, whatever for.
    let mut users: FxHashMap<&str, usize> = FxHashMap::default();
    for part in &parts {
        let names: FxHashSet<&str> = part.items.iter().flat_map(|i| &i.names).copied().collect();
        names
            .into_iter()
            .for_each(|name| *users.entry(name).or_default() += 1);
    }
    let mut declarations = String::new();
    let mut variables = String::new();
    let mut functions = String::new();
    let mut external: FxHashSet<&str> = FxHashSet::default();
    for (index, part) in parts.iter().enumerate() {
        let renamed: FxHashMap<&str, String> = part
            .items
            .iter()
            .filter(|item| item.linkage == Linkage::Internal)
            .flat_map(|item| &item.names)
            .filter(|name| users[*name] > 1)
            .map(|&name| (name, format!("{name}$module{index}")))
            .collect();
        for item in &part.items {
            let Some(&name) = item.names.first() else {
                copy(part, item, &renamed, &mut variables);
                continue;
            };
            let place = defined.get(name);
            if item.linkage == Linkage::Extern && place.is_none() {
                let is_shared = item.kind == Kind::Variable { is_shared: true };
                if !is_shared && !provided(name) {
                    return Err(LinkError::Undefined {
                        name: name.into(),
                        module: part.name.into(),
                    });
                }
            }
            let output = match item.kind {
                Kind::Declaration => &mut declarations,
                Kind::Function => &mut functions,
                Kind::Variable { .. } | Kind::Other => &mut variables,
            };
            let kept = match item.linkage {
                Linkage::Internal => true,
                _ if item.kind == Kind::Declaration => true,
                Linkage::Extern => place.is_none() && external.insert(name),
                _ => place.is_some_and(|&(owner, _)| owner == index),
            };
            if kept {
                copy(part, item, &renamed, output);
            }
        }
    }
    let mut linked = header(&parts);
    linked += &declarations;
    linked += &variables;
    linked += &functions;
    Ok(linked)
}

/// Which module's definition of each linked name stays.
fn definitions<'a>(parts: &[Part<'a>]) -> Result<FxHashMap<&'a str, (usize, Linkage)>, LinkError> {
    let mut defined: FxHashMap<&str, (usize, Linkage)> = FxHashMap::default();
    for (index, part) in parts.iter().enumerate() {
        for item in part.items.iter().filter(|item| item.defines()) {
            for &name in &item.names {
                match (item.linkage, defined.get(name)) {
                    (Linkage::Internal, _) => {}
                    (Linkage::Visible, Some(&(first, Linkage::Visible))) => {
                        return Err(LinkError::Duplicate {
                            name: name.into(),
                            first: parts[first].name.into(),
                            second: part.name.into(),
                        })
                    }
                    (linkage @ Linkage::Visible, _) | (linkage, None) => {
                        defined.insert(name, (index, linkage));
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(defined)
}

/// The text with another target, for a device that is older than the text says (`sm_121` to `sm_90`).
///
/// # Errors
/// Where it is no PTX.
pub fn retarget(source: &str, target: u32) -> Result<String, ParseError> {
    let mut cursor = Cursor {
        text: source.as_bytes(),
        pos: 0,
    };
    while cursor.next_byte() != 0 {
        let start = cursor.pos;
        item(&mut cursor).map_err(|fault| error(source, *fault))?;
        let Some(rest) = source[start..cursor.pos].strip_prefix(".target") else {
            continue;
        };
        let name = start + ".target".len() + (rest.len() - rest.trim_start().len());
        let end = source[name..]
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .map_or(source.len(), |length| name + length);
        return Ok(format!("{}sm_{target}{}", &source[..name], &source[end..]));
    }
    Ok(source.to_owned())
}

fn header(parts: &[Part]) -> String {
    let version = parts.iter().map(|part| part.header.version).max();
    let target = parts
        .iter()
        .map(|part| (part.header.target, part.header.target_suffix))
        .max();
    let (version, (target, suffix)) = (version.unwrap_or((8, 0)), target.unwrap_or((80, None)));
    let suffix = suffix.map_or(String::new(), String::from);
    let (major, minor) = version;
    let mode = match parts.iter().any(|part| part.header.independent_textures) {
        true => ", texmode_independent",
        false => "",
    };
    format!(".version {major}.{minor}\n.target sm_{target}{suffix}{mode}\n.address_size 64\n")
}

/// Appends an item's text with names replaced.
fn copy(part: &Part, item: &Item, renamed: &FxHashMap<&str, String>, output: &mut String) {
    let bytes = &part.text.as_bytes()[..item.range.end];
    let mut cursor = Cursor {
        text: bytes,
        pos: item.range.start,
    };
    let mut copied = cursor.pos;
    while !renamed.is_empty() && !cursor.at_end() {
        match cursor.peek() {
            b'"' if cursor.string().is_ok() => {}
            b'/' => {
                let start = cursor.pos;
                cursor.skip_space();
                cursor.pos = cursor.pos.max(start + 1);
            }
            // A directive, a modifier, a register, a number: none is a symbol.
            b'.' | b'%' | b'0'..=b'9' => {
                cursor.pos += 1;
                cursor.name_bytes();
            }
            byte if is_name_byte(byte) => {
                let start = cursor.pos;
                let name = text(cursor.name_bytes());
                if let Some(new) = renamed.get(name) {
                    *output += &part.text[copied..start];
                    *output += new;
                    copied = cursor.pos;
                }
            }
            _ => cursor.pos += 1,
        }
    }
    let _ = writeln!(output, "{}", &part.text[copied..item.range.end]);
}

/// Reads a module's items.
fn part<'a>(name: &'a str, source: &'a str) -> Result<Part<'a>, LinkError> {
    let failed = |error| LinkError::Parse {
        module: name.into(),
        error,
    };
    // Whatever the parser takes can be cut into items.
    let header = Module::parse(source).map_err(failed)?.header;
    let mut cursor = Cursor {
        text: source.as_bytes(),
        pos: 0,
    };
    let mut items = Vec::new();
    while cursor.next_byte() != 0 {
        if let Some(item) = item(&mut cursor).map_err(|fault| failed(error(source, *fault)))? {
            items.push(item);
        }
    }
    Ok(Part {
        name,
        text: source,
        header,
        items,
    })
}

/// Takes one item; `None` for the header and for debugging information, which is left out.
fn item<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Item<'a>>, Box<Fault>> {
    let start = cursor.pos;
    let mut item = Item {
        kind: Kind::Other,
        linkage: Linkage::Internal,
        names: Vec::new(),
        range: start..start,
    };
    if cursor.eat(b';') {
        return Ok(None);
    }
    if cursor.peek() == b'@' {
        let rest = &cursor.text[cursor.pos..];
        cursor.pos += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        return Ok(None);
    }
    loop {
        if cursor.next_byte() != b'.' {
            return Err(cursor.expected("a directive"));
        }
        let word = cursor.dotted()?;
        if let Some(found) = linkage(word) {
            item.linkage = found;
            continue;
        }
        match word {
            b"attribute" => {
                cursor.skip_parentheses()?;
                continue;
            }
            b"version" => {
                cursor.skip_space();
                while is_name_byte(cursor.peek()) || cursor.peek() == b'.' {
                    cursor.pos += 1;
                }
                return Ok(None);
            }
            b"target" => {
                cursor.name()?;
                while cursor.eat(b',') {
                    cursor.name()?;
                }
                return Ok(None);
            }
            b"address_size" => {
                cursor.integer()?;
                return Ok(None);
            }
            b"file" => {
                cursor.integer()?;
                cursor.string()?;
                while cursor.eat(b',') {
                    cursor.integer()?;
                }
                return Ok(None);
            }
            b"loc" => {
                cursor.location()?;
                return Ok(None);
            }
            b"section" => {
                while !matches!(cursor.next_byte(), b'{' | 0) {
                    cursor.pos += 1;
                }
                if cursor.next_byte() != b'{' {
                    return Err(cursor.expected("`{`"));
                }
                cursor.skip_braces()?;
                return Ok(None);
            }
            b"entry" | b"func" => {
                while cursor.eat_directive("attribute") {
                    cursor.skip_parentheses()?;
                }
                if cursor.next_byte() == b'(' {
                    cursor.skip_parentheses()?;
                }
                item.names.push(text(cursor.name()?));
                item.kind = match skip_to_end(cursor, &mut Vec::new())? {
                    true => Kind::Function,
                    false => Kind::Declaration,
                };
            }
            b"alias" | b"pragma" => {
                skip_to_end(cursor, &mut Vec::new())?;
            }
            space => {
                let is_shared = space.starts_with(b"shared");
                item.kind = Kind::Variable { is_shared };
                while cursor.next_byte() == b'.' {
                    match cursor.dotted()? {
                        b"align" => {
                            cursor.skip_space();
                            cursor.name_bytes();
                        }
                        b"attribute" => cursor.skip_parentheses()?,
                        _ => {}
                    }
                }
                item.names.push(text(cursor.name()?));
                let mut more = Vec::new();
                skip_to_end(cursor, &mut more)?;
                item.names.extend(more);
            }
        }
        break;
    }
    item.range.end = cursor.pos;
    Ok(Some(item))
}

/// Skips to behind the semicolon of a declaration, or the closing brace of a body; says whether it was a body. Names that
/// follow a comma outside of all brackets are declared, too.
fn skip_to_end<'a>(
    cursor: &mut Cursor<'a>,
    declared: &mut Vec<&'a str>,
) -> Result<bool, Box<Fault>> {
    let mut is_initializer = false;
    loop {
        match cursor.next_byte() {
            b';' => {
                cursor.pos += 1;
                return Ok(false);
            }
            b'{' => {
                cursor.skip_braces()?;
                if !is_initializer {
                    return Ok(true);
                }
            }
            b'(' => cursor.skip_parentheses()?,
            b'"' => {
                cursor.string()?;
            }
            // Of a function's: it ends with a semicolon of its own.
            b'.' if cursor.eat_directive("pragma") => cursor.pragma()?,
            b'=' => {
                is_initializer = true;
                cursor.pos += 1;
            }
            b',' => {
                cursor.pos += 1;
                cursor.skip_space();
                if cursor.at_name() {
                    declared.push(text(cursor.name()?));
                }
            }
            0 if cursor.at_end() => return Err(cursor.expected("`;`")),
            _ => cursor.pos += 1,
        }
    }
}
