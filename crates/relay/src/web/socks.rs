//! SOCKS5: greeting, log-in, request.

use wire::socks5::{self, Command, Reply};

use super::caller::Caller;
use super::{Guest, Tongue, Wish};
use crate::egress::NoWay;

/// Hears somebody out; `None` when they were refused, or are gone.
pub(super) async fn welcome(caller: &mut Caller<'_>) -> Option<Guest> {
    let by_password = caller.hear(socks5::greeting).await?.ok()?;
    caller.say(&socks5::choice(by_password)).await;
    if !by_password {
        return None;
    }
    let login = caller.hear(socks5::login).await?.ok()?;
    let key = caller.log_in(&login).await;
    caller.say(&socks5::verdict(key.is_some())).await;
    let key = key?;
    let refusal = match caller.hear(socks5::request).await? {
        Ok(request) => {
            let wish = match request.command {
                Command::Connect => Some(Wish::Connect(request.target)),
                Command::UdpAssociate => Some(Wish::Associate),
                Command::Other(_) => None,
            };
            match wish {
                Some(wish) => return Some(Guest { key, wish, tongue: Tongue::Socks }),
                None => Reply::CommandUnknown,
            }
        }
        Err(malformed) => Reply::for_malformed(malformed),
    };
    caller.say(&refusal.plain()).await;
    None
}

pub(super) fn refusal(reason: &NoWay) -> Vec<u8> {
    let reply = match reason {
        NoWay::Forbidden(_) => Reply::NotAllowed,
        NoWay::NoNetwork => Reply::NetworkUnreachable,
        NoWay::NoSuchName | NoWay::NoNames | NoWay::NoAnswer => Reply::HostUnreachable,
        NoWay::Refused => Reply::Refused,
    };
    reply.plain()
}
