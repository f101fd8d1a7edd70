//! The client's side: what is said to a server, and how its answers are read.

use std::net::SocketAddr;

use super::{Bytes, LOGIN_VERSION, Login, Malformed, PASSWORD, Read, VERSION, read};
use crate::target::{Host, Target};

/// The first message: a log-in by user name and password is the only thing on offer.
pub const GREETING: [u8; 3] = [VERSION, 1, PASSWORD];

/// Reads the answer to the greeting: whether a password is asked for.
///
/// # Errors
/// When it is none.
pub fn choice(bytes: &[u8]) -> Result<Read<bool>, Malformed> {
    read(bytes, |bytes| {
        good!(bytes.expect(VERSION));
        Some(Ok(bytes.byte()? == PASSWORD))
    })
}

/// A log-in.
///
/// # Panics
/// When one of its parts is longer than 255 bytes.
#[must_use]
pub fn login(login: &Login) -> Vec<u8> {
    let mut bytes = vec![LOGIN_VERSION];
    for part in [&login.user, &login.password] {
        bytes.push(u8::try_from(part.len()).expect("a part of a log-in is short"));
        bytes.extend(part);
    }
    bytes
}

/// Reads the answer to a log-in: whether one is welcome.
///
/// # Errors
/// When it is none.
pub fn verdict(bytes: &[u8]) -> Result<Read<bool>, Malformed> {
    read(bytes, |bytes| {
        good!(bytes.expect(LOGIN_VERSION));
        Some(Ok(bytes.byte()? == 0))
    })
}

/// Asks for a connection to there.
///
/// # Panics
/// When the target is a name longer than 255 bytes.
#[must_use]
pub fn connect(target: &Target) -> Vec<u8> {
    let mut bytes = vec![VERSION, 1, 0];
    match &target.host {
        Host::Address(ip) => super::put(&mut bytes, SocketAddr::new(*ip, target.port)),
        Host::Name(name) => {
            bytes.extend([super::NAME, u8::try_from(name.len()).expect("a name is short")]);
            bytes.extend(name.as_bytes());
            bytes.extend(target.port.to_be_bytes());
        }
    }
    bytes
}

/// Reads the answer to a request: its code, which is 0 for success and for the rest in
/// [`Reply`](super::Reply), and the address in it.
///
/// # Errors
/// When it is none.
pub fn reply(bytes: &[u8]) -> Result<Read<(u8, Target)>, Malformed> {
    read(bytes, |bytes: &mut Bytes<'_>| {
        good!(bytes.expect(VERSION));
        let code = bytes.byte()?;
        bytes.byte()?;
        let bound = good!(bytes.target());
        Some(Ok((code, bound)))
    })
}

#[cfg(test)]
mod tests {
    use super::super as server;
    use super::*;

    #[test]
    fn the_two_sides_understand_each_other() {
        assert_eq!(server::greeting(&GREETING), Ok(Read::Whole(true, 3)));
        assert_eq!(choice(&server::choice(true)), Ok(Read::Whole(true, 2)));
        assert_eq!(choice(&server::choice(false)), Ok(Read::Whole(false, 2)));
        let who = Login { user: b"user".to_vec(), password: b"pass".to_vec() };
        assert_eq!(server::login(&login(&who)), Ok(Read::Whole(who, 11)));
        assert_eq!(verdict(&server::verdict(true)), Ok(Read::Whole(true, 2)));
        assert_eq!(verdict(&server::verdict(false)), Ok(Read::Whole(false, 2)));
        for text in ["192.0.2.1:80", "[2001:db8::1]:443", "example.org:443"] {
            let target = Target::read(text, None).expect("a target");
            let bytes = connect(&target);
            let meant = server::Request { command: server::Command::Connect, target };
            assert_eq!(server::request(&bytes), Ok(Read::Whole(meant, bytes.len())));
        }
        let refused = server::Reply::NotAllowed.plain();
        assert!(matches!(reply(&refused), Ok(Read::Whole((2, _), 10))));
        assert_eq!(reply(&refused[..9]), Ok(Read::More));
    }
}
