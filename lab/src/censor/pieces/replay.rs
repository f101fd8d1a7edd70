//! Answers that were given before.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::censor::{
    ACK, Border, Flow, Flows, Packet, Piece, Segment, Transport, Verdict, Way, forge,
};

/// Answers in a server's place, over TCP and UDP, with bytes that it has seen before. The server hears
/// nothing of it.
///
/// ```no_run
/// # use lab::censor::{Censor, Replay};
/// # fn example(inside: &lab::Network) -> lab::Result {
/// // The first answer of each server passes; it is all that anybody hears from then on.
/// let censor = Censor::on(inside).piece(Replay::recorded()).start()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Replay {
    /// The first that each server said, where that is what is replayed.
    recorded: Option<HashMap<(Transport, IpAddr), Vec<u8>>>,
    /// The connections that are answered here, each with the number of its first byte.
    caught: Flows<Option<u32>>,
}

impl Replay {
    /// Answers with what was just said; over TCP nothing that gets lost is said again.
    #[must_use]
    pub fn own_words() -> Self {
        Self { recorded: None, caught: Flows::default() }
    }

    /// Answers with the first packet that said anything of those that came from the same address over the
    /// same transport, whatever the port; once there was one. Connections that were there before go on.
    #[must_use]
    pub fn recorded() -> Self {
        Self { recorded: Some(HashMap::new()), caught: Flows::default() }
    }

    /// What is answered to these words of a flow.
    fn answer(&self, flow: Flow, words: &[u8]) -> Option<Vec<u8>> {
        match &self.recorded {
            None => Some(words.to_vec()),
            Some(answers) => answers.get(&(flow.transport, flow.outside.ip())).cloned(),
        }
    }

    /// What is answered to a segment of a connection of which `begun` was the first byte.
    fn segment(&self, flow: Flow, seen: Segment, words: &[u8], begun: u32) -> Option<Vec<u8>> {
        let answer = self.answer(flow, words)?;
        let say = match self.recorded {
            _ if words.is_empty() => None,
            // Every byte comes back in its place.
            None => {
                let sequence = forge::first(flow).wrapping_add(seen.sequence.wrapping_sub(begun));
                let header = Segment { flags: ACK, sequence, acknowledged: seen.next, next: 0 };
                return Some(forge::segment(flow, Way::In, header, &answer));
            }
            // The record is played once.
            Some(_) => forge::is_fresh(flow, seen).then_some((ACK, &answer[..])),
        };
        forge::accept(flow, seen, say)
    }
}

impl Piece for Replay {
    fn judge(&mut self, packet: &mut Packet<'_>, border: &mut Border<'_>) -> Verdict {
        let (Some(flow), words) = (packet.flow(), packet.payload()) else {
            return Verdict::Pass;
        };
        if packet.way() == Way::In {
            if let Some(answers) = &mut self.recorded
                && !words.is_empty()
            {
                let server = (flow.transport, flow.outside.ip());
                answers.entry(server).or_insert_with(|| words.to_vec());
            }
            return Verdict::Pass;
        }
        let (answer, is_caught) = match packet.segment() {
            None if words.is_empty() => (None, false),
            None => {
                let answer = self.answer(flow, words);
                let is_caught = answer.is_some();
                (answer.map(|said| forge::datagram(flow, Way::In, &said)), is_caught)
            }
            Some(seen) => {
                if seen.opens() {
                    *self.caught.of(flow) = self.answer(flow, &[]).map(|_| seen.sequence);
                }
                let begun = self.caught.get(flow).copied().flatten();
                (begun.and_then(|begun| self.segment(flow, seen, words, begun)), begun.is_some())
            }
        };
        if let Some(answer) = answer {
            border.send(Way::In, answer);
        }
        if is_caught { Verdict::Drop } else { Verdict::Pass }
    }
}
