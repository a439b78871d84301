//! `malloc` and `free` in kernels.

#[macro_use]
mod common;

use common::in_child;
use cuda::exports::*;
use cuda_abi::*;
use std::ffi::{c_void, CStr};
use std::ptr::null_mut;

/// `take` gives thread t of the grid `24 + t * step` bytes, writes t into their first and last word and stores the pointer;
/// `check` counts the pointers behind which t still stands, and frees every one that is `rest` modulo `modulus`.
const PTX: &CStr = c".version 8.0
.target sm_80
.address_size 64
.extern .func (.param .b64 r) malloc(.param .b64 s);
.extern .func free(.param .b64 p);
.visible .entry take(.param .u64 pointers, .param .u32 step) {
    .reg .b32 %t, %n, %b, %step, %last; .reg .b64 %p, %out, %o, %size; .reg .pred %q;
    mov.u32 %t, %tid.x; mov.u32 %n, %ntid.x; mov.u32 %b, %ctaid.x; mad.lo.u32 %t, %b, %n, %t;
    ld.param.u64 %out, [pointers]; ld.param.u32 %step, [step];
    mul.wide.u32 %size, %t, %step; add.u64 %size, %size, 24;
    { .param .b64 s; .param .b64 r; st.param.b64 [s], %size; call (r), malloc, (s); ld.param.b64 %p, [r]; }
    mul.wide.u32 %o, %t, 8; add.u64 %out, %out, %o; st.global.u64 [%out], %p;
    setp.eq.u64 %q, %p, 0; @%q bra done;
    st.u32 [%p], %t; shr.u64 %size, %size, 2; shl.b64 %size, %size, 2; add.u64 %p, %p, %size; st.u32 [%p+-4], %t;
done: ret; }
.visible .entry check(.param .u64 pointers, .param .u64 count, .param .u32 step, .param .u32 modulus, .param .u32 rest) {
    .reg .b32 %t, %n, %b, %step, %v, %w, %m, %rest; .reg .b64 %p, %out, %o, %size, %c; .reg .pred %q;
    mov.u32 %t, %tid.x; mov.u32 %n, %ntid.x; mov.u32 %b, %ctaid.x; mad.lo.u32 %t, %b, %n, %t;
    ld.param.u64 %out, [pointers]; ld.param.u32 %step, [step]; ld.param.u64 %c, [count];
    mul.wide.u32 %o, %t, 8; add.u64 %out, %out, %o; ld.global.u64 %p, [%out];
    setp.eq.u64 %q, %p, 0; @%q bra done;
    mul.wide.u32 %size, %t, %step; add.u64 %size, %size, 24; shr.u64 %size, %size, 2; shl.b64 %size, %size, 2; add.u64 %size, %size, %p;
    ld.u32 %v, [%p]; ld.u32 %w, [%size+-4];
    setp.ne.u32 %q, %v, %t; @%q bra done; setp.ne.u32 %q, %w, %t; @%q bra done;
    red.global.add.u32 [%c], 1;
    ld.param.u32 %m, [modulus]; ld.param.u32 %rest, [rest]; rem.u32 %v, %t, %m; setp.ne.u32 %q, %v, %rest; @%q bra done;
    st.global.u64 [%out], 0;
    { .param .b64 a; st.param.b64 [a], %p; call free, (a); }
done: ret; }
";

/// Blocks and threads.
const GRID: (u32, u32) = (8, 96);
const THREADS: usize = 8 * 96;

struct Bench {
    take: CUfunction,
    check: CUfunction,
    pointers: CUdeviceptr,
    count: CUdeviceptr,
}

impl Bench {
    fn open(heap: usize) -> Self {
        let (mut context, mut module) = (CUcontext::NULL, CUmodule::NULL);
        let (mut take, mut check) = (CUfunction::NULL, CUfunction::NULL);
        let (mut pointers, mut count) = (0, 0);
        ok!(cuInit(0));
        ok!(cuDevicePrimaryCtxRetain(&mut context, 0));
        ok!(cuCtxSetCurrent(context));
        ok!(cuCtxSetLimit(CUlimit::MALLOC_HEAP_SIZE, heap));
        ok!(cuModuleLoadData(&mut module, PTX.as_ptr().cast()));
        ok!(cuModuleGetFunction(&mut take, module, c"take".as_ptr()));
        ok!(cuModuleGetFunction(&mut check, module, c"check".as_ptr()));
        ok!(cuMemAlloc_v2(&mut pointers, THREADS * 8));
        ok!(cuMemAlloc_v2(&mut count, 4));
        ok!(cuMemsetD8_v2(pointers, 0, THREADS * 8));
        Self {
            take,
            check,
            pointers,
            count,
        }
    }

