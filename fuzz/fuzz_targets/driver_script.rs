#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| grantflow_tests::fuzz::driver_script(input));
