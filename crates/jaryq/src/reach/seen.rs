//! What is shown of a candidate, to people and to programs.

use std::net::SocketAddr;
use std::time::Duration;

use reach::{Finding, Verdict, Way};
use serde::ser::{Serialize, SerializeMap, Serializer};
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
    pub(super) fn object(&self, addresses: bool) -> Object<'_> {
        Object { seen: self, addresses }
    }
}

/// What programs are told of a candidate. A loud search ends with 65,534 of these, so that it is
/// written as it is, without a [`serde_json::Value`] in between.
pub(super) struct Object<'a> {
    seen: &'a Seen,
    addresses: bool,
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Seen { relay, address, transport, shape, verdict, .. } = self.seen;
        let rung = match verdict {
            Verdict::Verified(rung) => Some(rung.name()),
            _ => None,
        };
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("event", "candidate")?;
        object.serialize_entry("transport", transport.name())?;
        object.serialize_entry("port", &address.port())?;
        object.serialize_entry("relay", relay)?;
        object.serialize_entry("shape", shape.name())?;
        object.serialize_entry("verdict", verdict.name())?;
        object.serialize_entry("rung", &rung)?;
        object.serialize_entry("at_ms", &millis(self.seen.at))?;
        object.serialize_entry("took_ms", &millis(self.seen.took))?;
        object.serialize_entry("rtt_ms", &self.seen.rtt.map(millis))?;
        object.serialize_entry("bytes", &self.seen.bytes)?;
        match *verdict {
            Verdict::Reset { after } => object.serialize_entry("after_kib", &after)?,
            Verdict::Rewritten { saw } => object.serialize_entry("reached_port", &saw)?,
            Verdict::Frozen { up, down } => {
                object.serialize_entry("up_kib", &up)?;
                object.serialize_entry("down_kib", &down)?;
            }
            Verdict::OneWay(Way::Up) => object.serialize_entry("passes", "up")?,
            Verdict::OneWay(Way::Down) => object.serialize_entry("passes", "down")?,
            Verdict::Throttled { rate } => object.serialize_entry("kib_per_second", &rate)?,
            Verdict::Died { after } => object.serialize_entry("after_seconds", &after)?,
            _ => {}
        }
        if self.addresses {
            object.serialize_entry("address", &address.ip())?;
        }
        object.end()
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use reach::Rung;
    use serde_json::{Value, json};

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
        let object = json!(seen.object(false));
        assert_eq!((&object["port"], &object["relay"]), (&json!(179), &json!(2)));
        assert_eq!((&object["verdict"], &object["rung"]), (&json!("verified"), &json!("64 KiB")));
        assert!(!object.to_string().contains("198.51.100"), "{object}");
        assert_eq!(json!(seen.object(true))["address"], "198.51.100.2");
    }

    #[test]
    fn how_much_passed_before_it_froze_is_told() {
        let verdict = Verdict::Frozen { up: None, down: Some(16) };
        let object = json!(seen(Transport::Tcp, 443, 1, verdict).object(false));
        assert_eq!((&object["verdict"], &object["down_kib"]), (&json!("frozen"), &json!(16)));
        assert_eq!(object["rung"], Value::Null);
    }
}
