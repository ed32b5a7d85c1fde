#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mtcmcn_fuzz::run("labelme", bytes));
