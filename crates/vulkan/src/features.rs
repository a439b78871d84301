//! The Vulkan features that are asked about and enabled.
//!
//! One chain of structures serves twice: filled by the driver it says what a device has, reduced to what is wanted it goes
//! into vkCreateDevice.

use ash::{amd, ext, khr, nv, vk};
use std::collections::HashSet;
use std::ffi::{CStr, CString};

/// VK_NV_cooperative_matrix2 and VK_KHR_shader_bfloat16, which are newer than this version of ash.
pub(crate) const COOPERATIVE_MATRIX_2: &CStr = c"VK_NV_cooperative_matrix2";
pub(crate) const BFLOAT16: &CStr = c"VK_KHR_shader_bfloat16";

/// VK_COMPONENT_TYPE_BFLOAT16_KHR.
pub(crate) const BFLOAT16_COMPONENT: vk::ComponentTypeKHR =
    vk::ComponentTypeKHR::from_raw(1_000_141_000);

/// Declares structures of features that this version of ash has not: the name, the structure type, and the members in order.
macro_rules! newer_features {
    ($($(#[$about:meta])* $name:ident = $number:literal { $($(#[$of:meta])* $field:ident,)* })*) => {
        $(
            $(#[$about])*
            #[repr(C)]
            #[derive(Clone, Copy)]
            pub(crate) struct $name {
                s_type: vk::StructureType,
                p_next: *mut std::ffi::c_void,
                $($(#[$of])* pub(crate) $field: vk::Bool32,)*
            }

            // SAFETY: the structure extends VkPhysicalDeviceFeatures2 and VkDeviceCreateInfo, and has the layout of its
            // declaration.
            unsafe impl vk::ExtendsPhysicalDeviceFeatures2 for $name {}

            // SAFETY: `p_next` is null but while a closure of `Features::linked` runs, as in ash's structures.
            unsafe impl Send for $name {}
            // SAFETY: as above.
            unsafe impl Sync for $name {}

            impl Default for $name {
                fn default() -> Self {
                    Self {
                        s_type: vk::StructureType::from_raw($number),
                        p_next: std::ptr::null_mut(),
                        $($field: vk::FALSE,)*
                    }
                }
            }
        )*
    };
}

newer_features! {
    /// VkPhysicalDeviceCooperativeMatrix2FeaturesNV.
    CooperativeMatrix2 = 1_000_593_000 {
        workgroup_scope,
        flexible_dimensions,
        reductions,
        /// Matrices of one use become matrices of another.
        conversions,
        per_element_operations,
        tensor_addressing,
        block_loads,
    }

    /// VkPhysicalDeviceShaderBfloat16FeaturesKHR.
    Bfloat16 = 1_000_141_000 {
        types,
        dot_products,
        /// Elements of cooperative matrices.
        matrices,
    }
}

/// Device extensions that are used where the device has them. Everything else is core in Vulkan 1.3.
const WANTED_EXTENSIONS: &[&CStr] = &[
    amd::shader_core_properties::NAME,
    ext::external_memory_host::NAME,
    ext::map_memory_placed::NAME,
    ext::memory_budget::NAME,
    ext::pci_bus_info::NAME,
    ext::shader_atomic_float::NAME,
    ext::shader_atomic_float2::NAME,
    khr::cooperative_matrix::NAME,
    COOPERATIVE_MATRIX_2,
    BFLOAT16,
    khr::map_memory2::NAME,
    khr::push_descriptor::NAME,
    khr::shader_clock::NAME,
    khr::shader_float_controls2::NAME,
    khr::shader_maximal_reconvergence::NAME,
    khr::shader_subgroup_rotate::NAME,
    khr::shader_subgroup_uniform_control_flow::NAME,
    khr::workgroup_memory_explicit_layout::NAME,
    nv::shader_sm_builtins::NAME,
];

/// Those of the list above that validation layers from before Vulkan's headers 1.3.280 do not know: they refuse shaders that
/// use them.
const NEW_TO_OLD_LAYERS: &[&CStr] = &[
    ext::map_memory_placed::NAME,
    khr::cooperative_matrix::NAME,
    COOPERATIVE_MATRIX_2,
    BFLOAT16,
    khr::map_memory2::NAME,
    khr::shader_float_controls2::NAME,
    khr::shader_maximal_reconvergence::NAME,
    khr::shader_subgroup_rotate::NAME,
];

/// The extensions of a device that are also in the list above.
pub(crate) struct Extensions(HashSet<CString>);

impl Extensions {
    pub(crate) fn query(instance: &ash::Instance, handle: vk::PhysicalDevice) -> Self {
        // SAFETY: the handle comes from this instance.
        let all =
            unsafe { instance.enumerate_device_extension_properties(handle) }.unwrap_or_default();
        let names = all
            .iter()
            .filter_map(|extension| extension.extension_name_as_c_str().ok());
        let mut found: HashSet<CString> = names
            .filter(|name| WANTED_EXTENSIONS.contains(name))
            .map(CStr::to_owned)
            .collect();
        // Placed mapping is a flag of vkMapMemory2.
        if !found.contains(khr::map_memory2::NAME) {
            found.remove(ext::map_memory_placed::NAME);
        }
        Self(found)
    }

    /// Leaves out what a validation layer of this version does not know.
    pub(crate) fn known_to_layer(mut self, version: u32) -> Self {
        if version < vk::make_api_version(0, 1, 3, 280) {
            self.0
                .retain(|name| !NEW_TO_OLD_LAYERS.contains(&name.as_c_str()));
        }
        self
    }

    pub(crate) fn has(&self, name: &CStr) -> bool {
        self.0.contains(name)
    }

    /// Names for VkDeviceCreateInfo.
    pub(crate) fn pointers(&self) -> Vec<*const std::ffi::c_char> {
        self.0.iter().map(|name| name.as_ptr()).collect()
    }
}

/// The feature structures, unlinked: their `p_next` is null except while a closure of [`Features::linked`] runs.
#[derive(Clone, Copy, Default)]
pub(crate) struct Features {
    pub(crate) core: vk::PhysicalDeviceFeatures,
    pub(crate) v11: vk::PhysicalDeviceVulkan11Features<'static>,
    pub(crate) v12: vk::PhysicalDeviceVulkan12Features<'static>,
    pub(crate) v13: vk::PhysicalDeviceVulkan13Features<'static>,
    pub(crate) atomic_float: vk::PhysicalDeviceShaderAtomicFloatFeaturesEXT<'static>,
    pub(crate) atomic_float2: vk::PhysicalDeviceShaderAtomicFloat2FeaturesEXT<'static>,
    pub(crate) clock: vk::PhysicalDeviceShaderClockFeaturesKHR<'static>,
    pub(crate) cooperative_matrix: vk::PhysicalDeviceCooperativeMatrixFeaturesKHR<'static>,
    pub(crate) cooperative_matrix2: CooperativeMatrix2,
    pub(crate) bfloat16: Bfloat16,
    pub(crate) explicit_layout: vk::PhysicalDeviceWorkgroupMemoryExplicitLayoutFeaturesKHR<'static>,
    pub(crate) float_controls2: vk::PhysicalDeviceShaderFloatControls2FeaturesKHR<'static>,
    pub(crate) map_placed: vk::PhysicalDeviceMapMemoryPlacedFeaturesEXT<'static>,
    pub(crate) maximal_reconvergence:
        vk::PhysicalDeviceShaderMaximalReconvergenceFeaturesKHR<'static>,
    pub(crate) subgroup_rotate: vk::PhysicalDeviceShaderSubgroupRotateFeaturesKHR<'static>,
    pub(crate) uniform_control_flow:
        vk::PhysicalDeviceShaderSubgroupUniformControlFlowFeaturesKHR<'static>,
}

/// A feature's name and its place.
type Needed = (&'static str, fn(&mut Features) -> &mut vk::Bool32);

macro_rules! needed {
    ($($part:ident: $($field:ident $name:literal)*;)*) => {
        &[$($(($name, |features| &mut features.$part.$field),)*)*]
    };
}

/// The features without which no kernel runs.
const NEEDED: &[Needed] = needed! {
    core: shader_int64 "shaderInt64" shader_int16 "shaderInt16";
    v11: storage_buffer16_bit_access "storageBuffer16BitAccess";
    v12: storage_buffer8_bit_access "storageBuffer8BitAccess" shader_float16 "shaderFloat16"
         shader_int8 "shaderInt8" timeline_semaphore "timelineSemaphore"
         buffer_device_address "bufferDeviceAddress" vulkan_memory_model "vulkanMemoryModel"
         vulkan_memory_model_device_scope "vulkanMemoryModelDeviceScope"
         shader_subgroup_extended_types "shaderSubgroupExtendedTypes";
    v13: subgroup_size_control "subgroupSizeControl" compute_full_subgroups "computeFullSubgroups"
         synchronization2 "synchronization2" maintenance4 "maintenance4";
};

impl Features {
    /// Runs a closure with the structures linked behind VkPhysicalDeviceFeatures2, those of extensions only where the
    /// device has them.
    pub(crate) fn linked<R>(
        &mut self,
        extensions: &Extensions,
        body: impl FnOnce(&mut vk::PhysicalDeviceFeatures2<'_>) -> R,
    ) -> R {
        let mut this = *self;
        let mut head = vk::PhysicalDeviceFeatures2::default()
            .features(this.core)
            .push_next(&mut this.v11)
            .push_next(&mut this.v12)
            .push_next(&mut this.v13);
        macro_rules! link {
            ($($module:path => $field:ident),* $(,)?) => {
                $({
                    use $module as extension;
                    if extensions.has(extension::NAME) {
                        head = head.push_next(&mut this.$field);
                    }
                })*
            };
        }
        link! {
            ext::map_memory_placed => map_placed,
            ext::shader_atomic_float => atomic_float,
            ext::shader_atomic_float2 => atomic_float2,
            khr::cooperative_matrix => cooperative_matrix,
            khr::shader_clock => clock,
            khr::shader_float_controls2 => float_controls2,
            khr::shader_maximal_reconvergence => maximal_reconvergence,
            khr::shader_subgroup_rotate => subgroup_rotate,
            khr::shader_subgroup_uniform_control_flow => uniform_control_flow,
            khr::workgroup_memory_explicit_layout => explicit_layout,
        }
        if extensions.has(COOPERATIVE_MATRIX_2) {
            head = head.push_next(&mut this.cooperative_matrix2);
        }
        if extensions.has(BFLOAT16) {
            head = head.push_next(&mut this.bfloat16);
        }
        let result = body(&mut head);
        this.core = head.features;
        this.unlink();
        *self = this;
        result
    }

    fn unlink(&mut self) {
        macro_rules! clear {
            ($($field:ident),*) => { $(self.$field.p_next = std::ptr::null_mut();)* };
        }
        clear!(
            v11,
            v12,
            v13,
            atomic_float,
            atomic_float2,
            clock,
            cooperative_matrix,
            cooperative_matrix2,
            bfloat16,
            explicit_layout
        );
        clear!(
            float_controls2,
            map_placed,
            maximal_reconvergence,
            subgroup_rotate,
            uniform_control_flow
        );
    }

    /// What the device has.
    pub(crate) fn query(
        instance: &ash::Instance,
        handle: vk::PhysicalDevice,
        extensions: &Extensions,
    ) -> Self {
        let mut features = Self::default();
        features.linked(extensions, |head| {
            // SAFETY: the handle comes from this instance, the chain holds structures of enabled extensions only.
            unsafe { instance.get_physical_device_features2(handle, head) }
        });
        features
    }

    /// Of what the device has, what this project uses.
    pub(crate) fn wanted(&self) -> Self {
        let mut wanted = Self::default();
        macro_rules! take {
            ($($part:ident: $($field:ident)*;)*) => { $($(wanted.$part.$field = self.$part.$field;)*)* };
        }
        take! {
            core: shader_int64 shader_int16 shader_float64 sparse_binding sparse_residency_buffer
                 sparse_residency_aliased;
            v11: storage_buffer16_bit_access uniform_and_storage_buffer16_bit_access;
            v12: storage_buffer8_bit_access uniform_and_storage_buffer8_bit_access shader_buffer_int64_atomics
                 shader_shared_int64_atomics shader_float16 shader_int8 scalar_block_layout uniform_buffer_standard_layout timeline_semaphore
                 buffer_device_address vulkan_memory_model vulkan_memory_model_device_scope
                 vulkan_memory_model_availability_visibility_chains shader_subgroup_extended_types
                 subgroup_broadcast_dynamic_id;
            v13: subgroup_size_control compute_full_subgroups synchronization2 shader_integer_dot_product maintenance4
                 shader_zero_initialize_workgroup_memory;
            atomic_float: shader_buffer_float32_atomics shader_buffer_float32_atomic_add shader_buffer_float64_atomics
                 shader_buffer_float64_atomic_add shader_shared_float32_atomics shader_shared_float32_atomic_add
                 shader_shared_float64_atomics shader_shared_float64_atomic_add;
            atomic_float2: shader_buffer_float16_atomics shader_buffer_float16_atomic_add
                 shader_buffer_float16_atomic_min_max shader_buffer_float32_atomic_min_max
                 shader_buffer_float64_atomic_min_max shader_shared_float16_atomics shader_shared_float16_atomic_add
                 shader_shared_float16_atomic_min_max shader_shared_float32_atomic_min_max
                 shader_shared_float64_atomic_min_max;
            clock: shader_subgroup_clock shader_device_clock;
            cooperative_matrix: cooperative_matrix;
            cooperative_matrix2: conversions;
            bfloat16: types matrices;
            explicit_layout: workgroup_memory_explicit_layout workgroup_memory_explicit_layout_scalar_block_layout
                 workgroup_memory_explicit_layout8_bit_access workgroup_memory_explicit_layout16_bit_access;
            float_controls2: shader_float_controls2;
            map_placed: memory_map_placed;
            maximal_reconvergence: shader_maximal_reconvergence;
            subgroup_rotate: shader_subgroup_rotate shader_subgroup_rotate_clustered;
            uniform_control_flow: shader_subgroup_uniform_control_flow;
        }
        wanted
    }

    /// The names of the features without which no kernel runs and which are missing here.
    pub(crate) fn missing(&self) -> Vec<String> {
        let mut features = *self;
        NEEDED
            .iter()
            .filter(|(_, field)| *field(&mut features) == vk::FALSE)
            .map(|(name, _)| (*name).to_owned())
            .collect()
    }

    /// Whether workgroup memory can be seen through aliased views of every type.
    pub(crate) fn aliased_workgroup_memory(&self) -> bool {
        self.explicit_layout.workgroup_memory_explicit_layout == vk::TRUE
            && self
                .explicit_layout
                .workgroup_memory_explicit_layout8_bit_access
                == vk::TRUE
            && self
                .explicit_layout
                .workgroup_memory_explicit_layout16_bit_access
                == vk::TRUE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_feature_is_named() {
        let names: Vec<_> = NEEDED.iter().map(|(name, _)| *name).collect();
        assert_eq!(Features::default().missing(), names);
        let mut all = Features::default();
        for (_, field) in NEEDED {
            *field(&mut all) = vk::TRUE;
        }
        assert!(all.missing().is_empty());
        for (name, field) in NEEDED {
            let mut without = all;
            *field(&mut without) = vk::FALSE;
            assert_eq!(without.missing(), [*name]);
        }
    }
}
