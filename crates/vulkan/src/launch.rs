//! A kernel launch.

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
