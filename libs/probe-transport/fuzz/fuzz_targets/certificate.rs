//! Any bytes as a certificate.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = probe_transport::certificate::Certificate::read(data);
});
