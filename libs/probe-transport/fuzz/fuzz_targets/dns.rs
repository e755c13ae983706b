//! Any bytes as the answer of a resolver.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probe_transport::message::{Family, answer, question};

fuzz_target!(|data: &[u8]| {
    for family in [Family::V4, Family::V6] {
        let Some(asked) = question(0x1234, "www.example.org", family) else { return };
        let _ = answer(data, &asked, family);
        // The rest of an answer that is the question's.
        let counted = [&asked[..2], &[0x81, 0x80, 0, 1, 0, 9, 0, 0, 0, 0], &asked[12..], data].concat();
        let _ = answer(&counted, &asked, family);
    }
});
