//! One connection to a datacentre.

use std::sync::Arc;

use aws_lc_rs::digest;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use wire::mtproto::obfuscated;

use super::witness::{Visit, Witness};
use crate::channel::Channel;
use crate::error::{Error, Result};
use crate::message::{self, Request};
use crate::pattern;

/// How much of the pattern goes into one message.
const PIECE: u64 = 32 * 1024;

/// Answers until the visitor leaves.
pub(super) async fn hold(mut stream: TcpStream, witness: Arc<Witness>) -> Result {
    let mut flight = [0; obfuscated::LENGTH];
    stream.read_exact(&mut flight).await?;
    let Some(opened) = obfuscated::open(&flight, None) else {
        return Err(Error::Unexpected("not obfuscated2".to_owned()));
    };
    let visit = Visit {
        from: stream.peer_addr()?,
        at: stream.local_addr()?,
        dc: opened.dc.0,
        tag: opened.tag,
        open: true,
    };
    let outgoing = opened.to_client();
    let mut channel = Channel::new(stream, opened.tag, opened.from_client, outgoing);
    let number = witness.came(visit);
    let done = answer(&mut channel, &witness).await;
    witness.left(number);
    done
}

async fn answer(channel: &mut Channel, witness: &Witness) -> Result {
    while let Some(frame) = channel.receive().await? {
        match Request::read(&frame)? {
            Request::Ping(nonce) => {
                channel.send(&message::res_pq(nonce, witness.clock())).await?;
            }
            Request::Send(bytes) => send(channel, bytes).await?,
            Request::Count(bytes) => count(channel, bytes).await?,
        }
    }
    Ok(())
}

async fn send(channel: &mut Channel, bytes: u64) -> Result {
    let mut body = Vec::new();
    let mut sent = 0;
    while sent < bytes {
        body.resize(usize::try_from(PIECE.min(bytes - sent)).expect("a piece is short"), 0);
        pattern::fill(sent, &mut body);
        channel.send(&message::wrap(&body)).await?;
        sent += body.len() as u64;
    }
    Ok(())
}

async fn count(channel: &mut Channel, bytes: u64) -> Result {
    let mut sum = digest::Context::new(&digest::SHA256);
    let mut counted = 0;
    while counted < bytes {
        let Some(frame) = channel.receive().await? else {
            return Err(Error::Unexpected(format!("{counted} of {bytes} bytes came")));
        };
        let body = message::unwrap(&frame)?;
        sum.update(body);
        counted += body.len() as u64;
    }
    let answer = [&counted.to_le_bytes()[..], sum.finish().as_ref()].concat();
    channel.send(&message::wrap(&answer)).await
}
