//! Messages to and from the kernel, as netlink(7) lays them out.

/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// `NLM_F_ACK`.
pub(crate) const ACKNOWLEDGE: u16 = 4;
/// `NLM_F_DUMP`.
pub(crate) const DUMP: u16 = 0x300;
/// `NLMSG_ERROR`, which an acknowledgement is too, and `NLMSG_DONE`.
pub(crate) const ERROR: u16 = 2;
pub(crate) const DONE: u16 = 3;

/// A message as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) sequence: u32,
    pub(crate) body: &'a [u8],
}

impl Message<'_> {
    /// Of a message of the kind [`ERROR`]: which one, or that there is none.
    pub(crate) fn result(&self) -> std::io::Result<()> {
        let code = self.body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
        if code == 0 { Ok(()) } else { Err(std::io::Error::from_raw_os_error(-code)) }
    }
}

/// The messages of one read.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let [a, b, c, d, kind0, kind1, _, _, e, f, g, h, ..] = *bytes else { return None };
        let length = usize::try_from(u32::from_ne_bytes([a, b, c, d])).ok()?;
        let body = bytes.get(16..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        let kind = u16::from_ne_bytes([kind0, kind1]);
        Some(Message { kind, sequence: u32::from_ne_bytes([e, f, g, h]), body })
    })
}

/// The attributes of a body, by their kinds.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let [a, b, c, d, ..] = *bytes else { return None };
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]), value))
    })
}

/// A message to send: struct nlmsghdr and what follows it.
pub(crate) fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(16 + body.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((REQUEST | flags).to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(body);
    bytes
}

/// Attributes to send.
#[derive(Clone, Default, Debug)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    /// At most 65,531 bytes.
    pub(crate) fn bytes(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// With a zero at its end.
    pub(crate) fn text(self, kind: u16, value: &str) -> Self {
        let mut value = value.as_bytes().to_vec();
        value.push(0);
        self.bytes(kind, &value)
    }

    /// In the network's order, as netfilter has it.
    pub(crate) fn number(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(crate) fn nest(self, kind: u16, value: &Self) -> Self {
        const NESTED: u16 = 1 << 15;
        self.bytes(kind | NESTED, &value.0)
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_what_is_cut_off_ends() {
        let said = Attributes::default().text(1, "name").number(2, 7);
        let mut bytes = message(5, DUMP, 9, said.as_slice());
        bytes.extend(message(ERROR, 0, 10, &(-2_i32).to_ne_bytes()));
        let read: Vec<_> = messages(&bytes).collect();
        assert_eq!((read.len(), read[0].kind, read[0].sequence), (2, 5, 9));
        let attributes: Vec<_> = attributes(read[0].body).collect();
        assert_eq!(attributes, [(1, &b"name\0"[..]), (2, &[0, 0, 0, 7][..])]);
        assert_eq!(read[1].result().map_err(|error| error.raw_os_error()), Err(Some(2)));
        for end in 0..bytes.len() {
            assert!(messages(&bytes[..end]).count() < 2);
        }
    }
}
