//! Other programs keep what is theirs.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use lab::Result;

use crate::harness::*;

#[test]
fn who_listens_before_or_later_has_the_port() -> Result {
    steered(|mechanism, phone, server| {
        greeter(server, (ANY4, 5432).into(), "before\n")?;
        greeter(server, (ANY6, 5433).into(), "before\n")?;
        oracle(server, (ANY4, 5434).into(), "before")?;
        let _holder = Holder::on(server, "all", mechanism)?;
        let before = Knock::Said("before".to_owned());
        assert_eq!(knock_from(phone, (server.v4(), 5432).into())?, before, "{mechanism}");
        assert_eq!(knock_from(phone, (server.v4(), 5433).into())?, before, "{mechanism}");
        assert_eq!(knock_from(phone, (server.v6(), 5433).into())?, before, "{mechanism}");
        let oracle_at = (server.v4(), 5434).into();
        assert_eq!(ask_from(phone, oracle_at)?, Reply::Said("before".to_owned(), 5434));

        let later = [SocketAddr::new(server.v4(), 6432), SocketAddr::new(server.v6(), 6433)];
        for at in later {
            assert_eq!(knock_from(phone, at)?, here(at), "{mechanism}");
            assert_eq!(ask_from(phone, at)?, answered(at), "{mechanism}");
            greeter(server, at, "later\n")?;
            oracle(server, at, "later")?;
            let (knock, reply) =
                (Knock::Said("later".to_owned()), Reply::Said("later".to_owned(), at.port()));
            if mechanism != "sk_lookup" {
                assert_eq!(knock_from(phone, at)?, knock);
                assert_eq!(ask_from(phone, at)?, reply);
            }
            eventually(&knock, || knock_from(phone, at))?;
            eventually(&reply, || ask_from(phone, at))?;
        }
        Ok(())
    })
}

#[test]
fn programs_of_the_same_machine_get_their_answers_and_their_refusals() -> Result {
    steered(|mechanism, phone, server| {
        let name_servers = [SocketAddr::new(phone.v4(), 53), SocketAddr::new(phone.v6(), 53)];
        for at in name_servers {
            oracle(phone, at, "a name")?;
        }
        let _holder = Holder::on(server, "all", mechanism)?;
        for at in name_servers {
            let reply = server.run(async move || {
                let any: IpAddr = if at.is_ipv4() { ANY4.into() } else { ANY6.into() };
                let socket = UdpSocket::bind((any, 0))?;
                socket.set_read_timeout(Some(Duration::from_secs(2)))?;
                // Not connected, as many resolvers do it.
                Ok(ask(&socket, at))
            })?;
            assert_eq!(reply, Reply::Said("a name".to_owned(), 53), "{mechanism}");
        }
        // By its own address a machine reaches what everybody reaches.
        for address in server.addresses() {
            let at = SocketAddr::new(*address, 9999);
            assert_eq!(knock_from(server, at)?, here(at), "{mechanism}");
            assert_eq!(ask_from(server, at)?, answered(at), "{mechanism}");
        }
        for local in ["127.0.0.1:9999", "127.3.2.1:9999", "[::1]:9999"] {
            let at = local.parse().expect("an address");
            assert_eq!(knock_from(server, at)?, Knock::Refused, "{mechanism} {at}");
            assert_eq!(ask_from(server, at)?, Reply::Refused, "{mechanism} {at}");
        }
        Ok(())
    })
}
