use lab::censor::Only;
use lab::{Result, country};

use crate::world::{Heard, World};

#[test]
fn of_all_ports_a_list_is_left() -> Result {
    country(|lab| {
        let world = World::new(lab)?;
        let [bgp, _, tunnel] = [179, 443, 53].map(|port| world.echo(port));
        let ([bgp, bgp6], [dns, dns6]) = (bgp?, tunnel?);
        let web = (world.server.v4(), 443).into();
        // What was left in Kazakhstan in January 2022.
        let censor = world.censor(Only::tcp([179, 646, 3784, 3785, 4784]).udp([53]))?;
        for (tcp, udp) in [(bgp, dns), (bgp6, dns6)] {
            assert_eq!(world.tcp(tcp, "salem")?, Heard::says("salem"));
            assert_eq!(world.udp(udp, "salem")?, Heard::says("salem"));
            assert_eq!(world.tcp_briefly(udp, "salem")?, Heard::Nothing);
            assert_eq!(world.udp_briefly(tcp, "salem")?, Heard::Nothing);
        }
        assert_eq!(world.tcp_briefly(web, "salem")?, Heard::Nothing);
        // The border changes its mind.
        censor.replace(0, Only::tcp([443]))?;
        assert_eq!(world.tcp(web, "salem")?, Heard::says("salem"));
        assert_eq!(world.tcp_briefly(bgp, "salem")?, Heard::Nothing);
        Ok(())
    })
}
