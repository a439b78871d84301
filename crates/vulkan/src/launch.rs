//! A kernel launch: its arguments, its push constants, and how its grid is split.

/// The arguments of a launch. The block shape and the dynamic shared size are the pipeline's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Launch<'a> {
    /// Workgroups in x, y, z. Any size: larger grids than the device takes are split.
    pub grid: [u32; 3],
    /// The parameter block, `KernelInfo::parameter_bytes` long; copied before the call returns.
    pub parameters: &'a [u8],
    /// Address of the module buffer, 0 if the module has no variables.
    pub module: u64,
    /// Address of the printf buffer, 0 if there is none.
    pub printf: u64,
}

/// The push-constant block of the launch contract (`docs/design.md`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PushConstants {
    pub(crate) parameters: u64,
    pub(crate) module: u64,
    pub(crate) scratch: u64,
    pub(crate) fault: u64,
    pub(crate) printf: u64,
    pub(crate) grid: [u32; 3],
    pub(crate) base: [u32; 3],
    pub(crate) slice: u32,
    pub(crate) shared_offset: u32,
    pub(crate) local_offset: u32,
    pub(crate) dynamic_shared: u32,
    pub(crate) total_shared: u32,
    pub(crate) zero: u32,
    pub(crate) grid_id: u64,
}

const _: () = assert!(size_of::<PushConstants>() == ptx_spirv::PUSH_CONSTANT_BYTES as usize);

impl PushConstants {
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: repr(C), plain integers, and no padding: the fields' sizes add up to 96.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast(), size_of::<Self>()) }
    }
}

/// One dispatch of a split grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) base: [u32; 3],
    pub(crate) count: [u32; 3],
}

/// Splits a grid into boxes of at most `most` workgroups each way and at most `capacity` workgroups together.
///
/// Boxes are as long in x as they can be, then in y, then in z, so that their number is small and the order of workgroups is
/// CUDA's usual one.
pub(crate) fn split(grid: [u32; 3], most: [u32; 3], capacity: u64) -> impl Iterator<Item = Part> {
    let capacity = capacity.max(1);
    let mut size = [1u32; 3];
    let mut left = capacity;
    for axis in 0..3 {
        size[axis] = u64::from(grid[axis].min(most[axis])).min(left) as u32;
        left = (left / u64::from(size[axis])).max(1);
    }
    let steps = move |axis: usize| (0..grid[axis]).step_by(size[axis] as usize);
    let count = move |axis: usize, base: u32| size[axis].min(grid[axis] - base);
    steps(2).flat_map(move |z| {
        steps(1).flat_map(move |y| {
            steps(0).map(move |x| Part {
                base: [x, y, z],
                count: [count(0, x), count(1, y), count(2, z)],
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(grid: [u32; 3], most: [u32; 3], capacity: u64) -> usize {
        let parts: Vec<_> = split(grid, most, capacity).collect();
        let mut seen = vec![false; grid.iter().map(|&n| n as usize).product()];
        for part in &parts {
            assert!(part.count.iter().map(|&n| u64::from(n)).product::<u64>() <= capacity);
            assert!(part
                .count
                .iter()
                .zip(most)
                .all(|(&n, most)| n >= 1 && n <= most));
            for z in part.base[2]..part.base[2] + part.count[2] {
                for y in part.base[1]..part.base[1] + part.count[1] {
                    for x in part.base[0]..part.base[0] + part.count[0] {
                        let index = (x + grid[0] * (y + grid[1] * z)) as usize;
                        assert!(
                            !std::mem::replace(&mut seen[index], true),
                            "{x} {y} {z} twice"
                        );
                    }
                }
            }
        }
        assert!(seen.iter().all(|&seen| seen));
        parts.len()
    }

    #[test]
    fn every_workgroup_once() {
        let most = [65_535; 3];
        assert_eq!(covers([7, 5, 3], most, u64::MAX), 1);
        assert_eq!(covers([7, 5, 3], most, 35), 3);
        assert_eq!(covers([7, 5, 3], most, 34), 6);
        assert_eq!(covers([7, 5, 3], most, 20), 9);
        assert_eq!(covers([7, 5, 3], most, 1), 105);
        assert_eq!(covers([7, 5, 3], [4, 2, 2], u64::MAX), 2 * 3 * 2);
        assert_eq!(covers([200_000, 1, 2], most, u64::MAX), 4);
    }

    #[test]
    fn push_constants_lie_as_the_contract_says() {
        assert_eq!(std::mem::offset_of!(PushConstants, grid), 40);
        assert_eq!(std::mem::offset_of!(PushConstants, base), 52);
        assert_eq!(std::mem::offset_of!(PushConstants, slice), 64);
        assert_eq!(std::mem::offset_of!(PushConstants, local_offset), 72);
        assert_eq!(std::mem::offset_of!(PushConstants, total_shared), 80);
        assert_eq!(std::mem::offset_of!(PushConstants, grid_id), 88);
    }
}
