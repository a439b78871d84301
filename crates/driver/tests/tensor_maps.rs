//! Tensor maps: made by the driver, passed to kernels as parameters.

#[macro_use]
mod common;

use common::{allocate, in_child, primary};
use cuda::exports::*;
use cuda_abi::*;
use std::ffi::{c_void, CStr};
use std::ptr::{null, null_mut};

const PTX: &CStr = c"
.version 8.3
.target sm_90
.address_size 64

// out = the box of 16 by 4 words at (x, y)
.visible .entry load(.param .align 64 .b8 map[128], .param .u64 out, .param .u32 x, .param .u32 y) {
    .shared .align 128 .b8 part[256]; .shared .align 8 .b64 done;
    .reg .pred %p<3>; .reg .b32 %r<10>; .reg .b64 %rd<8>;
    mov.b64 %rd1, map;
    cvta.param.u64 %rd2, %rd1;
    ld.param.u64 %rd3, [out];
    ld.param.u32 %r1, [x];
    ld.param.u32 %r2, [y];
    mov.u32 %r3, %tid.x;
    mov.u32 %r4, part;
    mov.u32 %r5, done;
    setp.ne.u32 %p1, %r3, 0;
    @%p1 bra ready;
    mbarrier.init.shared.b64 [%r5], 1;
    fence.proxy.async;
    mbarrier.arrive.expect_tx.shared.b64 %rd4, [%r5], 256;
    cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r4], [%rd2, {%r1, %r2}], [%r5];
ready:
    bar.sync 0;
again:
    mbarrier.try_wait.parity.shared.b64 %p2, [%r5], 0;
    @!%p2 bra again;
    shl.b32 %r6, %r3, 2;
    add.u32 %r7, %r4, %r6;
    ld.shared.b32 %r8, [%r7];
    cvt.u64.u32 %rd5, %r6;
    add.u64 %rd3, %rd3, %rd5;
    st.global.b32 [%rd3], %r8;
    ret;
}
";

/// `CU_TENSOR_MAP_DATA_TYPE_INT32`, `_UINT8`, `_FLOAT32`.
const INT32: u32 = 3;
const UINT8: u32 = 0;
const FLOAT32: u32 = 7;

/// The arguments of a map of words, 40 by 10, in boxes of 16 by 4.
#[derive(Clone, Copy)]
struct Arguments {
    data_type: u32,
    rank: u32,
    address: u64,
    dimensions: [u64; 2],
    strides: [u64; 1],
    in_box: [u32; 2],
    steps: [u32; 2],
    interleave: u32,
    swizzle: u32,
    fill: u32,
}

impl Arguments {
    fn encode(&self, map: &mut CUtensorMap) -> CUresult {
        // SAFETY: lists of as many entries as there are dimensions.
        unsafe {
            cuTensorMapEncodeTiled(
                map,
                self.data_type,
                self.rank,
                self.address as *mut c_void,
                self.dimensions.as_ptr(),
                self.strides.as_ptr(),
                self.in_box.as_ptr(),
                self.steps.as_ptr(),
                self.interleave,
                self.swizzle,
                0,
                self.fill,
            )
        }
    }
}

