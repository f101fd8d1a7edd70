//! What a border is like with nothing on it.

use std::net::SocketAddr;

use lab::censor::{Block, Censor, Only, Piece, Transport, Way};
use lab::{Result, country};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{Heard, LONG, SHORT, World, serve, tcp};

#[test]
fn a_border_without_pieces_passes_all_and_sees_it() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let all = world.echo(443)?;
        let neighbour = world.inside.host("neighbour", &["5.76.1.11"])?;
        let _ = serve(&neighbour, 443, None)?;
        let censor = Censor::on(&world.inside).start()?;
        for at in all {
            assert_eq!(world.tcp(at, "salem")?, Heard::says("salem"));
            assert_eq!(world.udp(at, "salem")?, Heard::says("salem"));
        }
        // What stays inside does not cross it.
        let near = (neighbour.v4(), 443).into();
        assert_eq!(world.tcp(near, "salem")?, Heard::says("salem"));

        let witness = censor.witness();
        for transport in [Transport::Tcp, Transport::Udp] {
            assert_eq!(
                witness.heard(transport).into_iter().collect::<Vec<_>>(),
                all.map(|at| (at, 1))
            );
        }
        for way in [Way::Out, Way::In] {
            assert_eq!(witness.came(way), witness.left(way));
        }
        let length = witness.knocks()[1].length;
        assert_eq!(length, 20 + 8 + "salem".len());

        // Gone, it is as if it had never been; and another one can come.
        drop(censor);
        assert_eq!(world.tcp(all[0], "salem")?, Heard::says("salem"));
        let censor = world.censor(Block)?;
        assert_eq!(world.tcp_briefly(all[0], "salem")?, Heard::Nothing);
        assert_eq!(world.tcp(near, "salem")?, Heard::says("salem"));
        censor.replace_all([]);
        assert_eq!(world.tcp(all[0], "salem")?, Heard::says("salem"));
        Ok(())
    })
}

#[test]
fn megabytes_pass_a_border_whole() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let [at, _] = world.echo(443)?;
        let _censor = Censor::on(&world.inside).start()?;
        world.phone.run(async move || {
            let sent: Vec<u8> =
                (0..4 << 20).map(|at: u32| at.to_be_bytes()[1 + at as usize % 3]).collect();
            let (mut from, mut to) = TcpStream::connect(at).await?.into_split();
            let all = sent.clone();
            tokio::spawn(async move { to.write_all(&all).await });
            let mut heard = vec![0; sent.len()];
            from.read_exact(&mut heard).await?;
            assert!(heard == sent);
            Ok(())
        })
    })
}

#[test]
fn each_provider_has_a_border_of_its_own_within_that_of_the_country() -> Result {
    country(|lab| {
        let kazakhstan = lab.network("kazakhstan")?;
        let server = lab.host("server", &["116.203.7.7", "2a01:4f8:7::7"])?;
        let _ = serve(&server, 179, None)?;
        let all = [server.v4(), server.v6()].map(|ip| SocketAddr::new(ip, 179));
        let [telecom, mobile] = ["telecom", "mobile"].map(|name| kazakhstan.network(name));
        let (telecom, mobile) = (telecom?, mobile?);
        let flat = telecom.host("flat", &["5.76.1.10", "2a00:5da0:1::10"])?;
        let pocket = mobile.host("pocket", &["5.76.2.20", "2a00:5da0:2::20"])?;

        let no_v6 = Block.when(|packet| packet.outside().is_ipv6());
        let _country = Censor::on(&kazakhstan).piece(no_v6).start()?;
        let _telecom = Censor::on(&telecom).piece(Only::tcp([179])).start()?;
        let of_mobile = Censor::on(&mobile).piece(Block).start()?;
        assert_eq!(tcp(&flat, all[0], b"salem", LONG, LONG)?, Heard::says("salem"));
        assert_eq!(tcp(&flat, all[1], b"salem", SHORT, SHORT)?, Heard::Nothing);
        assert_eq!(tcp(&pocket, all[0], b"salem", SHORT, SHORT)?, Heard::Nothing);
        drop(of_mobile);
        assert_eq!(tcp(&pocket, all[0], b"salem", LONG, LONG)?, Heard::says("salem"));
        // What one provider's people say to another's crosses both of their borders.
        let of_mobile = Censor::on(&mobile).piece(Block).start()?;
        let _ = serve(&flat, 443, None)?;
        let at = SocketAddr::new(flat.v4(), 443);
        assert_eq!(tcp(&pocket, at, b"salem", SHORT, SHORT)?, Heard::Nothing);
        assert!(of_mobile.look(|witness| witness.knocks()[0].to == at));
        assert!(Censor::on(&mobile).start().is_err() && Censor::on(lab).start().is_err());
        Ok(())
    })
}
