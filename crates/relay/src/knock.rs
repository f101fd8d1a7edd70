//! A guest's way into a datacentre, up to its first answer.
//!
//! That an address accepts a connection does not mean that anybody is behind it. So what the guest
//! says is kept until the datacentre has answered, and said again at the next address if it does
//! not. Nothing is lost by that: a datacentre ignores a message that it has seen before.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use wire::ctr::Ctr;
use wire::mtproto::Datacentre;
use wire::mtproto::obfuscated::{Dial, Opened};
use wire::tls::record::{BadRecord, Unframer};

use crate::connection::Guest;
use crate::tally::Meter;
use crate::{Notice, Shared, pump};

/// How long a datacentre may take for its first answer: many round trips to the other side of the
/// world.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many addresses are asked; the last one is waited for as long as the guest likes.
const ADDRESSES: usize = 3;
/// How much of what the guest says is kept, in bytes; beyond that, we settle for the address that
/// we have.
const MOST: usize = 16 << 10;

/// Where a guest's bytes come from, as they were sent.
pub(crate) trait Line: Sync {
    /// Appends what has come, waiting for it where there is nothing; an end is an error. May be
    /// broken off without losing anything.
    fn more(&self, into: &mut Vec<u8>) -> impl Future<Output = io::Result<()>> + Send;
}

impl Line for TcpStream {
    async fn more(&self, into: &mut Vec<u8>) -> io::Result<()> {
        pump::read_some(self, into).await
    }
}

/// A datacentre that has answered, and what changes the guest's next bytes into its own.
pub(crate) struct Way<L> {
    pub line: L,
    pub upstream: TcpStream,
    pub upward: pump::Upward,
}

/// Opens the guest's connection to Telegram; `None` when nobody answers, or the guest is gone.
pub(crate) async fn knock(
    shared: Arc<Shared>,
    client: TcpStream,
    guest: Box<Guest>,
    meter: Arc<Meter>,
) -> Option<Box<pump::Telegram>> {
    let Way { line: client, upstream, upward } = find(&shared, client, guest, &meter).await?;
    Some(Box::new(pump::Telegram { client, upstream, upward, meter }))
}

/// The same for a guest on any line.
pub(crate) async fn find<L: Line>(
    shared: &Shared,
    line: L,
    guest: Box<Guest>,
    meter: &Meter,
) -> Option<Way<L>> {
    let Guest { mut opened, dress, early: mut said, .. } = *guest;
    opened.from_client.apply(&mut said);
    let mut speaker = Speaker { line, opened, dress, said };
    let datacentre = speaker.opened.dc.datacentre();
    // Not by way of here: see [`crate::inside`].
    if datacentre == Datacentre::Hub {
        return None;
    }
    for left in (0..ADDRESSES).rev() {
        let Some((upstream, address)) = shared.dialer.dial(shared.endpoints(datacentre)).await
        else {
            shared.notices.say(Notice::Unreachable(datacentre));
            return None;
        };
        pump::tune(&upstream);
        match speaker.speak(&upstream, left == 0).await {
            Ok(Some(to_server)) => {
                let Speaker { line, opened, dress, said } = speaker;
                meter.flow().add_up(said.len());
                let from_client = opened.from_client;
                let upward = pump::Upward { from_client, to_server, dress };
                return Some(Way { line, upstream, upward });
            }
            Ok(None) => shared.dialer.mark_silent(address),
            Err(BadRecord) => return None,
        }
    }
    None
}

/// A guest, and what they have said so far.
struct Speaker<L> {
    line: L,
    opened: Opened,
    dress: Option<Unframer>,
    /// In the clear as far as we see it: Telegram's own encryption is inside.
    said: Vec<u8>,
}

impl<L: Line> Speaker<L> {
    /// Says everything to `upstream`, and what the guest adds to it, until there is an answer or
    /// need be none: the encryption goes on from there. `None` when there is no answer.
    async fn speak(
        &mut self,
        upstream: &TcpStream,
        is_last: bool,
    ) -> Result<Option<Ctr>, BadRecord> {
        let Dial { flight, mut to_server, .. } = Dial::fast(&self.opened);
        let mut words = self.said.clone();
        to_server.apply(&mut words);
        if pump::write_all(upstream, &[&flight[..], &words].concat()).await.is_err() {
            return Ok(None);
        }
        let mut until = Instant::now() + PATIENCE;
        while !is_last && self.said.len() <= MOST {
            let (mut words, mut first) = (Vec::new(), [0]);
            tokio::select! {
                biased;
                // Whatever it is, an end or an error included: the pump passes it on.
                _answer = upstream.peek(&mut first) => return Ok(Some(to_server)),
                more = self.line.more(&mut words) => if more.is_err() {
                    // The pump will see the same end, and knows what to do about it.
                    return Ok(Some(to_server));
                },
                // Who was not asked anything owes no answer.
                () = sleep_until(until), if !self.said.is_empty() => return Ok(None),
            }
            // Perhaps it was not a whole message until now.
            until = Instant::now() + PATIENCE;
            let length = pump::undress(&mut self.dress, &mut self.opened.from_client, &mut words)?;
            self.said.extend_from_slice(&words[..length]);
            to_server.apply(&mut words[..length]);
            if pump::write_all(upstream, &words[..length]).await.is_err() {
                return Ok(None);
            }
        }
        Ok(Some(to_server))
    }
}
