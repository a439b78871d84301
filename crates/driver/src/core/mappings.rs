//! What of the process's address space is mapped, as Linux tells.

use std::io::BufRead;

/// Whether a range is mapped readable from its first to its last byte, and writable where `written` asks. Where the kernel does
/// not tell, everything is taken to be.
pub fn cover(address: usize, size: usize, written: bool) -> bool {
    let Ok(file) = std::fs::File::open("/proc/self/maps") else {
        return true;
    };
    let lines = std::io::BufReader::new(file).lines();
    covered(lines.map_while(Result::ok), address, size, written)
}

/// The same by the lines of such a file, which are in the order of addresses.
fn covered(
    lines: impl Iterator<Item = String>,
    address: usize,
    size: usize,
    written: bool,
) -> bool {
    let Some(end) = address.checked_add(size) else {
        return false;
    };
    let mut reached = address;
    for line in lines {
        let mut words = line.split_whitespace();
        let (Some(range), Some(access)) = (words.next(), words.next()) else {
            continue;
        };
        let number = |text: &str| usize::from_str_radix(text, 16).ok();
        let Some((from, to)) = range
            .split_once('-')
            .and_then(|(from, to)| Some((number(from)?, number(to)?)))
        else {
            continue;
        };
        let allowed = access.starts_with('r') && (!written || access[1..].starts_with('w'));
        if from <= reached && reached < to && allowed {
            reached = to;
        }
        if reached >= end {
            return true;
        }
    }
    reached >= end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_covered_by_what_follows_each_other() {
        const MAPS: &str = "1000-3000 rw-p 0 00:00 0\n3000-4000 rw-p 0 00:00 0 [heap]\n4000-5000 r--p 0 00:00 0\n6000-7000 rw-p 0 00:00 0";
        let cover = |address, size, written| {
            covered(MAPS.lines().map(str::to_owned), address, size, written)
        };
        assert!(cover(0x1100, 0x2f00, true), "two mappings");
        assert!(!cover(0x1100, 0x2f01, true), "read-only at the end");
        assert!(cover(0x1100, 0x3f00, false));
        assert!(!cover(0x1100, 0x3f01, false), "a gap");
        assert!(!cover(0x800, 0x900, false), "before the first");
        assert!(!cover(usize::MAX, 2, false));
        let local = [0u8; 64];
        assert!(super::cover(local.as_ptr() as usize, 64, true));
        assert!(!super::cover(16, 64, false));
    }
}
