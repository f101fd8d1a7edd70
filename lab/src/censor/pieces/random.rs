//! First words that look like nothing.

use crate::censor::{Border, Flows, Packet, Piece, Transport, Verdict, Way};

/// Drops what goes out on a TCP connection whose first packet from inside looks fully encrypted, as the
/// Great Firewall did from November 2021 on (Wu et al., USENIX Security 2023). What looks like TLS or
/// HTTP, like text, or has too few or too many bits set, passes.
///
/// ```no_run
/// # use lab::censor::{Censor, NoRandom};
/// # fn example(inside: &lab::Network) -> lab::Result {
/// let censor = Censor::on(inside).piece(NoRandom::new().datagrams()).start()?;
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct NoRandom {
    datagrams: bool,
    /// Whether a flow whose first words were seen is dead.
    judged: Flows<Option<bool>>,
}

impl NoRandom {
    /// Looks at TCP only.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at datagrams too, which the Great Firewall did not.
    #[must_use]
    pub fn datagrams(mut self) -> Self {
        self.datagrams = true;
        self
    }
}

/// Whether words look fully encrypted, by the rules of that paper.
#[must_use]
pub fn looks_random(words: &[u8]) -> bool {
    let is_printable = |byte: &u8| (0x20..=0x7e).contains(byte);
    let bits: u32 = words.iter().map(|byte| byte.count_ones()).sum();
    let length = u32::try_from(words.len()).expect("a packet is short");
    let each = f64::from(bits) / f64::from(length.max(1));
    let printable = words.iter().filter(|byte| is_printable(byte)).count();
    let longest = words.split(|byte| !is_printable(byte)).map(<[u8]>::len).max();
    let is_tls = matches!(words, [0x16..=0x17, 3, 0..=9, ..]);
    let is_http =
        [&b"GET "[..], b"PUT ", b"POST ", b"HEAD "].iter().any(|word| words.starts_with(word));
    let is_exempt = each <= 3.4
        || each >= 4.6
        || words.len() >= 6 && words[..6].iter().all(is_printable)
        || printable * 2 > words.len()
        || longest.is_some_and(|longest| longest > 20)
        || is_tls
        || is_http;
    !is_exempt
}

impl Piece for NoRandom {
    fn judge(&mut self, packet: &mut Packet<'_>, _: &mut Border<'_>) -> Verdict {
        let (Way::Out, Some(flow)) = (packet.way(), packet.flow()) else {
            return Verdict::Pass;
        };
        if flow.transport == Transport::Udp && !self.datagrams {
            return Verdict::Pass;
        }
        let judged = self.judged.of(flow);
        if packet.segment().is_some_and(|seen| seen.opens()) {
            *judged = None;
        }
        if judged.is_none() && !packet.payload().is_empty() {
            *judged = Some(looks_random(packet.payload()));
        }
        if *judged == Some(true) { Verdict::Drop } else { Verdict::Pass }
    }
}
