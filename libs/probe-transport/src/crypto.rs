//! The cryptography of every handshake.

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs as chosen;

/// What handshakes may use. A post-quantum key exchange is left out: it costs as much as the rest of a handshake's first
/// flight, although what a check fetches need not stay secret for decades.
pub fn provider() -> CryptoProvider {
    let kx_groups = vec![chosen::kx_group::X25519, chosen::kx_group::SECP256R1, chosen::kx_group::SECP384R1];
    let mut provider = CryptoProvider { kx_groups, ..chosen::default_provider() };
    // AES with 128 bits first, as browsers have it; the order is kept otherwise.
    provider.cipher_suites.sort_by_key(|suite| format!("{:?}", suite.suite()).contains("AES_256"));
    provider
}
