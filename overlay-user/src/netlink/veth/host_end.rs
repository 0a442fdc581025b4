//! The host's end of a veth: deaf, without an address, under a MAC address that follows from the endpoint.

use netlink_packet_route::{
    RouteNetlinkMessage,
    address::AddressMessage,
    link::{LinkAttribute, LinkFlags, LinkMessage},
};
use overlay_common::{MacAddr, hash::fnv1a};

use super::{
    super::{
        Host,
        links::{Link, addresses},
        socket::Verb,
        sysctl,
    },
    VethError,
    error::failed,
};
use crate::{cluster::EndpointId, tables::Ifindex};

/// The MAC address of the host's end: local, unicast, and of no range that endpoints and gateways have theirs from
/// (`02:42:`, `06:`).
pub fn host_mac(id: &EndpointId) -> MacAddr {
    let [.., a, b, c, d, e] = fnv1a(id.to_string().bytes()).to_be_bytes();
    MacAddr::new([0x0e, a, b, c, d, e])
}

impl Host {
    /// Makes the host's end of an endpoint's veth what it was made as, but for its MTU; tells what had been altered.
    pub async fn restore_host_end(&self, id: &EndpointId, link: &Link) -> Result<Vec<String>, VethError> {
        let mut altered = Vec::new();
        let mac = host_mac(id);
        if link.mac != Some(mac) {
            self.set_mac(link.ifindex, mac).await?;
            altered.push(format!("MAC address {}", link.mac.map(|mac| mac.to_string()).unwrap_or_default()));
        }
        let settings = sysctl::deafen(&link.name)?;
        altered.extend(settings.into_iter().map(|(name, value)| format!("{name} = {value}")));
        // Only now: nothing may be heard by a device that is not deaf.
        if !link.up || link.arp {
            super::link_up(&self.rtnl, link.ifindex, true)
                .await
                .map_err(failed("set the host's interface up"))?;
            altered.extend((!link.up).then(|| "down".to_owned()));
            altered.extend(link.arp.then(|| "arp on".to_owned()));
        }
        Ok(altered)
    }

    async fn set_mac(&self, ifindex: Ifindex, mac: MacAddr) -> Result<(), VethError> {
        let mut message = LinkMessage::default();
        message.header.index = ifindex.0;
        message.attributes.push(LinkAttribute::Address(mac.octets().to_vec()));
        let result = self.rtnl.request(RouteNetlinkMessage::SetLink(message), Verb::Plain).await;
        result.map(|_| ()).map_err(failed("set the host's MAC address"))
    }

    /// Removes every address from devices that may have none; tells which there were.
    pub async fn remove_addresses(
        &self,
        of: impl Fn(Ifindex) -> bool,
    ) -> Result<Vec<(Ifindex, String)>, VethError> {
        let doing = "remove the addresses of the host's interface";
        let mut removed = Vec::new();
        for address in addresses(&self.rtnl).await.map_err(failed(doing))? {
            if of(address.ifindex) {
                let message = RouteNetlinkMessage::DelAddress(AddressMessage::clone(&address.message));
                self.rtnl.request(message, Verb::Plain).await.map_err(failed(doing))?;
                removed.push((address.ifindex, address.ip.to_string()));
            }
        }
        Ok(removed)
    }
}

/// Whether a device answers ARP, by its flags.
pub(in super::super) const fn has_arp(flags: LinkFlags) -> bool {
    !flags.contains(LinkFlags::Noarp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_macs_are_local_unicast_and_differ() {
        let mac = |id: &str| host_mac(&id.parse().expect("an endpoint id"));
        let one = mac("blue.02420a010001");
        assert!(one.is_unicast() && one.octets()[0] & 2 == 2);
        assert_eq!(one, mac("blue.02420a010001"));
        assert_ne!(one, mac("red.02420a010001"));
    }
}
