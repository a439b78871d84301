//! The linker.

use crate::boundary::{In, Out, Result};
use crate::core::image::Image;
use crate::core::jit::JitOptions;
use crate::core::link::{Link, LINKS};
use crate::core::registry::Registry;
use crate::core::stack;
use cuda_abi::*;
use std::ffi::{c_char, c_void};

pub fn cuLinkCreate_v2(
    num_options: u32,
    options: In<CUjit_option>,
    option_values: Out<*mut c_void>,
    state_out: Out<CUlinkState>,
) -> Result {
    state_out.required()?;
    stack::current()?;
    let link = Link::create(JitOptions::of_link(
        num_options as usize,
        options,
        option_values,
    )?);
    state_out.set(CUlinkState(Registry::handle(&link)))
}

pub use cuLinkCreate_v2 as cuLinkCreate;

pub fn cuLinkAddData_v2(
    state: CUlinkState,
    kind: CUjitInputType,
    data: *mut c_void,
    size: usize,
    name: In<c_char>,
    _num_options: u32,
    _options: In<CUjit_option>,
    _option_values: Out<*mut c_void>,
) -> Result {
    let link = LINKS.get(state.0)?;
    let name = if name.is_null() {
        "<unknown>".to_owned()
    } else {
        name.text()?
    };
    if size == 0 {
        return Err(CUresult::INVALID_VALUE);
    }
    link.add(kind, &name, Image::copied(data, size)?)
}

pub use cuLinkAddData_v2 as cuLinkAddData;

pub fn cuLinkAddFile_v2(
    state: CUlinkState,
    kind: CUjitInputType,
    path: In<c_char>,
    _num_options: u32,
    _options: In<CUjit_option>,
    _option_values: Out<*mut c_void>,
) -> Result {
    let path = path.text()?;
    LINKS.get(state.0)?.add(kind, &path, Image::read(&path)?)
}

pub use cuLinkAddFile_v2 as cuLinkAddFile;

pub fn cuLinkComplete(
    state: CUlinkState,
    cubin_out: Out<*mut c_void>,
    size_out: Out<usize>,
) -> Result {
    let (address, size) = LINKS.get(state.0)?.complete()?;
    cubin_out.set(address as *mut c_void)?;
    size_out.set_if(size);
    Ok(())
}

pub fn cuLinkDestroy(state: CUlinkState) -> Result {
    LINKS.remove(state.0).map(|_| ())
}
