//! Random tokens: the one in a bridge page that opens one session, and the one of that session.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

use aws_lc_rs::constant_time;
use data_encoding::BASE64URL_NOPAD;

/// How long the token of a bridge page is good.
pub const LIFETIME: Duration = Duration::from_secs(120);
/// How many of them there may be; with one more the oldest ends.
pub const MAX_TICKETS: usize = 4096;
/// How many of them one owner may have; with one more their oldest ends.
pub const MAX_OF_ONE: usize = 16;

/// 32 random bytes. Compared and hashed like a [`Capability`](super::Capability).
#[derive(Clone, Copy)]
pub struct Token([u8; 32]);

impl Token {
    /// A new one, from the machine's randomness.
    #[must_use]
    pub fn generate() -> Self {
        let mut bytes = [0; 32];
        crate::fill_random(&mut bytes);
        Self(bytes)
    }

    /// As it stands in a request: 43 letters, digits, `-` and `_`.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        if text.len() != 43 {
            return None;
        }
        Some(Self(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()?))
    }

    /// As it stands in a request.
    #[must_use]
    pub fn written(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for Token {}

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0[..8].hash(state);
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What a ticket is good for.
#[derive(PartialEq, Eq, Debug)]
pub enum Redeemed<'a, K> {
    /// The owner may open a session, and this is to be its token.
    First(&'a K, Token),
    /// It has opened this one, and asks again: the answer was lost.
    Again(Token),
}

struct Ticket<K> {
    owner: K,
    until: Instant,
    session: Option<Token>,
}

/// The tokens of bridge pages that have not run out, and whose they are.
pub struct Tickets<K> {
    all: HashMap<Token, Ticket<K>>,
    order: VecDeque<Token>,
}

impl<K> Default for Tickets<K> {
    fn default() -> Self {
        Self { all: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: PartialEq> Tickets<K> {
    /// One more, for a bridge page that is about to be sent.
    pub fn issue(&mut self, owner: K, now: Instant) -> Token {
        self.forget(now);
        let own: Vec<Token> =
            self.order.iter().filter(|token| self.all[token].owner == owner).copied().collect();
        let oldest = if own.len() >= MAX_OF_ONE {
            own.first().copied()
        } else if self.order.len() >= MAX_TICKETS {
            self.order.front().copied()
        } else {
            None
        };
        if let Some(oldest) = oldest {
            self.all.remove(&oldest);
            self.order.retain(|token| *token != oldest);
        }
        let token = Token::generate();
        self.all.insert(token, Ticket { owner, until: now + LIFETIME, session: None });
        self.order.push_back(token);
        token
    }

    /// Whose a token is, if it has not run out.
    pub fn owner(&mut self, token: &Token, now: Instant) -> Option<&K> {
        self.forget(now);
        self.all.get(token).map(|ticket| &ticket.owner)
    }

    /// What a token is good for: one session, told again if it is asked again. `None` if it is
    /// nobody's, or has run out.
    pub fn redeem(&mut self, token: &Token, now: Instant) -> Option<Redeemed<'_, K>> {
        self.forget(now);
        let ticket = self.all.get_mut(token)?;
        if let Some(session) = ticket.session {
            return Some(Redeemed::Again(session));
        }
        let session = Token::generate();
        ticket.session = Some(session);
        Some(Redeemed::First(&ticket.owner, session))
    }

    fn forget(&mut self, now: Instant) {
        while let Some(oldest) = self.order.front()
            && self.all[oldest].until <= now
        {
            self.all.remove(oldest);
            self.order.pop_front();
        }
    }
}

impl<K> fmt::Debug for Tickets<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tickets({})", self.order.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_opens_one_session_however_often_it_is_shown() {
        let (mut tickets, now) = (Tickets::default(), Instant::now());
        let token = tickets.issue("Aigül", now);
        assert_eq!(Token::read(&token.written()), Some(token));
        let Some(Redeemed::First(owner, session)) = tickets.redeem(&token, now) else {
            panic!("not redeemed");
        };
        assert_eq!(*owner, "Aigül");
        assert_eq!(tickets.redeem(&token, now + LIFETIME / 2), Some(Redeemed::Again(session)));
        assert_eq!(tickets.redeem(&Token::generate(), now), None);
    }

    #[test]
    fn a_ticket_runs_out() {
        let (mut tickets, now) = (Tickets::default(), Instant::now());
        let token = tickets.issue(1, now);
        assert_eq!(tickets.redeem(&token, now + LIFETIME), None);
        assert!(tickets.all.is_empty() && tickets.order.is_empty());
    }

    #[test]
    fn tickets_are_bounded_for_one_and_for_all() {
        let (mut tickets, now) = (Tickets::default(), Instant::now());
        let others = tickets.issue(0, now);
        let own: Vec<Token> = (0..=MAX_OF_ONE).map(|_| tickets.issue(1, now)).collect();
        assert_eq!(tickets.redeem(&own[0], now), None, "one's oldest");
        assert!(tickets.redeem(&own[1], now).is_some());
        for owner in 2..=MAX_TICKETS {
            tickets.issue(owner, now);
        }
        assert_eq!(tickets.redeem(&others, now), None, "the oldest of all");
        assert_eq!((tickets.all.len(), tickets.order.len()), (MAX_TICKETS, MAX_TICKETS));
    }
}
