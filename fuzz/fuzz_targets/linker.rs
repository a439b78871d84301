#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vkcuda_fuzz::linker(data));
