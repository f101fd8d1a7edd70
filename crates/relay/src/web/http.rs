//! HTTP: one request, by `CONNECT` or with a whole URL.

use wire::http_proxy::{self, Status};

use super::caller::Caller;
use super::{Guest, Tongue, Wish};
use crate::egress::NoWay;

/// Hears somebody out; `None` when they were refused, or are gone.
pub(super) async fn welcome(caller: &mut Caller<'_>) -> Option<Guest> {
    let refusal = match caller.hear(http_proxy::request).await? {
        Ok(request) => {
            let key = match &request.login {
                Some(login) => caller.log_in(login).await,
                None => None,
            };
            match key {
                Some(key) => return Some(guest(key, request)),
                None => Status::LoginRequired.because("a user name and a password are needed"),
            }
        }
        Err(bad) => Status::for_bad(bad).because(&bad.to_string()),
    };
    caller.say(&refusal).await;
    None
}

fn guest(key: wire::derive::KeyId, request: http_proxy::Request) -> Guest {
    let target = request.target;
    let wish = match request.wish {
        http_proxy::Wish::Tunnel => Wish::Connect(target),
        http_proxy::Wish::Fetch { head, body } => Wish::Fetch { target, head, body },
    };
    Guest { key, wish, tongue: Tongue::Http }
}

pub(super) fn refusal(reason: &NoWay) -> Vec<u8> {
    reason.status().because(&reason.to_string())
}
