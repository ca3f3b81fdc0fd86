#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| grantflow_stores::fuzz::store_file(input));
