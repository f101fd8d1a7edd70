//! What a server answers to a hello, as far as it is not encrypted (RFC 8446, sections 4.1.3 and 6).

use super::hello::{Fields, Group};
use super::record::{ALERT, HANDSHAKE, HEADER};

/// A server's first record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It goes on with the handshake.
    Hello(ServerHello),
    /// It complains, with this description.
    Alert(u8),
    /// It speaks something else than TLS.
    Other,
}

/// What a server chose: what tells one kind of server from another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerHello {
    /// Whether the version is TLS 1.3; else it is an older one.
    pub is_1_3: bool,
    /// The cipher suite.
    pub cipher: u16,
    /// The group of its key share, or the one that it asks for.
    pub group: Option<Group>,
    /// The kinds of its extensions, in their order.
    pub extensions: Vec<u16>,
}

/// Reads a server's first record; `None` until it is whole. A record of any other kind is not waited
/// for.
#[must_use]
pub fn answer(bytes: &[u8]) -> Option<Answer> {
    let [kind, major, _, high, low] = *bytes.first_chunk::<HEADER>()?;
    if major != 3 || !matches!(kind, HANDSHAKE | ALERT) {
        return Some(Answer::Other);
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    let body = bytes.get(HEADER..HEADER + length)?;
    Some(match (kind, body) {
        (ALERT, [_, description]) => Answer::Alert(*description),
        (HANDSHAKE, [2, rest @ ..]) => hello(rest).map_or(Answer::Other, Answer::Hello),
        _ => Answer::Other,
    })
}

/// Reads a hello after its first byte.
fn hello(bytes: &[u8]) -> Option<ServerHello> {
    let mut fields = Fields(bytes);
    fields.take(3 + 2 + 32)?;
    fields.short_list()?;
    let cipher = fields.number()?;
    fields.take(1)?;
    let mut hello = ServerHello { is_1_3: false, cipher, group: None, extensions: Vec::new() };
    // Before TLS 1.3, a hello could end here.
    let mut extensions = Fields(fields.list().unwrap_or_default());
    while !extensions.0.is_empty() {
        let kind = extensions.number()?;
        let mut body = Fields(extensions.list()?);
        match kind {
            0x002b => hello.is_1_3 = body.number()? == 0x0304,
            0x0033 => hello.group = Some(Group(body.number()?)),
            _ => {}
        }
        hello.extensions.push(kind);
    }
    Some(hello)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::Secret;
    use crate::mtproto::faketls;
    use crate::tls::client;
    use crate::tls::hello::{ClientHello, X25519_MLKEM768};

    #[test]
    fn a_servers_choices_are_read_and_no_part_of_its_record_is_taken_for_whole() {
        let hello = client::record("example.org");
        let hello = ClientHello::read(&hello).expect("a hello");
        let flight = faketls::server_flight(&hello, &Secret([7; 16]), 1000);
        let chosen = ServerHello {
            is_1_3: true,
            cipher: 0x1301,
            group: Some(X25519_MLKEM768),
            extensions: vec![0x33, 0x2b],
        };
        assert_eq!(answer(&flight), Some(Answer::Hello(chosen)));
        for cut in 0..1000 {
            assert_eq!(answer(&flight[..cut]), None, "{cut} bytes");
        }
    }

    #[test]
    fn complaints_and_other_protocols_are_told_apart() {
        assert_eq!(answer(&[0x15, 3, 3, 0, 2, 2, 112]), Some(Answer::Alert(112)));
        assert_eq!(answer(b"HTTP/1.1 400"), Some(Answer::Other));
        assert_eq!(answer(&[0x16, 3, 3, 0, 2, 2, 0]), Some(Answer::Other));
        assert_eq!(answer(b"SSH-"), None);
    }
}
