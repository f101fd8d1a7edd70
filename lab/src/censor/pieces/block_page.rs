//! A page that says no.

use crate::censor::{ACK, Border, FIN, Packet, Piece, Verdict, Way, forge};

/// Accepts every TCP connection in the server's place, whatever the port, and answers whatever is said
/// with a page of HTTP. The server hears nothing of it.
///
/// ```no_run
/// # use lab::censor::{BlockPage, Censor, Piece};
/// # fn example(inside: &lab::Network) -> lab::Result {
/// // To a scanner every port is open; five of them truly are.
/// let left = [179, 646, 3784, 3785, 4784];
/// let page = BlockPage::new().when(move |packet| packet.port().is_some_and(|port| !left.contains(&port)));
/// let censor = Censor::on(inside).piece(page).start()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct BlockPage {
    answer: Vec<u8>,
    at_once: bool,
}

impl BlockPage {
    /// Answers with status 403.
    #[must_use]
    pub fn new() -> Self {
        let page = "<h1>This page is blocked.</h1>";
        let length = page.len();
        let answer = format!(
            "HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{page}"
        );
        Self { answer: answer.into_bytes(), at_once: false }
    }

    /// Says so as soon as a connection is there, before anything is asked.
    #[must_use]
    pub fn at_once(mut self) -> Self {
        self.at_once = true;
        self
    }
}

impl Default for BlockPage {
    fn default() -> Self {
        Self::new()
    }
}

impl Piece for BlockPage {
    fn judge(&mut self, packet: &mut Packet<'_>, border: &mut Border<'_>) -> Verdict {
        let (Way::Out, Some(flow), Some(seen)) = (packet.way(), packet.flow(), packet.segment())
        else {
            return Verdict::Pass;
        };
        let is_asked = self.at_once || !packet.payload().is_empty();
        let page = (ACK | FIN, &self.answer[..]);
        let say = (is_asked && forge::is_fresh(flow, seen)).then_some(page);
        if let Some(answer) = forge::accept(flow, seen, say) {
            border.send(Way::In, answer);
        }
        Verdict::Drop
    }
}
