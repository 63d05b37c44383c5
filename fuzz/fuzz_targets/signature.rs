//! A header verifies if and only if it is the signature of the body.
#![no_main]

use dispatch_core::webhook::WebhookSecrets;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let secrets: WebhookSecrets = "It's a Secret to Everybody".parse().expect("a secret");
    let at = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (header, body) = (&input[..at], &input[at..]);

    let signature = secrets.sign(body);
    assert_eq!(secrets.verify(Some(signature.as_bytes()), body), Ok(0));
    assert!(secrets.verify(None, body).is_err());

    // Upper-case digits are the same number; the prefix is a word, and has no other case.
    let right =
        header.strip_prefix(b"sha256=").is_some_and(|digits| digits.eq_ignore_ascii_case(&signature.as_bytes()[7..]));
    assert_eq!(secrets.verify(Some(header), body).is_ok(), right, "{:?}", String::from_utf8_lossy(header));

    // One flipped bit anywhere in the signature or the body is refused.
    let bit = input.len();
    let mut forged = signature.into_bytes();
    let place = 7 + bit % (forged.len() - 7);
    forged[place] = if forged[place] == b'0' { b'1' } else { b'0' };
    assert!(secrets.verify(Some(&forged), body).is_err());
});
