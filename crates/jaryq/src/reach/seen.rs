//! What is shown of a candidate, to people and to programs.

use std::net::SocketAddr;
use std::time::Duration;

use reach::{Finding, Verdict, Way};
use serde_json::{Value, json};
use wire::echo::{Shape, Transport};

/// A candidate and what was met there.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Seen {
    /// The relay's number in the bundle, from 1 on.
    pub relay: u16,
    pub address: SocketAddr,
    pub transport: Transport,
    pub shape: Shape,
    pub verdict: Verdict,
    /// When that was known, since the search began.
    pub at: Duration,
    pub took: Duration,
    pub rtt: Option<Duration>,
    pub bytes: u32,
}

impl From<&Finding> for Seen {
    fn from(finding: &Finding) -> Self {
        let Finding { spot, shape, verdict, at, took, rtt, bytes, .. } = finding;
        Self {
            relay: spot.relay(),
            address: spot.address(),
            transport: spot.transport(),
            shape: *shape,
            verdict: *verdict,
            at: *at,
            took: *took,
            rtt: *rtt,
            bytes: *bytes,
        }
    }
}

impl Seen {
    /// As in `tcp 179`.
    pub(super) fn port(&self) -> String {
        format!("{} {}", self.transport, self.address.port())
    }

    /// For programs. The relay's address only if that was asked for.
    pub(super) fn object(&self, addresses: bool) -> Value {
        let Self { relay, address, transport, shape, verdict, .. } = self;
        let mut object = json!({
            "event": "candidate",
            "transport": transport.name(),
            "port": address.port(),
            "relay": relay,
            "shape": shape.name(),
            "verdict": verdict.name(),
            "rung": match verdict {
                Verdict::Verified(rung) => Some(rung.name()),
                _ => None,
            },
            "at_ms": millis(self.at),
            "took_ms": millis(self.took),
            "rtt_ms": self.rtt.map(millis),
            "bytes": self.bytes,
        });
        let more = match *verdict {
            Verdict::Reset { after } => json!({ "after_kib": after }),
            Verdict::Rewritten { saw } => json!({ "reached_port": saw }),
            Verdict::Frozen { up, down } => json!({ "up_kib": up, "down_kib": down }),
            Verdict::OneWay(Way::Up) => json!({ "passes": "up" }),
            Verdict::OneWay(Way::Down) => json!({ "passes": "down" }),
            Verdict::Throttled { rate } => json!({ "kib_per_second": rate }),
            Verdict::Died { after } => json!({ "after_seconds": after }),
            _ => Value::Null,
        };
        if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
            object.extend(more);
        }
        if addresses {
            object["address"] = json!(address.ip());
        }
        object
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use reach::Rung;

    pub(crate) fn seen(transport: Transport, port: u16, relay: u16, verdict: Verdict) -> Seen {
        let shape = if port == 53 { Shape::Dns } else { Shape::Random };
        let ms = Duration::from_millis;
        let address = SocketAddr::from(([198, 51, 100, u8::try_from(relay).expect("few")], port));
        let (at, took, rtt) = (ms(900), ms(400), Some(ms(200)));
        Seen { relay, address, transport, shape, verdict, at, took, rtt, bytes: 140_000 }
    }

    #[test]
    fn a_program_is_told_a_relays_address_only_if_it_asks() {
        let seen = seen(Transport::Tcp, 179, 2, Verdict::Verified(Rung::Load));
        let object = seen.object(false);
        assert_eq!((&object["port"], &object["relay"]), (&json!(179), &json!(2)));
        assert_eq!((&object["verdict"], &object["rung"]), (&json!("verified"), &json!("64 KiB")));
        assert!(!object.to_string().contains("198.51.100"), "{object}");
        assert_eq!(seen.object(true)["address"], "198.51.100.2");
    }

    #[test]
    fn how_much_passed_before_it_froze_is_told() {
        let verdict = Verdict::Frozen { up: None, down: Some(16) };
        let object = seen(Transport::Tcp, 443, 1, verdict).object(false);
        assert_eq!((&object["verdict"], &object["down_kib"]), (&json!("frozen"), &json!(16)));
        assert_eq!(object["rung"], Value::Null);
    }
}
