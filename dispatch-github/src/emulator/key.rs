//! The key of the emulator's App. It is published here, so it must never stand for a real App.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

/// The private key, 2048 bits, PKCS#1. Everybody has it.
pub(super) const PRIVATE_PEM: &str = include_str!("key.pem");
const PUBLIC_PEM: &str = include_str!("key.pub.pem");

/// Whether a private key, or one of several, is the emulator's, however it is written: what it signs, the emulator's public
/// key verifies.
///
/// A service that talks to the real GitHub must refuse this key: with it, anybody could act as its App.
///
/// ```
/// use dispatch_github::emulator::is_emulator_key;
/// assert!(!is_emulator_key("not a key"));
/// ```
#[must_use]
pub fn is_emulator_key(pem: &str) -> bool {
    crate::app::pem_blocks(pem).into_iter().any(is_emulators)
}

fn is_emulators(pem: &str) -> bool {
    let message = b"whose key is this";
    let signature = EncodingKey::from_rsa_pem(pem.as_bytes())
        .and_then(|key| jsonwebtoken::crypto::sign(message, &key, Algorithm::RS256));
    let verified = signature
        .and_then(|signature| jsonwebtoken::crypto::verify(&signature, message, &public_key()?, Algorithm::RS256));
    verified.unwrap_or(false)
}

pub(super) fn public_key() -> Result<DecodingKey, jsonwebtoken::errors::Error> {
    DecodingKey::from_rsa_pem(PUBLIC_PEM.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_emulators_key_is_known_and_another_is_not() {
        assert!(is_emulator_key(PRIVATE_PEM));
        assert!(is_emulator_key(&PRIVATE_PEM.replace('\n', "\r\n")));
        assert!(!is_emulator_key(PUBLIC_PEM));
        let other = include_str!("../../tests/test-only-app-key.pem");
        assert!(!is_emulator_key(other));
        assert!(is_emulator_key(&format!("{other}{PRIVATE_PEM}")), "as the second of two keys");
        assert!(!is_emulator_key(""));
    }
}
