//! A stranger and the mask host: nothing may show that anybody is between them.

use std::io;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::{reset, splice};
use crate::tally::Flow;

/// Carries the same bytes from a stranger to the mask host and back, at most `most` each way, once
/// `opening` has said what is to be said before, and `answering` has looked at what comes back.
/// However one side ends, the other sees the same: an end as an end, a reset as a reset, and neither
/// is hurried.
pub(crate) async fn forward(
    stranger: &TcpStream,
    mask: &TcpStream,
    opening: impl Future<Output = io::Result<()>>,
    answering: impl Future<Output = io::Result<()>>,
    most: u64,
    flow: Flow<'_>,
) {
    untune(stranger);
    let up = async {
        opening.await?;
        splice::all(stranger, mask, most, flow.up).await
    };
    let down = async {
        answering.await?;
        splice::all(mask, stranger, most, flow.down).await
    };
    tokio::pin!(up, down);
    // Who is done with speaking may still go away, and the other one has to learn it.
    let ended = tokio::select! {
        ended = &mut up => match ended {
            Ok(()) => tokio::select! { ended = down => ended, broken = broken(stranger) => broken },
            failed => failed,
        },
        ended = &mut down => match ended {
            Ok(()) => tokio::select! { ended = up => ended, broken = broken(mask) => broken },
            failed => failed,
        },
    };
    if ended.is_err() {
        reset(&[stranger, mask]);
    }
}

/// Waits until the peer has reset the connection, which nobody reads any more.
async fn broken(stream: &TcpStream) -> io::Result<()> {
    stream.ready(Interest::ERROR).await?;
    Err(io::ErrorKind::ConnectionReset.into())
}

/// Undoes what of [`super::tune`] a stranger could notice: who is silent hears nothing either.
fn untune(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let _ = socket.set_keepalive(false);
    let _ = socket.set_tcp_user_timeout(None);
}
