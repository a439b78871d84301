//! What the application has advised about ranges of managed memory.
//!
//! Managed memory is where host and device both reach it and does not move, so advice changes nothing but what
//! `cuMemRangeGetAttribute` tells.

use cuda_abi::*;
use std::collections::BTreeMap;
use std::ops::Range;

/// What advice is kept for at the least, bytes.
const PAGE: u64 = 4096;

/// What holds for a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Settings {
    read_mostly: bool,
    preferred: Option<CUmemLocation>,
    /// Devices and, as -1, the host.
    accessed_by: Vec<CUdevice>,
    prefetched: Option<CUmemLocation>,
}

/// The advice about one allocation.
#[derive(Debug)]
pub struct Advice {
    /// By the first address of each stretch that has the same settings, up to the next one's.
    stretches: BTreeMap<u64, Settings>,
    end: u64,
}

/// One thing that is said about a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Advice, and whom it is about.
    Advised(CUmem_advise, CUmemLocation),
    /// A prefetch to a place.
    Prefetched(CUmemLocation),
}

/// A place as the number that stands for it where there are only devices.
pub fn ordinal(location: CUmemLocation) -> CUdevice {
    match location.kind {
        CUmemLocationType::DEVICE => location.id,
        _ => CU_DEVICE_CPU,
    }
}

impl Advice {
    /// Nothing said yet about `range`.
    pub fn new(range: Range<u64>) -> Self {
        Self {
            stretches: BTreeMap::from([(range.start & !(PAGE - 1), Settings::default())]),
            end: range.end.next_multiple_of(PAGE),
        }
    }

    /// Makes a stretch begin at `address`.
    fn split(&mut self, address: u64) {
        if address >= self.end || self.stretches.contains_key(&address) {
            return;
        }
        let before = self.stretches.range(..address).next_back();
        if let Some(settings) = before.map(|(_, settings)| settings.clone()) {
            self.stretches.insert(address, settings);
        }
    }

    fn pages(range: Range<u64>) -> Range<u64> {
        range.start & !(PAGE - 1)..range.end.next_multiple_of(PAGE)
    }

    /// Says something about the pages of a range within the allocation.
    pub fn say(&mut self, range: Range<u64>, said: Said) {
        use CUmem_advise as A;
        let pages = Self::pages(range);
        self.split(pages.start);
        self.split(pages.end);
        for (_, settings) in self.stretches.range_mut(pages) {
            match said {
                Said::Advised(A::SET_READ_MOSTLY, _) => settings.read_mostly = true,
                Said::Advised(A::UNSET_READ_MOSTLY, _) => settings.read_mostly = false,
                Said::Advised(A::SET_PREFERRED_LOCATION, at) => settings.preferred = Some(at),
                Said::Advised(A::UNSET_PREFERRED_LOCATION, _) => settings.preferred = None,
                Said::Advised(A::SET_ACCESSED_BY, at) => {
                    let who = ordinal(at);
                    if !settings.accessed_by.contains(&who) {
                        settings.accessed_by.push(who);
                        // Devices, and behind them the host, which is -1.
                        settings.accessed_by.sort_unstable_by_key(|&who| who as u32);
                    }
                }
                Said::Advised(A::UNSET_ACCESSED_BY, at) => {
                    settings.accessed_by.retain(|&who| who != ordinal(at))
                }
                Said::Advised(..) => {}
                Said::Prefetched(at) => settings.prefetched = Some(at),
            }
        }
    }

    /// What all pages of a range agree on.
    fn common<T: PartialEq>(
        &self,
        range: Range<u64>,
        ask: impl Fn(&Settings) -> Option<T>,
    ) -> Option<T> {
        let pages = Self::pages(range);
        let first = self.stretches.range(..=pages.start).next_back()?;
        let answer = ask(first.1)?;
        let rest = (pages.start + 1).min(pages.end)..pages.end;
        self.stretches
            .range(rest)
            .all(|(_, settings)| ask(settings).as_ref() == Some(&answer))
            .then_some(answer)
    }

    /// Whether all of a range is mostly read.
    pub fn read_mostly(&self, range: Range<u64>) -> bool {
        self.common(range, |settings| Some(settings.read_mostly)) == Some(true)
    }

    /// Where all of a range is to be.
    pub fn preferred(&self, range: Range<u64>) -> Option<CUmemLocation> {
        self.common(range, |settings| settings.preferred)
    }

    /// Where all of a range was prefetched to last.
    pub fn prefetched(&self, range: Range<u64>) -> Option<CUmemLocation> {
        self.common(range, |settings| settings.prefetched)
    }

    /// Who was said to access all of a range: devices, and last -1 for the host.
    pub fn accessed_by(&self, range: Range<u64>) -> Vec<CUdevice> {
        let pages = Self::pages(range);
        let first = self.stretches.range(..=pages.start).next_back();
        let mut all = first.map_or(Vec::new(), |(_, settings)| settings.accessed_by.clone());
        for (_, settings) in self.stretches.range(pages) {
            all.retain(|who| settings.accessed_by.contains(who));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: CUmemLocation = CUmemLocation {
        kind: CUmemLocationType::DEVICE,
        id: 0,
    };
    const HOST: CUmemLocation = CUmemLocation {
        kind: CUmemLocationType::HOST,
        id: 0,
    };

    #[test]
    fn a_range_has_what_all_its_pages_have() {
        let mut advice = Advice::new(0x10000..0x20000);
        let all = 0x10000..0x20000;
        assert!(!advice.read_mostly(all.clone()));
        assert_eq!(advice.preferred(all.clone()), None);
        let read = CUmem_advise::SET_READ_MOSTLY;
        advice.say(0x11000..0x12001, Said::Advised(read, DEVICE));
        assert!(!advice.read_mostly(all.clone()));
        assert!(advice.read_mostly(0x11000..0x13000));
        assert!(!advice.read_mostly(0x10fff..0x13000));
        assert!(!advice.read_mostly(0x12fff..0x13001));
        advice.say(all.clone(), Said::Advised(read, DEVICE));
        assert!(advice.read_mostly(all.clone()));
        let set = CUmem_advise::SET_ACCESSED_BY;
        advice.say(all.clone(), Said::Advised(set, DEVICE));
        advice.say(0x1f000..0x20000, Said::Advised(set, HOST));
        assert_eq!(advice.accessed_by(all.clone()), [0]);
        assert_eq!(advice.accessed_by(0x1f800..0x1f900), [0, -1]);
        advice.say(all.clone(), Said::Prefetched(HOST));
        assert_eq!(advice.prefetched(all.clone()), Some(HOST));
        advice.say(0x10000..0x10001, Said::Prefetched(DEVICE));
        assert_eq!(advice.prefetched(all), None);
        assert_eq!(advice.prefetched(0x10000..0x11000), Some(DEVICE));
    }
}
