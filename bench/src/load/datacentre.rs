//! Telegram's datacentres, as cheap as they can be.

use std::net::Ipv4Addr;
use std::sync::{Arc, mpsc};

use lab::{Error, Host, Result, Task};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wire::ctr::Ctr;
use wire::mtproto::obfuscated;

use super::message::{self, CHECKED, PIECE, REQUEST};

/// Answers on port 443 of all addresses of `host` until the lab ends.
pub(crate) fn open(host: &Host) -> Result {
    let (bound, wait) = mpsc::channel();
    let _until_the_lab_ends: Task<()> = host.start(async move || {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 443)).await?;
        let _ = bound.send(());
        let noise = Arc::new(super::noise());
        loop {
            let (stream, _) = listener.accept().await?;
            // Who leaves in the middle, or says something else, is nobody's loss.
            tokio::spawn(hold(stream, Arc::clone(&noise)));
        }
    })?;
    wait.recv().map_err(|_| Error::Unexpected("the datacentre does not come up".to_owned()))
}

async fn hold(mut stream: TcpStream, noise: Arc<Vec<u8>>) -> Result {
    stream.set_nodelay(true)?;
    let mut flight = [0; obfuscated::LENGTH];
    stream.read_exact(&mut flight).await?;
    let opened = obfuscated::open(&flight, None)
        .ok_or_else(|| Error::Unexpected("not obfuscated2".to_owned()))?;
    let mut outgoing = opened.to_client();
    let mut incoming = opened.from_client;
    loop {
        let mut frame = [0; REQUEST];
        stream.read_exact(&mut frame).await?;
        incoming.apply(&mut frame);
        let (number, argument) = message::read(&frame);
        match number {
            message::SEND => {
                send(&mut stream, &mut outgoing, message::bytes(argument), &noise).await?;
            }
            message::PING | message::TAKE => {
                if number == message::TAKE {
                    take(&mut stream, &mut incoming, message::bytes(argument)).await?;
                }
                let mut answer = message::answer(argument);
                outgoing.apply(&mut answer);
                stream.write_all(&answer).await?;
            }
            other => return Err(Error::Unexpected(format!("a request {other:08x}"))),
        }
    }
}

async fn send(stream: &mut TcpStream, outgoing: &mut Ctr, bytes: u64, noise: &[u8]) -> Result {
    let mut zeros = vec![0; CHECKED];
    outgoing.apply(&mut zeros);
    stream.write_all(&zeros).await?;
    let mut left = bytes.saturating_sub(CHECKED as u64);
    while left > 0 {
        let piece = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        stream.write_all(&noise[..piece]).await?;
        left -= piece as u64;
    }
    Ok(())
}

/// Takes what comes; that the beginning is as it should be, it says by answering at all.
async fn take(stream: &mut TcpStream, incoming: &mut Ctr, bytes: u64) -> Result {
    let mut buffer = vec![0; CHECKED];
    stream.read_exact(&mut buffer).await?;
    incoming.apply(&mut buffer);
    if buffer.iter().any(|&byte| byte != 0) {
        return Err(Error::Unexpected("other bytes came".to_owned()));
    }
    let mut left = bytes.saturating_sub(CHECKED as u64);
    while left > 0 {
        let piece = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        match stream.read(&mut buffer[..piece]).await? {
            0 => return Err(Error::Unexpected("the upload ended early".to_owned())),
            got => left -= got as u64,
        }
    }
    Ok(())
}
