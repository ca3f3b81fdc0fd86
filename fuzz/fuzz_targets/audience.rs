#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| grantflow_core::testing::fuzz::audience(input));
