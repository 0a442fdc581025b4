//! The addresses of the container's end.

use super::{
    super::socket::{Rtnl, RtnlError, Verb},
    VethError, VethSpec,
    error::{MIN_IPV6_MTU, failed},
};
use crate::tables::Ifindex;
use ipnet::IpNet;
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope},
};
use rustix::io::Errno;

/// Sets the addresses of `spec`, and the link-local one of its MAC address, all without asking for duplicates.
pub(super) async fn add_addresses(rtnl: &Rtnl, ifindex: Ifindex, spec: &VethSpec) -> Result<(), VethError> {
    for ip in &spec.ips {
        match add_address(rtnl, ifindex, *ip).await {
            Ok(()) => {}
            Err(error) if ip.addr().is_ipv6() && error.errno().is_some_and(is_ipv6_off) => {
                return Err(VethError::Ipv6Off(*ip));
            }
            Err(error) => return Err(failed("set the container's addresses")(error)),
        }
    }
    let link_local = IpNet::new_assert(spec.mac.link_local().into(), 64);
    match add_address(rtnl, ifindex, link_local).await {
        // Where no IPv6 address was asked for, the endpoint does without.
        Err(error) if error.errno().is_some_and(is_ipv6_off) || spec.mtu < MIN_IPV6_MTU => {
            tracing::debug!(%error, "the endpoint has no link-local address");
            Ok(())
        }
        result => result.map_err(failed("set the container's link-local address")),
    }
}

fn is_ipv6_off(errno: Errno) -> bool {
    matches!(errno, Errno::ACCESS | Errno::AFNOSUPPORT | Errno::OPNOTSUPP)
}

async fn add_address(rtnl: &Rtnl, ifindex: Ifindex, ip: IpNet) -> Result<(), RtnlError> {
    let mut message = AddressMessage::default();
    message.header.index = ifindex.0;
    message.header.prefix_len = ip.prefix_len();
    message.attributes = vec![AddressAttribute::Local(ip.addr()), AddressAttribute::Address(ip.addr())];
    match ip {
        IpNet::V4(net) => {
            message.header.family = AddressFamily::Inet;
            // /31 and /32 have no broadcast address (RFC 3021).
            if net.prefix_len() < 31 {
                message.attributes.push(AddressAttribute::Broadcast(net.broadcast()));
            }
        }
        IpNet::V6(net) => {
            message.header.family = AddressFamily::Inet6;
            if net.addr().is_unicast_link_local() {
                message.header.scope = AddressScope::Link;
            }
            // The table decides duplicates; asking the network would only delay the endpoint.
            message.header.flags = AddressHeaderFlags::Nodad;
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
    }
    match rtnl.request(RouteNetlinkMessage::NewAddress(message), Verb::Create).await {
        Err(error) if error.errno() == Some(Errno::EXIST) => Ok(()),
        result => result.map(|_| ()),
    }
}
