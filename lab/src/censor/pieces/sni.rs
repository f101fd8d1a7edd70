//! Names that may not be asked for over TLS.

use wire::tls::hello::{self, ClientHello, Prefix};

use super::names::Names;
use crate::censor::{Border, Flow, Flows, Packet, Piece, Segment, Verdict, Way, forge};

/// Reads the name that a TLS client asks for, also where its hello takes several packets, and kills
/// the connection by it. What is no TLS passes. A name stands for those below it too.
///
/// ```no_run
/// # use lab::censor::{Censor, Sni};
/// # fn example(inside: &lab::Network) -> lab::Result {
/// let censor = Censor::on(inside)
///     .piece(Sni::block(["telegram.org"]).reset())
///     .start()?;
/// // Later only what the state approves of is left.
/// censor.replace(0, Sni::allow(["gosuslugi.ru", "ya.ru"]))?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Sni {
    names: Names,
    are_allowed: bool,
    resets: bool,
    seen: Flows<Look>,
}

/// What is known of a connection.
#[derive(Debug, Default)]
enum Look {
    /// Nothing to be judged.
    #[default]
    Passed,
    /// It begins like a hello; the number of the byte that comes next.
    Begun(Vec<u8>, u32),
    /// Nothing of it passes any more.
    Dead,
}

impl Sni {
    /// Kills connections that ask for one of these names.
    #[must_use]
    pub fn block<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = Names::new(names);
        Self { names, are_allowed: false, resets: false, seen: Flows::default() }
    }

    /// Kills connections that ask for another name than these, or for none.
    #[must_use]
    pub fn allow<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { are_allowed: true, ..Self::block(names) }
    }

    /// Breaks a connection off at both ends; otherwise its packets are dropped from the hello on.
    #[must_use]
    pub fn reset(mut self) -> Self {
        self.resets = true;
        self
    }

    fn may_ask(&self, name: Option<&str>) -> bool {
        let is_listed = name.is_some_and(|name| self.names.cover(name));
        is_listed == self.are_allowed
    }

    /// Takes what somebody inside says next.
    fn look(&mut self, flow: Flow, seen: Segment, said: &[u8]) {
        let Look::Begun(hello, next) = self.seen.of(flow) else {
            return;
        };
        if said.is_empty() || seen.sequence != *next {
            return;
        }
        hello.extend(said);
        *next = seen.next;
        let look = match hello::prefix(hello) {
            Prefix::Partial => return,
            Prefix::Impossible => Look::Passed,
            Prefix::Whole(length) => {
                let hello = std::mem::take(hello);
                let name = ClientHello::read(&hello[..length]).and_then(|read| read.server_name);
                if self.may_ask(name) { Look::Passed } else { Look::Dead }
            }
        };
        *self.seen.of(flow) = look;
    }
}

impl Piece for Sni {
    fn judge(&mut self, packet: &mut Packet<'_>, border: &mut Border<'_>) -> Verdict {
        let (Some(flow), Some(seen)) = (packet.flow(), packet.segment()) else {
            return Verdict::Pass;
        };
        if packet.way() == Way::Out {
            if seen.opens() {
                *self.seen.of(flow) = Look::Begun(Vec::new(), seen.next);
            }
            let was_dead = matches!(self.seen.get(flow), Some(Look::Dead));
            self.look(flow, seen, packet.payload());
            let is_dead = matches!(self.seen.get(flow), Some(Look::Dead));
            if self.resets && is_dead && !was_dead {
                let [back, on] = forge::resets(flow, seen);
                border.send(Way::In, back);
                border.send(Way::Out, on);
            }
        }
        match self.seen.get(flow) {
            Some(Look::Dead) => Verdict::Drop,
            _ => Verdict::Pass,
        }
    }
}
