//! The names of a body: nested scopes, numbered registers, and labels that may be used before they are defined.

use rustc_hash::FxHashMap;

/// What a declared name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    /// A register, or `width` consecutive ones for a vector register.
    Register { first: u32, width: u32 },
    /// Index into the body's variables.
    Variable(u32),
    /// Index into the function's results, and behind them its parameters.
    Parameter(u32),
}

/// `.reg .b32 %r<100>`
#[derive(Clone, Copy)]
struct Range {
    first: u32,
    count: u32,
    width: u32,
    depth: u32,
}

/// What a label stands in front of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A place in the code: number of the label.
    Code(u32),
    /// Index of a `.branchtargets`.
    Branches(u32),
    /// Index of a `.callprototype` or `.calltargets`.
    Prototype(u32),
}

/// A label as a scope sees it.
enum Label<'a> {
    /// Not yet defined; where it was first used.
    Used(&'a [u8], usize),
    Defined(Target),
    /// The same as this label of an outer scope.
    Outer(u32),
}

enum Undo<'a> {
    Name(&'a [u8], Option<(Binding, u32)>),
    Range(&'a [u8], Option<Range>),
}

pub(crate) struct Names<'a> {
    names: FxHashMap<&'a [u8], (Binding, u32)>,
    ranges: FxHashMap<&'a [u8], Range>,
    /// Whether a single name starts with `%`. Mostly none does, which spares a look-up.
    percent_names: bool,
    /// Whether a prefix of a range ends with a digit: then it is not clear where a name's number starts.
    digit_prefixes: bool,
    undo: Vec<Undo<'a>>,
    scopes: Vec<Scope<'a>>,
    labels: Vec<Label<'a>>,
}

#[derive(Default)]
struct Scope<'a> {
    /// Labels used or defined here, by their index in [`Names::labels`].
    labels: FxHashMap<&'a [u8], u32>,
    /// Those of them that are defined here.
    defined: Vec<&'a [u8]>,
    undo: usize,
}

impl<'a> Names<'a> {
    pub fn new() -> Self {
        Names {
            names: FxHashMap::default(),
            ranges: FxHashMap::default(),
            percent_names: false,
            digit_prefixes: false,
            undo: Vec::new(),
            scopes: vec![Scope::default()],
            labels: Vec::new(),
        }
    }

    /// How many scopes are open; 1 in the body itself.
    pub fn depth(&self) -> usize {
        self.scopes.len()
    }

    pub fn open(&mut self) {
        self.scopes.push(Scope {
            undo: self.undo.len(),
            ..Scope::default()
        });
    }

    /// Closes a scope that [`Names::open`] opened.
    pub fn close(&mut self) {
        let Some(scope) = self.scopes.pop() else {
            return;
        };
        for undo in self.undo.drain(scope.undo..).rev() {
            match undo {
                Undo::Name(name, Some(earlier)) => drop(self.names.insert(name, earlier)),
                Undo::Name(name, None) => drop(self.names.remove(name)),
                Undo::Range(name, Some(earlier)) => drop(self.ranges.insert(name, earlier)),
                Undo::Range(name, None) => drop(self.ranges.remove(name)),
            }
        }
        // What was used here and not defined here is a label of an outer scope.
        let Some(outer) = self.scopes.last_mut() else {
            return;
        };
        let mut used = scope.labels;
        for name in scope.defined {
            used.remove(name);
        }
        // The smaller map goes into the larger one: a label is moved a few times at most, however deep it stands.
        if used.len() > outer.labels.len() {
            for (name, of_outer) in std::mem::replace(&mut outer.labels, used) {
                if let Some(label) = outer.labels.insert(name, of_outer) {
                    self.labels[label as usize] = Label::Outer(of_outer);
                }
            }
        } else {
            for (name, label) in used {
                let of_outer = *outer.labels.entry(name).or_insert(label);
                if of_outer != label {
                    self.labels[label as usize] = Label::Outer(of_outer);
                }
            }
        }
    }

    /// Binds a name in the innermost scope; `false` if it is bound there already.
    pub fn bind(&mut self, name: &'a [u8], binding: Binding) -> bool {
        let depth = self.depth() as u32;
        self.percent_names |= name.first() == Some(&b'%');
        let earlier = self.names.insert(name, (binding, depth));
        self.undo.push(Undo::Name(name, earlier));
        earlier.is_none_or(|(_, at)| at < depth)
    }

    /// Binds `prefix0` to `prefix<count-1>`; `false` if the prefix is bound in the innermost scope already.
    pub fn bind_range(&mut self, prefix: &'a [u8], first: u32, count: u32, width: u32) -> bool {
        let depth = self.depth() as u32;
        self.digit_prefixes |= prefix.last().is_some_and(u8::is_ascii_digit);
        let earlier = self.ranges.insert(
            prefix,
            Range {
                first,
                count,
                width,
                depth,
            },
        );
        self.undo.push(Undo::Range(prefix, earlier));
        earlier.is_none_or(|range| range.depth < depth)
    }

    /// Binds a name, or `count` numbered ones, around the body: what the body and its head bind hides it.
    pub fn bind_outside(&mut self, name: &'a [u8], first: u32, count: Option<u32>, width: u32) {
        const OUTSIDE: u32 = 0;
        match count {
            None => {
                self.percent_names |= name.first() == Some(&b'%');
                let binding = Binding::Register { first, width };
                self.names.entry(name).or_insert((binding, OUTSIDE));
            }
            Some(count) => {
                self.digit_prefixes |= name.last().is_some_and(u8::is_ascii_digit);
                self.ranges.entry(name).or_insert(Range {
                    first,
                    count,
                    width,
                    depth: OUTSIDE,
                });
            }
        }
    }

