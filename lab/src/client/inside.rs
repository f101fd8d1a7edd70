//! What looks like Telegram's from outside, and is anything inside.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use wire::tls::record;

use super::Client;
use crate::channel::Channel;

/// How much is on its way at a time, each way, in bytes.
const PIECE: usize = 16 * 1024;

impl Client {
    /// The connection as a stream of bytes, without frames: what a relay's hub is spoken to by.
    #[must_use]
    pub fn into_stream(self) -> DuplexStream {
        let Channel { stream, mut incoming, mut outgoing, records, .. } = self.channel;
        let (near, far) = duplex(PIECE);
        let (mut from, mut to) = stream.into_split();
        let (mut said, mut heard) = tokio::io::split(far);
        let is_dressed = records.is_some();
        tokio::spawn(async move {
            let mut piece = vec![0; PIECE];
            while let Ok(length @ 1..) = said.read(&mut piece).await {
                outgoing.apply(&mut piece[..length]);
                let header = record::header(length);
                let header = if is_dressed { &header[..] } else { &[] };
                if to.write_all(&[header, &piece[..length]].concat()).await.is_err() {
                    return;
                }
            }
        });
        tokio::spawn(async move {
            let mut records = records;
            let mut piece = vec![0; PIECE];
            while let Ok(length @ 1..) = from.read(&mut piece).await {
                let mut length = Some(length);
                if let Some(records) = &mut records {
                    length = length.and_then(|length| records.strip(&mut piece[..length]).ok());
                }
                let Some(length) = length else { return };
                incoming.apply(&mut piece[..length]);
                if heard.write_all(&piece[..length]).await.is_err() {
                    return;
                }
            }
        });
        near
    }
}
