//! Tickets and sessions, by their tokens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use wire::derive::KeyId;
use wire::webproxy::Token;
use wire::webproxy::token::{Redeemed, Tickets};

use super::session::Session;

/// How many sessions a key may have at a time; with one more its oldest ends. An app has one.
const MOST_OF_ONE: usize = 16;

/// What the WEB proxy of a relay has at hand.
pub(crate) struct Bridge {
    /// How many sessions there may be in all; with one more the oldest ends.
    most: usize,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    tickets: Tickets<KeyId>,
    /// With a number that grows.
    sessions: HashMap<Token, (u64, Arc<Session>)>,
    last: u64,
}

impl Bridge {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, table: Mutex::default() }
    }

    /// How many sessions there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().sessions.len()
    }

    /// A ticket for a page.
    pub(super) fn issue(&self, key: KeyId) -> Token {
        self.lock().tickets.issue(key, Instant::now())
    }

    /// Whose ticket this is.
    pub(super) fn owner(&self, ticket: &Token) -> Option<KeyId> {
        self.lock().tickets.owner(ticket, Instant::now()).copied()
    }

    /// Redeems a ticket: the token of the session that it opens, or has opened.
    pub(super) fn redeem(
        &self,
        ticket: &Token,
        begin: impl FnOnce(Token) -> Arc<Session>,
    ) -> Option<Token> {
        let mut table = self.lock();
        let token = match table.tickets.redeem(ticket, Instant::now())? {
            Redeemed::Again(token) => return Some(token),
            Redeemed::First(_, token) => token,
        };
        drop(table);
        self.start(begin(token));
        Some(token)
    }

    /// Lists a session and starts it.
    pub(super) fn start(&self, session: Arc<Session>) {
        let out = {
            let table = &mut *self.lock();
            let all = || table.sessions.values();
            let own = || all().filter(|(_, other)| other.key == session.key);
            let oldest = if own().count() >= MOST_OF_ONE {
                own().min_by_key(|(number, _)| *number)
            } else if table.sessions.len() >= self.most {
                all().min_by_key(|(number, _)| *number)
            } else {
                None
            };
            let out = oldest.map(|(_, oldest)| Arc::clone(oldest));
            table.last += 1;
            table.sessions.insert(session.token, (table.last, Arc::clone(&session)));
            out
        };
        if let Some(out) = out {
            out.end();
        }
        session.start();
    }

    pub(super) fn find(&self, token: &Token) -> Option<Arc<Session>> {
        self.lock().sessions.get(token).map(|(_, session)| Arc::clone(session))
    }

    pub(super) fn forget(&self, token: &Token) {
        self.lock().sessions.remove(token);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