    /// What a name stands for in the innermost scope.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<Binding> {
        let numbered = self.find_numbered(name);
        if name.first() == Some(&b'%') && !self.percent_names {
            return numbered.map(|(binding, _)| binding);
        }
        match (self.names.get(name), numbered) {
            (Some(&(single, at)), Some((numbered, depth))) => {
                Some(if at >= depth { single } else { numbered })
            }
            (Some(&(single, _)), None) => Some(single),
            (None, numbered) => numbered.map(|(binding, _)| binding),
        }
    }

    #[inline]
    fn find_numbered(&self, name: &[u8]) -> Option<(Binding, u32)> {
        let mut split = name.len();
        while split > 0 && name[split - 1].is_ascii_digit() {
            split -= 1;
        }
        if split == name.len() {
            return None;
        }
        if !self.digit_prefixes {
            return self.find_split(name, split);
        }
        // Numbers have at most 9 digits, so no more places need to be tried.
        let from = split.max(name.len().saturating_sub(9));
        (from..name.len())
            .filter_map(|split| self.find_split(name, split))
            .max_by_key(|&(_, depth)| depth)
    }

    #[inline]
    fn find_split(&self, name: &[u8], split: usize) -> Option<(Binding, u32)> {
        let (prefix, digits) = name.split_at(split);
        if digits.len() > 9 || digits[0] == b'0' && digits.len() > 1 {
            return None;
        }
        let number = digits
            .iter()
            .fold(0u32, |number, &b| number * 10 + (b - b'0') as u32);
        let range = self.ranges.get(prefix)?;
        (number < range.count).then(|| {
            let first = range.first + number * range.width;
            (
                Binding::Register {
                    first,
                    width: range.width,
                },
                range.depth,
            )
        })
    }

    /// The label that a name means here, to be looked up by [`Names::target`] once all is read.
    pub fn label(&mut self, name: &'a [u8], at: usize) -> u32 {
        let Some(scope) = self.scopes.last_mut() else {
            return 0;
        };
        *scope.labels.entry(name).or_insert_with(|| {
            self.labels.push(Label::Used(name, at));
            self.labels.len() as u32 - 1
        })
    }

    /// Defines a label in the innermost scope; `false` if it is defined there already.
    pub fn define(&mut self, name: &'a [u8], target: Target) -> bool {
        let label = self.label(name, 0) as usize;
        let new = matches!(self.labels[label], Label::Used(..));
        self.labels[label] = Label::Defined(target);
        if let (true, Some(scope)) = (new, self.scopes.last_mut()) {
            scope.defined.push(name);
        }
        new
    }

    /// What a label stands in front of; `Err` with its name and first use if it is nowhere defined.
    pub fn target(&self, label: u32) -> Result<Target, (&'a [u8], usize)> {
        let mut label = &self.labels[label as usize];
        loop {
            match *label {
                Label::Used(name, at) => return Err((name, at)),
                Label::Defined(target) => return Ok(target),
                // Leads to a scope further out, so this ends.
                Label::Outer(outer) => label = &self.labels[outer as usize],
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(names: &Names<'_>, name: &str) -> Option<u32> {
        match names.find(name.as_bytes()) {
            Some(Binding::Register { first, .. }) => Some(first),
            _ => None,
        }
    }

    #[test]
    fn scopes_shadow_and_end() {
        let mut names = Names::new();
        assert!(names.bind_range(b"%r", 0, 10, 1));
        assert!(names.bind(
            b"x",
            Binding::Register {
                first: 10,
                width: 1
            }
        ));
        assert!(!names.bind(b"x", Binding::Variable(0)));
        names.open();
        assert!(names.bind_range(b"%r", 20, 2, 1));
        assert!(names.bind(
            b"%r0",
            Binding::Register {
                first: 30,
                width: 1
            }
        ));
        assert_eq!(register(&names, "%r0"), Some(30));
        assert_eq!(register(&names, "%r1"), Some(21));
        assert_eq!(register(&names, "%r2"), None);
        names.close();
        assert_eq!(register(&names, "%r0"), Some(0));
        assert_eq!(register(&names, "%r9"), Some(9));
        assert_eq!(register(&names, "%r09"), None);
        assert_eq!(register(&names, "%r99999999999"), None);
    }

    #[test]
    fn prefixes_may_end_with_digits() {
        let mut names = Names::new();
        names.bind_range(b"%r", 0, 5, 1);
        names.bind_range(b"%r1", 5, 5, 1);
        assert_eq!(register(&names, "%r4"), Some(4));
        assert_eq!(register(&names, "%r14"), Some(9));
        assert_eq!(register(&names, "%r24"), None);
    }

    #[test]
    fn labels_belong_to_the_scope_that_defines_them() {
        let mut names = Names::new();
        let early = names.label(b"a", 7);
        names.open();
        let outer = names.label(b"a", 8);
        let inner = names.label(b"b", 9);
        assert!(names.define(b"b", Target::Code(0)));
        names.close();
        assert_eq!(names.target(outer), Err((&b"a"[..], 7)));
        assert!(names.define(b"a", Target::Code(1)));
        assert!(!names.define(b"a", Target::Code(2)));
        assert_eq!(names.target(inner), Ok(Target::Code(0)));
        assert_eq!(names.target(outer), names.target(early));
    }
}
