//! The lab's own promises: hosts reach each other, nothing else, and leave nothing behind.

mod greeter;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use greeter::{greeter, greeting};
use lab::{Error, Result, country};

#[test]
fn hosts_of_two_networks_reach_each_other_by_both_families() -> Result {
    country(|lab| {
        let inside = lab.network("inside")?;
        let phone = inside.host("phone", &["5.76.1.10", "2a00:5da0:1::10"])?;
        let server = lab.host("server", &["116.203.7.7", "116.203.7.8", "2a01:4f8:7::7"])?;
        for (at, from) in [("116.203.7.8:443", phone.v4()), ("[2a01:4f8:7::7]:443", phone.v6())] {
            let at = at.parse().expect("an address");
            greeter(&server, at)?;
            assert_eq!(greeting(&phone, at)?, from.to_string());
        }
        Ok(())
    })
}

#[test]
fn an_address_can_refuse_be_swallowed_and_come_back() -> Result {
    country(|lab| {
        let inside = lab.network("inside")?;
        let phone = inside.host("phone", &["5.76.1.10", "2a00:5da0:1::10"])?;
        let server = lab.host("server", &["116.203.7.7", "2a01:4f8:7::7"])?;
        for address in [server.v4(), server.v6()] {
            let at = SocketAddr::new(address, 443);
            let refused = |said| {
                matches!(said, Err(Error::Io { source, .. })
                if source.kind() == ErrorKind::ConnectionRefused)
            };
            let swallowed = |said| matches!(said, Err(Error::Unexpected(_)));
            assert!(refused(greeting(&phone, at)));
            greeter(&server, at)?;
            greeting(&phone, at)?;

            inside.swallow(address)?;
            assert!(swallowed(greeting(&phone, at)));
            inside.carry(address);
            greeting(&phone, at)?;

            server.unplug(address)?;
            assert!(swallowed(greeting(&phone, at)));
            server.plug(address)?;
            greeting(&phone, at)?;
        }
        Ok(())
    })
}

#[test]
fn nothing_leads_out_of_the_lab() -> Result {
    country(|lab| {
        let phone = lab.host("phone", &["5.76.1.10", "2a00:5da0:1::10"])?;
        for elsewhere in ["1.1.1.1:443", "[2606:4700::1111]:443"] {
            let elsewhere = elsewhere.parse().expect("an address");
            assert!(greeting(&phone, elsewhere).is_err());
        }
        Ok(())
    })
}

#[test]
fn programs_end_with_their_lab() -> Result {
    let mut left = None;
    country(|lab| {
        let server = lab.host("server", &["116.203.7.7"])?;
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & wait"]).stdout(Stdio::null());
        left = Some(server.spawn(command)?);
        Ok(())
    })?;
    if let Some(mut shell) = left {
        assert!(shell.try_wait()?.is_some_and(|status| !status.success()));
    }
    Ok(())
}
