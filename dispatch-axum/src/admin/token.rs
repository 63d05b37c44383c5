//! The admin token: compared in constant time, and guessed at only a few times.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use dispatch_core::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::telemetry;

/// Wrong tokens that one address may show within [`WINDOW_SECONDS`].
const PER_ADDRESS: usize = 5;
/// Wrong tokens that all addresses together may show within [`WINDOW_SECONDS`].
const IN_TOTAL: usize = 30;
const WINDOW_SECONDS: i64 = 60;
/// How many addresses that showed the right token are remembered.
const KNOWN_ADDRESSES: usize = 16;

/// Compares tokens, and counts the wrong ones.
pub(crate) struct TokenGate {
    /// Of equal length for all tokens, so that the comparison does not tell the token's length.
    digest: [u8; 32],
    history: Mutex<History>,
}

/// What came of showing a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    Accepted,
    Wrong,
    /// Not even looked at.
    TooMany,
}

/// Bounded by the limits themselves: what is beyond them is not looked at, and so not added.
#[derive(Default)]
struct History {
    wrong: VecDeque<(Timestamp, Client)>,
    /// Addresses that showed the right token. Strangers who use up the total do not lock them out.
    known: VecDeque<Client>,
}

/// An address; of IPv6, the network that one subscriber gets. None: an address that is not known.
type Client = Option<IpAddr>;

impl TokenGate {
    pub(crate) fn new(token: &SecretString) -> Self {
        Self { digest: digest(token.expose_secret()), history: Mutex::default() }
    }

    /// Looks at a token, unless too many wrong ones were shown before.
    pub(crate) fn attempt(&self, address: Option<IpAddr>, token: &str, now: Timestamp) -> Attempt {
        let client = address.map(subscriber);
        // Held over the comparison, so that attempts made at the same time count one after the other.
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = if !history.may_try(client, now) {
            Attempt::TooMany
        } else if digest(token).ct_eq(&self.digest).into() {
            history.remember(client);
            Attempt::Accepted
        } else {
            history.wrong.push_back((now, client));
            Attempt::Wrong
        };
        drop(history);
        telemetry::login(match attempt {
            Attempt::Accepted => "accepted",
            Attempt::Wrong => "wrong",
            Attempt::TooMany => "too_many",
        });
        attempt
    }
}

impl History {
    fn may_try(&mut self, client: Client, now: Timestamp) -> bool {
        while self.wrong.front().is_some_and(|(time, _)| now.as_second() - time.as_second() >= WINDOW_SECONDS) {
            self.wrong.pop_front();
        }
        let own = self.wrong.iter().filter(|(_, other)| *other == client).count();
        own < PER_ADDRESS && (self.wrong.len() < IN_TOTAL || self.known.contains(&client))
    }

    fn remember(&mut self, client: Client) {
        if !self.known.contains(&client) {
            self.known.push_back(client);
            if self.known.len() > KNOWN_ADDRESSES {
                self.known.pop_front();
            }
        }
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn subscriber(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "correct horse battery staple";

    fn gate() -> TokenGate {
        TokenGate::new(&TOKEN.into())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn from(address: &str) -> Option<IpAddr> {
        Some(address.parse().unwrap())
    }

    #[test]
    fn the_right_token_is_accepted_and_another_is_not() {
        assert_eq!(gate().attempt(from("192.0.2.1"), TOKEN, at(0)), Attempt::Accepted);
        assert_eq!(gate().attempt(from("192.0.2.1"), "correct horse", at(0)), Attempt::Wrong);
        assert_eq!(gate().attempt(from("192.0.2.1"), "", at(0)), Attempt::Wrong);
    }

    #[test]
    fn an_address_that_guesses_is_not_listened_to_for_a_minute_even_when_it_guesses_right() {
        let gate = gate();
        for _ in 0..PER_ADDRESS {
            assert_eq!(gate.attempt(from("2001:db8::1"), "guess", at(0)), Attempt::Wrong);
        }
        assert_eq!(gate.attempt(from("2001:db8::2"), TOKEN, at(1)), Attempt::TooMany, "the same subscriber");
        assert_eq!(gate.attempt(from("192.0.2.1"), TOKEN, at(1)), Attempt::Accepted, "somebody else");
        assert_eq!(gate.attempt(from("2001:db8::1"), TOKEN, at(60)), Attempt::Accepted, "a minute later");
    }

    #[test]
    fn many_addresses_that_guess_together_lock_out_strangers_but_not_those_who_were_in_before() {
        let gate = gate();
        assert_eq!(gate.attempt(from("192.0.2.1"), TOKEN, at(0)), Attempt::Accepted);
        for n in 0..IN_TOTAL {
            assert_eq!(gate.attempt(from(&format!("198.51.100.{n}")), "guess", at(0)), Attempt::Wrong);
        }
        assert_eq!(gate.attempt(from("203.0.113.1"), TOKEN, at(1)), Attempt::TooMany);
        assert_eq!(gate.attempt(from("192.0.2.1"), TOKEN, at(1)), Attempt::Accepted);
    }
}
