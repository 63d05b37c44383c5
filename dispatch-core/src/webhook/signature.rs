//! The signature: HMAC-SHA256 over the body, as `sha256=` and hexadecimal digits.

use std::fmt::Write;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The webhook secrets in force: several while one is replaced by another.
#[derive(Debug, Clone)]
pub struct WebhookSecrets {
    /// Never empty, and none of them is.
    secrets: Vec<SecretString>,
}

/// A setting is not a list of secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is empty, or has an empty element between its commas")]
pub struct SecretsError;

impl FromStr for WebhookSecrets {
    type Err = SecretsError;

    /// Reads `GITHUB_WEBHOOK_SECRET`: the whole text is one secret, and where it has commas, each part is one too.
    /// White space around a part does not belong to it.
    fn from_str(text: &str) -> Result<Self, SecretsError> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(SecretsError);
        }
        let listed = parts.into_iter().filter(|part| *part != text);
        Ok(Self { secrets: std::iter::once(text).chain(listed).map(SecretString::from).collect() })
    }
}

/// A signature is missing, malformed or wrong. Which of them is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is missing or wrong")]
pub struct SignatureError;

impl WebhookSecrets {
    /// Checks `X-Hub-Signature-256` against the body ("Validating webhook deliveries"). Answers the position of the
    /// secret that matched: 0 for the whole setting, then its parts in order.
    ///
    /// The HMAC is computed for every secret whatever is wrong with the header, and compared in constant time, so that
    /// the time it takes tells nothing. Upper-case digits are accepted, although GitHub sends lower case.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, signature: Option<&[u8]>, body: &[u8]) -> Result<usize, SignatureError> {
        let claimed = signature.and_then(decode);
        let mut matched = None;
        for (position, secret) in self.secrets.iter().enumerate() {
            let same = digest(secret, body).ct_eq(&claimed.unwrap_or_default());
            if bool::from(same) && claimed.is_some() && matched.is_none() {
                matched = Some(position);
            }
        }
        matched.ok_or(SignatureError)
    }

    /// The signature that GitHub would send for the body, with the first secret: for tests and for the emulator.
    #[must_use]
    pub fn sign(&self, body: &[u8]) -> String {
        let mut signature = String::from(PREFIX);
        for byte in self.secrets.first().map(|secret| digest(secret, body)).into_iter().flatten() {
            // Writing to a String cannot fail.
            let _ = write!(signature, "{byte:02x}");
        }
        signature
    }
}

const PREFIX: &str = "sha256=";

type Digest = [u8; 32];

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104, section 2)")]
fn digest(secret: &SecretString, body: &[u8]) -> Digest {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).expect("any key length");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

fn decode(header: &[u8]) -> Option<Digest> {
    let (pairs, []) = header.strip_prefix(PREFIX.as_bytes())?.as_chunks::<2>() else { return None };
    let mut digest = Digest::default();
    if pairs.len() != digest.len() {
        return None;
    }
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        *byte = hex(*high)? << 4 | hex(*low)?;
    }
    Some(digest)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of GitHub's documentation ("Testing the webhook payload validation").
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn secrets(text: &str) -> WebhookSecrets {
        text.parse().unwrap()
    }

    #[test]
    fn only_the_signature_of_this_body_by_this_secret_is_right() {
        let upper = SIGNATURE.to_uppercase().replace("SHA256", "sha256");
        type Case<'a> = (&'a str, Option<&'a [u8]>, &'a [u8], bool);
        let cases: [Case<'_>; 13] = [
            ("github's example", Some(SIGNATURE.as_bytes()), BODY, true),
            ("upper-case digits", Some(upper.as_bytes()), BODY, true),
            ("another body", Some(SIGNATURE.as_bytes()), b"Hello, World", false),
            ("a trailing newline", Some(SIGNATURE.as_bytes()), b"Hello, World!\n", false),
            ("no header", None, BODY, false),
            ("an empty header", Some(b""), BODY, false),
            ("only the prefix", Some(b"sha256="), BODY, false),
            ("no prefix", Some(&SIGNATURE.as_bytes()[7..]), BODY, false),
            ("a digit too few", Some(&SIGNATURE.as_bytes()[..70]), BODY, false),
            ("a byte too few", Some(&SIGNATURE.as_bytes()[..69]), BODY, false),
            ("no digits", Some(&[b'g'; 71]), BODY, false),
            ("all zero", Some(&[b"sha256=".as_slice(), &[b'0'; 64]].concat()), BODY, false),
            ("not UTF-8", Some(&[0xff; 71]), BODY, false),
        ];
        for (name, header, body, right) in cases {
            assert_eq!(secrets(SECRET).verify(header, body).is_ok(), right, "{name}");
        }
    }

    #[test]
    fn a_secret_with_commas_is_tried_whole_and_in_parts() {
        let both = secrets("old, new");
        assert_eq!(both.verify(Some(secrets("old, new").sign(BODY).as_bytes()), BODY), Ok(0));
        assert_eq!(both.verify(Some(secrets("old").sign(BODY).as_bytes()), BODY), Ok(1));
        assert_eq!(both.verify(Some(secrets("new").sign(BODY).as_bytes()), BODY), Ok(2));
        assert_eq!(both.verify(Some(secrets("older").sign(BODY).as_bytes()), BODY), Err(SignatureError));
    }

    #[test]
    fn an_empty_secret_is_refused() {
        for text in ["", " ", ",", "a,", ",a", "a,,b", "a, ,b"] {
            assert_eq!(text.parse::<WebhookSecrets>().err(), Some(SecretsError), "{text:?}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        assert!(!format!("{:?}", secrets("hush,hush2")).contains("hush"));
    }
}
