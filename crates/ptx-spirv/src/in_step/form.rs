//! What is known of an address in every lane of a warp.
//!
//! ```text
//! mad.lo.u32 %r2, %tid.x, 4, %r1;     r1 + 128 warp + {0, 4, .., 124}
//! xor.b32    %r3, %r2, 64;            not known: r1 may have that bit
//! ```

use crate::graph::Register;
use ptx::SpecialRegister;
use smallvec::SmallVec;

/// A number that is the same for all lanes of a warp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Term {
    /// `%tid.x / 32`.
    Warp,
    Special(SpecialRegister),
    /// What the lanes have in common in a register.
    Register(Register),
}

/// A value of 32 bits: a sum of multiples of what is the same for the warp, and a number for each lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) terms: SmallVec<[(Term, u32); 3]>,
    pub(super) lanes: [u32; 32],
}

impl Form {
    pub(super) fn constant(v: u32) -> Self {
        Self {
            terms: SmallVec::new(),
            lanes: [v; 32],
        }
    }

    pub(super) fn term(term: Term) -> Self {
        Self {
            terms: SmallVec::from_slice(&[(term, 1)]),
            lanes: [0; 32],
        }
    }

    pub(super) fn as_constant(&self) -> Option<u32> {
        let v = self.lanes[0];
        (self.terms.is_empty() && self.lanes.iter().all(|l| *l == v)).then_some(v)
    }

    pub(super) fn plus(&self, other: &Self, times: u32) -> Self {
        let mut sum = self.clone();
        for (l, o) in sum.lanes.iter_mut().zip(&other.lanes) {
            *l = l.wrapping_add(o.wrapping_mul(times));
        }
        for &(term, factor) in &other.terms {
            let factor = factor.wrapping_mul(times);
            match sum.terms.iter_mut().find(|t| t.0 == term) {
                Some(t) => t.1 = t.1.wrapping_add(factor),
                None => sum.terms.push((term, factor)),
            }
        }
        sum.terms.retain(|t| t.1 != 0);
        sum.terms.sort_unstable();
        sum
    }

    /// The lanes' numbers from that of the first one.
    pub(super) fn shape(&self) -> impl Iterator<Item = u32> + '_ {
        self.lanes.iter().map(|l| l.wrapping_sub(self.lanes[0]))
    }

    pub(super) fn times(&self, by: u32) -> Self {
        Self::constant(0).plus(self, by)
    }

    /// The number of low bits that no term has a part in.
    pub(super) fn low_bits(&self) -> u32 {
        let each = self.terms.iter().map(|t| t.1.trailing_zeros());
        each.min().unwrap_or(32)
    }

    /// The lanes' numbers changed by a function that does nothing to bits above those that no term has a part in; none if they
    /// have any there.
    pub(super) fn low(&self, f: impl Fn(u32, usize) -> u32) -> Option<Self> {
        let bits = self.low_bits();
        let fits = bits == 32 || self.lanes.iter().all(|l| l >> bits == 0);
        fits.then(|| {
            let mut result = self.clone();
            for (n, l) in result.lanes.iter_mut().enumerate() {
                *l = f(*l, n);
            }
            result
        })
    }
}

/// The product of two values, one of which is a constant.
pub(super) fn product(a: &Form, b: &Form) -> Option<Form> {
    match (a.as_constant(), b.as_constant()) {
        (_, Some(by)) => Some(a.times(by)),
        (Some(by), _) => Some(b.times(by)),
        _ => None,
    }
}
