//! What was met, in words.

use reach::{Rung, Verdict, Way};
use wire::echo::{Shape, Transport};

/// What it means, for somebody who has to decide what to do next.
pub(super) fn sentence(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Verified(Rung::Echo) => "the relay answered; whether more passes is not known",
        Verdict::Verified(_) => "works",
        Verdict::Dropped => "nothing came back: dropped on the way, or on the way back",
        Verdict::NoResponse => {
            "nothing came back, and nobody knows whether the relay answers there at all"
        }
        Verdict::Refused => {
            "refused: somebody on the way, or the relay's machine, says it is closed"
        }
        Verdict::Unreachable => "a router on the way says that there is no way there",
        Verdict::HandshakeOnly => "the connection is made, and what is said in it never arrives",
        Verdict::Mute => {
            "somebody accepts and stays silent: a box on the way, or answers are dropped"
        }
        Verdict::Reset { after: 0 } => "accepted, and cut off at the first words",
        Verdict::Reset { .. } => "began to work, and was cut off",
        Verdict::Liar => "answered by somebody else than the relay, e.g. with a block page",
        Verdict::Rewritten { .. } => "led to another port than was asked for",
        Verdict::Frozen { .. } => "began to work, and stopped for good: only so much passes",
        Verdict::OneWay(Way::Up) => "only what you send arrives, nothing comes back",
        Verdict::OneWay(Way::Down) => "only what the relay sends arrives",
        Verdict::Throttled { .. } => "works, far slower than the distance explains",
        Verdict::Died { .. } => "worked, and was dead within a minute",
        Verdict::Untried => "could not be tried from this machine",
    }
}

/// What belongs to this one port alone, if anything does.
pub(super) fn detail(verdict: Verdict) -> Option<String> {
    Some(match verdict {
        Verdict::Reset { after: 1.. } | Verdict::Frozen { .. } | Verdict::Throttled { .. } => {
            let text = verdict.to_string();
            text.split_once(' ').map(|(_, rest)| rest.to_owned())?
        }
        Verdict::Rewritten { saw } => format!("to {saw}"),
        Verdict::Died { after } => format!("after {after} s"),
        _ => return None,
    })
}

/// What passed there, in the words of the table.
pub(super) fn passed(verdict: Verdict) -> String {
    match verdict {
        Verdict::Verified(Rung::Echo) => "an answer".to_owned(),
        Verdict::Verified(Rung::Load) => "64 KiB each way".to_owned(),
        Verdict::Verified(Rung::Minute) => "64 KiB each way, and still after a minute".to_owned(),
        Verdict::Throttled { rate } => format!("64 KiB each way, slowly: {rate} KiB/s"),
        _ => String::new(),
    }
}

/// What a question looks like to whoever watches.
pub(super) fn looks_like(shape: Shape, transport: Transport) -> &'static str {
    match (shape, transport) {
        (Shape::Random, _) => "noise",
        (Shape::Printable, Transport::Tcp) => "web, in clear",
        (Shape::Printable, Transport::Udp) => "text",
        (Shape::Tls, Transport::Tcp) => "web, TLS",
        (Shape::Tls, Transport::Udp) => "DTLS",
        (Shape::Dns, _) => "DNS",
    }
}