    fn launch(&self, kernel: CUfunction, arguments: &mut [*mut c_void]) {
        let (blocks, threads) = GRID;
        let (stream, arguments) = (CUstream::NULL, arguments.as_mut_ptr());
        ok!(cuLaunchKernel(
            kernel,
            blocks,
            1,
            1,
            threads,
            1,
            1,
            0,
            stream,
            arguments,
            null_mut()
        ));
        ok!(cuCtxSynchronize());
    }

    /// The pointers that every thread got.
    fn take(&self, mut step: u32) -> Vec<u64> {
        let mut pointers = self.pointers;
        let arguments = &mut [(&raw mut pointers).cast(), (&raw mut step).cast()];
        self.launch(self.take, arguments);
        let mut found = vec![0u64; THREADS];
        let to = found.as_mut_ptr().cast();
        ok!(cuMemcpyDtoH_v2(to, self.pointers, THREADS * 8));
        found
    }

    /// How many threads find what they wrote; frees a part.
    fn check(&self, mut step: u32, mut modulus: u32, mut rest: u32) -> u32 {
        let (mut pointers, mut count) = (self.pointers, self.count);
        ok!(cuMemsetD8_v2(count, 0, 4));
        let arguments = &mut [
            (&raw mut pointers).cast(),
            (&raw mut count).cast(),
            (&raw mut step).cast(),
            (&raw mut modulus).cast(),
            (&raw mut rest).cast(),
        ];
        self.launch(self.check, arguments);
        let mut found = 0u32;
        ok!(cuMemcpyDtoH_v2((&raw mut found).cast(), count, 4));
        found
    }
}

fn size(thread: usize, step: u32) -> u64 {
    24 + thread as u64 * u64::from(step)
}

/// No two pieces overlap; every one is aligned as CUDA says.
fn assert_apart(pointers: &[u64], step: u32) {
    let mut pieces: Vec<(u64, u64)> = (0..)
        .zip(pointers)
        .filter(|(_, &p)| p != 0)
        .map(|(t, &p)| (p, p + size(t, step)))
        .collect();
    pieces.sort();
    assert!(pieces.iter().all(|p| p.0 % 16 == 0));
    assert!(pieces.windows(2).all(|w| w[0].1 <= w[1].0));
}

#[test]
fn memory_that_kernels_allocate_lasts_from_launch_to_launch() {
    in_child(
        "memory_that_kernels_allocate_lasts_from_launch_to_launch",
        &[],
        || {
            let bench = Bench::open(8 << 20);
            for step in [0, 4, 12] {
                let pointers = bench.take(step);
                assert!(pointers.iter().all(|&p| p != 0));
                assert_apart(&pointers, step);
                assert_eq!(bench.check(step, 3, 1), THREADS as u32);
                assert_eq!(bench.check(step, 1, 0), THREADS as u32 * 2 / 3);
                assert_eq!(bench.check(step, 1, 0), 0);
            }
            // As much as the heap holds, over and over: what is freed can be had again.
            for _ in 0..3 {
                let pointers = bench.take(20);
                assert!(pointers.iter().all(|&p| p != 0));
                assert_apart(&pointers, 20);
                assert_eq!(bench.check(20, 1, 0), THREADS as u32);
            }
        },
    );
}

#[test]
fn an_exhausted_heap_gives_null() {
    in_child("an_exhausted_heap_gives_null", &[], || {
        // The least that there is, of which the larger pieces do not all find room.
        const STEP: u32 = 256;
        let bench = Bench::open(4 << 20);
        let pointers = bench.take(STEP);
        let got = pointers.iter().filter(|&&p| p != 0).count();
        assert!(0 < got && got < THREADS, "{got}");
        assert_apart(&pointers, STEP);
        let bytes: u64 = (0..)
            .zip(&pointers)
            .filter(|(_, &p)| p != 0)
            .map(|(t, _)| size(t, STEP))
            .sum();
        assert!(bytes > 1 << 20, "{bytes}");
        assert_eq!(bench.check(STEP, 1, 0), got as u32);
        assert!(bench.take(0).iter().all(|&p| p != 0));
        // Its size is settled now.
        assert_eq!(
            // SAFETY: takes numbers.
            unsafe { cuCtxSetLimit(CUlimit::MALLOC_HEAP_SIZE, 16 << 20) },
            CUresult::INVALID_VALUE
        );
    });
}