#[test]
fn maps_are_made_and_passed() {
    in_child("maps_are_made_and_passed", &[], || {
        primary();
        let (mut module, mut function) = (CUmodule::NULL, CUfunction::NULL);
        ok!(cuModuleLoadData(&mut module, PTX.as_ptr().cast()));
        ok!(cuModuleGetFunction(&mut function, module, c"load".as_ptr()));
        let [tensor, other, out] = [4096, 4096, 256].map(allocate);
        let words: Vec<i32> = (0..1024).collect();
        ok!(cuMemcpyHtoD_v2(tensor, words.as_ptr().cast(), 4096));
        let negative: Vec<i32> = words.iter().map(|n| -n).collect();
        ok!(cuMemcpyHtoD_v2(other, negative.as_ptr().cast(), 4096));
        let good = Arguments {
            data_type: INT32,
            rank: 2,
            address: tensor,
            dimensions: [40, 10],
            strides: [192],
            in_box: [16, 4],
            steps: [1, 1],
            interleave: 0,
            swizzle: 0,
            fill: 0,
        };
        let mut map = CUtensorMap { opaque: [0; 16] };
        assert_eq!(good.encode(&mut map), CUresult::SUCCESS);
        let load = |map: &CUtensorMap, x: i32, y: i32| -> Vec<i32> {
            let (mut map, mut out, mut x, mut y) = (*map, out, x, y);
            let mut parameters: [*mut c_void; 4] = [
                (&raw mut map).cast(),
                (&raw mut out).cast(),
                (&raw mut x).cast(),
                (&raw mut y).cast(),
            ];
            ok!(cuLaunchKernel(
                function,
                1,
                1,
                1,
                64,
                1,
                1,
                0,
                CUstream::NULL,
                parameters.as_mut_ptr(),
                null_mut()
            ));
            let mut got = vec![0; 64];
            ok!(cuMemcpyDtoH_v2(got.as_mut_ptr().cast(), out, 256));
            got
        };
        // Partly outside, on three sides.
        for (x, y) in [(0, 0), (3, 2), (30, 8), (-5, -2), (100, 0)] {
            let expected: Vec<i32> = (0..64)
                .map(|n| {
                    let (x, y) = (x + n % 16, y + n / 16);
                    match (0..40).contains(&x) && (0..10).contains(&y) {
                        true => 48 * y + x,
                        false => 0,
                    }
                })
                .collect();
            assert_eq!(load(&map, x, y), expected, "{x}, {y}");
        }
        ok!(cuTensorMapReplaceAddress(&mut map, other as *mut c_void));
        assert_eq!(load(&map, 1, 1)[..3], [-49, -50, -51]);
        fails!(
            cuTensorMapReplaceAddress(&mut map, (other + 4) as *mut c_void),
            INVALID_VALUE
        );
        let mut none = CUtensorMap { opaque: [0; 16] };
        fails!(
            cuTensorMapReplaceAddress(&mut none, other as *mut c_void),
            INVALID_VALUE
        );

        for (what, wrong) in [
            ("rank", Arguments { rank: 6, ..good }),
            (
                "type",
                Arguments {
                    data_type: 99,
                    ..good
                },
            ),
            (
                "address",
                Arguments {
                    address: tensor + 8,
                    ..good
                },
            ),
            (
                "dimension",
                Arguments {
                    dimensions: [40, 0],
                    ..good
                },
            ),
            (
                "stride",
                Arguments {
                    strides: [200],
                    ..good
                },
            ),
            (
                "box",
                Arguments {
                    in_box: [16, 257],
                    ..good
                },
            ),
            (
                "row",
                Arguments {
                    in_box: [5, 4],
                    ..good
                },
            ),
            (
                "steps",
                Arguments {
                    steps: [1, 9],
                    ..good
                },
            ),
            ("swizzle", Arguments { swizzle: 1, ..good }),
            (
                "layout",
                Arguments {
                    interleave: 7,
                    ..good
                },
            ),
            ("fill", Arguments { fill: 1, ..good }),
        ] {
            assert_eq!(wrong.encode(&mut map), CUresult::INVALID_VALUE, "{what}");
        }
        let nan = Arguments {
            data_type: FLOAT32,
            fill: 1,
            ..good
        };
        assert_eq!(nan.encode(&mut map), CUresult::SUCCESS);
        let bytes = Arguments {
            data_type: UINT8,
            in_box: [32, 4],
            swizzle: 1,
            ..good
        };
        assert_eq!(bytes.encode(&mut map), CUresult::SUCCESS);
        let interleaved = Arguments {
            interleave: 1,
            ..good
        };
        assert_eq!(interleaved.encode(&mut map), CUresult::NOT_SUPPORTED);
        let atoms = Arguments { swizzle: 4, ..good };
        assert_eq!(atoms.encode(&mut map), CUresult::NOT_SUPPORTED);
        // SAFETY: null is what is asked about.
        let result = unsafe {
            cuTensorMapEncodeTiled(
                null_mut(),
                INT32,
                1,
                tensor as *mut c_void,
                null(),
                null(),
                null(),
                null(),
                0,
                0,
                0,
                0,
            )
        };
        assert_eq!(result, CUresult::INVALID_VALUE);
    });
}
