//! Texture and surface objects.

use crate::boundary::{In, Out, Result};
use crate::core::stack;
use crate::core::texture::Object;
use cuda_abi::*;

pub fn cuTexObjectCreate(
    tex_object: Out<CUtexObject>,
    resource: In<CUDA_RESOURCE_DESC>,
    texture: In<CUDA_TEXTURE_DESC>,
    view: In<CUDA_RESOURCE_VIEW_DESC>,
) -> Result {
    tex_object.required()?;
    let (resource, texture) = (resource.get()?, texture.get()?);
    let view = match view.is_null() {
        true => None,
        false => Some(view.get()?),
    };
    tex_object.set(Object::texture(&*stack::state()?, resource, texture, view)?)
}

pub fn cuTexObjectDestroy(tex_object: CUtexObject) -> Result {
    Object::destroy(tex_object, false)
}

pub fn cuTexObjectGetResourceDesc(
    resource: Out<CUDA_RESOURCE_DESC>,
    tex_object: CUtexObject,
) -> Result {
    resource.set(Object::from_handle(tex_object, false)?.resource)
}

pub fn cuTexObjectGetTextureDesc(
    texture: Out<CUDA_TEXTURE_DESC>,
    tex_object: CUtexObject,
) -> Result {
    let object = Object::from_handle(tex_object, false)?;
    texture.set(object.texture.ok_or(CUresult::INVALID_VALUE)?)
}

pub fn cuTexObjectGetResourceViewDesc(
    view: Out<CUDA_RESOURCE_VIEW_DESC>,
    tex_object: CUtexObject,
) -> Result {
    let object = Object::from_handle(tex_object, false)?;
    // Without a view it is one of zeros.
    // SAFETY: numbers only, for which 0 is a value.
    view.set(object.view.unwrap_or_else(|| unsafe { std::mem::zeroed() }))
}

pub fn cuSurfObjectCreate(
    surf_object: Out<CUsurfObject>,
    resource: In<CUDA_RESOURCE_DESC>,
) -> Result {
    surf_object.required()?;
    surf_object.set(Object::surface(&*stack::state()?, resource.get()?)?)
}

pub fn cuSurfObjectDestroy(surf_object: CUsurfObject) -> Result {
    Object::destroy(surf_object, true)
}

pub fn cuSurfObjectGetResourceDesc(
    resource: Out<CUDA_RESOURCE_DESC>,
    surf_object: CUsurfObject,
) -> Result {
    resource.set(Object::from_handle(surf_object, true)?.resource)
}
