//! `CUDA_VISIBLE_DEVICES`.

use cuda_abi::CUuuid;

/// The devices that a value of `CUDA_VISIBLE_DEVICES` shows, in its order.
///
/// Entries are indices or `GPU-` followed by a UUID or by a start of one that fits a single device. The first entry that
/// names no device, or one already named, ends the list (CUDA C++ Programming Guide, "CUDA Environment Variables"). An
/// empty value shows none.
///
/// ```
/// use cuda::core::visible::select;
/// use cuda_abi::CUuuid;
/// let devices = [CUuuid { bytes: [1; 16] }, CUuuid { bytes: [2; 16] }];
/// assert_eq!(select("1,0", &devices), [1, 0]);
/// assert_eq!(select("0,-1,1", &devices), [0]);
/// assert_eq!(select("GPU-0202", &devices), [1]);
/// assert!(select("", &devices).is_empty());
/// ```
pub fn select(value: &str, devices: &[CUuuid]) -> Vec<usize> {
    let mut selected = Vec::new();
    for entry in value.split(',').map(str::trim) {
        let found = match entry
            .get(..4)
            .filter(|start| start.eq_ignore_ascii_case("GPU-"))
        {
            Some(_) => by_uuid(&entry[4..], devices),
            None => entry.parse().ok().filter(|&index| index < devices.len()),
        };
        match found {
            Some(index) if !selected.contains(&index) => selected.push(index),
            _ => break,
        }
    }
    selected
}

fn by_uuid(start: &str, devices: &[CUuuid]) -> Option<usize> {
    let start = start.to_ascii_lowercase();
    let mut fits = devices
        .iter()
        .enumerate()
        .filter(|(_, uuid)| uuid.to_string().starts_with(&start));
    let (index, _) = fits.next()?;
    (!start.is_empty() && fits.next().is_none()).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_name_no_device_end_the_list() {
        let devices = [
            CUuuid { bytes: [0xab; 16] },
            CUuuid { bytes: [0xac; 16] },
            CUuuid { bytes: [3; 16] },
        ];
        assert_eq!(select("2, 1", &devices), [2, 1]);
        assert_eq!(select("0,0,1", &devices), [0], "named twice");
        assert!(select("7,1", &devices).is_empty());
        assert!(select("-1", &devices).is_empty());
        assert!(select("NoDevFiles", &devices).is_empty());
        assert_eq!(
            select("GPU-abababab-abab-abab-abab-abababababab,0x1", &devices),
            [0]
        );
        assert!(select("GPU-a", &devices).is_empty(), "fits two");
        assert_eq!(select("gpu-AC", &devices), [1]);
        assert!(select("GPU-", &devices).is_empty());
    }
}
