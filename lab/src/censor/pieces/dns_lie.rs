//! Names that lead elsewhere.

use std::net::IpAddr;

use super::names::Names;
use crate::censor::{Border, Packet, Piece, Transport, Verdict, Way, forge};

/// Answers questions for names, asked of any server at UDP port 53, with a lie. The question goes on,
/// and the true answer comes later.
///
/// ```no_run
/// # use lab::censor::{Censor, DnsLie};
/// # fn example(inside: &lab::Network) -> lab::Result {
/// // What Iran answered for years.
/// let lie = DnsLie::about(["telegram.org"], "10.10.34.36".parse().expect("an address"));
/// let censor = Censor::on(inside).piece(lie).start()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct DnsLie {
    names: Names,
    address: IpAddr,
}

/// The types of records with addresses of either family (RFC 1035, RFC 3596).
const A: u16 = 1;
const AAAA: u16 = 28;

impl DnsLie {
    /// Says that these names, and all names below them, have this address and no other. Questions for
    /// addresses of the other family are not answered.
    #[must_use]
    pub fn about<'a>(names: impl IntoIterator<Item = &'a str>, address: IpAddr) -> Self {
        Self { names: Names::new(names), address }
    }

    /// The answer to a question, where it is a lie.
    fn answer(&self, asked: &[u8]) -> Option<Vec<u8>> {
        // Number, flags, how many questions and records.
        let (header, mut rest) = asked.split_first_chunk::<12>()?;
        let [high, low, flags, _, 0, 1, ..] = *header else {
            return None;
        };
        // An answer, or another kind of question.
        if flags & 0xf8 != 0 {
            return None;
        }
        let mut name = String::new();
        loop {
            let (&length, after) = rest.split_first()?;
            let (label, after) = after.split_at_checked(usize::from(length))?;
            rest = after;
            match length {
                0 => break,
                1..64 => name += &format!("{}.", String::from_utf8_lossy(label)),
                _ => return None,
            }
        }
        let (&[kind_high, kind_low, ..], after) = rest.split_first_chunk::<4>()?;
        let question = &asked[12..asked.len() - after.len()];
        let is_meant = self.names.cover(name.trim_end_matches('.'));
        let address = match (u16::from_be_bytes([kind_high, kind_low]), self.address) {
            (A, IpAddr::V4(v4)) if is_meant => v4.octets().to_vec(),
            (AAAA, IpAddr::V6(v6)) if is_meant => v6.octets().to_vec(),
            _ => return None,
        };
        let length = u8::try_from(address.len()).expect("4 or 16");
        let mut answer = vec![high, low, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
        answer.extend(question);
        // The same name, type and class; five minutes.
        answer.extend([0xc0, 12, kind_high, kind_low, 0, 1, 0, 0, 1, 44, 0, length]);
        answer.extend(address);
        Some(answer)
    }
}

impl Piece for DnsLie {
    fn judge(&mut self, packet: &mut Packet<'_>, border: &mut Border<'_>) -> Verdict {
        if let (Way::Out, Some(flow)) = (packet.way(), packet.flow())
            && flow.transport == Transport::Udp
            && flow.outside.port() == 53
            && let Some(answer) = self.answer(packet.payload())
        {
            border.send(Way::In, forge::datagram(flow, Way::In, &answer));
        }
        Verdict::Pass
    }
}
