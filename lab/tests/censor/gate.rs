//! What a border is like with nothing on it.

use lab::censor::{Block, Censor, Transport, Way};
use lab::{Result, country};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{Heard, World, serve};

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
