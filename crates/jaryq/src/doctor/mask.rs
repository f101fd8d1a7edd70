//! The website behind which the relay hides: whether it is there, and what it speaks.

use std::net::SocketAddr;
use std::time::Duration;

use relay::{Mask, NoAddress};
use tokio::time::timeout;
use wire::mtproto::ServerName;
use wire::tls::answer::{Answer, Unlike};
use wire::tls::hello::X25519_MLKEM768;
use wire::tls::offer;

use super::check::Check;
use super::client::{Failure, greet};
use super::way::{NoWay, Way};
use super::{Patient, all, list};

/// TLS's complaint that nobody here has this name (RFC 6066, section 3).
const UNRECOGNIZED_NAME: u8 = 112;
/// How many of its addresses are tried.
const MOST: usize = 4;
/// How long the name servers may take, and then the web server.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was seen of it.
pub(crate) struct Sight {
    pub check: Check,
    /// What its TLS chose.
    pub hello: Option<Answer>,
}

/// Looks at the mask host as a stranger would, by the name that links carry.
pub(crate) async fn look(patient: &Patient, mask: &Mask, name: &ServerName) -> Sight {
    let fault = |seen: String| Check::fault("mask", seen);
    let only = |check| Sight { check, hello: None };
    let addresses = match timeout(PATIENCE, mask.addresses(&patient.names)).await {
        Ok(Ok(addresses)) => addresses,
        Ok(Err(NoAddress::NoSuchName)) => {
            return only(
                fault(format!("{mask} is not found: there is no such name"))
                    .cause("its name is mistyped or gone")
                    .remedy("give --mask another one"),
            );
        }
        Ok(Err(NoAddress::NoAnswer)) | Err(_) => {
            return only(
                fault(format!("{mask} is not found: the name servers do not answer"))
                    .cause("this server's name servers, see /etc/resolv.conf")
                    .remedy("name others there"),
            );
        }
    };
    if let Some(at) = addresses.iter().find(|at| patient.answers(at.ip(), at.port())) {
        return only(
            fault(format!("{mask} is {at}, which is this relay itself"))
                .cause("the mask's name points here, to a port on which the relay answers")
                .remedy("give --mask the port on which the web server listens, as in NAME:4443"),
        );
    }
    let hello = offer::record(name.as_str(), X25519_MLKEM768);
    let first = addresses.iter().take(MOST).map(|&at| {
        let hello = hello.clone();
        async move { timeout(PATIENCE, greet(&Way::Here, at, &hello)).await }
    });
    // As for the relay: any that accepts will do.
    let answers = all(first.collect()).await.into_iter();
    let mut answers = answers.map(|met| met.unwrap_or(Err(Failure::NoWay(NoWay::Silence))));
    let accepted = |answer: &Result<_, Failure>| !matches!(answer, Err(Failure::NoWay(_)));
    let answer = answers.find(accepted).unwrap_or(Err(Failure::NoWay(NoWay::Silence)));
    judge(mask, name, &addresses, answer)
}

fn judge(
    mask: &Mask,
    name: &ServerName,
    addresses: &[SocketAddr],
    answer: Result<Result<Answer, Unlike>, Failure>,
) -> Sight {
    let only = |check| Sight { check, hello: None };
    match answer {
        Err(why @ Failure::NoWay(_)) => only(
            Check::fault("mask", format!("{mask} does not answer at {}: {why}", list(addresses)))
                .cause("the web server is down, or refuses this server")
                .remedy("start it again, or give --mask another one: one that is down gives you away"),
        ),
        Ok(Ok(hello)) => {
            let check = Check::ok("mask", format!("{mask} answers with TLS 1.3 for {name}"));
            Sight { check, hello: Some(hello) }
        }
        Ok(Err(Unlike::Old)) => only(
            Check::warning("mask", format!("{mask} answers with an older version than TLS 1.3"))
                .cause("its web server is old, while 'ee' links look like TLS 1.3: that does not match")
                .remedy("give --mask a website with TLS 1.3"),
        ),
        Ok(Err(Unlike::Refusal(UNRECOGNIZED_NAME))) => only(
            Check::warning("mask", format!("{mask} says that it is not {name}"))
                .cause("that web server has no website of this name")
                .remedy("give --mask a name that its web server knows"),
        ),
        Ok(Err(Unlike::AnotherHello)) => only(
            Check::warning("mask", format!("{mask} asks for a key share that apps do not send"))
                .cause("its web server wants another group, and no app understands that it asks")
                .remedy("give --mask a website that takes X25519 or X25519MLKEM768"),
        ),
        Ok(Err(Unlike::Refusal(number))) => only(
            Check::warning("mask", format!("{mask} ends a TLS handshake for {name} (alert {number})"))
                .cause("its web server does not take a present-day hello")
                .remedy("give --mask another website"),
        ),
        Ok(Err(Unlike::NotTls)) | Err(_) => only(
            Check::warning("mask", format!("{mask} speaks no TLS"))
                .cause("it is no HTTPS website, while 'ee' links look like visits to one")
                .remedy("give --mask an HTTPS website"),
        ),
    }
}
